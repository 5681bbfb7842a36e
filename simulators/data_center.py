"""Data centres: racks, UPS, genset, transfer switch, cooling, storage and uplinks of each site.

Power: mains, else the genset after its start delay; the transfer switch chooses; the UPS batteries
bridge the gap. Heat: what the racks draw must be carried out by cooling units that have power, or
the room warms by about a degree a minute. Replication runs over the uplinks to the other site.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ioc.inventory import Asset
from simulators.day import local_hour, outdoor_temperature_c, traffic
from simulators.network import Network
from simulators.table import BoolArray, FloatArray, IntArray, Table, relax, wander

KINDS = (
    *("dc_site", "ups", "genset", "transfer_switch", "cooling_unit"),
    *("rack", "storage_backup", "uplink"),
)
_SET_POINT_C = 22.0
_UPS_EFFICIENCY = 0.92
# Electrical power of a cooling unit for the heat it moves, in a warm climate.
_COP = 2.4
# Lights, ventilation, chargers, transformer losses as a share of the IT load. With the above a
# government server room in the tropics comes to a PUE of 1.6–2.0.
_OTHER = (0.13, 0.24)
# Air, racks and walls take this many kWh per degree and kW of IT load: a room without cooling
# warms by about a degree a minute.
_HEAT_CAPACITY_H = 1.0 / 60.0
_BACKUP_AT_H = 2.0
# The share of a site's load that the other one takes over when it is lost; an assumption, as much
# as its cooling can carry.
_MUST_NOT_STOP = 0.3


class DataCentres:
    """All simulated data-centre assets: one table per kind, site by site."""

    def __init__(self, assets: Sequence[Asset], network: Network, rng: np.random.Generator) -> None:
        self.rng = rng
        of_kind = {kind: [asset for asset in assets if asset.kind == kind] for kind in KINDS}
        self.tables = {
            kind: Table(kind, found, network.site_index) for kind, found in of_kind.items()
        }
        places = sorted({int(site) for table in self.tables.values() for site in table.site})
        self.places: IntArray = np.array(places, dtype=np.int64)  # rows of network.sites
        of_site = {site: row for row, site in enumerate(places)}
        self._place = {
            kind: np.array([of_site[int(site)] for site in table.site], dtype=np.int64)
            for kind, table in self.tables.items()
        }
        count = len(places)
        self._size_equipment(count)
        self._other = rng.uniform(*_OTHER, count)
        # Power.
        self.powered: BoolArray = np.ones(count, dtype=np.bool_)
        self.feed: BoolArray = np.ones(count, dtype=np.bool_)  # the transfer switch gives power
        self._genset_wait_s: FloatArray = np.zeros(count)
        self._genset_delay_s = rng.uniform(10.0, 20.0, count)
        self._back_wait_s: FloatArray = np.zeros(count)
        self._on_genset: BoolArray = np.zeros(count, dtype=np.bool_)
        self._fuel = rng.uniform(75.0, 95.0, len(self.tables["genset"]))
        self._charge: FloatArray = np.ones(len(self.tables["ups"]))
        # Heat.
        self._room_c: FloatArray = np.full(count, _SET_POINT_C)
        self._supply_c: FloatArray = np.full(len(self.tables["cooling_unit"]), 17.5)
        self._room_noise: FloatArray = np.zeros(count)
        self._humidity = rng.uniform(46.0, 56.0, count)
        self._rack_offset_c = rng.uniform(-0.5, 1.6, len(self.tables["rack"]))
        self._rack_noise: FloatArray = np.zeros(len(self.tables["rack"]))
        # Data.
        self._used = rng.uniform(42.0, 68.0, len(self.tables["storage_backup"]))
        self._lag_s = rng.uniform(5.0, 30.0, len(self.tables["storage_backup"]))
        self._backup_ms: IntArray = np.zeros(len(self.tables["storage_backup"]), dtype=np.int64)
        self._uplink_noise: FloatArray = np.zeros(len(self.tables["uplink"]))
        self._uplink_share = rng.uniform(0.14, 0.38, len(self.tables["uplink"]))
        self._latency_ms = rng.uniform(1.2, 6.0, len(self.tables["uplink"]))

    def _size_equipment(self, count: int) -> None:
        tables, place = self.tables, self._place
        self._rack_kw = self.rng.uniform(1.8, 4.8, len(tables["rack"]))
        given = tables["rack"].attribute("it_load_kw", 0.0)
        self._rack_kw = np.where(given > 0.0, given, self._rack_kw)
        racks_kw = np.bincount(place["rack"], self._rack_kw, minlength=count)
        self._it_kw = np.where(racks_kw > 0.0, racks_kw, 60.0)
        per_place = np.bincount(place["ups"], minlength=count).astype(np.float64)
        self._ups_at = per_place
        share = self._it_kw / np.maximum(per_place, 1.0)
        # 2N: in the busy hour each feed carries about a third of its rating.
        rated = tables["ups"].attribute("rated_kw", 0.0)
        self._ups_kw = np.where(rated > 0.0, rated, share[place["ups"]] / 0.36)
        self._ups_kwh = share[place["ups"]] * self.rng.uniform(0.55, 0.75, len(tables["ups"]))
        units = np.bincount(place["cooling_unit"], minlength=count).astype(np.float64)
        # N+1: all but one carry the load with a little to spare.
        self._unit_kw = 1.15 * self._it_kw / np.maximum(units - 1.0, 1.0)
        rated = tables["cooling_unit"].attribute("rated_kw", 0.0)
        mean_kw = np.bincount(place["cooling_unit"], rated, minlength=count) / np.maximum(units, 1)
        self._unit_kw = np.where(mean_kw > 0.0, mean_kw, self._unit_kw)
        self._has = {
            kind: np.bincount(place[kind], minlength=count) > 0
            for kind in ("ups", "genset", "cooling_unit", "uplink")
        }

    def _anywhere(self, kind: str, fault: str) -> BoolArray:
        """At which places an asset of this kind has this fault."""
        found = np.zeros(len(self.places), dtype=np.bool_)
        found[self._place[kind][self.tables[kind].fault(fault)]] = True
        return found

    def advance(self, now_ms: int, dt_s: float, *, reached: BoolArray) -> None:
        """Move all sites by ``dt_s``. ``reached``: which network sites reach a core site."""
        if not len(self.places):
            return
        busy = 0.82 + 0.12 * traffic(now_ms)
        rack_kw = self._rack_kw * busy * (1.0 + 0.02 * np.sin(now_ms / 7e5 + self._rack_offset_c))
        # Servers slow down when their air is hot.
        rack_kw = rack_kw * np.where(self._room_c > 38.0, 0.7, 1.0)[self._place["rack"]]
        rack_kw = rack_kw * self._taken_over(rack_kw)[self._place["rack"]]
        racks = np.bincount(self._place["rack"], rack_kw, minlength=len(self.places))
        it_kw = np.where(racks > 0.0, racks, self._it_kw * busy) * self.powered
        mains = ~(
            self._anywhere("dc_site", "mains-failure")
            | self._anywhere("transfer_switch", "mains-failure")
        )
        self._transfer(mains, dt_s)
        self._run_ups(it_kw, dt_s)
        cooling_kw = self._cool(now_ms, it_kw, dt_s)
        self._read_racks(rack_kw, dt_s)
        self._move_data(now_ms, dt_s, reached)
        self._read_site(now_ms, it_kw, cooling_kw, mains)
        self._read_power_source(it_kw + cooling_kw, mains)

    def _taken_over(self, rack_kw: FloatArray) -> FloatArray:
        """What each site's load is multiplied by when another one has lost its power: what must
        not stop runs on here then."""
        racks = np.bincount(self._place["rack"], rack_kw, minlength=len(self.places))
        lost_kw = float(racks[~self.powered].sum())
        standing_kw = float(racks[self.powered].sum())
        if lost_kw <= 0.0 or standing_kw <= 0.0:
            return np.ones(len(self.places))
        return np.where(self.powered, 1.0 + _MUST_NOT_STOP * lost_kw / standing_kw, 1.0)

    def _transfer(self, mains: BoolArray, dt_s: float) -> None:
        """The genset starts when mains is gone; the switch goes back a minute after it is."""
        place = self._place["genset"]
        table = self.tables["genset"]
        able = ~(table.fault("genset-not-in-auto") | table.fault("genset-failure"))
        able &= self._fuel > 0.0
        ready = np.zeros(len(self.places), dtype=np.bool_)
        ready[place[able]] = True
        wanted = ready & (~mains | (self._on_genset & (self._back_wait_s > 0.0)))
        self._genset_wait_s = np.where(wanted, self._genset_wait_s - dt_s, self._genset_delay_s)
        running = wanted & (self._genset_wait_s <= 0.0)
        self._back_wait_s = np.where(mains, np.maximum(self._back_wait_s - dt_s, 0.0), 60.0)
        self._on_genset = running & (~mains | (self._back_wait_s > 0.0))
        self.feed = mains | self._on_genset
        self._fuel = np.where(
            running[place], np.maximum(self._fuel - 100.0 * dt_s / (24 * 3600.0), 0.0), self._fuel
        )

    def _run_ups(self, it_kw: FloatArray, dt_s: float) -> None:
        table, place, columns = self.tables["ups"], self._place["ups"], self.tables["ups"].columns
        on_battery = ~self.feed[place] | table.fault("ups-on-battery")
        on_bypass = table.fault("ups-bypass") & self.feed[place]
        works = ~on_battery | (self._charge > 0.0)
        carrying = np.bincount(place[works], minlength=len(self.places)).astype(np.float64)
        load_kw = np.where(works, (it_kw / np.maximum(carrying, 1.0))[place], 0.0)
        hours = dt_s / 3600.0
        self._charge = np.clip(
            np.where(on_battery, self._charge - load_kw * hours / self._ups_kwh, self._charge)
            + np.where(on_battery, 0.0, 0.2 * hours),
            0.0,
            1.0,
        )
        # A site without a UPS lives on its feed alone.
        self.powered = np.where(self._has["ups"], carrying > 0.0, self.feed)
        columns["load_percent"] = 100.0 * load_kw / self._ups_kw
        columns["runtime_min"] = np.minimum(
            60.0 * self._charge * self._ups_kwh / np.maximum(load_kw, 0.1), 999.0
        )
        columns["on_battery"] = on_battery
        columns["on_bypass"] = on_bypass
        columns["battery_charge_percent"] = 100.0 * self._charge
        columns["battery_temperature_c"] = 23.0 + 0.3 * (self._room_c[place] - _SET_POINT_C)
        ripple = self.rng.normal(0.0, 0.6, (2, len(table)))
        columns["input_voltage_v"] = np.where(self.feed[place], 226.0 + 2.0 * ripple[0], 0.0)
        columns["output_voltage_v"] = np.where(works, 220.0 + ripple[1], 0.0)

    def _cool(self, now_ms: int, it_kw: FloatArray, dt_s: float) -> FloatArray:
        """Electrical power of the cooling, per place (kW)."""
        table, place = self.tables["cooling_unit"], self._place["cooling_unit"]
        columns = table.columns
        failed = (
            table.fault("cooling-failure") | self._anywhere("dc_site", "cooling-failure")[place]
        )
        runs = self.feed[place] & ~failed
        working = np.bincount(place[runs], minlength=len(self.places)).astype(np.float64)
        able_kw = working * self._unit_kw
        outdoor_c = outdoor_temperature_c(now_ms)
        heat_kw = it_kw * 1.05
        moved_kw = heat_kw
        # In steps of at most 30 s: the room answers to what it moves out.
        steps = max(1, int(np.ceil(dt_s / 30.0)))
        for _ in range(steps):
            wanted_kw = np.maximum(heat_kw * (1.0 + 0.25 * (self._room_c - _SET_POINT_C)), 0.0)
            moved_kw = np.where(self._has["cooling_unit"], np.minimum(wanted_kw, able_kw), heat_kw)
            through_walls_kw = 0.012 * self._it_kw * (outdoor_c + 6.0 - self._room_c)
            gain_kw = heat_kw - moved_kw + np.minimum(through_walls_kw, 0.0)
            self._room_c += gain_kw * (dt_s / steps / 3600.0) / (_HEAT_CAPACITY_H * self._it_kw)
        hot = self._anywhere("dc_site", "high-temperature")
        relax(self._room_c, np.where(hot, 34.0, self._room_c), dt_s=dt_s, tau_s=180.0)
        part = moved_kw / np.maximum(able_kw, 0.1)
        carried_kw = np.where(runs, (moved_kw / np.maximum(working, 1.0))[place], 0.0)
        power_kw = carried_kw / (_COP - 0.03 * (outdoor_c - 28.0))
        relax(
            self._supply_c,
            np.where(runs, 18.5 - 2.0 * part[place], self._room_c[place] + 2.0),
            dt_s=dt_s,
            tau_s=120.0,
        )
        noise = self.rng.normal(0.0, 0.1, (2, len(table)))
        columns["supply_temperature_c"] = self._supply_c + noise[0]
        columns["return_temperature_c"] = (
            self._room_c[place] + 9.0 * part[place].clip(0, 1) + noise[1]
        )
        columns["running"] = runs
        columns["failed"] = failed
        columns["fan_speed_percent"] = np.where(runs, 35.0 + 55.0 * part[place], 0.0)
        columns["power_kw"] = power_kw
        needed = np.ceil(it_kw / np.maximum(self._unit_kw, 0.1) - 1e-6)
        self._spare = np.where(self._has["cooling_unit"], working - needed, 1.0).astype(np.int64)
        total_kw = np.bincount(place, power_kw, minlength=len(self.places)).astype(np.float64)
        return np.where(self._has["cooling_unit"], total_kw, moved_kw / _COP)

    def _read_racks(self, rack_kw: FloatArray, dt_s: float) -> None:
        table, place = self.tables["rack"], self._place["rack"]
        wander(self._rack_noise, self.rng, sigma=0.15, dt_s=dt_s, tau_s=300.0)
        hot = np.where(table.fault("high-temperature"), 12.0, 0.0)
        table.columns["inlet_temperature_c"] = (
            self._room_c[place] + self._rack_offset_c + self._rack_noise + hot
        )
        table.columns["power_kw"] = rack_kw

    def _move_data(self, now_ms: int, dt_s: float, reached: BoolArray) -> None:
        up = self._read_uplinks(now_ms, dt_s)
        joined = np.zeros(len(self.places), dtype=np.bool_)
        joined[self._place["uplink"][up]] = True
        joined |= ~self._has["uplink"]
        joined &= self.powered & reached[self.places]
        # Replication needs this site and another one.
        others = np.count_nonzero(joined) - joined
        self._joined = joined & ((others > 0) | (len(self.places) == 1))
        table, place = self.tables["storage_backup"], self._place["storage_backup"]
        flows = self._joined[place] & ~table.fault("replication-stopped")
        usual = 12.0 + 40.0 * traffic(now_ms)
        # Behind by a minute for each minute it stands still; it catches up five times as fast.
        self._lag_s = np.where(
            flows,
            np.maximum(self._lag_s - 5.0 * dt_s, usual + self.rng.normal(0.0, 2.0, len(table))),
            self._lag_s + dt_s,
        )
        failed = table.fault("backup-failed")
        # The nightly backup is done at two o'clock, local time.
        age_h = (local_hour(now_ms) - _BACKUP_AT_H) % 24.0
        done_ms = now_ms - round(age_h * 3_600_000)
        self._backup_ms = np.where(
            failed & (self._backup_ms > 0), self._backup_ms, np.int64(done_ms)
        )
        self._used = np.clip(self._used + dt_s * 0.05 / 86_400.0, 0.0, 100.0)
        columns = table.columns
        columns["used_percent"] = np.where(table.fault("storage-full"), 93.0, self._used)
        columns["backup_age_h"] = (now_ms - self._backup_ms) / 3_600_000.0
        columns["last_backup_ok"] = ~failed
        columns["replication_lag_s"] = np.minimum(self._lag_s, 2_592_000.0)

    def _read_uplinks(self, now_ms: int, dt_s: float) -> BoolArray:
        table, place = self.tables["uplink"], self._place["uplink"]
        columns = table.columns
        flapping = (now_ms // 20_000) % 2 == 0
        up: BoolArray = ~(table.fault("link-down") | (table.fault("flapping-link") & flapping))
        up &= self.powered[place]
        wander(self._uplink_noise, self.rng, sigma=0.04, dt_s=dt_s, tau_s=120.0)
        share = self._uplink_share * (0.25 + 0.75 * traffic(now_ms)) * (1.0 + self._uplink_noise)
        # What a failed uplink carried goes over those that are left.
        total = np.bincount(place, share, minlength=len(self.places))
        left = np.bincount(place[up], share[up], minlength=len(self.places))
        share = np.where(up, share * (total / np.maximum(left, 1e-9))[place], 0.0)
        share = np.minimum(share, 0.99)
        capacity = table.attribute("capacity_mbit_s", 10_000.0)
        columns["up"] = up
        columns["tx_mbit_s"] = share * capacity
        columns["rx_mbit_s"] = share * capacity * 0.7
        columns["utilization_percent"] = 100.0 * share
        columns["latency_ms"] = self._latency_ms * (1.0 + share**4 * 4.0)
        columns["loss_percent"] = np.maximum(share - 0.95, 0.0) * 20.0
        table.masks["latency_ms"] = table.masks["loss_percent"] = up
        return up

    def _read_site(
        self, now_ms: int, it_kw: FloatArray, cooling_kw: FloatArray, mains: BoolArray
    ) -> None:
        table, place = self.tables["dc_site"], self._place["dc_site"]
        columns = table.columns
        facility_kw = it_kw / _UPS_EFFICIENCY + cooling_kw + self._other * self._it_kw
        columns["it_power_kw"] = it_kw[place]
        columns["facility_power_kw"] = facility_kw[place]
        columns["pue"] = np.clip(facility_kw / np.maximum(it_kw, 0.1), 1.0, 50.0)[place]
        table.masks["pue"] = it_kw[place] > 0.0
        columns["room_temperature_c"] = self._room_c[place] + self.rng.normal(0.0, 0.05, len(table))
        damp = 2.0 * np.sin(now_ms / 86_400_000 * 2 * np.pi)
        columns["room_humidity_percent"] = (self._humidity + damp)[place]
        columns["cooling_spare_units"] = self._spare[place]
        lag = np.zeros(len(self.places))
        np.maximum.at(lag, self._place["storage_backup"], self._lag_s)
        columns["replication_lag_s"] = np.minimum(lag, 2_592_000.0)[place]
        ready = self._joined & (lag < 900.0) & mains
        columns["switch_over_ready"] = ready[place]
        for name, fault in (
            ("smoke", "smoke"),
            ("water_leak", "water-leak"),
            ("door_open", "door-open"),
        ):
            columns[name] = table.fault(fault).copy()

    def _read_power_source(self, load_kw: FloatArray, mains: BoolArray) -> None:
        genset, at = self.tables["genset"], self._place["genset"]
        able = ~(genset.fault("genset-not-in-auto") | genset.fault("genset-failure"))
        running = self._on_genset[at] & able
        genset.columns["running"] = running
        genset.columns["not_in_auto"] = genset.fault("genset-not-in-auto").copy()
        genset.columns["fuel_percent"] = np.where(genset.fault("low-fuel"), 14.0, self._fuel)
        genset.columns["power_kw"] = np.where(running, load_kw[at], 0.0)
        genset.columns["start_battery_v"] = 27.2 + self.rng.normal(0.0, 0.05, len(genset))
        switch, at = self.tables["transfer_switch"], self._place["transfer_switch"]
        position = np.where(self._on_genset, "genset", np.where(mains, "mains", "off"))
        switch.columns["position"] = position[at]
        switch.columns["mains_voltage_v"] = np.where(
            mains[at], 226.0 + self.rng.normal(0.0, 1.0, len(switch)), 0.0
        )
