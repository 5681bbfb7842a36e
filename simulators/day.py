"""What depends on the hour: traffic and weather. Local time is UTC+7, all year."""

from __future__ import annotations

import math

import numpy as np

UTC_OFFSET_H = 7.0
# Share of the busy hour's traffic at each full hour: low before dawn, a first hump at noon, the
# peak in the evening. The shape of published mobile traffic profiles, not of one network.
_TRAFFIC = np.array(
    [
        *(0.38, 0.26, 0.19, 0.15, 0.14, 0.19, 0.32, 0.47, 0.58, 0.63, 0.66, 0.71),
        *(0.74, 0.68, 0.64, 0.64, 0.67, 0.73, 0.81, 0.91, 1.00, 0.98, 0.82, 0.58),
    ]
)
_HOURS, _AROUND_THE_CLOCK = np.arange(25.0), np.append(_TRAFFIC, _TRAFFIC[0])
# People stay at home at weekends: offices' data comes down, the evening stays.
_WEEKEND = 0.93
_MS_PER_DAY = 86_400_000


def local_hour(now_ms: int) -> float:
    """The hour of the day, 0 to 24, in local time."""
    return (now_ms / 3_600_000 + UTC_OFFSET_H) % 24.0


def weekday(now_ms: int) -> int:
    """Monday is 0, in local time. 1970-01-01 was a Thursday."""
    return int((now_ms + UTC_OFFSET_H * 3_600_000) // _MS_PER_DAY + 3) % 7


def traffic(now_ms: int) -> float:
    """Traffic as a share of the busy hour's, 0 to 1."""
    share = float(np.interp(local_hour(now_ms), _HOURS, _AROUND_THE_CLOCK))
    return share * (_WEEKEND if weekday(now_ms) >= 5 else 1.0)


def outdoor_temperature_c(now_ms: int) -> float:
    """A dry-season day on the coast of Khánh Hòa: 24 °C before dawn, 32 °C in the afternoon."""
    return 28.0 + 4.0 * math.cos((local_hour(now_ms) - 14.0) / 24.0 * 2.0 * math.pi)
