"""The web stage over a real state database, journal and store, with a province of five assets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from ioc.alarms.live import Live, LiveValue
from ioc.alarms.model import Alarm, Impact
from ioc.catalog import Catalog, load_catalog
from ioc.clock import VirtualClock
from ioc.inventory import Asset, Inventory, Site
from ioc.inventory.province import load_province
from ioc.journal import Journal, open_journal
from ioc.journal.records import Measure
from ioc.kpi.plan import Plan
from ioc.state import State, open_state
from ioc.store import Store
from ioc.store.open import open_store
from ioc.supervise import Health
from ioc.web.auth import ROLES, Role, create_token
from ioc.web.context import Context
from ioc.web.serve import WebSettings, build_app, build_context

MIB = 2**20
Client = TestClient[Request, Application]


@dataclass
class Table:
    """Live values as a test set them."""

    seen: dict[str, int] = field(default_factory=dict)
    content: dict[str, dict[str, LiveValue]] = field(default_factory=dict)

    def values(self, asset: str) -> Mapping[str, LiveValue]:
        return self.content.get(asset, {})

    def last_seen_ms(self, asset: str) -> int | None:
        return self.seen.get(asset)


@dataclass(kw_only=True)
class Service:
    """The stage under test, and what it was built from."""

    context: Context
    app: Application
    client: Client
    tokens: dict[Role, str]
    clock: VirtualClock
    live: Live
    table: Table
    state: State
    journal: Journal
    health: Health

    def bearer(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}


def small_inventory() -> Inventory:
    """Two masts joined by a span, one data centre, and a station that is real."""
    sites = [
        Site(id="S-1", name="Vĩnh Hải", commune="22366", lat=12.28, lon=109.19, core=True),
        Site(id="S-2", name="Ninh Hòa", commune="22528", lat=12.49, lon=109.12),
        Site(id="DC-NT", name="TTDL Nha Trang", commune="22366", lat=12.25, lon=109.18),
    ]

    def asset(asset_id: str, kind: str, site: str, far_site: str = "", **more: object) -> Asset:
        at = next(s for s in sites if s.id == site)
        return Asset(
            id=asset_id,
            kind=kind,
            name=f"Trạm {asset_id}" if kind == "bts" else asset_id,
            province="khanh-hoa",
            commune=at.commune,
            site=site,
            far_site=far_site,
            lat=at.lat,
            lon=at.lon,
            **more,  # type: ignore[arg-type]  # the test's own
        )

    return Inventory(
        sites,
        [
            asset("KH00001", "bts", "S-1", operator="viettel", population=1200, synthetic=True),
            asset("KH00002", "bts", "S-2", operator="vnpt", simulated=True, synthetic=True),
            asset("KH-LAB-01", "bts", "S-1", synthetic=True),
            asset("NT-0001", "span", "S-1", far_site="S-2", length_km=31.5),
            asset("DC-NT", "dc_site", "DC-NT"),
        ],
    )


def alarm(alarm_id: str, **more: object) -> Alarm:
    """An active alarm of KH00002."""
    fields: dict[str, object] = {
        "id": alarm_id,
        "source": "bts-mains",
        "asset": "KH00002",
        "kind": "bts",
        "site": "S-2",
        "commune": "22528",
        "severity": "major",
        "event_type": "equipment",
        "probable_cause": "commercialPowerFailure",
        "text_vi": "Mất điện lưới",
        "text_en": "Mains failure",
        "raised_ms": 1_767_225_500_000,
    }
    return Alarm(**(fields | more))  # type: ignore[arg-type]  # the test's own


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def plan() -> Plan:
    return Plan(load_province("khanh-hoa"))


@pytest.fixture
async def service(
    tmp_path: Path, clock: VirtualClock, catalog: Catalog, plan: Plan
) -> AsyncIterator[Service]:
    """The whole stage behind a test server, with a token for each role."""
    async with AsyncExitStack() as stack:
        yield await build_service(stack, tmp_path, clock, catalog, plan)


async def build_service(
    stack: AsyncExitStack, tmp_path: Path, clock: VirtualClock, catalog: Catalog, plan: Plan
) -> Service:
    """Open everything on ``stack``."""
    journal = await stack.enter_async_context(
        open_journal(tmp_path / "journal", clock=clock, bound_bytes=64 * MIB, reserve_bytes=MIB)
    )
    state = await stack.enter_async_context(open_state(f"sqlite:///{tmp_path / 'state.db'}"))
    store: Store = await stack.enter_async_context(
        open_store(f"duckdb:///{tmp_path / 'series.duckdb'}", catalog=catalog, clock=clock)
    )
    inventory, table, health = small_inventory(), Table(), Health()
    live = Live(table=table, version=1)
    for asset in inventory.assets.values():
        live.kinds[asset.id] = asset.kind
        live.states[asset.id] = "up"
    live.states["KH-LAB-01"] = "not_seen"
    for name in ("ingest", "alarms", "web"):
        health.stage(name).ready = True
    console = tmp_path / "console"
    (console / "assets").mkdir(parents=True)
    (console / "index.html").write_text("<!doctype html><title>IOC</title>")
    (console / "assets" / "index-Bx9Kq1aZ.js").write_text("export {}")
    context = build_context(
        settings=WebSettings(console_dir=console),
        state=state,
        store=store,
        live=live,
        journal=journal,
        inventory=inventory,
        catalog=catalog,
        plan=plan,
        health=health,
        clock=clock,
        routes=(),
    )
    tokens: dict[Role, str] = {}
    for role in ROLES:
        issued = await state.run(
            lambda connection, role=role: create_token(  # type: ignore[misc]  # bound now
                connection, name=role, role=role, now_ms=clock.now_ms(), days=30
            )
        )
        tokens[role] = issued.secret
    app = build_app(context)
    client = await stack.enter_async_context(
        TestClient(TestServer(app), cookie_jar=aiohttp.DummyCookieJar())
    )
    return Service(
        context=context,
        app=app,
        client=client,
        tokens=tokens,
        clock=clock,
        live=live,
        table=table,
        state=state,
        journal=journal,
        health=health,
    )


def measure(name: str, value: float, *, scope: str = "province", place: str = "56") -> Measure:
    return Measure(name=name, scope=scope, place=place, time_us=1_767_225_590_000_000, value=value)


ROOT = {"impact": Impact(assets=3, stations=2, population=5000)}
