"""The stage as a whole: it listens, says where, serves the commands, and lets go of its port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ioc.clock import SystemClock
from ioc.commands.client import ApiError, Client, connect
from ioc.errors import ConfigError, InUseError, StoreUnavailableError
from ioc.inventory.file import read_inventory
from ioc.up.up import service_waits
from ioc.web.auth import create_token, ensure_admin_token
from ioc.web.serve import WebSettings, serve
from tests.servers import free_port
from tests.web.conftest import Service


@asynccontextmanager
async def serving(service: Service, settings: WebSettings) -> AsyncIterator[str]:
    """The stage on a real port; gives its address."""
    context, mine = service.context, service.health.stage("web")
    mine.ready = False
    task = asyncio.create_task(
        serve(
            settings=settings,
            state=context.state,
            store=context.store,
            live=context.live,
            journal=context.journal,
            inventory=context.inventory,
            catalog=context.catalog,
            plan=context.plan,
            health=service.health,
            mine=mine,
            clock=SystemClock(),
            routes=(),
        )
    )
    try:
        for _ in range(1000):
            if mine.ready or task.done():
                break
            await asyncio.sleep(0.01)
        if task.done():
            await task
        yield mine.note
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, InUseError, ConfigError):
            await task


async def test_a_stopped_stage_ends_streams_and_frees_its_port(service: Service) -> None:
    port = free_port()
    settings = WebSettings(port=port)
    async with serving(service, settings) as url:
        assert url == f"http://127.0.0.1:{port}"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        issued = await service.state.run(
            lambda c: create_token(c, name="tv", role="viewer", now_ms=0, days=None)
        )
        writer.write(
            f"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {issued.secret}\r\n\r\n".encode()
        )
        said = await asyncio.wait_for(reader.readuntil(b"event: snapshot"), 10)
        assert b"200 OK" in said
    rest = await asyncio.wait_for(reader.read(), 10)
    assert b"event: restart" in rest
    writer.close()
    await writer.wait_closed()
    assert service.health.stage("web").ready is False
    async with serving(service, settings) as url:  # at once, on the same port
        assert url.endswith(str(port))


async def test_a_taken_port_is_named(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InUseError, match=rf"127\.0\.0\.1:{port}: another process"):
            async with serving(service, WebSettings(port=port)):
                pass
    with pytest.raises(ConfigError, match=r"203\.0\.113\.1:\d+: cannot listen"):
        async with serving(service, WebSettings(host="203.0.113.1", port=free_port())):
            pass


async def test_what_starts_it_learns_what_it_waits_for(service: Service) -> None:
    """What `ioc up` says of a service that does not become ready in time."""
    async with serving(service, WebSettings(port=free_port())) as url:
        assert await asyncio.to_thread(service_waits, url) is None
        stage = service.health.stage("store")
        stage.ready = False
        stage.failed(StoreUnavailableError("http://127.0.0.1:9: refused"), at_ms=5)
        waits = await asyncio.to_thread(service_waits, url)
        assert waits == "store: http://127.0.0.1:9: refused"
    assert await asyncio.to_thread(service_waits, url) == ""


def ioc(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IOC_")}
    return subprocess.run(
        [sys.executable, "-m", "ioc.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean | {"IOC_DATA_DIR": str(data_dir), "COLUMNS": "140"},
    )


Run = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


async def test_the_commands_talk_to_the_running_service(service: Service, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    await ensure_admin_token(service.state, data_dir, SystemClock())

    async def run(*words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(ioc, data_dir, *words)

    async with serving(service, WebSettings(port=free_port())) as url:
        (data_dir / "run.json").write_text(json.dumps({"http_url": url}))

        shown = await run("inventory", "show", "--kind", "bts", "--limit", "2")
        assert shown.returncode == 0, shown.stderr
        assert "KH-LAB-01" in shown.stdout
        assert "2 of 3" in shown.stdout
        added = await run(
            *("inventory", "add", "KH-LAB-02", "--kind", "bts"),
            *("--name", "Lab 2", "--like", "KH-LAB-01"),
        )
        assert added.returncode == 0, added.stderr
        assert "ioc/v1/khanh-hoa/bts/KH-LAB-02/telemetry" in added.stdout
        placed = await run(
            *("inventory", "add", "KH-LAB-03", "--kind", "bts"),
            *("--name", "Lab 3", "--lat", "12.24", "--lon", "109.19"),
        )
        assert placed.returncode == 0, placed.stderr
        one = await run("inventory", "show", "KH-LAB-03")
        assert "Phường Nha Trang" in one.stdout
        gone = await run("inventory", "retire", "KH-LAB-03")
        assert gone.returncode == 0, gone.stderr
        assert "0 standing alarms of it clear; its readings and past alarms stay" in gone.stdout
        file = tmp_path / "inventory.json"
        exported = await run("inventory", "export", str(file))
        assert exported.returncode == 0, exported.stderr
        ids = {asset.id for asset in (await asyncio.to_thread(read_inventory, file)).assets}
        assert "KH-LAB-02" in ids
        assert "KH-LAB-03" not in ids

        await _a_network_goes_out_and_comes_in(run, tmp_path)

        made = await run("token", "create", "tv", "--role", "viewer", "--days", "7")
        assert made.returncode == 0, made.stderr
        token_id = made.stderr.split()[1].rstrip(",")
        viewer = Client(url=url, token=made.stdout.strip())
        session = await asyncio.to_thread(viewer.get, "/api/v1/session")
        assert session["actor"] == "tv"
        with pytest.raises(ApiError, match="tv is viewer; this needs admin"):
            await asyncio.to_thread(viewer.get, "/api/v1/tokens")
        listed = await run("token", "list")
        assert token_id in listed.stdout
        assert made.stdout.strip() not in listed.stdout
        revoked = await run("token", "revoke", token_id)
        assert revoked.returncode == 0, revoked.stderr
        with pytest.raises(ApiError, match="the token is not accepted"):
            await asyncio.to_thread(viewer.get, "/api/v1/session")
        link = await run("token", "sign-in-link")
        assert link.stdout.startswith(f"{url}/sign-in?code=")

        refusals: list[tuple[tuple[str, ...], str]] = [
            (("inventory", "show", "NOTHING"), "There is no asset NOTHING."),
            (("inventory", "show", "--state", "broken"), "query.state.0: "),
            (("inventory", "add", "A B", "--kind", "bts", "--name", "x", "--site", "S-1"), "id: "),
            (("inventory", "add", "X", "--kind", "bts", "--name", "x"), "say where it stands"),
            (("token", "revoke", "nothing"), "There is no token nothing in force."),
        ]
        answers = await asyncio.gather(*(run(*words) for words, _ in refusals))
        for failed, (words, said) in zip(answers, refusals, strict=True):
            assert failed.returncode == 1, words
            assert failed.stderr.startswith("ioc: "), failed.stderr
            assert said in failed.stderr
            assert len(failed.stderr.splitlines()) == 1

    away = await run("token", "list")
    assert away.returncode == 1
    assert "is the service running? Start it with: ioc up" in away.stderr
    assert len(away.stderr.splitlines()) == 1


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IOC_TOKEN_FILE", "IOC_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_variables")
def test_without_a_service_a_command_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.json: is not there.*ioc up.*--url"):
        connect(tmp_path, None)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"run\.json: cannot be used"):
        connect(tmp_path, None)
    with pytest.raises(ConfigError, match=r"admin\.token: cannot be read"):
        connect(tmp_path, "http://127.0.0.1:1")
    (tmp_path / "admin.token").write_text("ioc_x\n")
    with pytest.raises(ConfigError, match="expected http://HOST:PORT"):
        connect(tmp_path, "127.0.0.1:8080")
    with pytest.raises(ConfigError, match="is the service running"):
        connect(tmp_path, f"http://127.0.0.1:{free_port()}").get("/healthz")


async def _a_network_goes_out_and_comes_in(run: Run, folder: Path) -> None:
    """Out as CSV, changed in a spreadsheet, looked at, taken in."""
    table = folder / "network.csv"
    assert (await run("inventory", "export", str(table))).returncode == 0
    untouched = await run("inventory", "import", str(table), "--whole")
    assert "nothing to change" in untouched.stdout, untouched.stderr
    lines = table.read_text("utf-8-sig").splitlines()
    kept = [line for line in lines if "KH-LAB-02" not in line]
    assert len(kept) == len(lines) - 1
    table.write_text("\n".join(kept).replace("Ninh Hòa", "Ninh Hoà", 1), encoding="utf-8")
    looked = await run("inventory", "import", str(table), "--whole", "--dry-run")
    assert "~ site S-2: name Ninh Hòa → Ninh Hoà" in looked.stdout, looked.stdout + looked.stderr
    assert "- bts KH-LAB-02 Lab 2" in looked.stdout
    assert "nothing was changed" in looked.stdout
    assert "Lab 2" in (await run("inventory", "show", "KH-LAB-02")).stdout
    table.write_text(table.read_text("utf-8").replace("12.49", "12;49"), encoding="utf-8")
    wrong = await run("inventory", "import", str(table), "--whole")
    assert wrong.returncode != 0
    assert f"{table}: row 4, column lat: '12;49'" in wrong.stderr
    table.write_text(table.read_text("utf-8").replace("12;49", "12.49"), encoding="utf-8")
    taken = await run("inventory", "import", str(table), "--whole")
    assert taken.returncode == 0, taken.stderr
    assert "1 (1 bts) retired" in taken.stdout
    assert (await run("inventory", "show", "KH-LAB-02")).returncode != 0
    assert "Ninh Hoà" in (await run("inventory", "show", "KH00002")).stdout
