"""Heat of the rooms of data centres, and the cooling units that carry it out.

A room is three masses: its air, the equipment in it, and the inner face of its walls, floor and
ceiling. The equipment heats the air, the air the walls, the walls give to the outside. This is
linear, and is solved exactly for any step; the cooling units take out what brings the air to its
set point by the end of the step, as far as their capacity goes.
"""

from __future__ import annotations

import numpy as np

from simulators.dc_places import Places
from simulators.table import BoolArray, FloatArray, IntArray, relax

SET_POINT_C = 22.0
# The set point of a room whose controls have failed ("high-temperature"); an assumption.
FAILED_SET_POINT_C = 34.0
# Per rack: floor with its part of the aisles, height of the room (assumptions); air 1.2 kg/m³ at
# 1.005 kJ/(kg·K).
FLOOR_M2, HEIGHT_M = 3.5, 3.0
AIR_KJ_K = FLOOR_M2 * HEIGHT_M * 1.2 * 1.005
# A full rack weighs about 600 kg, mostly steel at 0.5 kJ/(kg·K); an assumption. The rack follows
# its air within minutes: time constants of servers are "of the order of several minutes"
# (ASME InterPACK2013 V002T09A024, transient server air exit temperature).
RACK_KJ_K = 600.0 * 0.5
RACK_TAU_S = 300.0
# Heavy walls and ceiling per rack: about half of what encloses it, the raised floor and light
# partitions left out; inner surface resistance 0.13 m²K/W (ISO 6946); 5 cm of
# concrete take part (2,300 kg/m³, 1.0 kJ/(kg·K), ISO 10456); 2 W/(m²K) to the outside, whose sunny
# walls are 3 K above the air: assumptions.
WALL_M2 = 8.0
WALL_KW_K = WALL_M2 / 0.13 / 1000.0
WALL_KJ_K = WALL_M2 * 0.05 * 2300.0 * 1.0
OUTSIDE_KW_K = WALL_M2 * 2.0 / 1000.0
SUN_K = 3.0
# Net sensible capacity over electrical power at 35 °C outside: the least that 10 CFR 431.97 (from
# ASHRAE 90.1-2010) allows an air-cooled unit of 19–70 kW.
SCOP_35 = 2.10
RATED_OUTDOOR_C = 35.0
# Of its rating, what the fans take at full speed (assumption); with the cube of their speed.
FAN_SHARE = 0.06
FAN_LOWEST, FAN_RISE = 0.40, 0.55
# Energy input ratio and capacity by outdoor temperature y and wet bulb at the coil (18 °C):
# a + b·x + c·x² + d·y + e·y² + f·x·y, DX coil of the EnergyPlus example file 5ZoneAutoDXVAV.idf
# (Curve_III of the Modelica Buildings library).
EIR_CURVE = (0.632475, -0.0121321, 0.000507773, 0.0155377, 0.00027284, -0.000679201)
CAPACITY_CURVE = (0.476428, 0.0401147, 0.000226411, -0.000827136, -0.0000073224, -0.000446278)
COIL_WET_BULB_C = 18.0
# The unit's controller starts its compressor so long after power is back or it was called, and one
# unit after the other (auto restart; Emerson Liebert iCOM user manual names both, times assumed).
RESTART_S, STAGGER_S = 45.0, 15.0
# Another unit is called when those that run are at 95 % of what they can, one is sent to rest when
# the others would be at 85 %; the air comes back 12 K warmer at full load: assumptions.
CALL_AT, REST_AT = 0.95, 0.85
RISE_K = 12.0
# Rated for its share of the room's load without the spare, and this much more, where the
# inventory gives no ``rated_kw``.
UNIT_MARGIN = 1.25


def energy_input_ratio(outdoor_c: float) -> float:
    """Compressor power over heat moved, as a share of that at 35 °C outside."""
    return _curve(EIR_CURVE, outdoor_c) / _curve(EIR_CURVE, RATED_OUTDOOR_C)


def capacity_ratio(outdoor_c: float) -> float:
    """What a unit can move, as a share of what it can at 35 °C outside."""
    return _curve(CAPACITY_CURVE, outdoor_c) / _curve(CAPACITY_CURVE, RATED_OUTDOOR_C)


def _curve(c: tuple[float, ...], y: float) -> float:
    x = COIL_WET_BULB_C
    return c[0] + c[1] * x + c[2] * x * x + c[3] * y + c[4] * y * y + c[5] * x * y


class Rooms:
    """Temperature of every room and state of every cooling unit."""

    def __init__(self, places: Places, rng: np.random.Generator) -> None:
        self.places, self.rng = places, rng
        count = len(places.room_at)
        racks = np.bincount(places.rack_room, places.rack_size, minlength=count)
        size = np.maximum(racks, 2.0)  # a room of UPS alone has walls, too
        self._masses = np.stack([AIR_KJ_K * size, RACK_KJ_K * size, WALL_KJ_K * size], axis=1)
        self._outside_kw_k = OUTSIDE_KW_K * size
        self._solve_steady(size)
        self._steps: dict[float, FloatArray] = {}
        self.nodes_c: FloatArray = np.full((count, 3), SET_POINT_C)
        self.nodes_c[:, 1] += 4.0
        self.nodes_c[:, 2] += 1.0
        table = places.tables["cooling_unit"]
        self._unit_room = places.room["cooling_unit"]
        units = np.bincount(self._unit_room, minlength=count).astype(np.float64)
        self._units: FloatArray = units
        self._has_units: BoolArray = units > 0
        design_kw = np.bincount(places.rack_room, places.rack_kw, minlength=count)
        usual = UNIT_MARGIN * design_kw / np.maximum(units - 1.0, 1.0)
        rated = table.attribute("rated_kw", 0.0)
        self.unit_kw: FloatArray = np.where(rated > 0.0, rated, usual[self._unit_room])
        self._able: BoolArray = np.ones(len(table), dtype=np.bool_)
        self._order = _rank(self._unit_room, self._able)
        self._called: FloatArray = np.maximum(units - 1.0, 1.0)
        self.running: BoolArray = self._order < self._called[self._unit_room]
        self._wait_s: FloatArray = np.where(self.running, 0.0, RESTART_S)
        self.failed: BoolArray = np.zeros(len(table), dtype=np.bool_)
        self.moved_kw: FloatArray = np.zeros(count)
        self.unit_power_kw: FloatArray = np.zeros(len(table))
        self.unit_part: FloatArray = np.zeros(len(table))
        self.spare: FloatArray = np.ones(count)
        self._supply_c: FloatArray = np.full(len(table), 17.5)
        self._return_c: FloatArray = np.full(len(table), 28.0)
        self._set_c: FloatArray = np.full(count, SET_POINT_C)

    @property
    def air_c(self) -> FloatArray:
        """Air in the cold aisle of each room."""
        return self.nodes_c[:, 0]

    @property
    def settled(self) -> bool:
        """All rooms are at their set point and no unit is starting."""
        return bool(
            (np.abs(self.air_c - self._set_c) < 0.2).all()
            and not (self.running & (self._wait_s > 0.0)).any()
        )

    def _solve_steady(self, size: FloatArray) -> None:
        """The conductances of each room, their inverse, and the modes in which it relaxes."""
        rack, wall = RACK_KJ_K / RACK_TAU_S * size, WALL_KW_K * size
        zero = np.zeros(len(size))
        conductance = np.stack(
            [
                np.stack([rack + wall, -rack, -wall], axis=1),
                np.stack([-rack, rack, zero], axis=1),
                np.stack([-wall, zero, wall + self._outside_kw_k], axis=1),
            ],
            axis=1,
        )
        root = np.sqrt(self._masses)
        self._inverse: FloatArray = np.linalg.inv(conductance)
        symmetric = conductance / (root[:, :, np.newaxis] * root[:, np.newaxis, :])
        self._rates, self._modes = np.linalg.eigh(symmetric)
        self._root = root

    def _relaxing(self, h_s: float) -> FloatArray:
        """What is left after ``h_s`` of a distance from the steady state, per room."""
        found = self._steps.get(h_s)
        if found is None:
            if len(self._steps) > 50:
                self._steps.clear()
            fade = np.exp(-self._rates * h_s)
            inner = (self._modes * fade[:, np.newaxis, :]) @ self._modes.transpose(0, 2, 1)
            found = inner * self._root[:, np.newaxis, :] / self._root[:, :, np.newaxis]
            self._steps[h_s] = found
        return found

    def advance(
        self,
        h_s: float,
        *,
        rack_kw: FloatArray,
        ups_loss_kw: FloatArray,
        feed: BoolArray,
        outdoor_c: float,
    ) -> FloatArray:
        """Move by ``h_s``; electrical power of the cooling per place (kW).

        ``rack_kw`` of each rack (with stand-ins), ``ups_loss_kw`` of each UPS, ``feed``: which
        places have supply."""
        places, count = self.places, len(self.places.room_at)
        hot = places.anywhere("dc_site", "high-temperature")
        self._set_c = np.where(hot[places.room_at], FAILED_SET_POINT_C, SET_POINT_C)
        heat = np.zeros((count, 3))
        heat[:, 1] = np.bincount(places.rack_room, rack_kw, minlength=count)
        heat[:, 0] = np.bincount(places.room["ups"], ups_loss_kw, minlength=count)
        heat[:, 2] = self._outside_kw_k * (outdoor_c + SUN_K)
        delivers = self._start_units(feed, h_s)
        able = self.unit_kw * capacity_ratio(outdoor_c)
        units_kw = np.bincount(self._unit_room, np.where(delivers, able, 0.0), minlength=count)
        # A room without simulated units is held as if it had some.
        stand_in_kw = np.where(feed[places.room_at], np.inf, 0.0)
        can_kw: FloatArray = np.where(self._has_units, units_kw, stand_in_kw)
        wanted_kw = self._move(heat, can_kw, h_s)
        self._call_units(wanted_kw, heat[:, :2].sum(axis=1), able)
        return self._take_power(delivers, able, can_kw, outdoor_c)

    def _start_units(self, feed: BoolArray, h_s: float) -> BoolArray:
        """Which units move heat now: with power, not failed, called, and started."""
        table, at = self.places.tables["cooling_unit"], self.places.at["cooling_unit"]
        everywhere = self.places.anywhere("dc_site", "cooling-failure")
        self.failed = table.fault("cooling-failure") | everywhere[at]
        self._able = feed[at] & ~self.failed
        self.running = self._able & (
            _rank(self._unit_room, self._able) < self._called[self._unit_room]
        )
        at_rest_s = np.where(self._able, RESTART_S, RESTART_S + STAGGER_S * self._order)
        self._wait_s = np.where(self.running, np.maximum(self._wait_s - h_s, 0.0), at_rest_s)
        return self.running & (self._wait_s <= 0.0)

    def _move(self, heat: FloatArray, can_kw: FloatArray, h_s: float) -> FloatArray:
        """Move the temperatures; what it would take to hold the set point (kW)."""
        if h_s <= 0.0:
            heat_kw: FloatArray = heat[:, :2].sum(axis=1)
            self.moved_kw = np.minimum(heat_kw, can_kw)
            return heat_kw
        left = self._relaxing(h_s)
        steady = np.einsum("rij,rj->ri", self._inverse, heat)
        free = steady + np.einsum("rij,rj->ri", left, self.nodes_c - steady)
        reply = self._inverse[:, :, 0] - np.einsum("rij,rj->ri", left, self._inverse[:, :, 0])
        wanted_kw: FloatArray = (free[:, 0] - self._set_c) / reply[:, 0]
        self.moved_kw = np.minimum(np.maximum(wanted_kw, 0.0), can_kw)
        self.nodes_c = free - reply * self.moved_kw[:, np.newaxis]
        return wanted_kw

    def _call_units(self, wanted_kw: FloatArray, heat_kw: FloatArray, able_kw: FloatArray) -> None:
        """How many units of each room shall run, and how many are left to spare."""
        count = len(wanted_kw)
        ready = np.bincount(self._unit_room, self._able, minlength=count)
        mean = np.bincount(self._unit_room, able_kw, minlength=count) / np.maximum(self._units, 1.0)
        more = wanted_kw > CALL_AT * self._called * mean
        fewer = wanted_kw < REST_AT * (self._called - 1.0) * mean
        called = self._called + more - (fewer & ~more)
        self._called = np.maximum(np.minimum(called, ready), 1.0)
        needed = np.ceil(heat_kw / np.maximum(mean, 0.1) - 1e-6)
        self.spare = np.where(self._has_units, ready - needed, 1.0)

    def _take_power(
        self, delivers: BoolArray, able: FloatArray, can_kw: FloatArray, outdoor_c: float
    ) -> FloatArray:
        places = self.places
        part = np.where(np.isfinite(can_kw), self.moved_kw / np.maximum(can_kw, 1e-9), 0.0)
        self.unit_part = np.where(delivers, part[self._unit_room], 0.0)
        moved = self.unit_part * able
        ratio = (1.0 / SCOP_35 - FAN_SHARE) * energy_input_ratio(outdoor_c)
        speed = self.fan_speed()
        self.unit_power_kw = moved * ratio + FAN_SHARE * self.unit_kw * speed**3
        stand_in = np.where(self._has_units, 0.0, self.moved_kw * (ratio + FAN_SHARE))
        per_place: FloatArray = places.total("cooling_unit", self.unit_power_kw)
        per_place += np.bincount(places.room_at, stand_in, minlength=places.count)
        return per_place

    def fan_speed(self) -> FloatArray:
        """Of each unit, 0 to 1."""
        return np.where(self.running, FAN_LOWEST + FAN_RISE * self.unit_part, 0.0)

    def read(self, dt_s: float) -> None:
        """Fill the columns of the cooling units."""
        table = self.places.tables["cooling_unit"]
        columns, air_c = table.columns, self.air_c[self._unit_room]
        speed = self.fan_speed()
        across_k = RISE_K * self.unit_part / np.maximum(speed, 0.1)
        relax(self._supply_c, air_c - 0.45 * across_k, dt_s=dt_s, tau_s=60.0)
        relax(self._return_c, air_c + 0.55 * across_k, dt_s=dt_s, tau_s=60.0)
        noise = self.rng.normal(0.0, 0.1, (2, len(table)))
        columns["supply_temperature_c"] = self._supply_c + noise[0]
        columns["return_temperature_c"] = self._return_c + noise[1]
        columns["running"] = self.running.copy()
        columns["failed"] = self.failed.copy()
        columns["fan_speed_percent"] = 100.0 * speed
        columns["power_kw"] = self.unit_power_kw


def _rank(groups: IntArray, ready: BoolArray) -> FloatArray:
    """The number of each member among those of its group that are ready."""
    seen: dict[int, int] = {}
    found = []
    for group, able in zip(groups.tolist(), ready.tolist(), strict=True):
        found.append(seen.get(group, 0))
        if able:
            seen[group] = found[-1] + 1
    return np.array(found, dtype=np.float64)
