"""What the alarm engine costs at the size of a province: 3,900 stations and 4,000 spans.

Run: ``python -m benchmarks.alarms [--pace SECONDS]``. Prints µs of CPU per reading for the engine
alone, ms for the topology, for a cut that silences 1,000 stations at once, and for a snapshot; with
``--pace``, the share of a core of the whole stage at 800 readings a second with its database.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ioc.alarms.engine import Engine
from ioc.alarms.evaluate import evaluate
from ioc.alarms.live import Live
from ioc.alarms.topology import Topology
from ioc.catalog import Catalog, load_catalog
from ioc.catalog.model import Metric
from ioc.clock import SystemClock
from ioc.inventory import Asset, Inventory, Site
from ioc.journal import open_journal
from ioc.journal.records import Activation, Batch, Entry, Item, Reading, Tick, Value
from ioc.state import open_state
from ioc.supervise import StageHealth

STATIONS, SPANS, SITES = 3900, 4000, 1600
PER_BATCH, BATCHES_PER_S = 40, 20
T0 = 1_767_225_600_000


def province(chance: random.Random) -> tuple[list[Site], list[Asset]]:
    """Sites in a tree with rings, up to three stations on each."""
    place = {"lat": 12.2, "lon": 109.2}
    sites = [
        Site(id=f"S-{n}", name=f"S-{n}", commune="22366", core=n < 2, **place) for n in range(SITES)
    ]
    about: dict[str, Any] = {"province": "khanh-hoa", "commune": "22366", **place}
    stations = [
        Asset(
            id=f"KH{n}", kind="bts", name=f"KH{n}", site=f"S-{n % SITES}", population=300, **about
        )
        for n in range(STATIONS)
    ]
    ends = [(chance.randrange(max(0, n - 50), n), n) for n in range(2, SITES)]
    while len(ends) < SPANS:
        a = chance.randrange(SITES - 60)
        ends.append((a, a + chance.randrange(1, 60)))
    spans = [
        Asset(id=f"NT-{n}", kind="span", name=f"NT-{n}", site=f"S-{a}", far_site=f"S-{b}", **about)
        for n, (a, b) in enumerate(ends)
    ]
    return sites, [*stations, *spans]


def usual(name: str, metric: Metric, chance: random.Random) -> Value:
    if metric.type == "bool":
        return name in ("mains_ok", "in_service", "link_up")
    if metric.type == "enum":
        return (metric.values or ("",))[0]
    low, high = metric.normal or metric.range or (0, 1)
    value = low + (high - low) * chance.random()
    return round(value) if metric.type == "int" else value


def readings(
    catalog: Catalog, assets: list[Asset], chance: random.Random
) -> Iterator[tuple[Asset, dict[str, Value]]]:
    """Every asset in turn, over and over, with what it sends each 10 s."""
    order = chance.sample(assets, len(assets))
    fast = {
        name: {m: about for m, about in kind.metrics.items() if about.cadence_s == 10}
        for name, kind in catalog.kinds.items()
    }
    for asset in itertools.cycle(order):
        yield asset, {m: usual(m, about, chance) for m, about in fast[asset.kind].items()}


def batch(source: Iterator[tuple[Asset, dict[str, Value]]], now_ms: int) -> Batch:
    return Batch(
        [
            Reading(asset.kind, asset.id, (now_ms - 5) * 1000, now_ms - 5, now_ms, values)
            for asset, values in itertools.islice(source, PER_BATCH)
        ]
    )


def engine_alone(catalog: Catalog, sites: list[Site], assets: list[Asset]) -> None:
    chance = random.Random(1)
    engine = Engine(catalog, Inventory(sites, assets), journal_uuid="benchmark")
    source, position = readings(catalog, assets, chance), 0
    entries = []
    seconds = 20
    for number in range(seconds * BATCHES_PER_S):
        now_ms = T0 + number * 1000 // BATCHES_PER_S
        entries.append(Entry(position := position + 1, now_ms, batch(source, now_ms)))
        if number % BATCHES_PER_S == 0:
            entries.append(Entry(position := position + 1, now_ms, Tick(now_ms, True)))
    began = time.process_time()
    for entry in entries:
        engine.apply(entry)
    took = time.process_time() - began
    count = seconds * BATCHES_PER_S * PER_BATCH
    print(f"engine: {took / count * 1e6:.1f} µs per reading, {count} readings")

    # A quarter of the stations falls silent in the same second.
    silent = {asset.id for asset in assets[:1000]}
    now_ms = T0 + seconds * 1000
    for second in range(40):
        now_ms += 1000
        spoken: list[Item] = [
            Reading(a.kind, a.id, now_ms * 1000, now_ms, now_ms, {})
            for a in assets
            if second == 0 or a.id not in silent
        ]
        engine.apply(Entry(position := position + 1, now_ms, Batch(spoken)))
        began = time.process_time()
        new = engine.apply(Entry(position := position + 1, now_ms, Tick(now_ms, True)))
        if len(new) >= 50:
            took = time.process_time() - began
            print(f"a tick in second {second} that raises {len(new)}: {took * 1e3:.1f} ms")
    began = time.process_time()
    content = engine.snapshot()
    took = time.process_time() - began
    print(f"snapshot: {took * 1e3:.1f} ms, {len(content) / 1e6:.1f} MB before compression")

    tracemalloc.start()
    Engine(catalog, Inventory(sites, assets), journal_uuid="benchmark")
    print(f"an engine holds {tracemalloc.get_traced_memory()[0] / 2**20:.1f} MiB")
    tracemalloc.stop()


def topology_alone(sites: list[Site], assets: list[Asset]) -> None:
    began = time.process_time()
    topology = Topology(sites, assets)
    print(f"topology built: {(time.process_time() - began) * 1e3:.1f} ms")
    began = time.process_time()
    for number in range(50):
        topology.recompute({f"NT-{number}", f"NT-{number + 7}"})
    print(f"topology worked out again: {(time.process_time() - began) / 50 * 1e3:.2f} ms")


async def stage_at_pace(
    catalog: Catalog, sites: list[Site], assets: list[Asset], seconds: int
) -> None:
    clock, live, health = SystemClock(), Live(), StageHealth(name="alarms")
    chance = random.Random(2)
    batches = readings(catalog, assets, chance)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_journal(
                Path(folder) / "journal", clock=clock, bound_bytes=2**30, reserve_bytes=0
            ) as journal,
            open_state(f"sqlite:///{folder}/state.db") as state,
        ):
            await journal.append(Activation(clock.now_ms(), "benchmark", sites=sites, add=assets))
            prepared = [batch(batches, 0).items for _ in range(seconds * BATCHES_PER_S)]

            async def feed() -> float:
                begun_s, begun_cpu = time.perf_counter(), time.process_time()
                for number, items in enumerate(prepared):
                    await asyncio.sleep(begun_s + number / BATCHES_PER_S - time.perf_counter())
                    now_ms = clock.now_ms()
                    await journal.append(
                        Batch(
                            [
                                Reading(
                                    one.kind, one.asset, now_ms * 1000, now_ms, now_ms, one.values
                                )
                                for one in items
                                if isinstance(one, Reading)
                            ]
                        )
                    )
                    if number % BATCHES_PER_S == 0:
                        await journal.append(Tick(now_ms, True))
                return (time.process_time() - begun_cpu) / (time.perf_counter() - begun_s)

            without = await feed()
            task = asyncio.create_task(
                evaluate(
                    journal, catalog=catalog, state=state, live=live, clock=clock, health=health
                )
            )
            await live.reached(journal.end)
            with_stage = await feed()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    print(
        f"stage at {PER_BATCH * BATCHES_PER_S} readings/s: {(with_stage - without) * 100:.1f} % "
        f"of a core (beside a journal that takes {without * 100:.1f} %)"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pace", type=int, default=0, metavar="SECONDS")
    pace = options.parse_args().pace
    catalog = load_catalog()
    sites, assets = province(random.Random(5))
    topology_alone(sites, assets)
    engine_alone(catalog, sites, assets)
    if pace:
        asyncio.run(stage_at_pace(catalog, sites, assets, pace))


if __name__ == "__main__":
    main()
