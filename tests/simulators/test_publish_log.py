"""The publish log against a real broker: what it says was on disk when it says so."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from ioc.clock import SystemClock
from ioc.errors import FileError
from ioc.ingest.broker import Broker
from simulators.messages import Message
from simulators.publish_log import PublishLog
from simulators.publisher import Publisher
from tests.servers import Nats
from tests.simulators.audit import audit
from tests.simulators.lab import until
from tests.simulators.reader import read_on

pytestmark = pytest.mark.skipif(bool(Nats.missing()), reason=Nats.missing() or "nats-server")
Key = tuple[str, int, int]


@pytest.fixture
def nats(tmp_path: Path) -> Generator[Nats, None, None]:
    with Nats(tmp_path / "nats") as server:
        yield server


class Receiver:
    """A subscriber whose session the broker keeps: hashes by (asset, boot, seq)."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.got: dict[Key, str] = {}
        self.subscribed = asyncio.Event()

    async def run(self) -> None:
        await read_on(self.port, topic="ioc/v1/#", take=self._take, subscribed=self.subscribed)

    def _take(self, topic: str, payload: bytes) -> None:
        content = json.loads(payload)
        if "seq" in content:
            key = (topic.split("/")[4], content["boot"], content["seq"])
            self.got[key] = hashlib.sha256(payload).hexdigest()


@contextlib.asynccontextmanager
async def receiving(nats: Nats) -> AsyncIterator[Receiver]:
    receiver = Receiver(nats.port)
    task = asyncio.create_task(receiver.run())
    try:
        await asyncio.wait_for(receiver.subscribed.wait(), 10)
        yield receiver
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def readings(first: int, count: int) -> list[Message]:
    return [
        Message("ioc/v1/p/bts/A/telemetry", b'{"ts":1,"boot":5,"seq":%d}' % number)
        for number in range(first, first + count)
    ]


async def test_a_broker_restart_loses_nothing_and_the_log_shows_it(
    nats: Nats, tmp_path: Path
) -> None:
    path = tmp_path / "publish.log"
    async with receiving(nats) as receiver:
        publisher = Publisher(
            Broker("127.0.0.1", nats.port), clock=SystemClock(), log=PublishLog(path)
        )
        running = asyncio.create_task(publisher.run())
        try:
            await publisher.put(readings(0, 2000))
            await until(lambda: publisher.acknowledged > 300)
            await asyncio.to_thread(nats.kill)
            await until(lambda: not publisher.connected)
            at_the_kill = audit(path)
            await publisher.put(readings(2000, 500))
            await asyncio.to_thread(nats.start)
            async with asyncio.timeout(40):
                await publisher.drained()
            await until(lambda: len(receiver.got) == 2500)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            publisher.close()
    found = audit(path)
    assert found.acked == found.sent == receiver.got
    assert len(found.sent) == 2500
    resent = len([line for line in found.lines if line[0] == "sent"]) - 2500
    assert 0 < resent <= len(at_the_kill.sent) - len(at_the_kill.acked), "only what had no PUBACK"


async def test_every_message_is_on_disk_before_it_leaves(nats: Nats, tmp_path: Path) -> None:
    """Whatever the broker has ever seen is in the file at that moment."""
    path = tmp_path / "publish.log"
    behind: list[Key] = []
    async with receiving(nats) as receiver:
        publisher = Publisher(
            Broker("127.0.0.1", nats.port), clock=SystemClock(), log=PublishLog(path)
        )
        running = asyncio.create_task(publisher.run())
        try:
            for first in range(0, 500, 100):
                await publisher.put(readings(first, 100))
                await until(lambda upto=first + 100: publisher.acknowledged > upto - 60)  # type: ignore[misc]
                got = set(receiver.got)
                behind += sorted(got - audit(path).sent.keys())
            await publisher.drained()
            await until(lambda: len(audit(path).acked) == 500, within_s=5)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            publisher.close()
    assert behind == []


async def test_kill_minus_nine_leaves_a_log_that_knows_what_the_broker_got(
    nats: Nats, tmp_path: Path
) -> None:
    path = tmp_path / "publish.log"
    words = (
        *("simulate", "--province", "khanh-hoa", "--scale", "0.02", "--interval", "1"),
        *("--scenario", "calm", "--speed", "max", "--broker", f"127.0.0.1:{nats.port}"),
        *("--publish-log", str(path)),
    )
    async with receiving(nats) as receiver:

        def runs_received() -> int:
            """How many runs enough came of: a run has a boot of its own, and what an earlier one
            sent may still be coming."""
            messages = Counter(boot for _, boot, _ in receiver.got)
            return sum(number > 1500 for number in messages.values())

        for killed in (1, 2):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ioc.cli", *words),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=tmp_path,
            )
            try:
                await until(lambda least=killed: runs_received() >= least)  # type: ignore[misc]  # bound now
            finally:
                process.kill()
                await process.wait()
        acked = audit(path).acked.keys()
        await until(lambda: acked <= receiver.got.keys())
    found = audit(path)
    assert found.runs == 2
    assert found.torn <= 2
    for key, sha256 in receiver.got.items():
        assert found.sent[key] == sha256, "nothing left that is not in the log"
    for key, sha256 in found.acked.items():
        assert found.sent[key] == sha256
    assert len(found.acked) > 2000
    assert len({boot for _, boot, _ in found.sent}) == 2, "another boot for another run"


async def test_what_cannot_be_logged_is_not_sent(nats: Nats, tmp_path: Path) -> None:
    """A full disk (/dev/full takes nothing) ends the run and says why."""
    publisher = Publisher(
        Broker("127.0.0.1", nats.port), clock=SystemClock(), log=PublishLog(Path("/dev/full"))
    )
    async with receiving(nats) as receiver:
        running = asyncio.create_task(publisher.run())
        await publisher.put(readings(0, 10))
        with pytest.raises(FileError, match="publish log cannot be written: No space left"):
            await asyncio.wait_for(running, 10)
        assert publisher.sent == 0
        assert receiver.got == {}
    with contextlib.suppress(FileError):
        publisher.close()


def test_a_torn_line_stays_apart_from_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "publish.log"
    first = PublishLog(path)
    first.sent(0, readings(0, 1)[0])
    first.close()
    path.write_bytes(path.read_bytes()[:-10])
    PublishLog(path).close()
    found = audit(path)
    assert (found.runs, found.torn, found.sent) == (2, 1, {})
