"""An independent reader of ground truth and recorded messages: do they tell the same story?

It knows the contract, the catalog and the published form of both files; nothing of how the
simulators work. What does not agree is returned, a sentence each.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ioc.catalog import Catalog, Equals, Rule, Threshold
from tests.simulators.lab import trips

# An asset's time may be this wrong, as its messages wait for their tick.
_CLOCK_MS = 5_000
# A device alarm may be this late, and come once more this much later.
_LATE_MS = 100_000


@dataclass
class Reading:
    """One message of an asset's telemetry. ``content`` None: not to be read at all."""

    at: int
    content: dict[str, Any] | None

    @property
    def metrics(self) -> dict[str, Any]:
        content = self.content or {}
        return {name: value for name, value in content.items() if name not in ("ts", "boot", "seq")}


@dataclass
class Heard:
    """What one asset sent."""

    kind: str
    readings: list[Reading] = field(default_factory=list)
    raised: list[tuple[int, str]] = field(default_factory=list)


def read_messages(path: Path) -> dict[str, Heard]:
    """All assets' messages of a recorded run, in order."""
    heard: dict[str, Heard] = {}
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        next(file)
        for line in file:
            found = json.loads(line)
            _, _, _, kind, asset, channel = found["topic"].split("/")
            one = heard.setdefault(asset, Heard(kind))
            if channel == "alarm":
                if found["payload"]["state"] == "raised":
                    one.raised.append((found["at"], found["payload"]["probable_cause"]))
                continue
            content = found.get("payload")
            if content is None:
                base64.b64decode(found["base64"], validate=True)
            one.readings.append(Reading(found["at"], content))
    return heard


def disagreements(truth: dict[str, Any], heard: dict[str, Heard], catalog: Catalog) -> list[str]:
    """Every point on which the messages and the truth differ."""
    return _Check(truth, heard, catalog).run()


class _Check:
    def __init__(self, truth: dict[str, Any], heard: dict[str, Heard], catalog: Catalog) -> None:
        self.truth, self.heard, self.catalog = truth, heard, catalog
        self.interval_ms = round(truth["interval_s"] * 1000)
        self.end = truth["end"]
        self.said: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for incident in truth["incidents"]:
            for one in incident["affected"]:
                self.said[one["asset"]].append(one)
        self.faults: list[str] = []

    def run(self) -> list[str]:
        self.faults += [f"unexplained: {one}" for one in self.truth["unexplained"]]
        for incident in self.truth["incidents"]:
            self._incident(incident)
        for asset in sorted(self.heard.keys() | self.said.keys()):
            heard = self.heard.get(asset)
            if heard is None:
                self.faults.append(f"{asset}: in the truth, and never heard of")
                continue
            self._silences(asset, heard)
            self._readings(asset, heard)
            self._alarms(asset, heard)
            for one in self.said[asset]:
                self._shown(asset, heard, one)
        return self.faults

    def _incident(self, incident: dict[str, Any]) -> None:
        name = f"incident {incident['id']}"
        if not incident["planned"] and incident["told"] is None:
            self.faults.append(f"{name}: nobody is told")
        if incident["planned"] and incident["told"] is not None:
            self.faults.append(f"{name}: planned, and somebody is told")
        if incident["root"] not in incident["roots"]:
            self.faults.append(f"{name}: root {incident['root']} is none of its roots")
        for one in incident["affected"]:
            if one["begin"] < incident["begin"]:
                self.faults.append(f"{name}: {one['asset']} is affected before it begins")

    def _of(self, asset: str, how: str, at: int) -> bool:
        """Whether the truth says this of the asset at that time."""
        return any(
            one["how"] == how and one["begin"] <= at and (one["end"] is None or at <= one["end"])
            for one in self.said[asset]
        )

    def _silences(self, asset: str, heard: Heard) -> None:
        """Nothing is heard in a silence, and where nothing is heard there is one."""
        silent = [one for one in self.said[asset] if one["how"] == "silent"]
        times = [reading.at for reading in heard.readings]
        for one in silent:
            end = self.end if one["end"] is None else one["end"]
            told = [at for at, _ in heard.raised]
            spoke = [at for at in times + told if one["begin"] <= at < end]
            if spoke:
                self.faults.append(f"{asset}: silent from {one['begin']}, and sent at {spoke[0]}")
        edges = [self.truth["begin"], *times, self.end]
        for before, after in itertools.pairwise(edges):
            silent_ms = sum(
                max(
                    0,
                    min(after, self.end if one["end"] is None else one["end"])
                    - max(before, one["begin"]),
                )
                for one in silent
            )
            # Up to an interval before, between and after silences, and one moment of sending.
            pieces = [one for one in silent if before <= one["begin"] < after]
            usual_ms = (len(pieces) + 1.1 if silent_ms else 1.5) * self.interval_ms
            if after - before - silent_ms > usual_ms:
                self.faults.append(f"{asset}: nothing between {before} and {after}, and not silent")

    def _readings(self, asset: str, heard: Heard) -> None:
        """What is out of the ordinary in a reading is in the truth."""
        kind = self.catalog.kinds[heard.kind]
        rules = [rule for rule in kind.rules if isinstance(rule.when, Threshold | Equals)]
        for reading in heard.readings:
            if reading.content is None or self._nonsense(heard.kind, reading):
                if not self._of(asset, "nonsense", reading.at):
                    self.faults.append(f"{asset}: nonsense at {reading.at}, not in the truth")
                continue
            if _wrong_ms(reading) > _CLOCK_MS and not self._of(asset, "clock_wrong", reading.at):
                self.faults.append(f"{asset}: clock wrong at {reading.at}, not in the truth")
            if self._of(asset, "spiking", reading.at) or self._of(asset, "stuck", reading.at):
                continue
            for rule in rules:
                if trips(rule, reading.metrics) and not self._degraded(asset, rule, reading.at):
                    self.faults.append(f"{asset}: {rule.id} at {reading.at}, not in the truth")

    def _impossible(self, kind: str, reading: Reading) -> bool:
        """Whether the catalog would have the reading quarantined."""
        for name, value in reading.metrics.items():
            metric = self.catalog.kinds[kind].metrics.get(name)
            if metric is None or metric.type in ("bool", "enum"):
                continue
            if not isinstance(value, int | float):
                return True
            assert metric.range is not None
            if not metric.range[0] <= value <= metric.range[1]:
                return True
        return False

    def _degraded(self, asset: str, rule: Rule, at: int) -> bool:
        return any(
            one["how"] == "degraded"
            and rule.id in one["rules"]
            and one["begin"] <= at
            and (one["end"] is None or at < one["end"])
            for one in self.said[asset]
        )

    def _alarms(self, asset: str, heard: Heard) -> None:
        """A device raises an alarm where the truth says that it has it."""
        for at, cause in heard.raised:
            if not any(
                one["how"] == "alarm"
                and one["probable_cause"] == cause
                and one["begin"] <= at
                and (one["end"] is None or at <= one["end"] + _LATE_MS)
                for one in self.said[asset]
            ):
                self.faults.append(f"{asset}: alarm {cause} at {at}, not in the truth")

    def _shown(self, asset: str, heard: Heard, one: dict[str, Any]) -> None:
        """What is said of an asset can be seen in what it sends."""
        begin, end = one["begin"], self.end if one["end"] is None else one["end"]
        within = [reading for reading in heard.readings if begin <= reading.at < end]
        raised = end + _LATE_MS > self.end or any(
            begin <= at <= end + _LATE_MS and cause == one["probable_cause"]
            for at, cause in heard.raised
        )
        clocks = [reading for reading in within if reading.content is not None]
        fits: dict[str, Callable[[], bool]] = {
            "silent": lambda: True,  # see _silences
            "alarm": lambda: raised or not within,
            "degraded": lambda: self._beyond(heard.kind, one["rules"], within, end - begin),
            "nonsense": lambda: all(self._nonsense(heard.kind, reading) for reading in within),
            "clock_wrong": lambda: all(_wrong_ms(reading) > _CLOCK_MS for reading in clocks),
            "spiking": lambda: self._spikes(heard.kind, one["metric"], within),
            "stuck": lambda: len(within) < 3 or len(_values(within, one["metric"])) == 1,
        }
        if not fits[one["how"]]():
            self.faults.append(
                f"{asset}: said to be {one['how']} {one['rules']} from {begin} to {end}, "
                "and does not show it"
            )

    def _nonsense(self, kind: str, reading: Reading) -> bool:
        return reading.content is None or self._impossible(kind, reading)

    def _beyond(self, kind: str, said: list[str], within: list[Reading], lasts_ms: int) -> bool:
        """At least one of the readings is beyond one of the limits, where there are enough."""
        rules = [rule for rule in self.catalog.kinds[kind].rules if rule.id in said]
        measured = [
            reading for reading in within if any(_metric(rule) in reading.metrics for rule in rules)
        ]
        if lasts_ms < 2 * self.interval_ms or len(measured) < 2:
            return True
        return any(trips(rule, reading.metrics) for rule in rules for reading in measured)

    def _spikes(self, kind: str, metric: str, within: list[Reading]) -> bool:
        most = self.catalog.kinds[kind].metrics[metric].range
        assert most is not None
        return len(within) < 6 or max(_values(within, metric), default=0) >= 0.95 * most[1]


def _metric(rule: Rule) -> str:
    assert isinstance(rule.when, Threshold | Equals)
    return rule.when.metric


def _wrong_ms(reading: Reading) -> int:
    assert reading.content is not None
    wrong: int = abs(reading.content["ts"] - reading.at)
    return wrong


def _values(readings: list[Reading], metric: str) -> set[float]:
    return {reading.metrics[metric] for reading in readings if metric in reading.metrics}
