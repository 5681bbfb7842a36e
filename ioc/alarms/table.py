"""One table per kind of asset: a row per asset, a column per metric. It grows with the inventory.

A number is itself, NaN for never measured; a boolean is 0 or 1; a value of an enum is its place in
the catalog's list. Times are Unix µs, 0 for never.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ioc.alarms.live import LiveValue
from ioc.catalog.model import Kind, Metric
from ioc.journal.records import Value

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]
Number = TypeVar("Number", bound=np.generic)

FIRST_CAPACITY = 64


class TableState(msgspec.Struct, kw_only=True):
    """A table as a snapshot keeps it."""

    metrics: list[tuple[str, str, list[str]]]  # name, type, values of an enum
    assets: list[str]  # "" for a row that is free
    values: bytes
    times: bytes
    last_seen: bytes
    clock_off: bytes
    quiet_since: bytes = b""  # not in snapshots of version 1


class KindTable:
    """The last values of all assets of one kind, and when each was measured.

    ``times`` is the time a value was evaluated under: its storage time, or the time it was received
    while the asset's clock is off. ``last_seen`` is when telemetry was last received (Unix ms).
    ``quiet_since`` is the same, moved on by all time since then in which nobody listened: silence
    is judged by it. Both mean something only for an asset that was seen.
    """

    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self.metrics: dict[str, Metric] = dict(kind.metrics)
        self.columns = {metric: column for column, metric in enumerate(self.metrics)}
        self.codes: dict[str, dict[Value, float]] = {
            metric: {value: float(code) for code, value in enumerate(about.values)}
            for metric, about in self.metrics.items()
            if about.values
        }
        self.assets: list[str] = []  # by row, "" for a row that is free
        self.rows: dict[str, int] = {}
        self._free: list[int] = []
        self.capacity = 0
        self.values: Floats = np.empty((0, len(self.columns)))
        self.times: Longs = np.empty((0, len(self.columns)), dtype=np.int64)
        self.last_seen: Longs = np.empty(0, dtype=np.int64)
        self.quiet_since: Longs = np.empty(0, dtype=np.int64)
        self.clock_off: Bytes = np.empty(0, dtype=np.int8)
        self.reserve(FIRST_CAPACITY)

    def reserve(self, rows: int) -> None:
        """Make room for at least this many rows."""
        if rows <= self.capacity:
            return
        capacity = max(rows, self.capacity * 2)
        self.values = grown(self.values, capacity, math.nan)
        self.times = grown(self.times, capacity, 0)
        self.last_seen = grown(self.last_seen, capacity, 0)
        self.quiet_since = grown(self.quiet_since, capacity, 0)
        self.clock_off = grown(self.clock_off, capacity, 0)
        self.capacity = capacity

    def add(self, asset: str) -> int:
        """The row of an asset, a new one when it has none."""
        row = self.rows.get(asset)
        if row is not None:
            return row
        if self._free:
            row = heapq.heappop(self._free)  # the lowest: the same after a restart
            self.assets[row] = asset
        else:
            row = len(self.assets)
            self.assets.append(asset)
            self.reserve(row + 1)
        self.rows[asset] = row
        return row

    def remove(self, asset: str) -> int | None:
        """Forget an asset; its row is free for another. None when it had none."""
        row = self.rows.pop(asset, None)
        if row is None:
            return None
        self.assets[row] = ""
        heapq.heappush(self._free, row)
        self.values[row] = math.nan
        self.times[row] = 0
        self.last_seen[row] = 0
        self.quiet_since[row] = 0
        self.clock_off[row] = 0
        return row

    def not_heard(self, *, for_ms: int, now_ms: int) -> None:
        """Nobody listened for this long until now: no asset's silence is longer for it.

        Where the clock was set in that time, ``for_ms`` is by how much it moved, also backwards.
        """
        np.minimum(self.quiet_since + for_ms, now_ms, out=self.quiet_since)
        np.minimum(self.last_seen, now_ms, out=self.last_seen)

    def live_values(self, row: int) -> dict[str, LiveValue]:
        """What was measured last, in the catalog's own types."""
        found = {}
        values, times = self.values[row].tolist(), self.times[row].tolist()
        for name, value, time_us in zip(self.metrics, values, times, strict=True):
            if not math.isnan(value):
                found[name] = LiveValue(value=self.shown(name, value), at_ms=time_us // 1000)
        return found

    def shown(self, metric: str, value: float) -> Value:
        """A stored number as the catalog's type."""
        about = self.metrics[metric]
        if about.type == "bool":
            return bool(value)
        if about.type == "enum" and about.values:
            return about.values[int(value)]
        return int(value) if about.type == "int" else value

    def saved(self) -> TableState:
        """A copy for a snapshot."""
        used = len(self.assets)
        return TableState(
            metrics=[(name, m.type, list(m.values or ())) for name, m in self.metrics.items()],
            assets=list(self.assets),
            values=self.values[:used].tobytes(),
            times=self.times[:used].tobytes(),
            last_seen=self.last_seen[:used].tobytes(),
            quiet_since=self.quiet_since[:used].tobytes(),
            clock_off=self.clock_off[:used].tobytes(),
        )

    def restore(self, saved: TableState) -> None:
        """Take over a snapshot into an empty table. A metric that the catalog no longer has, or has
        with another type, is left out."""
        used, width = len(saved.assets), len(saved.metrics)
        self.reserve(used)
        values = np.frombuffer(saved.values).reshape(used, width)
        times = np.frombuffer(saved.times, dtype=np.int64).reshape(used, width)
        for column, (name, kind, labels) in enumerate(saved.metrics):
            metric = self.metrics.get(name)
            if metric and metric.type == kind and list(metric.values or ()) == labels:
                self.values[:used, self.columns[name]] = values[:, column]
                self.times[:used, self.columns[name]] = times[:, column]
        self.last_seen[:used] = np.frombuffer(saved.last_seen, dtype=np.int64)
        quiet_since = saved.quiet_since or saved.last_seen
        self.quiet_since[:used] = np.frombuffer(quiet_since, dtype=np.int64)
        self.clock_off[:used] = np.frombuffer(saved.clock_off, dtype=np.int8)
        self.assets = list(saved.assets)
        self.rows = {asset: row for row, asset in enumerate(self.assets) if asset}
        self._free = [row for row, asset in enumerate(self.assets) if not asset]


class Tables:
    """All tables, as the web stage reads them (``ioc.alarms.live.LiveTable``)."""

    def __init__(self, tables: Mapping[str, KindTable]) -> None:
        self._tables = tables

    def values(self, asset: str) -> Mapping[str, LiveValue]:
        for table in self._tables.values():
            row = table.rows.get(asset)
            if row is not None:
                return table.live_values(row)
        return {}

    def last_seen_ms(self, asset: str) -> int | None:
        for table in self._tables.values():
            row = table.rows.get(asset)
            if row is not None:
                return int(table.last_seen[row]) or None
        return None


def grown(array: npt.NDArray[Number], rows: int, fill: float) -> npt.NDArray[Number]:
    """A copy with room for more rows, filled up."""
    larger = np.full((rows, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger
