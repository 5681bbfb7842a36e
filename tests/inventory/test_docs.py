"""docs/inventory.md, read from top to bottom: its tables come in, its commands say what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ioc.catalog import load_catalog
from ioc.inventory.columns import ATTRIBUTE, COLUMNS
from ioc.inventory.imported import read_network
from ioc.inventory.province import load_province
from ioc.resources import provinces_folder

PAGE = (Path(__file__).parents[2] / "docs" / "inventory.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_it_is_as_the_page_says(tmp_path: Path) -> None:
    """Each block of commands says what the block of text after it shows, in that order."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "network").mkdir()
    tables = re.findall(
        r"^`(network/\w+\.csv)`\n\n```csv\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE
    )
    assert [name for name, _ in tables] == [f"network/{k}.csv" for k in ("site", "bts", "span")]
    for name, text in tables:
        (tmp_path / name).write_text(text, encoding="utf-8")
    (more,) = [text for kind, text in BLOCKS if kind == "json"]
    (tmp_path / "more.geojson").write_text(more, encoding="utf-8")
    ran = 0
    for (kind, commands), (after, said) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if kind != "sh":
            continue
        done = subprocess.run(
            ["sh", "-e", "-c", commands],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        ran += 1
        if after == "text":
            assert done.stdout.endswith(said)
        if "--dry-run" in commands:
            assert "+ bts NT-BTS-1 Vĩnh Hải 1 · A\n" in done.stdout
            assert "nothing was changed" in done.stdout
    assert ran == 4
    assert (tmp_path / "out" / "bts.csv").exists()
    assert (tmp_path / "made.json").stat().st_size > 10_000


def test_the_faults_it_shows_are_said_so(tmp_path: Path) -> None:
    shown = re.search(r"```text\n  (network/bts.*?)\n  (network/site.*?)\n", PAGE)
    assert shown is not None
    of_asset, of_site = shown.groups()
    said = []
    for name, column, value in (("bts", "site", "S-01"), ("site", "lat", '"12,2440"')):
        for table in ("site", "bts", "span"):
            text = re.search(
                rf"`network/{table}\.csv`\n\n```csv\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE
            )
            assert text is not None
            rows = [line.split(",") for line in text[1].splitlines()]
            if table == name:
                rows[2 if table == "bts" else 1][rows[0].index(column)] = value
            (tmp_path / f"{table}.csv").write_text(
                "\n".join(",".join(row) for row in rows), encoding="utf-8"
            )
        try:
            read_network([tmp_path], province=load_province("khanh-hoa"), catalog=load_catalog())
        except Exception as error:  # noqa: BLE001  # what it says is looked at
            said.append(str(error).splitlines()[0].replace(str(tmp_path), "network"))
    assert said == [of_asset, of_site]


def test_every_column_and_province_is_described() -> None:
    named = set(
        re.findall(r"`([\w.]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))
    )
    assert {column.name for column in COLUMNS} | {f"{ATTRIBUTE}NAME"} <= named
    for path in provinces_folder().glob("*.yaml"):
        stations = load_province(path.stem).network.stations
        assert f"| `{path.stem}` | {stations:,} |" in PAGE
