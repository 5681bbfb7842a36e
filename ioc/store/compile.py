"""The typed query as text: InfluxQL, or DuckDB SQL with its parameters.

Names were checked against the catalog (``Schema.measurement_for``) and are quoted; values are
escaped or handed over as parameters. What the two languages would answer differently is settled
here and where the answers are read:

- Buckets are left out when none of the columns has a value (``fill(none)``); so is a raw row.
- Rows of one time have an order: by asset, or by scope and place of a KPI.
- ``first`` and ``last`` at equal times take the greater value, as InfluxDB does in buckets (the
  first of two bools is false).
- One row more than the limit is asked for, which tells whether there is more.
"""

# ruff: noqa: S608  # this is the one place where query text is made; see the docstring

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ioc.store.query import Column, Query
from ioc.store.schema import Measurement, split_prefix, tag_text


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One time of one group, to ask for all rows of it. ``tags`` are those of ``group_by``."""

    tags: tuple[str, ...]
    time_us: int


@dataclass(frozen=True, kw_only=True)
class Board:
    """What a Grafana panel leaves open in a query, in InfluxQL with Grafana's own variables.

    ``times`` is the condition on time (``$timeFilter``), ``bucket`` the length of a bucket
    (``$__interval``), used where the query has ``every_s``. ``tags`` are patterns that tags must
    match (``^${commune:regex}$``), ``suffix`` a pattern of what follows the measurement's name, for
    a variable that chooses between raw series and roll-ups (``${resolution:raw}``). ``columns`` are
    tags to give beside the query's columns, where those are raw. ``limit`` false leaves LIMIT out.
    """

    times: str = "$timeFilter"
    bucket: str = "$__interval"
    tags: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""
    columns: tuple[str, ...] = ()
    limit: bool = True


def tie_tags(query: Query, measurement: Measurement) -> tuple[str, ...]:
    """The tags that order raw rows of one time, beyond those of ``group_by``."""
    if query.aggregated:
        return ()
    order = ("asset",) if "asset" in measurement.tags else measurement.tags
    return tuple(tag for tag in order if tag not in query.group_by)


# --- InfluxQL ---


def influxql(
    query: Query,
    measurement: Measurement,
    *,
    only: Moment | None = None,
    board: Board | None = None,
) -> str:
    """One SELECT. Its columns: time, the query's columns, then ``tie_tags``.

    ``LIMIT`` is for each series; over all rows the reader of the answer keeps it. ``only`` asks for
    all rows of one moment instead. With ``board`` the text is for Grafana to fill in; aggregates
    over the whole span then have no bucket, and columns bear the query's labels.
    """
    selected = [_influx_column(column) for column in query.columns]
    tags = list(tie_tags(query, measurement))
    if board is not None:
        selected = [
            f'{text} AS "{column.label}"'
            for text, column in zip(selected, query.columns, strict=True)
        ]
        tags += [tag for tag in board.columns if tag not in tags]
    selected += [_influx_tag(tag, measurement) for tag in tags]
    conditions = [f"time >= {query.start_ms}ms", f"time < {query.stop_ms}ms"]
    if board is not None:
        conditions = [board.times, *_matches(board.tags, measurement)]
    if only is not None:
        # Times are in ns there.
        conditions = [f"time >= {only.time_us}u", f"time < {only.time_us + 1}u"]
        conditions += [
            f'"{tag}"::tag = {influx_text(value)}'
            for tag, value in zip(query.group_by, only.tags, strict=True)
        ]
    conditions += _chosen(query, measurement)
    if measurement.as_fields and board is None and not query.aggregated:
        conditions.append(_any_present(query, measurement))
    source = f'"{measurement.name}"'
    if board is not None and board.suffix:
        source = f"/^{measurement.name}{board.suffix}$/"
    text = f"SELECT {', '.join(selected)} FROM {source} WHERE {' AND '.join(conditions)}"
    groups = [f'"{tag}"' for tag in query.group_by]
    if query.every_s is not None:
        groups.insert(0, f"time({board.bucket if board else f'{query.every_s}s'})")
    elif query.aggregated and board is None:
        # The whole span as one bucket: without buckets, first and last take a short cut that
        # answers ties by chance.
        span_ms = query.stop_ms - query.start_ms
        groups.insert(0, f"time({span_ms}ms, {query.start_ms % span_ms}ms)")
    if groups:
        text += f" GROUP BY {', '.join(groups)}"
    if query.aggregated and (board is None or query.every_s is not None):
        text += " fill(none)"
    text += f" ORDER BY time {'DESC' if query.newest_first else 'ASC'}"
    if only is not None or (board is not None and not board.limit):
        return text
    return f"{text} LIMIT {query.limit + (board is None)}"


def influxql_worst(
    query: Query, measurement: Measurement, *, board: Board, most: bool, count: int
) -> str:
    """The ``count`` assets with the greatest (``most``) or least values of the first column.

    The query's columns are raw. Each asset comes once, with its worst value and what the others of
    the same row say; rows come in the order of time. Columns: time, the first, asset, the others.
    """
    first, *others = query.columns
    function = "top" if most else "bottom"
    selected = [
        f'{function}("{first.metric}"::field, "asset"::tag, {count}) AS "{first.label}"',
        *(f'"{column.metric}"::field AS "{column.label}"' for column in others),
        *(_influx_tag(tag, measurement) for tag in board.columns if tag != "asset"),
    ]
    conditions = [
        board.times,
        *_matches(board.tags, measurement),
        *_chosen(query, measurement),
    ]
    return (
        f'SELECT {", ".join(selected)} FROM "{measurement.name}" WHERE {" AND ".join(conditions)}'
    )


def influxql_tag_values(
    measurement: Measurement, tag: str, *, tags: Mapping[str, str] | None = None
) -> str:
    """All values that a tag ever had, where other tags match patterns: for a board's variable."""
    text = f'SHOW TAG VALUES FROM "{measurement.name}" WITH KEY = "{tag}"'
    conditions = _matches(tags or {}, measurement)
    return f"{text} WHERE {' AND '.join(conditions)}" if conditions else text


def _chosen(query: Query, measurement: Measurement) -> list[str]:
    """The conditions of ``where`` and ``fields``."""
    conditions = []
    for tag, values in query.where.items():
        name = _influx_tag(tag, measurement)
        any_of = " OR ".join(f"{name} = {influx_text(tag_text(value))}" for value in values)
        conditions.append(f"({any_of})")
    for name, wanted in query.fields.items():
        any_of = " OR ".join(f'"{name}"::field = {_influx_value(value)}' for value in wanted)
        conditions.append(f"({any_of})")
    return conditions


def _any_present(query: Query, measurement: Measurement) -> str:
    """That a row has one of the columns. Tags kept as fields are in every row, so that InfluxDB
    would give rows, and count them against LIMIT, which have nothing of what is asked."""
    present = []
    for column in query.columns:
        name, kind_of_value = f'"{column.metric}"::field', measurement.type_of(column.metric)
        if kind_of_value == "enum":
            present.append(f"{name} =~ /.*/")
        elif kind_of_value == "bool":
            present.append(f"{name} = true OR {name} = false")
        else:
            present.append(f"{name} >= 0 OR {name} < 0")
    return f"({' OR '.join(present)})"


def _matches(tags: Mapping[str, str], measurement: Measurement) -> list[str]:
    return [f"{_influx_tag(tag, measurement)} =~ /{pattern}/" for tag, pattern in tags.items()]


def _influx_tag(tag: str, measurement: Measurement) -> str:
    return f'"{tag}"::{"field" if tag in measurement.as_fields else "tag"}'


def influxql_position(journal_uuid: str) -> str:
    """The greatest position noted for a journal."""
    return (
        'SELECT max("position") FROM "ioc_position" '
        f'WHERE "journal"::tag = {influx_text(journal_uuid)}'
    )


def influxql_mark(name: str) -> str:
    """The latest time noted under a name."""
    return f'SELECT max("at_ms") FROM "ioc_mark" WHERE "name"::tag = {influx_text(name)}'


def influxql_rows(
    measurement: Measurement, columns: Sequence[str], *, begin_ms: int, end_ms: int
) -> str:
    """All rows of ``[begin_ms, end_ms)`` with these columns (none: all fields there are), by
    series, in the order of time."""
    selected = ", ".join(f'"{name}"::field' for name in columns) or "*::field"
    tags = ", ".join(f'"{tag}"' for tag in measurement.tags)
    return (
        f'SELECT {selected} FROM "{measurement.name}" '
        f"WHERE time >= {begin_ms}ms AND time < {end_ms}ms "
        f"GROUP BY {tags} ORDER BY time ASC"
    )


def influxql_delete(measurement: str, *, before_ms: int) -> str:
    """Removes what is older."""
    return f'DELETE FROM "{measurement}" WHERE time < {before_ms}ms'


def _influx_column(column: Column) -> str:
    field = f'"{column.metric}"::field'
    return f"{column.aggregate}({field})" if column.aggregate else field


def _influx_value(value: bool | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return influx_text(value)


def influx_text(value: str) -> str:
    """A text as InfluxQL writes it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


# --- DuckDB SQL ---

_SQL_AGGREGATES = {"mean": "avg", "min": "min", "max": "max", "sum": "sum", "count": "count"}


def duckdb_sql(query: Query, measurement: Measurement) -> tuple[str, list[str | int]]:
    """One SELECT and its parameters. Its columns: the tags of ``group_by``, time (Unix µs), then
    the query's columns."""
    source, conditions, parameters = _sql_source(query, measurement)
    for name, wanted in query.fields.items():
        conditions.append(f'"{name}" IN ({", ".join("?" * len(wanted))})')
        parameters += list(wanted)
    any_present = " OR ".join(f'"{column.metric}" IS NOT NULL' for column in query.columns)
    tags = [f'"{tag}"' for tag in query.group_by]
    selected = [_sql_column(column, measurement) for column in query.columns]
    if not query.aggregated:
        time_us = "epoch_us(time)"
        conditions.append(f"({any_present})")
    elif query.every_s is None:
        time_us = str(query.start_ms * 1000)
    else:
        every_us = query.every_s * 1_000_000
        time_us = f"epoch_us(time) // {every_us} * {every_us}"
    # Groups and order go by place in the list: no alias can be taken for a metric of that name.
    places = [str(place + 1) for place in range(len(tags))]
    time_place = str(len(tags) + 1)
    text = (
        f"SELECT {', '.join([*tags, time_us, *selected])} FROM {source} "
        f"WHERE {' AND '.join(conditions)}"
    )
    if query.aggregated:
        groups = places if query.every_s is None else [*places, time_place]
        if groups:
            text += f" GROUP BY {', '.join(groups)}"
        text += f" HAVING count_if({any_present}) > 0"
    order = [*places, f"{time_place} {'DESC' if query.newest_first else 'ASC'}"]
    order += [f'"{tag}"' for tag in tie_tags(query, measurement)]
    return f"{text} ORDER BY {', '.join(order)} LIMIT {query.limit + 1}", parameters


def _sql_source(query: Query, measurement: Measurement) -> tuple[str, list[str], list[str | int]]:
    """What follows FROM, the conditions on it, and the parameters of both."""
    conditions = ["time >= make_timestamp(?)", "time < make_timestamp(?)"]
    parameters: list[str | int] = [query.start_ms * 1000, query.stop_ms * 1000]
    for tag, values in query.where.items():
        conditions.append(f'"{tag}" IN ({", ".join("?" * len(values))})')
        parameters += [tag_text(value) for value in values]
    if not measurement.open:
        return f'"{measurement.name}" JOIN ioc_series USING (series)', conditions, parameters
    # Measures are kept as one row each; a question sees one row per time and place, as InfluxDB
    # keeps them.
    wanted = {
        c.metric: split_prefix(c.metric) if measurement.rolled else ("", c.metric)
        for c in query.columns
    }
    names = list(dict.fromkeys(name for _, name in wanted.values()))
    wide = ", ".join(
        f"max({prefix}value) FILTER (name = '{name}') AS \"{metric}\""
        for metric, (prefix, name) in wanted.items()
    )
    tags = ", ".join(f'"{tag}"' for tag in measurement.tags)
    conditions.append(f"name IN ({', '.join('?' * len(names))})")
    source = (
        f'(SELECT time, {tags}, {wide} FROM "{measurement.name}" '
        f"WHERE {' AND '.join(conditions)} GROUP BY time, {tags})"
    )
    return source, ["true"], parameters + names


def _sql_column(column: Column, measurement: Measurement) -> str:
    metric = f'"{column.metric}"'
    if column.aggregate is None:
        return metric
    if column.aggregate in _SQL_AGGREGATES:
        return f"{_SQL_AGGREGATES[column.aggregate]}({metric})"
    is_first = column.aggregate == "first"
    time_ns = "epoch_us(time) * 1000"
    if measurement.as_fields:  # as InfluxDB has it: ``more_ns``
        time_ns = f"({time_ns} + coalesce(seq, 0) // 1000 % 1000)"
    best_time = f"-{time_ns}" if is_first else time_ns
    falling = is_first and measurement.type_of(column.metric) == "bool"
    best_value = f"NOT {metric}" if falling else metric
    return (
        f"arg_max({metric}, {{'t': {best_time}, 'v': {best_value}}}) FILTER ({metric} IS NOT NULL)"
    )
