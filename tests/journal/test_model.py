"""The journal against a model of it: any order of appends, reads, notes, trims and crashes."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ioc.clock import VirtualClock
from ioc.journal import Journal, open_journal
from ioc.journal.records import Entry, Record
from tests.journal.samples import batch, quarantined, tick

CONSUMERS = ("store", "alarms")
KEEP_S = 60


class JournalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock()
        self.folder = Path(tempfile.mkdtemp(prefix="journal-"))
        self.generation = 0
        self.written: dict[int, Record] = {}
        self.end = 0
        self.next = 0
        self.quarantined = 0
        self.checkpoint: tuple[int, bytes] | None = None
        self.positions = {"store": 0, "alarms": 0}
        self.followed: list[Entry] = []

    @initialize()
    def open(self) -> None:
        self.opening = self._open(self.folder / "0")

    def _open(self, folder: Path) -> AbstractAsyncContextManager[Journal]:
        opening = open_journal(
            folder,
            clock=self.clock,
            bound_bytes=1 << 30,
            reserve_bytes=0,
            gather_s=0.0,
            keep_s=KEEP_S,
            consumers=CONSUMERS,
            cache_bytes=2000,
            quarantine_rows=20,
        )
        self.journal = self.loop.run_until_complete(opening.__aenter__())
        return opening

    @rule(
        sizes=st.lists(st.integers(0, 40), max_size=4),
        bad=st.integers(0, 5),
        with_checkpoint=st.booleans(),
    )
    def append(self, sizes: list[int], bad: int, with_checkpoint: bool) -> None:
        records: list[Record] = []
        for size in sizes:
            self.next += 1
            records.append(batch(*range(self.next, self.next + size)) if size else tick(self.next))
        content = b"%d" % self.next if with_checkpoint else None
        position = self.loop.run_until_complete(
            self.journal.append(
                *records,
                quarantined=[quarantined(n=n) for n in range(bad)],
                checkpoint=content,
            )
        )
        for record in records:
            self.end += 1
            self.written[self.end] = record
        assert position == self.end
        self.quarantined += bad
        if content is not None:
            self.checkpoint = (self.end, content)

    @rule(share=st.floats(0, 1), limit=st.integers(1, 50))
    def read(self, share: float, limit: int) -> None:
        after = int(share * self.end)
        entries = self.loop.run_until_complete(self.journal.read(after=after, limit=limit))
        self._expect(entries, after=after)
        if after < self.end:
            assert entries

    @rule(share=st.floats(0, 1))
    def follow(self, share: float) -> None:
        after = int(share * self.end)

        async def all_of_them() -> list[Entry]:
            entries: list[Entry] = []
            async for some in self.journal.follow(after=after):
                entries += some
                if entries[-1].position >= self.end:
                    break
            return entries

        if after < self.end and self._surely_there(self.end):
            self._expect(self.loop.run_until_complete(all_of_them()), after=after)

    @rule(consumer=st.sampled_from(CONSUMERS), share=st.floats(0, 1))
    def note(self, consumer: str, share: float) -> None:
        position = max(self.positions[consumer], int(share * self.end))
        self.positions[consumer] = position
        self.loop.run_until_complete(self.journal.note(consumer, position))

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.loop.run_until_complete(self.clock.advance(seconds))

    @rule()
    def reopen(self) -> None:
        self.loop.run_until_complete(self.opening.__aexit__(None, None, None))
        self.opening = self._open(self.folder / str(self.generation))

    @rule()
    def crash(self) -> None:
        """kill -9: what is in the file now is all there is, whatever was not closed."""
        before = self.folder / str(self.generation)
        self.generation += 1
        after = self.folder / str(self.generation)
        after.mkdir()
        # The main file last could miss a checkpoint of the WAL; the writer is idle here.
        for name in ("journal.db", "journal.db-wal"):
            if (before / name).exists():
                shutil.copy(before / name, after / name)
        self.loop.run_until_complete(self.opening.__aexit__(None, None, None))
        self.opening = self._open(after)

    def _surely_there(self, position: int) -> bool:
        """What cannot have been trimmed: a consumer or the checkpoint is not past it."""
        passed = min(self.checkpoint[0] if self.checkpoint else 0, *self.positions.values())
        return position > passed

    def _expect(self, entries: list[Entry], *, after: int) -> None:
        """In order, what was written, and without a hole except for what may have been trimmed."""
        positions = [entry.position for entry in entries]
        assert positions == sorted(set(positions))
        assert all(position > after for position in positions)
        for entry in entries:
            assert self.written[entry.position] == entry.record
        if positions:
            expected = set(range(after + 1, positions[-1] + 1))
            missing = expected - set(positions)
            assert not any(self._surely_there(position) for position in missing)
            if missing:  # trimmed from the front only
                assert max(missing) < positions[0]

    @invariant()
    def knows_its_end(self) -> None:
        if not hasattr(self, "journal"):
            return
        status = self.journal.status()
        assert self.journal.end == self.end
        assert status.quarantined_total == self.quarantined
        assert not self._surely_there(status.first - 1) or status.first == 1

    @invariant()
    def knows_its_checkpoint(self) -> None:
        if not hasattr(self, "journal"):
            return
        saved = self.loop.run_until_complete(self.journal.checkpoint())
        assert (saved and (saved.position, saved.content)) == self.checkpoint

    def teardown(self) -> None:
        if hasattr(self, "opening"):
            self.loop.run_until_complete(self.opening.__aexit__(None, None, None))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)


TestJournalModel = JournalMachine.TestCase
TestJournalModel.settings = settings(
    max_examples=int(os.environ.get("IOC_MODEL_EXAMPLES", "25")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
