"""Alarms that equipment raises itself: of what it reads, after a while, some late, some twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from simulators.device_alarms import (
    LATE_S,
    LATE_SHARE,
    LOSS_OF_SIGNAL,
    TWICE_AFTER_S,
    TWICE_SHARE,
    DeviceAlarms,
)
from simulators.table import Table
from tests.simulators.lab import alarms, asset, listen, network, province, whole

LONGEST_S = LATE_S[1] + TWICE_AFTER_S[1]
Said = list[tuple[str, str]]


def said(found: Any, asset_id: str) -> Said:
    """(alarm, state) in order, what came twice left out."""
    heard = alarms(found, asset_id)
    return list(dict.fromkeys((one.content["alarm_id"], one.content["state"]) for one in heard))


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("cell-unavailable", "underlyingResourceUnavailable"),
        ("vswr", "antennaFailure"),
        ("mains-failure", "commercialPowerFailure"),
    ],
)
def test_a_station_says_what_it_reads_and_when_it_is_over(fault: str, cause: str) -> None:
    source = province(whole())
    assert not alarms(listen(source, 60), "B1a")
    source.begin(fault, "B1a", for_s=600)
    found = listen(source, 300)
    first = alarms(found, "B1a")[0].content
    assert (first["state"], first["probable_cause"]) == ("raised", cause)
    found += listen(source, 600 + LONGEST_S)
    assert [state for _, state in said(found, "B1a")] == ["raised", "cleared"]
    assert not source.device_alarms.open


def test_the_mast_s_power_speaks_through_one_of_its_stations() -> None:
    source = province(whole())
    source.begin("mains-failure", "B1b", for_s=600)
    found = listen(source, 200)
    assert said(found, "B1a") == [("mains", "raised")]
    assert said(found, "B1b") == []


def test_a_dip_is_waited_out() -> None:
    source = province(whole())
    source.begin("mains-failure", "B1a", for_s=3)
    assert not alarms(listen(source, LONGEST_S + 30), "B1a")


def test_both_ends_of_power_and_no_word_from_the_dead() -> None:
    """A site that has lost its power says nothing; afterwards only what is still so."""
    source = province(whole())
    source.begin("battery-theft", "B2", for_s=7200)
    listen(source, LONGEST_S + 10)
    source.begin("mains-failure", "B2", for_s=600)
    assert ("mains", "raised") not in said(listen(source, 600), "B2")
    assert said(listen(source, 400), "B2") == []


def pieces(count: int, *, seed: int) -> tuple[Table, DeviceAlarms]:
    sites = {f"M{number}": number for number in range(count)}
    table = Table("bts", [asset(f"B{n}", "bts", f"M{n}") for n in range(count)], sites)
    table.columns["mains_ok"] = np.ones(count, dtype=np.bool_)
    table.columns["cells_unavailable"] = np.zeros(count, dtype=np.int64)
    table.columns["in_service"] = np.ones(count, dtype=np.bool_)
    table.columns["vswr"] = np.ones(count)
    return table, DeviceAlarms({"bts": table}, np.random.default_rng(seed))


def run(table: Table, devices: DeviceAlarms, *, from_s: int, to_s: int) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    for now_s in range(from_s, to_s):
        devices.look(now_s * 1000, 1.0)
        found += [(now_s, word) for word in devices.due(now_s * 1000)]
    return found


def test_some_words_are_late_and_some_come_twice_as_many_as_is_said() -> None:
    count = 4000
    table, devices = pieces(count, seed=5)
    table.columns["cells_unavailable"][:] = 1
    found = run(table, devices, from_s=1, to_s=200)
    first = {word.asset: now_s for now_s, word in found if not word.again}
    again = {word.asset: now_s for now_s, word in found if word.again}
    assert len(first) == count
    assert max(Counter(word.asset for _, word in found).values()) == 2
    late = [now_s - 1 for now_s in first.values() if now_s > 1]
    # Four standard deviations of a draw of 4,000.
    for share, many in ((LATE_SHARE, len(late)), (TWICE_SHARE, len(again))):
        assert abs(many / count - share) < 4 * (share * (1 - share) / count) ** 0.5
    assert LATE_S[0] <= min(late) <= max(late) <= LATE_S[1] + 1
    for name, now_s in again.items():
        assert TWICE_AFTER_S[0] <= now_s - first[name] <= TWICE_AFTER_S[1] + 1
    assert {word.ts_ms for _, word in found} == {1000}  # late or not: when it was so


def test_a_device_s_words_keep_their_order_and_a_repeated_one_opens_nothing() -> None:
    count = 2000
    table, devices = pieces(count, seed=6)
    rng = np.random.default_rng(1)
    found, now_s = [], 0
    for _ in range(12):
        table.columns["cells_unavailable"][:] = rng.integers(0, 2, count)
        found += run(table, devices, from_s=now_s, to_s=now_s + 7)
        now_s += 7
    table.columns["cells_unavailable"][:] = 0
    found += run(table, devices, from_s=now_s, to_s=now_s + 300)
    last: dict[str, bool] = {}
    for _, word in found:
        if not word.again:
            assert last.get(word.asset, False) != word.raised
            last[word.asset] = word.raised
    assert not any(last.values())
    assert not devices.open


def test_the_same_seed_says_the_same() -> None:
    def told(seed: int) -> list[tuple[int, str]]:
        table, devices = pieces(300, seed=seed)
        table.columns["mains_ok"][:] = False
        words = run(table, devices, from_s=0, to_s=150)
        return [(now_s, word.asset) for now_s, word in words]

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_what_an_earlier_run_left_is_cleared_or_goes_on() -> None:
    source = province(network([("C", "A"), ("A", "B")]))
    los = LOSS_OF_SIGNAL
    source.begin("span-cut", "A-B", for_s=3600)
    listen(source, 2)
    standing = {("C-A", "los"): los, ("A-B", "los"): los, ("A-B", "old"): los, ("X", "los"): los}
    source.device_alarms.adopt(standing, source.now_ms)
    found = listen(source, LONGEST_S + 30)
    assert said(found, "C-A") == [("los", "cleared")]
    assert said(found, "A-B") == [("old", "cleared")]
    assert list(source.device_alarms.open) == [("A-B", "los")]
