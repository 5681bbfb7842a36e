"""Alarms as time series: the columns of an alarm, and the stage that journals every transition.

The stage follows the transitions in the state database by their ids and appends a row for each to
the journal, from where the store takes them like readings: a store that is away loses none. Its
position is noted after the append. What was appended and not yet noted when the process ended is
appended again: the time of a row follows from its transition, so that it is the same row again.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

from sqlalchemy import Connection, func, insert, select, update

from ioc.alarms.history import transitions_after
from ioc.alarms.model import Alarm, Transition
from ioc.clock import Clock
from ioc.errors import JournalFullError, StateUnavailableError
from ioc.inventory import Inventory
from ioc.journal.records import Derived, Reading, Record, Value
from ioc.state import State, schema
from ioc.store.derived import ALARM, numbered
from ioc.supervise import StageHealth

CONSUMER = "alarm_series"
BATCH = 256
POLL_S = 1.0


class SeriesJournal(Protocol):
    """As much of a journal as is needed here."""

    async def append(self, *records: Record) -> int: ...


def columns_of(alarm: Alarm) -> dict[str, Value]:
    """An alarm as ``alarm`` and ``alarm_active`` tell of it. What it does not have is left out, and
    so is what the store works out when it writes (``ioc.store.derived.completed``)."""
    impact = alarm.impact
    columns: dict[str, Value | None] = {
        "alarm": alarm.id,
        "severity": alarm.severity,
        "event_type": alarm.event_type,
        "probable_cause": alarm.probable_cause,
        "source": alarm.source,
        "object": alarm.object,
        "text_vi": alarm.text_vi,
        "text_en": alarm.text_en,
        "metric": alarm.metric,
        "value": alarm.value,
        "threshold": alarm.threshold,
        "acknowledged": alarm.acknowledged,
        "acknowledged_by": alarm.acknowledged_by,
        "suppressed": alarm.suppressed,
        "parent": alarm.parent,
        "raised_ms": alarm.raised_ms,
        "impact_assets": impact.assets if impact else None,
        "impact_stations": impact.stations if impact else None,
        "impact_population": impact.population if impact else None,
    }
    return {name: value for name, value in columns.items() if value is not None and value != ""}


def row_of(transition: Transition) -> Reading:
    """A transition as a row of ``alarm``, under its own time and its id: the same one whenever it
    is asked."""
    alarm, at_ms = transition.alarm, transition.at_ms
    columns = columns_of(alarm) | {"transition": transition.kind, "state": alarm.state}
    if transition.actor:
        columns["actor"] = transition.actor
    if transition.text:
        columns["comment"] = transition.text
    if alarm.cleared_ms is not None:
        columns["cleared_ms"] = alarm.cleared_ms
        columns["duration_s"] = (alarm.cleared_ms - alarm.raised_ms) / 1000
    return numbered(ALARM, alarm.asset, columns, at_ms=at_ms, number=transition.id)


async def alarm_series(
    journal: SeriesJournal,
    *,
    state: State,
    inventory: Inventory,
    clock: Clock,
    health: StageHealth,
) -> NoReturn:
    """Journal a row for each transition, in their order, until cancelled.

    New ones are found within a second. While the state database does not answer or the journal is
    full, the stage is not ready and tries again each second. Raises ``JournalError`` when the
    journal fails. A transition of an asset that nobody knows any more has no place to be told
    under: it is passed over and counted.
    """
    health.unit = "transitions"
    while True:
        try:
            more = await _step(journal, state, inventory, clock, health)
        except (StateUnavailableError, JournalFullError) as error:
            health.ready = False
            health.failed(error, at_ms=clock.now_ms())
            more = False
        else:
            health.ready = True
        if not more:
            await clock.sleep(POLL_S)


async def _step(
    journal: SeriesJournal, state: State, inventory: Inventory, clock: Clock, health: StageHealth
) -> bool:
    """Journal the next transitions; whether there are more."""
    position, transitions = await state.run(_next)
    if transitions:
        rows = [row_of(one) for one in transitions if inventory.find(one.alarm.asset)]
        if rows:
            await journal.append(Derived(rows))
        position = transitions[-1].id
        await state.run(lambda connection: _note(connection, position))
        health.count("transitions", len(rows))
        if len(rows) < len(transitions):
            health.count("unknown_asset", len(transitions) - len(rows))
    more = len(transitions) == BATCH
    health.position = position
    health.behind = await state.run(lambda connection: _behind(connection, position)) if more else 0
    health.lag_s = max(0, clock.now_ms() - transitions[-1].at_ms) / 1000 if more else 0.0
    return more


def _next(connection: Connection) -> tuple[int, list[Transition]]:
    """The last transition journalled, and those after it."""
    table = schema.position
    position = connection.scalar(select(table.c.position).where(table.c.consumer == CONSUMER))
    if position is None:
        # A position among the transitions, which know no journal.
        connection.execute(insert(table).values(consumer=CONSUMER, journal_uuid="", position=0))
        position = 0
    return position, transitions_after(connection, position, BATCH)


def _note(connection: Connection, position: int) -> None:
    connection.execute(
        update(schema.position)
        .where(schema.position.c.consumer == CONSUMER)
        .values(position=position)
    )


def _behind(connection: Connection, position: int) -> int:
    newest = connection.scalar(select(func.max(schema.transition.c.id)))
    return max(0, int(newest or 0) - position)
