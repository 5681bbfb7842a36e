"""The synthetic province is always the same, holds together, and says that it is synthetic."""

from __future__ import annotations

import math
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from ioc.catalog.model import load_catalog
from ioc.inventory import Asset, Inventory, Site
from ioc.inventory.file import read_inventory, write_inventory
from ioc.inventory.province import load_province
from simulators.layout import Plane
from simulators.world import build_world, write_world

PROVINCE = load_province("khanh-hoa")
World = tuple[list[Site], list[Asset]]


@pytest.fixture(scope="module")
def full() -> World:
    return build_world(PROVINCE, seed=1)


@pytest.fixture(scope="module", params=[1.0, 0.1, 0.02, 0.005])
def any_scale(request: pytest.FixtureRequest, full: World) -> World:
    scale: float = request.param
    return full if scale == 1.0 else build_world(PROVINCE, seed=1, scale=scale)


def of_kind(assets: list[Asset], kind: str) -> list[Asset]:
    return [asset for asset in assets if asset.kind == kind]


def cut_off(sites: list[Site], spans: list[Asset]) -> set[str]:
    """Which sites reach no core over these spans: a plain walk."""
    ways = defaultdict(list)
    for span in spans:
        ways[span.site].append(span.far_site)
        ways[span.far_site].append(span.site)
    waiting = [site.id for site in sites if site.core]
    reached = set(waiting)
    while waiting:
        for far in ways[waiting.pop()]:
            if far not in reached:
                reached.add(far)
                waiting.append(far)
    return {site.id for site in sites} - reached


def test_the_counts_are_the_plans(full: World) -> None:
    sites, assets = full
    kinds = Counter(asset.kind for asset in assets)
    assert kinds["bts"] == PROVINCE.network.stations == 3900
    assert kinds["span"] == PROVINCE.network.fibre.spans == 4000
    assert 1_900 <= len(sites) <= 2_200
    assert kinds["dc_site"] == 2
    assert kinds["ups"] == 4
    assert kinds["cooling_unit"] == 8
    simulated = {name for name, kind in load_catalog().kinds.items() if not kind.own}
    assert kinds.keys() == simulated


def test_what_lies_ahead_in_the_plan_is_not_met_yet(full: World) -> None:
    _, assets = full
    stations = [asset for asset in of_kind(assets, "bts") if asset.simulated]
    with_5g = sum(asset.attributes["cells_5g"] != 0 for asset in stations)
    assert 100 * with_5g / len(stations) == pytest.approx(62, abs=0.1)
    built = sum(asset.length_km for asset in of_kind(assets, "span"))
    fibre = PROVINCE.network.fibre
    assert built == pytest.approx(fibre.planned_km * fibre.built_percent / 100, rel=0.02)
    targets = {target.id: target.target for target in PROVINCE.plan}
    assert built < targets["fibre"]
    assert targets["share_5g"] > 62


def test_the_same_seed_is_the_same_bytes_and_another_is_not(tmp_path: Path) -> None:
    files = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        path = tmp_path / name
        said = write_world(path, province="khanh-hoa", seed=seed, scale=0.1)
        assert str(path) in said
        files[name] = path.read_bytes()
    assert files["one"] == files["again"]
    assert files["one"] != files["other"]


def test_it_is_built_quickly() -> None:
    began = time.process_time()
    build_world(PROVINCE, seed=3)
    assert time.process_time() - began < 5  # 1.5 s on a machine that is not busy


def test_it_is_an_inventory_that_the_service_takes(any_scale: World, tmp_path: Path) -> None:
    sites, assets = any_scale
    Inventory().check(kinds=load_catalog().kinds, sites=sites, add=assets)
    assert len({asset.id for asset in assets}) == len(assets)
    assert len({site.id for site in sites}) == len(sites)
    word = re.compile(r"[A-Za-z0-9_-]{1,64}")
    assert all(word.fullmatch(site.id) for site in sites)
    assert all(word.fullmatch(asset.id) for asset in assets)
    path = tmp_path / "inventory.json"
    write_inventory(path, province=PROVINCE.id, sites=sites, assets=assets)
    found = read_inventory(path)
    assert (found.sites, found.assets) == (sites, assets)


def test_everything_is_synthetic_and_all_but_the_lab_is_simulated(any_scale: World) -> None:
    _, assets = any_scale
    assert all(asset.synthetic for asset in assets)
    (lab,) = [asset for asset in assets if not asset.simulated]
    assert (lab.id, lab.kind, lab.commune) == ("KH-LAB-01", "bts", "22366")
    assert "lab" in lab.name


def test_every_site_reaches_a_core(any_scale: World) -> None:
    sites, assets = any_scale
    assert not cut_off(sites, of_kind(assets, "span"))


def test_every_site_has_a_hop_but_the_islands(full: World) -> None:
    sites, assets = full
    joined = {end for span in of_kind(assets, "span") for end in (span.site, span.far_site)}
    alone = [site for site in sites if site.id not in joined]
    assert {site.commune for site in alone} == {"22736"}
    assert all(site.core for site in alone)
    for asset in assets:
        if asset.kind == "bts" and asset.commune == "22736":
            assert asset.attributes["backhaul"] == "satellite"


def test_spans_are_as_long_as_such_spans_are(any_scale: World) -> None:
    sites, assets = any_scale
    plane = Plane(PROVINCE)
    spot = {site.id: plane.spot(site.lat, site.lon) for site in sites}
    for span in of_kind(assets, "span"):
        straight_km = math.dist(spot[span.site], spot[span.far_site])
        assert span.length_km >= straight_km
        if span.attributes["layer"] == "access":
            assert 0.5 <= span.length_km <= 12.0, span.id


def test_a_spans_site_is_the_end_nearer_to_a_core(full: World) -> None:
    """So that of a cut spur the A end still speaks."""
    sites, assets = full
    spans = of_kind(assets, "span")
    for spur in [span for span in spans if not span.attributes["ring"]][::50]:
        lost = cut_off(sites, [span for span in spans if span is not spur])
        assert spur.far_site in lost
        assert spur.site not in lost


def test_of_a_ring_one_span_cuts_nothing_off(full: World) -> None:
    sites, assets = full
    spans = of_kind(assets, "span")
    for ring in [span for span in spans if span.attributes["ring"]][::150]:
        assert not cut_off(sites, [span for span in spans if span is not ring])


@pytest.mark.parametrize(("scale", "fewest", "most"), [(1.0, 20, 60), (0.02, 5, 30)])
def test_some_span_cuts_off_enough_for_an_incident(scale: float, fewest: int, most: int) -> None:
    sites, assets = build_world(PROVINCE, seed=1, scale=scale)
    stations = Counter(asset.site for asset in of_kind(assets, "bts"))
    spans = of_kind(assets, "span")
    # The first spans of an area that lead away from the aggregation rings.
    candidates = [
        span
        for span in spans
        if not span.attributes["ring"] and span.attributes["layer"] == "aggregation"
    ]
    taken = [
        sum(stations[site] for site in cut_off(sites, [one for one in spans if one is not span]))
        for span in candidates
    ]
    assert any(fewest <= count <= most for count in taken), taken


def test_optics_have_the_margin_they_were_commissioned_with(any_scale: World) -> None:
    """Transmit power less the commissioned loss is above the module's low warning."""
    _, assets = any_scale
    for span in of_kind(assets, "span"):
        about = span.attributes
        loss, sent = float(about["baseline_loss_db"]), float(about["tx_power_dbm"])
        assert sent - loss > float(about["rx_low_warning_dbm"]) + 1, span.id
        # G.652.D: at most 0.40 dB/km, splices of 0.12 dB, connectors.
        splices = float(about["splices"])
        assert span.length_km * 0.2 < loss < span.length_km * 0.4 + splices * 0.12 + 1.01


def test_a_duct_joins_cables_of_the_same_way(full: World) -> None:
    _, assets = full
    ducts = defaultdict(list)
    for span in of_kind(assets, "span"):
        if "duct" in span.attributes:
            ducts[span.attributes["duct"]].append(span)
    assert sum(len(spans) > 1 for spans in ducts.values()) > 100
    for spans in ducts.values():
        assert len({(span.site, span.far_site) for span in spans}) == 1
        assert len({span.operator for span in spans}) == len(spans)


def test_everybody_is_served_by_a_station_of_their_commune(full: World) -> None:
    _, assets = full
    served: Counter[str] = Counter()
    for asset in of_kind(assets, "bts"):
        served[asset.commune] += asset.population
    assert served == {unit.code: unit.population for unit in PROVINCE.communes}
    assert sum(served.values()) == PROVINCE.population.value


def test_a_small_province_serves_its_share_of_the_people() -> None:
    _, assets = build_world(PROVINCE, seed=1, scale=0.02)
    assert sum(asset.population for asset in assets) == round(PROVINCE.population.value * 0.02)


def test_masts_are_shared_by_up_to_three_operators_and_their_power_is_one(full: World) -> None:
    _, assets = full
    masts = defaultdict(list)
    for asset in of_kind(assets, "bts"):
        masts[asset.site].append(asset)
    sizes = Counter(len(stations) for stations in masts.values())
    assert sizes.keys() == {1, 2, 3}
    assert min(sizes.values()) > 300
    with_genset = 0
    for stations in masts.values():
        assert len({asset.operator for asset in stations}) == len(stations)
        assert len({asset.attributes["has_genset"] for asset in stations}) == 1
        assert len({asset.attributes.get("power_area") for asset in stations}) == 1
        with_genset += stations[0].attributes["has_genset"] is True
    assert 100 * with_genset / len(masts) == pytest.approx(8, abs=0.5)


def test_masts_stand_on_land_in_the_province(full: World) -> None:
    sites, _ = full
    outline = PROVINCE.outline
    edges = list(zip(outline, outline[1:] + outline[:1], strict=True))
    for site in sites:
        if site.commune == "22736":
            assert PROVINCE.insets[0].box.contains(site.lat, site.lon)
            continue
        crossed = sum(
            (y1 > site.lat) != (y2 > site.lat)
            and site.lon < (x2 - x1) * (site.lat - y1) / (y2 - y1) + x1
            for (x1, y1), (x2, y2) in edges
        )
        assert crossed % 2 == 1, site.id
