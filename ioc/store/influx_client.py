"""InfluxDB's two doors: /api/v2/write for line protocol, /query for InfluxQL. Both are in 1.8 and
later and in 2.x."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import aiohttp
import msgspec
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from ioc.errors import QueryError, StoreUnavailableError

CONNECT_TIMEOUT_S = 3.0
CHUNK_ROWS = 5000
MAX_CHUNK_BYTES = 64 * 2**20
# Answers that refuse the points themselves. Anything else may go well later.
_REFUSALS = frozenset({400, 413, 422})
# What InfluxDB says inside an answer when the question asks too much of it.
_TOO_MUCH = ("limit exceeded", "query interrupted", "error parsing query")


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


class RefusedError(Exception):
    """InfluxDB refuses points for good. ``dropped`` is how many, where it says so."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        found = re.search(r"dropped=(\d+)", reason)
        self.dropped = int(found[1]) if found else 0


class SeriesPart(msgspec.Struct):
    """Some rows of one series of an answer; ``columns`` begin with the time."""

    tags: dict[str, str] = {}
    columns: list[str] = []
    values: list[list[Any]] = []


class _Result(msgspec.Struct):
    series: list[SeriesPart] = []
    error: str = ""


class _Chunk(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


class InfluxClient:
    """Belongs to the event loop it was made in. Time-outs are the callers'."""

    def __init__(self, settings: InfluxSettings, *, write_timeout_s: float) -> None:
        self._settings = settings
        self._client = InfluxDBClientAsync(
            url=settings.url,
            token=settings.token,
            org=settings.org,
            timeout=aiohttp.ClientTimeout(total=write_timeout_s, sock_connect=CONNECT_TIMEOUT_S),
        )
        self._writes: Any = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]  # theirs has no types
        headers = {"Authorization": f"Token {settings.token}"} if settings.token else {}
        self._session = aiohttp.ClientSession(headers=headers)

    async def close(self) -> None:
        await self._session.close()
        await self._client.close()  # type: ignore[no-untyped-call]  # theirs has no types

    async def post(self, lines: bytes) -> None:
        """Write lines, whose times are ns. Raises ``RefusedError`` or ``StoreUnavailableError``."""
        try:
            # The client's own gzip is of level 9, which takes as long as all else together.
            await self._writes.post_write_async(
                org=self._settings.org,
                bucket=self._settings.database,
                body=gzip.compress(lines, 1),
                precision=WritePrecision.NS,
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            reason = _reason(error.body, error.reason)
            if error.status in _REFUSALS:
                raise RefusedError(reason) from error
            self._unavailable(error.status, reason, error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._unavailable(None, str(error) or type(error).__name__, error)

    async def ask(
        self, text: str, *, timeout_s: float | None = None
    ) -> AsyncGenerator[SeriesPart, None]:
        """Send InfluxQL; give the answer's series, a long one in parts that follow each other.

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
                    for part in self._series(line):
                        yield part
        except aiohttp.ServerTimeoutError as error:
            self._unavailable(None, f"no answer: {error}", error)
        except (aiohttp.ClientError, msgspec.DecodeError, OSError) as error:
            # TimeoutError is an OSError: it belongs to whoever set the time-out.
            if isinstance(error, TimeoutError) and timeout_s is None:
                raise
            self._unavailable(None, str(error) or type(error).__name__, error)

    async def answers(self, *, within_s: float) -> bool:
        """Whether the server says anything at all: it may be too busy with one query only."""
        timeout = aiohttp.ClientTimeout(total=within_s)
        try:
            async with self._session.get(f"{self._settings.url}/ping", timeout=timeout) as response:
                return response.status < 500
        except (aiohttp.ClientError, OSError):  # TimeoutError is one of these
            return False

    def _series(self, line: bytes) -> list[SeriesPart]:
        answer = msgspec.json.decode(line, type=_Chunk)
        for error in [answer.error, *(result.error for result in answer.results)]:
            if any(words in error for words in _TOO_MUCH):
                raise QueryError(error)
            if error:
                self._unavailable(None, error, None)
        return [series for result in answer.results for series in result.series]

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
