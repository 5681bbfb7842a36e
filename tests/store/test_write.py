"""The store stage: everything in the journal is stored, once, however the store behaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from ioc.clock import SystemClock, VirtualClock
from ioc.inventory import Inventory
from ioc.journal import Journal, open_journal
from ioc.journal.records import Batch, Derived, Measures, Tick
from ioc.store import Row, Store, open_store
from ioc.store.derived import completed
from ioc.store.write import GATHER_S, LAST_BACKOFF_S, MAX_ROWS, store_readings
from ioc.supervise import StageHealth
from tests.conformance.samples import T0_MS, ask, asset, at, derived, make_catalog, measure, row
from tests.servers_influx import Influxd
from tests.store.conftest import ListStore, until

INVENTORY = Inventory(assets=[asset(f"A{n}") for n in range(100)])


def batch(*rows: Row) -> Batch:
    return Batch([r.reading for r in rows])


@contextlib.asynccontextmanager
async def storing(
    journal: Journal, store: Store, clock: VirtualClock | SystemClock
) -> AsyncIterator[StageHealth]:
    """The stage, running."""
    health = StageHealth(name="store")
    stage = asyncio.create_task(
        store_readings(journal, inventory=INVENTORY, into=store, clock=clock, health=health)
    )
    try:
        yield health
        if stage.done():
            stage.result()
    finally:
        stage.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stage


async def test_all_of_the_journal_is_stored_and_its_position_noted(
    journal: Journal, clock: VirtualClock
) -> None:
    store = ListStore()
    rows = [row(n, f"A{n}", volt=float(n)) for n in range(10)]
    kpi = measure(0, "bts_up", 9.0, "province", "56")
    await journal.append(batch(*rows[:5]), Tick(T0_MS, listening=True), Measures([kpi]))
    async with storing(journal, store, clock) as health:
        await until(clock, lambda: len(store.rows) == 5)
        await journal.append(batch(*rows[5:]))
        await until(clock, lambda: journal.status().positions.get("store") == journal.end)
        assert (health.ready, health.behind, health.lag_s) == (True, 0, 0.0)
        assert health.position == journal.end
        assert health.counters == {"rows": 10, "measures": 1}
    assert store.rows == rows
    assert store.measures == [kpi]
    assert store.positions == {journal.uuid: journal.end}


async def test_what_the_service_worked_out_is_stored_like_readings(
    journal: Journal, clock: VirtualClock
) -> None:
    store = ListStore()
    store.refuses = lambda r: r.reading.values.get("state") == "odd"
    good, odd = derived(0, "asset_state", state="up"), derived(1, "asset_state", state="odd")
    gone = derived(2, "alarm", "Gone", state="raised")
    async with storing(journal, store, clock):
        await journal.append(Derived([r.reading for r in (good, odd, gone)]))
        await until(clock, lambda: store.positions.get(journal.uuid) == journal.end)
    # With what follows from the rest: the number of its state, where it is.
    assert store.rows == [Row(reading=completed(good.reading, good.asset, {}), asset=good.asset)]
    assert [(q.topic, q.detail) for q in await journal.quarantined()] == [
        ("derived/asset_state/A1", "field type conflict"),
        ("derived/alarm/Gone", "asset 'Gone' is not in the inventory any more"),
    ]


async def test_a_restart_goes_on_where_the_store_is(journal: Journal, clock: VirtualClock) -> None:
    store = ListStore()
    await journal.append(batch(row(0, volt=1.0)))
    async with storing(journal, store, clock):
        await until(clock, lambda: len(store.rows) == 1)
    await journal.append(batch(row(1, volt=1.0)))
    async with storing(journal, store, clock):
        await until(clock, lambda: len(store.rows) == 2)
    assert [r.reading.time_us % 1_000_000 for r in store.rows] == [0, 1000]


async def test_what_comes_within_a_moment_goes_in_together(
    journal: Journal, clock: VirtualClock
) -> None:
    store = ListStore()
    seconds = 20
    async with storing(journal, store, clock):
        for n in range(seconds * 10):
            await journal.append(batch(row(n, volt=1.0)))
            await clock.advance(0.1)
        await until(clock, lambda: len(store.rows) == seconds * 10)
    assert len(store.writes) <= seconds / GATHER_S + 2


async def test_a_backlog_goes_in_large_pieces(journal: Journal, clock: VirtualClock) -> None:
    store = ListStore()
    for part in range(120):
        await journal.append(batch(*(row(part * 100 + n, f"A{n}", volt=1.0) for n in range(100))))
    began_s = clock.monotonic_s()
    async with storing(journal, store, clock):
        await until(clock, lambda: len(store.rows) == 12_000, step_s=0.001)
    assert clock.monotonic_s() - began_s < 5, "a backlog does not wait for the next second"
    assert store.writes[0] >= MAX_ROWS


async def test_ticks_alone_keep_the_position_now_and_then(
    journal: Journal, clock: VirtualClock
) -> None:
    store = ListStore()
    async with storing(journal, store, clock) as health:
        await until(clock, lambda: health.ready)
        for second in range(60):
            await journal.append(Tick(T0_MS + second * 1000, listening=True))
            await clock.advance(1.0)
        await until(clock, lambda: store.positions.get(journal.uuid) == journal.end)
        assert health.behind == 0
    assert 4 <= len(store.writes) <= 9
    assert set(store.writes) == {0}


async def test_an_outage_loses_nothing_and_shows(journal: Journal, clock: VirtualClock) -> None:
    store = ListStore()
    async with storing(journal, store, clock) as health:
        await journal.append(batch(row(0, volt=1.0)))
        await until(clock, lambda: len(store.rows) == 1)
        store.away = True
        attempts, began_s = store.attempts, clock.monotonic_s()
        for n in range(1, 31):
            await journal.append(batch(row(n, volt=1.0)))
            until_s = began_s + 20 * n
            while clock.monotonic_s() < until_s:
                await clock.advance(1.0)
        assert not health.ready
        assert "connection refused" in health.last_error
        assert health.last_error_ms is not None
        assert health.note
        assert health.behind == 30
        assert 580 <= health.lag_s <= 605
        tried = store.attempts - attempts
        assert 600 / LAST_BACKOFF_S - 1 <= tried <= 600 / LAST_BACKOFF_S * 2 + 8
        assert journal.status().positions["store"] == 1
        store.away = False
        await until(clock, lambda: len(store.rows) == 31)
        await until(clock, lambda: health.behind == 0)
        assert (health.ready, health.lag_s, health.note) == (True, 0.0, "")
    times = [r.reading.time_us for r in store.rows]
    assert times == sorted(set(times))


async def test_a_store_that_is_away_at_first(journal: Journal, clock: VirtualClock) -> None:
    store = ListStore()
    store.away = True
    await journal.append(batch(row(0, volt=1.0)))
    async with storing(journal, store, clock) as health:
        await until(clock, lambda: store.attempts > 3)
        assert (health.ready, health.behind) == (False, 1)
        store.away = False
        await until(clock, lambda: health.ready and len(store.rows) == 1)


async def test_what_the_store_refuses_is_quarantined_with_its_reason(
    journal: Journal, clock: VirtualClock
) -> None:
    store = ListStore()
    store.refuses = lambda r: r.reading.values.get("volt") == 2.0
    rows = [row(n, boot=4, seq=n, volt=float(n)) for n in range(5)]
    async with storing(journal, store, clock) as health:
        await journal.append(batch(*rows))
        await until(clock, lambda: journal.status().positions.get("store") == journal.end)
        assert health.counters["rejected"] == 1
        assert health.ready
    assert [r.reading.values["volt"] for r in store.rows] == [0.0, 1.0, 3.0, 4.0]
    (kept,) = await journal.quarantined()
    assert (kept.reason, kept.detail) == ("store_rejected", "field type conflict")
    assert kept.topic == "ioc/v1/khanh-hoa/mast/A1/telemetry"
    assert kept.received_ms == rows[2].reading.received_ms
    content = {"ts": T0_MS + 2, "volt": 2.0, "boot": 4, "seq": 2}
    assert msgspec.json.decode(kept.payload) == content


async def test_a_reading_of_an_asset_that_is_gone_is_quarantined(
    journal: Journal, clock: VirtualClock
) -> None:
    store = ListStore()
    async with storing(journal, store, clock):
        await journal.append(batch(row(0, "Gone", volt=1.0), row(0, volt=1.0)))
        await until(clock, lambda: len(store.rows) == 1)
    (kept,) = await journal.quarantined()
    assert kept.reason == "store_rejected"
    assert "'Gone' is not in the inventory" in kept.detail


async def test_quarantine_comes_before_the_position(journal: Journal, clock: VirtualClock) -> None:
    store = ListStore()

    def refuse_and_leave(r: Row) -> bool:
        store.away = True
        return r.reading.values["volt"] == 2.0

    store.refuses = refuse_and_leave
    async with storing(journal, store, clock) as health:
        await journal.append(batch(row(0, volt=1.0), row(1, volt=2.0)))
        await until(clock, lambda: "unavailable" in health.counters)
        # Killed now, the refused reading is in quarantine, and the other one will come again.
        assert len(await journal.quarantined()) == 1
        assert store.positions == {}


async def test_a_full_journal_does_not_stop_the_store(tmp_path: Path, clock: VirtualClock) -> None:
    store = ListStore()
    async with open_journal(
        tmp_path / "small", clock=clock, bound_bytes=200_000, reserve_bytes=0, gather_s=0.0
    ) as journal:
        await journal.append(batch(*(row(n, volt=float(n)) for n in range(100))))
        journal._bound_bytes = 1  # what other stages wrote has filled it
        store.refuses = lambda r: r.reading.values["volt"] == 50.0
        async with storing(journal, store, clock) as health:
            await until(clock, lambda: len(store.rows) == 99)
            assert health.counters["rejected_not_quarantined"] == 1


@pytest.mark.slow
async def test_influxdb_killed_and_back_has_everything_once(
    tmp_path: Path, influxd: Influxd
) -> None:
    clock = SystemClock()
    async with (
        open_journal(
            tmp_path / "journal", clock=clock, bound_bytes=2**26, reserve_bytes=0
        ) as journal,
        open_store(influxd.url, catalog=make_catalog(), clock=clock) as store,
        storing(journal, store, clock) as health,
        asyncio.timeout(60),
    ):
        for n in range(90):
            if n == 30:
                while not health.position:
                    await clock.sleep(0.05)
                influxd.kill()
            if n == 60:
                while health.ready:
                    await clock.sleep(0.05)
                influxd.start()
            await journal.append(batch(*(row(n * 10 + i, f"A{i}", volt=1.0) for i in range(10))))
        while health.position < journal.end or not health.ready:
            await clock.sleep(0.05)
        assert health.counters["unavailable"] >= 1
        assert at(await store.query(ask("count volt", "sum volt"))) == [(0, 900, 900.0)]
