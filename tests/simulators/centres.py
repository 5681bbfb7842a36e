"""Data centres alone, for their tests: those of a province or of the small laboratory."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators.data_center import KINDS, DataCentres
from simulators.network import Network
from simulators.world import build_world
from tests.simulators.lab import whole

# A Tuesday at 09:00 local time, in office hours.
MORNING_MS = 1_789_437_600_000


@cache
def of_province(name: str = "khanh-hoa") -> InventoryFile:
    """The data centres of a province, and nothing else. Always the same object."""
    province = load_province(name)
    sites, assets = build_world(province, seed=1, scale=0.005)
    kept = [asset for asset in assets if asset.kind in KINDS]
    places = {asset.site for asset in kept}
    return InventoryFile(
        province=province.id, sites=[site for site in sites if site.id in places], assets=kept
    )


class Centres:
    """Data centres that are moved by hand, without messages."""

    def __init__(
        self,
        inventory: InventoryFile | None = None,
        *,
        start_ms: int = MORNING_MS,
        step_s: float = 5.0,
        seed: int = 1,
    ) -> None:
        inventory = inventory or whole()
        self.now_ms, self.step_s = start_ms, step_s
        network = Network(inventory.sites, [])
        assets = [asset for asset in inventory.assets if asset.kind in KINDS and asset.simulated]
        self.centres = DataCentres(assets, network, np.random.default_rng(seed))
        self.reached = np.ones(len(network.sites), dtype=np.bool_)
        self.centres.advance(self.now_ms, 0.0, reached=self.reached)

    def fault(self, fault: str, asset: str, *, on: bool = True) -> None:
        for table in self.centres.tables.values():
            if asset in table.index:
                table.fault(fault)[table.index[asset]] = on
                return
        raise KeyError(asset)

    def read(self, asset: str, metric: str) -> float:
        """What an asset measures now; numbers and switches alike as a number."""
        for table in self.centres.tables.values():
            if asset in table.index:
                return float(table.columns[metric][table.index[asset]])
        raise KeyError(asset)

    def position(self, asset: str) -> str:
        table = self.centres.tables["transfer_switch"]
        return str(table.columns["position"][table.index[asset]])

    def step(self) -> None:
        self.now_ms += round(self.step_s * 1000)
        self.centres.advance(self.now_ms, self.step_s, reached=self.reached)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / self.step_s)):
            self.step()

    def until(self, holds: Callable[[], bool], *, within_s: float) -> float:
        """Seconds until something holds; it must within ``within_s``."""
        begun_ms = self.now_ms
        while not holds():
            assert self.now_ms - begun_ms < within_s * 1000, "it never does"
            self.step()
        return (self.now_ms - begun_ms) / 1000.0
