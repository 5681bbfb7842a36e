from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ioc.clock import VirtualClock
from ioc.ingest import Ingest, IngestSettings
from ioc.ingest.broker import Broker
from ioc.journal import Journal, open_journal
from ioc.supervise import StageHealth
from tests.ingest.lab import lab_catalog, lab_inventory


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def journal(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Journal]:
    async with open_journal(
        tmp_path / "journal", clock=clock, bound_bytes=1 << 28, reserve_bytes=0, gather_s=0.0
    ) as opened:
        yield opened


@pytest.fixture
def health() -> StageHealth:
    return StageHealth(name="ingest")


@pytest.fixture
def stage(journal: Journal, clock: VirtualClock, health: StageHealth) -> Ingest:
    """An ingest that was never connected: it only decides."""
    return Ingest(
        Broker("127.0.0.1", 1),
        catalog=lab_catalog(),
        inventory=lab_inventory(),
        into=journal,
        clock=clock,
        health=health,
        settings=IngestSettings(),
    )
