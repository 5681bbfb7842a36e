from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ioc.ingest.storage_time import REMEMBERED, StorageTimes


def test_a_reading_in_order_keeps_its_own_time() -> None:
    times = StorageTimes()
    assert [times.assign("a", ts, salt=ts) for ts in (5, 6, 9)] == [5000, 6000, 9000]


def test_equal_times_of_one_asset_are_told_apart() -> None:
    times = StorageTimes()
    assert [times.assign("a", 5, salt=0) for _ in range(3)] == [5000, 5001, 5002]
    assert times.assign("b", 5, salt=0) == 5000


def test_a_late_reading_never_takes_the_place_of_one_in_order() -> None:
    times = StorageTimes()
    times.assign("a", 5, salt=0)
    times.assign("a", 9, salt=0)
    assert times.assign("a", 5, salt=3) == 5004
    assert times.assign("a", 7, salt=997) == 7999
    assert times.assign("a", 7, salt=997) == 7001


def test_more_than_a_thousand_in_one_millisecond() -> None:
    times = StorageTimes()
    given_times = [times.assign("a", 5, salt=0) for _ in range(2500)]
    assert len(set(given_times)) == 2500
    assert max(given_times) < 8100
    assert 6000 not in given_times  # the next millisecond's own
    assert 7000 not in given_times


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 9))))
def test_no_two_readings_of_an_asset_share_a_time(readings: list[tuple[str, int, int]]) -> None:
    times = StorageTimes()
    given_times: set[tuple[str, int]] = set()
    for index, (asset, ts, salt) in enumerate(readings):
        if index == len(readings) // 2:  # a restart in between
            times = StorageTimes.from_bytes(times.to_bytes())
        time_us = times.assign(asset, ts, salt=salt)
        assert (asset, time_us) not in given_times
        assert time_us // 1000 == ts
        given_times.add((asset, time_us))


def test_what_the_journal_has_is_not_given_again() -> None:
    times = StorageTimes()
    times.note("a", 5000)
    times.note("a", 5001)
    assert times.assign("a", 5, salt=0) == 5002


def test_memory_is_bounded() -> None:
    times = StorageTimes()
    times.assign("a", 10**9, salt=0)
    for ts in range(REMEMBERED + 100):
        times.assign("a", ts, salt=0)
    assert len(times._taken) == REMEMBERED
