"""What the stores hold: one measurement per kind of the catalog, ``kpi``, the roll-ups of both
(``ioc.store.tiers``), and what the service works out of alarms and states (``ioc.store.derived``).

Every store is typed by the catalog alone, never by the first value that happens to come.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ioc.catalog.model import Catalog, MetricType
from ioc.errors import ConfigError, QueryError
from ioc.inventory import Asset
from ioc.store.derived import ALARM, DERIVED, NUMBERED, TAGS_AS_FIELDS
from ioc.store.query import Query
from ioc.store.tiers import MEAN_DECIMALS, PREFIXES, TIERS, Kept, rolled_columns, rolled_name

ASSET_TAGS = ("province", "commune", "site", "asset", "operator")
# Measurements that hold assets of every kind say which.
DERIVED_TAGS = (*ASSET_TAGS, "kind")
KPI_TAGS = ("scope", "place")
KPI = "kpi"
# Beside a reading's metrics: the device's clock (Unix ms), and its boot and seq where it has them.
OWN_COLUMNS: Mapping[str, MetricType] = {"ts": "int", "boot": "int", "seq": "int"}
# What a column of a store's own would clash with, beyond what the catalog itself reserves.
_NOT_A_METRIC = frozenset({"series", *OWN_COLUMNS})
# Names of the stores' own tables and measurements: a kind may not take them.
OWN_MEASUREMENTS = frozenset(
    {KPI, *DERIVED, "ioc_mark", "ioc_position", "ioc_schema", "ioc_series"}
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NAME_LENGTH = 64
# With a roll-up's prefix it must still be a name.
LONGEST_METRIC = _NAME_LENGTH - max(map(len, PREFIXES))
_NOT_A_MEASURE = frozenset({"time", "name", "value", *KPI_TAGS})
# What InfluxQL and DuckDB SQL can both say of a type, with the same result.
_AGGREGATES: Mapping[MetricType, frozenset[str]] = {
    "float": frozenset({"mean", "min", "max", "sum", "count", "first", "last"}),
    "int": frozenset({"mean", "min", "max", "sum", "count", "first", "last"}),
    "bool": frozenset({"count", "first", "last"}),
    "enum": frozenset({"count", "first", "last"}),
}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One table (DuckDB) or measurement (InfluxDB).

    ``columns`` gives every metric its type. The ``kpi`` measurement has no catalog: it is ``open``,
    any well-formed name is a float there, and one that was never written has no rows. ``rolled``
    are roll-ups. ``as_fields`` are those of the tags that InfluxDB keeps as fields, so that rows of
    all assets are in few series: on no store can one group by them.
    """

    name: str
    tags: tuple[str, ...]
    columns: Mapping[str, MetricType]
    open: bool = False
    rolled: bool = False
    as_fields: tuple[str, ...] = ()

    def type_of(self, metric: str) -> MetricType | None:
        """The type of a metric; None when there is none of that name."""
        if not self.open:
            return self.columns.get(metric)
        prefix, name = split_prefix(metric) if self.rolled else ("", metric)
        if not is_measure_name(name):
            return None
        return "int" if prefix == "count_" else "float"


class Schema:
    """All measurements of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        """Raises ``ConfigError`` when a kind or metric takes a name that the stores need."""
        taken = [name for kind in catalog.kinds for name in _taken(kind, catalog)]
        if taken:
            raise ConfigError(f"catalog: {', '.join(taken)}: the name is reserved by the stores")
        of_metrics: dict[str, dict[str, MetricType]] = {
            name: {metric: described.type for metric, described in kind.metrics.items()}
            for name, kind in catalog.kinds.items()
        }
        self.kinds: dict[str, Measurement] = {
            name: Measurement(name=name, tags=ASSET_TAGS, columns={**OWN_COLUMNS, **metrics})
            for name, metrics in of_metrics.items()
        }
        for name, columns in DERIVED.items():
            self.kinds[name] = Measurement(
                name=name,
                tags=DERIVED_TAGS,
                columns={**OWN_COLUMNS, **columns},
                as_fields=TAGS_AS_FIELDS if name in NUMBERED else (),
            )
        self.kpi = Measurement(name=KPI, tags=KPI_TAGS, columns={}, open=True)
        # What has roll-ups, and the metrics that go into them. Of ``kpi`` that is all it holds.
        self.rolled_up: Mapping[str, Mapping[str, MetricType]] = {**of_metrics, KPI: {}}
        self.measurements: dict[str, Measurement] = {**self.kinds, KPI: self.kpi}
        for name, metrics in self.rolled_up.items():
            of = self.measurements[name]
            columns = {}
            for metric, kind_of_value in metrics.items():
                columns |= rolled_columns(metric, kind_of_value)
            for tier in TIERS:
                rolled = rolled_name(name, tier)
                self.measurements[rolled] = Measurement(
                    name=rolled, tags=of.tags, columns=columns, open=of.open, rolled=True
                )
        self._decimals = {
            (name, metric): described.decimals + MEAN_DECIMALS
            for name, kind in catalog.kinds.items()
            for metric, described in kind.metrics.items()
        }

    def mean_decimals(self, kind: str, metric: str) -> int:
        """To how many decimals a mean of this metric is kept in a roll-up."""
        return self._decimals[kind, metric]

    def kept(self, kept: Kept) -> tuple[str, ...]:
        """The measurements that are kept as long as raw rows, or as a tier of roll-ups."""
        if kept == "raw":
            return (*(name for name in self.kinds if name != ALARM), KPI)
        rolled = tuple(rolled_name(name, kept) for name in self.rolled_up)
        return (*rolled, ALARM) if kept == "1h" else rolled

    def measurement_for(self, query: Query) -> Measurement:
        """The measurement a query asks, once all its names and aggregates are known to fit.

        Raises ``QueryError`` naming the field and what would be right.
        """
        measurement = self.measurements.get(query.measurement)
        if measurement is None:
            known = ", ".join(sorted(self.measurements))
            raise QueryError(
                f"measurement {query.measurement!r}: not in the catalog, expected one of {known}"
            )
        _check_columns(query, measurement)
        _check_fields(query, measurement)
        groups = tuple(tag for tag in measurement.tags if tag not in measurement.as_fields)
        _check_tags("where", query.where, measurement, measurement.tags)
        _check_tags("group_by", query.group_by, measurement, groups)
        if len(set(query.group_by)) != len(query.group_by):
            raise QueryError("group_by: a tag is given twice")
        return measurement


def _taken(kind: str, catalog: Catalog) -> list[str]:
    """Which names of a kind the stores need for themselves, or would give to two things."""
    metrics = catalog.kinds[kind].metrics
    taken = []
    if kind in OWN_MEASUREMENTS or kind.endswith(tuple(f"_{tier}" for tier in TIERS)):
        taken.append(f"kind {kind}")
    if len(rolled_name(kind, TIERS[0])) > _NAME_LENGTH:
        taken.append(f"kind {kind} (too long)")
    taken += [f"{kind}.{metric}" for metric in sorted(_NOT_A_METRIC & metrics.keys())]
    made = {name for m, one in metrics.items() for name in rolled_columns(m, one.type) if name != m}
    taken += [f"{kind}.{metric}" for metric in sorted(made & metrics.keys())]
    return taken + [
        f"{kind}.{metric} (too long)" for metric in metrics if len(metric) > LONGEST_METRIC
    ]


def _check_columns(query: Query, measurement: Measurement) -> None:
    for column in query.columns:
        kind_of_value = measurement.type_of(column.metric)
        if kind_of_value is None:
            raise QueryError(
                f"columns: {measurement.name} has no metric {column.metric!r} in the catalog"
            )
        if column.aggregate and column.aggregate not in _AGGREGATES[kind_of_value]:
            expected = ", ".join(sorted(_AGGREGATES[kind_of_value]))
            raise QueryError(
                f"columns: {column.aggregate} of {column.metric!r}: it is {kind_of_value}, "
                f"which has {expected}"
            )


def _check_tags(
    field: str, tags: Iterable[str], measurement: Measurement, known: tuple[str, ...]
) -> None:
    for tag in tags:
        if tag not in known:
            has_no = "has no tag" if tag not in measurement.tags else "is not grouped by"
            raise QueryError(
                f"{field}: {measurement.name} {has_no} {tag!r}, expected one of {', '.join(known)}"
            )


def _check_fields(query: Query, measurement: Measurement) -> None:
    for name, wanted in query.fields.items():
        kind_of_value = measurement.type_of(name)
        if kind_of_value not in ("bool", "enum"):
            raise QueryError(f"fields: {measurement.name} has no bool or text {name!r}")
        for value in wanted:
            if isinstance(value, bool) != (kind_of_value == "bool"):
                raise QueryError(f"fields: {name} is {kind_of_value}, {value!r} is not")


def split_prefix(metric: str) -> tuple[str, str]:
    """``min_bts_up`` as ("min_", "bts_up"), and ``bts_up`` as ("", "bts_up")."""
    for prefix in PREFIXES:
        if metric.startswith(prefix):
            return prefix, metric.removeprefix(prefix)
    return "", metric


def is_measure_name(name: str) -> bool:
    """Whether a KPI may be called so: it becomes a column's name, and names of roll-ups."""
    return (
        _NAME.fullmatch(name) is not None
        and len(name) <= LONGEST_METRIC
        and name not in _NOT_A_MEASURE
        and not name.startswith(PREFIXES)
    )


def tag_text(text: str) -> str:
    """A tag's value as every store keeps and finds it.

    Line protocol has no way to write a line break, nor a backslash at the end; so control
    characters become spaces and a backslash becomes a slash, on every store alike. At most 128
    characters, without blanks around them.
    """
    if text.isalnum():  # nearly always: codes and ids
        return text[:128]
    clean = "".join(
        " " if ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u2028\u2029" else char
        for char in text.replace("\\", "/")
    )
    return clean[:128].strip()


def tags_of(asset: Asset) -> tuple[str, str, str, str, str, str]:
    """The values of ``DERIVED_TAGS``; without the last one those of ``ASSET_TAGS``."""
    return (
        tag_text(asset.province),
        tag_text(asset.commune),
        tag_text(asset.site),
        tag_text(asset.id),
        tag_text(asset.operator),
        tag_text(asset.kind),
    )


def result_type(measurement: Measurement, metric: str, aggregate: str | None) -> MetricType:
    """The type of a column of the answer: a mean is a float, a count an int."""
    if aggregate == "mean":
        return "float"
    if aggregate == "count":
        return "int"
    kind_of_value = measurement.type_of(metric)
    assert kind_of_value is not None, "the query was checked"
    return kind_of_value
