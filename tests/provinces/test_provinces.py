"""What the province files promise: official codes, places on land, targets with their source."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ioc.errors import ConfigError, FileError
from ioc.inventory.province import Province, load_province
from ioc.inventory.targets import Target
from ioc.kpi.plan import Plan
from ioc.resources import provinces_folder

KHANH_HOA = load_province("khanh-hoa")
CHECKOUT = Path(__file__).parents[2]
WORLD_ATLAS = CHECKOUT / "console/node_modules/world-atlas/countries-10m.json"
SOURCE = {"name": "somebody"}
TITLE = {"vi": "a", "en": "a"}


@pytest.fixture(params=sorted(path.stem for path in provinces_folder().glob("*.yaml")))
def province(request: pytest.FixtureRequest) -> Province:
    """Each of the files."""
    return load_province(request.param)


def test_the_communes_are_the_official_ones(province: Province) -> None:
    ward = pytest.importorskip("vietnam_provinces", reason="needs the group provinces").Ward
    official = {
        f"{int(unit.code):05d}": unit.name
        for unit in ward.iter_all()
        if int(unit.province_code) == int(province.code)
    }
    counts = {"khanh-hoa": 65, "thanh-hoa": 166, "phu-tho": 148, "quang-ninh": 54}
    assert len(official) == counts[province.id]
    assert {commune.code: commune.name for commune in province.communes} == official


def test_types_follow_the_names(province: Province) -> None:
    counts = {
        "khanh-hoa": {"commune": 48, "ward": 16, "special_zone": 1},
        "thanh-hoa": {"commune": 147, "ward": 19},
        "phu-tho": {"commune": 133, "ward": 15},
        "quang-ninh": {"commune": 22, "ward": 30, "special_zone": 2},
    }
    found = Counter(commune.type for commune in province.communes)
    assert found == counts[province.id]
    word = {"ward": "Phường ", "commune": "Xã ", "special_zone": "Đặc khu "}
    for commune in province.communes:
        assert commune.name == word[commune.type] + commune.short_name


def test_no_two_centres_are_the_same_place(province: Province) -> None:
    places = {(round(unit.lat, 2), round(unit.lon, 2)) for unit in province.communes}
    # Wards of one town may share a hundredth of a degree.
    assert len(places) >= 0.92 * len(province.communes)


def test_centres_lie_within_the_outline_and_the_map(province: Province) -> None:
    rings = (province.outline, *province.islands)
    boxes = [province.bbox, *(inset.box for inset in province.insets)]
    for commune in province.communes:
        if commune.places:
            for place in commune.places:
                assert any(box.contains(place.lat, place.lon) for box in boxes)
            continue
        assert province.bbox.contains(commune.lat, commune.lon), commune.name
        assert any(within(commune.lon, commune.lat, ring) for ring in rings), commune.name
        assert province.on_land(commune.lat, commune.lon)
    for center in province.data_centers:
        assert province.on_land(center.lat, center.lon), center.id
    assert not province.on_land(10.0, 109.5)


@pytest.mark.skipif(
    not WORLD_ATLAS.exists(), reason="needs the console's packages (world-atlas): build the console"
)
def test_the_outline_lies_on_land(province: Province) -> None:
    land = rings_of("Vietnam")
    for ring in (province.outline, *province.islands):
        for lon, lat in ring:
            assert any(within(lon, lat, one) for one in land), (lon, lat)
    for commune in province.communes:
        if not commune.places:  # small islands are not on a map of 1:10m
            assert any(within(commune.lon, commune.lat, ring) for ring in land), commune.name


def test_the_populations_add_up_and_each_has_some(province: Province) -> None:
    assert sum(unit.population for unit in province.communes) == province.population.value
    assert min(unit.population for unit in province.communes) > 0
    assert province.population.source.name


def test_what_is_made_up_says_so(province: Province) -> None:
    assert "Synthetic" in province.network.note.en or "synthetic" in province.network.note.en
    assert "tổng hợp" in province.network.note.vi
    head = (provinces_folder() / f"{province.id}.yaml").read_text(encoding="utf-8")[:1500]
    assert "Estimated, for a synthetic network: the communes' coordinates" in head
    assert "Official: code, communes' codes and names" in head
    for target in province.plan:
        assert target.source.name


def test_every_target_has_a_source_and_one_word_for_its_value() -> None:
    plan = Plan(KHANH_HOA)
    assert len(plan.targets) == 13
    for target in plan.targets:
        assert target.source.name
        assert (target.measure is None) != (target.reported is None)
        assert target.kind == ("measured" if target.reported is None else "reported")
        if target.reported is not None:
            assert target.reported.source.name


def test_what_telemetry_cannot_give_is_never_measured() -> None:
    reported = {target.id for target in KHANH_HOA.plan if target.kind == "reported"}
    assert {"ipv6", "fixed_gigabit", "streets_fibre"} <= reported


def target(**more: object) -> Target:
    return Target.model_validate(
        {
            "id": "a",
            "title": TITLE,
            "unit": "1",
            "target": 400,
            "direction": "at_least",
            "source": SOURCE,
            "measure": "bts_total",
            **more,
        }
    )


@pytest.mark.parametrize(
    ("direction", "value", "met"),
    [
        ("at_least", 400, True),
        ("at_least", 399.9, False),
        ("at_most", 400, True),
        ("at_most", 400.1, False),
        ("about", 380, True),
        ("about", 379, False),
        ("about", 900, True),
        ("about", None, None),
    ],
)
def test_when_a_target_is_met(direction: str, value: float | None, met: bool | None) -> None:
    assert target(direction=direction).met(value) is met


def test_both_words_or_none_are_refused() -> None:
    reported = {"value": 1, "date": "2026", "source": SOURCE}
    with pytest.raises(ValueError, match="never both"):
        target(reported=reported)
    with pytest.raises(ValueError, match="never both"):
        target(measure=None)
    assert target(measure=None, reported=reported).kind == "reported"


def test_an_unknown_province_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'atlantis': no such file .* khanh-hoa"):
        load_province("atlantis")
    with pytest.raises(ConfigError, match="no such file"):
        load_province("../khanh-hoa")


def test_every_fault_of_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    text = (provinces_folder() / "khanh-hoa.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines, 1) if 'code: "22366"' in line)
    unit = next(n for n, line in enumerate(lines, 1) if "unit: Mbit/s" in line)
    lines[first - 1] = lines[first - 1].replace("lat: 12.240", "lat: north")
    lines[unit - 1] = lines[unit - 1].replace("unit: Mbit/s", "unit: 7")
    (tmp_path / "x.yaml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(FileError) as caught:
        load_province("x", folder=tmp_path)
    path = tmp_path / "x.yaml"
    assert any(
        fault.startswith(f"{path}:{first}: communes.0.lat: ") and "'north'" in fault
        for fault in caught.value.faults
    )
    assert any(fault.startswith(f"{path}:{unit}: plan.2.unit: ") for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("part", "change", "word"),
    [
        ("population", {"value": 1, "source": SOURCE}, "expected the province's 1"),
        ("areas", [{"id": "NT", "name": "Nha Trang"}], "area 'CR' is not among areas"),
        ("areas", [{"id": "NT", "name": "a"}, {"id": "NT", "name": "b"}], "NT: given twice"),
        ("insets", [], "is in neither bbox nor an inset"),
    ],
)
def test_what_does_not_hang_together_is_refused(part: str, change: object, word: str) -> None:
    content: dict[str, Any] = KHANH_HOA.model_dump()
    with pytest.raises(ValueError, match=word):
        Province.model_validate({**content, part: change})


def within(lon: float, lat: float, ring: tuple[tuple[float, float], ...]) -> bool:
    """Whether a point lies in a closed ring, by counting the edges it sees to its east."""
    inside = False
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y1 > lat) != (y2 > lat) and lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def rings_of(country: str) -> list[tuple[tuple[float, float], ...]]:
    """The outer rings of a country in a TopoJSON file of delta-encoded arcs."""
    atlas = json.loads(WORLD_ATLAS.read_bytes())
    (sx, sy), (tx, ty) = atlas["transform"]["scale"], atlas["transform"]["translate"]

    def arc(index: int) -> list[tuple[float, float]]:
        x = y = 0
        points = []
        for dx, dy in atlas["arcs"][~index if index < 0 else index]:
            x, y = x + dx, y + dy
            points.append((x * sx + tx, y * sy + ty))
        return points[::-1] if index < 0 else points

    shape = next(
        geometry
        for geometry in atlas["objects"]["countries"]["geometries"]
        if geometry["properties"]["name"] == country
    )
    polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
    return [tuple(point for index in polygon[0] for point in arc(index)) for polygon in polygons]
