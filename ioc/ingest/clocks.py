"""Whose clock is off, and whether silence means anything yet."""

from __future__ import annotations

import math

from ioc.journal.records import ClockState

CLOCK_LIMIT_S = 120.0
# Two messages of a wrong clock are as far apart by its times as by their arrival, within this.
JITTER_MS = 2000

GRACE_S = 15.0
DEEP = 1000
LATE_S = 30.0
SETTLE_S = 5.0
# A lag that has not become less for this long is no backlog.
STUCK_S = 10.0


class Clocks:
    """Tells a wrong clock from a reading that merely took long.

    Off is what lies further ahead of ours than the limit. What lies further behind may have waited
    at the broker (``draining``) or in the device: then the times of an asset's messages advance
    faster than they arrive, after the first of them came late. Those of a wrong clock advance as
    fast as they arrive.
    """

    def __init__(self, *, limit_s: float = CLOCK_LIMIT_S) -> None:
        self._limit_ms = round(limit_s * 1000)
        self._last: dict[str, tuple[int, int]] = {}

    def judge(self, asset: str, *, ts_ms: int, received_ms: int, draining: bool) -> ClockState:
        """The state of this asset's clock, by this message and the one before it."""
        behind_ms = received_ms - ts_ms
        before = self._last.get(asset)
        self._last[asset] = (ts_ms, received_ms)
        if behind_ms > self._limit_ms:
            if draining:
                return "ok"
            if before is None:
                return "off"
            gained_ms = (ts_ms - before[0]) - (received_ms - before[1])
            return "off" if abs(gained_ms) <= JITTER_MS else "ok"
        return "off" if -behind_ms > self._limit_ms else "ok"


class Listening:
    """Whether an asset's silence may be judged: the broker is there and no backlog drains.

    After a connect, devices need some time to come back too (at most ``grace_s``), and what the
    broker kept must have come: it shows in messages that are late by the median of a batch and
    become less late as it drains. A lag that stays is no backlog but somebody's wrong clock. Later
    on, messages that wait here show a backlog. Times are seconds of a monotonic clock.

    Who was away is not known here. A stall of our own disk ends our connection alone; a broker that
    restarts ends everyone's, and is back as fast. So the time that devices get depends on for how
    long nothing came: as long again, and ``SETTLE_S``. A device that doubles its waiting times
    connects again within that. For one that waits for longer (up to 15 s), ``SETTLE_S`` is what
    three cadences of 10 s, the least that silence takes to be noticed, leave open: it may have
    spoken one cadence before, and speak one after. The 2 s after which the broker sends again what
    a stall left unacknowledged are within it too.
    """

    def __init__(self, *, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._connected = False
        self._came_s = -math.inf  # when something came last
        self._drained_s = 0.0  # when a backlog was last seen, and some time for it to settle
        self._least_lag_s = math.inf
        self._progress_s = 0.0

    def connected(self, now_s: float) -> None:
        self._connected, self._progress_s = True, now_s
        grace_s = min(self._grace_s, SETTLE_S + now_s - self._came_s)
        self._drained_s = max(self._drained_s, now_s + grace_s)
        self._least_lag_s = math.inf

    def disconnected(self) -> None:
        self._connected = False

    def received(self, now_s: float, *, lag_s: float, waiting: int) -> None:
        """A batch was taken: how late its messages were, and how many still wait."""
        self._came_s = now_s
        if waiting > DEEP:
            self._drained_s = max(self._drained_s, now_s + SETTLE_S)
        if lag_s > LATE_S and self.draining(now_s):
            if lag_s < self._least_lag_s - 1.0:
                self._least_lag_s, self._progress_s = lag_s, now_s
            if now_s - self._progress_s < STUCK_S:
                self._drained_s = max(self._drained_s, now_s + SETTLE_S)

    def listening(self, now_s: float) -> bool:
        return self._connected and now_s >= self._drained_s

    def draining(self, now_s: float) -> bool:
        """Whether what comes may have waited at the broker."""
        return now_s < self._drained_s
