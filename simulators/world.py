"""The province that does not exist: sites, stations, fibre and data centres from a profile and a
seed. Always the same for the same profile, seed and scale; all of it is marked synthetic.

``ioc inventory generate inventory.json --province khanh-hoa --seed 1 --scale 1.0``

What stands for what
- Sites: one mast with mains, battery and shelter for up to three operators (``S-00001``); the two
  data-centre sites, which are the core; the laboratory's mast. A mast on an island of a commune
  with ``places`` has a satellite link of its own: it is a core site, too, and hangs on no span.
- Spans: one asset is one cable between two sites; ``site`` is the end nearer to a core. Cables of
  different operators that lie in the same duct are spans of their own with the same ``duct``: this
  is how about 4,000 spans join some 2,100 masts. See ``simulators/cabling.py`` for rings and spurs.
- ``KH-LAB-01`` is one of the stations, and the only asset that no simulator drives.

Attributes (all optional for a real inventory)
- bts: ``cells_total``, ``cells_5g`` (0: the station does not radiate 5G), ``has_genset`` and
  ``power_area`` (the same for all stations of a mast), ``backhaul`` fibre or satellite.
- span: ``baseline_loss_db`` (commissioned), ``splices``, ``tx_power_dbm``, ``wavelength_nm``,
  ``optics`` LR, ER or ZR with ``rx_low_warning_dbm`` and ``rx_low_alarm_dbm`` of that module,
  ``amplifier`` booster (absent: none; ``tx_power_dbm`` is what leaves it), ``layer`` access or
  aggregation, ``ring`` (false: a spur), ``duct`` (where it lies in one).
- dc_site: ``it_load_kw``, ``role``, ``rooms``; ups: ``feed`` A or B, ``rated_kw``; genset:
  ``rated_kw``; cooling_unit: ``rated_kw``, ``room``; rack: ``it_load_kw``, ``room``; uplink:
  ``capacity_mbit_s``; storage_backup: ``replicates_to``, the storage of the next data centre (of
  the primary after the last); absent where there is no other. UPS and storage have a ``room``, too:
  without one they stand in the first. What a real inventory may add: ``autonomy_min`` of a UPS at
  full load, ``tank_l`` of a genset, ``capacity_tb`` of a storage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from ioc.inventory import Asset, Site
from ioc.inventory.file import write_inventory
from ioc.inventory.model import Attribute
from ioc.inventory.province import DataCenter, Province, load_province
from simulators.cabling import CONNECTORS_DB, DRUM_KM, SPLICE_DB, Cable, Node, lay_cables
from simulators.layout import Mast, Plane, place_masts, whole_numbers

LAB_SITE = "S-LAB-01"
# How much of a hub's surroundings is in rings, by how many people live there.
RING_SHARE = {"ward": 0.85, "commune": 0.6, "special_zone": 0.0}
# Optics by reach, with receive limits in dBm: LR −14.4/−18.4, ER −15.8/−19.8, ZR −24/−28 (low
# warning, low alarm). Wavelength; transmit power; fibre loss in dB/km as built: G.652.D allows at
# most 0.40 at 1310 nm and 0.30 at 1550 nm, built spans have 0.21–0.275 at 1550.
OPTICS: tuple[tuple[str, float, int, tuple[float, float], tuple[float, float], float, float], ...]
OPTICS = (
    ("LR", 10.0, 1310, (-3.0, 0.0), (0.33, 0.38), -14.4, -18.4),
    ("ER", 35.0, 1550, (0.5, 3.0), (0.21, 0.275), -15.8, -19.8),
    ("ZR", 70.0, 1550, (1.5, 4.0), (0.21, 0.25), -24.0, -28.0),
    ("ZR", math.inf, 1550, (5.0, 6.0), (0.21, 0.25), -24.0, -28.0),  # with a booster amplifier
)
LASER_DBM = 4.0  # what a module sends by itself (SFF-8472 ZR modules: 0 to 4 dBm)
# A station has three sectors; a mast in a town often a second 4G carrier.
SECTORS = 3


def build_world(
    province: Province, *, seed: int, scale: float = 1.0
) -> tuple[list[Site], list[Asset]]:
    """The synthetic inventory of a province: its sites and the assets on and between them.

    ``scale`` shrinks or grows the number of stations, spans and people served alike; the data
    centres stay whole. Below about a fifth, fewer communes have stations, so that distances stay
    those of a real network.
    """
    rng = random.Random(f"{province.id}/{seed}")
    fibre = province.network.fibre
    stations = max(12, round(province.network.stations * scale))
    masts = place_masts(province, stations=stations, rng=rng)
    sites = [*_core_sites(province), *(_site(mast) for mast in masts)]
    cables = lay_cables(
        _nodes(province, masts),
        spans=round(fibre.spans * scale),
        built_km=fibre.planned_km * fibre.built_percent / 100 * scale,
        operators=len(province.network.operators),
        rng=rng,
    )
    assets = [
        *_stations(province, masts, people=round(province.population.value * scale), rng=rng),
        *_spans(province, cables, {site.id: site for site in sites}, rng),
        *(
            asset
            for center, other in _with_next(province.data_centers)
            for asset in _data_center(province, center, other)
        ),
    ]
    return sites, assets


def _core_sites(province: Province) -> list[Site]:
    return [
        Site(
            id=center.id,
            name=center.name.vi,
            commune=center.commune,
            lat=center.lat,
            lon=center.lon,
            core=True,
        )
        for center in province.data_centers
    ]


def _site_id(mast: Mast) -> str:
    return LAB_SITE if mast.lab else f"S-{mast.number:05d}"


def _site(mast: Mast) -> Site:
    return Site(
        id=_site_id(mast),
        name=_site_name(mast),
        commune=mast.commune.code,
        lat=mast.lat,
        lon=mast.lon,
        core=mast.island,
    )


def _site_name(mast: Mast) -> str:
    place = f"Phòng thí nghiệm {mast.commune.short_name}" if mast.lab else mast.commune.short_name
    return place if mast.lab else f"{place} {mast.number:04d}"


def _nodes(province: Province, masts: Sequence[Mast]) -> list[Node]:
    """The sites that fibre joins. Each mast belongs to the nearest hub of its commune."""
    hubs: dict[str, list[Mast]] = {}
    for mast in masts:
        if mast.hub:
            hubs.setdefault(mast.commune.code, []).append(mast)
    ground = [mast for mast in masts if not mast.island]
    plane = Plane(province)
    nodes = [
        Node(
            site=site.id,
            spot=plane.spot(site.lat, site.lon),
            area=province.commune(site.commune).area,
            core=True,
            ducts=True,
        )
        for site in _core_sites(province)
    ]
    for mast in ground:
        commune = mast.commune
        own = (
            mast
            if mast.hub
            else min(
                hubs[commune.code], key=lambda hub: (math.dist(hub.spot, mast.spot), hub.number)
            )
        )
        nodes.append(
            Node(
                site=_site_id(mast),
                spot=mast.spot,
                area=commune.area,
                cell=_site_id(own),
                hub=mast.hub,
                single_route=commune.single_route,
                ring_share=0.25 if commune.single_route else RING_SHARE[commune.type],
                ducts=commune.type == "ward",
                spur_only=mast.lab,
            )
        )
    return nodes


# Stations


def _stations(
    province: Province, masts: Sequence[Mast], *, people: int, rng: random.Random
) -> list[Asset]:
    gensets = _masts_with_genset(province, masts, rng)
    places = [(mast, operator) for mast in masts for operator in mast.operators]
    with_5g = _stations_with_5g(province, places, rng)
    served = _people_served(places, people, rng)
    power_areas = _power_areas(masts)
    prefix = _prefix(province)
    found = []
    for number, (mast, operator) in enumerate(places, start=1):
        site = _site(mast)
        carriers = 2 if mast.commune.type == "ward" and rng.random() < 0.35 else 1
        cells_5g = SECTORS if number - 1 in with_5g else 0
        attributes: dict[str, Attribute] = {
            "cells_total": SECTORS * carriers + cells_5g,
            "cells_5g": cells_5g,
            "has_genset": mast.number in gensets,
            "power_area": power_areas[mast.number],
            "backhaul": "satellite" if mast.island else "fibre",
        }
        found.append(
            Asset(
                id=f"{prefix}{number:05d}",
                kind="bts",
                name=f"{site.name} · {operator}",
                province=province.id,
                commune=site.commune,
                site=site.id,
                lat=site.lat,
                lon=site.lon,
                operator=operator,
                population=served[number - 1],
                simulated=True,
                synthetic=True,
                attributes=attributes,
            )
        )
    return [*found, _lab_station(province, next(mast for mast in masts if mast.lab), prefix)]


def _lab_station(province: Province, mast: Mast, prefix: str) -> Asset:
    site = _site(mast)
    return Asset(
        id=f"{prefix}-LAB-01",
        kind="bts",
        name=f"{site.name} (lab)",
        province=province.id,
        commune=site.commune,
        site=site.id,
        lat=site.lat,
        lon=site.lon,
        synthetic=True,
        attributes={"cells_total": SECTORS, "cells_5g": 0, "has_genset": False},
    )


def _prefix(province: Province) -> str:
    """KH of khanh-hoa."""
    return "".join(word[0] for word in province.id.split("-")).upper()


def _masts_with_genset(province: Province, masts: Sequence[Mast], rng: random.Random) -> set[int]:
    """The masts with a fixed genset: islands and far-off hubs first; the others wait for a mobile
    one."""
    ordinary = [mast for mast in masts if not mast.lab]
    wanted = round(len(ordinary) * province.network.fixed_genset_percent / 100)
    order = sorted(
        ordinary,
        key=lambda mast: (
            not mast.island,
            not (mast.hub and mast.commune.single_route),
            not mast.hub,
            rng.random(),
        ),
    )
    return {mast.number for mast in order[:wanted]}


def _stations_with_5g(
    province: Province, places: Sequence[tuple[Mast, str]], rng: random.Random
) -> set[int]:
    """Exactly the profile's share of stations radiates 5G, towns first but not only."""
    weight = {"ward": 3.0, "commune": 1.0, "special_zone": 0.5}
    order = sorted(
        range(len(places)),
        # Weighted draw without replacement (Efraimidis and Spirakis).
        key=lambda i: math.log(rng.random() or 1e-12) / weight[places[i][0].commune.type],
        reverse=True,
    )
    return set(order[: round(len(places) * province.network.share_5g_percent / 100)])


def _people_served(
    places: Sequence[tuple[Mast, str]], people: int, rng: random.Random
) -> list[int]:
    """Everybody is served by one station of their commune; together they are ``people``."""
    communes = {mast.commune.code: mast.commune for mast, _ in places}
    everybody = sum(commune.population for commune in communes.values())
    members: dict[str, list[int]] = {}
    for i, (mast, _) in enumerate(places):
        members.setdefault(mast.commune.code, []).append(i)
    share = people / everybody
    of_commune = whole_numbers([unit.population * share for unit in communes.values()])
    served = [0] * len(places)
    for code, count in zip(communes, of_commune, strict=True):
        weights = [rng.lognormvariate(0, 0.35) for _ in members[code]]
        parts = whole_numbers([count * weight / sum(weights) for weight in weights])
        for i, part in zip(members[code], parts, strict=True):
            served[i] = part
    return served


def _power_areas(masts: Sequence[Mast]) -> dict[int, str]:
    """Masts fed by the same medium-voltage line: about twelve neighbours of one commune."""
    per_area: dict[str, int] = {}
    areas: dict[int, str] = {}
    communes: dict[str, list[Mast]] = {}
    for mast in masts:
        communes.setdefault(mast.commune.code, []).append(mast)
    for members in communes.values():
        area = members[0].commune.area
        x, y = members[0].spot
        around = sorted(members, key=lambda mast: math.atan2(mast.spot[1] - y, mast.spot[0] - x))
        for start in range(0, len(around), 12):
            per_area[area] = per_area.get(area, 0) + 1
            for mast in around[start : start + 12]:
                areas[mast.number] = f"{area}-E{per_area[area]:03d}"
    return areas


# Spans


def _spans(
    province: Province, cables: Iterable[Cable], sites: dict[str, Site], rng: random.Random
) -> list[Asset]:
    numbers: dict[str, int] = {}
    spans = []
    for cable in cables:
        area = cable.a.area
        numbers[area] = numbers.get(area, 0) + 1
        a, b = sites[cable.a.site], sites[cable.b.site]
        spans.append(
            Asset(
                id=f"{area}-{numbers[area]:04d}",
                kind="span",
                name=f"{a.name} – {b.name}",
                province=province.id,
                commune=a.commune,
                site=a.id,
                far_site=b.id,
                lat=round((a.lat + b.lat) / 2, 5),
                lon=round((a.lon + b.lon) / 2, 5),
                operator=province.network.operators[cable.operator],
                length_km=cable.length_km,
                simulated=True,
                synthetic=True,
                attributes=_optics(cable, rng),
            )
        )
    return spans


def _optics(cable: Cable, rng: random.Random) -> dict[str, Attribute]:
    """What was commissioned on a cable of this length."""
    optics, _, wavelength, transmit, fibre, warning, alarm = next(
        kind for kind in OPTICS if cable.length_km <= kind[1]
    )
    splices = math.ceil(cable.length_km / DRUM_KM) + 1
    loss = cable.length_km * rng.uniform(*fibre) + splices * SPLICE_DB + rng.uniform(*CONNECTORS_DB)
    attributes: dict[str, Attribute] = {
        "baseline_loss_db": round(loss, 2),
        "splices": splices,
        "tx_power_dbm": round(rng.uniform(*transmit), 2),
        "wavelength_nm": wavelength,
        "optics": optics,
        "rx_low_warning_dbm": warning,
        "rx_low_alarm_dbm": alarm,
        "layer": cable.layer,
        "ring": cable.ring,
    }
    if transmit[0] > LASER_DBM:
        attributes["amplifier"] = "booster"
    if cable.duct:
        attributes["duct"] = cable.duct
    return attributes


# Data centres


def _with_next(
    centers: Sequence[DataCenter],
) -> list[tuple[DataCenter, DataCenter | None]]:
    """Each data centre with the one its storage replicates to: the next, and the first for the last
    one; None for a lone one."""
    following = [*centers[1:], centers[0]]
    return [
        (center, None if other is center else other)
        for center, other in zip(centers, following, strict=True)
    ]


def _data_center(province: Province, center: DataCenter, other: DataCenter | None) -> list[Asset]:
    """A data-centre site: power twice (A and B) behind a transfer switch and a genset, rooms with
    their racks and cooling (one unit of each room to spare), storage with its backup and its
    replica on another site, two uplinks."""
    place = province.commune(center.commune).short_name
    per_rack = round(center.it_load_kw / center.racks, 2)
    # Each UPS carries the whole load alone with room to spare (2N); the genset also the cooling.
    ups_kw, genset_kw = round(center.it_load_kw * 1.3), round(center.it_load_kw * 2.6)

    # A room takes up to ten racks, and at least two cooling units.
    rooms = max(1, min(math.ceil(center.racks / 10), center.cooling_units // 2))
    # All but one of a room's units carry its load, with the losses of a UPS and something to spare.
    room_kw = max(
        sum((n * rooms // center.racks) == room for n in range(center.racks)) * per_rack
        for room in range(rooms)
    )
    cooling_kw = round(room_kw * 1.25 / (center.cooling_units // rooms - 1), 1)

    def asset(suffix: str, kind: str, name: str, **attributes: Attribute) -> Asset:
        return Asset(
            id=f"{center.id}-{suffix}" if suffix else center.id,
            kind=kind,
            name=name,
            province=province.id,
            commune=center.commune,
            site=center.id,
            lat=center.lat,
            lon=center.lon,
            simulated=True,
            synthetic=True,
            attributes=attributes,
        )

    return [
        asset(
            "",
            "dc_site",
            center.name.vi,
            it_load_kw=center.it_load_kw,
            role=center.role,
            rooms=rooms,
        ),
        *(
            asset(
                f"UPS-{feed}",
                "ups",
                f"{place} UPS {feed}",
                feed=feed,
                rated_kw=ups_kw,
                room=1 if feed == "A" else rooms,
            )
            for feed in ("A", "B")
        ),
        asset("GEN-1", "genset", f"{place} GEN-1", rated_kw=genset_kw),
        asset("ATS-1", "transfer_switch", f"{place} ATS-1"),
        *(
            asset(
                f"CRAC-{n}",
                "cooling_unit",
                f"{place} CRAC-{n}",
                rated_kw=cooling_kw,
                room=(n - 1) % rooms + 1,
            )
            for n in range(1, center.cooling_units + 1)
        ),
        *(
            asset(
                f"RACK-{n:02d}",
                "rack",
                f"{place} RACK-{n:02d}",
                it_load_kw=per_rack,
                room=(n - 1) * rooms // center.racks + 1,
            )
            for n in range(1, center.racks + 1)
        ),
        asset(
            "STORAGE-1",
            "storage_backup",
            f"{place} STORAGE-1",
            room=1,
            **({} if other is None else {"replicates_to": f"{other.id}-STORAGE-1"}),
        ),
        *(
            asset(f"UPLINK-{n}", "uplink", f"{place} UPLINK-{n}", capacity_mbit_s=10_000)
            for n in (1, 2)
        ),
    ]


def write_world(path: Path, *, province: str, seed: int, scale: float) -> str:
    """Write one synthetic inventory file; returns a line that says what it holds.

    Raises ``FileError`` or ``ConfigError`` for a province that cannot be read, ``OSError``.
    """
    found = load_province(province)
    sites, assets = build_world(found, seed=seed, scale=scale)
    write_inventory(path, province=found.id, sites=sites, assets=assets)
    kinds = [asset.kind for asset in assets]
    built_km = sum(asset.length_km for asset in assets)
    return (
        f"{kinds.count('bts')} stations on {len(sites) - len(found.data_centers)} masts, "
        f"{kinds.count('span')} spans ({built_km:.0f} km), {len(found.data_centers)} data "
        f"centres: {path}"
    )
