"""Which bucket is worked out when, and what the journal is held for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ioc.store.pending import HOLD_MS, HOUR_MS, LENGTH_MS, RECENT_MS, SETTLE_MS, Bucket, Pending
from tests.conformance.samples import T0_MS

NOW = T0_MS + 10 * HOUR_MS + 60_000
OPEN = Bucket("mast", T0_MS + 10 * HOUR_MS)
STORED = 10**9


def jobs(pending: Pending, now_ms: int, *, stored: int = STORED) -> list[tuple[str, int, int]]:
    """All that is done by now: measurement, hour and number of buckets of each job."""
    found = []
    pending.ripen(now_ms)
    while (job := pending.next(now_ms=now_ms, stored=stored)) is not None:
        pending.done(job)
        found.append((job.measurement, job.hour_ms, len(job.begins_ms)))
    return found


def test_an_open_bucket_waits_until_it_closed_and_settled() -> None:
    pending = Pending()
    pending.note(OPEN, position=7, now_ms=NOW)
    closes_ms = OPEN.begin_ms + LENGTH_MS
    assert jobs(pending, closes_ms + SETTLE_MS - 1) == []
    assert pending.held(now_ms=NOW) == 7
    assert jobs(pending, closes_ms + SETTLE_MS) == [("mast", T0_MS + 10 * HOUR_MS, 1)]
    assert pending.held(now_ms=NOW) is None


def test_what_is_late_or_ahead_waits_as_long_as_a_bucket_lasts() -> None:
    for begin_ms in (T0_MS, OPEN.begin_ms - LENGTH_MS, OPEN.begin_ms + 7 * HOUR_MS):
        pending = Pending()
        pending.note(Bucket("mast", begin_ms), position=1, now_ms=NOW)
        assert jobs(pending, NOW + LENGTH_MS + SETTLE_MS - 1) == []
        assert len(jobs(pending, NOW + LENGTH_MS + SETTLE_MS)) == 1


def test_a_bucket_waits_for_the_store() -> None:
    pending = Pending()
    for position in (3, 4, 5):
        pending.note(OPEN, position=position, now_ms=NOW)
    due_ms = OPEN.begin_ms + LENGTH_MS + SETTLE_MS
    assert jobs(pending, due_ms, stored=4) == []
    assert len(jobs(pending, due_ms, stored=5)) == 1


def test_a_trickle_never_puts_a_bucket_off() -> None:
    late = Bucket("mast", T0_MS)
    pending, done, position = Pending(), 0, 0
    for now_ms in range(NOW, NOW + HOUR_MS, 1000):
        position += 1
        pending.note(late, position=position, now_ms=now_ms)
        done += len(jobs(pending, now_ms, stored=position - 2))
    rounds = HOUR_MS / (LENGTH_MS + SETTLE_MS)
    assert rounds - 2 <= done <= rounds + 1
    held = pending.held(now_ms=NOW + HOUR_MS)
    assert held is not None
    assert held >= position - (LENGTH_MS + SETTLE_MS) // 1000 - 2


def test_a_burst_of_late_readings_is_one_job_for_each_hour() -> None:
    pending = Pending()
    for position in range(5000):
        bucket = Bucket("mast", T0_MS + position % 36 * LENGTH_MS)
        pending.note(bucket, position=position + 1, now_ms=NOW + position)
    assert jobs(pending, NOW + HOUR_MS) == [("mast", T0_MS + n * HOUR_MS, 12) for n in range(3)]


def test_the_newest_comes_first_then_what_has_waited_longest() -> None:
    pending = Pending()
    old = [Bucket("mast", T0_MS + n * HOUR_MS) for n in (3, 1, 2)]
    for n, bucket in enumerate(old):
        pending.note(bucket, position=n + 1, now_ms=NOW + n)
    pending.ask(Bucket("mast", T0_MS), now_ms=NOW + 10)
    pending.note(OPEN, position=9, now_ms=NOW + 20)
    at_ms = OPEN.begin_ms + LENGTH_MS + RECENT_MS - LENGTH_MS
    order = [(hour_ms - T0_MS) // HOUR_MS for _, hour_ms, _ in jobs(pending, at_ms)]
    assert order == [10, 3, 1, 2, 0]


def test_what_comes_while_its_bucket_is_at_work_is_another_round() -> None:
    pending = Pending()
    pending.note(OPEN, position=1, now_ms=NOW)
    due_ms = OPEN.begin_ms + LENGTH_MS + SETTLE_MS
    pending.ripen(due_ms)
    job = pending.next(now_ms=due_ms, stored=STORED)
    assert job is not None
    pending.note(OPEN, position=2, now_ms=due_ms)
    assert pending.held(now_ms=due_ms) == 1
    pending.done(job)
    assert pending.held(now_ms=due_ms) == 2
    assert len(jobs(pending, due_ms + LENGTH_MS + SETTLE_MS)) == 1


def test_what_was_asked_for_holds_nothing_and_is_ready() -> None:
    pending = Pending()
    pending.ask(Bucket("mast", T0_MS), now_ms=NOW)
    assert (pending.ready, pending.held(now_ms=NOW)) == (1, None)
    assert pending.oldest_ms() == T0_MS
    assert pending.oldest_ms(since_ms=T0_MS + 1) is None
    assert jobs(pending, NOW, stored=0) == [("mast", T0_MS, 1)]


def test_the_journal_is_not_held_for_ever() -> None:
    pending = Pending()
    pending.note(OPEN, position=5, now_ms=NOW)
    pending.note(Bucket("mast", T0_MS), position=9, now_ms=NOW + 1000)
    assert pending.held(now_ms=NOW + HOLD_MS) == 5
    assert pending.held(now_ms=NOW + HOLD_MS + 1) == 9
    assert pending.held(now_ms=NOW + HOLD_MS + 1001) is None
    assert len(jobs(pending, NOW + 2 * HOLD_MS)) == 2


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["note", "store", "work"]),
            st.integers(0, 30),  # which bucket
            st.integers(0, 120_000),  # ms that pass
        ),
        max_size=120,
    )
)
def test_every_row_is_worked_out_after_it_was_stored(steps: list[tuple[str, int, int]]) -> None:
    """Against the plainest model: rows of each bucket, and those of them that a job saw stored."""
    pending, now_ms = Pending(), NOW
    position = stored = 0
    rows: dict[Bucket, set[int]] = {}
    seen: dict[Bucket, set[int]] = {}

    def work() -> None:
        pending.ripen(now_ms)
        job = pending.next(now_ms=now_ms, stored=stored)
        if job is None:
            return
        for begin_ms in job.begins_ms:
            bucket = Bucket(job.measurement, begin_ms)
            seen[bucket] = {row for row in rows[bucket] if row <= stored}
        pending.done(job)

    for what, number, passed_ms in steps:
        now_ms += passed_ms
        if what == "note":
            position += 1
            bucket = Bucket("mast", OPEN.begin_ms + (number - 15) * LENGTH_MS)
            rows.setdefault(bucket, set()).add(position)
            pending.note(bucket, position=position, now_ms=now_ms)
        elif what == "store":
            stored = position
        else:
            work()
        # Whatever is not worked out yet will be read again after a restart.
        missing = [row for b, of in rows.items() for row in of - seen.get(b, set())]
        held = pending.held(now_ms=NOW)
        assert not missing or (held is not None and held <= min(missing))
    now_ms += HOUR_MS
    stored = position
    while len(pending):
        work()
    assert seen == rows
