"""The simulated assets of one kind as arrays: a row per asset, a column per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ioc.inventory import Asset

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Table:
    """One kind's assets.

    ``columns`` holds what each metric reads now. ``masks`` names the metrics that only some assets
    measure now (a genset's fuel, the loss of a span that has light); the others send them not at
    all. ``speaking`` is who can send. ``restarts`` counts how often an asset lost its power: each
    time it begins a new boot.
    """

    def __init__(self, kind: str, assets: Sequence[Asset], sites: Mapping[str, int]) -> None:
        self.kind = kind
        self.assets = list(assets)
        self.index = {asset.id: row for row, asset in enumerate(assets)}
        self.site: IntArray = np.array([sites[asset.site] for asset in assets], dtype=np.int64)
        self.columns: dict[str, npt.NDArray[Any]] = {}
        self.masks: dict[str, BoolArray] = {}
        self.speaking: BoolArray = np.ones(len(assets), dtype=np.bool_)
        self.restarts: IntArray = np.zeros(len(assets), dtype=np.int64)
        # In operation, but without a way to a core: what has a buffer keeps its readings for later.
        self.cut_off: BoolArray = np.zeros(len(assets), dtype=np.bool_)
        self._faults: dict[str, BoolArray] = {}
        self._amounts: dict[str, FloatArray] = {}

    def __len__(self) -> int:
        return len(self.assets)

    def fault(self, name: str) -> BoolArray:
        """Which assets have this fault now; written by ``faults``, read by the physics."""
        found = self._faults.get(name)
        if found is None:
            found = self._faults[name] = np.zeros(len(self.assets), dtype=np.bool_)
        return found

    def amount(self, fault: str, usual: float) -> FloatArray:
        """How large a fault is on each asset, ``usual`` where a scenario says nothing else."""
        found = self._amounts.get(fault)
        if found is None:
            found = self._amounts[fault] = np.full(len(self.assets), usual)
        return found

    def attribute(self, name: str, default: float) -> FloatArray:
        """A number from each asset's attributes."""
        return np.array(
            [number(asset.attributes.get(name), default) for asset in self.assets],
            dtype=np.float64,
        )

    def on_sites(self, name: str, count: int) -> BoolArray:
        """Which of the ``count`` sites have an asset with this fault."""
        sites = np.zeros(count, dtype=np.bool_)
        sites[self.site[self.fault(name)]] = True
        return sites


def number(value: object, default: float) -> float:
    """An attribute as a number; the default when it is absent or something else."""
    if isinstance(value, bool | int | float):
        return float(value)
    return default


def relax(value: FloatArray, target: FloatArray, *, dt_s: float, tau_s: FloatArray | float) -> None:
    """Move ``value`` in place toward ``target``, as heat does: exact for any step."""
    value += (target - value) * (1.0 - np.exp(-dt_s / np.asarray(tau_s)))


def wander(
    value: FloatArray, rng: np.random.Generator, *, sigma: float, dt_s: float, tau_s: float
) -> None:
    """Let ``value`` wander in place around zero with spread ``sigma`` and memory ``tau_s``
    (an Ornstein-Uhlenbeck process, exact for any step), held within 3 sigma."""
    keep = float(np.exp(-dt_s / tau_s))
    value *= keep
    value += rng.standard_normal(len(value)) * (sigma * (1.0 - keep * keep) ** 0.5)
    np.clip(value, -3 * sigma, 3 * sigma, out=value)
