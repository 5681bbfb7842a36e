"""Data centres: power (``dc_power``), heat (``dc_heat``), servers (``dc_racks``), platforms and
where they run (``dc_platforms``), data (``dc_data``), site by site; assembled here.

docs/physics-data-centre.md says how each is modelled, with its numbers and their sources.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ioc.inventory import Asset
from simulators.dc_data import Data
from simulators.dc_heat import Rooms
from simulators.dc_places import KINDS, Places
from simulators.dc_platforms import Platforms
from simulators.dc_power import Power
from simulators.dc_racks import Racks
from simulators.network import Network
from simulators.table import BoolArray, FloatArray, IntArray, Table
from simulators.weather import outdoor_temperature_c

__all__ = ["KINDS", "DataCentres"]

# Lights, ventilation, transformers as a share of the IT load that the site is sized for; an
# assumption. With cooling and UPS, a small centre in the tropics comes to a PUE of 1.6–2.0.
BUILDING_SHARE = (0.13, 0.22)
# While something changes, power and heat move in steps of at most this.
SUB_STEP_S = 5.0
_MOST_SUB_STEPS = 400
# A site can be switched over when its copy is no older than this: the catalog's rule for
# replication lag. The other site's rooms are no warmer than the catalog's limit.
READY_LAG_S = 900.0
READY_ROOM_C = 30.0
# What makes power or heat change from one moment to the next.
_CHANGES = (
    *(("dc_site", "cooling-failure"), ("dc_site", "high-temperature")),
    *(("cooling_unit", "cooling-failure"), ("rack", "high-temperature")),
    *(("ups", "ups-on-battery"), ("ups", "ups-failure"), ("ups", "ups-bypass")),
)
_CAME_IN = ("mains", "genset", "battery_out", "it", "cooling", "building", "losses", "battery_in")


class DataCentres:
    """All simulated data-centre assets: one table per kind, site by site.

    ``places`` are the rows of ``network.sites`` that have any, ``powered`` which of them have
    power, ``feed`` which have supply from mains or genset. ``energy_kwh`` is what has come in and
    gone out of each place since the begin, by name.
    """

    def __init__(self, assets: Sequence[Asset], network: Network, rng: np.random.Generator) -> None:
        self.rng = rng
        self._places = Places(assets, network, rng)
        self.tables: dict[str, Table] = self._places.tables
        self.places: IntArray = self._places.sites
        self.power = Power(self._places, rng)
        self.rooms = Rooms(self._places, rng)
        self.racks = Racks(self._places, rng)
        self.data = Data(self._places, rng)
        self._design_kw = self.racks.design_work_kw()
        self.platforms = Platforms(self._places, self._design_kw, self.data.partner)
        count = self._places.count
        self._building_kw = rng.uniform(*BUILDING_SHARE, count) * self._places.it_kw
        self._humidity = rng.uniform(46.0, 56.0, count)
        self._storing: BoolArray = np.ones(len(self.tables["storage_backup"]), dtype=np.bool_)
        self.energy_kwh: dict[str, FloatArray] = {name: np.zeros(count) for name in _CAME_IN}
        self._cooling_kw: FloatArray = np.zeros(count)
        self._faults_before: tuple[bytes, ...] = ()
        self.it_power_kw: FloatArray = np.zeros(count)

    @property
    def powered(self) -> BoolArray:
        return self.power.powered

    @property
    def feed(self) -> BoolArray:
        return self.power.feed

    def advance(self, now_ms: int, dt_s: float, *, reached: BoolArray) -> None:
        """Move all sites by ``dt_s``. ``reached``: which network sites reach a core site."""
        if not self._places.count:
            return
        mains = ~(
            self._places.anywhere("dc_site", "mains-failure")
            | self._places.anywhere("transfer_switch", "mains-failure")
        )
        steps = self._sub_steps(mains, dt_s)
        h_s = dt_s / steps
        for step in range(1, steps + 1):
            self._step(now_ms - round((steps - step) * h_s * 1000), h_s, mains)
        self._move_data(now_ms, dt_s, reached)
        self.power.read(self.rooms.air_c[self._places.room["ups"]], dt_s)
        self.rooms.read(dt_s)
        self.racks.read(dt_s)
        self._read_sites(now_ms)

    def _sub_steps(self, mains: BoolArray, dt_s: float) -> int:
        """Into how many steps ``dt_s`` is divided: one where nothing is about to change."""
        now = tuple(self.tables[kind].fault(fault).tobytes() for kind, fault in _CHANGES)
        same, self._faults_before = now == self._faults_before, now
        calm = (
            same
            and bool(mains.all())
            and self.power.settled
            and self.rooms.settled
            and self.racks.settled
        )
        return 1 if calm else min(max(1, math.ceil(dt_s / SUB_STEP_S)), _MOST_SUB_STEPS)

    def _step(self, now_ms: int, h_s: float, mains: BoolArray) -> None:
        power, racks, platforms = self.power, self.racks, self.platforms
        power.transfer(mains, h_s)
        racks.advance(h_s, air_c=self.rooms.air_c, powered=power.powered)
        capacity_kw = racks.capacity_kw()
        platforms.advance(
            now_ms,
            h_s,
            capacity_kw=capacity_kw,
            takes=self.data.joined & power.powered & (capacity_kw > 0.0),
            resynchronised=self.data.resync_gb <= 0.0,
        )
        it_kw = racks.draw(platforms.served_kw, power.powered, now_ms)
        power.carry(it_kw, h_s)
        self._cooling_kw = self.rooms.advance(
            h_s,
            rack_kw=racks.power_kw,
            ups_loss_kw=power.loss_kw,
            feed=power.feed,
            outdoor_c=outdoor_temperature_c(now_ms),
        )
        building_kw = np.where(power.feed, self._building_kw, 0.0)
        power.draw(it_kw, self._cooling_kw + building_kw, h_s)
        self.it_power_kw = np.where(power.powered, it_kw, 0.0)
        self._count(building_kw, h_s / 3600.0)

    def _count(self, building_kw: FloatArray, hours: float) -> None:
        power, total = self.power, self._places.total
        on_genset = power.on_genset
        for name, kw in (
            ("mains", np.where(on_genset, 0.0, power.supply_kw)),
            ("genset", np.where(on_genset, power.supply_kw, 0.0)),
            ("battery_out", total("ups", power.discharging_kw)),
            ("it", self.it_power_kw),
            ("cooling", self._cooling_kw),
            ("building", building_kw),
            ("losses", total("ups", power.loss_kw)),
            ("battery_in", total("ups", power.charging_kw)),
        ):
            self.energy_kwh[name] += kw * hours

    def _move_data(self, now_ms: int, dt_s: float, reached: BoolArray) -> None:
        places = self._places
        self._storing = (
            self.power.powered[places.at["storage_backup"]]
            & self.racks.running[places.storage_rack]
        )
        design = np.maximum(self._design_kw, 1e-9)
        self.data.advance(
            now_ms,
            dt_s,
            powered=self.power.powered,
            reached=reached[self.places],
            storing=self._storing,
            activity=self.platforms.served_kw / design,
            hosted=self.platforms.away_kw / design,
        )

    def _ready(self, *, lag_s: FloatArray, warmest_c: FloatArray) -> BoolArray:
        """Which sites the other one could take over: their copy is fresh, their uplinks work, and
        the other site has mains, cool rooms and servers. Both arguments are per place."""
        places, data, power = self._places, self.data, self.power
        flows = data.joined.copy()
        flows[places.at["storage_backup"][~data.flows]] = False
        able = power.powered & power.mains & data.joined & (warmest_c <= READY_ROOM_C)
        able &= self.racks.capacity_kw() > 0.5 * self._design_kw
        return flows & (lag_s < READY_LAG_S) & able[data.partner]

    def _read_sites(self, now_ms: int) -> None:
        table, at = self.tables["dc_site"], self._places.at["dc_site"]
        columns, it_kw, supply_kw = table.columns, self.it_power_kw, self.power.supply_kw
        columns["it_power_kw"] = it_kw[at]
        columns["facility_power_kw"] = supply_kw[at]
        columns["pue"] = np.clip(supply_kw / np.maximum(it_kw, 0.1), 1.0, 50.0)[at]
        table.masks["pue"] = (self.power.feed & (it_kw > 0.0))[at]
        # "Cold aisle mean" of the catalog is that of a room; a site tells its warmest room, as a
        # mean of several would hide the one that fails.
        warmest_c = np.full(self._places.count, -np.inf)
        np.maximum.at(warmest_c, self._places.room_at, self.rooms.air_c)
        columns["room_temperature_c"] = warmest_c[at] + self.rng.normal(0.0, 0.05, len(table))
        damp = self._humidity + 2.0 * np.sin(now_ms / 86_400_000 * 2 * np.pi)
        columns["room_humidity_percent"] = (damp * _dries(warmest_c))[at]
        spare = np.full(self._places.count, np.inf)
        np.minimum.at(spare, self._places.room_at, self.rooms.spare)
        columns["cooling_spare_units"] = np.clip(spare, -50, 50)[at].astype(np.int64)
        lag_s = np.zeros(self._places.count)
        np.maximum.at(lag_s, self._places.at["storage_backup"], self.data.lag_s)
        columns["replication_lag_s"] = lag_s[at]
        columns["switch_over_ready"] = self._ready(lag_s=lag_s, warmest_c=warmest_c)[at]
        for name, fault in (
            ("smoke", "smoke"),
            ("water_leak", "water-leak"),
            ("door_open", "door-open"),
        ):
            columns[name] = table.fault(fault).copy()


def _dries(air_c: FloatArray) -> FloatArray:
    """Relative humidity of air that warms from 22 °C with the water it has (Magnus formula)."""
    reference = 17.62 * 22.0 / (243.12 + 22.0)
    dries: FloatArray = np.exp(reference - 17.62 * air_c / (243.12 + air_c))
    return dries
