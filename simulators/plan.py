"""What a scenario means in one inventory: every fault with its assets, its begin and its end.

All of it is worked out before the run, from the scenario, the inventory and the seed alone, so
that nothing depends on how fast the run goes. Each step draws from a stream of its own: a step
added at the end changes none before it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ioc.errors import FileError
from ioc.files import line_of
from ioc.inventory import Asset
from ioc.inventory.places import distance_km
from ioc.text import Text
from simulators.choose import choose
from simulators.province import Province
from simulators.scenario import Area, Scenario, Selector, Step

# The stream of random numbers of a scenario, apart from those of the physics.
_STREAM = 0x5CE7
_SHORTEST_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """One fault on assets that it hits together. Those of one ``incident`` belong together.

    ``skew_s`` and ``over_s`` are the amounts of clock-skew and span-bend, None where they are as
    usual.
    """

    incident: int
    fault: str
    assets: tuple[str, ...]
    at_s: float
    until_s: float
    skew_s: float | None = None
    over_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class LoadChange:
    """Traffic of some stations times ``factor`` for some time."""

    at_s: float
    until_s: float
    factor: float
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Window:
    """Planned work on some assets."""

    at_s: float
    until_s: float
    assets: frozenset[str]
    text: Text


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A scenario in one inventory: breakages in the order of their begin."""

    breakages: tuple[Breakage, ...] = ()
    loads: tuple[LoadChange, ...] = ()
    windows: tuple[Window, ...] = ()


def make_plan(scenario: Scenario, province: Province, *, seed: int, path: Path) -> Plan:
    """Work out a scenario. The same scenario, inventory and seed always give the same plan.

    Raises ``FileError`` with a line of ``path`` for everything this inventory has nothing for.
    """
    maker = _Maker(scenario, province, seed, path)
    for place, name in enumerate(scenario.groups):
        maker.group(place, name)
    loads = tuple(maker.load(number) for number in range(len(scenario.load)))
    windows = tuple(maker.window(number) for number in range(len(scenario.maintenance)))
    drafts = [draft for number in range(len(scenario.steps)) for draft in maker.step(number)]
    maker.check_areas()
    if maker.faults:
        raise FileError(maker.faults)
    breakages = maker.repaired(drafts)
    order = sorted(breakages, key=lambda one: (one.at_s, one.incident, one.assets))
    return Plan(breakages=tuple(order), loads=loads, windows=windows)


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A breakage whose end crews still have to decide."""

    breakage: Breakage
    crew: str | None


class _Maker:
    """One making of a plan: the faults found on the way, and the numbers of incidents."""

    def __init__(self, scenario: Scenario, province: Province, seed: int, path: Path) -> None:
        self.scenario, self.province = scenario, province
        self.seed, self.path = seed, path
        self.faults: list[str] = []
        self._known = {asset for table in province.tables.values() for asset in table.index}
        self._incidents = 0
        self._groups_of: dict[str, frozenset[str]] = {}
        self._passed_over: set[str] = set()

    def group(self, place: int, name: str) -> None:
        selector = self.scenario.groups[name]
        chosen = choose(selector, self.province, rng=self._rng(5, place))
        self._groups_of[name] = frozenset(asset.id for asset in chosen)
        if not chosen:
            self._nothing(("groups", name), selector, "")

    def load(self, number: int) -> LoadChange:
        given = self.scenario.load[number]
        table = self.province.stations.table
        chosen = self._chosen(given.where, ("load", number), kind=table.kind, part=1)
        rows = tuple(table.index[asset.id] for asset in chosen)
        return LoadChange(
            at_s=given.at, until_s=given.at + given.for_, factor=given.factor, rows=rows
        )

    def window(self, number: int) -> Window:
        given = self.scenario.maintenance[number]
        chosen = self._chosen(given.where, ("maintenance", number), part=2)
        return Window(
            at_s=given.at,
            until_s=given.at + given.for_,
            assets=frozenset(asset.id for asset in chosen),
            text=given.text,
        )

    def step(self, number: int) -> list[_Draft]:
        step = self.scenario.steps[number]
        rng = self._rng(3, number)
        chosen = self._chosen(step.where, ("steps", number), fault=step.fault, rng=rng)
        drafts = []
        whole = self._number() if step.incident == "step" else None
        for assets in self._groups(step, chosen):
            at_s = self._begin(step, assets, rng)
            lasts_s = float(rng.uniform(*step.for_)) if step.for_ else 0.0
            if at_s is None:
                continue
            drafts.append(
                _Draft(
                    breakage=Breakage(
                        incident=self._number() if whole is None else whole,
                        fault=step.fault,
                        assets=tuple(asset.id for asset in assets),
                        at_s=at_s,
                        until_s=at_s + max(lasts_s, _SHORTEST_S),
                        skew_s=step.skew,
                        over_s=step.over,
                    ),
                    crew=step.repair,
                )
            )
        return drafts

    def check_areas(self) -> None:
        """An area that passes by everything is a mistake, or another province's."""
        used = {step.within for step in self.scenario.steps if step.within is not None}
        for name in sorted(used - self._passed_over):
            self._fault(("areas", name), "passes over none of this inventory's assets")

    def repaired(self, drafts: list[_Draft]) -> list[Breakage]:
        """Send the crews: first come, first served."""
        found = [draft.breakage for draft in drafts if draft.crew is None]
        for place, (name, crews) in enumerate(self.scenario.crews.items()):
            rng = self._rng(4, place)
            free = [crews.from_] * crews.count
            waiting = [draft.breakage for draft in drafts if draft.crew == name]
            for broken in sorted(waiting, key=lambda one: (one.at_s, one.incident, one.assets)):
                begins_s = max(heapq.heappop(free), broken.at_s)
                done_s = begins_s + max(float(rng.uniform(*crews.takes)), _SHORTEST_S)
                heapq.heappush(free, done_s)
                found.append(replace(broken, until_s=done_s))
        return found

    def _rng(self, part: int, number: int) -> np.random.Generator:
        return np.random.default_rng(
            np.random.SeedSequence(self.seed, spawn_key=(_STREAM, part, number))
        )

    def _number(self) -> int:
        self._incidents += 1
        return self._incidents

    def _chosen(
        self,
        selector: Selector,
        place: tuple[str, int],
        *,
        fault: str = "",
        kind: str = "",
        part: int = 0,
        rng: np.random.Generator | None = None,
    ) -> list[Asset]:
        if kind and selector.kinds is None:
            selector = selector.model_copy(update={"kinds": (kind,)})
        chosen = choose(
            selector,
            self.province,
            fault=fault,
            within=None if selector.group is None else self._groups_of.get(selector.group, ()),
            rng=rng or self._rng(part, place[1]),
        )
        chosen = [asset for asset in chosen if not kind or asset.kind == kind]
        unknown = sorted(set(selector.ids or ()) - self._known)
        for asset_id in unknown:
            self._fault((*place, "where", "ids"), f"{asset_id!r}: no such simulated asset")
        if not chosen and not unknown:
            self._nothing((*place, "where"), selector, fault)
        return chosen

    def _nothing(self, place: tuple[str | int, ...], selector: Selector, fault: str) -> None:
        told = selector.model_dump(exclude_none=True) or "every asset"
        of = f" that can have {fault}" if fault else ""
        self._fault(place, f"{told}: this inventory has none{of}; choose others")

    def _fault(self, place: tuple[str | int, ...], text: str) -> None:
        line = line_of(self.path, place)
        self.faults.append(f"{self.path}:{line}: {'.'.join(map(str, place))}: {text}")

    def _groups(self, step: Step, chosen: list[Asset]) -> list[list[Asset]]:
        """The assets that are drawn for together, in the inventory's order."""
        keys: dict[str, Callable[[Asset], str]] = {
            "all": lambda _: "",
            "site": lambda asset: asset.site,
            "commune": lambda asset: asset.commune,
            "power_area": lambda asset: str(asset.attributes.get("power_area", asset.site)),
            "duct": lambda asset: str(asset.attributes.get("duct", asset.id)),
        }
        if step.together is None:
            # A digger takes all cables of a duct in one blow.
            return [chosen] if step.where.role == "duct" else [[asset] for asset in chosen]
        groups: dict[str, list[Asset]] = {}
        for asset in chosen:
            groups.setdefault(keys[step.together](asset), []).append(asset)
        return list(groups.values())

    def _begin(self, step: Step, assets: list[Asset], rng: np.random.Generator) -> float | None:
        """When these assets are hit; None when they are not."""
        luck, moment = float(rng.random()), float(rng.random())
        if step.at is not None:
            return step.at[0] + moment * (step.at[1] - step.at[0])
        assert step.within is not None
        lat = sum(asset.lat for asset in assets) / len(assets)
        lon = sum(asset.lon for asset in assets) / len(assets)
        stay = _stay(self.scenario.areas[step.within], lat, lon)
        if stay is not None:
            self._passed_over.add(step.within)
        if stay is None or luck >= step.chance * stay.closeness:
            return None
        return stay.from_s + moment * (stay.to_s - stay.from_s)


@dataclass(frozen=True, kw_only=True)
class _Stay:
    """How long a point is within a moving area, and how near its centre comes (1 at the track)."""

    from_s: float
    to_s: float
    closeness: float


def _stay(area: Area, lat: float, lon: float, *, every_s: float = 300.0) -> _Stay | None:
    """Follow the centre in steps of five minutes."""
    inside: list[tuple[float, float]] = []
    now_s, reach_km = area.begins, 0.0
    corners = area.track if len(area.track) > 1 else area.track * 2
    for (a_lon, a_lat), (b_lon, b_lat) in itertools.pairwise(corners):
        leg_s = distance_km(a_lat, a_lon, b_lat, b_lon) / area.speed_km_h * 3600.0
        steps = max(1, int(leg_s // every_s))
        for step in range(steps):
            part = step / steps
            reach_km = distance_km(
                a_lat + part * (b_lat - a_lat), a_lon + part * (b_lon - a_lon), lat, lon
            )
            if reach_km < area.radius_km:
                inside.append((now_s + part * leg_s, reach_km))
        now_s += leg_s
    if not inside:
        return None
    nearest = min(km for _, km in inside)
    return _Stay(
        from_s=inside[0][0], to_s=inside[-1][0] + every_s, closeness=1 - nearest / area.radius_km
    )
