"""Runs and replays in front of a person: signals, progress, a last line."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Protocol

from ioc.clock import Clock
from simulators.replay import Replay, ReplayOptions
from simulators.run import Progress, Run, SimulateOptions

PROGRESS_EVERY_S = 10.0


class _Told(Protocol):
    """What can be told of while it runs."""

    async def run(self) -> None: ...
    def progress(self, *, rate: float) -> Progress: ...
    def opening(self) -> str: ...
    def closing(self) -> str: ...
    @property
    def counted(self) -> int: ...
    @property
    def happening(self) -> str: ...


async def simulate(
    options: SimulateOptions, *, clock: Clock, say: Callable[[str], None], live: bool
) -> None:
    """Run the simulators until their time is over or SIGINT or SIGTERM comes.

    ``say`` gets a line each ten seconds and whenever something begins or ends, or each second the
    newest one when ``live``.
    """
    await _run(Run(options, clock=clock), say, live=live)


async def replay(
    options: ReplayOptions, *, clock: Clock, say: Callable[[str], None], live: bool
) -> None:
    """Send a recorded run again. As ``simulate``."""
    await _run(Replay(options, clock=clock), say, live=live)


async def _run(run: _Told, say: Callable[[str], None], *, live: bool) -> None:
    task = asyncio.create_task(run.run(), name="simulators")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    say(run.opening())
    telling = asyncio.create_task(_tell(run, say, 1.0 if live else PROGRESS_EVERY_S))
    try:
        await task
    except asyncio.CancelledError:
        if not task.done():
            raise
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    say(run.closing())


async def _tell(run: _Told, say: Callable[[str], None], every_s: float) -> None:
    """Progress is for people: it runs on the machine's own time."""
    before, at_s = 0, time.monotonic()
    announced = ""
    while True:
        await asyncio.sleep(min(every_s, 1.0))
        counted, now_s, happening = run.counted, time.monotonic(), run.happening
        # A line at once when something begins or ends, else at its time.
        if now_s - at_s >= every_s - 0.05 or happening != announced:
            rate = (counted - before) / max(now_s - at_s, 0.001)
            say(run.progress(rate=rate).line())
            before, at_s, announced = counted, now_s, happening
