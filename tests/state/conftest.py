"""Every test of the state database runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ioc.state import State, open_state
from tests.servers_postgres import Postgres, start_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if reason := Postgres.missing():
        pytest.skip(reason)
    with start_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty state database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    server = request.getfixturevalue("postgres")
    assert isinstance(server, Postgres)
    server.empty()
    return server.url


@pytest.fixture
async def state(state_url: str) -> AsyncIterator[State]:
    async with open_state(state_url) as opened:
        yield opened
