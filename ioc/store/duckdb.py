"""The embedded store: one DuckDB file, one process.

A table per kind with a column per metric, ``time`` (storage time), and ``series``: a number that
stands for the asset with its tags in ``ioc_series``. A number is a third of the CPU time and a
tenth of the memory of five texts in each row. ``kpi`` has a row per measure; ``ioc_position`` says
how far each journal is stored. To read the file by hand, with the service stopped:
``SELECT * FROM bts JOIN ioc_series USING (series)``.

Batches are appended in one transaction with the position. All writing is done in one thread and
all reading in two others, so that neither waits for the event loop or for each other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import structlog

from ioc.catalog.model import MetricType
from ioc.errors import ConfigError, InUseError, QueryError, StoreUnavailableError
from ioc.inventory import Asset
from ioc.journal.records import Measure, Value
from ioc.store.compile import duckdb_sql
from ioc.store.derived import ALARM
from ioc.store.duckdb_roll_up import delete_sql, insert_sql, parameters
from ioc.store.duckdb_schema import follow_catalog
from ioc.store.port import RejectedPoint, Row
from ioc.store.query import Answer, Query
from ioc.store.rows import sort_out
from ioc.store.schema import DERIVED_TAGS, KPI, Measurement, Schema, tag_text, tags_of
from ioc.store.tiers import BEGINS, MADE_OF, Kept, Mark, Tier

log = structlog.get_logger()

MEMORY_LIMIT = "128MB"
SPILL_LIMIT = "2GB"
READERS = 2
QUERY_TIMEOUT_S = 10.0
EXPIRE_STEP_MS = 3_600_000
_FETCH_ROWS = 2048

# Nothing is loaded from the network, and no query reads another file.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": MEMORY_LIMIT,
    "max_temp_directory_size": SPILL_LIMIT,
    "threads": 1,  # of its own; the calling threads work too
    "preserve_insertion_order": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

Result = TypeVar("Result")
Tags = tuple[str, ...]
Columns = dict[str, Any]


@dataclass
class _SeriesChanges:
    """What a batch changes in ``ioc_series``: new ones, and old ones that are given their kind."""

    new: dict[Tags, int] = field(default_factory=dict)
    named: dict[Tags, int] = field(default_factory=dict)


class DuckDBStore:
    """A ``Store`` in a DuckDB file. Made by ``DuckDBStore.open``; belongs to one event loop."""

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path = path
        self._schema = schema
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._database: duckdb.DuckDBPyConnection | None = None
        self._writer: duckdb.DuckDBPyConnection | None = None
        # Copies of what is committed, for the writing thread.
        self._positions: dict[str, int] = {}
        self._marks: dict[str, int] = {}
        self._series: dict[Tags, int] = {}
        self._series_of: dict[str, tuple[Asset, int]] = {}

    @classmethod
    async def open(cls, path: Path, schema: Schema) -> DuckDBStore:
        """Open or create the file; its tables follow the catalog.

        Raises ``InUseError`` when another process has it open, and ``ConfigError`` when it is no
        DuckDB file, cannot be written, or has a metric under another type.
        """
        store = cls(path, schema)
        try:
            await asyncio.get_running_loop().run_in_executor(store._writing, store._connect)
        except BaseException:
            await store.close()
            raise
        return store

    async def position(self, journal_uuid: str) -> int:
        return await self._in_writer(lambda: self._positions.get(journal_uuid, 0))

    async def write(
        self,
        rows: Sequence[Row],
        measures: Sequence[Measure],
        *,
        journal_uuid: str,
        position: int,
    ) -> list[RejectedPoint]:
        by_kind, good, rejected = sort_out(rows, measures, self._schema)
        if not rejected:
            await self._in_writer(lambda: self._append(by_kind, good, journal_uuid, position))
        return rejected

    async def query(self, query: Query) -> Answer:
        measurement = self._schema.measurement_for(query)
        text, parameters = duckdb_sql(query, measurement)
        rows = await self._read(text, parameters)
        return Answer.model_construct(
            columns=(*query.group_by, "time_us", *(column.label for column in query.columns)),
            rows=rows[: query.limit],
            truncated=len(rows) > query.limit,
        )

    async def roll_up(self, measurement: str, tier: Tier, *, begin_ms: int) -> None:
        await self._in_writer(partial(self._roll_up, measurement, tier, begin_ms))

    async def mark(self, mark: Mark) -> int | None:
        return await self._in_writer(lambda: self._marks.get(mark))

    async def set_mark(self, mark: Mark, at_ms: int) -> None:
        await self._in_writer(partial(self._set_mark, mark, at_ms))

    async def expire(self, kept: Kept, *, before_ms: int) -> None:
        await self.set_mark(BEGINS[kept], before_ms)
        for name in self._schema.kept(kept):
            some_left = True
            while some_left:  # a little at a time: a batch of readings never waits for all of it
                some_left = await self._in_writer(partial(self._expire_some, name, before_ms))

    async def close(self) -> None:
        if self._database is not None:
            self._database.interrupt()
        self._reading.shutdown(wait=True, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(self._writing, self._disconnect)
        self._writing.shutdown(wait=True)

    # --- in the writing thread ---

    async def _in_writer(self, work: Callable[[], Result]) -> Result:
        """Do ``work`` in the writing thread. A failure of file or memory is
        ``StoreUnavailableError``, and the file is opened anew before the next work."""

        def guarded() -> Result:
            try:
                if self._database is None:
                    self._connect()
                return work()
            except ConfigError as error:
                raise StoreUnavailableError(str(error)) from error
            except (
                duckdb.IOException,
                duckdb.FatalException,
                duckdb.InternalException,
                duckdb.ConnectionException,
                duckdb.OutOfMemoryException,
                duckdb.TransactionException,
            ) as error:
                self._disconnect()
                raise StoreUnavailableError(f"{self._path}: {_first_line(error)}") from error

        return await asyncio.get_running_loop().run_in_executor(self._writing, guarded)

    def _execute(self, text: str, *parameters: int) -> None:
        self._connection().execute(text, list(parameters))

    def _connection(self) -> duckdb.DuckDBPyConnection:
        assert self._writer is not None, "used in the writing thread, after _connect"
        return self._writer

    def _connect(self) -> None:
        if not self._path.parent.is_dir():
            raise ConfigError(f"store: {self._path.parent}: no such folder")
        try:
            database = duckdb.connect(str(self._path), config=_CONFIG)
        except duckdb.Error as error:
            raise _cannot_open(self._path, error) from error
        self._database, self._writer = database, database.cursor()
        try:
            follow_catalog(self._writer, self._path, self._schema)
            self._read_own()
        except duckdb.Error as error:
            self._disconnect()
            raise _cannot_open(self._path, error) from error
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        database, writer = self._database, self._writer
        self._database = self._writer = None
        self._positions, self._marks, self._series, self._series_of = {}, {}, {}, {}
        for connection in (writer, database):
            if connection is not None:
                with suppress(duckdb.Error):
                    connection.close()

    def _read_own(self) -> None:
        """Read what the writing thread keeps a copy of."""
        connection = self._connection()
        names = ", ".join(DERIVED_TAGS)
        series = connection.execute(f"SELECT series, {names} FROM ioc_series").fetchall()  # noqa: S608  # our own names
        self._series = {row[1:]: row[0] for row in series}
        positions = connection.execute("SELECT journal, position FROM ioc_position").fetchall()
        self._positions = dict(positions)
        self._marks = dict(connection.execute("SELECT name, at_ms FROM ioc_mark").fetchall())

    def _append(
        self,
        by_kind: dict[str, list[Row]],
        measures: Sequence[Measure],
        journal_uuid: str,
        position: int,
    ) -> None:
        connection = self._connection()
        positions = self._positions
        if position <= positions.get(journal_uuid, 0):
            return  # stored already: a COMMIT whose answer was lost, or a caller that starts over
        # Positions tell repeats within one journal. After a journal was lost, the broker may give
        # again what the old one had admitted: only then is each row looked up.
        look_up = bool(positions.keys() - {journal_uuid})
        changes = _SeriesChanges()
        connection.begin()
        try:
            for kind, rows in by_kind.items():
                measurement = self._schema.kinds[kind]
                # After a crash a transition may be journalled twice: the same row under one time.
                repeats = kind == ALARM
                if repeats:
                    rows = list({(r.asset.id, r.reading.time_us): r for r in rows}.values())
                batch = self._columns(rows, measurement, changes)
                self._insert(kind, batch, look_up=look_up or repeats)
            if measures:
                self._insert(KPI, _kpi_columns(measures), look_up=look_up)
            self._write_series(changes)
            if journal_uuid in positions:
                connection.execute(
                    "UPDATE ioc_position SET position = ? WHERE journal = ?",
                    [position, journal_uuid],
                )
            else:
                connection.execute(
                    "INSERT INTO ioc_position VALUES (?, ?)", [journal_uuid, position]
                )
            connection.commit()
        except BaseException:
            self._disconnect()  # rolls back; whether a COMMIT came through is read when it opens
            raise
        self._series |= changes.new | changes.named
        positions[journal_uuid] = position

    def _roll_up(self, measurement: str, tier: Tier, begin_ms: int) -> None:
        if begin_ms < self._marks.get(BEGINS[MADE_OF[tier]], 0):
            return
        connection = self._connection()
        given = parameters(tier, begin_ms)
        connection.begin()
        try:
            connection.execute(delete_sql(measurement, tier), given[:1])
            connection.execute(insert_sql(self._schema, measurement, tier), given)
            connection.commit()
        except BaseException:
            self._disconnect()
            raise

    def _set_mark(self, mark: Mark, at_ms: int) -> None:
        if at_ms <= self._marks.get(mark, -1):
            return
        text = "INSERT INTO ioc_mark (at_ms, name) VALUES (?, ?)"
        if mark in self._marks:
            text = "UPDATE ioc_mark SET at_ms = ? WHERE name = ?"
        self._connection().execute(text, [at_ms, mark])
        self._marks[mark] = at_ms

    def _expire_some(self, table: str, before_ms: int) -> bool:
        """Remove the oldest hour of what is too old; whether there was any."""
        before = "time < make_timestamp(?)"
        oldest = self._connection().execute(
            f'SELECT epoch_ms(min(time)) FROM "{table}" WHERE {before}',  # noqa: S608  # a name of the schema
            [before_ms * 1000],
        )
        found = oldest.fetchone()
        if found is None or found[0] is None:
            return False
        until_ms = min(before_ms, found[0] + EXPIRE_STEP_MS)
        self._execute(f'DELETE FROM "{table}" WHERE {before}', until_ms * 1000)  # noqa: S608  # as above
        return True

    def _insert(self, table: str, batch: Columns, *, look_up: bool = False) -> None:
        """Append columns of equal length; with ``look_up``, only rows the table does not have."""
        names = ", ".join(f'"{name}"' for name in batch)
        # DuckDB finds ``batch`` among the variables of this function: registering it as a view
        # takes half as long as the whole INSERT.
        text = f'INSERT INTO "{table}" ({names}) SELECT {names} FROM batch'  # noqa: S608  # names of the catalog
        parameters: list[int] = []
        if look_up:
            same = "held.series = batch.series"
            if table == KPI:
                same = (
                    "(held.name, held.scope, held.place) = (batch.name, batch.scope, batch.place)"
                )
            text += (
                f' WHERE NOT EXISTS (SELECT 1 FROM "{table}" held WHERE held.time = batch.time '  # noqa: S608  # as above
                f"AND {same} AND held.time BETWEEN make_timestamp(?) AND make_timestamp(?))"
            )
            times = batch["time"].view(np.int64)
            parameters = [int(times.min()), int(times.max())]
        self._connection().execute(text, parameters)

    def _columns(
        self, rows: Sequence[Row], measurement: Measurement, changes: _SeriesChanges
    ) -> Columns:
        """The batch of one kind, column by column. Columns without any value are left out."""
        readings = [row.reading for row in rows]
        series = [self._series_number(row.asset, changes) for row in rows]
        columns: Columns = {
            "time": np.array([r.time_us for r in readings], dtype=np.int64).view("datetime64[us]"),
            "series": np.array(series, dtype=np.int32),
            "ts": np.array([r.ts_ms for r in readings], dtype=np.int64),
        }
        for name in ("boot", "seq"):
            numbers = [getattr(r, name) for r in readings]
            if any(number is not None for number in numbers):
                columns[name] = _column(numbers, "int")
        values = [r.values for r in readings]
        present = set().union(*values)
        for name, kind_of_value in measurement.columns.items():
            if name in present:
                columns[name] = _column([v.get(name) for v in values], kind_of_value)
        return columns

    def _series_number(self, asset: Asset, changes: _SeriesChanges) -> int:
        known = self._series_of.get(asset.id)
        if known is not None and known[0] is asset:
            return known[1]
        tags = tags_of(asset)
        number = self._series.get(tags) or changes.new.get(tags) or changes.named.get(tags)
        if number is None:
            # A series from before series had kinds is this one.
            number = self._series.pop((*tags[:-1], ""), None)
            if number is None:
                number = len(self._series) + len(changes.new) + len(changes.named) + 1
                changes.new[tags] = number
            else:
                changes.named[tags] = number
        self._series_of[asset.id] = (asset, number)
        return number

    def _write_series(self, changes: _SeriesChanges) -> None:
        if changes.new:
            columns = zip(*changes.new, strict=True)
            self._insert(
                "ioc_series",
                {
                    "series": np.array(list(changes.new.values()), dtype=np.int32),
                    **{
                        tag: _texts(column)
                        for tag, column in zip(DERIVED_TAGS, columns, strict=True)
                    },
                },
            )
        if changes.named:
            named = {  # noqa: F841  # DuckDB finds it among the variables of this function
                "series": np.array(list(changes.named.values()), dtype=np.int32),
                "kind": _texts([tags[-1] for tags in changes.named]),
            }
            self._connection().execute(
                "UPDATE ioc_series SET kind = named.kind FROM named "
                "WHERE ioc_series.series = named.series"
            )

    # --- in the reading threads ---

    async def _read(self, text: str, parameters: list[str | int]) -> list[Any]:
        database = self._database
        if database is None:
            raise StoreUnavailableError(f"{self._path}: is being opened again")
        cursor = database.cursor()
        stop = threading.Event()

        def fetch() -> list[Any]:
            rows: list[Any] = []
            if not stop.is_set():
                cursor.execute(text, parameters)
            # In parts: making tuples holds the interpreter's lock.
            while not stop.is_set() and (part := cursor.fetchmany(_FETCH_ROWS)):
                rows += part
            return rows

        running = self._reading.submit(fetch)
        try:
            # Python 3.11's wait_for forgets to be cancelled when the answer comes that moment.
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                return await asyncio.wrap_future(running)
        except TimeoutError as error:
            raise QueryError(f"took longer than {QUERY_TIMEOUT_S:.0f} s: ask for less") from error
        except duckdb.OutOfMemoryException as error:
            raise QueryError(f"needs more than {MEMORY_LIMIT} of memory: ask for less") from error
        except duckdb.Error as error:
            raise StoreUnavailableError(f"{self._path}: {_first_line(error)}") from error
        finally:
            stop.set()
            while not running.done():  # timed out or cancelled: give the thread back
                cursor.interrupt()
                await asyncio.sleep(0.01)
            cursor.close()


def _column(values: Sequence[Value | None], kind_of_value: MetricType) -> Any:
    """One column; None becomes NULL."""
    if kind_of_value == "enum":
        return _texts(values)
    if kind_of_value == "float":
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN, which no reading is
        missing = np.isnan(numbers)
        return np.ma.array(numbers, mask=missing) if missing.any() else numbers
    dtype = np.int64 if kind_of_value == "int" else np.bool_
    if None not in values:
        return np.array(values, dtype=dtype)
    return np.ma.array(
        np.array([value or 0 for value in values], dtype=dtype),
        mask=[value is None for value in values],
    )


def _kpi_columns(measures: Sequence[Measure]) -> Columns:
    return {
        "time": np.array([m.time_us for m in measures], dtype=np.int64).view("datetime64[us]"),
        "name": _texts([m.name for m in measures]),
        "scope": _texts([tag_text(m.scope) for m in measures]),
        "place": _texts([tag_text(m.place) for m in measures]),
        "value": np.array([m.value for m in measures], dtype=np.float64),
    }


def _texts(values: Sequence[Value | None]) -> Any:
    return np.array(values, dtype=object)


def _cannot_open(path: Path, error: duckdb.Error) -> ConfigError:
    reason = _first_line(error)
    if "set lock" in reason:
        return InUseError(f"store: {path}: another process has it open ({reason})")
    return ConfigError(f"store: {path}: cannot be opened as a DuckDB file: {reason}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
