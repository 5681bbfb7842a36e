"""docs/physics.md says what the code has: each constant exists, with that value."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from numbers import Real
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "physics.md"
MODULES = ("weather", "day", "radio", "battery", "sites", "shelter", "fibre")
# Not of nature: names, places in an array, conversions, how often something is worked out, what
# follows from the others, and dates.
NOT_NUMBERS = {
    "weather": set(),
    "day": {"HOME", "OFFICE", "LEISURE", "PLACES", "ORDINARY", "UTC_OFFSET_H"},
    "radio": {"MEAN_MBIT_S_PER_PERSON"},
    "battery": {"BLOCKS", "CELLS", "LEFT"},
    "sites": {"FULL", "LONGEST_MIN", "RUNTIME_EVERY_S"},
    "shelter": set(),
    "fibre": {
        *("KIND", "NO_LIGHT_DBM", "COMMISSIONED_MS", "YEAR_MS", "BEND_DB", "BEND_OVER_S"),
        *("LEAST_BER", "MOST_BER", "CODE_WORDS", "MOVEMENT_TAU_S"),
        "ERROR_FREE_FROM_DB",
    },
}


def flat(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, Real):
        yield float(value)
    elif isinstance(value, Iterable):
        yield from np.ravel(np.array(list(value), dtype=np.float64)).tolist()


def rows() -> dict[str, list[str]]:
    """Constant to its other cells."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            found[name.strip("`")] = cells
    return found


@pytest.mark.parametrize(("name", "cells"), rows().items(), ids=rows().keys())
def test_a_constant_is_what_the_page_says(name: str, cells: list[str]) -> None:
    module, constant = name.split(".")
    value = list(flat(getattr(importlib.import_module(f"simulators.{module}"), constant)))
    said, _, source = cells
    many = re.fullmatch(r"(\d+) values", said)
    if many:
        assert len(value) == int(many[1])
    else:
        assert [float(one) for one in said.split(",")] == pytest.approx(value, rel=1e-5)
    assert len(source) > 3, "a source, or that there is none"


@pytest.mark.parametrize("module", MODULES)
def test_every_constant_of_the_models_is_on_the_page(module: str) -> None:
    path = Path(__file__).parents[2] / "simulators" / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    assigned = re.findall(r"^([A-Z][A-Z0-9_, ]*?)(?:: [^=]+)? = ", text, flags=re.MULTILINE)
    names = {name.strip() for group in assigned for name in group.split(",")}
    missing = names - NOT_NUMBERS[module] - {one.split(".")[1] for one in rows()}
    assert not missing
