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
- ``alarms_active``: alarms that stand and are not suppressed. ``alarms_critical``,
  ``alarms_major``, ``alarms_minor`` and ``alarms_warning`` add up to it (an indeterminate one
  counts as a warning). ``alarms_unacknowledged``: those of them that nobody has acknowledged.
  ``incidents_active``: those of them that take something out of service. ``alarms_suppressed``:
  alarms that another one explains. An alarm counts where its asset is.

Of the province: ``bts_degraded``, ``bts_down``, ``bts_silent`` and the same of ``spans``: how many
are in each state; ``data_centers_up``, data-centre sites in service; ``alarms_written``, how many
alarms the snapshot of the same time holds (``ioc.kpi.snapshots``). Of each site:
``data_center_up`` (1 in service, 0 not), ``pue`` and ``it_power_kw`` as the site measured them,
while fresh.

A measure that nothing is known for is left out: no value is made up, and what was never seen is
neither in service nor out of it. Values have three decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ioc.alarms.model import Alarm, AssetState
from ioc.inventory import Inventory
from ioc.inventory.targets import MeasureName, Scope
from ioc.journal.records import Measure
from ioc.kpi.latest import Flags, Floats, Latest, Longs
from ioc.store.derived import SEVERITY_RANK, STATE_CODE

Codes = npt.NDArray[np.int8]  # states as ``STATE_CODE`` numbers them
Adder = Callable[[Floats], Floats]
IN_SERVICE: frozenset[AssetState] = frozenset(("up", "degraded"))
_CODE_OF: dict[str | None, int] = {None: STATE_CODE["not_seen"]}
_CODE_OF.update(STATE_CODE)
# By code: 1.0 for what is in service, and for what was ever seen.
_IN_SERVICE = np.array([float(state in IN_SERVICE) for state in STATE_CODE])
_SEEN = np.array([float(state != "not_seen") for state in STATE_CODE])


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The inventory as arrays, one row per station or span. ``communes`` are those with an asset,
    in the order that the ``*_commune`` indices count by."""

    version: int
    communes: list[str]
    commune_index: dict[str, int]
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
    communes = sorted({asset.commune for asset in inventory.assets.values()})
    index = {code: i for i, code in enumerate(communes)}
    return Frame(
        version=inventory.version,
        communes=communes,
        commune_index=index,
        bts=[asset.id for asset in bts],
        bts_commune=np.array([index[asset.commune] for asset in bts], dtype=np.int64),
        bts_population=np.array([asset.population for asset in bts], dtype=np.float64),
        spans=[asset.id for asset in spans],
        span_commune=np.array([index[asset.commune] for asset in spans], dtype=np.int64),
        span_km=np.array([asset.length_km for asset in spans], dtype=np.float64),
        centers=[(asset, inventory.assets[asset].site) for asset in latest.assets("dc_site")],
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the alarm engine says of one moment. ``written`` alarms are in its snapshot."""

    states: Mapping[str, AssetState]
    alarms: Mapping[str, Alarm]
    written: int


class WorkedOut:
    """The measures at one moment. ``standing`` is None where states and alarms of that moment are
    not known: what needs them is then left out."""

    def __init__(
        self,
        frame: Frame,
        latest: Latest,
        *,
        province: str,
        at_ms: int,
        standing: Standing | None,
    ) -> None:
        self._frame = frame
        self._latest = latest
        self._province = province
        self._time_us = at_ms * 1000
        self._at_ms = at_ms
        self._standing = standing

    def measures(self) -> list[Measure]:
        """All measures of the province, its data centres and its communes."""
        frame, standing = self._frame, self._standing
        bts = span = np.zeros(0, dtype=np.int8)
        if standing is not None:
            bts = _codes(frame.bts, standing.states)
            span = _codes(frame.spans, standing.states)
            alarms = _Alarms(standing.alarms, frame.commune_index)
        found = list(self._centers())
        scopes: tuple[tuple[Scope, list[str]], ...] = (
            ("province", [self._province]),
            ("commune", frame.communes),
        )
        for scope, places in scopes:
            of_bts = _adder(frame.bts_commune, scope, len(places))
            of_spans = _adder(frame.span_commune, scope, len(places))
            values = list(self._networks(of_bts, of_spans))
            if standing is not None:
                values += self._services(of_bts, of_spans, bts, span)
                if scope == "province":
                    values += _by_state(bts, span)
                    values.append(("alarms_written", np.array([float(standing.written)])))
                values += alarms.sums(scope)
            for name, column in values:
                found += self._of_places(name, scope, places, column)
        return found

    def _of_places(
        self, name: MeasureName, scope: Scope, places: Sequence[str], column: Floats
    ) -> Iterator[Measure]:
        for place, value in zip(places, np.round(column, 3).tolist(), strict=True):
            if value == value:  # NaN: nothing known
                yield Measure(name, scope, place, self._time_us, value)

    def _networks(self, bts: Adder, span: Adder) -> Iterator[tuple[MeasureName, Floats]]:
        """What inventory and telemetry say."""
        frame = self._frame
        yield "bts_total", bts(np.ones(len(frame.bts)))
        yield "spans_total", span(np.ones(len(frame.spans)))
        yield "fibre_built_km", span(frame.span_km)
        yield "bts_5g_share_percent", self._share_5g(bts)
        yield "download_mbit_s", self._download(bts)

    def _services(
        self, bts: Adder, span: Adder, bts_codes: Codes, span_codes: Codes
    ) -> Iterator[tuple[MeasureName, Floats]]:
        """What the states say."""
        frame = self._frame
        up, seen = bts(_IN_SERVICE[bts_codes]), bts(_SEEN[bts_codes])
        out = _SEEN[bts_codes] - _IN_SERVICE[bts_codes]
        yield "bts_up", _known(up, seen)
        yield "bts_availability_percent", 100 * _ratio(up, seen)
        yield "population_without_service", _known(bts(frame.bts_population * out), seen)
        lit, seen = _IN_SERVICE[span_codes], span(_SEEN[span_codes])
        yield "spans_up", _known(span(lit), seen)
        yield "fibre_in_service_km", _known(span(frame.span_km * lit), seen)

    def _share_5g(self, add: Adder) -> Floats:
        cells, fresh = self._latest.fresh("bts", "cells_5g_active", now_ms=self._at_ms)
        return 100 * _ratio(add((fresh & (cells > 0)).astype(float)), add(fresh.astype(float)))

    def _download(self, add: Adder) -> Floats:
        speed, fresh_speed = self._latest.fresh("bts", "drb_ue_thp_dl_kbit_s", now_ms=self._at_ms)
        users, fresh_users = self._latest.fresh("bts", "rrc_conn_mean", now_ms=self._at_ms)
        both: Flags = fresh_speed & fresh_users
        weight = np.where(both, users, 0.0)
        total = add(np.where(both, speed, 0.0) * weight)
        return _ratio(total, add(weight)) / 1000

    def _centers(self) -> Iterator[Measure]:
        states = self._standing.states if self._standing is not None else {}
        up = {
            site: float(states[asset] in IN_SERVICE)
            for asset, site in self._frame.centers
            if states.get(asset, "not_seen") != "not_seen"
        }
        if up:
            total = np.array([sum(up.values())])
            yield from self._of_places("data_centers_up", "province", [self._province], total)
        yield from self._of_places("data_center_up", "site", [*up], np.array([*up.values()]))
        sites = [site for _, site in self._frame.centers]
        names: tuple[MeasureName, ...] = ("pue", "it_power_kw")
        for name in names:
            values, fresh = self._latest.fresh("dc_site", name, now_ms=self._at_ms)
            yield from self._of_places(name, "site", sites, np.where(fresh, values, np.nan))


def _codes(assets: Sequence[str], states: Mapping[str, AssetState]) -> Codes:
    codes = map(_CODE_OF.__getitem__, map(states.get, assets))
    return np.fromiter(codes, np.int8, len(assets))


class _Alarms:
    """The alarms that stand as columns: where each counts, and what each is."""

    def __init__(self, alarms: Mapping[str, Alarm], commune_index: Mapping[str, int]) -> None:
        # Of an asset that is not laid out yet: the province counts it, no commune does.
        elsewhere, count, standing = len(commune_index), len(alarms), alarms.values()
        self._communes = elsewhere
        self._commune = np.fromiter(
            (commune_index.get(alarm.commune, elsewhere) for alarm in standing), np.int64, count
        )
        rank = np.fromiter((SEVERITY_RANK[alarm.severity] for alarm in standing), np.int64, count)
        active = np.fromiter((not alarm.suppressed for alarm in standing), np.bool_, count)
        acknowledged = np.fromiter((alarm.acknowledged for alarm in standing), np.bool_, count)
        rooted = np.fromiter((alarm.impact is not None for alarm in standing), np.bool_, count)
        self._columns: dict[MeasureName, Flags] = {
            "alarms_active": active,
            "alarms_critical": active & (rank == SEVERITY_RANK["critical"]),
            "alarms_major": active & (rank == SEVERITY_RANK["major"]),
            "alarms_minor": active & (rank == SEVERITY_RANK["minor"]),
            "alarms_warning": active & (rank >= SEVERITY_RANK["warning"]),
            "alarms_suppressed": ~active,
            "alarms_unacknowledged": active & ~acknowledged,
            "incidents_active": active & rooted,
        }

    def sums(self, scope: Scope) -> Iterator[tuple[MeasureName, Floats]]:
        add = _adder(self._commune, scope, self._communes)
        for name, column in self._columns.items():
            yield name, add(column.astype(np.float64))


def _by_state(bts: Codes, spans: Codes) -> Iterator[tuple[MeasureName, Floats]]:
    def number_of(codes: Codes, state: AssetState) -> Floats:
        if not codes.any():  # nothing was ever seen
            return np.array([np.nan])
        return np.array([float(np.count_nonzero(codes == STATE_CODE[state]))])

    yield "bts_degraded", number_of(bts, "degraded")
    yield "bts_down", number_of(bts, "down")
    yield "bts_silent", number_of(bts, "silent")
    yield "spans_degraded", number_of(spans, "degraded")
    yield "spans_down", number_of(spans, "down")
    yield "spans_silent", number_of(spans, "silent")


def _adder(index: Longs, scope: Scope, communes: int) -> Adder:
    """Add a column up, over everything or by commune. An index beyond them is in none."""
    if scope == "province":
        return lambda column: np.array([column.sum()])

    def by_commune(column: Floats) -> Floats:
        sums: Floats = np.bincount(index, column, communes + 1)[:communes].astype(np.float64)
        return sums

    return by_commune


def _known(values: Floats, seen: Floats) -> Floats:
    """NaN where nothing was ever seen."""
    return np.where(seen > 0, values, np.nan)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """NaN where the whole is nothing."""
    ratio: Floats = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return ratio
