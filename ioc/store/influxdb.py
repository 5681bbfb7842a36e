"""InfluxDB, 1.8 or later and 2.x: line protocol in, InfluxQL out.

A measurement per kind with the asset's tags and a field per metric, typed by the catalog, never by
the value that comes first; ``kpi`` with scope and place as tags and a field per measure;
``ioc_position`` says how far each journal is stored, written only after the data.

The database (2.x: bucket) and its retention are made by whoever runs InfluxDB; see
``database not found`` in the error for the command.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import aiohttp
import msgspec
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from ioc.catalog.model import MetricType
from ioc.clock import Clock
from ioc.errors import QueryError, StoreUnavailableError
from ioc.inventory import Asset
from ioc.journal.records import Measure, Reading, Value
from ioc.store.compile import Moment, influxql, influxql_position, tie_tags
from ioc.store.port import RejectedPoint, Row
from ioc.store.query import Answer, Query
from ioc.store.rows import sort_out
from ioc.store.schema import (
    KPI,
    Measurement,
    Schema,
    result_type,
    tag_text,
    tags_of,
)

MAX_POINTS = 5000  # in one request, as InfluxData advises
CONNECT_TIMEOUT_S = 3.0
WRITE_TIMEOUT_S = 10.0
QUERY_TIMEOUT_S = 10.0
EXPIRE_TIMEOUT_S = 120.0
QUERIES_AT_ONCE = 4
CHUNK_ROWS = 5000
MAX_CHUNK_BYTES = 64 * 2**20
# Answers that refuse the points themselves. Anything else may go well later.
_REFUSALS = frozenset({400, 413, 422})
# What InfluxDB says inside an answer when the question asks too much of it.
_TOO_MUCH = ("limit exceeded", "query interrupted", "error parsing query")
_HOUR_US = 3_600_000_000


@dataclass(frozen=True, kw_only=True)
class InfluxSettings:
    """Where InfluxDB is. ``token`` is "user:password" for 1.x with authentication."""

    host: str
    port: int
    database: str
    org: str = "-"
    token: str = field(default="", repr=False)
    tls: bool = False

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Point:
    """A line, and what it came from."""

    measurement: str
    line: bytes
    source: Reading | Measure


class InfluxDBStore:
    """A ``Store`` in InfluxDB. Belongs to the event loop it was made in."""

    def __init__(self, settings: InfluxSettings, schema: Schema, clock: Clock) -> None:
        self._settings = settings
        self._schema = schema
        self._clock = clock
        self._heads: dict[tuple[str, str], tuple[Asset, str]] = {}
        self._positions: dict[str, int] = {}
        self._asking = asyncio.Semaphore(QUERIES_AT_ONCE)
        self._client = InfluxDBClientAsync(
            url=settings.url,
            token=settings.token,
            org=settings.org,
            timeout=aiohttp.ClientTimeout(total=WRITE_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
        )
        self._writes: Any = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]  # theirs has no types
        headers = {"Authorization": f"Token {settings.token}"} if settings.token else {}
        self._session = aiohttp.ClientSession(headers=headers)

    async def close(self) -> None:
        await self._session.close()
        await self._client.close()  # type: ignore[no-untyped-call]  # theirs has no types

    # --- writing ---

    async def position(self, journal_uuid: str) -> int:
        found: list[int] = []
        await self._ask(
            influxql_position(journal_uuid),
            take=lambda _, values: found.append(values[1]),
            timeout_s=WRITE_TIMEOUT_S,
        )
        position = found[0] if found else 0
        self._positions[journal_uuid] = position
        return position

    async def write(
        self,
        rows: Sequence[Row],
        measures: Sequence[Measure],
        *,
        journal_uuid: str,
        position: int,
    ) -> list[RejectedPoint]:
        by_kind, good, rejected = sort_out(rows, measures, self._schema)
        if rejected:
            return rejected
        stored = self._positions.get(journal_uuid)
        if stored is None:
            stored = await self.position(journal_uuid)
        if position <= stored:
            return []
        points = [point for kind in by_kind for point in self._points(kind, by_kind[kind])]
        points += [_kpi_point(measure) for measure in good]
        for start in range(0, len(points), MAX_POINTS):
            rejected += await self._send(points[start : start + MAX_POINTS])
        if rejected:
            return rejected
        # One point for each hour, written over and over: the greatest position counts, and the
        # series stays short and never grows too old for the database's retention.
        hour_us = self._clock.now_ms() * 1000 // _HOUR_US * _HOUR_US
        line = f"ioc_position,journal={_escaped(journal_uuid)} position={position}i {hour_us}"
        try:
            await self._post(line.encode())
        except _RefusedError as error:
            raise StoreUnavailableError(f"position: {error.reason}") from error
        self._positions[journal_uuid] = position
        return []

    def _points(self, kind: str, rows: Sequence[Row]) -> Iterator[_Point]:
        columns = self._schema.kinds[kind].columns
        for row in rows:
            reading = row.reading
            fields = [f"ts={reading.ts_ms}i"]
            if reading.boot is not None:
                fields.append(f"boot={reading.boot}i")
            if reading.seq is not None:
                fields.append(f"seq={reading.seq}i")
            for name, value in reading.values.items():
                expected = columns.get(name)
                if expected is not None:
                    fields.append(f"{name}={_FIELD[expected](value)}")
            line = f"{self._head(kind, row.asset)} {','.join(fields)} {reading.time_us}"
            yield _Point(kind, line.encode(), reading)

    def _head(self, kind: str, asset: Asset) -> str:
        """Measurement and tags of an asset, as a line begins."""
        known = self._heads.get((kind, asset.id))
        if known is not None and known[0] is asset:
            return known[1]
        # Readings leave the last tag, the kind, to their measurement's name.
        tags = sorted(zip(self._schema.kinds[kind].tags, tags_of(asset), strict=False))
        # An empty tag does not exist in InfluxDB; it reads back as "".
        head = ",".join([kind, *(f"{tag}={_escaped(value)}" for tag, value in tags if value)])
        self._heads[kind, asset.id] = (asset, head)
        return head

    async def _send(self, points: Sequence[_Point]) -> list[RejectedPoint]:
        """Write points; the refused ones come back, found by halving what was refused."""
        try:
            await self._post(b"\n".join([point.line for point in points]))
        except _RefusedError as error:
            # InfluxDB 1.x and 2.x write what they can of a request and count what they dropped.
            if len(points) == 1 or error.dropped == len(points):
                return [RejectedPoint(point=p.source, reason=error.reason) for p in points]
            rejected = []
            for part in _parts(points):
                rejected += await self._send(part)
            return rejected
        return []

    async def _post(self, lines: bytes) -> None:
        """Raises ``_RefusedError`` or ``StoreUnavailableError``."""
        try:
            # The client's own gzip is of level 9, which takes as long as all else together.
            await self._writes.post_write_async(
                org=self._settings.org,
                bucket=self._settings.database,
                body=gzip.compress(lines, 1),
                precision=WritePrecision.US,
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            reason = _reason(error.body, error.reason)
            if error.status in _REFUSALS:
                raise _RefusedError(reason) from error
            self._unavailable(error.status, reason, error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._unavailable(None, str(error) or type(error).__name__, error)

    def _unavailable(self, status: int | None, reason: str, cause: Exception | None) -> NoReturn:
        text = f"{self._settings.url}: {f'{status} ' if status else ''}{reason}"
        if "not found" in reason and self._settings.database in reason:
            text += (
                f"; make it with: influx -execute 'CREATE DATABASE \"{self._settings.database}\"'"
                f" (InfluxDB 2.x: influx bucket create -n {self._settings.database})"
            )
        elif status in (401, 403):
            text += "; the token_file of the store's URL must hold a token that may read and write"
        raise StoreUnavailableError(text) from cause

    async def expire(self, *, before_ms: int) -> None:
        for kind in self._schema.kinds:
            text = f'DELETE FROM "{kind}" WHERE time < {before_ms}ms'  # noqa: S608  # a kind's name is checked by the catalog
            await self._ask(text, take=lambda _, __: None, timeout_s=EXPIRE_TIMEOUT_S)

    # --- reading ---

    async def query(self, query: Query) -> Answer:
        measurement = self._schema.measurement_for(query)
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S), self._asking:
                rows = await self._rows(query, measurement)
        except TimeoutError as error:
            raise QueryError(f"took longer than {QUERY_TIMEOUT_S:.0f} s: ask for less") from error
        return Answer.model_construct(
            columns=(*query.group_by, "time_us", *(column.label for column in query.columns)),
            rows=[row.shown for row in rows[: query.limit]],
            truncated=len(rows) > query.limit,
        )

    async def _rows(self, query: Query, measurement: Measurement) -> list[_AnswerRow]:
        """The first rows in the query's order: ``limit`` of them, and one more if there is one."""
        wanted = query.limit + 1
        read = _reader(query, measurement)
        rows: list[_AnswerRow] = []

        def first_rows() -> list[_AnswerRow]:
            return sorted(rows, key=lambda row: row.order)[:wanted]

        def take(tags: dict[str, str], values: list[Any]) -> None:
            nonlocal rows
            row = read(tags, values)
            if row is not None:
                rows.append(row)
            if len(rows) >= 4 * wanted + CHUNK_ROWS:  # LIMIT is for each series
                rows = first_rows()

        await self._ask(influxql(query, measurement), take=take)
        rows = first_rows()
        cut = rows[-1].moment if len(rows) == wanted else None
        if cut is not None and tie_tags(query, measurement) and rows[-2].moment == cut:
            # LIMIT takes any rows of the time where it cuts: ask for all of that time.
            rows = [row for row in rows if row.moment != cut]
            await self._ask(influxql(query, measurement, only=cut), take=take)
            rows = first_rows()
        return rows

    async def _ask(
        self,
        text: str,
        *,
        take: Callable[[dict[str, str], list[Any]], None],
        timeout_s: float | None = None,
    ) -> None:
        """Send InfluxQL; hand each row of the answer to ``take``, with the tags of its series.

        The answer is read in chunks, so that it is never held whole. Raises ``QueryError`` or
        ``StoreUnavailableError``; ``TimeoutError`` only when the caller set the time-out.
        """
        try:
            async with self._session.post(
                f"{self._settings.url}/query",
                params={
                    "db": self._settings.database,
                    "epoch": "u",
                    "chunked": "true",
                    "chunk_size": str(CHUNK_ROWS),
                },
                data={"q": text},
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S),
            ) as response:
                if response.status != 200:
                    reason = _reason(await response.text(), response.reason)
                    if response.status == 400:
                        raise QueryError(reason)
                    self._unavailable(response.status, reason, None)
                async for line in _lines(response.content):
                    self._take_chunk(line, take)
        except aiohttp.ServerTimeoutError as error:
            self._unavailable(None, f"no answer: {error}", error)
        except (aiohttp.ClientError, msgspec.DecodeError, OSError) as error:
            # TimeoutError is an OSError: it belongs to whoever set the time-out.
            if isinstance(error, TimeoutError) and timeout_s is None:
                raise
            self._unavailable(None, str(error) or type(error).__name__, error)

    def _take_chunk(self, line: bytes, take: Callable[[dict[str, str], list[Any]], None]) -> None:
        answer = msgspec.json.decode(line, type=_Chunk)
        for error in [answer.error, *(result.error for result in answer.results)]:
            if any(words in error for words in _TOO_MUCH):
                raise QueryError(error)
            if error:
                self._unavailable(None, error, None)
        for result in answer.results:
            for series in result.series:
                for values in series.values:
                    take(series.tags, values)


class _RefusedError(Exception):
    """InfluxDB refuses points for good. ``dropped`` is how many, where it says so."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        found = re.search(r"dropped=(\d+)", reason)
        self.dropped = int(found[1]) if found else 0


# --- the answer, as /query gives it ---


class _SeriesPart(msgspec.Struct):
    tags: dict[str, str] = {}
    values: list[list[Any]] = []


class _Result(msgspec.Struct):
    series: list[_SeriesPart] = []
    error: str = ""


class _Chunk(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


class _AnswerRow(NamedTuple):
    order: tuple[tuple[str, ...], int, tuple[str, ...]]
    moment: Moment
    shown: tuple[Any, ...]


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length up to ``MAX_CHUNK_BYTES``; each is one chunk of the answer."""
    rest = bytearray()
    async for part in content.iter_any():
        rest += part
        if b"\n" in part:
            *whole, last = bytes(rest).split(b"\n")
            for line in whole:
                if line.strip():
                    yield line
            rest = bytearray(last)
        if len(rest) > MAX_CHUNK_BYTES:
            raise QueryError("the answer has too long a line: ask for less")
    if rest.strip():
        yield bytes(rest)


def _reader(
    query: Query, measurement: Measurement
) -> Callable[[dict[str, str], list[Any]], _AnswerRow | None]:
    """How a row of the answer is read: values of the catalog's types, and where it belongs.

    JSON has one kind of number: a whole float arrives as an int. A count of nothing is 0. A row
    without any value is None: it is not part of the answer.
    """
    readers = [
        _READ[result_type(measurement, column.metric, column.aggregate)] for column in query.columns
    ]
    counts = [column.aggregate == "count" for column in query.columns]
    whole_span = query.aggregated and query.every_s is None
    last = 1 + len(query.columns)
    sign = -1 if query.newest_first else 1

    def read(tags: dict[str, str], values: list[Any]) -> _AnswerRow | None:
        found = values[1:last]
        if not any(
            v is not None and not (v == 0 and c) for v, c in zip(found, counts, strict=True)
        ):
            return None
        time_us = query.start_ms * 1000 if whole_span else values[0]
        group = tuple(tags.get(tag, "") for tag in query.group_by)
        shown = [
            (0 if count else None) if value is None else reader(value)
            for value, reader, count in zip(found, readers, counts, strict=True)
        ]
        ties = tuple(tag or "" for tag in values[last:])
        return _AnswerRow(
            order=(group, sign * time_us, ties),
            moment=Moment(tags=group, time_us=time_us),
            shown=(*group, time_us, *shown),
        )

    return read


_READ: dict[MetricType, Callable[[Any], Value]] = {
    "float": float,
    "int": int,
    "bool": bool,
    "enum": str,
}


# --- line protocol ---


def _kpi_point(measure: Measure) -> _Point:
    tags = [("place", tag_text(measure.place)), ("scope", tag_text(measure.scope))]
    head = ",".join([KPI, *(f"{tag}={_escaped(value)}" for tag, value in tags if value)])
    line = f"{head} {measure.name}={float(measure.value)!r} {measure.time_us}"
    return _Point(KPI, line.encode(), measure)


def _escaped(tag: str) -> str:
    """A tag's value, already a ``tag_text``."""
    if tag.isalnum():
        return tag
    return tag.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _text_field(value: Value) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# The types were checked when the rows were sorted out.
_FIELD: dict[MetricType, Callable[[Any], str]] = {
    "float": lambda value: repr(float(value)),
    "int": lambda value: f"{value}i",
    "bool": lambda value: "true" if value else "false",
    "enum": _text_field,
}


def _parts(points: Sequence[_Point]) -> list[Sequence[_Point]]:
    """Smaller pieces of a refused request: by measurement, which is what faults go by, or halves.

    A field of the wrong type in all points of a kind is then settled with one request.
    """
    by_measurement: dict[str, list[_Point]] = {}
    for point in points:
        by_measurement.setdefault(point.measurement, []).append(point)
    if len(by_measurement) > 1:
        return list(by_measurement.values())
    middle = len(points) // 2
    return [points[:middle], points[middle:]]


def _reason(body: str | bytes | None, otherwise: str | None) -> str:
    """InfluxDB's own words: {"error": …} in 1.x, {"message": …} in 2.x."""
    try:
        answer = msgspec.json.decode(body or b"")
    except msgspec.DecodeError:
        answer = None
    if isinstance(answer, dict):
        reason = answer.get("message") or answer.get("error")
        if isinstance(reason, str):
            return reason[:500]
    return otherwise or "no reason given"
