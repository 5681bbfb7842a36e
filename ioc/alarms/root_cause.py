"""Which alarm explains which: the parent of an alarm, and what a root takes with it.

Looked for in this order, the first that is found:

1. A cut-off asset's silence and troubles of communication or quality are explained by the failed
   span that cuts it off: the first one in time, if several do.
2. What else a failed span reports of itself, its surroundings aside, by its failure.
3. One of several that tell one fact, by the gravest, of those the first: what a rule ``shared_by:
   site`` says of the stations of a mast, and what a device says in the same words as a rule (the
   same specific probable cause, of the same asset or of its mast).
4. Any alarm of an asset that ``depends_on`` another, by that one's being out of service.

What stood long before a failure is not explained by it. A parent is never itself explained by its
child; where it is explained by a third, that one is the parent of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from ioc.alarms.lifecycle import DEVICE, Lifecycle, Standing
from ioc.alarms.model import SEVERITIES, Impact
from ioc.alarms.topology import STATION, Region, Topology
from ioc.inventory import Asset, Inventory

# An alarm with a possible parent waits this long for it before anyone is told.
SETTLE_MS = 5_000
# A child may have been raised this long before its parent: silence is noticed in 30 s, a span that
# has a ``for`` of a minute later.
BEFORE_PARENT_MS = 120_000
# Probable causes that say nothing in particular: two alarms with one of them are two facts.
UNSPECIFIC_CAUSES = frozenset(
    {"equipmentMalfunction", "indeterminate", "other", "performanceDegraded", "thresholdCrossed"}
)
# Beside two cadences, what a recovering asset gets until its own clear must have come.
GRACE_MS = 5_000

Cadence = Callable[[str], int]  # kind → shortest cadence in seconds


class Recovering(msgspec.Struct, frozen=True):
    """A site that is reached again: what is still silent there has until then."""

    root: str
    until_ms: int


class RootCauseState(msgspec.Struct, kw_only=True):
    """What a snapshot keeps beside the alarms themselves."""

    recovering: dict[str, Recovering]
    roots: dict[str, list[str]]
    recent: list[str]
    children: dict[str, list[str]]


class RootCause:
    """Parents and children among the alarms that stand."""

    def __init__(self, lifecycle: Lifecycle, *, cadence_s: Cadence) -> None:
        self._lifecycle = lifecycle
        self._cadence_s = cadence_s
        self._inventory = Inventory()
        self.topology = Topology()
        self._changed = False  # the failed spans, since the topology was last worked out
        self._failures: dict[str, dict[str, Standing]] = {}  # by span
        # What may tell one fact, by probable cause and where: an asset, or a site (shared).
        self._telling: dict[tuple[str, str], dict[str, Standing]] = {}
        self._children: dict[str, dict[str, None]] = {}  # by parent, in order
        self._recent: dict[str, Standing] = {}  # unsuppressed, may still find a parent
        self._waiting: dict[str, Standing] = {}  # their parent is gone
        self._roots: dict[Region, Standing] = {}
        self._root_sites: dict[str, frozenset[str]] = {}  # by root, the sites it cuts off
        self._recovering: dict[str, Recovering] = {}

    def rebuild(self, inventory: Inventory) -> None:
        """The inventory has changed."""
        self._inventory = inventory
        self.topology = Topology(inventory.sites.values(), inventory.assets.values())
        self._changed = True

    def raised(self, standing: Standing) -> None:
        """An alarm has begun."""
        self._index(standing)
        self._recent[standing.alarm.id] = standing

    def cleared(self, standing: Standing, *, now_ms: int) -> None:
        """An alarm is over: its children stand for themselves after a grace, if they still do."""
        alarm = standing.alarm
        self._recent.pop(alarm.id, None)
        self._waiting.pop(alarm.id, None)
        if standing.isolates:
            failures = self._failures[alarm.asset]
            del failures[alarm.id]
            if not failures:
                del self._failures[alarm.asset]
            self._changed = True
        telling = self._telling[_fact(standing)]
        del telling[alarm.id]
        if not telling:
            del self._telling[_fact(standing)]
        if alarm.parent in self._children:
            self._children[alarm.parent].pop(alarm.id, None)
        for child_id in self._children.pop(alarm.id, {}):
            child = self._lifecycle.standing[child_id]
            child.unsuppress_ms = now_ms + self._grace_ms(child.alarm.kind)
            self._waiting[child_id] = child

    def settle(self, now_ms: int) -> None:
        """Find the parents of what was raised, announce it, and find what it explains."""
        lifecycle = self._lifecycle
        if not lifecycle.fresh and not self._changed:
            return
        if self._changed:
            self._changed = False
            self._recompute(now_ms)
        grown: dict[str, Standing] = {}
        explains = False
        for standing in list(lifecycle.fresh.values()):
            explains |= standing.isolates or standing.effect == "down" or self._says_more(standing)
            if not self._adopt(standing, grown) and not self._still_recovering(standing, now_ms):
                waits = self._may_find_a_parent(standing)
                standing.alarm.settles_ms = now_ms + SETTLE_MS if waits else 0
        self._weigh(grown)
        lifecycle.announce()
        if explains:
            self._explain_recent(now_ms)

    def tick(self, now_ms: int) -> None:
        """A second has passed in which silence could be judged."""
        if self._recovering:
            self._recovering = {
                site: one for site, one in self._recovering.items() if one.until_ms > now_ms
            }
        if not self._waiting:
            return
        grown: dict[str, Standing] = {}
        due = [
            standing
            for standing in self._waiting.values()
            if standing.unsuppress_ms is None or standing.unsuppress_ms <= now_ms
        ]
        for standing in sorted(due, key=lambda standing: standing.number):
            del self._waiting[standing.alarm.id]
            if not self._adopt(standing, grown):
                self._lifecycle.unsuppress(standing)
        self._weigh(grown)

    def not_heard(self, *, for_ms: int, now_ms: int) -> None:
        """Nobody listened for this long until now: whoever has a grace has it longer by that, but
        not more than a whole one from now. ``for_ms`` is below 0 where the clock was set back."""
        for standing in self._waiting.values():
            if standing.unsuppress_ms is not None:
                whole_ms = now_ms + self._grace_ms(standing.alarm.kind)
                standing.unsuppress_ms = min(standing.unsuppress_ms + for_ms, whole_ms)
        for site, one in self._recovering.items():
            until_ms = min(one.until_ms + for_ms, now_ms + self._grace_ms(STATION))
            self._recovering[site] = Recovering(one.root, until_ms)

    # Looking for a parent

    def _parent(self, standing: Standing) -> Standing | None:
        asset = self._inventory.assets.get(standing.alarm.asset)
        if asset is None:
            return None
        for look in (self._cut_off_by, self._of_failed_span, self._same_fact, self._missing):
            found = look(standing, asset)
            if found is not None:
                return self._top(found, standing)
        return None

    def _cut_off_by(self, standing: Standing, asset: Asset) -> Standing | None:
        if not standing.network or standing.isolates:
            return None  # a second cut behind the first is another repair
        region = self.topology.region_of(asset)
        return self._roots.get(region) if region else None

    def _of_failed_span(self, standing: Standing, asset: Asset) -> Standing | None:
        failures = self._failures.get(asset.id)
        if not failures or standing.alarm.event_type == "environmental":
            return None
        first = next(iter(failures.values()))
        return None if first is standing else first

    def _same_fact(self, standing: Standing, _asset: Asset) -> Standing | None:
        """The alarm that tells the same fact best, where that is not this one."""
        best = min(self._peers(standing), key=_told_first, default=None)
        return None if best is None or _told_first(standing) < _told_first(best) else best

    def _says_more(self, standing: Standing) -> bool:
        """Whether it tells what lesser alarms of the last minutes tell."""
        return any(
            one.alarm.id in self._recent and _told_first(standing) < _told_first(one)
            for one in self._peers(standing)
        )

    def _peers(self, standing: Standing) -> Iterable[Standing]:
        """The other alarms that tell the same fact."""
        for one in self._telling.get(_fact(standing), {}).values():
            if one is not standing and _same(one, standing):
                yield one

    def _missing(self, _standing: Standing, asset: Asset) -> Standing | None:
        down = [
            other
            for needed in asset.depends_on
            for other in self._lifecycle.by_asset.get(needed, {}).values()
            if other.isolates or (other.effect == "down" and not other.silence)
        ]
        return min(down, key=lambda other: other.number, default=None)

    def _top(self, found: Standing, child: Standing) -> Standing | None:
        """The root above what was found; None where that would be a circle."""
        passed = set[str]()
        while found.alarm.suppressed and found.alarm.id not in passed:
            passed.add(found.alarm.id)
            above = self._lifecycle.standing.get(found.alarm.parent)
            if above is None:
                break
            found = above
        return None if found is child or found.alarm.parent == child.alarm.id else found

    def _adopt(self, standing: Standing, grown: dict[str, Standing]) -> bool:
        """Suppress an alarm under its parent, with its own children; whether it has one."""
        parent = self._parent(standing)
        if parent is None:
            return False
        own = [
            self._lifecycle.standing[child_id]
            for child_id in self._children.pop(standing.alarm.id, {})
        ]
        for child in (standing, *own):
            self._put_under(child, parent)
        if not parent.isolates:
            grown[parent.alarm.id] = parent
        return True

    def _put_under(self, child: Standing, parent: Standing) -> None:
        if child.alarm.parent in self._children:
            self._children[child.alarm.parent].pop(child.alarm.id, None)
        self._children.setdefault(parent.alarm.id, {})[child.alarm.id] = None
        self._recent.pop(child.alarm.id, None)
        self._waiting.pop(child.alarm.id, None)
        self._lifecycle.suppress(child, parent.alarm.id)

    def _still_recovering(self, standing: Standing, now_ms: int) -> bool:
        """Whether an asset became silent while its site comes back: then its root is what was."""
        one = self._recovering.get(standing.alarm.site)
        if not standing.silence or one is None or one.until_ms <= now_ms:
            return False
        self._recent.pop(standing.alarm.id, None)
        self._lifecycle.suppress(standing, one.root)
        standing.unsuppress_ms = one.until_ms
        self._waiting[standing.alarm.id] = standing
        return True

    def _may_find_a_parent(self, standing: Standing) -> bool:
        asset = self._inventory.assets.get(standing.alarm.asset)
        if asset is None:
            return False
        if asset.depends_on:
            return True
        if standing.isolates:
            return False
        return standing.network and self.topology.can_be_cut_off(asset)

    def _explain_recent(self, now_ms: int) -> None:
        """Something failed: alarms of the last two minutes may be its doing."""
        grown: dict[str, Standing] = {}
        for standing in list(self._recent.values()):
            if standing.began_ms < now_ms - BEFORE_PARENT_MS:
                del self._recent[standing.alarm.id]
            else:
                self._adopt(standing, grown)
        self._weigh(grown)

    # What a root takes with it

    def _recompute(self, now_ms: int) -> None:
        """The failed spans are others: find the regions, their roots, and what those take."""
        self.topology.recompute(self._failures.keys())
        before = self._root_sites
        self._roots, regions_of = {}, dict[str, list[Region]]()
        for region in self.topology.regions:
            failures = [next(iter(self._failures[span].values())) for span in region.boundary]
            root = min(failures, key=lambda one: (one.alarm.raised_ms, one.number))
            self._roots[region] = root
            regions_of.setdefault(root.alarm.id, []).append(region)
        self._root_sites = {
            root: frozenset().union(*(region.sites for region in regions))
            for root, regions in regions_of.items()
        }
        still_cut = frozenset().union(*self._root_sites.values())
        for name in sorted(before.keys() | self._root_sites.keys()):
            standing = self._lifecycle.standing.get(name)
            if standing is not None:
                regions = regions_of.get(name)
                self._lifecycle.weigh(standing, self.topology.impact(regions) if regions else None)
            until_ms = now_ms + self._grace_ms(STATION)
            for site in sorted(before.get(name, frozenset()) - still_cut):
                self._recovering[site] = Recovering(name, until_ms)

    def _weigh(self, grown: dict[str, Standing]) -> None:
        """A root that is no span takes the assets whose alarms it explains and say that they are
        out of service. A door that is open, or mains that a battery carries, takes nobody's."""
        for root in grown.values():
            explained = [root.alarm] + [
                self._lifecycle.standing[child].alarm for child in self._children[root.alarm.id]
            ]
            out = {
                alarm.asset
                for alarm in explained
                if self._lifecycle.standing[alarm.id].effect == "down"
            }
            about = [self._inventory.assets[asset] for asset in out]
            impact = Impact(
                assets=len(out),
                stations=sum(asset.kind == STATION for asset in about),
                population=sum(asset.population for asset in about),
            )
            self._lifecycle.weigh(root, impact if out else None)

    def _grace_ms(self, kind: str) -> int:
        return 2 * self._cadence_s(kind) * 1000 + GRACE_MS

    # Snapshots

    def saved(self) -> RootCauseState:
        return RootCauseState(
            recovering=dict(self._recovering),
            roots={root: sorted(sites) for root, sites in self._root_sites.items()},
            recent=list(self._recent),
            children={parent: list(children) for parent, children in self._children.items()},
        )

    def restore(self, saved: RootCauseState, inventory: Inventory) -> None:
        """Take over a snapshot, once the lifecycle has."""
        standing = self._lifecycle.standing
        self._recovering = dict(saved.recovering)
        self._recent = {one: standing[one] for one in saved.recent if one in standing}
        self._children = {
            parent: dict.fromkeys(child for child in children if child in standing)
            for parent, children in saved.children.items()
            if parent in standing
        }
        self._waiting = {
            one.alarm.id: one for one in standing.values() if one.unsuppress_ms is not None
        }
        self.reindex(standing.values())
        self._root_sites = {root: frozenset(sites) for root, sites in saved.roots.items()}
        self.rebuild(inventory)
        self._changed = False
        self._place()

    def reindex(self, standing: Iterable[Standing]) -> None:
        """Take in alarms that stand, in the order of raising."""
        for one in standing:
            self._index(one)

    def _place(self) -> None:
        """Find the regions and their roots again, telling nothing."""
        self.topology.recompute(self._failures.keys())
        for region in self.topology.regions:
            failures = [next(iter(self._failures[span].values())) for span in region.boundary]
            self._roots[region] = min(failures, key=lambda one: (one.alarm.raised_ms, one.number))

    def _index(self, standing: Standing) -> None:
        alarm = standing.alarm
        if standing.isolates:
            self._failures.setdefault(alarm.asset, {})[alarm.id] = standing
            self._changed = True
        self._telling.setdefault(_fact(standing), {})[alarm.id] = standing


def _fact(standing: Standing) -> tuple[str, str]:
    """Where, and why: alarms that may tell one fact."""
    alarm = standing.alarm
    return (alarm.site if standing.shared else alarm.asset, alarm.probable_cause)


def _same(one: Standing, other: Standing) -> bool:
    """Whether two alarms of one place and cause tell one fact: a device's and a rule's, or those of
    one source on several stations of a mast. Two of one asset otherwise are two: of two parts of
    it, or of two rules."""
    sources = {one.alarm.source, other.alarm.source}
    if len(sources) == 1:
        return one.shared and one.alarm.asset != other.alarm.asset
    return DEVICE in sources and one.alarm.probable_cause not in UNSPECIFIC_CAUSES


def _told_first(standing: Standing) -> tuple[int, int]:
    """The order of who tells a fact: the gravest, of those the first."""
    return SEVERITIES.index(standing.alarm.severity), standing.number
