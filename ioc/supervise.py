"""Stages side by side: a stage that fails is started again, and none takes another down."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, NoReturn

import structlog

from ioc.clock import Clock
from ioc.errors import ConfigError, IocError

log = structlog.get_logger()

FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 30.0
# A stage that has run this long has recovered: its next failure is answered quickly again.
SETTLED_AFTER_S = 60.0

Stage = Callable[["StageHealth"], Awaitable[NoReturn]]


@dataclass(kw_only=True)
class StageHealth:
    """What a stage says of itself, as /readyz shows it. Written by the stage and its supervisor.

    ``ready`` is the stage's own word that it does its work (a store that answers, a broker that is
    connected). ``behind`` counts what waits in front of it, in its own ``unit``, the oldest of
    which has waited ``lag_s`` seconds. ``note`` is what a person should know of it now, ``note_vi``
    in Vietnamese.
    """

    name: str
    ready: bool = False
    state: Literal["starting", "running", "failed", "stopped"] = "starting"
    position: int = 0
    behind: int = 0
    unit: str = "entries"
    lag_s: float = 0.0
    note: str = ""
    note_vi: str = ""
    restarts: int = 0
    last_error: str = ""
    last_error_ms: int | None = None
    counters: dict[str, int] = field(default_factory=dict)
    # What it has now (what is pending, who is there), where counters are what it has counted.
    gauges: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the stage's counters (for /metrics)."""
        self.counters[name] = self.counters.get(name, 0) + by

    def say(self, en: str = "", vi: str = "") -> None:
        """What a person should know now; nothing for nothing."""
        self.note, self.note_vi = en, vi or en

    def failed(self, error: BaseException, *, at_ms: int) -> None:
        """Note an error the stage survived or ended with."""
        # What is raised on purpose says enough in its own words.
        name = "" if isinstance(error, IocError) else f"{type(error).__name__}: "
        self.last_error = f"{name}{error}"[:500]
        self.last_error_ms = at_ms


@dataclass(kw_only=True)
class Health:
    """The health of every stage, by name."""

    stages: dict[str, StageHealth] = field(default_factory=dict)

    def stage(self, name: str) -> StageHealth:
        return self.stages.setdefault(name, StageHealth(name=name))

    @property
    def ready(self) -> bool:
        return all(stage.ready for stage in self.stages.values())


async def supervise(*, clock: Clock, health: Health, **stages: Stage) -> None:
    """Run all stages until cancelled. Each gets its ``StageHealth``.

    A stage that ends, with or without an error, is started again after a backoff that doubles from
    0.5 s to 30 s with jitter, and begins anew once the stage has run for a minute.

    Raises the ``ConfigError`` of a stage that cannot begin: a person must put something right.
    """
    tasks = [
        asyncio.create_task(_keep(stage, health.stage(name), clock), name=f"stage-{name}")
        for name, stage in stages.items()
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(stage: Stage, health: StageHealth, clock: Clock) -> None:
    backoff_s = FIRST_BACKOFF_S
    while True:
        began_s = clock.monotonic_s()
        health.state = "running"
        try:
            await stage(health)
        except asyncio.CancelledError:
            health.state, health.ready = "stopped", False
            raise
        except Exception as error:  # the supervisor's whole purpose
            health.failed(error, at_ms=clock.now_ms())
            begins = not health.restarts and clock.monotonic_s() - began_s < SETTLED_AFTER_S
            if isinstance(error, ConfigError) and begins:
                health.state, health.ready = "failed", False
                raise
            if isinstance(error, IocError):  # its words say where and what to do
                log.error("stage failed", stage=health.name, error=str(error))  # noqa: TRY400
            else:
                log.exception("stage failed", stage=health.name)
        else:
            health.last_error = "ended without being asked to"
            health.last_error_ms = clock.now_ms()
            log.error("stage ended", stage=health.name)
        health.state, health.ready = "failed", False
        health.restarts += 1
        if clock.monotonic_s() - began_s > SETTLED_AFTER_S:
            backoff_s = FIRST_BACKOFF_S
        # Jitter spreads restarts; it needs no secrecy.
        await clock.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311
        backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
