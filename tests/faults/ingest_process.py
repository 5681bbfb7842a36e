"""A process of journal and ingest alone, to be killed: ``python -m tests.faults.ingest_process``.

With ``--early`` it acknowledges before it commits: the negative control. The disk is slow either
way (0.2 s before each commit), so that a kill finds something between receive and commit.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from ioc.clock import SystemClock
from ioc.ingest import Ingest
from ioc.ingest.broker import Broker, Message, Session
from ioc.ingest.ingest import Decided
from ioc.journal import open_journal
from ioc.supervise import StageHealth
from tests.ingest.lab import lab_catalog, lab_inventory

DISK_DELAY_S = 0.2


class SlowDisk(Ingest):
    async def _append(self, decided: Decided) -> None:
        await asyncio.sleep(DISK_DELAY_S)
        await super()._append(decided)
        print(f"admitted {len(decided.items)}", flush=True)


class EarlyAcknowledge(SlowDisk):
    async def admit(self, session: Session, messages: Sequence[Message]) -> None:
        session.acknowledge(messages)
        decided = self.decide(messages)
        if decided.items or decided.quarantined:
            await self._append(decided)


async def run(folder: Path, port: int, *, early: bool) -> None:
    clock = SystemClock()
    async with open_journal(folder, clock=clock, bound_bytes=1 << 30, reserve_bytes=0) as journal:
        stage = (EarlyAcknowledge if early else SlowDisk)(
            Broker("127.0.0.1", port),
            catalog=lab_catalog(),
            inventory=lab_inventory(),
            into=journal,
            clock=clock,
            health=StageHealth(name="ingest"),
        )
        await stage.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--early", action="store_true")
    given = parser.parse_args()
    asyncio.run(run(given.folder, given.port, early=given.early))
