from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ioc.clock import VirtualClock
from ioc.errors import QueryError, StoreUnavailableError
from ioc.journal import Journal, open_journal
from ioc.journal.records import Measure
from ioc.store import Answer, Query, RejectedPoint, Row
from ioc.store.tiers import Kept, Mark, Tier
from tests.servers_influx import Influxd, start_influxd


class ListStore:
    """A store in two lists, that can be away, or refuse what ``refuses`` says."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.measures: list[Measure] = []
        self.positions: dict[str, int] = {}
        self.writes: list[int] = []
        self.attempts = 0
        self.away = False
        self.refuses: Callable[[Row], bool] = lambda _: False

    async def position(self, journal_uuid: str) -> int:
        self._answer()
        return self.positions.get(journal_uuid, 0)

    async def write(
        self,
        rows: Sequence[Row],
        measures: Sequence[Measure],
        *,
        journal_uuid: str,
        position: int,
    ) -> list[RejectedPoint]:
        self._answer()
        rejected = [
            RejectedPoint(point=row.reading, reason="field type conflict")
            for row in rows
            if self.refuses(row)
        ]
        if not rejected:
            self.rows += rows
            self.measures += measures
            self.positions[journal_uuid] = position
            self.writes.append(len(rows) + len(measures))
        return rejected

    async def query(self, query: Query) -> Answer:
        raise QueryError("this store answers nothing")

    async def roll_up(self, measurement: str, tier: Tier, *, begin_ms: int) -> None:
        raise NotImplementedError("this store keeps raw rows only")

    async def mark(self, mark: Mark) -> int | None:
        raise NotImplementedError("this store remembers no times")

    async def set_mark(self, mark: Mark, at_ms: int) -> None:
        raise NotImplementedError("this store remembers no times")

    async def expire(self, kept: Kept, *, before_ms: int) -> None:
        raise NotImplementedError("this store keeps everything")

    async def close(self) -> None: ...

    def _answer(self) -> None:
        self.attempts += 1
        if self.away:
            raise StoreUnavailableError("http://store:8086: connection refused")


@pytest.fixture
async def journal(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Journal]:
    async with open_journal(
        tmp_path / "journal", clock=clock, bound_bytes=8 * 2**20, reserve_bytes=0, gather_s=0.0
    ) as opened:
        yield opened


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    with start_influxd(tmp_path / "influxd") as server:
        yield server


async def until(clock: VirtualClock, true: Callable[[], bool], *, step_s: float = 0.25) -> None:
    """Move time on until something is true; the journal's threads get real time meanwhile."""
    async with asyncio.timeout(20):
        while not true():
            await clock.advance(step_s)
            await asyncio.sleep(0.001)
