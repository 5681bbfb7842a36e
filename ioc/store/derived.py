"""Series that the service works out itself, beside the readings and the measures.

- ``alarm``: one row for each transition of an alarm, under its time and its id (``numbered``).
- ``alarm_active``: the alarms that stand, all under one time, every 10 s, numbered. Who asks for
  one window of 10 s gets each of them once.
- ``asset_state``: every asset with its state and place, all under one time, every minute. Who asks
  for one window of a minute gets each of them once: a map or a table is one frame.

They carry the tags of their asset, and its kind. Alarms are asked for by time, whatever their
asset: a series for each asset would make such a question as costly as there are assets, so InfluxDB
keeps most of their tags as fields (``TAGS_AS_FIELDS``). Text columns are typed "enum", as the
stores know texts. What follows from the asset or from other columns is not journalled:
``completed`` adds it when a row is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from ioc.catalog.model import MetricType
from ioc.inventory import Asset, Site
from ioc.journal.records import Reading, Value

ALARM = "alarm"
ALARM_ACTIVE = "alarm_active"
ASSET_STATE = "asset_state"

ALARM_ACTIVE_EVERY_MS = 10_000
ASSET_STATE_EVERY_MS = 60_000

# Measurements whose rows are in few series, told apart by their number.
NUMBERED = frozenset({ALARM, ALARM_ACTIVE})
TAGS_AS_FIELDS = ("commune", "site", "asset", "operator")

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


def numbered(
    kind: str, asset: str, columns: dict[str, Value], *, at_ms: int, number: int
) -> Reading:
    """A row of a measurement whose rows are told apart by a number, within their millisecond.

    ``number`` is the row's ``seq``; its last three digits are the µs of the storage time. A store
    whose series hold more than one asset takes three more digits as the ns (``more_ns``).
    """
    return Reading(
        kind, asset, at_ms * 1000 + number % 1000, at_ms, at_ms, columns, boot=None, seq=number
    )


def more_ns(number: int) -> int:
    """What tells a numbered row from others in its µs: a million in a millisecond, in all."""
    return number // 1000 % 1000


def completed(row: Reading, asset: Asset, sites: Mapping[str, Site]) -> Reading:
    """A journalled row with all its columns: codes and ranks of its words, an alarm's age, and
    where it is on the map. A span is in the middle between its sites."""
    values = row.values
    more: dict[str, Value | None] = {}
    if row.kind == ASSET_STATE:
        more["state_code"] = STATE_CODE.get(str(values.get("state")))
        more["alarms"] = 0
    else:
        more["severity_rank"] = SEVERITY_RANK.get(str(values.get("severity")))
    if row.kind == ALARM_ACTIVE and "raised_ms" in values:
        more["age_s"] = max(0, row.time_us // 1000 - int(values["raised_ms"])) // 1000
    if row.kind != ALARM:
        more["lat"], more["lon"] = _place(asset, sites)
    added = {name: value for name, value in more.items() if value is not None}
    return msgspec.structs.replace(row, values=added | values)


def _place(asset: Asset, sites: Mapping[str, Site]) -> tuple[float, float]:
    """Latitude and longitude, in degrees."""
    a, b = sites.get(asset.site), sites.get(asset.far_site)
    if a is None or b is None:
        return asset.lat, asset.lon
    return round((a.lat + b.lat) / 2, 6), round((a.lon + b.lon) / 2, 6)
