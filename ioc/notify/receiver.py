"""A receiver of our own webhooks: verifies each, and says in one line what it tells.

For drills, for trying out a route, and as an example of what a receiver has to check.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from ioc.clock import Clock
from ioc.errors import SignatureError
from ioc.notify.payload import MAX_BODY_BYTES, Body
from ioc.notify.signing import Secret, verify

if TYPE_CHECKING:
    # At run time it would bring pydantic into a small process.
    from ioc.text import Language

REMEMBERED_IDS = 10_000
SHAPES = {"critical": "◆", "major": "▲", "minor": "■", "warning": "●", "indeterminate": "○"}
# Okabe and Ito's colours, as in the console.
COLOURS = {"critical": "#D55E00", "major": "#E69F00", "minor": "#F0E442", "warning": "#56B4E9"}


@dataclass(frozen=True, kw_only=True)
class Received:
    """One webhook. ``fault`` says why its signature is not believed, "" when it is; nothing else
    of such a webhook is to be believed either. ``body`` is None when it is not one of ours."""

    at_ms: int
    id: str
    fault: str = ""
    repeat: bool = False
    body: Body | None = None
    raw: bytes = b""


class Receiver:
    """Answers webhooks and hands each to ``tell``.

    A forged, old or unsigned one is answered 401, a good one ``status`` after ``delay_s`` seconds.
    An id that was seen before is a ``repeat``: the sender did not get, or did not note, our answer.
    """

    def __init__(
        self,
        secrets: Sequence[Secret],
        *,
        clock: Clock,
        tell: Callable[[Received], None],
        status: int = 200,
        delay_s: float = 0.0,
        retry_after_s: int | None = None,
    ) -> None:
        self._secrets = tuple(secrets)
        self._clock = clock
        self._tell = tell
        self._status = status
        self._delay_s = delay_s
        self._headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        self._seen: OrderedDict[str, None] = OrderedDict()

    def app(self) -> web.Application:
        """The web application: it takes a POST on any path."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/{path:.*}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()  # aiohttp answers 413 above client_max_size
        at_ms = self._clock.now_ms()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            message_id = verify(self._secrets, headers=headers, body=raw, now_s=at_ms / 1000)
        except SignatureError as error:
            told_id = headers.get("webhook-id", "")
            self._tell(Received(at_ms=at_ms, id=told_id, fault=str(error), raw=raw))
            return web.Response(status=401, text="signature is not valid\n")
        repeat = message_id in self._seen
        self._seen[message_id] = None
        self._seen.move_to_end(message_id)
        if len(self._seen) > REMEMBERED_IDS:
            self._seen.popitem(last=False)
        try:
            body = msgspec.json.decode(raw, type=Body)
        except msgspec.DecodeError:
            body = None
        self._tell(Received(at_ms=at_ms, id=message_id, repeat=repeat, body=body, raw=raw))
        if self._delay_s:
            await self._clock.sleep(self._delay_s)
        return web.Response(status=self._status, headers=self._headers)


def in_words(received: Received, *, language: Language = "en") -> list[tuple[str, str]]:
    """One line for a person, in pieces of (text, style of ``rich``).

    Control characters in what was received are taken out: a webhook must not steer the terminal.
    """
    time = datetime.fromtimestamp(received.at_ms / 1000, UTC).astimezone().strftime("%H:%M:%S")
    line: list[tuple[str, str]] = [(f"{time}  ", "dim")]
    if received.fault:
        told_id = _plain(received.id)[:80] or "no id"
        line.append((f"SIGNATURE BAD: {_plain(received.fault)} ({told_id})", "bold reverse"))
        return line
    body = received.body
    if body is None or not body.alerts:
        line.append((f"{_plain(received.id)}: not an alarm ({len(received.raw)} bytes)", ""))
    for alert in body.alerts if body else ():
        severity = alert.labels.get("severity", "indeterminate")
        colour = COLOURS.get(severity, "") if alert.status == "firing" else "dim"
        shape = SHAPES.get(severity, "○")
        summary = alert.annotations.get(f"summary_{language}") or alert.labels.get("alertname", "")
        line.append((f"{shape} {_plain(severity):<13} {alert.status:<8}", colour))
        line.append((f"  {_plain(summary)}", "bold" if alert.status == "firing" else ""))
        impact = alert.annotations.get(f"impact_{language}")
        if impact:
            line.append((f" · {_plain(impact)}", ""))
    line.append((" · signature ok", "dim"))
    if received.repeat:
        line.append((" · repeat", "bold"))
    return line


def as_json(received: Received) -> str:
    """One line for a program."""
    return msgspec.json.encode(
        {
            "at_ms": received.at_ms,
            "id": received.id,
            "signature": "bad" if received.fault else "ok",
            "fault": received.fault,
            "repeat": received.repeat,
            "body": received.body,
        }
    ).decode()


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
