"""Roll-ups: the same series at 5 minutes and at 1 hour, beside the raw rows.

A measurement ``bts`` has ``bts_5m`` and ``bts_1h``, with the same tags; a row's time is the begin
of its bucket, a multiple of its length since 1970 UTC. A number ``x`` becomes ``x`` (its mean),
``min_x``, ``max_x`` and ``count_x``; a bool or text ``x`` becomes ``x`` (the last one) and
``count_x``. So a question over raw rows or roll-ups differs in the measurement's name only. What
was not measured in a bucket is null there. An hour's row is made of its 5-minute rows: means are
weighted by their counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from ioc.catalog.model import MetricType

Tier = Literal["5m", "1h"]
# How long something is kept: raw rows, or one of the roll-ups.
Kept = Literal["raw", "5m", "1h"]
TIERS: tuple[Tier, ...] = ("5m", "1h")
BUCKET_MS: Mapping[Tier, int] = MappingProxyType({"5m": 300_000, "1h": 3_600_000})
DAY_MS = 86_400_000
MADE_OF: Mapping[Tier, Kept] = MappingProxyType({"5m": "raw", "1h": "5m"})

# Times that a store remembers (Unix ms): up to where everything was rolled up, and from where on
# what is kept is whole, for what came before was removed. They only grow.
Mark = Literal["rolled_up", "raw_begins", "5m_begins", "1h_begins"]
BEGINS: Mapping[Kept, Mark] = MappingProxyType(
    {"raw": "raw_begins", "5m": "5m_begins", "1h": "1h_begins"}
)

# A mean has this many decimals more than what it is a mean of.
MEAN_DECIMALS = 2
# Of a measure (``kpi``), which has three.
MEASURE_MEAN_DECIMALS = 3 + MEAN_DECIMALS
PREFIXES = ("min_", "max_", "count_")


def rolled_name(measurement: str, tier: Tier) -> str:
    """The measurement that holds the roll-ups of another."""
    return f"{measurement}_{tier}"


def rolled_columns(name: str, kind_of_value: MetricType) -> dict[str, MetricType]:
    """What a column becomes in a roll-up, by name."""
    if kind_of_value in ("float", "int"):
        return {
            name: "float",
            f"min_{name}": kind_of_value,
            f"max_{name}": kind_of_value,
            f"count_{name}": "int",
        }
    return {name: kind_of_value, f"count_{name}": "int"}
