"""What the stations of a mast share: mains, battery, genset, shelter.

Energy: mains feeds rectifiers; without mains a genset (where there is one) starts after its delay,
until then and otherwise the battery carries the load down to the low-voltage disconnect. Then the
site is out of service with everything on it, until mains or genset feed it again.
"""

from __future__ import annotations

import numpy as np

from simulators.day import outdoor_temperature_c
from simulators.table import BoolArray, FloatArray, relax, wander

# A 24-cell lead-acid string. Float 53.5 V; disconnect within 42.0–46.8 V, common practice.
FLOAT_V = 53.5
DISCONNECT_V = 46.0
_CHARGE = np.array([0.0, 0.08, 0.2, 0.5, 1.0])
_DISCHARGE_V = np.array([43.5, 45.9, 47.3, 49.0, 51.2])
_CHARGING_V = np.array([50.5, 51.6, 52.2, 53.0, FLOAT_V])
_CHARGE_AT_DISCONNECT = float(np.interp(DISCONNECT_V, _DISCHARGE_V, _CHARGE))
# A tenth of the capacity per hour, tapering over the last tenth: common practice.
_CHARGE_RATE_PER_H = 0.1
_TANK_LASTS_H = 30.0


class Sites:
    """Power and shelter of every site, as arrays over all sites of the inventory."""

    def __init__(self, count: int, *, genset: BoolArray, rng: np.random.Generator) -> None:
        self.rng = rng
        self.count = count
        self.genset = genset
        # Set from outside before each step.
        self.mains_out: BoolArray = np.zeros(count, dtype=np.bool_)
        self.battery_stolen: BoolArray = np.zeros(count, dtype=np.bool_)
        self.cooling_out: BoolArray = np.zeros(count, dtype=np.bool_)
        self.overheated: BoolArray = np.zeros(count, dtype=np.bool_)
        # What the equipment on it draws (W); transmission equipment is always there.
        self.load_w: FloatArray = np.full(count, 150.0)
        # Power. Autonomy is at full load: 4 h or more, common practice.
        self.autonomy_h: FloatArray = rng.uniform(4.0, 5.5, count)
        self.capacity_wh: FloatArray = np.full(count, 150.0) * self.autonomy_h
        self.charge: FloatArray = np.ones(count)
        self.connected: BoolArray = np.ones(count, dtype=np.bool_)
        self.powered: BoolArray = np.ones(count, dtype=np.bool_)
        self.genset_running: BoolArray = np.zeros(count, dtype=np.bool_)
        self._genset_delay_s: FloatArray = rng.uniform(10.0, 60.0, count)
        self._genset_wait_s: FloatArray = self._genset_delay_s.copy()
        self.fuel_percent: FloatArray = rng.uniform(55.0, 98.0, count)
        self.voltage_v: FloatArray = np.full(count, FLOAT_V)
        self.battery_current_a: FloatArray = np.zeros(count)
        self.runtime_min: FloatArray = np.zeros(count)
        # Equipment needs a minute or two to start after its power is back.
        self._start_s: FloatArray = rng.uniform(60.0, 150.0, count)
        self._starting_s: FloatArray = np.zeros(count)
        self.lost_power: BoolArray = np.zeros(count, dtype=np.bool_)
        # Shelter. Air conditioning holds its set point; without it the shelter stays above the
        # outdoor air by what the load heats it.
        self._set_point_c: FloatArray = rng.uniform(25.0, 28.5, count)
        self._above_outdoor_c: FloatArray = rng.uniform(7.0, 12.0, count)
        self._outdoor_offset_c: FloatArray = rng.uniform(-1.5, 1.0, count)
        self.temperature_c: FloatArray = self._set_point_c.copy()
        self._temperature_noise: FloatArray = np.zeros(count)
        self._humidity_offset: FloatArray = rng.uniform(-8.0, 8.0, count)
        self._humidity_noise: FloatArray = np.zeros(count)
        self.humidity_percent: FloatArray = np.full(count, 55.0)

    @property
    def mains(self) -> BoolArray:
        return ~self.mains_out

    @property
    def in_operation(self) -> BoolArray:
        """Powered, and the equipment has started."""
        return self.powered & (self._starting_s <= 0.0)

    def size_batteries(self, full_load_w: FloatArray) -> None:
        """Give each site the battery its full load needs."""
        self.capacity_wh = np.maximum(full_load_w, 150.0) * self.autonomy_h

    def drain(self, sites: BoolArray, *, to: float) -> None:
        """Take charge out of batteries at once (an old battery that holds no more)."""
        self.charge[sites] = np.minimum(self.charge[sites], to)

    def advance(self, now_ms: int, dt_s: float) -> None:
        """Move everything by ``dt_s`` seconds to ``now_ms``."""
        supplied = self._start_gensets(dt_s) | self.mains
        self._charge_batteries(supplied, dt_s)
        was_powered = self.powered
        self.powered = supplied | (self.connected & ~self.battery_stolen)
        self.lost_power = was_powered & ~self.powered
        self._starting_s = np.where(
            self.powered & ~was_powered, self._start_s, np.maximum(self._starting_s - dt_s, 0.0)
        )
        self._heat(now_ms, dt_s, supplied)

    def _start_gensets(self, dt_s: float) -> BoolArray:
        wanted = self.genset & self.mains_out & (self.fuel_percent > 0.0)
        self._genset_wait_s = np.where(wanted, self._genset_wait_s - dt_s, self._genset_delay_s)
        self.genset_running = wanted & (self._genset_wait_s <= 0.0)
        burnt = 100.0 * dt_s / (_TANK_LASTS_H * 3600.0)
        self.fuel_percent = np.where(
            self.genset_running, np.maximum(self.fuel_percent - burnt, 0.0), self.fuel_percent
        )
        return self.genset_running

    def _charge_batteries(self, supplied: BoolArray, dt_s: float) -> None:
        hours = dt_s / 3600.0
        rate = _CHARGE_RATE_PER_H * np.clip((1.0 - self.charge) / 0.1, 0.0, 1.0)
        discharging = ~supplied & self.connected & ~self.battery_stolen
        drawn = self.load_w / self.capacity_wh * hours
        self.charge = np.where(supplied, self.charge + rate * hours, self.charge)
        self.charge = np.where(discharging, self.charge - drawn, self.charge)
        self.charge = np.where(self.battery_stolen, 0.0, np.clip(self.charge, 0.0, 1.0))
        on_battery_v = np.interp(self.charge, _CHARGE, _DISCHARGE_V)
        self.connected = supplied | (self.connected & (on_battery_v > DISCONNECT_V))
        float_v = np.where(
            self.battery_stolen, FLOAT_V, np.interp(self.charge, _CHARGE, _CHARGING_V)
        )
        self.voltage_v = np.where(supplied, float_v, on_battery_v)
        charging_a = np.where(self.battery_stolen, 0.0, rate * self.capacity_wh / 48.0)
        self.battery_current_a = np.where(
            supplied, charging_a, np.where(discharging, -self.load_w / self.voltage_v, 0.0)
        )
        left = np.maximum(self.charge - _CHARGE_AT_DISCONNECT, 0.0)
        self.runtime_min = np.minimum(
            left * self.capacity_wh / np.maximum(self.load_w, 1.0) * 60.0, 9999.0
        )

    def _heat(self, now_ms: int, dt_s: float, supplied: BoolArray) -> None:
        outdoor_c = outdoor_temperature_c(now_ms) + self._outdoor_offset_c
        cooled = supplied & ~self.cooling_out
        target = np.where(cooled, self._set_point_c, outdoor_c + self._above_outdoor_c)
        # Mains keeps all equipment busy: a closed shelter heats more than one on battery.
        target = np.where(self.cooling_out, outdoor_c + 28.0, target)
        target = np.where(self.overheated, 58.0, target)
        tau_s = np.where(self.overheated, 240.0, np.where(self.cooling_out | cooled, 600.0, 3000.0))
        relax(self.temperature_c, target, dt_s=dt_s, tau_s=tau_s)
        wander(self._temperature_noise, self.rng, sigma=0.25, dt_s=dt_s, tau_s=300.0)
        wander(self._humidity_noise, self.rng, sigma=2.0, dt_s=dt_s, tau_s=1200.0)
        dry = np.where(cooled, 55.0, 68.0) + self._humidity_offset
        relax(self.humidity_percent, dry, dt_s=dt_s, tau_s=1800.0)

    @property
    def shelter_temperature_c(self) -> FloatArray:
        return self.temperature_c + self._temperature_noise

    @property
    def shelter_humidity_percent(self) -> FloatArray:
        return self.humidity_percent + self._humidity_noise
