"""A recorded run sent again, with its own timing and the present's times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ioc.clock import Clock
from ioc.ingest.broker import Broker
from simulators.messages import Message
from simulators.publish_log import PublishLog
from simulators.publisher import Publisher
from simulators.record import Record
from simulators.run import Progress, local_time, pace
from simulators.stamp import Stamp, draw_boot

# What is due within this time goes in one batch.
_GRAIN_S = 0.005
_MOST_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What `ioc simulate --replay` was asked for. ``speed`` as in a run: 1 keeps the timing."""

    file: Path
    broker: Broker
    speed: float = 1.0
    publish_log: Path | None = None


class Replay:
    """One replay. Not reusable. Raises ``FileError`` when the file is no recorded run.

    Every ``ts`` is moved by the time between the recorded begin and now, every ``boot`` by a number
    drawn anew: for a receiver these are new readings of the present. At a speed other than 1 times
    keep their distances, so they run ahead of the clock or behind it.
    """

    def __init__(self, options: ReplayOptions, *, clock: Clock) -> None:
        self.options = options
        self._clock = clock
        self.record = Record(options.file)
        log = PublishLog(options.publish_log) if options.publish_log is not None else None
        self.publisher = Publisher(options.broker, clock=clock, log=log)
        self._at_ms = self.record.header.start_ms

    async def run(self) -> None:
        """Send everything; returns once all of it is acknowledged, or when cancelled."""
        publisher = self.publisher
        async with publisher.running() as while_alive:
            await while_alive(self._send())
            await while_alive(publisher.drained())

    async def _send(self) -> None:
        clock, start_ms = self._clock, self.record.header.start_ms
        stamp = Stamp(boot=draw_boot(), shift_ms=clock.now_ms() - start_ms)
        base_s = clock.monotonic_s()
        batch: list[Message] = []
        for at, message in ((one.at, one.message) for one in self.record.messages()):
            due_s = (at - start_ms) / 1000.0 / self.options.speed
            ahead_s = base_s + due_s - clock.monotonic_s()
            if ahead_s > _GRAIN_S or len(batch) >= _MOST_AT_ONCE:
                await self.publisher.put(stamp.messages(batch))
                batch = []
                await clock.sleep(max(ahead_s, 0.0))
            self._at_ms = at
            batch.append(message)
        await self.publisher.put(stamp.messages(batch))

    def progress(self, *, rate: float) -> Progress:
        publisher, settings = self.publisher, self.options.broker
        broker = ""
        if not publisher.connected:
            reason = f" ({publisher.last_error})" if publisher.last_error else ""
            broker = f"no answer from the broker at {settings.host}:{settings.port}{reason}"
        return Progress(
            sent=publisher.sent,
            acknowledged=publisher.acknowledged,
            waiting=publisher.backlog,
            rate=rate,
            now=f"replay of {self.options.file.name}",
            broker=broker,
            at=local_time(self._at_ms),
        )

    @property
    def counted(self) -> int:
        return self.publisher.acknowledged

    @property
    def happening(self) -> str:
        return ""

    def opening(self) -> str:
        header = self.record.header
        return (
            f"{self.options.file}: scenario {header.scenario} of {header.province}, seed "
            f"{header.seed}, {header.assets:,} assets, {pace(self.options.speed)}"
        )

    def closing(self) -> str:
        publisher = self.publisher
        return (
            f"{publisher.sent:,} sent, {publisher.acknowledged:,} acknowledged, "
            f"{publisher.backlog:,} given up"
        )
