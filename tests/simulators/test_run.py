"""`ioc simulate` and `ioc simulate inject`, as a person runs them, over a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from ioc.clock import SystemClock
from ioc.commands.simulate import parse_duration
from ioc.errors import ConfigError
from ioc.ingest.broker import Broker
from ioc.inventory.file import write_inventory
from simulators.device_alarms import LOSS_OF_SIGNAL
from simulators.run import Run, SimulateOptions
from tests.servers import Nats
from tests.simulators.lab import heard, province, until, whole

needs_nats = pytest.mark.skipif(bool(Nats.missing()), reason=Nats.missing() or "nats-server")


@pytest.fixture
def nats(tmp_path: Path) -> Generator[Nats, None, None]:
    with Nats(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    found = whole()
    path = tmp_path / "inventory.json"
    write_inventory(path, province=found.province, sites=found.sites, assets=found.assets)
    return path


def options(nats: Nats, inventory: Path) -> SimulateOptions:
    return SimulateOptions(
        inventory=inventory,
        broker=Broker("127.0.0.1", nats.port),
        interval_s=1.0,
        state_file=inventory.with_name("simulators.json"),
        incident=False,
    )


async def ioc(*words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ioc.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.asynccontextmanager
async def running(run: Run) -> AsyncIterator[Run]:
    task = asyncio.create_task(run.run())
    try:
        await until(lambda: run.counted >= run.province.size or task.done())
        yield run
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@needs_nats
async def test_inject_breaks_one_thing_in_the_running_simulators(
    nats: Nats, inventory: Path, tmp_path: Path
) -> None:
    run_file = {"mqtt_host": "127.0.0.1", "mqtt_port": nats.port, "province": "khanh-hoa"}
    (tmp_path / "run.json").write_text(json.dumps(run_file))
    here = ["--data-dir", str(tmp_path)]
    async with running(Run(options(nats, inventory), clock=SystemClock())) as run:
        done = await ioc("simulate", "inject", "B2", "vswr", "--for", "20m", *here)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("done: vswr on B2 until ")
        (fault,) = run.province.faults.active
        assert (fault.fault, fault.asset) == ("vswr", "B2")
        assert abs(fault.until_ms - run.province.now_ms - 1_200_000) < 30_000
        assert "vswr on B2" in run.progress(rate=1.0).line()

        wrong = await ioc("simulate", "inject", "B2x", "vswr", *here)
        assert wrong.returncode == 1
        assert wrong.stderr == "ioc: asset 'B2x': no such asset; close to it are B2\n"
        assert len(run.province.faults.active) == 1


@needs_nats
async def test_inject_without_simulators_says_so(nats: Nats) -> None:
    broker = f"127.0.0.1:{nats.port}"
    done = await ioc(
        *("simulate", "inject", "B2", "vswr", "--broker", broker, "--province", "khanh-hoa")
    )
    assert done.returncode == 1
    assert "no answer from simulators" in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_inject_without_a_run_file_says_what_to_do(tmp_path: Path) -> None:
    done = await ioc("simulate", "inject", "B2", "vswr", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert "--data-dir" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@needs_nats
async def test_nonsense_on_the_inject_topic_is_not_answered(nats: Nats, inventory: Path) -> None:
    async with running(Run(options(nats, inventory), clock=SystemClock())) as run:
        async with aiomqtt.Client(
            "127.0.0.1", nats.port, protocol=aiomqtt.ProtocolVersion.V311
        ) as client:
            await client.subscribe("ioc-sim/v1/khanh-hoa/reply/#", qos=1)
            for payload in (
                b"",
                b"{",
                b'{"id":"../x","asset":"B2","fault":"vswr","for_s":60}',
                b" " * 5000,
                b'{"id":"ok","asset":"B2","fault":"vswr","for_s":1e12}',
            ):
                await client.publish("ioc-sim/v1/khanh-hoa/inject", payload, qos=1)
            async with asyncio.timeout(10):
                answer = await anext(aiter(client.messages))
        assert answer.topic.value == "ioc-sim/v1/khanh-hoa/reply/ok"
        assert b"1 s to 7 days" in answer.payload
        assert not run.province.faults.active


@needs_nats
async def test_a_run_as_a_command_ends_by_itself_with_everything_acknowledged(
    nats: Nats, inventory: Path
) -> None:
    done = await ioc(
        *("simulate", "--inventory", str(inventory), "--broker", f"127.0.0.1:{nats.port}"),
        *("--interval", "1", "--duration", "3"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(" 0 given up")
    assert done.stdout.startswith("44 assets, one reading each every 1 s\n")


@needs_nats
async def test_a_device_alarm_left_by_an_earlier_run_is_cleared(
    nats: Nats, inventory: Path
) -> None:
    """kill -9 in an incident leaves no alarm standing for ever; faults that go on go on."""
    state = {
        "faults": [["vswr", "B2", SystemClock().now_ms() + 600_000]],
        "alarms": [["S-2", "los", msgspec.to_builtins(LOSS_OF_SIGNAL)]],
    }
    inventory.with_name("simulators.json").write_text(json.dumps(state))
    heard_alarms: list[tuple[str, str]] = []
    subscribed = asyncio.Event()

    async def listen() -> None:
        async with aiomqtt.Client(
            "127.0.0.1", nats.port, protocol=aiomqtt.ProtocolVersion.V311
        ) as client:
            await client.subscribe("ioc/v1/+/+/+/alarm", qos=1)
            subscribed.set()
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                content = json.loads(message.payload)
                heard_alarms.append((content["alarm_id"], content["state"]))

    listening = asyncio.create_task(listen())
    try:
        await asyncio.wait_for(subscribed.wait(), 10)
        async with running(Run(options(nats, inventory), clock=SystemClock())) as run:
            assert [fault.fault for fault in run.province.faults.active] == ["vswr"]
            await until(lambda: ("los", "cleared") in heard_alarms)
        assert ("los", "raised") not in heard_alarms
        left = json.loads(inventory.with_name("simulators.json").read_text())
        assert "los" not in {alarm_id for _, alarm_id, _ in left["alarms"]}
        assert left["faults"][0][:2] == ["vswr", "B2"]
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("2h", 7200), ("1d", 86_400), ("45", 45)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "20x", "-5m", "0", "8d", "nan", "inf"])
def test_wrong_durations_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match="--for"):
        parse_duration(text)


async def test_the_lists_speak_both_languages() -> None:
    listed = await ioc("simulate", "--list")
    assert "double-ring-cut\n  Two spans" in listed.stdout
    assert "chặng cáp" in listed.stdout
    faults = await ioc("simulate", "faults", "--kind", "span")
    assert "span-cut (span)" in faults.stdout
    assert "ups-bypass" not in faults.stdout


def test_messages_are_contract_v1() -> None:
    """Read back by the service's own decoder in tests/acceptance; here by their shape."""
    for one in heard(province(whole()).tick()):
        assert one.channel in ("telemetry", "alarm")
        assert {"ts", "seq", "boot"} <= one.content.keys()


async def test_a_run_that_never_reached_its_broker_leaves_what_an_earlier_one_kept(
    inventory: Path,
) -> None:
    kept = {"faults": [["vswr", "B2", SystemClock().now_ms() + 600_000]], "alarms": []}
    file = inventory.with_name("simulators.json")
    file.write_text(json.dumps(kept))
    nobody = SimulateOptions(
        inventory=inventory,
        broker=Broker("127.0.0.1", 1),
        interval_s=1.0,
        state_file=file,
        incident=False,
    )
    run = Run(nobody, clock=SystemClock())
    running_ = asyncio.create_task(run.run())
    assert run.publisher is not None
    await until(lambda: bool(run.publisher and run.publisher.last_error))
    running_.cancel()
    await asyncio.gather(running_, return_exceptions=True)
    assert json.loads(file.read_text()) == kept


async def test_without_an_inventory_it_says_how_to_name_one(tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ioc.cli", "simulate", "--scenario", "ring-cut"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert ".ioc/inventory.json" in done.stderr
    assert "--province" in done.stderr
    assert len(done.stderr.splitlines()) == 1
