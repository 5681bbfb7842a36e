"""Everything that can be asked, in one table."""

from __future__ import annotations

from typing import Any

from ioc.web import (
    api_alarms,
    api_assets,
    api_health,
    api_logs,
    api_map,
    api_measures,
    api_session,
)
from ioc.web.routing import Route

ROUTES: tuple[Route[Any, Any], ...] = (
    *api_health.ROUTES,
    *api_session.ROUTES,
    *api_alarms.ROUTES,
    *api_assets.ROUTES,
    *api_map.ROUTES,
    *api_measures.ROUTES,
    *api_logs.ROUTES,
)
# What needs no credentials. None of them has a part that varies.
PUBLIC = frozenset(route.path for route in ROUTES if route.role is None)
