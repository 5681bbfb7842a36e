"""How each measure comes about.

Of the province and of each commune:

- ``bts_total``: stations in the inventory. ``bts_up``: those in service (state up or degraded).
- ``bts_availability_percent``: stations in service, of those ever seen.
- ``bts_5g_share_percent``: stations with a 5G cell on the air, of those whose count of 5G cells is
  fresh.
- ``download_mbit_s``: user throughput downlink (DRB.UEThpDl), mean of the stations where it is
  fresh, weighted by their connected users (RRC.ConnMean).
- ``population_without_service``: people served by the stations that are down or silent.
- ``fibre_built_km``: length of all spans. ``fibre_in_service_km``: of those in service.
- ``spans_total``, ``spans_up``: spans, and those in service. A span counts where its A end is.

Of the province: ``data_centers_up``, data-centre sites in service. Of each site: ``data_center_up``
(1 in service, 0 not), ``pue`` and ``it_power_kw`` as the site measured them, while fresh.

A measure that nothing is known for is left out: no value is made up, and what was never seen is
neither in service nor out of it. Values have three decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ioc.alarms.model import AssetState
from ioc.inventory import Inventory
from ioc.inventory.targets import MeasureName, Scope
from ioc.journal.records import Measure
from ioc.kpi.latest import Flags, Floats, Latest, Longs

IN_SERVICE: frozenset[AssetState] = frozenset(("up", "degraded"))
OUT_OF_SERVICE: frozenset[AssetState] = frozenset(("down", "silent"))


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The inventory as arrays, one row per station or span. ``communes`` are in the order that the
    ``*_commune`` indices count by."""

    version: int
    communes: list[str]
    bts: list[str]
    bts_commune: Longs
    bts_population: Floats
    spans: list[str]
    span_commune: Longs
    span_km: Floats
    centers: list[tuple[str, str]]  # asset, site


def frame_of(inventory: Inventory, latest: Latest) -> Frame:
    """Lay the inventory out, in the row order of ``latest`` (which fits it)."""
    bts = [inventory.assets[asset] for asset in latest.assets("bts")]
    spans = [asset for asset in inventory.assets.values() if asset.kind == "span"]
    communes = sorted({asset.commune for asset in (*bts, *spans)})
    index = {code: i for i, code in enumerate(communes)}
    return Frame(
        version=inventory.version,
        communes=communes,
        bts=[asset.id for asset in bts],
        bts_commune=np.array([index[asset.commune] for asset in bts], dtype=np.int64),
        bts_population=np.array([asset.population for asset in bts], dtype=np.float64),
        spans=[asset.id for asset in spans],
        span_commune=np.array([index[asset.commune] for asset in spans], dtype=np.int64),
        span_km=np.array([asset.length_km for asset in spans], dtype=np.float64),
        centers=[(asset, inventory.assets[asset].site) for asset in latest.assets("dc_site")],
    )


class WorkedOut:
    """The measures at one moment. ``states`` is None where states of that moment are not known:
    what needs them is then left out."""

    def __init__(
        self,
        frame: Frame,
        latest: Latest,
        *,
        province: str,
        at_ms: int,
        states: Mapping[str, AssetState] | None,
    ) -> None:
        self._frame = frame
        self._latest = latest
        self._province = province
        self._at_ms = at_ms
        self._states = states

    def measures(self, *, communes: bool) -> list[Measure]:
        """All measures of the province and its data centres, and of the communes when asked."""
        found = [*self._sums(None), *self._centers()]
        if communes:
            found += self._sums(self._frame.communes)
        return found

    def _sums(self, communes: list[str] | None) -> Iterator[Measure]:
        """Stations and spans, of the whole province or of each commune."""
        frame = self._frame
        bts = _adder(frame.bts_commune, communes)
        span = _adder(frame.span_commune, communes)
        places: list[str] = [self._province] if communes is None else communes
        scope: Scope = "province" if communes is None else "commune"

        def give(name: MeasureName, values: Floats) -> Iterator[Measure]:
            for place, value in zip(places, values.tolist(), strict=True):
                if value == value:  # NaN: nothing known
                    yield self._measure(name, scope, place, value)

        yield from give("bts_total", bts(np.ones(len(frame.bts))))
        yield from give("spans_total", span(np.ones(len(frame.spans))))
        yield from give("fibre_built_km", span(frame.span_km))
        yield from give("bts_5g_share_percent", self._share_5g(bts))
        yield from give("download_mbit_s", self._download(bts))
        if self._states is None:
            return
        up, seen = self._in(frame.bts, IN_SERVICE), bts(self._seen(frame.bts))
        out = self._in(frame.bts, OUT_OF_SERVICE)
        yield from give("bts_up", _known(bts(up), seen))
        yield from give("bts_availability_percent", 100 * _ratio(bts(up), seen))
        yield from give("population_without_service", _known(bts(frame.bts_population * out), seen))
        lit, seen = self._in(frame.spans, IN_SERVICE), span(self._seen(frame.spans))
        yield from give("spans_up", _known(span(lit), seen))
        yield from give("fibre_in_service_km", _known(span(frame.span_km * lit), seen))

    def _share_5g(self, add: Callable[[Floats], Floats]) -> Floats:
        cells, fresh = self._latest.fresh("bts", "cells_5g_active", now_ms=self._at_ms)
        return 100 * _ratio(add((fresh & (cells > 0)).astype(float)), add(fresh.astype(float)))

    def _download(self, add: Callable[[Floats], Floats]) -> Floats:
        speed, fresh_speed = self._latest.fresh("bts", "drb_ue_thp_dl_kbit_s", now_ms=self._at_ms)
        users, fresh_users = self._latest.fresh("bts", "rrc_conn_mean", now_ms=self._at_ms)
        both: Flags = fresh_speed & fresh_users
        weight = np.where(both, users, 0.0)
        total = add(np.where(both, speed, 0.0) * weight)
        return _ratio(total, add(weight)) / 1000

    def _centers(self) -> Iterator[Measure]:
        states = self._states or {}
        up = {
            site: states[asset] in IN_SERVICE
            for asset, site in self._frame.centers
            if states.get(asset, "not_seen") != "not_seen"
        }
        if up:
            yield self._measure("data_centers_up", "province", self._province, sum(up.values()))
        for site, is_up in up.items():
            yield self._measure("data_center_up", "site", site, is_up)
        for name in ("pue", "it_power_kw"):
            values, fresh = self._latest.fresh("dc_site", name, now_ms=self._at_ms)
            for row, (_, site) in enumerate(self._frame.centers):
                if fresh[row]:
                    yield self._measure(name, "site", site, float(values[row]))

    def _in(self, assets: list[str], wanted: frozenset[AssetState]) -> Floats:
        states = self._states or {}
        return np.fromiter((states.get(asset) in wanted for asset in assets), float, len(assets))

    def _seen(self, assets: list[str]) -> Floats:
        states = self._states or {}
        unseen = (None, "not_seen")
        return np.fromiter(
            (states.get(asset) not in unseen for asset in assets), float, len(assets)
        )

    def _measure(self, name: str, scope: Scope, place: str, value: float) -> Measure:
        return Measure(
            name=name,
            scope=scope,
            place=place,
            time_us=self._at_ms * 1000,
            value=round(float(value), 3),
        )


def _adder(index: Longs, communes: list[str] | None) -> Callable[[Floats], Floats]:
    """Add a column up, over everything or by commune."""
    if communes is None:
        return lambda column: np.array([column.sum()])
    count = len(communes)
    return lambda column: np.bincount(index, column, count).astype(np.float64)


def _known(values: Floats, seen: Floats) -> Floats:
    """NaN where nothing was ever seen."""
    return np.where(seen > 0, values, np.nan)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """NaN where the whole is nothing."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
