"""A real network out of CSV and GeoJSON files: every row is checked, then all is taken or nothing.

``read_network`` gives sites and assets, or raises with every fault there is: what a cell holds,
what the rows say of each other (the site of an asset, the ends of a span), and what they say of the
province (communes, extent) and of the inventory in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ioc.catalog.model import Catalog
from ioc.errors import FileError
from ioc.inventory import columns as c
from ioc.inventory.columns import ATTRIBUTE, SITE, SPAN, Cell, CellError
from ioc.inventory.model import OWN_ID, Asset, Attribute, Site
from ioc.inventory.places import distance_km, extent, within
from ioc.inventory.province import Province
from ioc.inventory.tables import Faults, Row, read_rows
from ioc.text import fold

# A cable is not shorter than the straight line (less rounding), and not many times longer.
SHORTER = 0.98
LONGER = 5.0
ROUNDING_KM = 2.0
# An asset stands on its site; a drawn line begins and ends at its sites.
AWAY_KM = 1.0
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the files hold, in their order."""

    sites: list[Site]
    assets: list[Asset]


def read_network(
    paths: Sequence[Path],
    *,
    province: Province,
    catalog: Catalog,
    sites: Iterable[Site] = (),
    assets: Iterable[Asset] = (),
    whole: bool = False,
) -> Network:
    """Sites and assets of CSV and GeoJSON files (or folders of them), checked.

    ``sites`` and ``assets`` are those in force, which the rows may name; not so where the files are
    the ``whole`` inventory. Raises ``FileError`` with all faults, one to a line, each naming file,
    row, column, value and what was expected.
    """
    faults = Faults()
    rows = read_rows(paths, faults)
    reader = _Reader(province, catalog, faults, sites=sites, assets=assets, whole=whole)
    network = reader.read(rows)
    if not rows and not faults.found:
        raise FileError([f"{', '.join(map(str, paths))}: no site and no asset in it"])
    faults.check()
    return network


class _Reader:
    """One import: first the sites, then the assets, then what assets say of each other."""

    def __init__(
        self,
        province: Province,
        catalog: Catalog,
        faults: Faults,
        *,
        sites: Iterable[Site],
        assets: Iterable[Asset],
        whole: bool,
    ) -> None:
        self._province = province
        self._communes = {unit.code: unit for unit in province.communes}
        self._by_name = {fold(unit.name): unit.code for unit in province.communes}
        self._by_name |= {fold(unit.short_name): unit.code for unit in province.communes}
        self._kinds = sorted(name for name, kind in catalog.kinds.items() if not kind.own)
        self._faults = faults
        self._sites = {} if whole else {site.id: site for site in sites}
        self._whole = whole
        self._known = {asset.id: asset for asset in assets}
        self._given: set[str] = set()

    def read(self, rows: Sequence[Row]) -> Network:
        split = [(row, self._kind(row)) for row in rows]
        # A site whose own row is wrong is not a fault of the rows that name it.
        self._given = {str(row.cells.get("id", "")).strip() for row, kind in split if kind == SITE}
        self._repeats(split)
        sites = [
            site for row, kind in split if kind == SITE and (site := self._site(row)) is not None
        ]
        self._sites |= {site.id: site for site in sites}
        found = [
            (row, asset)
            for row, kind in split
            if kind not in ("", SITE) and (asset := self._asset(row, kind)) is not None
        ]
        there = {str(row.cells.get("id", "")).strip() for row, kind in split if kind != SITE}
        for row, asset in found:
            self._depends_on(row, asset, there)
        return Network(sites=sites, assets=[asset for _, asset in found])

    # Rows

    def _kind(self, row: Row) -> str:
        """The row's kind; "" when it is none, which is then said."""
        cell = row.cells.get("kind")
        kind = cell.strip() if isinstance(cell, str) else ""
        if kind == SITE or kind in self._kinds:
            return kind
        self._faults.cell(row, "kind", f"expected {SITE}, {', '.join(self._kinds)}")
        return ""

    def _repeats(self, split: Sequence[tuple[Row, str]]) -> None:
        first: dict[tuple[bool, str], Row] = {}
        for row, kind in split:
            id_ = str(row.cells.get("id", "")).strip()
            before = first.setdefault((kind == SITE, id_), row)
            if id_ and before is not row:
                self._faults.cell(row, "id", f"is already {before.place}; expected each id once")

    def _site(self, row: Row) -> Site | None:
        cells = _Cells(row, SITE, self._faults)
        lat, lon = self._place(cells)
        values: dict[str, Any] = {
            "id": cells.needed("id", c.read_id),
            "name": cells.needed("name", c.read_name),
            "commune": self._commune(cells),
            "lat": lat,
            "lon": lon,
            "core": cells.get("core", c.read_flag, default=False),
        }
        for column in ("commune", "lat", "lon"):
            if column not in row.cells and (column == "commune" or not row.line):
                unit = "" if column == "commune" else " in degrees"
                cells.fault(column, f"expected a value{unit}")
        if values["id"] == OWN_ID:
            cells.fault("id", "is the service itself; expected another id")
        return None if cells.wrong else Site(**values)

    def _asset(self, row: Row, kind: str) -> Asset | None:
        cells = _Cells(row, kind, self._faults)
        id_ = cells.needed("id", c.read_id)
        site = self._named_site(cells, "site")
        far = self._named_site(cells, "far_site") if kind == SPAN else None
        lat, lon = self._place(cells, line=kind == SPAN)
        commune = self._commune(cells)
        known = self._known.get(id_ or "")
        if known is not None and known.kind != kind:
            cells.fault("kind", f"{id_} is a {known.kind}; expected that, or retire it first")
        if id_ == OWN_ID:
            cells.fault("id", "is the service itself; expected another id")
        values: dict[str, Any] = {
            "id": id_,
            "kind": kind,
            "name": cells.needed("name", c.read_name),
            "operator": cells.get("operator", lambda x: c.read_text(x, most=c.MAX_OPERATOR), ""),
            "population": cells.get(
                "population", lambda x: c.read_whole(x, high=c.MAX_POPULATION, unit="people"), 0
            ),
            "depends_on": cells.get("depends_on", c.read_ids, ()),
            "simulated": cells.get("simulated", c.read_flag, default=False),
            "synthetic": cells.get("synthetic", c.read_flag, default=False),
            "attributes": self._attributes(cells),
        }
        if kind == SPAN:
            values["length_km"] = cells.needed(
                "length_km",
                lambda x: c.read_number(x, low=0, high=c.MAX_LENGTH_KM, unit="kilometres"),
            )
        if site is not None and far is not None:
            self._span(cells, site, far, values["length_km"])
        if cells.wrong or site is None or (kind == SPAN and far is None):
            return None
        if lat is None or lon is None:
            lat, lon = usual_place(site, far)
        elif kind != SPAN and distance_km(lat, lon, site.lat, site.lon) > AWAY_KM:
            away = distance_km(lat, lon, site.lat, site.lon)
            cells.fault(
                "lat" if "lat" in row.cells else "site",
                f"{lat:g}, {lon:g} is {away:.1f} km from site {site.id}; expected it within "
                f"{AWAY_KM:g} km, or no place of its own",
            )
            return None
        return Asset(
            province=self._province.id,
            commune=commune or site.commune,
            site=site.id,
            far_site=far.id if far is not None else "",
            lat=lat,
            lon=lon,
            **values,
        )

    # Columns

    def _named_site(self, cells: _Cells, column: str) -> Site | None:
        id_ = cells.needed(column, c.read_id)
        if id_ is None or id_ in self._sites:
            return self._sites.get(id_ or "")
        if id_ in self._given:
            cells.wrong = True  # said of its own row
        else:
            cells.fault(column, "no such site; expected the id of a row of kind site")
        return None

    def _commune(self, cells: _Cells) -> str | None:
        text = cells.get("commune", lambda x: c.read_text(x, most=c.MAX_NAME))
        if text is None or text in self._communes:
            return text
        code = f"{text:0>5}"
        if text.isdecimal() and code in self._communes:
            return code  # a spreadsheet took the zeros in front
        meant = self._by_name.get(fold(text))
        expected = f"expected the official code of a commune of {self._province.name.en}"
        cells.fault(
            "commune",
            f"{expected}: {meant} for {self._communes[meant].name}"
            if meant
            else f"{expected}, like {self._province.communes[0].code}",
        )
        return None

    def _place(self, cells: _Cells, *, line: bool = False) -> tuple[float | None, float | None]:
        """Latitude and longitude of a row, checked against the province; None when it has none."""
        row = cells.row
        lat = cells.get("lat", lambda x: c.read_number(x, low=-180, high=180, unit="degrees"))
        lon = cells.get("lon", lambda x: c.read_number(x, low=-180, high=180, unit="degrees"))
        if row.line:
            if line != (len(row.line) == 2):
                what = "a LineString from site to far_site" if line else "a Point"
                cells.fault("geometry", f"expected {what}, or no geometry")
                return None, None
            if not line:
                if (lat, lon) not in ((None, None), (row.line[0][1], row.line[0][0])):
                    cells.fault("lat", "differs from the geometry; expected one of them only")
                    return None, None
                lon, lat = row.line[0]
        if lat is None or lon is None:
            if (lat is None) is not (lon is None) and cells.may_lack_place and not cells.wrong:
                cells.fault("lat" if lat is None else "lon", "expected lat and lon together")
            return None, None
        if within(self._province, lat, lon):
            return lat, lon
        column = "geometry" if row.line and not line else "lat"
        if within(self._province, lon, lat):
            expected = f"lat {lat:g}, lon {lon:g} seem to be swapped; expected lat {lon:g}"
        else:
            expected = f"lat {lat:g}, lon {lon:g}: expected a place in {extent(self._province)}"
        cells.fault(column, expected)
        return None, None

    def _span(self, cells: _Cells, site: Site, far: Site, length_km: float | None) -> None:
        if site.id == far.id:
            cells.fault("far_site", "a span joins two sites; expected another one than site")
            return
        straight_km = distance_km(site.lat, site.lon, far.lat, far.lon)
        if length_km is not None:
            least, most = straight_km * SHORTER, straight_km * LONGER + ROUNDING_KM
            if not (least - 0.01 <= length_km <= most and length_km > 0):
                metres = "; this looks like metres" if least <= length_km / 1000 <= most else ""
                cells.fault(
                    "length_km",
                    f"{site.id} and {far.id} are {straight_km:.2f} km apart; expected from "
                    f"{max(least, 0.01):.2f} to {most:.2f} km of cable{metres}",
                )
        for end, (lon, lat), column in zip(
            (site, far), cells.row.line[:2], ("site", "far_site"), strict=False
        ):
            away_km = distance_km(lat, lon, end.lat, end.lon)
            if away_km > AWAY_KM:
                turned = distance_km(lat, lon, far.lat, far.lon) <= AWAY_KM and end is site
                cells.fault(
                    column,
                    f"the line ends {away_km:.1f} km from it; expected within {AWAY_KM:g} km"
                    + (" (site and far_site seem to be swapped)" if turned else ""),
                )
                return

    def _attributes(self, cells: _Cells) -> dict[str, Attribute]:
        names = sorted(name for name in cells.row.cells if name.startswith(ATTRIBUTE))
        if len(names) > c.MAX_ATTRIBUTES:
            cells.fault(names[-1], f"expected at most {c.MAX_ATTRIBUTES} attributes")
        read = c.read_attribute if cells.row.map_form else c.read_attribute_text
        found = {name.removeprefix(ATTRIBUTE): cells.get(name, read) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def _depends_on(self, row: Row, asset: Asset, there: set[str]) -> None:
        for other in asset.depends_on:
            if other == asset.id:
                self._faults.cell(row, "depends_on", "expected another asset than itself")
            elif other not in there and (self._whole or other not in self._known):
                self._faults.cell(
                    row, "depends_on", f"{other}: no such asset; expected the id of one"
                )


class _Cells:
    """The cells of one row; ``wrong`` once one of them was."""

    def __init__(self, row: Row, kind: str, faults: Faults) -> None:
        self.row, self._faults = row, faults
        self.wrong = False
        self._form = c.row_form(kind)
        self.may_lack_place = self._form != "site"
        for column in c.COLUMNS:
            if column.name in row.cells and self._form not in column.rows:
                self.fault(column.name, f"expected empty: a {kind} has no {column.name}")
        if self._form == "site":
            for name in row.cells:
                if name.startswith(ATTRIBUTE):
                    self.fault(name, "expected empty: a site has no attributes")

    def fault(self, column: str, expected: str) -> None:
        self.wrong = True
        self._faults.cell(self.row, column, expected)

    def get(self, column: str, read: Callable[[Cell], _T], default: _T | None = None) -> _T | None:
        """The cell's value; ``default`` when it is empty, None when it is wrong."""
        if column not in self.row.cells:
            return default
        try:
            return read(self.row.cells[column])
        except CellError as error:
            self.fault(column, str(error))
            return None

    def needed(self, column: str, read: Callable[[Cell], _T]) -> _T | None:
        if column not in self.row.cells:
            self.fault(column, "expected a value")
            return None
        return self.get(column, read)


def usual_place(site: Site, far: Site | None) -> tuple[float, float]:
    """Where an asset is that has no place of its own: on its site, or half way to the far one."""
    if far is None:
        return site.lat, site.lon
    return round((site.lat + far.lat) / 2, 5), round((site.lon + far.lon) / 2, 5)


def notes(
    network: Network, *, sites: Iterable[Site], assets: Iterable[Asset], whole: bool
) -> list[str]:
    """What is no fault but will surprise: sites that no core site reaches over spans are never said
    to be cut off, so their stations' silence finds no cause."""
    sites_then = {site.id: site for site in [*([] if whole else sites), *network.sites]}
    assets_then = {asset.id: asset for asset in [*([] if whole else assets), *network.assets]}
    ways: dict[str, list[str]] = {}
    for asset in assets_then.values():
        if asset.far_site:
            ways.setdefault(asset.site, []).append(asset.far_site)
            ways.setdefault(asset.far_site, []).append(asset.site)
    reached = {site.id for site in sites_then.values() if site.core}
    waiting = list(reached)
    while waiting:
        for far in ways.get(waiting.pop(), ()):
            if far not in reached:
                reached.add(far)
                waiting.append(far)
    alone = sorted(id_ for id_ in sites_then if id_ not in reached and id_ != OWN_ID)
    if not alone:
        return []
    if not any(site.core for site in sites_then.values()):
        return ["no site is core: mark the sites that the network hangs on with core = true"]
    some = ", ".join(alone[:5]) + (", …" if len(alone) > 5 else "")
    return [f"{len(alone)} sites reach no core site over spans: {some}"]
