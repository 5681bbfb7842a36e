"""What the state database remembers of alarms: read by the web and the notify stages.

Plain functions on a connection that is in a transaction (``State.run``). They see only what the
engine has committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from sqlalchemy import Connection, Row, and_, or_, select
from sqlalchemy import func as sql
from sqlalchemy.sql import ColumnElement, Select

from ioc.alarms.model import Alarm, Severity, Transition
from ioc.errors import QueryError
from ioc.state import schema
from ioc.text import fold

MAX_PAGE = 500
MAX_CHILDREN = 200
MAX_TRANSITIONS = 1000
WINDOW_MS = 600_000

_decode_alarm = msgspec.json.Decoder(Alarm).decode


@dataclass(frozen=True, kw_only=True)
class Page:
    """Alarms, the latest raised first. ``next`` is the cursor of what follows, None at the end."""

    items: list[Alarm]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class AlarmHistory:
    """One alarm with its transitions, oldest first, and the alarms suppressed under it (at most
    ``MAX_CHILDREN``, the latest first)."""

    alarm: Alarm
    transitions: list[Transition]
    children: list[Alarm]


def page_of_alarms(
    connection: Connection,
    *,
    state: Literal["raised", "cleared", "all"] = "all",
    severity: Sequence[Severity] = (),
    kind: Sequence[str] = (),
    asset: str = "",
    parent: str = "",
    suppressed: bool | None = None,
    text: str = "",
    before: str = "",
    limit: int = 100,
) -> Page:
    """A page of alarms that fit all filters given, by time raised, the latest first.

    ``text`` is looked for in the asset's id and the alarm's words of both languages, without
    regard to case or diacritics. ``before`` is a Unix time in ms or the ``next`` of another page.
    Raises ``QueryError`` for a cursor that is neither.
    """
    alarm = schema.alarm.c
    wanted: list[ColumnElement[bool]] = []
    if state != "all":
        wanted.append(alarm.state == state)
    if severity:
        wanted.append(alarm.severity.in_(severity))
    if kind:
        wanted.append(alarm.kind.in_(kind))
    if asset:
        wanted.append(alarm.asset == asset)
    if parent:
        wanted.append(alarm.parent == parent)
    if suppressed is not None:
        wanted.append(alarm.suppressed == suppressed)
    if text:
        wanted.append(alarm.search.contains(fold(text), autoescape=True))
    if before:
        wanted.append(_older_than(before))
    limit = max(1, min(limit, MAX_PAGE))
    rows = connection.execute(_latest_first().where(*wanted).limit(limit + 1)).all()
    items = [_decode_alarm(row.content) for row in rows[:limit]]
    more = f"{items[-1].raised_ms}.{items[-1].id}" if len(rows) > limit else None
    return Page(items=items, next=more)


def alarm_with_history(connection: Connection, alarm_id: str) -> AlarmHistory | None:
    """One alarm with all that happened to it; None when there is no such alarm."""
    found = connection.execute(
        select(schema.alarm.c.content).where(schema.alarm.c.id == alarm_id)
    ).first()
    if found is None:
        return None
    children = connection.execute(
        _latest_first().where(schema.alarm.c.parent == alarm_id).limit(MAX_CHILDREN)
    )
    transitions = connection.execute(
        select(schema.transition)
        .where(schema.transition.c.alarm == alarm_id)
        .order_by(schema.transition.c.id)
        .limit(MAX_TRANSITIONS)
    )
    return AlarmHistory(
        alarm=_decode_alarm(found.content),
        transitions=[_transition(row) for row in transitions],
        children=[_decode_alarm(row.content) for row in children],
    )


def recent_of_asset(connection: Connection, asset: str, *, limit: int = 50) -> list[Alarm]:
    """The latest alarms of one asset, raised or cleared, the latest raised first."""
    rows = connection.execute(_latest_first().where(schema.alarm.c.asset == asset).limit(limit))
    return [_decode_alarm(row.content) for row in rows]


def children_counts(connection: Connection, parents: Iterable[str]) -> dict[str, int]:
    """How many alarms were suppressed under each of these, by the parent's id; none left out is
    zero."""
    parent = schema.alarm.c.parent
    rows = connection.execute(
        select(parent, sql.count()).where(parent.in_(list(parents))).group_by(parent)
    )
    return {row[0]: row[1] for row in rows}


def raised_per_10_min(connection: Connection, *, until_ms: int, windows: int = 24) -> list[int]:
    """How many alarms were put before the operators in each of the last windows of 10 minutes.

    Oldest first; the last window ends at ``until_ms``. A suppressed alarm does not count. EEMUA
    191: 1 in 10 minutes is good, 10 are a flood.
    """
    begin_ms = until_ms - windows * WINDOW_MS
    alarm = schema.alarm.c
    rows = connection.execute(
        select(alarm.raised_ms).where(
            alarm.raised_ms > begin_ms,
            alarm.raised_ms <= until_ms,
            alarm.suppressed.is_(False),
        )
    )
    counts = [0] * windows
    for row in rows:
        counts[(row.raised_ms - begin_ms - 1) // WINDOW_MS] += 1
    return counts


def last_cleared_ms(connection: Connection) -> int | None:
    """When the latest alarm cleared (Unix ms); None when none ever has."""
    return connection.execute(select(sql.max(schema.alarm.c.cleared_ms))).scalar()


def transitions_after(connection: Connection, after_id: int, limit: int = 256) -> list[Transition]:
    """The next transitions in their order, the first with an id above ``after_id``."""
    rows = connection.execute(
        select(schema.transition)
        .where(schema.transition.c.id > after_id)
        .order_by(schema.transition.c.id)
        .limit(limit)
    )
    return [_transition(row) for row in rows]


def _latest_first() -> Select[tuple[str]]:
    alarm = schema.alarm.c
    return select(alarm.content).order_by(alarm.raised_ms.desc(), alarm.id.desc())


def _older_than(cursor: str) -> ColumnElement[bool]:
    alarm = schema.alarm.c
    raised, _, alarm_id = cursor.partition(".")
    if not raised.isascii() or not raised.isdigit() or len(raised) > 15:
        raise QueryError(f"before: {cursor!r}: expected Unix ms, or the next of another page")
    if not alarm_id:
        return alarm.raised_ms < int(raised)
    return or_(
        alarm.raised_ms < int(raised),
        and_(alarm.raised_ms == int(raised), alarm.id < alarm_id),
    )


def _transition(row: Row[tuple[object, ...]]) -> Transition:
    return Transition(
        id=row.id,
        position=row.position,
        at_ms=row.at_ms,
        kind=row.kind,
        actor=row.actor,
        text=row.text,
        alarm=_decode_alarm(row.content),
    )
