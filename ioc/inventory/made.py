"""What a synthetic province was made of: the same inventory is never driven with another seed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ioc.errors import ConfigError
from ioc.inventory.province import load_province

# Fewer have no shape of a network; more are more than any province has.
FEWEST, MOST = 12, 50_000
USUAL = {"scale": 1.0, "seed": 1}


@dataclass(frozen=True, kw_only=True)
class Made:
    """``scale`` is the share of the province's stations, ``seed`` what its chance begins with."""

    province: str
    scale: float
    seed: int


def scale_of(province: str, *, stations: int | None, scale: float | None) -> float | None:
    """The scale at which a province has so many stations; ``scale`` where no number is given.

    Raises ``ConfigError`` for both, and for a number that no synthetic province can have.
    """
    if stations is None:
        return scale
    if scale is not None:
        raise ConfigError(f"--stations {stations}: goes without --scale {scale:g}")
    if not FEWEST <= stations <= MOST:
        raise ConfigError(f"--stations {stations}: expected {FEWEST} to {MOST}")
    return stations / load_province(province).network.stations


def as_made(
    inventory: Path, *, province: str, scale: float | None, seed: int | None, otherwise: str
) -> Made:
    """What the inventory file was made of; for a file that is still to be made, what was asked for,
    written to ``province.json`` beside it. A file without one was not made here: what was asked
    for counts.

    ``scale`` and ``seed`` None mean: as it was made, else 1.0 and 1. Raises ``ConfigError`` when
    others than those of an existing file are asked for; ``otherwise`` is what to do then.
    """
    record = inventory.with_name("province.json")
    asked = {"province": province, "scale": scale, "seed": seed}
    if inventory.exists() and record.exists():
        made = json.loads(record.read_text(encoding="utf-8"))
        for name, value in asked.items():
            if value is not None and value != made[name]:
                raise ConfigError(
                    f"--{name} {value}: the data in {inventory.parent} was made with "
                    f"--{name} {made[name]}; {otherwise}"
                )
    else:
        made = USUAL | {name: value for name, value in asked.items() if value is not None}
    found = Made(province=str(made["province"]), scale=float(made["scale"]), seed=int(made["seed"]))
    if not inventory.exists():
        record.write_text(json.dumps(asdict(found)) + "\n", encoding="utf-8")
    return found
