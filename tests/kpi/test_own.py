"""The service measures itself: numbers worked out by hand, and each of its rules can be true."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ioc.alarms.live import Live
from ioc.catalog import Catalog, load_catalog
from ioc.clock import VirtualClock, settle
from ioc.inventory import Asset, Inventory
from ioc.inventory.own import OWN_KIND, ensure_own
from ioc.inventory.province import load_province
from ioc.journal.journal import JournalStatus
from ioc.journal.records import Activation, Batch, Item, Reading, Value
from ioc.kpi.own import MIB, Gauge, Machine, Use, measure_own
from ioc.store.rows import fits
from ioc.supervise import Health, StageHealth
from tests.alarms.world import Drill
from tests.kpi.test_measure import MemoryJournal as EntryJournal

START_MS = 1_767_225_600_000
PROVINCE = load_province("khanh-hoa")
CATALOG = load_catalog()
KIND = CATALOG.kinds["ioc"]


def status(**given: Any) -> JournalStatus:
    values: dict[str, Any] = {
        "end": 1000,
        "first": 1,
        "bytes": 300 * MIB,
        "bound_bytes": 1000 * MIB,
        "free_disk_bytes": 5_000 * MIB,
        "reserve_bytes": 500 * MIB,
        "admits": True,
        "hours_left": 12.5,
        "quarantined_total": 7,
        "quarantine_dropped": 0,
        **given,
    }
    return JournalStatus(**values)


def use(**given: Any) -> Use:
    return Use(**{"cpu_s": 100.0, "rss_bytes": 200 * MIB, "disk_bytes": 20_000 * MIB, **given})


def service() -> Health:
    """Every stage at work, and one that is not."""
    health = Health()
    for name in ("ingest", "store", "kpi", "alarms", "alarm_series", "notify", "own", "web"):
        health.stage(name).ready = True
    health.stage("kpi").ready = False
    ingest = health.stage("ingest")
    ingest.counters |= {"messages": 1000, "readings": 2000, "missed": 10}
    ingest.lag_s = 0.25
    health.stage("store").position = 990
    health.stage("store").lag_s = 1.5
    health.stage("store").restarts = 2
    health.stage("web").restarts = 1
    health.stage("web").gauges["clients"] = 3
    health.stage("notify").gauges |= {"pending": 4, "dead": 1}
    health.stage("notify").lag_s = 20.0
    return health


class Steps:
    """A gauge, read every 10 s."""

    def __init__(self) -> None:
        self.live = Live(now_ms=START_MS, position=1000)
        self.health = service()
        self.gauge = Gauge(live=self.live, started_ms=START_MS)
        self.at_s = 0.0

    def read(
        self, journal: JournalStatus | None = None, used: Use | None = None
    ) -> dict[str, Value]:
        values = self.gauge.read(
            self.health,
            journal or status(),
            used or use(),
            now_ms=START_MS + round(self.at_s * 1000),
            at_s=self.at_s,
        )
        self.at_s += 10
        return values


def test_the_numbers_are_those_worked_out_by_hand() -> None:
    steps = Steps()
    first = steps.read()
    assert first == {
        "broker_connected": True,
        "ingest_lag_s": 0.25,
        "journal_used_percent": 30.0,
        "journal_bytes": 300 * MIB,
        "journal_hours_left": 12.5,
        "disk_free_percent": 25.0,
        "disk_free_reserves": 10.0,
        "store_behind": 10,
        "store_lag_s": 1.5,
        "alarms_lag_s": 0.0,
        "notify_pending": 4,
        "notify_dead": 1,
        "notify_lag_s": 20.0,
        "web_clients": 3,
        "stages_total": 8,
        "stages_ready": 7,
        "stages_not_ready": 1,
        "stage_restarts": 3,
        "rss_mib": 200.0,
    }
    counters = steps.health.stage("ingest").counters
    counters |= {"messages": 9000, "readings": 9500, "missed": 15}
    second = steps.read(status(quarantined_total=27), use(cpu_s=102.5))
    rates = {name: second[name] for name in second.keys() - first.keys()}
    assert rates == {
        "messages_per_s": 800.0,
        "readings_per_s": 750.0,
        "missed_per_min": 30.0,
        "quarantined_per_min": 120.0,
        "cpu_percent": 25.0,
    }
    # A batch that was refused is counted when it comes again: meanwhile the counter is taken back.
    counters["messages"] = 8900
    assert steps.read()["messages_per_s"] == 0.0


def test_everything_in_the_catalog_is_measured_in_its_type_and_range() -> None:
    steps = Steps()
    steps.read()
    values = steps.read()
    assert values.keys() == KIND.metrics.keys()
    for name, value in values.items():
        metric = KIND.metrics[name]
        assert fits(value, metric.type), name
        if metric.range:
            assert metric.range[0] <= value <= metric.range[1], name  # type: ignore[operator]  # a number
        assert metric.cadence_s == 10


def test_what_is_not_known_is_left_out() -> None:
    gauge = Gauge(live=Live(), started_ms=START_MS)
    values = gauge.read(
        Health(),
        status(hours_left=None, reserve_bytes=0, end=0),
        use(rss_bytes=None),
        now_ms=START_MS,
        at_s=0,
    )
    assert values.keys() == {
        "journal_used_percent",
        "journal_bytes",
        "disk_free_percent",
        "alarms_lag_s",
        "stages_total",
        "stages_ready",
        "stages_not_ready",
        "stage_restarts",
    }


def test_a_store_that_stands_still_is_late_whatever_it_says() -> None:
    steps = Steps()
    steps.health.stage("store").lag_s = 0.0
    lags = [steps.read()["store_lag_s"] for _ in range(6)]
    assert lags == [0, 0, 0, 30, 40, 50]
    steps.health.stage("store").position = 995  # it moves again
    assert steps.read()["store_lag_s"] == 0
    steps.health.stage("store").position = 1000  # all is stored: it has nothing to do
    assert [steps.read()["store_lag_s"] for _ in range(6)] == [0] * 6


def test_an_alarm_engine_that_stands_still_is_late() -> None:
    steps = Steps()
    steps.live.position, steps.live.now_ms = 998, START_MS - 2_000
    assert steps.read()["alarms_lag_s"] == 0, "it is not late for what was before the start"
    assert steps.read()["alarms_lag_s"] == 10
    steps.live.now_ms = START_MS + 18_500
    assert steps.read()["alarms_lag_s"] == 1.5
    steps.live.position = 1000
    assert steps.read()["alarms_lag_s"] == 0


def test_the_machine_tells(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    before = machine.use()
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = machine.use()
    assert 0.04 <= after.cpu_s - before.cpu_s < 5
    assert after.rss_bytes is not None
    assert 10 * MIB < after.rss_bytes < 100_000 * MIB
    disk = os.statvfs(tmp_path)
    assert after.disk_bytes == disk.f_blocks * disk.f_frsize


class FakeMachine(Machine):
    def use(self) -> Use:
        return use()


class MemoryJournal(EntryJournal):
    def status(self) -> Any:
        return status()

    @property
    def own(self) -> list[Reading]:
        items: list[Item] = [
            item
            for entry in self.entries
            if isinstance(entry.record, Batch)
            for item in entry.record.items
        ]
        return [item for item in items if isinstance(item, Reading)]


@asynccontextmanager
async def running(
    journal: MemoryJournal, clock: VirtualClock, inventory: Inventory
) -> AsyncIterator[StageHealth]:
    health = service()
    mine = health.stage("own")
    mine.ready = False
    task = asyncio.create_task(
        measure_own(
            journal,
            province=PROVINCE,
            catalog=CATALOG,
            inventory=inventory,
            live=Live(),
            health=health,
            mine=mine,
            clock=clock,
            machine=FakeMachine(Path("/")),
        )
    )
    await settle()
    try:
        yield mine
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_reading_at_each_multiple_of_ten_seconds() -> None:
    journal, clock, inventory = (
        MemoryJournal(),
        VirtualClock(start_ms=START_MS + 3_300),
        Inventory(),
    )
    async with running(journal, clock, inventory) as mine:
        assert mine.ready, "it waits for its time: that is no fault"
        assert "IOC" in inventory.assets, "it is there from the start"
        await clock.advance(30)
        assert [one.time_us - START_MS * 1000 for one in journal.own] == [
            10**7,
            2 * 10**7,
            3 * 10**7,
        ]
        assert {(one.kind, one.asset, one.clock) for one in journal.own} == {("ioc", "IOC", "ok")}
        assert "cpu_percent" not in journal.own[0].values
        assert journal.own[1].values["cpu_percent"] == 0.0
    # A restart within the same ten seconds says nothing twice.
    async with running(journal, clock, inventory):
        await clock.advance(7)
    assert len({one.time_us for one in journal.own}) == len(journal.own) == 4


async def test_a_clock_that_is_set_back_leaves_each_reading_its_own_time() -> None:
    class SetBack(VirtualClock):
        back_ms = 0

        def now_ms(self) -> int:
            return super().now_ms() - self.back_ms

    journal, clock = MemoryJournal(), SetBack(start_ms=START_MS)
    async with running(journal, clock, Inventory()):
        await clock.advance(30)
        clock.back_ms = 20_000
        await clock.advance(30)
    times = [one.time_us for one in journal.own]
    assert len(times) == 6
    assert len(set(times)) == 6


async def test_a_full_journal_takes_no_reading_and_is_told() -> None:
    journal, clock = MemoryJournal(), VirtualClock(start_ms=START_MS)
    journal.room.clear()
    async with running(journal, clock, Inventory()) as mine:
        await clock.advance(20)
        assert not mine.ready
        assert mine.counters == {"refused": 2}
        journal.room.set()
        await clock.advance(10)
        assert mine.ready
        assert mine.note == ""
    assert len(journal.own) == 1


async def test_an_asset_that_took_the_name_is_left_alone() -> None:
    journal, clock = MemoryJournal(), VirtualClock(start_ms=START_MS)
    taken = Asset(id="IOC", kind="bts", name="x", province="p", commune="1", site="S", lat=1, lon=1)
    async with running(journal, clock, Inventory(assets=[taken])) as mine:
        await clock.advance(20)
        assert not mine.ready
        assert "IOC" in mine.note
    assert journal.own == []


async def test_the_service_stands_by_the_primary_data_centre() -> None:
    journal, clock, inventory = MemoryJournal(), VirtualClock(start_ms=START_MS), Inventory()
    for _ in range(2):
        assert await ensure_own(journal, inventory, province=PROVINCE, catalog=CATALOG, clock=clock)
    (entry,) = journal.entries
    assert isinstance(entry.record, Activation)
    own = inventory.assets["IOC"]
    primary = next(center for center in PROVINCE.data_centers if center.role == "primary")
    assert (own.kind, own.site, own.lat, own.lon) == (OWN_KIND, "IOC", primary.lat, primary.lon)
    assert (own.province, own.commune) == ("khanh-hoa", primary.commune)
    assert not own.simulated
    assert not own.synthetic
    assert not inventory.sites["IOC"].core
    assert CATALOG.kinds[own.kind].own


CALM: dict[str, Value] = {
    "broker_connected": True,
    "quarantined_per_min": 0.0,
    "journal_used_percent": 1.0,
    "disk_free_reserves": 100.0,
    "store_lag_s": 0.0,
    "alarms_lag_s": 0.0,
    "notify_lag_s": 0.0,
    "notify_dead": 0,
    "stage_restarts": 0,
    "stages_not_ready": 0,
    "cpu_percent": 20.0,
}


class Own(Drill):
    """The alarm engine with the real rules, and the service's own readings."""

    def __init__(self, catalog: Catalog = CATALOG) -> None:
        asset = Asset(
            id="IOC", kind="ioc", name="IOC", province="p", commune="1", site="A", lat=1, lon=1
        )
        super().__init__(catalog, [asset])

    def say(self, for_s: float, **values: Value) -> set[str]:
        """So much time passes in which the service says this; the rules that stand then."""
        self.run(to_s=self.now_s + for_s, IOC=CALM | values)
        return {one.alarm.source for one in self.engine.lifecycle.standing.values()}


@pytest.mark.parametrize(
    ("values", "after_s", "raised"),
    [
        ({"broker_connected": False}, 50, {"ioc-broker-away"}),
        ({"journal_used_percent": 51.0}, 10, {"ioc-journal-half"}),
        ({"journal_used_percent": 81.0}, 10, {"ioc-journal-half", "ioc-journal-nearly-full"}),
        ({"disk_free_reserves": 1.9}, 50, {"ioc-disk-low"}),
        ({"store_lag_s": 61.0}, 40, {"ioc-store-late"}),
        ({"alarms_lag_s": 10.5}, 40, {"ioc-alarms-late"}),
        ({"notify_lag_s": 301.0}, 40, {"ioc-notify-late"}),
        ({"quarantined_per_min": 61.0}, 90, {"ioc-quarantine"}),
        ({"stages_not_ready": 1}, 150, {"ioc-stage-not-ready"}),
        ({"cpu_percent": 97.0}, 330, {"ioc-processor-busy"}),
    ],
)
def test_each_trouble_is_an_alarm_and_its_end_is_the_end(
    values: dict[str, Value], after_s: float, raised: set[str]
) -> None:
    drill = Own()
    assert drill.say(120) == set()
    assert drill.say(after_s, **values) == raised
    assert drill.engine.state_of("IOC") in ("degraded", "up")
    assert drill.say(300) == set()
    texts = [one.alarm for one in drill.transitions if one.kind == "raised"]
    assert all(alarm.impact is None and "{" not in alarm.text_vi + alarm.text_en for alarm in texts)


@pytest.mark.parametrize(
    ("metric", "rule_id", "clear_s"),
    [("stage_restarts", "ioc-stage-restarted", 800), ("notify_dead", "ioc-dead-letters", 3800)],
)
def test_what_happens_once_is_told_and_forgotten(metric: str, rule_id: str, clear_s: float) -> None:
    drill = Own()
    assert drill.say(120, **{metric: 4}) == set(), "what was before is no news"
    assert drill.say(10, **{metric: 5}) == {rule_id}
    assert drill.say(clear_s / 2, **{metric: 5}) == {rule_id}
    assert drill.say(clear_s / 2, **{metric: 5}) == set()
    assert drill.say(60, **{metric: 0}) == set(), "a new start counts from nothing"


def test_a_service_that_no_longer_measures_itself_is_an_alarm() -> None:
    drill = Own()
    drill.say(60)
    drill.tick(to_s=drill.now_s + 40)
    (standing,) = drill.engine.lifecycle.standing.values()
    assert standing.alarm.source == "ioc-no-data"
    assert (standing.alarm.event_type, standing.alarm.severity) == ("processingError", "major")
    assert drill.say(20) == set()


def test_every_rule_of_the_service_was_tried() -> None:
    tried = {
        "ioc-no-data",
        "ioc-dead-letters",
        "ioc-stage-restarted",
        *("ioc-broker-away", "ioc-journal-half", "ioc-journal-nearly-full", "ioc-disk-low"),
        *("ioc-store-late", "ioc-alarms-late", "ioc-notify-late", "ioc-quarantine"),
        *("ioc-stage-not-ready", "ioc-processor-busy"),
    }
    assert {rule.id for rule in KIND.rules} == tried
