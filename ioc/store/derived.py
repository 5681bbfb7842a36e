"""Series that the service works out itself, beside the readings and the measures.

- ``alarm``: one row for each transition of an alarm, under its time; its µs are made unique by the
  transition's id.
- ``alarm_active``: the alarms that stand, all under one time, every 10 s. Who asks for one window
  of 10 s gets each of them once.
- ``asset_state``: every asset with its state and place, all under one time, every minute. Who asks
  for one window of a minute gets each of them once: a map or a table is one frame.

They carry the tags of their asset, and its kind. Text columns are typed "enum", as the stores know
texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ioc.catalog.model import MetricType

ALARM = "alarm"
ALARM_ACTIVE = "alarm_active"
ASSET_STATE = "asset_state"

ALARM_ACTIVE_EVERY_MS = 10_000
ASSET_STATE_EVERY_MS = 60_000

_OF_AN_ALARM: Mapping[str, MetricType] = {
    "alarm": "enum",
    "severity": "enum",
    "severity_rank": "int",
    "event_type": "enum",
    "probable_cause": "enum",
    "source": "enum",
    "object": "enum",
    "text_vi": "enum",
    "text_en": "enum",
    "metric": "enum",
    "value": "float",
    "threshold": "float",
    "acknowledged": "bool",
    "acknowledged_by": "enum",
    "suppressed": "bool",
    "parent": "enum",
    "raised_ms": "int",
    "impact_assets": "int",
    "impact_stations": "int",
    "impact_population": "int",
}

# What each column means, with its unit: docs/measurements.md.
DERIVED: Mapping[str, Mapping[str, MetricType]] = MappingProxyType(
    {
        ALARM: {
            **_OF_AN_ALARM,
            "transition": "enum",
            "state": "enum",
            "actor": "enum",
            "comment": "enum",
            "cleared_ms": "int",
            "duration_s": "float",
        },
        ALARM_ACTIVE: {**_OF_AN_ALARM, "age_s": "int", "lat": "float", "lon": "float"},
        ASSET_STATE: {
            "state": "enum",
            "state_code": "int",
            "alarms": "int",
            "severity": "enum",
            "lat": "float",
            "lon": "float",
        },
    }
)

# 1 is the most severe: what stands first when sorted.
SEVERITY_RANK: Mapping[str, int] = MappingProxyType(
    {"critical": 1, "major": 2, "minor": 3, "warning": 4, "indeterminate": 5}
)
STATE_CODE: Mapping[str, int] = MappingProxyType(
    {"not_seen": 0, "up": 1, "degraded": 2, "down": 3, "silent": 4}
)
