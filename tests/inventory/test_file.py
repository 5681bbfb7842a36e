"""The inventory file is read back as it was written, and a fault is named by file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from ioc.errors import FileError
from ioc.inventory import Asset, Site
from ioc.inventory import file as inventory_file
from ioc.inventory.file import read_inventory, write_inventory

SITE = Site(id="S-00001", name="Cột 1", commune="22366", lat=12.25, lon=109.19)
ASSET = Asset(
    id="KH00001",
    kind="bts",
    name="Trạm 1",
    province="khanh-hoa",
    commune="22366",
    site="S-00001",
    lat=12.25,
    lon=109.19,
    population=321,
    attributes={"cells_5g": 3, "has_genset": False, "baseline_loss_db": 3.5, "optics": "LR"},
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    write_inventory(path, province="khanh-hoa", sites=[SITE], assets=[ASSET])
    found = read_inventory(path)
    assert found.province == "khanh-hoa"
    assert found.sites == [SITE]
    assert found.assets == [ASSET]
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_inventory_is_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    for path in (one, other):
        write_inventory(path, province="khanh-hoa", sites=[SITE], assets=[ASSET])
    assert one.read_bytes() == other.read_bytes()


def test_an_empty_inventory_is_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    write_inventory(path, province="khanh-hoa", sites=[], assets=[])
    assert read_inventory(path).assets == []


def test_every_wrong_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    path.write_text(
        """{"province": "khanh-hoa",
        "sites": [{"id": "S 1", "name": "a", "commune": "1", "lat": 1, "lon": 1}],
        "assets": [
          {"id": "A", "kind": "bts", "name": "a", "province": "p", "commune": "1", "site": "S",
           "lat": 91, "lon": 1},
          {"id": "B", "kind": "bts", "name": "a", "province": "p", "commune": "1", "site": "S",
           "lat": 1, "lon": 1, "attributes": {"x": []}},
          {"id": "C", "kind": "bts"}]}"""
    )
    with pytest.raises(FileError) as caught:
        read_inventory(path)
    faults = caught.value.faults
    assert len(faults) == 4
    for fault, field in zip(
        faults,
        ("sites.0.id", "assets.0.lat", "assets.1.attributes", "assets.2"),
        strict=True,
    ):
        assert fault.startswith(f"{path}: {field}")
    assert "name" in faults[3]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ('{"province": "p", "sites": []}', "assets"),
        ('{"province": "p", "sites": [], "assets": [], "spans": []}', "spans"),
        ('{"province": "p", "sites": [], "assets": {}}', "assets"),
        ("\ud800", "JSON"),
    ],
)
def test_a_file_that_is_no_inventory_says_why(tmp_path: Path, content: str, word: str) -> None:
    path = tmp_path / "inventory.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(FileError, match=word) as caught:
        read_inventory(path)
    assert str(path) in str(caught.value)


def test_a_repeated_id_names_both_places(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    write_inventory(path, province="khanh-hoa", sites=[SITE], assets=[ASSET, ASSET])
    with pytest.raises(FileError, match=r"assets\.1\.id: 'KH00001' is already assets\.0"):
        read_inventory(path)


def test_an_absent_or_oversized_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "inventory.json"
    with pytest.raises(FileError, match="No such file"):
        read_inventory(path)
    write_inventory(path, province="khanh-hoa", sites=[SITE], assets=[ASSET])
    monkeypatch.setattr(inventory_file, "MAX_FILE_BYTES", 100)
    with pytest.raises(FileError, match="more than 100 bytes"):
        read_inventory(path)
