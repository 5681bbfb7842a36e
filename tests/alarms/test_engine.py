"""The same journal always gives the same transitions, wherever it is stopped and taken up."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from ioc.alarms.engine import VERSION, Engine, read_snapshot
from ioc.alarms.model import Transition
from ioc.catalog import Catalog
from ioc.inventory import Asset, Inventory
from ioc.journal.records import DeviceAlarm, Value

from .world import (
    HIGH,
    LOS,
    MAINS,
    NO_DATA,
    SPAN_NO_DATA,
    Drill,
    catalog_of,
    replayed,
    ring_and_spur,
    rule,
    span,
    station,
    told,
)

EVERY_CONDITION = catalog_of(
    NO_DATA,
    MAINS,
    {**HIGH, "for_s": 20, "clear_for_s": 20},
    rule("mode", {"metric": "mode", "equals": "off"}, effect="down"),
    rule("rate", {"metric": "level", "rate_above_per_min": 20, "over_s": 30}),
    rule("flapping", {"metric": "mains_ok", "changes": 3, "within_s": 120}),
    spans=(SPAN_NO_DATA, LOS),
)


def a_bad_day(seed: int, *, seconds: int = 300) -> Drill:
    """Everything at once: readings late and double, cuts, device alarms, people, changes."""
    chance = random.Random(seed)
    sites, assets = ring_and_spur()
    it = Drill(EVERY_CONDITION, assets, sites)
    dark: set[str] = set()
    for second in range(seconds):
        it.now_ms += 1000
        if chance.random() < 0.03:
            dark ^= {chance.choice(["R1", "R3", "S1", "S2"])}
        items = []
        for asset in list(it.engine.inventory.assets.values()):
            if chance.random() > 0.12 or (
                asset.site in "CD" and "S1" in dark and not asset.far_site
            ):
                continue
            values: dict[str, Any] = (
                {"rx": -40.0 if asset.id in dark else -10.0}
                if asset.kind == "span"
                else {
                    "level": chance.choice([1.0, 9.0, 11.0, 30.0]),
                    "mains_ok": chance.random() < 0.7,
                    "mode": chance.choice(["mains", "genset", "off"]),
                }
            )
            items.append(
                it.reading(
                    asset.id,
                    at_s=it.now_s - chance.choice([0, 0, 0, 15, 3]),
                    clock="off" if chance.random() < 0.05 else "ok",
                    **values,
                )
            )
        it.batch(*items)
        if chance.random() < 0.1:
            it.device(
                chance.choice(["raised", "changed", "cleared"]),
                asset=chance.choice(["S2", "D1", "A1"]),
                alarm_id=chance.choice("xy"),
                severity=chance.choice(["critical", "major"]),
                probable_cause=chance.choice(["linkFailure", "fire"]),
            )
        if it.transitions and chance.random() < 0.1:
            it.command(
                chance.choice(["acknowledge", "unacknowledge", "comment", "clear"]),
                chance.choice(it.transitions).alarm.id,
            )
        if second % 97 == 50:
            it.activate(add=[station(f"N{second}", "C"), span(f"X{second}", "A", "D")])
        if second % 97 == 90:
            gone = chance.choice(sorted(it.engine.inventory.assets.keys() - {"A1", "D1", "S2"}))
            it.activate(retire=[gone])
        it.tick(listening=second % 150 < 120)
    return it


@pytest.mark.parametrize("seed", range(3))
def test_the_same_journal_gives_the_same_transitions(seed: int) -> None:
    it = a_bad_day(seed)
    kinds = {one.kind for one in it.transitions}
    assert kinds >= {"raised", "changed", "cleared", "suppressed", "acknowledged", "commented"}
    whole = msgspec.msgpack.encode(it.transitions)
    assert msgspec.msgpack.encode(replayed(it)) == whole
    chance = random.Random(seed)
    for split_at in chance.sample(range(len(it.entries)), 6):
        assert msgspec.msgpack.encode(replayed(it, split_at=split_at)) == whole, split_at


def test_a_snapshot_of_a_restored_engine_is_the_same() -> None:
    it = a_bad_day(7, seconds=100)
    content = it.engine.snapshot()
    engine = Engine(it.catalog, it.engine.inventory, journal_uuid=it.uuid)
    snapshot = read_snapshot(content)
    assert snapshot is not None
    engine.restore(snapshot)
    assert engine.snapshot() == content
    assert {a: engine.state_of(a) for a in engine.inventory.assets} == {
        a: it.engine.state_of(a) for a in it.engine.inventory.assets
    }


def test_alarm_ids_are_unique_and_of_their_journal() -> None:
    it, other = a_bad_day(1, seconds=200), Drill(EVERY_CONDITION, uuid="another")
    raised = [one.alarm.id for one in it.transitions if one.kind == "raised"]
    assert len(set(raised)) == len(raised)
    assert all(len(one) == 16 and one.isalnum() for one in raised)
    mine, theirs = Drill(EVERY_CONDITION), other
    ids = [drill.device("raised")[0].alarm.id for drill in (mine, theirs)]
    assert ids[0] != ids[1]


def test_readings_of_an_asset_that_is_not_in_force_are_ignored() -> None:
    it = Drill(catalog_of(HIGH))
    reading = it.reading(level=11)
    late = DeviceAlarm("bts", "K1", 1, 1, "x", "raised", "major", "equipment", "fire", "", "")
    it.activate(retire=["K1"])
    assert it.batch(reading, late) == []
    assert it.engine.ignored == {"unknown_asset": 2}


def adopted(it: Drill, catalog: Catalog, *, assets: list[Asset] | None = None) -> Drill:
    """The same province under other rules: what a new version of the catalog brings."""
    after = Drill(catalog, assets or list(it.engine.inventory.assets.values()), it.first[0])
    after.engine = Engine(catalog, Inventory(*after.first), journal_uuid=it.uuid)
    after.engine.adopt(
        [one.alarm for one in it.engine.lifecycle.standing.values()],
        list(it.engine.lifecycle.cleared.values()),
        next_id=it.engine.lifecycle.next_id,
        snapshot=read_snapshot(it.engine.snapshot()),
    )
    after.entries, after.now_ms = list(it.entries), it.now_ms
    return after


def test_other_rules_adopt_the_alarms_that_stand() -> None:
    sites, assets = ring_and_spur()
    it = Drill(EVERY_CONDITION, assets, sites)
    it.run(to_s=30, D1={"level": 1.0}, D2={"level": 1.0}, S1={"rx": -10.0})
    it.run(to_s=80, S1={"rx": -40.0})
    it.read("A1", mode="off", level=1.0)
    root = it.alarm("S1", "los").id
    assert it.alarm("D1", "no-data").parent == root
    new_rules = catalog_of(NO_DATA, HIGH, spans=(LOS,))
    after = adopted(it, new_rules)
    assert after.standing() == it.standing()
    assert after.engine.table.values("D1")["level"].value == 1.0
    # The rule that is gone takes its alarm with it, at a place in the journal.
    gone = after.activate(catalog_version=new_rules.version)
    assert [(one.kind, one.alarm.source, one.text) for one in gone] == [
        ("cleared", "mode", "rule removed")
    ]
    assert gone[0].id == it.transitions[-1].id + 1
    # Nothing is told of again while it stands, and each gets its clear.
    assert after.run(to_s=140, S1={"rx": -40.0}, A1={"level": 1.0}) == []
    spoken: dict[str, dict[str, Value]] = {one: {"level": 1.0} for one in ("A1", "D1", "D2")}
    cleared = after.run(to_s=170, S1={"rx": -10.0}, **spoken)
    assert sorted(told(cleared)) == [
        ("cleared", "D1", "no-data"),
        ("cleared", "D2", "no-data"),
        ("cleared", "S1", "los"),
    ]


def test_a_grace_is_whole_after_an_adoption() -> None:
    """Also without a snapshot, when nobody knows when it began."""
    sites, assets = ring_and_spur()
    it = Drill(EVERY_CONDITION, assets, sites)
    it.run(to_s=30, D1={"level": 1.0}, S1={"rx": -10.0})
    it.run(to_s=80, S1={"rx": -40.0})
    it.run(to_s=90, S1={"rx": -10.0})  # the root is gone, its child still silent
    engine = Engine(it.catalog, it.engine.inventory, journal_uuid=it.uuid)
    engine.adopt(
        [one.alarm for one in it.engine.lifecycle.standing.values()],
        [],
        next_id=it.engine.lifecycle.next_id,
        snapshot=None,
    )
    it.engine = engine
    assert it.alarm("D1", "no-data").suppressed
    assert it.tick(to_s=it.now_s + 24) == []
    assert [one.kind for one in it.tick(to_s=it.now_s + 3)] == ["unsuppressed"]


def test_a_snapshot_of_version_1_still_gives_its_values() -> None:
    it = Drill(EVERY_CONDITION)
    it.run(to_s=30, K1={"level": 1.0})
    old = msgspec.msgpack.decode(it.engine.snapshot())
    old |= {"version": 1, "armed_ms": old.pop("return_ms")}
    for table in old["tables"].values():
        del table["quiet_since"]
    snapshot = read_snapshot(msgspec.msgpack.encode(old))
    assert snapshot is not None
    assert snapshot.version != VERSION  # not replayed from
    engine = Engine(it.catalog, it.engine.inventory, journal_uuid=it.uuid)
    engine.adopt([], [], next_id=1, snapshot=snapshot)
    it.engine = engine
    assert engine.table.values("K1")["level"].value == 1.0
    it.now_ms += 3600_000
    assert it.tick(to_s=it.now_s + 30) == []
    assert told(it.tick(to_s=it.now_s + 2)) == [("raised", "K1", "no-data")]


def test_cleared_alarms_can_be_acknowledged_after_an_adoption() -> None:
    it = Drill(EVERY_CONDITION)
    alarm: Transition = it.device("raised")[0]
    it.now_ms += 1000
    it.device("cleared")
    after = adopted(it, catalog_of(HIGH))
    assert [one.kind for one in after.command("acknowledge", alarm.alarm.id)] == ["acknowledged"]


def test_snapshots_of_an_unknown_form_are_not_read() -> None:
    assert read_snapshot(b"\x93\x01\x02\x03") is None
