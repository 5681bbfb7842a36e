"""The air outside: temperature and vapour by month and hour. Local time is UTC+7, all year.

Monthly normals, not weather: no day is hotter than another of its month, no storm cools the air.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np

UTC_OFFSET_H = 7.0
# Nha Trang, mean daily high and low of each month (°C), station record 1937–1994: Sistema de
# Clasificación Bioclimática Mundial (Rivas-Martínez), as reprinted in public climate tables.
HIGH_C = (27.8, 28.9, 30.0, 31.7, 32.8, 33.3, 32.8, 32.8, 31.7, 30.0, 28.9, 27.8)
LOW_C = (20.6, 20.6, 21.7, 23.3, 24.4, 24.4, 24.4, 24.4, 23.9, 23.3, 22.2, 21.7)
# How far below the day's high it is at 0, 1, ... 23 o'clock, as a share of the daily range: one
# profile for all climates and months (ASHRAE Handbook Fundamentals 2009, chapter 14, table 6).
BELOW_HIGH = (
    *(0.82, 0.88, 0.92, 0.95, 0.98, 1.00, 0.98, 0.91, 0.74, 0.55, 0.38, 0.23),
    *(0.13, 0.05, 0.00, 0.00, 0.06, 0.14, 0.24, 0.39, 0.50, 0.59, 0.68, 0.75),
)
_HOURS, _BELOW = np.arange(25.0), np.array([*BELOW_HIGH, BELOW_HIGH[0]])
# The normals stand for the middle of their month; December and January meet at both ends.
_MID_MONTH = np.arange(-0.5, 13.0)
_HIGH = np.array([HIGH_C[-1], *HIGH_C, HIGH_C[0]])
_LOW = np.array([LOW_C[-1], *LOW_C, LOW_C[0]])


def local_hour(now_ms: int) -> float:
    """The hour of the day, 0 to 24, in local time."""
    return (now_ms / 3_600_000 + UTC_OFFSET_H) % 24.0


def _high_and_low_c(now_ms: int) -> tuple[float, float]:
    there = datetime.fromtimestamp(now_ms / 1000.0, UTC) + timedelta(hours=UTC_OFFSET_H)
    month = there.month - 1 + (there.day - 0.5) / 30.5
    return float(np.interp(month, _MID_MONTH, _HIGH)), float(np.interp(month, _MID_MONTH, _LOW))


def outdoor_temperature_c(now_ms: int) -> float:
    """The air on the coast of Khánh Hòa (°C), as usual for the month and the hour."""
    high_c, low_c = _high_and_low_c(now_ms)
    return high_c - float(np.interp(local_hour(now_ms), _HOURS, _BELOW)) * (high_c - low_c)


def outdoor_vapour_hpa(now_ms: int) -> float:
    """Vapour pressure of the air (hPa): what saturates it at the day's low, which in a humid
    climate is about the dew point (FAO Irrigation and Drainage Paper 56, 1998, equation 48)."""
    return saturation_hpa(_high_and_low_c(now_ms)[1])


def saturation_hpa(temperature_c: float) -> float:
    """Vapour pressure over water at saturation (hPa): Magnus formula (WMO-No. 8, annex 4.B)."""
    return 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))
