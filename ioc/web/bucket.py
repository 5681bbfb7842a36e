"""A rate limit for what machines send."""

from __future__ import annotations

from ioc.clock import Clock


class Bucket:
    """At most ``burst`` at once, then ``per_s`` a second, over all callers together."""

    def __init__(self, clock: Clock, *, burst: int, per_s: float) -> None:
        self._clock = clock
        self._burst = float(burst)
        self._per_s = per_s
        self._left = float(burst)
        self._at_s = clock.monotonic_s()

    def take(self) -> float:
        """Take one; 0.0 when there was one, else how many seconds until there is."""
        now_s = self._clock.monotonic_s()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0
