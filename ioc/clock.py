"""Time is an argument.

Stages take a ``Clock``; nothing else in the service asks the operating system for the time. Tests
and drills hand in a ``VirtualClock``, whose time moves only when they say so.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time, and the only way to wait."""

    def now_ms(self) -> int:
        """Unix time in milliseconds (UTC). May step when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary point, never going back: for durations and deadlines."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after ``delay_s`` seconds of this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class VirtualClock:
    """A clock that stands still until ``advance`` moves it. For tests and drills.

    Not thread-safe: it belongs to one event loop.
    """

    def __init__(self, *, start_ms: int = 1_767_225_600_000) -> None:  # 2026-01-01T00:00:00Z
        self._start_ms = start_ms
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ms(self) -> int:
        return self._start_ms + round(self._elapsed_s * 1000)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, delay_s: float) -> None:
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + delay_s, next(self._order), wake))
        await wake

    async def advance(self, delay_s: float) -> None:
        """Move time by ``delay_s`` seconds, waking sleepers in the order of their deadlines."""
        until = self._elapsed_s + delay_s
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            deadline, _, wake = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, deadline)
            if not wake.done():
                wake.set_result(None)
            await settle()
        self._elapsed_s = until
        await settle()


async def settle(rounds: int = 20) -> None:
    """Let tasks that are ready run. Work in threads is not waited for."""
    for _ in range(rounds):
        await asyncio.sleep(0)
