"""A time of its own for each reading of an asset, in Unix µs: what the stores keep it under.

InfluxDB overwrites a point of the same series and time: two readings of one millisecond would
become one that nobody sent.
"""

from __future__ import annotations

import msgspec

# How many times out of order are remembered, over all assets.
REMEMBERED = 65_536
TRIES = 16
OVERRUN_US = 10_000_000


class StorageTimes:
    """Gives each reading ts·1000 plus an offset below 1,000 where there is room.

    A reading later than all before it takes ts·1000 itself, and nothing else ever takes a whole
    millisecond: it is free. Any other gets an offset from 1 on, by ``salt``, and the next free one
    on collision. Only those others need to be remembered. Of the forgotten ones, two of the same
    asset and millisecond meet with a chance of 1 in 999.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._taken: dict[tuple[str, int], None] = {}  # in the order they were given
        self._collisions = 0
        self._overrun: dict[str, int] = {}  # the last time given past its own millisecond

    def assign(self, asset: str, ts_ms: int, *, salt: int) -> int:
        """The storage time of a new reading, in µs. ``salt`` is its seq, or a digest."""
        time_us = ts_ms * 1000
        if time_us > self._newest.get(asset, -1):
            self._newest[asset] = time_us
            return time_us
        # Where the last collision ended, the next one begins: a device that never moves its clock
        # must not make each of its readings a longer search.
        offset = salt + self._collisions
        self._collisions += 1
        for step in range(TRIES):
            candidate = time_us + 1 + (offset + step) % 999
            if (asset, candidate) not in self._taken:
                break
        else:  # hundreds in one millisecond: they run over into the next ones
            candidate = time_us + 1001
            overrun = self._overrun.get(asset, 0)
            if candidate <= overrun < candidate + OVERRUN_US:
                candidate = overrun + 1
            while candidate % 1000 == 0 or (asset, candidate) in self._taken:
                candidate += 1
            self._overrun[asset] = candidate
        self.note(asset, candidate)
        return candidate

    def note(self, asset: str, time_us: int) -> None:
        """Remember a time that was given before, as the journal has it."""
        if time_us > self._newest.get(asset, -1):
            self._newest[asset] = time_us
        if time_us % 1000:
            self._taken[(asset, time_us)] = None
            if len(self._taken) > REMEMBERED:
                del self._taken[next(iter(self._taken))]

    def to_bytes(self) -> bytes:
        """All that is remembered, for a checkpoint."""
        return msgspec.msgpack.encode((self._newest, list(self._taken)))

    @classmethod
    def from_bytes(cls, content: bytes) -> StorageTimes:
        """What ``to_bytes`` gave. Raises ``msgspec.MsgspecError`` for anything else."""
        newest, taken = msgspec.msgpack.decode(
            content, type=tuple[dict[str, int], list[tuple[str, int]]]
        )
        times = cls()
        times._newest = newest
        times._taken = dict.fromkeys(taken)
        return times
