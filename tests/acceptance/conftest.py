"""One small province for all acceptance tests, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ioc.resources import console_folder
from tests.acceptance.demo import Demo
from tests.servers import find_program

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`ioc up` at a fiftieth of the province, with the demo's own incident."""
    running = Demo(tmp_path_factory.mktemp("demo"), "--scale", "0.02", "--interval", "2")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for one module: while it is open, an event loop runs that asynchronous tests of
    other modules must not meet."""
    program = find_program("chromium")
    if program is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    if console_folder() is None:
        pytest.skip("the console is not built (scripts/build-console)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(program), args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="vi-VN")
    opened = context.new_page()
    yield opened
    context.close()
