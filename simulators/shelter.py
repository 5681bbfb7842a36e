"""Heat and damp in the shelters of all sites.

One mass of air and equipment: C·dT/dt = P − G·(T − outdoor) − Q, solved exactly for any step. P is
the heat of what stands inside (radio units hang on the mast), G walls and leaks, and on battery
the fan as well, Q the air conditioner, which needs mains or genset.
"""

from __future__ import annotations

import numpy as np

from simulators.table import BoolArray, FloatArray, relax, wander
from simulators.weather import outdoor_temperature_c, outdoor_vapour_hpa

# Walls and leaks: a container of sandwich panels has about 25 m² with 0.5 W/(m²·K) (50 mm of foam,
# common practice); larger ones grow with what they hold, so that a closed one without cooling ends
# about 36 K above the outdoor air at full load (assumption).
LEAST_W_PER_K = 12.5
CLOSED_RISE_K = 36.0
# Air and equipment follow walls and heat within 90 minutes (assumption: 45 to 60 kg of metal and
# 15 m³ of air a rack); the batteries, which are heavy, within six hours.
TAU_H = 1.5
BATTERY_TAU_H = 6.0
# Air conditioning holds 25–28 °C (within the 5–40 °C of ETSI EN 300 019-1-3 class 3.1; common
# practice). It is sized for full load on a day of 38 °C with a third to spare; 3 W of heat a watt,
# the usual rating of small split units at 35 °C (ISO 5151 conditions).
SET_POINT_C = (25.0, 28.0)
SIZED_AT_C = 38.0
SPARE = 1.33
COP = 3.0
# On battery the air conditioner stands. A 48 V fan brings outdoor air, more of it from 30 °C to
# 35 °C, and keeps the shelter within about 6 K of it at full load (free cooling, common practice).
FAN_FROM_C, FAN_FULL_C = 30.0, 35.0
FAN_RISE_K = 6.0
# A fault that heats within minutes, whatever cools: not physics, what "high-temperature" says.
OVERHEATED_C, OVERHEATED_TAU_S = 58.0, 240.0
COOLED_HUMIDITY_PERCENT = 55.0


class Shelters:
    """Temperature and humidity of every site's shelter."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.count = count
        self.cooling_out: BoolArray = np.zeros(count, dtype=np.bool_)
        self.overheated: BoolArray = np.zeros(count, dtype=np.bool_)
        self._set_point_c = rng.uniform(*SET_POINT_C, count)
        # Sea and hills: not every place is as warm as the coast's normal (assumption).
        self._outdoor_offset_c = rng.uniform(-1.5, 1.0, count)
        self.temperature_c: FloatArray = self._set_point_c.copy()
        self.battery_c: FloatArray = self._set_point_c.copy()
        self._temperature_noise: FloatArray = np.zeros(count)
        self._humidity_offset = rng.uniform(-8.0, 8.0, count)
        self._humidity_noise: FloatArray = np.zeros(count)
        self._humidity_percent: FloatArray = np.full(count, COOLED_HUMIDITY_PERCENT)
        self.cooling_w: FloatArray = np.zeros(count)
        self.size(np.full(count, 300.0))

    def size(self, full_heat_w: FloatArray) -> None:
        """Give each shelter walls, fan and air conditioner for the heat of its full load."""
        self.closed_w_per_k = np.maximum(full_heat_w / CLOSED_RISE_K, LEAST_W_PER_K)
        self.fan_w_per_k = full_heat_w / FAN_RISE_K
        self.heat_j_per_k = self.closed_w_per_k * TAU_H * 3600.0
        self.cooling_heat_w = SPARE * (
            full_heat_w + self.closed_w_per_k * (SIZED_AT_C - SET_POINT_C[0])
        )

    @property
    def most_cooling_w(self) -> FloatArray:
        """What the air conditioner draws at full power."""
        found: FloatArray = self.cooling_heat_w / COP
        return found

    def advance(
        self, now_ms: int, dt_s: float, *, heat_w: FloatArray, supplied: FloatArray
    ) -> None:
        """Move by ``dt_s`` to ``now_ms``. ``supplied`` is the share of it with mains or genset;
        afterwards ``cooling_w`` is what the air conditioner drew on the mean of it."""
        before = self.temperature_c
        outdoor_c = outdoor_temperature_c(now_ms) + self._outdoor_offset_c
        works = ~self.cooling_out
        loses, keep = self.closed_w_per_k, np.exp(-dt_s / (TAU_H * 3600.0))
        if not np.all(supplied >= 1.0):
            fan = np.clip((before - FAN_FROM_C) / (FAN_FULL_C - FAN_FROM_C), 0.0, 1.0)
            fan = np.where(works & (before > outdoor_c), fan * (1.0 - supplied), 0.0)
            loses = loses + fan * self.fan_w_per_k
            keep = np.exp(-dt_s * loses / self.heat_j_per_k)
        most = np.where(works, self.cooling_heat_w * supplied, 0.0)

        def after(cooling_heat_w: FloatArray | float) -> FloatArray:
            end = outdoor_c + (heat_w - cooling_heat_w) / loses
            found: FloatArray = end + (before - end) * keep
            return found

        alone = after(0.0)
        now = np.minimum(np.maximum(after(most), self._set_point_c), alone)
        # What the air conditioner took out: the difference to what would have been without it.
        taken = np.maximum(alone - now, 0.0) * loses / (1.0 - keep)
        self.cooling_w = np.minimum(taken, most) / COP
        if self.overheated.any():
            heated = before + (OVERHEATED_C - before) * (1.0 - np.exp(-dt_s / OVERHEATED_TAU_S))
            now = np.where(self.overheated, heated, now)
        self.temperature_c = now
        relax(self.battery_c, now, dt_s=dt_s, tau_s=BATTERY_TAU_H * 3600.0)
        wander(self._temperature_noise, self.rng, sigma=0.25, dt_s=dt_s, tau_s=300.0)
        wander(self._humidity_noise, self.rng, sigma=2.0, dt_s=dt_s, tau_s=1200.0)
        target = COOLED_HUMIDITY_PERCENT + self._humidity_offset
        cooled = works & (supplied > 0.5)
        if not cooled.all():
            # Outdoor air that has been warmed: the same vapour, a lower relative humidity.
            saturated = 6.112 * np.exp(17.62 * now / (243.12 + now))
            damp = np.minimum(100.0 * outdoor_vapour_hpa(now_ms) / saturated, 100.0)
            target = np.where(cooled, target, damp)
        relax(self._humidity_percent, target, dt_s=dt_s, tau_s=1800.0)

    @property
    def read_temperature_c(self) -> FloatArray:
        """What the sensor reads."""
        return self.temperature_c + self._temperature_noise

    @property
    def read_humidity_percent(self) -> FloatArray:
        """What the sensor reads."""
        found: FloatArray = np.clip(self._humidity_percent + self._humidity_noise, 5.0, 100.0)
        return found
