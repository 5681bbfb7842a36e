"""Roll-ups: what they hold, whatever comes late, is done again, or is left half done."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ioc.errors import QueryError, StoreUnavailableError
from ioc.journal.records import Measure
from ioc.store import Query, Row, Store
from ioc.store.schema import ASSET_TAGS, Schema, tags_of
from ioc.store.tiers import BUCKET_MS, DAY_MS, TIERS, Tier
from tests.conformance.conftest import Backend, DuckDBFile, InfluxDatabase
from tests.conformance.samples import (
    JOURNAL,
    T0_MS,
    T0_US,
    ask,
    asset,
    at,
    derived,
    make_catalog,
    measure,
    put,
    put_measures,
    row,
)

MIN, HOUR = 60_000, 3_600_000
Rolled = dict[tuple[Any, ...], dict[str, Any]]


async def roll_up(store: Store, *begins_ms: int, measurement: str = "mast") -> None:
    """The 5-minute buckets that begin so long after T0, and then their hours."""
    for begin_ms in begins_ms:
        await store.roll_up(measurement, "5m", begin_ms=T0_MS + begin_ms)
    for begin_ms in {begin_ms // HOUR * HOUR for begin_ms in begins_ms}:
        await store.roll_up(measurement, "1h", begin_ms=T0_MS + begin_ms)


async def rolled(store: Store, tier: Tier, measurement: str = "mast") -> Rolled:
    """All roll-ups of a kind: by tags and ms after T0, what is not null."""
    schema = Schema(make_catalog())
    columns = list(schema.measurements[f"{measurement}_{tier}"].columns)
    found: Rolled = defaultdict(dict)
    for some in (columns[:16], columns[16:]):
        if not some:
            continue
        query = ask(
            *some,
            measurement=f"{measurement}_{tier}",
            stop_ms=40 * DAY_MS,
            group_by=ASSET_TAGS,
            limit=100_000,
        )
        for r in at(await store.query(query), time_column=len(ASSET_TAGS)):
            key, values = r[: len(ASSET_TAGS) + 1], r[len(ASSET_TAGS) + 1 :]
            found[key] |= {
                name: value for name, value in zip(some, values, strict=True) if value is not None
            }
    return dict(found)


async def test_a_bucket_holds_mean_least_greatest_and_count(store: Store) -> None:
    await put(
        store,
        row(0, volt=1.0, cells=3, mains_ok=True, source="grid"),
        row(10_000, volt=2.0, cells=-4),
        row(20_000, volt=2.0, source="genset", mains_ok=False),
        row(299_999.999, volt=6.0, source="grid"),
        row(300_000, volt=99.0),
        position=1,
    )
    await roll_up(store, 0)
    of_a1 = tags_of(asset("A1"))[:5]
    expected = {
        (*of_a1, 0): {
            "volt": 2.75,
            "min_volt": 1.0,
            "max_volt": 6.0,
            "count_volt": 4,
            "cells": -0.5,
            "min_cells": -4,
            "max_cells": 3,
            "count_cells": 2,
            "mains_ok": False,
            "count_mains_ok": 2,
            "source": "grid",
            "count_source": 3,
        }
    }
    assert await rolled(store, "5m") == expected
    assert await rolled(store, "1h") == expected
    types = {name: type(v) for name, v in (await rolled(store, "1h"))[*of_a1, 0].items()}
    assert (types["volt"], types["cells"]) == (float, float)
    assert (types["min_volt"], types["min_cells"], types["count_volt"]) == (float, int, int)


async def test_an_hours_mean_is_weighted_by_what_was_counted(store: Store) -> None:
    rows = [row(n * 1000, volt=10.0) for n in range(9)]
    await put(store, *rows, row(59 * MIN, volt=20.0), row(60 * MIN, volt=5.0), position=1)
    await roll_up(store, 0, 55 * MIN, 60 * MIN)
    found = await store.query(
        ask("volt", "min_volt", "count_volt", measurement="mast_1h", stop_ms=2 * HOUR)
    )
    assert at(found) == [(0, 11.0, 10.0, 10), (HOUR, 5.0, 5.0, 1)]


async def test_what_comes_late_is_as_if_it_had_come_in_time(store: Store) -> None:
    await put(store, row(0, volt=1.0, source="grid"), position=1)
    await roll_up(store, 0)
    await put(store, row(5, "A2", volt=7.0), row(1000, volt=3.0, source="genset"), position=2)
    await put(store, row(500, volt=8.0, source="grid"), position=3)
    await roll_up(store, 0)
    of_a1, of_a2 = (tags_of(asset(name))[:5] for name in ("A1", "A2"))
    for tier in TIERS:
        found = await rolled(store, tier)
        assert found.keys() == {(*of_a1, 0), (*of_a2, 0)}
        assert found[*of_a1, 0]["volt"] == 4.0
        assert found[*of_a1, 0]["source"] == "genset"
        assert found[*of_a2, 0]["count_volt"] == 1


async def test_left_between_the_tiers_it_is_done_again_from_the_begin(backend: Backend) -> None:
    async with backend.open() as store:
        await put(store, row(0, volt=1.0), row(6 * MIN, volt=3.0), position=1)
        await roll_up(store, 0)
        await store.roll_up("mast", "5m", begin_ms=T0_MS + 5 * MIN)
    async with backend.open() as store:  # killed before the hour
        assert [r["count_volt"] for r in (await rolled(store, "1h")).values()] == [1]
        await roll_up(store, 0, 5 * MIN)
        assert [r["count_volt"] for r in (await rolled(store, "5m")).values()] == [1, 1]
        assert [r["count_volt"] for r in (await rolled(store, "1h")).values()] == [2]


async def test_a_commune_that_changed_keeps_its_own_series(store: Store) -> None:
    moved = asset("A1", commune="22375")
    await put(store, row(0, volt=1.0), row(100, moved, volt=3.0), position=1)
    await roll_up(store, 0)
    found = await store.query(
        ask("volt", "count_volt", measurement="mast_1h", group_by=("asset", "commune"))
    )
    assert at(found, time_column=2) == [("A1", "22366", 0, 1.0, 1), ("A1", "22375", 0, 3.0, 1)]


async def test_odd_tags_and_words_go_through(store: Store) -> None:
    odd = asset("A1", commune='Vạn Ninh, "x"=\\', operator="")
    word = asset("W1", kind="select")
    await put(store, row(0, odd, source='o"d\\d, n=e w'), position=1)
    await put(store, row(0, word, group=1.5, where=2), position=2)
    await roll_up(store, 0)
    await roll_up(store, 0, measurement="select")
    assert [(*key, r["source"]) for key, r in (await rolled(store, "1h")).items()] == [
        (*tags_of(odd)[:5], 0, 'o"d\\d, n=e w')
    ]
    found = await store.query(ask("mean group", "max max_where", measurement="select_1h"))
    assert at(found) == [(0, 1.5, 2)]


async def test_measures_are_rolled_up_by_scope_and_place(store: Store) -> None:
    values = [(0, 10.0), (10_000, 20.0), (20_000, 60.0)]
    of_province = [measure(at_ms, "bts_up", value, "province", "56") for at_ms, value in values]
    await put_measures(store, *of_province, measure(0, "pue", 1.5, "site", "DC-NT"), position=1)
    await put_measures(store, measure(6 * MIN, "bts_up", 0.0, "province", "56"), position=2)
    await roll_up(store, 0, 5 * MIN, measurement="kpi")
    names = ("bts_up", "min_bts_up", "max_bts_up", "count_bts_up", "pue", "count_pue")
    found = await store.query(ask(*names, measurement="kpi_1h", group_by=("scope", "place")))
    assert at(found, time_column=2) == [
        ("province", "56", 0, 22.5, 0.0, 60.0, 4, None, None),
        ("site", "DC-NT", 0, None, None, None, None, 1.5, 1),
    ]
    assert [type(v) for v in found.rows[0][3:7]] == [float, float, float, int]
    found = await store.query(
        ask("mean bts_up", "sum count_bts_up", measurement="kpi_5m", where={"place": ("56",)})
    )
    assert at(found) == [(0, 15.0, 4)]


async def test_a_bucket_without_anything_writes_nothing(store: Store) -> None:
    await put(store, row(10 * MIN, volt=1.0), position=1)
    for measurement in ("mast", "select", "kpi"):
        await roll_up(store, 0, measurement=measurement)
    assert await rolled(store, "5m") == {}
    assert (await store.query(ask("count bts_up", measurement="kpi_5m"))).rows == []


async def test_what_is_in_part_removed_is_not_rolled_up_again(store: Store) -> None:
    await put(store, *(row(n * MIN, volt=float(n)) for n in range(60)), position=1)
    await roll_up(store, *range(0, HOUR, 5 * MIN))
    before = {tier: await rolled(store, tier) for tier in TIERS}
    await store.expire("raw", before_ms=T0_MS + 12 * MIN)
    # It comes for a bucket that is half gone, and for one that is whole.
    await put(store, row(11 * MIN + 1, volt=500.0), row(59 * MIN + 1, volt=59.0), position=2)
    await roll_up(store, 10 * MIN, 55 * MIN)
    after = {tier: await rolled(store, tier) for tier in TIERS}
    of_a1 = tags_of(asset("A1"))[:5]
    assert after["5m"][*of_a1, 10 * MIN] == before["5m"][*of_a1, 10 * MIN]
    assert after["5m"][*of_a1, 55 * MIN]["count_volt"] == 6
    assert after["1h"][*of_a1, 0]["count_volt"] == 61
    await store.expire("5m", before_ms=T0_MS + 30 * MIN)
    await roll_up(store, 55 * MIN)
    assert await rolled(store, "1h") == after["1h"]
    assert len(await rolled(store, "5m")) == 6


async def test_marks_are_kept_and_only_grow(backend: Backend) -> None:
    async with backend.open() as store:
        assert await store.mark("rolled_up") is None
        await store.set_mark("rolled_up", T0_MS)
        await store.set_mark("rolled_up", T0_MS - 1)
        assert await store.mark("rolled_up") == T0_MS
        await store.set_mark("rolled_up", T0_MS + 5)
        await store.expire("1h", before_ms=T0_MS + 1)
    async with backend.open() as store:
        assert await store.mark("rolled_up") == T0_MS + 5
        assert await store.mark("1h_begins") == T0_MS + 1
        assert await store.mark("raw_begins") is None
        assert await store.position(JOURNAL) == 0


async def test_each_is_kept_as_long_as_it_should(store: Store) -> None:
    for n, day_ms in enumerate((0, DAY_MS)):
        kpi = measure(day_ms, "bts_up", 1.0, "province", "56")
        rows = [
            row(day_ms, volt=1.0),
            derived(day_ms, "alarm", state="raised"),
            derived(day_ms, "alarm_active", severity="major"),
            derived(day_ms, "asset_state", state="up"),
        ]
        await store.write(rows, [kpi], journal_uuid=JOURNAL, position=n + 1)
        for measurement in ("mast", "kpi"):
            await roll_up(store, day_ms, measurement=measurement)
    columns = {
        **dict.fromkeys(("mast", "mast_5m", "mast_1h"), "volt"),
        **dict.fromkeys(("kpi", "kpi_5m", "kpi_1h"), "bts_up"),
        "alarm": "state",
        "alarm_active": "severity",
        "asset_state": "state",
    }

    async def gone() -> set[str]:
        """What has no row of the first day any more. All have one of the second."""
        found = set()
        for measurement, column in columns.items():
            query = ask(column, measurement=measurement, stop_ms=2 * DAY_MS)
            days = [r[0] for r in at(await store.query(query))]
            assert days[-1] == DAY_MS
            if len(days) == 1:
                found.add(measurement)
        return found

    before_ms = T0_MS + DAY_MS
    assert await gone() == set()
    await store.expire("raw", before_ms=before_ms)
    assert await gone() == {"mast", "kpi", "alarm_active", "asset_state"}
    await store.expire("5m", before_ms=before_ms)
    assert await gone() == {"mast", "kpi", "alarm_active", "asset_state", "mast_5m", "kpi_5m"}
    await store.expire("1h", before_ms=before_ms)
    assert await gone() == columns.keys()
    await store.expire("1h", before_ms=before_ms)
    assert await store.position(JOURNAL) == 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (ask("min_volt"), "mast has no metric 'min_volt'"),
        (ask("min_source", measurement="mast_1h"), "mast_1h has no metric 'min_source'"),
        (ask("ts", measurement="mast_5m"), "mast_5m has no metric 'ts'"),
        (ask("volt", measurement="mast_1d"), "'mast_1d'"),
        (ask("state", measurement="alarm_1h"), "'alarm_1h'"),
        (ask("min_bts_up", measurement="kpi"), "'min_bts_up'"),
        (ask("min_min_bts_up", measurement="kpi_5m"), "'min_min_bts_up'"),
        (ask("mean mains_ok", measurement="mast_5m"), "mean of 'mains_ok': it is bool"),
    ],
)
async def test_names_that_a_roll_up_does_not_have(store: Store, query: Query, names: str) -> None:
    with pytest.raises(QueryError, match=names):
        await store.query(query)


# --- the same from the same random data ---

ASSETS = [
    asset("A1"),
    asset("A1", commune="22375"),
    asset("A2", operator=""),
    asset("B, 1", commune="Vạn Ninh"),
]
SPAN_MS = 2 * HOUR
EXAMPLES = itertools.count()
STRETCH_MS = 4 * HOUR

times = st.integers(0, 5).map(lambda n: n * 5 * MIN) | st.integers(0, SPAN_MS - 1)
# One decimal, as the catalog says of the metric.
floats = st.integers(-10_000, 10_000).map(lambda n: n / 10)
readings = st.lists(
    st.tuples(
        st.integers(0, len(ASSETS) - 1),
        times,
        st.fixed_dictionaries(
            {},
            optional={
                "volt": floats,
                "cells": st.integers(-3, 3) | st.integers(2**53 + 1, 2**53 + 9),
                "mains_ok": st.booleans(),
                "source": st.sampled_from(["grid", "genset"]),
            },
        ),
    ),
    min_size=10,
    max_size=60,
    unique_by=lambda one: one[:2],
)
kpis = st.lists(
    st.tuples(st.sampled_from(["bts_up", "pue"]), st.sampled_from(["56", "57"]), times, floats),
    max_size=15,
    unique_by=lambda one: one[:3],
)


@pytest.mark.timeout(600)
@given(readings=readings, kpis=kpis, cut=st.integers(0, 60))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_the_same_roll_ups_from_the_same_data(
    duckdb_file: DuckDBFile,
    influx_database: InfluxDatabase,
    readings: list[tuple[int, int, dict[str, Any]]],
    kpis: list[tuple[str, str, int, float]],
    cut: int,
) -> None:
    number = next(EXAMPLES)
    begin_ms = number * STRETCH_MS
    rows = [row(begin_ms + at_ms, ASSETS[of], **values) for of, at_ms, values in readings]
    measures = [
        measure(begin_ms + at_ms, name, value, "province", place)
        for name, place, at_ms, value in kpis
    ]
    for backend in (duckdb_file, influx_database):
        async with backend.open() as store:
            await _in_two_parts(store, rows, measures, cut=cut, position=2 * number)
            for tier in TIERS:
                found = {
                    key: values
                    for key, values in (await rolled(store, tier)).items()
                    if begin_ms <= key[-1] < begin_ms + STRETCH_MS
                }
                _compare(found, _expected(rows, tier), f"{backend.name} {tier}")
                await _compare_measures(store, measures, tier, begin_ms)


async def _in_two_parts(
    store: Store, rows: Sequence[Row], measures: Sequence[Measure], *, cut: int, position: int
) -> None:
    """Written in two parts, each rolled up where it touches; the second twice."""
    for some, kpi, n in (
        (rows[:cut], measures[:cut], 1),
        (rows[cut:], measures[cut:], 2),
        (rows[cut:], measures[cut:], 2),
    ):
        await store.write(some, kpi, journal_uuid=JOURNAL, position=position + n)
        touched = _buckets(one.reading.time_us for one in some)
        await roll_up(store, *touched)
        await roll_up(store, *_buckets(one.time_us for one in kpi), measurement="kpi")


def _buckets(times_us: Iterable[int]) -> list[int]:
    length = 5 * MIN
    return sorted({(time_us - T0_US) // 1000 // length * length for time_us in times_us})


def _expected(rows: Iterable[Row], tier: Tier) -> Rolled:
    """By the definition, straight from the rows."""
    columns: dict[tuple[Any, ...], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for one in sorted(rows, key=lambda one: one.reading.time_us):
        begin = (one.reading.time_us - T0_US) // 1000 // BUCKET_MS[tier] * BUCKET_MS[tier]
        key = (*tags_of(one.asset)[:5], begin)
        for name, value in one.reading.values.items():
            columns[key][name].append(value)
    expected: Rolled = {}
    for key, of_key in columns.items():
        made = expected[key] = {}
        for name, values in of_key.items():
            made[f"count_{name}"] = len(values)
            if name in ("volt", "cells"):
                made |= {
                    name: math.fsum(values) / len(values),
                    f"min_{name}": min(values),
                    f"max_{name}": max(values),
                }
            else:
                made[name] = values[-1]
    return expected


def _compare(found: Rolled, expected: Rolled, where: str) -> None:
    assert found.keys() == expected.keys(), where
    for key, values in expected.items():
        assert found[key].keys() == values.keys(), (where, key)
        for name, value in values.items():
            same = found[key][name] == value
            if name in ("volt", "cells"):  # kept with three decimals, an hour's from such ones
                same = math.isclose(found[key][name], value, rel_tol=1e-12, abs_tol=0.00101)
            assert same, (where, key, name, found[key][name], value)


async def _compare_measures(
    store: Store, measures: Sequence[Measure], tier: Tier, begin_ms: int
) -> None:
    by_bucket: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for one in measures:
        begin = (one.time_us - T0_US) // 1000 // BUCKET_MS[tier] * BUCKET_MS[tier]
        by_bucket[one.place, begin, one.name].append(one.value)
    found = {}
    for name in ("bts_up", "pue"):
        query = ask(
            *(name, f"min_{name}", f"max_{name}", f"count_{name}"),
            measurement=f"kpi_{tier}",
            start_ms=begin_ms,
            stop_ms=begin_ms + STRETCH_MS,
            group_by=("place",),
        )
        for place, at_ms, *values in at(await store.query(query), time_column=1):
            found[place, at_ms, name] = values
    assert found.keys() == by_bucket.keys()
    for key, values in by_bucket.items():
        mean, *others = found[key]
        assert others == [min(values), max(values), len(values)]
        assert math.isclose(mean, sum(values) / len(values), abs_tol=0.0000101)


@pytest.mark.slow
async def test_influxdb_that_is_away_promises_nothing(influx_database: InfluxDatabase) -> None:
    async with influx_database.open() as store:
        await put(store, row(0, volt=1.0), position=1)
        influx_database.server.kill()
        for work in (
            store.roll_up("mast", "5m", begin_ms=T0_MS),
            store.mark("rolled_up"),
            store.set_mark("rolled_up", T0_MS),
            store.expire("raw", before_ms=T0_MS),
        ):
            with pytest.raises(StoreUnavailableError):
                await work
        influx_database.server.start()
        await roll_up(store, 0)
        assert len(await rolled(store, "1h")) == 1
