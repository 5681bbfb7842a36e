"""What really happened in a run, written down by watching the province itself, not its messages.

See ``docs/truth.schema.json`` and docs/simulators.md. All times are Unix ms of simulated time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from ioc.catalog import Catalog, Equals, Rule, Threshold
from ioc.files import write_whole
from simulators.faults import FAULTS
from simulators.feed import Feed
from simulators.ideal import told
from simulators.messages import lying_metric
from simulators.plan import Breakage
from simulators.table import BoolArray, Table
from simulators.trace import Tracer

FORMAT, VERSION = "ioc-truth", 1
# What comes back within this time is one stretch that comes and goes.
_PAUSE_MS = 600_000
_DIRECT: dict[str, How] = {
    "bad-payload": "nonsense",
    "clock-skew": "clock_wrong",
    "sensor-spike": "spiking",
    "sensor-stuck": "stuck",
}

How = Literal["silent", "degraded", "alarm", "nonsense", "clock_wrong", "spiking", "stuck"]
Ms = Annotated[int, msgspec.Meta(description="Unix ms, simulated time")]
EndMs = Annotated[
    int | None, msgspec.Meta(description="Unix ms, simulated time; null: still so at the end")
]


class Affected(msgspec.Struct, kw_only=True):
    """One asset and how an incident touches it, from ``begin`` on and before ``end``.

    ``silent``: it sends nothing. ``degraded``: what it measures is beyond a limit of the catalog,
    ``rules`` says of which (it may come and go for up to ten minutes). ``alarm``: the device itself
    has an alarm with ``probable_cause``; it says so once it can speak, sometimes up to 90 s late.
    ``nonsense``: what it sends is no valid reading. ``clock_wrong``: its times are. ``spiking``,
    ``stuck``: the sensor of ``metric`` lies. ``also``: other incidents without which it would not
    have been so.
    """

    asset: str
    kind: str
    how: How
    begin: Ms
    end: EndMs = None
    rules: list[str] = []
    metric: str = ""
    probable_cause: str = ""
    also: list[int] = []


class Told(msgspec.Struct, kw_only=True):
    """What an ideal operator would have been told, once, and of which asset."""

    asset: str
    severity: str
    probable_cause: str
    vi: str
    en: str


class Incident(msgspec.Struct, kw_only=True):
    """One thing that happened. ``root`` is the asset to repair, the first of ``roots`` where
    several broke together. ``end``: when the last of them was repaired. ``planned``: within a
    maintenance window, so that nobody is to be told."""

    id: int
    fault: str
    root: str
    roots: list[str]
    begin: Ms
    end: EndMs = None
    planned: bool = False
    affected: list[Affected] = []
    told: Told | None = None


class Planned(msgspec.Struct, kw_only=True):
    """A maintenance window."""

    begin: Ms
    end: Ms
    assets: list[str]
    vi: str
    en: str


class Truth(msgspec.Struct, kw_only=True):
    """The ground truth of one run. ``unexplained``: what was seen and no incident accounts for;
    anything there is a fault of the simulators."""

    format: str = FORMAT
    version: int = VERSION
    province: str
    scenario: str
    seed: int
    interval_s: float
    begin: Ms
    end: Ms
    misbehaviour: dict[str, float]
    maintenance: list[Planned]
    incidents: list[Incident]
    unexplained: list[Affected]


def schema() -> dict[str, Any]:
    """The JSON schema of a truth file: written to ``docs/truth.schema.json``."""
    found = msgspec.json.schema(Truth)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def schema_text() -> str:
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


class TruthWriter:
    """Watches one feed. ``begun`` is told each breakage; the province calls at each step."""

    def __init__(self, feed: Feed, catalog: Catalog) -> None:
        self._feed = feed
        self._catalog = catalog
        self._province = feed.province
        self._tracer = Tracer(feed.province)
        self._incidents: dict[int, Incident] = {}
        self._ends: dict[int, list[int]] = {}
        self._unexplained: list[Affected] = []
        self._open: dict[tuple[str, str], tuple[int, Affected]] = {}
        self._last: dict[tuple[int, str, str], Affected] = {}
        self._silent = {kind: ~table.speaking for kind, table in self._province.tables.items()}
        self._conditions = [
            (table, rule, _condition(rule))
            for kind, table in self._province.tables.items()
            for rule in catalog.kinds[kind].rules
            if isinstance(rule.when, Threshold | Equals)
        ]
        self._beyond = [np.zeros(len(table), dtype=np.bool_) for table, _, _ in self._conditions]
        self._alarmed = [one.stands.copy() for one in self._province.device_alarms.watched]
        self._province.observe = self._look

    def begun(self, broken: Breakage) -> None:
        """Note a breakage that begins now."""
        now_ms = self._province.now_ms
        incident = self._incidents.get(broken.incident)
        if incident is None:
            incident = self._incidents[broken.incident] = Incident(
                id=broken.incident,
                fault=broken.fault,
                root=broken.assets[0],
                roots=[],
                begin=now_ms,
                planned=self._is_planned(broken),
            )
        incident.roots += broken.assets
        end_ms = self._feed.script.start_ms + round(broken.until_s * 1000)
        self._ends.setdefault(incident.id, []).append(end_ms)
        self._tracer.begun(broken)
        how = _DIRECT.get(broken.fault)
        if how is not None:
            for asset in broken.assets:
                kind = self._province.faults.kind_of(asset)
                # What is sent at this very moment has left already.
                found = Affected(asset=asset, kind=kind, how=how, begin=now_ms + 1, end=end_ms)
                if how in ("spiking", "stuck"):
                    found.metric = lying_metric(self._catalog.kinds[kind])
                incident.affected.append(found)

    def next_number(self) -> int:
        """For an incident that is not of the plan."""
        planned = (one.incident for one in self._feed.plan.breakages)
        return max(*planned, *self._incidents, 0, 0) + 1

    def write(self, path: Path) -> None:
        """Write the file in one step. Raises ``OSError``."""
        content = msgspec.json.format(msgspec.json.encode(self.truth()), indent=1) + b"\n"
        write_whole(path, content)

    def truth(self) -> Truth:
        """What has happened so far."""
        options, script = self._feed.options, self._feed.script
        end_ms = self._province.now_ms
        for incident in self._incidents.values():
            last_ms = max(self._ends[incident.id])
            incident.end = last_ms if last_ms <= end_ms else None
            for found in incident.affected:
                if found.end is not None and found.end > end_ms:
                    found.end = None
            incident.affected.sort(key=lambda one: (one.begin, one.asset, one.how))
            incident.told = None if incident.planned else self._told(incident)
        return Truth(
            province=self._province.named,
            scenario=options.scenario_path.stem,
            seed=options.seed,
            interval_s=options.interval_s,
            begin=script.start_ms,
            end=end_ms,
            misbehaviour=options.misbehaviour.model_dump(),
            maintenance=[
                Planned(
                    begin=script.start_ms + round(window.at_s * 1000),
                    end=script.start_ms + round(window.until_s * 1000),
                    assets=sorted(window.assets),
                    vi=window.text.vi,
                    en=window.text.en,
                )
                for window in self._feed.plan.windows
            ],
            incidents=sorted(self._incidents.values(), key=lambda one: (one.begin, one.id)),
            unexplained=self._unexplained,
        )

    def _told(self, incident: Incident) -> Told:
        words = told(incident.fault, self._province.faults.kind_of(incident.root))
        text = FAULTS[incident.fault].text
        silent = len({one.asset for one in incident.affected if one.how == "silent"})
        more = len(incident.roots) - 1
        vi = f"{incident.root}{f' và {more} thiết bị khác' if more else ''}: {text.vi}"
        en = f"{incident.root}{f' and {more} others' if more else ''}: {text.en}"
        if silent:
            vi += f" {silent} thiết bị mất liên lạc."
            en += f" {silent} asset{'s' if silent > 1 else ''} fell silent."
        return Told(
            asset=incident.root,
            severity=words.severity,
            probable_cause=words.probable_cause,
            vi=vi,
            en=en,
        )

    def _is_planned(self, broken: Breakage) -> bool:
        return any(
            window.at_s <= broken.at_s
            and broken.until_s <= window.until_s
            and window.assets.issuperset(broken.assets)
            for window in self._feed.plan.windows
        )

    def _look(self) -> None:
        """Note what changed with this step of the physics."""
        now_ms = self._province.now_ms
        for kind, table in self._province.tables.items():
            silent = ~table.speaking
            changed = silent ^ self._silent[kind]
            if changed.any():
                self._silent[kind] = silent
                for row in np.flatnonzero(changed).tolist():
                    if silent[row]:
                        self._begin(table, row, "silent", "", self._tracer.silence(table, row))
                    else:
                        self._end(table, row, "silent", now_ms)
        for place, (table, rule, holds) in enumerate(self._conditions):
            beyond = holds(table)
            beyond &= table.speaking
            changed = beyond ^ self._beyond[place]
            if changed.any():
                self._beyond[place] = beyond
                metric = rule.when.metric  # type: ignore[union-attr]  # see __init__
                for row in np.flatnonzero(changed).tolist():
                    if beyond[row]:
                        because = self._tracer.beyond(table, row, metric)
                        self._begin(table, row, "degraded", rule.id, because)
                    else:
                        self._end(table, row, rule.id, now_ms)
        self._look_at_alarms()

    def _look_at_alarms(self) -> None:
        """Note which devices have an alarm of their own, whether they can say so or not."""
        for place, one in enumerate(self._province.device_alarms.watched):
            changed = one.stands ^ self._alarmed[place]
            if not changed.any():
                continue
            self._alarmed[place] = one.stands
            table, watch = one.table, one.watch
            for row in np.flatnonzero(changed).tolist():
                if one.stands[row]:
                    because = (
                        self._tracer.own(table, row, watch.fault)
                        if watch.fault
                        else self._tracer.beyond(table, row, watch.metric)
                    )
                    found = self._begin(table, row, "alarm", "", because, key=f"alarm {watch.id}")
                    found.probable_cause = watch.says.probable_cause
                else:
                    self._end(table, row, f"alarm {watch.id}", self._province.now_ms)

    def _begin(
        self,
        table: Table,
        row: int,
        how: How,
        rule: str,
        because: list[int],
        *,
        key: str = "",
    ) -> Affected:
        asset, now_ms = table.assets[row].id, self._province.now_ms
        incident = because[0] if because else 0
        last = self._last.get((incident, asset, rule or how))
        if rule and last is not None and last.end is not None and now_ms - last.end <= _PAUSE_MS:
            last.end = None
            self._open[asset, rule] = (incident, last)
            return last
        found = Affected(
            asset=asset,
            kind=table.kind,
            how=how,
            begin=now_ms,
            rules=[rule] if rule else [],
            also=because[1:],
        )
        self._open[asset, rule or key or how] = (incident, found)
        known = self._incidents.get(incident)
        (known.affected if known else self._unexplained).append(found)
        return found

    def _end(self, table: Table, row: int, what: str, now_ms: int) -> None:
        asset = table.assets[row].id
        incident, found = self._open.pop((asset, what))
        found.end = now_ms
        self._last[incident, asset, what] = found


def _condition(rule: Rule) -> Callable[[Table], BoolArray]:
    """Whether what each asset measures is beyond the rule's limit, its ``for`` left aside. What it
    does not measure now is not."""
    when = rule.when
    assert isinstance(when, Threshold | Equals)

    def holds(table: Table) -> BoolArray:
        values = table.columns[when.metric]
        if isinstance(when, Equals):
            found = values == when.equals
        elif when.above is not None:
            found = values > when.above
        else:
            found = values < when.below
        mask = table.masks.get(when.metric)
        chosen: BoolArray = found if mask is None else found & mask
        return chosen.copy()

    return holds
