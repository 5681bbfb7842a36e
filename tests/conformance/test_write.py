"""What is written is there once, whole, and the store knows how far it has come."""

from __future__ import annotations

import math

import pytest

from ioc.errors import StoreUnavailableError
from ioc.store import Store
from tests.conformance.conftest import Backend, InfluxDatabase
from tests.conformance.samples import (
    JOURNAL,
    T0_MS,
    ask,
    asset,
    at,
    derived,
    make_catalog,
    measure,
    metric,
    put,
    row,
)

OTHER_JOURNAL = "7d2f4f0e-0000-4000-8000-000000000002"


async def test_every_type_comes_back_as_it_was_written(store: Store) -> None:
    whole = row(
        0, boot=3, seq=2**53 - 1, volt=53.0, power_w=-1e-7, cells=-4, mains_ok=False, source="grid"
    )
    await put(store, whole, row(10_000, source='o"d\\d, n=e w', cells=2**40), position=1)
    answer = await store.query(
        ask("volt", "power_w", "cells", "mains_ok", "source", "ts", "boot", "seq")
    )
    assert at(answer) == [
        (0, 53.0, -1e-7, -4, False, "grid", T0_MS, 3, 2**53 - 1),
        (10_000, None, None, 2**40, None, 'o"d\\d, n=e w', T0_MS + 10_000, None, None),
    ]
    types = [type(value) for value in answer.rows[0]]
    assert types == [int, float, float, int, bool, str, int, int, int]
    assert answer.columns == (
        *("time_us", "volt", "power_w", "cells", "mains_ok", "source", "ts", "boot", "seq"),
    )
    assert not answer.truncated


async def test_an_int_in_a_float_metric_stays_a_float(store: Store) -> None:
    await put(store, row(0, volt=53), position=1)
    await put(store, row(1, volt=53.25), position=2)
    answer = await store.query(ask("volt"))
    assert [r[1] for r in answer.rows] == [53.0, 53.25]
    assert all(type(r[1]) is float for r in answer.rows)


async def test_storage_times_of_neighbouring_microseconds_are_two_readings(store: Store) -> None:
    await put(store, row(0, volt=1.0), row(0.001, volt=2.0), row(0.002, volt=3.0), position=1)
    assert at(await store.query(ask("volt"))) == [(0, 1.0), (0.001, 2.0), (0.002, 3.0)]


async def test_writing_a_position_again_changes_nothing(store: Store) -> None:
    rows = [row(0, volt=1.0), row(10, volt=2.0)]
    await put(store, *rows, position=7)
    await put(store, *rows, position=7)
    await put(store, *rows, position=6)
    assert at(await store.query(ask("count volt"))) == [(0, 2)]
    assert await store.position(JOURNAL) == 7


async def test_a_journal_that_was_lost_and_filled_again_adds_nothing_twice(store: Store) -> None:
    rows = [row(0, volt=1.0), row(10, volt=2.0), row(10, "A2", volt=2.0)]
    measures = [measure(0, "bts_up", 5.0, "province", "56")]
    await store.write(rows, measures, journal_uuid=JOURNAL, position=90)
    again = [*rows, row(20, volt=3.0)]
    more = [*measures, measure(0, "bts_up", 6.0, "province", "57")]
    await store.write(again, more, journal_uuid=OTHER_JOURNAL, position=3)
    assert at(await store.query(ask("count volt", "sum volt"))) == [(0, 4, 8.0)]
    kpi = await store.query(ask("count bts_up", "sum bts_up", measurement="kpi"))
    assert at(kpi) == [(0, 2, 11.0)]


async def test_a_position_is_kept_for_each_journal(backend: Backend) -> None:
    async with backend.open() as store:
        assert await store.position(JOURNAL) == 0
        await put(store, row(0, volt=1.0), position=12)
        await put(store, position=13)
        await put(store, position=5, journal=OTHER_JOURNAL)
    async with backend.open() as store:
        assert await store.position(JOURNAL) == 13
        assert await store.position(OTHER_JOURNAL) == 5
        assert await store.position("x' OR 'a' = 'a") == 0


async def test_tags_may_hold_anything_a_person_types(store: Store) -> None:
    odd = {
        "comma": "Vạn Ninh, Khánh Hòa",
        "equals": "a=b c",
        "quotes": 'it\'s "x"',
        "backslash": "end\\",
        "lines": "one\ntwo",
        "letters": "Đèo Cả — 7 → 8 😀",
    }
    for number, (name, commune) in enumerate(odd.items()):
        await put(
            store, row(number, asset(name, commune=commune), volt=number), position=number + 1
        )
    for number, (name, commune) in enumerate(odd.items()):
        found = await store.query(
            ask("volt", where={"commune": (commune,)}, group_by=("asset", "commune"))
        )
        # Line protocol cannot hold a line break, nor a backslash at the end.
        kept = commune.replace("\\", "/").replace("\n", " ")
        assert at(found, time_column=2) == [(name, kept, number, float(number))]


async def test_an_empty_tag_is_an_empty_text(store: Store) -> None:
    await put(store, row(0, asset("A1", operator=""), volt=1.0), row(1, "A2", volt=2.0), position=1)
    found = await store.query(ask("volt", group_by=("operator",)))
    assert at(found, time_column=1) == [("", 0, 1.0), ("viettel", 1, 2.0)]


async def test_names_that_are_words_of_the_query_language(store: Store) -> None:
    of = asset("A1", kind="select")
    await put(store, row(0, of, group=1.5, where=2), position=1)
    found = await store.query(
        ask("mean group", "max where", measurement="select", group_by=("asset",))
    )
    assert at(found, time_column=1) == [("A1", 0, 1.5, 2)]


async def test_more_than_one_request_holds(store: Store) -> None:
    rows = [row(n, f"A{n % 50}", volt=float(n)) for n in range(12_345)]
    await put(store, *rows, position=1)
    found = await store.query(ask("count volt", "last volt"))
    assert at(found) == [(0, 12_345, 12_344.0)]


async def test_what_no_store_can_take_comes_back_and_the_position_waits(store: Store) -> None:
    good = row(0, volt=1.0)
    bad = [
        row(1, asset(kind="gone"), volt=1.0),
        row(2, volt="high"),
        row(3, volt=math.nan),
        row(4, volt=True),
        row(5, mains_ok=1),
        row(6, cells=1.0),
        row(7, cells=2**63),
    ]
    measures = [
        measure(0, "bts_up", 1.0, "province", "56"),
        measure(0, "scope", 1.0, "province", "56"),
        measure(0, "pue", math.inf, "site", "DC-NT"),
    ]
    rejected = await store.write([good, *bad], measures, journal_uuid=JOURNAL, position=1)
    assert [r.point for r in rejected] == [*(r.reading for r in bad), *measures[1:]]
    assert "gone" in rejected[0].reason
    assert "volt: 'high' is not float" in rejected[1].reason
    assert await store.position(JOURNAL) == 0
    assert await store.write([good], measures[:1], journal_uuid=JOURNAL, position=1) == []
    assert await store.position(JOURNAL) == 1


async def test_a_derived_row_of_a_wrong_type_comes_back(store: Store) -> None:
    good = derived(0, "alarm", state="raised", impact_assets=3, value=-7.5)
    bad = [
        derived(1, "alarm", state=True),
        derived(2, "alarm", impact_assets=1.5),
        derived(3, "alarm_gone", state="raised"),
    ]
    rejected = await store.write([good, *bad], [], journal_uuid=JOURNAL, position=1)
    assert [r.point for r in rejected] == [r.reading for r in bad]
    assert [r.reason for r in rejected] == [
        "state: True is not enum",
        "impact_assets: 1.5 is not int",
        "kind 'alarm_gone' is not in the catalog",
    ]
    await put(store, good, position=1)
    found = await store.query(ask("state", "impact_assets", "value", measurement="alarm"))
    assert at(found) == [(0, "raised", 3, -7.5)]


async def test_a_metric_that_the_catalog_lost_is_left_out(store: Store) -> None:
    await put(store, row(0, volt=1.0, gone=5.0), row(1, gone=5.0), position=1)
    assert at(await store.query(ask("volt"))) == [(0, 1.0)]
    assert len((await store.query(ask("ts"))).rows) == 2


async def test_a_catalog_that_gained_a_metric(backend: Backend) -> None:
    async with backend.open() as store:
        await put(store, row(0, volt=1.0), position=1)
    async with backend.open(make_catalog(fuel=metric(), doors=metric("int"))) as store:
        await put(store, row(1, volt=2.0, fuel=80.0), position=2)
        assert at(await store.query(ask("volt", "fuel"))) == [(0, 1.0, None), (1, 2.0, 80.0)]
        assert at(await store.query(ask("max doors", "count fuel"))) == [(0, None, 1)]


async def test_influxdb_refuses_a_type_and_says_why(
    influx_database: InfluxDatabase,
) -> None:
    async with influx_database.open() as store:
        await put(store, row(0, volt=1.0), position=1)
    # A metric under its old name with a new type: InfluxDB keeps the first.
    changed = make_catalog(volt=metric("int"))
    async with influx_database.open(changed) as store:
        rows = [row(n, f"A{n}", cells=1) for n in range(40)]
        bad = [row(50 + n, f"A{n}", volt=n) for n in range(3)]
        other = [row(90, asset(kind="select"), group=1.0)]
        mixed = [*rows[:7], bad[0], *rows[7:30], bad[1], bad[2], *rows[30:], *other]
        rejected = await store.write(mixed, [], journal_uuid=JOURNAL, position=2)
        assert [r.point for r in rejected] == [r.reading for r in bad]
        assert all("field type conflict" in r.reason for r in rejected)
        assert await store.position(JOURNAL) == 1
        await put(store, *rows, *other, position=2)
        assert at(await store.query(ask("count cells"))) == [(0, 40)]


@pytest.mark.slow
async def test_influxdb_killed_keeps_what_it_took(influx_database: InfluxDatabase) -> None:
    async with influx_database.open() as store:
        await put(store, *(row(n, volt=float(n)) for n in range(500)), position=9)
        influx_database.server.kill()
        with pytest.raises(StoreUnavailableError):
            await store.position(JOURNAL)
        with pytest.raises(StoreUnavailableError):
            await put(store, row(600, volt=1.0), position=10)
        with pytest.raises(StoreUnavailableError):
            await store.query(ask("count volt"))
        influx_database.server.start()
        assert await store.position(JOURNAL) == 9
        assert at(await store.query(ask("count volt"))) == [(0, 500)]
        await put(store, row(600, volt=1.0), position=10)
        assert at(await store.query(ask("count volt"))) == [(0, 501)]
