"""Everything that can be asked, in one table."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from ioc import __version__
from ioc.web import (
    api_alarms,
    api_assets,
    api_grafana,
    api_health,
    api_inventory,
    api_logs,
    api_map,
    api_measures,
    api_session,
)
from ioc.web.documents import send_document
from ioc.web.models import Nothing
from ioc.web.openapi import describe
from ioc.web.routing import Call, Route


async def openapi(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """This table, as OpenAPI 3.1."""
    return await send_document(
        call,
        "openapi",
        version=__version__,
        make=lambda: msgspec.json.encode(describe(ROUTES)),
    )


ROUTES: tuple[Route[Any, Any], ...] = (
    *api_health.ROUTES,
    *api_session.ROUTES,
    *api_alarms.ROUTES,
    *api_assets.ROUTES,
    *api_inventory.ROUTES,
    *api_map.ROUTES,
    *api_measures.ROUTES,
    *api_logs.ROUTES,
    *api_grafana.ROUTES,
    Route(
        method="GET",
        path="/api/v1/openapi.json",
        handle=openapi,
        query=Nothing,
        body=Nothing,
        summary="This document",
        tag="health",
    ),
)
# What needs no credentials. None of them has a part that varies.
PUBLIC = frozenset(route.path for route in ROUTES if route.role is None)
