"""Every transition of an alarm is told to the time series: none missing, none told as two."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from ioc.alarms import series
from ioc.alarms.history import transitions_after
from ioc.alarms.model import Alarm, Impact, Transition
from ioc.alarms.series import alarm_series, columns_of, row_of
from ioc.catalog import load_catalog
from ioc.clock import VirtualClock
from ioc.errors import JournalFullError, StateUnavailableError, StoreUnavailableError
from ioc.inventory import Asset, Inventory
from ioc.journal import open_journal
from ioc.journal.records import Derived, Entry, Reading, Record
from ioc.state import State
from ioc.store import Query, Store, open_store
from ioc.store.derived import DERIVED
from ioc.store.write import store_readings
from ioc.supervise import StageHealth
from tests.notify.parts import START_MS, alarm, commit

Result = TypeVar("Result")


def inventory() -> Inventory:
    return Inventory(
        assets=[
            Asset(
                id=id_,
                kind="span",
                name=id_,
                province="khanh-hoa",
                commune="22366",
                site="S-1",
                lat=12.2,
                lon=109.1,
            )
            for id_ in ("NT-0412", "NT-0413")
        ]
    )


class MemoryJournal:
    """A journal's order of events, without its disk."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.full = False

    async def append(self, *records: Record) -> int:
        await asyncio.sleep(0)
        if self.full:
            raise JournalFullError("full")
        for record in records:
            self.entries.append(Entry(len(self.entries) + 1, START_MS, record))
        return len(self.entries)

    @property
    def rows(self) -> list[Reading]:
        return rows_of(self.entries)


def rows_of(entries: list[Entry]) -> list[Reading]:
    return [
        item
        for entry in entries
        if isinstance(entry.record, Derived)
        for item in entry.record.items
    ]


class Flaky:
    """A state database that does not answer while ``away``."""

    def __init__(self, state: State) -> None:
        self.state, self.away = state, False

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        if self.away:
            raise StateUnavailableError("state database: connection refused")
        return await self.state.run(work)


@asynccontextmanager
async def running(
    journal: Any, state: Any, clock: Any, health: StageHealth | None = None
) -> AsyncIterator[StageHealth]:
    health = health or StageHealth(name="alarm_series")
    task = asyncio.create_task(
        alarm_series(journal, state=state, inventory=inventory(), clock=clock, health=health)
    )
    try:
        yield health
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(clock: VirtualClock, reached: Callable[[], bool]) -> None:
    """Let the stage's seconds pass until this holds. Its transactions are in threads of their own:
    only the outer limit is by the machine's clock."""
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.002)
            await clock.advance(0.5)


async def commits(state: State, count: int, *, first: int = 0) -> None:
    """An alarm raised, suppressed, commented, cleared, over and over, on two assets."""

    def work(connection: Connection) -> None:
        for n in range(first, first + count):
            one = alarm(
                f"A{n // 8}", asset=("NT-0412", "NT-0413")[n % 2], raised_ms=START_MS + n // 8
            )
            kind = ("raised", "suppressed", "commented", "cleared")[n % 4]
            # Several in one millisecond: what tells them apart is their id.
            commit(connection, one, kind, at_ms=START_MS + n // 5)  # type: ignore[arg-type]  # one of them

    await state.run(work)


async def all_rows(state: State) -> list[Reading]:
    transitions = await state.run(lambda connection: transitions_after(connection, 0, 100_000))
    return [row_of(transition) for transition in transitions]


def once(rows: list[Reading]) -> list[Reading]:
    """Rows with their repeats taken out. A repeat is the same in everything."""
    found: dict[tuple[str, int], Reading] = {}
    for row in rows:
        assert found.setdefault((row.asset, row.time_us), row) == row
    return list(found.values())


def test_a_transition_as_a_row() -> None:
    cleared: Alarm = alarm(
        "a-1",
        asset="NT-0412",
        state="cleared",
        object="cell-2",
        value=-41.5,
        threshold=-35.0,
        metric="rx_power_dbm",
        acknowledged=True,
        acknowledged_by="an",
        parent="a-0",
        suppressed=True,
        cleared_ms=START_MS + 61_500,
        impact=Impact(assets=3, stations=2, population=900),
    )
    row = row_of(
        Transition(
            id=4_012,
            position=7,
            at_ms=START_MS + 61_500,
            kind="cleared",
            actor="an",
            text="mended",
            alarm=cleared,
        )
    )
    assert (row.kind, row.asset, row.ts_ms) == ("alarm", "NT-0412", START_MS + 61_500)
    assert row.time_us == (START_MS + 61_500) * 1000 + 12
    assert row.values == {
        "alarm": "a-1",
        "severity": "critical",
        "event_type": "communications",
        "probable_cause": "lossOfSignal",
        "source": "span-loss-of-signal",
        "object": "cell-2",
        "text_vi": "Mất tín hiệu quang",
        "text_en": "Loss of signal",
        "metric": "rx_power_dbm",
        "value": -41.5,
        "threshold": -35.0,
        "acknowledged": True,
        "acknowledged_by": "an",
        "suppressed": True,
        "parent": "a-0",
        "raised_ms": START_MS,
        "impact_assets": 3,
        "impact_stations": 2,
        "impact_population": 900,
        "transition": "cleared",
        "state": "cleared",
        "actor": "an",
        "comment": "mended",
        "cleared_ms": START_MS + 61_500,
        "duration_s": 61.5,
    }
    assert row.values.keys() | {"severity_rank"} == DERIVED["alarm"].keys(), "every column is told"
    assert columns_of(cleared).keys() <= DERIVED["alarm_active"].keys()
    # What an alarm does not have is left out, not told as nothing.
    plain = columns_of(alarm("a-2"))
    assert not plain.keys() & {"object", "metric", "value", "parent", "impact_assets"}
    assert plain["suppressed"] is False


async def test_every_transition_is_journalled_in_order(state: State, clock: VirtualClock) -> None:
    journal = MemoryJournal()
    await commits(state, 600)  # more than a step takes
    async with running(journal, state, clock) as health:
        await until(clock, lambda: health.position == 600)
        assert health.ready
        assert health.behind == 0
        await commits(state, 10, first=600)
        await until(clock, lambda: health.position == 610)
        assert health.counters == {"transitions": 610}
    assert journal.rows == await all_rows(state)
    assert len(once(journal.rows)) == 610, "each has a time of its own"


async def test_a_restart_goes_on_where_it_was(state: State, clock: VirtualClock) -> None:
    journal = MemoryJournal()
    for count in range(3):
        await commits(state, 5, first=5 * count)
        async with running(journal, state, clock) as health:
            await until(clock, lambda until=5 * count + 5: health.position == until)  # type: ignore[misc]  # bound now
    assert journal.rows == await all_rows(state)


async def test_what_cannot_be_done_now_is_done_later(state: State, clock: VirtualClock) -> None:
    journal, database = MemoryJournal(), Flaky(state)
    async with running(journal, database, clock) as health:
        await commits(state, 3)
        await until(clock, lambda: health.position == 3)
        for obstacle, name in ((database, "away"), (journal, "full")):
            setattr(obstacle, name, True)
            await commits(state, 3, first=health.position)
            await until(clock, lambda: not health.ready)
            assert health.last_error
            told = len(journal.rows)
            await clock.advance(30)
            assert len(journal.rows) == told
            setattr(obstacle, name, False)
            await until(clock, lambda told=told: health.position == told + 3)  # type: ignore[misc]  # bound now
            assert health.ready
    assert journal.rows == await all_rows(state)


async def test_an_asset_that_nobody_knows_any_more(state: State, clock: VirtualClock) -> None:
    journal = MemoryJournal()
    await state.run(lambda c: commit(c, alarm("gone", asset="KH-OLD"), "raised"))
    await commits(state, 1)
    async with running(journal, state, clock) as health:
        await until(clock, lambda: health.position == 2)
        assert health.counters == {"transitions": 1, "unknown_asset": 1}
    assert [row.asset for row in journal.rows] == ["NT-0412"]


class Died(BaseException):
    """The process ends here."""


class Mortal:
    """Journal and state database of a process that ends after so many steps, before or after the
    step has taken effect."""

    def __init__(self, journal: MemoryJournal, state: State, *, steps: float, after: bool) -> None:
        self._journal, self._state = journal, state
        self._left, self._after = steps, after

    async def append(self, *records: Record) -> int:
        position: int = await self._step(lambda: self._journal.append(*records))
        return position

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        result: Result = await self._step(lambda: self._state.run(work))
        return result

    async def _step(self, work: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Died
        result = await work()
        if self._left < 0:
            raise Died
        return result


@pytest.mark.parametrize("seed", range(6))
async def test_ended_anywhere_nothing_is_missing(
    seed: int, state: State, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "BATCH", 3)
    luck, journal, committed, lives = random.Random(seed), MemoryJournal(), 0, 0
    while lives < 25:
        lives += 1
        more = luck.randrange(6)
        await commits(state, more, first=committed)
        committed += more
        mortal = Mortal(journal, state, steps=luck.randrange(8), after=luck.random() < 0.5)
        health = StageHealth(name="alarm_series")
        life = alarm_series(mortal, state=mortal, inventory=inventory(), clock=clock, health=health)  # type: ignore[arg-type]  # as much of a State as it needs
        task = asyncio.create_task(life)
        with suppress(Died):
            while not task.done():
                await asyncio.sleep(0.001)
                await clock.advance(1)
            await task
    async with running(journal, state, clock) as health:
        await until(clock, lambda: health.position == committed)
    assert once(journal.rows) == await all_rows(state)


PROCESS = """
import asyncio, sys
from pathlib import Path
from ioc.alarms import series
from ioc.clock import SystemClock
from ioc.journal import open_journal
from ioc.state import open_state
from ioc.supervise import StageHealth
from tests.alarms.test_series import inventory

series.BATCH, series.POLL_S = 3, 0.05

async def main(folder, database):
    clock = SystemClock()
    async with (
        open_journal(Path(folder), clock=clock, bound_bytes=2**26, reserve_bytes=0) as journal,
        open_state(database) as state,
    ):
        await series.alarm_series(
            journal,
            state=state,
            inventory=inventory(),
            clock=clock,
            health=StageHealth(name="alarm_series"),
        )

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
async def test_killed_again_and_again(state: State, state_url: str, tmp_path: Path) -> None:
    """A real process, ended by kill -9 in the midst of its work."""
    await commits(state, 150)
    folder = tmp_path / "journal"
    luck, kills, noted = random.Random(5), 0, 0
    async with asyncio.timeout(120):
        while noted < 150:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PROCESS, str(folder), state_url),
                cwd=Path(__file__).parents[2],
            )
            try:
                begun = noted
                while noted == begun:  # it has got somewhere
                    await asyncio.sleep(0.005)
                    noted, _ = await state.run(series._next)
                if kills < 2:
                    await asyncio.sleep(luck.uniform(0, 0.1))
                    kills += 1
                else:
                    while noted < 150:
                        await asyncio.sleep(0.05)
                        noted, _ = await state.run(series._next)
            finally:
                process.send_signal(signal.SIGKILL)
                await process.wait()
    assert kills == 2
    async with open_journal(
        folder, clock=VirtualClock(), bound_bytes=2**26, reserve_bytes=0
    ) as journal:
        entries: list[Entry] = []
        while more := await journal.read(after=entries[-1].position if entries else 0):
            entries += more
    assert once(rows_of(entries)) == await all_rows(state)


class Away:
    """A store that can be away."""

    def __init__(self, store: Store) -> None:
        self._store, self.away = store, False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*given: Any, **named: Any) -> Any:
            if self.away:
                raise StoreUnavailableError("connection refused")
            return await method(*given, **named)

        return call


async def test_after_an_outage_of_the_store_nothing_is_missing(
    state: State, clock: VirtualClock, tmp_path: Path
) -> None:
    """On the real journal and store; some rows are journalled twice, as after a kill."""
    async with (
        open_journal(tmp_path / "j", clock=clock, bound_bytes=2**26, reserve_bytes=0) as journal,
        open_store(
            f"duckdb:///{tmp_path / 'series.duckdb'}", catalog=load_catalog(), clock=clock
        ) as real,
    ):
        store, health = Away(real), StageHealth(name="store")
        storing = asyncio.create_task(
            store_readings(
                journal,
                inventory=inventory(),
                into=store,
                clock=clock,
                health=health,
            )
        )
        try:
            async with running(journal, state, clock) as told:
                await commits(state, 40)
                await until(clock, lambda: told.position == 40 and health.position == journal.end)
                store.away = True
                await commits(state, 300, first=40)
                await until(clock, lambda: told.position == 340 and not health.ready)
                assert told.ready, "alarms go on without the store"
            # It ended between append and note: the last ones come again, after an hour.
            await clock.advance(3600)
            await state.run(lambda connection: series._note(connection, 300))
            async with running(journal, state, clock) as told:
                await until(clock, lambda: told.position == 340)
            store.away = False
            await until(clock, lambda: health.ready and health.position == journal.end)
            # And once more, of what is stored by now.
            await state.run(lambda connection: series._note(connection, 320))
            async with running(journal, state, clock) as told:
                await until(clock, lambda: told.position == 340)
            await until(clock, lambda: health.position == journal.end)
        finally:
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
        assert not await journal.quarantined()
        answer = await real.query(
            Query.model_validate(
                {
                    "measurement": "alarm",
                    "columns": [
                        {"metric": name} for name in ("alarm", "transition", "severity_rank")
                    ],
                    "start_ms": START_MS,
                    "stop_ms": START_MS + 1000,
                    "limit": 1000,
                }
            )
        )
        expected = sorted(
            (row.time_us, row.values["alarm"], row.values["transition"], 1)
            for row in await all_rows(state)
        )
        assert sorted(tuple(row) for row in answer.rows) == expected
