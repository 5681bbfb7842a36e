"""An inventory as CSV or GeoJSON files: exactly what ``read_network`` reads back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ioc.errors import ConfigError
from ioc.files import write_whole
from ioc.inventory import columns as c
from ioc.inventory.columns import ATTRIBUTE, SITE, SPAN
from ioc.inventory.imported import usual_place
from ioc.inventory.model import Asset, Site
from ioc.inventory.tables import SUFFIXES

Values = dict[str, object]


def export_network(
    path: Path, *, sites: Sequence[Site], assets: Sequence[Asset]
) -> list[tuple[Path, int]]:
    """Write ``NAME.csv`` or ``NAME.geojson``, or, into a folder, a CSV file for each kind.

    Each file is written in one step. Returns the files with their numbers of rows. Raises
    ``ConfigError`` for a name that says none of these, ``OSError``.
    """
    places = {site.id: site for site in sites}
    if path.suffix.lower() == ".csv":
        rows = [(SITE, _site(site)) for site in sites]
        rows += [(asset.kind, _asset(asset, places)) for asset in assets]
        write_whole(path, _csv([{"kind": kind, **values} for kind, values in rows]))
        return [(path, len(rows))]
    if path.suffix.lower() == ".geojson":
        features = [_site_feature(site) for site in sites]
        features += [_asset_feature(asset, places) for asset in assets]
        write_whole(path, _geojson(features))
        return [(path, len(features))]
    if path.suffix:
        raise ConfigError(f"{path}: expected NAME.csv, NAME.geojson, NAME.json or a folder")
    path.mkdir(exist_ok=True)
    by_kind: dict[str, list[Values]] = {SITE: [_site(site) for site in sites]}
    for asset in assets:
        by_kind.setdefault(asset.kind, []).append(_asset(asset, places))
    for other in sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES):
        if other.suffix != ".csv" or other.stem not in by_kind:
            raise ConfigError(f"{other} is not of this inventory; name another folder")
    written = []
    for kind in sorted(by_kind):
        file = path / f"{kind}.csv"
        write_whole(file, _csv(by_kind[kind]))
        written.append((file, len(by_kind[kind])))
    return written


def _site(site: Site) -> Values:
    return {
        "id": site.id,
        "name": site.name,
        "commune": site.commune,
        "lat": site.lat,
        "lon": site.lon,
        **({"core": True} if site.core else {}),
    }


def _asset(asset: Asset, sites: Mapping[str, Site], *, place: bool = True) -> Values:
    values: Values = {"id": asset.id, "name": asset.name, "commune": asset.commune}
    if place or (asset.lat, asset.lon) != _usual(asset, sites):
        values |= {"lat": asset.lat, "lon": asset.lon}
    values["site"] = asset.site
    if asset.kind == SPAN:
        values |= {"far_site": asset.far_site, "length_km": asset.length_km}
    if asset.operator:
        values["operator"] = asset.operator
    if asset.population:
        values["population"] = asset.population
    if asset.depends_on:
        values["depends_on"] = " ".join(asset.depends_on)
    if asset.simulated:
        values["simulated"] = True
    if asset.synthetic:
        values["synthetic"] = True
    return values | {f"{ATTRIBUTE}{name}": value for name, value in asset.attributes.items()}


def _usual(asset: Asset, sites: Mapping[str, Site]) -> tuple[float, float] | None:
    site, far = sites.get(asset.site), sites.get(asset.far_site)
    return usual_place(site, far) if site is not None else None


# CSV


def _csv(rows: Sequence[Values]) -> bytes:
    """With a byte-order mark, by which a spreadsheet knows that the text is UTF-8."""
    there = {name for row in rows for name in row}
    attributes = sorted(name for name in there if name.startswith(ATTRIBUTE))
    names = [name for name in c.NAMES if name in there or name == "id"] + attributes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows(
        [_cell(name, row[name]) if name in row else "" for name in names] for row in rows
    )
    return text.getvalue().encode("utf-8-sig")


def _cell(name: str, value: object) -> str:
    if name.startswith(ATTRIBUTE):
        assert isinstance(value, str | int | float | bool)
        return c.write_attribute(value)
    if isinstance(value, bool):
        return c.write_flag(value)
    return c.write_number(value) if isinstance(value, float) else str(value)


# GeoJSON


def _geojson(features: Iterable[Values]) -> bytes:
    """One feature to a line, so that two versions can be compared line by line."""
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in features)
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'.encode()


def _feature(kind: str, values: Values, geometry: Values | None) -> Values:
    properties = {"kind": kind, **values}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _site_feature(site: Site) -> Values:
    values = _site(site)
    del values["lat"], values["lon"]
    return _feature(SITE, values, _point(site))


def _asset_feature(asset: Asset, sites: Mapping[str, Site]) -> Values:
    if asset.kind != SPAN:
        values = _asset(asset, sites)
        del values["lat"], values["lon"]
        return _feature(asset.kind, values, _point(asset))
    ends = [sites[end] for end in (asset.site, asset.far_site) if end in sites]
    line: Values | None = None
    if len(ends) == 2:
        line = {"type": "LineString", "coordinates": [[end.lon, end.lat] for end in ends]}
    return _feature(SPAN, _asset(asset, sites, place=False), line)


def _point(place: Site | Asset) -> Values:
    return {"type": "Point", "coordinates": [place.lon, place.lat]}
