"""Any question over any data has the same answer in every store."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ioc.store import Answer, Query, Row, Store
from tests.conformance.conftest import DuckDBFile, InfluxDatabase
from tests.conformance.samples import JOURNAL, T0_MS, asset, derived, measure, row

# Each example has its own stretch of time in the same two stores.
EXAMPLES = itertools.count()
STRETCH_MS = 20_000_000
SPAN_MS = 60_000

ASSETS = [
    asset("A1"),
    asset("A10", commune="22375", operator=""),
    asset("A2", commune="Vạn Ninh", operator="vnpt"),
    asset("B1", commune="22375"),
    *(asset(name) for name in ("Z", "M", "C3")),
    asset("a", kind="select"),
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

alarms = st.lists(
    st.tuples(
        st.integers(0, len(ASSETS) - 1),
        times,
        st.fixed_dictionaries(
            {
                "severity": st.sampled_from(["critical", "major"]),
                "severity_rank": st.integers(1, 5),
            },
            optional={
                "acknowledged": st.booleans(),
                "text_vi": st.sampled_from(["Mất điện lưới", "x' OR ''='"]),
                "lat": floats,
            },
        ),
    ),
    min_size=5,
    max_size=30,
    unique_by=lambda one: one[:2],
)

OF_NUMBERS = ["mean", "min", "max", "sum", "count", "first", "last"]
OF_WORDS = ["count", "first", "last"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What may be asked of a measurement: its columns, its tags, and values to choose by."""

    numbers: list[str]
    words: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    tags: list[str]
    # What may be grouped by; () stands for all tags.
    groups: list[str] = field(default_factory=list)
    pairs: list[tuple[str, ...]]
    fields: dict[str, list[Any]] = field(default_factory=dict)


_OF_ASSETS = ["province", "commune", "site", "asset", "operator"]
_PAIRS: list[tuple[str, ...]] = [
    ("commune", "operator"),
    ("operator", "asset"),
    ("province", "site"),
]
SHAPES = {
    "mast": Shape(
        numbers=["volt", "power_w", "cells"],
        words=["mains_ok", "source"],
        own=["ts", "seq"],
        tags=_OF_ASSETS,
        pairs=_PAIRS,
        fields={"mains_ok": [True, False], "source": [*MODES, "none", "x' OR ''='"]},
    ),
    "kpi": Shape(
        numbers=["bts_up", "pue", "never_written"],
        tags=["scope", "place"],
        pairs=[("scope", "place"), ("place", "scope")],
    ),
    "alarm_active": Shape(
        numbers=["severity_rank", "lat"],
        words=["severity", "acknowledged", "text_vi"],
        own=["ts"],
        tags=[*_OF_ASSETS, "kind"],
        pairs=[("kind", "province"), ("province", "kind")],
        groups=["province", "kind"],
        fields={
            "severity": ["critical", "major", "minor"],
            "acknowledged": [True, False],
            "text_vi": ["Mất điện lưới", "x' OR ''='", "none"],
        },
    ),
}
KNOWN_TAGS = {
    "commune": ["22366", "22375", "Vạn Ninh", "none"],
    "asset": ["A1", "A10", "A2", "B1", "none"],
    "operator": ["viettel", "vnpt"],
    "kind": ["mast", "select"],
    "scope": ["province", "commune"],
    "place": ["56", "22366", "x' OR ''='"],
}


def _columns(shape: Shape, aggregated: bool) -> st.SearchStrategy[dict[str, str | None]]:
    if not aggregated:
        names = shape.numbers + shape.words + shape.own
        return st.sampled_from(names).map(lambda m: {"metric": m})
    pairs = [{"metric": m, "aggregate": a} for m in shape.numbers for a in OF_NUMBERS]
    pairs += [{"metric": m, "aggregate": a} for m in shape.words for a in OF_WORDS]
    return st.sampled_from(pairs)


def _some(
    draw: st.DrawFn, known: dict[str, list[Any]], choices: list[tuple[str, ...]]
) -> dict[str, tuple[Any, ...]]:
    """For each name of one of the choices, some of its values."""
    return {
        name: tuple(draw(st.lists(st.sampled_from(known[name]), min_size=1, max_size=3)))
        for name in draw(st.sampled_from(choices))
    }


@st.composite
def queries(draw: st.DrawFn, begin_ms: int) -> Query:
    measurement = draw(st.sampled_from(["mast", "mast", "kpi", "alarm_active"]))
    shape = SHAPES[measurement]
    aggregated = draw(st.booleans())
    start_ms = draw(st.sampled_from([0, 0, 0, 1000, 7001]))
    tags = [tag for tag in shape.tags if tag in KNOWN_TAGS]
    names, groups = list(shape.fields), shape.groups or shape.tags
    return Query.model_validate(
        {
            "measurement": measurement,
            "columns": draw(
                st.lists(_columns(shape, aggregated), min_size=1, max_size=4, unique_by=str)
            ),
            "start_ms": begin_ms + start_ms,
            "stop_ms": begin_ms
            + start_ms
            + draw(st.sampled_from([1, 5000, 33_333, SPAN_MS, SPAN_MS, SPAN_MS])),
            "where": _some(
                draw, KNOWN_TAGS, [(), (), (), *((tag,) for tag in tags), tuple(tags[:2])]
            ),
            "fields": _some(
                draw, shape.fields, [(), (), (), *((name,) for name in names), tuple(names[:2])]
            ),
            "group_by": draw(st.sampled_from([(), (), *((tag,) for tag in groups), *shape.pairs])),
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
@given(
    data=st.data(),
    readings=readings,
    measures=measures,
    alarms=alarms,
    cut=st.integers(0, 60),
)
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
    alarms: list[tuple[int, int, dict[str, Any]]],
    cut: int,
) -> None:
    number = next(EXAMPLES)
    begin_ms = number * STRETCH_MS
    rows = [
        row(begin_ms + at_ms, ASSETS[index], boot=1, seq=n, **found)
        for n, (index, at_ms, found) in enumerate(readings)
    ]
    rows += [
        derived(begin_ms + at_ms, "alarm_active", ASSETS[index], **found)
        for index, at_ms, found in alarms
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
