"""Users, load and speed agree with each other."""

from __future__ import annotations

import numpy as np
import pytest

from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators import radio
from simulators.table import FloatArray
from simulators.world import build_world
from tests.simulators.lab import MIDNIGHT_MS, listen, province, telemetry, whole

ONE = np.ones(1)
EVENING_MS = MIDNIGHT_MS + 20 * 3_600_000


def carry(
    demand: float, *, cells_4g: int = 3, cells_5g: int = 3, disturbed: bool = False
) -> radio.Carried:
    cells = radio.Cells(
        np.array([cells_4g]),
        np.array([cells_5g]),
        capacity=radio.cell_mbit_s(np.array([False])),
        disturbed=np.array([disturbed]),
    )
    return radio.carry(demand * ONE, cells)


def value(array: FloatArray) -> float:
    return float(array[0])


def test_load_is_demand_over_capacity() -> None:
    """Two thirds of 60 Mbit/s on three 4G cells of 44, a third on three 5G cells of 579."""
    found = carry(60.0)
    assert value(found.load_4g) == pytest.approx(40 / (3 * 20 * 2.2))
    assert value(found.load_5g) == pytest.approx(20 / (3 * 100 * 26 / 35 * 7.8))


def test_a_user_shares_what_is_left() -> None:
    """Processor sharing: C·(1 − ρ), alone on 4G."""
    for demand in (0.0, 30.0, 90.0):
        found = carry(demand, cells_5g=0)
        assert value(found.down_mbit_s) == pytest.approx(44.0 * (1 - demand / 132.0))
    assert value(carry(500.0, cells_5g=0).down_mbit_s) == pytest.approx(44.0 * radio.LEAST_SHARE)


def test_connected_users_are_littles_law() -> None:
    """So many connections a second, each there until it has its 2 MB and 10 s have passed."""
    found = carry(66.0, cells_5g=0)
    each_s = 16.0 / value(found.down_mbit_s) + 10.0
    assert value(found.connected) == pytest.approx(66.0 / 16.0 * each_s)


def test_fewer_cells_are_fuller_and_slower() -> None:
    three, one = carry(30.0, cells_5g=0), carry(30.0, cells_4g=1, cells_5g=0)
    assert value(one.load_4g) == pytest.approx(3 * value(three.load_4g))
    assert value(one.down_mbit_s) < value(three.down_mbit_s)
    assert value(one.connected) > value(three.connected)


def test_5g_phones_fall_back_to_4g() -> None:
    with_5g, without = carry(90.0), carry(90.0, cells_5g=0)
    assert value(without.load_4g) == pytest.approx(1.5 * value(with_5g.load_4g))
    assert value(with_5g.down_mbit_s) > 3 * value(without.down_mbit_s)


def test_no_cell_serves_nobody() -> None:
    found = carry(50.0, cells_4g=0, cells_5g=0)
    assert value(found.down_mbit_s) == value(found.connected) == value(found.load_4g) == 0.0


def test_connections_fail_only_near_overload_or_under_interference() -> None:
    for demand in (0.0, 50.0, 110.0):
        assert value(carry(demand, cells_5g=0).success_percent) == radio.SUCCESS_PERCENT
    full = value(carry(200.0, cells_5g=0).success_percent)
    assert 95.5 < full < 97, "it suffers, but a full station is no alarm by itself"
    assert value(carry(20.0, disturbed=True).success_percent) < 95
    assert value(carry(20.0, disturbed=True).down_mbit_s) < value(carry(20.0).down_mbit_s)


def test_power_is_the_earth_model() -> None:
    """Three 4G cells with two remote radio heads each: 6·84 W, and 6·2.8·20 W more when full."""
    none = np.array([False])
    idle = radio.power_w(3 * ONE, 0 * ONE, load_4g=0.0, load_5g=0.0, has_5g=none)
    full = radio.power_w(3 * ONE, 0 * ONE, load_4g=1.0, load_5g=0.0, has_5g=none)
    assert (value(idle), value(full)) == pytest.approx((504.0, 840.0))
    station = radio.power_w(0 * ONE, 3 * ONE, load_4g=0.0, load_5g=1.0, has_5g=~none)
    assert value(station) == pytest.approx(3700, rel=0.01), "of an operator's field test"


def test_half_of_the_cells_down_is_less_of_everything() -> None:
    usual, broken = province(whole(), start_ms=EVENING_MS), province(whole(), start_ms=EVENING_MS)
    broken.begin("cell-unavailable", "B1a", for_s=60)
    listen(usual, 5)
    listen(broken, 5)
    row = usual.stations.table.index["B1a"]

    def read(name: str) -> tuple[float, float]:
        one, other = (float(s.stations.table.columns[name][row]) for s in (usual, broken))
        return one, other

    cells = read("cells_5g_active")
    assert 0 < cells[1] < cells[0]
    assert read("rrc_conn_mean")[1] < read("rrc_conn_mean")[0]
    assert read("rru_prb_tot_dl_percent")[1] > read("rru_prb_tot_dl_percent")[0]
    assert read("power_w")[1] < 0.7 * read("power_w")[0]


def test_the_province_begins_below_the_plans_speed() -> None:
    """The plan's target is about 400 Mbit/s, the country's mean in 2025 was 77 to 147 Mbit/s
    (i-Speed of VNNIC, May; Ookla, November)."""
    found = load_province("khanh-hoa")
    sites, assets = build_world(found, seed=1, scale=0.1)
    source = province(
        InventoryFile(province=found.id, sites=sites, assets=assets), start_ms=EVENING_MS
    )
    listen(source, 10)
    columns = source.stations.table.columns
    mean_mbit_s = float(columns["drb_ue_thp_dl_kbit_s"].mean()) / 1000
    (target,) = [one.target for one in found.plan if one.id == "download"]
    assert 70 < mean_mbit_s < 150 < target
    assert float(np.median(columns["rru_prb_tot_dl_percent"])) < 50


def test_a_station_without_power_sends_no_zeros() -> None:
    source = province(whole(), tick_s=10)
    source.begin("battery-theft", "B2", for_s=600)
    source.begin("mains-failure", "B2", for_s=600)
    listen(source, 20)
    assert not telemetry(listen(source, 60), "B2")
