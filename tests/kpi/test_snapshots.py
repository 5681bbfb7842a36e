"""Snapshots beside the measures: alarms that stand and states of all assets, each exactly once."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from ioc.alarms.model import Alarm, Impact
from ioc.inventory import Asset, Site
from ioc.journal.records import Derived, Measures, Reading, Record
from ioc.kpi import snapshots
from ioc.kpi.snapshots import AlarmRows, state_rows
from ioc.store.derived import DERIVED, SEVERITY_RANK, STATE_CODE, completed
from tests.kpi.test_measure import START_MS, MemoryJournal, Running, asset, tick


def alarm(id_: str, asset_id: str = "B3", **more: Any) -> Alarm:
    fields: dict[str, Any] = {
        "source": "bts-mains",
        "kind": "bts",
        "site": "S-1",
        "commune": "B",
        "severity": "major",
        "event_type": "equipment",
        "probable_cause": "commercialPowerFailure",
        "text_vi": "Mất điện lưới",
        "text_en": "Mains failure",
        "raised_ms": START_MS,
        **more,
    }
    return Alarm(id=id_, asset=asset_id, **fields)


STORM = [
    alarm("root", "F2", kind="span", severity="critical", impact=Impact(assets=2, stations=1)),
    alarm("child", "B3", severity="critical", parent="root", suppressed=True),
    alarm("own", "B3", severity="minor", acknowledged=True, raised_ms=START_MS + 5),
    alarm("doubt", "B1", commune="A", severity="indeterminate"),
    alarm("heat", "B1", commune="A", severity="warning"),
    alarm("heavy", "B2", commune="A", severity="major"),
]


def rows(journal: MemoryJournal, kind: str) -> list[Reading]:
    return [
        item
        for entry in journal.entries
        if isinstance(entry.record, Derived)
        for item in entry.record.items
        if item.kind == kind
    ]


def seconds(found: list[Reading]) -> list[int]:
    return sorted({one.time_us // 1_000_000 - START_MS // 1000 for one in found})


async def test_alarms_are_counted_for_the_province_and_where_they_are() -> None:
    async with Running().run() as province:
        province.live.alarms = {one.id: one for one in STORM}
        await province.at(10)
        expected = {
            # name: province, commune A, commune B
            "alarms_active": (5, 3, 2),
            "alarms_critical": (1, 0, 1),
            "alarms_major": (1, 1, 0),
            "alarms_minor": (1, 0, 1),
            "alarms_warning": (2, 2, 0),  # the indeterminate one with them
            "alarms_suppressed": (1, 0, 1),
            "alarms_unacknowledged": (4, 3, 1),
            "incidents_active": (1, 0, 1),
        }
        for name, (whole, a, b) in expected.items():
            assert province.value(name) == whole, name
            assert province.value(name, "commune", "A") == a, name
            assert province.value(name, "commune", "B") == b, name
        assert province.value("alarms_written") == 6
        assert province.value("alarms_written", "commune", "A") is None
        # A calm province says so.
        province.live.alarms = {}
        await province.at(20)
        assert {province.value(name) for name in (*expected, "alarms_written")} == {0}


async def test_an_alarm_of_an_asset_not_laid_out_yet_counts_for_the_province_only() -> None:
    async with Running().run() as province:
        province.live.alarms = {"new": alarm("new", "B9", commune="Z")}
        await province.at(10)
        assert province.value("alarms_active") == 1
        assert province.value("alarms_active", "commune", "A") == 0


async def test_states_by_kind() -> None:
    async with Running().run() as province:
        await province.at(10)
        found = {
            name: province.value(name)
            for kind in ("bts", "spans")
            for name in (f"{kind}_degraded", f"{kind}_down", f"{kind}_silent")
        }
        assert found == {
            "bts_degraded": 1,
            "bts_down": 0,
            "bts_silent": 1,
            "spans_degraded": 0,
            "spans_down": 1,
            "spans_silent": 0,
        }
        province.live.states = dict.fromkeys(province.live.states, "not_seen")
        province.live.measures.clear()
        await province.at(20)
        assert province.value("bts_down") is None, "what was never seen is in no state"


async def test_the_alarms_that_stand_every_ten_seconds_under_one_time() -> None:
    async with Running().run() as province:
        province.live.alarms = {one.id: one for one in STORM}
        await province.at(10)
        found = rows(province.journal, "alarm_active")
        # Not suppressed first, then by severity, then the newest.
        names = [str(one.values["alarm"]) for one in found]
        assert names == ["root", "heavy", "own", "heat", "doubt", "child"]
        at_us = (START_MS + 10_000) * 1000
        assert all(at_us <= one.time_us < at_us + 1000 for one in found)
        identities = {(one.asset, one.time_us) for one in found}
        assert len(identities) == len(found), "alarms of one asset are told apart"
        columns = DERIVED["alarm_active"].keys()
        assert all(one.values.keys() <= columns for one in found)
        root = found[0].values
        assert root["impact_stations"] == 1
        assert (root["severity"], root["suppressed"], root["raised_ms"]) == (
            "critical",
            False,
            START_MS,
        )
        assert "parent" not in root
        assert found[-1].values["parent"] == "root"

        changed = alarm("root", "F2", kind="span", severity="major", acknowledged=True)
        province.live.alarms["root"] = changed  # as the engine shows it: another object
        await province.at(20)
        latest = {one.values["alarm"]: one for one in rows(province.journal, "alarm_active")}
        assert latest["root"].values["acknowledged"] is True
        assert latest["root"].values["severity"] == "major"
        assert latest["heavy"].values is found[1].values, "what did not change is shared"


async def test_a_window_of_ten_seconds_holds_each_alarm_once() -> None:
    async with Running().run() as province:
        province.live.alarms = {one.id: one for one in STORM}
        for second in range(10, 70, 10):
            await province.at(second)
    found = rows(province.journal, "alarm_active")
    for begin_ms in range(START_MS + 10_000, START_MS + 50_000, 7):
        within = [one for one in found if 0 <= one.time_us - begin_ms * 1000 < 10_000_000]
        assert Counter(str(one.values["alarm"]) for one in within) == {
            one.id: 1 for one in STORM
        }, begin_ms


async def test_at_most_so_many_alarms_and_how_many_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST_ALARMS", 4)
    async with Running().run() as province:
        province.live.alarms = {one.id: one for one in STORM}
        await province.at(10)
        names = {one.values["alarm"] for one in rows(province.journal, "alarm_active")}
        assert names == {"root", "heavy", "own", "heat"}
        assert province.value("alarms_written") == 4
        assert province.value("alarms_active") == 5


def test_the_order_holds_however_the_alarms_came() -> None:
    storm = [
        alarm(f"{n:04d}", f"B{n % 7}", severity=severity, suppressed=n % 3 == 0, raised_ms=n)
        for n, severity in enumerate([*SEVERITY_RANK] * 600)
    ]
    random.Random(7).shuffle(storm)
    found = AlarmRows().rows({one.id: one for one in storm}, at_ms=START_MS)
    assert len(found) == snapshots.MOST_ALARMS
    keys = [
        (
            bool(one.values["suppressed"]),
            SEVERITY_RANK[str(one.values["severity"])],
            -int(one.values["raised_ms"]),
        )
        for one in found
    ]
    assert keys == sorted(keys)
    assert not any(suppressed for suppressed, _, _ in keys), "2,000 of them are not suppressed"
    assert len({(one.asset, one.time_us) for one in found}) == len(found)


async def test_every_asset_has_its_state_once_a_minute() -> None:
    async with Running().run() as province:
        province.live.alarms = {one.id: one for one in STORM}
        del province.live.states["B4"]  # the engine has not met it yet
        for second in range(10, 190, 10):
            await province.at(second)
    found = rows(province.journal, "asset_state")
    assert seconds(found) == [60, 120, 180]
    for begin_ms in range(START_MS + 60_000, START_MS + 120_001, 999):
        within = [one for one in found if 0 <= one.time_us - begin_ms * 1000 < 60_000_000]
        assert Counter(one.asset for one in within) == dict.fromkeys(province.inventory.assets, 1)
    shown = {one.asset: one.values for one in found[:7]}
    assert shown == {
        "B1": {"state": "up", "alarms": 2, "severity": "warning"},
        "B2": {"state": "degraded", "alarms": 1, "severity": "major"},
        "B3": {"state": "silent", "alarms": 1, "severity": "minor"},  # not the suppressed one
        "B4": {"state": "not_seen"},
        "F1": {"state": "up"},
        "F2": {"state": "down", "alarms": 1, "severity": "critical"},
        "DC-NT": {"state": "up"},
    }


async def test_nothing_of_now_is_written_under_a_time_that_is_past() -> None:
    running = Running()
    running.live.alarms = {one.id: one for one in STORM}
    await running.journal.append(tick(0), tick(60), tick(120), tick(300))
    await running.clock.advance(300)
    async with running.run() as province:
        assert province.journal.seconds_of("bts_total") == [0, 60, 120, 300]
        assert seconds(rows(province.journal, "alarm_active")) == [300]
        assert seconds(rows(province.journal, "asset_state")) == [300]
        assert province.journal.seconds_of("alarms_active") == [300]


async def test_measures_and_snapshots_of_a_time_are_one_append() -> None:
    appended: list[tuple[Record, ...]] = []

    class Watched(MemoryJournal):
        async def append(self, *records: Record) -> int:
            appended.append(records)
            return await super().append(*records)

    async with Running(Watched()).run() as province:
        province.live.alarms = {one.id: one for one in STORM}
        await province.at(60)
    (worked_out,) = [
        records for records in appended if records and isinstance(records[0], Measures)
    ]
    assert [type(record) for record in worked_out] == [Measures, Derived]
    of_kinds = Counter(item.kind for item in worked_out[1].items)  # type: ignore[union-attr]
    assert of_kinds == {"alarm_active": 6, "asset_state": 7}


@pytest.mark.parametrize("noted", [0, 1, 2, 3])
async def test_a_restart_neither_doubles_nor_loses_a_snapshot(noted: int) -> None:
    first = Running()
    first.live.alarms = {one.id: one for one in STORM}
    async with first.run():
        await first.at(50)
        await first.at(60)
    first.journal.positions["kpi"] = noted  # the copy of the position is written lazily
    second = Running(first.journal)
    second.live.alarms = first.live.alarms
    await second.clock.advance(61)
    async with second.run():
        await second.at(70)
    for kind, times, count in (("alarm_active", [50, 60, 70], 6), ("asset_state", [60], 7)):
        found = rows(first.journal, kind)
        assert seconds(found) == times
        assert len({(one.asset, one.time_us) for one in found}) == len(found) == count * len(times)


def test_what_follows_from_the_rest_is_added_when_a_row_is_stored() -> None:
    sites = {
        id_: Site(id=id_, name=id_, commune="A", lat=lat, lon=lon)
        for id_, lat, lon in (("S-1", 12.0, 109.0), ("S-2", 12.5, 109.2))
    }
    span = asset("F1", "span", "A")
    station = Asset(
        id="B1", kind="bts", name="B1", province="p", commune="A", site="S-1", lat=12.1, lon=109.1
    )
    at_ms = START_MS + 90_000

    (row,) = AlarmRows().rows({"root": STORM[0]}, at_ms=at_ms)
    stored = completed(row, span, sites)
    assert (stored.kind, stored.asset, stored.time_us) == (row.kind, row.asset, row.time_us)
    assert stored.values == row.values | {
        "severity_rank": 1,
        "age_s": 90,
        "lat": 12.25,
        "lon": pytest.approx(109.1),
    }
    assert "lat" not in row.values, "the journal's record is everybody's"

    (row,) = state_rows(["B1"], states={"B1": "silent"}, alarms={}, at_ms=at_ms)
    assert completed(row, station, sites).values == {
        "state": "silent",
        "state_code": STATE_CODE["silent"],
        "alarms": 0,
        "lat": 12.1,
        "lon": 109.1,
    }
    # Of a span whose site is gone, the place that the inventory gives it.
    assert completed(row, span, {}).values["lat"] == span.lat
    for kind in ("alarm", "alarm_active", "asset_state"):
        odd = Reading(kind, "B1", 1, 1, 1, {"severity": "terrible", "state": "lost"})
        known = {"severity_rank", "state_code", "age_s"} & completed(
            odd, station, sites
        ).values.keys()
        assert known == set(), "an unknown word has no number"
