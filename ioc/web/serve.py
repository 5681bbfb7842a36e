"""The web stage: assembles the application and serves it until cancelled."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import NoReturn

import structlog
from aiohttp import web

from ioc.alarms.history import last_cleared_ms, raised_per_10_min
from ioc.alarms.live import Live
from ioc.catalog import Catalog
from ioc.clock import Clock
from ioc.errors import ConfigError, InUseError
from ioc.inventory import Inventory
from ioc.journal import Journal
from ioc.kpi.plan import Plan
from ioc.notify import log as delivery_log
from ioc.notify.routes import Route as WebhookRoute
from ioc.resources import usual_console_folder
from ioc.state import State
from ioc.store import Store
from ioc.supervise import Health, StageHealth
from ioc.web.auth import Authenticator, SignInLimit
from ioc.web.bucket import Bucket
from ioc.web.context import CONTEXT, Context, WebSettings
from ioc.web.guard import add_headers, guard
from ioc.web.problems import problems
from ioc.web.routes import PUBLIC, ROUTES
from ioc.web.routing import register
from ioc.web.static import add_console
from ioc.web.stream import AlarmLog, Feed
from ioc.web.views import Views

__all__ = ["WebSettings", "build_app", "build_context", "serve"]

log = structlog.get_logger()

STOP_WITHIN_S = 3.0
KEEP_ALIVE_S = 75.0
# A storm in Grafana is some groups of alerts each 10 s, and all of them again each 4 h.
REPORTS_AT_ONCE = 120
REPORTS_PER_S = 4.0


def build_context(
    *,
    settings: WebSettings,
    state: State,
    store: Store,
    live: Live,
    journal: Journal,
    inventory: Inventory,
    catalog: Catalog,
    plan: Plan,
    health: Health,
    clock: Clock,
    routes: Sequence[WebhookRoute],
) -> Context:
    """What the handlers share, for one start of the stage."""
    places = {commune.code: commune.name for commune in plan.province.communes}
    views = Views(inventory=inventory, live=live, catalog=catalog, places=places)
    began_s = clock.now_ms() // 1000

    async def alarm_log() -> AlarmLog:
        now_ms = clock.now_ms()
        return await state.run(
            lambda connection: AlarmLog(
                last_cleared_ms=last_cleared_ms(connection),
                per_10_min=raised_per_10_min(connection, until_ms=now_ms),
            )
        )

    feed = Feed(
        live=live,
        health=health,
        clock=clock,
        inventory_version=lambda: context.inventory_version,
        view=views.alarm,
        quarantined_total=lambda: journal.status().quarantined_total,
        delivery_totals=lambda: state.run(delivery_log.totals),
        alarm_log=alarm_log,
        max_clients=settings.max_streams,
    )
    context = Context(
        settings=settings,
        began_s=began_s,
        state=state,
        store=store,
        live=live,
        journal=journal,
        inventory=inventory,
        catalog=catalog,
        plan=plan,
        health=health,
        clock=clock,
        auth=Authenticator(state, clock),
        limit=SignInLimit(clock),
        reports=Bucket(clock, burst=REPORTS_AT_ONCE, per_s=REPORTS_PER_S),
        feed=feed,
        views=views,
        webhooks=tuple(route.name for route in routes),
    )
    return context


def build_app(context: Context) -> web.Application:
    """The application: routes, what stands before them, and the console's files behind them."""
    app = web.Application(
        middlewares=[problems, guard(PUBLIC)],
        client_max_size=context.settings.max_body_bytes,
    )
    app[CONTEXT] = context
    app.on_response_prepare.append(add_headers)

    async def close_streams(_: web.Application) -> None:
        context.feed.close()

    app.on_shutdown.append(close_streams)
    register(app, ROUTES)
    add_console(app, context.settings.console_dir or usual_console_folder())
    return app


async def serve(
    *,
    settings: WebSettings,
    state: State,
    store: Store,
    live: Live,
    journal: Journal,
    inventory: Inventory,
    catalog: Catalog,
    plan: Plan,
    health: Health,
    mine: StageHealth,
    clock: Clock,
    routes: Sequence[WebhookRoute],
) -> NoReturn:
    """Serve HTTP on ``settings.host`` and ``port`` until cancelled.

    ``health`` is every stage's, ``mine`` this one's; ``mine.note`` is the address once it answers.
    Raises ``InUseError`` for a port that is taken, ``ConfigError`` for an address that is none of
    this machine's.
    """
    context = build_context(
        settings=settings,
        state=state,
        store=store,
        live=live,
        journal=journal,
        inventory=inventory,
        catalog=catalog,
        plan=plan,
        health=health,
        clock=clock,
        routes=routes,
    )
    # No access log: an address can hold a sign-in code.
    runner = web.AppRunner(
        build_app(context),
        access_log=None,
        shutdown_timeout=STOP_WITHIN_S,
        keepalive_timeout=KEEP_ALIVE_S,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        await _listen(runner, settings)
        address = runner.addresses[0]
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        mine.say(f"http://{host}:{address[1]}")
        mine.unit, mine.ready = "streams", True
        log.info("web stage answers", url=mine.note)
        await context.feed.run()
    finally:
        mine.ready = False
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: WebSettings) -> None:
    site = web.TCPSite(runner, settings.host, settings.port, backlog=256)
    try:
        await site.start()
    except OSError as error:
        where = f"http port {settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise InUseError(
                f"{where}: another process listens there; choose another port"
            ) from error
        raise ConfigError(f"{where}: cannot listen: {error.strerror or error}") from error
