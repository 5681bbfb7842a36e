"""The service itself in the inventory: asset ``IOC`` on a site ``IOC``, so that what it measures of
itself is a measurement like any other, and its troubles are alarms like any other."""

from __future__ import annotations

from ioc.catalog.model import Catalog
from ioc.clock import Clock
from ioc.errors import InventoryError
from ioc.inventory.change import WritableJournal, change_inventory
from ioc.inventory.model import OWN_ID, Asset, Inventory, Site
from ioc.inventory.province import Province

OWN_KIND = "ioc"
NAME = "IOC"


async def ensure_own(
    journal: WritableJournal,
    inventory: Inventory,
    *,
    province: Province,
    catalog: Catalog,
    clock: Clock,
) -> bool:
    """Add site and asset of the service where they are missing; whether the asset is there.

    The site stands where the province's primary data centre does, but is a site of its own: what
    happens to the data centre is not the service's doing. An asset of another kind that has taken
    the id is left alone. Raises ``JournalFullError``.
    """
    known = inventory.assets.get(OWN_ID)
    if known is not None and known.kind == OWN_KIND:
        return True
    center = next(
        (center for center in province.data_centers if center.role == "primary"),
        province.data_centers[0],
    )
    site = inventory.sites.get(OWN_ID) or Site(
        id=OWN_ID, name=NAME, commune=center.commune, lat=center.lat, lon=center.lon
    )
    asset = Asset(
        id=OWN_ID,
        kind=OWN_KIND,
        name=NAME,
        province=province.id,
        commune=site.commune,
        site=site.id,
        lat=site.lat,
        lon=site.lon,
    )
    try:
        await change_inventory(
            journal,
            inventory,
            catalog=catalog,
            actor="ioc",
            clock=clock,
            sites=[] if site.id in inventory.sites else [site],
            add=[asset],
        )
    except InventoryError:
        return False
    return True
