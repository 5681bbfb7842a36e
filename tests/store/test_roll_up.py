"""The stage that rolls up: on a real journal and a real store, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ioc.clock import VirtualClock
from ioc.errors import QueryError, StoreUnavailableError
from ioc.inventory import Inventory
from ioc.journal import Journal, open_journal
from ioc.journal.journal import CONSUMERS
from ioc.journal.records import Batch, Measures, Reading, Tick
from ioc.store import Row, Store, open_store
from ioc.store.duckdb import DuckDBStore
from ioc.store.pending import HOLD_MS
from ioc.store.roll_up import ATTEMPTS, CONSUMER, EXPIRE_EVERY_S, Retention, roll_up
from ioc.store.schema import Schema
from ioc.store.tiers import DAY_MS, Kept, Tier
from ioc.store.write import store_readings
from ioc.supervise import StageHealth
from tests.conformance.samples import (
    JOURNAL,
    T0_MS,
    ask,
    asset,
    at,
    make_catalog,
    measure,
    row,
)
from tests.servers_influx import Influxd

# They go through hours of virtual time, with real threads in between.
pytestmark = pytest.mark.timeout(300)

MIN, HOUR = 60_000, 3_600_000
INVENTORY = Inventory(assets=[asset(f"A{n}") for n in range(100)])
CATALOG = make_catalog()


class Watched(DuckDBStore):
    """A real store that tells what it was asked for, and can be away or fail at a bucket."""

    def __init__(self, path: Path, schema: Schema) -> None:
        super().__init__(path, schema)
        self.rolled_up: list[tuple[str, str, int]] = []
        self.expired: list[tuple[str, int]] = []
        self.away = False
        self.fails: Callable[[str, str, int], bool] = lambda *_: False
        self.hangs: Callable[[str, str, int], bool] = lambda *_: False
        self.clock: VirtualClock | None = None
        self.takes_s = 0.0

    async def position(self, journal_uuid: str) -> int:
        self._answer()
        return await super().position(journal_uuid)

    async def write(self, *args: Any, **more: Any) -> Any:
        self._answer()
        return await super().write(*args, **more)

    async def roll_up(self, measurement: str, tier: Tier, *, begin_ms: int) -> None:
        self._answer()
        if self.fails(measurement, tier, begin_ms - T0_MS):
            raise QueryError("needs more than there is")
        if self.hangs(measurement, tier, begin_ms - T0_MS):
            await asyncio.Event().wait()
        if self.clock is not None:
            await self.clock.sleep(self.takes_s)
        await super().roll_up(measurement, tier, begin_ms=begin_ms)
        self.rolled_up.append((measurement, tier, begin_ms - T0_MS))

    async def expire(self, kept: Kept, *, before_ms: int) -> None:
        self._answer()
        await super().expire(kept, before_ms=before_ms)
        self.expired.append((kept, before_ms - T0_MS))

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailableError("made to be away")

    def of(self, tier: str, measurement: str = "mast") -> list[int]:
        """The buckets that were worked out, in that order, in minutes after T0."""
        return [ms // MIN for name, of, ms in self.rolled_up if (name, of) == (measurement, tier)]


class World:
    """Journal and store, and the two stages on them, which can be ended and begun again."""

    def __init__(self, journal: Journal, store: Store, clock: VirtualClock) -> None:
        self.journal, self.store, self.clock = journal, store, clock
        self.health = StageHealth(name="rollup")
        self.ticked_ms = -5000
        self.sent: Counter[int] = Counter()  # readings by the minute their bucket begins at

    @contextlib.asynccontextmanager
    async def running(self, **retention: int) -> AsyncIterator[None]:
        self.health = StageHealth(name="rollup")
        stages = [
            asyncio.create_task(
                store_readings(
                    self.journal,
                    inventory=INVENTORY,
                    into=self.store,
                    clock=self.clock,
                    health=StageHealth(name="store"),
                )
            ),
            asyncio.create_task(
                roll_up(
                    self.journal,
                    catalog=CATALOG,
                    into=self.store,
                    clock=self.clock,
                    health=self.health,
                    retention=Retention(**retention),
                )
            ),
        ]
        try:
            yield
            for stage in stages:
                if stage.done():
                    stage.result()
        finally:
            for stage in stages:
                stage.cancel()
            await asyncio.gather(*stages, return_exceptions=True)

    @property
    def now(self) -> int:
        """ms after T0."""
        return self.clock.now_ms() - T0_MS

    async def send(self, *rows: Row, kpi: float | None = None) -> None:
        self.sent.update((r.reading.time_us // 1000 - T0_MS) // (5 * MIN) * 5 for r in rows)
        records: list[Any] = [Batch([r.reading for r in rows])] if rows else []
        if kpi is not None:
            records.append(Measures([measure(self.now, "bts_up", kpi, "province", "56")]))
        await self.journal.append(*records, Tick(self.clock.now_ms(), listening=True))

    async def live(self, minutes: float, *, every_s: float = 30.0, **values: Any) -> None:
        """A reading and a measure every so often, and all of it stored."""
        until_ms = self.now + minutes * MIN
        while self.now < until_ms:
            await self.send(row(self.now, **({"volt": 1.0} | values)), kpi=1.0)
            await self.clock.advance(every_s)
            await asyncio.sleep(0.001)

    async def until(self, true: Callable[[], Any], *, step_s: float = 5.0) -> None:
        """Nothing comes but ticks until something is true."""
        async with asyncio.timeout(100):
            while not true():
                if self.now - self.ticked_ms >= 5000:
                    self.ticked_ms = self.now
                    await self.journal.append(Tick(self.clock.now_ms(), listening=True))
                await self.clock.advance(step_s)
                await asyncio.sleep(0.002)

    async def until_rolled_up(self, minute: float) -> None:
        """Until the store's mark is there, and nothing that is due waits."""
        store = self.store
        assert isinstance(store, DuckDBStore)
        wanted = T0_MS + minute * MIN
        await self.until(
            lambda: store._marks.get("rolled_up", 0) >= wanted and not self.health.behind,
            step_s=5.0 if wanted - self.clock.now_ms() < 10 * MIN else 30.0,
        )

    async def until_stored(self) -> None:
        end = self.journal.end
        await self.until(lambda: self.journal.status().positions.get("store", 0) >= end)

    async def pass_by(self, minutes: float) -> None:
        """Time passes, and the ticks with it."""
        until_ms = self.now + minutes * MIN
        await self.until(lambda: self.now >= until_ms, step_s=5.0 if minutes < 100 else 300.0)

    async def check(self) -> None:
        """Up to the store's mark, the roll-ups are what was sent."""
        mark = await self.store.mark("rolled_up")
        assert mark is not None
        done = (mark - T0_MS) // MIN
        counts = await self.counts("5m")
        expected = {minute: n for minute, n in self.sent.items() if minute < done}
        assert {minute: n for minute, n in counts.items() if minute < done} == expected
        hours: Counter[int] = Counter()
        for minute, n in self.sent.items():
            if minute < done // 60 * 60:
                hours[minute // 60 * 60] += n
        counts = await self.counts("1h")
        assert {minute: n for minute, n in counts.items() if minute < done // 60 * 60} == hours

    async def counts(self, tier: str, *, column: str = "count_volt") -> dict[float, Any]:
        """The roll-ups by minute after T0: how many values, over all assets."""
        query = ask(
            f"sum {column}" if column.startswith("count_") else column,
            measurement=f"{'kpi' if 'bts' in column else 'mast'}_{tier}",
            every_s=300 if column.startswith("count_") else None,
            stop_ms=40 * DAY_MS,
        )
        return {ms / MIN: n for ms, n in at(await self.store.query(query))}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Watched]:
    opened = await Watched.open(tmp_path / "series.duckdb", Schema(CATALOG))
    assert isinstance(opened, Watched)
    yield opened
    await opened.close()


@pytest.fixture
async def world(journal: Journal, store: Watched, clock: VirtualClock) -> World:
    assert clock.now_ms() == T0_MS
    return World(journal, store, clock)


async def test_each_bucket_follows_its_end_and_each_hour_its_own(
    world: World, store: Watched
) -> None:
    async with world.running():
        await world.live(12)
        await world.until_rolled_up(10)
        for column in ("count_volt", "count_bts_up"):
            counts = await world.counts("5m", column=column)
            assert (counts[0], counts[5]) == (10, 10)
        assert await world.counts("1h") == {}
        await world.live(61 - world.now / MIN)
        await world.until_rolled_up(60)
        # Time goes on: the next bucket may have followed for one of the two when they are asked.
        counts, measures = [
            {at: n for at, n in (await world.counts("5m", column=column)).items() if at < 60}
            for column in ("count_volt", "count_bts_up")
        ]
        assert measures == counts
        assert (await world.counts("1h"))[0] == sum(counts.values())
        await world.check()
        health = world.health
        await world.until(lambda: (health.ready, health.behind, health.note) == (True, 0, ""))
    assert Counter(store.of("5m"))[30] == 1, "once is enough"
    assert store.of("1h") == [0]


async def test_what_comes_late_makes_its_bucket_and_its_hour_due_again(
    world: World, store: Watched
) -> None:
    async with world.running():
        await world.live(6)
        await world.until_rolled_up(65)
        before = len(store.rolled_up)
        # A burst: three hundred readings of buffers, of half an hour, from many assets.
        for n in range(300):
            await world.send(row(n * 6000.0 + 1, f"A{n % 90 + 1}", volt=2.0))
        await world.until(lambda: store.of("1h").count(0) == 2)
        assert world.sent[0] > 50
        await world.check()
        again = [(of, tier, ms // MIN) for of, tier, ms in store.rolled_up[before:]]
        late = [(of, tier, n) for of, tier, n in again if of == "mast" and n < 30]
        assert late == [*(("mast", "5m", n) for n in range(0, 30, 5)), ("mast", "1h", 0)]


@pytest.mark.parametrize("seed", [7, 8, 9])
async def test_killed_at_any_moment_it_ends_the_same(
    world: World, store: Watched, seed: int
) -> None:
    noise = random.Random(seed)
    for number in range(10):
        async with world.running():
            for n in range(noise.randrange(1, 16)):
                late_ms = noise.choice([0, 0, 0, 7 * MIN, 40 * MIN])
                at_ms = max(0, world.now - late_ms) + (number * 16 + n) / 1000
                await world.send(row(at_ms, volt=1.0), kpi=1.0)
                await world.clock.advance(noise.choice([1.0, 20.0, 60.0]))
                await asyncio.sleep(noise.choice([0.0, 0.002, 0.02]))
        await world.clock.advance(noise.choice([0.0, 5.0, 400.0]))
    async with world.running():
        await world.until_rolled_up(world.now // HOUR * 60 + 60)
        await world.pass_by(6)
        await world.until(lambda: not world.health.behind)
    await world.check()


async def test_a_restart_reads_the_journal_again_for_what_waited(
    world: World, store: Watched
) -> None:
    async def held_is_open() -> bool:
        """Held is an entry of the bucket that is open, and all before it is let go."""
        noted = world.journal.status().positions[CONSUMER]
        entries = await world.journal.read(after=noted, limit=1)
        if not entries or not isinstance(entries[0].record, Batch):
            return False
        (reading,) = entries[0].record.items
        assert isinstance(reading, Reading)
        open_ms = world.now // (5 * MIN) * 5 * MIN
        return 0 <= reading.time_us // 1000 - T0_MS - open_ms < 5 * MIN

    async with world.running():
        await world.live(8)
        await world.until_rolled_up(5)
        async with asyncio.timeout(100):
            # Once it has looked, and not a bucket later: how far it follows is a matter of moments.
            while not await held_is_open():
                await world.live(0.5)
    assert CONSUMER in CONSUMERS, "trimming waits for it"


async def test_a_store_that_is_away_is_waited_for(world: World, store: Watched) -> None:
    async with world.running():
        await world.live(7)
        await world.until_rolled_up(5)
        store.away = True
        await world.live(150)
        assert not world.health.ready
        assert "made to be away" in world.health.last_error
        assert world.health.note == "the store does not answer"
        store.away = False
        await world.until_rolled_up(120)
        assert world.health.ready
        await world.check()
        assert len(world.sent) > 24


async def test_what_was_stored_before_there_were_roll_ups(world: World, store: Watched) -> None:
    """Eight hours of a store whose journal is gone, gone through in two starts."""
    minutes = range(0, 8 * 60, 3)
    rows = [row(n * MIN, volt=1.0) for n in minutes]
    assert await store.write(rows, [], journal_uuid=JOURNAL, position=99) == []
    await world.clock.advance(8 * 3600 + 60)
    store.hangs = lambda _, __, begin_ms: begin_ms >= 5 * HOUR
    async with world.running():
        await world.until(lambda: len(store.of("5m")) == 5 * 12)
        assert "rolling up what was stored before: at 2026-01-0" in world.health.note
    reached = await store.mark("rolled_up")
    assert reached in (T0_MS + 4 * HOUR, T0_MS + 5 * HOUR)
    store.hangs = lambda *_: False
    store.rolled_up.clear()
    async with world.running():
        await world.until_rolled_up(8 * 60)
    assert min(store.of("5m")) * MIN + T0_MS == reached, "it goes on where it was"
    counts = await world.counts("5m")
    assert list(counts) == list(range(0, 8 * 60, 5))
    assert sum(counts.values()) == len(minutes)
    hours = await world.counts("1h")
    assert hours == dict.fromkeys(range(0, 8 * 60, 60), 20)


async def test_a_journal_that_was_lost_leaves_no_hole(
    tmp_path: Path, store: Watched, clock: VirtualClock
) -> None:
    sent: Counter[int] = Counter()
    for number in range(2):
        async with open_journal(
            tmp_path / f"journal-{number}",
            clock=clock,
            bound_bytes=8 * 2**20,
            reserve_bytes=0,
            gather_s=0.0,
        ) as journal:
            world = World(journal, store, clock)
            async with world.running():
                await world.live(8.5)
                await world.until_stored()
                if number:
                    await world.until_rolled_up(world.now / MIN)
            sent += world.sent
    world.sent = sent
    await world.check()


async def test_another_store_gets_what_it_was_given(
    world: World, store: Watched, tmp_path: Path
) -> None:
    async with world.running():
        await world.live(8)
        await world.until_rolled_up(5)
    other = await Watched.open(tmp_path / "other.duckdb", Schema(CATALOG))
    assert isinstance(other, Watched)
    world.store = other
    async with world.running():
        await world.until_rolled_up(world.now / MIN)
        await world.pass_by(7)
        await world.until(lambda: not world.health.behind)
        await world.check()
    await other.close()


async def test_a_bucket_that_cannot_be_done_is_given_up(world: World, store: Watched) -> None:
    store.fails = lambda measurement, _, begin_ms: (measurement, begin_ms) == ("mast", 5 * MIN)
    async with world.running():
        await world.live(12)
        await world.until_rolled_up(10)
        assert world.health.counters["given_up"] == 1
        assert "needs more than there is" in world.health.last_error
        del world.sent[5]
        await world.check()
        await world.live(3)
        await world.until_rolled_up(world.now / MIN - 1)
        await world.check()
    assert ATTEMPTS > 1


async def test_the_journal_is_not_held_for_a_store_that_is_slow(
    world: World, store: Watched
) -> None:
    store.hangs = lambda measurement, _, __: measurement == "mast"
    async with world.running():
        await world.send(row(0, volt=1.0))
        first = world.journal.end
        await world.pass_by(10)
        assert world.journal.status().positions[CONSUMER] < first
        await world.pass_by(HOLD_MS / MIN + 5)
        assert world.journal.status().positions[CONSUMER] >= first


async def test_raw_rows_go_only_where_they_were_rolled_up(world: World, store: Watched) -> None:
    rows = [row(day * DAY_MS, volt=float(day)) for day in range(6)]
    assert await store.write(rows, [], journal_uuid=JOURNAL, position=1) == []
    await store.set_mark("rolled_up", T0_MS + 2 * DAY_MS)
    await world.clock.advance(5.5 * 86_400)
    store.clock, store.takes_s = world.clock, 5.0
    async with world.running(raw_days=1, days_5m=3, days_1h=4):
        await world.until(lambda: len(store.expired) >= 3, step_s=60.0)
        # Of raw rows and of 5 minutes more is old enough.
        assert dict(store.expired[:3]) == {"raw": 2 * DAY_MS, "5m": 2 * DAY_MS, "1h": DAY_MS}


async def test_retention_is_kept_every_hour_and_made_up_for(world: World, store: Watched) -> None:
    await world.clock.advance(3 * 86_400 - 1800)
    await store.set_mark("rolled_up", world.clock.now_ms())
    async with world.running(raw_days=1, days_5m=2):
        await world.pass_by(10)
        assert store.expired[0] == ("raw", DAY_MS)
        store.away = True
        await world.pass_by(60)  # a new day begins
        store.away = False
        await world.until(lambda: len(store.expired) > 3)
        await world.pass_by(65)
    assert [days for kept, days in store.expired if kept == "raw"] == [DAY_MS, 2 * DAY_MS]
    assert EXPIRE_EVERY_S == 3600.0


@pytest.mark.slow
async def test_influxdb_killed_while_it_rolls_up(
    tmp_path: Path, influxd: Influxd, clock: VirtualClock
) -> None:
    async with (
        open_journal(
            tmp_path / "journal", clock=clock, bound_bytes=2**26, reserve_bytes=0, gather_s=0.0
        ) as journal,
        open_store(influxd.url, catalog=CATALOG, clock=clock) as store,
    ):
        world = World(journal, store, clock)
        async with world.running():
            for n in range(8):
                await world.live(10)
                if n in (2, 5):
                    influxd.kill()
                if n in (3, 6):
                    influxd.start()
            async with asyncio.timeout(60):
                while (await store.mark("rolled_up") or 0) < T0_MS + HOUR:
                    await journal.append(Tick(clock.now_ms(), listening=True))
                    await clock.advance(1.0)
                    await asyncio.sleep(0.02)
        await world.check()
        assert (await world.counts("1h", column="bts_up"))[0] == 1.0
