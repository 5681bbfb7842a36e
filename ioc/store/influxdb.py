"""InfluxDB, 1.8 or later and 2.x: line protocol in, InfluxQL out.

A measurement per kind with the asset's tags and a field per metric, typed by the catalog, never by
the value that comes first; alarms with few tags, the others as fields (``Measurement.as_fields``);
``kpi`` with scope and place as tags and a field per measure; ``ioc_position`` says how far each
journal is stored, written only after the data.

The database (2.x: bucket) and its retention are made by whoever runs InfluxDB; see
``database not found`` in the error for the command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ioc.catalog.model import MetricType
from ioc.clock import Clock
from ioc.errors import QueryError, StoreUnavailableError
from ioc.inventory import Asset
from ioc.journal.records import Measure, Reading, Value
from ioc.store import influx_roll_up
from ioc.store.compile import (
    Moment,
    influxql,
    influxql_delete,
    influxql_mark,
    influxql_position,
    tie_tags,
)
from ioc.store.derived import more_ns
from ioc.store.influx_client import CHUNK_ROWS, InfluxClient, InfluxSettings, RefusedError
from ioc.store.influx_line import FIELD, escaped, head
from ioc.store.port import RejectedPoint, Row
from ioc.store.query import Answer, Query
from ioc.store.rows import sort_out
from ioc.store.schema import KPI, Measurement, Schema, result_type, tag_text, tags_of
from ioc.store.tiers import BEGINS, MADE_OF, Kept, Mark, Tier

MAX_POINTS = 5000  # in one request, as InfluxData advises
WRITE_TIMEOUT_S = 10.0
QUERY_TIMEOUT_S = 10.0
PING_TIMEOUT_S = 2.0
EXPIRE_TIMEOUT_S = 120.0
QUERIES_AT_ONCE = 4
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class _Point:
    """A line, and what it came from."""

    measurement: str
    line: bytes
    source: Reading | Measure


class InfluxDBStore:
    """A ``Store`` in InfluxDB. Belongs to the event loop it was made in."""

    def __init__(self, settings: InfluxSettings, schema: Schema, clock: Clock) -> None:
        self._schema = schema
        self._clock = clock
        self._begins: dict[tuple[str, str], tuple[Asset, str]] = {}
        self._positions: dict[str, int] = {}
        self._marks: dict[Mark, int | None] = {}
        self._asking = asyncio.Semaphore(QUERIES_AT_ONCE)
        self._client = InfluxClient(settings, write_timeout_s=WRITE_TIMEOUT_S)

    async def close(self) -> None:
        await self._client.close()

    # --- writing ---

    async def position(self, journal_uuid: str) -> int:
        position = await self._greatest(influxql_position(journal_uuid)) or 0
        self._positions[journal_uuid] = max(position, self._positions.get(journal_uuid, 0))
        return position

    async def mark(self, mark: Mark) -> int | None:
        if mark not in self._marks:
            self._marks[mark] = await self._greatest(influxql_mark(mark))
        return self._marks[mark]

    async def set_mark(self, mark: Mark, at_ms: int) -> None:
        known = await self.mark(mark)
        if known is None or at_ms > known:
            await self._note(f"ioc_mark,name={mark} at_ms={at_ms}i")
            self._marks[mark] = at_ms

    async def _greatest(self, text: str) -> int | None:
        """The one number of an answer."""
        found: int | None = None
        async for part in self._client.ask(text, timeout_s=WRITE_TIMEOUT_S):
            for values in part.values:
                found = int(values[1])
        return found

    async def _note(self, what: str) -> None:
        """Keep a number that only grows. One point for each hour, written over and over: the
        greatest counts, and the series stays short and never grows too old for the database's
        retention."""
        hour_ns = self._clock.now_ms() * 1_000_000 // _HOUR_NS * _HOUR_NS
        try:
            await self._client.post(f"{what} {hour_ns}".encode())
        except RefusedError as error:
            raise StoreUnavailableError(f"{what}: {error.reason}") from error

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
        await self._note(f"ioc_position,journal={escaped(journal_uuid)} position={position}i")
        self._positions[journal_uuid] = position
        return []

    def _points(self, kind: str, rows: Sequence[Row]) -> Iterator[_Point]:
        measurement = self._schema.kinds[kind]
        columns = measurement.columns
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
                    fields.append(f"{name}={FIELD[expected](value)}")
            time_ns = reading.time_us * 1000
            if measurement.as_fields and reading.seq is not None:
                time_ns += more_ns(reading.seq)
            line = f"{self._begin(measurement, row.asset)}{','.join(fields)} {time_ns}"
            yield _Point(kind, line.encode(), reading)

    def _begin(self, measurement: Measurement, asset: Asset) -> str:
        """Measurement, tags of an asset, and those kept as fields: as a line begins."""
        known = self._begins.get((measurement.name, asset.id))
        if known is not None and known[0] is asset:
            return known[1]
        # Readings leave the last tag, the kind, to their measurement's name.
        tags = dict(zip(measurement.tags, tags_of(asset), strict=False))
        fields = [f"{name}={FIELD['enum'](tags.pop(name))}," for name in measurement.as_fields]
        begin = f"{head(measurement.name, tags.items())} {''.join(fields)}"
        self._begins[measurement.name, asset.id] = (asset, begin)
        return begin

    async def _send(self, points: Sequence[_Point]) -> list[RejectedPoint]:
        """Write points; the refused ones come back, found by halving what was refused."""
        try:
            await self._client.post(b"\n".join([point.line for point in points]))
        except RefusedError as error:
            # InfluxDB 1.x and 2.x write what they can of a request and count what they dropped.
            if len(points) == 1 or error.dropped == len(points):
                return [RejectedPoint(point=p.source, reason=error.reason) for p in points]
            rejected = []
            for part in _parts(points):
                rejected += await self._send(part)
            return rejected
        return []

    # --- roll-ups and retention ---

    async def roll_up(self, measurement: str, tier: Tier, *, begin_ms: int) -> None:
        if begin_ms >= (await self.mark(BEGINS[MADE_OF[tier]]) or 0):
            await influx_roll_up.roll_up(
                self._client, self._schema, measurement, tier, begin_ms=begin_ms
            )

    async def expire(self, kept: Kept, *, before_ms: int) -> None:
        await self.set_mark(BEGINS[kept], before_ms)
        for name in self._schema.kept(kept):
            text = influxql_delete(name, before_ms=before_ms)
            async for _ in self._client.ask(text, timeout_s=EXPIRE_TIMEOUT_S):
                pass

    # --- reading ---

    async def query(self, query: Query) -> Answer:
        measurement = self._schema.measurement_for(query)
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S), self._asking:
                rows = await self._rows(query, measurement)
        except TimeoutError as error:
            if not await self._client.answers(within_s=PING_TIMEOUT_S):
                raise StoreUnavailableError(
                    f"no answer within {QUERY_TIMEOUT_S:.0f} s, nor to a ping"
                ) from error
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

        async def take(text: str) -> None:
            nonlocal rows
            async for part in self._client.ask(text):
                for values in part.values:
                    row = read(part.tags, values)
                    if row is not None:
                        rows.append(row)
                    if len(rows) >= 4 * wanted + CHUNK_ROWS:  # LIMIT is for each series
                        rows = first_rows()
            rows = first_rows()

        await take(influxql(query, measurement))
        cut = rows[-1].moment if len(rows) == wanted else None
        if cut is not None and tie_tags(query, measurement) and rows[-2].moment == cut:
            # LIMIT takes any rows of the time where it cuts: ask for all of that time.
            rows = [row for row in rows if row.moment != cut]
            await take(influxql(query, measurement, only=cut))
        return rows


# --- the answer, as /query gives it ---


class _AnswerRow(NamedTuple):
    order: tuple[tuple[str, ...], int, tuple[str, ...]]
    moment: Moment
    shown: tuple[Any, ...]


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
    tags = (("place", tag_text(measure.place)), ("scope", tag_text(measure.scope)))
    line = f"{head(KPI, tags)} {measure.name}={float(measure.value)!r} {measure.time_us}000"
    return _Point(KPI, line.encode(), measure)


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
