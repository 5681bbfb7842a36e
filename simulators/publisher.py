"""Messages to the broker, at least once: what it did not acknowledge is sent again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

import aiomqtt

from ioc.cancellation import heed_cancellation
from ioc.clock import Clock
from ioc.ingest.broker import Broker
from simulators.messages import Message
from simulators.publish_log import PublishLog

# So many messages wait for their PUBACK at once. aiomqtt looks through all of them with each
# message: 32 gave 5,900 a second with NATS on the same busy machine, 64 5,100, 16 3,900.
IN_FLIGHT = 32
# So many are made ready (and put into the log) together.
_BATCH = 256
# So many wait in all: about a minute of the whole province. Then the province stands still until
# the broker takes some, as devices with a full buffer measure no more; no seq is skipped.
BACKLOG = 50_000
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.5, 5.0
# What still waits at the end is given this long.
_DRAIN_S = 3.0

# aiomqtt warns of every publish beyond ten that wait; here many are meant to. A lost connection is
# told by ``last_error``.
_quiet = logging.getLogger("simulators.publisher")
_quiet.setLevel(logging.CRITICAL)

Answer = Callable[[bytes], Awaitable[list[Message]]]
# Does a piece of work to its end, or raises what ended the publisher meanwhile.
WhileAlive = Callable[[Coroutine[None, None, None]], Awaitable[None]]


class Publisher:
    """One connection to the broker, made anew when it is lost. Belongs to one event loop.

    With a ``log`` every message is in it, on disk, before it leaves, and every PUBACK before the
    next batch does.

    Messages leave in the order they were given. After a lost connection those without a PUBACK are
    sent again, unchanged and first: receivers tell them by boot and seq.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        clock: Clock,
        backlog: int = BACKLOG,
        in_flight: int = IN_FLIGHT,
        log: PublishLog | None = None,
    ) -> None:
        self.sent = 0
        self.acknowledged = 0
        self.reconnects = -1
        self.connected = False
        self.last_error = ""
        self._broker = broker
        self._clock = clock
        self._bound = backlog
        self._width = in_flight
        self._waiting: deque[tuple[int, Message]] = deque()
        # Taken from what waits and not acknowledged: ready to leave, or under way.
        self._in_flight: dict[int, Message] = {}
        self._ready: deque[int] = deque()
        self._log = log
        self._next = 0
        self._more = asyncio.Event()
        self._go = asyncio.Event()
        self._less = asyncio.Event()

    @property
    def backlog(self) -> int:
        """Messages without a PUBACK."""
        return len(self._waiting) + len(self._in_flight)

    async def put(self, messages: Sequence[Message]) -> None:
        """Hand over messages; returns when they have room, before they are sent."""
        while self.backlog >= self._bound:
            self._less.clear()
            await self._less.wait()
        for message in messages:
            self._waiting.append((self._next, message))
            self._next += 1
        if messages:
            self._more.set()

    async def drained(self) -> None:
        """Return once everything handed over so far is acknowledged."""
        while self.backlog:
            self._less.clear()
            await self._less.wait()

    @contextlib.asynccontextmanager
    async def running(
        self,
        *,
        subscribe: str = "",
        answer: Answer | None = None,
        ending: Callable[[], None] | None = None,
    ) -> AsyncIterator[WhileAlive]:
        """Publish in the background; the body begins once the broker is there, and does its work
        by what is handed to it.

        At the end, or when cancelled, ``ending`` is called, what waits gets three seconds more, and
        the log is closed, with all that it holds on disk.
        """
        publishing = asyncio.create_task(
            self.run(subscribe=subscribe, answer=answer), name="publisher"
        )

        async def while_alive(work: Coroutine[None, None, None]) -> None:
            task = asyncio.ensure_future(work)
            try:
                await asyncio.wait({task, publishing}, return_when=asyncio.FIRST_COMPLETED)
                if publishing.done() and not task.done():
                    publishing.result()
                await task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        try:
            while not self.connected:
                if publishing.done():
                    publishing.result()
                await self._clock.sleep(0.05)
            yield while_alive
        finally:
            if ending is not None:
                ending()
            if not publishing.done():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.drained(), _DRAIN_S)
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
            self.close()

    def close(self) -> None:
        """Close the log; what it still holds is put on disk."""
        if self._log is not None:
            self._log.close()

    async def run(self, *, subscribe: str = "", answer: Answer | None = None) -> None:
        """Connect, publish and reconnect until cancelled. Messages on ``subscribe`` are handed to
        ``answer``; what that returns is published."""
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                async with self._client() as client:
                    self.connected, self.last_error = True, ""
                    self.reconnects += 1
                    backoff_s = _FIRST_BACKOFF_S
                    if subscribe:
                        await client.subscribe(subscribe, qos=1)
                    heed_cancellation()
                    await self._serve(client, answer)
            except aiomqtt.MqttError as error:
                self.last_error = str(error)
            finally:
                self.connected = False
                # What was under way goes back to the front, in its order.
                self._waiting.extendleft(sorted(self._in_flight.items(), reverse=True))
                self._in_flight.clear()
                self._ready.clear()
            heed_cancellation()
            await self._clock.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, _LAST_BACKOFF_S)

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username or None,
            password=broker.password or None,
            tls_params=aiomqtt.TLSParameters() if broker.tls else None,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            timeout=10.0,
            keepalive=15,
            logger=_quiet,
            # Ours are bounded by the number of workers; paho's own limit would only delay.
            max_inflight_messages=self._width,
        )

    async def _serve(self, client: aiomqtt.Client, answer: Answer | None) -> None:
        """Publish with ``in_flight`` workers and answer, until the connection is lost."""
        jobs = [
            asyncio.create_task(self._work(client), name=f"publish-{number}")
            for number in range(self._width)
        ]
        jobs.append(asyncio.create_task(self._make_ready(), name="make-ready"))
        # Listening also tells at once that the connection is lost.
        jobs.append(asyncio.create_task(self._listen(client, answer), name="listen"))
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()  # raises what ended it
        finally:
            for job in jobs:
                job.cancel()
            for job in jobs:
                with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                    await job

    async def _make_ready(self) -> None:
        """Take what waits in batches: each is in the log, on disk, before the first of it leaves.
        PUBACKs are written with the next batch, or at once when nothing else is to be done."""
        log = self._log
        while True:
            batch = []
            if len(self._ready) < self._width:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if not batch and not (log is not None and log.pending):
                self._more.clear()
                await self._more.wait()
                continue
            self._in_flight.update(batch)
            if log is not None:
                for number, message in batch:
                    log.sent(number, message)
                await log.commit()
            self._ready.extend(number for number, _ in batch)
            self._go.set()

    async def _work(self, client: aiomqtt.Client) -> None:
        while True:
            if not self._ready:
                self._go.clear()
                await self._go.wait()
                continue
            number = self._ready.popleft()
            message = self._in_flight[number]
            if len(self._ready) < self._width and self._waiting:
                self._more.set()
            self.sent += 1
            # Without a time-out: a lost connection ends this worker, and keep-alive finds it lost.
            await client.publish(message.topic, message.payload, qos=1, timeout=math.inf)
            del self._in_flight[number]
            self.acknowledged += 1
            if self._log is not None:
                self._log.acked(number)
                self._more.set()
            self._less.set()

    async def _listen(self, client: aiomqtt.Client, answer: Answer | None) -> None:
        async for message in client.messages:
            if answer is not None and isinstance(message.payload, bytes):
                await self.put(await answer(message.payload))
        raise aiomqtt.MqttError("the connection ended")
