"""The stage that tells people: decide over new transitions, then attempt what is due."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import NoReturn

import structlog
from sqlalchemy import Connection

from ioc.clock import Clock
from ioc.errors import StateUnavailableError
from ioc.notify.decide import Decided, decide
from ioc.notify.deliver import Courier
from ioc.notify.outbox import Backlog, Due, backlog, due, expire, give_up_unknown
from ioc.notify.routes import Route
from ioc.state.database import State
from ioc.supervise import StageHealth

log = structlog.get_logger()

# Without a wake-up, and for what becomes due with time.
POLL_S = 1.0
EXPIRE_EVERY_S = 3600.0


async def notify(
    state: State,
    *,
    routes: Sequence[Route],
    clock: Clock,
    health: StageHealth,
    wake: asyncio.Event | None = None,
    console_url: str = "http://127.0.0.1:8080",
    randomness: random.Random | None = None,
) -> NoReturn:
    """Notify the receivers of ``routes`` of the alarms in ``state``, until cancelled.

    ``wake`` is set by the engine after it has committed transitions; without it they are found
    within a second. ``console_url`` is the address that links in a webhook lead to.

    A transition and the attempt it leads to are one transaction apart: what is decided is due in
    the same one. While the state database does not answer, the stage is not ready and asks again
    each second.
    """
    moved = wake or asyncio.Event()
    courier = Courier(
        state, routes=routes, clock=clock, health=health, moved=moved, randomness=randomness
    )
    health.unit = "transitions"
    names = {route.name for route in routes}
    expire_at_s = clock.monotonic_s()
    started = False
    try:
        while True:
            # Cleared before the database is read: what comes after is seen in the next round.
            moved.clear()
            try:
                if not started:
                    await _give_up_unknown(state, names, clock)
                    started = True
                more = await _round(state, routes, courier, clock, health, console_url)
                if not more and clock.monotonic_s() >= expire_at_s:
                    removed = await state.run(lambda c: expire(c, now_ms=clock.now_ms()))
                    # More to remove: go on with it, a piece in each round.
                    expire_at_s = clock.monotonic_s() + (POLL_S if removed else EXPIRE_EVERY_S)
            except StateUnavailableError as error:
                health.ready = False
                health.failed(error, at_ms=clock.now_ms())
                await clock.sleep(POLL_S)
                continue
            health.ready = True
            if not more:
                await _either(moved, clock)
    finally:
        await courier.close()


async def _round(
    state: State,
    routes: Sequence[Route],
    courier: Courier,
    clock: Clock,
    health: StageHealth,
    console_url: str,
) -> bool:
    """Decide and begin what is due; true when there is more to decide at once."""
    now_ms, busy, slots = clock.now_ms(), courier.busy, courier.slots

    def work(connection: Connection) -> tuple[Decided, list[Due], Backlog]:
        decided = decide(connection, routes, now_ms=now_ms, console_url=console_url)
        return (
            decided,
            due(connection, slots=slots, busy=busy, now_ms=now_ms),
            backlog(connection),
        )

    decided, attempts, standing = await state.run(work)
    # Only here are attempts begun: while the transaction ran some may have ended, none begun, so
    # nothing is under way twice.
    courier.start(attempts)
    health.position = decided.position
    health.behind = decided.behind
    health.lag_s = max(0, now_ms - standing.oldest_ms) / 1000 if standing.oldest_ms else 0.0
    health.gauges = {"pending": standing.pending, "dead": standing.dead}
    health.say(
        en=f"routes {len(routes)}: {standing.pending} pending, {standing.dead} dead",
        vi=f"{len(routes)} tuyến: {standing.pending} đang chờ, {standing.dead} đã bỏ",
    )
    if decided.transitions:
        health.count("transitions", decided.transitions)
    if decided.deliveries:
        health.count("notifications", decided.deliveries)
    return decided.behind > 0


async def _give_up_unknown(state: State, names: set[str], clock: Clock) -> None:
    unknown = await state.run(lambda c: give_up_unknown(c, names, now_ms=clock.now_ms()))
    for route in unknown:
        log.warning("pending webhooks given up: route is not configured any more", route=route)


async def _either(moved: asyncio.Event, clock: Clock) -> None:
    """Return when something moved, or after a poll's time."""
    waits = (
        asyncio.create_task(moved.wait(), name="notify-wake"),
        asyncio.create_task(clock.sleep(POLL_S), name="notify-poll"),
    )
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
