"""What exists: sites, the assets on them and the spans between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Annotated

import msgspec

from ioc.errors import InventoryError

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Attribute = str | float | int | bool
# The service itself, as an asset on a site of its own (``ioc.inventory.own``).
OWN_ID = "IOC"


class Site(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place: a mast with its mains, battery and shelter, or a data centre.

    ``core`` marks a place the network hangs on: what cannot reach one over spans is cut off.
    """

    id: Identifier
    name: str
    commune: str
    lat: Latitude
    lon: Longitude
    core: bool = False


class Asset(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that sends telemetry.

    ``commune`` is the official code. A span joins ``site`` (its A end) and ``far_site`` (its B
    end); every other asset stands on ``site``. ``depends_on`` names assets it cannot do without.
    ``population`` is how many people it serves. ``simulated`` assets are driven by the simulators;
    ``synthetic`` ones do not exist.
    """

    id: Identifier
    kind: str
    name: str
    province: str
    commune: str
    site: Identifier
    lat: Latitude
    lon: Longitude
    operator: str = ""
    far_site: str = ""
    depends_on: tuple[str, ...] = ()
    population: int = 0
    length_km: float = 0.0
    simulated: bool = False
    synthetic: bool = False
    attributes: dict[str, Attribute] = {}


class Inventory:
    """The sites and assets in force, by id. Changed only through ``apply``.

    ``changing`` is held from the check of a change until it is applied. ``version`` grows by one
    with each change.
    """

    def __init__(self, sites: Iterable[Site] = (), assets: Iterable[Asset] = ()) -> None:
        self.sites: dict[str, Site] = {site.id: site for site in sites}
        self.assets: dict[str, Asset] = {asset.id: asset for asset in assets}
        self.retired: dict[str, Asset] = {}
        self.version = 0
        self.changing = asyncio.Lock()

    def apply(
        self,
        *,
        sites: Iterable[Site] = (),
        add: Iterable[Asset] = (),
        retire: Iterable[str] = (),
        drop_sites: Iterable[str] = (),
    ) -> None:
        """Add or replace sites and assets, then take out the retired and the sites that nothing
        stands on any more. Checked by the caller."""
        for site in sites:
            self.sites[site.id] = site
        for asset in add:
            self.assets[asset.id] = asset
            self.retired.pop(asset.id, None)
        for asset_id in retire:
            gone = self.assets.pop(asset_id, None)
            if gone is not None:
                self.retired[asset_id] = gone
        for site_id in drop_sites:
            self.sites.pop(site_id, None)
        self.version += 1

    def find(self, asset_id: str) -> Asset | None:
        """An asset in force or retired, for readings that still wait to be stored."""
        return self.assets.get(asset_id) or self.retired.get(asset_id)

    def check(
        self,
        *,
        kinds: Iterable[str],
        own_kinds: Collection[str] = (),
        sites: Iterable[Site] = (),
        add: Iterable[Asset] = (),
        retire: Iterable[str] = (),
        drop_sites: Iterable[str] = (),
    ) -> None:
        """Raise ``InventoryError`` naming every fault ``apply`` would bring in.

        ``own_kinds`` are those that the service measures itself: its own asset is the only one of
        them, and stays.
        """
        sites, add, retire, known_kinds = list(sites), list(add), list(retire), set(kinds)
        drop_sites = set(drop_sites)
        known_sites = (self.sites.keys() | {site.id for site in sites}) - drop_sites
        known_assets = (self.assets.keys() | {asset.id for asset in add}) - set(retire)
        faults = [
            f"{what} {id_}: given {times} times"
            for what, ids in (
                ("site", [site.id for site in sites] + sorted(drop_sites)),
                ("asset", [asset.id for asset in add] + retire),
            )
            for id_, times in Counter(ids).items()
            if times > 1
        ]
        for asset in add:
            if asset.kind not in known_kinds:
                faults.append(
                    f"asset {asset.id}: kind {asset.kind!r}: not in the catalog, expected one of "
                    + ", ".join(sorted(known_kinds))
                )
            known = self.assets.get(asset.id)
            if known is not None and known.kind != asset.kind:
                faults.append(
                    f"asset {asset.id}: kind {asset.kind!r}: is a {known.kind}; retire it first"
                )
            if asset.kind in own_kinds and asset.id != OWN_ID:
                faults.append(
                    f"asset {asset.id}: kind {asset.kind!r}: is the service itself, which is asset "
                    f"{OWN_ID}"
                )
            faults += _misplaced(asset, known_sites)
            faults += [
                f"asset {asset.id}: depends_on {other!r}: no such asset"
                for other in asset.depends_on
                if other not in known_assets
            ]
        faults += [
            f"asset {asset_id}: retire: no such asset"
            for asset_id in retire
            if asset_id not in self.assets
        ]
        staying = {asset.id: asset for asset in (*self.assets.values(), *add)}
        for asset_id in retire:
            staying.pop(asset_id, None)
        faults += _left_hanging(staying, retired=set(retire), dropped=drop_sites)
        faults += [
            f"site {site_id}: drop: no such site"
            for site_id in sorted(drop_sites - self.sites.keys())
        ]
        if OWN_ID in retire and OWN_ID in self.assets and self.assets[OWN_ID].kind in own_kinds:
            faults.append(f"asset {OWN_ID}: retire: is the service itself")
        if faults:
            raise InventoryError("\n".join(faults))


def _left_hanging(
    staying: dict[str, Asset], *, retired: set[str], dropped: set[str]
) -> Iterable[str]:
    """What would still need an asset or a site that goes."""
    if not retired and not dropped:
        return
    for asset in staying.values():
        for other in asset.depends_on:
            if other in retired:
                yield (
                    f"asset {other}: retire: {asset.id} depends on it; change or retire "
                    f"{asset.id} too"
                )
        for site in (asset.site, asset.far_site):
            if site in dropped:
                yield f"site {site}: drop: {asset.id} stands on it; retire {asset.id} too"


def _misplaced(asset: Asset, known_sites: set[str]) -> list[str]:
    """What is wrong with the sites that an asset names."""
    faults = [
        f"asset {asset.id}: {field} {site!r}: no such site"
        for field, site in (("site", asset.site), ("far_site", asset.far_site))
        if site and site not in known_sites
    ]
    if not asset.site:
        faults.append(f"asset {asset.id}: site: is empty")
    if asset.kind == "span" and asset.far_site in ("", asset.site):
        faults.append(f"asset {asset.id}: far_site {asset.far_site!r}: a span joins two sites")
    if asset.kind != "span" and asset.far_site:
        faults.append(f"asset {asset.id}: far_site {asset.far_site!r}: only a span has one")
    return faults
