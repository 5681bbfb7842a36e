"""A small network with rules of its own, and a journal in memory, for the tests of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from ioc.alarms.engine import Engine, Snapshot
from ioc.alarms.model import Transition
from ioc.catalog.model import Catalog, Domain
from ioc.inventory import Asset, Inventory, Site
from ioc.journal.records import (
    Activation,
    Batch,
    ClockState,
    Command,
    DeviceAlarm,
    Entry,
    Item,
    Reading,
    Record,
    Tick,
)

T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z
S = 1000
UUID = "0b0f2ac4-6a0e-4c8e-9d0c-0f3c3a0b7a11"


def text(words: str) -> dict[str, str]:
    return {"vi": words, "en": words}


def number(**more: object) -> dict[str, object]:
    return {
        "title": text("number"),
        "unit": "dBm",
        "range": [-1000, 1000],
        "source": "test",
        **more,
    }


def rule(rule_id: str, when: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "id": rule_id,
        "when": when,
        "severity": "major",
        "event_type": "equipment",
        "probable_cause": "thresholdCrossed",
        "text": text("{asset}: {value} {unit}, {threshold}"),
        "action": text("look"),
        "source": "test",
        **more,
    }


def catalog_of(*rules: dict[str, object], spans: Sequence[dict[str, object]] = ()) -> Catalog:
    """Stations with these rules, spans with theirs."""
    flag = {"title": text("flag"), "unit": "1", "type": "bool", "source": "test"}
    kinds: dict[str, Any] = {
        "bts": {
            "title": text("station"),
            "metrics": {
                "level": number(),
                "count": number(type="int", unit="1"),
                "mains_ok": flag,
                "mode": {
                    "title": text("mode"),
                    "unit": "1",
                    "type": "enum",
                    "values": ["mains", "genset", "off"],
                    "source": "test",
                },
                "slow": number(cadence_s=900),
            },
            "rules": list(rules),
        },
        "span": {
            "title": text("span"),
            "metrics": {"rx": number(), "errors": number(type="int", unit="1")},
            "rules": list(spans),
        },
    }
    domain = {"domain": "test", "title": text("test"), "kinds": kinds}
    return Catalog([Domain.model_validate(domain)])


NO_DATA = rule(
    "no-data",
    {"no_data_cadences": 3},
    event_type="communications",
    probable_cause="communicationsSubsystemFailure",
    effect="down",
)
MAINS = rule(
    "mains",
    {"metric": "mains_ok", "equals": False},
    event_type="environmental",
    probable_cause="commercialPowerFailure",
    effect="degraded",
    shared_by="site",
)
HIGH = rule("high", {"metric": "level", "above": 10.0, "clear_below": 8.0})
SPAN_NO_DATA = {**NO_DATA, "id": "span-no-data"}
LOS = rule(
    "los",
    {"metric": "rx", "below": -35.0, "clear_above": -30.0},
    severity="critical",
    event_type="communications",
    probable_cause="lossOfSignal",
    effect="down",
    isolates=True,
)
ERRORS = rule("errors", {"metric": "errors", "above": 0.5}, event_type="communications")
NETWORK = catalog_of(NO_DATA, MAINS, HIGH, spans=(SPAN_NO_DATA, LOS, ERRORS))


def site(site_id: str, *, core: bool = False) -> Site:
    return Site(id=site_id, name=site_id, commune="22366", lat=12.2, lon=109.2, core=core)


def station(asset_id: str, site_id: str = "A", **more: Any) -> Asset:
    return Asset(
        id=asset_id,
        kind="bts",
        name=asset_id,
        province="khanh-hoa",
        commune="22366",
        site=site_id,
        lat=12.2,
        lon=109.2,
        **{"population": 100, **more},
    )


def span(asset_id: str, a: str, b: str, **more: Any) -> Asset:
    return Asset(
        id=asset_id,
        kind="span",
        name=asset_id,
        province="khanh-hoa",
        commune="22366",
        site=a,
        far_site=b,
        lat=12.2,
        lon=109.2,
        **more,
    )


def ring_and_spur() -> tuple[list[Site], list[Asset]]:
    """``CORE – A – B – CORE`` is a ring; ``B – C – D`` a spur with three stations at D."""
    sites = [site("CORE", core=True), *map(site, "ABCD")]
    assets = [
        span("R1", "CORE", "A"),
        span("R2", "A", "B"),
        span("R3", "B", "CORE"),
        span("S1", "B", "C"),
        span("S2", "C", "D"),
        station("A1", "A"),
        station("B1", "B"),
        station("C1", "C"),
        station("D1", "D"),
        station("D2", "D"),
        station("D3", "D"),
    ]
    return sites, assets


class Drill:
    """An engine with a hand on its journal: each call appends one entry and applies it."""

    def __init__(
        self,
        catalog: Catalog,
        assets: Iterable[Asset] = (),
        sites: Iterable[Site] = (),
        *,
        uuid: str = UUID,
    ) -> None:
        self.catalog, self.uuid = catalog, uuid
        self.first = (list(sites) or [site("A")], list(assets) or [station("K1")])
        self.engine = Engine(catalog, Inventory(*self.first), journal_uuid=uuid)
        self.now_ms = T0
        self.entries: list[Entry] = []
        self.transitions: list[Transition] = []

    @property
    def now_s(self) -> float:
        return (self.now_ms - T0) / S

    def apply(self, record: Record) -> list[Transition]:
        entry = Entry(position=len(self.entries) + 1, written_ms=self.now_ms, record=record)
        self.entries.append(entry)
        new = self.engine.apply(entry)
        self.transitions += new
        return new

    def reading(
        self,
        asset: str = "K1",
        *,
        at_s: float | None = None,
        clock: ClockState = "ok",
        received_s: float | None = None,
        **values: Any,
    ) -> Reading:
        at_ms = self.now_ms if at_s is None else round(T0 + at_s * S)
        received_ms = self.now_ms if received_s is None else round(T0 + received_s * S)
        return Reading(
            kind=self.engine.inventory.assets[asset].kind,
            asset=asset,
            time_us=at_ms * 1000,
            ts_ms=at_ms,
            received_ms=received_ms,
            values=values,
            clock=clock,
        )

    def read(
        self, asset: str = "K1", *, at_s: float | None = None, **values: Any
    ) -> list[Transition]:
        """One reading in a batch of its own; ``at_s`` moves time there."""
        if at_s is not None:
            self.now_ms = round(T0 + at_s * S)
        return self.apply(Batch([self.reading(asset, **values)]))

    def batch(self, *items: Item) -> list[Transition]:
        return self.apply(Batch(list(items)))

    def tick(self, *, to_s: float | None = None, listening: bool = True) -> list[Transition]:
        """A tick now; with ``to_s`` one each second up to there."""
        new = []
        until = self.now_ms if to_s is None else round(T0 + to_s * S)
        while True:
            new += self.apply(Tick(self.now_ms, listening))
            if self.now_ms >= until:
                return new
            self.now_ms += S

    def run(self, *, to_s: float, **speaking: dict[str, Any]) -> list[Transition]:
        """Seconds pass in which these assets speak every ten, all in one batch."""
        new = []
        while self.now_ms < T0 + to_s * S:
            self.now_ms += S
            if (self.now_ms - T0) % (10 * S) == 0 and speaking:
                items = [self.reading(asset, **values) for asset, values in speaking.items()]
                new += self.batch(*items)
            new += self.tick()
        return new

    def command(
        self, action: Any, alarm: str, *, actor: str = "linh", words: str = ""
    ) -> list[Transition]:
        return self.apply(
            Command(now_ms=self.now_ms, id="c", actor=actor, action=action, alarm=alarm, text=words)
        )

    def device(
        self,
        state: Any,
        *,
        asset: str = "K1",
        alarm_id: str = "x",
        at_s: float | None = None,
        **more: Any,
    ) -> list[Transition]:
        at_ms = self.now_ms if at_s is None else round(T0 + at_s * S)
        fields = {
            "severity": "major",
            "event_type": "equipment",
            "probable_cause": "equipmentMalfunction",
            "object": "",
            "text": "broken",
            **more,
        }
        return self.batch(
            DeviceAlarm(
                kind=self.engine.inventory.assets[asset].kind,
                asset=asset,
                ts_ms=at_ms,
                received_ms=self.now_ms,
                alarm_id=alarm_id,
                state=state,
                **fields,
            )
        )

    def activate(self, **change: Any) -> list[Transition]:
        return self.apply(Activation(now_ms=self.now_ms, actor="linh", **change))

    def alarm(self, asset: str, source: str) -> Any:
        """The alarm of a rule that stands, as it is now."""
        (found,) = [
            one.alarm
            for one in self.engine.lifecycle.by_asset.get(asset, {}).values()
            if one.alarm.source == source
        ]
        return found

    def standing(self) -> set[tuple[str, str]]:
        return {
            (one.alarm.asset, one.alarm.source) for one in self.engine.lifecycle.standing.values()
        }


def told(transitions: Iterable[Transition]) -> list[tuple[str, str, str]]:
    """Transitions as (kind, asset, source)."""
    return [(one.kind, one.alarm.asset, one.alarm.source) for one in transitions]


def replayed(drill: Drill, *, split_at: int | None = None, copies: bool = True) -> list[Transition]:
    """What a new engine makes of the same journal, put away and taken up after ``split_at``."""
    engine = Engine(drill.catalog, Inventory(*drill.first), journal_uuid=drill.uuid)
    transitions = []
    for count, entry in enumerate(drill.entries):
        if count == split_at:
            content = engine.snapshot()
            inventory = engine.inventory
            engine = Engine(drill.catalog, inventory, journal_uuid=drill.uuid)
            engine.restore(msgspec.msgpack.decode(content, type=Snapshot))
        transitions += engine.apply(entry)
    return transitions


class MemoryJournal:
    """A journal in memory, for the stage's own tests."""

    def __init__(self, uuid: str = UUID) -> None:
        self.uuid = uuid
        self.end = 0
        self.entries: list[Entry] = []
        self.noted: dict[str, int] = {}
        self._news = asyncio.Event()

    async def append(self, *records: Record) -> int:
        for record in records:
            self.end += 1
            self.entries.append(Entry(self.end, T0, record))
        self._news.set()
        self._news = asyncio.Event()
        return self.end

    async def read(self, *, after: int, limit: int = 256) -> list[Entry]:
        return [entry for entry in self.entries if entry.position > after][:limit]

    async def follow(self, *, after: int) -> AsyncIterator[list[Entry]]:
        while True:
            news = self._news
            entries = await self.read(after=after)
            if entries:
                after = entries[-1].position
                yield entries
                await asyncio.sleep(0)
            else:
                await news.wait()

    async def note(self, consumer: str, position: int) -> None:
        self.noted[consumer] = position
