"""Attempts: one signed POST each, side by side, in order within a group, retried for three days.

What an answer means:

- 2xx: taken. The body of the answer is not read.
- 410: the receiver is gone. The route is disabled, with a loud log.
- 400, 413, 415, 422: the body is refused; the same body would be refused again, so it is given up.
- Everything else is tried again: 408, 429 and 5xx, but also 401, 403, 404 and redirects (which are
  not followed), because a person mends a receiver's set-up, and an alarm is worth a few more
  requests.
- A ``Retry-After`` makes the pause longer, up to a day, never shorter: the number of attempts is
  bounded, and a receiver that always says "1 second" must not use them up in ten.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar

import aiohttp
import structlog

from ioc import __version__
from ioc.clock import Clock
from ioc.errors import StateUnavailableError
from ioc.notify.guard import Guard, OwnThreadResolver
from ioc.notify.outbox import Due, Outcome, record
from ioc.notify.routes import Route
from ioc.notify.signing import sign
from ioc.state.database import State
from ioc.supervise import StageHealth

log = structlog.get_logger()
Result = TypeVar("Result")

# Before each attempt, in seconds (Standard Webhooks); ± a tenth of it, so that receivers that were
# away together are not all called at once.
DELAYS_S = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
LONGEST_RETRY_AFTER_S = 86_400.0
# Attempts under way at once, for one route: one that hangs uses up only its own.
SIDE_BY_SIDE = 8
MAX_ANSWER_BYTES = 1024
RECORD_AGAIN_S = 1.0

_REFUSED = (400, 413, 415, 422)
_GONE = 410


Verdict = Literal["taken", "retry", "refused", "gone"]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    text: str
    retry_after: str


async def post(route: Route, *, message_id: str, body: bytes, clock: Clock) -> Outcome:
    """Make one attempt. Never raises for what a receiver or a network does.

    Each attempt is a connection of its own: a kept one that the receiver has closed meanwhile
    would cost an attempt, and the guard looks at every connection.
    """
    at_ms, began_s = clock.now_ms(), clock.monotonic_s()
    guard = Guard(allow_private=route.allow_private)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"provincial-ioc/{__version__}",
        **sign(route.secrets, message_id=message_id, timestamp_s=at_ms // 1000, body=body),
    }
    answer: _Answer | None = None
    verdict: Verdict
    try:
        answer = await _within(
            clock, route.timeout_s, _request(route.url, guard=guard, headers=headers, body=body)
        )
    except TimeoutError:
        verdict, error = "retry", f"no answer within {route.timeout_s:g} s"
    except aiohttp.InvalidURL:
        verdict, error = "refused", f"the URL of route {route.name} cannot be requested"
    except (aiohttp.ClientError, OSError) as failure:
        if guard.refused and not guard.let_through:
            verdict = "refused"
            error = (
                f"{guard.refused} is not a public address; "
                f"allow_private: true in route {route.name} allows it"
            )
        else:
            verdict, error = "retry", f"{type(failure).__name__}: {failure}"
    else:
        verdict, error = _judge(answer)
    return Outcome(
        verdict=verdict,
        at_ms=at_ms,
        duration_ms=round((clock.monotonic_s() - began_s) * 1000),
        status_code=answer.status if answer else None,
        error=error,
        retry_after_s=retry_after_s(answer.retry_after, now_ms=clock.now_ms()) if answer else None,
    )


def next_attempt_ms(
    *, attempts: int, now_ms: int, retry_after_s: float | None, randomness: random.Random
) -> int | None:
    """When to try again after ``attempts`` failed ones; None when it is time to give up."""
    if attempts >= len(DELAYS_S):
        return None
    delay_s = DELAYS_S[attempts] * randomness.uniform(1 - JITTER, 1 + JITTER)
    if retry_after_s is not None:
        delay_s = max(delay_s, min(retry_after_s, LONGEST_RETRY_AFTER_S))
    return now_ms + round(delay_s * 1000)


def retry_after_s(header: str, *, now_ms: int) -> float | None:
    """Seconds a receiver asks to be left alone (RFC 9110: seconds or a date); None when it does
    not, or in a form that nobody defined."""
    text = header.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - now_ms / 1000)


class Courier:
    """Makes the attempts of all routes side by side and writes down what became of them.

    Reusable after ``close``. Belongs to one event loop.
    """

    def __init__(
        self,
        state: State,
        *,
        routes: Sequence[Route],
        clock: Clock,
        health: StageHealth,
        moved: asyncio.Event,
        randomness: random.Random | None = None,
    ) -> None:
        """``moved`` is set whenever an attempt has been written down: more may be due."""
        self._state = state
        self._routes = {route.name: route for route in routes}
        self._clock = clock
        self._health = health
        self._moved = moved
        # Jitter spreads requests; it needs no secrecy.
        self._randomness = randomness or random.Random()  # noqa: S311
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._under_way: dict[str, int] = dict.fromkeys(self._routes, 0)

    @property
    def busy(self) -> frozenset[str]:
        """The notifications under way."""
        return frozenset(self._tasks)

    @property
    def slots(self) -> dict[str, int]:
        """How many more attempts each route may have under way."""
        return {name: SIDE_BY_SIDE - count for name, count in self._under_way.items()}

    def start(self, due: Sequence[Due]) -> None:
        """Begin these attempts; returns at once."""
        for notification in due:
            self._under_way[notification.route] += 1
            self._tasks[notification.id] = asyncio.create_task(
                self._attempt(notification), name=f"deliver-{notification.id}"
            )

    async def close(self) -> None:
        """End what is under way. It stays pending, and is attempted again under the same id."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _attempt(self, notification: Due) -> None:
        route = self._routes[notification.route]
        try:
            try:
                outcome = await post(
                    route,
                    message_id=notification.id,
                    body=notification.body.encode(),
                    clock=self._clock,
                )
            except Exception as error:  # a fault of ours must not stop the others
                log.exception("attempt failed", route=route.name, delivery=notification.id)
                outcome = Outcome(
                    verdict="retry", at_ms=self._clock.now_ms(), duration_ms=0, error=repr(error)
                )
            await self._record(notification, outcome)
            self._tell(notification, outcome)
        finally:
            self._tasks.pop(notification.id, None)
            self._under_way[notification.route] -= 1
            self._moved.set()

    async def _record(self, notification: Due, outcome: Outcome) -> None:
        """Write the outcome down, however long the database is away: until then the notification
        stays busy, so that its receiver is not called again and again."""
        again_ms = next_attempt_ms(
            attempts=notification.attempts + 1,
            now_ms=self._clock.now_ms(),
            retry_after_s=outcome.retry_after_s,
            randomness=self._randomness,
        )
        while True:
            try:
                await self._state.run(
                    lambda connection: record(
                        connection, notification, outcome, next_attempt_ms=again_ms
                    )
                )
            except StateUnavailableError as error:
                self._health.failed(error, at_ms=self._clock.now_ms())
                await self._clock.sleep(RECORD_AGAIN_S)
            else:
                return

    def _tell(self, notification: Due, outcome: Outcome) -> None:
        self._health.count("attempts")
        if outcome.verdict == "taken":
            self._health.count("delivered")
            return
        last = notification.attempts + 1 >= len(DELAYS_S)
        dead = outcome.verdict != "retry" or last
        self._health.count("failed_attempts")
        if dead:
            self._health.count("dead")
        self._health.last_error = f"route {notification.route}: {outcome.error}"[:500]
        self._health.last_error_ms = outcome.at_ms
        facts = {
            "route": notification.route,
            "delivery": notification.id,
            "attempt": notification.attempts + 1,
            "status": outcome.status_code,
            "error": outcome.error,
        }
        if outcome.verdict == "gone":
            log.error("receiver is gone (410): route disabled, nothing more is sent", **facts)
        elif dead:
            log.error("webhook given up", **facts)
        else:
            log.warning("webhook not delivered, will be tried again", **facts)


async def _request(url: str, *, guard: Guard, headers: dict[str, str], body: bytes) -> _Answer:
    connector = aiohttp.TCPConnector(
        resolver=OwnThreadResolver(), socket_factory=guard, use_dns_cache=False, force_close=True
    )
    async with (
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Time is the caller's: no limit of aiohttp's own beside it.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        ) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as response,
    ):
        text = ""
        if not 200 <= response.status < 300:
            start = await response.content.read(MAX_ANSWER_BYTES)
            text = start.decode("utf-8", errors="replace")
        return _Answer(
            status=response.status,
            text=text,
            retry_after=response.headers.get("Retry-After", "")[:64],
        )


def _judge(answer: _Answer) -> tuple[Verdict, str]:
    """What an answer means, and its error in words ("" when it was taken)."""
    status = answer.status
    if 200 <= status < 300:
        return "taken", ""
    words = " ".join("".join(c if c.isprintable() else " " for c in answer.text).split())[:200]
    error = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    if status == _GONE:
        return "gone", error
    if status in _REFUSED:
        return "refused", error
    if 300 <= status < 400:
        return "retry", f"HTTP {status}: redirects are not followed"
    return "retry", error


async def _within(clock: Clock, limit_s: float, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``; ``TimeoutError``, with the work ended, after ``limit_s`` seconds of
    this clock."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(limit_s))
    try:
        await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        timer.cancel()
        task.cancel()
        await asyncio.gather(task, timer, return_exceptions=True)
