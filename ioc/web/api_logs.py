"""Quarantine and the delivery log: what did not get in, and what went out."""

from __future__ import annotations

import structlog
from aiohttp import web
from sqlalchemy import Connection

from ioc.notify import log as delivery_log
from ioc.web.models import (
    AttemptView,
    DeliveryPage,
    DeliveryQuery,
    DeliveryView,
    Nothing,
    QuarantinedView,
    QuarantinePage,
    QuarantineQuery,
)
from ioc.web.problems import not_found
from ioc.web.routing import Call, Route

log = structlog.get_logger()


async def list_quarantine(call: Call[QuarantineQuery, Nothing]) -> QuarantinePage:
    wish, journal = call.query, call.context.journal
    rows = await journal.quarantined(
        before_id=wish.before_id, limit=wish.limit + 1, reason=wish.reason or None
    )
    page, status = rows[: wish.limit], journal.status()
    return QuarantinePage(
        items=[
            QuarantinedView(
                id=row.id,
                received_ms=row.received_ms,
                topic=row.topic,
                reason=row.reason,
                detail=row.detail,
                payload_text=row.payload.decode("utf-8", errors="replace"),
                payload_bytes=row.payload_bytes,
            )
            for row in page
        ],
        next=page[-1].id if len(rows) > wish.limit else None,
        totals=status.quarantined,
        dropped=status.quarantine_dropped,
    )


async def list_deliveries(call: Call[DeliveryQuery, Nothing]) -> DeliveryPage:
    wish = call.query

    def find(connection: Connection) -> tuple[delivery_log.Page, dict[str, int], dict[str, str]]:
        page = delivery_log.page(
            connection,
            status=wish.status,
            route=wish.route,
            alarm=wish.alarm,
            before_ms=wish.before_ms,
            limit=wish.limit,
        )
        return page, delivery_log.totals(connection), delivery_log.disabled_routes(connection)

    page, totals, disabled = await call.context.state.run(find)
    return DeliveryPage.model_construct(
        items=[
            DeliveryView(
                id=row.id,
                route=row.route,
                alarm=row.alarm,
                group_key=row.group_key,
                status=row.status,
                firing=row.firing,
                created_ms=row.created_ms,
                next_attempt_ms=row.next_attempt_ms,
                attempts=row.attempts,
                finished_ms=row.finished_ms,
                last_error=row.last_error,
                asset=row.asset,
                text_vi=row.text_vi,
                text_en=row.text_en,
                log=[
                    AttemptView(
                        at_ms=attempt.at_ms,
                        duration_ms=attempt.duration_ms,
                        status_code=attempt.status_code,
                        error=attempt.error,
                    )
                    for attempt in row.log
                ],
            )
            for row in page.items
        ],
        next=page.next_ms,
        totals=totals,
        routes=list(call.context.webhooks),
        disabled_routes=disabled,
    )


async def send_again(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Try a dead notification again, under its own id."""
    delivery_id, now_ms = call.path("id"), call.context.clock.now_ms()
    await call.context.state.run(
        lambda connection: delivery_log.requeue(connection, delivery_id, now_ms=now_ms)
    )
    log.info("delivery queued again", delivery=delivery_id, actor=call.who.actor)
    return web.Response(status=204)


async def enable_route(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Let a route that was switched off (410 Gone) be told again, from now on."""
    name = call.path("name")
    if not await call.context.state.run(lambda c: delivery_log.enable_route(c, name)):
        raise not_found(f"There is no disabled route {name}.")
    log.info("route enabled", route=name, actor=call.who.actor)
    return web.Response(status=204)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/quarantine",
        handle=list_quarantine,
        query=QuarantineQuery,
        body=Nothing,
        answer=QuarantinePage,
        summary="Messages that were not admitted",
        tag="logs",
    ),
    Route(
        method="GET",
        path="/api/v1/deliveries",
        handle=list_deliveries,
        query=DeliveryQuery,
        body=Nothing,
        answer=DeliveryPage,
        summary="Webhooks sent and waiting",
        tag="logs",
    ),
    Route(
        method="POST",
        path="/api/v1/deliveries/{id}/send-again",
        handle=send_again,
        query=Nothing,
        body=Nothing,
        status=204,
        summary="Try a dead delivery again",
        tag="logs",
        role="engineer",
        problems=(409,),
    ),
    Route(
        method="POST",
        path="/api/v1/routes/{name}/enable",
        handle=enable_route,
        query=Nothing,
        body=Nothing,
        status=204,
        summary="Switch a disabled route on",
        tag="logs",
        role="engineer",
        problems=(404,),
    ),
)
