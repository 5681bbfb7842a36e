"""The rounds: ask every UPS, publish what they said, all over again."""

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
from examples.ups_snmp.snmp import Agent, NoAnswerError, Snapshot, agent_of
from ioc.clock import Clock

log = structlog.get_logger()

# What answers within this goes out in one batch; who is slower does not hold up the others.
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
        self._dropped_alarms = 0
        self._units = [
            _Unit(
                ups,
                agent_of(ups, config),
                AlarmTable(types, language=config.language),
            )
            for ups in config.ups
        ]

    async def run(self) -> None:
        """Rounds until cancelled, each begun an interval after the one before."""
        interval_s = self._config.interval_s
        due_s = self._clock.monotonic_s()
        try:
            while True:
                await self._round()
                # After a pause of the machine rounds are not made up for.
                due_s = max(due_s + interval_s, self._clock.monotonic_s())
                await self._clock.sleep(due_s - self._clock.monotonic_s())
        finally:
            for unit in self._units:
                unit.agent.close()

    async def _round(self) -> None:
        if self._outbox.dropped_alarms > self._dropped_alarms:
            self._dropped_alarms = self._outbox.dropped_alarms
            for unit in self._units:
                unit.alarms.forget()
        polls = {asyncio.create_task(self._ask(unit)) for unit in self._units}
        try:
            while polls:
                done, polls = await asyncio.wait(polls, timeout=GATHER_S)
                batch = [reading for poll in done if (reading := poll.result()) is not None]
                if batch:
                    self._outbox.put_telemetry(Message(self._topic, msgspec.json.encode(batch)))
        finally:
            for poll in polls:
                poll.cancel()

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
