"""The catalog and the map: large answers that change seldom, made once and kept compressed."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ioc.inventory.model import OWN_ID
from ioc.web.context import Context
from ioc.web.documents import send_document
from ioc.web.models import CatalogView, DomainView, MapView, Nothing
from ioc.web.routing import Call, Route
from ioc.web.views import kind_view

# The kind whose sites are data centres on the map.
DATA_CENTER_KIND = "dc_site"


async def show_catalog(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    context = call.context
    return await send_document(
        call, "catalog", version=context.catalog.version, make=lambda: _catalog(context)
    )


async def show_map(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    context = call.context
    return await send_document(
        call, "map", version=context.inventory.version, make=lambda: _map(context)
    )


def _catalog(context: Context) -> bytes:
    catalog = context.catalog
    view = CatalogView(
        version=catalog.version,
        domains={
            name: DomainView(title=domain.title, kinds=list(domain.kinds))
            for name, domain in catalog.domains.items()
        },
        kinds={
            name: kind_view(catalog.domain_of[name], kind) for name, kind in catalog.kinds.items()
        },
    )
    return view.model_dump_json().encode()


def _map(context: Context) -> bytes:
    inventory, province = context.inventory, context.plan.province
    # The service itself is nowhere in the network: it is not on the map.
    own = {name for name, kind in context.catalog.kinds.items() if kind.own}
    sites = sorted(
        (site for site in inventory.sites.values() if site.id != OWN_ID), key=lambda site: site.id
    )
    index = {site.id: number for number, site in enumerate(sites)}
    everything = (inventory.assets[asset_id] for asset_id in context.views.ordered())
    assets = [asset for asset in everything if asset.kind not in own]
    centers = {asset.site for asset in assets if asset.kind == DATA_CENTER_KIND}
    return msgspec.json.encode(
        {
            "inventory_version": context.inventory_version,
            "bbox": province.bbox.bounds,
            "communes": [
                {
                    "code": commune.code,
                    "name": commune.name,
                    "lat": commune.lat,
                    "lon": commune.lon,
                    "population": commune.population,
                }
                for commune in province.communes
            ],
            "sites": [
                {
                    "id": site.id,
                    "name": site.name,
                    "commune": site.commune,
                    "lat": round(site.lat, 5),
                    "lon": round(site.lon, 5),
                    "core": site.core,
                    "data_center": site.id in centers,
                }
                for site in sites
            ],
            "assets": [
                (asset.id, asset.kind, index.get(asset.site, -1), asset.operator)
                for asset in assets
                if not asset.far_site
            ],
            "spans": [
                (asset.id, index.get(asset.site, -1), index.get(asset.far_site, -1))
                for asset in assets
                if asset.far_site
            ],
        }
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/catalog",
        handle=show_catalog,
        query=Nothing,
        body=Nothing,
        answer=CatalogView,
        other=(304,),
        summary="What can be measured, and when it is an alarm",
        tag="catalog",
    ),
    Route(
        method="GET",
        path="/api/v1/map",
        handle=show_map,
        query=Nothing,
        body=Nothing,
        answer=MapView,
        other=(304,),
        summary="Where everything is",
        tag="assets",
    ),
)
