"""From the broker into the journal: receive, decode, tell duplicates, append, acknowledge.

A message is acknowledged once it is in the journal, on disk, or known to be there already. What
goes wrong before that ends the connection, and the broker sends it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import msgspec
import structlog

from ioc.catalog import Catalog
from ioc.clock import Clock
from ioc.errors import BrokerError, JournalFullError
from ioc.ingest.broker import Broker, Message, Session, connect
from ioc.ingest.clocks import CLOCK_LIMIT_S, GRACE_S, Clocks, Listening
from ioc.ingest.decode import MAX_AGE_S, MAX_AHEAD_S, Decoder, Telemetry
from ioc.ingest.dedup import BEFORE_WINDOW, DUPLICATE, LATE, Dedup, digest_of
from ioc.ingest.storage_time import StorageTimes
from ioc.inventory import Inventory
from ioc.journal import Journal
from ioc.journal.records import (
    Activation,
    Batch,
    DeviceAlarm,
    GatewayStatus,
    Item,
    Quarantined,
    Reading,
    Tick,
    Value,
)
from ioc.supervise import StageHealth

log = structlog.get_logger()

TOPIC = "ioc/v1/#"
CLIENT_ID = "ioc-ingest"
# What arrives within this goes into one commit: 20 commits a second.
GATHER_S = 0.05
BATCH_MESSAGES = 1000
# The broker sends again what is not acknowledged in time (NATS: ack_wait, set to 2 s). Rather than
# let it flood the queue, a commit that takes longer ends the connection.
COMMIT_WITHIN_S = 1.0
TICK_S = 1.0
CHECKPOINT_EVERY_S = 300.0
CHECKPOINT_WHEN_FULL_S = 5.0
# Counters of what is new: a refused batch is new once more.
ONCE = ("readings", "alarms", "statuses", "missed", "late", "quarantined")
FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 5.0


@dataclass(frozen=True, kw_only=True)
class IngestSettings:
    """How to receive. ``client_id`` names the session the broker keeps: one service, one id."""

    client_id: str = CLIENT_ID
    clock_limit_s: float = CLOCK_LIMIT_S
    max_age_s: float = MAX_AGE_S
    max_ahead_s: float = MAX_AHEAD_S
    grace_s: float = GRACE_S
    gather_s: float = GATHER_S
    checkpoint_every_s: float = CHECKPOINT_EVERY_S


class _Memory(msgspec.Struct, array_like=True):
    """What a checkpoint holds."""

    dedup: bytes
    times: bytes


@dataclass(frozen=True)
class Decided:
    """What a batch of messages comes to, duplicates left out."""

    items: list[Item]
    quarantined: list[Quarantined]


class Ingest:
    """The stage. One object per run; ``run`` once."""

    def __init__(
        self,
        broker: Broker,
        *,
        catalog: Catalog,
        inventory: Inventory,
        into: Journal,
        clock: Clock,
        health: StageHealth,
        settings: IngestSettings | None = None,
    ) -> None:
        self._settings = settings = settings or IngestSettings()
        self._broker = broker
        self._catalog = catalog
        self._journal = into
        self._clock = clock
        self._health = health
        self._decoder = Decoder(
            catalog, inventory, max_age_s=settings.max_age_s, max_ahead_s=settings.max_ahead_s
        )
        self._dedup = Dedup()
        self._times = StorageTimes()
        self._clocks = Clocks(limit_s=settings.clock_limit_s)
        self._listening = Listening(grace_s=settings.grace_s)
        self._outstanding: asyncio.Task[int] | None = None
        self._batch_limit = BATCH_MESSAGES
        self._counted: dict[str, int] = {}
        self._checkpointed_s = clock.monotonic_s()

    async def run(self) -> NoReturn:
        """Receive until cancelled. Raises ``JournalError`` when the journal cannot be trusted: run
        anew, which reads from it what was admitted."""
        self._health.unit = "messages"
        await self.restore()
        if self._journal.catalog_version != self._catalog.version:
            with contextlib.suppress(JournalFullError):
                await self._journal.append(
                    Activation(self._clock.now_ms(), "ioc", catalog_version=self._catalog.version)
                )
        tasks = [
            asyncio.create_task(self._receive(), name="ingest-receive"),
            asyncio.create_task(self._tick(), name="ingest-tick"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            raise next(iter(done)).exception() or AssertionError("ended by itself")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._health.ready = False
            if self._outstanding is not None:
                # Handed over, so it will be written: let it, before anyone reads the journal's end.
                await asyncio.wait({self._outstanding}, timeout=COMMIT_WITHIN_S)

    # ── memory ───────────────────────────────────────────────────────────────

    async def restore(self) -> None:
        """Know again what was admitted: the checkpoint, and the journal from there on."""
        await self._journal.append()  # all that an earlier run handed over
        saved = await self._journal.checkpoint()
        position = 0
        if saved is not None:
            try:
                memory = msgspec.msgpack.decode(saved.content, type=_Memory)
                self._dedup = Dedup.from_bytes(memory.dedup)
                self._times = StorageTimes.from_bytes(memory.times)
                position = saved.position
            except msgspec.MsgspecError:
                # Of another version: all that the journal still has is the next best.
                log.warning("ingest: the checkpoint cannot be read, the whole journal is")
        while entries := await self._journal.read(after=position):
            for entry in entries:
                if isinstance(entry.record, Batch):
                    for item in entry.record.items:
                        self._remember(item)
            position = entries[-1].position
            self._dedup.keep()
            await asyncio.sleep(0)
        self._health.position = position

    def _remember(self, item: Item) -> None:
        if isinstance(item, Reading):
            self._is_new(item.asset, item.ts_ms, item.boot, item.seq, item.values)
            self._times.note(item.asset, item.time_us)
        elif isinstance(item, DeviceAlarm):
            self._dedup.by_content(_alarm_digest(item))

    def _memory(self) -> bytes:
        return msgspec.msgpack.encode(_Memory(self._dedup.to_bytes(), self._times.to_bytes()))

    # ── receiving ────────────────────────────────────────────────────────────

    async def _receive(self) -> NoReturn:
        backoff_s = FIRST_BACKOFF_S
        while True:
            await self._until_admitted()
            try:
                async with connect(
                    self._broker, client_id=self._settings.client_id, topic=TOPIC
                ) as session:
                    self._health.ready = True
                    self._health.say()
                    self._listening.connected(self._clock.monotonic_s())
                    backoff_s = FIRST_BACKOFF_S
                    await self._receive_from(session)
            except (BrokerError, JournalFullError) as error:
                self._health.failed(error, at_ms=self._clock.now_ms())
                self._health.say(en=str(error)[:200])
                log.warning("ingest: disconnected", reason=str(error))
            finally:
                self._health.ready = False
                self._listening.disconnected()
            self._health.count("disconnects")
            self._health.behind = 0
            with contextlib.suppress(JournalFullError):  # forgotten: its messages come again
                await self._settle()
            await self._clock.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    async def _until_admitted(self) -> None:
        if not self._journal.status().admits:
            self._health.say(
                en="the journal is full: the broker holds what comes",
                vi="nhật ký đã đầy: broker giữ lại những gì đến",
            )
            log.warning("ingest: waits for room in the journal")
            await self._journal.wait_until_admits()
            log.info("ingest: the journal admits again")

    async def _receive_from(self, session: Session) -> NoReturn:
        while True:
            await session.arrival()
            # Company for the first: one commit costs the same for all.
            if session.waiting < self._batch_limit:
                await self._clock.sleep(self._settings.gather_s)
            await session.arrival()  # lost meanwhile?
            messages = session.take(self._batch_limit)
            self._health.behind = session.waiting
            await self.admit(session, messages)
            if session.overflowed and not session.waiting:
                raise BrokerError("more came than fits in memory: the rest is asked for again")

    async def admit(self, session: Session, messages: Sequence[Message]) -> None:
        """Append what is new, then acknowledge all.

        Raises ``JournalFullError`` when it was not appended and ``BrokerError`` when it takes too
        long; ``_settle`` then finds out what became of it.
        """
        self._counted = {name: self._health.counters.get(name, 0) for name in ONCE}
        decided = self.decide(messages, waiting=session.waiting)
        if decided.items or decided.quarantined:
            await self._append(decided)
        session.acknowledge(messages)

    async def _append(self, decided: Decided) -> None:
        records = [Batch(decided.items)] if decided.items else []
        self._outstanding = asyncio.create_task(
            self._journal.append(*records, quarantined=decided.quarantined), name="ingest-append"
        )
        limit = asyncio.create_task(self._clock.sleep(COMMIT_WITHIN_S))
        try:
            await asyncio.wait({self._outstanding, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
        if not self._outstanding.done():
            raise BrokerError(f"the journal took over {COMMIT_WITHIN_S:g} s for a commit")
        await self._settle()

    async def _settle(self) -> None:
        """Learn what became of the last append, and remember or forget its messages.

        Raises ``JournalFullError`` when it was refused, ``JournalError`` when it is in doubt.
        """
        if self._outstanding is None:
            return
        appending, self._outstanding = self._outstanding, None
        try:
            self._health.position = await asyncio.shield(appending)
        except asyncio.CancelledError:
            self._outstanding = appending
            raise
        except JournalFullError:
            self._dedup.undo()
            self._health.counters.update(self._counted)  # they will be counted when they come again
            self._health.count("refused")
            # A batch that never fits would be refused for ever.
            self._batch_limit = max(1, self._batch_limit // 2)
            raise
        self._batch_limit = min(BATCH_MESSAGES, self._batch_limit * 2)
        self._dedup.keep()
        self._health.count("commits")

    # ── deciding ─────────────────────────────────────────────────────────────

    def decide(self, messages: Sequence[Message], *, waiting: int = 0) -> Decided:
        """Decode messages and leave out what was admitted before."""
        received_ms = self._clock.now_ms()
        now_s = self._clock.monotonic_s()
        draining = self._listening.draining(now_s)
        decode = self._decoder.decode
        decided = Decided([], [])
        lags_ms: list[int] = []
        ignored = self._decoder.unknown_fields
        for message in messages:
            for found in decode(
                message.topic, message.payload, received_ms=received_ms, size=message.size
            ):
                if isinstance(found, Telemetry):
                    reading = self._reading(found, received_ms, draining=draining)
                    if reading is not None:
                        decided.items.append(reading)
                        if reading.clock == "ok":
                            lags_ms.append(received_ms - reading.ts_ms)
                elif isinstance(found, Quarantined):
                    decided.quarantined.append(found)
                    self._health.count("quarantined")
                    self._health.count(f"quarantined_{found.reason}")
                else:
                    item = self._rare(found, received_ms, draining=draining)
                    if item is not None:
                        decided.items.append(item)
        self._health.count("messages", len(messages))
        self._health.counters["last_message_ms"] = received_ms
        if self._decoder.unknown_fields > ignored:
            self._health.count("unknown_fields", self._decoder.unknown_fields - ignored)
        if lags_ms:
            self._health.lag_s = max(0.0, statistics.median(lags_ms) / 1000)
            self._listening.received(now_s, lag_s=self._health.lag_s, waiting=waiting)
        return decided

    def _reading(self, telemetry: Telemetry, received_ms: int, *, draining: bool) -> Reading | None:
        """The reading as it goes into the journal; None for a duplicate."""
        asset, ts_ms, boot, seq = telemetry.asset, telemetry.ts_ms, telemetry.boot, telemetry.seq
        missed = self._is_new(asset, ts_ms, boot, seq, telemetry.values)
        if missed is None:
            self._health.count("duplicates")
            return None
        if missed > 0:
            self._health.count("missed", missed)
        elif missed < 0:
            self._health.count("late")
        self._health.count("readings")
        return Reading(
            telemetry.kind,
            asset,
            self._times.assign(asset, ts_ms, salt=seq or 0),
            ts_ms,
            received_ms,
            telemetry.values,
            boot,
            seq,
            self._clocks.judge(asset, ts_ms=ts_ms, received_ms=received_ms, draining=draining),
            max(0, missed),
        )

    def _is_new(
        self, asset: str, ts_ms: int, boot: int | None, seq: int | None, values: dict[str, Value]
    ) -> int | None:
        """None for a duplicate; else the seqs skipped before it, or -1 when it came late."""
        if boot is not None and seq is not None:
            told = self._dedup.by_seq(asset, boot, seq)
            if told == DUPLICATE:
                return None
            if told == LATE:
                return -1
            if told != BEFORE_WINDOW:
                return told
        digest = digest_of(asset, ts_ms, boot, seq, values)
        return 0 if self._dedup.by_content(digest) else None

    def _rare(
        self, found: DeviceAlarm | GatewayStatus, received_ms: int, *, draining: bool
    ) -> DeviceAlarm | GatewayStatus | None:
        if isinstance(found, GatewayStatus):
            self._health.count("statuses")
            return found
        if not self._dedup.by_content(_alarm_digest(found)):
            self._health.count("duplicates")
            return None
        self._health.count("alarms")
        # Not by Clocks' memory: an alarm tells of a moment that may be long past.
        ahead = found.ts_ms - received_ms > self._settings.clock_limit_s * 1000
        behind = received_ms - found.ts_ms > self._settings.clock_limit_s * 1000
        if ahead or (behind and not draining):
            return msgspec.structs.replace(found, clock="off")
        return found

    # ── ticks ────────────────────────────────────────────────────────────────

    async def _tick(self) -> NoReturn:
        due_s = self._clock.monotonic_s()
        while True:
            now_s = self._clock.monotonic_s()
            try:
                await self._journal.append(
                    Tick(self._clock.now_ms(), listening=self._listening.listening(now_s))
                )
            except JournalFullError:
                self._health.count("ticks_refused")
            with contextlib.suppress(JournalFullError):
                await self._checkpoint(now_s)
            due_s = max(due_s + TICK_S, self._clock.monotonic_s() - TICK_S)
            await self._clock.sleep(due_s - self._clock.monotonic_s())

    async def _checkpoint(self, now_s: float) -> None:
        """Write down what is remembered, when it is time.

        A full journal is trimmed up to the checkpoint only: then it is time earlier.
        """
        every_s = self._settings.checkpoint_every_s
        if not self._journal.status().admits:
            every_s = min(every_s, CHECKPOINT_WHEN_FULL_S)
        # Between batches everything remembered is in the journal.
        if now_s - self._checkpointed_s >= every_s and self._outstanding is None:
            await self._journal.append(checkpoint=self._memory())
            self._checkpointed_s = now_s


def _alarm_digest(alarm: DeviceAlarm) -> int:
    return digest_of(
        alarm.asset,
        alarm.ts_ms,
        alarm.alarm_id,
        alarm.state,
        alarm.severity,
        alarm.event_type,
        alarm.probable_cause,
        alarm.object,
        alarm.text,
    )


async def ingest(
    broker: Broker,
    *,
    catalog: Catalog,
    inventory: Inventory,
    into: Journal,
    clock: Clock,
    health: StageHealth,
    settings: IngestSettings | None = None,
) -> NoReturn:
    """Receive from the broker into the journal, and write a tick a second. Until cancelled.

    ``health`` is ready while the broker is connected. Its counters: messages, readings, alarms,
    statuses, duplicates, quarantined and quarantined_{reason}, unknown_fields, missed (seqs
    skipped), late (of those, how many came after all), commits, refused, disconnects,
    last_message_ms.

    Raises ``JournalError`` when the journal fails. Everything else is waited out.
    """
    stage = Ingest(
        broker,
        catalog=catalog,
        inventory=inventory,
        into=into,
        clock=clock,
        health=health,
        settings=settings,
    )
    await stage.run()
