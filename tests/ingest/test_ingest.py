"""What ingest decides, remembers and forgets; without a broker."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ioc.clock import VirtualClock
from ioc.errors import BrokerError, JournalError, JournalFullError
from ioc.ingest import Ingest, IngestSettings
from ioc.ingest.broker import Broker, Message, Session
from ioc.journal import Journal, open_journal
from ioc.journal.records import Activation, Batch, DeviceAlarm, Reading, Tick
from ioc.supervise import StageHealth
from tests.ingest.lab import NOW_MS, asset, lab_catalog, lab_inventory, topic


class Line(Session):
    """A session without a connection: it remembers what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[Message] = []
        self.overflowed = False

    @property
    def waiting(self) -> int:
        return 0

    def acknowledge(self, messages: Any) -> None:
        self.acknowledged += messages


def message(
    seq: int | None = None, *, asset_id: str = "KH00001", ts: int = NOW_MS, **fields: Any
) -> Message:
    content: dict[str, Any] = {"ts": ts, **(fields or {"dc_voltage_v": 53.5})}
    if seq is not None:
        content |= {"seq": seq, "boot": 1}
    payload = json.dumps(content).encode()
    return Message(topic(asset_id), payload, len(payload), 1, 1)


def alarm(state: str = "raised", ts: int = NOW_MS) -> Message:
    payload = json.dumps(
        {
            "ts": ts,
            "alarm_id": "a1",
            "state": state,
            "severity": "major",
            "event_type": "equipment",
            "probable_cause": "rectifierFailure",
        }
    ).encode()
    return Message(topic(channel="alarm"), payload, len(payload), 1, 1)


def stage_on(
    journal: Journal,
    clock: VirtualClock,
    health: StageHealth | None = None,
    settings: IngestSettings | None = None,
) -> Ingest:
    return Ingest(
        Broker("127.0.0.1", 1),
        catalog=lab_catalog(),
        inventory=lab_inventory(),
        into=journal,
        clock=clock,
        health=health or StageHealth(name="ingest"),
        settings=settings,
    )


async def seqs_in(journal: Journal) -> list[int | None]:
    return [
        item.seq
        for entry in await journal.read(after=0)
        if isinstance(entry.record, Batch)
        for item in entry.record.items
        if isinstance(item, Reading)
    ]


class TestAdmit:
    async def test_acknowledges_after_the_commit(self, stage: Ingest, journal: Journal) -> None:
        line = Line()
        messages = [message(1), message(2)]
        await stage.admit(line, messages)
        assert await seqs_in(journal) == [1, 2]
        assert line.acknowledged == messages

    async def test_a_duplicate_is_acknowledged_and_not_admitted_again(
        self, stage: Ingest, journal: Journal, health: StageHealth
    ) -> None:
        line = Line()
        await stage.admit(line, [message(1), message(1)])
        await stage.admit(line, [message(1)])
        assert await seqs_in(journal) == [1]
        assert len(line.acknowledged) == 3
        assert health.counters["duplicates"] == 2

    async def test_bad_input_is_quarantined_and_acknowledged(
        self, stage: Ingest, journal: Journal, health: StageHealth
    ) -> None:
        line = Line()
        await stage.admit(line, [message(1, dc_voltage_v=999.0), message(2)])
        assert await seqs_in(journal) == [2]
        assert [q.reason for q in await journal.quarantined()] == ["out_of_range"]
        assert len(line.acknowledged) == 2
        assert health.counters["quarantined_out_of_range"] == 1

    async def test_a_gap_is_counted_and_written_beside_the_reading(
        self, stage: Ingest, journal: Journal, health: StageHealth
    ) -> None:
        await stage.admit(Line(), [message(1), message(5), message(3)])
        entry = (await journal.read(after=0))[0]
        assert isinstance(entry.record, Batch)
        assert [item.missed for item in entry.record.items if isinstance(item, Reading)] == [
            0,
            3,
            0,
        ]
        assert (health.counters["missed"], health.counters["late"]) == (3, 1)

    async def test_readings_without_seq_can_repeat_with_another_time(
        self, stage: Ingest, journal: Journal
    ) -> None:
        await stage.admit(Line(), [message(), message(ts=NOW_MS + 1), message()])
        assert len(await seqs_in(journal)) == 2

    async def test_an_alarm_is_admitted_once(self, stage: Ingest, journal: Journal) -> None:
        await stage.admit(Line(), [alarm(), alarm(), alarm("cleared", ts=NOW_MS + 5)])
        entry = (await journal.read(after=0))[0]
        assert isinstance(entry.record, Batch)
        assert [i.state for i in entry.record.items if isinstance(i, DeviceAlarm)] == [
            "raised",
            "cleared",
        ]

    async def test_what_the_journal_refuses_comes_again_and_is_new(
        self, stage: Ingest, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = Line()
        await stage.admit(line, [message(1)])
        with monkeypatch.context() as full:
            full.setattr(journal, "_refusal", lambda *_, **__: "full")
            with pytest.raises(JournalFullError):
                await stage.admit(line, [message(2), message(), message(1)])
        assert len(line.acknowledged) == 1
        await stage.admit(line, [message(2), message(), message(1)])
        assert await seqs_in(journal) == [1, 2, None]
        assert len(line.acknowledged) == 4

    async def test_a_commit_that_takes_too_long_ends_the_connection(
        self,
        stage: Ingest,
        journal: Journal,
        clock: VirtualClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        held = asyncio.Event()
        real = journal.append

        async def slow(*args: Any, **kwargs: Any) -> int:
            await held.wait()
            return await real(*args, **kwargs)

        monkeypatch.setattr(journal, "append", slow)
        line = Line()
        admitting = asyncio.create_task(stage.admit(line, [message(1)]))
        await clock.advance(0.9)
        assert not admitting.done()
        await clock.advance(0.2)
        with pytest.raises(BrokerError, match="over 1 s"):
            await admitting
        assert line.acknowledged == []
        held.set()
        await stage._settle()  # it was written after all: known as a duplicate when it comes again
        await stage.admit(line, [message(1)])
        assert await seqs_in(journal) == [1]
        assert len(line.acknowledged) == 1

    async def test_a_journal_in_doubt_ends_the_stage(
        self, stage: Ingest, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: Any, **__: Any) -> int:
            raise JournalError("disk I/O error")

        monkeypatch.setattr(journal, "append", broken)
        line = Line()
        with pytest.raises(JournalError):
            await stage.admit(line, [message(1)])
        assert line.acknowledged == []


class TestRestore:
    async def test_knows_again_what_the_journal_has(
        self, stage: Ingest, journal: Journal, clock: VirtualClock
    ) -> None:
        sent = [message(1), message(4), message(), alarm()]
        await stage.admit(Line(), sent)
        again = stage_on(journal, clock)
        await again.restore()
        before = journal.end
        await again.admit(Line(), sent)
        assert journal.end == before

    @pytest.mark.parametrize("with_checkpoint", [True, False])
    async def test_after_a_restart_of_the_process(
        self, tmp_path: Path, clock: VirtualClock, with_checkpoint: bool
    ) -> None:
        def opened() -> Any:
            return open_journal(
                tmp_path / "j", clock=clock, bound_bytes=1 << 28, reserve_bytes=0, gather_s=0
            )

        first, then = [message(1), message()], [message(3), alarm()]
        async with opened() as journal:
            stage = stage_on(journal, clock)
            await stage.admit(Line(), first)
            if with_checkpoint:
                await journal.append(checkpoint=stage._memory())
            await stage.admit(Line(), then)
        async with opened() as journal:
            health = StageHealth(name="ingest")
            stage = stage_on(journal, clock, health)
            await stage.restore()
            end = journal.end
            await stage.admit(Line(), first + then)
            assert journal.end == end
            # The gap (seq 2) is still open, and its storage time is free.
            await stage.admit(Line(), [message(2), message(4)])
            times = [
                item.time_us
                for entry in await journal.read(after=0)
                if isinstance(entry.record, Batch)
                for item in entry.record.items
                if isinstance(item, Reading)
            ]
            assert len(times) == len(set(times)) == 5
            assert health.counters["late"] == 1

    async def test_a_checkpoint_of_another_version_is_passed_over(
        self, stage: Ingest, journal: Journal, clock: VirtualClock
    ) -> None:
        await stage.admit(Line(), [message(1)])
        await journal.append(checkpoint=b"\x01what")
        again = stage_on(journal, clock)
        await again.restore()
        await again.admit(Line(), [message(1)])
        assert await seqs_in(journal) == [1]


class TestInventory:
    async def test_an_asset_added_while_it_runs_is_known_at_once(
        self, journal: Journal, clock: VirtualClock
    ) -> None:
        inventory = lab_inventory()
        stage = Ingest(
            Broker("127.0.0.1", 1),
            catalog=lab_catalog(),
            inventory=inventory,
            into=journal,
            clock=clock,
            health=StageHealth(name="ingest"),
        )
        await stage.admit(Line(), [message(1, asset_id="KH-NEW")])
        assert [q.reason for q in await journal.quarantined()] == ["unknown_asset"]
        inventory.apply(add=[asset("KH-NEW")], retire=["KH00001"])
        await stage.admit(Line(), [message(2, asset_id="KH-NEW"), message(1)])
        assert await seqs_in(journal) == [2]
        assert [q.detail for q in await journal.quarantined(limit=1)] == [
            'asset "KH00001": retired'
        ]


class TestTicks:
    async def test_one_a_second_and_not_listening_without_a_broker(
        self, stage: Ingest, journal: Journal, clock: VirtualClock
    ) -> None:
        ticking = asyncio.create_task(stage._tick())
        for _ in range(4):
            await clock.advance(1)
            await journal.append()
            await asyncio.sleep(0.01)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        ticks = [e.record for e in await journal.read(after=0) if isinstance(e.record, Tick)]
        seconds = [(tick.now_ms - NOW_MS) / 1000 for tick in ticks]
        assert seconds[:4] == [0, 1, 2, 3]
        assert not any(tick.listening for tick in ticks)

    async def test_writes_its_memory_down_from_time_to_time(
        self, journal: Journal, clock: VirtualClock
    ) -> None:
        stage = stage_on(journal, clock, settings=IngestSettings(checkpoint_every_s=2))
        await stage.admit(Line(), [message(1)])
        ticking = asyncio.create_task(stage._tick())
        async with asyncio.timeout(10):
            while await journal.checkpoint() is None:
                await clock.advance(1)
                await journal.append()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        again = stage_on(journal, clock)
        await again.restore()
        await again.admit(Line(), [message(1)])
        assert await seqs_in(journal) == [1]


async def test_says_in_the_journal_which_catalog_is_in_force(
    stage: Ingest, journal: Journal, clock: VirtualClock
) -> None:
    for _ in range(2):
        running = asyncio.create_task(stage_on(journal, clock).run())
        async with asyncio.timeout(10):
            while not journal.catalog_version:  # noqa: ASYNC110  # written by the stage
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    records = [entry.record for entry in await journal.read(after=0)]
    activations = [record for record in records if isinstance(record, Activation)]
    assert [a.catalog_version for a in activations] == [lab_catalog().version]
