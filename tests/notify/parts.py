"""Parts of the tests of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from sqlalchemy import Connection, delete, insert

from ioc.alarms.model import Alarm, Impact, TransitionKind
from ioc.notify.payload import Body
from ioc.notify.routes import Match, Route
from ioc.notify.signing import Secret
from ioc.state import schema

KEY = Secret(b"k" * 32)
START_MS = 1_767_225_600_000


def route(name: str = "noc", url: str = "http://127.0.0.1:9/", **given: Any) -> Route:
    values: dict[str, Any] = {"secrets": (KEY,), "allow_private": True, "match": Match()} | given
    return Route(name=name, url=url, **values)


def alarm(alarm_id: str = "A1", **given: Any) -> Alarm:
    values: dict[str, Any] = {
        "source": "span-loss-of-signal",
        "asset": "NT-0412",
        "kind": "span",
        "site": "S-00012",
        "commune": "22366",
        "severity": "critical",
        "event_type": "communications",
        "probable_cause": "lossOfSignal",
        "text_vi": "Mất tín hiệu quang",
        "text_en": "Loss of signal",
        "action_vi": "Cử đội sửa cáp",
        "action_en": "Send a splicing team",
        "raised_ms": START_MS,
        "changed_ms": START_MS,
    } | given
    return Alarm(id=alarm_id, **values)


def impact(stations: int) -> Impact:
    return Impact(assets=stations, stations=stations, population=0)


def commit(
    connection: Connection, changed: Alarm, kind: TransitionKind, *, at_ms: int = START_MS
) -> int:
    """Write one transition as the engine does; its id."""
    content = msgspec.json.encode(changed).decode()
    known = connection.execute(
        schema.alarm.update()
        .where(schema.alarm.c.id == changed.id)
        .values(
            severity=changed.severity,
            state=changed.state,
            suppressed=changed.suppressed,
            parent=changed.parent,
            content=content,
        )
    )
    if known.rowcount == 0:
        connection.execute(
            insert(schema.alarm).values(
                id=changed.id,
                asset=changed.asset,
                kind=changed.kind,
                source=changed.source,
                severity=changed.severity,
                state=changed.state,
                acknowledged=changed.acknowledged,
                suppressed=changed.suppressed,
                parent=changed.parent,
                raised_ms=changed.raised_ms,
                cleared_ms=changed.cleared_ms,
                search="",
                content=content,
            )
        )
    made = connection.execute(
        insert(schema.transition).values(
            position=1,
            at_ms=at_ms,
            kind=kind,
            actor="engine",
            text="",
            alarm=changed.id,
            content=content,
        )
    )
    key = made.inserted_primary_key
    assert key is not None
    return int(key[0])


def empty(connection: Connection) -> None:
    """Take everything out again (a state machine begins anew)."""
    for table in reversed(schema.metadata.sorted_tables):
        connection.execute(delete(table))


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One request that a receiver got."""

    headers: dict[str, str]
    raw: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> Body:
        return msgspec.json.decode(self.raw, type=Body)


@dataclass
class Hook:
    """A receiver on loopback. It answers with ``answers`` in turn, the last one for ever (200 when
    there is none); ``extra`` headers go with each. ``hold`` makes it say nothing until set."""

    answers: Sequence[int] = ()
    extra: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    answer_body: bytes = b""
    taken: list[Taken] = field(default_factory=list)
    on_take: Callable[[], Awaitable[None]] | None = None
    _runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Its address."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"

    async def _take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.taken.append(Taken(headers=headers, raw=raw))
        answer = 200
        if self.answers:
            answer = self.answers[min(len(self.taken), len(self.answers)) - 1]
        if self.on_take is not None:
            await self.on_take()
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=answer, headers=self.extra, body=self.answer_body)

    async def close(self) -> None:
        if self.hold is not None:
            self.hold.set()
        if self._runner is not None:
            await self._runner.cleanup()


async def eventually(is_so: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Return once ``is_so``: real sockets and database threads are waited for in real time."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)
