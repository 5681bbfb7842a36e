"""The platforms that run on the data centres, and where they run: at home, or at the site that
keeps their copy."""

from __future__ import annotations

import numpy as np

from simulators.dc_places import Places
from simulators.table import BoolArray, FloatArray, IntArray
from simulators.weather import local_hour

# Work of the platforms at each full hour as a share of what the servers are sized for: office
# hours of agencies (7:30–11:30, 13:30–17:00), online services in the evening, batches at night.
# A made-up curve; weekends have half of what office hours add.
_WORK = np.array(
    [
        *(0.56, 0.55, 0.55, 0.54, 0.54, 0.56, 0.62, 0.74, 0.86, 0.90, 0.90, 0.84),
        *(0.74, 0.80, 0.88, 0.88, 0.85, 0.74, 0.68, 0.70, 0.72, 0.70, 0.64, 0.58),
    ]
)
WEEKEND_SHARE = 0.5
_HOURS, _AROUND_THE_CLOCK = np.arange(25.0), np.append(_WORK, _WORK[0])
_LEAST = 0.54
# What is missing for so long is moved to the other site, whose platforms then start one after the
# other for so long; it goes home when its own site could carry it for so long and has all data
# again. Assumptions: nobody publishes those of a provincial centre.
DECIDE_S = 600.0
MOVE_S = 600.0
STABLE_S = 1800.0


def work_share(now_ms: int) -> float:
    """Work of the platforms as a share of what the servers are sized for."""
    share = float(np.interp(local_hour(now_ms), _HOURS, _AROUND_THE_CLOCK))
    # The days since Thursday, 1970-01-01, in local time (UTC+7); Saturday and Sunday are off.
    day = int((now_ms / 3_600_000 + 7.0) // 24.0)
    return _LEAST + WEEKEND_SHARE * (share - _LEAST) if (day + 3) % 7 >= 5 else share


def mean_work_share() -> float:
    """Over a working day."""
    return float(_WORK.mean())


class Platforms:
    """Whose work is done where. All work in the unit of ``Racks``, per place.

    ``partner`` is the place to which each one's storage replicates, itself where there is none.
    ``served_kw`` is what each place does (its own and others' work), ``unserved_kw`` what of each
    place's own platforms nobody does.
    """

    def __init__(self, places: Places, design_kw: FloatArray, partner: IntArray) -> None:
        self._design_kw, self.partner = design_kw, partner
        self.moved: FloatArray = np.zeros(places.count)
        self._wanted: FloatArray = np.zeros(places.count)
        self._short_s: FloatArray = np.zeros(places.count)
        self._well_s: FloatArray = np.zeros(places.count)
        self.served_kw: FloatArray = np.zeros(places.count)
        self.hosted_kw: FloatArray = np.zeros(places.count)
        self.unserved_kw: FloatArray = np.zeros(places.count)
        # What of each place's own work is done elsewhere.
        self.away_kw: FloatArray = np.zeros(places.count)

    def advance(
        self,
        now_ms: int,
        h_s: float,
        *,
        capacity_kw: FloatArray,
        takes: BoolArray,
        resynchronised: BoolArray,
    ) -> None:
        """Move platforms by ``h_s``. ``takes``: places that can start others' platforms;
        ``resynchronised``: places whose storage has all that was written elsewhere."""
        demand = self._design_kw * work_share(now_ms)
        missing = 1.0 - np.minimum(capacity_kw / np.maximum(demand, 1e-9), 1.0)
        short = missing > np.maximum(self.moved, 0.02)
        self._short_s = np.where(short, self._short_s + h_s, 0.0)
        goes = (self._short_s >= DECIDE_S) & takes[self.partner] & (self.partner != _self(demand))
        self._wanted = np.where(goes, np.maximum(self._wanted, missing), self._wanted)
        well = (missing <= 0.02) & resynchronised
        self._well_s = np.where(well, self._well_s + h_s, 0.0)
        self._wanted = np.where(self._well_s >= STABLE_S, 0.0, self._wanted)
        pace = h_s / MOVE_S
        self.moved += np.minimum(np.maximum(self._wanted - self.moved, -pace), pace)
        own_kw = np.minimum(demand * (1.0 - self.moved), capacity_kw)
        asked_kw = demand * self.moved
        asked_of = np.bincount(self.partner, asked_kw, minlength=len(demand))
        spare_kw = np.maximum(capacity_kw - own_kw, 0.0) * takes
        taken = np.minimum(asked_of, spare_kw) / np.maximum(asked_of, 1e-9)
        self.away_kw = asked_kw * taken[self.partner]
        self.hosted_kw = np.bincount(self.partner, self.away_kw, minlength=len(demand)).astype(
            np.float64
        )
        self.served_kw = own_kw + self.hosted_kw
        self.unserved_kw = demand - own_kw - self.away_kw


def _self(values: FloatArray) -> IntArray:
    return np.arange(len(values), dtype=np.int64)
