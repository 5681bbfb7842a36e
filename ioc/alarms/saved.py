"""The engine's effects in the state database: transitions, alarms, position, snapshot, inventory.

Plain functions on a connection that is in a transaction (``State.run``): what one call writes is
committed together or not at all.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from ioc.alarms.engine import Snapshot, read_snapshot
from ioc.alarms.lifecycle import REMEMBERED_CLEARED
from ioc.alarms.model import Alarm, Transition
from ioc.errors import JournalError
from ioc.inventory import Asset, Inventory, Site
from ioc.journal.records import Activation
from ioc.state import schema
from ioc.text import fold

CONSUMER = "alarms"
_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where the engine begins: the committed ``position`` (None for a journal never seen), what is
    true there, and the last snapshot with its own, earlier or equal, position."""

    position: int | None
    inventory: Inventory
    standing: list[Alarm]
    next_id: int
    snapshot: Snapshot | None
    snapshot_position: int | None


@dataclass(frozen=True, kw_only=True)
class SnapshotRow:
    """A snapshot as it is stored."""

    position: int
    taken_ms: int
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the entries above ``after`` and up to ``position`` brought. ``after`` is None for the
    first of a journal."""

    journal_uuid: str
    after: int | None
    position: int
    transitions: Sequence[Transition] = ()
    activations: Sequence[Activation] = ()
    snapshot: SnapshotRow | None = None


def read_start(connection: Connection, journal_uuid: str) -> Start:
    """Read where to go on from."""
    position = read_position(connection, journal_uuid)
    row = connection.execute(
        select(schema.snapshot).where(schema.snapshot.c.consumer == CONSUMER)
    ).first()
    snapshot = None
    if row is not None:
        try:
            snapshot = read_snapshot(zlib.decompress(row.content))
        except zlib.error:
            snapshot = None
    alarm = schema.alarm.c
    standing = connection.scalars(
        select(alarm.content).where(alarm.state == "raised").order_by(alarm.raised_ms, alarm.id)
    )
    last_id = connection.scalar(select(func.max(schema.transition.c.id)))
    sites = connection.scalars(select(schema.site.c.content).order_by(schema.site.c.id))
    assets = connection.scalars(select(schema.asset.c.content).order_by(schema.asset.c.id))
    decode_alarm = msgspec.json.Decoder(Alarm).decode
    return Start(
        position=position,
        inventory=Inventory(
            map(msgspec.json.Decoder(Site).decode, sites),
            map(msgspec.json.Decoder(Asset).decode, assets),
        ),
        standing=[decode_alarm(content) for content in standing],
        next_id=(last_id or 0) + 1,
        snapshot=snapshot,
        snapshot_position=(
            row.position if row is not None and row.journal_uuid == journal_uuid else None
        ),
    )


def read_cleared(connection: Connection) -> list[Alarm]:
    """The alarms that cleared last, the latest at the end: they can still be acknowledged."""
    alarm = schema.alarm.c
    contents = connection.scalars(
        select(alarm.content)
        .where(alarm.cleared_ms.is_not(None))
        .order_by(alarm.cleared_ms.desc(), alarm.id)
        .limit(REMEMBERED_CLEARED)
    )
    decode = msgspec.json.Decoder(Alarm).decode
    return [decode(content) for content in contents][::-1]


def read_position(connection: Connection, journal_uuid: str) -> int | None:
    """The committed position in this journal; None when it was never read."""
    position: int | None = connection.scalar(
        select(schema.position.c.position).where(
            schema.position.c.consumer == CONSUMER,
            schema.position.c.journal_uuid == journal_uuid,
        )
    )
    return position


def write(connection: Connection, work: Work) -> None:
    """Write all effects of some entries.

    Raises ``JournalError`` when the position is not the one the work follows: another engine
    writes here.
    """
    _move(connection, work)
    _write_alarms(connection, work.transitions)
    for activation in work.activations:
        _write_inventory(connection, activation)
    if work.snapshot is not None:
        write_snapshot(connection, work.snapshot, journal_uuid=work.journal_uuid)


def write_snapshot(connection: Connection, row: SnapshotRow, *, journal_uuid: str) -> None:
    """Keep a snapshot, unless a later one is there."""
    snapshot = schema.snapshot
    held = connection.execute(
        select(snapshot.c.position, snapshot.c.journal_uuid).where(snapshot.c.consumer == CONSUMER)
    ).first()
    if held is not None and held.journal_uuid == journal_uuid and held.position > row.position:
        return
    connection.execute(delete(snapshot).where(snapshot.c.consumer == CONSUMER))
    connection.execute(
        insert(snapshot),
        {
            "consumer": CONSUMER,
            "journal_uuid": journal_uuid,
            "position": row.position,
            "taken_ms": row.taken_ms,
            "content": zlib.compress(row.content, 1),
        },
    )


def _move(connection: Connection, work: Work) -> None:
    position = schema.position
    if work.after is None:
        connection.execute(delete(position).where(position.c.consumer == CONSUMER))
        connection.execute(
            insert(position),
            {
                "consumer": CONSUMER,
                "journal_uuid": work.journal_uuid,
                "position": work.position,
            },
        )
        return
    moved = connection.execute(
        update(position)
        .where(
            position.c.consumer == CONSUMER,
            position.c.journal_uuid == work.journal_uuid,
            position.c.position == work.after,
        )
        .values(position=work.position)
    )
    if moved.rowcount != 1:
        found = read_position(connection, work.journal_uuid)
        raise JournalError(
            f"state database: the alarm engine is at position {found}, expected {work.after}: "
            "another one writes to this database"
        )


def _write_alarms(connection: Connection, transitions: Sequence[Transition]) -> None:
    if not transitions:
        return
    rows: dict[str, dict[str, object]] = {}
    new = set[str]()
    told = []
    for transition in transitions:
        alarm = transition.alarm
        content = msgspec.json.encode(alarm).decode()
        rows[alarm.id] = _row(alarm, content)
        if transition.kind == "raised":
            new.add(alarm.id)
        told.append(
            {
                "id": transition.id,
                "position": transition.position,
                "at_ms": transition.at_ms,
                "kind": transition.kind,
                "actor": transition.actor,
                "text": transition.text,
                "alarm": alarm.id,
                "content": content,
            }
        )
    raised = [row for alarm_id, row in rows.items() if alarm_id in new]
    changed = [{"b_id": row["id"], **row} for alarm_id, row in rows.items() if alarm_id not in new]
    if raised:
        connection.execute(insert(schema.alarm), raised)
    if changed:
        connection.execute(
            update(schema.alarm).where(schema.alarm.c.id == bindparam("b_id")), changed
        )
    connection.execute(insert(schema.transition), told)


def _row(alarm: Alarm, content: str) -> dict[str, object]:
    words = (alarm.asset, alarm.text_vi, alarm.text_en, alarm.object, alarm.external_id)
    return {
        "id": alarm.id,
        "asset": alarm.asset,
        "kind": alarm.kind,
        "source": alarm.source,
        "severity": alarm.severity,
        "state": alarm.state,
        "acknowledged": alarm.acknowledged,
        "suppressed": alarm.suppressed,
        "parent": alarm.parent,
        "raised_ms": alarm.raised_ms,
        "cleared_ms": alarm.cleared_ms,
        "search": fold("\n".join(words)),
        "content": content,
    }


def _write_inventory(connection: Connection, activation: Activation) -> None:
    sites = {site.id: site for site in activation.sites}
    assets = {asset.id: asset for asset in activation.add}
    for chunk in _chunks([*sites, *activation.drop_sites]):
        connection.execute(delete(schema.site).where(schema.site.c.id.in_(chunk)))
    for chunk in _chunks([*assets, *activation.retire]):
        connection.execute(delete(schema.asset).where(schema.asset.c.id.in_(chunk)))
    encode = msgspec.json.encode
    retired = set(activation.retire)
    site_rows = [{"id": site.id, "content": encode(site).decode()} for site in sites.values()]
    asset_rows = [
        {"id": asset.id, "kind": asset.kind, "content": encode(asset).decode()}
        for asset in assets.values()
        if asset.id not in retired
    ]
    if site_rows:
        connection.execute(insert(schema.site), site_rows)
    if asset_rows:
        connection.execute(insert(schema.asset), asset_rows)


def _chunks(ids: Iterable[str]) -> list[list[str]]:
    """A database takes only so many parameters in one statement."""
    every = list(ids)
    return [every[begin : begin + _CHUNK] for begin in range(0, len(every), _CHUNK)]
