"""Any question over any data has the same answer in every store."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ioc.store import Answer, Query, Row, Store
from tests.conformance.conftest import DuckDBFile, InfluxDatabase
from tests.conformance.samples import JOURNAL, T0_MS, asset, measure, row

# Each example has its own stretch of time in the same two stores.
EXAMPLES = itertools.count()
STRETCH_MS = 20_000_000
SPAN_MS = 60_000

ASSETS = [
    asset("A1"),
    asset("A10", commune="22375", operator=""),
    asset("A2", commune="Vạn Ninh", operator="vnpt"),
    asset("B1", commune="22375"),
    *(asset(name) for name in ("Z", "M", "C3", "a")),
]
MODES = ["grid", "genset", 'o"d\\d, n=e w']
PLACES = [("province", "56"), ("commune", "22366"), ("site", "DC-NT")]

# Times are coarse and values few, so that ties and whole buckets without a value are common.
times = st.integers(0, 5).map(lambda n: n * 1000) | st.integers(0, SPAN_MS - 1)
floats = st.sampled_from([0.0, -1.5, 2.0, 1e-9, 12345.678]) | st.floats(-1e6, 1e6)
values = st.fixed_dictionaries(
    {},
    optional={
        "volt": floats,
        "power_w": floats,
        "cells": st.integers(-3, 3) | st.integers(-(10**6), 10**6),
        "mains_ok": st.booleans(),
        "source": st.sampled_from(MODES),
    },
)
readings = st.lists(
    st.tuples(st.integers(0, len(ASSETS) - 1), times, values),
    min_size=20,
    max_size=60,
    unique_by=lambda reading: reading[:2],
)
measures = st.lists(
    st.tuples(st.sampled_from(["bts_up", "pue"]), st.sampled_from(PLACES), times, floats),
    min_size=5,
    max_size=20,
    unique_by=lambda one: one[:3],
)

NUMBERS = ["volt", "power_w", "cells"]
OF_NUMBERS = ["mean", "min", "max", "sum", "count", "first", "last"]
OF_WORDS = ["count", "first", "last"]


def _columns(aggregated: bool, kpi: bool) -> st.SearchStrategy[dict[str, str | None]]:
    numbers = ["bts_up", "pue", "never_written"] if kpi else NUMBERS
    words = [] if kpi else ["mains_ok", "source"]
    if not aggregated:
        own = [] if kpi else ["ts", "seq"]
        return st.sampled_from(numbers + words + own).map(lambda m: {"metric": m})
    pairs = [{"metric": m, "aggregate": a} for m in numbers for a in OF_NUMBERS]
    pairs += [{"metric": m, "aggregate": a} for m in words for a in OF_WORDS]
    return st.sampled_from(pairs)


_PAIRS = {
    False: [("commune", "operator"), ("operator", "asset"), ("province", "site")],
    True: [("scope", "place"), ("place", "scope")],
}


@st.composite
def queries(draw: st.DrawFn, begin_ms: int) -> Query:
    kpi = draw(st.integers(0, 3)) == 0
    aggregated = draw(st.booleans())
    start_ms = draw(st.sampled_from([0, 0, 0, 1000, 7001]))
    tags = ["scope", "place"] if kpi else ["province", "commune", "site", "asset", "operator"]
    known = {
        "commune": ["22366", "22375", "Vạn Ninh", "none"],
        "asset": ["A1", "A10", "A2", "B1", "none"],
        "operator": ["viettel", "vnpt"],
        "scope": ["province", "commune"],
        "place": ["56", "22366", "x' OR ''='"],
    }
    filters = [tag for tag in tags if tag in known]
    where = {
        tag: tuple(draw(st.lists(st.sampled_from(known[tag]), min_size=1, max_size=3)))
        for tag in draw(st.sampled_from([(), (), (), *((f,) for f in filters), tuple(filters[:2])]))
    }
    return Query.model_validate(
        {
            "measurement": "kpi" if kpi else "mast",
            "columns": draw(
                st.lists(_columns(aggregated, kpi), min_size=1, max_size=4, unique_by=str)
            ),
            "start_ms": begin_ms + start_ms,
            "stop_ms": begin_ms
            + start_ms
            + draw(st.sampled_from([1, 5000, 33_333, SPAN_MS, SPAN_MS, SPAN_MS])),
            "where": where,
            "group_by": draw(
                st.sampled_from([(), (), *itertools.permutations(tags, 1), *_PAIRS[kpi]])
            ),
            "every_s": draw(st.sampled_from([None, 1, 7, 10, 3600])) if aggregated else None,
            "newest_first": draw(st.booleans()),
            "limit": draw(st.sampled_from([1, 2, 3, 5, 8, 13, 10_000, 10_000])),
        }
    )


class Stores(NamedTuple):
    duckdb: Store
    influxdb: Store


@pytest.fixture
async def stores(duckdb_file: DuckDBFile, influx_database: InfluxDatabase) -> AsyncIterator[Stores]:
    async with duckdb_file.open() as duckdb, influx_database.open() as influxdb:
        yield Stores(duckdb, influxdb)


@pytest.mark.timeout(600)  # making a failed example small takes a while
@given(data=st.data(), readings=readings, measures=measures, cut=st.integers(0, 60))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_question_has_one_answer(
    stores: Stores,
    data: st.DataObject,
    readings: list[tuple[int, int, dict[str, Any]]],
    measures: list[tuple[str, tuple[str, str], int, float]],
    cut: int,
) -> None:
    number = next(EXAMPLES)
    begin_ms = number * STRETCH_MS
    rows = [
        row(begin_ms + at_ms, ASSETS[index], boot=1, seq=n, **found)
        for n, (index, at_ms, found) in enumerate(readings)
    ]
    kpis = [measure(begin_ms + at_ms, name, value, *of) for name, of, at_ms, value in measures]
    for store in stores:
        # In two writes, the second of which comes twice, as after an answer that was lost.
        await _put(store, rows[:cut], [], position=2 * number + 1)
        await _put(store, rows[cut:], kpis, position=2 * number + 2)
        await _put(store, rows[cut:], kpis, position=2 * number + 2)
    for _ in range(8):
        query = data.draw(queries(T0_MS + begin_ms))
        duckdb, influxdb = await stores.duckdb.query(query), await stores.influxdb.query(query)
        assert _same(duckdb, influxdb), f"{query!r}\n{duckdb!r}\n{influxdb!r}"


async def _put(store: Store, rows: list[Row], kpis: list[Any], *, position: int) -> None:
    assert await store.write(rows, kpis, journal_uuid=JOURNAL, position=position) == []


def _same(one: Answer, other: Answer) -> bool:
    """Equal columns, rows, order and types; sums of floats may differ in their last digits."""
    return (
        one.columns == other.columns
        and one.truncated == other.truncated
        and len(one.rows) == len(other.rows)
        and all(
            type(a) is type(b) and (a == b or _close(a, b))
            for left, right in zip(one.rows, other.rows, strict=True)
            for a, b in zip(left, right, strict=True)
        )
    )


def _close(a: object, b: object) -> bool:
    if not isinstance(a, float) or not isinstance(b, float):
        return False
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6)


def test_a_query_that_means_nothing_is_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"columns": []},
        {"columns": [{"metric": "volt"}, {"metric": "volt", "aggregate": "mean"}]},
        {"columns": [{"metric": "volt"}], "every_s": 10},
        {"columns": [{"metric": 'volt" FROM x'}]},
        {"columns": [{"metric": "volt"}], "measurement": 'mast"'},
        {"columns": [{"metric": "volt"}], "where": {"colour": ("x",)}},
        {"columns": [{"metric": "volt"}], "where": {"asset": ()}},
        {"columns": [{"metric": "volt"}], "stop_ms": 0},
        {"columns": [{"metric": "volt"}], "stop_ms": 10**14},
        {"columns": [{"metric": "volt"}], "limit": 100_001},
    ]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            Query.model_validate({"measurement": "mast", "start_ms": 0, "stop_ms": 1, **wrong})
