"""Acknowledgement by hand, through paho underneath aiomqtt, against real brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ioc.errors import BrokerError
from ioc.ingest.broker import (
    KEPT_OF_TOO_LARGE,
    MAX_PAYLOAD_BYTES,
    Broker,
    Message,
    Session,
    connect,
)
from tests.servers import Mosquitto, Nats, Server, free_port


@pytest.fixture(params=[Nats, Mosquitto], ids=["nats", "mosquitto"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    program: type[Server] = request.param
    if program.missing():
        pytest.skip(program.missing())
    with program(tmp_path / "broker") as running:
        yield running


def session_of(server: Server) -> Broker:
    return Broker(server.host, server.port)


async def publish(server: Server, *payloads: bytes, qos: int = 1) -> None:
    async with session_of(server).client("publisher") as client:
        for payload in payloads:
            await client.publish("ioc/v1/x", payload, qos=qos)


async def received(session: Session, count: int) -> list[Message]:
    messages: list[Message] = []
    async with asyncio.timeout(10):
        while len(messages) < count:
            await session.arrival()
            messages += session.take(100)
    return messages


async def nothing_more(session: Session, *, for_s: float = 0.5) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(for_s):
            await session.arrival()


async def test_what_is_not_acknowledged_comes_again(server: Server) -> None:
    """Fails when aiomqtt or paho acknowledge by themselves again."""
    where = session_of(server)
    async with connect(where, client_id="t", topic="ioc/v1/#") as session:
        await publish(server, b"a", b"b", b"c")
        messages = await received(session, 3)
        session.acknowledge(messages[:1])
    # A broker may take in an acknowledgement after the end of its connection: what was acknowledged
    # last can come once more. What was not has to.
    again: list[Message] = []
    async with connect(where, client_id="t", topic="ioc/v1/#") as session:
        while {b"b", b"c"} - {message.payload for message in again}:
            again += await received(session, 1)
        session.acknowledge(again)
    for _ in range(10):
        async with connect(where, client_id="t", topic="ioc/v1/#") as session:
            try:
                await nothing_more(session)
            except pytest.fail.Exception:
                session.acknowledge(await received(session, 1))
            else:
                return
    pytest.fail("what was acknowledged comes for ever")


async def test_the_session_is_kept_while_nobody_is_connected(server: Server) -> None:
    where = session_of(server)
    async with connect(where, client_id="t", topic="ioc/v1/#"):
        pass
    await publish(server, b"meanwhile")
    async with connect(where, client_id="t", topic="ioc/v1/#") as session:
        assert [m.payload for m in await received(session, 1)] == [b"meanwhile"]


async def test_an_acknowledgement_never_goes_to_another_connection(server: Server) -> None:
    """After a restart of the broker the old packet id may name a new message."""
    where = session_of(server)
    async with connect(where, client_id="t", topic="ioc/v1/#") as old:
        await publish(server, b"a")
        of_old = await received(old, 1)
        server.stop()
        server.start()
        with pytest.raises(BrokerError):
            await old.arrival()
    async with connect(where, client_id="t", topic="ioc/v1/#") as session:
        await publish(server, b"b")
        both = await received(session, 2)
        old.acknowledge(of_old)  # too late: it must reach nobody
        assert {message.payload for message in both} == {b"a", b"b"}
        await asyncio.sleep(0.2)
    async with connect(where, client_id="t", topic="ioc/v1/#") as session:
        again = await received(session, 2)
        assert {message.payload for message in again} == {b"a", b"b"}


async def test_a_lost_connection_discards_what_waits(server: Server) -> None:
    async with connect(session_of(server), client_id="t", topic="ioc/v1/#") as session:
        await publish(server, b"a")
        async with asyncio.timeout(10):
            await session.arrival()
        server.kill()
        async with asyncio.timeout(10):
            while not session.lost:  # noqa: ASYNC110  # told by the client
                await asyncio.sleep(0.01)
        with pytest.raises(BrokerError, match="ended the connection"):
            await session.arrival()


async def test_qos_0_is_received_too(server: Server) -> None:
    async with connect(session_of(server), client_id="t", topic="ioc/v1/#") as session:
        await publish(server, b"a", qos=0)
        messages = await received(session, 1)
        assert messages[0].qos == 0
        session.acknowledge(messages)


async def test_only_the_beginning_of_a_payload_too_large_is_kept(server: Server) -> None:
    async with connect(session_of(server), client_id="t", topic="ioc/v1/#") as session:
        await publish(server, b"x" * (MAX_PAYLOAD_BYTES + 1), b"y" * MAX_PAYLOAD_BYTES)
        large, fitting = await received(session, 2)
        assert (large.size, len(large.payload)) == (MAX_PAYLOAD_BYTES + 1, KEPT_OF_TOO_LARGE)
        assert fitting.size == len(fitting.payload) == MAX_PAYLOAD_BYTES


async def test_more_than_fits_in_memory_is_left_to_the_broker(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ioc.ingest.broker.MAX_WAITING_BYTES", 250)
    where = session_of(server)
    async with connect(where, client_id="t", topic="ioc/v1/#") as session:
        await publish(server, b"1" * 100, b"2" * 100, b"3" * 100)
        async with asyncio.timeout(10):
            while not session.overflowed:  # noqa: ASYNC110  # seen by the callback
                await asyncio.sleep(0.01)
        taken = await received(session, 2)
        session.acknowledge(taken)
    # What was acknowledged a moment before the connection ended may come again, before the rest.
    async with connect(where, client_id="t", topic="ioc/v1/#") as session:
        async with asyncio.timeout(10):
            while not any(message.payload[:1] == b"3" for message in taken):
                taken += await received(session, 1)
        assert {message.payload[:1] for message in taken} == {b"1", b"2", b"3"}


async def test_nobody_there_is_an_error_that_says_where() -> None:
    port = free_port()
    with pytest.raises(BrokerError, match=f"127.0.0.1:{port}"):
        async with connect(Broker("127.0.0.1", port), client_id="t", topic="ioc/v1/#"):
            pass


def test_the_password_is_not_shown() -> None:
    assert "geheim" not in repr(Broker("h", 1883, username="u", password="geheim"))
