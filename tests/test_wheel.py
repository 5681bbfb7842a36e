"""What the wheel installs: one importable name, with the files it reads (docs/adr/0001)."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ioc.resources import console_folder
from tests.servers import find_program

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uv = find_program("uv")
    if uv is None:
        pytest.skip("uv is not installed (scripts/setup installs it)")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [str(uv), "build", "--wheel", "--quiet", "--out-dir", str(folder), str(ROOT)],
        check=True,
        timeout=110,
    )
    return next(folder.glob("*.whl"))


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as content:
        return content.namelist()


def test_it_installs_one_name(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ioc"}


def test_it_holds_the_files_it_reads(wheel: Path) -> None:
    found = names(wheel)
    assert "ioc/_data/provinces/khanh-hoa.yaml" in found
    assert "ioc/_data/scenarios/typhoon.yaml" in found
    assert "ioc/_data/grafana/boards/vi/overview.json" in found
    assert "ioc/_data/grafana/provisioning/alerting/rules.yaml" in found
    assert "ioc/catalog/bts.yaml" in found
    assert "ioc/state/migrations/versions/0001_first.py" in found
    assert ("ioc/_data/console/index.html" in found) == (console_folder() is not None)


def test_what_it_installs_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """The wheel's own code and data, in front of the installed dependencies."""
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ioc.catalog import load_catalog\n"
        "from ioc.inventory.province import load_province\n"
        "import ioc; print(ioc.__file__, len(load_catalog().kinds),"
        " len(load_province('khanh-hoa').communes))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    file, kinds, communes = done.stdout.split()
    assert file.startswith(str(tmp_path))
    assert (int(kinds), int(communes)) == (11, 65)
