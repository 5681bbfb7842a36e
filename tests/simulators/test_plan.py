"""What scenarios mean in an inventory: roles, draws, moving areas, crews."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ioc.errors import FileError
from ioc.inventory import Asset
from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators.choose import choose
from simulators.network import Network
from simulators.plan import Plan, make_plan
from simulators.province import Province
from simulators.scenario import Scenario, Selector, read_scenario, scenario_path
from simulators.world import build_world
from tests.simulators.lab import CATALOG, asset, network, province, site, whole
from tests.simulators.test_scenario import HEAD


@pytest.fixture(scope="module")
def khanh_hoa() -> Province:
    return built(scale=1.0)


def built(*, scale: float, seed: int = 1) -> Province:
    found = load_province("khanh-hoa")
    sites, assets = build_world(found, seed=seed, scale=scale)
    inventory = InventoryFile(province=found.id, sites=sites, assets=assets)
    return Province(inventory, catalog=CATALOG, seed=1, start_ms=0, tick_s=10)


def chosen(source: Province, **wanted: object) -> list[Asset]:
    return choose(Selector.model_validate(wanted), source, rng=np.random.default_rng(1))


def planned(source: Province, content: str, tmp_path: Path, *, seed: int = 1) -> Plan:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + content, encoding="utf-8")
    return make_plan(read_scenario(path), source, seed=seed, path=path)


def silent_stations(source: Province, *spans: str) -> int:
    before = int(source.stations.table.speaking.sum())
    for span in spans:
        source.begin("span-cut", span, for_s=15)
    source.tick()
    gone = before - int(source.stations.table.speaking.sum())
    for _ in range(30):
        source.tick()
    assert int(source.stations.table.speaking.sum()) == before, "mended"
    return gone


def test_the_demos_cut_takes_20_to_60_stations(khanh_hoa: Province) -> None:
    (cut,) = chosen(khanh_hoa, role="bridge", stations=40)
    assert 20 <= silent_stations(khanh_hoa, cut.id) <= 60


def test_a_ring_carries_on_without_one_span_and_not_without_two(khanh_hoa: Province) -> None:
    (cut,) = chosen(khanh_hoa, role="ring-span")
    assert silent_stations(khanh_hoa, cut.id) == 0
    first, second = chosen(khanh_hoa, role="ring-pair", stations=12)
    assert silent_stations(khanh_hoa, first.id) == silent_stations(khanh_hoa, second.id) == 0
    assert 8 <= silent_stations(khanh_hoa, first.id, second.id) <= 16


def test_a_duct_is_all_its_spans(khanh_hoa: Province) -> None:
    spans = chosen(khanh_hoa, role="duct")
    ducts = {span.attributes["duct"] for span in spans}
    assert len(spans) > 1
    assert len(ducts) == 1
    everything = [span for span in khanh_hoa.network.spans if span.attributes.get("duct") in ducts]
    assert spans == everything


def test_a_small_network_has_a_bridge_too() -> None:
    (cut,) = chosen(province(network([("C", "A"), ("A", "B")])), role="bridge", stations=40)
    assert cut.id == "C-A", "the one that takes most"


def test_a_ring_has_no_bridge() -> None:
    ring = network([("C", "A"), ("A", "B"), ("B", "C")])
    assert chosen(province(ring), role="bridge") == []


def test_real_equipment_is_left_alone() -> None:
    found = network([("C", "A"), ("A", "B"), ("C", "D")])
    lab = msgspec.structs.replace(asset("LAB", "bts", "B"), simulated=False)
    found = msgspec.structs.replace(found, assets=[*found.assets, lab])
    (cut,) = chosen(province(found), role="bridge")
    assert cut.id == "C-D"


def test_shares_and_counts_are_drawn_with_the_seed(khanh_hoa: Province) -> None:
    selector = Selector(kinds=("bts",), share=0.02)
    one, same, other = (
        choose(selector, khanh_hoa, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert len(one) == 78
    assert one == same != other


def test_data_centres_by_role(khanh_hoa: Province) -> None:
    assert {one.id for one in chosen(khanh_hoa, role="primary", kinds=["dc_site"])} == {"DC-NT"}
    assert {one.id for one in chosen(khanh_hoa, role="secondary", kinds=["dc_site"])} == {"DC-PR"}


def test_a_plan_is_the_same_for_the_same_seed_alone(khanh_hoa: Province) -> None:
    path = scenario_path("typhoon")
    scenario = read_scenario(path)
    plans = [make_plan(scenario, khanh_hoa, seed=seed, path=path) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    assert len(plans[0].breakages) > 100


def test_a_step_added_at_the_end_changes_none_before_it(tmp_path: Path) -> None:
    one = "steps:\n  - { fault: vswr, where: { count: 2 }, at: [1m, 9m], for: [1m, 9m] }\n"
    two = one + "  - { fault: smoke, where: { count: 1 }, at: 30m, for: 1m }\n"
    source = province(whole())
    before, after = planned(source, one, tmp_path), planned(source, two, tmp_path)
    assert after.breakages[: len(before.breakages)] == before.breakages


def test_a_storm_hits_what_it_passes_over_and_when(khanh_hoa: Province, tmp_path: Path) -> None:
    content = """\
areas:
  storm:
    track: [[110.2, 12.24], [108.2, 12.24]]
    speed_km_h: 20
    radius_km: 40
    text: { vi: a, en: a }
steps:
  - { fault: mains-failure, where: { kinds: [bts] }, within: storm, chance: 0.9, for: 1h }
"""
    plan = planned(khanh_hoa, content, tmp_path)
    stations = {asset.id: asset for asset in khanh_hoa.stations.table.assets}
    hit = {one.assets[0]: one for one in plan.breakages}
    assert len(hit) > 300
    near = [id_ for id_, one in stations.items() if abs(one.lat - 12.24) < 0.04]
    far = [id_ for id_, one in stations.items() if 0.3 < abs(one.lat - 12.24) < 0.36]
    assert all(abs(stations[id_].lat - 12.24) * 111.2 < 40 for id_ in hit)
    assert len(hit.keys() & set(near)) > 0.7 * len(near) > 0, "on its track"
    assert len(hit.keys() & set(far)) < 0.3 * len(far), "at its edge"
    for id_, one in hit.items():
        # 108.8 km to a degree of longitude there: the centre is at the station after so long.
        passes_s = (110.2 - stations[id_].lon) * 108.7 / 20 * 3600
        assert abs(one.at_s - passes_s) < 40 / 20 * 3600 + 400


def test_a_storm_that_passes_by_is_told(tmp_path: Path) -> None:
    content = """\
areas:
  storm:
    track: [[120.0, 12.0]]
    speed_km_h: 20
    radius_km: 40
    text: { vi: a, en: a }
steps: [{ fault: vswr, where: { kinds: [bts] }, within: storm, for: 1h }]
"""
    with pytest.raises(FileError, match=r"x\.yaml:6: areas\.storm: passes over none"):
        planned(province(whole()), content, tmp_path)


def test_crews_work_one_after_another(tmp_path: Path) -> None:
    content = """\
crews: { us: { count: 2, from: 10m, takes: 20m } }
steps:
  - { fault: vswr, where: { kinds: [bts] }, at: [1m, 2m], repair: us }
"""
    plan = planned(province(whole()), content, tmp_path)
    assert [one.until_s / 60 for one in plan.breakages] == [30, 30, 50, 50]
    for at_s in range(600, 3000, 60):
        in_repair = [one for one in plan.breakages if one.until_s - 1200 <= at_s < one.until_s]
        assert len(in_repair) <= 2


def test_what_hits_together_is_one_incident(tmp_path: Path) -> None:
    content = "steps: [{ fault: mains-failure, where: { kinds: [bts] }, at: 1m, for: 1m, %s }]"
    source = province(whole())

    def incidents(how: str) -> list[int]:
        return sorted(one.incident for one in planned(source, content % how, tmp_path).breakages)

    assert incidents("together: site") == [1, 2, 3]
    assert incidents("together: site, incident: step") == [1, 1, 1]
    assert incidents("together: all") == [1]


def test_what_an_inventory_has_not_is_told_with_its_line(tmp_path: Path) -> None:
    content = """\
groups:
  none: { communes: ["99999"] }
steps:
  - fault: vswr
    where: { ids: [B2, B99] }
    at: 1m
    for: 1m
  - { fault: low-fuel, where: { role: without-genset }, at: 1m, for: 1m }
"""
    with pytest.raises(FileError) as raised:
        planned(province(whole()), content, tmp_path)
    first, second, third = raised.value.faults
    assert "x.yaml:6: groups.none: " in first
    assert first.endswith("this inventory has none; choose others")
    assert "x.yaml:9: steps.0.where.ids: 'B99': no such simulated asset" in second
    assert "x.yaml:12: steps.1.where: " in third
    assert "that can have low-fuel" in third


def test_every_scenario_fits_a_fiftieth_of_the_province() -> None:
    source = built(scale=0.03)
    for name in ("typhoon", "grid-loss", "maintenance", "duct-cut", "double-ring-cut"):
        path = scenario_path(name)
        scenario: Scenario = read_scenario(path)
        assert make_plan(scenario, source, seed=1, path=path).breakages


def test_bridges_of_a_network() -> None:
    """C=A (twice), a ring A-B-D, a spur D-E-F, and an island."""
    edges = [("C", "A"), ("C", "A"), ("A", "B"), ("B", "D"), ("D", "A"), ("D", "E"), ("E", "F")]
    sites = [site("C", core=True), *map(site, "ABDEFX")]
    spans = [asset(str(n), "span", a, far=b) for n, (a, b) in enumerate(edges)]
    found = Network(sites, spans)

    named = {
        found.spans[row].id: {found.sites[at].id for at in cut}
        for row, cut in found.cut_off_by().items()
    }
    assert named == {"5": {"E", "F"}, "6": {"F"}}
    assert found.core.tolist() == [name in ("C", "X") for name in "CABDEFX"]
    assert sorted(map(sorted, found.cut_together())) == [[0, 1], [2, 3, 4]]


def test_a_second_core_site_needs_no_bridge() -> None:
    sites = [site("C", core=True), site("A"), site("K", core=True), site("B")]
    spans = [
        asset("1", "span", "C", far="A"),
        asset("2", "span", "A", far="K"),
        asset("3", "span", "K", far="B"),
    ]
    found = Network(sites, spans)
    assert {spans[row].id for row in found.cut_off_by()} == {"3"}
