"""The console's files, and the headers on everything."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from ioc.web.guard import HEADERS
from ioc.web.static import IMMUTABLE, add_console
from tests.web.conftest import Service


async def test_every_address_of_the_console_is_its_page(service: Service) -> None:
    for path in ("/", "/alarms", "/assets/KH00001", "/history/a-1", "/plan"):
        response = await service.client.get(path)
        assert response.status == 200
        assert response.content_type == "text/html"
        assert response.headers["Cache-Control"] == "no-cache"
        assert "<title>IOC" in await response.text()


async def test_a_file_with_a_hash_in_its_name_is_kept_for_good(service: Service) -> None:
    response = await service.client.get("/assets/index-Bx9Kq1aZ.js")
    assert response.status == 200
    assert response.content_type == "text/javascript"
    assert response.headers["Cache-Control"] == IMMUTABLE


async def test_nothing_else_is_served(service: Service) -> None:
    for path in (
        "/assets/absent.js",
        "/favicon.ico",
        "/../conftest.py",
        "/%2e%2e/state.db",
        "/..%2fstate.db",
        "/assets/..%2f..%2fstate.db",
    ):
        response = await service.client.get(path)
        assert response.status == 404, path


async def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "console"
    folder.mkdir()
    (folder / "index.html").write_text("page")
    (tmp_path / "outside.json").write_text("secret")
    (folder / "inside.json").symlink_to(tmp_path / "outside.json")
    app = web.Application()
    add_console(app, folder)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/")).status == 200
        response = await client.get("/inside.json")
        assert "secret" not in await response.text()


async def test_without_a_console_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    folder = tmp_path / "console"
    app = web.Application()
    add_console(app, folder)
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/")
        assert response.status == 503
        assert "scripts/build-console" in await response.text()
        folder.mkdir()
        (folder / "index.html").write_text("built")
        response = await client.get("/")  # without a restart
        assert response.status == 200
        (folder / "assets").mkdir()
        (folder / "assets" / "index-Zz1234567.js").write_text("new")
        (folder / "index.html").write_text("built again")
        assert (await client.get("/")).status == 200
        assert (await client.get("/assets/index-Zz1234567.js")).status == 200


async def test_security_headers_are_on_everything(service: Service) -> None:
    for path in (
        "/",
        "/healthz",
        "/metrics",
        "/api/v1/session",
        "/assets/index-Bx9Kq1aZ.js",
        "/a.b",
    ):
        for headers in ({}, service.bearer("viewer")):
            response = await service.client.get(path, headers=headers)
            for name, value in HEADERS.items():
                assert response.headers[name] == value, (path, name)
            assert "unsafe" not in response.headers["Content-Security-Policy"]
            assert "aiohttp" not in response.headers["Server"]
