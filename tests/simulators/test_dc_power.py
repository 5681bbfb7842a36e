"""Mains, transfer switch, genset and UPS of a data centre: times, energy, fuel."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.dc_power import FUEL_KW, FUEL_L_H
from simulators.table import FloatArray
from tests.simulators.centres import Centres, of_province

IN = ("mains", "genset", "battery_out")
OUT = ("it", "cooling", "building", "losses", "battery_in")
SWITCH, GENSET = "DC-NT-ATS-1", "DC-NT-GEN-1"


def outages(source: Centres, minute: int) -> None:
    """A day's troubles: mains of one site for half an hour, its genset failing in between; a UPS
    of the other one on battery; cooling that fails for ten minutes."""
    for fault, asset, begin, end in (
        ("mains-failure", "DC-NT", 20, 50),
        ("genset-failure", GENSET, 30, 36),
        ("ups-on-battery", "DC-PR-UPS-A", 25, 55),
        ("cooling-failure", "DC-PR", 60, 70),
        ("ups-failure", "DC-NT-UPS-B", 65, 80),
        ("ups-bypass", "DC-PR-UPS-B", 65, 80),
    ):
        source.fault(fault, asset, on=begin <= minute % 600 < end)


def balance(source: Centres) -> tuple[FloatArray, FloatArray]:
    energy = source.centres.energy_kwh
    return np.sum([energy[name] for name in IN], 0), np.sum([energy[name] for name in OUT], 0)


def first_hour(step_s: float) -> dict[str, float]:
    """Energies of all sites in the first hour of the day's troubles."""
    source = Centres(of_province(), step_s=step_s)
    for minute in range(60):
        outages(source, minute)
        source.run(60)
    return {name: float(value.sum()) for name, value in source.centres.energy_kwh.items()}


@pytest.mark.parametrize(("step_s", "minutes"), [(1.0, 60), (20.0, 1440), (60.0, 1440)])
def test_what_comes_in_is_what_goes_out(step_s: float, minutes: int) -> None:
    """Over a day with outages, whatever the step (an hour of it at one second)."""
    source = Centres(of_province(), step_s=step_s)
    facility_kwh = 0.0
    for minute in range(minutes):
        outages(source, minute)
        for _ in range(round(60 / step_s)):
            source.step()
            facility_kwh += source.read("DC-NT", "facility_power_kw") * step_s / 3600.0
            it_kw = source.read("DC-NT", "it_power_kw")
            if source.centres.tables["dc_site"].masks["pue"][0]:
                pue = source.read("DC-NT", "facility_power_kw") / it_kw
                assert source.read("DC-NT", "pue") == pytest.approx(max(pue, 1.0))
    came_in, went_out = balance(source)
    assert came_in == pytest.approx(went_out, rel=1e-9)
    energy = source.centres.energy_kwh
    assert all(energy[name][0] > 0.0 for name in (*IN, *OUT))
    supplied = energy["mains"][0] + energy["genset"][0]
    assert facility_kwh == pytest.approx(supplied, rel=0.01)


def test_the_energies_do_not_depend_on_the_step() -> None:
    fine = first_hour(2.0)
    for step_s in (20.0, 60.0):
        coarse = first_hour(step_s)
        for name in ("mains", "genset", "it", "cooling", "losses", "building"):
            assert coarse[name] == pytest.approx(fine[name], rel=0.03), name
        for name in ("battery_out", "battery_in"):  # of a step of some seconds each transfer
            assert coarse[name] == pytest.approx(fine[name], rel=0.10), name


def test_pue_is_that_of_a_small_centre_in_the_tropics_all_day() -> None:
    """1.6–2.0, of which cooling is the largest part beyond IT itself."""
    for province in ("khanh-hoa", "quang-ninh"):
        source = Centres(of_province(province), step_s=300.0)
        sites = [asset.id for asset in source.centres.tables["dc_site"].assets]
        for _ in range(48):
            source.run(1800)
            assert all(1.6 <= source.read(site, "pue") <= 2.0 for site in sites)
        energy = source.centres.energy_kwh
        assert (energy["cooling"] > energy["losses"]).all()
        assert (energy["cooling"] > energy["building"]).all()


def test_a_genset_takes_over_within_ten_seconds_and_hands_back_after_five_minutes() -> None:
    """NFPA 110 type 10; ASCO 165: retransfer after 5 min, cool-down 1 min."""
    source = Centres(of_province(), step_s=1.0)
    source.fault("mains-failure", "DC-NT")
    took_s = source.until(lambda: source.position(SWITCH) == "genset", within_s=30)
    assert 3.0 < took_s <= 10.0
    assert source.read("DC-NT-UPS-A", "on_battery") == 0
    assert source.read(GENSET, "power_kw") == pytest.approx(
        source.read("DC-NT", "facility_power_kw")
    )
    source.run(60)
    source.fault("mains-failure", "DC-NT", on=False)
    took_s = source.until(lambda: source.position(SWITCH) == "mains", within_s=600)
    assert took_s == pytest.approx(300, abs=2)
    assert source.read(GENSET, "power_kw") == 0
    took_s = source.until(lambda: not source.read(GENSET, "running"), within_s=600)
    assert took_s == pytest.approx(60, abs=2)


def test_a_flicker_of_mains_starts_no_genset() -> None:
    source = Centres(of_province(), step_s=1.0)
    source.fault("mains-failure", "DC-NT")
    source.run(2)
    assert source.read("DC-NT-UPS-A", "on_battery") == 1
    source.fault("mains-failure", "DC-NT", on=False)
    source.run(20)
    assert source.read(GENSET, "running") == 0
    assert source.position(SWITCH) == "mains"


@pytest.mark.parametrize("fault", ["genset-not-in-auto", "genset-failure"])
def test_a_genset_that_cannot_start_does_when_it_is_mended(fault: str) -> None:
    source = Centres(of_province(), step_s=1.0)
    source.fault(fault, GENSET)
    source.fault("mains-failure", "DC-NT")
    source.run(120)
    assert source.position(SWITCH) == "off"
    assert source.read("DC-NT-UPS-A", "on_battery") == 1
    assert source.read("DC-NT", "facility_power_kw") == 0
    source.fault(fault, GENSET, on=False)
    source.run(15)
    assert source.position(SWITCH) == "genset"


def test_fuel_goes_as_the_chart_says_until_the_tank_is_empty() -> None:
    source = Centres(of_province(), step_s=20.0)
    source.fault("mains-failure", "DC-NT")
    source.run(600)
    before, power_kw = source.read(GENSET, "fuel_percent"), source.read(GENSET, "power_kw")
    source.run(3600)
    rated_kw = 161.0
    of_size = [float(np.interp(rated_kw, FUEL_KW, FUEL_L_H[:, load])) for load in range(4)]
    litres = float(np.interp(power_kw / rated_kw, [0.25, 0.5, 0.75, 1.0], of_size))
    percent = 100.0 * litres / (24.0 * of_size[3])
    assert before - source.read(GENSET, "fuel_percent") == pytest.approx(percent, rel=0.03)
    source.fault("low-fuel", GENSET)
    source.run(60)
    assert source.read(GENSET, "fuel_percent") < 14.1
    lasts_s = source.until(lambda: source.position(SWITCH) == "off", within_s=8 * 3600)
    assert lasts_s == pytest.approx(14.0 / percent * 3600, rel=0.1)
    assert source.read("DC-NT-UPS-A", "on_battery") == 1
    source.fault("low-fuel", GENSET, on=False)
    source.run(60)
    assert source.position(SWITCH) == "genset", "it has been filled up"


@pytest.mark.parametrize("minutes", [0, 8])
def test_runtime_is_what_happens(minutes: int) -> None:
    """Within a tenth, from full and from about half."""
    source = Centres(of_province(), step_s=5.0)
    source.fault("ups-on-battery", "DC-PR-UPS-A")
    source.run(5 + 60 * minutes)
    said_s = 60.0 * source.read("DC-PR-UPS-A", "runtime_min")
    assert 600 < said_s + 60 * minutes < 1800
    lasts_s = source.until(
        lambda: source.read("DC-PR-UPS-A", "output_voltage_v") == 0, within_s=7200
    )
    assert lasts_s == pytest.approx(said_s, rel=0.1)


def test_runtime_holds_in_an_outage_though_the_room_heats() -> None:
    source = Centres(of_province(), step_s=5.0)
    source.fault("genset-failure", GENSET)
    source.fault("mains-failure", "DC-NT")
    source.run(10)
    said_s = 60.0 * min(source.read(f"DC-NT-UPS-{feed}", "runtime_min") for feed in "AB")
    lasts_s = source.until(lambda: not source.centres.power.works[:2].all(), within_s=7200)
    assert lasts_s == pytest.approx(said_s, rel=0.1)


def test_half_the_load_lasts_more_than_twice_as_long() -> None:
    """Peukert's law with 1.25: 2.38 times."""
    source = Centres(of_province())
    both = source.read("DC-PR-UPS-B", "runtime_min")
    source.fault("ups-failure", "DC-PR-UPS-A")
    source.run(10)
    assert both / source.read("DC-PR-UPS-B", "runtime_min") == pytest.approx(2**1.25, rel=0.03)


def test_a_failed_ups_leaves_its_load_to_the_other() -> None:
    source = Centres(of_province())
    before = source.read("DC-PR-UPS-B", "load_percent")
    it_kw = source.read("DC-PR", "it_power_kw")
    source.fault("ups-failure", "DC-PR-UPS-A")
    source.run(10)
    assert source.read("DC-PR-UPS-B", "load_percent") == pytest.approx(2 * before, rel=0.01)
    assert source.read("DC-PR-UPS-A", "load_percent") == 0
    assert source.read("DC-PR-UPS-A", "output_voltage_v") == 0
    assert source.read("DC-PR", "it_power_kw") == pytest.approx(it_kw, rel=0.01), "racks live"
    source.fault("ups-failure", "DC-PR-UPS-B")
    source.run(10)
    assert source.read("DC-PR", "it_power_kw") == 0
    assert not source.centres.powered[1]


def test_what_is_on_bypass_does_not_outlive_its_supply() -> None:
    source = Centres(of_province())
    losses = source.centres.power.loss_kw.copy()
    source.fault("ups-bypass", "DC-PR-UPS-A")
    source.run(10)
    assert source.read("DC-PR-UPS-A", "on_bypass") == 1
    assert source.centres.power.loss_kw[2] < 0.2 * losses[2]
    source.fault("genset-failure", "DC-PR-GEN-1")
    source.fault("mains-failure", "DC-PR")
    source.run(10)
    assert source.read("DC-PR-UPS-A", "output_voltage_v") == 0
    assert source.read("DC-PR-UPS-B", "load_percent") > 60


def test_batteries_charge_slowly_and_that_is_facility_power() -> None:
    source = Centres(of_province(), step_s=20.0)
    before_kw = source.read("DC-PR", "facility_power_kw")
    source.fault("ups-on-battery", "DC-PR-UPS-A")
    source.run(600)
    charge = source.read("DC-PR-UPS-A", "battery_charge_percent")
    assert charge < 60
    source.fault("ups-on-battery", "DC-PR-UPS-A", on=False)
    source.run(40)
    charging_kw = float(source.centres.power.charging_kw[2])
    assert 0.02 * 49 < charging_kw < 0.08 * 49
    assert source.read("DC-PR", "facility_power_kw") - before_kw > 0.9 * charging_kw
    source.run(3600)
    gained = source.read("DC-PR-UPS-A", "battery_charge_percent") - charge
    assert gained == pytest.approx(27, abs=1.5), "nine tenths in 3.3 h"


def test_a_site_without_ups_racks_or_cooling_has_stand_ins() -> None:
    """Of a real site that is simulated in part."""
    inventory = of_province()
    for gone in ("ups", "rack", "cooling_unit", "genset", "transfer_switch", "uplink",
                 "storage_backup", "dc_site"):  # fmt: skip
        kept = [asset for asset in inventory.assets if asset.kind != gone]
        source = Centres(type(inventory)(province="x", sites=inventory.sites, assets=kept))
        source.run(60)
        source.fault("mains-failure", "DC-NT" if gone != "dc_site" else SWITCH)
        source.run(600)
        if gone != "dc_site":
            assert 0.0 <= source.read("DC-NT", "it_power_kw") < 70
            assert np.isfinite(source.read("DC-NT", "room_temperature_c"))
