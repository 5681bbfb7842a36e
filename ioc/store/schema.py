"""What the stores hold: one measurement per kind of the catalog, ``kpi``, and what the service
works out of alarms and states (``ioc.store.derived``).

Every store is typed by the catalog alone, never by the first value that happens to come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ioc.catalog.model import Catalog, MetricType
from ioc.errors import ConfigError, QueryError
from ioc.inventory import Asset
from ioc.store.derived import DERIVED
from ioc.store.query import Query

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
OWN_MEASUREMENTS = frozenset({KPI, *DERIVED, "ioc_position", "ioc_schema", "ioc_series"})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
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
    any well-formed name is a float there, and one that was never written has no rows.
    """

    name: str
    tags: tuple[str, ...]
    columns: Mapping[str, MetricType]
    open: bool = False

    def type_of(self, metric: str) -> MetricType | None:
        """The type of a metric; None when there is none of that name."""
        if self.open:
            return "float" if is_measure_name(metric) else None
        return self.columns.get(metric)


class Schema:
    """All measurements of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        """Raises ``ConfigError`` when a kind or metric takes a name that the stores need."""
        taken = [f"kind {name}" for name in sorted(OWN_MEASUREMENTS & catalog.kinds.keys())]
        for name, kind in catalog.kinds.items():
            taken += [f"{name}.{metric}" for metric in sorted(_NOT_A_METRIC & kind.metrics.keys())]
        if taken:
            raise ConfigError(f"catalog: {', '.join(taken)}: the name is reserved by the stores")
        self.kinds: dict[str, Measurement] = {
            name: Measurement(
                name=name,
                tags=ASSET_TAGS,
                columns={
                    **OWN_COLUMNS,
                    **{metric: described.type for metric, described in kind.metrics.items()},
                },
            )
            for name, kind in catalog.kinds.items()
        }
        for name, columns in DERIVED.items():
            self.kinds[name] = Measurement(
                name=name, tags=DERIVED_TAGS, columns={**OWN_COLUMNS, **columns}
            )
        self.kpi = Measurement(name=KPI, tags=KPI_TAGS, columns={}, open=True)

    def measurement_for(self, query: Query) -> Measurement:
        """The measurement a query asks, once all its names and aggregates are known to fit.

        Raises ``QueryError`` naming the field and what would be right.
        """
        measurement = self.kpi if query.measurement == KPI else self.kinds.get(query.measurement)
        if measurement is None:
            known = ", ".join(sorted([*self.kinds, KPI]))
            raise QueryError(
                f"measurement {query.measurement!r}: not in the catalog, expected one of {known}"
            )
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
        _check_choice(query, measurement)
        return measurement


def _check_choice(query: Query, measurement: Measurement) -> None:
    """Raises ``QueryError`` for a field or tag to choose or group by that is not there."""
    for name, wanted in query.fields.items():
        kind_of_value = measurement.type_of(name)
        if kind_of_value not in ("bool", "enum"):
            raise QueryError(f"fields: {measurement.name} has no bool or text {name!r}")
        for value in wanted:
            if isinstance(value, bool) != (kind_of_value == "bool"):
                raise QueryError(f"fields: {name} is {kind_of_value}, {value!r} is not")
    for field, tags in (("where", tuple(query.where)), ("group_by", query.group_by)):
        for tag in tags:
            if tag not in measurement.tags:
                expected = ", ".join(measurement.tags)
                raise QueryError(
                    f"{field}: {measurement.name} has no tag {tag!r}, expected one of {expected}"
                )
    if len(set(query.group_by)) != len(query.group_by):
        raise QueryError("group_by: a tag is given twice")


def is_measure_name(name: str) -> bool:
    """Whether a KPI may be called so: it becomes a column's name."""
    return _NAME.fullmatch(name) is not None and name not in _NOT_A_MEASURE


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
