"""A UPS's alarm table as device alarms: raised, changed and cleared, each said once.

RFC 1628 has at most one row with the same upsAlarmDescr, so an alarm is known by its type; row
numbers begin anew with the agent and mean nothing. A gateway that starts does not know what the one
before it has said: it clears all it knows and does not see. Nothing is kept on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from examples.ups_snmp.config import AlarmType
from examples.ups_snmp.mib import Oid, dotted
from examples.ups_snmp.snmp import Snapshot
from ioc.text import Language, Text

# What stands is said again: an asset may have come into the inventory after its alarm.
REPEAT_AFTER_MS = 5 * 60_000
COMMUNICATIONS_LOST = "upsAlarmCommunicationsLost"
# One for all rows that no type describes: what a UPS can invent is not bounded, our alarms are.
OTHER = AlarmType(
    id="upsAlarmOther",
    oid="1.3.6.1.2.1.33.1.6.3",
    severity="indeterminate",
    event_type="equipment",
    probable_cause="other",
    text=Text(vi="UPS báo cảnh báo riêng của hãng", en="The UPS reports alarms of its maker's own"),
)
MAX_TEXT_CHARACTERS = 500  # of the contract
State = Literal["raised", "changed", "cleared"]


@dataclass(frozen=True)
class Standing:
    """An alarm that a UPS has now."""

    type: AlarmType
    text: str


class AlarmTable:
    """What the alarms of one UPS are, and what was said of them."""

    def __init__(self, types: Sequence[AlarmType], *, language: Language) -> None:
        self._by_oid = {tuple(map(int, known.oid.split("."))): known for known in types}
        self._types = (*types, OTHER)
        self._language = language
        self._told: dict[str, Standing] | None = None
        self._repeat_ms = 0

    def standing(self, snapshot: Snapshot) -> dict[str, Standing]:
        """The alarms in a snapshot's table, by our id."""
        found: dict[str, Standing] = {}
        unknown: list[Oid] = []
        for oid in snapshot.columns.get("upsAlarmDescr", {}).values():
            known = self._by_oid.get(oid) if isinstance(oid, tuple) else None
            if known is not None:
                found[known.id] = Standing(known, known.text.of(self._language))
            elif isinstance(oid, tuple):
                unknown.append(oid)
        if unknown:
            text = f"{OTHER.text.of(self._language)}: {', '.join(map(dotted, sorted(unknown)))}"
            found[OTHER.id] = Standing(OTHER, text[:MAX_TEXT_CHARACTERS])
        return found

    def news(self, standing: Mapping[str, Standing], *, now_ms: int) -> list[dict[str, Any]]:
        """The messages (contract v1) that say what changed; the first time, all there is to say."""
        told = self._told
        perhaps = self._types if told is None else [alarm.type for alarm in told.values()]
        over = [known for known in perhaps if known.id not in standing]
        messages = [message_of(known, "cleared", "", now_ms=now_ms) for known in over]
        repeat = now_ms >= self._repeat_ms
        for id_, alarm in standing.items():
            before = (told or {}).get(id_)
            if before is None or (repeat and before == alarm):
                messages.append(message_of(alarm.type, "raised", alarm.text, now_ms=now_ms))
            elif before != alarm:
                messages.append(message_of(alarm.type, "changed", alarm.text, now_ms=now_ms))
        if repeat:
            self._repeat_ms = now_ms + REPEAT_AFTER_MS
        self._told = dict(standing)
        return messages

    def forget(self) -> None:
        """What was said may not have arrived: say all of it again."""
        self._told, self._repeat_ms = None, 0


def message_of(known: AlarmType, state: State, text: str, *, now_ms: int) -> dict[str, Any]:
    """A device alarm of contract v1."""
    return {
        "ts": now_ms,
        "alarm_id": known.id,
        "state": state,
        "severity": "cleared" if state == "cleared" else known.severity,
        "event_type": known.event_type,
        "probable_cause": known.probable_cause,
        "object": known.object,
        "text": text,
    }
