"""The one thread that writes the journal: group commits, copies of positions, trimming."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from ioc.clock import Clock
from ioc.errors import JournalError, JournalFullError
from ioc.journal.file import JournalFile, Transaction, Usage
from ioc.journal.records import Quarantined, Record

log = structlog.get_logger()

# How often the thread looks after positions, trimming and its own numbers.
MAINTAIN_EVERY_S = 1.0
# One trim deletes this many rows: a commit that waits for it waits a few milliseconds.
TRIM_ROWS = 128
TRIMS_AT_ONCE = 8
# At most this many entries go into one commit; the rest goes into the next.
ENTRIES_AT_ONCE = 4096
# The rate of growth is an average over about this long.
RATE_OVER_S = 300.0


@dataclass(kw_only=True)
class Request:
    """One append, and the future that learns its last position."""

    records: Sequence[Record]
    contents: Sequence[bytes]
    quarantined: Sequence[Quarantined]
    checkpoint: bytes | None
    catalog_version: str
    size: int
    done: asyncio.Future[int]


@dataclass(kw_only=True)
class Outcome:
    """What became of requests: ``error``, or written behind ``after`` at ``written_ms``."""

    requests: Sequence[Request]
    after: int = 0
    written_ms: int = 0
    error: Exception | None = None


@dataclass(kw_only=True)
class Numbers:
    """What the thread knows of the file, for ``JournalStatus``."""

    end: int
    first: int
    usage: Usage
    bytes_per_s: float | None = None


@dataclass
class _Shared:
    """What the event loop hands to the thread, under one lock."""

    condition: threading.Condition = field(default_factory=threading.Condition)
    requests: deque[Request] = field(default_factory=deque)
    positions: dict[str, int] = field(default_factory=dict)
    closing: bool = False


class Writer:
    """Owns the writing connection.

    A request that comes while nothing was written for ``gather_s`` is committed at once; one that
    comes sooner waits for the rest of that time, and shares its commit with all that came
    meanwhile. ``report`` is called on this thread after every commit and every trim.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        gather_s: float,
        quarantine_rows: int,
        keep_ms: int,
        consumers: Sequence[str],
        report: Callable[[Outcome | None, Numbers], None],
    ) -> None:
        self._path = path
        self._clock = clock
        self._gather_s = gather_s
        self._quarantine_rows = quarantine_rows
        self._keep_ms = keep_ms
        self._consumers = consumers
        self._report = report
        self._shared = _Shared()
        self._closing = threading.Event()
        self._file: JournalFile | None = JournalFile(path)
        self.uuid = self._file.uuid()
        self.catalog_version = self._file.catalog_version()
        self.numbers = Numbers(
            end=self._file.end(), first=self._file.first(), usage=self._file.usage()
        )
        self.positions = self._file.positions()
        self.quarantine_totals = self._file.quarantine_totals()
        self.quarantine_kept = self._file.quarantine_rows()
        saved = self._file.checkpoint()
        self._checkpointed = saved.position if saved else 0
        self._checkpoint_bytes = len(saved.content) if saved else 0
        self._noted = dict(self.positions)
        self._shared.positions = dict(self.positions)
        self._maintained_s = clock.monotonic_s()
        self._grown_bytes = 0
        self._rated_s = 0.0
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, request: Request) -> None:
        with self._shared.condition:
            self._shared.requests.append(request)
            self._shared.condition.notify()

    def note(self, consumer: str, position: int) -> None:
        with self._shared.condition:
            self._shared.positions[consumer] = position

    def close(self) -> None:
        """Commit what waits, then end. Blocks."""
        with self._shared.condition:
            self._shared.closing = True
            self._shared.condition.notify()
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._file is not None:
            self._file.close()

    # ── on the thread ────────────────────────────────────────────────────────

    def _run(self) -> None:
        while True:
            requests = self._next()
            if requests is None:
                break
            if requests:
                self._write(requests)
            self._maintain(idle=not requests)
            if requests:
                self._closing.wait(self._gather_s)
        self._note_positions()

    def _next(self) -> list[Request] | None:
        """What waits; empty after a second without any; None to end."""
        shared = self._shared
        with shared.condition:
            shared.condition.wait_for(
                lambda: shared.requests or shared.closing, timeout=MAINTAIN_EVERY_S
            )
            if shared.closing and not shared.requests:
                return None
            taken: list[Request] = []
            entries = 0
            while shared.requests and entries < ENTRIES_AT_ONCE:
                request = shared.requests.popleft()
                taken.append(request)
                entries += len(request.contents)
            return taken

    def _write(self, requests: list[Request]) -> None:
        outcome = Outcome(requests=requests)
        try:
            self._commit(requests, outcome)
        except (JournalError, JournalFullError) as error:
            outcome.error = error
        except Exception as error:  # a dead writer would let every append hang
            log.exception("journal writer failed")
            outcome.error = JournalError(f"{self._path}: {type(error).__name__}: {error}")
        self._measure()
        self._report(outcome, self.numbers)

    def _commit(self, requests: list[Request], outcome: Outcome) -> None:
        file = self._opened()
        after = self.numbers.end
        work = Transaction(
            contents=[content for request in requests for content in request.contents],
            written_ms=self._clock.now_ms(),
            quarantined=[row for request in requests for row in request.quarantined],
            checkpoint=next(
                (r.checkpoint for r in reversed(requests) if r.checkpoint is not None), None
            ),
            catalog_version=next(
                (r.catalog_version for r in reversed(requests) if r.catalog_version), ""
            ),
        )
        outcome.after, outcome.written_ms = after, work.written_ms
        expected = after + len(work.contents)
        before_bytes = file.written_bytes
        try:
            file.commit(work, after=after, quarantine_rows=self._quarantine_rows)
        except JournalError as error:
            log.warning("journal: a commit is in doubt", error=str(error))
            if expected == after or not self._was_written(expected):
                raise
        self.numbers.end = expected
        self._grown_bytes += file.written_bytes - before_bytes
        if work.checkpoint is not None:
            self._checkpointed = expected
            self._checkpoint_bytes = len(work.checkpoint)

    def _was_written(self, expected: int) -> bool:
        """After a doubtful commit: read the position again, on a connection that knows nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
        try:
            # What the failed commit left in the WAL must reach the disk before it counts.
            self._opened().force()
        except (JournalError, JournalFullError):
            return False
        return self.numbers.end == expected

    def _opened(self) -> JournalFile:
        if self._file is None:
            self._file = JournalFile(self._path)
            self.numbers.end = self._file.end()
        return self._file

    def _maintain(self, *, idle: bool) -> None:
        now_s = self._clock.monotonic_s()
        elapsed_s = now_s - self._maintained_s
        if elapsed_s < MAINTAIN_EVERY_S and not idle:
            return
        if elapsed_s > 0:
            rate = self._grown_bytes / elapsed_s
            known = self.numbers.bytes_per_s or 0.0
            self._rated_s += elapsed_s
            share = elapsed_s / max(elapsed_s, min(self._rated_s, RATE_OVER_S))
            self.numbers.bytes_per_s = known + (rate - known) * share
            self._grown_bytes = 0
        self._maintained_s = now_s
        self._note_positions()
        trimmed = self._trim()
        if trimmed:
            self._measure()
        self._report(None, self.numbers)

    def _note_positions(self) -> None:
        with self._shared.condition:
            positions = dict(self._shared.positions)
        if positions == self._noted:
            return
        try:
            self._opened().note(positions)
        except (JournalError, JournalFullError) as error:
            log.warning("journal: positions not noted", error=str(error))
        else:
            self._noted = positions

    def _trim(self) -> int:
        """Remove what every consumer and the checkpoint have left behind, and that is old."""
        # The noted copies, not newer ones: what is trimmed must never be asked for again.
        up_to = min(
            self._checkpointed, *(self._noted.get(consumer, 0) for consumer in self._consumers)
        )
        before_ms = self._clock.now_ms() - self._keep_ms
        total = 0
        try:
            for _ in range(TRIMS_AT_ONCE):
                gone = self._opened().trim(up_to=up_to, written_before_ms=before_ms, rows=TRIM_ROWS)
                total += gone
                if gone < TRIM_ROWS or self._shared.requests:
                    break
            if total:
                self.numbers.first = self._opened().first()
        except (JournalError, JournalFullError) as error:
            log.warning("journal: not trimmed", error=str(error))
        return total

    def _measure(self) -> None:
        try:
            usage = self._opened().usage()
            # The checkpoint is as large as there are assets, and trimming waits for it: a bound
            # that counted it could be reached for good.
            self.numbers.usage = replace(
                usage, used_bytes=max(0, usage.used_bytes - self._checkpoint_bytes)
            )
        except (JournalError, JournalFullError) as error:
            log.warning("journal: size unknown", error=str(error))
