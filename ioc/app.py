"""The service, assembled: this function is the way of the data."""

from __future__ import annotations

import asyncio

from ioc.alarms.evaluate import evaluate
from ioc.alarms.live import Live
from ioc.alarms.series import alarm_series
from ioc.catalog import load_catalog
from ioc.clock import Clock
from ioc.config import Settings
from ioc.errors import ConfigError
from ioc.ingest import ingest
from ioc.ingest.broker import Broker
from ioc.inventory.change import activate
from ioc.inventory.load import load_inventory
from ioc.inventory.province import load_province
from ioc.journal import open_journal
from ioc.kpi.measure import measure
from ioc.kpi.own import Machine, measure_own
from ioc.kpi.plan import Plan
from ioc.notify.notify import notify
from ioc.notify.routes import load_routes
from ioc.state import open_state
from ioc.store import open_store
from ioc.store.roll_up import Retention, roll_up
from ioc.store.write import store_readings
from ioc.supervise import Health, supervise
from ioc.web.auth import accept_token_file, ensure_admin_token
from ioc.web.serve import WebSettings, serve


async def run(settings: Settings, *, clock: Clock) -> None:
    """Run the service until cancelled.

    Raises ``ConfigError`` (before anything is started) for what a person must put right. After
    that, each stage is kept running by itself; /readyz shows how it does.
    """
    catalog = load_catalog()
    province = load_province(settings.province)
    plan = Plan(province)
    routes = load_routes(settings.routes_file)
    broker = Broker(
        host=settings.broker_host,
        port=settings.broker_port,
        username=settings.broker_username,
        password=settings.broker_password,
        tls=settings.broker_tls,
    )
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"data_dir {settings.data_dir}: cannot be made ({error.strerror}); choose another"
        ) from error
    mib = 2**20
    async with (
        open_journal(
            settings.journal_folder,
            clock=clock,
            bound_bytes=settings.journal_bound_mib * mib,
            reserve_bytes=settings.disk_reserve_mib * mib,
        ) as journal,
        open_store(settings.store_url, catalog=catalog, clock=clock) as store,
        open_state(settings.state_url) as state,
    ):
        health, live, alarms_changed = Health(), Live(), asyncio.Event()
        inventory = await load_inventory(state, journal)
        await activate(journal, inventory, catalog, file=settings.inventory_file, clock=clock)
        await ensure_admin_token(state, settings.data_dir, clock=clock)
        if settings.grafana_token_file is not None:
            await accept_token_file(
                state, settings.grafana_token_file, name="grafana", role="reporter", clock=clock
            )

        await supervise(
            clock=clock,
            health=health,
            ingest=lambda mine: ingest(
                broker, catalog=catalog, inventory=inventory, into=journal, clock=clock, health=mine
            ),
            store=lambda mine: store_readings(
                journal,
                inventory=inventory,
                into=store,
                clock=clock,
                health=mine,
            ),
            rollup=lambda mine: roll_up(
                journal,
                catalog=catalog,
                into=store,
                clock=clock,
                health=mine,
                retention=Retention(
                    raw_days=settings.retention_days,
                    days_5m=settings.retention_5m_days,
                    days_1h=settings.retention_1h_days,
                ),
            ),
            kpi=lambda mine: measure(
                journal,
                plan=plan,
                catalog=catalog,
                inventory=inventory,
                live=live,
                clock=clock,
                health=mine,
            ),
            alarms=lambda mine: evaluate(
                journal,
                catalog=catalog,
                state=state,
                live=live,
                clock=clock,
                health=mine,
                changed=alarms_changed,
            ),
            alarm_series=lambda mine: alarm_series(
                journal, state=state, inventory=inventory, clock=clock, health=mine
            ),
            notify=lambda mine: notify(
                state,
                routes=routes,
                clock=clock,
                health=mine,
                wake=alarms_changed,
                console_url=settings.console_url,
            ),
            own=lambda mine: measure_own(
                journal,
                province=province,
                catalog=catalog,
                inventory=inventory,
                live=live,
                health=health,
                mine=mine,
                clock=clock,
                machine=Machine(settings.journal_folder),
            ),
            web=lambda mine: serve(
                settings=WebSettings(
                    host=settings.http_host,
                    port=settings.http_port,
                    external_url=settings.console_url,
                ),
                state=state,
                store=store,
                live=live,
                journal=journal,
                inventory=inventory,
                catalog=catalog,
                plan=plan,
                routes=routes,
                health=health,
                mine=mine,
                clock=clock,
            ),
        )
