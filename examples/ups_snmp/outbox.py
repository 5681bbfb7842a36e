"""The way to the broker: at least once, in order, bounded.

What the broker has not acknowledged waits in memory and is sent again by the next connection;
receivers tell a repetition by boot and seq, or by its time. When too much waits, the oldest
telemetry goes first: the service sees the gap in seq and counts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from typing import NamedTuple

import aiomqtt
import msgspec
import structlog

from examples.ups_snmp.config import Broker
from ioc.cancellation import heed_cancellation
from ioc.clock import Clock

log = structlog.get_logger()

# Two hours of a gateway with 64 UPSs; weeks of one with one.
MAX_TELEMETRY_BYTES = 16 * 1024 * 1024
MAX_ALARMS = 10_000
# So many wait for their PUBACK at once.
AT_ONCE = 10
ANSWER_WITHIN_S = 10.0
LAST_WORDS_WITHIN_S = 5.0
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 15.0
# aiomqtt's own logger repeats what we log ourselves.
_quiet = logging.getLogger("examples.ups_snmp.outbox")
_quiet.setLevel(logging.CRITICAL)


class Message(NamedTuple):
    """One MQTT message, QoS 1."""

    topic: str
    payload: bytes


class Outbox:
    """What is to be published, and the connection that does it. Belongs to one event loop.

    ``trouble`` is why there is no connection, "" while there is one. ``status_topic`` gets a
    retained ``{"online": true}`` with each connection; the broker says false when the connection is
    lost (last will), and so do we when we end.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        status_topic: str,
        client_id: str,
        clock: Clock,
        max_telemetry_bytes: int = MAX_TELEMETRY_BYTES,
        max_alarms: int = MAX_ALARMS,
    ) -> None:
        self.trouble = ""
        self.dropped_telemetry = 0
        self.dropped_alarms = 0
        self._broker = broker
        self._status_topic = status_topic
        self._client_id = client_id
        self._clock = clock
        self._max_bytes = max_telemetry_bytes
        self._max_alarms = max_alarms
        self._alarms: deque[Message] = deque()
        self._telemetry: deque[Message] = deque()
        self._in_flight: list[Message] = []
        self._bytes = 0  # of the telemetry that waits
        self._more = asyncio.Event()
        self._tls = _tls_context(broker)

    @property
    def waiting(self) -> int:
        """Messages without a PUBACK."""
        return len(self._in_flight) + len(self._alarms) + len(self._telemetry)

    def put_telemetry(self, message: Message) -> None:
        """Hand over a batch; the oldest go when there is no room."""
        self._telemetry.append(message)
        self._bytes += len(message.payload)
        while self._bytes > self._max_bytes and len(self._telemetry) > 1:
            self._bytes -= len(self._telemetry.popleft().payload)
            if not self.dropped_telemetry:
                log.warning("the buffer is full: the oldest readings are dropped")
            self.dropped_telemetry += 1
        self._more.set()

    def put_alarm(self, message: Message) -> None:
        """Hand over an alarm; it goes before telemetry. ``dropped_alarms`` grows when there is no
        room: then all that stands is to be said again."""
        self._alarms.append(message)
        if len(self._alarms) > self._max_alarms:
            self._alarms.popleft()
            self.dropped_alarms += 1
        self._more.set()

    async def run(self) -> None:
        """Connect, publish and reconnect until cancelled. Then, connected, the rest is sent and the
        status set to offline, within 5 s."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                async with self._client() as client:
                    try:
                        await self._say_status(client, online=True)
                        heed_cancellation()
                        log.info("connected to the broker", waiting=self.waiting)
                        backoff_s, self.trouble = FIRST_BACKOFF_S, ""
                        await self._until_lost(client)
                    except asyncio.CancelledError:
                        await self._last_words(client)
                        raise
            except aiomqtt.MqttError as error:
                if str(error) != self.trouble:  # once, not at each attempt
                    log.warning("no connection to the broker", reason=str(error))
                self.trouble = str(error)
            heed_cancellation()
            await self._clock.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        password = broker.password_file
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username or None,
            password=password.get_secret_value() if password else None,
            tls_context=self._tls,
            identifier=self._client_id,
            clean_session=True,
            protocol=aiomqtt.ProtocolVersion.V311,
            will=aiomqtt.Will(self._status_topic, _status(online=False), qos=1, retain=True),
            keepalive=15,
            timeout=ANSWER_WITHIN_S,
            logger=_quiet,
        )

    async def _until_lost(self, client: aiomqtt.Client) -> None:
        jobs = [
            asyncio.create_task(self._send(client), name="send"),
            # Nothing is subscribed; this ends when the connection does.
            asyncio.create_task(_listen(client), name="listen"),
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()  # raises what ended it
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            await self._flush(client)
            self._more.clear()
            await self._more.wait()

    async def _flush(self, client: aiomqtt.Client) -> None:
        """Publish all that waits. What a lost connection leaves without a PUBACK is sent again."""
        while self.waiting:
            if not self._in_flight:
                self._in_flight = self._take(AT_ONCE)
            await asyncio.gather(*(self._publish(client, each) for each in self._in_flight))

    async def _publish(self, client: aiomqtt.Client, message: Message) -> None:
        await client.publish(message.topic, message.payload, qos=1)
        self._in_flight.remove(message)

    def _take(self, limit: int) -> list[Message]:
        queue = self._alarms or self._telemetry
        taken = [queue.popleft() for _ in range(min(limit, len(queue)))]
        if queue is self._telemetry:
            self._bytes -= sum(len(message.payload) for message in taken)
        return taken

    async def _say_status(self, client: aiomqtt.Client, *, online: bool) -> None:
        await client.publish(
            self._status_topic,
            _status(online=online, ts=self._clock.now_ms()),
            qos=1,
            retain=True,
        )

    async def _last_words(self, client: aiomqtt.Client) -> None:
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_WITHIN_S):
                await self._flush(client)
                await self._say_status(client, online=False)


async def _listen(client: aiomqtt.Client) -> None:
    async for _ in client.messages:
        pass
    raise aiomqtt.MqttError("the connection ended")


def _status(*, online: bool, ts: int | None = None) -> bytes:
    # A last will is written long before it is sent: it has no time.
    return msgspec.json.encode({"online": online} if ts is None else {"online": online, "ts": ts})


def _tls_context(broker: Broker) -> ssl.SSLContext | None:
    if broker.tls is None:
        return None
    context = ssl.create_default_context(
        cafile=str(broker.tls.ca_file) if broker.tls.ca_file else None
    )
    if broker.tls.cert_file and broker.tls.key_file:
        context.load_cert_chain(broker.tls.cert_file, broker.tls.key_file)
    return context
