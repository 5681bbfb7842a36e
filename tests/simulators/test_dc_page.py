"""docs/physics-data-centre.md has the numbers of the code, all of them."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from ioc.catalog import Threshold
from simulators.data_center import READY_LAG_S, READY_ROOM_C
from simulators.dc_power import FUEL_KW, FUEL_L_H
from tests.simulators.lab import CATALOG

PAGE = (Path(__file__).parents[2] / "docs" / "physics-data-centre.md").read_text(encoding="utf-8")
MODULES = ("dc_power", "dc_heat", "dc_racks", "dc_platforms", "dc_data", "data_center")
# Worked out from others that the page names, or shown in a table of their own.
ELSEWHERE = {"AIR_KJ_K", "WALL_KW_K", "WALL_KJ_K", "OUTSIDE_KW_K", "FUEL_KW", "FUEL_L_H", "KINDS"}


def numbers(text: str) -> list[float]:
    """What stands in a cell: 1,200 is one number, 3–4 are two, −1 is negative."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text).replace("−", "-").replace("–", " ")
    return [float(one) for one in re.findall(r"(?<![\w/])-?\d+(?:\.\d+)?", plain)]


def table(name: str) -> dict[str, list[float]]:
    (rows,) = re.findall(rf"^\| `{name}` \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    found = {}
    for row in rows.splitlines():
        constant, value, source = (cell.strip() for cell in row.strip("|").split("|"))
        assert source or constant == "`SUB_STEP_S`", row
        found[constant.strip("`")] = numbers(value)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_the_table_is_the_code(module: str) -> None:
    code = {
        name: list(value) if isinstance(value, tuple) else [value]
        for name, value in vars(importlib.import_module(f"simulators.{module}")).items()
        if name.isupper() and not name.startswith("_") and name not in ELSEWHERE
    }
    assert table(module) == code


def test_the_chart_is_the_code() -> None:
    (rows,) = re.findall(r"^\| kW \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    found = np.array([numbers(row) for row in rows.splitlines()])
    assert found == pytest.approx(np.column_stack([FUEL_KW, FUEL_L_H]))


def test_readiness_is_judged_by_the_catalog_s_own_limits() -> None:
    limits = {
        rule.id: rule.when.above
        for kind in ("dc_site", "storage_backup")
        for rule in CATALOG.kinds[kind].rules
        if isinstance(rule.when, Threshold)
    }
    assert limits["storage-replication-lag"] == READY_LAG_S
    assert limits["dc-room-temperature"] == READY_ROOM_C
