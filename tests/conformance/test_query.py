"""The typed query has one meaning."""

from __future__ import annotations

from typing import Any

import pytest

from ioc.errors import QueryError
from ioc.store import Row, Store
from ioc.store.derived import numbered
from ioc.store.query import Tag
from tests.conformance.samples import (
    T0_MS,
    ask,
    asset,
    at,
    derived,
    measure,
    put,
    put_measures,
    row,
)


async def test_the_span_of_time_has_its_begin_and_not_its_end(store: Store) -> None:
    await put(store, *(row(n * 1000, volt=float(n)) for n in range(5)), position=1)
    found = await store.query(ask("volt", start_ms=1000, stop_ms=3000))
    assert at(found) == [(1000, 1.0), (2000, 2.0)]


async def test_all_aggregates_of_a_number(store: Store) -> None:
    values = [4.0, 1.0, 7.0]
    rows = [row(n * 1000, volt=v, cells=int(v)) for n, v in enumerate(values)]
    await put(store, *rows, row(9000, mains_ok=True), position=1)
    every = ("mean", "min", "max", "sum", "count", "first", "last")
    found = await store.query(ask(*(f"{a} volt" for a in every), start_ms=500 - 500))
    assert at(found) == [(0, 4.0, 1.0, 7.0, 12.0, 3, 4.0, 7.0)]
    assert found.columns == ("time_us", *(f"{a}_volt" for a in every))
    found = await store.query(ask(*(f"{a} cells" for a in every)))
    assert at(found) == [(0, 4.0, 1, 7, 12, 3, 4, 7)]
    assert [type(v) for v in found.rows[0][1:]] == [float, int, int, int, int, int, int]


async def test_one_aggregate_has_the_begin_of_the_span_as_its_time(store: Store) -> None:
    await put(store, row(5000, volt=1.0), position=1)
    for aggregate in ("first", "last", "min", "max", "mean", "sum", "count"):
        found = await store.query(ask(f"{aggregate} volt", start_ms=1234))
        assert at(found) == [(1234, 1)]


async def test_bools_and_enums_are_counted_first_and_last(store: Store) -> None:
    await put(
        store,
        row(0, mains_ok=True, source="grid"),
        row(1000, mains_ok=False),
        row(2000, source="genset"),
        position=1,
    )
    every = ("first", "last", "count")
    found = await store.query(ask(*(f"{a} {m}" for a in every for m in ("mains_ok", "source"))))
    assert at(found) == [(0, True, "grid", False, "genset", 2, 2)]


async def test_buckets_begin_at_multiples_since_1970(store: Store) -> None:
    await put(store, *(row(n * 1000, volt=float(n)) for n in range(40)), position=1)
    found = await store.query(ask("mean volt", "count volt", start_ms=5000, every_s=7))
    begin = T0_MS // 7000 * 7000 - T0_MS
    expected: list[tuple[float, float, int]] = []
    for bucket in range(begin, 40_000, 7000):
        inside = [n for n in range(5, 40) if bucket <= n * 1000 < bucket + 7000]
        if inside:
            expected.append((bucket, sum(inside) / len(inside), len(inside)))
    assert at(found) == expected


async def test_buckets_without_data_are_left_out(store: Store) -> None:
    await put(store, row(0, volt=1.0), row(60_000, cells=3), row(120_000, volt=2.0), position=1)
    found = await store.query(ask("mean volt", every_s=30))
    assert at(found) == [(0, 1.0), (120_000, 2.0)]
    found = await store.query(ask("mean volt", "max cells", "count volt", every_s=30))
    assert at(found) == [(0, 1.0, None, 1), (60_000, None, 3, 0), (120_000, 2.0, None, 1)]
    found = await store.query(ask("mean volt", every_s=30, newest_first=True))
    assert at(found) == [(120_000, 2.0), (0, 1.0)]


async def test_a_raw_row_without_any_of_the_values_is_left_out(store: Store) -> None:
    await put(store, row(0, volt=1.0), row(1000, cells=3), row(2000, mains_ok=True), position=1)
    found = await store.query(ask("volt", "cells", limit=2))
    assert at(found) == [(0, 1.0, None), (1000, None, 3)]
    assert not found.truncated


async def test_where_keeps_any_of_its_values_of_every_tag(store: Store) -> None:
    for number, (commune, operator) in enumerate(
        [("22366", "viettel"), ("22366", "vnpt"), ("22375", "viettel"), ("22390", "mobifone")]
    ):
        of = asset(f"A{number}", commune=commune, operator=operator)
        await put(store, row(number, of, volt=float(number)), position=number + 1)

    async def values(**where: tuple[str, ...]) -> list[Any]:
        return [r[1] for r in (await store.query(ask("volt", where=where))).rows]

    assert await values(commune=("22366",)) == [0.0, 1.0]
    assert await values(commune=("22366", "22390")) == [0.0, 1.0, 3.0]
    assert await values(commune=("22366", "22375"), operator=("viettel",)) == [0.0, 2.0]
    assert await values(operator=("none such",)) == []
    many = tuple(f"A{n}" for n in range(2, 1002))
    assert await values(asset=many) == [2.0, 3.0]


async def test_groups_come_in_the_order_of_the_tags_asked_for(store: Store) -> None:
    number = 0
    for operator in ("vnpt", "viettel", "Ánh Dương"):
        for commune in ("22390", "22366"):
            number += 1
            of = asset(f"A{number}", commune=commune, operator=operator)
            await put(store, row(0, of, volt=1.0 * number), row(9, of, volt=0.0), position=number)
    found = await store.query(ask("max volt", "last volt", group_by=("operator", "commune")))
    assert found.columns == ("operator", "commune", "time_us", "max_volt", "last_volt")
    assert at(found, time_column=2) == [
        ("viettel", "22366", 0, 4.0, 0.0),
        ("viettel", "22390", 0, 3.0, 0.0),
        ("vnpt", "22366", 0, 2.0, 0.0),
        ("vnpt", "22390", 0, 1.0, 0.0),
        ("Ánh Dương", "22366", 0, 6.0, 0.0),
        ("Ánh Dương", "22390", 0, 5.0, 0.0),
    ]
    found = await store.query(ask("volt", group_by=("commune", "operator"), newest_first=True))
    assert [r[:2] for r in found.rows[:4]] == [("22366", "viettel")] * 2 + [("22366", "vnpt")] * 2
    assert [r[0] for r in at(found, time_column=2)][:6:2] == ["22366"] * 3
    assert [r[2] for r in at(found, time_column=2)] == [9, 0] * 6


async def test_limit_is_over_all_rows_and_tells_that_there_is_more(store: Store) -> None:
    rows = [row(n * 1000, f"A{a}", volt=float(a)) for n in range(20) for a in range(5)]
    await put(store, *rows, position=1)
    found = await store.query(ask("volt", group_by=("asset",), limit=25))
    assert found.truncated
    assert [r[0] for r in found.rows] == ["A0"] * 20 + ["A1"] * 5
    found = await store.query(ask("volt", group_by=("asset",), limit=100))
    assert (len(found.rows), found.truncated) == (100, False)
    found = await store.query(
        ask("mean volt", group_by=("asset",), every_s=5, limit=5, newest_first=True)
    )
    assert found.truncated
    assert at(found, time_column=1) == [
        *(("A0", t, 0.0) for t in (15_000, 10_000, 5_000, 0)),
        ("A1", 15_000, 1.0),
    ]


async def test_rows_of_one_time_come_by_asset_wherever_the_limit_cuts(store: Store) -> None:
    names = ["A9", "A10", "B1", "A1", "Z", "M", "C3"]
    rows = [row(n * 1000, name, volt=float(n)) for n in range(3) for name in names]
    await put(store, *rows, position=1)
    ordered = sorted(names)
    number_of = {name: float(i) for i, name in enumerate(names)}
    await put(store, *(row(5000, n, cells=int(number_of[n])) for n in names), position=2)
    for limit in range(1, 8):
        found = await store.query(ask("cells", limit=limit))
        assert [r[1] for r in found.rows] == [number_of[n] for n in ordered[:limit]]
        assert found.truncated == (limit < 7)
        found = await store.query(ask("cells", "volt", limit=limit, newest_first=True))
        assert [r[1] for r in found.rows] == [number_of[n] for n in ordered[:limit]]
        grouped = await store.query(
            ask("cells", limit=limit, group_by=("province",), where={"province": ("khanh-hoa",)})
        )
        assert [r[2] for r in grouped.rows] == [number_of[n] for n in ordered[:limit]]


async def test_first_and_last_at_one_time_take_the_greater_value(store: Store) -> None:
    for number, name in enumerate(["A1", "A2", "A3"]):
        volt = [2.0, 9.0, 4.0][number]
        mode = ["grid", "genset", "grid"][number]
        of = asset(name)
        begin = row(0, of, volt=volt, mains_ok=number != 1, source=mode)
        end = row(1000, of, volt=-volt, mains_ok=number == 1, source=mode)
        await put(store, begin, end, position=number + 1)
    columns = [f"{a} {m}" for a in ("first", "last") for m in ("volt", "mains_ok", "source")]
    found = await store.query(ask(*columns))
    assert at(found) == [(0, 9.0, False, "grid", -2.0, True, "grid")]
    found = await store.query(ask(*columns, every_s=60))
    assert at(found) == [(0, 9.0, False, "grid", -2.0, True, "grid")]


async def test_kpis_are_asked_like_any_other(store: Store) -> None:
    for minute in range(3):
        await put_measures(
            store,
            measure(minute * 60_000, "bts_up", 3900 - minute, "province", "56"),
            measure(minute * 60_000, "bts_total", 3900.0, "province", "56"),
            measure(minute * 60_000, "bts_up", 40.0, "commune", "22366"),
            measure(minute * 60_000, "pue", 1.7, "site", "DC-NT"),
            position=minute + 1,
        )
    found = await store.query(
        ask("bts_up", "bts_total", measurement="kpi", where={"scope": ("province",)})
    )
    assert at(found) == [(m * 60_000, 3900.0 - m, 3900.0) for m in range(3)]
    found = await store.query(
        ask(*("mean bts_up", "last pue"), measurement="kpi", group_by=("scope", "place"))
    )
    assert at(found, time_column=2) == [
        ("commune", "22366", 0, 40.0, None),
        ("province", "56", 0, 3899.0, None),
        ("site", "DC-NT", 0, None, 1.7),
    ]
    assert (await store.query(ask("never_written", measurement="kpi"))).rows == []


async def test_what_the_service_worked_out_is_asked_like_any_other(store: Store) -> None:
    mast, word = asset("A1"), asset("W1", kind="select", commune="22375")
    snapshot = [
        derived(10_000, "asset_state", mast, state="down", state_code=3, alarms=2, lat=12.5),
        derived(10_000, "asset_state", word, state="up", state_code=1, alarms=0, lat=12.0),
    ]
    await put(store, *snapshot, derived(60_000, "asset_state", mast, state="up"), position=1)
    # One window, one frame: each asset with its tags, kind among them.
    found = await store.query(
        ask(
            *("state", "state_code", "alarms", "lat"),
            measurement="asset_state",
            stop_ms=60_000,
            group_by=("asset", "kind", "commune"),
        )
    )
    assert at(found, time_column=3) == [
        ("A1", "mast", "22366", 10_000, "down", 3, 2, 12.5),
        ("W1", "select", "22375", 10_000, "up", 1, 0, 12.0),
    ]
    found = await store.query(
        ask("count state", "last state", measurement="asset_state", group_by=("kind",))
    )
    assert at(found, time_column=1) == [("mast", 0, 2, "up"), ("select", 0, 1, "up")]


async def test_fields_keep_the_rows_that_have_one_of_the_values(store: Store) -> None:
    severities = ["critical", "major", "critical", "minor"]
    rows = [
        derived(n, "alarm_active", f"A{n}", severity=severity, acknowledged=n == 2, severity_rank=n)
        for n, severity in enumerate(severities)
    ]
    await put(store, *rows, derived(9, "alarm_active", "A9", severity_rank=9), position=1)

    async def ranks(**fields: tuple[bool | str, ...]) -> list[Any]:
        query = ask("severity_rank", measurement="alarm_active", fields=fields)
        return [r[1] for r in (await store.query(query)).rows]

    assert await ranks() == [0, 1, 2, 3, 9]
    assert await ranks(severity=("critical",)) == [0, 2]
    assert await ranks(severity=("critical", "minor")) == [0, 2, 3]
    assert await ranks(severity=("critical",), acknowledged=(False,)) == [0]
    assert await ranks(acknowledged=(True, False)) == [0, 1, 2, 3]
    assert await ranks(severity=("x' OR ''='",)) == []


async def test_alarms_of_one_millisecond_are_told_apart_by_their_numbers(store: Store) -> None:
    """A whole province may go silent in one tick: no row takes the place of another."""
    assets = [asset(f"A{n}", operator=("", "vnpt")[n % 2]) for n in range(3_000)]
    rows = [
        Row(
            reading=numbered("alarm", one.id, {"severity_rank": n}, at_ms=T0_MS, number=7_000 + n),
            asset=one,
        )
        for n, one in enumerate(assets)
    ]
    await put(store, *rows, position=1)
    found = await store.query(ask("count severity_rank", measurement="alarm", group_by=("kind",)))
    assert at(found, time_column=1) == [("mast", 0, 3_000)]
    one = ask("severity_rank", "seq", measurement="alarm", where={"asset": ("A2345",)})
    (row,) = (await store.query(one)).rows
    assert row[1:] == (2345, 9345)
    where: dict[Tag, tuple[str, ...]] = {"operator": ("vnpt",), "asset": ("A1", "A2", "A3")}
    some = await store.query(ask("severity_rank", measurement="alarm", where=where))
    assert [row[1] for row in some.rows] == [1, 3]


async def test_rows_that_have_nothing_of_what_is_asked_do_not_count(store: Store) -> None:
    values: list[dict[str, Any]] = [
        {},
        {},
        {"acknowledged": False},
        {"value": -1.5},
        {"parent": ""},
    ]
    rows = [
        derived(n, "alarm_active", f"A{n}", severity="major", **more)
        for n, more in enumerate(values)
    ]
    await put(store, *rows, position=1)
    for column, at_ms, value in (("acknowledged", 2, False), ("value", 3, -1.5), ("parent", 4, "")):
        found = await store.query(ask(column, measurement="alarm_active", limit=1))
        assert (at(found), found.truncated) == ([(at_ms, value)], False)
    both = await store.query(ask("value", "acknowledged", measurement="alarm_active", limit=2))
    assert at(both) == [(2, None, False), (3, -1.5, None)]


async def test_nothing_stored_is_an_empty_answer(store: Store) -> None:
    for query in (
        ask("volt"),
        ask("mean volt"),
        ask("count volt"),
        ask("count volt", every_s=60, group_by=("asset",)),
        ask("bts_up", measurement="kpi"),
    ):
        found = await store.query(query)
        assert (found.rows, found.truncated) == ([], False)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (ask("volts"), "'volts'"),
        (ask("volt", measurement="masts"), "'masts'"),
        (ask("volt", measurement="ioc_position"), "'ioc_position'"),
        (ask("time", measurement="kpi"), "'time'"),
        (ask("mean mains_ok"), "mean of 'mains_ok': it is bool"),
        (ask("max source"), "max of 'source': it is enum"),
        (ask("volt", where={"scope": ("province",)}), "where: mast has no tag 'scope'"),
        (ask("volt", group_by=("place",)), "group_by: mast has no tag 'place'"),
        (ask("bts_up", measurement="kpi", group_by=("asset",)), "kpi has no tag 'asset'"),
        (ask("volt", group_by=("asset", "asset")), "given twice"),
        (ask("volt", group_by=("kind",)), "group_by: mast has no tag 'kind'"),
        (
            ask("severity", measurement="alarm", group_by=("asset",)),
            "group_by: alarm is not grouped by 'asset', expected one of province, kind",
        ),
        (ask("volt", fields={"volt": ("1",)}), "fields: mast has no bool or text 'volt'"),
        (ask("severity", measurement="alarm", fields={"x": (True,)}), "no bool or text 'x'"),
        (ask("volt", fields={"mains_ok": ("yes",)}), "fields: mains_ok is bool, 'yes' is not"),
        (ask("volt", fields={"source": (True,)}), "fields: source is enum, True is not"),
    ],
)
async def test_what_does_not_fit_the_catalog_is_named(store: Store, query: Any, names: str) -> None:
    with pytest.raises(QueryError, match=names):
        await store.query(query)


@pytest.mark.parametrize(
    "value",
    [
        "x' OR 'a'='a",
        "x\\' OR \"asset\"::tag != ''; DROP MEASUREMENT mast; --",
        "x\\",
        "'; DROP TABLE mast; --",
        "x\n' OR 1=1",
        '" OR ""="',
        "?",
        "%",
        "$1",
        "/.*/",
    ],
)
async def test_a_value_is_never_part_of_the_question(store: Store, value: str) -> None:
    await put(store, row(0, volt=1.0), position=1)
    assert (await store.query(ask("volt", where={"commune": (value,)}))).rows == []
    of = asset("B1", commune=value)
    await put(store, row(1, of, volt=2.0), position=2)
    found = await store.query(ask("volt", where={"commune": (value,)}, group_by=("asset",)))
    assert at(found, time_column=1) == [("B1", 1, 2.0)]
    assert len((await store.query(ask("volt"))).rows) == 2
