"""The whole simulated province: physics by the second, messages by the tick.

Same inventory, seed, start and ticks: the same messages, but for ``boot``. Time is what the caller
says; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ioc.catalog import Catalog
from ioc.inventory.file import InventoryFile
from simulators.bts import KIND as BTS
from simulators.bts import Stations
from simulators.data_center import KINDS as DATA_CENTRE_KINDS
from simulators.data_center import DataCentres
from simulators.device_alarms import DeviceAlarms
from simulators.faults import ActiveFault, Faults
from simulators.fibre import KIND as SPAN
from simulators.fibre import Spans
from simulators.messages import Message, Sender
from simulators.network import Network
from simulators.sites import Sites
from simulators.table import BoolArray, Table

PHYSICS_EVERY_S = 1.0


class Province:
    """All simulated assets of one inventory.

    ``tick_s`` is the grain of sending: each asset sends at one tick of ``interval_s``.
    ``physics_s`` is the grain of everything else. ``late_bursts`` is the share of assets that keep
    their readings while a failed link cuts them off and send them when they can again.
    ``observe`` is called after each step of the physics. Reusable only as a whole: a new run is a
    new ``Province``.
    """

    def __init__(
        self,
        inventory: InventoryFile,
        *,
        catalog: Catalog,
        seed: int,
        start_ms: int,
        interval_s: float = 10.0,
        tick_s: float = 0.1,
        boot: int = 0,
        physics_s: float = PHYSICS_EVERY_S,
        late_bursts: float = 0.0,
    ) -> None:
        self.now_ms = start_ms
        self.named = inventory.province
        self.observe: Callable[[], None] | None = None
        self._physics_s = physics_s
        self.tick_s = min(tick_s, interval_s)
        self._start_ms = start_ms
        self._ticks = 0
        self._physics_ms = start_ms
        simulated = [asset for asset in inventory.assets if asset.simulated]
        streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(7)]
        self.network = Network(
            inventory.sites, (asset for asset in inventory.assets if asset.kind == SPAN)
        )
        # Where equipment stands that no simulator drives.
        self.real: BoolArray = np.zeros(len(self.network.sites), dtype=np.bool_)
        for asset in inventory.assets:
            if not asset.simulated and asset.kind != SPAN:
                self.real[self.network.site_index[asset.site]] = True
        stations = [asset for asset in simulated if asset.kind == BTS]
        genset = np.zeros(len(self.network.sites), dtype=np.bool_)
        for asset in stations:
            if asset.attributes.get("has_genset"):
                genset[self.network.site_index[asset.site]] = True
        self.sites = Sites(len(self.network.sites), genset=genset, rng=streams[0])
        self.stations = Stations(stations, self.network, self.sites, streams[1])
        spans = [a for a in simulated if a.kind == SPAN and a.id in self.network.span_index]
        self.spans = Spans(spans, self.network, streams[2])
        centres = [asset for asset in simulated if asset.kind in DATA_CENTRE_KINDS]
        self.centres = DataCentres(centres, self.network, streams[3])
        self.tables: dict[str, Table] = {
            BTS: self.stations.table,
            SPAN: self.spans.table,
            **self.centres.tables,
        }
        self.faults = Faults(
            self.tables, not_simulated=(a.id for a in inventory.assets if not a.simulated)
        )
        self._slot_count = max(1, round(interval_s / self.tick_s))
        self._senders = self._make_senders(
            inventory.province, catalog, interval_s=interval_s, boot=boot, rng=streams[4]
        )
        if late_bursts > 0.0:
            for sender in self._senders.values():
                sender.keep_for_later(streams[5].random(len(sender.table)) < late_bursts)
        self.reached: BoolArray = np.ones(len(self.network.sites), dtype=np.bool_)
        self._seen: tuple[bytes, bytes] | None = None
        self.device_alarms = DeviceAlarms(self.tables, streams[6])
        self._step(0.0)

    @property
    def size(self) -> int:
        """How many assets send."""
        return sum(map(len, self.tables.values()))

    def begin(self, fault: str, asset: str, *, for_s: float) -> ActiveFault:
        """Let a fault begin now. Raises ``FaultError`` naming what is known."""
        return self.faults.begin(fault, asset, now_ms=self.now_ms, for_ms=round(for_s * 1000))

    def tick(self) -> list[Message]:
        """Move time by one tick; the messages that are sent at its end, in order."""
        self._ticks += 1
        return self._at(self._start_ms + round(self._ticks * self.tick_s * 1000))

    def skip_to(self, now_ms: int) -> None:
        """Go on from a later time: what lies between was not measured. The physics follows in one
        step at the next tick."""
        self._ticks = max(self._ticks, int((now_ms - self._start_ms) / (self.tick_s * 1000)))

    def _at(self, now_ms: int) -> list[Message]:
        self.now_ms = now_ms
        self.faults.end_due(now_ms)
        elapsed_s = (now_ms - self._physics_ms) / 1000.0
        if elapsed_s >= self._physics_s - 1e-6:
            self._physics_ms = now_ms
            self._step(elapsed_s)
        messages = [
            self._senders[word.table.kind].alarm(word) for word in self.device_alarms.due(now_ms)
        ]
        slot = self._ticks % self._slot_count
        for sender in self._senders.values():
            messages += sender.telemetry(slot, now_ms)
        return messages

    def _make_senders(
        self,
        province: str,
        catalog: Catalog,
        *,
        interval_s: float,
        boot: int,
        rng: np.random.Generator,
    ) -> dict[str, Sender]:
        """One sender per kind; all assets together are spread evenly over the interval."""
        size = self.size
        slots = rng.permutation(size) * self._slot_count // max(size, 1)
        senders, begin = {}, 0
        for kind, table in self.tables.items():
            if len(table):
                senders[kind] = Sender(
                    table,
                    catalog.kinds[kind],
                    province=province,
                    slots=slots[begin : begin + len(table)],
                    slot_count=self._slot_count,
                    interval_s=interval_s,
                    boot=boot,
                    rng=rng,
                    sent=self.stations.counters_sent if kind == BTS else None,
                )
            begin += len(table)
        return senders

    def _step(self, dt_s: float) -> None:
        """One step of the physics, from what feeds to what is fed."""
        self._break_sites()
        self.sites.advance(self.now_ms, dt_s)
        if len(self.centres.places):
            self.sites.powered[self.centres.places] = self.centres.powered
        lit = np.ones(len(self.network.spans), dtype=np.bool_)
        lit[self.spans.row_in_network] = ~self.spans.broken(self.now_ms)
        powered = self.sites.powered
        lit &= powered[self.network.a] & powered[self.network.b]
        seen = (lit.tobytes(), powered.tobytes())
        if seen != self._seen:
            self._seen = seen
            self.reached = self.network.reachable(lit=lit, powered=powered)
        self.stations.advance(self.now_ms, dt_s)
        self.spans.advance(self.now_ms, dt_s, lit=lit[self.spans.row_in_network])
        self.centres.advance(self.now_ms, dt_s, reached=self.reached)
        self._let_speak()
        self.device_alarms.look(self.now_ms, dt_s)
        for sender in self._senders.values():
            sender.refresh()
        if self.observe is not None:
            self.observe()

    def _break_sites(self) -> None:
        sites, table, count = self.sites, self.stations.table, self.sites.count
        sites.battery_weak = table.on_sites("battery-low", count)
        sites.mains_out = table.on_sites("mains-failure", count) | sites.battery_weak
        sites.battery_stolen = table.on_sites("battery-theft", count)
        sites.fuel_low = table.on_sites("low-fuel", count)
        sites.flooded = table.on_sites("flood", count)
        sites.shelters.cooling_out = table.on_sites("cooling-failure", count)
        sites.shelters.overheated = table.on_sites("high-temperature", count)

    def _let_speak(self) -> None:
        """Who can send: with power, with a way to a core site, and not struck dumb."""
        reached = self.reached
        for table in self.tables.values():
            speaking = reached[table.site]
            works = self.sites.powered[table.site]
            if table.kind == BTS:
                works = self.sites.in_operation[table.site]
                speaking &= works
            elif table.kind == SPAN:
                rows = self.spans.row_in_network
                speaking |= reached[self.network.b[rows]]
                works = self.sites.powered[table.site]
                works |= self.sites.powered[self.network.b[rows]]
            silent = table.fault("silent")
            table.cut_off = works & ~speaking & ~silent
            table.speaking = speaking & ~silent
