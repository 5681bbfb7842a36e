"""Base stations: users, radio and power drawn, on what their site gives them.

How busy people are is in ``simulators/day.py``, what cells make of it in ``simulators/radio.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ioc.inventory import Asset
from simulators import day, radio
from simulators.network import Network
from simulators.sites import TRANSMISSION_W, Sites
from simulators.table import BoolArray, FloatArray, IntArray, Table, wander

KIND = "bts"


class Stations:
    """All simulated stations as one table. Site arrays come from ``Sites``."""

    def __init__(
        self, assets: Sequence[Asset], network: Network, sites: Sites, rng: np.random.Generator
    ) -> None:
        self.rng = rng
        self.sites = sites
        self.table = table = Table(KIND, assets, network.site_index)
        count = len(table)
        self.cells = np.maximum(table.attribute("cells_total", 6), 1).astype(np.int64)
        drawn_5g = np.where(rng.random(count) < 0.75, np.maximum(self.cells // 2, 1), 0)
        self.cells_5g = np.minimum(table.attribute("cells_5g", -1), self.cells).astype(np.int64)
        self.cells_5g = np.where(self.cells_5g < 0, drawn_5g, self.cells_5g)
        self._has_5g: BoolArray = self.cells_5g > 0
        population = np.array([asset.population for asset in assets], dtype=np.float64)
        people = np.where(population > 0, population, rng.uniform(150.0, 900.0, count))
        self._place = day.places_of(assets)
        self._mix = np.asfortranarray(day.drawn_mix(self._place, rng))
        # What its people want when all three uses are at their peak (Mbit/s).
        self._peak_mbit_s = people * radio.MEAN_MBIT_S_PER_PERSON / day.weekly_mean(self._mix)
        # Set by a scenario: more people than usual (a holiday), or fewer.
        self.load_factor: FloatArray = np.ones(count)
        # Hills, walls and antennas: no cell is just as good as another (assumption).
        spread = rng.uniform(0.85, 1.15, count)
        self._capacity = {
            name: capacity * spread
            for name, capacity in radio.cell_mbit_s(self._place >= 2).items()
        }
        self._vswr = rng.uniform(1.08, 1.32, count)
        self._floor_dbm = rng.uniform(-118.5, -113.5, count)
        self._sync_us = rng.uniform(0.05, 0.5, count)
        self._users_noise: FloatArray = np.zeros(count)
        self._radio_noise: FloatArray = np.zeros(count)
        self._unavailable_s: FloatArray = np.zeros(count)
        table.masks["genset_running"] = table.masks["fuel_percent"] = sites.genset[table.site]
        only_4g = self.cells - self.cells_5g
        self._indoor_w = radio.indoor_w(only_4g.astype(np.float64), has_5g=self._has_5g)
        # All cells radiate, nothing disturbs: what is nearly always so.
        self._whole = radio.Cells(
            only_4g,
            self.cells_5g,
            capacity=self._capacity,
            disturbed=np.zeros(count, dtype=np.bool_),
        )
        # Batteries are sized for the station's own busy hour, the rest for cells that are full.
        busy = radio.carry(self._peak_mbit_s, self._whole)
        sites.size(
            self._on_sites(self._drawn_w(1.0, 1.0)),
            self._on_sites(self._drawn_w(busy.load_4g, busy.load_5g)),
            self._on_sites(self._indoor_w),
        )
        sites.indoor_w = self._on_sites(self._indoor_w)
        sites.load_w = self._on_sites(self._drawn_w(0.0, 0.0))
        table.columns["cells_total"] = self.cells

    def advance(self, now_ms: int, dt_s: float) -> None:
        """Move all stations by ``dt_s``; ``Sites`` and who is powered are already at ``now_ms``."""
        table, sites = self.table, self.sites
        on = sites.in_operation[table.site]
        table.restarts += sites.lost_power[table.site]
        down, cells = self._cells_now()
        out = np.where(on, down / self.cells, 1.0)
        self._unavailable_s = np.minimum(self._unavailable_s + out * dt_s, 900.0)

        wander(self._users_noise, self.rng, sigma=0.05, dt_s=dt_s, tau_s=1800.0)
        wander(self._radio_noise, self.rng, sigma=0.6, dt_s=dt_s, tau_s=600.0)
        demand_mbit_s = self.demand_mbit_s(now_ms)
        if down.any():
            demand_mbit_s *= radio.OVERLAP + (1.0 - radio.OVERLAP) * (1.0 - down / self.cells)
        carried = radio.carry(demand_mbit_s, cells)
        power_w = radio.power_w(
            cells.of_4g,
            cells.of_5g,
            load_4g=np.where(on, carried.load_4g, 0.0),
            load_5g=np.where(on, carried.load_5g, 0.0),
            has_5g=self._has_5g,
        )
        # What starts, or would if it had power, draws what it does when it is idle.
        sites.load_w = self._on_sites(power_w)
        self._read_power(np.where(on, power_w, 0.0))
        self._read_radio(carried, down)
        self._read_counters(carried, cells)

    def _cells_now(self) -> tuple[IntArray, radio.Cells]:
        """How many cells each station is missing, and those that radiate."""
        table = self.table
        half, all_out = table.fault("cell-unavailable"), table.fault("out-of-service")
        disturbed = table.fault("interference")
        if not (half.any() or all_out.any() or disturbed.any()):
            return np.zeros(len(table), dtype=np.int64), self._whole
        down = np.where(half, (self.cells + 1) // 2, 0)
        down = np.where(all_out, self.cells, down)
        # A radio unit that fails has cells of both.
        down_5g = np.ceil(down * self.cells_5g / self.cells).astype(np.int64)
        of_5g = self.cells_5g - down_5g
        of_4g = self.cells - down - of_5g
        return down, radio.Cells(of_4g, of_5g, capacity=self._capacity, disturbed=disturbed)

    def demand_mbit_s(self, now_ms: int) -> FloatArray:
        """What the people under each station want now, whatever it can carry."""
        levels = day.levels(now_ms)
        busy = sum(
            self._mix[:, use] * levels[:, use][self._place]
            for use in (day.HOME, day.OFFICE, day.LEISURE)
        )
        found: FloatArray = self._peak_mbit_s * busy * self.load_factor * (1.0 + self._users_noise)
        return found

    def counters_sent(self, rows: IntArray) -> None:
        """A new 15-minute period begins for these stations."""
        self._unavailable_s[rows] = 0.0

    def _drawn_w(self, load_4g: FloatArray | float, load_5g: FloatArray | float) -> FloatArray:
        return radio.power_w(
            (self.cells - self.cells_5g).astype(np.float64),
            self.cells_5g.astype(np.float64),
            load_4g=load_4g,
            load_5g=load_5g,
            has_5g=self._has_5g,
        )

    def _on_sites(self, power_w: FloatArray) -> FloatArray:
        drawn = np.bincount(self.table.site, power_w, minlength=self.sites.count)
        return TRANSMISSION_W + drawn.astype(np.float64)

    def _read_power(self, power_w: FloatArray) -> None:
        columns, sites, at = self.table.columns, self.sites, self.table.site
        ripple = self.rng.normal(0.0, 0.03, len(self.table))
        voltage = sites.voltage_v[at] + ripple
        columns["mains_ok"] = sites.mains[at]
        columns["dc_voltage_v"] = voltage
        columns["power_w"] = power_w
        columns["dc_current_a"] = power_w / np.maximum(voltage, 1.0)
        columns["rectifiers_failed"] = self.table.fault("rectifier-failure").astype(np.int64)
        columns["battery_charge_percent"] = sites.charge[at] * 100.0
        columns["battery_current_a"] = sites.battery_current_a[at]
        columns["battery_runtime_min"] = sites.runtime_min[at]
        columns["genset_running"] = sites.genset_running[at]
        columns["fuel_percent"] = sites.fuel_percent[at]
        columns["shelter_temperature_c"] = sites.shelters.read_temperature_c[at]
        columns["shelter_humidity_percent"] = sites.shelters.read_humidity_percent[at]
        opened = self.table.fault("door-open") | self.table.fault("battery-theft")
        columns["door_open"] = self._of_site(opened)
        columns["smoke"] = self._of_site(self.table.fault("smoke"))

    def _of_site(self, stations: BoolArray) -> BoolArray:
        """Door and smoke contacts belong to the shelter: all stations of the site report them."""
        sites = np.zeros(self.sites.count, dtype=np.bool_)
        sites[self.table.site[stations]] = True
        found: BoolArray = sites[self.table.site]
        return found

    def _read_radio(self, carried: radio.Carried, down: IntArray) -> None:
        table, columns = self.table, self.table.columns
        columns["in_service"] = down < self.cells
        columns["cells_unavailable"] = down
        vswr = np.where(table.fault("vswr"), 2.6, self._vswr)
        columns["vswr"] = np.maximum(vswr + self._radio_noise * 0.02, 1.0)
        # Neighbours' users raise the floor a little in the busy hour.
        floor = self._floor_dbm + 3.5 * carried.load_4g + self._radio_noise
        columns["interference_dbm"] = np.where(
            table.fault("interference"), -96.0 + self._radio_noise, floor
        )
        sync = self._sync_us + 0.05 * np.abs(self._radio_noise)
        columns["sync_error_us"] = np.where(table.fault("sync-loss"), 4.0 + sync, sync)

    def _read_counters(self, carried: radio.Carried, cells: radio.Cells) -> None:
        columns = self.table.columns
        radiating = cells.of_4g + cells.of_5g > 0
        columns["rrc_conn_mean"] = carried.connected
        columns["rrc_estab_success_percent"] = np.clip(
            carried.success_percent + 0.05 * self._radio_noise, 0.0, 100.0
        )
        for name, load in (
            ("rru_prb_tot_dl_percent", carried.cell_load),
            ("rru_prb_tot_ul_percent", carried.uplink_load),
        ):
            used = radio.used_percent(load)
            columns[name] = used if cells is self._whole else np.where(radiating, used, 0.0)
        columns["drb_ue_thp_dl_kbit_s"] = carried.down_mbit_s * 1000.0
        columns["drb_ue_thp_ul_kbit_s"] = carried.up_mbit_s * 1000.0
        columns["cell_unavailable_s"] = self._unavailable_s
        columns["cells_5g_active"] = cells.of_5g.astype(np.int64)
