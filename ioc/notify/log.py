"""The delivery log, as people see it: who was told what, when, after how many attempts.

Plain functions on a connection in a transaction, for ``State.run``.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from ioc.alarms.model import Alarm
from ioc.errors import CommandError
from ioc.state.schema import alarm as alarm_table
from ioc.state.schema import attempt, delivery, disabled_route

Status = Literal["pending", "delivered", "dead"]
MOST_ON_A_PAGE = 200


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. ``status_code`` is None when no answer came."""

    at_ms: int
    duration_ms: int
    status_code: int | None
    error: str


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One notification. ``next_attempt_ms`` is None once finished; ``log`` is oldest first.

    ``asset`` and the texts are the alarm's, "" where that is gone.
    """

    id: str
    route: str
    alarm: str
    group_key: str
    status: Status
    firing: bool
    created_ms: int
    next_attempt_ms: int | None
    attempts: int
    finished_ms: int | None
    last_error: str
    asset: str
    text_vi: str
    text_en: str
    log: list[AttemptView]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. ``next_ms`` is the ``before_ms`` of the page after this; None at the end."""

    items: list[DeliveryView]
    next_ms: int | None


def page(
    connection: Connection,
    *,
    status: Status | None = None,
    route: str = "",
    alarm: str = "",
    before_ms: int | None = None,
    limit: int = 50,
) -> Page:
    """About ``limit`` notifications decided before ``before_ms``, with their attempts.

    A page may be longer: notifications of one millisecond stay on one page, so that a time is
    enough to go on from.
    """
    limit = min(max(limit, 1), MOST_ON_A_PAGE)
    wanted = [
        column == value
        for column, value in (
            (delivery.c.status, status),
            (delivery.c.route, route),
            (delivery.c.alarm, alarm),
        )
        if value
    ]
    if before_ms is not None:
        wanted.append(delivery.c.created_ms < before_ms)
    edge_ms = connection.scalar(
        select(delivery.c.created_ms)
        .where(*wanted)
        .order_by(delivery.c.created_ms.desc())
        .offset(limit - 1)
        .limit(1)
    )
    if edge_ms is not None:
        wanted.append(delivery.c.created_ms >= edge_ms)
    rows = connection.execute(
        select(delivery)
        .where(*wanted)
        .order_by(delivery.c.created_ms.desc(), delivery.c.transition.desc(), delivery.c.route)
    ).all()
    logs: dict[str, list[AttemptView]] = {row.id: [] for row in rows}
    for row in connection.execute(
        select(attempt).where(attempt.c.delivery.in_(list(logs))).order_by(attempt.c.id)
    ):
        logs[row.delivery].append(
            AttemptView(
                at_ms=row.at_ms,
                duration_ms=row.duration_ms,
                status_code=row.status_code,
                error=row.error,
            )
        )
    about = _alarms(connection, {row.alarm for row in rows})
    items = [
        DeliveryView(
            id=row.id,
            route=row.route,
            alarm=row.alarm,
            group_key=row.group_key,
            status=row.status,
            firing=row.firing,
            created_ms=row.created_ms,
            next_attempt_ms=row.next_attempt_ms if row.status == "pending" else None,
            attempts=row.attempts,
            finished_ms=row.finished_ms,
            last_error=row.last_error,
            asset=about[row.alarm].asset if row.alarm in about else "",
            text_vi=about[row.alarm].text_vi if row.alarm in about else "",
            text_en=about[row.alarm].text_en if row.alarm in about else "",
            log=logs[row.id],
        )
        for row in rows
    ]
    return Page(items=items, next_ms=edge_ms)


def _alarms(connection: Connection, ids: set[str]) -> dict[str, Alarm]:
    contents = connection.scalars(select(alarm_table.c.content).where(alarm_table.c.id.in_(ids)))
    decoder = msgspec.json.Decoder(Alarm)
    return {found.id: found for found in map(decoder.decode, contents)}


def totals(connection: Connection) -> dict[str, int]:
    """How many notifications are kept in each status."""
    counts = {"pending": 0, "delivered": 0, "dead": 0}
    for row in connection.execute(
        select(delivery.c.status, func.count()).group_by(delivery.c.status)
    ):
        counts[row[0]] = row[1]
    return counts


def requeue(connection: Connection, delivery_id: str, *, now_ms: int) -> None:
    """Send a dead notification again, under its own id and with all its attempts before it.

    Raises ``CommandError`` when there is no such dead one, when a later word on the same alarm was
    delivered (the receiver would believe the older one), or when its route is disabled.
    """
    row = connection.execute(select(delivery).where(delivery.c.id == delivery_id)).one_or_none()
    if row is None:
        raise CommandError(f"delivery {delivery_id}: no such delivery")
    if row.status != "dead":
        raise CommandError(f"delivery {delivery_id}: is {row.status}, only a dead one can be sent")
    later = connection.scalar(
        select(func.count()).where(
            delivery.c.group_key == row.group_key,
            delivery.c.status == "delivered",
            delivery.c.transition > row.transition,
        )
    )
    if later:
        raise CommandError(f"delivery {delivery_id}: a later word on {row.alarm} was delivered")
    reason = connection.scalar(
        select(disabled_route.c.reason).where(disabled_route.c.route == row.route)
    )
    if reason is not None:
        raise CommandError(f"delivery {delivery_id}: route {row.route} is disabled: {reason}")
    connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id)
        .values(
            status="pending", next_attempt_ms=now_ms, attempts=0, finished_ms=None, last_error=""
        )
    )


def disabled_routes(connection: Connection) -> dict[str, str]:
    """The routes that are told nothing, with the reason."""
    return {row.route: row.reason for row in connection.execute(select(disabled_route))}


def enable_route(connection: Connection, route: str) -> bool:
    """Let a disabled route be told again, from now on; false when it was not disabled."""
    gone = connection.execute(delete(disabled_route).where(disabled_route.c.route == route))
    return gone.rowcount > 0
