"""What storing costs: 800 readings a second, as the province sends them.

``python -m benchmarks.store duckdb`` or ``… influxdb`` (its server is started: ``IOC_INFLUXD``, or
scripts/build-influxd). Batches of ``--gather`` seconds follow each other as fast as the store takes
them; with ``--paced`` they come as the service writes them, for 20 s.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path

import psutil

from ioc.catalog import Metric, load_catalog
from ioc.clock import SystemClock
from ioc.inventory import Asset
from ioc.journal.records import Reading, Value
from ioc.store import Row, open_store
from ioc.store.query import Column, Query
from tests.servers_influx import start_influxd

JOURNAL = "benchmark"


def value_of(metric: Metric, noise: random.Random) -> Value:
    if metric.type == "bool":
        return noise.random() < 0.9
    if metric.type == "enum":
        return noise.choice(metric.values or ("",))
    low, high = metric.normal or metric.range or (0.0, 1.0)
    if metric.type == "int":
        return noise.randint(int(low), int(high))
    return round(noise.uniform(low, high), metric.decimals)


def batch(second: int, noise: random.Random, assets: list[Asset]) -> list[Row]:
    """A tenth of all assets: each sends every 10 s what has that cadence."""
    rows = []
    for index in range(second % 10, len(assets), 10):
        asset = assets[index]
        time_us = (1_767_225_600_000 + second * 1000) * 1000 + index
        values = {
            name: value_of(metric, noise)
            for name, metric in CATALOG.kinds[asset.kind].metrics.items()
            if metric.cadence_s <= 60
        }
        reading = Reading(
            kind=asset.kind,
            asset=asset.id,
            time_us=time_us,
            ts_ms=time_us // 1000,
            received_ms=time_us // 1000 + 5,
            values=values,
            boot=1,
            seq=second,
        )
        rows.append(Row(reading=reading, asset=asset))
    return rows


def make_assets() -> list[Asset]:
    kinds = ["bts"] * 3900 + ["span"] * 4000
    rest = [kind for kind in CATALOG.kinds if kind not in ("bts", "span")]
    kinds += [rest[i % len(rest)] for i in range(100)]
    random.Random(1).shuffle(kinds)
    return [
        Asset(
            id=f"{kind[:2].upper()}{i:05d}",
            kind=kind,
            name=f"{kind} {i}",
            province="khanh-hoa",
            commune=f"{22000 + i % 65}",
            site=f"S-{i // 3:05d}",
            lat=12.0,
            lon=109.0,
            operator=("viettel", "vnpt", "mobifone")[i % 3],
        )
        for i, kind in enumerate(kinds)
    ]


async def measure(
    url: str, *, seconds: int, gather: int, paced: bool, server: psutil.Process | None
) -> None:
    noise, assets = random.Random(2), make_assets()
    process = psutil.Process()
    made = [
        [row for second in range(begin, begin + gather) for row in batch(second, noise, assets)]
        for begin in range(0, seconds, gather)
    ]
    before_mib = process.memory_info().rss / 2**20
    async with open_store(url, catalog=CATALOG, clock=SystemClock()) as store:
        began_s, took_s, cpu_s = time.perf_counter(), [], 0.0
        server_s = sum(server.cpu_times()[:2]) if server else 0.0
        for number, rows in enumerate(made):
            cpu_began_s, batch_began_s = time.process_time(), time.perf_counter()
            await store.write(rows, [], journal_uuid=JOURNAL, position=number + 1)
            took_s.append(time.perf_counter() - batch_began_s)
            cpu_s += time.process_time() - cpu_began_s
            if paced:
                until_s = began_s + (number + 1) * gather
                await asyncio.sleep(max(0.0, until_s - time.perf_counter()))
        elapsed_s = time.perf_counter() - began_s
        count = sum(map(len, made))
        print(f"{count} rows in {elapsed_s:.1f} s: {count / elapsed_s:.0f} rows/s")
        share = cpu_s / seconds * 100
        print(f"CPU of the service: {cpu_s / count * 1e6:.1f} µs a row, {share:.1f} % of a core")
        if server:
            server_s = sum(server.cpu_times()[:2]) - server_s
            print(f"CPU of the server: {server_s / count * 1e6:.1f} µs a row")
            print(f"RSS of the server: {server.memory_info().rss / 2**20:.0f} MiB")
        took_s.sort()
        print(
            f"a batch: p50 {took_s[len(took_s) // 2] * 1e3:.1f} ms, max {took_s[-1] * 1e3:.1f} ms"
        )
        after_mib = process.memory_info().rss / 2**20
        print(f"RSS {before_mib:.0f} MiB before opening, {after_mib:.0f} MiB after")
        for name, query in QUERIES.items():
            asked_s = time.perf_counter()
            answer = await store.query(query)
            took_ms = (time.perf_counter() - asked_s) * 1e3
            print(f"query {name}: {took_ms:.1f} ms, {len(answer.rows)} rows")
        print(f"RSS after queries {process.memory_info().rss / 2**20:.0f} MiB")


CATALOG = load_catalog()
SPAN_MS = {"start_ms": 1_767_225_600_000, "stop_ms": 1_767_225_600_000 + 86_400_000}
MEAN = Column(metric="dc_voltage_v", aggregate="mean")
LAST = Column(metric="dc_voltage_v", aggregate="last")
QUERIES = {
    "mean of all, by minute": Query(measurement="bts", columns=(MEAN,), every_s=60, **SPAN_MS),
    "last of each commune": Query(
        measurement="bts", columns=(LAST,), group_by=("commune",), **SPAN_MS
    ),
    "raw of one asset": Query(
        measurement="bts",
        columns=(Column(metric="dc_voltage_v"),),
        where={"asset": ("BT00010", "BT00011", "BT00012", "BT00013")},
        **SPAN_MS,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=["duckdb", "influxdb"])
    parser.add_argument("--gather", type=int, default=2, help="seconds of readings in a batch")
    parser.add_argument("--seconds", type=int, default=100, help="seconds of readings in all")
    parser.add_argument("--paced", action="store_true", help="as they would come, for 20 s")
    options = parser.parse_args()
    seconds = 20 if options.paced else options.seconds
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, server = f"duckdb://{folder}/readings.duckdb", None
        if options.store == "influxdb":
            influxd = stack.enter_context(start_influxd(folder))
            assert influxd.process is not None
            url, server = influxd.url, psutil.Process(influxd.process.pid)
        asyncio.run(
            measure(
                url,
                seconds=seconds,
                gather=options.gather,
                paced=options.paced,
                server=server,
            )
        )


if __name__ == "__main__":
    main()
