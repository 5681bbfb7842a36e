"""Stages side by side: what is started again, and what ends the service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import NoReturn

import pytest

from ioc.clock import VirtualClock
from ioc.errors import BrokerError, ConfigError
from ioc.supervise import SETTLED_AFTER_S, Health, StageHealth, supervise


class Failing:
    """A stage that fails after a while, each time it is started."""

    def __init__(
        self, clock: VirtualClock, error: Callable[[], Exception], *, after_s: float
    ) -> None:
        self.clock, self.error, self.after_s, self.starts = clock, error, after_s, 0

    async def __call__(self, _health: StageHealth) -> NoReturn:
        self.starts += 1
        await self.clock.sleep(self.after_s)
        raise self.error()


async def pass_time(clock: VirtualClock, service: asyncio.Task[None], seconds: int) -> None:
    for _ in range(seconds):
        if service.done():
            return
        await clock.advance(1.0)
        await asyncio.sleep(0)


async def run(stage: Failing, clock: VirtualClock, *, seconds: int) -> asyncio.Task[None]:
    service = asyncio.create_task(supervise(clock=clock, health=Health(), one=stage))
    await asyncio.sleep(0)
    await pass_time(clock, service, seconds)
    return service


async def end(service: asyncio.Task[None]) -> None:
    service.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await service


async def test_a_stage_that_fails_is_started_again(clock: VirtualClock) -> None:
    stage = Failing(clock, lambda: BrokerError("no answer"), after_s=1.0)
    service = await run(stage, clock, seconds=60)
    assert stage.starts > 3
    assert not service.done()
    await end(service)


async def test_a_stage_that_cannot_begin_ends_the_service_with_its_reason(
    clock: VirtualClock,
) -> None:
    stage = Failing(clock, lambda: ConfigError("http port: taken"), after_s=1.0)
    service = await run(stage, clock, seconds=60)
    assert stage.starts == 1
    with pytest.raises(ConfigError, match="http port: taken"):
        await service


async def test_a_stage_that_has_worked_is_started_again_whatever_it_says(
    clock: VirtualClock,
) -> None:
    stage = Failing(clock, lambda: ConfigError("gone"), after_s=SETTLED_AFTER_S + 1)
    service = await run(stage, clock, seconds=200)
    assert stage.starts > 1
    assert not service.done()
    await end(service)
