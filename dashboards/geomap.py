"""The map panel: what stands where, by state. It needs no tile server: an operations centre may
have no internet. The province's outline comes with the board, drawn from the province's file.
"""

from __future__ import annotations

import json
import math
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import common, geomap
from grafana_foundation_sdk.models import dashboard as model

from dashboards.ask import SOURCE, Target
from dashboards.layout import PANEL_FRAME_PX, ROW_PX
from dashboards.looks import Look, field_config, override
from dashboards.setting import Setting

# One transparent pixel in place of each tile: Grafana has no "no basemap".
_NO_TILE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)
_LAND, _LAND_LINE = "#5f6d77", 1


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One frame of the map. ``colour`` and ``size`` name columns; ``sizes`` are the radii in pixels
    for the least and the greatest value of the look of ``size``."""

    name: str
    target: Target
    colour: str
    size: str = ""
    sizes: tuple[int, int] = (3, 3)
    symbol: str = "circle"
    opacity: float = 0.9


def world(
    on: Setting,
    *,
    title: str,
    description: str,
    layers: Sequence[Layer],
    columns: Mapping[str, Look],
    height: int,
) -> model.Panel:
    """A map of the province. ``columns`` are how the frames' columns look, in the tooltip too.
    ``height`` is the panel's in rows of the grid: the mainland fills it."""
    box = on.province.bbox
    options = {
        "basemap": _basemap(on),
        "controls": geomap.ControlsOptions(
            show_zoom=True, mouse_wheel_zoom=True, show_attribution=bool(on.map_tiles)
        ),
        "layers": [_outline(on), *(_layer(place, layer) for place, layer in enumerate(layers))],
        "tooltip": geomap.TooltipOptions(mode=geomap.TooltipMode.DETAILS),
        "view": {
            "allLayers": False,
            "id": "coords",
            "lat": round((box.south + box.north) / 2, 3),
            "lon": round((box.west + box.east) / 2, 3),
            "zoom": _zoom(on, height),
        },
    }
    panel = builder.Panel().type("geomap").options(options).build()
    panel.title = title
    panel.description = description
    panel.datasource = SOURCE
    panel.field_config = model.FieldConfigSource(
        defaults=field_config(Look()),
        overrides=[override(name, look) for name, look in columns.items()],
    )
    panel.targets = [
        replace(layer.target, ref_id=_ref(place)).build() for place, layer in enumerate(layers)
    ]
    return panel


def _zoom(on: Setting, height: int) -> float:
    """The zoom at which the province is as high as the panel. At zoom 0 the world is 256 pixels
    wide; latitudes near the equator are taken as evenly spaced."""
    box = on.province.bbox
    pixels = height * ROW_PX - PANEL_FRAME_PX
    degrees = (box.north - box.south) * 1.02 / math.cos(math.radians((box.north + box.south) / 2))
    return round(math.log2(pixels / degrees * 360 / 256), 2)


def _ref(place: int) -> str:
    return chr(ord("A") + place)


def _basemap(on: Setting) -> common.MapLayerOptions:
    return common.MapLayerOptions(
        type_val="xyz",
        name=on.say(vi="Nền", en="Background"),
        config={"url": on.map_tiles or _NO_TILE, "attribution": ""},
    )


def _outline(on: Setting) -> common.MapLayerOptions:
    """The mainland, from the province's file, as GeoJSON within the board itself."""
    ring = [[round(lon, 3), round(lat, 3)] for lon, lat in on.province.outline]
    shape = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {},
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            }
        ],
    }
    text = urllib.parse.quote(json.dumps(shape, separators=(",", ":")), safe="")
    style = {"color": {"fixed": _LAND}, "lineWidth": _LAND_LINE, "opacity": 0.15}
    return common.MapLayerOptions(
        type_val="geojson",
        name=on.say(vi="Đất liền", en="Mainland"),
        config={"src": f"data:application/geo+json,{text}", "rules": [], "style": style},
        tooltip=False,
    )


def _layer(place: int, layer: Layer) -> common.MapLayerOptions:
    least, greatest = layer.sizes
    size: dict[str, object] = {"fixed": least, "min": least, "max": greatest}
    if layer.size:
        size["field"] = layer.size
    return common.MapLayerOptions(
        type_val="markers",
        name=layer.name,
        config={
            "showLegend": False,
            "style": {
                "color": {"field": layer.colour, "fixed": "text"},
                "opacity": layer.opacity,
                "size": size,
                "symbol": {"fixed": f"img/icons/marker/{layer.symbol}.svg", "mode": "fixed"},
            },
        },
        location=common.FrameGeometrySource(
            mode=common.FrameGeometrySourceMode.COORDS, latitude="lat", longitude="lon"
        ),
        filter_data={"id": "byRefId", "options": _ref(place)},
        tooltip=True,
    )
