"""Units of the catalog and of the plan, as Grafana calls them."""

from __future__ import annotations

from grafana_foundation_sdk.models import units

# Some of Grafana's own are not used. "short" writes 3,900 as 3.9 K: counts are shown in full, as
# the reader's language writes them. Lengths, watts, decibels and times of its own are scaled
# ("10.7 Mm", "2 kW" without decimals, "-300 mdBm") or in English words ("15 mins"): they get a
# plain suffix.
_GRAFANA: dict[str, str] = {
    "1": units.LocaleFormat,
    "%": units.Percent,
    "dBm": "suffix:dBm",
    "dB": "suffix:dB",
    "°C": units.Celsius,
    "V": units.Volt,
    "A": units.Ampere,
    "mA": "suffix:mA",
    "W": "suffix:W",
    "kW": units.KiloWatt,
    "km": "suffix:km",
    "kbit/s": units.KilobitsPerSecond,
    "Mbit/s": units.MegabitsPerSecond,
    "us": "suffix:µs",
    "ms": "suffix:ms",
    "s": "suffix:s",
    "min": "suffix:min",
    "h": "suffix:h",
    "By": units.BytesIEC,
    "B": units.BytesIEC,
    "MiB": units.Mebibytes,
    "1/s": "suffix:/s",
    "1/min": "suffix:/min",
}


def grafana_unit(unit: str) -> str:
    """Grafana's id of a unit. Raises ``KeyError`` naming one that has none here yet."""
    found = _GRAFANA.get(unit)
    if found is None:
        raise KeyError(f"unit {unit!r}: give it its Grafana id in dashboards/units.py")
    return found
