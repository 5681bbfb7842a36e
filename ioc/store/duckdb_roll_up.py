"""The text of roll-ups in DuckDB SQL: one INSERT for a bucket of a measurement.

Its parameters are the bucket's begin, which its rows bear, then begin and end of the rows it is
made of, all in Unix µs.
"""

# ruff: noqa: S608  # names of the catalog and our own; values are parameters

from __future__ import annotations

from collections.abc import Iterator

from ioc.catalog.model import MetricType
from ioc.store.schema import KPI, KPI_TAGS, Schema
from ioc.store.tiers import BUCKET_MS, MEASURE_MEAN_DECIMALS, Tier, rolled_name

# A table of measures has a row for each, and these beside ``value``, its mean.
KPI_COLUMNS = {"min_value": "DOUBLE", "max_value": "DOUBLE", "count_value": "BIGINT"}


def delete_sql(measurement: str, tier: Tier) -> str:
    """What removes the bucket before it is written anew. Its parameter is the bucket's begin."""
    return f'DELETE FROM "{rolled_name(measurement, tier)}" WHERE time = make_timestamp(?)'


def insert_sql(schema: Schema, measurement: str, tier: Tier) -> str:
    """What writes the bucket: a roll-up of 5 minutes from raw rows, of an hour from those."""
    source = measurement if tier == "5m" else rolled_name(measurement, "5m")
    columns = dict(_columns(schema, measurement, tier))
    keys = ", ".join(["name", *KPI_TAGS] if measurement == KPI else ["series"])
    names = ", ".join(f'"{name}"' for name in columns)
    return (
        f'INSERT INTO "{rolled_name(measurement, tier)}" (time, {keys}, {names}) '
        f'SELECT make_timestamp(?), {keys}, {", ".join(columns.values())} FROM "{source}" '
        f"WHERE time >= make_timestamp(?) AND time < make_timestamp(?) GROUP BY {keys}"
    )


def parameters(tier: Tier, begin_ms: int) -> list[int]:
    begin_us = begin_ms * 1000
    return [begin_us, begin_us, begin_us + BUCKET_MS[tier] * 1000]


def _columns(schema: Schema, measurement: str, tier: Tier) -> Iterator[tuple[str, str]]:
    """Each column with its expression."""
    if measurement == KPI:
        yield from _number("value", MEASURE_MEAN_DECIMALS, tier)
        return
    for metric, kind_of_value in schema.rolled_up[measurement].items():
        if kind_of_value in ("float", "int"):
            yield from _number(metric, schema.mean_decimals(measurement, metric), tier)
        else:
            yield from _word(metric, kind_of_value, tier)


def _number(name: str, decimals: int, tier: Tier) -> Iterator[tuple[str, str]]:
    if tier == "5m":
        yield name, f'round(avg("{name}"), {decimals})'
        yield f"min_{name}", f'min("{name}")'
        yield f"max_{name}", f'max("{name}")'
        yield f"count_{name}", f'nullif(count("{name}"), 0)'
        return
    weighted = f'sum("{name}" * "count_{name}") / sum("count_{name}")'
    yield name, f"round({weighted}, {decimals})"
    yield f"min_{name}", f'min("min_{name}")'
    yield f"max_{name}", f'max("max_{name}")'
    yield f"count_{name}", f'sum("count_{name}")::BIGINT'


def _word(name: str, kind_of_value: MetricType, tier: Tier) -> Iterator[tuple[str, str]]:
    assert kind_of_value in ("bool", "enum"), kind_of_value
    yield name, f'arg_max("{name}", time) FILTER ("{name}" IS NOT NULL)'
    if tier == "5m":
        yield f"count_{name}", f'nullif(count("{name}"), 0)'
    else:
        yield f"count_{name}", f'sum("count_{name}")::BIGINT'
