"""Ingest through a broker that restarts, a disk that stalls and a journal that is full."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ioc.clock import SystemClock
from ioc.ingest import Ingest, IngestSettings
from ioc.ingest.broker import Broker
from ioc.journal import Journal, open_journal
from ioc.journal.records import Batch, Reading, Tick
from ioc.supervise import StageHealth
from tests.faults.audit import faults
from tests.faults.publisher import Key, Publisher
from tests.ingest.lab import lab_catalog, lab_inventory
from tests.servers import Server

CLOCK = SystemClock()


class HeldJournal:
    """A journal whose batches wait until they are let through, one by one: received, and not yet
    committed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.holds = False
        self.held: list[asyncio.Event] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def append(self, *records: Any, **rest: Any) -> int:
        if records and isinstance(records[0], Batch) and self.holds:
            gate = asyncio.Event()
            self.held.append(gate)
            await gate.wait()
        return await self._journal.append(*records, **rest)


@contextlib.asynccontextmanager
async def ingesting(broker: Server, journal: Any) -> AsyncIterator[StageHealth]:
    """Ingest runs, connected, until the block ends."""
    health = StageHealth(name="ingest")
    stage = Ingest(
        Broker(broker.host, broker.port),
        catalog=lab_catalog(),
        inventory=lab_inventory(100),
        into=journal,
        clock=CLOCK,
        health=health,
        settings=IngestSettings(grace_s=1.0),
    )
    running = asyncio.create_task(stage.run())
    try:
        await until(lambda: health.ready)
        yield health
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Any, *, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # other processes have nothing to say it by
            await asyncio.sleep(0.02)


async def readings(journal: Journal) -> Counter[Key]:
    found: Counter[Key] = Counter()
    after = 0
    while entries := await journal.read(after=after):
        after = entries[-1].position
        for entry in entries:
            if isinstance(entry.record, Batch):
                for item in entry.record.items:
                    assert isinstance(item, Reading)
                    assert item.boot is not None
                    assert item.seq is not None
                    found[(item.asset, item.boot, item.seq)] += 1
    return found


async def all_admitted(journal: Journal, sent: Sequence[Key], *, within_s: float = 20) -> None:
    """Everything sent is there once; a moment later too."""
    async with asyncio.timeout(within_s):
        while faults(sent, await readings(journal))[0]:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    assert faults(sent, await readings(journal)) == (set(), set())


def opened(tmp_path: Path, **settings: Any) -> Any:
    given: dict[str, Any] = {"bound_bytes": 1 << 28, "reserve_bytes": 0}
    return open_journal(tmp_path / "journal", clock=CLOCK, **(given | settings))


@pytest.mark.slow
async def test_a_broker_that_restarts_between_receive_and_commit(
    tmp_path: Path, broker: Server
) -> None:
    """The first reading is received, the broker restarts, a second is sent under what may be the
    first one's packet id; the first is committed, and the process ends before the second is."""
    async with opened(tmp_path) as journal:
        held = HeldJournal(journal)
        held.holds = True
        async with ingesting(broker, held) as health:
            with Publisher(broker.port, assets=1) as publisher:
                publisher.send(1)
                publisher.wait()
                await until(lambda: len(held.held) == 1)
                broker.stop()
            await until(lambda: not health.ready)
            broker.start()
            with Publisher(broker.port, assets=1, boot=2) as second:
                second.send(1)
                second.wait()
            held.held[0].set()
            await until(lambda: len(held.held) == 2)
            await asyncio.sleep(0.2)  # where a wrong PUBACK can go out, it has gone
    sent = publisher.sent + second.sent
    async with opened(tmp_path) as journal:
        assert faults(sent, await readings(journal)) == ({second.sent[0]}, set())
        async with ingesting(broker, journal):
            await all_admitted(journal, sent)


@pytest.mark.slow
async def test_a_broker_that_restarts_under_load(tmp_path: Path, broker: Server) -> None:
    async with opened(tmp_path) as journal, ingesting(broker, journal) as health:
        with Publisher(broker.port) as publisher:
            for _ in range(3):
                await asyncio.to_thread(publisher.send, 200, per_s=400)
                broker.stop()
                broker.start()
            await asyncio.to_thread(publisher.send, 200, per_s=400)
            await asyncio.to_thread(publisher.wait)
            await all_admitted(journal, publisher.sent)
            assert health.counters["disconnects"] >= 3
            ticks = [e.record for e in await journal.read(after=0) if isinstance(e.record, Tick)]
            assert not all(tick.listening for tick in ticks)


@pytest.mark.slow
async def test_a_disk_that_stalls(tmp_path: Path, broker: Server) -> None:
    """A commit that takes over a second: the broker is told nothing, and keeps what comes."""
    async with opened(tmp_path) as journal:
        held = HeldJournal(journal)
        async with ingesting(broker, held) as health:
            with Publisher(broker.port) as publisher:
                held.holds = True
                await asyncio.to_thread(publisher.send, 300, per_s=300)
                await until(lambda: not health.ready)
                assert "over 1 s" in health.last_error
                await asyncio.sleep(1.5)
                assert not health.ready  # it waits for the disk before it asks for more
                held.holds = False
                for gate in held.held:
                    gate.set()
                await asyncio.to_thread(publisher.send, 100, per_s=300)
                await asyncio.to_thread(publisher.wait)
                await all_admitted(journal, publisher.sent)
                assert health.ready


@pytest.mark.slow
async def test_a_full_journal_stops_admission_and_resumes_by_itself(
    tmp_path: Path, broker: Server
) -> None:
    found: Counter[Key] = Counter()
    position = 0
    async with opened(
        tmp_path, bound_bytes=300_000, keep_s=0, consumers=("store",), cache_bytes=10_000
    ) as journal:

        async def count() -> None:
            """The consumer: what it has counted, the journal may forget."""
            nonlocal position
            async for entries in journal.follow(after=0):
                position = entries[-1].position
                for entry in entries:
                    if isinstance(entry.record, Batch):
                        for item in entry.record.items:
                            assert isinstance(item, Reading)
                            found[(item.asset, item.boot or 0, item.seq or 0)] += 1

        counting = asyncio.create_task(count())
        async with ingesting(broker, journal) as health:
            with Publisher(broker.port, assets=100) as publisher:
                while journal.status().admits and len(publisher.sent) < 20_000:
                    await asyncio.to_thread(publisher.send, 500, per_s=2000)
                await until(lambda: not health.ready)
                assert "taken" in health.last_error or "full" in health.note
                used = journal.status().bytes
                await asyncio.to_thread(publisher.send, 500)  # the broker holds these
                await asyncio.to_thread(publisher.wait)
                await asyncio.sleep(1)
                assert journal.status().bytes <= max(used, 300_000)
                # The store is back: its position moves on, and nobody does anything else.
                async with asyncio.timeout(30):
                    while faults(publisher.sent, found)[0]:
                        await journal.note("store", position)
                        await asyncio.sleep(0.1)
                assert health.counters["refused"] >= 1
                assert faults(publisher.sent, found) == (set(), set())
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
