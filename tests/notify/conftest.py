"""An engine that writes what the real one writes, and receivers that are real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.notify.parts import Hook
from tests.state.conftest import postgres, state, state_url

__all__ = ["hook", "postgres", "state", "state_url"]


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
