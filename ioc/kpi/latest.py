"""The newest values that measures are worked out from, as arrays: a row per asset."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ioc.alarms.live import LiveTable
from ioc.catalog.model import Catalog
from ioc.inventory import Inventory
from ioc.journal.records import Batch, Reading

# All that measures need of telemetry, by kind.
NEEDED = {
    "bts": ("drb_ue_thp_dl_kbit_s", "rrc_conn_mean", "cells_5g_active"),
    "dc_site": ("pue", "it_power_kw"),
}
# As everywhere: older than three of its cadences is stale.
FRESH_CADENCES = 3

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class _Kind:
    """One kind's values: NaN and time 0 for what was never measured. Times are Unix ms."""

    def __init__(self, metrics: tuple[str, ...], assets: list[str]) -> None:
        self.metrics = metrics
        self.assets = assets
        self.rows = {asset: row for row, asset in enumerate(assets)}
        self.values: Floats = np.full((len(metrics), len(assets)), np.nan)
        self.times: Longs = np.zeros((len(metrics), len(assets)), dtype=np.int64)


class Latest:
    """The newest value of each metric in ``NEEDED`` of each asset in force.

    A value's time is its storage time, or the time it was received while the asset's clock is off:
    the same that alarms are judged by. An older reading that comes late changes nothing.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._cadence_ms = {
            (kind, metric): catalog.kinds[kind].metrics[metric].cadence_s * 1000
            for kind, metrics in NEEDED.items()
            if kind in catalog.kinds
            for metric in metrics
            if metric in catalog.kinds[kind].metrics
        }
        self._kinds = {kind: _Kind(metrics, []) for kind, metrics in NEEDED.items()}

    def fit(self, inventory: Inventory) -> None:
        """Follow the inventory: rows for new assets, none for the retired."""
        ids: dict[str, list[str]] = {kind: [] for kind in NEEDED}
        for asset in inventory.assets.values():
            if asset.kind in ids:
                ids[asset.kind].append(asset.id)
        for name, old in self._kinds.items():
            new = _Kind(old.metrics, ids[name])
            kept = [(new.rows[asset], row) for asset, row in old.rows.items() if asset in new.rows]
            if kept:
                to, source = (list(rows) for rows in zip(*kept, strict=True))
                new.values[:, to] = old.values[:, source]
                new.times[:, to] = old.times[:, source]
            self._kinds[name] = new

    def assets(self, kind: str) -> list[str]:
        """The assets of a kind, in the order of their rows."""
        return self._kinds[kind].assets

    def seed(self, table: LiveTable) -> None:
        """Take what the alarm engine remembers, where it is newer than what is known here."""
        for kind in self._kinds.values():
            for asset in kind.assets:
                known = table.values(asset)
                for metric in kind.metrics:
                    last = known.get(metric)
                    if last is not None and not isinstance(last.value, str):
                        self._keep(kind, asset, metric, float(last.value), last.at_ms)

    def take(self, batch: Batch) -> None:
        """Take the readings of one batch."""
        for item in batch.items:
            if isinstance(item, Reading):
                kind = self._kinds.get(item.kind)
                if kind is not None and item.asset in kind.rows:
                    self._take(kind, item)

    def _take(self, kind: _Kind, reading: Reading) -> None:
        at_ms = reading.time_us // 1000 if reading.clock == "ok" else reading.received_ms
        values = reading.values
        for metric in kind.metrics:
            value = values.get(metric)
            if value is not None and not isinstance(value, str):
                self._keep(kind, reading.asset, metric, float(value), at_ms)

    @staticmethod
    def _keep(kind: _Kind, asset: str, metric: str, value: float, at_ms: int) -> None:
        place = kind.metrics.index(metric), kind.rows[asset]
        if at_ms >= kind.times[place]:
            kind.times[place] = at_ms
            kind.values[place] = value

    def fresh(self, kind: str, metric: str, *, now_ms: int) -> tuple[Floats, Flags]:
        """A metric of all assets of a kind, and where it is no older than three cadences."""
        cadence_ms = self._cadence_ms.get((kind, metric))
        table = self._kinds[kind]
        row = table.metrics.index(metric)
        if cadence_ms is None:
            return table.values[row], np.zeros(len(table.assets), dtype=np.bool_)
        since = now_ms - FRESH_CADENCES * cadence_ms
        return table.values[row], table.times[row] >= max(1, since)
