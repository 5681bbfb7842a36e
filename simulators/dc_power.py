"""Power of the data centres: mains, genset, transfer switch, UPS with their batteries."""

from __future__ import annotations

import numpy as np

from simulators.dc_places import Places
from simulators.table import BoolArray, FloatArray, IntArray, relax

# Transfer switch: mains gone for so long starts the genset, mains back for so long is trusted
# again, and the genset runs on without load to cool down. ASCO 165 automatic transfer switch,
# published delays: 3 s, 5 min, 1 min.
SENSE_S = 3.0
RETRANSFER_S = 300.0
COOL_DOWN_S = 60.0
# Genset at speed and the switch thrown, from the start signal: with SENSE_S the load has power
# again within 10 s, NFPA 110 Type 10.
START_S = (5.5, 7.0)
# Litres per hour at a quarter, half, three quarters and full load by rating in kW: the approximate
# diesel fuel consumption chart that dealers publish (hardydiesel.com, bigrentz.com; gallons there).
FUEL_KW = np.array([20.0, 60.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0])
FUEL_L_H = np.array(
    [
        *([2.3, 3.4, 4.9, 6.1], [6.8, 11.0, 14.4, 18.2], [9.8, 15.5, 22.0, 28.0]),
        *([13.6, 22.3, 31.8, 41.3], [17.8, 29.1, 41.6, 54.5], [25.7, 42.8, 60.9, 81.4]),
        *([41.6, 70.0, 99.9, 135.1], [81.8, 137.8, 197.2, 269.1], [162.0, 273.3, 391.7, 537.1]),
    ]
)
_LOADS = np.array([0.25, 0.5, 0.75, 1.0])
# The tank lasts so long at full load where the inventory does not give ``tank_l``; an assumption.
TANK_H = 24.0
# Losses of a double-conversion UPS as shares of its rating: without load, in proportion to load,
# with its square: the form of Schneider Electric white paper 108 (Avelar, Making Large UPS Systems
# More Efficient). That the first can be over 40 % of all and the last is 1–4 %: Schneider Electric,
# Definitions of Losses, 2012. The numbers are an assumption within these: efficiency 87 % at a
# quarter load, 91.5 % at half, 93.5 % at full load.
LOSS_NO_LOAD, LOSS_PROPORTIONAL, LOSS_SQUARE = 0.030, 0.025, 0.015
# Only the inverter works on battery, and nothing but the static switch on bypass; assumptions.
LOSS_ON_BATTERY = 0.5
LOSS_ON_BYPASS = 0.01
# Minutes that a new battery carries the full rating where the inventory does not give
# ``autonomy_min``; an assumption: it only bridges the genset's start.
AUTONOMY_MIN = (4.8, 5.6)
# Peukert's law: half the load lasts 2^1.25 times as long. About 1.25 for valve-regulated lead-acid
# (servnetuk.com, UPS runtime explained).
PEUKERT = 1.25
# Recharging takes about ten times the discharge (Eaton, How long does it take for the UPS batteries
# to recharge?): 90 % in 3.3 h after the 20 min that they last at the usual load, slower over the
# last tenth. Of what goes in, 85 % comes out: common practice for lead-acid.
CHARGE_PER_H = 0.27
CHARGE_EFFICIENCY = 0.85
# Batteries are heavy: they follow their room within hours; an assumption.
BATTERY_TAU_S = 3.0 * 3600.0
# 2N: in the busy hour a feed carries about a third of its rating; common practice.
USUAL_FEED_LOAD = 0.36
GENSET_FOR_IT = 2.6
LOW_FUEL_PERCENT = 14.0


class Power:
    """Supply of every place. ``advance`` moves it by a sub-step of a few seconds."""

    def __init__(self, places: Places, rng: np.random.Generator) -> None:
        self.places, self.rng = places, rng
        count, ups, genset = places.count, places.tables["ups"], places.tables["genset"]
        at = self._ups_at = places.at["ups"]
        share_kw = (places.it_kw / np.maximum(places.has("ups"), 1.0))[at]
        rated = ups.attribute("rated_kw", 0.0)
        self.ups_kw: FloatArray = np.where(rated > 0.0, rated, share_kw / USUAL_FEED_LOAD)
        self._has_ups: BoolArray = places.has("ups") > 0
        # The feed of each UPS, the place of each feed.
        self._feeds, self._feed_at = _feeds(places)
        given = ups.attribute("autonomy_min", 0.0)
        full_min = np.where(given > 0.0, given, rng.uniform(*AUTONOMY_MIN, len(ups)))
        self._full_h: FloatArray = full_min / 60.0
        self._full_kw = self.ups_kw + LOSS_ON_BATTERY * _losses_kw(self.ups_kw, self.ups_kw)
        # What a full battery gives at the usual load.
        usual_kw = USUAL_FEED_LOAD * self._full_kw
        self._store_kwh = usual_kw * self._lasts_h(usual_kw)
        self.charge: FloatArray = np.ones(len(ups))
        rated = genset.attribute("rated_kw", 0.0)
        self._genset_at: IntArray = places.at["genset"]
        self._genset_kw = np.where(
            rated > 0.0, rated, GENSET_FOR_IT * places.it_kw[self._genset_at]
        )
        self._litres_h = _consumption(self._genset_kw)
        given = genset.attribute("tank_l", 0.0)
        self._tank_l = np.where(given > 0.0, given, TANK_H * self._litres_h[:, -1])
        self.fuel_percent: FloatArray = rng.uniform(75.0, 95.0, len(genset))
        self._fuel_before: FloatArray = np.full(len(genset), -1.0)
        self._start_s: FloatArray = rng.uniform(*START_S, len(genset))
        self._wait_s = self._start_s.copy()
        self._cool_s: FloatArray = np.zeros(len(genset))
        self.running: BoolArray = np.zeros(len(genset), dtype=np.bool_)
        self.genset_power_kw: FloatArray = np.zeros(len(genset))
        # Per place.
        self.mains: BoolArray = np.ones(count, dtype=np.bool_)
        self.on_genset: BoolArray = np.zeros(count, dtype=np.bool_)
        self.feed: BoolArray = np.ones(count, dtype=np.bool_)
        self.powered: BoolArray = np.ones(count, dtype=np.bool_)
        self._out_s: FloatArray = np.zeros(count)
        self._stable_s: FloatArray = np.zeros(count)
        self.supply_kw: FloatArray = np.zeros(count)
        # Per UPS, in the last sub-step (kW).
        self.load_kw: FloatArray = np.zeros(len(ups))
        self.loss_kw: FloatArray = np.zeros(len(ups))
        self.charging_kw: FloatArray = np.zeros(len(ups))
        self.discharging_kw: FloatArray = np.zeros(len(ups))
        self.works: BoolArray = np.ones(len(ups), dtype=np.bool_)
        self._battery_c: FloatArray = np.full(len(ups), 23.0)

    @property
    def settled(self) -> bool:
        """Nothing is about to change: all on mains, nothing starts, runs or waits."""
        return bool(
            self.mains.all()
            and not self.on_genset.any()
            and not self.running.any()
            and not (self.discharging_kw > 0.0).any()
        )

    def transfer(self, mains: BoolArray, h_s: float) -> None:
        """Move genset and transfer switch by ``h_s``: afterwards ``feed`` says who has supply."""
        at, table = self._genset_at, self.places.tables["genset"]
        self.mains = mains
        self._keep_low(table.fault("low-fuel"))
        able = ~(table.fault("genset-not-in-auto") | table.fault("genset-failure"))
        able &= self.fuel_percent > 0.0
        self._out_s = np.where(mains, 0.0, self._out_s + h_s)
        self._stable_s = np.where(mains, self._stable_s + h_s, 0.0)
        wanted = (self._out_s >= SENSE_S) | self.on_genset
        since_s = np.minimum(h_s, np.maximum(self._out_s - SENSE_S, 0.0))
        starts = wanted[at] & able & ~self.running
        self._wait_s = np.where(starts, self._wait_s - since_s[at], self._start_s)
        self.running |= starts & (self._wait_s <= 0.0)
        self._cool_s = np.where(wanted[at], COOL_DOWN_S, self._cool_s - h_s)
        self.running &= able & (wanted[at] | (self._cool_s > 0.0))
        ready = np.zeros(len(mains), dtype=np.bool_)
        ready[at[self.running]] = True
        self.on_genset |= ready & ~mains & wanted
        self.on_genset &= ready & ~(mains & (self._stable_s >= RETRANSFER_S))
        self.feed = mains | self.on_genset

    def _keep_low(self, low: BoolArray) -> None:
        """A tank that is nearly empty is so until it is filled up again."""
        begins, ends = low & (self._fuel_before < 0.0), ~low & (self._fuel_before >= 0.0)
        self._fuel_before = np.where(begins, self.fuel_percent, self._fuel_before)
        self.fuel_percent = np.where(
            begins, np.minimum(self.fuel_percent, LOW_FUEL_PERCENT), self.fuel_percent
        )
        self.fuel_percent = np.where(ends, self._fuel_before, self.fuel_percent)
        self._fuel_before = np.where(ends, -1.0, self._fuel_before)

    def carry(self, it_kw: FloatArray, h_s: float) -> None:
        """Let the UPS carry the racks for ``h_s``: batteries discharge or charge."""
        table, at = self.places.tables["ups"], self._ups_at
        broken = table.fault("ups-failure")
        fed = self.feed[at] & ~table.fault("ups-on-battery")
        bypass = table.fault("ups-bypass")
        self.works = ~broken & (fed | (~bypass & (self.charge > 0.0)))
        self.load_kw = self._shares(it_kw)
        on_battery = self.works & ~fed
        losses_kw = _losses_kw(self.load_kw, self.ups_kw)
        self.loss_kw = np.where(
            ~self.works,
            0.0,
            np.where(
                on_battery,
                LOSS_ON_BATTERY * losses_kw,
                np.where(bypass, LOSS_ON_BYPASS * self.load_kw, losses_kw),
            ),
        )
        self.discharging_kw = np.where(on_battery, self.load_kw + self.loss_kw, 0.0)
        hours = h_s / 3600.0
        drained = hours / np.maximum(self._lasts_h(self.discharging_kw), 1e-9)
        charge = np.where(on_battery, np.maximum(self.charge - drained, 0.0), self.charge)
        charges = fed & ~broken & (charge < 1.0)
        full = np.where(
            charge < 0.9,
            np.minimum(charge + CHARGE_PER_H * hours, 0.9),
            1.0 - (1.0 - charge) * np.exp(-CHARGE_PER_H * 10.0 * hours),
        )
        full = np.where(full > 0.9995, 1.0, full)
        taken_kwh = np.where(charges, (full - charge) * self._store_kwh / CHARGE_EFFICIENCY, 0.0)
        self.charging_kw = taken_kwh / hours if hours > 0.0 else np.zeros(len(table))
        self.charge = np.where(charges, full, charge)
        # A site without a UPS lives on its feed alone.
        carried = np.zeros(len(self.feed), dtype=np.bool_)
        carried[at[self.works]] = True
        self.powered = np.where(self._has_ups, carried, self.feed)

    def _shares(self, it_kw: FloatArray) -> FloatArray:
        """What each UPS carries: feeds that live share a site's load, by rating within a feed."""
        at, feeds = self._ups_at, self._feeds
        able_kw = np.where(self.works, self.ups_kw, 0.0)
        of_feed = np.bincount(feeds, able_kw, minlength=len(at) + 1)
        alive = np.bincount(self._feed_at, of_feed[: len(self._feed_at)] > 0.0, len(it_kw))
        each = it_kw[at] / np.maximum(alive[at], 1.0)
        return each * able_kw / np.maximum(of_feed[feeds], 1e-9)

    def _lasts_h(self, kw: FloatArray) -> FloatArray:
        """How long a full battery carries this (Peukert's law)."""
        lasts: FloatArray = self._full_h * (self._full_kw / np.maximum(kw, 1e-3)) ** PEUKERT
        return lasts

    def draw(self, it_kw: FloatArray, other_kw: FloatArray, h_s: float) -> None:
        """What comes in (``supply_kw``) where there is supply; gensets burn fuel for it.

        ``it_kw`` counts only where no UPS carries it; ``other_kw`` is cooling and the building."""
        at = self._ups_at
        fed = self.feed[at] & ~self.places.tables["ups"].fault("ups-on-battery")
        ups_kw = np.where(fed & self.works, self.load_kw + self.loss_kw, 0.0) + self.charging_kw
        direct_kw = np.where(self._has_ups, 0.0, it_kw)
        taken = self.places.total("ups", ups_kw) + direct_kw + other_kw
        self.supply_kw = np.where(self.feed, taken, 0.0)
        if not self.running.any():
            self.genset_power_kw = np.zeros(len(self.running))
            return
        genset_at = self._genset_at
        rated = self.places.total("genset", np.where(self.running, self._genset_kw, 0.0))
        part = np.where(
            self.running & self.on_genset[genset_at],
            (self.supply_kw / np.maximum(rated, 1e-9))[genset_at],
            0.0,
        )
        litres_h = np.where(self.running, _at_load(self._litres_h, part), 0.0)
        burnt = 100.0 * litres_h * h_s / 3600.0 / np.maximum(self._tank_l, 1e-9)
        self.fuel_percent = np.maximum(self.fuel_percent - burnt, 0.0)
        self.genset_power_kw = part * self._genset_kw

    def read(self, room_c: FloatArray, dt_s: float) -> None:
        """Fill the columns of UPS, genset and transfer switch. ``room_c``: air around each UPS."""
        table, at = self.places.tables["ups"], self._ups_at
        columns, broken = table.columns, table.fault("ups-failure")
        fed = self.feed[at] & ~table.fault("ups-on-battery")
        would_kw = self.load_kw + LOSS_ON_BATTERY * _losses_kw(self.load_kw, self.ups_kw)
        runtime = 60.0 * self.charge * self._lasts_h(would_kw)
        columns["load_percent"] = np.minimum(100.0 * self.load_kw / self.ups_kw, 200.0)
        columns["runtime_min"] = np.where(
            broken | ~self.works, 0.0, np.where(self.load_kw > 0.0, np.minimum(runtime, 999.0), 999)
        )
        columns["on_battery"] = self.works & ~fed
        columns["on_bypass"] = table.fault("ups-bypass") & self.feed[at] & ~broken
        columns["battery_charge_percent"] = 100.0 * self.charge
        relax(self._battery_c, room_c + 1.0, dt_s=dt_s, tau_s=BATTERY_TAU_S)
        columns["battery_temperature_c"] = self._battery_c.copy()
        ripple = self.rng.normal(0.0, 0.6, (2, len(table)))
        columns["input_voltage_v"] = np.where(self.feed[at], 226.0 + 2.0 * ripple[0], 0.0)
        columns["output_voltage_v"] = np.where(self.works, 220.0 + ripple[1], 0.0)
        genset = self.places.tables["genset"]
        genset.columns["running"] = self.running.copy()
        genset.columns["not_in_auto"] = genset.fault("genset-not-in-auto").copy()
        genset.columns["fuel_percent"] = self.fuel_percent.copy()
        genset.columns["power_kw"] = self.genset_power_kw
        genset.columns["start_battery_v"] = 27.2 + self.rng.normal(0.0, 0.05, len(genset))
        switch, at = self.places.tables["transfer_switch"], self.places.at["transfer_switch"]
        position = np.where(self.on_genset, "genset", np.where(self.mains, "mains", "off"))
        switch.columns["position"] = position[at]
        switch.columns["mains_voltage_v"] = np.where(
            self.mains[at], 226.0 + self.rng.normal(0.0, 1.0, len(switch)), 0.0
        )


def _feeds(places: Places) -> tuple[IntArray, IntArray]:
    """The feed of each UPS, numbered through all places, and the place of each feed: as the
    inventory says it (``feed``), else in turn."""
    numbers: dict[tuple[int, str], int] = {}
    turn: dict[int, int] = {}
    feeds = []
    for asset, place in zip(places.tables["ups"].assets, places.at["ups"].tolist(), strict=True):
        turn[place] = turn.get(place, -1) + 1
        feed = str(asset.attributes.get("feed", "AB"[turn[place] % 2]))
        feeds.append(numbers.setdefault((place, feed), len(numbers)))
    return np.array(feeds, dtype=np.int64), np.array([at for at, _ in numbers], dtype=np.int64)


def _losses_kw(load_kw: FloatArray, rated_kw: FloatArray) -> FloatArray:
    part = load_kw / rated_kw
    return rated_kw * (LOSS_NO_LOAD + LOSS_PROPORTIONAL * part + LOSS_SQUARE * part * part)


def _consumption(rated_kw: FloatArray) -> FloatArray:
    """Litres per hour of each genset at the loads of the chart, beyond its ends in proportion."""
    inside = np.clip(rated_kw, FUEL_KW[0], FUEL_KW[-1])
    columns = [np.interp(inside, FUEL_KW, FUEL_L_H[:, load]) for load in range(len(_LOADS))]
    found: FloatArray = np.stack(columns, axis=1) * (rated_kw / inside)[:, np.newaxis]
    return found


def _at_load(litres_h: FloatArray, part: FloatArray) -> FloatArray:
    """Consumption at a part of the rating: straight between the chart's loads; below a quarter,
    down to a half of a quarter's at none (idling); an assumption."""
    knots = np.concatenate([[0.0], _LOADS])
    values = np.concatenate([0.5 * litres_h[:, :1], litres_h], axis=1)
    return np.array(
        [np.interp(one, knots, row) for one, row in zip(part, values, strict=True)],
        dtype=np.float64,
    )
