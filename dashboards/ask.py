"""What a panel asks: the typed query, compiled to InfluxQL for Grafana to fill in.

Every name is held against the schema, so that a typo fails when the boards are written, not on the
wall. The text itself is made in ``ioc.store.compile`` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from dashboards.measures import is_measure
from dashboards.setting import Setting
from ioc.errors import QueryError
from ioc.store.compile import Board, influxql, influxql_tag_values, influxql_worst
from ioc.store.derived import ALARM_ACTIVE, ASSET_STATE
from ioc.store.query import Aggregate, Column, Query, Tag
from ioc.store.schema import KPI, Measurement

SOURCE_TYPE = "influxdb"
SOURCE_UID = "ioc-influxdb"
SOURCE = DataSourceRef(type_val=SOURCE_TYPE, uid=SOURCE_UID)

# The newest snapshot before the end of the board's time, found once: its times are multiples of
# its length, so a half-open window of that length holds one. The seconds left at the end are for
# the way from the journal to the store.
ALARM_WINDOW = "time >= ${__to}ms - 13s AND time < ${__to}ms - 3s"
STATE_WINDOW = "time >= ${__to}ms - 65s AND time < ${__to}ms - 5s"
# Measures of all communes come every 10 s under one time, like alarms.
MEASURE_WINDOW = ALARM_WINDOW
# What is older than this is not shown as the present.
NOW_WINDOW = "time >= ${__to}ms - 60s AND time <= ${__to}ms"
# Readings come every 10 s, each asset at its own second; older than three of them is stale.
READING_WINDOW = "time >= ${__to}ms - 33s AND time < ${__to}ms - 3s"
# Counters come every 15 minutes.
COUNTER_WINDOW = "time >= ${__to}ms - 905s AND time < ${__to}ms - 5s"
_SNAPSHOTS = {ALARM_ACTIVE: ALARM_WINDOW, ASSET_STATE: STATE_WINDOW}

# The variable that chooses between raw series and roll-ups. No name ends in "_raw": with this value
# a measurement's own name is left.
RAW = "(_raw)?"
RESOLUTION = "${resolution:raw}"

Where = Mapping[Tag, Sequence[str]]
# Tags that rows are chosen by: names of tags that variables bear, or which variable for which tag.
Tags = Sequence[Tag] | Mapping[Tag, str]
Fields = Mapping[str, Sequence[bool | str]]


class InfluxQuery(Dataquery):
    """Grafana's query to InfluxDB, which the SDK has no type for (its documented way)."""

    def __init__(
        self,
        *,
        query: str,
        result_format: Literal["time_series", "table"],
        ref_id: str = "A",
        alias: str = "",
        hide: bool | None = None,
    ) -> None:
        self.query = query
        self.result_format = result_format
        self.ref_id = ref_id
        self.alias = alias
        self.hide = hide

    def to_json(self) -> dict[str, object]:
        payload: dict[str, object] = {
            "datasource": SOURCE,
            "query": self.query,
            "rawQuery": True,
            "refId": self.ref_id,
            "resultFormat": self.result_format,
        }
        if self.alias:
            payload["alias"] = self.alias
        if self.hide is not None:
            payload["hide"] = self.hide
        return payload

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(
            query=data["query"],
            result_format=data["resultFormat"],
            ref_id=data.get("refId", "A"),
            alias=data.get("alias", ""),
            hide=data.get("hide"),
        )


@dataclass(frozen=True, kw_only=True)
class Target(Builder[InfluxQuery]):
    """One query of a panel. ``alias`` names its series (``$tag_operator``, ``$col``)."""

    text: str
    table: bool = False
    alias: str = ""
    ref_id: str = "A"

    def build(self) -> InfluxQuery:
        return InfluxQuery(
            query=self.text,
            result_format="table" if self.table else "time_series",
            ref_id=self.ref_id,
            alias=self.alias,
        )


def over_time(
    on: Setting,
    measurement: str,
    columns: Mapping[str, Aggregate],
    *,
    where: Where | None = None,
    fields: Fields | None = None,
    tags: Tags = (),
    group_by: Sequence[Tag] = (),
    alias: str = "",
    rolled_up: bool = False,
) -> Target:
    """Aggregates in buckets as wide as the panel needs; empty buckets are left out.

    ``tags`` are variables of the board that rows must match: a sequence where a variable bears the
    tag's name, or tag and variable. ``rolled_up`` lets the variable
    ``resolution`` choose the raw series or a roll-up.
    """
    query = _query(
        measurement,
        [Column(metric=metric, aggregate=how) for metric, how in columns.items()],
        where=where,
        fields=fields,
        group_by=group_by,
        every_s=10,
    )
    known = _known(on, query, tags)
    board = Board(tags=_patterns(tags), suffix=RESOLUTION if rolled_up else "", limit=False)
    return Target(text=influxql(query, known, board=board), alias=alias)


def latest(
    on: Setting,
    measurement: str,
    metrics: Sequence[str],
    *,
    where: Where | None = None,
    fields: Fields | None = None,
    tags: Tags = (),
    group_by: Sequence[Tag] = (),
    alias: str = "",
    table: bool = False,
    how: Aggregate = "last",
    times: str = NOW_WINDOW,
) -> Target:
    """The last value of each metric in the minute before the end of the board's time (or another
    aggregate, or over other ``times``). What is older is not there: nothing stale looks present.

    One row, or one for each group: for few assets only, since every group is a series.
    """
    query = _query(
        measurement,
        [Column(metric=metric, aggregate=how) for metric in metrics],
        where=where,
        fields=fields,
        group_by=group_by,
    )
    known = _known(on, query, tags)
    board = Board(times=times, tags=_patterns(tags), limit=False)
    return Target(text=influxql(query, known, board=board), alias=alias, table=table)


def rows(
    on: Setting,
    measurement: str,
    metrics: Sequence[str],
    *,
    where: Where | None = None,
    fields: Fields | None = None,
    tags: Tags = (),
    columns: Sequence[Tag] = (),
    times: str = "$timeFilter",
    newest_first: bool = True,
    limit: int | None = 1000,
) -> Target:
    """Rows as they are, as one table: the metrics, the asset, and other tags as ``columns``."""
    query = _query(
        measurement,
        [Column(metric=metric) for metric in metrics],
        where=where,
        fields=fields,
        newest_first=newest_first,
        limit=limit or 1,
    )
    known = _known(on, query, (*tags, *columns))
    board = Board(
        times=times, tags=_patterns(tags), columns=tuple(columns), limit=limit is not None
    )
    return Target(text=influxql(query, known, board=board), table=True)


def snapshot(
    on: Setting,
    measurement: str,
    metrics: Sequence[str],
    *,
    where: Where | None = None,
    fields: Fields | None = None,
    tags: Tags = (),
    columns: Sequence[Tag] = (),
) -> Target:
    """All of ``alarm_active`` or ``asset_state`` at the end of the board's time: one frame.

    Raises ``KeyError`` for a measurement that has no snapshots.
    """
    return rows(
        on,
        measurement,
        metrics,
        where=where,
        fields=fields,
        tags=tags,
        columns=columns,
        times=_SNAPSHOTS[measurement],
        newest_first=False,
        limit=None,
    )


def worst(
    on: Setting,
    measurement: str,
    metrics: Sequence[str],
    *,
    most: bool,
    count: int = 10,
    where: Where | None = None,
    fields: Fields | None = None,
    tags: Tags = (),
    columns: Sequence[Tag] = (),
    times: str = READING_WINDOW,
) -> Target:
    """The assets with the greatest (``most``) or least values of the first metric, as one table.

    InfluxDB chooses them: a board gets ``count`` rows whatever the number of assets.
    """
    query = _query(
        measurement, [Column(metric=metric) for metric in metrics], where=where, fields=fields
    )
    known = _known(on, query, (*tags, *columns))
    if known.type_of(metrics[0]) not in ("float", "int"):
        raise QueryError(f"worst: {metrics[0]!r} of {measurement} is not a number")
    board = Board(times=times, tags=_patterns(tags), columns=tuple(columns))
    text = influxql_worst(query, known, board=board, most=most, count=count)
    return Target(text=text, table=True)


def tag_values(on: Setting, measurement: str, tag: Tag, *, tags: Tags = ()) -> str:
    """The query of a variable: all values of a tag, where other variables match."""
    probe = _query(measurement, [Column(metric=_any_metric(on, measurement))])
    known = _known(on, probe, (tag, *tags))
    if tag in known.as_fields:
        raise QueryError(f"{measurement} keeps {tag!r} as a field: its values cannot be listed")
    return influxql_tag_values(known, tag, tags=_patterns(tags))


def communes(on: Setting, measures: Sequence[str]) -> Target:
    """Measures of all communes at the end of the board's time: one frame, a row each."""
    return rows(
        on,
        KPI,
        measures,
        where={"scope": ("commune",)},
        times=MEASURE_WINDOW,
        newest_first=False,
        limit=None,
    )


def of_province(on: Setting) -> dict[Tag, tuple[str, ...]]:
    """Where the measures of the whole province stand in ``kpi``."""
    return {"scope": ("province",), "place": (on.province.id,)}


def _query(
    measurement: str,
    columns: Sequence[Column],
    *,
    where: Where | None = None,
    fields: Fields | None = None,
    group_by: Sequence[Tag] = (),
    every_s: int | None = None,
    newest_first: bool = False,
    limit: int = 10_000,
) -> Query:
    return Query(
        measurement=measurement,
        columns=tuple(columns),
        start_ms=0,  # Grafana fills in the times
        stop_ms=1,
        where={tag: tuple(values) for tag, values in (where or {}).items()},
        fields={name: tuple(values) for name, values in (fields or {}).items()},
        group_by=tuple(group_by),
        every_s=every_s,
        newest_first=newest_first,
        limit=limit,
    )


def _known(on: Setting, query: Query, tags: Iterable[Tag]) -> Measurement:
    """The measurement, once all names are known to fit. Raises ``QueryError``."""
    measurement = on.schema.measurement_for(query)
    if measurement is on.schema.kpi:
        for column in query.columns:
            if not is_measure(column.metric):
                raise QueryError(f"{column.metric!r}: not a measure of dashboards/measures.py")
    for tag in tags:
        if tag not in measurement.tags:
            expected = ", ".join(measurement.tags)
            raise QueryError(f"{measurement.name} has no tag {tag!r}, expected one of {expected}")
    return measurement


def _any_metric(on: Setting, measurement: str) -> str:
    if measurement == KPI:
        return "bts_total"
    known = on.schema.kinds.get(measurement)
    return next(iter(known.columns)) if known is not None else "ts"


def _patterns(tags: Tags) -> dict[str, str]:
    named = tags if isinstance(tags, Mapping) else {tag: tag for tag in tags}
    return {tag: f"^${{{variable}:regex}}$" for tag, variable in named.items()}
