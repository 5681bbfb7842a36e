"""What the stations of a mast share: mains, battery, genset, shelter.

Energy: mains feeds rectifiers; without mains a genset (where there is one) starts after its delay,
until then and otherwise the battery carries the load down to the low-voltage disconnect. Then the
site is out of service with everything on it, until mains or genset feed it again. What happens
within a step (a genset starts, a tank or a battery is empty) happens at its own moment of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulators import battery
from simulators.shelter import Shelters
from simulators.table import BoolArray, FloatArray

# Transmission and control at every site (assumption), on battery like everything else.
TRANSMISSION_W = 150.0
# Rectifiers: 96 % (high-efficiency modules, makers' data). They carry the full load and a charging
# battery with a fifth to spare; one module more (N+1) so that a failed one changes nothing.
RECTIFIER_EFFICIENCY = 0.96
RECTIFIER_SPARE = 1.2
# A battery lasts 4 h to the disconnect at the end of its life, when it gives 80 % (IEEE 1188: then
# it is replaced; IEEE 485 sizes it larger by the inverse); bought in whole strings, so a bit more.
AUTONOMY_H = (4.0, 4.4)
END_OF_LIFE = 0.8
# Gensets: the next size that carries rectifiers, charging and air conditioning (kW). Litres an
# hour a kW of size, idle and at full load: a line through 50, 75 and 100 % load of 8, 10, 15 and
# 20 kW sets in Hardy Diesel's consumption chart, which it meets within 0.35 l/h.
GENSET_KW = np.array([8.0, 10.0, 15.0, 20.0, 30.0, 40.0])
IDLE_L_PER_KWH, LOADED_L_PER_KWH = 0.047, 0.271
GENSET_STARTS_S = (10.0, 60.0)
# The tank lasts a day and a night at full load (common practice for base tanks).
TANK_H = 24.0
# What "low-fuel" and a weak battery mean: a tank at 12 %, half an hour to the disconnect.
LOW_FUEL, WEAK_MIN = 0.12, 30.0
LONGEST_MIN = 9999.0
RUNTIME_EVERY_S = 60.0
# A battery that misses less than this counts as charged.
FULL = 0.9999
# Water takes so long from the shelter's floor to what feeds the equipment; an assumption.
WATER_RISES_S = 600.0


@dataclass
class Energy:
    """What went in and out of each site since the beginning (Wh). Always
    ``mains + genset + battery_out = load + cooling + battery_in + lost``."""

    mains_wh: FloatArray
    genset_wh: FloatArray
    battery_out_wh: FloatArray
    battery_in_wh: FloatArray
    load_wh: FloatArray
    cooling_wh: FloatArray
    lost_wh: FloatArray
    fuel_l: FloatArray

    @staticmethod
    def none(count: int) -> Energy:
        return Energy(*(np.zeros(count) for _ in range(8)))


class Sites:
    """Power and shelter of every site, as arrays over all sites of the inventory."""

    def __init__(self, count: int, *, genset: BoolArray, rng: np.random.Generator) -> None:
        self.rng = rng
        self.count = count
        self.genset = genset
        none = np.zeros(count, dtype=np.bool_)
        # Set from outside before each step.
        self.mains_out: BoolArray = none.copy()
        self.battery_stolen: BoolArray = none.copy()
        self.battery_weak: BoolArray = none.copy()
        self.fuel_low: BoolArray = none.copy()
        self.flooded: BoolArray = none.copy()
        self.shelters = Shelters(count, rng)
        # What the equipment draws, and how much of that becomes heat inside the shelter (W).
        self.load_w: FloatArray = np.full(count, TRANSMISSION_W)
        self.indoor_w: FloatArray = np.full(count, TRANSMISSION_W)
        self._autonomy_h: FloatArray = rng.uniform(*AUTONOMY_H, count)
        self.health: FloatArray = rng.uniform(END_OF_LIFE, 1.0, count)
        self.charge: FloatArray = np.ones(count)
        self.connected: BoolArray = ~none
        self.powered: BoolArray = ~none
        self._was_weak, self._was_stolen, self._was_low = none, none, none
        self._flooded_s: FloatArray = np.zeros(count)
        self.genset_running: BoolArray = none.copy()
        self._genset_delay_s: FloatArray = rng.uniform(*GENSET_STARTS_S, count)
        self._genset_wait_s: FloatArray = self._genset_delay_s.copy()
        self._first_fuel: FloatArray = rng.uniform(0.55, 0.98, count)
        self.voltage_v: FloatArray = np.full(count, battery.FLOAT_V)
        self.battery_current_a: FloatArray = np.zeros(count)
        self.runtime_min: FloatArray = np.zeros(count)
        self._runtime_age_s = 0.0
        # Equipment needs a minute or two to start after its power is back.
        self._start_s: FloatArray = rng.uniform(60.0, 150.0, count)
        self._starting_s: FloatArray = np.zeros(count)
        self.lost_power: BoolArray = none.copy()
        self.energy = Energy.none(count)
        self.size(self.load_w, self.load_w, self.indoor_w)

    @property
    def mains(self) -> BoolArray:
        return ~self.mains_out

    @property
    def in_operation(self) -> BoolArray:
        """Powered, and the equipment has started."""
        return self.powered & (self._starting_s <= 0.0)

    @property
    def fuel_percent(self) -> FloatArray:
        found: FloatArray = self.fuel_l / self.tank_l * 100.0
        return found

    def size(self, full_w: FloatArray, busy_w: FloatArray, indoor_w: FloatArray) -> None:
        """Give each site what its equipment needs: the battery for the busy hour's power, the rest
        for full load. ``indoor_w`` is what of the full load heats the shelter."""
        self.rated_ah = self._sized_ah(np.maximum(busy_w, TRANSMISSION_W))
        charging_w = battery.CHARGE_RATE_PER_H * self.rated_ah * battery.FLOAT_V
        self.rectifier_w = RECTIFIER_SPARE * (full_w + charging_w)
        lost_w = full_w * (1.0 / RECTIFIER_EFFICIENCY - 1.0)
        self.shelters.size(indoor_w + lost_w)
        needed_w = (full_w + charging_w) / RECTIFIER_EFFICIENCY + self.shelters.most_cooling_w
        larger = np.minimum(np.searchsorted(GENSET_KW, needed_w / 1000.0), len(GENSET_KW) - 1)
        self.genset_kw = np.maximum(GENSET_KW[larger], np.ceil(needed_w / 1000.0))
        self.tank_l = self.genset_kw * (IDLE_L_PER_KWH + LOADED_L_PER_KWH) * TANK_H
        self.fuel_l: FloatArray = self.tank_l * self._first_fuel

    def _sized_ah(self, load_w: FloatArray) -> FloatArray:
        """The rating that lasts for the autonomy at the end of life, at 25 °C."""
        rated = load_w * self._autonomy_h / 45.0
        for _ in range(20):  # a larger one is discharged more slowly, and gives more for it
            lasts_h = battery.hours_left(
                load_w,
                rated,
                np.ones(self.count),
                temperature_c=np.full(self.count, 25.0),
                health=np.full(self.count, END_OF_LIFE),
            )
            rated = rated * (self._autonomy_h / np.maximum(lasts_h, 0.01)) ** 0.8
        return rated

    def advance(self, now_ms: int, dt_s: float) -> None:
        """Move everything by ``dt_s`` seconds to ``now_ms``."""
        self._take_faults(dt_s)
        dry = self._flooded_s < WATER_RISES_S
        mains = ~self.mains_out & dry
        supplied_s = np.where(mains, dt_s, self._genset_s(dt_s, wanted=self.mains_out & dry))
        supplied = mains | self.genset_running
        carried_s = self._discharge(dt_s - supplied_s, supplied=supplied, dry=dry)
        fed_s = supplied_s + carried_s
        was_powered = self.powered
        self.powered = supplied | (self.connected & ~self.battery_stolen & dry)
        self.lost_power = was_powered & (~self.powered | (fed_s < dt_s - 1e-6))
        begins = self.powered & (~was_powered | self.lost_power)
        self._starting_s = np.where(begins, self._start_s, np.maximum(self._starting_s - dt_s, 0.0))
        charged_wh = self._recharge(supplied_s)
        self._meter(now_ms, dt_s, mains=mains, supplied_s=supplied_s, fed_s=fed_s, in_wh=charged_wh)
        self._read(dt_s, supplied=supplied)

    def _take_faults(self, dt_s: float) -> None:
        """What begins or ends at once: a weak or stolen battery, an empty tank, water."""
        self._flooded_s = np.where(self.flooded, self._flooded_s + dt_s, 0.0)
        weakened = self.battery_weak & ~self._was_weak
        if weakened.any():
            rate = battery.rate_of(self.load_w, self.rated_ah, np.full(self.count, 0.3))
            end = battery.charge_at_disconnect(rate)
            emptied = battery.emptied_per_h(rate, self.shelters.battery_c, self.health)
            left = np.minimum(self.charge, end + emptied * WEAK_MIN / 60.0)
            self.charge = np.where(weakened, left, self.charge)
        # The battery that replaces a stolen one comes charged, a low tank is filled.
        self.charge[self._was_stolen & ~self.battery_stolen] = 0.95
        self.charge[self.battery_stolen] = 0.0
        low = self.fuel_low & ~self._was_low
        self.fuel_l[low] = np.minimum(self.fuel_l, self.tank_l * LOW_FUEL)[low]
        filled = self._was_low & ~self.fuel_low
        self.fuel_l[filled] = self.tank_l[filled] * 0.95
        self._was_weak, self._was_stolen = self.battery_weak, self.battery_stolen
        self._was_low = self.fuel_low

    def _genset_s(self, dt_s: float, *, wanted: BoolArray) -> FloatArray:
        """How long of this step a genset feeds each site, after its delay, while fuel lasts."""
        wanted = wanted & self.genset & (self.fuel_l > 0.0)
        waiting_s = np.where(wanted, self._genset_wait_s, self._genset_delay_s)
        self._genset_wait_s = np.where(wanted, np.maximum(waiting_s - dt_s, 0.0), waiting_s)
        runs_s = np.where(wanted, np.maximum(dt_s - waiting_s, 0.0), 0.0)
        self.genset_running = wanted & (runs_s > 0.0)
        if self.genset_running.any():
            kw = self.load_w / RECTIFIER_EFFICIENCY / 1000.0
            burns_l_per_s = (IDLE_L_PER_KWH * self.genset_kw + LOADED_L_PER_KWH * kw) / 3600.0
            lasts_s = self.fuel_l / burns_l_per_s
            self.genset_running = self.genset_running & (lasts_s > runs_s)
            runs_s = np.minimum(runs_s, lasts_s)
        return runs_s

    def _discharge(self, dark_s: FloatArray, *, supplied: BoolArray, dry: BoolArray) -> FloatArray:
        """Let batteries carry what nothing else feeds; for how long of ``dark_s`` they did."""
        dark = (dark_s > 0.0) & self.connected & ~self.battery_stolen & dry
        if not dark.any():
            self.connected = supplied | (self.connected & dry)
            return np.zeros(self.count)
        rate = battery.rate_of(self.load_w, self.rated_ah, self.charge)
        per_h = battery.emptied_per_h(rate, self.shelters.battery_c, self.health)
        end = battery.charge_at_disconnect(rate)
        lasts_s = np.maximum(self.charge - end, 0.0) / per_h * 3600.0
        carried_s = np.where(dark, np.minimum(dark_s, lasts_s), 0.0)
        self.charge = np.maximum(self.charge - per_h * carried_s / 3600.0, 0.0)
        self.connected = supplied | (self.connected & dry & (lasts_s > dark_s))
        self.energy.battery_out_wh += self.load_w * carried_s / 3600.0
        return carried_s

    def _recharge(self, supplied_s: FloatArray) -> FloatArray:
        """Charge batteries with what the rectifiers have to spare; the energy that took (Wh)."""
        hours = supplied_s / 3600.0
        self._charging_a = np.zeros(self.count)
        rows = np.flatnonzero((self.charge < FULL) & ~self.battery_stolen & (hours > 0.0))
        taken_wh = np.zeros(self.count)
        if not len(rows):
            return taken_wh
        charge, rated_ah, health = self.charge[rows], self.rated_ah[rows], self.health[rows]
        voltage = battery.charging_v(charge)
        spare_w = np.maximum(self.rectifier_w[rows] - self.load_w[rows], 0.0)
        most = np.minimum(battery.CHARGE_RATE_PER_H, spare_w / (voltage * rated_ah))
        after = battery.charged(charge, most, health=health, hours=hours[rows])
        gives_ah = (after - charge) * rated_ah * health / battery.CHARGE_EFFICIENCY
        self.charge[rows] = after
        self._charging_a[rows] = gives_ah / hours[rows]
        taken_wh[rows] = gives_ah * voltage
        return taken_wh

    def _meter(
        self,
        now_ms: int,
        dt_s: float,
        *,
        mains: BoolArray,
        supplied_s: FloatArray,
        fed_s: FloatArray,
        in_wh: FloatArray,
    ) -> None:
        """Shelter, losses, fuel and the sums of energy over this step."""
        energy = self.energy
        carried_wh = self.load_w * (fed_s - supplied_s) / 3600.0
        load_wh = self.load_w * fed_s / 3600.0
        rectified_wh = load_wh - carried_wh + in_wh
        lost_wh = rectified_wh * (1.0 / RECTIFIER_EFFICIENCY - 1.0)
        if dt_s > 0.0:
            heat_w = self.indoor_w * fed_s / dt_s + lost_wh * 3600.0 / dt_s
            self.shelters.advance(now_ms, dt_s, heat_w=heat_w, supplied=supplied_s / dt_s)
        cooling_wh = self.shelters.cooling_w * dt_s / 3600.0
        taken_wh = rectified_wh + lost_wh + cooling_wh
        energy.mains_wh += np.where(mains, taken_wh, 0.0)
        from_genset_wh = np.where(mains, 0.0, taken_wh)
        energy.genset_wh += from_genset_wh
        energy.battery_in_wh += in_wh
        energy.load_wh += load_wh
        energy.cooling_wh += cooling_wh
        energy.lost_wh += lost_wh
        ran_h = np.where(mains, 0.0, supplied_s) / 3600.0
        burnt = IDLE_L_PER_KWH * self.genset_kw * ran_h + LOADED_L_PER_KWH * from_genset_wh / 1000.0
        burnt = np.minimum(burnt, self.fuel_l)
        self.fuel_l = np.where(burnt > 0.0, self.fuel_l - burnt, self.fuel_l)
        energy.fuel_l += burnt

    def _read(self, dt_s: float, *, supplied: BoolArray) -> None:
        """What the power system's controller measures at the end of the step."""
        stolen = self.battery_stolen
        self.voltage_v = np.where(stolen, battery.FLOAT_V, battery.charging_v(self.charge))
        self.battery_current_a = self._charging_a
        rows = np.flatnonzero(~supplied)
        if len(rows):
            load_w, charge = self.load_w[rows], self.charge[rows]
            rate = battery.rate_of(load_w, self.rated_ah[rows], charge)
            volts = battery.discharge_v(charge, rate)
            self.voltage_v[rows] = volts
            carries = self.connected[rows] & ~stolen[rows]
            self.battery_current_a[rows] = np.where(carries, -load_w / volts, 0.0)
        # A site that is fed has its minutes worked out again once a minute, others at each step.
        self._runtime_age_s += dt_s
        if self._runtime_age_s >= RUNTIME_EVERY_S or dt_s == 0.0:
            self._runtime_age_s, rows = 0.0, np.arange(self.count)
        if len(rows):
            hours = battery.hours_left(
                self.load_w[rows],
                self.rated_ah[rows],
                self.charge[rows],
                temperature_c=self.shelters.battery_c[rows],
                health=self.health[rows],
            )
            self.runtime_min[rows] = np.minimum(hours * 60.0, LONGEST_MIN)
        self.runtime_min[stolen] = 0.0
