"""A made-up province stays as it was made."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ioc.commands.inventory import app
from ioc.errors import ConfigError
from ioc.inventory.file import read_inventory
from ioc.inventory.made import Made, as_made


def generate(file: Path, *options: str) -> str:
    done = CliRunner().invoke(app, ["generate", str(file), *options])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_made_once_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    assert "stations on" in generate(file, "--scale", "0.01", "--seed", "7")
    content = file.read_bytes()
    assert read_inventory(file).province == "khanh-hoa"
    assert "as it was" in generate(file)
    assert "as it was" in generate(file, "--scale", "0.01")
    with pytest.raises(ConfigError, match=r"--scale 0\.5: .* was made with --scale 0\.01; for"):
        generate(file, "--scale", "0.5")
    assert file.read_bytes() == content
    again = tmp_path / "again.json"
    (tmp_path / "province.json").unlink()
    generate(again, "--scale", "0.01", "--seed", "7")
    assert again.read_bytes() == content


def test_what_was_asked_is_remembered_before_it_is_made(tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    first = as_made(file, province="khanh-hoa", scale=0.1, seed=None, otherwise="")
    assert first == Made(province="khanh-hoa", scale=0.1, seed=1)
    # Nothing was made of it yet: another wish is free.
    assert as_made(file, province="khanh-hoa", scale=None, seed=2, otherwise="").scale == 1.0


def test_a_file_that_was_not_made_here_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    file.write_text("of the province's own\n")
    assert "as it was" in generate(file, "--scale", "0.5")
    assert [path.name for path in tmp_path.iterdir()] == ["inventory.json"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        generate(tmp_path / "absent" / "inventory.json")


def test_an_unknown_province_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'atlantis'"):
        generate(tmp_path / "inventory.json", "--province", "atlantis")
    assert not (tmp_path / "inventory.json").exists()
