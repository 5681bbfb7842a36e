"""A day of the province lived through in minutes: the service's own stages on a virtual clock.

Messages of the simulators go through ingest's own decisions into a real journal; alarms, measures,
derived series and roll-ups come about as in the service, and a real store takes them. Only the
broker and the web are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ioc.alarms.evaluate import evaluate
from ioc.alarms.live import Live
from ioc.alarms.series import alarm_series
from ioc.catalog import load_catalog
from ioc.clock import VirtualClock
from ioc.ingest.broker import Broker
from ioc.ingest.broker import Message as Received
from ioc.ingest.ingest import Ingest
from ioc.inventory import Inventory
from ioc.inventory.change import activate
from ioc.inventory.file import read_inventory, write_inventory
from ioc.inventory.load import load_inventory
from ioc.inventory.province import load_province
from ioc.journal import Journal, open_journal
from ioc.journal.records import Batch, Measure, Tick
from ioc.kpi.measure import measure
from ioc.kpi.own import Machine, measure_own
from ioc.kpi.plan import Plan
from ioc.notify.notify import notify
from ioc.state import open_state
from ioc.state.database import State
from ioc.store import Store, open_store
from ioc.store.roll_up import Retention, roll_up
from ioc.store.write import store_readings
from ioc.supervise import Health, supervise
from simulators.messages import Message
from simulators.province import Province
from simulators.world import build_world

# The engine takes longer steps for a machine that slept, and would not judge silence.
STEP_S = 5.0
# What stages wait for each other at a start, by the clock.
WARM_UP_S = 10.0
# How far the store may stay behind, in steps: it gathers by the clock, as in the service.
STORED_EVERY = 60
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A fault of the day. ``at_s`` counts from the day's begin; ``fault`` as in `ioc simulate
    inject`."""

    at_s: float
    for_s: float
    fault: str
    asset: str


@dataclass(kw_only=True)
class Day:
    """What a day left behind. The store holds it in ``[start_ms, stop_ms)``; ``measures`` are the
    service's last ones, by name, scope and place."""

    start_ms: int
    stop_ms: int
    inventory: Inventory
    measures: dict[tuple[str, str, str], Measure] = field(default_factory=dict)
    alarms_raised: int = 0
    messages: int = 0


async def live_through(
    folder: Path,
    *,
    store_url: str,
    scale: float,
    hours: float,
    start_ms: int,
    troubles: Callable[[Province], Iterable[Trouble]] = lambda _: (),
    seed: int = 1,
) -> Day:
    """Let the province send for ``hours``, with these troubles, and store all that comes of it.

    Begins at ``start_ms`` (Unix ms, a whole minute). Raises ``AssertionError`` where a message is
    not admitted or a stage fails: a day that is not whole proves nothing.
    """
    catalog, profile = load_catalog(), load_province("khanh-hoa")
    sites, assets = build_world(profile, seed=seed, scale=scale)
    inventory_file = folder / "inventory.json"
    write_inventory(inventory_file, province=profile.id, sites=sites, assets=assets)
    clock = VirtualClock(start_ms=start_ms - round(WARM_UP_S * 1000))
    province = Province(
        read_inventory(inventory_file),
        catalog=catalog,
        seed=seed,
        start_ms=start_ms,
        tick_s=STEP_S,
        boot=1,
    )
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(
            open_journal(
                folder / "journal",
                clock=clock,
                bound_bytes=4096 * MIB,
                reserve_bytes=16 * MIB,
                gather_s=0.0,
            )
        )
        store = await stack.enter_async_context(open_store(store_url, catalog=catalog, clock=clock))
        state = await stack.enter_async_context(open_state(f"sqlite:///{folder / 'state.db'}"))
        inventory = await load_inventory(state, journal)
        await activate(journal, inventory, catalog, file=inventory_file, clock=clock)
        service = _Service(journal, store, state, inventory, clock, folder=folder)
        stages = asyncio.create_task(service.run(Plan(profile)))
        stack.push_async_callback(_end, stages)
        return await service.live(province, hours=hours, troubles=troubles(province))


class _Service:
    def __init__(
        self,
        journal: Journal,
        store: Store,
        state: State,
        inventory: Inventory,
        clock: VirtualClock,
        *,
        folder: Path,
    ) -> None:
        self._folder = folder
        self._journal, self._store, self._state = journal, store, state
        self._inventory, self._clock = inventory, clock
        self._catalog = load_catalog()
        self._health, self._live = Health(), Live()
        self._ingest = Ingest(
            Broker("127.0.0.1", 1),
            catalog=self._catalog,
            inventory=inventory,
            into=journal,
            clock=clock,
            health=self._health.stage("ingest"),
        )

    async def run(self, plan: Plan) -> None:
        """The stages of ``ioc.app`` that a stored day needs."""
        journal, clock, inventory = self._journal, self._clock, self._inventory
        await supervise(
            clock=clock,
            health=self._health,
            store=lambda mine: store_readings(
                journal, inventory=inventory, into=self._store, clock=clock, health=mine
            ),
            rollup=lambda mine: roll_up(
                journal,
                catalog=self._catalog,
                into=self._store,
                clock=clock,
                health=mine,
                retention=Retention(raw_days=30, days_5m=365, days_1h=1826),
            ),
            kpi=lambda mine: measure(
                journal,
                plan=plan,
                catalog=self._catalog,
                inventory=inventory,
                live=self._live,
                clock=clock,
                health=mine,
            ),
            alarms=lambda mine: evaluate(
                journal,
                catalog=self._catalog,
                state=self._state,
                live=self._live,
                clock=clock,
                health=mine,
            ),
            alarm_series=lambda mine: alarm_series(
                journal, state=self._state, inventory=inventory, clock=clock, health=mine
            ),
            notify=lambda mine: notify(self._state, routes=[], clock=clock, health=mine),
            own=lambda mine: measure_own(
                journal,
                province=plan.province,
                catalog=self._catalog,
                inventory=inventory,
                live=self._live,
                health=self._health,
                mine=mine,
                clock=clock,
                machine=Machine(self._folder),
            ),
        )

    async def live(self, province: Province, *, hours: float, troubles: Iterable[Trouble]) -> Day:
        clock, journal = self._clock, self._journal
        await self._warm_up()
        start_ms = clock.now_ms()
        day = Day(start_ms=start_ms, stop_ms=start_ms, inventory=self._inventory)
        behind = 0
        to_come = sorted(troubles, key=lambda trouble: trouble.at_s)
        for step in range(1, round(hours * 3600 / STEP_S) + 1):
            while to_come and to_come[0].at_s <= step * STEP_S:
                trouble = to_come.pop(0)
                province.begin(trouble.fault, trouble.asset, for_s=trouble.for_s)
            await clock.advance(STEP_S)
            messages = province.tick()
            day.messages += len(messages)
            decided = self._ingest.decide([_received(message) for message in messages])
            assert not decided.quarantined, decided.quarantined[0]
            position = await journal.append(
                Batch(items=decided.items), Tick(clock.now_ms(), listening=True)
            )
            await self._reached("alarms", "kpi", position=position)
            if step % STORED_EVERY == 0:
                await self._reached("store", position=behind)
                behind = position
        day.stop_ms = clock.now_ms()
        for _ in range(10):  # the store gathers for two seconds
            await clock.advance(1.0)
            await asyncio.sleep(0.1)
        await self._reached("store", position=behind)
        day.measures = dict(self._live.measures)
        return day

    async def _warm_up(self) -> None:
        """Let ``WARM_UP_S`` pass, in which the stages find each other."""
        for _ in range(round(WARM_UP_S / 0.25)):
            await self._clock.advance(0.25)
            await asyncio.sleep(0.02)

    async def _reached(self, *stages: str, position: int) -> None:
        """Return once these stages have taken the journal up to ``position``."""
        for name in stages:
            stage = self._health.stage(name)
            for _ in range(20_000):
                assert stage.restarts == 0, f"{name}: {stage.last_error}"
                if stage.position >= position:
                    break
                await asyncio.sleep(0.0005)
            else:
                raise AssertionError(f"{name}: stays at {stage.position}, not {position}")


def _received(message: Message) -> Received:
    return Received(message.topic, message.payload, len(message.payload), qos=1, packet_id=0)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
