"""Where things are, as far as a province's profile can tell."""

from __future__ import annotations

import math

from ioc.inventory.province import Province

KM_PER_DEGREE = 111.2


def distance_km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Along the surface, good to half a percent over a province."""
    narrow = math.cos(math.radians((lat + other_lat) / 2))
    return KM_PER_DEGREE * math.hypot(lat - other_lat, (lon - other_lon) * narrow)


def within(province: Province, lat: float, lon: float) -> bool:
    """Whether the province's map can show this place: in its box or in one of its insets."""
    boxes = [province.bbox, *(inset.box for inset in province.insets)]
    return any(box.contains(lat, lon) for box in boxes)


def extent(province: Province) -> str:
    """The province's box in words."""
    box = province.bbox
    return (
        f"{province.name.en} (lat {box.south:g} to {box.north:g}, lon {box.west:g} to {box.east:g})"
    )
