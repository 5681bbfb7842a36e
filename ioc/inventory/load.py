"""The inventory in force at a start: what the alarm engine committed, and what came after."""

from __future__ import annotations

from typing import Protocol

import msgspec
from sqlalchemy import Connection, select

from ioc.inventory.model import Asset, Inventory, Site
from ioc.journal.records import Activation, Entry
from ioc.state import schema
from ioc.state.database import State

_ENGINE = "alarms"
_PAGE = 256


class ReadableJournal(Protocol):
    """As much of a journal as is needed here."""

    @property
    def uuid(self) -> str: ...

    async def read(self, *, after: int, limit: int = _PAGE) -> list[Entry]: ...


async def load_inventory(state: State, journal: ReadableJournal) -> Inventory:
    """Build the inventory that ingest, store and web share.

    The state database holds it as of the engine's position; activations that the engine has not
    met yet are taken from the journal, in their order. They were checked before they were
    journalled. Raises ``StateUnavailableError``.
    """
    inventory, position = await state.run(lambda connection: _committed(connection, journal.uuid))
    while entries := await journal.read(after=position, limit=_PAGE):
        for entry in entries:
            if isinstance(entry.record, Activation):
                change = entry.record
                inventory.apply(
                    sites=change.sites,
                    add=change.add,
                    retire=change.retire,
                    drop_sites=change.drop_sites,
                )
        position = entries[-1].position
    return inventory


def _committed(connection: Connection, journal_uuid: str) -> tuple[Inventory, int]:
    """The rows, and the journal position they are true at (0 for a journal never seen)."""
    sites, assets = (
        connection.scalars(select(table.c.content).order_by(table.c.id))
        for table in (schema.site, schema.asset)
    )
    site, asset = msgspec.json.Decoder(Site), msgspec.json.Decoder(Asset)
    inventory = Inventory(map(site.decode, sites), map(asset.decode, assets))
    position = connection.scalar(
        select(schema.position.c.position).where(
            schema.position.c.consumer == _ENGINE,
            schema.position.c.journal_uuid == journal_uuid,
        )
    )
    return inventory, position or 0
