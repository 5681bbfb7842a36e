"""What equipment says of itself: alarms of its own, raised and cleared as its parts see fit.

A device watches a condition for a while before it speaks. Then its word waits until the asset can
send; some words are late, as a controller that is polled would have them, and some come twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from simulators.faults import FAULTS, DeviceAlarm
from simulators.table import BoolArray, FloatArray, Table

# Assumptions, of the kind that element managers show: one word in twenty waits for the next poll of
# its controller, one in twenty is sent again because its first acknowledgement was lost.
LATE_SHARE, TWICE_SHARE = 0.05, 0.05
LATE_S = (10.0, 90.0)
TWICE_AFTER_S = (1.0, 10.0)


class Word(NamedTuple):
    """One thing that a device says, with the time at which it says so (Unix ms). ``again``: it has
    said so before."""

    table: Table
    asset: str
    alarm_id: str
    says: DeviceAlarm
    raised: bool
    ts_ms: int
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One thing that all devices of a kind look at in themselves.

    ``holds`` gives which assets have it now. It stands after ``raise_after_s`` without a pause and
    is over after ``clear_after_s`` without it. ``fault`` or ``metric`` names what it comes from.
    ``once_per_site``: one of a site's devices speaks for all, its first.
    """

    id: str
    says: DeviceAlarm
    holds: Callable[[Table], BoolArray]
    raise_after_s: float = 0.0
    clear_after_s: float = 0.0
    fault: str = ""
    metric: str = ""
    once_per_site: bool = False


LOSS_OF_SIGNAL = DeviceAlarm(
    severity="critical",
    event_type="communications",
    probable_cause="lossOfSignal",
    object="port-1",
    text="Loss of signal",
)


def _without_cells(table: Table) -> BoolArray:
    found: BoolArray = (table.columns["cells_unavailable"] > 0) & table.columns["in_service"]
    return found


_WATCHES: Mapping[str, tuple[Watch, ...]] = {
    "bts": (
        Watch(
            id="mains",
            says=DeviceAlarm(
                severity="minor",
                event_type="environmental",
                probable_cause="commercialPowerFailure",
                object="rectifier",
                text="AC mains failure",
            ),
            holds=lambda table: ~table.columns["mains_ok"],
            once_per_site=True,  # the power system of a mast
            # Controllers of rectifiers wait out a dip; an assumption.
            raise_after_s=5.0,
            clear_after_s=10.0,
            metric="mains_ok",
        ),
        Watch(
            id="cell-unavailable",
            says=DeviceAlarm(
                severity="minor",
                event_type="equipment",
                probable_cause="underlyingResourceUnavailable",
                object="radio-unit-1",
                text="Cell unavailable: radio unit not responding",
            ),
            holds=_without_cells,
            metric="cells_unavailable",
        ),
        Watch(
            id="vswr",
            says=DeviceAlarm(
                severity="major",
                event_type="equipment",
                probable_cause="antennaFailure",
                object="antenna-1",
                text="VSWR over threshold",
            ),
            # Radio units say so from 2.0 on, common practice; an assumption for how long they look.
            holds=lambda table: table.columns["vswr"] >= 2.0,
            raise_after_s=10.0,
            clear_after_s=10.0,
            metric="vswr",
        ),
    ),
    "span": (
        Watch(
            id="los",
            says=LOSS_OF_SIGNAL,
            holds=lambda table: ~table.columns["link_up"],
            # A port declares loss of signal after 2.5 s of darkness and clears it after 10 s of
            # light (failure soaking of transmission equipment, Telcordia GR-253).
            raise_after_s=2.5,
            clear_after_s=10.0,
            metric="link_up",
        ),
    ),
}


def _watches_of(kind: str) -> list[Watch]:
    """What devices of a kind watch, and what they know at once: faults that they see themselves."""
    found = list(_WATCHES.get(kind, ()))
    for fault in FAULTS.values():
        if fault.alarm is not None and fault.fits(kind):
            holds = partial(Table.fault, name=fault.id)
            found.append(Watch(id=fault.id, says=fault.alarm, holds=holds, fault=fault.id))
    return found


class Watched:
    """One watch over a table. ``stands``: which devices find it so by now. ``said``: which have put
    it into words."""

    def __init__(self, table: Table, watch: Watch) -> None:
        self.table, self.watch = table, watch
        self.stands: BoolArray = np.zeros(len(table), dtype=np.bool_)
        self.said: BoolArray = np.zeros(len(table), dtype=np.bool_)
        self._for_s: FloatArray = np.zeros(len(table))
        self._speaks: BoolArray = np.ones(len(table), dtype=np.bool_)
        if watch.once_per_site:
            self._speaks[:] = False
            self._speaks[np.unique(table.site, return_index=True)[1]] = True

    def look(self, dt_s: float) -> BoolArray:
        """A step has passed; who has something to say that it can say now."""
        # A quiet device, the usual case, costs one comparison.
        other = (self.watch.holds(self.table) & self._speaks) ^ self.stands
        if other.any() or self._for_s.any():
            self._for_s = np.where(other, self._for_s + dt_s, 0.0)
            after_s = np.where(self.stands, self.watch.clear_after_s, self.watch.raise_after_s)
            turned = other & (self._for_s >= after_s)
            self._for_s[turned] = 0.0
            self.stands = self.stands ^ turned
        found: BoolArray = (self.stands ^ self.said) & self.table.speaking
        return found


class DeviceAlarms:
    """The alarms of all devices of a province. Deterministic: the same steps, the same words."""

    def __init__(self, tables: Mapping[str, Table], rng: np.random.Generator) -> None:
        self.watched = [
            Watched(table, watch)
            for kind, table in tables.items()
            if len(table)
            for watch in _watches_of(kind)
        ]
        self._rng = rng
        self._tables = tables
        self._number = 0
        self._words: list[tuple[int, int, Word]] = []  # by when they leave, a heap
        self._last_ms: dict[str, int] = {}  # when the last word of an asset leaves: one queue each
        # What was sent and not taken back: by asset and alarm, in that order.
        self.open: dict[tuple[str, str], DeviceAlarm] = {}

    def look(self, now_ms: int, dt_s: float) -> None:
        """A step of the physics has passed."""
        for one in self.watched:
            speaks = one.look(dt_s)
            if speaks.any():
                one.said = one.said ^ speaks
                for row in np.flatnonzero(speaks).tolist():
                    self._say(one, row, now_ms)

    def due(self, now_ms: int) -> list[Word]:
        """The words that leave now. What an asset cannot send now waits until it can."""
        found, wait = [], []
        while self._words and self._words[0][0] <= now_ms:
            entry = heapq.heappop(self._words)
            word = entry[2]
            if not word.table.speaking[word.table.index[word.asset]]:
                wait.append(entry)
                continue
            found.append(word)
            if word.again:
                continue
            if word.raised:
                self.open[word.asset, word.alarm_id] = word.says
            else:
                self.open.pop((word.asset, word.alarm_id), None)
        for entry in wait:
            heapq.heappush(self._words, entry)
        return found

    def adopt(self, standing: Mapping[tuple[str, str], DeviceAlarm], now_ms: int) -> None:
        """Take over the alarms that an earlier run left standing: each is cleared as soon as its
        asset can speak and its cause is gone. Assets that are no more are passed over."""
        of = {(one.table.kind, one.watch.id): one for one in self.watched}
        for (asset, alarm_id), says in standing.items():
            table = next((t for t in self._tables.values() if asset in t.index), None)
            if table is None:
                continue
            self.open[asset, alarm_id] = says
            one = of.get((table.kind, alarm_id))
            if one is None:  # a device no longer watches this
                self._put(Word(table, asset, alarm_id, says, False, now_ms), now_ms)
            else:
                one.said[table.index[asset]] = one.stands[table.index[asset]] = True

    def _say(self, one: Watched, row: int, now_ms: int) -> None:
        asset = one.table.assets[row].id
        word = Word(one.table, asset, one.watch.id, one.watch.says, bool(one.said[row]), now_ms)
        late, twice = self._rng.random(2).tolist()
        leaves_ms = now_ms
        if late < LATE_SHARE:
            leaves_ms += round(self._rng.uniform(*LATE_S) * 1000)
        # What a device says keeps its order.
        leaves_ms = self._last_ms[asset] = max(leaves_ms, self._last_ms.get(asset, 0))
        self._put(word, leaves_ms)
        if twice < TWICE_SHARE:
            again = word._replace(again=True)
            self._put(again, leaves_ms + round(self._rng.uniform(*TWICE_AFTER_S) * 1000))

    def _put(self, word: Word, leaves_ms: int) -> None:
        self._number += 1
        heapq.heappush(self._words, (leaves_ms, self._number, word))
