"""Every UPS is asked in its turn, and what they said is published."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from examples.ups_snmp.alarms import COMMUNICATIONS_LOST, AlarmTable
from examples.ups_snmp.config import AlarmType, Config, Ups
from examples.ups_snmp.mapping import KIND, metrics
from examples.ups_snmp.outbox import Message, Outbox
from examples.ups_snmp.snmp import Agent, Engines, NoAnswerError, Snapshot, agent_of
from ioc.clock import Clock

log = structlog.get_logger()

# 64 readings of a UPS are 20 KiB: a batch stays below the contract's 64 KiB.
GATHER_S = 1.0


@dataclass
class _Unit:
    """One UPS and what is remembered of it."""

    ups: Ups
    agent: Agent
    alarms: AlarmTable
    seq: int = 0
    answers: bool | None = None  # None: not yet asked


class Gateway:
    """Asks and publishes. ``boot`` tells this run's readings from those of the run before."""

    def __init__(
        self, config: Config, types: tuple[AlarmType, ...], *, outbox: Outbox, clock: Clock
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._clock = clock
        self._boot = clock.now_ms()
        self._topic = f"ioc/v1/{config.province}/_gateway/{config.gateway}/telemetry"
        self._readings: list[dict[str, Any]] = []
        self._engines = Engines()
        self._units = [
            _Unit(
                ups,
                agent_of(ups, config, self._engines),
                AlarmTable(types, language=config.language),
            )
            for ups in config.ups
        ]

    async def run(self) -> None:
        """Ask and publish until cancelled. The UPSs' turns are spread over the interval."""
        interval_s = self._config.interval_s
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish(), name="publish")
                for number, unit in enumerate(self._units):
                    turn_s = interval_s * number / len(self._units)
                    tasks.create_task(self._watch(unit, turn_s), name=unit.ups.asset)
        finally:
            self._engines.close()

    async def _watch(self, unit: _Unit, turn_s: float) -> None:
        """Ask one UPS each interval, in its turn."""
        due_s = self._clock.monotonic_s() + turn_s
        while True:
            await self._clock.sleep(due_s - self._clock.monotonic_s())
            reading = await self._ask(unit)
            if reading is not None:
                self._readings.append(reading)
            # After a pause of the machine, turns are not made up for.
            due_s = max(due_s + self._config.interval_s, self._clock.monotonic_s())

    async def _publish(self) -> None:
        """What was read within a second goes out in one batch."""
        dropped_alarms = 0
        while True:
            await self._clock.sleep(GATHER_S)
            if self._readings:
                batch = msgspec.json.encode(self._readings)
                self._outbox.put_telemetry(Message(self._topic, batch))
                self._readings.clear()
            if self._outbox.dropped_alarms > dropped_alarms:
                dropped_alarms = self._outbox.dropped_alarms
                for unit in self._units:
                    unit.alarms.forget()

    async def _ask(self, unit: _Unit) -> dict[str, Any] | None:
        """One UPS's element of the batch; None when there is nothing to say about it."""
        asset = unit.ups.asset
        try:
            snapshot = await unit.agent.poll()
        except NoAnswerError as error:
            # Nothing is sent for it: the service sees its silence, and says so.
            if unit.answers is not False:
                log.warning("no answer from a UPS", asset=asset, reason=str(error))
            unit.answers = False
            return None
        if not unit.answers:
            log.info("a UPS answers", asset=asset)
        unit.answers = True
        return self._reading(unit, snapshot)

    def _reading(self, unit: _Unit, snapshot: Snapshot) -> dict[str, Any] | None:
        now_ms = self._clock.now_ms()
        standing = unit.alarms.standing(snapshot)
        topic = f"ioc/v1/{self._config.province}/{KIND}/{unit.ups.asset}/alarm"
        for news in unit.alarms.news(standing, now_ms=now_ms):
            self._outbox.put_alarm(Message(topic, msgspec.json.encode(news)))
        values = metrics(snapshot)
        if not values or COMMUNICATIONS_LOST in standing:
            return None  # the card goes on showing what was true when it lost the UPS
        reading = {"kind": KIND, "asset": unit.ups.asset, "ts": now_ms, "boot": self._boot}
        reading["seq"], unit.seq = unit.seq, unit.seq + 1
        return {**reading, **values}
