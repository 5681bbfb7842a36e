"""The journal's file: SQLite in WAL mode, every commit on the disk before it returns.

Nothing here knows threads or event loops: one ``JournalFile`` belongs to one thread at a time.
SQLite has no checksums of its own, so each row carries one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from ioc.errors import ConfigError, InUseError, JournalError, JournalFullError
from ioc.journal.records import ENCODING, Entry, Quarantined, Record

FILE_NAME = "journal.db"
LOCK_NAME = "journal.lock"
APPLICATION_ID = 0x494F434A  # "IOCJ"
FORMAT = 1
# A row of this encoding is the form of ``ENCODING`` under zlib: a batch shrinks to about a third.
DEFLATED = 101
# Below this, zlib gains too little for its time.
DEFLATE_FROM_BYTES = 512
# A WAL longer than this is cut back after a checkpoint.
WAL_LIMIT_BYTES = 16 * 1024 * 1024
VACUUM_FROM_BYTES = 32 * 1024 * 1024

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    written_ms INTEGER NOT NULL,
    encoding INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    payload BLOB NOT NULL,
    payload_bytes INTEGER NOT NULL
);
CREATE INDEX quarantine_reason ON quarantine (reason, id);
CREATE TABLE quarantine_total (reason TEXT PRIMARY KEY, total INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE checkpoint (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    position INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE TABLE consumer (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE catalog (since INTEGER PRIMARY KEY, version TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Transaction:
    """What one commit writes. ``contents`` become entries, in order."""

    contents: Sequence[bytes]
    written_ms: int
    quarantined: Sequence[Quarantined] = ()
    checkpoint: bytes | None = None
    catalog_version: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """What ingest remembers, as it was when the journal ended at ``position``."""

    position: int
    content: bytes


@dataclass(frozen=True)
class Usage:
    """Room taken: ``used_bytes`` holds rows, ``reusable_bytes`` of the file wait for new ones."""

    used_bytes: int
    reusable_bytes: int


class FolderLock:
    """Holds a folder for one process, until released or the process ends (kill -9 too)."""

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a+", encoding="ascii")
        except OSError as error:
            raise ConfigError(f"journal folder {folder}: cannot be written: {error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).strip() or "unknown"
            self._file.close()
            raise InUseError(
                f"journal folder {folder}: held by process {holder}; stop it or use another folder"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()


class JournalFile:
    """One connection to the journal's file.

    Every method may raise ``JournalError``: the file is damaged, or the disk fails.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
        self.written_bytes = 0  # of entries, as stored, since it was opened
        with self._errors("cannot be opened"):
            self._connection = self._connect()
        try:
            with self._errors("cannot be opened"):
                if not read_only:
                    self._create_if_new()
                self._check()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # ── writing ──────────────────────────────────────────────────────────────

    def commit(self, work: Transaction, *, after: int, quarantine_rows: int) -> int:
        """Write all of ``work`` behind position ``after``, or nothing. Returns the last position.

        On the disk when it returns. Raises ``JournalFullError`` when the disk is full. Any other
        error leaves in doubt whether it was written: reopen and read ``end``.
        """
        end = after + len(work.contents)
        rows = [_row(content) for content in work.contents]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT INTO entry (id, written_ms, encoding, crc, content) VALUES (?,?,?,?,?)",
                [(after + n, work.written_ms, *row) for n, row in enumerate(rows, 1)],
            )
            if work.quarantined:
                self._quarantine(work.quarantined, keep=quarantine_rows)
            if work.checkpoint is not None:
                self._connection.execute(
                    "INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)",
                    (end, zlib.crc32(work.checkpoint), work.checkpoint),
                )
            if work.catalog_version:
                self._connection.execute(
                    "INSERT OR REPLACE INTO catalog VALUES (?, ?)", (end, work.catalog_version)
                )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            if _is_full(error):
                raise JournalFullError(f"{self._path}: the disk is full") from error
            raise JournalError(f"{self._path}: a commit failed: {error}") from error
        self.written_bytes += sum(len(row[2]) for row in rows)
        return end

    def note(self, positions: dict[str, int]) -> None:
        """Write copies of consumers' positions."""
        with self._errors("cannot be written"):
            self._connection.executemany(
                "INSERT OR REPLACE INTO consumer VALUES (?, ?)", positions.items()
            )

    def trim(self, *, up_to: int, written_before_ms: int, rows: int) -> int:
        """Remove the oldest entries, at most ``rows``; returns how many went.

        Only entries at or before position ``up_to`` go, and only from the front up to the first
        that was written at or after ``written_before_ms``. Room freed goes back to the disk, a
        little at each call.
        """
        with self._errors("cannot be trimmed"):
            last = None
            for position, written_ms in self._connection.execute(
                "SELECT id, written_ms FROM entry WHERE id <= ? ORDER BY id LIMIT ?", (up_to, rows)
            ):
                if written_ms >= written_before_ms:
                    break
                last = position
            if last is None:
                return 0
            gone = self._connection.execute("DELETE FROM entry WHERE id <= ?", (last,)).rowcount
            # Free pages are used again; only many of them are worth giving back to the disk.
            if self.usage().reusable_bytes > VACUUM_FROM_BYTES:
                self._connection.execute("PRAGMA incremental_vacuum(1000)").fetchall()
            return gone

    def _quarantine(self, rows: Sequence[Quarantined], *, keep: int) -> None:
        self._connection.executemany(
            "INSERT INTO quarantine (received_ms, topic, reason, detail, payload, payload_bytes)"
            " VALUES (?,?,?,?,?,?)",
            [
                (q.received_ms, q.topic, q.reason, q.detail, q.payload, q.payload_bytes)
                for q in rows
            ],
        )
        self._connection.executemany(
            "INSERT INTO quarantine_total VALUES (?, 1)"
            " ON CONFLICT (reason) DO UPDATE SET total = total + 1",
            [(q.reason,) for q in rows],
        )
        self._connection.execute(
            "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (keep,)
        )

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def force(self) -> None:
        """Bring everything committed so far onto the disk, whatever an earlier error said."""
        with self._errors("cannot be written"):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # ── reading ──────────────────────────────────────────────────────────────

    def uuid(self) -> str:
        with self._errors("cannot be read"):
            row = self._connection.execute("SELECT value FROM meta WHERE name='uuid'").fetchone()
        if row is None:
            raise JournalError(f"{self._path}: no identity in it; it was not written by ioc")
        return str(row[0])

    def end(self) -> int:
        """The last position ever given, also when its entry was trimmed."""
        with self._errors("cannot be read"):
            row = self._connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name='entry'"
            ).fetchone()
        return int(row[0]) if row else 0

    def first(self) -> int:
        """The oldest position still here; ``end() + 1`` when there is none."""
        with self._errors("cannot be read"):
            row = self._connection.execute("SELECT min(id) FROM entry").fetchone()
        return self.end() + 1 if row[0] is None else int(row[0])

    def read(self, *, after: int, limit: int, max_bytes: int) -> list[Entry]:
        """Entries behind ``after``, in order; at least one if there is one, then up to the limits.

        Raises ``JournalError`` naming the position of an entry that is damaged.
        """
        entries: list[Entry] = []
        taken = 0
        with self._errors("cannot be read"):
            rows = self._connection.execute(
                "SELECT id, written_ms, encoding, crc, content FROM entry WHERE id > ?"
                " ORDER BY id LIMIT ?",
                (after, limit),
            )
            # An open cursor would hold the WAL back: closed also when an entry is damaged.
            with contextlib.closing(rows):
                for position, written_ms, encoding, crc, content in rows:
                    record = self._decode(position, encoding, crc, content)
                    entries.append(Entry(position, written_ms, record))
                    taken += len(content)
                    if taken >= max_bytes:
                        break
        return entries

    def checkpoint(self) -> Checkpoint | None:
        with self._errors("cannot be read"):
            row = self._connection.execute(
                "SELECT position, crc, content FROM checkpoint"
            ).fetchone()
        if row is None:
            return None
        position, crc, content = row
        if zlib.crc32(content) != crc:
            raise JournalError(f"{self._path}: the checkpoint of ingest is damaged")
        return Checkpoint(position, content)

    def positions(self) -> dict[str, int]:
        with self._errors("cannot be read"):
            return dict(self._connection.execute("SELECT name, position FROM consumer"))

    def catalog_version(self) -> str:
        with self._errors("cannot be read"):
            row = self._connection.execute(
                "SELECT version FROM catalog ORDER BY since DESC LIMIT 1"
            ).fetchone()
        return str(row[0]) if row else ""

    def quarantined(
        self, *, before_id: int | None, limit: int, reason: str | None
    ) -> list[Quarantined]:
        """Quarantined messages, newest first."""
        where, values = ["1"], list[int | str]()
        if before_id is not None:
            where.append("id < ?")
            values.append(before_id)
        if reason is not None:
            where.append("reason = ?")
            values.append(reason)
        with self._errors("cannot be read"):
            rows = self._connection.execute(
                "SELECT id, received_ms, topic, reason, detail, payload, payload_bytes"  # noqa: S608  # only fixed words are joined
                f" FROM quarantine WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [
            Quarantined(
                id=row[0],
                received_ms=row[1],
                topic=row[2],
                reason=row[3],
                detail=row[4],
                payload=row[5],
                payload_bytes=row[6],
            )
            for row in rows
        ]

    def quarantine_totals(self) -> dict[str, int]:
        """How many messages were ever quarantined, by reason: the dropped ones too."""
        with self._errors("cannot be read"):
            return dict(self._connection.execute("SELECT reason, total FROM quarantine_total"))

    def quarantine_rows(self) -> int:
        with self._errors("cannot be read"):
            row = self._connection.execute("SELECT count(*) FROM quarantine").fetchone()
        return int(row[0])

    def usage(self) -> Usage:
        with self._errors("cannot be read"):
            pages, free, size = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return Usage((pages - free) * size, free * size)

    def _decode(self, position: int, encoding: int, crc: int, content: bytes) -> Record:
        if zlib.crc32(content) != crc:
            raise JournalError(f"{self._path}: entry {position} is damaged (checksum)")
        try:
            if encoding == DEFLATED:
                content = zlib.decompress(content)
            elif encoding != ENCODING:
                raise JournalError(
                    f"{self._path}: entry {position} has encoding {encoding}: "
                    "written by a newer version"
                )
            return self._decoder.decode(content)
        except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise JournalError(f"{self._path}: entry {position} is damaged: {error}") from error

    # ── opening ──────────────────────────────────────────────────────────────

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,  # BEGIN and COMMIT are written out
            check_same_thread=False,  # one thread at a time, not always the one that opened it
            timeout=5.0,
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            if not self._read_only:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has force in a new file
                connection.execute("PRAGMA journal_mode = WAL").fetchall()
                connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_if_new(self) -> None:
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                self._connection.execute(statement)
        self._connection.execute("INSERT INTO meta VALUES ('uuid', ?)", (str(uuid.uuid4()),))
        self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")
        self._connection.execute("COMMIT")

    def _check(self) -> None:
        """Refuse a file that is another program's, a newer version's, cut off or damaged."""
        application_id, file_format, pages, page_size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "page_count", "page_size")
        )
        if application_id != APPLICATION_ID:
            raise JournalError(f"{self._path}: is not a journal of ioc")
        if file_format != FORMAT:
            raise JournalError(
                f"{self._path}: has format {file_format}, this version reads {FORMAT}"
            )
        wal = self._path.with_name(self._path.name + "-wal")
        if not wal.exists() or wal.stat().st_size == 0:
            size = self._path.stat().st_size
            if size < pages * page_size:
                raise JournalError(
                    f"{self._path}: cut off: {size} bytes of {pages * page_size}; "
                    "restore it, or move the folder away to begin a new journal"
                )
        self.uuid()
        # The newest and the oldest entry stand for the rest; each is checked again when read.
        end = self.end()
        self.read(after=self.first() - 1, limit=1, max_bytes=1)
        self.read(after=end - 1, limit=1, max_bytes=1)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _is_full(error):
                raise JournalFullError(f"{self._path}: the disk is full") from error
            raise JournalError(
                f"{self._path}: {what}: {str(error)[:200]}; "
                "restore it, or move the folder away to begin a new journal"
            ) from error


def _row(content: bytes) -> tuple[int, int, bytes]:
    """Encoding, checksum and stored form of an encoded record."""
    encoding = ENCODING
    if len(content) >= DEFLATE_FROM_BYTES:
        content, encoding = zlib.compress(content, 1), DEFLATED
    return encoding, zlib.crc32(content), content


def _is_full(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # errors of Python's own side have none
    return code is not None and code & 0xFF == sqlite3.SQLITE_FULL
