"""Roll-ups in InfluxDB: the rows of a bucket are read, worked out here and written back.

InfluxDB 2.x has no SELECT INTO. InfluxQL's own aggregates cost ten times the CPU time and five
times the memory of giving out the rows: each works on its own, for each series and field.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ioc.catalog.model import MetricType
from ioc.errors import QueryError
from ioc.store.compile import influxql_rows
from ioc.store.influx_client import InfluxClient, RefusedError, SeriesPart
from ioc.store.influx_line import FIELD, head
from ioc.store.schema import KPI, Schema, is_measure_name, tag_text
from ioc.store.tiers import BUCKET_MS, MEASURE_MEAN_DECIMALS, Tier, rolled_columns, rolled_name

ANSWER_WITHIN_S = 120.0
# influxd holds some KiB for each series and column that a question names.
COLUMNS_AT_ONCE = 32
# Worked out and written together. influxd brings each request to its disk.
SERIES_AT_ONCE = 500

Column = Sequence[Any]
Fields = Iterator[tuple[str, MetricType, Any]]


@dataclass(frozen=True, kw_only=True)
class _Metric:
    name: str
    type: MetricType
    decimals: int


@dataclass(kw_only=True)
class _Series:
    """All rows of one series in the bucket."""

    tags: dict[str, str]
    columns: list[str]
    rows: list[list[Any]] = field(default_factory=list)


async def roll_up(
    client: InfluxClient, schema: Schema, measurement: str, tier: Tier, *, begin_ms: int
) -> None:
    """Write one bucket, as ``Store.roll_up`` says. Raises what that says."""
    source = schema.measurements[measurement if tier == "5m" else rolled_name(measurement, "5m")]
    target = rolled_name(measurement, tier)
    refused = ""
    for metrics in _together(schema, measurement, tier):
        names = [name for metric in metrics for name in _needs(metric, tier)]
        text = influxql_rows(source, names, begin_ms=begin_ms, end_ms=begin_ms + BUCKET_MS[tier])
        async with aclosing(client.ask(text, timeout_s=ANSWER_WITHIN_S)) as answer:
            async for some in _batches(answer):
                # Some tens of milliseconds of work: not in the event loop.
                lines = await asyncio.to_thread(_lines, some, metrics, tier, target, begin_ms)
                try:
                    if lines:
                        await client.post(lines)
                except RefusedError as error:  # the others of the request were taken
                    refused = error.reason
    if refused:
        raise QueryError(f"{target} at {begin_ms}: refused: {refused}")


def _together(schema: Schema, measurement: str, tier: Tier) -> Iterator[list[_Metric]]:
    """Metrics to ask for at once. Of ``kpi``: an empty list, which means all there are."""
    some: list[_Metric] = []
    count = 0
    for name, kind_of_value in schema.rolled_up[measurement].items():
        metric = _Metric(
            name=name, type=kind_of_value, decimals=schema.mean_decimals(measurement, name)
        )
        needs = len(_needs(metric, tier))
        if count + needs > COLUMNS_AT_ONCE:
            yield some
            some, count = [], 0
        some.append(metric)
        count += needs
    if some or measurement == KPI:
        yield some


def _needs(metric: _Metric, tier: Tier) -> list[str]:
    """The columns that a metric's roll-up is made of."""
    return [metric.name] if tier == "5m" else list(rolled_columns(metric.name, metric.type))


async def _batches(answer: AsyncIterator[SeriesPart]) -> AsyncIterator[list[_Series]]:
    some: list[_Series] = []
    async for part in answer:
        if some and some[-1].tags == part.tags:
            some[-1].rows += part.values
            continue
        if len(some) == SERIES_AT_ONCE:
            yield some
            some = []
        some.append(_Series(tags=part.tags, columns=part.columns, rows=part.values))
    if some:
        yield some


def _lines(
    batch: Iterable[_Series], metrics: list[_Metric], tier: Tier, target: str, begin_ms: int
) -> bytes:
    lines = []
    for series in batch:
        columns: dict[str, Column] = dict(
            zip(series.columns, zip(*series.rows, strict=True), strict=True)
        )
        fields = [
            f"{name}={FIELD[kind_of_value](value)}"
            for metric in metrics or _measures(series.columns)
            for name, kind_of_value, value in _WORK_OUT[tier](metric, columns)
        ]
        if fields:
            tags = ((tag, tag_text(value)) for tag, value in series.tags.items())
            lines.append(f"{head(target, tags)} {','.join(fields)} {begin_ms * 1_000_000}")
    return "\n".join(lines).encode()


def _measures(columns: Iterable[str]) -> Iterator[_Metric]:
    """The measures among the columns of ``kpi``; a roll-up has others beside each."""
    for name in columns:
        if is_measure_name(name):
            yield _Metric(name=name, type="float", decimals=MEASURE_MEAN_DECIMALS)


def _from_raw(metric: _Metric, columns: dict[str, Column]) -> Fields:
    values = [value for value in columns[metric.name] if value is not None]
    if not values:
        return
    count = f"count_{metric.name}"
    if metric.type in ("float", "int"):
        yield metric.name, "float", round(sum(values) / len(values), metric.decimals)
        yield f"min_{metric.name}", metric.type, min(values)
        yield f"max_{metric.name}", metric.type, max(values)
    else:
        yield metric.name, metric.type, values[-1]
    yield count, "int", len(values)


def _from_5m(metric: _Metric, columns: dict[str, Column]) -> Fields:
    name = metric.name
    counted = columns[f"count_{name}"]
    rows = [(value, n) for value, n in zip(columns[name], counted, strict=True) if n]
    if not rows:
        return
    total = sum(n for _, n in rows)
    if metric.type in ("float", "int"):
        mean = sum(value * n for value, n in rows) / total
        yield name, "float", round(mean, metric.decimals)
        yield f"min_{name}", metric.type, min(v for v in columns[f"min_{name}"] if v is not None)
        yield f"max_{name}", metric.type, max(v for v in columns[f"max_{name}"] if v is not None)
    else:
        yield name, metric.type, rows[-1][0]
    yield f"count_{name}", "int", total


_WORK_OUT: dict[Tier, Callable[[_Metric, dict[str, Column]], Fields]] = {
    "5m": _from_raw,
    "1h": _from_5m,
}
