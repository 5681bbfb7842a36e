"""The built console behind the real web stage, and a browser to look at it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright

from ioc.catalog import Catalog, load_catalog
from ioc.clock import SystemClock, VirtualClock
from ioc.inventory.province import load_province
from ioc.kpi.plan import Plan
from ioc.web.serve import build_app
from tests.servers import find_program
from tests.web.conftest import Service, build_service

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "console" / "dist"
# A software WebGL, and nothing that asks the internet.
CHROMIUM = (
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass
class Console:
    """A page of the console, the service behind it, and what went wrong in the browser."""

    page: Page
    service: Service
    server: TestServer
    troubles: list[str] = field(default_factory=list)

    def url(self, path: str = "/") -> str:
        return str(self.server.make_url(path))

    async def sign_in(self, path: str = "/", *, language: str = "en") -> None:
        """Open a screen as an operator."""
        self.service.tokens.setdefault("operator", "")
        answer = await self.page.request.post(
            self.url("/api/v1/sign-in"),
            data={"token": self.service.tokens["operator"]},
            headers={"Origin": self.url("").rstrip("/")},
        )
        assert answer.ok, await answer.text()
        await self.page.goto(self.url(f"{path}?lang={language}"))


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def plan() -> Plan:
    return Plan(load_province("khanh-hoa"))


@pytest.fixture
async def console(tmp_path: Path, catalog: Catalog, plan: Plan) -> AsyncIterator[Console]:
    """A browser page in front of a service with five assets, by the machine's own clock."""
    if not (DIST / "index.html").is_file():
        pytest.skip("the console is not built: run scripts/build-console")
    chromium = find_program("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    async with AsyncExitStack() as stack:
        # The stage takes any clock; the browser lives by the machine's.
        clock = cast("VirtualClock", SystemClock())
        service = await build_service(stack, tmp_path, clock, catalog, plan)
        service.context.settings = dataclasses.replace(service.context.settings, console_dir=DIST)
        server = TestServer(build_app(service.context))
        await stack.enter_async_context(server)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=str(chromium), args=list(CHROMIUM)
        )
        stack.push_async_callback(browser.close)
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        page.set_default_timeout(20_000)
        result = Console(page=page, service=service, server=server)

        def note(kind: str, text: str) -> None:
            # 401 before sign-in and a stream that a test cuts are meant.
            if not re.search(r"status of 401|ERR_(CONNECTION|INCOMPLETE|EMPTY)", text):
                result.troubles.append(f"{kind}: {text}")

        page.on("pageerror", lambda error: note("error", str(error)))
        page.on(
            "console",
            lambda message: note("console", message.text) if message.type == "error" else None,
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("http://127.0.0.1:", "data:"))
                else note("request", request.url)
            ),
        )
        yield result
        assert result.troubles == []
