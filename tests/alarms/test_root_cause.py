"""A ring and a spur: what a cut takes with it, and what it does not."""

from __future__ import annotations

import pytest

from ioc.alarms.model import Impact
from ioc.journal.records import Value

from .world import (
    HIGH,
    MAINS,
    NETWORK,
    NO_DATA,
    Drill,
    catalog_of,
    ring_and_spur,
    span,
    station,
    told,
)

FINE: dict[str, Value] = {"mains_ok": True, "level": 1.0}
LIT: dict[str, Value] = {"rx": -10.0, "errors": 0}
DARK: dict[str, Value] = {"rx": -40.0, "errors": 0}
STATIONS = ("A1", "B1", "C1", "D1", "D2", "D3")
SPANS = ("R1", "R2", "R3", "S1", "S2")


def all_fine() -> dict[str, dict[str, Value]]:
    return {**dict.fromkeys(STATIONS, FINE), **dict.fromkeys(SPANS, LIT)}


def without(*silent: str, **other: dict[str, Value]) -> dict[str, dict[str, Value]]:
    spoken = {asset: values for asset, values in all_fine().items() if asset not in silent}
    return {**spoken, **other}


@pytest.fixture
def it() -> Drill:
    sites, assets = ring_and_spur()
    drill = Drill(NETWORK, assets, sites)
    drill.run(to_s=30, **all_fine())
    assert drill.transitions == []
    return drill


def suppressed_under(it: Drill, parent: str) -> set[str]:
    return {
        one.alarm.asset
        for one in it.engine.lifecycle.standing.values()
        if one.alarm.parent == parent
    }


def test_a_cut_spur_is_one_alarm(it: Drill) -> None:
    new = it.run(to_s=90, **without("C1", "D1", "D2", "D3", "S2", S1=DARK))
    root = it.alarm("S1", "los")
    assert root.impact == Impact(assets=5, stations=4, population=400)
    assert root.settles_ms == 0  # nothing can explain it: told at once
    unsuppressed = [one for one in new if one.kind == "raised" and not one.alarm.suppressed]
    assert told(unsuppressed) == [("raised", "S1", "los")]
    assert suppressed_under(it, root.id) == {"C1", "D1", "D2", "D3", "S2"}
    # The impact was known when it was raised: no second word on it.
    assert [one.kind for one in new if one.alarm.asset == "S1"] == ["raised"]
    assert it.engine.state_of("D1") == "silent"
    assert it.engine.state_of("S1") == "down"


def test_a_cut_ring_cuts_nobody_off(it: Drill) -> None:
    it.run(to_s=60, **without(R2=DARK))
    assert it.alarm("R2", "los").impact is None
    assert it.standing() == {("R2", "los")}


def test_a_ring_cut_twice(it: Drill) -> None:
    it.run(to_s=60, **without(R1=DARK))
    it.run(to_s=120, **without("A1", "R2", R1=DARK, R2=DARK))
    first = it.alarm("R1", "los")  # the first one in time
    assert first.impact == Impact(assets=1, stations=1, population=100)
    assert suppressed_under(it, first.id) == {"A1"}
    changed = [one for one in it.transitions if one.kind == "changed"]
    assert told(changed) == [("changed", "R1", "los")]


def test_after_the_repair_children_clear_and_none_is_told_of(it: Drill) -> None:
    silent = ("C1", "D1", "D2", "D3", "S2")
    it.run(to_s=90, **without(*silent, S1=DARK))
    after = it.run(to_s=91)
    after += it.run(to_s=101, **without(*silent))  # the light is back
    assert ("cleared", "S1", "los") in told(after)
    after += it.run(to_s=111, **without("D3"))  # stations come back one after the other
    after += it.run(to_s=160, **all_fine())
    assert {one.kind for one in after} == {"cleared"}
    assert len(after) == 6
    assert it.standing() == set()


def test_a_child_that_does_not_come_back_stands_for_itself(it: Drill) -> None:
    it.run(to_s=90, **without("C1", "D1", "D2", "D3", "S2", S1=DARK))
    root = it.alarm("S1", "los").id
    after = it.run(to_s=200, **without("D3"))
    (own,) = [one for one in after if one.kind == "unsuppressed"]
    assert (own.alarm.asset, own.alarm.parent, own.text) == ("D3", "", root)
    cleared_ms = next(one.at_ms for one in after if one.alarm.id == root)
    assert 20_000 <= own.at_ms - cleared_ms <= 30_000  # two cadences and a little
    assert told(it.run(to_s=230, **all_fine())) == [("cleared", "D3", "no-data")]


def test_the_grace_waits_while_nothing_is_listened_to(it: Drill) -> None:
    it.run(to_s=90, **without("C1", "D1", "D2", "D3", "S2", S1=DARK))
    it.run(to_s=100, **without("C1", "D1", "D2", "D3", "S2"))
    assert it.tick(to_s=300, listening=False) == []
    assert it.tick(to_s=310) == []
    assert {one.kind for one in it.run(to_s=330, **all_fine())} == {"cleared"}


def test_a_station_that_falls_silent_during_the_repair_is_explained(it: Drill) -> None:
    # A cut shorter than what silence takes to be noticed.
    it.run(to_s=45, **without("D1", "D2", "D3", "C1", "S2", S1=DARK))
    root = it.alarm("S1", "los").id
    it.run(to_s=55, **without("D1", "D2", "D3", "C1", "S2"))
    late = it.run(to_s=65, **without("D1"))
    (raised,) = [one for one in late if one.kind == "raised" and one.alarm.asset == "D1"]
    assert raised.alarm.suppressed
    assert raised.alarm.parent == root
    assert told(it.run(to_s=100, **all_fine())) == [("cleared", "D1", "no-data")]


def test_time_that_nobody_listened_does_not_count_for_a_repair(it: Drill) -> None:
    it.run(to_s=45, **without("D1", "D2", "D3", "C1", "S2", S1=DARK))
    root = it.alarm("S1", "los").id
    it.run(to_s=55, **without("D1"))
    assert it.tick(to_s=300, listening=False) == []
    (raised,) = it.run(to_s=310, **without("D1"))
    assert told([raised]) == [("raised", "D1", "no-data")]
    assert raised.alarm.parent == root


def test_a_parent_that_comes_late_takes_its_children(it: Drill) -> None:
    silent = ("C1", "D1", "D2", "D3", "S1", "S2")
    before = it.run(to_s=70, **without(*silent))
    assert {one.alarm.suppressed for one in before} == {False}
    # Nobody is told before the parent had its time to come.
    assert {one.alarm.settles_ms - one.at_ms for one in before} == {5000}
    after = it.run(to_s=81, **without(*silent, S1=DARK))
    root = it.alarm("S1", "los").id
    assert suppressed_under(it, root) == {"C1", "D1", "D2", "D3", "S2"}
    assert [one.kind for one in after if one.alarm.asset == "D1"] == ["suppressed"]


def test_what_stood_long_before_is_not_explained(it: Drill) -> None:
    it.run(to_s=400, **without("D1"))
    it.run(to_s=460, **without("C1", "D1", "D2", "D3", "S2", S1=DARK))
    assert not it.alarm("D1", "no-data").suppressed
    assert it.alarm("D2", "no-data").suppressed


def test_only_what_the_path_can_explain_is_explained(it: Drill) -> None:
    it.run(to_s=60, **without("D2", "D3", "C1", "S2", S1=DARK, D1={**FINE, "level": 20.0}))
    assert not it.alarm("D1", "high").suppressed


def test_a_second_cut_behind_the_first(it: Drill) -> None:
    it.run(to_s=60, **without("D1", "D2", "D3", S2=DARK))
    behind = it.alarm("S2", "los").id
    it.run(to_s=120, **without("C1", "D1", "D2", "D3", "S2", S1=DARK))
    before = it.alarm("S1", "los")
    assert suppressed_under(it, behind) == {"D1", "D2", "D3"}
    assert not it.alarm("S2", "los").suppressed  # another repair
    assert suppressed_under(it, before.id) == {"C1", "S2"}  # its silence, beside
    assert before.impact == Impact(assets=5, stations=4, population=400)


def test_other_troubles_of_a_failed_span_are_its_children(it: Drill) -> None:
    new = it.run(to_s=50, **without(S1={"rx": -40.0, "errors": 3}))
    assert told(one for one in new if not one.alarm.suppressed) == [("raised", "S1", "los")]
    assert it.alarm("S1", "errors").parent == it.alarm("S1", "los").id


def test_one_mains_failure_is_one_event(it: Drill) -> None:
    dead: dict[str, Value] = {**FINE, "mains_ok": False}
    new = it.run(to_s=50, **without(D1=dead, D2=dead, D3=dead))
    root = it.alarm("D1", "mains")
    assert told(one for one in new if not one.alarm.suppressed) == [("raised", "D1", "mains")]
    assert root.settles_ms == 0
    assert suppressed_under(it, root.id) == {"D2", "D3"}
    assert root.impact is None  # on battery all three are in service
    after = it.run(to_s=80, **all_fine())
    assert [one.kind for one in after] == ["cleared"] * 3


def test_a_mains_that_stays_away_from_some_gets_a_new_root(it: Drill) -> None:
    dead: dict[str, Value] = {**FINE, "mains_ok": False}
    it.run(to_s=50, **without(D1=dead, D2=dead, D3=dead))
    after = it.run(to_s=100, **without(D2=dead, D3=dead))
    assert [(one.kind, one.alarm.asset) for one in after] == [
        ("cleared", "D1"),
        ("unsuppressed", "D2"),
        ("suppressed", "D3"),
    ]
    assert it.alarm("D3", "mains").parent == it.alarm("D2", "mains").id


def test_mains_of_another_site_is_another_event(it: Drill) -> None:
    dead: dict[str, Value] = {**FINE, "mains_ok": False}
    it.run(to_s=50, **without(D1=dead, A1=dead))
    assert not it.alarm("D1", "mains").suppressed
    assert not it.alarm("A1", "mains").suppressed


def test_an_asset_that_depends_on_another() -> None:
    down = {**HIGH, "id": "broken", "effect": "down"}
    it = Drill(catalog_of(NO_DATA, MAINS, down), [station("K1"), station("K2", depends_on=("K1",))])
    child = it.read("K2", level=11)[0].alarm
    assert child.settles_ms == it.now_ms + 5000
    it.now_ms += 2000
    new = it.read("K1", level=11)
    assert told(new)[:2] == [("raised", "K1", "broken"), ("suppressed", "K2", "broken")]
    assert it.alarm("K2", "broken").parent == it.alarm("K1", "broken").id


def test_assets_that_depend_on_each_other_do_not_go_in_a_circle() -> None:
    down = {**HIGH, "effect": "down"}
    it = Drill(
        catalog_of(down), [station("K1", depends_on=("K2",)), station("K2", depends_on=("K1",))]
    )
    it.read("K1", level=11)
    it.read("K2", level=11)
    assert it.alarm("K2", "high").parent == it.alarm("K1", "high").id
    assert not it.alarm("K1", "high").suppressed


def test_a_device_alarm_of_a_span_is_a_root(it: Drill) -> None:
    it.device(
        "raised",
        asset="S1",
        severity="critical",
        event_type="communications",
        probable_cause="cableTamper",
    )
    assert it.alarm("S1", "device").impact == Impact(assets=5, stations=4, population=400)
    it.run(to_s=90, **without("C1", "D1", "D2", "D3", "S2"))
    assert suppressed_under(it, it.alarm("S1", "device").id) == {"C1", "D1", "D2", "D3", "S2"}


def test_a_new_span_gives_a_second_path(it: Drill) -> None:
    it.run(to_s=60, **without("C1", "D1", "D2", "D3", "S2", S1=DARK))
    new = it.activate(add=[span("S3", "A", "D")])
    assert told(new) == [("changed", "S1", "los")]
    assert it.alarm("S1", "los").impact is None
