"""Alarms and assets as people see them: with the names of their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from ioc.alarms.live import Live
from ioc.alarms.model import Alarm, AssetState
from ioc.catalog import Catalog, Kind, Rule
from ioc.inventory import Asset, Inventory
from ioc.text import fold
from ioc.web import models


class Views:
    """Builds views from the inventory and ``places`` (commune code → name)."""

    def __init__(
        self, *, inventory: Inventory, live: Live, catalog: Catalog, places: Mapping[str, str]
    ) -> None:
        self._inventory = inventory
        self._live = live
        self._catalog = catalog
        self._places = places
        self._order: tuple[int, list[str]] = (-1, [])
        self._search: tuple[int, dict[str, str]] = (-1, {})
        self._neighbours: tuple[int, dict[str, list[str]]] = (-1, {})
        self._children: tuple[int, Counter[str]] = (-1, Counter())

    def place(self, commune: str) -> str:
        """A commune's name; its code when nobody knows the name."""
        return self._places.get(commune, commune)

    def site(self, site_id: str) -> str:
        """A site's name; "" for none."""
        found = self._inventory.sites.get(site_id)
        return found.name if found is not None else site_id

    def alarm(self, alarm: Alarm, children: int) -> models.AlarmView:
        """An alarm with its names. ``children`` is how many alarms it explains."""
        asset = self._inventory.find(alarm.asset)
        site = self._inventory.sites.get(alarm.site)
        at = asset or site
        fields = msgspec.structs.asdict(alarm)
        impact = fields.pop("impact")
        return models.AlarmView.model_construct(
            **fields,
            impact=None
            if impact is None
            else models.ImpactView.model_construct(**msgspec.structs.asdict(impact)),
            asset_name=asset.name if asset is not None else alarm.asset,
            site_name=self.site(alarm.site),
            commune_name=self.place(alarm.commune),
            lat=at.lat if at is not None else None,
            lon=at.lon if at is not None else None,
            suppressed_count=children,
        )

    def alarms(
        self, alarms: Iterable[Alarm], children: Mapping[str, int]
    ) -> list[models.AlarmView]:
        return [self.alarm(alarm, children.get(alarm.id, 0)) for alarm in alarms]

    def live_children(self) -> Counter[str]:
        """How many active alarms each active alarm explains."""
        if self._children[0] != self._live.version:
            counted = Counter(a.parent for a in self._live.alarms.values() if a.parent)
            self._children = (self._live.version, counted)
        return self._children[1]

    def row(self, asset: Asset) -> models.AssetRow:
        table = self._live.table
        return models.AssetRow.model_construct(
            id=asset.id,
            kind=asset.kind,
            name=asset.name,
            state=self.state(asset.id),
            commune=asset.commune,
            commune_name=self.place(asset.commune),
            site=asset.site,
            site_name=self.site(asset.site),
            operator=asset.operator,
            last_seen_ms=table.last_seen_ms(asset.id) if table is not None else None,
        )

    def state(self, asset_id: str) -> AssetState:
        return self._live.states.get(asset_id, "not_seen")

    def asset(self, asset: Asset) -> models.AssetView:
        return models.AssetView.model_construct(
            **{
                **msgspec.structs.asdict(asset),
                "depends_on": list(asset.depends_on),
                "commune_name": self.place(asset.commune),
                "site_name": self.site(asset.site),
                "far_site_name": self.site(asset.far_site),
            }
        )

    def values(self, asset: Asset, *, now_ms: int) -> dict[str, models.ValueView]:
        """The last value of each metric. One is stale when it is older than three of its own
        cadences."""
        kind = self._catalog.kinds.get(asset.kind)
        if self._live.table is None or kind is None:
            return {}
        values = {}
        for name, last in sorted(self._live.table.values(asset.id).items()):
            metric = kind.metrics.get(name)
            age_ms = max(0, now_ms - last.at_ms)
            values[name] = models.ValueView(
                value=last.value,
                at_ms=last.at_ms,
                age_s=age_ms / 1000,
                stale=metric is None or age_ms > 3000 * metric.cadence_s,
            )
        return values

    def neighbours(self, asset: Asset) -> models.Neighbours:
        """What shares a site with the asset; of a span, on both its ends."""
        if self._neighbours[0] != self._inventory.version:
            on_site: dict[str, list[str]] = {}
            for other in self._inventory.assets.values():
                on_site.setdefault(other.site, []).append(other.id)
                if other.far_site and other.far_site != other.site:
                    on_site.setdefault(other.far_site, []).append(other.id)
            self._neighbours = (self._inventory.version, on_site)
        found = self._neighbours[1]
        ids = {*found.get(asset.site, ()), *(found.get(asset.far_site, ()) or ())} - {asset.id}
        spans = {i for i in ids if self._inventory.assets[i].far_site}
        return models.Neighbours(spans=sorted(spans), stations=sorted(ids - spans))

    def ordered(self) -> list[str]:
        """All asset ids in order."""
        if self._order[0] != self._inventory.version:
            self._order = (self._inventory.version, sorted(self._inventory.assets))
        return self._order[1]

    def found(self, asset: Asset, needle: str) -> bool:
        """Whether id, name, site or commune has ``needle`` (folded) in it."""
        if self._search[0] != self._inventory.version:
            self._search = (self._inventory.version, {})
        text = self._search[1].get(asset.id)
        if text is None:
            names = (asset.id, asset.name, self.site(asset.site), self.place(asset.commune))
            text = self._search[1][asset.id] = fold("\n".join(names))
        return needle in text


def rule_view(rule: Rule) -> models.RuleView:
    return models.RuleView(**rule.model_dump())


def kind_view(domain: str, kind: Kind) -> models.KindView:
    return models.KindView(
        domain=domain,
        title=kind.title,
        own=kind.own,
        metrics={
            name: models.MetricView(**metric.model_dump()) for name, metric in kind.metrics.items()
        },
        rules=[rule_view(rule) for rule in kind.rules],
    )
