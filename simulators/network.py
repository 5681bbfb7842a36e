"""What hangs on what: sites are nodes, spans are edges, core sites are what must be reached."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import numpy as np

from ioc.inventory import Asset, Site
from simulators.table import BoolArray, IntArray


class Network:
    """The spans between sites, of the whole inventory (simulated or not).

    A site that no span joins to a core site (an island on satellite) is its own core.
    """

    def __init__(self, sites: Sequence[Site], spans: Iterable[Asset]) -> None:
        self.sites = list(sites)
        self.site_index = {site.id: row for row, site in enumerate(self.sites)}
        self.spans = [span for span in spans if span.far_site]
        self.span_index = {span.id: row for row, span in enumerate(self.spans)}
        self.a: IntArray = np.array(
            [self.site_index[span.site] for span in self.spans], dtype=np.int64
        )
        self.b: IntArray = np.array(
            [self.site_index[span.far_site] for span in self.spans], dtype=np.int64
        )
        self.core: BoolArray = np.array([site.core for site in self.sites], dtype=np.bool_)
        whole = np.ones(len(self.sites), dtype=np.bool_)
        reached = self.reachable(lit=np.ones(len(self.spans), dtype=np.bool_), powered=whole)
        self.core |= ~reached

    def reachable(self, *, lit: BoolArray, powered: BoolArray) -> BoolArray:
        """Which sites have power and reach a core site over lit spans."""
        reached = self.core & powered
        a, b = self.a[lit], self.b[lit]
        count = -1
        while count != (count := int(np.count_nonzero(reached))):
            reached[b[reached[a]]] = True
            reached[a[reached[b]]] = True
            reached &= powered
        return reached

    def cut_together(self) -> list[list[int]]:
        """Spans that are no bridges alone, in groups: any two of a group cut together isolate what
        lies between them (the two sides of a ring).

        Each span beyond a spanning tree gets a random number, each of the tree the sum (XOR) of
        those that go round it: two spans cut together are those with the same number.
        """
        draw = random.Random(0)  # any numbers do: two that are equal by chance are one in 2^64
        core = self.core.tolist()
        around: list[list[tuple[int, int]]] = [[] for _ in self.sites]
        for row, (a, b) in enumerate(zip(self.a.tolist(), self.b.tolist(), strict=True)):
            around[a].append((b, row))
            around[b].append((a, row))
        order = [site for site, is_core in enumerate(core) if is_core]
        parent: dict[int, tuple[int, int]] = {site: (site, -1) for site in order}
        numbers = [-1] * len(self.spans)
        sums = [0] * len(self.sites)
        for site in order:
            for far, row in around[site]:
                if far not in parent:
                    parent[far] = (site, row)
                    numbers[row] = 0
                    order.append(far)
                elif numbers[row] < 0:
                    numbers[row] = draw.getrandbits(63) + 1
                    sums[site] ^= numbers[row]
                    sums[far] ^= numbers[row]
        for site in reversed(order):
            up, row = parent[site]
            if row >= 0:
                numbers[row] = sums[site]
                sums[up] ^= sums[site]
        groups: dict[int, list[int]] = {}
        for row, number in enumerate(numbers):
            if number > 0:
                groups.setdefault(number, []).append(row)
        return [rows for rows in groups.values() if len(rows) > 1]

    def cut_off_by(self) -> dict[int, list[int]]:
        """For each span whose failure alone cuts sites off (a bridge): which sites.

        One depth-first walk from all core sites (Tarjan's bridges), without recursion.
        """
        neighbours: list[list[tuple[int, int]]] = [[] for _ in self.sites]
        for row, (a, b) in enumerate(zip(self.a.tolist(), self.b.tolist(), strict=True)):
            neighbours[a].append((b, row))
            neighbours[b].append((a, row))
        entered = [-1] * len(self.sites)
        low = [0] * len(self.sites)
        order: list[int] = []
        bridges: dict[int, list[int]] = {}
        for root in np.flatnonzero(self.core).tolist():
            if entered[root] >= 0:
                continue
            entered[root], low[root] = len(order), 0
            order.append(root)
            walk = [(root, -1, iter(neighbours[root]))]
            while walk:
                site, by, ahead = walk[-1]
                for far, span in ahead:
                    if span == by:
                        continue
                    if entered[far] < 0:
                        # A core site needs nobody: a way to it is as good as a way to the root.
                        entered[far] = len(order)
                        low[far] = 0 if self.core[far] else entered[far]
                        order.append(far)
                        walk.append((far, span, iter(neighbours[far])))
                        break
                    low[site] = min(low[site], entered[far])
                else:
                    walk.pop()
                    if walk:
                        before = walk[-1][0]
                        low[before] = min(low[before], low[site])
                        if low[site] > entered[before]:
                            bridges[by] = order[entered[site] :]
        return bridges
