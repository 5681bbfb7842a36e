"""The fibre of a synthetic province: which sites are joined, by which cables.

Three layers. Aggregation: the hubs and the core sites are joined to their neighbours so that each
has two ways to a core (interlocking rings), except the hubs of communes that one cable leads to.
Access: around each hub, rings of 6 to 12 masts that begin and end there, and spurs that hang on
what is nearest. Second cables: other operators' cables beside the first in the same duct, along
rings and aggregation, never along a spur; outside the towns, where ducts are few, mostly on a
longer way of their own; and links between the rings of different hubs.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Spot = tuple[float, float]
Layer = Literal["aggregation", "access"]

LONGEST_ACCESS_KM = 12.0
SHORTEST_KM = 0.5
# A cable follows roads: so much longer than the straight line. A way of its own is longer still.
DETOUR = {"access": (1.35, 1.7), "aggregation": (1.25, 1.5)}
OWN_WAY = (1.4, 2.2)
# So many of the further cables outside the towns lie on a way of their own.
OWN_WAY_SHARE = 0.7
FIT = 0.1
# Straight, so that the cable stays within an access hop.
FARTHEST_KM = LONGEST_ACCESS_KM / DETOUR["access"][1]
RING_SIZES = (6, 12)
# As cable is built: drums of 4 km with a splice at both ends of each, two connectors of 0.3 to
# 0.5 dB each (common practice).
DRUM_KM, SPLICE_DB = 4.0, 0.12
CONNECTORS_DB = (0.6, 1.0)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A site as a point of the network. ``ring_share`` is how much of its hub's surroundings is in
    rings rather than on spurs."""

    site: str
    spot: Spot
    area: str
    cell: str = ""
    hub: bool = False
    core: bool = False
    single_route: bool = False
    ring_share: float = 0.6
    ducts: bool = False
    spur_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Cable:
    """One span: ``a`` is the end nearer to a core. Cables with the same ``duct`` lie together."""

    a: Node
    b: Node
    layer: Layer
    length_km: float
    ring: bool
    duct: str
    operator: int


@dataclass(frozen=True, kw_only=True)
class _Edge:
    a: Node
    b: Node
    layer: Layer
    ring: bool


def lay_cables(
    nodes: Sequence[Node], *, spans: int, built_km: float, operators: int, rng: random.Random
) -> list[Cable]:
    """Join all nodes, with ``spans`` cables in all (more where joining them takes more).

    Detours are drawn, then fitted (by 10 % at the most) so that the cables are ``built_km`` long
    together.
    """
    edges = _aggregation(nodes)
    cells: dict[str, list[Node]] = {}
    for node in nodes:
        if node.cell and not node.hub:
            cells.setdefault(node.cell, []).append(node)
    hubs = {node.cell: node for node in nodes if node.hub}
    for cell, members in cells.items():
        edges += _access(hubs[cell], members, rng)
    depth = _depths(nodes, edges)
    extra = spans - len(edges)
    edges += _links(edges, max(0, round(extra * 0.15)), rng)
    cables = _cables(edges, depth, spans=spans, operators=operators, rng=rng)
    fit = built_km / sum(cable.length_km for cable in cables)
    fit = min(1 + FIT, max(1 - FIT, fit))
    return [replace(cable, length_km=_length(cable, fit)) for cable in cables]


def _length(cable: Cable, fit: float) -> float:
    longest = LONGEST_ACCESS_KM if cable.layer == "access" else math.inf
    return round(min(longest, max(SHORTEST_KM, cable.length_km * fit)), 2)


def _km(a: Node, b: Node) -> float:
    return math.dist(a.spot, b.spot)


# Aggregation


def _aggregation(nodes: Sequence[Node]) -> list[_Edge]:
    ringed = [node for node in nodes if node.core or (node.hub and not node.single_route)]
    pairs = _neighbours(ringed)
    while bridge := _bridge(ringed, pairs):
        one_side, other_side = bridge
        new = [
            (_km(ringed[a], ringed[b]), a, b)
            for a in one_side
            for b in other_side
            if (min(a, b), max(a, b)) not in pairs
        ]
        if not new:
            break  # two sites alone: one way is all there is
        _, a, b = min(new)
        pairs.add((min(a, b), max(a, b)))
    edges = [
        _Edge(a=ringed[a], b=ringed[b], layer="aggregation", ring=True) for a, b in sorted(pairs)
    ]
    hanging = [node for node in nodes if node.hub and node.single_route]
    edges += [
        _Edge(a=near, b=far, layer="aggregation", ring=False)
        for near, far in _tree(ringed, hanging)
    ]
    return edges


def _neighbours(nodes: Sequence[Node]) -> set[tuple[int, int]]:
    """Pairs with no third node in the circle over the line between them (the Gabriel graph): always
    connected, and nobody is joined past a nearer neighbour."""
    spots = [node.spot for node in nodes]
    pairs = set()
    for a, (ax, ay) in enumerate(spots):
        for b in range(a + 1, len(spots)):
            bx, by = spots[b]
            middle, radius = ((ax + bx) / 2, (ay + by) / 2), math.dist(spots[a], spots[b]) / 2
            if all(
                c in (a, b) or math.dist(middle, spot) >= radius for c, spot in enumerate(spots)
            ):
                pairs.add((a, b))
    return pairs


def _bridge(nodes: Sequence[Node], pairs: set[tuple[int, int]]) -> tuple[set[int], set[int]] | None:
    """The two sides of a pair whose loss would part the network; None when there is none. The core
    sites reach each other by other means."""
    cores = [i for i, node in enumerate(nodes) if node.core]
    for pair in sorted(pairs):
        reached, waiting = set(cores), deque(cores)
        ways: dict[int, list[int]] = {}
        for a, b in pairs - {pair}:
            ways.setdefault(a, []).append(b)
            ways.setdefault(b, []).append(a)
        while waiting:
            for far in ways.get(waiting.popleft(), ()):
                if far not in reached:
                    reached.add(far)
                    waiting.append(far)
        if len(reached) < len(nodes):
            return reached, set(range(len(nodes))) - reached
    return None


# Access


def _access(hub: Node, members: list[Node], rng: random.Random) -> list[_Edge]:
    """Rings and spurs around one hub."""
    turn = rng.uniform(0, 2 * math.pi)
    around = sorted(
        (node for node in members if not node.spur_only),
        key=lambda node: (
            (math.atan2(node.spot[1] - hub.spot[1], node.spot[0] - hub.spot[0]) + turn)
            % (2 * math.pi)
        ),
    )
    edges: list[_Edge] = []
    joined = [hub]
    on_ring: set[str] = set()
    while len(around) >= RING_SIZES[0]:
        size = min(rng.randint(*RING_SIZES), len(around))
        group, around = around[:size], around[size:]
        tour = _tour(hub, group)
        stops = [hub, *tour, hub]
        hops = list(itertools.pairwise(stops))
        if rng.random() < hub.ring_share and all(_km(a, b) <= FARTHEST_KM for a, b in hops):
            edges += [_Edge(a=a, b=b, layer="access", ring=True) for a, b in hops]
            joined += tour
            on_ring |= {node.site for node in tour}
    rest = [node for node in members if node.site not in on_ring]
    edges += [_Edge(a=a, b=b, layer="access", ring=False) for a, b in _tree(joined, rest)]
    return edges


def _tour(start: Node, nodes: Iterable[Node]) -> list[Node]:
    """A short round trip from ``start``: nearest first, then uncrossed (2-opt)."""
    left, tour = list(nodes), [start]
    while left:
        nearest = min(left, key=lambda node: _km(tour[-1], node))
        left.remove(nearest)
        tour.append(nearest)
    better = True
    while better:
        better = False
        for i in range(1, len(tour) - 1):
            for j in range(i + 1, len(tour)):
                before, after = tour[i - 1], tour[(j + 1) % len(tour)]
                now = _km(before, tour[i]) + _km(tour[j], after)
                if _km(before, tour[j]) + _km(tour[i], after) < now - 1e-9:
                    tour[i : j + 1] = tour[i : j + 1][::-1]
                    better = True
    return tour[1:]


def _tree(joined: Sequence[Node], hanging: Sequence[Node]) -> list[tuple[Node, Node]]:
    """Hang each node on the nearest that is joined already, nearest first (Prim)."""
    nearest = {
        node.site: min((_km(node, other), n) for n, other in enumerate(joined)) for node in hanging
    }
    at = list(joined)
    left = {node.site: node for node in hanging}
    pairs = []
    while left:
        site = min(left, key=lambda site: (nearest[site][0], site))
        node = left.pop(site)
        pairs.append((at[nearest[site][1]], node))
        at.append(node)
        for other_site, other in left.items():
            nearest[other_site] = min(nearest[other_site], (_km(other, node), len(at) - 1))
    return pairs


# Cables


def _depths(nodes: Sequence[Node], edges: Iterable[_Edge]) -> dict[str, int]:
    """How many spans each site is from a core."""
    ways: dict[str, list[str]] = {}
    for edge in edges:
        ways.setdefault(edge.a.site, []).append(edge.b.site)
        ways.setdefault(edge.b.site, []).append(edge.a.site)
    depth = {node.site: 0 for node in nodes if node.core}
    waiting = deque(depth)
    while waiting:
        site = waiting.popleft()
        for far in ways.get(site, ()):
            if far not in depth:
                depth[far] = depth[site] + 1
                waiting.append(far)
    return depth


def _links(edges: Sequence[_Edge], wanted: int, rng: random.Random) -> list[_Edge]:
    """Links between ring sites of different hubs: a second way that is not the same street."""
    ringed = {
        node.site: node
        for edge in edges
        if edge.ring and edge.layer == "access"
        for node in (edge.a, edge.b)
        if not node.single_route
    }
    taken = {frozenset((edge.a.site, edge.b.site)) for edge in edges}
    grid: dict[tuple[int, int], list[Node]] = {}
    for node in ringed.values():
        grid.setdefault((int(node.spot[0] // 6), int(node.spot[1] // 6)), []).append(node)
    found: list[_Edge] = []
    order = list(ringed.values())
    rng.shuffle(order)
    for node in order:
        if len(found) == wanted:
            break
        column, row = int(node.spot[0] // 6), int(node.spot[1] // 6)
        others = [
            other
            for x in (column - 1, column, column + 1)
            for y in (row - 1, row, row + 1)
            for other in grid.get((x, y), ())
            if other.cell != node.cell
            and _km(node, other) <= 6
            and frozenset((node.site, other.site)) not in taken
        ]
        if others:
            near = min(others, key=lambda other: (_km(node, other), other.site))
            pair = frozenset((node.site, near.site))
            if pair not in taken:
                taken.add(pair)
                found.append(_Edge(a=node, b=near, layer="access", ring=True))
    return found


def _cables(
    edges: Sequence[_Edge],
    depth: dict[str, int],
    *,
    spans: int,
    operators: int,
    rng: random.Random,
) -> list[Cable]:
    """One cable for each edge, then second and third ones beside those of rings."""
    cables: list[Cable] = []
    for number, edge in enumerate(edges, start=1):
        a, b = sorted((edge.a, edge.b), key=lambda node: depth[node.site])
        detour = rng.uniform(*DETOUR[edge.layer])
        cables.append(
            Cable(
                a=a,
                b=b,
                layer=edge.layer,
                length_km=max(SHORTEST_KM, _km(a, b) * detour),
                ring=edge.ring,
                duct=f"D-{a.area}-{number:04d}" if a.ducts and b.ducts else "",
                operator=rng.randrange(operators),
            )
        )
    doubled = [cable for cable in cables if cable.ring]
    for beside in range(1, operators):
        # Streets with ducts first: there a further cable is cheap.
        order = sorted(doubled, key=lambda cable: (not cable.duct, rng.random()))
        cables += [
            _beside(cable, operator=(cable.operator + beside) % operators, rng=rng)
            for cable in order[: max(0, spans - len(cables))]
        ]
    return cables


def _beside(cable: Cable, *, operator: int, rng: random.Random) -> Cable:
    """Another operator's cable between the same two sites."""
    if cable.duct or rng.random() > OWN_WAY_SHARE:
        return replace(cable, operator=operator)
    return replace(cable, operator=operator, length_km=cable.length_km * rng.uniform(*OWN_WAY))
