"""Where the masts of a synthetic province stand, and who is on them.

Masts follow people: each commune gets its share, most of them close around its centre, the rest
scattered over the land nearer to it than to its neighbours, at least 300 m apart. None stands
outside the profile's outline and islands. Distances are in km on a plane that is true to 1 % over a
province.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ioc.inventory.province import Commune, Province

KM_PER_DEGREE_LAT = 110.6
KM_PER_DEGREE_EQUATOR = 111.32
STATIONS_PER_MAST = 1.875
# One mast serves up to three operators; so many have one, two, three.
SHARING = (0.36, 0.41, 0.23)
CLOSEST_KM = 0.3
# A mast stands within an access hop of another one of its commune.
FARTHEST_KM = 6.5
# So many masts stand in a commune's settlement, the rest along its roads.
TOWN_SHARE = 0.4
MASTS_PER_HUB = 40
# What a commune with few people gets for its area, as a share of an even spread.
EVEN_SHARE = 0.15
# Below this many masts per commune, a scaled-down province has fewer communes instead.
FEWEST_PER_COMMUNE = 7
# … and its remote area is no farther from what else it has.
FAR_KM = 65.0


Spot = tuple[float, float]


@dataclass(kw_only=True, eq=False)
class Mast:
    """One mast with its stations' operators. ``hub`` ones aggregate their neighbours; ``island``
    ones have a satellite link of their own and no fibre; the ``lab`` has one station for tests."""

    number: int
    commune: Commune
    lat: float
    lon: float
    spot: Spot
    operators: list[str] = field(default_factory=list)
    hub: bool = False
    island: bool = False
    lab: bool = False


class Plane:
    """The province on a flat sheet: kilometres east and north of 0° N 109° E."""

    def __init__(self, province: Province) -> None:
        box = province.bbox
        middle = round((box.south + box.north) / 2)
        # A tenth of a kilometre is enough: 108.9 at 12° N.
        self._km_per_degree_lon = round(KM_PER_DEGREE_EQUATOR * math.cos(math.radians(middle)), 1)

    def spot(self, lat: float, lon: float) -> Spot:
        return (lon - 109) * self._km_per_degree_lon, lat * KM_PER_DEGREE_LAT

    def degrees(self, spot: Spot) -> tuple[float, float]:
        """Latitude and longitude, to about a metre."""
        x, y = spot
        return round(y / KM_PER_DEGREE_LAT, 5), round(109 + x / self._km_per_degree_lon, 5)


def place_masts(province: Province, *, stations: int, rng: random.Random) -> list[Mast]:
    """Masts for ``stations`` stations, the lab's among them, numbered from 1 by commune."""
    masts_wanted = max(6, round(stations / STATIONS_PER_MAST))
    plane = Plane(province)
    communes = _communes_for(province, masts_wanted, plane)
    ground = _Ground(province, plane)
    masts: list[Mast] = []
    for commune, count in _quotas(communes, masts_wanted):
        if _is_island(commune):
            spots = [(place.lat, place.lon) for place in commune.places]
        else:
            spots = ground.scatter(commune, count, rng)
        of_commune = [
            Mast(
                number=0,
                commune=commune,
                lat=lat,
                lon=lon,
                spot=plane.spot(lat, lon),
                island=_is_island(commune),
            )
            for lat, lon in spots
        ]
        if not _is_island(commune):
            _choose_hubs(of_commune)
        masts += of_commune
    masts.append(_lab(province, ground, rng))
    _share(masts, stations=stations, operators=province.network.operators, rng=rng)
    for number, mast in enumerate(masts, start=1):
        mast.number = number
    return masts


def _is_island(commune: Commune) -> bool:
    return bool(commune.places)


def _communes_for(province: Province, masts: int, plane: Plane) -> list[Commune]:
    """All communes, or for a small province those that keep its shape: the data centres', one half
    way between them, the area where most hangs on one cable (not too far from these, as nothing
    would stand in between), then the largest."""
    if masts >= FEWEST_PER_COMMUNE * len(province.communes):
        return list(province.communes)
    wanted = max(5, masts // FEWEST_PER_COMMUNE)
    homes = {center.commune for center in province.data_centers}
    middle = (
        sum(center.lat for center in province.data_centers) / len(province.data_centers),
        sum(center.lon for center in province.data_centers) / len(province.data_centers),
    )
    on_rings = [unit for unit in province.communes if not unit.single_route]
    homes.add(
        min(
            on_rings,
            key=lambda unit: math.dist(plane.spot(unit.lat, unit.lon), plane.spot(*middle)),
        ).code
    )
    centres = [plane.spot(unit.lat, unit.lon) for unit in province.communes if unit.code in homes]
    remote = [
        unit.area
        for unit in province.communes
        if unit.single_route
        and min(math.dist(plane.spot(unit.lat, unit.lon), home) for home in centres) <= FAR_KM
    ]
    far_area = max(sorted(set(remote)), key=remote.count, default="")

    def rank(unit: Commune) -> tuple[bool, bool, int]:
        return unit.code not in homes, unit.area != far_area, -unit.population

    mainland = [unit for unit in province.communes if not _is_island(unit)]
    chosen = {unit.code for unit in sorted(mainland, key=rank)[:wanted]}
    return [unit for unit in province.communes if unit.code in chosen]


def _quotas(communes: Sequence[Commune], masts: int) -> list[tuple[Commune, int]]:
    """How many masts each commune gets: by population, with a floor for its area."""
    people = sum(unit.population for unit in communes)
    even = EVEN_SHARE / len(communes)
    shares = [
        masts * (even + (1 - EVEN_SHARE) * unit.population / people)
        if not _is_island(unit)
        else len(unit.places)
        for unit in communes
    ]
    return list(zip(communes, whole_numbers(shares, at_least=1), strict=True))


def whole_numbers(shares: Sequence[float], *, at_least: int = 0) -> list[int]:
    """Shares as whole numbers with the same (rounded) sum, by largest remainder."""
    counts = [max(at_least, math.floor(share)) for share in shares]
    missing = round(sum(shares)) - sum(counts)
    order = sorted(range(len(shares)), key=lambda i: (math.floor(shares[i]) - shares[i], i))
    for i in order[: max(0, missing)]:
        counts[i] += 1
    return counts


class _Ground:
    """The land, and what already stands on it."""

    def __init__(self, province: Province, plane: Plane) -> None:
        self._province, self._plane = province, plane
        self._centres = {unit.code: plane.spot(unit.lat, unit.lon) for unit in province.communes}
        self._standing: dict[tuple[int, int], list[Spot]] = {}

    def scatter(
        self, commune: Commune, count: int, rng: random.Random
    ) -> list[tuple[float, float]]:
        """Latitude and longitude of ``count`` masts; the first stands at the centre."""
        centre = self._centres[commune.code]
        reach = self._reach_km(commune)
        found = [centre]
        self._stand(centre)
        apart = CLOSEST_KM
        tries = 0
        while len(found) < count:
            tries += 1
            if tries % 200 == 0:
                apart *= 0.8  # crowded: stand closer
            angle = rng.uniform(0, 2 * math.pi)
            if rng.random() < TOWN_SHARE:
                far = abs(rng.gauss(0, 0.38 * reach))
            else:
                far = 1.6 * reach * math.sqrt(rng.random())
            spot = (centre[0] + far * math.cos(angle), centre[1] + far * math.sin(angle))
            if (
                self._crowded(spot, apart)
                or not self._on_land(spot)
                or not self._own(spot, commune)
                or min(math.dist(spot, other) for other in found) > FARTHEST_KM
            ):
                continue
            found.append(spot)
            self._stand(spot)
        return [self._plane.degrees(spot) for spot in found]

    def _reach_km(self, commune: Commune) -> float:
        """How far a commune reaches: about half way to its neighbours."""
        centre = self._centres[commune.code]
        away = sorted(
            math.dist(centre, other)
            for code, other in self._centres.items()
            if code != commune.code
        )
        return min(9.0, max(1.5, sum(away[:4]) / 8))

    def _own(self, spot: Spot, commune: Commune) -> bool:
        """Whether a spot is nearer to this commune's centre than to another's, or nearly so."""
        mine = math.dist(spot, self._centres[commune.code])
        return all(mine <= 1.1 * math.dist(spot, other) for other in self._centres.values())

    def _on_land(self, spot: Spot) -> bool:
        return self._province.on_land(*self._plane.degrees(spot))

    def _crowded(self, spot: Spot, apart_km: float) -> bool:
        column, row = math.floor(spot[0]), math.floor(spot[1])
        return any(
            math.dist(spot, other) < apart_km
            for x in (column - 1, column, column + 1)
            for y in (row - 1, row, row + 1)
            for other in self._standing.get((x, y), ())
        )

    def _stand(self, spot: Spot) -> None:
        self._standing.setdefault((math.floor(spot[0]), math.floor(spot[1])), []).append(spot)

    def near(self, lat: float, lon: float, commune: Commune, rng: random.Random) -> Mast:
        """A mast a few hundred metres from a point."""
        x, y = self._plane.spot(lat, lon)
        far = 0.4
        while True:
            far *= 1.02
            angle = rng.uniform(0, 2 * math.pi)
            spot = (x + far * math.cos(angle), y + far * math.sin(angle))
            if self._on_land(spot) and not self._crowded(spot, 0.1):
                self._stand(spot)
                at_lat, at_lon = self._plane.degrees(spot)
                return Mast(
                    number=0,
                    commune=commune,
                    lat=at_lat,
                    lon=at_lon,
                    spot=self._plane.spot(at_lat, at_lon),
                )


def _lab(province: Province, ground: _Ground, rng: random.Random) -> Mast:
    """The laboratory's mast, near the first data centre."""
    home = province.data_centers[0]
    mast = ground.near(home.lat, home.lon, province.commune(home.commune), rng)
    mast.lab = True
    return mast


def _choose_hubs(masts: list[Mast]) -> None:
    """The centre, and for each further 40 masts the one farthest from the hubs so far."""
    hubs = [masts[0]]
    masts[0].hub = True
    for _ in range(round(len(masts) / MASTS_PER_HUB) - 1):
        farthest = max(masts, key=lambda mast: nearest_km(mast, hubs))
        # Not the edge itself: the mast half way to it.
        x, y = farthest.spot
        hub_x, hub_y = min(hubs, key=lambda hub: math.dist(hub.spot, farthest.spot)).spot
        middle = (0.6 * x + 0.4 * hub_x, 0.6 * y + 0.4 * hub_y)
        free = [mast for mast in masts if not mast.hub]
        chosen = min(free, key=lambda mast: math.dist(mast.spot, middle))
        chosen.hub = True
        hubs.append(chosen)


def nearest_km(mast: Mast, others: Iterable[Mast]) -> float:
    """Straight distance to the nearest of ``others``."""
    return min(math.dist(mast.spot, other.spot) for other in others)


def _share(
    masts: Sequence[Mast], *, stations: int, operators: tuple[str, ...], rng: random.Random
) -> None:
    """Put exactly ``stations`` stations on the masts, one of them the lab's."""
    most = min(3, len(operators))
    ordinary = [mast for mast in masts if not mast.lab]
    counts = [rng.choices(range(1, 4), SHARING)[0] for _ in ordinary]
    counts = [min(count, most) for count in counts]
    missing = stations - 1 - sum(counts)
    step = 1 if missing > 0 else -1
    room = [i for i, count in enumerate(counts) if 1 <= count + step <= most]
    while missing and room:
        i = room.pop(rng.randrange(len(room)))
        counts[i] += step
        missing -= step
        if 1 <= counts[i] + step <= most:
            room.append(i)
    for mast, count in zip(ordinary, counts, strict=True):
        mast.operators = sorted(rng.sample(operators, count))
