"""What a device and a rule both tell, with the same probable cause, is one alarm for people."""

from __future__ import annotations

from typing import Any

import pytest

from .world import HIGH, MAINS, NO_DATA, Drill, catalog_of, replayed, station

FINE: dict[str, Any] = {"mains_ok": True, "level": 1.0}
OUT: dict[str, Any] = {"mains_ok": False, "level": 1.0}
WET = {**HIGH, "id": "vswr", "probable_cause": "antennaFailure"}
MAST = [station("K1"), station("K2"), station("K9", "B")]


def drill(*rules: dict[str, object]) -> Drill:
    it = Drill(catalog_of(NO_DATA, *rules), MAST)
    it.run(to_s=30, K1=FINE, K2=FINE, K9=FINE)
    return it


def people_see(it: Drill) -> list[tuple[str, str]]:
    """What stands unsuppressed: asset and severity."""
    standing = it.engine.lifecycle.standing.values()
    return [(one.alarm.asset, one.alarm.severity) for one in standing if not one.alarm.suppressed]


def mains(it: Drill, state: str = "raised", **more: Any) -> None:
    about = {"event_type": "environmental", "probable_cause": "commercialPowerFailure"}
    it.device(state, **{"alarm_id": "mains", "severity": "major", **about, **more})


def test_the_rule_goes_under_the_device_that_was_first() -> None:
    it = drill(WET)
    it.device("raised", probable_cause="antennaFailure", object="antenna-2")
    new = it.run(to_s=60, K1={**FINE, "level": 20.0}, K2=FINE, K9=FINE)
    (rule,) = [one for one in new if one.kind == "raised"]
    assert (rule.alarm.source, rule.alarm.suppressed) == ("vswr", True)
    assert people_see(it) == [("K1", "major")]


def test_a_graver_word_of_the_device_takes_the_rule_s_place() -> None:
    it = drill(WET)
    it.run(to_s=60, K1={**FINE, "level": 20.0}, K2=FINE, K9=FINE)
    assert people_see(it) == [("K1", "major")]
    it.device("raised", probable_cause="antennaFailure", severity="critical")
    assert people_see(it) == [("K1", "critical")]


def test_a_lesser_word_of_the_device_says_nothing_new() -> None:
    it = drill(WET)
    it.run(to_s=60, K1={**FINE, "level": 20.0}, K2=FINE, K9=FINE)
    it.device("raised", probable_cause="antennaFailure", severity="warning")
    assert people_see(it) == [("K1", "major")]


def test_a_mast_without_mains_is_one_alarm_whoever_says_so() -> None:
    it = drill(MAINS)
    mains(it, asset="K2", object="rectifier")
    it.run(to_s=60, K1=OUT, K2=OUT, K9=FINE)
    assert len(it.engine.lifecycle.standing) == 3
    assert people_see(it) == [("K2", "major")]
    # On another mast it is another failure.
    it.run(to_s=90, K1=OUT, K2=OUT, K9=OUT)
    assert people_see(it) == [("K2", "major"), ("K9", "major")]


def test_what_the_rule_still_finds_stands_for_itself_when_the_device_says_it_is_over() -> None:
    it = drill(MAINS)
    mains(it, asset="K2")
    it.run(to_s=60, K1=OUT, K2=OUT, K9=FINE)
    mains(it, "cleared", asset="K2")
    it.run(to_s=120, K1=OUT, K2=OUT, K9=FINE)
    assert people_see(it) == [("K1", "major")]
    it.run(to_s=200, K1=FINE, K2=FINE, K9=FINE)
    assert it.engine.lifecycle.standing == {}


def test_two_parts_that_fail_alike_are_two_alarms() -> None:
    it = drill(WET)
    for part in ("antenna-1", "antenna-2"):
        it.device("raised", alarm_id=part, probable_cause="antennaFailure", object=part)
    assert people_see(it) == [("K1", "major")] * 2


def test_words_that_say_nothing_in_particular_join_nothing() -> None:
    it = drill({**HIGH, "probable_cause": "equipmentMalfunction"})
    it.device("raised", object="fan")  # equipmentMalfunction, too
    it.run(to_s=60, K1={**FINE, "level": 20.0}, K2=FINE, K9=FINE)
    assert people_see(it) == [("K1", "major")] * 2


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_it_is_so_wherever_the_engine_is_stopped_and_taken_up_again(share: float) -> None:
    it = drill(MAINS)
    it.run(to_s=60, K1=OUT, K2=OUT, K9=FINE)
    mains(it, asset="K2", severity="critical")
    it.run(to_s=90, K1=OUT, K2=OUT, K9=FINE)
    mains(it, "cleared", asset="K2", severity="critical")
    it.run(to_s=150, K1=FINE, K2=OUT, K9=FINE)
    assert replayed(it, split_at=int(len(it.entries) * share)) == it.transitions
