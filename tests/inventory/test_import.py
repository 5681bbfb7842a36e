"""A real network comes in as CSV or GeoJSON: exported and read back, or told what is wrong."""

from __future__ import annotations

import csv
import io
import json
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ioc.catalog import load_catalog
from ioc.errors import ConfigError, FileError
from ioc.inventory import Asset, Site
from ioc.inventory import tables as inventory_tables
from ioc.inventory.compare import compare
from ioc.inventory.exported import export_network
from ioc.inventory.imported import Network, notes, read_network, usual_place
from ioc.inventory.places import distance_km
from ioc.inventory.province import load_province
from simulators.world import build_world

PROVINCE = load_province("khanh-hoa")
CATALOG = load_catalog()
ASSET_KINDS = sorted(
    name for name, kind in CATALOG.kinds.items() if not kind.own and name != "span"
)
FORMS = ["network.csv", "network.geojson", "network"]
COAST = "S-1,Tháp Bà,22366,12.2650,109.1950"
TOWN = "S-2,Diên Khánh,22651,12.2580,109.1000"


def read(*paths: Path, **more: object) -> Network:
    return read_network(paths, province=PROVINCE, catalog=CATALOG, **more)  # type: ignore[arg-type]


def faults(folder: Path, /, **files: str) -> list[str]:
    """What import says of these CSV tables, without the folder."""
    paths = []
    for name, text in files.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(text, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        read(*paths)
    return [fault.replace(f"{folder}/", "") for fault in caught.value.faults]


# What is exported comes back

names = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=30
).filter(lambda text: text == text.strip())
ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
flags = st.booleans()
attribute = st.one_of(
    flags,
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["", "3", "3.5", "true", "FALSE", '"', '"3"', " x ", "1,5", "-", "=1+1", "1e5"]
    ),
)
attributes = st.dictionaries(ids, attribute, max_size=3)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    box = PROVINCE.bbox
    sites = [
        Site(
            id=id_,
            name=draw(names),
            commune=draw(st.sampled_from(PROVINCE.communes)).code,
            lat=draw(st.floats(box.south, box.north)),
            lon=draw(st.floats(box.west, box.east)),
            core=draw(flags),
        )
        for id_ in draw(st.lists(ids.filter(lambda id_: id_ != "IOC"), min_size=2, unique=True))
    ]
    asset_ids = draw(st.lists(ids.filter(lambda id_: id_ != "IOC"), max_size=5, unique=True))
    assets = []
    for number, id_ in enumerate(asset_ids):
        kind = draw(st.sampled_from(["bts", "span", *ASSET_KINDS]))
        site, far = draw(st.permutations(sites))[:2]
        straight_km = distance_km(site.lat, site.lon, far.lat, far.lon)
        lat, lon = usual_place(site, far if kind == "span" else None)
        if kind == "span" and draw(flags):
            lat, lon = site.lat, site.lon
        assets.append(
            Asset(
                id=id_,
                kind=kind,
                name=draw(names),
                province=PROVINCE.id,
                commune=draw(st.sampled_from(PROVINCE.communes)).code,
                site=site.id,
                far_site=far.id if kind == "span" else "",
                length_km=straight_km * draw(st.floats(1.0, 4.0)) + 0.1 if kind == "span" else 0.0,
                lat=lat,
                lon=lon,
                operator=draw(st.one_of(st.just(""), names)),
                depends_on=tuple(draw(st.permutations(asset_ids[:number]))[:2]),
                population=draw(st.integers(0, 10_000_000)),
                simulated=draw(flags),
                synthetic=draw(flags),
                attributes=draw(attributes),
            )
        )
    return Network(sites=sites, assets=assets)


def by_id(network: Network) -> tuple[dict[str, Site], dict[str, Asset]]:
    return {one.id: one for one in network.sites}, {one.id: one for one in network.assets}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(network=networks())
def test_export_gives_back_what_import_takes(
    form: str, network: Network, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("network") / form
    export_network(path, sites=network.sites, assets=network.assets)
    found = read(path)
    assert by_id(found) == by_id(network)
    same = compare(found, sites=network.sites, assets=network.assets, whole=True)
    assert same.empty
    assert same.unchanged == len(network.sites) + len(network.assets)


@pytest.mark.parametrize("form", FORMS)
def test_a_province_goes_out_and_comes_back(form: str, tmp_path: Path) -> None:
    sites, assets = build_world(PROVINCE, seed=1, scale=0.1)
    export_network(tmp_path / form, sites=sites, assets=assets)
    found = read(tmp_path / form)
    assert by_id(found) == by_id(Network(sites=sites, assets=assets))
    assert not notes(found, sites=(), assets=(), whole=True)


def test_a_name_that_is_no_form_is_refused_and_a_strange_table_is_not_mixed_in(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"x\.xlsx: expected NAME\.csv"):
        export_network(tmp_path / "x.xlsx", sites=[], assets=[])
    (tmp_path / "old.csv").write_text("id\n")
    with pytest.raises(ConfigError, match=r"old\.csv .*another folder"):
        export_network(tmp_path, sites=[], assets=[])


# Every fault, in its place

HEAD = "kind,id,name,commune,lat,lon,core,site,far_site,length_km,operator,population,depends_on"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("site,S 9,x,22366,12.25,109.19", "row 4, column id: 'S 9': expected letters, digits"),
        ("site,S-9,x,22366,,109.19", "row 4, column lat: empty: expected a value in degrees"),
        ("site,S-9,,22366,12.25,109.19", "row 4, column name: empty: expected a value"),
        ('site,S-9,x,22366,"12,25",109.19', "column lat: '12,25': a decimal comma; expected a"),
        ('site,S-9,x,22366,"12,25",109.19', "expected a point: 12.25"),
        ("site,S-9,x,22366,12°15'N,109.19", 'column lat: "12°15\'N": expected a number'),
        ("site,S-9,x,22366,109.19,12.25", "seem to be swapped; expected lat 12.25"),
        ("site,S-9,x,22366,21.03,105.85", "expected a place in Khánh Hòa (lat 11.28 to 12.92"),
        ("site,S-9,x,22366,nan,109.19", "column lat: 'nan': expected a number"),
        ("site,S-9,x,99999,12.25,109.19", "column commune: '99999': expected the official code"),
        ("site,S-9,x,Nha Trang,12.25,109.19", "22366 for Phường Nha Trang"),
        ("site,S-9,x,22366,12.25,109.19,yes", "column core: 'yes': expected true or false"),
        ("site,S-9,x,22366,12.25,109.19,,S-1", "column site: 'S-1': expected empty: a site has no"),
        ("site,S-1,x,22366,12.25,109.19", "column id: 'S-1': is already all.csv: row 2"),
        ("site,IOC,x,22366,12.25,109.19", "column id: 'IOC': is the service itself"),
        ("tv,A,x", "row 4, column kind: 'tv': expected site, bts"),
        (",A,x", "row 4, column kind: empty: expected site, bts"),
        ("ioc,A,x,,,,,S-1", "column kind: 'ioc': expected site, bts"),
        ("bts,A,x,,,,,S-9", "column site: 'S-9': no such site; expected the id of a row of kind"),
        ("bts,A,x", "column site: empty: expected a value"),
        ("bts,A,x,,12.25,,,S-1", "column lon: empty: expected lat and lon together"),
        ("bts,A,x,,12.5,109.2,,S-1", "column lat: '12.5': 12.5, 109.2 is 26.1 km from site S-1"),
        ("bts,A,x,,,,,S-1,S-2", "column far_site: 'S-2': expected empty: a bts has no far_site"),
        ("bts,A,x,,,,,S-1,,,,-3", "column population: '-3': expected a number of people from 0"),
        ("bts,A,x,,,,,S-1,,,,2.5", "column population: '2.5': expected a whole number"),
        ("bts,A,x,,,,,S-1,,,,,B", "column depends_on: 'B': B: no such asset"),
        ("bts,A,x,,,,,S-1,,,,,A", "expected another asset than itself"),
        ("span,A,x,,,,,S-1,S-1,3", "column far_site: 'S-1': a span joins two sites"),
        ("span,A,x,,,,,S-1,S-2", "column length_km: empty: expected a value"),
        ("span,A,x,,,,,S-1,S-2,3", "S-1 and S-2 are 10.35 km apart; expected from 10.15 to 53.76"),
        (
            "span,A,x,,,,,S-1,S-2,13200",
            "column length_km: '13200': expected a number of kilometres",
        ),
        ("span,A,x,,,,,S-1,S-2,300", "of cable"),
        ("bts,A," + "x" * 129 + ",,,,,S-1", "expected at most 128 characters, this has 129"),
        ("bts,A,x,,,,,S-1,,,,,,surplus", "row 4: 14 cells, expected 13"),
    ],
)
def test_a_fault_names_file_row_column_value_and_what_was_expected(
    row: str, said: str, tmp_path: Path
) -> None:
    found = faults(tmp_path, all=f"{HEAD}\nsite,{COAST}\nsite,{TOWN}\n{row}\n")
    assert len(found) == 1, found
    assert found[0].startswith("all.csv: row 4")
    assert said in found[0]


def test_all_faults_come_at_once_and_a_bad_site_is_said_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        site=f'id,name,commune,lat,lon\n{COAST}\nS-2,x,22366,"12,1",109.1\n',
        bts="id,name,site,population\nA,x,S-2,many\nB,,S-7,1\nA,again,S-1,1\n",
        span="id,name,site,far_site,length_km\nL,x,S-1,S-2,12\n",
    )
    assert [fault.split(": ")[0] + fault.split(",")[0].split(":")[1] for fault in found] == [
        "bts.csv row 4",
        "site.csv row 3",
        "bts.csv row 2",
        "bts.csv row 3",
        "bts.csv row 3",
    ]


def test_a_header_that_is_not_known_is_said_once_for_the_file(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, bts="id,name,Site\nA,x,S-1\nB,y,S-1\n")
    assert fault.startswith("bts.csv: row 1, column 3: 'Site': expected kind, id, name")
    assert faults(tmp_path, bts="id,id\n") == [
        "bts.csv: row 1, column 2: 'id': a second column of this name"
    ]
    assert "no column 'id'" in faults(tmp_path, bts="name\n")[0]
    assert "is empty, expected a header" in faults(tmp_path, bts="")[0]
    assert faults(tmp_path, bts="id\n") == ["bts.csv: no site and no asset in it"]


def test_an_asset_in_force_keeps_its_kind_and_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "bts.csv").write_text("id,name,site,depends_on\nA,x,S-0,B\nB,y,S-0,\n")
    site = Site(id="S-0", name="x", commune="22366", lat=12.25, lon=109.19)
    ups = Asset(id="B", kind="ups", name="", province="", commune="", site="S-0", lat=0, lon=0)
    with pytest.raises(FileError, match=r"row 3, column kind: 'bts': B is a ups; expected that"):
        read(tmp_path / "bts.csv", sites=[site], assets=[ups])
    found = read(tmp_path / "bts.csv", sites=[site])
    assert found.assets[0].depends_on == ("B",)
    with pytest.raises(FileError, match="no such site"):
        read(tmp_path / "bts.csv", sites=[site], whole=True)


# What spreadsheets and map programs do


def test_what_a_spreadsheet_does_is_put_up_with(tmp_path: Path) -> None:
    """A byte-order mark, semicolons, empty rows and cells, TRUE, spaces, zeros taken away."""
    path = tmp_path / "bts.csv"
    text = (
        "id;name;site;simulated;commune;attr.cells_5g;attr.note;\r\n"
        ";;;;;;;\r\n"
        ' A ; Trạm "1" ;S-0;TRUE;22366;3;x y;;;\r\n'
    )
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("attr.note;\r", "attr.note\r").encode())
    site = Site(id="S-0", name="x", commune="22366", lat=12.25, lon=109.19)
    (asset,) = read(path, sites=[site]).assets
    assert (asset.id, asset.name, asset.simulated) == ("A", 'Trạm "1"', True)
    assert asset.attributes == {"cells_5g": 3, "note": "x y"}
    assert (asset.lat, asset.lon, asset.commune) == (12.25, 109.19, "22366")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"PK\x03\x04", "a workbook; save each sheet as “CSV UTF-8”"),
        ("a.csv", b"PK\x03\x04\xff", "a workbook under another name"),
        ("a.csv", "id\nA\n".encode("utf-16"), "not UTF-8"),
        ("a.csv", b"id,name\nA,Tr\xe2m\n", "line 2: byte 0xe2: not UTF-8"),
        ("a.csv", b'id,name\nA,"open\n', "not CSV"),
        ("a.txt", b"", "expected a file that ends in .csv"),
        ("a.geojson", b"{", "not JSON"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": [NaN]}', "NaN is not a number"),
        ("a.geojson", b"[" * 100_000, "not JSON"),
        ("a.geojson", b'{"type": "Feature"}', "expected a GeoJSON FeatureCollection"),
    ],
)
def test_another_file_is_named_for_what_it_is(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError) as caught:
        read(tmp_path / name)
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(f"{tmp_path / name}")
    assert said in caught.value.faults[0]


def test_an_absent_file_an_empty_folder_and_too_much_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileError, match=r"absent\.csv: cannot be read: No such file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(FileError, match=r"no \.csv, \.geojson, \.json file in this folder"):
        read(tmp_path)
    (tmp_path / "bts.csv").write_text("id\n" + "A\n" * 30)
    monkeypatch.setattr(inventory_tables, "MAX_FAULTS", 5)
    with pytest.raises(FileError) as caught:
        read(tmp_path)
    assert len(caught.value.faults) == 6
    assert caught.value.faults[-1] == "and 84 more faults"
    monkeypatch.setattr(inventory_tables, "MAX_ROWS", 20)
    with pytest.raises(FileError, match="more than 20 rows in all"):
        read(tmp_path)
    monkeypatch.setattr(inventory_tables, "MAX_BYTES", 20)
    with pytest.raises(FileError, match="more than 20 bytes in all"):
        read(tmp_path)


def collection(*features: dict[str, object], **more: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features, **more})


def feature(kind: str, geometry: object, **properties: object) -> dict[str, object]:
    values = {"kind": kind, "name": "x", "fid": 1, **properties}
    return {"type": "Feature", "properties": values, "geometry": geometry}


def point(lon: float, lat: float) -> dict[str, object]:
    return {"type": "Point", "coordinates": [lon, lat]}


ONE = feature("site", point(109.195, 12.265), id="S-1", commune=22366, core=None)
TWO = feature(
    "site", {"type": "MultiPoint", "coordinates": [[109.1, 12.258, 7.0]]}, id="S-2", commune="22651"
)


def line(*places: list[float], kind: str = "LineString") -> dict[str, object]:
    return {"type": kind, "coordinates": [places] if kind.startswith("Multi") else places}


A, B = [109.195, 12.265], [109.1, 12.258]


def test_a_map_comes_in_as_geojson(tmp_path: Path) -> None:
    """As QGIS writes it: parts of one, a third coordinate, nulls, numbers where text is meant."""
    path = tmp_path / "map.geojson"
    span = feature(
        "span",
        line(A, [109.15, 12.3], B, kind="MultiLineString"),
        **{"id": "L", "site": "S-1", "far_site": "S-2", "length_km": 14, "attr.ring": False},
    )
    station = feature("bts", None, id="A", site="S-2", population=10.0)
    path.write_text(collection(ONE, TWO, span, station))
    found = read(path)
    assert [site.id for site in found.sites] == ["S-1", "S-2"]
    assert found.sites[0].commune == "22366"
    assert (found.sites[1].lat, found.sites[1].lon) == (12.258, 109.1)
    assert found.assets[0].attributes == {"ring": False}
    assert (found.assets[0].lat, found.assets[0].lon) == (12.2615, 109.1475)
    assert (found.assets[1].lat, found.assets[1].population) == (12.258, 10)


@pytest.mark.parametrize(
    ("geometry", "more", "said"),
    [
        (line(B, A), {}, 'column site: "S-1": the line ends 10.4 km from it'),
        (line(B, A), {}, "(site and far_site seem to be swapped)"),
        (line([12.265, 109.195], B), {}, "expected degrees, longitude first"),
        (line([601234.0, 1356789.0], B), {}, "metres (VN-2000?)"),
        (line(A), {}, "a line of 1 points: expected two or more"),
        (point(*A), {}, "expected a LineString from site to far_site"),
        ({"type": "Polygon", "coordinates": [[A, B, A]]}, {}, "expected one Point or one LineStr"),
        (line(A, B), {"length_km": "14,2"}, "a decimal comma"),
        (line(A, B), {"length_km": True}, "expected a number of kilometres"),
        (line(A, B), {"surplus": 1}, "column surplus: 1: expected kind, id"),
        (line(A, B), {"attr.x": [1]}, "expected a number, true, false or a text"),
    ],
)
def test_a_fault_of_a_feature_is_named(
    geometry: object, more: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "map.geojson"
    span = feature(
        "span",
        geometry,
        **{"id": "L", "site": "S-1", "far_site": "S-2", "length_km": 14, **more},
    )
    path.write_text(collection(ONE, TWO, span))
    with pytest.raises(FileError) as caught:
        read(path)
    (fault,) = caught.value.faults
    assert fault.startswith(f"{path}: feature 3")
    assert said.replace('"S-1"', "'S-1'") in fault


def test_swapped_points_and_other_reference_systems_are_said(tmp_path: Path) -> None:
    path = tmp_path / "map.geojson"
    path.write_text(collection(feature("site", point(12.265, 80.195), id="S", commune="22366")))
    with pytest.raises(FileError, match=r"feature 1, column geometry: .*expected a place in"):
        read(path)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3405"}}
    path.write_text(collection(ONE, crs=crs))
    with pytest.raises(FileError, match="expected EPSG:4326"):
        read(path)


# What would change


def test_what_would_change_is_told(tmp_path: Path) -> None:
    sites, assets = build_world(PROVINCE, seed=1, scale=0.02)
    export_network(tmp_path / "all.csv", sites=sites, assets=assets)
    rows = list(csv.reader(io.StringIO((tmp_path / "all.csv").read_text("utf-8-sig"))))
    operator, first = rows[0].index("operator"), rows[0].index("id")
    station = next(row for row in rows if row[0] == "bts")
    was = station[operator]
    station[operator] = "another"
    lab = next(row for row in rows if row[first] == "KH-LAB-01")
    rows.remove(lab)
    new = list(station)
    new[first] = "KH-NEW"
    rows.append(new)
    with (tmp_path / "all.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    found = compare(read(tmp_path / "all.csv"), sites=sites, assets=assets, whole=False)
    assert "1 (1 bts) added, 1 (1 bts) changed, 0 retired" in found.counted()
    assert f"~ bts {station[first]}: operator {was} → another" in list(found.lines())
    found = compare(read(tmp_path / "all.csv"), sites=sites, assets=assets, whole=True)
    assert [asset.id for asset in found.retired] == ["KH-LAB-01"]
    assert found.dropped_sites == []


def test_sites_without_a_way_to_a_core_are_noted() -> None:
    one = Site(id="S-1", name="x", commune="22366", lat=12.25, lon=109.19)
    network = Network(sites=[one], assets=[])
    (note,) = notes(network, sites=(), assets=(), whole=False)
    assert note.startswith("no site is core")
    core = Site(id="S-0", name="x", commune="22366", lat=12.25, lon=109.19, core=True)
    (note,) = notes(network, sites=[core], assets=(), whole=False)
    assert note == "1 sites reach no core site over spans: S-1"
