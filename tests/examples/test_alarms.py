"""What is said of a UPS's alarm table, and when."""

from __future__ import annotations

from typing import Any

import pytest

from examples.ups_snmp.alarms import MAX_TEXT_CHARACTERS, OTHER, REPEAT_AFTER_MS, AlarmTable
from examples.ups_snmp.config import WELL_KNOWN_ALARMS_FILE, AlarmTypes
from ioc.files import read_yaml
from tests.examples.snapshots import snapshot

TYPES = read_yaml(WELL_KNOWN_ALARMS_FILE, AlarmTypes).alarms
ON_BATTERY, INPUT_BAD = 2, 6
MAKERS_OWN = "1.3.6.1.4.1.64512.7"


@pytest.fixture
def table() -> AlarmTable:
    return AlarmTable(TYPES, language="vi")


def say(table: AlarmTable, *alarms: int | str, now_ms: int) -> list[dict[str, Any]]:
    return table.news(table.standing(snapshot(*alarms)), now_ms=now_ms)


def short(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["alarm_id"], message["state"]) for message in messages]


def test_at_first_everything_is_said_also_what_a_run_before_may_have_raised(
    table: AlarmTable,
) -> None:
    said = short(say(table, ON_BATTERY, now_ms=1000))
    assert said.count(("upsAlarmOnBattery", "raised")) == 1
    assert sorted(said) == sorted(
        [("upsAlarmOnBattery", "raised")]
        + [(t.id, "cleared") for t in (*TYPES, OTHER) if t.id != "upsAlarmOnBattery"]
    )


def test_then_only_what_changed_is_said(table: AlarmTable) -> None:
    say(table, now_ms=1000)
    assert short(say(table, ON_BATTERY, now_ms=2000)) == [("upsAlarmOnBattery", "raised")]
    assert say(table, ON_BATTERY, now_ms=3000) == []
    # The row's number says nothing: now it is in row 2.
    assert short(say(table, INPUT_BAD, ON_BATTERY, now_ms=4000)) == [("upsAlarmInputBad", "raised")]
    assert short(say(table, INPUT_BAD, now_ms=5000)) == [("upsAlarmOnBattery", "cleared")]
    assert short(say(table, now_ms=6000)) == [("upsAlarmInputBad", "cleared")]


def test_what_stands_is_said_again_for_an_asset_that_came_into_the_inventory_later(
    table: AlarmTable,
) -> None:
    say(table, ON_BATTERY, now_ms=0)
    assert say(table, ON_BATTERY, now_ms=REPEAT_AFTER_MS - 1) == []
    again = say(table, ON_BATTERY, now_ms=REPEAT_AFTER_MS)
    assert short(again) == [("upsAlarmOnBattery", "raised")]
    assert say(table, ON_BATTERY, now_ms=REPEAT_AFTER_MS + 1) == []


def test_when_words_were_lost_all_of_it_is_said_again(table: AlarmTable) -> None:
    say(table, ON_BATTERY, now_ms=1000)
    table.forget()
    said = short(say(table, now_ms=2000))
    assert ("upsAlarmOnBattery", "cleared") in said
    assert len(said) == len(TYPES) + 1


def test_alarms_of_the_maker_are_one_alarm_that_names_them(table: AlarmTable) -> None:
    say(table, now_ms=0)
    raised = say(table, MAKERS_OWN, now_ms=1)
    assert short(raised) == [("upsAlarmOther", "raised")]
    assert MAKERS_OWN in raised[0]["text"]
    changed = say(table, MAKERS_OWN, f"{MAKERS_OWN}.1", now_ms=2)
    assert short(changed) == [("upsAlarmOther", "changed")]
    assert f"{MAKERS_OWN}.1" in changed[0]["text"]
    assert short(say(table, now_ms=3)) == [("upsAlarmOther", "cleared")]


def test_what_a_ups_invents_is_bounded(table: AlarmTable) -> None:
    say(table, now_ms=0)
    raised = say(table, *(f"{MAKERS_OWN}.{n}" for n in range(1000)), now_ms=1)
    assert len(raised) == 1
    assert len(raised[0]["text"]) == MAX_TEXT_CHARACTERS


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_text_is_in_the_language_of_the_configuration(language: Any) -> None:
    table = AlarmTable(TYPES, language=language)
    standing = table.standing(snapshot(ON_BATTERY))
    assert standing["upsAlarmOnBattery"].text == TYPES[1].text.of(language)
