"""The stage: none lost, none twice, whatever ends it and whenever."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from sqlalchemy import Connection, select

from ioc.alarms import saved
from ioc.alarms.evaluate import evaluate
from ioc.alarms.history import transitions_after
from ioc.alarms.live import Live
from ioc.alarms.model import Transition
from ioc.catalog import Catalog
from ioc.clock import VirtualClock, settle
from ioc.errors import JournalError, StateUnavailableError
from ioc.journal.records import Activation, Batch, Command, Entry, Tick
from ioc.state import State, schema
from ioc.supervise import StageHealth

from .test_engine import EVERY_CONDITION, a_bad_day
from .world import HIGH, NETWORK, T0, Drill, MemoryJournal, catalog_of, ring_and_spur

Result = TypeVar("Result")


class Stage:
    """A stage with its surroundings; it can be started again on the same state database."""

    def __init__(
        self, journal: MemoryJournal, state: State, clock: VirtualClock, catalog: Catalog
    ) -> None:
        self.journal, self.state, self.clock, self.catalog = journal, state, clock, catalog
        self.live, self.health = Live(), StageHealth(name="alarms")
        self.changed = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        self.live, self.health = Live(), StageHealth(name="alarms")
        task = asyncio.create_task(
            evaluate(
                self.journal,
                catalog=self.catalog,
                state=self.state,
                live=self.live,
                clock=self.clock,
                health=self.health,
                changed=self.changed,
            )
        )
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def reached(self, position: int | None = None) -> None:
        async with asyncio.timeout(30):
            await self.live.reached(self.journal.end if position is None else position)

    async def transitions(self) -> list[Transition]:
        return await self.state.run(lambda connection: transitions_after(connection, 0, 100_000))


async def put_in_force(stage: Stage, drill: Drill) -> None:
    """The drill's inventory, as rows that were there before."""

    def rows(connection: Connection) -> None:
        sites, assets = drill.first
        change = Activation(T0, "test", sites=sites, add=assets)
        saved._write_inventory(connection, change)

    await stage.state.run(rows)


def journal_of(drill: Drill, *, up_to: int | None = None) -> MemoryJournal:
    journal = MemoryJournal(drill.uuid)
    journal.entries = drill.entries[:up_to]
    journal.end = len(journal.entries)
    return journal


@pytest.fixture
def drill() -> Drill:
    sites, assets = ring_and_spur()
    return Drill(NETWORK, assets, sites)


async def test_transitions_are_committed_then_shown(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    drill.tick()
    drill.read("D1", level=11, mains_ok=True)
    drill.read("D2", level=1, mains_ok=False)
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running():
        await stage.reached()
        assert await stage.transitions() == drill.transitions
        assert {one.source for one in stage.live.alarms.values()} == {"high", "mains"}
        assert stage.live.states["D2"] == "degraded"
        assert stage.live.states["C1"] == "not_seen"
        assert stage.live.kinds["R1"] == "span"
        assert stage.live.table is not None
        assert stage.live.table.values("D1")["level"].value == 11
        assert stage.live.table.last_seen_ms("D1") == T0
        assert stage.live.table.last_seen_ms("C1") is None
        assert stage.live.table.values("nobody") == {}
        assert stage.changed.is_set()
        assert stage.health.ready
        assert (stage.health.position, stage.health.behind) == (3, 0)
        assert stage.health.counters == {"transitions_raised": 2}


async def test_a_command_is_seen_by_who_waits_for_it(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    drill.read("D1", level=11)
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running():
        await stage.reached()
        (alarm,) = stage.live.alarms
        version = stage.live.version
        position = await stage.journal.append(Command(T0, "c", "linh", "acknowledge", alarm))
        began = time.perf_counter()
        await stage.reached(position)
        assert time.perf_counter() - began < 1
        assert stage.live.alarms[alarm].acknowledged_by == "linh"
        change = stage.live.since(version)
        assert change is not None
        assert change.alarms == {alarm}
        # One that changes nothing does not leave its sender waiting.
        again = await stage.journal.append(Command(T0, "d", "linh", "acknowledge", alarm))
        await stage.reached(again)
        assert len(await stage.transitions()) == 2


async def test_any_number_of_kills_loses_none_and_tells_none_twice(
    state: State, clock: VirtualClock
) -> None:
    drill = a_bad_day(3)
    stage = Stage(journal_of(drill, up_to=0), state, clock, EVERY_CONDITION)
    await put_in_force(stage, drill)
    chance = random.Random(3)
    entries = list(drill.entries)
    while entries:
        async with stage.running():
            for _ in range(chance.randrange(1, 5)):
                count = chance.randrange(1, 40)
                some, entries = entries[:count], entries[count:]
                for entry in some:
                    await stage.journal.append(entry.record)
                await clock.advance(chance.choice([0, 0.5, 20, 61]))
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(0)
    async with stage.running():
        await stage.reached()
        assert await stage.transitions() == drill.transitions
        assert stage.live.alarms == {
            alarm_id: one.alarm for alarm_id, one in drill.engine.lifecycle.standing.items()
        }
        assert stage.live.states == {
            asset: drill.engine.state_of(asset) for asset in drill.engine.inventory.assets
        }


class FailingState:
    """A state database whose connection breaks before or after the commit."""

    def __init__(self, state: State, *, breaks: list[str]) -> None:
        self._state, self.breaks = state, breaks

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        kind = self.breaks.pop(0) if self.breaks else ""
        if kind == "before":
            raise StateUnavailableError("the connection is gone")
        result = await self._state.run(work)
        if kind == "after":
            raise StateUnavailableError("the connection is gone, who knows")
        return result


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_commit_in_doubt_is_looked_up(
    drill: Drill, state: State, clock: VirtualClock, where: str
) -> None:
    drill.read("D1", level=11)
    drill.read("D1", at_s=10, level=1)
    breaks = ["", where, where, "before"]
    failing = FailingState(state, breaks=breaks)
    stage = Stage(journal_of(drill), failing, clock, NETWORK)  # type: ignore[arg-type]
    await put_in_force(Stage(stage.journal, state, clock, NETWORK), drill)
    async with stage.running():
        while stage.live.position < stage.journal.end:
            if stage.health.last_error:
                assert not stage.health.ready
            await clock.advance(0.1)
            await asyncio.sleep(0.001)
        assert not breaks
        assert stage.health.ready
        assert "the connection is gone" in stage.health.last_error
    stage.state = state
    assert await stage.transitions() == drill.transitions


async def test_nothing_is_shown_that_is_not_committed(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    drill.read("D1", level=11)
    failing = FailingState(state, breaks=["", *["before"] * 5])
    stage = Stage(journal_of(drill), failing, clock, NETWORK)  # type: ignore[arg-type]
    await put_in_force(Stage(stage.journal, state, clock, NETWORK), drill)
    async with stage.running():
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert stage.live.alarms == {}
        assert not stage.changed.is_set() or stage.live.position == 0


async def test_a_second_engine_on_the_same_database_is_refused(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    drill.read("D1", level=11)
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running() as first:
        await stage.reached()

        def elsewhere(connection: Connection) -> None:
            saved._move(connection, saved.Work(journal_uuid=drill.uuid, after=1, position=7))

        await state.run(elsewhere)
        drill.read("D1", at_s=10, level=1)
        await stage.journal.append(drill.entries[-1].record)
        with pytest.raises(JournalError, match="another one writes"):
            async with asyncio.timeout(10):
                await first


async def test_snapshots_and_what_the_journal_may_forget(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running():
        for second in range(150):
            drill.now_ms += 1000
            drill.tick()
            await stage.journal.append(drill.entries[-1].record)
            await clock.advance(1)
            await stage.reached()
            if second == 70:
                for _ in range(50):
                    await asyncio.sleep(0.002)
                assert 55 <= stage.journal.noted["alarms"] <= 71
        await settle()

    def row(connection: Connection) -> tuple[int, int]:
        found = connection.execute(select(schema.snapshot)).one()
        return found.position, len(found.content)

    position, size = await state.run(row)
    assert 110 <= position <= 150
    assert size < 20_000
    # A restart reads no more than what came after.
    reads: list[int] = []

    class Counting(MemoryJournal):
        async def read(self, *, after: int, limit: int = 256) -> list[Entry]:
            reads.append(after)
            return await super().read(after=after, limit=limit)

    counting = Counting(drill.uuid)
    counting.entries, counting.end = stage.journal.entries, stage.journal.end
    stage.journal = counting
    async with stage.running():
        await stage.reached()
    assert min(reads) >= position


async def test_an_activation_commits_its_rows_and_a_snapshot(
    state: State, clock: VirtualClock
) -> None:
    journal = MemoryJournal()
    stage = Stage(journal, state, clock, NETWORK)
    sites, assets = ring_and_spur()
    async with stage.running():
        await journal.append(Activation(T0, "linh", sites=sites, add=assets))
        await stage.reached()
        assert set(stage.live.states) == {asset.id for asset in assets}
        await journal.append(Activation(T0, "linh", retire=["D3"]))
        await journal.append(Tick(T0, True))
        await stage.reached()
        assert "D3" not in stage.live.states
    start = await state.run(lambda connection: saved.read_start(connection, journal.uuid))
    assert set(start.inventory.assets) == {asset.id for asset in assets} - {"D3"}
    assert start.inventory.sites["CORE"].core
    assert start.snapshot_position == 2
    async with stage.running():
        await stage.reached()
        assert len(stage.live.states) == len(assets) - 1


async def test_other_rules_after_a_restart(drill: Drill, state: State, clock: VirtualClock) -> None:
    drill.read("D1", level=11)
    drill.read("D2", mains_ok=False)
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running():
        await stage.reached()
    stage.catalog = catalog_of(HIGH)
    async with stage.running():
        await stage.reached(3)  # the activation that the stage journals itself
        assert [one.source for one in stage.live.alarms.values()] == ["high"]
    last = (await stage.transitions())[-1]
    assert (last.kind, last.alarm.source, last.text) == ("cleared", "mains", "rule removed")
    async with stage.running():  # nothing more to adopt
        await stage.reached()
        assert stage.journal.end == 3
        assert len(await stage.transitions()) == 3


async def test_a_new_journal_keeps_the_alarms_that_stand(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    drill.read("D1", level=11)
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running():
        await stage.reached()
    stage.journal = MemoryJournal("of another disk")
    async with stage.running():
        await stage.journal.append(Batch([drill.reading("D1", at_s=10, level=1)]))
        await stage.reached(2)
        assert stage.live.alarms == {}
    assert [one.kind for one in await stage.transitions()] == ["raised", "cleared"]


async def test_a_replay_that_differs_is_not_believed(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    drill.read("D1", level=11)
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running():
        await stage.reached()
        drill.read("D2", level=11)
        await stage.journal.append(drill.entries[-1].record)
        await stage.reached()
    stage.journal.entries = [  # what the journal says now is not what was committed
        *stage.journal.entries[:1],
        Entry(2, T0, Batch([drill.reading("D2", level=1)])),
    ]
    async with stage.running():
        await stage.reached(3)
        assert {one.asset for one in stage.live.alarms.values()} == {"D1", "D2"}
    assert len(await stage.transitions()) == 2


async def test_a_damaged_snapshot_is_not_fatal(
    drill: Drill, state: State, clock: VirtualClock
) -> None:
    drill.read("D1", level=11)
    stage = Stage(journal_of(drill), state, clock, NETWORK)
    await put_in_force(stage, drill)
    async with stage.running():
        await stage.reached()

    def damage(connection: Connection) -> None:
        connection.execute(schema.snapshot.update().values(content=b"damaged"))

    await state.run(damage)
    async with stage.running():
        await stage.reached(2)
        assert len(stage.live.alarms) == 1
