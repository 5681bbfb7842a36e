"""Which assets of an inventory a scenario's selector means."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable

import numpy as np

from ioc.inventory import Asset
from ioc.inventory.places import distance_km
from simulators.bts import KIND as BTS
from simulators.faults import FAULTS
from simulators.province import Province
from simulators.scenario import SPAN_ROLES, Circle, Selector

# So many ducts or pairs of cuts are tried: each is a walk over the whole network.
_MOST_TRIED = 80


def choose(
    selector: Selector,
    province: Province,
    *,
    fault: str = "",
    within: Collection[str] | None = None,
    rng: np.random.Generator,
) -> list[Asset]:
    """The assets that the selector means, in the inventory's order; only those that can have
    ``fault`` where one is given, and only of ``within`` (a group's ids). Empty when there are
    none."""
    if selector.role in SPAN_ROLES:
        return _by_role(selector, province, rng)
    needs = FAULTS[fault].needs if fault else ""
    found = []
    for kind, table in province.tables.items():
        if selector.kinds is not None and kind not in selector.kinds:
            continue
        if fault and not FAULTS[fault].fits(kind):
            continue
        mask = table.masks.get(needs) if needs else None
        for row, asset in enumerate(table.assets):
            if within is not None and asset.id not in within:
                continue
            if (mask is None or mask[row]) and _fits(asset, selector, province):
                found.append(asset)
    count = selector.count
    if selector.share is not None:
        count = max(1, round(selector.share * len(found)))
    if count is not None and count < len(found):
        rows = np.sort(rng.permutation(len(found))[:count])
        found = [found[row] for row in rows.tolist()]
    return found


def _fits(asset: Asset, selector: Selector, province: Province) -> bool:
    about = asset.attributes
    given: tuple[tuple[Collection[str] | None, object], ...] = (
        (selector.ids, asset.id),
        (selector.communes, asset.commune),
        (selector.ducts, about.get("duct", "")),
        (selector.power_areas, about.get("power_area", "")),
        (None if selector.layer is None else (selector.layer,), about.get("layer", "")),
    )
    return (
        all(wanted is None or value in wanted for wanted, value in given)
        and (
            selector.sites is None
            or asset.site in selector.sites
            or (asset.far_site != "" and asset.far_site in selector.sites)
        )
        and (selector.near is None or _near(asset, selector.near))
        and _has_role(asset, selector.role, province)
    )


def _near(asset: Asset, circle: Circle) -> bool:
    return distance_km(circle.lat, circle.lon, asset.lat, asset.lon) <= circle.km


def _has_role(asset: Asset, role: str | None, province: Province) -> bool:
    if role is None:
        return True
    if role in ("with-genset", "without-genset"):
        fixed = bool(province.sites.genset[province.network.site_index[asset.site]])
        return asset.kind == BTS and fixed == (role == "with-genset")
    return asset.site in _centre_sites(province, role)


def _centre_sites(province: Province, role: str) -> set[str]:
    """Where the data centre of this role stands: as the inventory says it, else by order."""
    centres = province.tables["dc_site"].assets
    said = {asset.site for asset in centres if asset.attributes.get("role") == role}
    if said or not centres:
        return said
    return {centres[0 if role == "primary" else -1].site}


# Spans by what their failure does


class Reach:
    """How many simulated stations lose their way to a core when spans fail."""

    def __init__(self, province: Province) -> None:
        self.network = province.network
        sites = len(self.network.sites)
        self.stations = np.bincount(province.stations.table.site, minlength=sites)
        self._real = province.real
        self._powered = np.ones(sites, dtype=np.bool_)

    def cut(self, rows: Iterable[int]) -> int | None:
        """Stations that fall silent when these rows of ``network.spans`` are cut; None when
        equipment that no simulator drives would be among them."""
        lit = np.ones(len(self.network.spans), dtype=np.bool_)
        lit[list(rows)] = False
        gone = ~self.network.reachable(lit=lit, powered=self._powered)
        return None if self._real[gone].any() else int(self.stations[gone].sum())


def _by_role(selector: Selector, province: Province, rng: np.random.Generator) -> list[Asset]:
    """The spans of the role whose failure cuts off a number of stations nearest to what is
    wanted."""
    allowed = {
        row
        for row, span in enumerate(province.network.spans)
        if span.simulated and _fits(span, selector.model_copy(update={"role": None}), province)
    }
    reach = Reach(province)
    candidates: list[tuple[int, tuple[int, ...]]] = []
    match selector.role:
        case "bridge":
            candidates = bridges(province, allowed)
        case "ring-span":
            cut_by = province.network.cut_off_by()
            rings = [row for row in sorted(allowed) if row not in cut_by]
            rings = [row for row in rings if province.network.spans[row].attributes.get("ring", 1)]
            candidates = [(0, (row,)) for row in _drawn(rings, 1, rng)]
        case "ring-pair":
            candidates = _ring_pairs(province, allowed, reach, rng)
        case _:
            candidates = _ducts(province, allowed, reach)
    candidates = [one for one in candidates if one[0] > 0 or selector.role != "bridge"]
    if not candidates:
        return []
    wanted = selector.stations
    if wanted is None:
        best = max(candidates, key=lambda one: (one[0], len(one[1]), one[1]))
    else:
        best = min(candidates, key=lambda one: (abs(one[0] - wanted), -len(one[1]), one[1]))
    return [province.network.spans[row] for row in best[1]]


def bridges(province: Province, allowed: Collection[int]) -> list[tuple[int, tuple[int, ...]]]:
    """Spans whose failure alone cuts stations off, with how many; real equipment left alone."""
    network = province.network
    stations = np.bincount(province.stations.table.site, minlength=len(network.sites))
    return [
        (int(stations[sites].sum()), (row,))
        for row, sites in network.cut_off_by().items()
        if row in allowed and not province.real[sites].any()
    ]


def _drawn(rows: list[int], count: int, rng: np.random.Generator) -> list[int]:
    return [rows[place] for place in rng.permutation(len(rows))[:count].tolist()]


def _ring_pairs(
    province: Province, allowed: set[int], reach: Reach, rng: np.random.Generator
) -> list[tuple[int, tuple[int, ...]]]:
    """Pairs of spans that cut off together what neither does alone, out of rings drawn."""
    rings = [[row for row in rows if row in allowed] for rows in province.network.cut_together()]
    pairs = [pair for rows in rings for pair in itertools.combinations(rows, 2)]
    drawn = [pairs[at] for at in rng.permutation(len(pairs))[:_MOST_TRIED].tolist()]
    counted = [(reach.cut(pair), pair) for pair in drawn]
    return [(count, pair) for count, pair in counted if count]


def _ducts(
    province: Province, allowed: set[int], reach: Reach
) -> list[tuple[int, tuple[int, ...]]]:
    """The ducts with several spans, and how many stations each takes when it is cut."""
    ducts: dict[str, list[int]] = {}
    for row in sorted(allowed):
        duct = str(province.network.spans[row].attributes.get("duct", ""))
        if duct:
            ducts.setdefault(duct, []).append(row)
    shared = sorted(
        (rows for rows in ducts.values() if len(rows) > 1), key=lambda rows: (-len(rows), rows)
    )
    counted = [(reach.cut(rows), tuple(rows)) for rows in shared[:_MOST_TRIED]]
    return [(count, rows) for count, rows in counted if count is not None]
