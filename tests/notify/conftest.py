"""An engine that writes what the real one writes, and receivers that are real servers."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ioc.state.database import State, open_state
from tests.notify.parts import Hook

DATABASES = ["sqlite"]
if importlib.util.find_spec("tests.servers_postgres") is not None:
    DATABASES.append("postgresql")


@pytest.fixture(params=DATABASES)
async def state(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[State]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    async with open_state(url) as opened:
        yield opened


@pytest.fixture
async def hook() -> AsyncIterator[Callable[..., Hook]]:
    """Makes receivers; each is a server on a free port of the loopback until the test ends."""
    hooks: list[Hook] = []

    def make(*answers: int) -> Hook:
        one = Hook(answers)
        hooks.append(one)
        return one

    yield make
    await asyncio.gather(*(one.close() for one in hooks))
