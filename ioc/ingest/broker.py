"""The connection to the MQTT broker, acknowledged by hand.

aiomqtt acknowledges a message before its caller has seen it. Here, and nowhere else, paho is
reached underneath it to switch that off; ``tests/ingest/test_broker.py`` fails when it stops
working. The same reach makes it cheap: paho needs about 60 µs and five system calls for a message;
here a read takes all messages there are, and a batch is acknowledged by one write.

A PUBACK belongs to the connection its message came by: paho acknowledges by packet id, and after a
reconnect the same id may name another, newer message. So a ``Session`` is one connection; its
client is never used again, and what it has not acknowledged the broker sends again to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiomqtt
from paho.mqtt.client import PUBACK
from paho.mqtt.client import Client as PahoClient

from ioc.errors import BrokerError

MAX_PAYLOAD_BYTES = 64 * 1024
KEPT_OF_TOO_LARGE = 4 * 1024
# What waits in memory; beyond it messages are left to the broker.
MAX_WAITING_BYTES = 32 * 1024 * 1024
READ_BYTES = 64 * 1024
# Of a longer packet only the beginning is kept: the longest topic, and what is quarantined.
LARGE_PACKET_BYTES = 256 * 1024
KEEPALIVE_S = 15
ANSWER_WITHIN_S = 10.0


@dataclass(frozen=True)
class Broker:
    """Where the broker is and how to sign in. ``tls`` checks its certificate."""

    host: str
    port: int = 1883
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    def client(self, client_id: str, *, keepalive_s: int = KEEPALIVE_S) -> aiomqtt.Client:
        """A client for one connection with a session that the broker keeps (MQTT 3.1.1)."""
        return aiomqtt.Client(
            self.host,
            self.port,
            username=self.username or None,
            password=self.password or None,
            identifier=client_id,
            clean_session=False,
            protocol=aiomqtt.ProtocolVersion.V311,
            keepalive=keepalive_s,
            timeout=ANSWER_WITHIN_S,
            tls_context=ssl.create_default_context() if self.tls else None,
        )


class Message(NamedTuple):
    """A message that was received. ``payload`` is cut to 4 KiB when it had over 64 KiB
    (``size`` is what it had). ``qos`` 0 needs no acknowledgement."""

    topic: str
    payload: bytes
    size: int
    qos: int
    packet_id: int


class Incoming:
    """A socket for paho that takes the PUBLISH packets out of the stream by itself.

    What else the broker sends is handed on. ``pending`` is what an SSL socket has too: aiomqtt
    goes on reading while it is above zero. A packet that is no MQTT raises ``OSError``, which ends
    the connection.
    """

    def __init__(self, sock: Any, deliver: Callable[[Message], None]) -> None:
        self._sock = sock
        self._deliver = deliver
        self._pending_of_ssl = getattr(sock, "pending", None)
        self._unread = b""  # begins with a packet that is not complete
        self._skip = 0  # bytes of a packet too large, of which the beginning was delivered
        self._others = b""

    def recv(self, size: int) -> bytes:
        if not self._others:
            data = self._sock.recv(READ_BYTES)
            if not data:
                return b""
            self._take(data)
            if not self._others:
                raise BlockingIOError
        given, self._others = self._others[:size], self._others[size:]
        return given

    def pending(self) -> int:
        of_ssl: int = self._pending_of_ssl() if self._pending_of_ssl else 0
        return len(self._others) + of_ssl

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def _take(self, data: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        data = self._unread + data if self._unread else data
        begin, have = 0, len(data)
        while begin + 2 <= have:
            length, body = _remaining_length(data, begin + 1)
            if body == 0:
                break
            end = begin + 1 + body + length
            body += begin + 1
            if end > have and (length <= LARGE_PACKET_BYTES or have - body < LARGE_PACKET_BYTES):
                break
            if data[begin] & 0xF0 == 0x30:
                self._deliver(_publish(data[begin], data[body : min(end, have)], end - body))
            elif end <= have:
                self._others += data[begin:end]
            else:
                raise OSError(f"a packet of {length} bytes that is no message")
            self._skip = max(0, end - have)
            begin = min(end, have)
        self._unread = data[begin:]


def _remaining_length(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at`` and how many bytes it takes; 0 bytes when it is not complete."""
    length = 0
    for count in range(4):
        if at + count >= len(data):
            return 0, 0
        byte = data[at + count]
        length |= (byte & 0x7F) << (7 * count)
        if not byte & 0x80:
            return length, count + 1
    raise OSError("a packet's length has more than 4 bytes")


def _publish(first: int, body: bytes, length: int) -> Message:
    """The message in a PUBLISH packet of ``length`` bytes; ``body`` may be its beginning only."""
    qos = (first >> 1) & 3
    topic_end = 2 + int.from_bytes(body[:2], "big")
    payload_begin = topic_end + (2 if qos else 0)
    if payload_begin > length or length < 2 or qos > 1:
        raise OSError("a message that is not as MQTT writes it")
    size = length - payload_begin
    kept = size if size <= MAX_PAYLOAD_BYTES else KEPT_OF_TOO_LARGE
    return Message(
        body[2:topic_end].decode("utf-8", "replace"),
        body[payload_begin : payload_begin + kept],
        size,
        qos,
        int.from_bytes(body[topic_end:payload_begin], "big"),
    )


class Session:
    """One connection. Made by ``connect``; not to be used after it."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._paho: PahoClient = client._client  # noqa: SLF001  # the one place, see above
        self._paho.manual_ack_set(True)
        create_socket = self._paho._create_socket  # noqa: SLF001  # as above
        self._paho._create_socket = lambda: Incoming(create_socket(), self._received)  # type: ignore[method-assign]  # noqa: SLF001  # as above
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._lost = ""
        self.overflowed = False

    @property
    def waiting(self) -> int:
        """How many messages have arrived and were not taken yet."""
        return len(self._waiting)

    @property
    def lost(self) -> bool:
        return bool(self._lost)

    async def arrival(self) -> None:
        """Return once a message waits. Raises ``BrokerError`` when the connection is lost."""
        while not self._waiting and not self._lost:
            self._arrived.clear()
            await self._arrived.wait()
        if self._lost:
            # What waits is discarded with the connection: it comes again by the next one.
            raise BrokerError(self._lost)

    def take(self, limit: int) -> list[Message]:
        """What has arrived, in order, at most ``limit`` messages."""
        waiting = self._waiting
        if len(waiting) <= limit:
            taken = list(waiting)
            waiting.clear()
            self._waiting_bytes = 0
        else:
            taken = [waiting.popleft() for _ in range(limit)]
            self._waiting_bytes -= sum(len(message.payload) for message in taken)
        return taken

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Send a PUBACK for each, by this connection; none if it was lost."""
        if self._lost:
            return
        pubacks = b"".join(
            b"\x40\x02" + message.packet_id.to_bytes(2, "big")
            for message in messages
            if message.qos
        )
        if pubacks:
            # Packets in a row are what the broker reads them as; paho needs not know their number.
            self._paho._packet_queue(PUBACK, pubacks, 0, 0)  # noqa: SLF001  # as above

    def close(self) -> None:
        """Send nothing by this connection any more."""
        self._lost = self._lost or "the connection was closed"

    def watch(self) -> None:
        """Learn from the client when the connection ends."""
        self._client._disconnected.add_done_callback(self._on_lost)  # noqa: SLF001  # as above

    def _on_lost(self, ended: asyncio.Future[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        self._lost = self._lost or f"the broker ended the connection: {error or 'no reason given'}"
        self._arrived.set()

    def _received(self, message: Message) -> None:
        if self._waiting_bytes + len(message.payload) > MAX_WAITING_BYTES:
            self.overflowed = True  # not acknowledged: it comes again
            return
        self._waiting.append(message)
        self._waiting_bytes += len(message.payload)
        self._arrived.set()


@contextlib.asynccontextmanager
async def connect(broker: Broker, *, client_id: str, topic: str) -> AsyncIterator[Session]:
    """Connect, subscribe ``topic`` at QoS 1, and give the session.

    Raises ``BrokerError`` when the broker does not answer or refuses.
    """
    client = broker.client(client_id)
    # Before it connects: a kept session begins to send with the CONNACK.
    session = Session(client)
    where = f"broker {broker.host}:{broker.port}"
    try:
        await client.__aenter__()
    except aiomqtt.MqttError as error:
        raise BrokerError(f"{where}: {error}") from error
    session.watch()
    try:
        try:
            granted = await client.subscribe(topic, qos=1)
        except aiomqtt.MqttError as error:
            raise BrokerError(f"{where}: {topic} not subscribed: {error}") from error
        if any(getattr(code, "is_failure", False) for code in granted):
            raise BrokerError(f"{where}: may not subscribe {topic}")
        yield session
    finally:
        session.close()
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)
