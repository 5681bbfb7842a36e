"""The store stage: journal → time series."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn, TypeVar

import msgspec
import structlog

from ioc.clock import Clock
from ioc.errors import JournalFullError, StoreUnavailableError
from ioc.inventory import Inventory
from ioc.journal import Journal
from ioc.journal.records import Batch, Derived, Entry, Measure, Measures, Quarantined, Reading
from ioc.store.derived import DERIVED, completed
from ioc.store.port import RejectedPoint, Row, Store
from ioc.supervise import StageHealth

log = structlog.get_logger()

CONSUMER = "store"
# DuckDB takes the same time for a second of readings of a kind as for two.
GATHER_S = 2.0
MAX_ROWS = 5000
# The position of entries that hold nothing to store (ticks, commands) is kept this often.
IDLE_POSITION_S = 10.0
FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 15.0
PAYLOAD_BYTES = 4096

Result = TypeVar("Result")
_encode = msgspec.json.Encoder().encode


async def store_readings(
    journal: Journal,
    *,
    inventory: Inventory,
    into: Store,
    clock: Clock,
    health: StageHealth,
) -> NoReturn:
    """Store the journal's readings, measures and derived rows, from where the store left off.
    Never ends.

    About two seconds of the journal, or 5,000 rows, goes into the store at once. While the store is
    away the stage tries again for ever (0.5 to 15 s apart, with jitter), is not ready, and shows
    the error, how much waits, and for how long. A reading the store will never take goes to
    quarantine (``store_rejected``, with the store's reason) before the position passes it.
    """
    stage = _Stage(journal=journal, inventory=inventory, store=into, clock=clock, health=health)
    await stage.run()


@dataclass(kw_only=True)
class _Gathered:
    """What goes into the store at once."""

    rows: list[Row] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    unknown: list[RejectedPoint] = field(default_factory=list)
    position: int = 0
    oldest_ms: int = 0

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.measures)

    @property
    def empty(self) -> bool:
        return not (self.rows or self.measures or self.unknown)

    def add(self, entry: Entry, inventory: Inventory) -> None:
        self.position = entry.position
        self.oldest_ms = self.oldest_ms or entry.written_ms
        record = entry.record
        if isinstance(record, Measures):
            self.measures += record.items
        elif isinstance(record, Batch | Derived):
            for item in record.items:
                if not isinstance(item, Reading):
                    continue
                asset = inventory.find(item.asset)
                if asset is None:
                    reason = f"asset {item.asset!r} is not in the inventory any more"
                    self.unknown.append(RejectedPoint(point=item, reason=reason))
                else:
                    if isinstance(record, Derived):
                        item = completed(item, asset, inventory.sites)
                    self.rows.append(Row(reading=item, asset=asset))


@dataclass(kw_only=True)
class _Stage:
    journal: Journal
    inventory: Inventory
    store: Store
    clock: Clock
    health: StageHealth
    stored: int = 0

    async def run(self) -> NoReturn:
        self.stored = await self._until_it_works(
            lambda: self.store.position(self.journal.uuid), oldest_ms=None
        )
        self._note_stored(self.stored)
        await self.journal.note(CONSUMER, self.stored)
        gathered = _Gathered(position=self.stored)
        written_s = self.clock.monotonic_s()
        async for entries in self.journal.follow(after=self.stored):
            for entry in entries:
                gathered.add(entry, self.inventory)
            at_the_end = gathered.position >= self.journal.end
            if gathered.size < MAX_ROWS and not at_the_end:
                continue  # more is there already
            idle = gathered.empty and self.clock.monotonic_s() - written_s < IDLE_POSITION_S
            if idle:
                self.health.behind = self.journal.end - gathered.position
            else:
                written_s = self.clock.monotonic_s()
                await self._store(gathered)
                gathered = _Gathered(position=gathered.position)
            if at_the_end:
                # What comes in meanwhile goes into the store together.
                spent_s = self.clock.monotonic_s() - written_s
                await self.clock.sleep(GATHER_S if idle else max(0.0, GATHER_S - spent_s))
        raise AssertionError("the journal's follow never ends")

    async def _store(self, gathered: _Gathered) -> None:
        refused = gathered.unknown
        rows, measures = gathered.rows, gathered.measures
        while True:
            if refused:
                await self._put_aside(refused)
            write = partial(
                self.store.write,
                rows,
                measures,
                journal_uuid=self.journal.uuid,
                position=gathered.position,
            )
            refused = await self._until_it_works(write, oldest_ms=gathered.oldest_ms)
            if not refused:
                break
            gone = {id(point.point) for point in refused}
            rows = [row for row in rows if id(row.reading) not in gone]
            measures = [measure for measure in measures if id(measure) not in gone]
        self.health.count("rows", len(rows))
        self.health.count("measures", len(measures))
        self._note_stored(gathered.position)
        await self.journal.note(CONSUMER, gathered.position)

    async def _put_aside(self, refused: Iterable[RejectedPoint]) -> None:
        """Quarantine points. In a full journal there is no room for them: waiting would keep it
        full for ever, so they are named in the log and counted instead."""
        now_ms = self.clock.now_ms()
        quarantined = [_quarantined(point, self.inventory, now_ms) for point in refused]
        self.health.count("rejected", len(quarantined))
        try:
            await self.journal.append(quarantined=quarantined)
        except JournalFullError as error:
            self.health.count("rejected_not_quarantined", len(quarantined))
            self.health.failed(error, at_ms=now_ms)
            for one in quarantined:
                log.error(  # noqa: TRY400  # the error's own traceback tells nothing here
                    "refused by the store, and no room to quarantine it",
                    topic=one.topic,
                    detail=one.detail,
                    payload=one.payload.decode(errors="replace"),
                )

    async def _until_it_works(
        self, work: Callable[[], Awaitable[Result]], *, oldest_ms: int | None
    ) -> Result:
        """Call ``work`` until the store answers."""
        backoff_s = FIRST_BACKOFF_S
        away = False
        while True:
            try:
                result = await work()
            except StoreUnavailableError as error:
                if not away:
                    log.warning("store is away", error=str(error))
                self.health.failed(error, at_ms=self.clock.now_ms())
                self.health.ready = False
                self.health.say(
                    en="the store does not answer; readings wait in the journal",
                    vi="kho dữ liệu không trả lời; số liệu chờ trong nhật ký",
                )
                self.health.count("unavailable")
                away = True
            else:
                if away:
                    log.info("store answers", position=self.stored, end=self.journal.end)
                self.health.ready = True
                self.health.say()
                return result
            # Behind and lag grow while we wait: show them at each step.
            waited_s, wait_s = 0.0, backoff_s * random.uniform(0.5, 1.0)  # noqa: S311  # jitter
            while waited_s < wait_s:
                self._show_lag(oldest_ms)
                step_s = min(1.0, wait_s - waited_s)
                await self.clock.sleep(step_s)
                waited_s += step_s
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    def _note_stored(self, position: int) -> None:
        self.stored = self.health.position = position
        self._show_lag(None)

    def _show_lag(self, oldest_ms: int | None) -> None:
        self.health.behind = max(0, self.journal.end - self.stored)
        self.health.lag_s = 0.0
        if oldest_ms is not None and self.health.behind:
            self.health.lag_s = max(0.0, (self.clock.now_ms() - oldest_ms) / 1000)


def _quarantined(refused: RejectedPoint, inventory: Inventory, now_ms: int) -> Quarantined:
    """A refused point as the message it came as, or as near as what is kept of it allows."""
    point = refused.point
    if isinstance(point, Reading):
        topic = f"derived/{point.kind}/{point.asset}"
        if point.kind not in DERIVED:
            asset = inventory.find(point.asset)
            province = asset.province if asset else "_"
            topic = f"ioc/v1/{province}/{point.kind}/{point.asset}/telemetry"
        content: dict[str, object] = {"ts": point.ts_ms, **point.values}
        if point.boot is not None:
            content |= {"boot": point.boot, "seq": point.seq}
        received_ms = point.received_ms
    else:
        topic = f"kpi/{point.scope}/{point.place}/{point.name}"
        content = {"time_us": point.time_us, "value": point.value}
        received_ms = now_ms
    payload = _encode(content)
    return Quarantined(
        received_ms=received_ms,
        topic=topic,
        reason="store_rejected",
        detail=refused.reason,
        payload=payload[:PAYLOAD_BYTES],
        payload_bytes=len(payload),
    )
