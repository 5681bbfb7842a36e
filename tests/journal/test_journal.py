from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ioc.clock import VirtualClock
from ioc.errors import ConfigError, InUseError, JournalError, JournalFullError
from ioc.inventory import Asset, Site
from ioc.journal import Journal, open_journal
from ioc.journal.file import JournalFile
from ioc.journal.records import (
    Activation,
    Batch,
    Command,
    DeviceAlarm,
    Entry,
    GatewayStatus,
    Measure,
    Measures,
    Record,
)
from tests.journal.conftest import Opener
from tests.journal.samples import NOW_MS, batch, quarantined, reading, tick

COMMAND = Command(NOW_MS, "c1", "lan", "acknowledge", "alarm-1", "đang xử lý")
EVERY_KIND: list[Record] = [
    Batch(
        [
            reading(seq=1, dc_voltage_v=53.5),
            DeviceAlarm(
                kind="bts",
                asset="KH00001",
                ts_ms=NOW_MS,
                received_ms=NOW_MS,
                alarm_id="a-1",
                state="raised",
                severity="major",
                event_type="equipment",
                probable_cause="rectifierFailure",
                object="rectifier-2",
                text="Hỏng bộ nắn",
            ),
            GatewayStatus("gw-1", online=True, received_ms=NOW_MS),
        ]
    ),
    tick(1),
    COMMAND,
    Activation(
        NOW_MS,
        "admin",
        sites=[Site(id="S-1", name="Cột 1", commune="22366", lat=12.2, lon=109.1)],
        add=[
            Asset(
                id="KH-1",
                kind="bts",
                name="Trạm 1",
                province="khanh-hoa",
                commune="22366",
                site="S-1",
                lat=12.2,
                lon=109.1,
                depends_on=("KH-2",),
                attributes={"vendor": "x"},
            )
        ],
        retire=["KH-0"],
    ),
    Measures([Measure("bts_up", "province", "khanh-hoa", NOW_MS * 1000, 3899.0)]),
]


async def everything(journal: Journal, *, after: int = 0, limit: int = 256) -> list[Entry]:
    entries: list[Entry] = []
    while found := await journal.read(after=after, limit=limit):
        entries += found
        after = found[-1].position
    return entries


async def test_gives_back_every_kind_of_record_as_it_was(opened: Opener) -> None:
    async with opened() as journal:
        assert journal.end == 0
        assert await journal.append(*EVERY_KIND) == len(EVERY_KIND)
        fresh = await everything(journal)
    async with opened() as journal:  # from the file this time
        again = await everything(journal)
        assert journal.end == len(EVERY_KIND)
    assert [entry.record for entry in fresh] == EVERY_KIND
    assert again == fresh


async def test_keeps_its_identity_and_its_order_over_a_restart(opened: Opener) -> None:
    async with opened() as journal:
        uuid = journal.uuid
        await journal.append(batch(1), tick(1))
    async with opened() as journal:
        assert journal.uuid == uuid
        assert await journal.append(tick(2)) == 3
        assert [entry.position for entry in await journal.read(after=1)] == [2, 3]


async def test_a_large_batch_is_stored_small_and_read_whole(opened: Opener) -> None:
    big = batch(*range(500))
    async with opened(cache_bytes=1) as journal:
        await journal.append(big)
        await journal.append(tick(1))  # drives the batch out of the tail
        assert (await journal.read(after=0, limit=1))[0].record == big


async def test_appends_at_the_same_time_share_one_order(opened: Opener) -> None:
    async with opened(gather_s=0.02) as journal:
        positions = await asyncio.gather(*(journal.append(batch(n), tick(n)) for n in range(50)))
        entries = await everything(journal)
    assert positions == [2 * n + 2 for n in range(50)]
    assert [entry.record for entry in entries[1::2]] == [tick(n) for n in range(50)]


async def test_an_append_whose_caller_gave_up_is_written_all_the_same(opened: Opener) -> None:
    async with opened() as journal:
        task = asyncio.create_task(journal.append(tick(1)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await journal.append() == 1  # waits for all before it
        assert [entry.record for entry in await journal.read(after=0)] == [tick(1)]


class TestFollow:
    async def test_gives_what_is_there_and_then_what_comes(self, opened: Opener) -> None:
        async with opened() as journal:
            await journal.append(tick(1), tick(2))
            follower = journal.follow(after=1)
            assert [e.record for e in await anext(follower)] == [tick(2)]
            waiting = asyncio.ensure_future(anext(follower))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            await journal.append(tick(3))
            assert [e.record for e in await waiting] == [tick(3)]

    async def test_readers_at_the_end_share_one_object(self, opened: Opener) -> None:
        async with opened() as journal:
            sent = batch(1, 2)
            followers = [journal.follow(after=0) for _ in range(3)]
            await journal.append(sent)
            for follower in followers:
                assert (await anext(follower))[0].record is sent

    async def test_one_that_fell_out_of_the_tail_misses_nothing(self, opened: Opener) -> None:
        async with opened(cache_bytes=300) as journal:
            seen: list[int] = []

            async def consume() -> None:
                async for entries in journal.follow(after=0):
                    seen.extend(entry.position for entry in entries)

            task = asyncio.create_task(consume())
            for n in range(30):
                await journal.append(*(batch(n, n + 1) for _ in range(10)))
            async with asyncio.timeout(10):
                while len(seen) < 300:  # noqa: ASYNC110  # the consumer has nothing to say it by
                    await asyncio.sleep(0.005)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert seen == list(range(1, 301))

    async def test_a_position_of_another_journal_is_refused(self, opened: Opener) -> None:
        async with opened() as journal:
            await journal.append(tick(1))
            with pytest.raises(JournalError, match="another journal"):
                await journal.read(after=2)
            with pytest.raises(JournalError, match="another journal"):
                await anext(journal.follow(after=7))


class TestTrim:
    async def trimmed(self, journal: Journal, *, first: int) -> None:
        async with asyncio.timeout(10):
            while journal.status().first < first:  # noqa: ASYNC110  # done on a thread
                await asyncio.sleep(0.02)

    async def test_goes_behind_the_slowest_once_it_is_old(
        self, opened: Opener, clock: VirtualClock
    ) -> None:
        async with opened(consumers=("store", "alarms"), keep_s=600) as journal:
            await journal.append(*(tick(n) for n in range(10)), checkpoint=b"all")
            await journal.note("store", 8)
            await journal.note("alarms", 5)
            await clock.advance(599)
            await journal.append(tick(10))
            await asyncio.sleep(0.05)
            assert journal.status().first == 1  # not old enough
            await clock.advance(2)
            await journal.append(tick(11))
            await self.trimmed(journal, first=6)
            assert journal.end == 12
        async with opened() as journal:
            assert journal.status().first == 6
            assert [e.position for e in await journal.read(after=0, limit=1)] == [6]

    async def test_stays_behind_the_checkpoint(self, opened: Opener, clock: VirtualClock) -> None:
        async with opened(consumers=("store",), keep_s=0) as journal:
            await journal.append(tick(1), tick(2), checkpoint=b"two")
            await journal.append(tick(3), tick(4))
            await journal.note("store", 4)
            await clock.advance(2)
            await journal.append(tick(5))
            await self.trimmed(journal, first=3)
            await asyncio.sleep(0.05)
            assert journal.status().first == 3

    async def test_positions_are_never_given_again(
        self, opened: Opener, clock: VirtualClock
    ) -> None:
        async with opened(consumers=("store",), keep_s=0) as journal:
            await journal.append(tick(1), tick(2), checkpoint=b"")
            await journal.note("store", 2)
            await clock.advance(2)
            await journal.append()
            await self.trimmed(journal, first=3)
        async with opened(consumers=("store",), keep_s=0) as journal:
            assert (journal.end, journal.status().first) == (2, 3)
            assert journal.status().positions == {"store": 2}
            assert await journal.append(tick(3)) == 3


class TestBound:
    async def test_refuses_at_the_bound_and_admits_again_by_itself(
        self, opened: Opener, clock: VirtualClock
    ) -> None:
        noisy = Batch(
            [reading("KH1", n, **{f"m{n}_{i}": n / (i + 1) for i in range(9)}) for n in range(200)]
        )
        async with opened(bound_bytes=1_000_000, consumers=("store",), keep_s=0) as journal:
            last = 0
            with pytest.raises(JournalFullError, match="of 1000000 are taken"):  # noqa: PT012
                while True:
                    last = await journal.append(noisy, checkpoint=b"")
            assert last > 10
            assert not journal.status().admits
            assert await journal.append(COMMAND) == last + 1  # operators still can
            waiting = asyncio.create_task(journal.wait_until_admits())
            await journal.note("store", last)
            async with asyncio.timeout(10):
                while not waiting.done():
                    await clock.advance(2)
                    await asyncio.sleep(0.01)
            assert await journal.append(noisy) == last + 2

    async def test_refuses_at_the_reserve_of_the_disk(self, opened: Opener) -> None:
        async with opened(reserve_bytes=1 << 60) as journal:
            with pytest.raises(JournalFullError, match="free on its disk"):
                await journal.append(batch(1))
            with pytest.raises(JournalFullError):
                await journal.append(quarantined=[quarantined()])
            assert not journal.status().admits
            assert await journal.append() == 0

    async def test_a_disk_that_is_full_writes_nothing_and_recovers(self, opened: Opener) -> None:
        big = batch(*range(3000))
        async with opened() as journal:
            await journal.append(tick(1))
            file = journal._writer._file
            assert file is not None
            pages = file._connection.execute("PRAGMA page_count").fetchone()[0]
            file._connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
            with pytest.raises(JournalFullError, match="disk is full"):
                await journal.append(big)
            assert journal.end == 1
            file._connection.execute("PRAGMA max_page_count = 100000").fetchall()
            assert await journal.append(big) == 2

    async def test_tells_for_how_many_hours_it_lasts(
        self, opened: Opener, clock: VirtualClock
    ) -> None:
        async with opened(bound_bytes=10_000_000) as journal:
            assert journal.status().hours_left is None
            for n in range(20):
                await journal.append(batch(*range(n * 100, n * 100 + 100)))
                await clock.advance(1)
            await journal.append()
            hours = journal.status().hours_left
            assert hours is not None
            assert 0.1 < hours < 10


class TestQuarantine:
    async def test_newest_first_by_reason_and_page(self, opened: Opener) -> None:
        async with opened() as journal:
            await journal.append(
                batch(1), quarantined=[quarantined("not_json", 1), quarantined("topic", 2)]
            )
            await journal.append(quarantined=[quarantined("not_json", 3)])
            assert journal.end == 1  # quarantine is beside the order of events
            found = await journal.quarantined()
            assert [q.received_ms - NOW_MS for q in found] == [3, 2, 1]
            older = await journal.quarantined(before_id=found[1].id)
            assert [q.detail for q in older] == ["number 1"]
            assert [q.reason for q in await journal.quarantined(reason="topic")] == ["topic"]
            assert journal.status().quarantined == {"not_json": 2, "topic": 1}
        async with opened() as journal:
            assert journal.status().quarantined_total == 3

    async def test_is_bounded_and_counts_what_it_dropped(self, opened: Opener) -> None:
        async with opened(quarantine_rows=10) as journal:
            for n in range(25):
                await journal.append(quarantined=[quarantined(n=n)])
            kept = await journal.quarantined()
            assert [q.received_ms - NOW_MS for q in kept] == list(range(24, 14, -1))
            status = journal.status()
            assert (status.quarantined_total, status.quarantine_dropped) == (25, 15)


class TestCheckpoint:
    async def test_is_written_with_its_position(self, opened: Opener) -> None:
        async with opened() as journal:
            assert await journal.checkpoint() is None
            await journal.append(tick(1), tick(2), checkpoint=b"first")
            await journal.append(tick(3), checkpoint=b"second")
            await journal.append(tick(4))
        async with opened() as journal:
            saved = await journal.checkpoint()
            assert saved is not None
            assert (saved.position, saved.content) == (3, b"second")

    async def test_remembers_the_catalog_in_force(self, opened: Opener) -> None:
        async with opened() as journal:
            assert journal.catalog_version == ""
            await journal.append(Activation(NOW_MS, "ioc", catalog_version="abc"))
            assert journal.catalog_version == "abc"
        async with opened() as journal:
            assert journal.catalog_version == "abc"


class TestTrouble:
    async def test_a_second_holder_is_told_who_holds_it(self, opened: Opener) -> None:
        async with opened():
            with pytest.raises(InUseError, match=r"held by process \d+"):
                async with opened():
                    pass
        async with opened():
            pass

    async def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="cannot be written"):
            async with open_journal(
                tmp_path / "file" / "x", clock=VirtualClock(), bound_bytes=1, reserve_bytes=0
            ):
                pass

    async def filled(self, opened: Opener) -> None:
        async with opened() as journal:
            for n in range(50):
                await journal.append(batch(*range(n * 40, n * 40 + 40)))

    async def expect_refused(
        self, opening: AbstractAsyncContextManager[Journal], match: str
    ) -> None:
        with pytest.raises(JournalError, match=match):
            async with opening as journal:
                await everything(journal)

    @pytest.mark.parametrize("share", [0.0005, 0.3, 0.6, 0.95])
    async def test_a_file_cut_off(self, opened: Opener, tmp_path: Path, share: float) -> None:
        await self.filled(opened)
        path = tmp_path / "journal" / "journal.db"
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * share))
        await self.expect_refused(opened(), "journal.db")

    async def test_a_file_of_something_else(self, opened: Opener, tmp_path: Path) -> None:
        (tmp_path / "journal").mkdir()
        path = tmp_path / "journal" / "journal.db"
        path.write_bytes(b"PK\x03\x04" * 3000)
        await self.expect_refused(opened(), "not a database")

    async def test_a_database_of_something_else(self, opened: Opener, tmp_path: Path) -> None:
        (tmp_path / "journal").mkdir()
        other = sqlite3.connect(tmp_path / "journal" / "journal.db")
        other.execute("CREATE TABLE x (y)")
        other.close()
        await self.expect_refused(opened(), "not a journal of ioc")

    async def test_a_bit_that_fell_over(self, opened: Opener, tmp_path: Path) -> None:
        await self.filled(opened)
        path = tmp_path / "journal" / "journal.db"
        changed = sqlite3.connect(path)
        changed.execute(
            "UPDATE entry SET content = CAST(substr(content,1,99)||x'00'||substr(content,101)"
            " AS BLOB) WHERE id = 25"
        )
        changed.commit()
        changed.close()
        await self.expect_refused(opened(cache_bytes=1), "entry 25 is damaged")

    async def test_bytes_overwritten_anywhere_never_pass_unseen(
        self, opened: Opener, tmp_path: Path
    ) -> None:
        """Either refused, or every entry read is one that was written."""
        await self.filled(opened)
        path = tmp_path / "journal" / "journal.db"
        whole = path.read_bytes()
        async with opened() as journal:
            written = {entry.position: entry for entry in await everything(journal)}
        for begin in range(0, len(whole), len(whole) // 40):
            path.write_bytes(whole[:begin] + b"\xa5" * 64 + whole[begin + 64 :])
            try:
                async with opened() as journal:
                    found = await everything(journal)
            except JournalError:
                continue
            assert all(written[entry.position] == entry for entry in found), begin
            path.write_bytes(whole)

    async def test_a_newer_format_is_refused(self, opened: Opener, tmp_path: Path) -> None:
        async with opened():
            pass
        changed = sqlite3.connect(tmp_path / "journal" / "journal.db")
        changed.execute("PRAGMA user_version = 9")
        changed.close()
        await self.expect_refused(opened(), "has format 9")


class TestDoubtfulCommit:
    """COMMIT fails, and nobody says whether it was written: the file is asked."""

    async def test_written_after_all(self, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        async with opened() as journal:
            real = JournalFile.commit

            def fails_late(self: JournalFile, *args: object, **kwargs: object) -> int:
                real(self, *args, **kwargs)  # type: ignore[arg-type]
                monkeypatch.setattr(JournalFile, "commit", real)
                raise JournalError("disk I/O error")

            monkeypatch.setattr(JournalFile, "commit", fails_late)
            assert await journal.append(tick(1), tick(2)) == 2
            assert await journal.append(tick(3)) == 3
            assert len(await everything(journal)) == 3

    async def test_not_written(self, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        async with opened() as journal:
            await journal.append(tick(1))
            real = JournalFile.commit

            def fails_early(self: JournalFile, *args: object, **kwargs: object) -> int:
                monkeypatch.setattr(JournalFile, "commit", real)
                raise JournalError("disk I/O error")

            monkeypatch.setattr(JournalFile, "commit", fails_early)
            with pytest.raises(JournalError, match="I/O"):
                await journal.append(tick(2))
            assert journal.end == 1
            assert await journal.append(tick(3)) == 2
            assert [e.record for e in await everything(journal)] == [tick(1), tick(3)]

    async def test_written_but_not_known_until_the_file_opens_again(
        self, opened: Opener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened() as journal:
            await journal.append(tick(1))
            real_commit, real_check = JournalFile.commit, JournalFile._check

            def fails_late(self: JournalFile, *args: object, **kwargs: object) -> int:
                real_commit(self, *args, **kwargs)  # type: ignore[arg-type]
                raise JournalError("disk I/O error")

            def unreadable(self: JournalFile) -> None:
                raise JournalError("disk I/O error")

            monkeypatch.setattr(JournalFile, "commit", fails_late)
            monkeypatch.setattr(JournalFile, "_check", unreadable)
            with pytest.raises(JournalError):
                await journal.append(tick(2))
            monkeypatch.setattr(JournalFile, "commit", real_commit)
            monkeypatch.setattr(JournalFile, "_check", real_check)
            assert await journal.append() == 2  # the barrier finds it
            assert await journal.append(tick(3)) == 3
            assert [e.record for e in await everything(journal)] == [tick(1), tick(2), tick(3)]


async def test_a_closed_journal_says_so(opened: Opener) -> None:
    async with opened() as journal:
        pass
    with pytest.raises(JournalError, match="closed"):
        await journal.append(tick(1))
    with pytest.raises(JournalError, match="closed"):
        await journal.quarantined()
