"""The stage that keeps the alarms: journal in, transitions in the state database out.

A transition is committed in one transaction with the engine's position in the journal: none is
lost, none is told twice. What consoles see (``Live``) follows the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NoReturn, Protocol, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection

from ioc.alarms import saved
from ioc.alarms.engine import VERSION, Engine
from ioc.alarms.live import Live
from ioc.alarms.model import Transition
from ioc.catalog.model import Catalog
from ioc.clock import Clock
from ioc.errors import StateUnavailableError
from ioc.journal.records import Activation, Entry, Record
from ioc.state import State
from ioc.supervise import StageHealth

log = structlog.get_logger()
Result = TypeVar("Result")

SNAPSHOT_EVERY_S = 60.0
# A position that brought no transition may wait: it is found again by reading the same entries.
POSITION_EVERY_S = 1.0
FIRST_RETRY_S, LAST_RETRY_S = 0.2, 5.0
# Entries between two looks at the other tasks of the loop, and in one transaction at most.
SLICE = 16
MOST_TRANSITIONS = 2_000


class FollowedJournal(Protocol):
    """As much of a journal as is needed here."""

    uuid: str
    end: int

    async def append(self, *records: Record) -> int: ...

    async def read(self, *, after: int, limit: int = 256) -> list[Entry]: ...

    def follow(self, *, after: int) -> AsyncIterator[list[Entry]]: ...

    async def note(self, consumer: str, position: int) -> None: ...


async def evaluate(
    journal: FollowedJournal,
    *,
    catalog: Catalog,
    state: State,
    live: Live,
    clock: Clock,
    health: StageHealth,
    changed: asyncio.Event | None = None,
) -> NoReturn:
    """Evaluate the journal's entries until cancelled.

    Begins where the state database says. ``changed`` is set whenever transitions were committed.
    While the state database does not answer, the stage waits and tries again; any other error ends
    it, and it can be started anew.
    """
    stage = _Evaluation(
        journal, catalog, state=state, live=live, clock=clock, health=health, changed=changed
    )
    try:
        await stage.begin()
        async for entries in journal.follow(after=stage.position):
            await stage.take(entries)
        raise AssertionError("a journal is followed without end")
    finally:
        await stage.end()


class _Evaluation:
    """One run of the stage."""

    def __init__(
        self,
        journal: FollowedJournal,
        catalog: Catalog,
        *,
        state: State,
        live: Live,
        clock: Clock,
        health: StageHealth,
        changed: asyncio.Event | None,
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._state = state
        self._live = live
        self._clock = clock
        self._health = health
        self._changed = changed
        self._engine: Engine
        self.position = 0  # of the engine
        self._committed: int | None = None  # in the state database
        self._committed_s = clock.monotonic_s()
        self._snapshot_s = clock.monotonic_s()
        self._snapshot_task: asyncio.Task[None] | None = None
        self._commit_task: asyncio.Task[None] | None = None
        self._snapshot_due = False
        self._ignored = 0

    async def begin(self) -> None:
        """Know again all that was known at the committed position, telling nothing."""
        start = await self._patiently(
            lambda connection: saved.read_start(connection, self._journal.uuid)
        )
        self._committed = start.position
        self._snapshot_due = start.snapshot_position is None
        self.position = start.position or 0
        engine = Engine(self._catalog, start.inventory, journal_uuid=self._journal.uuid)
        if not await self._replay(engine, start):
            engine = Engine(self._catalog, start.inventory, journal_uuid=self._journal.uuid)
            engine.adopt(
                start.standing,
                await self._patiently(saved.read_cleared),
                next_id=start.next_id,
                snapshot=start.snapshot,
            )
            self._snapshot_due = True
            if start.standing:
                # Alarms of rules that are gone are cleared at a place in the journal.
                await self._journal.append(
                    Activation(
                        now_ms=self._clock.now_ms(),
                        actor="ioc",
                        catalog_version=self._catalog.version,
                    )
                )
        self._engine = engine
        engine.changed_assets.clear()
        self._show_all()
        self._health.ready = True
        self._tell_health(None)

    async def _patiently(self, read: Callable[[Connection], Result]) -> Result:
        delay_s = FIRST_RETRY_S
        while True:
            try:
                return await self._state.run(read)
            except StateUnavailableError as error:
                delay_s = await self._wait_for_state(error, delay_s)

    async def _replay(self, engine: Engine, start: saved.Start) -> bool:
        """Go from the last snapshot to the committed position; False when that cannot be done, or
        does not lead to what was committed."""
        snapshot, position = start.snapshot, start.snapshot_position
        if start.position is None:
            # A journal never seen: nothing to know again, unless another one left its alarms.
            return not start.standing and start.next_id == 1
        if snapshot is None or position is None:
            return False
        if snapshot.version != VERSION or snapshot.catalog != self._catalog.version:
            log.info("rules or engine are others than before: alarms that stand are adopted")
            return False
        engine.restore(snapshot)
        while position < start.position:
            entries = await self._journal.read(after=position, limit=SLICE)
            for entry in entries:
                if entry.position <= start.position:
                    engine.apply(entry)
            if not entries:
                break
            position = entries[-1].position
            await asyncio.sleep(0)
        self.position = max(start.position, start.snapshot_position or 0)
        if engine.lifecycle.next_id != start.next_id:
            log.error(
                "replay does not lead to what was committed: alarms that stand are adopted",
                next_transition=start.next_id,
                replayed_to=engine.lifecycle.next_id,
            )
            return False
        return True

    async def take(self, entries: Sequence[Entry]) -> None:
        """Evaluate entries, commit what they bring, then show it."""
        engine, transitions = self._engine, list[Transition]()
        for count, entry in enumerate(entries, 1):
            transitions += engine.apply(entry)
            self.position = entry.position
            if isinstance(entry.record, Activation):
                await self._commit(transitions, activation=entry.record)
                transitions = []
            elif len(transitions) >= MOST_TRANSITIONS:
                await self._commit(transitions)
                transitions = []
            elif count % SLICE == 0:
                await asyncio.sleep(0)
        self._tell_health(entries[-1])
        now_s = self._clock.monotonic_s()
        if (
            transitions
            or self._committed is None
            or self._snapshot_due
            or now_s - self._committed_s >= POSITION_EVERY_S
        ):
            await self._commit(transitions)
        else:
            self._show([])
        if now_s - self._snapshot_s >= SNAPSHOT_EVERY_S:
            await self._snapshot_beside()

    async def end(self) -> None:
        """Leave nothing running."""
        tasks = [task for task in (self._commit_task, self._snapshot_task) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _commit(
        self, transitions: Sequence[Transition], *, activation: Activation | None = None
    ) -> None:
        """Commit, then show. Tries again until it is done or found to be done."""
        snapshot = None
        if activation is not None or self._snapshot_due:
            # The inventory rows and the snapshot are of one position: a replay never crosses a
            # change of the inventory.
            snapshot = self._snapshot_row()
        work = saved.Work(
            journal_uuid=self._journal.uuid,
            after=self._committed,
            position=self.position,
            transitions=transitions,
            activations=[activation] if activation else [],
            snapshot=snapshot,
        )
        delay_s = FIRST_RETRY_S
        doubtful = False
        while True:
            try:
                if not (doubtful and await self._is_committed(work)):
                    # A transaction cannot be called back from its thread: when the stage is
                    # cancelled, its end is waited for, so that the next run reads what it did.
                    self._commit_task = asyncio.create_task(
                        self._state.run(lambda connection: saved.write(connection, work)),
                        name="alarms-commit",
                    )
                    await asyncio.shield(self._commit_task)
                break
            except StateUnavailableError as error:
                doubtful = True
                delay_s = await self._wait_for_state(error, delay_s)
        self._health.ready = True
        self._committed = work.position
        self._committed_s = self._clock.monotonic_s()
        if snapshot is not None:
            self._snapshot_due, self._snapshot_s = False, self._committed_s
            await self._journal.note(saved.CONSUMER, work.position)
        for transition in transitions:
            self._health.count(f"transitions_{transition.kind}")
        self._show(transitions, inventory=activation is not None)

    async def _is_committed(self, work: saved.Work) -> bool:
        """Whether a commit in doubt was done after all."""
        position = await self._state.run(
            lambda connection: saved.read_position(connection, work.journal_uuid)
        )
        return position == work.position

    async def _wait_for_state(self, error: StateUnavailableError, delay_s: float) -> float:
        self._health.ready = False
        self._health.failed(error, at_ms=self._clock.now_ms())
        log.warning("state database does not answer", error=str(error), again_in_s=delay_s)
        await self._clock.sleep(delay_s)
        return min(delay_s * 2, LAST_RETRY_S)

    # Snapshots

    def _snapshot_row(self) -> saved.SnapshotRow:
        return saved.SnapshotRow(
            position=self.position,
            taken_ms=self._clock.now_ms(),
            content=self._engine.snapshot(),
        )

    async def _snapshot_beside(self) -> None:
        """Write a snapshot while entries go on being evaluated."""
        if self._snapshot_task is not None and not self._snapshot_task.done():
            return
        if self._committed != self.position:
            await self._commit([])
        self._snapshot_s = self._clock.monotonic_s()
        self._snapshot_task = asyncio.create_task(
            self._keep_snapshot(self._snapshot_row()), name="alarms-snapshot"
        )

    async def _keep_snapshot(self, row: saved.SnapshotRow) -> None:
        try:
            await self._state.run(
                lambda connection: saved.write_snapshot(
                    connection, row, journal_uuid=self._journal.uuid
                )
            )
        except StateUnavailableError as error:
            # The one before is still there: only a replay would be longer.
            self._health.failed(error, at_ms=self._clock.now_ms())
            log.warning("no snapshot of the alarms", error=str(error))
            return
        await self._journal.note(saved.CONSUMER, row.position)

    # What consoles see

    def _show(self, transitions: Sequence[Transition], *, inventory: bool = False) -> None:
        """Bring ``Live`` up to the committed position."""
        live, engine = self._live, self._engine
        for transition in transitions:
            alarm = transition.alarm
            if alarm.state == "raised":
                live.alarms[alarm.id] = alarm
            else:
                live.alarms.pop(alarm.id, None)
        assets = engine.changed_assets
        for asset_id in assets:
            asset = engine.inventory.assets.get(asset_id)
            if asset is None:
                live.states.pop(asset_id, None)
                live.kinds.pop(asset_id, None)
            else:
                live.states[asset_id] = engine.state_of(asset_id)
                live.kinds[asset_id] = asset.kind
        live.now_ms, live.listening = engine.now_ms, engine.listening
        live.move(self.position)
        if transitions or assets or inventory:
            live.publish(
                assets=assets,
                alarms={transition.alarm.id for transition in transitions},
                inventory=inventory,
            )
            assets.clear()
        if transitions and self._changed is not None:
            self._changed.set()

    def _show_all(self) -> None:
        live, engine = self._live, self._engine
        standing = engine.lifecycle.standing
        live.alarms = {
            alarm_id: msgspec.structs.replace(one.alarm) for alarm_id, one in standing.items()
        }
        live.kinds = {asset.id: asset.kind for asset in engine.inventory.assets.values()}
        live.states = {asset_id: engine.state_of(asset_id) for asset_id in live.kinds}
        live.table = engine.table
        live.now_ms, live.listening = engine.now_ms, engine.listening
        live.move(self.position)
        live.publish(assets=live.states, alarms=live.alarms, inventory=True)
        if self._changed is not None:
            self._changed.set()

    def _tell_health(self, last: Entry | None) -> None:
        health = self._health
        health.position = self.position
        health.behind = max(0, self._journal.end - self.position)
        health.lag_s = 0.0
        if last is not None and health.behind:
            health.lag_s = max(0.0, (self._clock.now_ms() - last.written_ms) / 1000)
        ignored = self._engine.ignored.total()
        if ignored > self._ignored:
            health.count("ignored", ignored - self._ignored)
            self._ignored = ignored
