"""The servers of a data centre, rack by rack: what they can do, what they draw, when they stop."""

from __future__ import annotations

import numpy as np

from simulators.dc_places import Places
from simulators.table import BoolArray, FloatArray, wander

# A server draws about half of its full power when idle and the rest with its use, and is used
# between 10 and 50 % (Barroso and Hölzle, The Case for Energy-Proportional Computing, IEEE
# Computer 40/12, 2007). ``it_load_kw`` of a rack is what it draws when it is half used.
IDLE_SHARE = 0.5
USUAL_USE = 0.5
# Servers are not filled beyond this; common practice.
MOST_USE = 0.9
# A stopped server feeds its management controller alone; an assumption.
STANDBY_SHARE = 0.04
# Air inlet thresholds of a server enclosure: 38 °C warning, 41 °C critical, at 43 °C it shuts
# itself down (Dell PowerEdge C8000 manual, table 5-6). Between the first two, processors are held
# back from full use down to this (assumption).
THROTTLE_C, CRITICAL_C, STOP_C = 38.0, 41.0, 43.0
THROTTLED_USE = 0.2
# Nobody starts servers in a room that is not back in ASHRAE's recommended range (27 °C); then it
# takes so long until somebody has looked at a rack that stopped by heat, or until one that lost
# its power has started by itself. Assumptions.
RESTART_BELOW_C = 27.0
AFTER_HEAT_S = (600.0, 1200.0)
AFTER_POWER_S = (240.0, 420.0)
# A blocked rack ("high-temperature") warms by this much within minutes; assumptions.
BLOCKED_K, BLOCKED_TAU_S = 12.0, 90.0


class Racks:
    """State of every rack, with the stand-ins of ``Places`` at the end."""

    def __init__(self, places: Places, rng: np.random.Generator) -> None:
        self.places, self.rng = places, rng
        count = len(places.rack_kw)
        full_kw = places.rack_kw / (IDLE_SHARE + (1.0 - IDLE_SHARE) * USUAL_USE)
        self.idle_kw: FloatArray = IDLE_SHARE * full_kw
        # Work is counted in the kW that servers draw above idling for it.
        self.span_kw: FloatArray = full_kw - self.idle_kw
        self.running: BoolArray = np.ones(count, dtype=np.bool_)
        self._after_heat_s = rng.uniform(*AFTER_HEAT_S, count)
        self._after_power_s = rng.uniform(*AFTER_POWER_S, count)
        self._wait_s: FloatArray = np.zeros(count)
        self._offset_c = rng.uniform(-0.5, 1.6, count)
        self._blocked_k: FloatArray = np.zeros(count)
        self._noise: FloatArray = np.zeros(count)
        self.inlet_c: FloatArray = 22.0 + self._offset_c
        self.power_kw: FloatArray = places.rack_kw.copy()

    @property
    def settled(self) -> bool:
        return bool(self.running.all() and (self.inlet_c < THROTTLE_C - 2.0).all())

    def design_work_kw(self) -> FloatArray:
        """Work of each place's own platforms when its servers are used as usual."""
        return self._sum(USUAL_USE * self.span_kw)

    def capacity_kw(self) -> FloatArray:
        """Work that each place's servers can do now."""
        hot = (self.inlet_c - THROTTLE_C) / (CRITICAL_C - THROTTLE_C)
        use = MOST_USE - (MOST_USE - THROTTLED_USE) * np.minimum(np.maximum(hot, 0.0), 1.0)
        return self._sum(np.where(self.running, use * self.span_kw, 0.0))

    def advance(self, h_s: float, *, air_c: FloatArray, powered: BoolArray) -> None:
        """Stop and start servers. ``air_c`` of each room, ``powered`` places."""
        fault = np.zeros(len(self.running), dtype=np.bool_)
        blocked = self.places.tables["rack"].fault("high-temperature")
        fault[: len(blocked)] = blocked
        self._blocked_k += (np.where(fault, BLOCKED_K, 0.0) - self._blocked_k) * (
            1.0 - np.exp(-h_s / BLOCKED_TAU_S)
        )
        self.inlet_c = air_c[self.places.rack_room] + self._offset_c + self._blocked_k
        dark = ~powered[self.places.rack_at]
        hot = self.inlet_c >= STOP_C
        self._wait_s = np.where(
            hot,
            self._after_heat_s,
            np.where(
                dark,
                np.maximum(self._wait_s, self._after_power_s),
                np.where(self.inlet_c <= RESTART_BELOW_C, self._wait_s - h_s, self._wait_s),
            ),
        )
        self.running = ~dark & ~hot & (self.running | (self._wait_s <= 0.0))
        self._wait_s = np.where(self.running, 0.0, self._wait_s)

    def draw(self, work_kw: FloatArray, powered: BoolArray, now_ms: int) -> FloatArray:
        """What each rack draws when its place's servers do this work, spread evenly (kW)."""
        able = self._sum(np.where(self.running, self.span_kw, 0.0))
        use = (work_kw / np.maximum(able, 1e-9))[self.places.rack_at]
        # Racks are not used quite alike, now this one more and now that one.
        swing = 1.0 + 0.02 * np.sin(now_ms / 7e5 + 9.0 * self._offset_c)
        busy_kw = self.idle_kw + self.span_kw * use * swing
        off_kw = STANDBY_SHARE * (self.idle_kw + self.span_kw)
        self.power_kw = np.where(
            powered[self.places.rack_at], np.where(self.running, busy_kw, off_kw), 0.0
        )
        return self._sum(self.power_kw)

    def read(self, dt_s: float) -> None:
        """Fill the columns of the racks."""
        table = self.places.tables["rack"]
        wander(self._noise, self.rng, sigma=0.15, dt_s=dt_s, tau_s=300.0)
        table.columns["inlet_temperature_c"] = (self.inlet_c + self._noise)[: len(table)]
        table.columns["power_kw"] = self.power_kw[: len(table)].copy()

    def _sum(self, values: FloatArray) -> FloatArray:
        return np.bincount(self.places.rack_at, values, minlength=self.places.count).astype(
            np.float64
        )
