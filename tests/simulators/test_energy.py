"""Power of a site: energy balances, batteries last as long as they say, gensets start and burn."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pytest

from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators import battery
from simulators.province import Province
from simulators.sites import (
    FULL,
    GENSET_STARTS_S,
    IDLE_L_PER_KWH,
    LOADED_L_PER_KWH,
    RECTIFIER_EFFICIENCY,
    Sites,
)
from simulators.table import BoolArray, FloatArray
from simulators.world import build_world
from tests.simulators.lab import MIDNIGHT_MS, province

COUNT = 40
LOAD_W = np.linspace(400.0, 9000.0, COUNT)


def sites() -> Sites:
    """Forty sites of all sizes, every fourth with a genset."""
    made = Sites(COUNT, genset=np.arange(COUNT) % 4 == 0, rng=np.random.default_rng(1))
    made.size(LOAD_W * 1.2, LOAD_W, 150.0 + 0.15 * LOAD_W)
    made.load_w = LOAD_W.copy()
    made.indoor_w = 150.0 + 0.15 * LOAD_W
    return made


@dataclass
class Run:
    sites: Sites
    # Worked out here, from what is visible at each step.
    load_wh: FloatArray
    battery_wh: FloatArray
    outages: int


def live_through(*, step_s: float, hours: float) -> Run:
    """Outages of all lengths, a theft, a flood, a weak battery and an empty tank."""
    made, now_ms = sites(), MIDNIGHT_MS
    if hours < 6.0:
        made.charge[:] = 0.22  # so that some are empty in a short run, too
    number, end_s = np.arange(COUNT), hours * 3600.0
    made.advance(now_ms, 0.0)
    load_wh, battery_wh = np.zeros(COUNT), np.zeros(COUNT)
    outages = 0
    for step in range(round(end_s / step_s)):
        at = (step + 1) * step_s / end_s
        now_ms += round(step_s * 1000)
        # A third of the sites each: never, once for long, again and again.
        made.mains_out = ((number % 3 == 1) & (at > 0.1) & (at < 0.1 + 0.02 * number)) | (
            (number % 3 == 2) & ((at * (7 + number % 5)) % 1.0 < 0.35)
        )
        made.battery_stolen = (number == 7) & (at > 0.3) & (at < 0.6)
        made.battery_weak = (number == 10) & (at > 0.5)
        made.fuel_low = (number == 16) & (at > 0.05) & (at < 0.9)
        made.flooded = (number == 25) & (at > 0.2) & (at < 0.5)
        before = made.powered
        made.advance(now_ms, step_s)
        load_wh += np.where(made.powered, made.load_w, 0.0) * step_s / 3600.0
        battery_wh += made.voltage_v * made.battery_current_a * step_s / 3600.0
        outages += int(np.count_nonzero(before & ~made.powered))
    return Run(made, load_wh, battery_wh, outages)


@pytest.fixture(scope="module", params=[(1.0, 1.0), (20.0, 24.0), (60.0, 24.0)], ids=str)
def run(request: pytest.FixtureRequest) -> Run:
    step_s, hours = request.param
    return live_through(step_s=step_s, hours=hours)


def test_energy_balances_at_every_site(run: Run) -> None:
    energy = run.sites.energy
    came = energy.mains_wh + energy.genset_wh + energy.battery_out_wh
    went = energy.load_wh + energy.cooling_wh + energy.battery_in_wh + energy.lost_wh
    assert came == pytest.approx(went, rel=1e-9)
    assert run.outages > 5
    assert np.all(energy.mains_wh > 0)
    assert energy.genset_wh[run.sites.genset].sum() > 0
    assert np.all(energy.genset_wh[~run.sites.genset] == 0)


def test_what_is_metered_is_what_was_seen(run: Run) -> None:
    """Load while powered, and volts times amperes of the battery, within a step at each end."""
    energy = run.sites.energy
    assert energy.load_wh == pytest.approx(run.load_wh, rel=0.015)
    metered = energy.battery_in_wh - energy.battery_out_wh
    assert metered == pytest.approx(run.battery_wh, abs=0.02 * float(energy.load_wh.max()) / 4)
    rectified = energy.load_wh - energy.battery_out_wh + energy.battery_in_wh
    lost = rectified * (1 / RECTIFIER_EFFICIENCY - 1)
    assert energy.lost_wh == pytest.approx(lost, rel=1e-9)


def test_a_battery_gives_no_more_than_it_had_and_got(run: Run) -> None:
    made, energy = run.sites, run.sites.energy
    # The stolen one was replaced, charged.
    held_wh = made.rated_ah * made.health * 1.1 * 52.0 * np.where(np.arange(COUNT) == 7, 2, 1)
    assert np.all(energy.battery_out_wh <= held_wh + energy.battery_in_wh)
    assert np.all((made.charge >= 0) & (made.charge <= 1))
    calm = np.arange(COUNT) % 3 == 0
    calm[[10, 16, 25, 7]] = False
    assert np.all(energy.battery_out_wh[calm] == 0)


def test_results_do_not_depend_on_the_step() -> None:
    runs = [live_through(step_s=step_s, hours=6.0).sites for step_s in (10.0, 20.0, 60.0)]
    for other in runs[1:]:
        for field in fields(other.energy):
            fine, coarse = (getattr(one.energy, field.name) for one in (runs[0], other))
            scale = max(float(fine.max()), 1e-9)
            assert coarse == pytest.approx(fine, rel=0.05, abs=0.02 * scale), field.name
        assert other.charge == pytest.approx(runs[0].charge, abs=0.02)
        assert other.shelters.temperature_c == pytest.approx(
            runs[0].shelters.temperature_c, abs=0.3
        )


# Batteries


def test_a_new_battery_gives_what_its_data_sheet_says() -> None:
    """Emptied at each current of the sheet, at 25 °C, in the hours of the sheet."""
    rate = battery.AMPERES_OF_100_AH / 100.0
    ones = np.ones(len(rate))
    per_h = battery.emptied_per_h(rate, 25.0 * ones, ones)
    assert 1.0 / per_h == pytest.approx(battery.HOURS, rel=1e-6)
    assert battery.discharge_v(np.zeros(1), np.array([0.1])) == pytest.approx(1.80 * 24)
    assert battery.warmth(np.array([0.0, 25.0, 40.0])).tolist() == [0.86, 1.0, 1.03]


def test_charging_is_the_same_in_one_step_or_in_many() -> None:
    start, rate, health = np.array([0.2, 0.5, 0.95]), np.full(3, 0.1), np.full(3, 0.9)
    whole = battery.charged(start, rate, health=health, hours=np.full(3, 9.0))
    charge = start
    for _ in range(540):
        charge = battery.charged(charge, rate, health=health, hours=np.full(3, 1 / 60))
    assert charge == pytest.approx(whole, abs=1e-9)
    assert np.all((whole > start) & (whole < 1))


@pytest.fixture(scope="module")
def built() -> InventoryFile:
    found = load_province("khanh-hoa")
    placed, assets = build_world(found, seed=1, scale=0.02)
    return InventoryFile(province=found.id, sites=placed, assets=assets)


def fail_mains(source: Province, *, for_s: float) -> None:
    for station in source.stations.table.assets:
        source.begin("mains-failure", station.id, for_s=for_s)


def test_the_minutes_it_says_are_the_minutes_it_lasts(built: InventoryFile) -> None:
    """Half-way down, with the load of a real day that goes on changing."""
    source = province(built, start_ms=MIDNIGHT_MS + 9 * 3_600_000, tick_s=60, interval_s=900)
    here = np.zeros(source.sites.count, dtype=np.bool_)
    here[source.stations.table.site] = True
    here &= ~source.sites.genset
    source.tick()
    assert np.all(source.sites.runtime_min[here] > 180), "4 h at full age and busy load"
    fail_mains(source, for_s=30 * 3600)
    said: FloatArray = np.full(source.sites.count, np.nan)
    half_at: FloatArray = np.full(source.sites.count, np.nan)
    down_at: FloatArray = np.full(source.sites.count, np.nan)
    for minute in range(20 * 60):
        source.tick()
        half = here & (source.sites.charge < 0.6) & np.isnan(said)
        said[half], half_at[half] = source.sites.runtime_min[half], minute
        down: BoolArray = here & ~source.sites.powered & np.isnan(down_at)
        down_at[down] = minute
    assert not np.isnan(down_at[here]).any()
    lasted = (down_at - half_at)[here]
    assert lasted == pytest.approx(said[here], rel=0.1)
    assert len(set(down_at[here].tolist())) > 15, "each at its own pace"


def test_a_hot_battery_gives_more_and_an_old_one_less() -> None:
    made = sites()
    ones = np.ones(COUNT)
    charge = 0.9 * ones

    def hours(temperature_c: float, health: float) -> FloatArray:
        return battery.hours_left(
            made.load_w,
            made.rated_ah,
            charge,
            temperature_c=temperature_c * ones,
            health=health * ones,
        )

    assert np.all(hours(35, 1.0) > hours(25, 1.0))
    assert np.all(hours(10, 1.0) < hours(25, 1.0))
    assert hours(25, 0.8) == pytest.approx(0.8 * hours(25, 1.0))


def test_recharging_takes_most_of_a_day_and_is_limited_by_the_rectifiers() -> None:
    made = sites()
    made.charge[:] = 0.2
    made.rectifier_w[1] = made.load_w[1] + 10.0
    now_ms = MIDNIGHT_MS
    made.advance(now_ms, 60.0)
    assert np.all(made.battery_current_a <= 0.1001 * made.rated_ah)
    assert made.battery_current_a[1] == pytest.approx(10.0 / made.voltage_v[1], rel=0.05)
    for _ in range(9 * 60):
        now_ms += 60_000
        made.advance(now_ms, 60.0)
    others = np.arange(COUNT) != 1
    assert np.all((made.charge[others] > 0.85) & (made.charge[others] < FULL))
    assert made.charge[1] < 0.5


# Gensets


def test_a_genset_starts_after_its_delay_and_burns_what_the_chart_says() -> None:
    made = sites()
    made.mains_out[:] = True
    before_l = made.fuel_l.copy()
    started_s: FloatArray = np.full(COUNT, np.nan)
    for second in range(1200):
        made.advance(MIDNIGHT_MS + 1000 * second, 1.0)
        started_s[made.genset_running & np.isnan(started_s)] = second
    with_genset = made.genset
    assert np.isnan(started_s[~with_genset]).all()
    least, most = GENSET_STARTS_S
    assert np.all((started_s >= least - 1) & (started_s <= most + 1) | ~with_genset)
    assert np.all(made.powered)
    burnt_l = (before_l - made.fuel_l)[with_genset]
    kw = made.energy.genset_wh[with_genset] / 1000.0
    size = made.genset_kw[with_genset]
    ran_h = (1200.0 - started_s[with_genset]) / 3600.0
    expected_l = IDLE_L_PER_KWH * size * ran_h + LOADED_L_PER_KWH * kw
    assert burnt_l == pytest.approx(expected_l, rel=0.01)
    assert np.all(kw < size * ran_h)


@pytest.mark.parametrize(
    ("kw", "half", "three_quarters", "full"),
    [(8, 1.48, 2.05, 2.61), (10, 2.01, 2.46, 3.33), (15, 2.61, 3.56, 4.62), (20, 3.41, 4.92, 6.06)],
)
def test_the_line_meets_the_chart(
    kw: float, half: float, three_quarters: float, full: float
) -> None:
    """Hardy Diesel, Diesel Generator Fuel Consumption Chart, gallons turned into litres."""
    for load, litres in ((0.5, half), (0.75, three_quarters), (1.0, full)):
        burns = kw * (IDLE_L_PER_KWH + LOADED_L_PER_KWH * load)
        assert burns == pytest.approx(litres, abs=0.33)


@pytest.mark.parametrize("step_s", [10.0, 60.0])
def test_an_empty_tank_leaves_the_battery_and_then_nothing(step_s: float) -> None:
    made = sites()
    made.fuel_l[:] = 0.3
    made.charge[:] = 0.3
    made.mains_out[:] = True
    ran, now_ms = np.zeros(COUNT, dtype=np.bool_), MIDNIGHT_MS
    for _ in range(round(3 * 3600 / step_s)):
        now_ms += round(step_s * 1000)
        made.advance(now_ms, step_s)
        ran |= made.genset_running
    assert np.all(made.fuel_l[made.genset] == pytest.approx(0.0, abs=0.05))
    assert not made.powered.any()
    assert np.all(made.voltage_v > 40)


def test_a_weak_battery_lasts_half_an_hour_and_a_stolen_one_comes_back_charged() -> None:
    made = sites()
    made.battery_weak[:] = made.mains_out[:] = True
    down_at: FloatArray = np.full(COUNT, np.nan)
    for minute in range(1, 61):
        made.advance(MIDNIGHT_MS + 60_000 * minute, 60.0)
        down_at[~made.powered & np.isnan(down_at)] = minute
    assert down_at[~made.genset] == pytest.approx(30, abs=4)
    assert np.isnan(down_at[made.genset]).all()
    made = sites()
    made.battery_stolen = np.ones(COUNT, dtype=np.bool_)
    made.advance(MIDNIGHT_MS, 60.0)
    assert np.all(made.charge == 0.0)
    assert np.all(made.runtime_min == 0.0)
    assert made.powered.all()
    made.battery_stolen = np.zeros(COUNT, dtype=np.bool_)
    made.advance(MIDNIGHT_MS + 60_000, 60.0)
    assert made.charge == pytest.approx(0.95, abs=0.01)
