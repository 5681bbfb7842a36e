"""Assets: lists, one asset with its live values, and changes of the inventory."""

from __future__ import annotations

from bisect import bisect_right

import structlog
from aiohttp import web

from ioc.alarms.history import children_counts, recent_of_asset
from ioc.errors import InventoryError
from ioc.inventory import Asset, Site
from ioc.inventory.change import change_inventory
from ioc.text import fold
from ioc.web.api_inventory import changed, check_places, new_asset
from ioc.web.context import Context
from ioc.web.models import (
    AssetDetail,
    AssetPage,
    AssetQuery,
    InventoryChange,
    InventoryChanged,
    NewAsset,
    Nothing,
)
from ioc.web.problems import not_found
from ioc.web.routing import Call, Route

log = structlog.get_logger()

RECENT_ALARMS = 50


async def list_assets(call: Call[AssetQuery, Nothing]) -> AssetPage:
    wish, views, assets = call.query, call.context.views, call.context.inventory.assets
    kinds, states, needle = set(wish.kind), set(wish.state), fold(wish.q.strip())
    fitting = [
        asset_id
        for asset_id in views.ordered()
        if (not kinds or assets[asset_id].kind in kinds)
        and (not states or views.state(asset_id) in states)
        and (wish.commune is None or assets[asset_id].commune == wish.commune)
        and (wish.site is None or wish.site in (assets[asset_id].site, assets[asset_id].far_site))
        and (wish.operator is None or assets[asset_id].operator == wish.operator)
        and (not needle or views.found(assets[asset_id], needle))
    ]
    begin = bisect_right(fitting, wish.after) if wish.after else 0
    page = fitting[begin : begin + wish.limit]
    more = begin + wish.limit < len(fitting)
    return AssetPage.model_construct(
        items=[views.row(assets[asset_id]) for asset_id in page],
        next=page[-1] if more else None,
        total=len(fitting),
    )


async def show_asset(call: Call[Nothing, Nothing]) -> AssetDetail:
    context, asset_id = call.context, call.path("id")
    asset = context.inventory.assets.get(asset_id)
    if asset is None:
        raise not_found(f"There is no asset {asset_id}.")
    views, table = context.views, context.live.table
    recent, children = await context.state.run(
        lambda connection: (
            found := recent_of_asset(connection, asset_id, limit=RECENT_ALARMS),
            children_counts(connection, [alarm.id for alarm in found]),
        )
    )
    active = [alarm for alarm in context.live.alarms.values() if alarm.asset == asset_id]
    active.sort(key=lambda alarm: (-alarm.raised_ms, alarm.id))
    return AssetDetail.model_construct(
        asset=views.asset(asset),
        state=views.state(asset_id),
        last_seen_ms=table.last_seen_ms(asset_id) if table is not None else None,
        values=views.values(asset, now_ms=context.clock.now_ms()),
        alarms=views.alarms(active, views.live_children()),
        recent_alarms=views.alarms(recent, children),
        neighbours=views.neighbours(asset),
    )


async def add_assets(call: Call[Nothing, InventoryChange]) -> web.StreamResponse:
    """Add or replace sites and assets, all or nothing."""
    context, wish = call.context, call.body
    if not wish.sites and not wish.assets:
        raise InventoryError("give sites or assets")
    sites = [Site(**site.model_dump()) for site in wish.sites]
    known = context.inventory.sites | {site.id: site for site in sites}
    assets = [_asset(context, asset, known) for asset in wish.assets]
    check_places(context.plan.province, [*sites, *assets])
    position = await change_inventory(
        context.journal,
        context.inventory,
        catalog=context.catalog,
        actor=call.who.actor,
        clock=context.clock,
        sites=sites,
        add=assets,
    )
    log.info(
        "inventory changed", actor=call.who.actor, sites=len(sites), assets=[a.id for a in assets]
    )
    return await changed(context, position, status=201)


async def retire_asset(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Take an asset out of the inventory; its history stays."""
    context, asset_id = call.context, call.path("id")
    if asset_id not in context.inventory.assets:
        raise not_found(f"There is no asset {asset_id}.")
    position = await change_inventory(
        context.journal,
        context.inventory,
        catalog=context.catalog,
        actor=call.who.actor,
        clock=context.clock,
        retire=[asset_id],
    )
    log.info("asset retired", actor=call.who.actor, asset=asset_id)
    return await changed(context, position, status=200)


def _asset(context: Context, wish: NewAsset, sites: dict[str, Site]) -> Asset:
    site = sites.get(wish.site)
    if site is None:
        raise InventoryError(f"asset {wish.id}: site {wish.site!r}: no such site")
    # Whoever adds an asset by hand has something real; a replaced one keeps who drives it.
    before = context.inventory.assets.get(wish.id)
    simulated = before.simulated if before is not None else False
    return new_asset(context.plan.province, wish, site, simulated=simulated)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/assets",
        handle=list_assets,
        query=AssetQuery,
        body=Nothing,
        answer=AssetPage,
        summary="Assets, in the order of their ids",
        tag="assets",
    ),
    Route(
        method="POST",
        path="/api/v1/assets",
        handle=add_assets,
        query=Nothing,
        body=InventoryChange,
        answer=InventoryChanged,
        status=201,
        summary="Add or replace sites and assets",
        tag="assets",
        role="engineer",
        problems=(415,),
    ),
    Route(
        method="GET",
        path="/api/v1/assets/{id}",
        handle=show_asset,
        query=Nothing,
        body=Nothing,
        answer=AssetDetail,
        summary="One asset with its live values",
        tag="assets",
        problems=(404,),
    ),
    Route(
        method="DELETE",
        path="/api/v1/assets/{id}",
        handle=retire_asset,
        query=Nothing,
        body=Nothing,
        answer=InventoryChanged,
        summary="Retire an asset",
        tag="assets",
        role="engineer",
        problems=(404,),
    ),
)
