"""The bucket and the tokens, on a real InfluxDB 1.12 that asks who is there; on 2.x where there is
one (IOC_INFLUXD2)."""

from __future__ import annotations

import asyncio
import json
import secrets
import stat
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ioc.catalog import load_catalog
from ioc.clock import VirtualClock
from ioc.commands.deploy import app
from ioc.errors import ConfigError, StoreUnavailableError
from ioc.store.open import open_store
from tests.deploy.influxd2 import Influxd2
from tests.servers import free_port
from tests.servers_influx import Influxd

VERSIONS = [1, 2] if Influxd2.find() else [1]


@dataclass(frozen=True, kw_only=True)
class Running:
    """An InfluxDB, and its administrator's token."""

    port: int
    admin: str
    version: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, text: str, token: str, *, bucket: str = "ioc") -> Any:
        """The result of InfluxQL, or the HTTP status where it was refused."""
        return self._post(f"/query?db={bucket}", {"q": text}, token)

    def write(self, line: str, token: str, *, bucket: str = "ioc") -> int:
        """The status of a write."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/write?bucket={bucket}&org=ioc",
            data=line.encode(),
            headers={"Authorization": f"Token {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def _post(self, path: str, form: dict[str, str], token: str) -> Any:
        request = urllib.request.Request(
            self.url + path,
            data=urllib.parse.urlencode(form).encode(),
            headers={"Authorization": f"Token {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["results"][0]
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


@pytest.fixture(scope="module", params=VERSIONS)
def influx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("influxd")
    password = secrets.token_urlsafe(16)
    if request.param == 2:
        with Influxd2(folder, token=secrets.token_hex(16), password=password) as two:
            yield Running(port=two.port, admin=two.token, version=2)
        return
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    with Influxd(folder, user="admin", password=password) as one:
        yield Running(port=one.port, admin=f"admin:{password}", version=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A secrets folder as `ioc deploy secrets` leaves it, as far as it matters here."""
    for reader in ("service", "grafana"):
        (tmp_path / reader).mkdir()
    return tmp_path


def set_up(influx: Running, folder: Path, *words: str, admin: str = "") -> str:
    (folder / "admin.token").write_text((admin or influx.admin) + "\n")
    done = CliRunner().invoke(
        app,
        [
            *("influxdb", "--url", influx.url, "--folder", str(folder)),
            *("--admin-token-file", str(folder / "admin.token"), *words),
        ],
    )
    if done.exception is not None:
        raise done.exception
    return done.output


def token(folder: Path, reader: str) -> str:
    return (folder / reader / "influxdb.token").read_text().strip()


def test_the_service_reads_and_writes_and_grafana_only_reads(influx: Running, folder: Path) -> None:
    set_up(influx, folder)
    service, grafana = token(folder, "service"), token(folder, "grafana")
    assert influx.write("bts,asset=a volt=53.5 1000000000", service) == 204
    read = "SELECT volt FROM bts"
    for reader in (service, grafana):
        assert influx.ask(read, reader)["series"][0]["values"][0][1] == 53.5
    assert influx.write("bts,asset=a volt=1 2000000000", grafana) in (401, 403)
    refused = influx.ask("DROP MEASUREMENT bts", grafana)
    assert refused in (401, 403) or "error" in refused
    assert len(influx.ask(read, service)["series"][0]["values"]) == 1
    mode = stat.S_IMODE((folder / "service" / "influxdb.token").stat().st_mode)
    assert mode == 0o600


async def test_the_store_works_with_its_token(influx: Running, folder: Path) -> None:
    await asyncio.to_thread(set_up, influx, folder)
    url = (
        f"influxdb://127.0.0.1:{influx.port}/ioc?org=ioc"
        f"&token_file={folder / 'service' / 'influxdb.token'}"
    )
    async with open_store(url, catalog=load_catalog(), clock=VirtualClock()) as store:
        await store.write([], [], journal_uuid="of-a-test", position=7)
        assert await store.position("of-a-test") == 7
    # The service removes what is too old.
    removed = influx.ask("DELETE FROM ioc_position", token(folder, "service"))
    assert isinstance(removed, dict)
    assert "error" not in removed


def test_what_works_is_kept_and_what_does_not_is_made_again(influx: Running, folder: Path) -> None:
    assert "made" in set_up(influx, folder)
    first = token(folder, "service"), token(folder, "grafana")
    again = set_up(influx, folder)
    assert again.count(": kept") == 3  # the bucket and both tokens
    assert (token(folder, "service"), token(folder, "grafana")) == first

    (folder / "service" / "influxdb.token").write_text("guess\n")
    mended = set_up(influx, folder)
    assert "service (reads and writes): renewed" in mended
    assert token(folder, "service") not in ("guess", first[0])
    assert token(folder, "grafana") == first[1]
    assert influx.write("bts,asset=a volt=1 1", first[0]) in (401, 403)  # there is one of each
    # A token that may only read is none for the service.
    (folder / "service" / "influxdb.token").write_text(first[1] + "\n")
    assert "service (reads and writes): renewed" in set_up(influx, folder)


def test_renewed_tokens_end_those_before(influx: Running, folder: Path) -> None:
    set_up(influx, folder)
    old = {reader: token(folder, reader) for reader in ("service", "grafana")}
    said = set_up(influx, folder, "--renew")
    for reader, ended in old.items():
        new = token(folder, reader)
        assert new != ended
        assert new not in said
        refused = influx.ask("SHOW MEASUREMENTS", ended)
        assert refused in (401, 403) or "error" in refused
        assert "error" not in influx.ask("SHOW MEASUREMENTS", new)


def test_a_token_of_another_bucket_is_not_kept(influx: Running, folder: Path) -> None:
    set_up(influx, folder)
    said = set_up(influx, folder, "--bucket", "other", "--retention-days", "30")
    assert "bucket other: made" in said
    assert said.count("renewed") == (0 if influx.version == 1 else 2) or influx.version == 1
    assert influx.write("bts v=1", token(folder, "service"), bucket="other") == 204
    if influx.version == 1:
        shown = influx.ask("SHOW RETENTION POLICIES", influx.admin, bucket="other")
        assert shown["series"][0]["values"][0][:3] == ["autogen", "720h0m0s", "168h0m0s"]


def test_who_is_no_administrator_is_told(influx: Running, folder: Path) -> None:
    set_up(influx, folder)
    grafana = token(folder, "grafana")
    for wrong in ("guess", grafana):
        with pytest.raises(ConfigError, match=r"--admin-token-file|that this token may see") as why:
            set_up(influx, folder, "--bucket", "third", admin=wrong)
        assert grafana not in str(why.value)


def test_what_is_no_influxdb_is_said(folder: Path) -> None:
    away = Running(port=free_port(), admin="x", version=1)
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1"):
        set_up(away, folder)
    with pytest.raises(ConfigError, match="without a user"):
        CliRunner().invoke(
            app, ["influxdb", "--url", "http://admin:x@127.0.0.1"], catch_exceptions=False
        )
