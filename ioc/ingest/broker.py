"""The connection to the MQTT broker, acknowledged by hand.

aiomqtt acknowledges a message before its caller has seen it. Here, and nowhere else, paho is
reached underneath it to switch that off; ``tests/ingest/test_broker.py`` fails when it stops
working.

A PUBACK belongs to the connection its message came by: paho acknowledges by packet id, and after a
reconnect the same id may name another, newer message. So a ``Session`` is one connection; its
client is never used again, and what it has not acknowledged the broker sends again to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTMessage

from ioc.cancellation import heed_cancellation
from ioc.errors import BrokerError

MAX_PAYLOAD_BYTES = 64 * 1024
KEPT_OF_TOO_LARGE = 4 * 1024
# What waits in memory; beyond it messages are left to the broker.
MAX_WAITING_BYTES = 32 * 1024 * 1024
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


class Session:
    """One connection. Made by ``connect``; not to be used after it."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._paho: PahoClient = client._client  # noqa: SLF001  # the one place, see above
        self._paho.manual_ack_set(True)
        self._paho.on_message = self._on_message
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
        ack = self._paho.ack
        for message in messages:
            if self._lost:
                return
            if message.qos:
                ack(message.packet_id, message.qos)

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

    def _on_message(self, _client: PahoClient, _data: object, message: MQTTMessage) -> None:
        payload = message.payload
        size = len(payload)
        if size > MAX_PAYLOAD_BYTES:
            payload = payload[:KEPT_OF_TOO_LARGE]
        if self._waiting_bytes + len(payload) > MAX_WAITING_BYTES:
            self.overflowed = True  # not acknowledged: it comes again
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = message._topic.decode("utf-8", "replace")  # noqa: SLF001  # as above
        self._waiting.append(Message(topic, bytes(payload), size, message.qos, message.mid))
        self._waiting_bytes += len(payload)
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
        heed_cancellation()
        yield session
    finally:
        session.close()
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)
