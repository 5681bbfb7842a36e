"""What a roll-up costs at 3,900 stations and 4,000 spans.

``python -m benchmarks.roll_up duckdb`` or ``… influxdb`` (its server is started: ``IOC_INFLUXD``,
or scripts/build-influxd). An hour is filled: its last two buckets as the province fills them, each
of the others with one reading of each asset. Then a full bucket of 5 minutes, and the hour, are
worked out for each kind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.store import CATALOG, JOURNAL, batch, make_assets
from ioc.clock import SystemClock
from ioc.inventory import Asset
from ioc.journal.records import Measure
from ioc.store import Store, open_store
from ioc.store.schema import KPI, Schema
from ioc.store.tiers import BUCKET_MS, Tier
from tests.servers_influx import start_influxd

BEGIN_MS = 1_767_225_600_000
BUCKET_S = BUCKET_MS["5m"] // 1000
FULL = (10, 11)
PLACES = 66
MEASURES = 25


class Usage:
    """CPU time and greatest memory of the service, and of the server when there is one."""

    def __init__(self, server: psutil.Process | None) -> None:
        self._processes = [psutil.Process(), *([server] if server else [])]
        self._greatest = [0] * len(self._processes)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def cpu_s(self) -> list[float]:
        return [sum(process.cpu_times()[:2]) for process in self._processes]

    def greatest_mib(self) -> list[float]:
        """Since the last call."""
        found, self._greatest = self._greatest, [0] * len(self._processes)
        return [size / 2**20 for size in found]

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            now = [process.memory_info().rss for process in self._processes]
            self._greatest = [max(pair) for pair in zip(now, self._greatest, strict=True)]


async def fill(store: Store, assets: list[Asset]) -> None:
    noise, position = random.Random(2), 0
    for bucket in range(12):
        seconds = range(BUCKET_S) if bucket in FULL else range(10)
        for second in seconds[::2]:
            rows = [
                row
                for s in (second, second + 1)
                for row in batch(bucket * BUCKET_S + s, noise, assets)
            ]
            position += 1
            at_us = (BEGIN_MS + (bucket * BUCKET_S + second) * 1000) * 1000
            measures = [
                Measure(f"measure_{m}", "commune", f"{p}", at_us, float(noise.randint(0, 100)))
                for m in range(MEASURES if second % 10 == 0 else 0)
                for p in range(PLACES)
            ]
            await store.write(rows, measures, journal_uuid=JOURNAL, position=position)


async def measure(url: str, folder: Path, server: psutil.Process | None) -> None:
    usage = Usage(server)
    async with open_store(url, catalog=CATALOG, clock=SystemClock()) as store:
        await fill(store, make_assets())
        before_mib = _size_mib(folder)
        names = tuple(Schema(CATALOG).rolled_up)
        for bucket in range(12):
            for name in names:
                begin_ms = BEGIN_MS + bucket * BUCKET_S * 1000
                if bucket != FULL[-1]:
                    await store.roll_up(name, "5m", begin_ms=begin_ms)
        print(f"what               wall   CPU of the service{'   of the server' if server else ''}")
        for tier, begin_ms in (("5m", BEGIN_MS + FULL[-1] * BUCKET_S * 1000), ("1h", BEGIN_MS)):
            totals = [0.0, *(0.0 for _ in usage.cpu_s())]
            for name in names:
                found = await _one(store, name, tier, begin_ms, usage)  # type: ignore[arg-type]  # of TIERS
                totals = [a + b for a, b in zip(totals, found, strict=True)]
                if name in ("bts", "span", KPI):
                    _tell(f"{name}_{tier}", found, usage)
            _tell(f"all {len(names)}, {tier}", totals, usage)
        print(f"on disk: {before_mib:.0f} MiB before, {_size_mib(folder):.0f} MiB after")
    usage.end()


async def _one(store: Store, name: str, tier: Tier, begin_ms: int, usage: Usage) -> list[float]:
    began_s, cpu_s = time.perf_counter(), usage.cpu_s()
    await store.roll_up(name, tier, begin_ms=begin_ms)
    return [
        time.perf_counter() - began_s,
        *(after - before for after, before in zip(usage.cpu_s(), cpu_s, strict=True)),
    ]


def _tell(what: str, found: list[float], usage: Usage) -> None:
    sizes = " and ".join(f"{mib:.0f} MiB" for mib in usage.greatest_mib())
    print(
        f"{what:15}" + "".join(f"{seconds:8.2f} s" for seconds in found) + f"   RSS up to {sizes}"
    )


def _size_mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=["duckdb", "influxdb"])
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, server = f"duckdb://{folder}/readings.duckdb", None
        if options.store == "influxdb":
            influxd = stack.enter_context(start_influxd(folder))
            assert influxd.process is not None
            url, server = influxd.url, psutil.Process(influxd.process.pid)
        asyncio.run(measure(url, folder, server))


if __name__ == "__main__":
    main()
