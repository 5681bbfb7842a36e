"""Nothing handed to the publisher is lost: against a real broker that dies and comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from ioc.clock import SystemClock, VirtualClock, settle
from ioc.ingest.broker import Broker
from simulators.messages import Message
from simulators.publisher import Publisher
from tests.servers import Nats
from tests.simulators.lab import until
from tests.simulators.reader import read_on

pytestmark = pytest.mark.skipif(bool(Nats.missing()), reason=Nats.missing() or "nats-server")


@pytest.fixture
def nats(tmp_path: Path) -> Generator[Nats, None, None]:
    with Nats(tmp_path) as server:
        yield server


@contextlib.asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    task = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Listener:
    """A subscriber with a session the broker keeps: it counts what came."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.got: Counter[bytes] = Counter()
        self.order: list[bytes] = []
        self.subscribed = asyncio.Event()

    async def run(self) -> None:
        await read_on(self.port, topic="t/#", take=self._take, subscribed=self.subscribed)

    def _take(self, _topic: str, payload: bytes) -> None:
        self.got[payload] += 1
        if self.got[payload] == 1:
            self.order.append(payload)


def numbered(first: int, count: int) -> list[Message]:
    return [Message("t/a", str(number).encode()) for number in range(first, first + count)]


async def test_a_broker_restart_loses_nothing(nats: Nats) -> None:
    listener = Listener(nats.port)
    listening = asyncio.create_task(listener.run())
    publisher = Publisher(Broker("127.0.0.1", nats.port), clock=SystemClock())
    try:
        await asyncio.wait_for(listener.subscribed.wait(), 10)
        async with running(publisher):
            await publisher.put(numbered(0, 2000))
            await until(lambda: publisher.acknowledged > 300)
            await asyncio.to_thread(nats.kill)
            await publisher.put(numbered(2000, 500))
            await until(lambda: not publisher.connected)
            await publisher.put(numbered(2500, 500))
            await asyncio.to_thread(nats.start)
            async with asyncio.timeout(40):
                await publisher.drained()
            await until(lambda: len(listener.got) == 3000)
            assert publisher.acknowledged == 3000
            assert publisher.reconnects == 1
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_messages_leave_in_the_order_they_were_given(nats: Nats) -> None:
    """While the connection lasts: an asset's readings are not out of order."""
    listener = Listener(nats.port)
    listening = asyncio.create_task(listener.run())
    publisher = Publisher(Broker("127.0.0.1", nats.port), clock=SystemClock())
    try:
        await asyncio.wait_for(listener.subscribed.wait(), 10)
        async with running(publisher):
            await publisher.put(numbered(0, 1000))
            await until(lambda: len(listener.order) == 1000)
        assert listener.order == [str(number).encode() for number in range(1000)]
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_broker_that_is_not_there_yet_is_waited_for(nats: Nats) -> None:
    await asyncio.to_thread(nats.stop)
    publisher = Publisher(Broker("127.0.0.1", nats.port), clock=SystemClock())
    async with running(publisher):
        await publisher.put(numbered(0, 10))
        await until(lambda: publisher.last_error != "")
        await asyncio.to_thread(nats.start)
        async with asyncio.timeout(20):
            await publisher.drained()
    assert publisher.acknowledged == 10


async def test_a_full_backlog_lets_the_giver_wait(clock: VirtualClock) -> None:
    """Bounded: what does not fit is not taken, so that no seq is drawn for it."""
    publisher = Publisher(Broker("127.0.0.1", 1), clock=clock, backlog=100)
    await publisher.put(numbered(0, 100))
    waiting = asyncio.create_task(publisher.put(numbered(100, 1)))
    await settle()
    assert not waiting.done()
    assert publisher.backlog == 100
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
