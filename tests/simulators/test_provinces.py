"""What holds of every province that is made up from a profile, whatever its coast and size."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from ioc.catalog import load_catalog
from ioc.errors import ConfigError
from ioc.inventory import Asset, Inventory, Site
from ioc.inventory.exported import export_network
from ioc.inventory.file import InventoryFile
from ioc.inventory.imported import notes, read_network
from ioc.inventory.made import scale_of
from ioc.inventory.places import distance_km
from ioc.inventory.province import Province, load_province
from ioc.resources import provinces_folder
from simulators.network import Network
from simulators.world import build_world, write_world
from tests.simulators.lab import listen
from tests.simulators.lab import province as simulated

PROVINCES = sorted(path.stem for path in provinces_folder().glob("*.yaml"))
STATIONS = {"khanh-hoa": 3900, "thanh-hoa": 9800, "phu-tho": 10_200, "quang-ninh": 5600}
World = tuple[Province, list[Site], list[Asset]]


@pytest.fixture(scope="module", params=PROVINCES)
def world(request: pytest.FixtureRequest) -> World:
    province = load_province(request.param)
    return province, *build_world(province, seed=5, scale=0.1)


def of_kind(assets: list[Asset], kind: str) -> list[Asset]:
    return [asset for asset in assets if asset.kind == kind]


def test_there_are_four_with_the_stations_that_were_published() -> None:
    found = {name: load_province(name).network.stations for name in PROVINCES}
    assert found == STATIONS


def test_the_largest_is_built_whole_and_quickly() -> None:
    province = load_province("phu-tho")
    began_s = time.process_time()
    sites, assets = build_world(province, seed=1)
    assert time.process_time() - began_s < 10  # 1.0 s on a machine that is not busy
    assert len(of_kind(assets, "bts")) == 10_200
    assert len(of_kind(assets, "span")) == province.network.fibre.spans
    built_km = sum(span.length_km for span in of_kind(assets, "span"))
    fibre = province.network.fibre
    assert built_km == pytest.approx(fibre.planned_km * fibre.built_percent / 100, rel=0.05)
    assert built_km < fibre.planned_km
    assert (
        not Network(sites, of_kind(assets, "span"))
        .core[[index for index, site in enumerate(sites) if not site.core]]
        .any()
    )


def test_nobody_stands_in_the_sea_and_everybody_in_the_province(world: World) -> None:
    province, sites, _ = world
    places = {(place.lat, place.lon) for unit in province.communes for place in unit.places}
    assert sum(not province.on_land(site.lat, site.lon) for site in sites) <= len(places)
    for site in sites:
        assert province.on_land(site.lat, site.lon) or (site.lat, site.lon) in places, site
        assert province.commune(site.commune).code == site.commune


def test_people_are_served_where_they_live(world: World) -> None:
    province, _, assets = world
    people = sum(asset.population for asset in of_kind(assets, "bts"))
    assert people == round(province.population.value * 0.1)


def test_spans_join_neighbours_and_every_site_reaches_a_core(world: World) -> None:
    _, sites, assets = world
    place = {site.id: site for site in sites}
    spans = of_kind(assets, "span")
    straight_km = []
    for span in spans:
        a, b = place[span.site], place[span.far_site]
        km = distance_km(a.lat, a.lon, b.lat, b.lon)
        straight_km.append(km)
        assert 0.99 * km <= span.length_km, span.id
        if span.attributes["layer"] == "access":
            assert 0.5 <= span.length_km <= 12.0, span.id
    joined = {end for span in spans for end in (span.site, span.far_site)}
    alone = [site for site in sites if site.id not in joined]
    assert all(site.core for site in alone)
    network = Network(sites, spans)
    wired = [index for index, site in enumerate(network.sites) if not site.core]
    assert not network.core[wired].any()  # nobody has to be his own core
    # Nobody is joined across the province: nine of ten access spans reach one of the nearest sites.
    near = 0
    access = [
        (span, km)
        for span, km in zip(spans, straight_km, strict=True)
        if span.attributes["layer"] == "access"
    ]
    for span, km in access:
        a = place[span.site]
        closer = sum(distance_km(a.lat, a.lon, other.lat, other.lon) < km - 1e-9 for other in sites)
        near += closer <= 12
    assert near >= 0.9 * len(access)


def test_optics_carry_each_span_and_masts_are_shared(world: World) -> None:
    province, _, assets = world
    for span in of_kind(assets, "span"):
        about = span.attributes
        margin_db = float(about["tx_power_dbm"]) - float(about["baseline_loss_db"])
        assert margin_db > float(about["rx_low_warning_dbm"]), span.id
    masts = defaultdict(list)
    for asset in of_kind(assets, "bts"):
        masts[asset.site].append(asset)
    assert {len(stations) for stations in masts.values()} == {1, 2, 3}
    for stations in masts.values():
        assert len({asset.operator for asset in stations}) == len(stations)
        assert len({asset.attributes["has_genset"] for asset in stations}) == 1
    with_genset = sum(bool(stations[0].attributes["has_genset"]) for stations in masts.values())
    share = 100 * with_genset / len(masts)
    assert share == pytest.approx(province.network.fixed_genset_percent, abs=1.0)
    stations = [asset for asset in of_kind(assets, "bts") if asset.simulated]
    share = 100 * sum(asset.attributes["cells_5g"] != 0 for asset in stations) / len(stations)
    assert share == pytest.approx(province.network.share_5g_percent, abs=0.2)
    areas = Counter(asset.attributes["power_area"] for asset in stations)
    assert len(areas) > 5
    assert max(areas.values()) <= 36


def test_data_centres_have_all_they_need(world: World) -> None:
    province, _, assets = world
    centers = {center.id: center for center in province.data_centers}
    assert len(centers) == (3 if province.id == "quang-ninh" else 2)
    storages = {asset.id: asset for asset in of_kind(assets, "storage_backup")}
    for center in province.data_centers:
        there = Counter(asset.kind for asset in assets if asset.site == center.id)
        assert there["ups"] == there["uplink"] == 2
        assert there["genset"] == there["transfer_switch"] == there["storage_backup"] == 1
        assert there["rack"] == center.racks
        assert there["cooling_unit"] == center.cooling_units
        here = [asset for asset in assets if asset.site == center.id]
        feeds = {asset.attributes["feed"] for asset in here if asset.kind == "ups"}
        assert feeds == {"A", "B"}
        rooms = range(1, int(of_kind(here, "dc_site")[0].attributes["rooms"]) + 1)
        for kind, fewest in (("rack", 1), ("cooling_unit", 2)):
            per_room = Counter(asset.attributes["room"] for asset in of_kind(here, kind))
            assert per_room.keys() == set(rooms)
            assert min(per_room.values()) >= fewest
        replica = storages[str(storages[f"{center.id}-STORAGE-1"].attributes["replicates_to"])]
        assert replica.site != center.id
    copied_to = [str(asset.attributes["replicates_to"]) for asset in storages.values()]
    assert sorted(copied_to) == sorted(storages)


def test_all_of_it_is_labelled_and_taken_by_the_service(world: World, tmp_path: Path) -> None:
    province, sites, assets = world
    catalog = load_catalog()
    Inventory().check(kinds=catalog.kinds, sites=sites, add=assets)
    assert all(asset.synthetic and asset.province == province.id for asset in assets)
    assert [asset.id for asset in assets if not asset.simulated] == [f"{assets[0].id[:2]}-LAB-01"]
    export_network(tmp_path / "all.csv", sites=sites, assets=assets)
    found = read_network([tmp_path / "all.csv"], province=province, catalog=catalog)
    assert found.sites == sites
    assert sorted(found.assets, key=lambda one: one.id) == sorted(assets, key=lambda one: one.id)
    assert notes(found, sites=(), assets=(), whole=True) == []


def test_its_simulators_run(world: World) -> None:
    province, _, _ = world
    sites, assets = build_world(province, seed=5, scale=0.01)
    running = simulated(InventoryFile(province=province.id, sites=sites, assets=assets))
    found = [one for one in listen(running, seconds=30) if one.channel == "telemetry"]
    assert {one.kind for one in found} == {asset.kind for asset in assets}
    assert {one.asset for one in found} == {asset.id for asset in assets if asset.simulated}


@pytest.mark.parametrize("name", PROVINCES)
def test_the_same_bytes_in_every_process(name: str, tmp_path: Path) -> None:
    here = tmp_path / "here.json"
    write_world(here, province=name, seed=3, scale=0.03)
    digests = {hashlib.sha256(here.read_bytes()).hexdigest()}
    for hash_seed in ("0", "4242"):
        path = tmp_path / f"{hash_seed}.json"
        code = (
            "from pathlib import Path; from simulators.world import write_world; "
            f"write_world(Path({str(path)!r}), province={name!r}, seed=3, scale=0.03)"
        )
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        )
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1
    other = tmp_path / "other.json"
    write_world(other, province=name, seed=4, scale=0.03)
    assert hashlib.sha256(other.read_bytes()).hexdigest() not in digests


@pytest.mark.parametrize("name", PROVINCES)
@pytest.mark.parametrize("stations", [12, 77, 1234])
def test_so_many_stations_as_asked_for(name: str, stations: int) -> None:
    scale = scale_of(name, stations=stations, scale=None)
    assert scale is not None
    _, assets = build_world(load_province(name), seed=1, scale=scale)
    assert len(of_kind(assets, "bts")) == stations


def test_a_number_of_stations_that_cannot_be_is_said() -> None:
    assert scale_of("khanh-hoa", stations=None, scale=0.5) == 0.5
    assert scale_of("khanh-hoa", stations=None, scale=None) is None
    with pytest.raises(ConfigError, match=r"--stations 11: expected 12 to 50000"):
        scale_of("khanh-hoa", stations=11, scale=None)
    with pytest.raises(ConfigError, match=r"--stations 390: goes without --scale 0\.1"):
        scale_of("khanh-hoa", stations=390, scale=0.1)
    assert math.isclose(scale_of("khanh-hoa", stations=390, scale=None) or 0, 0.1)
