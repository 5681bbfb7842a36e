"""The console as people meet it: in Chromium, in front of the real web stage."""

from __future__ import annotations

import re
import time

import pytest
from playwright.async_api import expect

from ioc.alarms.model import Impact
from tests.console.conftest import Console
from tests.web.conftest import alarm

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# A software GPU on a busy machine is slow.
expect.set_options(timeout=20_000)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_without_a_session_it_asks_for_a_token_and_goes_on_with_the_same_address(
    console: Console,
) -> None:
    page = console.page
    await page.goto(console.url("/plan?lang=en"))
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_label("Access token").fill("not-a-token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("This access token is not valid.")
    await page.get_by_label("Access token").fill(console.service.tokens["viewer"])
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Plan", exact=True)).to_be_visible()


async def test_an_alarm_appears_on_a_calm_screen_and_clears_without_reload(
    console: Console,
) -> None:
    live, page = console.service.live, console.page
    await console.sign_in()
    await expect(page.get_by_text("No alarms.")).to_be_visible()
    await expect(page.get_by_role("region", name="Map")).to_be_visible()
    # The map is drawn: its note is gone.
    await expect(page.locator(".map-note")).to_have_count(0)

    live.alarms["A1"] = alarm(
        "A1",
        asset="NT-0001",
        kind="span",
        severity="critical",
        probable_cause="lossOfSignal",
        text_vi="Chặng NT-0001 mất tín hiệu quang",
        text_en="Span NT-0001 has lost its light",
        raised_ms=now_ms(),
        impact=Impact(assets=3, stations=2, population=5000),
    )
    live.states["NT-0001"] = "down"
    live.publish(assets=["NT-0001"], alarms=["A1"])
    incident = page.get_by_role("region", name="Incidents").get_by_role("link", name="Span NT-0001")
    await expect(incident).to_be_visible()
    await expect(incident).to_contain_text("2 stations down")
    await expect(page.get_by_label("Assets by state")).to_contain_text("1 cut")
    await expect(page).to_have_title(re.compile(r"^\(1\) Khánh Hòa"))

    del live.alarms["A1"]
    live.states["NT-0001"] = "up"
    live.publish(assets=["NT-0001"], alarms=["A1"])
    await expect(page.get_by_text("No alarms.")).to_be_visible()


async def test_the_language_changes_at_once_and_stays(console: Console) -> None:
    page = console.page
    await console.sign_in("/system")
    await expect(page.get_by_role("heading", name="System")).to_be_visible()
    await page.get_by_role("button", name="Tiếng Việt").click()
    await expect(page.get_by_role("heading", name="Hệ thống", exact=True)).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "vi")
    await page.goto(console.url("/assets"))
    await expect(page.get_by_role("heading", name="Thiết bị", exact=True)).to_be_visible()


async def test_filters_are_in_the_address_and_back_works(console: Console) -> None:
    page = console.page
    await console.sign_in("/assets")
    await page.get_by_label("Kind").select_option("span")
    await expect(page).to_have_url(re.compile(r"kind=span"))
    await expect(page.get_by_role("link", name="NT-0001")).to_be_visible()
    await expect(page.get_by_role("link", name="KH00001")).to_have_count(0)
    await page.get_by_role("link", name="NT-0001").click()
    await expect(page.get_by_role("heading", name="NT-0001")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_label("Kind")).to_have_value("span")


async def test_every_screen_opens_from_its_address(console: Console) -> None:
    page = console.page
    await console.sign_in()
    for path, heading in {
        "/alarms": "Alarms",
        "/history": "Alarm history",
        "/assets": "Assets",
        "/assets/KH00001": "KH00001",
        "/plan": "Plan",
        "/deliveries": "Deliveries",
        "/quarantine": "System",
        "/system": "System",
        "/runbooks": "System",
        "/nowhere": "No such page",
    }.items():
        await page.goto(console.url(f"{path}?lang=en"))
        await expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        await expect(page.get_by_text("Could not load")).to_have_count(0)


async def test_on_a_phone_nothing_is_wider_than_the_screen(console: Console) -> None:
    page = console.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await console.sign_in()
    for path in ("/", "/alarms", "/assets", "/assets/KH00001", "/plan", "/system"):
        await page.goto(console.url(f"{path}?lang=en"))
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        wide, screen = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= screen, path


async def test_a_lost_stream_says_so_over_the_whole_screen(console: Console) -> None:
    page = console.page
    await console.sign_in()
    await expect(page.get_by_text("No alarms.")).to_be_visible()
    await console.server.close()
    banner = page.get_by_role("alert")
    await expect(banner).to_contain_text("Connection to the server is lost")
    await expect(banner).to_contain_text("The figures stopped at")
