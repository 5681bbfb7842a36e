"""Each condition by itself: when it raises, when it clears, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ioc.catalog import load_catalog
from ioc.errors import FileError

from .world import NO_DATA, Drill, catalog_of, rule, station, told

HOT = {"metric": "level", "above": 10.0, "clear_below": 8.0}
RAISED = [("raised", "K1", "r")]
CLEARED = [("cleared", "K1", "r")]


def drill(when: dict[str, object], **more: object) -> Drill:
    return Drill(catalog_of(rule("r", when, **more)))


def test_threshold_clears_at_its_own_threshold() -> None:
    it = drill(HOT)
    assert it.read(level=10.0) == []
    raised = it.read(at_s=10, level=10.5)
    assert told(raised) == RAISED
    alarm = raised[0].alarm
    assert (alarm.value, alarm.threshold, alarm.metric) == (10.5, 10.0, "level")
    assert alarm.text_en == "K1: 10.5 dBm, 10.0"
    assert alarm.text_vi == "K1: 10,5 dBm, 10,0"
    assert it.read(at_s=20, level=9.0) == []  # hovers: neither
    assert told(it.read(at_s=30, level=8.0)) == CLEARED


def test_threshold_below() -> None:
    it = drill({"metric": "level", "below": -35.0, "clear_above": -30.0})
    assert it.read(level=-35.0) == []
    assert told(it.read(at_s=10, level=-36.0)) == RAISED
    assert it.read(at_s=20, level=-31.0) == []
    assert told(it.read(at_s=30, level=-30.0)) == CLEARED


def test_threshold_without_a_clear_threshold_clears_where_it_raises() -> None:
    it = drill({"metric": "count", "above": 0.0})
    assert told(it.read(count=1)) == RAISED
    assert told(it.read(at_s=10, count=0)) == CLEARED


@pytest.mark.parametrize(
    ("when", "good", "bad"),
    [
        ({"metric": "mains_ok", "equals": False}, {"mains_ok": True}, {"mains_ok": False}),
        ({"metric": "mains_ok", "equals": True}, {"mains_ok": False}, {"mains_ok": True}),
        ({"metric": "mode", "equals": "genset"}, {"mode": "mains"}, {"mode": "genset"}),
        ({"metric": "mode", "equals": "genset"}, {"mode": "off"}, {"mode": "genset"}),
    ],
)
def test_equals(when: dict[str, object], good: dict[str, Any], bad: dict[str, Any]) -> None:
    it = drill(when)
    assert it.read(**good) == []
    assert told(it.read(at_s=10, **bad)) == RAISED
    assert told(it.read(at_s=20, **good)) == CLEARED


def test_for_and_clear_for_run_on_the_time_of_measuring() -> None:
    it = drill(HOT, for_s=20, clear_for_s=20)
    # The readings arrive all at once; what counts is when they were measured.
    it.now_ms += 3_600_000
    assert it.batch(*(it.reading(at_s=s, level=11) for s in (0, 10))) == []
    assert told(it.batch(it.reading(at_s=20, level=11))) == RAISED
    assert it.transitions[0].alarm.raised_ms == it.entries[-1].record.items[0].ts_ms  # type: ignore[union-attr]
    assert it.batch(*(it.reading(at_s=s, level=1) for s in (30, 40))) == []
    assert told(it.batch(it.reading(at_s=50, level=1))) == CLEARED


def test_an_interruption_starts_for_anew() -> None:
    it = drill(HOT, for_s=20)
    values = [(0, 11), (10, 11), (20, 1), (30, 11), (40, 11)]
    assert [it.read(at_s=s, level=v) for s, v in values] == [[]] * 5
    assert told(it.read(at_s=50, level=11)) == RAISED


def test_a_gap_in_the_readings_starts_for_anew() -> None:
    it = drill(HOT, for_s=60)
    assert it.read(at_s=0, level=11) == []
    assert it.read(at_s=600, level=11) == []  # ten minutes that nobody measured
    assert it.read(at_s=630, level=11) == []
    assert told(it.read(at_s=660, level=11)) == RAISED


def test_an_alarm_that_comes_back_while_clearing_stands() -> None:
    it = drill(HOT, clear_for_s=20)
    assert told(it.read(at_s=0, level=11)) == RAISED
    for at_s, level in ((10, 1), (20, 9.5), (30, 1), (40, 1)):
        assert it.read(at_s=at_s, level=level) == []
    assert told(it.read(at_s=50, level=1)) == CLEARED


def test_a_reading_older_than_the_state_is_not_evaluated() -> None:
    it = drill(HOT)
    assert it.read(at_s=100, level=1) == []
    assert it.batch(it.reading(at_s=50, level=99)) == []
    value = it.engine.table.values("K1")["level"]
    assert value.value == 1
    # Only the metrics that are older are passed over: this one brings another up to date.
    it.batch(it.reading(at_s=60, level=99, count=3))
    assert it.engine.table.values("K1")["count"].value == 3
    assert it.standing() == set()


def test_readings_of_one_asset_in_one_batch_are_judged_in_their_order() -> None:
    it = drill(HOT)
    items = [it.reading(at_s=s, level=v) for s, v in ((0, 11), (10, 1), (20, 12))]
    assert told(it.batch(*items)) == [*RAISED, *CLEARED, *RAISED]
    assert len({one.alarm.id for one in it.transitions}) == 2


@pytest.mark.parametrize(
    ("when", "step"),
    [
        ({"metric": "level", "rate_above_per_min": 6.0, "over_s": 60}, 1.2),
        ({"metric": "level", "rate_below_per_min": -6.0, "over_s": 60}, -1.2),
    ],
)
def test_rate(when: dict[str, object], step: float) -> None:
    it = drill(when)
    level = 0.0
    for s in range(0, 100, 10):
        assert it.read(at_s=s, level=level) == []
    found = []
    for s in range(100, 200, 10):
        level += step
        found += [(s, kind) for kind, _, _ in told(it.read(at_s=s, level=level))]
    # 7.2 a minute is more than 6 once five sixths of the minute have seen it.
    assert found == [(150, "raised")] or found == [(140, "raised")]
    for s in range(200, 300, 10):
        it.read(at_s=s, level=level)
    assert told(it.transitions) == [*RAISED, *CLEARED]


def test_rate_says_nothing_across_a_gap() -> None:
    it = drill({"metric": "level", "rate_above_per_min": 6.0, "over_s": 60})
    it.read(at_s=0, level=0)
    assert it.read(at_s=3600, level=900) == []


def test_rate_over_more_readings_than_it_remembers() -> None:
    it = drill({"metric": "level", "rate_above_per_min": 1.0, "over_s": 3600})
    for s in range(0, 3600, 10):
        assert it.read(at_s=s, level=s / 50) == []  # 1.2 a minute, not yet for an hour
    new = []
    for s in range(3600, 4200, 10):
        new += it.read(at_s=s, level=s / 50)
    assert told(new) == RAISED
    assert new[0].alarm.threshold == 1.0


def test_flapping_counts_changes_within_the_window() -> None:
    it = drill({"metric": "mains_ok", "changes": 4, "within_s": 60})
    states = [True, False, True, False]
    for n, state in enumerate(states):
        assert it.read(at_s=n * 10, mains_ok=state) == []
    raised = it.read(at_s=40, mains_ok=True)
    assert told(raised) == RAISED
    assert raised[0].alarm.value == 4
    for s in (50, 60):
        assert it.read(at_s=s, mains_ok=True) == []
    assert told(it.read(at_s=70, mains_ok=True)) == CLEARED


def test_slow_changes_are_no_flapping() -> None:
    it = drill({"metric": "mains_ok", "changes": 3, "within_s": 60})
    for n in range(20):
        assert it.read(at_s=n * 30, mains_ok=n % 2 == 0) == []


def test_silence_is_judged_by_the_shortest_cadence_on_ticks() -> None:
    it = Drill(catalog_of(NO_DATA))
    it.tick()
    it.read(at_s=1, level=1)
    assert it.tick(to_s=31) == []
    raised = it.tick(to_s=33)
    assert told(raised) == [("raised", "K1", "no-data")]
    assert (raised[0].alarm.value, raised[0].alarm.threshold) == (31.0, 30.0)
    assert it.engine.state_of("K1") == "silent"
    assert told(it.read(at_s=60, level=1)) == [("cleared", "K1", "no-data")]
    assert it.engine.state_of("K1") == "up"


def test_an_asset_never_seen_is_not_silent() -> None:
    it = Drill(catalog_of(NO_DATA))
    assert it.tick(to_s=600) == []
    assert it.engine.state_of("K1") == "not_seen"


def test_silence_is_not_judged_while_nothing_is_listened_to() -> None:
    it = Drill(catalog_of(NO_DATA))
    it.tick()
    it.read(at_s=1, level=1)
    assert it.tick(to_s=20) == []
    assert it.tick(to_s=600, listening=False) == []
    # 19 s before, and 12 s after.
    assert it.tick(to_s=611) == []
    raised = it.tick(to_s=612)
    assert told(raised) == [("raised", "K1", "no-data")]
    assert raised[0].alarm.value == 31.0


def test_a_clock_that_is_off_is_the_assets_own_alarm() -> None:
    it = Drill(catalog_of(rule("r", HOT)))
    raised = it.batch(it.reading(at_s=-7200, received_s=0, clock="off", level=11))
    assert told(raised) == [("raised", "K1", "r"), ("raised", "K1", "clock-off")]
    assert raised[1].alarm.probable_cause == "timingProblemX733"
    # Evaluated under the time of receipt: the reading is not older than the next.
    assert told(it.batch(it.reading(at_s=-7190, received_s=10, clock="off", level=1))) == CLEARED
    cleared = []
    for s in range(20, 100, 10):
        cleared += it.read(at_s=s, level=1)
    assert told(cleared) == [("cleared", "K1", "clock-off")]


def test_a_clock_that_drifts_over_the_limit_does_not_freeze_the_state() -> None:
    it = drill(HOT)
    it.now_ms += 100_000
    it.batch(it.reading(at_s=399, level=1))  # 299 s ahead: still taken at its word
    new = it.batch(it.reading(at_s=401, clock="off", level=11))
    assert ("raised", "K1", "r") in told(new)


def test_metrics_of_another_cadence_come_in_messages_of_their_own() -> None:
    it = drill({"metric": "slow", "above": 5.0})
    assert it.read(level=1, mains_ok=True) == []
    assert told(it.batch(it.reading(level=1), it.reading(slow=6))) == RAISED
    assert it.read(at_s=10, level=1) == []  # says nothing about the other


def test_a_metric_the_catalog_no_longer_has_is_passed_over() -> None:
    it = drill(HOT)
    assert told(it.read(gone="text", level=11, other=3)) == RAISED


def test_many_assets_grow_the_table() -> None:
    it = Drill(catalog_of(rule("r", HOT)), [station(f"K{n}") for n in range(500)])
    new = it.batch(*(it.reading(f"K{n}", level=20 if n % 7 == 0 else 0) for n in range(500)))
    assert {one.alarm.asset for one in new} == {f"K{n}" for n in range(0, 500, 7)}


def test_a_wrong_placeholder_is_a_fault_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(
        """
domain: test
title: {vi: thử, en: test}
kinds:
  bts:
    title: {vi: trạm, en: station}
    metrics:
      level: {title: {vi: mức, en: level}, unit: dB, range: [0, 9], source: test}
    rules:
      - id: r
        when: {metric: level, above: 5}
        severity: major
        event_type: equipment
        probable_cause: thresholdCrossed
        text: {vi: "{asset} ở {giá_trị}", en: "{value:.3f}"}
        action: {vi: xem, en: "look {asset"}
        source: test
"""
    )
    with pytest.raises(FileError) as caught:
        load_catalog(tmp_path)
    told = str(caught.value)
    assert f"{file}:15: kinds.bts.rules.0.text" in told
    assert "{giá_trị}: expected one of {asset}, {threshold}, {unit}, {value}" in told
    assert "en: {value}" in told
    assert f"{file}:16: kinds.bts.rules.0.action" in told
