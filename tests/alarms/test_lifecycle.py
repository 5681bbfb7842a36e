"""The life of an alarm: device alarms, operators, suppression, and a model of it all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ioc.alarms.lifecycle import check_command
from ioc.alarms.model import Transition
from ioc.errors import CommandError

from .world import HIGH, NETWORK, Drill, catalog_of, replayed, ring_and_spur, station, told

RAISED = [("raised", "K1", "device")]
CHANGED = [("changed", "K1", "device")]
CLEARED = [("cleared", "K1", "device")]


@pytest.fixture
def it() -> Drill:
    return Drill(catalog_of(HIGH))


def test_a_device_alarm_enters_the_same_lifecycle(it: Drill) -> None:
    raised = it.device("raised", object="cell-2", probable_cause="antennaFailure")
    assert told(raised) == RAISED
    alarm = raised[0].alarm
    assert (alarm.object, alarm.external_id, alarm.text_vi) == (
        "cell-2",
        "x",
        "Hỏng ăng-ten (broken)",
    )
    assert it.engine.state_of("K1") == "degraded"
    it.now_ms += 1000
    changed = it.device("changed", severity="critical")
    assert told(changed) == CHANGED
    assert changed[0].alarm.severity == "critical"
    assert it.engine.state_of("K1") == "down"
    it.now_ms += 1000
    assert told(it.device("cleared", severity="cleared")) == CLEARED
    assert it.engine.state_of("K1") == "not_seen"


def test_what_a_device_says_twice_changes_nothing(it: Drill) -> None:
    assert told(it.device("raised")) == RAISED
    assert it.device("raised") == []
    it.now_ms += 1000
    assert it.device("raised") == []
    assert told(it.device("cleared")) == CLEARED
    assert it.device("cleared") == []


def test_a_late_word_on_an_older_state_changes_nothing(it: Drill) -> None:
    it.now_ms += 100_000
    assert told(it.device("raised", at_s=50)) == RAISED
    assert it.device("cleared", at_s=40) == []  # of an alarm before this one
    assert told(it.device("cleared", at_s=60)) == CLEARED
    assert it.device("raised", at_s=55) == []
    assert it.device("changed", at_s=60) == []
    assert told(it.device("raised", at_s=70)) == RAISED


def test_a_clear_that_comes_before_its_alarm_is_remembered(it: Drill) -> None:
    it.now_ms += 100_000
    assert it.device("cleared", at_s=60) == []
    assert it.device("raised", at_s=50) == []
    assert it.standing() == set()


def test_a_change_of_an_alarm_never_heard_of_raises_it(it: Drill) -> None:
    assert told(it.device("changed", severity="minor")) == RAISED


def test_a_change_to_severity_cleared_clears(it: Drill) -> None:
    it.device("raised")
    it.now_ms += 1000
    assert told(it.device("changed", severity="cleared")) == CLEARED


def test_a_device_whose_clock_is_off_counts_by_receipt(it: Drill) -> None:
    raised = it.device("raised", at_s=-86_400, clock="off")
    assert raised[0].alarm.raised_ms == it.now_ms


def test_acknowledge_comment_unacknowledge(it: Drill) -> None:
    alarm = it.read(level=11)[0].alarm
    acknowledged = it.command("acknowledge", alarm.id, words="crew on its way")
    assert told(acknowledged) == [("acknowledged", "K1", "high")]
    assert (acknowledged[0].actor, acknowledged[0].text) == ("linh", "crew on its way")
    assert acknowledged[0].alarm.acknowledged_by == "linh"
    assert it.command("acknowledge", alarm.id) == []  # once is enough
    assert told(it.command("comment", alarm.id, words="?")) == [("commented", "K1", "high")]
    undone = it.command("unacknowledge", alarm.id)
    assert not undone[0].alarm.acknowledged
    assert undone[0].alarm.acknowledged_ms is None


def test_a_cleared_alarm_can_still_be_acknowledged(it: Drill) -> None:
    alarm = it.read(level=11)[0].alarm
    it.read(at_s=10, level=1)
    acknowledged = it.command("acknowledge", alarm.id)
    assert told(acknowledged) == [("acknowledged", "K1", "high")]
    assert acknowledged[0].alarm.state == "cleared"


def test_an_operator_clears_device_alarms_only(it: Drill) -> None:
    of_rule = it.read(level=11)[0].alarm
    of_device = it.device("raised")[0].alarm
    assert it.command("clear", of_rule.id) == []
    with pytest.raises(CommandError, match="when its condition is gone"):
        check_command(of_rule, "clear")
    cleared = it.command("clear", of_device.id, words="seen on site")
    assert told(cleared) == CLEARED
    assert (cleared[0].actor, cleared[0].text) == ("linh", "seen on site")
    assert it.device("raised") == []  # the same word again
    it.now_ms += 1000
    assert told(it.device("raised")) == RAISED  # a newer one


def test_a_command_for_no_alarm_is_ignored(it: Drill) -> None:
    assert it.command("acknowledge", "NONE") == []
    assert it.engine.ignored == {"command": 1}


def test_transitions_keep_the_alarm_as_it_was(it: Drill) -> None:
    raised = it.read(level=11)
    it.command("acknowledge", raised[0].alarm.id)
    it.read(at_s=10, level=1)
    assert raised[0].alarm.state == "raised"
    assert not raised[0].alarm.acknowledged
    assert [one.id for one in it.transitions] == [1, 2, 3]


def test_retiring_an_asset_clears_its_alarms(it: Drill) -> None:
    it.read(level=11)
    it.device("raised")
    cleared = it.activate(retire=["K1"])
    assert told(cleared) == [("cleared", "K1", "high"), ("cleared", "K1", "device")]
    assert {one.text for one in cleared} == {"retired"}
    again = it.activate(add=[station("K1")])
    assert again == []
    assert it.engine.state_of("K1") == "not_seen"
    assert told(it.read(at_s=10, level=11)) == [("raised", "K1", "high")]


class AlarmsOfOneProvince(RuleBasedStateMachine):
    """Anything may happen in any order; each alarm's transitions make sense by themselves."""

    def __init__(self) -> None:
        super().__init__()
        sites, assets = ring_and_spur()
        self.it = Drill(NETWORK, assets, sites)
        self.it.tick()
        self.last: dict[str, Transition] = {}
        self.checked = 0

    stations = st.sampled_from(["A1", "B1", "C1", "D1", "D2", "D3"])
    spans = st.sampled_from(["R1", "R2", "R3", "S1", "S2"])

    @rule(asset=stations, mains=st.booleans(), level=st.sampled_from([1.0, 9.0, 11.0]))
    def station_speaks(self, asset: str, mains: bool, level: float) -> None:
        self.it.read(asset, mains_ok=mains, level=level)

    @rule(asset=spans, rx=st.sampled_from([-10.0, -40.0]), errors=st.integers(0, 1))
    def span_speaks(self, asset: str, rx: float, errors: int) -> None:
        self.it.read(asset, rx=rx, errors=errors)

    @rule(seconds=st.integers(1, 40), listening=st.booleans())
    def time_passes(self, seconds: int, listening: bool) -> None:
        self.it.tick(
            to_s=(self.it.now_ms - 1_767_225_600_000) / 1000 + seconds, listening=listening
        )

    @rule(
        asset=st.one_of(stations, spans),
        state=st.sampled_from(["raised", "changed", "cleared"]),
        severity=st.sampled_from(["critical", "minor"]),
        cause=st.sampled_from(["linkFailure", "equipmentMalfunction"]),
        late_s=st.integers(0, 60),
    )
    def device_speaks(self, asset: str, state: str, severity: str, cause: str, late_s: int) -> None:
        self.it.device(
            state,
            asset=asset,
            at_s=self.it.now_s - late_s,
            severity=severity,
            probable_cause=cause,
            event_type="communications",
        )

    @precondition(lambda self: self.last)
    @rule(
        data=st.data(),
        action=st.sampled_from(["acknowledge", "unacknowledge", "comment", "clear"]),
    )
    def operator(self, data: Any, action: str) -> None:
        self.it.command(action, data.draw(st.sampled_from(sorted(self.last))))

    @rule(asset=stations)
    def retired_and_back(self, asset: str) -> None:
        found = self.it.engine.inventory.assets[asset]
        self.it.activate(retire=[asset])
        self.it.activate(add=[found])

    @invariant()
    def each_transition_follows_from_the_one_before(self) -> None:
        for one in self.it.transitions[self.checked :]:
            before = self.last.get(one.alarm.id)
            alarm = one.alarm
            assert one.id == self.checked + 1
            self.checked += 1
            if one.kind == "raised":
                assert before is None
                assert alarm.state == "raised"
            else:
                assert before is not None
                was = before.alarm
                assert (alarm.raised_ms, alarm.asset) == (was.raised_ms, was.asset)
                changed = (was.state, was.acknowledged, was.suppressed) != (
                    alarm.state,
                    alarm.acknowledged,
                    alarm.suppressed,
                )
                assert was.state == "raised" or one.kind in (
                    "acknowledged",
                    "unacknowledged",
                    "commented",
                )
                # A suppressed alarm may be handed to another parent.
                assert changed or one.kind in ("changed", "commented", "suppressed")
            assert alarm.suppressed == bool(alarm.parent)
            self.last[alarm.id] = one

    @invariant()
    def what_was_told_is_what_stands(self) -> None:
        standing = self.it.engine.lifecycle.standing
        by_transitions = {
            alarm_id: one.alarm
            for alarm_id, one in self.last.items()
            if one.alarm.state == "raised"
        }
        assert by_transitions == {alarm_id: one.alarm for alarm_id, one in standing.items()}

    @invariant()
    def nobody_explains_himself(self) -> None:
        standing = self.it.engine.lifecycle.standing
        for one in standing.values():
            passed, at = {one.alarm.id}, one.alarm.parent
            while at in standing and standing[at].alarm.parent:
                assert at not in passed
                passed.add(at)
                at = standing[at].alarm.parent
            assert at not in passed

    def teardown(self) -> None:
        whole = replayed(self.it)
        assert whole == self.it.transitions
        assert replayed(self.it, split_at=len(self.it.entries) // 2) == whole
        # Suppressed or not, every alarm gets its clear once its reason is gone.
        for asset in self.it.engine.inventory.assets.values():
            if asset.kind == "bts":
                self.it.read(asset.id, mains_ok=True, level=1.0)
            else:
                self.it.read(asset.id, rx=-10.0, errors=0)
            self.it.device("cleared", asset=asset.id)
        self.each_transition_follows_from_the_one_before()
        assert self.it.standing() == set()
        assert all(one.alarm.state == "cleared" for one in self.last.values())


TestAlarmsOfOneProvince = AlarmsOfOneProvince.TestCase
TestAlarmsOfOneProvince.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, derandomize=True
)
