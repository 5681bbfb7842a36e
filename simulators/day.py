"""How busy the people under a station are: by the hour, the weekday and the holiday.

Three uses of the land have curves of their own (homes, offices, leisure); each station is a mix of
them, by what its commune is. Local time is UTC+7, all year.

Source of the curves: F. Xu, Y. Li, H. Wang, P. Zhang and D. Jin, "Understanding Mobile Traffic
Patterns of Large Scale Cellular Towers in Urban Environment", IEEE/ACM Transactions on Networking
25(2), 2017: the week of the residential, office and entertainment clusters of 9,600 towers of a
large city, as digitised in the public data set tmc-calc/mob-traffic-ds; means over each hour here,
of five working days and of the weekend, as shares of that day's peak. They agree with the European
profile of EARTH deliverable D2.3 (2012): its peak is at 21, its trough at 5 o'clock with 15 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from ioc.errors import ConfigError
from ioc.inventory import Asset
from ioc.inventory.province import load_province
from simulators.table import FloatArray, IntArray
from simulators.weather import UTC_OFFSET_H

HOME, OFFICE, LEISURE = 0, 1, 2
# Share of that day's peak, mean of the hours from 0, 1, ... 23 o'clock on.
WORKING_DAY = np.array(
    [
        [
            *(0.52, 0.34, 0.24, 0.18, 0.16, 0.18, 0.29, 0.42, 0.48, 0.54, 0.59, 0.61),
            *(0.62, 0.62, 0.64, 0.66, 0.68, 0.76, 0.85, 0.92, 0.96, 0.99, 0.96, 0.80),
        ],
        [
            *(0.17, 0.12, 0.09, 0.06, 0.06, 0.07, 0.11, 0.32, 0.74, 0.95, 0.99, 1.00),
            *(0.99, 0.99, 0.96, 0.90, 0.77, 0.58, 0.44, 0.39, 0.37, 0.34, 0.31, 0.24),
        ],
        [
            *(0.20, 0.16, 0.12, 0.09, 0.09, 0.10, 0.14, 0.31, 0.52, 0.68, 0.91, 0.95),
            *(0.95, 0.93, 0.94, 0.96, 0.98, 0.99, 0.98, 0.89, 0.76, 0.59, 0.39, 0.26),
        ],
    ]
)
DAY_OFF = np.array(
    [
        [
            *(0.67, 0.41, 0.31, 0.24, 0.19, 0.19, 0.25, 0.40, 0.61, 0.73, 0.81, 0.85),
            *(0.86, 0.85, 0.85, 0.86, 0.88, 0.90, 0.91, 0.94, 0.98, 0.99, 0.96, 0.83),
        ],
        [
            *(0.48, 0.35, 0.25, 0.18, 0.14, 0.14, 0.18, 0.29, 0.53, 0.76, 0.93, 0.98),
            *(0.99, 0.99, 0.98, 0.95, 0.91, 0.86, 0.83, 0.82, 0.80, 0.77, 0.70, 0.57),
        ],
        [
            *(0.21, 0.18, 0.13, 0.10, 0.09, 0.08, 0.12, 0.21, 0.36, 0.57, 0.87, 0.97),
            *(1.00, 0.98, 0.97, 0.97, 0.97, 0.96, 0.90, 0.83, 0.69, 0.53, 0.37, 0.25),
        ],
    ]
)
# Places, and what the people under their stations are doing: shares of homes, offices and leisure
# in the peaks (assumption; the source counts towers of one city, not of a province).
PLACES = ("ward", "coastal ward", "commune", "coastal commune")
MIX = np.array([[0.60, 0.28, 0.12], [0.52, 0.22, 0.26], [0.86, 0.10, 0.04], [0.76, 0.10, 0.14]])
# Peaks of a day by place and use, against a working day. The source's days are each a share of
# their own peak, so these are assumptions: at weekends homes peak as high as on working days and
# offices half as high; on public holidays offices empty further, home communes and beaches fill;
# at Tết people go home to the country, and offices are closed.
WEEKEND = np.array([[1.0, 0.5, 1.0], [1.0, 0.5, 1.1], [1.0, 0.5, 1.0], [1.0, 0.5, 1.1]])
HOLIDAY = np.array([[1.0, 0.3, 1.1], [1.0, 0.3, 1.5], [1.1, 0.3, 1.1], [1.1, 0.3, 1.4]])
TET = np.array([[0.9, 0.15, 1.1], [0.95, 0.15, 1.5], [1.3, 0.15, 1.2], [1.3, 0.15, 1.5]])
ORDINARY = np.ones_like(MIX)


@lru_cache(maxsize=8)
def public_holidays(year: int) -> Mapping[date, str]:
    """Việt Nam's public holidays of a year with their English names (package ``holidays``)."""
    # Not before it is needed: it brings every country's, 45 MB in most of a second.
    import holidays

    return dict(holidays.country_holidays("VN", years=year, language="en_US"))


@lru_cache(maxsize=64)
def _peaks(day: date) -> tuple[FloatArray, FloatArray]:
    """The curves of this day by use, and their peaks by place and use."""
    name = public_holidays(day.year).get(day, "")
    if "Lunar New Year" in name:
        return DAY_OFF, TET
    if name:
        return DAY_OFF, HOLIDAY
    return (DAY_OFF, WEEKEND) if day.weekday() >= 5 else (WORKING_DAY, ORDINARY)


def _levels(day: date, hour: int) -> FloatArray:
    curves, peaks = _peaks(day)
    found: FloatArray = peaks * curves[:, hour]
    return found


def levels(now_ms: int) -> FloatArray:
    """How busy each place (row) is in each use (column), as a share of the peak of a working day:
    between the middles of two hours in a straight line, also over midnight."""
    there = datetime.fromtimestamp(now_ms / 1000.0, UTC) + timedelta(hours=UTC_OFFSET_H - 0.5)
    share = (there.minute * 60 + there.second + there.microsecond / 1e6) / 3600.0
    following = there + timedelta(hours=1)
    before = _levels(there.date(), there.hour)
    after = _levels(following.date(), following.hour)
    return before + (after - before) * share


def weekly_mean(mix: FloatArray) -> FloatArray:
    """The mean of an ordinary week as a share of the peaks, for rows of ``mix`` without regard to
    place."""
    by_use = (5.0 * WORKING_DAY + 2.0 * WEEKEND[0][:, None] * DAY_OFF).mean(axis=1) / 7.0
    found: FloatArray = mix @ by_use
    return found


@lru_cache(maxsize=16)
def _places(province: str) -> Mapping[str, int]:
    """The place of each commune of a province; none where there is no such profile."""
    try:
        profile = load_province(province)
    except ConfigError:
        return {}
    return {unit.code: 2 * (unit.type != "ward") + unit.coastal for unit in profile.communes}


def places_of(assets: Sequence[Asset]) -> IntArray:
    """Each asset's place as an index into ``PLACES``: by its commune in the province's profile.
    What no profile knows is a commune inland."""
    return np.array([_places(a.province).get(a.commune, 2) for a in assets], dtype=np.int64)


def drawn_mix(places: IntArray, rng: np.random.Generator) -> FloatArray:
    """Each station's own mix around its place's: under some there are only homes, under others an
    office block (a Dirichlet draw with concentration 12; assumption)."""
    drawn = rng.standard_gamma(12.0 * MIX[places])
    found: FloatArray = drawn / drawn.sum(axis=1, keepdims=True)
    return found
