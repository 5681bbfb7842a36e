"""The journal as the stages see it: append, read, follow."""

from __future__ import annotations

import asyncio
import contextlib
import os
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from ioc.clock import Clock
from ioc.errors import JournalError, JournalFullError
from ioc.journal.file import FILE_NAME, Checkpoint, FolderLock, JournalFile
from ioc.journal.records import Activation, Command, Entry, Quarantined, Record
from ioc.journal.writer import Numbers, Outcome, Request, Writer

log = structlog.get_logger()

CONSUMERS = ("store", "rollup", "kpi", "alarms")
KEEP_S = 600
QUARANTINE_ROWS = 50_000
QUARANTINE_ROW_BYTES = 4608  # at the most: a payload's first 4 KiB, its topic and the detail
# 50 commits a second at the most: a tenth of what a slow disk can do.
GATHER_S = 0.02
# The newest entries kept decoded, by their encoded size: some seconds of a whole province.
CACHE_BYTES = 2 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024
# Room for what operators do while telemetry is refused.
URGENT_SHARE = 0.05
# Admission resumes when this much is free again, so that it does not flicker.
RESUME_BYTES = 16 * 1024 * 1024
POLL_S = 0.25

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class JournalStatus:
    """The journal in numbers. Positions as in ``Journal``, room in bytes.

    ``bytes`` is what its rows take (without the checkpoint), ``bound_bytes`` what they may take.
    ``hours_left`` estimates, at the rate of the last minutes, how long a consumer may be away
    before admission stops (bound or disk, whichever is first); None while the rate is unknown or
    nothing comes.
    ``quarantine_dropped`` counts quarantined messages that made way for newer ones.
    """

    end: int
    first: int
    bytes: int
    bound_bytes: int
    free_disk_bytes: int
    reserve_bytes: int
    admits: bool
    hours_left: float | None
    quarantined_total: int
    quarantine_dropped: int
    quarantined: dict[str, int] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)


class Journal:
    """The one order of events. Opened by ``open_journal``; belongs to one event loop.

    A record belongs to the journal once it is appended: do not change it afterwards, readers get
    the same object.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        bound_bytes: int,
        reserve_bytes: int,
        gather_s: float,
        keep_s: float,
        consumers: Sequence[str],
        quarantine_rows: int,
        cache_bytes: int,
    ) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._clock = clock
        self._bound_bytes = bound_bytes
        self._reserve_bytes = reserve_bytes
        # Nothing trims the quarantine but newer rows: it may not fill the bound.
        quarantine_rows = max(10, min(quarantine_rows, bound_bytes // 4 // QUARANTINE_ROW_BYTES))
        self._quarantine_rows = quarantine_rows
        self._loop = asyncio.get_running_loop()
        self._encoder = msgspec.msgpack.Encoder()
        self._writer = Writer(
            self._path,
            clock=clock,
            gather_s=gather_s,
            quarantine_rows=quarantine_rows,
            keep_ms=round(keep_s * 1000),
            consumers=consumers,
            report=self._report,
        )
        self._numbers = replace(self._writer.numbers)
        self._totals = self._writer.quarantine_totals
        self._positions = dict(self._writer.positions)
        self._pending_bytes = 0
        self._refused_bytes = 0
        self._tail = _Tail(self._numbers.end, bound_bytes=cache_bytes)
        self._news = asyncio.Event()
        self._reader: JournalFile | None = None
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="journal-reader")
        self._closed = False
        self.uuid = self._writer.uuid
        self.end = self._numbers.end
        self.catalog_version = self._writer.catalog_version

    # ── writing ──────────────────────────────────────────────────────────────

    async def append(
        self,
        *records: Record,
        quarantined: Sequence[Quarantined] = (),
        checkpoint: bytes | None = None,
    ) -> int:
        """Write records and quarantined messages in one transaction; return the last position.

        On the disk (fsync) when it returns, and after everything appended before. ``checkpoint``
        replaces what ``checkpoint()`` gives. A cancelled wait does not withdraw what was handed
        over. Without any argument it only waits for what was appended before.

        Raises ``JournalFullError`` with nothing written when the bound or the disk's reserve is
        reached; ``Command`` and ``Activation`` alone have a little more room, and a checkpoint
        alone is always taken, for trimming waits for it. Raises ``JournalError`` when the disk
        fails: what was written is then in doubt, read it again.
        """
        contents = [self._encoder.encode(record) for record in records]
        # A checkpoint takes the place of the last one.
        size = sum(map(len, contents)) + sum(len(q.payload) + 256 for q in quarantined)
        if size:
            urgent = not quarantined and all(isinstance(r, Command | Activation) for r in records)
            refusal = self._refusal(size, urgent=urgent)
            if refusal:
                if not urgent:
                    self._refused_bytes = max(self._refused_bytes, size)
                raise JournalFullError(refusal)
        if self._closed:
            raise JournalError("the journal is closed")
        request = Request(
            records=records,
            contents=contents,
            quarantined=quarantined,
            checkpoint=checkpoint,
            catalog_version=next(
                (r.catalog_version for r in reversed(records) if isinstance(r, Activation)), ""
            ),
            size=size,
            done=self._loop.create_future(),
        )
        self._pending_bytes += size
        self._writer.submit(request)
        return await request.done

    async def note(self, consumer: str, position: int) -> None:
        """Keep a copy of a consumer's position, for trimming. On the disk within a second or so.

        Call it only once the consumer's own database has the position: entries behind all
        consumers are removed.
        """
        self._positions[consumer] = position
        self._writer.note(consumer, position)

    async def wait_until_admits(self) -> None:
        """Return once there is room again, with some to spare."""
        while not self._admits():
            await self._clock.sleep(POLL_S)

    def _admits(self) -> bool:
        """Whether telemetry is taken: from a refusal on, not until there is some room to spare."""
        spare = 0
        if self._refused_bytes:
            # What was refused must fit, but no more is asked for than a journal can ever have.
            spare = max(
                min(RESUME_BYTES, self._bound_bytes // 20),
                min(self._refused_bytes, self._bound_bytes // 4),
            )
        admits = not self._refusal(spare, urgent=False)
        if admits:
            self._refused_bytes = 0
        return admits

    def _refusal(self, size: int, *, urgent: bool) -> str:
        """Why this many bytes are not admitted; "" when they are."""
        bound, reserve = self._bound_bytes, self._reserve_bytes
        if urgent:
            bound += round(bound * URGENT_SHARE)
            reserve //= 2
        used = self._numbers.usage.used_bytes + self._pending_bytes
        if used + size > bound:
            return f"journal {self._folder}: {used} bytes of {bound} are taken"
        free = self._free_disk_bytes()
        if free - size < reserve:
            return f"journal {self._folder}: {free} bytes free on its disk, {reserve} are kept"
        return ""

    def _free_disk_bytes(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    # ── reading ──────────────────────────────────────────────────────────────

    async def read(self, *, after: int, limit: int = 256) -> list[Entry]:
        """Entries with a position above ``after``, in order; empty at the end.

        May give fewer than ``limit``. Entries that were trimmed are passed over. Raises
        ``JournalError`` when ``after`` is above the end (the reader knows another journal) or an
        entry is damaged.
        """
        if after > self.end:
            raise JournalError(
                f"journal {self._folder}: ends at {self.end}, a reader asks for what is after "
                f"{after}: its position belongs to another journal"
            )
        cached = self._tail.after(after, limit)
        if cached is not None:
            return cached
        return await self._with_file(
            lambda file: file.read(after=after, limit=limit, max_bytes=READ_BYTES)
        )

    async def follow(self, *, after: int) -> AsyncIterator[list[Entry]]:
        """Give all entries above ``after``, in order, as lists; wait at the end. Never ends.

        Raises as ``read`` does.
        """
        position = after
        while True:
            news = self._news
            entries = await self.read(after=position)
            if entries:
                position = entries[-1].position
                yield entries
                await asyncio.sleep(0)  # a reader far behind must not keep the loop to itself
            else:
                await news.wait()

    async def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint written, with the position it was written at."""
        return await self._with_file(lambda file: file.checkpoint())

    async def quarantined(
        self, *, before_id: int | None = None, limit: int = 100, reason: str | None = None
    ) -> list[Quarantined]:
        """Quarantined messages, newest first, older than ``before_id``."""
        return await self._with_file(
            lambda file: file.quarantined(before_id=before_id, limit=limit, reason=reason)
        )

    def status(self) -> JournalStatus:
        """The journal in numbers, as of the last commit."""
        numbers = self._numbers
        free = self._free_disk_bytes()
        room = min(
            self._bound_bytes - numbers.usage.used_bytes,
            free + numbers.usage.reusable_bytes - self._reserve_bytes,
        )
        rate = numbers.bytes_per_s
        total = sum(self._totals.values())
        return JournalStatus(
            end=self.end,
            first=numbers.first,
            bytes=numbers.usage.used_bytes,
            bound_bytes=self._bound_bytes,
            free_disk_bytes=free,
            reserve_bytes=self._reserve_bytes,
            admits=self._admits(),
            hours_left=max(0, room) / rate / 3600 if rate else None,
            quarantined_total=total,
            quarantine_dropped=max(0, total - self._quarantine_rows),
            quarantined=dict(self._totals),
            positions=dict(self._positions),
        )

    async def _with_file(self, read: Callable[[JournalFile], T]) -> T:
        if self._closed:
            raise JournalError("the journal is closed")
        return await self._loop.run_in_executor(self._reading, self._read_now, read)

    def _read_now(self, read: Callable[[JournalFile], T]) -> T:
        if self._reader is None:
            self._reader = JournalFile(self._path, read_only=True)
        return read(self._reader)

    # ── from the writer's thread ─────────────────────────────────────────────

    def _report(self, outcome: Outcome | None, numbers: Numbers) -> None:
        # The loop is gone when a process ends without closing: nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._reported, outcome, replace(numbers))

    def _reported(self, outcome: Outcome | None, numbers: Numbers) -> None:
        self._numbers = numbers
        if outcome is not None:
            position = outcome.after
            for request in outcome.requests:
                self._pending_bytes -= request.size
                if outcome.error is not None:
                    if not request.done.done():
                        request.done.set_exception(outcome.error)
                    continue
                for record, content in zip(request.records, request.contents, strict=True):
                    position += 1
                    self._tail.add(Entry(position, outcome.written_ms, record), len(content))
                for row in request.quarantined:
                    self._totals[row.reason] = self._totals.get(row.reason, 0) + 1
                if request.catalog_version:
                    self.catalog_version = request.catalog_version
                if not request.done.done():
                    request.done.set_result(position)
        if numbers.end > self._tail.end:
            # A commit that was given up for lost is there after all: readers take it from the file.
            self._tail = _Tail(numbers.end, bound_bytes=self._tail.bound_bytes)
        if self.end != numbers.end:
            self.end = numbers.end
            self._news.set()
            self._news = asyncio.Event()

    # ── closing ──────────────────────────────────────────────────────────────

    async def close(self) -> None:
        """Commit what was appended, then let go of the file."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        await asyncio.sleep(0)  # the last reports reach their futures
        self._reading.shutdown(wait=True)
        if self._reader is not None:
            self._reader.close()

    def start(self) -> None:
        self._writer.start()


class _Tail:
    """The newest entries, decoded, so that consumers at the end neither read nor decode.

    Holds everything behind ``floor`` up to ``end``.
    """

    def __init__(self, end: int, *, bound_bytes: int) -> None:
        self.bound_bytes = bound_bytes
        self.floor = end
        self.end = end
        self._entries: list[Entry] = []
        self._positions: list[int] = []
        self._sizes: list[int] = []
        self._bytes = 0

    def add(self, entry: Entry, size: int) -> None:
        self._entries.append(entry)
        self._positions.append(entry.position)
        self._sizes.append(size)
        self._bytes += size
        self.end = entry.position
        if self._bytes > self.bound_bytes:
            self._drop()

    def after(self, position: int, limit: int) -> list[Entry] | None:
        """Entries behind ``position``; None when some of them are only in the file."""
        if position < self.floor:
            return None
        begin = bisect_right(self._positions, position)
        return self._entries[begin : begin + limit]

    def _drop(self) -> None:
        """Let the oldest go, down to three quarters of the bound, but never the newest."""
        count = 0
        while self._bytes > self.bound_bytes * 3 // 4 and count < len(self._entries) - 1:
            self._bytes -= self._sizes[count]
            count += 1
        if count:
            self.floor = self._positions[count - 1]
            del self._entries[:count], self._positions[:count], self._sizes[:count]


@contextlib.asynccontextmanager
async def open_journal(
    folder: Path,
    *,
    clock: Clock,
    bound_bytes: int,
    reserve_bytes: int,
    gather_s: float = GATHER_S,
    keep_s: float = KEEP_S,
    consumers: Sequence[str] = CONSUMERS,
    quarantine_rows: int = QUARANTINE_ROWS,
    cache_bytes: int = CACHE_BYTES,
) -> AsyncIterator[Journal]:
    """Open the journal in ``folder``, or begin one, for this process alone.

    ``bound_bytes`` is what its rows may take (more than comes in ``keep_s``), ``reserve_bytes``
    what it leaves free on the disk.
    Entries are removed once every one of ``consumers`` and the checkpoint are past them and they
    are ``keep_s`` old. At most ``quarantine_rows`` quarantined messages are kept, the newest,
    and no more than a quarter of the bound can hold.

    Raises ``InUseError`` when another process holds the folder, ``ConfigError`` when it cannot be
    written, ``JournalError`` when the file is damaged or not a journal.
    """
    lock = FolderLock(folder)
    try:
        journal = Journal(
            folder,
            clock=clock,
            bound_bytes=bound_bytes,
            reserve_bytes=reserve_bytes,
            gather_s=gather_s,
            keep_s=keep_s,
            consumers=consumers,
            quarantine_rows=quarantine_rows,
            cache_bytes=cache_bytes,
        )
        journal.start()
        try:
            yield journal
        finally:
            await journal.close()
    finally:
        lock.release()
