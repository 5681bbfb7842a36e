"""What taking in a network would change of the inventory in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from ioc.inventory.imported import Network
from ioc.inventory.model import OWN_ID, Asset, Site

_MOST_LINES = 40
_S = TypeVar("_S", Site, Asset)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """New, changed and gone sites and assets; a changed one is before and after."""

    new_sites: list[Site]
    changed_sites: list[tuple[Site, Site]]
    dropped_sites: list[str]
    added: list[Asset]
    changed: list[tuple[Asset, Asset]]
    retired: list[Asset]
    unchanged: int

    @property
    def sites(self) -> list[Site]:
        """The sites to put."""
        return [*self.new_sites, *(after for _, after in self.changed_sites)]

    @property
    def assets(self) -> list[Asset]:
        """The assets to put."""
        return [*self.added, *(after for _, after in self.changed)]

    @property
    def empty(self) -> bool:
        return not (self.sites or self.assets or self.retired or self.dropped_sites)

    def counted(self) -> str:
        """One line: how much of what."""
        return (
            f"sites: {len(self.new_sites)} added, {len(self.changed_sites)} changed, "
            f"{len(self.dropped_sites)} dropped; assets: {_by_kind(self.added)} added, "
            f"{_by_kind([after for _, after in self.changed])} changed, "
            f"{_by_kind(self.retired)} retired; {self.unchanged} as they were"
        )

    def lines(self) -> Iterator[str]:
        """One line for each change, at most 40 of a sort."""
        groups = (
            [f"+ site {site.id} {site.name}" for site in self.new_sites],
            [f"~ site {old.id}: {_differences(old, new)}" for old, new in self.changed_sites],
            [f"- site {site_id}" for site_id in self.dropped_sites],
            [f"+ {asset.kind} {asset.id} {asset.name}" for asset in self.added],
            [f"~ {old.kind} {old.id}: {_differences(old, new)}" for old, new in self.changed],
            [f"- {asset.kind} {asset.id} {asset.name}" for asset in self.retired],
        )
        for group in groups:
            yield from group[:_MOST_LINES]
            if len(group) > _MOST_LINES:
                yield f"{group[0][0]} and {len(group) - _MOST_LINES} more"


def compare(
    network: Network, *, sites: Iterable[Site], assets: Iterable[Asset], whole: bool
) -> Comparison:
    """Hold a network against the inventory in force. ``whole``: what the network does not have is
    retired, except the service itself, which no file has."""
    sites_now = {site.id: site for site in sites if site.id != OWN_ID}
    assets_now = {asset.id: asset for asset in assets if asset.id != OWN_ID}
    new_sites, changed_sites, same_sites = _split(network.sites, sites_now)
    added, changed, same = _split(network.assets, assets_now)
    given_sites = {site.id for site in network.sites}
    given = {asset.id for asset in network.assets}
    return Comparison(
        new_sites=new_sites,
        changed_sites=changed_sites,
        dropped_sites=[id_ for id_ in sites_now if whole and id_ not in given_sites],
        added=added,
        changed=changed,
        retired=[one for id_, one in assets_now.items() if whole and id_ not in given],
        unchanged=same_sites + same,
    )


def _split(given: list[_S], now: dict[str, _S]) -> tuple[list[_S], list[tuple[_S, _S]], int]:
    added = [one for one in given if one.id not in now]
    changed = [(now[one.id], one) for one in given if one.id in now and now[one.id] != one]
    return added, changed, len(given) - len(added) - len(changed)


def _differences(old: Site | Asset, new: Site | Asset) -> str:
    before, after = msgspec.structs.asdict(old), msgspec.structs.asdict(new)
    if isinstance(old, Asset) and isinstance(new, Asset):
        for values, attributes in ((before, old.attributes), (after, new.attributes)):
            del values["attributes"]
            values.update({f"attr.{name}": value for name, value in attributes.items()})
    names = [*before, *(name for name in after if name not in before)]
    return ", ".join(
        f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in names
        if before.get(name) != after.get(name)
    )


def _by_kind(assets: list[Asset]) -> str:
    kinds = Counter(asset.kind for asset in assets)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{len(assets)} ({parts})" if parts else "0"
