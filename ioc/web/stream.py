"""The live stream: a snapshot, then what changed, at most once a second, for all clients at once.

Every second one event is made and encoded, and all clients get the same bytes. A client that takes
none for several seconds is told to start over and is let go, so that it holds no memory. While
nobody listens nothing is made.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import msgspec
import structlog

from ioc.alarms.live import Live
from ioc.alarms.model import SEVERITIES, Alarm, AssetState
from ioc.clock import Clock
from ioc.errors import StateUnavailableError
from ioc.supervise import Health
from ioc.web.auth import Principal
from ioc.web.models import AlarmView

log = structlog.get_logger()

PERIOD_S = 1.0
# How many events may wait for one client before it is told to start over.
MAX_PENDING = 8
# A client that does not even take the word to start over is cut off.
ABORT_AFTER_S = 10.0
MAX_ACTIVE = 200
# Counts that come from the state database are asked for this often, and only while somebody looks.
LOGS_EVERY_S = 5.0
RATE_OVER_S = 10
# Where the ingest stage notes when it last received something (Unix ms).
LAST_MESSAGE = "last_message_ms"
STATES: tuple[AssetState, ...] = ("up", "degraded", "down", "silent", "not_seen")
_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_encode = msgspec.json.Encoder().encode


class Transport(Protocol):
    """As much of a connection as is needed to end it."""

    def abort(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AlarmLog:
    """What the stream tells of past alarms: see ``models.LiveAlarms``."""

    last_cleared_ms: int | None
    per_10_min: list[int]


class TooManyClientsError(Exception):
    """As many streams are open as are allowed."""


class Client:
    """One open stream: what waits to be written to it."""

    def __init__(self, who: Principal, transport: Transport | None) -> None:
        self.who = who
        self.transport = transport
        self.ended_s: float | None = None
        self._pending: deque[bytes] = deque()
        self._wake = asyncio.Event()

    def offer(self, event: bytes, *, now_s: float) -> None:
        """Queue an event, or the word to start over when too many wait already."""
        if self.ended_s is not None:
            return
        if len(self._pending) >= MAX_PENDING:
            self.end("the client takes the events too slowly", now_s=now_s)
            return
        self._pending.append(event)
        self._wake.set()

    def end(self, reason: str, *, now_s: float) -> None:
        """Tell the client to start over; nothing follows."""
        if self.ended_s is not None:
            return
        self.ended_s = now_s
        self._pending.clear()
        self._pending.append(event_bytes("restart", _encode({"reason": reason})))
        self._wake.set()

    async def next(self) -> bytes | None:
        """The next event, when there is one; None after the last."""
        while not self._pending:
            if self.ended_s is not None:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._pending.popleft()


class Feed:
    """Makes the events. It belongs to one event loop; ``run`` is its only clockwork."""

    def __init__(
        self,
        *,
        live: Live,
        health: Health,
        clock: Clock,
        inventory_version: Callable[[], int],
        view: Callable[[Alarm, int], AlarmView],
        quarantined_total: Callable[[], int],
        delivery_totals: Callable[[], Awaitable[dict[str, int]]],
        alarm_log: Callable[[], Awaitable[AlarmLog]],
        max_clients: int,
    ) -> None:
        self.clients: set[Client] = set()
        self.restarts = 0
        self._live = live
        self._health = health
        self._clock = clock
        self._inventory_version = inventory_version
        self._view = view
        self._quarantined_total = quarantined_total
        self._delivery_totals = delivery_totals
        self._alarm_log = alarm_log
        self._max_clients = max_clients

        self._version = -1
        self._inventory_seen = -1
        self._states: dict[str, tuple[str, AssetState]] = {}
        self._pairs: dict[tuple[str, AssetState], tuple[str, AssetState]] = {}
        self._counts: dict[str, Counter[AssetState]] = {}
        self._encoded_alarms: dict[str, tuple[int, msgspec.Raw]] = {}
        self._blocks: dict[str, bytes] = {}
        self._snapshot: bytes | None = None
        self._deliveries: dict[str, int] = {}
        self._log = AlarmLog(last_cleared_ms=None, per_10_min=[0] * 24)
        self._log_seen = self._log
        self._logs_due_s = 0.0
        self._received: deque[tuple[float, int]] = deque(maxlen=RATE_OVER_S + 1)

    async def run(self) -> NoReturn:
        """Make an event every second, until cancelled."""
        while True:
            await self._clock.sleep(PERIOD_S)
            await self.tick()

    async def tick(self) -> None:
        """One second has passed."""
        self._sample()
        if (web := self._health.stages.get("web")) is not None:
            web.gauges["clients"] = len(self.clients)
        if not self.clients:
            return
        await self._ask_logs()
        now_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        changed = self._update()
        event = self._event("change", _members(changed), now_ms)
        for client in list(self.clients):
            if client.ended_s is not None:
                if now_s - client.ended_s > ABORT_AFTER_S and client.transport is not None:
                    client.transport.abort()
                continue
            expires_ms = client.who.expires_ms
            if expires_ms is not None and expires_ms <= now_ms:
                client.end("the session is over", now_s=now_s)
                continue
            client.offer(event, now_s=now_s)
            self.restarts += client.ended_s is not None

    async def join(self, who: Principal, transport: Transport | None) -> Client:
        """Open a stream; its first event is the snapshot.

        Raises ``TooManyClientsError``.
        """
        if len(self.clients) >= self._max_clients:
            raise TooManyClientsError
        if not self.clients:
            await self._ask_logs()
        # From here on nothing waits: no change can fall between the snapshot and the first event.
        if not self.clients:
            self._update()
        client = Client(who, transport)
        client.offer(self._snapshot_event(), now_s=self._clock.monotonic_s())
        self.clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """The stream is closed."""
        self.clients.discard(client)

    def drop(self, token: str, *, reason: str) -> None:
        """End all streams of one token."""
        for client in self.clients:
            if client.who.token == token:
                client.end(reason, now_s=self._clock.monotonic_s())

    def close(self) -> None:
        """End all streams: the service stops."""
        for client in self.clients:
            client.end("the service stops", now_s=self._clock.monotonic_s())

    def messages_per_s(self) -> float:
        """Messages received, the mean over the last ten seconds."""
        if len(self._received) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._received[0], self._received[-1]
        return round(max(0, last - first) / (last_s - first_s), 1) if last_s > first_s else 0.0

    def _sample(self) -> None:
        ingest = self._health.stages.get("ingest")
        received = ingest.counters.get("messages", 0) if ingest is not None else 0
        self._received.append((self._clock.monotonic_s(), received))

    async def _ask_logs(self) -> None:
        if self._clock.monotonic_s() < self._logs_due_s:
            return
        self._logs_due_s = self._clock.monotonic_s() + LOGS_EVERY_S
        try:
            self._deliveries = await self._delivery_totals()
            self._log = await self._alarm_log()
        except StateUnavailableError as error:
            # The last counts stay; /readyz says that the stages which need the database fail.
            log.warning("stream: counts are not up to date", error=str(error))

    def _update(self) -> dict[str, bytes]:
        """Bring the blocks up to date; returns those that changed, for a change event."""
        live = self._live
        change = live.since(self._version) if self._version >= 0 else None
        inventory_version = self._inventory_version()
        everything = change is None or change.inventory or inventory_version != self._inventory_seen
        self._version, self._inventory_seen = live.version, inventory_version

        fresh: dict[str, bytes] = {"inventory_version": _encode(inventory_version)}
        if change is None or everything:
            self._encoded_alarms.clear()
            moved = self._move(live.states.keys() | self._states.keys())
        else:
            for alarm in change.alarms:
                self._encoded_alarms.pop(alarm, None)
            moved = self._move(change.assets)
        if moved or "counts" not in self._blocks:
            fresh["counts"] = _encode(
                {
                    kind: {state: counts[state] for state in STATES}
                    for kind, counts in sorted(self._counts.items())
                }
            )
        if change is None or everything or change.alarms or self._log != self._log_seen:
            self._log_seen = self._log
            fresh["alarms"] = self._alarms()
        if change is None or everything or change.measures:
            fresh["kpis"] = self._measures()
        fresh |= self._others()

        changed = {name: block for name, block in fresh.items() if self._blocks.get(name) != block}
        self._blocks |= changed
        if moved:
            changed["abnormal"] = _encode(moved)
        if changed:
            self._snapshot = None
        return changed

    def _move(self, assets: Iterable[str]) -> dict[str, AssetState]:
        """Follow the states of these assets; returns those that are different now."""
        moved: dict[str, AssetState] = {}
        for asset in assets:
            state = self._live.states.get(asset)
            before = self._states.get(asset)
            if state is None:
                if before is not None:  # retired: no longer abnormal
                    del self._states[asset]
                    self._counts[before[0]][before[1]] -= 1
                    moved[asset] = "up"
                continue
            pair = (self._live.kinds[asset], state)
            if before == pair:
                continue
            if before is not None:
                self._counts[before[0]][before[1]] -= 1
            # Few different pairs, many assets: share them.
            self._states[asset] = self._pairs.setdefault(pair, pair)
            self._counts.setdefault(pair[0], Counter())[state] += 1
            moved[asset] = state
        return moved

    def _alarms(self) -> bytes:
        children: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        shown: list[Alarm] = []
        for alarm in self._live.alarms.values():
            if alarm.parent:
                children[alarm.parent] += 1
            if alarm.suppressed:
                totals["suppressed"] += 1
                continue
            totals[alarm.severity] += 1
            totals["unacknowledged"] += not alarm.acknowledged
            shown.append(alarm)
        worst = heapq.nsmallest(
            MAX_ACTIVE, shown, key=lambda a: (_SEVERITY_RANK[a.severity], -a.raised_ms, a.id)
        )
        return _encode(
            {
                "active": [self._encoded(alarm, children[alarm.id]) for alarm in worst],
                "totals": {
                    name: totals[name] for name in (*SEVERITIES, "suppressed", "unacknowledged")
                },
                "last_cleared_ms": self._log.last_cleared_ms,
                "per_10_min": self._log.per_10_min,
            }
        )

    def _encoded(self, alarm: Alarm, children: int) -> msgspec.Raw:
        known = self._encoded_alarms.get(alarm.id)
        if known is not None and known[0] == children:
            return known[1]
        encoded = msgspec.Raw(self._view(alarm, children).model_dump_json().encode())
        self._encoded_alarms[alarm.id] = (children, encoded)
        return encoded

    def _measures(self) -> bytes:
        return _encode(
            [
                {
                    "name": measure.name,
                    "scope": measure.scope,
                    "place": measure.place,
                    "value": measure.value,
                    "time_ms": measure.time_us // 1000,
                }
                for _, measure in sorted(self._live.measures.items())
                if measure.scope in ("province", "site")
            ]
        )

    def _others(self) -> dict[str, bytes]:
        stages = self._health.stages
        ingest = stages.get("ingest")
        counters = ingest.counters if ingest is not None else {}
        return {
            "ingest": _encode(
                {
                    "messages_per_s": self.messages_per_s(),
                    "behind": ingest.behind if ingest is not None else 0,
                    "connected": ingest.ready if ingest is not None else False,
                    "last_message_ms": counters.get(LAST_MESSAGE),
                    "quarantined_total": self._quarantined_total(),
                    "missed_total": counters.get("missed", 0),
                }
            ),
            "deliveries": _encode(
                {name: self._deliveries.get(name, 0) for name in ("delivered", "pending", "dead")}
            ),
            "ready": _encode(self._health.ready),
            "not_ready": _encode(sorted(s.name for s in stages.values() if not s.ready)),
        }

    def _snapshot_event(self) -> bytes:
        if self._snapshot is None:
            abnormal = {asset: s for asset, (_, s) in self._states.items() if s != "up"}
            self._snapshot = _members({**self._blocks, "abnormal": _encode(abnormal)})
        return self._event("snapshot", self._snapshot, self._clock.now_ms())

    def _event(self, name: str, members: bytes, now_ms: int) -> bytes:
        head = b'{"version":%d,"now_ms":%d' % (self._version, now_ms)
        return event_bytes(name, head + members + b"}")


def _members(blocks: dict[str, bytes]) -> bytes:
    return b"".join(b',"%s":%s' % (name.encode(), block) for name, block in blocks.items())


def event_bytes(name: str, document: bytes) -> bytes:
    """One server-sent event. JSON has no line breaks of its own."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), document)
