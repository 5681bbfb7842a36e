"""The simulators as one running thing: a scenario in a province, in real time or faster, sent to a
broker, written to a file, or both."""

from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ioc.catalog import load_catalog
from ioc.clock import Clock
from ioc.errors import FileError
from ioc.ingest.broker import Broker
from ioc.inventory.file import InventoryFile, read_inventory
from ioc.inventory.province import load_province
from simulators.feed import Feed, FeedOptions
from simulators.inject import InjectRequest, answer, inject_topic
from simulators.kept import Kept
from simulators.messages import Message
from simulators.plan import Breakage
from simulators.publish_log import PublishLog
from simulators.publisher import Publisher
from simulators.record import Header, Recorder
from simulators.scenario import Scenario, read_scenario, scenario_path
from simulators.stamp import Stamp, draw_boot
from simulators.truth import TruthWriter
from simulators.world import build_world

# Sleeping for less is not worth it.
_SHORTEST_SLEEP_S = 0.002
# A run at full speed lets others have their turn at least so often.
_TURN_EVERY_S = 0.02
_LOCAL = timezone(timedelta(hours=7))


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """What `ioc simulate` was asked for.

    ``inventory`` is a file; where it is None, the synthetic inventory of ``province`` is made with
    ``seed`` and ``scale``. ``broker`` None: nothing is published. ``duration_s`` (simulated time)
    None: as long as the scenario where one was named, else until told to stop. ``speed`` is
    simulated seconds per second, ``math.inf`` for as fast as it goes. ``start_ms`` None: now for a
    live run, else the scenario's own begin. ``misbehaviour`` replaces shares of the scenario's.
    """

    broker: Broker | None
    inventory: Path | None = None
    province: str = "khanh-hoa"
    scale: float = 1.0
    interval_s: float = 10.0
    seed: int = 1
    duration_s: float | None = None
    scenario: str = ""
    incident: bool = True
    speed: float = 1.0
    start_ms: int | None = None
    record: Path | None = None
    truth: Path | None = None
    publish_log: Path | None = None
    misbehaviour: dict[str, float] = field(default_factory=dict)
    state_file: Path | None = None

    @property
    def live(self) -> bool:
        """Whether the run is in the present: equipment as it would be now. What it was too slow
        for was not measured; every other run goes through each of its ticks."""
        return (
            self.broker is not None
            and self.speed == 1.0
            and self.start_ms is None
            and self.record is None
            and self.truth is None
        )


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a person wants to know of the run. ``at`` is the simulated time where it is not now."""

    sent: int
    acknowledged: int
    waiting: int
    rate: float
    now: str
    broker: str = ""
    at: str = ""
    published: bool = True

    def line(self) -> str:
        if self.broker:
            return f"{self.broker}; {self.waiting:,} messages wait"
        waiting = f" · {self.waiting:,} waiting" if self.waiting > 1000 else ""
        counts = f"{self.sent:,} recorded"
        if self.published:
            counts = f"{self.sent:,} sent · {self.acknowledged:,} acknowledged"
        at = f" · {self.at}" if self.at else ""
        return f"{counts} · {self.rate:,.0f}/s{waiting}{at} · {self.now}"


def load_assets(options: SimulateOptions) -> InventoryFile:
    """The inventory of a run. Raises ``FileError`` or ``ConfigError``."""
    if options.inventory is not None:
        found = read_inventory(options.inventory)
        if not any(asset.simulated for asset in found.assets):
            raise FileError([f"{options.inventory}: no asset with simulated: true"])
        return found
    province = load_province(options.province)
    sites, assets = build_world(province, seed=options.seed, scale=options.scale)
    return InventoryFile(province=province.id, sites=sites, assets=assets)


class Run:
    """One run of the simulators. Not reusable.

    Raises ``ConfigError`` and ``FileError`` when it is made, before anything is sent.
    """

    def __init__(self, options: SimulateOptions, *, clock: Clock) -> None:
        self.options = options
        self._clock = clock
        inventory = load_assets(options)
        self.named = inventory.province
        catalog = load_catalog()
        scenario, path = self._scenario()
        start_ms = options.start_ms
        if start_ms is None:
            start_ms = clock.now_ms() if options.live else scenario.start_ms
        shares = scenario.misbehaviour.model_copy(update=options.misbehaviour)
        self.feed_options = FeedOptions(
            scenario=scenario,
            scenario_path=path,
            seed=options.seed,
            start_ms=start_ms,
            interval_s=options.interval_s,
            misbehaviour=shares,
        )
        try:
            self.feed = Feed(inventory, self.feed_options, catalog=catalog, begun=self._begun)
        except FileError:
            if options.scenario:
                raise
            # Nobody asked for the demo's incident; this network has no such span.
            self.feed_options = self._without_steps(self.feed_options)
            self.feed = Feed(inventory, self.feed_options, catalog=catalog, begun=self._begun)
        self.province = self.feed.province
        self.truth = TruthWriter(self.feed, catalog) if options.truth is not None else None
        self.publisher = None
        if options.broker is not None:
            log = PublishLog(options.publish_log) if options.publish_log is not None else None
            self.publisher = Publisher(options.broker, clock=clock, log=log)
        self.recorder: Recorder | None = None
        self._stamp = Stamp(boot=draw_boot())
        self._kept = Kept(options.state_file if options.live else None, self.province)
        self._made = 0

    def _scenario(self) -> tuple[Scenario, Path]:
        name = self.options.scenario or ("demo" if self.options.incident else "calm")
        path = scenario_path(name)
        return read_scenario(path), path

    @staticmethod
    def _without_steps(options: FeedOptions) -> FeedOptions:
        return FeedOptions(
            scenario=options.scenario.model_copy(update={"steps": ()}),
            scenario_path=options.scenario_path,
            seed=options.seed,
            start_ms=options.start_ms,
            interval_s=options.interval_s,
            misbehaviour=options.misbehaviour,
        )

    @property
    def duration_s(self) -> float | None:
        """How long the run is, in simulated seconds; None: until told to stop."""
        options = self.options
        if options.duration_s is not None:
            return options.duration_s
        if options.scenario or options.broker is None:
            return self.feed_options.scenario.lasts
        return None

    def _begun(self, broken: Breakage) -> None:
        if self.truth is not None:
            self.truth.begun(broken)

    async def run(self) -> None:
        """Send until ``duration_s`` is over, or until cancelled: files are whole either way."""
        with ExitStack() as files:
            if self.options.record is not None:
                self.recorder = files.enter_context(Recorder(self.options.record, self._header()))
            if self.truth is not None and self.options.truth is not None:
                files.callback(self.truth.write, self.options.truth)
            if self.publisher is None:
                await self._send()
            else:
                await self._publish(self.publisher)

    def _header(self) -> Header:
        return Header(
            province=self.named,
            scenario=self.feed_options.scenario_path.stem,
            seed=self.options.seed,
            start_ms=self.feed_options.start_ms,
            interval_s=self.options.interval_s,
            assets=self.province.size,
        )

    async def _publish(self, publisher: Publisher) -> None:
        async with publisher.running(
            subscribe=inject_topic(self.named), answer=self._inject, ending=self._kept.write
        ) as while_alive:
            await while_alive(self._send())
            if not self.options.live:
                # Not in the present: everything arrives, however long the broker is away.
                await while_alive(publisher.drained())

    async def _send(self) -> None:
        clock, options, feed = self._clock, self.options, self.feed
        if options.live:
            # What passed while the broker was waited for was not measured.
            feed.begin_at(clock.now_ms())
            self._kept.restore()
        grain_s = self.province.tick_s
        base_s = turn_s = clock.monotonic_s()
        made_s = 0.0
        ticks = 0
        while self.duration_s is None or made_s + grain_s / 2 < self.duration_s:
            await self._give(feed.tick())
            ticks += 1
            made_s = (self.province.now_ms - feed.script.start_ms) / 1000.0
            if ticks % 10 == 0:
                self._kept.write()
            now_s = clock.monotonic_s()
            ahead_s = base_s + ticks * grain_s / options.speed - now_s
            if options.live and ahead_s < -options.interval_s:
                self.province.skip_to(clock.now_ms())
                base_s, ticks = now_s, 0
            elif ahead_s > _SHORTEST_SLEEP_S:
                await clock.sleep(ahead_s)
                turn_s = clock.monotonic_s()
            elif now_s - turn_s > _TURN_EVERY_S:
                await asyncio.sleep(0)
                turn_s = now_s
        await self._give(feed.rest())

    async def _give(self, messages: list[Message]) -> None:
        self._made += len(messages)
        if self.recorder is not None:
            self.recorder.write(messages, self.province.now_ms)
        if self.publisher is not None:
            await self.publisher.put(self._stamp.messages(messages))

    async def _inject(self, payload: bytes) -> list[Message]:
        return answer(self.province, payload, named=self.named, begun=self._injected)

    def _injected(self, asked: InjectRequest) -> None:
        if self.truth is not None:
            at_s = self.feed.script.elapsed_s
            self.truth.begun(
                Breakage(
                    incident=self.truth.next_number(),
                    fault=asked.fault,
                    assets=(asked.asset,),
                    at_s=at_s,
                    until_s=at_s + asked.for_s,
                )
            )

    def progress(self, *, rate: float) -> Progress:
        publisher = self.publisher
        broker = ""
        settings = self.options.broker
        if publisher is not None and settings is not None and not publisher.connected:
            reason = f" ({publisher.last_error})" if publisher.last_error else ""
            broker = f"no answer from the broker at {settings.host}:{settings.port}{reason}"
        return Progress(
            sent=publisher.sent if publisher else self._made,
            acknowledged=publisher.acknowledged if publisher else 0,
            waiting=publisher.backlog if publisher else 0,
            rate=rate,
            now=self.feed.script.now(),
            broker=broker,
            at="" if self.options.live else local_time(self.province.now_ms),
            published=publisher is not None,
        )

    @property
    def counted(self) -> int:
        """What the rate is counted by: PUBACKs, or messages where nothing is published."""
        return self.publisher.acknowledged if self.publisher else self._made

    @property
    def happening(self) -> str:
        """Changes whenever something begins or ends, where that is told at once."""
        if not self.options.live:
            return ""
        return ",".join(f"{fault.asset} {fault.fault}" for fault in self.province.faults.active)

    def opening(self) -> str:
        """The first line of a run."""
        options = self.options
        line = f"{self.province.size:,} assets, one reading each every {options.interval_s:g} s"
        if options.live:
            return line
        named = self.feed_options.scenario_path.stem
        begin = local_time(self.feed_options.start_ms)
        return f"{line}; scenario {named} from {begin}, {pace(options.speed)}"

    def closing(self) -> str:
        """The last line of a run."""
        parts = []
        if self.publisher is not None:
            publisher = self.publisher
            parts.append(
                f"{publisher.sent:,} sent, {publisher.acknowledged:,} acknowledged, "
                f"{publisher.backlog:,} given up"
            )
        if self.recorder is not None:
            parts.append(f"{self.recorder.messages:,} recorded in {self.recorder.path}")
        if self.options.truth is not None:
            parts.append(f"what happened: {self.options.truth}")
        return "; ".join(parts) or f"{self._made:,} made"


def pace(speed: float) -> str:
    """A run's speed for a person."""
    if math.isinf(speed):
        return "as fast as it goes"
    return "in real time" if speed == 1.0 else f"{speed:g} times as fast as real time"


def local_time(now_ms: int) -> str:
    """A simulated time for a person, in the province's zone (UTC+7, all year)."""
    return datetime.fromtimestamp(now_ms / 1000, tz=_LOCAL).strftime("%Y-%m-%d %H:%M:%S")
