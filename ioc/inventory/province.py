"""The profile of a province: places, counts and the plan's targets, from ``provinces/*.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ioc.errors import ConfigError
from ioc.files import read_yaml
from ioc.inventory.targets import Source, Target
from ioc.resources import provinces_folder
from ioc.text import Text

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Point = tuple[Longitude, Latitude]
Ring = Annotated[tuple[Point, ...], Field(min_length=3)]
Percent = Annotated[float, Field(ge=0, le=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(_Strict):
    """A part of the map, in degrees (WGS 84)."""

    west: Longitude
    south: Latitude
    east: Longitude
    north: Latitude

    @model_validator(mode="after")
    def _open(self) -> Self:
        if self.west >= self.east or self.south >= self.north:
            raise ValueError("west must be below east, and south below north")
        return self

    def contains(self, lat: float, lon: float) -> bool:
        return self.west <= lon <= self.east and self.south <= lat <= self.north

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return self.west, self.south, self.east, self.north


class Inset(_Strict):
    """A part of the province that lies too far off for the main map."""

    title: Text
    commune: str
    box: Box


class Place(_Strict):
    """A point in a commune where people live."""

    name: str = Field(min_length=1, max_length=100)
    lat: Latitude
    lon: Longitude


class Area(_Strict):
    """Communes that hang together (the former districts): area prefix of span ids, power area."""

    id: str = Field(pattern=r"^[A-Z]{2}$")
    name: str = Field(min_length=1, max_length=100)


class Commune(_Strict):
    """A unit of the lower level of local government.

    ``code`` and ``name`` are the official ones. ``lat`` and ``lon`` are about where its centre is,
    ``population`` an estimate (see the file). ``coastal`` communes reach the sea.
    ``single_route`` ones hang on one cable; that is assumed, operators publish no routes.
    ``places`` are its inhabited points where they lie far apart (islands).
    """

    code: str = Field(pattern=r"^\d{5}$")
    name: str = Field(min_length=1, max_length=100)
    type: Literal["ward", "commune", "special_zone"]
    area: str
    lat: Latitude
    lon: Longitude
    population: int = Field(ge=0)
    coastal: bool = False
    single_route: bool = False
    places: tuple[Place, ...] = ()

    @property
    def short_name(self) -> str:
        """The name without its type: "Nha Trang" of "Phường Nha Trang"."""
        return re.sub(r"^(Phường|Xã|Đặc khu) ", "", self.name)


class DataCenter(_Strict):
    """A data-centre site of the province. ``it_load_kw`` and the counts are assumptions."""

    id: str = Field(pattern=r"^DC-[A-Z]{2}$")
    name: Text
    commune: str
    lat: Latitude
    lon: Longitude
    role: Literal["primary", "secondary"]
    racks: int = Field(ge=1, le=99)
    cooling_units: int = Field(ge=2, le=9)
    it_load_kw: float = Field(gt=0)


class Population(_Strict):
    """The province's population, by somebody's count."""

    value: int = Field(gt=0)
    source: Source


class Fibre(_Strict):
    """Fibre cable: what is planned, and the share of it that is built at the start."""

    planned_km: float = Field(gt=0)
    built_percent: Percent
    spans: int = Field(ge=1, description="spans that the built cable is divided into")


class Network(_Strict):
    """How large the synthetic network is. ``note`` says which of it is assumed."""

    stations: int = Field(ge=1, le=50_000)
    operators: tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,16}$")], ...] = Field(
        min_length=1, max_length=3
    )
    share_5g_percent: Percent
    fixed_genset_percent: Percent
    fibre: Fibre
    note: Text


class Province(_Strict):
    """One file of ``provinces/``. ``outline`` is the mainland, drawn a little inland (longitude,
    latitude), ``islands`` are those that fibre reaches: a station stands within one of these rings,
    or at one of its commune's ``places``."""

    id: str = Field(pattern=r"^[a-z0-9-]{1,32}$")
    code: str = Field(pattern=r"^\d{2}$")
    name: Text
    time_zone: str
    bbox: Box
    insets: tuple[Inset, ...] = ()
    population: Population
    areas: tuple[Area, ...] = Field(min_length=1)
    communes: tuple[Commune, ...] = Field(min_length=1)
    data_centers: tuple[DataCenter, ...] = Field(min_length=1)
    network: Network
    plan: tuple[Target, ...]
    outline: Ring
    islands: tuple[Ring, ...] = ()

    @field_validator("communes", "areas", "data_centers", "plan")
    @classmethod
    def _no_repeats(
        cls, entries: tuple[Commune | Area | DataCenter | Target, ...]
    ) -> tuple[Commune | Area | DataCenter | Target, ...]:
        seen: set[str] = set()
        for entry in entries:
            key = entry.code if isinstance(entry, Commune) else entry.id
            if key in seen:
                raise ValueError(f"{key}: given twice")
            seen.add(key)
        return entries

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        faults = [*self._unknown_names(), *self._misplaced()]
        counted = sum(commune.population for commune in self.communes)
        if counted != self.population.value:
            faults.append(
                f"communes: their population is {counted} together, "
                f"expected the province's {self.population.value}"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _unknown_names(self) -> Iterable[str]:
        areas = {area.id for area in self.areas}
        codes = {commune.code for commune in self.communes}
        for commune in self.communes:
            if commune.area not in areas:
                yield f"commune {commune.code}: area {commune.area!r} is not among areas"
        for center in self.data_centers:
            if center.commune not in codes:
                yield f"data centre {center.id}: commune {center.commune!r} is not among communes"
        for inset in self.insets:
            if inset.commune not in codes:
                yield f"inset {inset.title.en}: commune {inset.commune!r} is not among communes"

    def _misplaced(self) -> Iterable[str]:
        boxes = [self.bbox, *(inset.box for inset in self.insets)]
        for commune in self.communes:
            spots: tuple[Commune | Place, ...] = (commune, *commune.places)
            for spot in spots:
                if not any(box.contains(spot.lat, spot.lon) for box in boxes):
                    yield (
                        f"commune {commune.code}: {spot.lat}, {spot.lon} "
                        "is in neither bbox nor an inset"
                    )
        for center in self.data_centers:
            if not self.bbox.contains(center.lat, center.lon):
                yield f"data centre {center.id}: {center.lat}, {center.lon} is not in bbox"

    def on_land(self, lat: float, lon: float) -> bool:
        """Whether a place is within the outline or one of the islands."""
        return any(_inside(ring, lat, lon) for ring in (self.outline, *self.islands))

    def commune(self, code: str) -> Commune:
        """The commune with this official code. Raises ``KeyError``."""
        for commune in self.communes:
            if commune.code == code:
                return commune
        raise KeyError(code)


def _inside(ring: Ring, lat: float, lon: float) -> bool:
    """Whether a point lies in a closed ring, by counting the edges it sees to its east."""
    inside = False
    x1, y1 = ring[-1]
    for x2, y2 in ring:
        if (y1 > lat) != (y2 > lat) and lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside


def load_province(name: str, *, folder: Path | None = None) -> Province:
    """Read ``NAME.yaml`` from the province files (the service's own by default).

    Raises ``FileError`` naming file, line, field and value for every fault, and ``ConfigError`` for
    a name that is none of the files.
    """
    folder = folder or provinces_folder()
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"province {name!r}: no such file in {folder}; there is {', '.join(known) or 'none'}"
        )
    path = folder / f"{name}.yaml"
    return read_yaml(path, Province)
