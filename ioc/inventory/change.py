"""One way to change the inventory: checked, journalled, then in force."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ioc.catalog.model import Catalog
from ioc.clock import Clock
from ioc.inventory.file import read_inventory
from ioc.inventory.model import OWN_ID, Asset, Inventory, Site
from ioc.journal.records import Activation, Record


class WritableJournal(Protocol):
    """As much of a journal as is needed here."""

    async def append(self, *records: Record) -> int: ...


async def change_inventory(
    journal: WritableJournal,
    inventory: Inventory,
    *,
    catalog: Catalog,
    actor: str,
    clock: Clock,
    sites: Sequence[Site] = (),
    add: Sequence[Asset] = (),
    retire: Sequence[str] = (),
    drop_sites: Sequence[str] = (),
) -> int:
    """Add or replace sites and assets, retire others and drop empty sites, all or nothing.

    Returns the journal position of the activation: the alarm engine judges the new assets from
    there on (``Live.reached`` waits for it). The change is on disk before it takes force here.
    Changes are made one after the other, so that each is checked against the one before it.

    Raises ``InventoryError`` naming every fault, with nothing changed, and ``JournalFullError``.
    """
    async with inventory.changing:
        inventory.check(
            kinds=catalog.kinds,
            own_kinds={name for name, kind in catalog.kinds.items() if kind.own},
            sites=sites,
            add=add,
            retire=retire,
            drop_sites=drop_sites,
        )
        position = await journal.append(
            Activation(
                now_ms=clock.now_ms(),
                actor=actor,
                sites=list(sites),
                add=list(add),
                retire=list(retire),
                catalog_version=catalog.version,
                drop_sites=list(drop_sites),
            )
        )
        inventory.apply(sites=sites, add=add, retire=retire, drop_sites=drop_sites)
    return position


async def activate(
    journal: WritableJournal,
    inventory: Inventory,
    catalog: Catalog,
    *,
    file: Path | None,
    clock: Clock,
) -> int:
    """Fill an inventory that is still empty from an inventory file, as one change.

    Returns how many assets came in. An inventory that holds anything but the service itself is left
    as it is: from its first start on, what people added or retired counts, not the file. Raises
    ``FileError``, ``InventoryError`` and ``JournalFullError``.
    """
    if file is None or (inventory.sites.keys() | inventory.assets.keys()) - {OWN_ID}:
        return 0
    content = await asyncio.to_thread(read_inventory, file)
    await change_inventory(
        journal,
        inventory,
        catalog=catalog,
        actor="inventory-file",
        clock=clock,
        sites=content.sites,
        add=content.assets,
    )
    return len(content.assets)
