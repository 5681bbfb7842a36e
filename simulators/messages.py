"""From arrays to messages of contract v1: who sends what, and when.

Every asset sends once an interval, at its own moment of it, so that messages are spread evenly.
Metrics whose cadence is longer than the interval, and longer than the kind's shortest, ride along
when they are due: at an asset's first message, and then each cadence, staggered over the assets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ioc.catalog import Kind
from simulators.device_alarms import Word
from simulators.table import BoolArray, FloatArray, IntArray, Table

CLOCK_SKEW_S = 45 * 60.0
# So many readings an asset without a way to a core keeps for later, the oldest given up first.
BUFFERED = 120
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
# What has very small values is sent with three digits; the catalog's decimals are for people.
_THREE_DIGITS = frozenset({"pre_fec_ber"})


class Message(NamedTuple):
    """One MQTT message. ``valid`` is False where the payload is not meant to be JSON."""

    topic: str
    payload: bytes
    valid: bool = True


@dataclass(frozen=True)
class _Group:
    """Metrics that are sent together: with one cadence, by the same assets."""

    names: tuple[str, ...]
    cadence_s: int
    masked: bool


class Sender:
    """Makes the messages of one kind.

    ``slots`` gives each asset's moment within the interval. ``boot`` is drawn outside the seed:
    with it a second run is not taken for a repetition of the first.
    """

    def __init__(
        self,
        table: Table,
        kind: Kind,
        *,
        province: str,
        slots: IntArray,
        slot_count: int,
        interval_s: float,
        boot: int,
        rng: np.random.Generator,
        sent: Callable[[IntArray], None] | None = None,
    ) -> None:
        self.table = table
        self._buffers: BoolArray | None = None
        self._held: dict[int, deque[Message]] = {}
        self._stuck: FloatArray | None = None
        self._kind = kind
        self._boot = boot
        self._sent = sent
        order = np.argsort(slots, kind="stable")
        bounds = np.searchsorted(slots[order], np.arange(slot_count + 1))
        self._rows: list[IntArray] = [
            order[bounds[slot] : bounds[slot + 1]] for slot in range(slot_count)
        ]
        self._topics = [
            f"ioc/v1/{province}/{table.kind}/{asset.id}/telemetry" for asset in table.assets
        ]
        self._alarm_topics = [f"ioc/v1/{province}/{table.kind}/{a.id}/alarm" for a in table.assets]
        self._seq = [0] * len(table)
        self._boots_seen: IntArray = table.restarts.copy()
        # The quickest metrics go with every message, also where the interval is shorter still.
        self._slow_above_s = max(interval_s, kind.shortest_cadence_s)
        self._groups: list[_Group] | None = None
        self._next_ms: dict[int, IntArray] = {}
        self._stagger = rng.random(len(table))
        self._columns: dict[str, npt.NDArray[Any]] = {}
        self._spiked = lying_metric(kind)

    def keep_for_later(self, assets: BoolArray) -> None:
        """These assets have a buffer: what they read while they are cut off is sent later, in one
        burst (the last ``BUFFERED`` readings)."""
        self._buffers = assets

    def refresh(self) -> None:
        """Take over what the physics worked out."""
        self._columns = dict(self.table.columns)
        if self._spiked:
            self._hold_stuck(self._spiked)

    def _hold_stuck(self, metric: str) -> None:
        """A stuck sensor goes on reading what it read when it began to be."""
        stuck = self.table.fault("sensor-stuck")
        if not stuck.any():
            self._stuck = None
            return
        read = self._columns[metric].astype(np.float64)
        if self._stuck is None:
            self._stuck = np.full(len(self.table), np.nan)
        self._stuck = np.where(stuck, np.where(np.isnan(self._stuck), read, self._stuck), np.nan)
        self._columns[metric] = np.where(stuck, self._stuck, read)

    def telemetry(self, slot: int, now_ms: int) -> list[Message]:
        """The messages of the assets whose moment this slot is."""
        rows = self._rows[slot]
        if not len(rows):
            return []
        speaking = self.table.speaking[rows]
        if self._buffers is None:
            return [message for _, message in self._made(rows[speaking], now_ms)]
        keeping = self._buffers[rows] & self.table.cut_off[rows]
        messages: list[Message] = []
        for row, message in self._made(rows[speaking | keeping], now_ms):
            held = self._held.get(row)
            if not self.table.speaking[row]:
                self._held.setdefault(row, deque(maxlen=BUFFERED)).append(message)
                continue
            if held:
                messages += held
                held.clear()
            messages.append(message)
        return messages

    def _made(self, rows: IntArray, now_ms: int) -> list[tuple[int, Message]]:
        if not len(rows):
            return []
        self._begin_boots(rows)
        contents: list[dict[str, Any]] = [{} for _ in rows]
        for group in self._grouped():
            self._add(group, rows, contents, now_ms)
        boots = (self._boot + self.table.restarts[rows]).tolist()
        distorted = self._distorted(rows)
        messages = []
        for place, (row, boot, content) in enumerate(
            zip(rows.tolist(), boots, contents, strict=True)
        ):
            if not content:
                continue
            seq = self._seq[row]
            self._seq[row] = seq + 1
            content["ts"], content["boot"], content["seq"] = now_ms, boot, seq
            if distorted is not None and distorted[place]:
                message = self._distort(row, content, seq)
            else:
                message = Message(self._topics[row], _encode(content))
            messages.append((row, message))
        return messages

    def alarm(self, word: Word) -> Message:
        """A device alarm, raised or cleared."""
        says = word.says
        content = {
            "ts": word.ts_ms,
            "alarm_id": word.alarm_id,
            "state": "raised" if word.raised else "cleared",
            "severity": says.severity if word.raised else "cleared",
            "event_type": says.event_type,
            "probable_cause": says.probable_cause,
            "object": says.object,
            "text": says.text,
        }
        return Message(self._alarm_topics[self.table.index[word.asset]], _encode(content))

    def _begin_boots(self, rows: IntArray) -> None:
        fresh = rows[self.table.restarts[rows] != self._boots_seen[rows]]
        self._boots_seen[fresh] = self.table.restarts[fresh]
        for row in fresh.tolist():
            self._seq[row] = 0

    def _grouped(self) -> list[_Group]:
        """Groups by cadence and mask; made at the first use, when the physics has run once."""
        if self._groups is None:
            groups: dict[tuple[int, int], list[str]] = {}
            for name, metric in self._kind.metrics.items():
                if name in self._columns:
                    mask = self.table.masks.get(name)
                    key = (metric.cadence_s, id(mask) if mask is not None else 0)
                    groups.setdefault(key, []).append(name)
            self._groups = [
                _Group(tuple(names), cadence_s, mask != 0)
                for (cadence_s, mask), names in groups.items()
            ]
        return self._groups

    def _add(
        self, group: _Group, rows: IntArray, contents: list[dict[str, Any]], now_ms: int
    ) -> None:
        chosen: BoolArray | None = None
        if group.masked:
            chosen = self.table.masks[group.names[0]][rows]
        if group.cadence_s > self._slow_above_s:
            due = self._due(group.cadence_s, rows, now_ms)
            chosen = due if chosen is None else chosen & due
        if chosen is not None:
            if not chosen.any():
                return
            rows = rows[chosen]
            contents = [content for content, take in zip(contents, chosen, strict=True) if take]
        names = group.names
        values = zip(*(self._read(name, rows) for name in names), strict=True)
        for content, row in zip(contents, values, strict=True):
            content.update(zip(names, row, strict=True))
        if group.cadence_s > self._slow_above_s and self._sent is not None:
            self._sent(rows)

    def _read(self, name: str, rows: IntArray) -> list[Any]:
        """What these assets read, rounded as a sensor's display would be: only what is sent is."""
        values = self._columns[name][rows]
        if name in _THREE_DIGITS:
            return [float(f"{value:.2e}") for value in values.tolist()]
        if values.dtype.kind == "f":
            values = values.round(self._kind.metrics[name].decimals)
        found: list[Any] = values.tolist()
        return found

    def _due(self, cadence_s: int, rows: IntArray, now_ms: int) -> BoolArray:
        """Whose slower metrics are due; they are then planned a cadence later."""
        following = self._next_ms.get(cadence_s)
        if following is None:
            following = self._next_ms[cadence_s] = np.full(len(self.table), -1, dtype=np.int64)
        planned = following[rows]
        due: BoolArray = planned <= now_ms
        cadence_ms = cadence_s * 1000
        first = now_ms + (self._stagger[rows] * cadence_ms).astype(np.int64)
        late = np.maximum(now_ms - planned, 0) // cadence_ms * cadence_ms
        after = np.where(planned < 0, first, planned + late + cadence_ms)
        following[rows] = np.where(due, after, planned)
        return due

    def _distorted(self, rows: IntArray) -> BoolArray | None:
        faults = [self.table.fault(name) for name in ("bad-payload", "sensor-spike", "clock-skew")]
        touched: BoolArray = faults[0] | faults[1] | faults[2]
        return touched[rows] if touched.any() else None

    def _distort(self, row: int, content: dict[str, Any], seq: int) -> Message:
        if self.table.fault("clock-skew")[row]:
            content["ts"] += round(self.table.amount("clock-skew", CLOCK_SKEW_S)[row] * 1000)
        spiked = self._spiked
        if self.table.fault("sensor-spike")[row] and seq % 6 == 3 and spiked in content:
            most = self._kind.metrics[spiked].range
            assert most is not None, "a number has a range"
            content[spiked] = most[1] * 0.99
        payload = _encode(content)
        if self.table.fault("bad-payload")[row]:
            payload = nonsense(payload, seq, spiked or "value")
            return Message(self._topics[row], payload, valid=seq % 4 in (1, 2))
        return Message(self._topics[row], payload)


def lying_metric(kind: Kind) -> str:
    """The metric whose sensor spikes or is stuck: the kind's first measured number; "" for none."""
    return next((name for name in kind.metrics if kind.metrics[name].type == "float"), "")


def nonsense(payload: bytes, number: int, metric: str) -> bytes:
    """What bad firmware sends: cut short, wrong type, out of range, not a number, in turn. Only
    the wrong type and the value out of range (1 and 2 of four) are JSON at all."""
    match number % 4:
        case 0:
            return payload[: len(payload) // 2]
        case 1:
            return _encode({**_decode(payload), metric: "ERR"})
        case 2:
            return _encode({**_decode(payload), metric: 1e12})
        case _:
            return payload[:-1] + b',"' + metric.encode() + b'":NaN}'
