"""A store's URL: right, or refused with what is wrong and what would be right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ioc.catalog import Catalog, Domain
from ioc.clock import VirtualClock
from ioc.errors import ConfigError, InUseError
from ioc.store import open_store
from ioc.store.influx_client import InfluxSettings
from ioc.store.influxdb import InfluxDBStore
from tests.conformance.samples import make_catalog, metric, text


async def refused(url: str, catalog: Catalog | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        async with open_store(url, catalog=catalog or make_catalog(), clock=VirtualClock()):
            pass
    return str(raised.value)


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("", "expected duckdb:///path/file.duckdb or influxdb://"),
        ("postgres://localhost/x", "'postgres'"),
        ("duckdb://readings.duckdb", "expected duckdb:///path"),
        ("duckdb:///", "expected duckdb:///path"),
        ("duckdb:////tmp/x.duckdb?memory=1", "expected duckdb:///path"),
        ("duckdb:////no/such/folder/x.duckdb", "/no/such/folder: no such folder"),
        ("influxdb://localhost:8086", "needs a host and a database"),
        ("influxdb:///ioc", "needs a host and a database"),
        ("influxdb://localhost:80860/ioc", "port"),
        ("influxdb://localhost/i%22oc", "needs a host and a database"),
        ("influxdb://localhost/ioc?ssl=1", "option 'ssl': expected org, token_file or tls"),
        ("influxdb://localhost/ioc?tls=yes", "tls 'yes': expected 0 or 1"),
        ("influxdb://localhost/ioc?tls", "bad query field"),
        ("influxdb://localhost/ioc?token_file=/no/such/file", "/no/such/file: cannot be read"),
    ],
)
async def test_a_url_that_is_wrong_names_what(url: str, names: str) -> None:
    assert names in await refused(url)


async def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    message = await refused("influxdb://admin:hunter2@localhost/ioc")
    assert "token_file" in message
    assert "hunter2" not in message


async def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("\n")
    url = f"influxdb://h/ioc?token_file={token_file}"
    assert f"token_file {token_file}: is empty" in await refused(url)
    token_file.write_text("two\nlines\n")
    assert "holds no token (one line" in await refused(url)


async def test_a_whole_influxdb_url(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("s3cret\n")
    url = f"influxdb://[::1]:8087/tinh%20nha?org=so-tttt&tls=1&token_file={token_file}"
    async with open_store(
        url.replace("%20", "-"), catalog=make_catalog(), clock=VirtualClock()
    ) as s:
        assert isinstance(s, InfluxDBStore)
        settings = s._client._settings
    assert settings == InfluxSettings(
        host="::1", port=8087, database="tinh-nha", org="so-tttt", token="s3cret", tls=True
    )
    assert settings.url == "https://[::1]:8087"
    assert "s3cret" not in repr(settings)


async def test_a_file_that_is_no_duckdb_file(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    path.write_bytes(b"not a database at all" * 1000)
    assert f"{path}: cannot be opened as a DuckDB file" in await refused(f"duckdb://{path}")


async def test_a_damaged_duckdb_file(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    async with open_store(f"duckdb://{path}", catalog=make_catalog(), clock=VirtualClock()):
        pass
    content = bytearray(path.read_bytes())
    content[4096:12288] = bytes(8192)
    path.write_bytes(content)
    assert f"{path}: cannot be opened as a DuckDB file" in await refused(f"duckdb://{path}")


def start_holder(path: Path) -> subprocess.Popen[bytes]:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    return subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


async def test_a_file_that_another_process_has_open(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    with start_holder(path) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(InUseError, match="another process has it open"):
            async with open_store(f"duckdb://{path}", catalog=make_catalog(), clock=VirtualClock()):
                pass
        holder.kill()
    async with open_store(f"duckdb://{path}", catalog=make_catalog(), clock=VirtualClock()):
        pass


async def test_a_metric_that_changed_its_type_needs_a_new_name(tmp_path: Path) -> None:
    url = f"duckdb://{tmp_path}/readings.duckdb"
    async with open_store(url, catalog=make_catalog(), clock=VirtualClock()):
        pass
    message = await refused(url, make_catalog(volt=metric("int")))
    assert (
        "mast.volt is kept as DOUBLE, the catalog says int: give the metric a new name" in message
    )


async def test_names_that_the_stores_need_for_themselves(tmp_path: Path) -> None:
    kinds = {"kpi": {"title": text("x"), "metrics": {"series": metric()}}}
    catalog = Catalog([Domain.model_validate({"domain": "d", "title": text("x"), "kinds": kinds})])
    message = await refused(f"duckdb://{tmp_path}/x.duckdb", catalog)
    assert "kind kpi, kpi.series: the name is reserved" in message
