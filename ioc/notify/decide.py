"""The decision to notify: its own step over the alarms' transitions.

It reads them in order after its own position and writes what it decided (outbox rows, what each
receiver was told, what still waits, its position) in one transaction: decided once, whatever ends
in between. The id of a notification follows from route and transition, so that a receiver can tell
a repeated attempt.

What is decided, per route:

- An alarm that is raised, not suppressed and fits the route is notified, once its root cause is no
  longer being looked for (``settles_ms``).
- After that a new severity or impact is an update, at most one a minute; the first may follow at
  once.
- Its clear is delivered if and only if it was notified; ``send_resolved: false`` leaves it out.
- A suppressed alarm is not notified. When it is no longer suppressed and still raised, it is.
- Acknowledgements and comments are not notified.
- A route that is disabled (410 Gone, or by a person) is told nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from ioc.alarms.history import transitions_after
from ioc.alarms.model import Alarm, Impact, Transition
from ioc.notify.payload import Notice, body
from ioc.notify.routes import Route
from ioc.state import schema

CONSUMER = "notify"
BATCH = 256
UPDATE_EVERY_MS = 60_000
# An engine that asked for longer than this would be wrong; an alarm must not wait for it.
MOST_SETTLING_MS = 30_000
_SILENT = ("acknowledged", "unacknowledged", "commented")

_encode = msgspec.json.Encoder().encode
_transition = msgspec.json.Decoder(Transition)
_impact = msgspec.json.Decoder(Impact)


class Key(NamedTuple):
    """One group: a root alarm as one route is told of it."""

    route: str
    alarm: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a receiver knows of an alarm. ``updated_ms``: its last update, None before the first."""

    delivery: str
    severity: str
    impact: Impact | None
    updated_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What a receiver will be told at ``due_ms``, if it still holds then."""

    due_ms: int
    transition: Transition


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One notification to be made."""

    route: Route
    transition: Transition
    firing: bool
    impact: Impact | None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What one step did. ``behind`` counts the transitions that it left for the next."""

    position: int
    transitions: int
    deliveries: int
    behind: int


def message_id(route: str, transition: Transition) -> str:
    """The webhook's id: the same whenever this transition is notified to this route.

    The alarm's id and time go in too: transition ids begin again with a new state database.
    """
    parts = (route, str(transition.id), transition.alarm.id, str(transition.at_ms))
    return "msg_" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def decide(
    connection: Connection,
    routes: Sequence[Route],
    *,
    now_ms: int,
    console_url: str,
    limit: int = BATCH,
) -> Decided:
    """Decide over at most ``limit`` transitions, then over what has waited until ``now_ms``."""
    position = _position(connection)
    transitions = transitions_after(connection, position, limit)
    more = len(transitions) >= limit
    # What waits is decided only when every transition is known: the next may suppress it.
    due = [] if more else _due(connection, now_ms)
    if not transitions and not due:
        return Decided(position=position, transitions=0, deliveries=0, behind=0)

    ledger = _Ledger.read(
        connection,
        alarms={transition.alarm.id for transition in transitions} | {key.alarm for key in due},
    )
    disabled = set(connection.scalars(select(schema.disabled_route.c.route)))
    decisions: list[Decision] = []
    for transition in transitions:
        decisions += ledger.consider(transition, routes, disabled=disabled, now_ms=now_ms)
    if not more:
        by_name = {route.name: route for route in routes}
        for key, transition in ledger.take_due(now_ms):
            if key.route in by_name:
                decisions += ledger.consider(
                    transition,
                    [by_name[key.route]],
                    disabled=disabled,
                    now_ms=now_ms,
                    settled=True,
                )
    _write_deliveries(connection, decisions, now_ms=now_ms, console_url=console_url)
    ledger.write(connection)
    if transitions:
        position = transitions[-1].id
        connection.execute(
            update(schema.position)
            .where(schema.position.c.consumer == CONSUMER)
            .values(position=position)
        )
    return Decided(
        position=position,
        transitions=len(transitions),
        deliveries=len(decisions),
        behind=_behind(connection, position) if more else 0,
    )


@dataclass(kw_only=True)
class _Ledger:
    """What the receivers of some alarms know and what waits for them, with the changes to both."""

    told: dict[Key, Told] = field(default_factory=dict)
    waiting: dict[Key, Waiting] = field(default_factory=dict)
    _told_changed: set[Key] = field(default_factory=set)
    _waiting_changed: set[Key] = field(default_factory=set)

    @classmethod
    def read(cls, connection: Connection, *, alarms: Iterable[str]) -> _Ledger:
        ledger = cls()
        wanted = sorted(alarms)
        notified, waiting = schema.notified, schema.waiting
        for row in connection.execute(select(notified).where(notified.c.alarm.in_(wanted))):
            ledger.told[Key(row.route, row.alarm)] = Told(
                delivery=row.delivery,
                severity=row.severity,
                impact=_impact.decode(row.impact) if row.impact else None,
                updated_ms=row.updated_ms,
            )
        for row in connection.execute(select(waiting).where(waiting.c.alarm.in_(wanted))):
            ledger.waiting[Key(row.route, row.alarm)] = Waiting(
                due_ms=row.due_ms, transition=_transition.decode(row.content)
            )
        return ledger

    def consider(
        self,
        transition: Transition,
        routes: Sequence[Route],
        *,
        disabled: set[str],
        now_ms: int,
        settled: bool = False,
    ) -> list[Decision]:
        """What the routes are to be told of this transition now; the rest is noted to wait.

        ``settled``: it has waited as long as it had to.
        """
        if transition.kind in _SILENT:
            return []
        alarm = transition.alarm
        if alarm.state == "cleared":
            return self._cleared(transition, routes, disabled=disabled)
        decisions = []
        for route in routes:
            key = Key(route.name, alarm.id)
            if alarm.suppressed or route.name in disabled:
                self.forget_waiting(key)
                continue
            told = self.told.get(key)
            due_ms = (
                self._first_due_ms(key, route, transition, now_ms=now_ms, settled=settled)
                if told is None
                else _update_due_ms(told, alarm, now_ms=now_ms)
            )
            # An update waits at least for the end of this step: the newest change is what is told.
            held = due_ms is not None and (due_ms > now_ms or (told is not None and not settled))
            if due_ms is None:
                self.forget_waiting(key)
            elif held:
                self.waiting[key] = Waiting(due_ms=due_ms, transition=transition)
                self._waiting_changed.add(key)
            else:
                self.forget_waiting(key)
                self.told[key] = Told(
                    delivery=message_id(route.name, transition),
                    severity=alarm.severity,
                    impact=alarm.impact,
                    updated_ms=None if told is None else now_ms,
                )
                self._told_changed.add(key)
                decisions.append(
                    Decision(route=route, transition=transition, firing=True, impact=alarm.impact)
                )
        return decisions

    def _cleared(
        self, transition: Transition, routes: Sequence[Route], *, disabled: set[str]
    ) -> list[Decision]:
        decisions = []
        by_name = {route.name: route for route in routes}
        # Over what was told, not over the routes: one that is gone from the file is forgotten too.
        alarm = transition.alarm
        for key in [key for key in self.waiting if key.alarm == alarm.id]:
            self.forget_waiting(key)
        for key in [key for key in self.told if key.alarm == alarm.id]:
            told = self.told.pop(key)
            self._told_changed.add(key)
            route = by_name.get(key.route)
            if route is not None and route.send_resolved and route.name not in disabled:
                decisions.append(
                    Decision(
                        route=route,
                        transition=transition,
                        firing=False,
                        impact=alarm.impact or told.impact,
                    )
                )
        return decisions

    def _first_due_ms(
        self, key: Key, route: Route, transition: Transition, *, now_ms: int, settled: bool
    ) -> int | None:
        alarm = transition.alarm
        if not route.match.fits(alarm):
            return None
        if settled:
            return now_ms
        # Counted from when we hear of it: an engine that works off a backlog gets its time too.
        settling_ms = min(max(alarm.settles_ms - transition.at_ms, 0), MOST_SETTLING_MS)
        due_ms = now_ms + settling_ms
        earlier = self.waiting.get(key)
        return min(due_ms, earlier.due_ms) if earlier else due_ms

    def take_due(self, now_ms: int) -> list[tuple[Key, Transition]]:
        """What has waited long enough, the longest first; it waits no more."""
        due = sorted(
            (waited.due_ms, waited.transition.id, key)
            for key, waited in self.waiting.items()
            if waited.due_ms <= now_ms
        )
        taken = [(key, self.waiting[key].transition) for _, _, key in due]
        for key, _ in taken:
            self.forget_waiting(key)
        return taken

    def forget_waiting(self, key: Key) -> None:
        if self.waiting.pop(key, None) is not None:
            self._waiting_changed.add(key)

    def write(self, connection: Connection) -> None:
        for table, changed in (
            (schema.notified, self._told_changed),
            (schema.waiting, self._waiting_changed),
        ):
            for key in changed:
                connection.execute(
                    delete(table).where(table.c.route == key.route, table.c.alarm == key.alarm)
                )
        told_rows = [
            {
                "route": key.route,
                "alarm": key.alarm,
                "delivery": self.told[key].delivery,
                "severity": self.told[key].severity,
                "impact": _impact_text(self.told[key].impact),
                "updated_ms": self.told[key].updated_ms,
            }
            for key in sorted(self._told_changed & self.told.keys())
        ]
        waiting_rows = [
            {
                "route": key.route,
                "alarm": key.alarm,
                "due_ms": self.waiting[key].due_ms,
                "content": _encode(self.waiting[key].transition).decode(),
            }
            for key in sorted(self._waiting_changed & self.waiting.keys())
        ]
        if told_rows:
            connection.execute(insert(schema.notified), told_rows)
        if waiting_rows:
            connection.execute(insert(schema.waiting), waiting_rows)


def _update_due_ms(told: Told, alarm: Alarm, *, now_ms: int) -> int | None:
    if (told.severity, told.impact) == (alarm.severity, alarm.impact):
        return None  # nothing new, or back to what the receiver knows
    return now_ms if told.updated_ms is None else told.updated_ms + UPDATE_EVERY_MS


def _write_deliveries(
    connection: Connection, decisions: Sequence[Decision], *, now_ms: int, console_url: str
) -> None:
    rows = []
    for decision in decisions:
        route, transition = decision.route, decision.transition
        alarm = transition.alarm
        group_key = f"{route.name}/{alarm.id}"
        notice = Notice(
            alarm=alarm,
            firing=decision.firing,
            impact=decision.impact,
            suppressed_alarms=_suppressed_under(connection, alarm.id) if decision.firing else 0,
        )
        rows.append(
            {
                "id": message_id(route.name, transition),
                "route": route.name,
                "group_key": group_key,
                "alarm": alarm.id,
                "transition": transition.id,
                "status": "pending",
                "firing": decision.firing,
                "created_ms": now_ms,
                "next_attempt_ms": now_ms,
                "attempts": 0,
                "last_error": "",
                "body": body(
                    notice, route=route.name, group_key=group_key, console_url=console_url
                ),
            }
        )
    if rows:
        connection.execute(insert(schema.delivery), rows)


def _position(connection: Connection) -> int:
    """The last transition decided over. The row is locked, against a second service by mistake."""
    table = schema.position
    found = connection.scalar(
        select(table.c.position).where(table.c.consumer == CONSUMER).with_for_update()
    )
    if found is None:
        # A position among the transitions, which know no journal.
        connection.execute(insert(table).values(consumer=CONSUMER, journal_uuid="", position=0))
        return 0
    return int(found)


def _due(connection: Connection, now_ms: int) -> list[Key]:
    waiting = schema.waiting
    found = connection.execute(
        select(waiting.c.route, waiting.c.alarm)
        .where(waiting.c.due_ms <= now_ms)
        .order_by(waiting.c.due_ms, waiting.c.alarm, waiting.c.route)
        .limit(BATCH)
    )
    return [Key(row.route, row.alarm) for row in found]


def _behind(connection: Connection, position: int) -> int:
    newest = connection.scalar(select(func.max(schema.transition.c.id)))
    return max(0, int(newest or 0) - position)


def _suppressed_under(connection: Connection, alarm: str) -> int:
    table = schema.alarm
    return int(
        connection.scalar(
            select(func.count()).where(
                table.c.parent == alarm, table.c.suppressed, table.c.state == "raised"
            )
        )
        or 0
    )


def _impact_text(impact: Impact | None) -> str:
    return "" if impact is None else _encode(impact).decode()
