"""The typed query: one question that every store answers alike.

It is limited to what InfluxQL and DuckDB SQL define the same way. Console, KPIs, backtests and
Grafana panels ask by it; nobody else writes query text.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
TagValue = Annotated[str, Field(min_length=1, max_length=128)]
Tag = Literal["province", "commune", "site", "asset", "operator", "kind", "scope", "place"]
Aggregate = Literal["mean", "min", "max", "sum", "count", "first", "last"]
MAX_ROWS = 100_000
# InfluxDB counts nanoseconds in 64 bits, which end in the year 2262; this is in 2255.
MAX_MS = 9_000_000_000_000


class Column(BaseModel):
    """A metric as it is, or one aggregate of it over each bucket or the whole span of time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Name
    aggregate: Aggregate | None = None

    @property
    def label(self) -> str:
        """The column's name in the answer: ``rx_power_dbm`` or ``mean_rx_power_dbm``."""
        return f"{self.aggregate}_{self.metric}" if self.aggregate else self.metric


class Query(BaseModel):
    """Readings of one kind (or ``kpi``) in ``[start_ms, stop_ms)``.

    Either every column is raw or every column is an aggregate. ``every_s`` cuts the time into
    buckets that begin at multiples of it since 1970 UTC; buckets without data are left out.
    ``where`` keeps rows whose tag is one of the values, ``fields`` those whose bool or text is one;
    ``group_by`` gives one series per
    combination of tag values. Rows come in the order of tags, then time; ``newest_first`` turns
    the time round; rows of one time come in the order of their asset (of a KPI: scope and place).
    ``limit`` is over all rows.

    Beside the catalog's metrics a kind has ``ts`` (the device's clock, Unix ms), ``boot`` and
    ``seq``. A mean is a float, ``count`` counts values that were measured and is 0 where another
    column has some; min, max, mean and sum are for numbers only. ``first`` and ``last`` go by
    storage time; of two assets at the same µs the greater value wins (the first of two bools is
    false).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    measurement: Name
    columns: tuple[Column, ...] = Field(min_length=1, max_length=32)
    start_ms: int = Field(ge=0, le=MAX_MS)
    stop_ms: int = Field(ge=0, le=MAX_MS)
    where: dict[Tag, tuple[TagValue, ...]] = Field(default_factory=dict, max_length=7)
    fields: dict[Name, tuple[bool | TagValue, ...]] = Field(default_factory=dict, max_length=7)
    group_by: tuple[Tag, ...] = Field(default=(), max_length=7)
    every_s: int | None = Field(default=None, ge=1, le=31_622_400)
    newest_first: bool = False
    limit: int = Field(default=10_000, ge=1, le=MAX_ROWS)

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        aggregates = {column.aggregate is not None for column in self.columns}
        if len(aggregates) != 1:
            raise ValueError("columns: either all raw or all aggregates")
        if self.stop_ms <= self.start_ms:
            raise ValueError("stop_ms: must be after start_ms")
        if self.every_s is not None and not self.aggregated:
            raise ValueError("every_s: needs aggregates")
        if len({column.label for column in self.columns}) != len(self.columns):
            raise ValueError("columns: one is given twice")
        if any(len(values) == 0 or len(values) > 1000 for values in self.where.values()):
            raise ValueError("where: 1 to 1,000 values for each tag")
        if any(len(values) == 0 or len(values) > 1000 for values in self.fields.values()):
            raise ValueError("fields: 1 to 1,000 values for each name")
        return self

    @property
    def aggregated(self) -> bool:
        return self.columns[0].aggregate is not None


class Answer(BaseModel):
    """Rows under ``columns``: the tags of ``group_by``, ``time_us``, then the query's columns.

    ``time_us`` is the storage time of a raw row, the bucket's begin with ``every_s``, and
    ``start_ms`` otherwise. A value that was not measured is null.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str | float | int | bool | None, ...]]
    truncated: bool = False
