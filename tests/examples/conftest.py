"""Simulated UPSs and SNMP engines for tests that ask in their own event loop.

Telegraf is no part of CI: its test is there where Telegraf is on the path.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.ups_snmp.snmp import Engines
from tests.examples.lab import AgentsHere
from tests.servers import find_program

collect_ignore = [] if find_program("telegraf") else ["test_telegraf.py"]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[AgentsHere]:
    """A folder with secrets and the file of UPS A, and the agents that are opened there."""
    agents = AgentsHere(tmp_path)
    yield agents
    agents.close()
    await asyncio.sleep(0)  # the sockets close


@pytest.fixture
async def engines() -> AsyncIterator[Engines]:
    made = Engines()
    yield made
    made.close()
    await asyncio.sleep(0)  # as above
