"""What the simulators send is taken by the service's own decoder and judged by its own engine."""

from __future__ import annotations

from collections import Counter

from ioc.alarms.engine import Engine
from ioc.alarms.model import Transition
from ioc.ingest.decode import Decoder, Telemetry
from ioc.inventory import Inventory
from ioc.journal.records import Batch, Entry, Item, Quarantined, Reading, Record, Tick
from simulators.province import Province
from tests.simulators.lab import CATALOG, MIDNIGHT_MS, network, province, whole


class Desk:
    """A province in front of the real decoder and engine, in virtual time."""

    def __init__(self, source: Province, inventory: Inventory) -> None:
        self.source = source
        self.decoder = Decoder(CATALOG, inventory)
        self.engine = Engine(
            CATALOG, inventory, journal_uuid="0b0f2ac4-6a0e-4c8e-9d0c-0f3c3a0b7a11"
        )
        self.transitions: list[Transition] = []
        self.quarantined: Counter[str] = Counter()
        self._position = 0

    def watch(self, seconds: int) -> list[Transition]:
        """What the engine says in the next ``seconds``."""
        before = len(self.transitions)
        for _ in range(round(seconds / self.source.tick_s)):
            items: list[Item] = []
            for message in self.source.tick():
                items += self._decode(message.topic, message.payload)
            now_ms = self.source.now_ms
            if items:
                self._apply(Batch(items))
            self._apply(Tick(now_ms, listening=True))
        return self.transitions[before:]

    def _apply(self, record: Record) -> None:
        self._position += 1
        entry = Entry(self._position, self.source.now_ms, record)
        self.transitions += self.engine.apply(entry)

    def _decode(self, topic: str, payload: bytes) -> list[Item]:
        now_ms = self.source.now_ms
        items: list[Item] = []
        for one in self.decoder.decode(topic, payload, received_ms=now_ms):
            match one:
                case Quarantined():
                    self.quarantined[one.reason] += 1
                case Telemetry():
                    items.append(
                        Reading(
                            kind=one.kind,
                            asset=one.asset,
                            time_us=one.ts_ms * 1000,
                            ts_ms=one.ts_ms,
                            received_ms=now_ms,
                            values=one.values,
                            boot=one.boot,
                            seq=one.seq,
                        )
                    )
                case _:
                    items.append(one)
        return items


def test_calm_hours_raise_no_alarm_and_nothing_is_quarantined() -> None:
    found = whole()
    desk = Desk(province(found), Inventory(found.sites, found.assets))
    assert desk.watch(1800) == []
    assert not desk.quarantined
    assert desk.decoder.unknown_fields == 0
    states = {desk.engine.state_of(asset.id) for asset in found.assets if asset.simulated}
    assert states == {"up"}
    assert desk.engine.state_of("LAB") == "not_seen"


def test_a_cut_is_one_alarm_that_names_what_hangs_on_it() -> None:
    found = network([("C", "A"), ("A", "B"), ("B", "D"), ("C", "E")])
    desk = Desk(province(found), Inventory(found.sites, found.assets))
    assert desk.watch(120) == []
    desk.source.begin("span-cut", "C-A", for_s=120)
    raised = [one for one in desk.watch(120) if one.kind == "raised"]
    roots = {one.alarm.id: one.alarm for one in raised if not one.alarm.suppressed}
    assert {alarm.asset for alarm in roots.values()} == {"C-A"}
    impact = next(alarm.impact for alarm in roots.values() if alarm.impact is not None)
    assert impact.stations == 3
    silent = {one.alarm.asset for one in raised} - {"C-A"}
    assert silent == {"K-A", "K-B", "K-D", "A-B", "B-D"}
    desk.watch(180)
    assert not desk.engine.lifecycle.standing
    states = Counter(desk.engine.state_of(asset.id) for asset in found.assets)
    assert states == {"up": len(found.assets)}


def test_bad_firmware_ends_in_quarantine_alone() -> None:
    found = whole()
    desk = Desk(province(found), Inventory(found.sites, found.assets))
    desk.watch(60)
    desk.source.begin("bad-payload", "B3", for_s=600)
    desk.watch(80)
    assert set(desk.quarantined) == {"not_json", "wrong_type", "out_of_range", "not_finite"}
    assert sum(desk.quarantined.values()) == 8
    assert desk.source.now_ms == MIDNIGHT_MS + 140_000
