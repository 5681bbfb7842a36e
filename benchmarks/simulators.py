"""What the simulators can do: publish rate, a recorded day, memory.

Run: ``python -m benchmarks.simulators [publish|processes|batches|day|memory]`` (all by default).

- ``publish``: QoS 1 messages a second that one process gets acknowledged by a NATS on the same
  machine (aiomqtt), without and with the publish log; no subscriber.
- ``processes``: the same from two and four processes side by side.
- ``batches``: real readings of the province, put together by gateways as contract v1 has it
  (``_gateway/{id}/telemetry``), 10 and 50 in a message; readings a second, one process.
- ``day``: one simulated day of Khánh Hòa at five minutes, recorded (gzip) at full speed.
- ``memory``: the process's peak with the inventory of Phú Thọ's size (10,200 stations), or as many
  stations of Khánh Hòa where there is no such profile, sending every 10 seconds.

Each part runs in a process of its own; times are of the wall, with CPU seconds beside.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ioc.catalog import load_catalog
from ioc.clock import SystemClock
from ioc.ingest.broker import Broker
from ioc.inventory import Asset, Site
from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators.feed import Feed, FeedOptions
from simulators.messages import Message
from simulators.publish_log import PublishLog
from simulators.publisher import Publisher
from simulators.scenario import Misbehaviour, read_scenario, scenario_path
from simulators.world import build_world
from tests.servers import Nats

MESSAGES = 30_000
STATIONS = 10_200
# What a station sends.
PAYLOAD = b'{"pad":"%b","ts":1767225600000,"boot":1,"seq":%d}'


async def publish(port: int, messages: list[Message], log: Path | None = None) -> float:
    """Seconds from handing over the first to the PUBACK of the last."""
    book = PublishLog(log) if log is not None else None
    publisher = Publisher(Broker("127.0.0.1", port), clock=SystemClock(), log=book)
    async with publisher.running() as while_alive:
        begun_s = time.monotonic()
        await publisher.put(messages)
        await while_alive(publisher.drained())
        return time.monotonic() - begun_s


def one_process(words: list[str]) -> None:
    """``one PORT [LOG]``: publish, and say how fast."""
    log = Path(words[1]) if len(words) > 1 else None
    pad = b"x" * 400
    messages = [
        Message(f"ioc/v1/p/bts/A{number % 4000}/telemetry", PAYLOAD % (pad, number))
        for number in range(MESSAGES)
    ]
    took_s = asyncio.run(publish(int(words[0]), messages, log))
    print(f"{MESSAGES / took_s:,.0f} a second, {took_s:.1f} s, {cpu_s():.1f} s of CPU in all")


def batched(size: int) -> list[Message]:
    """A minute of the province at a reading each ten seconds, ``size`` readings in a message."""
    elements = []
    feed = feed_of(build_world(load_province("khanh-hoa"), seed=1, scale=1.0))
    for _ in range(600):
        for message in feed.tick():
            _, _, _, kind, asset, channel = message.topic.split("/")
            if channel == "telemetry":
                about = b'{"kind":"%b","asset":"%b",' % (kind.encode(), asset.encode())
                elements.append(about + message.payload[1:])
    return [
        Message("ioc/v1/khanh-hoa/_gateway/G1/telemetry", b"[%b]" % b",".join(some))
        for some in (elements[first : first + size] for first in range(0, len(elements), size))
    ]


def one_gateway(words: list[str]) -> None:
    """``gateway PORT SIZE``: publish batches, and say how fast."""
    size = int(words[1])
    messages = batched(size)
    largest = max(len(message.payload) for message in messages)
    before_s = cpu_s()
    took_s = asyncio.run(publish(int(words[0]), messages))
    print(
        f"{len(messages) * size / took_s:,.0f} readings a second in {len(messages) / took_s:,.0f} "
        f"messages of up to {largest / 1024:.0f} KiB, {cpu_s() - before_s:.1f} s of CPU"
    )


def bench_publish() -> None:
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder) / "nats") as nats:
        print("publish, one process:", again("one", str(nats.port)))
        log = Path(folder) / "publish.log"
        print("publish, with the log:", again("one", str(nats.port), str(log)))


def bench_processes() -> None:
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder) / "nats") as nats:
        for count in (2, 4):
            running = [start("one", str(nats.port)) for _ in range(count)]
            said = [process.communicate()[0].strip() for process in running]
            total = sum(float(line.split()[0].replace(",", "")) for line in said)
            print(f"publish, {count} processes: {total:,.0f} a second together")


def bench_batches() -> None:
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder) / "nats") as nats:
        for size in (10, 50):
            print(f"batches of {size}:", again("gateway", str(nats.port), str(size)))


def bench_day() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.jsonl.gz"
        begun_s = time.monotonic()
        before_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(
            [
                *(sys.executable, "-m", "ioc.cli", "simulate", "--province", "khanh-hoa"),
                *("--scenario", "calm", "--duration", "1d", "--interval", "300"),
                *("--speed", "max", "--no-publish", "--record", str(path)),
            ],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        took_s = time.monotonic() - begun_s
        used_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before_s
        size_mb = path.stat().st_size / 1e6
        print(f"a day at 300 s: {took_s:.0f} s, {used_s:.0f} s of CPU, {size_mb:.0f} MB")


def bench_memory() -> None:
    """Peak of a process that makes ten minutes of messages for 10,200 stations."""
    found = load_province("khanh-hoa")
    scale = STATIONS / found.network.stations
    feed = feed_of(build_world(found, seed=1, scale=scale))
    messages = sum(len(feed.tick()) for _ in range(600))
    stations = len(feed.province.stations.table)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{stations:,} stations, {feed.province.size:,} assets: {peak_mb:.0f} MiB at the peak, "
        f"{messages:,} messages in a simulated minute, {cpu_s():.1f} s of CPU in all"
    )


def feed_of(world: tuple[list[Site], list[Asset]]) -> Feed:
    """A calm province with a reading each ten seconds."""
    sites, assets = world
    path = scenario_path("calm")
    scenario = read_scenario(path)
    options = FeedOptions(
        scenario=scenario,
        scenario_path=path,
        seed=1,
        start_ms=scenario.start_ms,
        interval_s=10.0,
        misbehaviour=Misbehaviour(),
    )
    inventory = InventoryFile(province="khanh-hoa", sites=sites, assets=assets)
    return Feed(inventory, options, catalog=load_catalog())


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.simulators", *words], stdout=subprocess.PIPE, text=True
    )


def again(*words: str) -> str:
    process = start(*words)
    said, _ = process.communicate()
    return said.strip()


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["one"]:
        one_process(words[1:])
        return
    if words[:1] == ["gateway"]:
        one_gateway(words[1:])
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in words or ["publish", "processes", "batches", "day", "memory"]:
        if name == "memory" and not words:
            print(again("memory"))
            continue
        {
            "publish": bench_publish,
            "processes": bench_processes,
            "batches": bench_batches,
            "day": bench_day,
            "memory": bench_memory,
        }[name]()


if __name__ == "__main__":
    main()
