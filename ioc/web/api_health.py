"""Health, metrics, the live stream, and the API's own description."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from aiohttp import web

from ioc import __version__
from ioc.notify import log as delivery_log
from ioc.web.models import Alive, JournalView, Nothing, Ready, StageView
from ioc.web.problems import ProblemError
from ioc.web.routing import Call, Route, json_response
from ioc.web.stream import TooManyClientsError


async def healthz(_: Call[Nothing, Nothing]) -> Alive:
    """The process answers; nothing is said of its stages."""
    return Alive(version=__version__)


async def readyz(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Whether every stage does its work; 503 while one does not."""
    context = call.context
    stages = {
        name: StageView(
            name=name,
            state=stage.state,
            ready=stage.ready,
            position=stage.position,
            behind=stage.behind,
            unit=stage.unit,
            lag_s=stage.lag_s,
            restarts=stage.restarts,
            last_error=stage.last_error,
            last_error_ms=stage.last_error_ms,
            note=stage.note,
            note_vi=stage.note_vi,
        )
        for name, stage in context.health.stages.items()
    }
    status = asdict(context.journal.status())
    ready = Ready(
        ready=context.health.ready,
        stages=stages,
        journal=JournalView(**{name: status[name] for name in JournalView.model_fields}),
    )
    return json_response(ready.model_dump_json().encode(), status=200 if ready.ready else 503)


async def metrics(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Metrics for Prometheus; without a token from this machine only."""
    from ioc.web.metrics import CONTENT_TYPE, expose

    deliveries = await call.context.state.run(delivery_log.totals)
    return web.Response(
        body=expose(call.context, deliveries), headers={"Content-Type": CONTENT_TYPE}
    )


async def stream(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Server-sent events: a snapshot, then changes, at most one a second and always one."""
    feed, request = call.context.feed, call.request
    try:
        client = await feed.join(call.who, request.transport)
    except TooManyClientsError:
        raise ProblemError(
            503,
            "too-many-streams",
            "Too many streams are open",
            "Close another screen, or try again later.",
            headers={"Retry-After": "10"},
        ) from None
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    try:
        await response.prepare(request)
        while (event := await client.next()) is not None:
            await response.write(event)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the client is gone; that is how streams end
    finally:
        feed.leave(client)
    return response


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        handle=healthz,
        query=Nothing,
        body=Nothing,
        answer=Alive,
        summary="The process answers",
        tag="health",
        role=None,
    ),
    Route(
        method="GET",
        path="/readyz",
        handle=readyz,
        query=Nothing,
        body=Nothing,
        answer=Ready,
        other=(503,),
        summary="Each stage, its lag, its last error",
        tag="health",
        role=None,
    ),
    Route(
        method="GET",
        path="/metrics",
        handle=metrics,
        query=Nothing,
        body=Nothing,
        media="text/plain",
        summary="Metrics for Prometheus; needs no token from this machine",
        tag="health",
        local=True,
    ),
    Route(
        method="GET",
        path="/api/v1/stream",
        handle=stream,
        query=Nothing,
        body=Nothing,
        media="text/event-stream",
        streams=True,
        summary="The province, live",
        tag="live",
    ),
)
