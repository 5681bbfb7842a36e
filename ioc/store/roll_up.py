"""The stage that rolls the time series up, and removes what was kept long enough.

It follows the journal and notes which bucket of 5 minutes each reading and measure belongs to. Once
a bucket has closed and the store has taken all that was noted for it, the store works it out from
its raw rows, writing over what was there (``ioc.store.pending``, ``Store.roll_up``). What comes
late only makes its bucket due again. An hour follows when it has closed, and again after each late
bucket in it.

Nothing is kept but two numbers. The journal's copy of the position stays before the first entry of
a bucket that waits, so that a restart notes it again. The store's mark ``rolled_up`` says up to
where everything that is stored was rolled up: what lies between it and now is gone through at a
start. That fills the time the service was away, a journal that was lost, and a store from before
there were roll-ups.

Raw rows are removed only where they were rolled up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import NoReturn, Protocol, TypeVar

import structlog

from ioc.catalog.model import Catalog
from ioc.clock import Clock
from ioc.errors import QueryError, StoreUnavailableError
from ioc.journal.records import Batch, Entry, Measures, Reading
from ioc.store.pending import HOUR_MS, LENGTH_MS, SETTLE_MS, Bucket, Job, Pending
from ioc.store.port import Store
from ioc.store.query import Column, Query
from ioc.store.schema import KPI, Schema
from ioc.store.tiers import DAY_MS, Kept, Tier
from ioc.supervise import StageHealth

log = structlog.get_logger()

CONSUMER = "rollup"
LOOK_EVERY_S = 5.0
# After each piece of work the stage rests as long: the store has other things to do.
REST = 1.0
FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 15.0
# A store that answers, and fails at the same bucket so often, will never do it.
ATTEMPTS = 5
FIRST_EXPIRE_S = 300.0
EXPIRE_EVERY_S = 3600.0

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long rows are kept, in days: raw ones, and each tier of roll-ups. Whole days (UTC) are
    removed, so that up to a day more is there. Transitions of alarms stay as long as the hours."""

    raw_days: int = 30
    days_5m: int = 365
    days_1h: int = 1826

    @property
    def days(self) -> Mapping[Kept, int]:
        return {"raw": self.raw_days, "5m": self.days_5m, "1h": self.days_1h}


class RollUpJournal(Protocol):
    """As much of a journal as is needed here."""

    @property
    def uuid(self) -> str: ...

    def follow(self, *, after: int) -> AsyncIterator[list[Entry]]: ...

    async def note(self, consumer: str, position: int) -> None: ...

    def status(self) -> _Status: ...


class _Status(Protocol):
    @property
    def positions(self) -> dict[str, int]: ...


async def roll_up(
    journal: RollUpJournal,
    *,
    catalog: Catalog,
    into: Store,
    clock: Clock,
    health: StageHealth,
    retention: Retention | None = None,
) -> NoReturn:
    """Keep the roll-ups of all kinds and of ``kpi`` in the store, and remove what is older than
    ``retention``. Never ends.

    While the store is away the stage tries again for ever, is not ready, and shows the error. A
    bucket that a store which answers cannot work out is given up, said in the log and counted.
    Raises ``JournalError`` when the journal fails.
    """
    stage = _Stage(
        journal,
        schema=Schema(catalog),
        store=into,
        clock=clock,
        health=health,
        retention=retention or Retention(),
    )
    following = asyncio.create_task(stage.follow(await stage.begin()), name="rollup-follow")
    try:
        while not following.done():
            await stage.step()
        following.result()
        raise AssertionError("the journal's follow never ends")
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


class _Stage:
    def __init__(
        self,
        journal: RollUpJournal,
        *,
        schema: Schema,
        store: Store,
        clock: Clock,
        health: StageHealth,
        retention: Retention,
    ) -> None:
        self._journal = journal
        self._measurements = tuple(schema.rolled_up)
        self._store = store
        self._clock = clock
        self._health = health
        self._retention = retention
        self._pending = Pending()
        self._followed = 0
        self._followed_ms = 0
        self._noted_s = clock.monotonic_s()
        # Everything stored under an earlier time was rolled up, or waits.
        self._rolled_up_ms = 0
        # What is stored from before this start is asked for up to here, and is to be up to there.
        self._asked_ms = 0
        self._ask_until_ms = 0
        self._expired: dict[Kept, int] = {}
        self._expire_at_s = clock.monotonic_s() + FIRST_EXPIRE_S
        health.unit = "buckets"

    # --- the journal ---

    async def begin(self) -> int:
        """Find out where to go on: the position to follow the journal from."""
        stored = await self._until_it_works(self._position)
        noted = self._journal.status().positions.get(CONSUMER, 0)
        now_ms = self._clock.now_ms()
        mark = await self._until_it_works(lambda: self._store.mark("rolled_up"))
        if mark is None:  # a day more than is kept
            mark = now_ms - (self._retention.raw_days + 1) * DAY_MS
        first_ms = await self._until_it_works(partial(self._first_stored_ms, mark, now_ms))
        self._rolled_up_ms = self._asked_ms = _floor(first_ms, LENGTH_MS)
        self._ask_until_ms = _floor(now_ms, LENGTH_MS) + LENGTH_MS
        # A store that knows less than this stage had seen is another one, or an older copy.
        self._followed = min(noted, stored)
        return self._followed

    async def _first_stored_ms(self, since_ms: int, now_ms: int) -> int:
        """A time not before ``since_ms`` up to when the store has no raw rows."""
        for day_ms in range(_floor(since_ms, DAY_MS), now_ms, DAY_MS):
            for kind in self._measurements:
                if kind == KPI:  # worked out from the others
                    continue
                query = Query(
                    measurement=kind,
                    columns=(Column(metric="ts"),),
                    start_ms=day_ms,
                    stop_ms=day_ms + DAY_MS,
                    limit=1,
                )
                try:
                    found = (await self._store.query(query)).rows
                except QueryError:  # too much for one answer: there is something
                    return max(since_ms, day_ms)
                if found:
                    return max(since_ms, day_ms)
        return now_ms

    async def follow(self, after: int) -> NoReturn:
        """Note the buckets of all that comes into the journal."""
        async for entries in self._journal.follow(after=after):
            now_ms = self._clock.now_ms()
            for entry in entries:
                for bucket in self._buckets(entry):
                    self._pending.note(bucket, position=entry.position, now_ms=now_ms)
            self._followed, self._followed_ms = entries[-1].position, entries[-1].written_ms
            if self._clock.monotonic_s() - self._noted_s >= LOOK_EVERY_S:
                await self._note()  # also while a piece of work takes long
        raise AssertionError("the journal's follow never ends")

    def _buckets(self, entry: Entry) -> set[Bucket]:
        record = entry.record
        length_us = LENGTH_MS * 1000
        if isinstance(record, Batch):
            found = {
                (item.kind, item.time_us // length_us)
                for item in record.items
                if isinstance(item, Reading)
            }
        elif isinstance(record, Measures):
            found = {(KPI, item.time_us // length_us) for item in record.items}
        else:
            return set()
        # A kind that left the catalog has no roll-ups.
        return {
            Bucket(measurement, number * LENGTH_MS)
            for measurement, number in found
            if measurement in self._measurements
        }

    async def _note(self) -> None:
        self._noted_s = self._clock.monotonic_s()
        held = self._pending.held(now_ms=self._clock.now_ms())
        await self._journal.note(CONSUMER, self._followed if held is None else held - 1)

    # --- the store ---

    async def step(self) -> None:
        """Do one piece of work, or wait a little when there is none."""
        now_ms = self._clock.now_ms()
        self._pending.ripen(now_ms)
        if self._clock.monotonic_s() >= self._expire_at_s:
            self._expire_at_s = self._clock.monotonic_s() + EXPIRE_EVERY_S
            await self._expire(now_ms)
        job = None
        if self._pending.ready:
            stored = await self._until_it_works(self._position)
            job = self._pending.next(now_ms=now_ms, stored=stored)
        if job is not None:
            await self._work(job)
            self._pending.done(job)
        elif not await self._advance() and not self._ask_more(now_ms):
            await self._note()
            self._show(now_ms)
            await self._clock.sleep(LOOK_EVERY_S)
            return
        await self._note()
        self._show(now_ms)

    async def _position(self) -> int:
        return await self._store.position(self._journal.uuid)

    async def _work(self, job: Job) -> None:
        for begin_ms in job.begins_ms:
            await self._roll_up("5m", job.measurement, begin_ms)
        if job.hour_ms + HOUR_MS <= self._rolled_up_ms:  # it closed before: this came late
            await self._roll_up("1h", job.measurement, job.hour_ms)

    def _ask_more(self, now_ms: int) -> bool:
        """Ask for another hour of what was stored before this start; whether there was any."""
        hour_ends_ms = _floor(self._asked_ms, HOUR_MS) + HOUR_MS
        closed_ms = _floor(now_ms - SETTLE_MS, LENGTH_MS)
        until_ms = min(hour_ends_ms, self._ask_until_ms, closed_ms)
        if until_ms <= self._asked_ms:
            return False
        for begin_ms in range(self._asked_ms, until_ms, LENGTH_MS):
            for measurement in self._measurements:
                self._pending.ask(Bucket(measurement, begin_ms), now_ms=now_ms)
        self._asked_ms = until_ms
        return True

    async def _advance(self) -> bool:
        """Move the mark to where everything is rolled up, an hour at the most; when that closes an
        hour, roll it up first. Whether it moved."""
        before_ms = self._rolled_up_ms
        until_ms = self._asked_ms
        if self._asked_ms >= self._ask_until_ms:
            until_ms = max(until_ms, _floor(self._followed_ms - SETTLE_MS, LENGTH_MS))
        oldest_ms = self._pending.oldest_ms(since_ms=before_ms)
        if oldest_ms is not None:
            until_ms = min(until_ms, oldest_ms)
        hour_ms = _floor(before_ms, HOUR_MS)
        until_ms = min(until_ms, hour_ms + HOUR_MS)
        if until_ms <= before_ms:
            return False
        if until_ms == hour_ms + HOUR_MS:
            for measurement in self._measurements:
                await self._roll_up("1h", measurement, hour_ms)
        await self._until_it_works(lambda: self._store.set_mark("rolled_up", until_ms))
        self._rolled_up_ms = until_ms
        return True

    async def _roll_up(self, tier: Tier, measurement: str, begin_ms: int) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            began_s = self._clock.monotonic_s()
            try:
                await self._store.roll_up(measurement, tier, begin_ms=begin_ms)
            except (StoreUnavailableError, QueryError) as error:
                self._health.failed(error, at_ms=self._clock.now_ms())
                log.warning(
                    "not rolled up",
                    measurement=measurement,
                    tier=tier,
                    begin_ms=begin_ms,
                    attempt=attempt,
                    error=str(error),
                )
                await self._clock.sleep(FIRST_BACKOFF_S * 2**attempt)
                await self._until_it_works(self._position)
            else:
                self._health.count(f"rolled_up_{tier}")
                await self._clock.sleep(REST * (self._clock.monotonic_s() - began_s))
                return
        self._health.count("given_up")

    async def _expire(self, now_ms: int) -> None:
        oldest_ms = self._pending.oldest_ms()
        whole_ms = self._rolled_up_ms if oldest_ms is None else min(self._rolled_up_ms, oldest_ms)
        for kept, days in self._retention.days.items():
            before_ms = _floor(min(now_ms - days * DAY_MS, whole_ms), DAY_MS)
            if before_ms <= self._expired.get(kept, 0):
                continue
            try:
                await self._store.expire(kept, before_ms=before_ms)
            except StoreUnavailableError as error:
                log.warning("old rows not removed; next try in an hour", error=str(error))
            else:
                self._expired[kept] = before_ms

    async def _until_it_works(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Call ``work`` until the store answers."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                result = await work()
            except StoreUnavailableError as error:
                self._health.failed(error, at_ms=self._clock.now_ms())
                self._health.ready = False
                self._health.say(en="the store does not answer", vi="kho dữ liệu không trả lời")
            else:
                self._health.ready = True
                return result
            self._show(self._clock.now_ms())
            await self._clock.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    def _show(self, now_ms: int) -> None:
        health = self._health
        health.position = self._followed
        health.behind = self._pending.ready
        health.lag_s = self._pending.overdue_ms(now_ms) / 1000
        if health.ready:
            health.say()
            if self._asked_ms < self._ask_until_ms - LENGTH_MS:
                at = datetime.fromtimestamp(self._asked_ms / 1000, UTC)
                health.say(
                    en=f"rolling up what was stored before: at {at:%Y-%m-%d %H:%M} UTC",
                    vi=f"đang tổng hợp dữ liệu đã lưu trước đây: đến {at:%Y-%m-%d %H:%M} UTC",
                )


def _floor(time_ms: int, length_ms: int) -> int:
    return time_ms // length_ms * length_ms
