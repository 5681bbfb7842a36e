"""The outbox in the state database: what is due, and what became of each attempt.

A notification stays ``pending`` until its receiver took it (``delivered``) or it is given up
(``dead``). Within one group only the oldest pending one is due, so that a receiver hears of an
alarm in the order things happened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from ioc.state.schema import attempt, delivery, disabled_route

KEPT_MS = 30 * 24 * 3600 * 1000
MOST_KEPT = 50_000
EXPIRED_AT_ONCE = 500
MAX_ERROR = 500


@dataclass(frozen=True, kw_only=True)
class Due:
    """A notification to be attempted now. ``attempts`` were made before."""

    id: str
    route: str
    attempts: int
    body: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one attempt.

    ``verdict``: "taken" (2xx); "retry" (another attempt may succeed); "refused" (it cannot);
    "gone" (410: the receiver wants no more of anything). ``retry_after_s`` is what the receiver
    asked for.
    """

    verdict: Literal["taken", "retry", "refused", "gone"]
    at_ms: int
    duration_ms: int
    status_code: int | None = None
    error: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How the outbox stands. ``oldest_ms``: when the oldest pending one was decided."""

    pending: int
    dead: int
    oldest_ms: int | None


def due(
    connection: Connection, *, slots: Mapping[str, int], busy: Collection[str], now_ms: int
) -> list[Due]:
    """What may be attempted now: for each route at most its ``slots``, none that is ``busy``."""
    found: list[Due] = []
    earlier = delivery.alias("earlier")
    is_first = ~(
        select(earlier.c.id)
        .where(
            earlier.c.group_key == delivery.c.group_key,
            earlier.c.status == "pending",
            earlier.c.transition < delivery.c.transition,
        )
        .exists()
    )
    for route, free in slots.items():
        if free <= 0:
            continue
        rows = connection.execute(
            select(delivery.c.id, delivery.c.attempts, delivery.c.body)
            .where(
                delivery.c.status == "pending",
                delivery.c.route == route,
                delivery.c.next_attempt_ms <= now_ms,
                is_first,
            )
            .order_by(delivery.c.next_attempt_ms, delivery.c.transition)
            .limit(free + len(busy))
        ).all()
        free_rows = [row for row in rows if row.id not in busy][:free]
        found += [
            Due(id=row.id, route=route, attempts=row.attempts, body=row.body) for row in free_rows
        ]
    return found


def record(
    connection: Connection, tried: Due, outcome: Outcome, *, next_attempt_ms: int | None
) -> bool:
    """Write down one attempt; ``next_attempt_ms`` None gives the notification up when it failed.

    Returns false, with nothing changed, when this attempt is written down already (a commit that
    was in doubt) or the notification was given up meanwhile.
    """
    finished_ms = outcome.at_ms + outcome.duration_ms
    if outcome.verdict == "taken":
        values = {"status": "delivered", "finished_ms": finished_ms, "last_error": ""}
    elif outcome.verdict == "retry" and next_attempt_ms is not None:
        values = {"next_attempt_ms": next_attempt_ms, "last_error": outcome.error[:MAX_ERROR]}
    else:
        values = {
            "status": "dead",
            "finished_ms": finished_ms,
            "last_error": outcome.error[:MAX_ERROR],
        }
    # One that was given up while it was under way (its route was disabled) may still be taken.
    statuses = ("pending", "dead") if outcome.verdict == "taken" else ("pending",)
    changed = connection.execute(
        update(delivery)
        .where(
            delivery.c.id == tried.id,
            delivery.c.status.in_(statuses),
            delivery.c.attempts == tried.attempts,
        )
        .values(attempts=tried.attempts + 1, **values)
    )
    if changed.rowcount == 0:
        return False
    connection.execute(
        insert(attempt).values(
            delivery=tried.id,
            at_ms=outcome.at_ms,
            duration_ms=outcome.duration_ms,
            status_code=outcome.status_code,
            error=outcome.error[:MAX_ERROR],
        )
    )
    if outcome.verdict == "gone":
        disable(connection, tried.route, now_ms=finished_ms, reason=outcome.error)
    return True


def disable(connection: Connection, route: str, *, now_ms: int, reason: str) -> None:
    """Tell this route nothing any more; what waits for it is given up."""
    known = connection.scalar(select(disabled_route.c.route).where(disabled_route.c.route == route))
    if known is None:
        connection.execute(
            insert(disabled_route).values(route=route, at_ms=now_ms, reason=reason[:MAX_ERROR])
        )
    _give_up(connection, route, now_ms=now_ms, reason=f"route is disabled: {reason}")


def give_up_unknown(connection: Connection, routes: Collection[str], *, now_ms: int) -> list[str]:
    """Give up what waits for routes that are not configured any more; their names.

    A person who brings such a route back can send it again (``ioc.notify.log.requeue``).
    """
    waiting = connection.scalars(
        select(delivery.c.route).where(delivery.c.status == "pending").distinct()
    )
    unknown = sorted(set(waiting) - set(routes))
    for route in unknown:
        _give_up(connection, route, now_ms=now_ms, reason="route is not configured any more")
    return unknown


def backlog(connection: Connection) -> Backlog:
    pending, oldest_ms = connection.execute(
        select(func.count(), func.min(delivery.c.created_ms)).where(delivery.c.status == "pending")
    ).one()
    dead = connection.scalar(select(func.count()).where(delivery.c.status == "dead"))
    return Backlog(pending=pending, dead=dead or 0, oldest_ms=oldest_ms)


def expire(connection: Connection, *, now_ms: int, most: int = MOST_KEPT) -> int:
    """Remove some of the finished notifications that are older than 30 days or beyond the newest
    ``most``, with their attempts. Returns how many; call again while that is not 0."""
    finished = delivery.c.status != "pending"
    before_ms = now_ms - KEPT_MS
    beyond = connection.scalar(
        select(delivery.c.created_ms)
        .where(finished)
        .order_by(delivery.c.created_ms.desc())
        .offset(most)
        .limit(1)
    )
    if beyond is not None:
        before_ms = max(before_ms, beyond + 1)
    old = list(
        connection.scalars(
            select(delivery.c.id)
            .where(finished, delivery.c.created_ms < before_ms)
            .order_by(delivery.c.created_ms)
            .limit(EXPIRED_AT_ONCE)
        )
    )
    if old:
        connection.execute(delete(attempt).where(attempt.c.delivery.in_(old)))
        connection.execute(delete(delivery).where(delivery.c.id.in_(old)))
    return len(old)


def _give_up(connection: Connection, route: str, *, now_ms: int, reason: str) -> None:
    connection.execute(
        update(delivery)
        .where(delivery.c.status == "pending", delivery.c.route == route)
        .values(status="dead", finished_ms=now_ms, last_error=reason[:MAX_ERROR])
    )
