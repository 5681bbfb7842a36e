"""The optical budget of each span: what leaves it, what it loses, what arrives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators import fibre
from simulators.network import Network
from simulators.province import Province
from simulators.table import FloatArray
from simulators.world import build_world
from tests.simulators.lab import MIDNIGHT_MS, asset, listen, network, province, telemetry

YEAR_MS = 31_557_600_000
PROVINCES = ("khanh-hoa", "thanh-hoa", "phu-tho", "quang-ninh")


@pytest.fixture(scope="module")
def source() -> Province:
    found = load_province("khanh-hoa")
    sites, assets = build_world(found, seed=1, scale=0.1)
    inventory = InventoryFile(province=found.id, sites=sites, assets=assets)
    return province(inventory, tick_s=20)


def test_the_budget_of_every_span_balances_at_every_step(source: Province) -> None:
    """Transmit power less loss is receive power within the meter's jitter; loss is the sum of its
    parts; excess is what has been added since commissioning. With a bend that grows."""
    spans, columns = source.spans, source.spans.table.columns
    bent = spans.table.assets[5].id
    source.begin("span-bend", bent, for_s=200)
    for _ in range(20):
        source.tick()
        lit = spans.lit
        balance = columns["tx_power_dbm"] - columns["loss_db"] - columns["rx_power_dbm"]
        assert np.abs(balance[lit]).max() < 8 * fibre.JITTER_DB
        assert columns["loss_db"] == pytest.approx(np.sum(list(spans.parts.values()), axis=0))
        built = spans.parts["fibre"] + spans.parts["splices"] + spans.parts["connectors"]
        assert columns["loss_db"] - columns["excess_loss_db"] == pytest.approx(built)
        assert all(np.all(spans.parts[name] >= 0.0) for name in ("fibre", "splices", "connectors"))
    assert spans.parts["bend"].max() == 0.0, "mended"


def test_commissioned_loss_is_the_inventorys_and_is_shared_out_plausibly(source: Province) -> None:
    spans = source.spans
    given = np.array(
        [float(one.attributes["baseline_loss_db"]) for one in spans.table.assets], dtype=np.float64
    )
    assert spans.baseline_db == pytest.approx(given)
    joints = np.array([float(one.attributes["splices"]) for one in spans.table.assets])
    assert spans.parts["splices"] == pytest.approx(0.12 * joints)
    length = np.array([one.length_km for one in spans.table.assets])
    # G.652.D: at most 0.40 dB/km at 1310 nm; short spans have little fibre to share it out on.
    assert np.all((spans.parts["fibre"] / length)[length > 2.0] < 0.4)
    assert np.all(spans.parts["connectors"] < 1.01)


@pytest.mark.parametrize("name", PROVINCES)
def test_no_span_is_beyond_its_modules_without_a_word_of_it(name: str) -> None:
    """At commissioning each receives more than its low warning; a longer one says that it has an
    amplifier. None gets one that the inventory does not say."""
    found = load_province(name)
    sites, assets = build_world(found, seed=1)
    laid = [one for one in assets if one.kind == "span"]
    spans = fibre.Spans(laid, Network(sites, laid), np.random.default_rng(1))
    assert not spans.booster_db.any()
    for one in laid:
        about = one.attributes
        arrives = float(about["tx_power_dbm"]) - float(about["baseline_loss_db"])
        assert arrives > float(about["rx_low_warning_dbm"])
        assert float(about["tx_power_dbm"]) <= 4.0 or about["amplifier"] == "booster"


def test_a_span_too_long_for_its_modules_is_given_a_booster_that_is_told() -> None:
    inventory = network([("C", "A")])
    long = asset("C-A", "span", "C", far="A", baseline_loss_db=33.0, tx_power_dbm=2.0, optics="ZR")
    inventory = InventoryFile(
        province=inventory.province,
        sites=inventory.sites,
        assets=[one for one in inventory.assets if one.kind != "span"] + [long],
    )
    spans = province(inventory).spans
    assert spans.booster_db == pytest.approx([9.0])
    assert spans.table.columns["rx_margin_db"] > 4.0


def loss_at(years: float) -> FloatArray:
    inventory = network([("C", "A"), ("A", "B"), ("B", "D")])
    later = province(inventory, start_ms=MIDNIGHT_MS + round(years * YEAR_MS))
    found: FloatArray = later.spans.parts["age"]
    return found


def test_cable_ages_over_the_years_a_little() -> None:
    now, later = loss_at(0.0), loss_at(10.0)
    assert np.all(now > 0.0)
    assert np.all(later > now)
    assert np.all(later - now < 10 * (0.02 + 0.0003 * 4.5) + 1e-9)


def test_heat_and_movement_stay_small(source: Province) -> None:
    for name in ("heat", "movement"):
        assert np.abs(source.spans.parts[name]).max() < 0.35


def test_a_bend_is_six_turns_and_costs_what_it_says() -> None:
    """Whatever the step."""
    for tick_s in (1.0, 60.0):
        source = province(network([("C", "A")]), tick_s=tick_s, interval_s=60)
        source.begin("span-bend", "C-A", for_s=600)
        listen(source, 240)
        assert source.spans.parts["bend"] == pytest.approx([4.5])


@pytest.mark.parametrize(
    ("margin_db", "least", "most"),
    [
        (4.0, 3e-13, 3e-12),  # IEEE 802.3: 1e-12 at the receiver's sensitivity, Q about 7
        (2.1, 1e-6, 1e-5),
        (1.4, 3e-5, 3e-4),  # G.975: the limit of RS(255,239)
        (0.0, 1e-3, 5e-3),
        (10.0, 1e-15, 1e-15),
    ],
)
def test_bit_errors_follow_the_margin(margin_db: float, least: float, most: float) -> None:
    (found,) = fibre.bit_error_ratio(np.array([margin_db])).tolist()
    assert least <= found <= most
    exact = 0.5 * math.erfc(7.03 * 10 ** ((margin_db - 4.0) / 10) / math.sqrt(2))
    assert found == pytest.approx(max(exact, 1e-15), rel=0.2)


def test_forward_error_correction_mends_up_to_its_limit() -> None:
    """ITU-T G.975: RS(255,239) makes 5e-15 of 1e-4, so no frame of 10 s is lost; at 1e-3 many."""
    clean, some, many = fibre.uncorrected_frames(np.array([1e-4, 4e-4, 1e-3])).tolist()
    assert clean == 0.0
    assert 0 < some < many


def test_a_bent_weak_span_makes_errors_and_a_strong_one_does_not() -> None:
    inventory = network([("C", "A"), ("C", "B")])
    weak = asset("C-A", "span", "C", far="A", baseline_loss_db=9.0, tx_power_dbm=-3.0, optics="LR")
    inventory.assets[:] = [weak if one.id == "C-A" else one for one in inventory.assets]
    source = province(inventory)
    for span in ("C-A", "C-B"):
        source.begin("span-bend", span, for_s=600)
    found = listen(source, 200)
    bent, strong = (telemetry(found, span)[-1].content for span in ("C-A", "C-B"))
    assert bent["rx_margin_db"] == pytest.approx(6.4 - 4.5, abs=0.4)
    assert bent["pre_fec_ber"] > 1e-6
    assert strong["pre_fec_ber"] < 1e-12
    assert bent["uncorrected_frames"] == 0, "correction still copes"
