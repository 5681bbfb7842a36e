"""Small provinces for the tests of the simulators, and plain readers of what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ioc.catalog import Equals, Rule, Threshold, load_catalog
from ioc.inventory import Asset, Site
from ioc.inventory.file import InventoryFile
from ioc.inventory.model import Attribute
from simulators.messages import Message
from simulators.province import Province

CATALOG = load_catalog()
MIDNIGHT_MS = 1_767_200_400_000  # 2026-01-01T00:00:00+07:00
EQUIPMENT = {
    "dc_site": 1,
    "ups": 2,
    "genset": 1,
    "transfer_switch": 1,
    "cooling_unit": 4,
    "rack": 6,
    "storage_backup": 1,
    "uplink": 2,
}


def site(id_: str, *, core: bool = False) -> Site:
    return Site(id=id_, name=id_, commune="22366", lat=12.2, lon=109.1, core=core)


def asset(id_: str, kind: str, at: str, *, far: str = "", **attributes: Attribute) -> Asset:
    return Asset(
        id=id_,
        kind=kind,
        name=id_,
        province="khanh-hoa",
        commune="22366",
        site=at,
        far_site=far,
        lat=12.2,
        lon=109.1,
        population=400 if kind == "bts" else 0,
        length_km=4.5 if kind == "span" else 0.0,
        simulated=True,
        synthetic=True,
        attributes=attributes,
    )


def network(edges: Iterable[tuple[str, str]], *, core: str = "C") -> InventoryFile:
    """Sites joined by spans "C-A", each but the core with one station "K-A"."""
    edges = list(edges)
    names = sorted({name for edge in edges for name in edge} | {core})
    assets = [asset(f"K-{name}", "bts", name) for name in names if name != core]
    assets += [
        asset(f"{a}-{b}-{number}" if edges.count((a, b)) > 1 else f"{a}-{b}", "span", a, far=b)
        for number, (a, b) in enumerate(edges)
    ]
    return InventoryFile(
        province="khanh-hoa", sites=[site(name, core=name == core) for name in names], assets=assets
    )


def whole() -> InventoryFile:
    """One of everything: two data centres, three masts (one with a genset, one with two
    operators), a spur and a station of a real owner."""
    places = {"NT": "DC-NT", "PR": "DC-PR"}
    sites = [site(place, core=True) for place in places.values()]
    sites += [site(name) for name in ("M1", "M2", "M3")]
    assets = [
        asset("DC-NT-PR", "span", "DC-NT", far="DC-PR"),
        asset("S-1", "span", "DC-NT", far="M1"),
        asset("S-2", "span", "M1", far="M2"),
        asset("S-3", "span", "DC-PR", far="M3"),
        asset("B1a", "bts", "M1", cells_total=6, cells_5g=3),
        asset("B1b", "bts", "M1", cells_total=3, cells_5g=0),
        asset("B2", "bts", "M2"),
        asset("B3", "bts", "M3", has_genset=True),
        msgspec.structs.replace(asset("LAB", "bts", "M1"), simulated=False),
    ]
    for place in places.values():
        assets += [
            asset(f"{place}-{kind}-{number}", kind, place)
            for kind, count in EQUIPMENT.items()
            for number in range(count)
        ]
    return InventoryFile(province="khanh-hoa", sites=sites, assets=assets)


def province(
    inventory: InventoryFile,
    *,
    seed: int = 1,
    start_ms: int = MIDNIGHT_MS,
    interval_s: float = 10.0,
    tick_s: float = 1.0,
    boot: int = 7,
) -> Province:
    return Province(
        inventory,
        catalog=CATALOG,
        seed=seed,
        start_ms=start_ms,
        interval_s=interval_s,
        tick_s=tick_s,
        boot=boot,
    )


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One message, decoded."""

    kind: str
    asset: str
    channel: str
    content: dict[str, Any]

    @property
    def metrics(self) -> dict[str, Any]:
        return {
            name: value for name, value in self.content.items() if name not in ("ts", "seq", "boot")
        }


def heard(messages: Sequence[Message]) -> list[Heard]:
    found = []
    for message in messages:
        _, _, _, kind, name, channel = message.topic.split("/")
        content = msgspec.json.decode(message.payload)
        found.append(Heard(kind=kind, asset=name, channel=channel, content=content))
    return found


def listen(source: Province, seconds: float) -> list[Heard]:
    """Everything that is sent in the next ``seconds``."""
    return heard(
        [message for _ in range(round(seconds / source.tick_s)) for message in source.tick()]
    )


def telemetry(found: Iterable[Heard], asset_id: str) -> list[Heard]:
    return [one for one in found if one.asset == asset_id and one.channel == "telemetry"]


def alarms(found: Iterable[Heard], asset_id: str) -> list[Heard]:
    return [one for one in found if one.asset == asset_id and one.channel == "alarm"]


def trips(rule: Rule, metrics: dict[str, Any]) -> bool:
    """Whether one reading is over a rule's line, its ``for`` left aside."""
    when = rule.when
    if not isinstance(when, Threshold | Equals) or when.metric not in metrics:
        return False
    value = metrics[when.metric]
    if isinstance(when, Equals):
        return bool(value == when.equals)
    if when.above is not None:
        return bool(value > when.above)
    assert when.below is not None
    return bool(value < when.below)


def tripped(found: Iterable[Heard]) -> set[str]:
    return {
        rule.id
        for one in found
        if one.channel == "telemetry"
        for rule in CATALOG.kinds[one.kind].rules
        if trips(rule, one.metrics)
    }


async def until(holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Return once something holds in real servers and processes; ``TimeoutError`` if it never
    does."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  # what is waited for is in other processes
            await asyncio.sleep(0.05)
