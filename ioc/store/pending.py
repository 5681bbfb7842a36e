"""Which buckets have to be rolled up, and from where the journal must be read again for them.

A bucket of 5 minutes waits until it has closed and settled. One of another time (late readings, a
clock that is ahead) waits as long as a bucket lasts, so that a burst of late readings is one piece
of work and not many. Then it is ready, and what comes for it from there on begins another round:
so a trickle never puts it off for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ioc.store.tiers import BUCKET_MS

LENGTH_MS = BUCKET_MS["5m"]
HOUR_MS = BUCKET_MS["1h"]
SETTLE_MS = 20_000
# A bucket this new goes before all others: people look at it.
RECENT_MS = 3 * LENGTH_MS
# For a bucket that waits longer than this, the journal is not held any more: it may not fill up
# because the store is too slow for what comes late. Ended then, its latest readings are missing in
# the roll-up, never in the raw rows.
HOLD_MS = 3_600_000


class Bucket(NamedTuple):
    measurement: str
    begin_ms: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """Buckets of one measurement in one hour, in the order of time."""

    measurement: str
    hour_ms: int
    begins_ms: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class _Noted:
    """``first`` and ``newest`` are positions of entries with rows of the bucket; 0 for a bucket
    that was asked for."""

    first: int
    newest: int
    noted_ms: int
    due_ms: int


class Pending:
    """Times are Unix ms; ``now_ms`` is the clock's."""

    def __init__(self) -> None:
        self._gathering: dict[Bucket, _Noted] = {}
        self._ready: dict[Bucket, _Noted] = {}

    def __len__(self) -> int:
        return len(self._gathering) + len(self._ready)

    @property
    def ready(self) -> int:
        """How many buckets wait for nothing but to be worked out."""
        return len(self._ready)

    def overdue_ms(self, now_ms: int) -> int:
        """How long the oldest of those has waited."""
        return max((now_ms - noted.due_ms for noted in self._ready.values()), default=0)

    def note(self, bucket: Bucket, *, position: int, now_ms: int) -> None:
        """The journal's entry at ``position`` holds rows of this bucket."""
        noted = self._gathering.get(bucket)
        if noted is not None and noted.due_ms > now_ms:
            noted.newest = position
            return
        if noted is not None:
            self._ripen(bucket)
            noted = self._gathering.get(bucket)
        if noted is not None:  # the round before is still at work
            noted.newest = position
            return
        end_ms = bucket.begin_ms + LENGTH_MS
        closes_ms = end_ms if now_ms < end_ms <= now_ms + LENGTH_MS else now_ms + LENGTH_MS
        self._gathering[bucket] = _Noted(
            first=position, newest=position, noted_ms=now_ms, due_ms=closes_ms + SETTLE_MS
        )

    def ask(self, bucket: Bucket, *, now_ms: int) -> None:
        """The bucket is to be worked out from what the store has."""
        if bucket not in self._ready:
            self._ready[bucket] = _Noted(first=0, newest=0, noted_ms=now_ms, due_ms=now_ms)

    def ripen(self, now_ms: int) -> None:
        """What is due by now is ready."""
        for bucket in [b for b, noted in self._gathering.items() if noted.due_ms <= now_ms]:
            self._ripen(bucket)

    def _ripen(self, bucket: Bucket) -> None:
        if bucket not in self._ready:
            self._ready[bucket] = self._gathering.pop(bucket)

    def next(self, *, now_ms: int, stored: int) -> Job | None:
        """What to work out next, of all that is ready and stored (by the store's position): the
        newest time, then what was noted first; with it, all else of its hour."""
        best: tuple[bool, int, int, Bucket] | None = None
        for bucket, noted in self._stored(stored):
            old = bucket.begin_ms < now_ms - RECENT_MS
            order = (old, noted.noted_ms, bucket.begin_ms, bucket)
            if best is None or order < best:
                best = order
        if best is None:
            return None
        measurement = best[-1].measurement
        hour_ms = best[-1].begin_ms // HOUR_MS * HOUR_MS
        return Job(
            measurement=measurement,
            hour_ms=hour_ms,
            begins_ms=tuple(
                sorted(
                    bucket.begin_ms
                    for bucket, _ in self._stored(stored)
                    if bucket.measurement == measurement
                    and hour_ms <= bucket.begin_ms < hour_ms + HOUR_MS
                )
            ),
        )

    def _stored(self, stored: int) -> Iterator[tuple[Bucket, _Noted]]:
        return ((b, noted) for b, noted in self._ready.items() if noted.newest <= stored)

    def done(self, job: Job) -> None:
        """The job's buckets are written, or given up."""
        for begin_ms in job.begins_ms:
            del self._ready[Bucket(job.measurement, begin_ms)]

    def oldest_ms(self, *, since_ms: int = 0) -> int | None:
        """The begin of the oldest bucket that waits, of those that begin at ``since_ms`` or
        later."""
        begins = (
            bucket.begin_ms
            for buckets in (self._gathering, self._ready)
            for bucket in buckets
            if bucket.begin_ms >= since_ms
        )
        return min(begins, default=None)

    def held(self, *, now_ms: int) -> int | None:
        """The position of the first entry that must be read again if the process ended now; None
        when there is none."""
        firsts = (
            noted.first
            for buckets in (self._gathering, self._ready)
            for noted in buckets.values()
            if noted.first and now_ms - noted.noted_ms <= HOLD_MS
        )
        return min(firsts, default=None)
