"""The inventory as a whole: handed out, and changed in one step however large the change is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog
from aiohttp import web

from ioc.errors import InventoryError
from ioc.inventory import Asset, Site
from ioc.inventory.change import change_inventory
from ioc.inventory.places import extent, within
from ioc.inventory.province import Province
from ioc.web.context import Context
from ioc.web.models import (
    InventoryChanged,
    InventoryExport,
    InventoryImport,
    NewAsset,
    Nothing,
)
from ioc.web.routing import Call, Route, json_response

log = structlog.get_logger()

IN_FORCE_WITHIN_S = 2.0
# A whole province of 10,200 stations takes about 8 MiB.
MAX_IMPORT_BYTES = 64 * 1024 * 1024


async def export_inventory(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """The whole inventory, in the form of an inventory file."""
    inventory = call.context.inventory
    body = msgspec.json.encode(
        {
            "province": call.context.plan.province.id,
            "sites": sorted(inventory.sites.values(), key=lambda site: site.id),
            "assets": [inventory.assets[asset_id] for asset_id in call.context.views.ordered()],
        }
    )
    return json_response(body)


async def import_inventory(call: Call[Nothing, InventoryImport]) -> web.StreamResponse:
    """Put, retire and drop in one step: all or nothing."""
    context, wish = call.context, call.body
    if not (wish.sites or wish.assets or wish.retire or wish.drop_sites):
        raise InventoryError("give sites, assets, retire or drop_sites")
    sites = [Site(**site.model_dump()) for site in wish.sites]
    known = context.inventory.sites | {site.id: site for site in sites}
    if missing := [
        f"asset {asset.id}: site {asset.site!r}: no such site"
        for asset in wish.assets
        if asset.site not in known
    ]:
        raise InventoryError("\n".join(missing))
    assets = [
        new_asset(context.plan.province, asset, known[asset.site], simulated=asset.simulated)
        for asset in wish.assets
    ]
    check_places(context.plan.province, [*sites, *assets])
    position = await change_inventory(
        context.journal,
        context.inventory,
        catalog=context.catalog,
        actor=call.who.actor,
        clock=context.clock,
        sites=sites,
        add=assets,
        retire=wish.retire,
        drop_sites=wish.drop_sites,
    )
    log.info(
        "inventory imported",
        actor=call.who.actor,
        sites=len(sites),
        assets=len(assets),
        retired=len(wish.retire),
        dropped_sites=len(wish.drop_sites),
    )
    return await changed(context, position, status=201)


def new_asset(province: Province, wish: NewAsset, site: Site, *, simulated: bool) -> Asset:
    """An asset as it was wished for; what was left out is its site's."""
    return Asset(
        id=wish.id,
        kind=wish.kind,
        name=wish.name,
        province=province.id,
        commune=wish.commune or site.commune,
        site=wish.site,
        lat=site.lat if wish.lat is None else wish.lat,
        lon=site.lon if wish.lon is None else wish.lon,
        operator=wish.operator,
        far_site=wish.far_site or "",
        depends_on=wish.depends_on,
        population=wish.population,
        length_km=wish.length_km,
        simulated=simulated,
        synthetic=wish.synthetic,
        attributes=dict(wish.attributes),
    )


def check_places(province: Province, places: Sequence[Site | Asset]) -> None:
    """Raise ``InventoryError`` for what the map of this province could not show."""
    faults = [
        f"{place.id}: lat {place.lat:g}, lon {place.lon:g}: outside of {extent(province)}"
        for place in places
        if not within(province, place.lat, place.lon)
    ]
    if faults:
        raise InventoryError("\n".join(faults))


async def changed(context: Context, position: int, *, status: int) -> web.StreamResponse:
    """The answer to a change, after a short wait for the alarm engine."""
    in_force = await context.reached(position, within_s=IN_FORCE_WITHIN_S)
    answer = InventoryChanged(
        position=position, inventory_version=context.inventory_version, in_force=in_force
    )
    return json_response(answer.model_dump_json().encode(), status=status)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/inventory",
        handle=export_inventory,
        query=Nothing,
        body=Nothing,
        answer=InventoryExport,
        summary="The whole inventory",
        tag="assets",
    ),
    Route(
        method="POST",
        path="/api/v1/inventory",
        handle=import_inventory,
        query=Nothing,
        body=InventoryImport,
        answer=InventoryChanged,
        status=201,
        summary="Put, retire and drop sites and assets in one step",
        tag="assets",
        role="engineer",
        problems=(415,),
        max_body_bytes=MAX_IMPORT_BYTES,
    ),
)
