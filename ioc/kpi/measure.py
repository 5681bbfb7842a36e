"""The stage that works out the measures of the province, its communes and data centres.

Each 10 s of the journal's own time (its ticks) it appends them to the journal, from where the store
takes them like readings: a store that is away loses none. With them, in the same append, go the
alarms that stand, and once a minute the state of every asset (``ioc.kpi.snapshots``). What is shown
(``live.measures``) keeps the last value of each measure, with its time.

Exactly once: the time of a measure is a multiple of 10 s, and a time is worked out once. Its
position is the journal's copy, noted only after the measures were appended; what lies between that
copy and the end is looked through at a start, and tells which times are done. Telemetry comes from
the journal itself; states and alarms come from the alarm engine, so they are used only while the
journal's time is now, and never written under a time that is past.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn, Protocol

from ioc.alarms.live import Live
from ioc.catalog.model import Catalog
from ioc.clock import Clock
from ioc.errors import JournalFullError
from ioc.inventory import Inventory
from ioc.journal.records import Batch, Derived, Entry, Measures, Record, Tick
from ioc.kpi.latest import Latest
from ioc.kpi.plan import Plan
from ioc.kpi.snapshots import AlarmRows, state_rows
from ioc.kpi.worked_out import Frame, Standing, WorkedOut, frame_of
from ioc.store.derived import ALARM_ACTIVE_EVERY_MS, ASSET_STATE_EVERY_MS
from ioc.supervise import StageHealth

CONSUMER = "kpi"
EVERY_MS = ALARM_ACTIVE_EVERY_MS
# A tick this much behind the clock belongs to a backlog: today's states are not its states.
STATES_WITHIN_MS = 30_000
# How long a start waits for the alarm engine, which remembers the values from before the start.
WAIT_FOR_ENGINE_S = 10.0
LAGGING_S = 30.0


class KpiJournal(Protocol):
    """As much of a journal as is needed here."""

    @property
    def end(self) -> int: ...

    async def append(self, *records: Record) -> int: ...

    async def read(self, *, after: int, limit: int = 256) -> list[Entry]: ...

    def follow(self, *, after: int) -> AsyncIterator[list[Entry]]: ...

    async def note(self, consumer: str, position: int) -> None: ...

    async def wait_until_admits(self) -> None: ...

    def status(self) -> _Status: ...


class _Status(Protocol):
    @property
    def positions(self) -> dict[str, int]: ...


async def measure(
    journal: KpiJournal,
    *,
    plan: Plan,
    catalog: Catalog,
    inventory: Inventory,
    live: Live,
    clock: Clock,
    health: StageHealth,
) -> NoReturn:
    """Work out measures until cancelled. Raises ``JournalError`` when the journal fails."""
    stage = _Stage(
        journal,
        province=plan.province.id,
        catalog=catalog,
        inventory=inventory,
        live=live,
        clock=clock,
        health=health,
    )
    after = await stage.resume()
    async for entries in journal.follow(after=after):
        for entry in entries:
            await stage.take(entry)
        stage.tell_health(entries[-1])
    raise AssertionError("the journal's follow never ends")


class _Stage:
    def __init__(
        self,
        journal: KpiJournal,
        *,
        province: str,
        catalog: Catalog,
        inventory: Inventory,
        live: Live,
        clock: Clock,
        health: StageHealth,
    ) -> None:
        self._journal = journal
        self._province = province
        self._inventory = inventory
        self._live = live
        self._clock = clock
        self._health = health
        self._latest = Latest(catalog)
        self._alarm_rows = AlarmRows()
        self._frame = self._fit()
        self._done_ms = 0  # measures up to this time are in the journal

    async def resume(self) -> int:
        """Find out where to go on: the position to read after."""
        await self._journal.append()  # what an earlier run handed over is in, or is not
        noted = self._journal.status().positions.get(CONSUMER, 0)
        position = noted
        while entries := await self._journal.read(after=position):
            for entry in entries:
                if isinstance(entry.record, Measures) and entry.record.items:
                    self._done_ms = max(self._done_ms, entry.record.items[0].time_us // 1000)
            position = entries[-1].position
        remembered = await self._engine_remembers()
        self._health.ready = True
        if remembered:
            self._health.say()
            return noted
        self._health.say(
            en="alarm engine not there: values from before the start are incomplete",
            vi="chưa có bộ xử lý cảnh báo: số liệu trước lúc khởi động chưa đầy đủ",
        )
        return 0

    async def _engine_remembers(self) -> bool:
        until = self._clock.monotonic_s() + WAIT_FOR_ENGINE_S
        while self._live.table is None:
            if self._clock.monotonic_s() >= until:
                return False
            await self._clock.sleep(0.25)
        self._latest.seed(self._live.table)
        return True

    async def take(self, entry: Entry) -> None:
        """Go one entry on."""
        record = entry.record
        if isinstance(record, Batch):
            if self._frame.version != self._inventory.version:
                self._frame = self._fit()
            self._latest.take(record)
        elif isinstance(record, Tick):
            at_ms = record.now_ms // EVERY_MS * EVERY_MS
            if at_ms > self._done_ms:
                await self._work_out(at_ms)
                await self._journal.note(CONSUMER, entry.position)

    async def _work_out(self, at_ms: int) -> None:
        if self._frame.version != self._inventory.version:
            self._frame = self._fit()
        live = self._live
        standing, snapshots = None, list[Record]()
        if self._clock.now_ms() - at_ms <= STATES_WITHIN_MS and live.states:
            rows = self._alarm_rows.rows(live.alarms, at_ms=at_ms)
            standing = Standing(states=live.states, alarms=live.alarms, written=len(rows))
            if at_ms % ASSET_STATE_EVERY_MS == 0:
                rows += state_rows(
                    self._inventory.assets, states=live.states, alarms=live.alarms, at_ms=at_ms
                )
            snapshots += [Derived(rows)] if rows else []
        measures = WorkedOut(
            self._frame, self._latest, province=self._province, at_ms=at_ms, standing=standing
        ).measures()
        for one in measures:
            live.measures[one.name, one.scope, one.place] = one
        # In one append: when the measures of a time are there, so are its snapshots.
        await self._append(Measures(measures), *snapshots)
        self._done_ms = at_ms
        self._health.count("measures", len(measures))
        live.publish(measures=True)

    async def _append(self, *records: Record) -> None:
        while True:
            try:
                await self._journal.append(*records)
            except JournalFullError as error:
                self._health.ready = False
                self._health.failed(error, at_ms=self._clock.now_ms())
                await self._journal.wait_until_admits()
            else:
                return

    def _fit(self) -> Frame:
        self._latest.fit(self._inventory)
        return frame_of(self._inventory, self._latest)

    def tell_health(self, last: Entry) -> None:
        health = self._health
        health.position = last.position
        health.behind = max(0, self._journal.end - last.position)
        lag_s = (self._clock.now_ms() - last.written_ms) / 1000
        health.lag_s = max(0.0, lag_s) if health.behind else 0.0
        health.ready = health.lag_s < LAGGING_S
