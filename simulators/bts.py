"""Base stations: users, radio and power drawn, on what their site gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ioc.inventory import Asset
from simulators.day import traffic
from simulators.network import Network
from simulators.sites import Sites
from simulators.table import BoolArray, FloatArray, Table, wander

KIND = "bts"
# Power: what a cell draws idle, and what it adds at full load (W). A 5G cell with many antennas
# draws several times what a 4G cell does; orders of magnitude from vendors' data sheets.
_IDLE_W, _BUSY_W = 120.0, 90.0
_IDLE_5G_W, _BUSY_5G_W = 260.0, 420.0
# Downlink a user sees in an empty cell (kbit/s): 4G with 20 MHz carriers, 5G with 100 MHz.
_EMPTY_4G_KBIT_S, _EMPTY_5G_KBIT_S = 95_000.0, 500_000.0


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
        self._share = rng.uniform(0.55, 0.95, count)  # how full it is in the busy hour
        population = np.array([asset.population for asset in assets], dtype=np.float64)
        people = np.where(population > 0, population, rng.uniform(150.0, 900.0, count))
        # Of the people covered, about one in eight is in an RRC connection in the busy hour.
        self._busy_users = np.maximum(people * rng.uniform(0.08, 0.16, count), 3.0)
        # Set by a scenario: more people than usual (a holiday), or fewer.
        self.load_factor: FloatArray = np.ones(count)
        self._speed = rng.uniform(0.85, 1.15, count)
        self._vswr = rng.uniform(1.08, 1.32, count)
        self._floor_dbm = rng.uniform(-118.5, -113.5, count)
        self._sync_us = rng.uniform(0.05, 0.5, count)
        self._users_noise: FloatArray = np.zeros(count)
        self._radio_noise: FloatArray = np.zeros(count)
        self._unavailable_s: FloatArray = np.zeros(count)
        self._radiating: BoolArray = np.ones(count, dtype=np.bool_)
        table.masks["genset_running"] = table.masks["fuel_percent"] = sites.genset[table.site]
        sites.size_batteries(self._load_of_sites(self._power_w(np.ones(count), self.cells)))
        table.columns["cells_total"] = self.cells

    def advance(self, now_ms: int, dt_s: float) -> None:
        """Move all stations by ``dt_s``; ``Sites`` and who is powered are already at ``now_ms``."""
        table, sites = self.table, self.sites
        on = sites.in_operation[table.site]
        table.restarts += sites.lost_power[table.site]
        down_cells = np.where(table.fault("cell-unavailable"), (self.cells + 1) // 2, 0)
        down_cells = np.where(table.fault("out-of-service"), self.cells, down_cells)
        radiating = self.cells - down_cells
        self._radiating = on & (radiating > 0)
        out = np.where(on, down_cells / self.cells, 1.0)
        self._unavailable_s = np.minimum(self._unavailable_s + out * dt_s, 900.0)

        wander(self._users_noise, self.rng, sigma=0.05, dt_s=dt_s, tau_s=1800.0)
        wander(self._radio_noise, self.rng, sigma=0.6, dt_s=dt_s, tau_s=600.0)
        usual = traffic(now_ms) * self._share * self.load_factor
        load = np.clip(usual * (1.0 + self._users_noise), 0.0, 0.97)
        power_w = np.where(on, self._power_w(load, radiating), 0.0)
        sites.load_w = self._load_of_sites(power_w)
        self._read_power(power_w)
        self._read_radio(load, radiating, down_cells)
        self._read_counters(load, radiating)

    def counters_sent(self, rows: np.typing.NDArray[np.int64]) -> None:
        """A new 15-minute period begins for these stations."""
        self._unavailable_s[rows] = 0.0

    def _power_w(self, load: FloatArray, radiating: np.typing.NDArray[np.int64]) -> FloatArray:
        of_5g = np.minimum(self.cells_5g, radiating)
        of_4g = radiating - of_5g
        drawn: FloatArray = (
            180.0  # baseband
            + of_4g * (_IDLE_W + _BUSY_W * load)
            + of_5g * (_IDLE_5G_W + _BUSY_5G_W * load)
        )
        return drawn

    def _load_of_sites(self, power_w: FloatArray) -> FloatArray:
        drawn = np.bincount(self.table.site, power_w, minlength=self.sites.count)
        return 150.0 + drawn.astype(np.float64)

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
        low = self.table.on_sites("low-fuel", sites.count)[at]
        columns["fuel_percent"] = np.where(low, 12.0, sites.fuel_percent[at])
        columns["shelter_temperature_c"] = sites.shelter_temperature_c[at]
        columns["shelter_humidity_percent"] = np.clip(sites.shelter_humidity_percent[at], 5, 100)
        opened = self.table.fault("door-open") | self.table.fault("battery-theft")
        columns["door_open"] = self._of_site(opened)
        columns["smoke"] = self._of_site(self.table.fault("smoke"))

    def _of_site(self, stations: BoolArray) -> BoolArray:
        """Door and smoke contacts belong to the shelter: all stations of the site report them."""
        sites = np.zeros(self.sites.count, dtype=np.bool_)
        sites[self.table.site[stations]] = True
        found: BoolArray = sites[self.table.site]
        return found

    def _read_radio(
        self,
        load: FloatArray,
        radiating: np.typing.NDArray[np.int64],
        down_cells: np.typing.NDArray[np.int64],
    ) -> None:
        table, columns = self.table, self.table.columns
        columns["in_service"] = radiating > 0
        columns["cells_unavailable"] = down_cells
        vswr = np.where(table.fault("vswr"), 2.6, self._vswr)
        columns["vswr"] = np.maximum(vswr + self._radio_noise * 0.02, 1.0)
        # Neighbours' users raise the floor a little in the busy hour.
        floor = self._floor_dbm + 3.5 * load + self._radio_noise
        columns["interference_dbm"] = np.where(
            table.fault("interference"), -96.0 + self._radio_noise, floor
        )
        sync = self._sync_us + 0.05 * np.abs(self._radio_noise)
        columns["sync_error_us"] = np.where(table.fault("sync-loss"), 4.0 + sync, sync)

    def _read_counters(self, load: FloatArray, radiating: np.typing.NDArray[np.int64]) -> None:
        table, columns = self.table, self.table.columns
        share = radiating / self.cells
        disturbed = table.fault("interference")
        users = self._busy_users * load / np.maximum(self._share, 0.01) * share
        columns["rrc_conn_mean"] = users
        success = 99.6 - 0.6 * load**2 + 0.05 * self._radio_noise
        columns["rrc_estab_success_percent"] = np.clip(
            np.where(disturbed, success - 8.0, success), 0.0, 100.0
        )
        # The fewer cells are left, the fuller each is.
        prb = np.clip(4.0 + 82.0 * load / np.maximum(share, 0.25), 0.0, 100.0)
        prb = np.where(radiating > 0, prb, 0.0)
        columns["rru_prb_tot_dl_percent"] = prb
        columns["rru_prb_tot_ul_percent"] = prb * 0.55
        of_5g = np.minimum(self.cells_5g, radiating)
        empty = np.where(of_5g > 0, _EMPTY_5G_KBIT_S, _EMPTY_4G_KBIT_S) * self._speed
        # A user shares with the others, and schedulers keep a floor for each.
        downlink = empty * (1.0 - 0.38 * prb / 100.0) * np.where(disturbed, 0.6, 1.0)
        downlink = np.where(radiating > 0, downlink, 0.0)
        columns["drb_ue_thp_dl_kbit_s"] = downlink
        columns["drb_ue_thp_ul_kbit_s"] = downlink * 0.16
        columns["cell_unavailable_s"] = self._unavailable_s
        columns["cells_5g_active"] = of_5g
