"""From what is seen to what did it: which breakages an asset's silence or reading comes from."""

from __future__ import annotations

import numpy as np

from simulators.data_center import KINDS as DATA_CENTRE_KINDS
from simulators.fibre import KIND as SPAN
from simulators.ideal import MOVES, POWER
from simulators.plan import Breakage
from simulators.province import Province
from simulators.table import Table


class Tracer:
    """Knows every breakage so far, by asset and by site. The answers name incidents, the one that
    completed it first: the last to begin of those without which it would not be so."""

    def __init__(self, province: Province) -> None:
        self._province = province
        self._by_asset: dict[str, list[Breakage]] = {}
        self._by_site: dict[int, list[Breakage]] = {}
        self._centres: list[Breakage] = []

    def begun(self, broken: Breakage) -> None:
        network = self._province.network
        for asset in broken.assets:
            kind = self._province.faults.kind_of(asset)
            table = self._province.tables[kind]
            row = table.index[asset]
            self._by_asset.setdefault(asset, []).append(broken)
            sites = {int(table.site[row])}
            if kind == SPAN:
                at = self._province.spans.row_in_network[row]
                sites.add(int(network.b[at]))
            else:
                for site in sites:
                    self._by_site.setdefault(site, []).append(broken)
            if kind in DATA_CENTRE_KINDS:
                self._centres.append(broken)

    def silence(self, table: Table, row: int) -> list[int]:
        """Why this asset fell silent now."""
        province = self._province
        own = [one for one in self._of(table, row) if one.fault == "silent"]
        if own and table.fault("silent")[row]:
            return _numbers(own[-1:])
        sites = self._ends(table, row)
        dark = [site for site in sites if not province.sites.powered[site]]
        if len(dark) == len(sites):
            found = self._at(dark, POWER)
            return _numbers([one for one in found if self._lasts(one)] or found)
        lost = [site for site in sites if not province.reached[site]]
        found = [one for site in lost for one in self._cut_off(site)]
        return _numbers(found + self._at(dark, POWER))

    def beyond(self, table: Table, row: int, metric: str) -> list[int]:
        """Why this metric of this asset went beyond a limit now."""
        sites = self._ends(table, row)
        own = [one for one in self._of(table, row) if metric in MOVES[one.fault]]
        if own and table.kind == SPAN:
            return _numbers(own[-1:])
        found = own + [one for one in self._at(sites, metric) if one not in own]
        if table.kind in DATA_CENTRE_KINDS:
            found = self._in_centres(found, sites, metric)
        if not found:
            found = [one for site in sites for one in self._by_site.get(site, ())]
        return _numbers(sorted(found, key=lambda one: one.at_s)[-1:])

    def own(self, table: Table, row: int, fault: str) -> list[int]:
        """Why this asset has this fault now."""
        return _numbers([one for one in self._of(table, row) if one.fault == fault][-1:])

    def _in_centres(self, here: list[Breakage], sites: list[int], metric: str) -> list[Breakage]:
        """The sites of the data centre live on each other: replication, load. What lasts comes
        before what is over, what is on the site before what is on another one."""
        far = [one for one in self._centres if metric in MOVES[one.fault] and one not in here]
        cut = [one for site in sites for one in self._cut_off(site)]
        for found in (here, far, cut):
            lasting = [one for one in found if self._lasts(one)]
            if lasting:
                return lasting
        return here or far or cut

    def _cuts(self, broken: Breakage) -> bool:
        return broken.fault in ("span-cut", "flapping-link") and self._lasts(broken)

    def _lasts(self, broken: Breakage) -> bool:
        province = self._province
        tables = [province.tables[province.faults.kind_of(asset)] for asset in broken.assets]
        return any(
            table.fault(broken.fault)[table.index[asset]]
            for table, asset in zip(tables, broken.assets, strict=True)
        )

    def _of(self, table: Table, row: int) -> list[Breakage]:
        return self._by_asset.get(table.assets[row].id, [])

    def _ends(self, table: Table, row: int) -> list[int]:
        """The sites an asset stands on: a span on two."""
        if table.kind != SPAN:
            return [int(table.site[row])]
        at = self._province.spans.row_in_network[row]
        return [int(self._province.network.a[at]), int(self._province.network.b[at])]

    def _at(self, sites: list[int], metric: str) -> list[Breakage]:
        """Breakages on these sites that move ``metric``, the last to begin at the end."""
        found = [
            one
            for site in sites
            for one in self._by_site.get(site, ())
            if metric in MOVES[one.fault]
        ]
        return sorted(found, key=lambda one: one.at_s)

    def _cut_off(self, site: int) -> list[Breakage]:
        """What stands between a site and every core: failed spans and sites without power on the
        edge of the part that is cut off."""
        province, network = self._province, self._province.network
        inside = np.zeros(len(network.sites), dtype=np.bool_)
        inside[site] = True
        lit = np.ones(len(network.spans), dtype=np.bool_)
        lit[province.spans.row_in_network] = province.spans.lit
        powered = province.sites.powered
        count = 0
        while count != (count := int(np.count_nonzero(inside))):
            inside[network.b[lit & inside[network.a]]] = True
            inside[network.a[lit & inside[network.b]]] = True
        edge = (inside[network.a] ^ inside[network.b]) & ~lit
        found = []
        for row in np.flatnonzero(edge).tolist():
            span = network.spans[row].id
            found += [one for one in self._by_asset.get(span, ()) if self._cuts(one)]
            far = int(network.b[row] if inside[network.a[row]] else network.a[row])
            if not powered[far]:
                found += self._at([far], POWER)[-1:]
        return sorted(found, key=lambda one: one.at_s)


def _numbers(found: list[Breakage]) -> list[int]:
    """Incidents, the last to begin first, none twice."""
    order = sorted(found, key=lambda one: (one.at_s, one.incident), reverse=True)
    return list(dict.fromkeys(one.incident for one in order))
