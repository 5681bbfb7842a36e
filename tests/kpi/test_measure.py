"""Measures worked out by hand, and a restart that neither doubles nor loses one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ioc.alarms.live import Live, LiveValue
from ioc.alarms.model import AssetState
from ioc.catalog.model import Catalog, Domain, Kind, Metric, load_catalog
from ioc.clock import VirtualClock, settle
from ioc.errors import JournalFullError
from ioc.inventory import Asset, Inventory, Site
from ioc.inventory.province import load_province
from ioc.journal import Journal, open_journal
from ioc.journal.records import Batch, Entry, Measure, Measures, Reading, Record, Tick, Value
from ioc.kpi.latest import NEEDED
from ioc.kpi.measure import measure
from ioc.kpi.plan import Plan
from ioc.supervise import StageHealth
from ioc.text import Text

START_MS = 1_767_225_600_000  # a whole minute
PROVINCE = load_province("khanh-hoa")
WORD = Text(vi="chữ", en="word")


def metric(cadence_s: int) -> Metric:
    return Metric(title=WORD, unit="1", range=(-1e9, 1e9), cadence_s=cadence_s, source="test")


CATALOG = Catalog(
    [
        Domain(
            domain="test",
            title=WORD,
            kinds={
                "bts": Kind(title=WORD, metrics={name: metric(900) for name in NEEDED["bts"]}),
                "span": Kind(title=WORD, metrics={"rx_power_dbm": metric(10)}),
                "dc_site": Kind(
                    title=WORD, metrics={name: metric(10) for name in NEEDED["dc_site"]}
                ),
            },
        )
    ]
)


def asset(
    id_: str,
    kind: str,
    commune: str,
    *,
    population: int = 0,
    length_km: float = 0.0,
    site: str = "S-1",
) -> Asset:
    return Asset(
        id=id_,
        kind=kind,
        name=id_,
        province="khanh-hoa",
        commune=commune,
        site=site,
        far_site="S-2" if kind == "span" else "",
        lat=12,
        lon=109,
        population=population,
        length_km=length_km,
    )


def small_province() -> Inventory:
    return Inventory(
        [Site(id=id_, name=id_, commune="A", lat=12, lon=109) for id_ in ("S-1", "S-2", "DC-NT")],
        [
            asset("B1", "bts", "A", population=1000),
            asset("B2", "bts", "A", population=2000),
            asset("B3", "bts", "B", population=4000),
            asset("B4", "bts", "B", population=8000),
            asset("F1", "span", "A", length_km=1.5),
            asset("F2", "span", "B", length_km=2.25),
            asset("DC-NT", "dc_site", "A", site="DC-NT"),
        ],
    )


STATES: dict[str, AssetState] = {
    "B1": "up",
    "B2": "degraded",
    "B3": "silent",
    "B4": "not_seen",
    "F1": "up",
    "F2": "down",
    "DC-NT": "up",
}


class Engine:
    """What the alarm engine remembers."""

    def __init__(self, known: Mapping[str, Mapping[str, LiveValue]] | None = None) -> None:
        self._known = known or {}

    def values(self, asset: str) -> Mapping[str, LiveValue]:
        return self._known.get(asset, {})

    def last_seen_ms(self, asset: str) -> int | None:
        return None


class MemoryJournal:
    """A journal's order of events, without its disk."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.positions: dict[str, int] = {}
        self.room = asyncio.Event()
        self.room.set()
        self._news = asyncio.Event()

    @property
    def end(self) -> int:
        return len(self.entries)

    async def append(self, *records: Record) -> int:
        await asyncio.sleep(0)
        if records and not self.room.is_set():
            raise JournalFullError("full")
        for record in records:
            self.entries.append(Entry(position=self.end + 1, written_ms=START_MS, record=record))
        self._news.set()
        self._news = asyncio.Event()
        return self.end

    async def read(self, *, after: int, limit: int = 256) -> list[Entry]:
        return self.entries[after : after + limit]

    async def follow(self, *, after: int) -> AsyncIterator[list[Entry]]:
        while True:
            news = self._news
            if entries := self.entries[after:]:
                after = entries[-1].position
                yield entries
            else:
                await news.wait()

    async def note(self, consumer: str, position: int) -> None:
        self.positions[consumer] = position

    async def wait_until_admits(self) -> None:
        await self.room.wait()

    def status(self) -> MemoryJournal:
        return self

    def seconds_of(self, name: str, scope: str = "province") -> list[int]:
        """When a measure was worked out, in seconds after the start."""
        return [
            one.time_us // 1_000_000 - START_MS // 1000
            for one in self.measured()
            if one.name == name and one.scope == scope
        ]

    def measured(self) -> list[Measure]:
        return [
            item
            for entry in self.entries
            if isinstance(entry.record, Measures)
            for item in entry.record.items
        ]


def reading(asset_id: str, *, at_s: float = 0, kind: str = "bts", **values: Value) -> Reading:
    at_ms = START_MS + round(at_s * 1000)
    return Reading(
        kind=kind,
        asset=asset_id,
        time_us=at_ms * 1000,
        ts_ms=at_ms,
        received_ms=at_ms,
        values=values,
    )


def tick(at_s: float) -> Tick:
    return Tick(now_ms=START_MS + round(at_s * 1000), listening=True)


class Running:
    """The stage on a journal of its own, with a clock that follows the ticks."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.journal = journal or MemoryJournal()
        self.live = Live(table=Engine())
        self.live.states = dict(STATES)
        self.inventory = small_province()
        self.clock = VirtualClock(start_ms=START_MS)
        self.health = StageHealth(name="kpi")

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        stage = asyncio.create_task(
            measure(
                self.journal,
                plan=Plan(PROVINCE),
                catalog=CATALOG,
                inventory=self.inventory,
                live=self.live,
                clock=self.clock,
                health=self.health,
            )
        )
        await settle()
        try:
            yield self
            assert not stage.done(), stage.exception()
        finally:
            stage.cancel()
            await asyncio.gather(stage, return_exceptions=True)

    async def at(self, at_s: float, *readings: Reading) -> None:
        """The clock reaches ``at_s``; the readings and a tick are journalled."""
        await self.clock.advance(at_s - self.clock.monotonic_s())
        if readings:
            await self.journal.append(Batch(items=list(readings)))
        await self.journal.append(tick(at_s))
        await settle()

    def value(self, name: str, scope: str = "province", place: str = "khanh-hoa") -> float | None:
        found = self.live.measures.get((name, scope, place))
        return None if found is None else found.value


async def test_the_numbers_are_those_worked_out_by_hand() -> None:
    async with Running().run() as province:
        await province.at(
            10,
            reading("B1", drb_ue_thp_dl_kbit_s=100_000, rrc_conn_mean=30.0, cells_5g_active=3),
            reading("B2", drb_ue_thp_dl_kbit_s=400_000, rrc_conn_mean=10.0, cells_5g_active=0),
            reading("B3", drb_ue_thp_dl_kbit_s=50_000, rrc_conn_mean=0.0, cells_5g_active=2),
            reading("DC-NT", kind="dc_site", pue=1.72, it_power_kw=61.0),
        )
        assert province.value("bts_total") == 4
        assert province.value("bts_up") == 2  # B1 up, B2 degraded
        assert province.value("bts_availability_percent") == 66.667  # B4 not seen
        assert province.value("bts_5g_share_percent") == 66.667  # B1 and B3 of 3
        # (100·30 + 400·10 + 50·0) / 40
        assert province.value("download_mbit_s") == pytest.approx(175.0)
        assert province.value("population_without_service") == 4000  # B3; B4 was never there
        assert province.value("fibre_built_km") == pytest.approx(3.75)
        assert province.value("fibre_in_service_km") == pytest.approx(1.5)
        assert province.value("spans_total") == 2
        assert province.value("spans_up") == 1
        assert province.value("data_centers_up") == 1
        assert province.value("pue", "site", "DC-NT") == 1.72
        assert province.value("it_power_kw", "site", "DC-NT") == 61.0
        assert province.value("data_center_up", "site", "DC-NT") == 1

        assert province.value("bts_up", "commune", "A") == 2
        assert province.value("bts_up", "commune", "B") == 0
        assert province.value("download_mbit_s", "commune", "A") == pytest.approx(175.0)
        # B3 has no users, B4 was not heard: nothing is made up.
        assert province.value("download_mbit_s", "commune", "B") is None
        assert province.value("bts_5g_share_percent", "commune", "B") == 100
        assert province.value("population_without_service", "commune", "B") == 4000
        assert province.value("bts_availability_percent", "commune", "B") == 0


async def test_every_measure_of_the_plan_is_worked_out() -> None:
    async with Running().run() as province:
        await province.at(
            10,
            reading("B1", drb_ue_thp_dl_kbit_s=1.0, rrc_conn_mean=1.0, cells_5g_active=1),
            reading("DC-NT", kind="dc_site", pue=1.5),
        )
        for target in PROVINCE.plan:
            if target.measure is not None:
                assert province.value(target.measure) is not None, target.id


async def test_every_ten_seconds_for_the_province_and_each_commune() -> None:
    async with Running().run() as province:
        for second in range(1, 131):
            await province.at(second)
        at = province.journal.seconds_of("bts_total")
        assert at == list(range(0, 131, 10))
        communes = Counter(province.journal.seconds_of("bts_total", "commune"))
        assert communes == dict.fromkeys(at, 2)
        assert province.value("bts_total", "commune", "A") == 2
        assert province.live.measures["bts_total", "commune", "A"].time_us == (
            (START_MS + 130_000) * 1000
        )
        assert province.health.ready
        assert province.live.version == len(at)


async def test_a_stale_value_counts_no_more_and_a_late_one_changes_nothing() -> None:
    async with Running().run() as province:
        await province.at(10, reading("DC-NT", at_s=10, kind="dc_site", pue=1.7))
        await province.at(20, reading("DC-NT", at_s=5, kind="dc_site", pue=9.0))
        assert province.value("pue", "site", "DC-NT") == 1.7
        await province.at(40)
        await province.at(50)  # three cadences of 10 s are over
        assert province.journal.seconds_of("pue", "site") == [10, 20, 40]
        # What is shown keeps the last value, with its time.
        assert province.value("pue", "site", "DC-NT") == 1.7


async def test_a_wrong_clock_is_judged_by_the_time_of_receipt() -> None:
    async with Running().run() as province:
        early = reading("DC-NT", at_s=-86_400, kind="dc_site", pue=1.6)
        off = Reading(
            kind="dc_site",
            asset="DC-NT",
            time_us=early.time_us,
            ts_ms=early.ts_ms,
            received_ms=START_MS + 9_000,
            values=early.values,
            clock="off",
        )
        await province.at(10, off)
        assert province.value("pue", "site", "DC-NT") == 1.6


async def test_assets_that_come_and_go_are_followed() -> None:
    async with Running().run() as province:
        await province.at(10, reading("B1", cells_5g_active=1), reading("B2", cells_5g_active=0))
        province.inventory.apply(add=[asset("B5", "bts", "C", population=1)], retire=["B2"])
        await province.at(20, reading("B5", cells_5g_active=0), reading("B2", cells_5g_active=0))
        assert province.value("bts_total") == 4
        assert province.value("bts_5g_share_percent") == 50  # B1 kept its value
        assert province.value("bts_total", "commune", "C") == 1
        # A commune with a data centre only has no station, and says so.
        province.inventory.apply(add=[asset("DC-PR", "dc_site", "D", site="DC-NT")])
        await province.at(30)
        assert province.value("bts_total", "commune", "D") == 0
        assert province.value("bts_up", "commune", "D") is None


async def test_a_backlog_is_not_given_the_states_of_now() -> None:
    running = Running()
    await running.journal.append(tick(0), tick(10), tick(300))
    await running.clock.advance(300)
    async with running.run() as province:
        assert province.journal.seconds_of("bts_total") == [0, 10, 300]
        assert province.journal.seconds_of("bts_up") == [300]


async def test_what_was_never_seen_is_neither_up_nor_down() -> None:
    running = Running()
    running.live.states = dict.fromkeys(STATES, "not_seen")
    running.live.states["F1"] = "up"
    async with running.run() as province:
        await province.at(10)
        for name in ("bts_up", "bts_availability_percent", "data_centers_up"):
            assert province.value(name) is None, name
        assert province.value("population_without_service") is None
        assert province.value("spans_up") == 1
        assert province.value("spans_up", "commune", "B") is None


async def test_without_states_nothing_is_said_of_service() -> None:
    running = Running()
    running.live.states = {}
    async with running.run() as province:
        await province.at(10)
        assert province.value("bts_total") == 4
        assert province.value("bts_up") is None


async def test_a_full_journal_is_waited_for_and_loses_no_time() -> None:
    async with Running().run() as province:
        await province.at(10)
        await province.journal.append(tick(20))
        province.journal.room.clear()
        await settle()
        assert not province.health.ready
        province.journal.room.set()
        await settle()
        await province.at(30)
        assert province.health.ready
        assert province.journal.seconds_of("spans_total") == [10, 20, 30]


@pytest.mark.parametrize("noted", [None, 0, 1, 2])
async def test_a_restart_neither_doubles_nor_loses(noted: int | None) -> None:
    """Whatever the journal's copy of the position: the copy is written lazily."""
    first = Running()
    async with first.run():
        await first.at(10, reading("B1", cells_5g_active=1))
        await first.at(20)
    # While the stage is away, the journal goes on.
    if noted is not None:
        first.journal.positions["kpi"] = noted
    await first.journal.append(
        Batch(items=[reading("B2", at_s=25, cells_5g_active=0)]), tick(30), tick(40)
    )
    second = Running(first.journal)
    second.live.table = Engine(
        {"B1": {"cells_5g_active": LiveValue(value=1, at_ms=START_MS + 10_000)}}
    )
    await second.clock.advance(41)
    async with second.run():
        await second.at(50)
    shares = [
        (one.time_us // 1_000_000 - START_MS // 1000, one.value)
        for one in first.journal.measured()
        if one.name == "bts_5g_share_percent" and one.scope == "province"
    ]
    assert shares == [(10, 100), (20, 100), (30, 50), (40, 50), (50, 50)]


async def test_a_measure_in_doubt_is_looked_up_before_going_on() -> None:
    """The process dies after the append and before the note."""
    first = Running()
    async with first.run():
        await first.at(10)
        before = first.journal.positions["kpi"]
        await first.at(20)
    first.journal.positions["kpi"] = before
    second = Running(first.journal)
    async with second.run():
        await second.at(30)
    assert first.journal.seconds_of("fibre_built_km") == [10, 20, 30]


async def test_without_the_engine_it_goes_on_from_what_the_journal_still_has() -> None:
    first = Running()
    async with first.run():
        await first.at(10, reading("B1", cells_5g_active=1))
    second = Running(first.journal)
    second.live.table = None
    async with second.run():
        await second.clock.advance(11)
        await settle()
        await second.at(20)
        assert second.value("bts_5g_share_percent") == 100
        assert "incomplete" in second.health.note


async def test_on_the_real_journal_and_catalog(tmp_path: Path) -> None:
    inventory, live = small_province(), Live(table=Engine(), states=dict(STATES))
    clock = VirtualClock(start_ms=START_MS)
    catalog = load_catalog()
    for kind, metrics in NEEDED.items():
        assert set(metrics) <= catalog.kinds[kind].metrics.keys()

    async def run_until(journal: Journal, at_s: float) -> None:
        stage = asyncio.create_task(
            measure(
                journal,
                plan=Plan(PROVINCE),
                catalog=catalog,
                inventory=inventory,
                live=live,
                clock=clock,
                health=StageHealth(name="kpi"),
            )
        )
        version = live.version
        await journal.append(Batch(items=[reading("B1", cells_5g_active=3)]), tick(at_s))
        async with asyncio.timeout(10):
            await live.changed(after=version)
        stage.cancel()
        await asyncio.gather(stage, return_exceptions=True)

    for at_s in (10, 20):
        async with open_journal(
            tmp_path, clock=clock, bound_bytes=2**24, reserve_bytes=2**20
        ) as journal:
            await run_until(journal, at_s)
    async with open_journal(
        tmp_path, clock=clock, bound_bytes=2**24, reserve_bytes=2**20
    ) as journal:
        found = [
            item.time_us // 1_000_000 - START_MS // 1000
            for entry in await journal.read(after=0)
            if isinstance(entry.record, Measures)
            for item in entry.record.items
            if (item.name, item.scope) == ("bts_5g_share_percent", "province")
        ]
    assert found == [10, 20]
