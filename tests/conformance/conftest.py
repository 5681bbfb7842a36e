from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ioc.catalog import Catalog
from ioc.clock import VirtualClock
from ioc.store import Store, open_store
from tests.conformance.samples import make_catalog
from tests.servers_influx import Influxd, start_influxd


class Backend:
    """One kind of store, empty at first."""

    name: str
    url: str

    def open(self, catalog: Catalog | None = None) -> AbstractAsyncContextManager[Store]:
        """Open the store; each time the same data."""
        return open_store(self.url, catalog=catalog or make_catalog(), clock=VirtualClock())


class DuckDBFile(Backend):
    name = "duckdb"

    def __init__(self, folder: Path) -> None:
        self.url = f"duckdb://{folder}/readings.duckdb"


class InfluxDatabase(Backend):
    name = "influxdb"
    _numbers = itertools.count(1)

    def __init__(self, server: Influxd) -> None:
        self.server = server
        database = f"ioc_{next(self._numbers)}"
        server.ask(f'CREATE DATABASE "{database}"')
        self.url = f"influxdb://{server.host}:{server.port}/{database}"


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """One real influxd for all tests; skipped, with what to do, where it is not installed."""
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    with start_influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def duckdb_file(tmp_path: Path) -> DuckDBFile:
    return DuckDBFile(tmp_path)


@pytest.fixture
def influx_database(influxd: Influxd) -> InfluxDatabase:
    return InfluxDatabase(influxd)


@pytest.fixture(params=["duckdb", "influxdb"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each store in turn."""
    name = "duckdb_file" if request.param == "duckdb" else "influx_database"
    found = request.getfixturevalue(name)
    assert isinstance(found, Backend)
    return found


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[Store]:
    async with backend.open() as opened:
        yield opened
