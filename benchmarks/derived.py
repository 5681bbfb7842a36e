"""What measures and snapshots cost at the size of a province: CPU of the event loop, journal bytes.

Run: ``python -m benchmarks.derived``. Lives ten minutes of Khánh Hòa (3,900 stations, 4,000 spans,
65 communes) for each number of alarms that stand, and prints ms of CPU per 10 s (of the stage, with
the encoding of its rows) and KB a minute, deflated as the journal does it.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
import zlib
from collections.abc import AsyncIterator

import msgspec

from ioc.alarms.live import Live
from ioc.alarms.model import Alarm
from ioc.alarms.table import Tables
from ioc.catalog import load_catalog
from ioc.clock import VirtualClock
from ioc.inventory import Asset, Inventory
from ioc.inventory.province import load_province
from ioc.journal.records import Batch, Entry, Reading, Record, Tick, Value
from ioc.kpi.measure import measure
from ioc.kpi.plan import Plan
from ioc.supervise import StageHealth
from simulators.world import build_world

PROVINCE, CATALOG = load_province("khanh-hoa"), load_catalog()
T0 = 1_767_225_600_000
MINUTES = 10
# Alarms that stand, and how many of them another one explains.
STORMS = ((0, 0), (50, 30), (600, 560), (3_000, 2_500))


class EndError(Exception):
    """All ticks were given."""


class CountingJournal:
    """Gives ticks, and counts what is appended: in time for others, and in bytes."""

    def __init__(self, first: Batch, clock: VirtualClock) -> None:
        self._first, self._clock = first, clock
        self._encode = msgspec.msgpack.Encoder().encode
        self._aside_s = 0.0
        self.end = 0
        self.positions: dict[str, int] = {}
        self.took_ms: list[float] = []
        self.raw_bytes = self.deflated_bytes = 0

    async def append(self, *records: Record) -> int:
        contents = [self._encode(record) for record in records]
        begun_s = time.process_time()  # in the service, the journal's own thread does the rest
        self.raw_bytes += sum(map(len, contents))
        self.deflated_bytes += sum(len(zlib.compress(content, 1)) for content in contents)
        self._aside_s += time.process_time() - begun_s
        return 0

    async def follow(self, *, after: int) -> AsyncIterator[list[Entry]]:
        yield [Entry(after, T0, self._first)]
        for number in range(1, MINUTES * 6 + 1):
            await self._clock.advance(10)
            self._aside_s, begun_s = 0.0, time.process_time()
            yield [Entry(number, T0, Tick(self._clock.now_ms(), listening=True))]
            self.took_ms.append((time.process_time() - begun_s - self._aside_s) * 1000)
        raise EndError

    async def read(self, *, after: int, limit: int = 256) -> list[Entry]:  # noqa: ARG002  # it is empty
        return []

    async def note(self, consumer: str, position: int) -> None: ...

    async def wait_until_admits(self) -> None: ...

    def status(self) -> CountingJournal:
        return self


def storm(assets: list[Asset], standing: int, suppressed: int, luck: random.Random) -> list[Alarm]:
    """Alarms of the catalog's own rules, with their texts."""
    alarms = []
    for number, asset in enumerate(luck.sample(assets, standing)):
        rule = luck.choice(CATALOG.kinds[asset.kind].rules)
        explained = 0 < number <= suppressed
        alarms.append(
            Alarm(
                id=f"ALARM{number:011d}",
                source=rule.id,
                asset=asset.id,
                kind=asset.kind,
                site=asset.site,
                commune=asset.commune,
                severity=rule.severity,
                event_type=rule.event_type,
                probable_cause=rule.probable_cause,
                text_vi=rule.text.vi.replace("{asset}", asset.name),
                text_en=rule.text.en.replace("{asset}", asset.name),
                metric=getattr(rule.when, "metric", ""),
                value=luck.uniform(0, 100),
                threshold=10.0,
                raised_ms=T0 - number,
                parent="ALARM00000000000" if explained else "",
                suppressed=explained,
            )
        )
    return alarms


async def main() -> None:
    luck = random.Random(1)
    sites, assets = build_world(PROVINCE, seed=1)
    measured: dict[str, dict[str, Value]] = {
        "bts": {"drb_ue_thp_dl_kbit_s": 1e5, "rrc_conn_mean": 9.0, "cells_5g_active": 3},
        "dc_site": {"pue": 1.5, "it_power_kw": 60.0},
    }
    first = Batch(
        [
            Reading(asset.kind, asset.id, T0 * 1000, T0, T0, measured[asset.kind])
            for asset in assets
            if asset.kind in measured
        ]
    )
    print("alarms  suppressed  ms per 10 s: mean  p50   max    KB/min: raw  deflated")
    for standing, suppressed in STORMS:
        clock = VirtualClock(start_ms=T0)
        journal = CountingJournal(first, clock)
        live = Live(table=Tables({}))
        live.states = {asset.id: "up" for asset in assets}
        live.alarms = {one.id: one for one in storm(assets, standing, suppressed, luck)}
        try:
            await measure(
                journal,
                plan=Plan(PROVINCE),
                catalog=CATALOG,
                inventory=Inventory(sites, assets),
                live=live,
                clock=clock,
                health=StageHealth(name="kpi"),
            )
        except EndError:
            took = journal.took_ms
            print(
                f"{standing:6}  {suppressed:10}  {statistics.mean(took):17.1f}"
                f"  {statistics.median(took):4.1f}  {max(took):4.1f}"
                f"  {journal.raw_bytes / MINUTES / 1000:11.0f}"
                f"  {journal.deflated_bytes / MINUTES / 1000:8.0f}"
            )


if __name__ == "__main__":
    asyncio.run(main())
