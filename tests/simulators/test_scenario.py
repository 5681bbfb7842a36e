"""The demo incident takes enough stations to see, and few enough to read."""

from __future__ import annotations

import msgspec

from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators.network import Network
from simulators.scenario import INCIDENT_AT_S, demo_incident
from simulators.world import build_world
from tests.simulators.lab import CATALOG, asset, network, province, site


def test_the_provinces_incident_takes_20_to_60_stations() -> None:
    from simulators.province import Province

    found = load_province("khanh-hoa")
    sites, assets = build_world(found, seed=1, scale=1.0)
    built = InventoryFile(province=found.id, sites=sites, assets=assets)
    source = Province(built, catalog=CATALOG, seed=1, start_ms=0, tick_s=10)
    (step,) = demo_incident(source)
    assert (step.fault, step.at_s) == ("span-cut", INCIDENT_AT_S)

    def stations() -> int:
        return int(source.stations.table.speaking.sum())

    source.tick()
    before = stations()
    source.begin(step.fault, step.asset, for_s=step.for_s)
    source.tick()
    gone = before - stations()
    assert 20 <= gone <= 60
    assert step.note == f"{gone} stations hang on it"


def test_a_small_network_has_an_incident_too() -> None:
    (step,) = demo_incident(province(network([("C", "A"), ("A", "B")])))
    assert step.asset == "C-A", "the one that takes most"


def test_a_ring_has_none() -> None:
    assert demo_incident(province(network([("C", "A"), ("A", "B"), ("B", "C")]))) == []


def test_real_equipment_is_left_alone() -> None:
    found = network([("C", "A"), ("A", "B"), ("C", "D")])
    lab = msgspec.structs.replace(asset("LAB", "bts", "B"), simulated=False)
    found = msgspec.structs.replace(found, assets=[*found.assets, lab])
    (step,) = demo_incident(province(found))
    assert step.asset == "C-D"


def test_bridges_of_a_network() -> None:
    """C=A (twice), a ring A-B-D, a spur D-E-F, and an island."""
    edges = [("C", "A"), ("C", "A"), ("A", "B"), ("B", "D"), ("D", "A"), ("D", "E"), ("E", "F")]
    sites = [site("C", core=True), *map(site, "ABDEFX")]
    spans = [asset(str(n), "span", a, far=b) for n, (a, b) in enumerate(edges)]
    found = Network(sites, spans)
    named = {
        spans[row].id: {found.sites[at].id for at in cut} for row, cut in found.cut_off_by().items()
    }
    assert named == {"5": {"E", "F"}, "6": {"F"}}
    assert found.core.tolist() == [name in ("C", "X") for name in "CABDEFX"]


def test_a_second_core_site_needs_no_bridge() -> None:
    sites = [site("C", core=True), site("A"), site("K", core=True), site("B")]
    spans = [
        asset("1", "span", "C", far="A"),
        asset("2", "span", "A", far="K"),
        asset("3", "span", "K", far="B"),
    ]
    found = Network(sites, spans)
    assert {spans[row].id for row in found.cut_off_by()} == {"3"}
