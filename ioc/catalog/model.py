"""The catalog: what can be measured on which kind of asset, and when it is an alarm.

One YAML file per domain (``bts.yaml``, ``fibre.yaml``, ``data_center.yaml``; ``ioc.yaml`` is the
service itself) describes one or more kinds of asset. Metric names carry their unit
(``rx_power_dbm``, ``cell_unavailable_s``); the standard's own name stands beside
(``RRC.ConnMean``), with its source.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from importlib.resources import files as package_files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ioc.catalog.causes import PROBABLE_CAUSES
from ioc.errors import FileError
from ioc.files import read_yaml
from ioc.text import Text

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Severity = Literal["critical", "major", "minor", "warning", "indeterminate"]
EventType = Literal[
    "communications", "qualityOfService", "processingError", "equipment", "environmental"
]
MetricType = Literal["float", "int", "bool", "enum"]
# What a rule's text may name: ``Station {asset}: VSWR {value}, above {threshold} {unit}``.
PLACEHOLDERS = frozenset({"asset", "value", "threshold", "unit"})
# Column names of the stores' own: a metric may not take them.
RESERVED = frozenset(
    {"time", "asset", "kind", "province", "commune", "site", "operator", "ts", "boot", "seq"}
)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Strict):
    """One measured quantity of a kind.

    ``range`` is the hard range: a value outside it cannot be true and is quarantined. ``normal`` is
    what is usual, for people. ``cadence_s`` is how often it is sent: its age is judged by it.
    ``show`` puts it among the first on the asset's page.
    """

    title: Text
    unit: str = Field(description='UCUM-like, "1" for a count, "%" for a share of 100')
    type: MetricType = "float"
    range: tuple[float, float] | None = None
    values: tuple[str, ...] | None = Field(default=None, description="allowed values of an enum")
    normal: tuple[float, float] | None = None
    cadence_s: int = Field(default=10, ge=1, le=86_400)
    decimals: int = Field(default=1, ge=0, le=6)
    standard: str | None = None
    source: str = Field(min_length=1)
    show: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type in ("float", "int") and self.range is None:
            raise ValueError("a number needs a hard range")
        if self.range and self.range[0] >= self.range[1]:
            raise ValueError("range: the first must be below the second")
        if (self.type == "enum") != (self.values is not None):
            raise ValueError("values belong to an enum, and an enum needs them")
        return self


class Threshold(_Strict):
    """Raise above (or below) one value, clear below (or above) another: two thresholds, so that a
    value that hovers does not chatter."""

    metric: Name
    above: float | None = None
    below: float | None = None
    clear_below: float | None = None
    clear_above: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        up = self.above is not None and self.below is None and self.clear_above is None
        down = self.below is not None and self.above is None and self.clear_below is None
        if up == down:
            raise ValueError("give above (with clear_below) or below (with clear_above)")
        if (
            self.above is not None
            and (self.above if self.clear_below is None else self.clear_below) > self.above
        ):
            raise ValueError("clear_below must not be greater than above")
        if (
            self.below is not None
            and (self.below if self.clear_above is None else self.clear_above) < self.below
        ):
            raise ValueError("clear_above must not be less than below")
        return self


class Equals(_Strict):
    """Raise while a boolean or enum metric has this value."""

    metric: Name
    equals: bool | str


class Rate(_Strict):
    """Raise while a metric changes faster than this, per minute, over ``over_s`` seconds."""

    metric: Name
    rate_above_per_min: float | None = None
    rate_below_per_min: float | None = None
    over_s: int = Field(default=60, ge=1, le=86_400)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.rate_above_per_min is None) == (self.rate_below_per_min is None):
            raise ValueError("give rate_above_per_min or rate_below_per_min")
        return self


class NoData(_Strict):
    """Raise when nothing came from an asset for this many of its shortest cadence."""

    no_data_cadences: int = Field(ge=2, le=1000)


class Flapping(_Strict):
    """Raise when a boolean or enum metric changed at least this often within the window."""

    metric: Name
    changes: int = Field(ge=2, le=1000)
    within_s: int = Field(ge=1, le=86_400)


Condition = Threshold | Equals | Rate | NoData | Flapping


class Rule(_Strict):
    """When an asset's readings are an alarm (X.733 words), and what that means for it.

    ``effect`` is what the alarm says of the asset's state: ``down`` (out of service), ``degraded``
    or ``none``. ``isolates`` marks a failure that cuts off what depends on the asset (a span's loss
    of signal). ``shared_by: site`` makes the first alarm of a site the parent of the same alarm of
    its neighbours on the mast: one mains failure is one event.
    """

    id: RuleId
    when: Condition
    for_s: int = Field(default=0, ge=0, le=86_400)
    clear_for_s: int = Field(default=0, ge=0, le=86_400)
    severity: Severity
    event_type: EventType
    probable_cause: str = Field(pattern=r"^[a-z][A-Za-z0-9]{2,63}$")
    effect: Literal["down", "degraded", "none"] = "none"
    isolates: bool = False
    shared_by: Literal["site"] | None = None
    text: Text
    action: Text
    source: str = Field(min_length=1)

    @field_validator("probable_cause")
    @classmethod
    def _known_cause(cls, cause: str) -> str:
        if cause not in PROBABLE_CAUSES:
            near = difflib.get_close_matches(cause, PROBABLE_CAUSES, n=3)
            hint = f"; close to it are {', '.join(near)}" if near else ""
            raise ValueError(f"not a probable cause of RFC 3877{hint}")
        return cause

    @field_validator("text", "action")
    @classmethod
    def _placeholders(cls, text: Text) -> Text:
        faults = text.placeholder_faults(PLACEHOLDERS)
        if faults:
            raise ValueError("; ".join(faults))
        return text


class Kind(_Strict):
    """A kind of asset: its metrics by name, and its rules.

    ``own`` marks what the service measures itself: nobody else may send for it, and it is no part
    of the contract for those who do.
    """

    title: Text
    own: bool = False
    metrics: dict[Name, Metric] = Field(min_length=1)
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _rules_fit(self) -> Self:
        for name in self.metrics:
            if name in RESERVED:
                raise ValueError(f"metric {name}: the name is reserved")
        for rule in self.rules:
            if isinstance(rule.when, NoData):
                continue
            name = rule.when.metric
            metric = self.metrics.get(name)
            if metric is None:
                raise ValueError(f"rule {rule.id}: no metric {name!r} in this kind")
            if isinstance(rule.when, Threshold | Rate) and metric.type not in ("float", "int"):
                raise ValueError(f"rule {rule.id}: {name} is not a number")
            if isinstance(rule.when, Equals):
                if metric.type == "bool" and not isinstance(rule.when.equals, bool):
                    raise ValueError(f"rule {rule.id}: {name} is true or false")
                if metric.type == "enum" and rule.when.equals not in (metric.values or ()):
                    raise ValueError(f"rule {rule.id}: {rule.when.equals!r} is no value of {name}")
        return self

    @property
    def shortest_cadence_s(self) -> int:
        """How often something is expected from an asset of this kind, in seconds."""
        return min(metric.cadence_s for metric in self.metrics.values())


class Domain(_Strict):
    """One catalog file."""

    domain: Name
    title: Text
    kinds: dict[Name, Kind] = Field(min_length=1)


class Catalog:
    """All domains together. Immutable; ``version`` is a hash of the files' content."""

    def __init__(self, domains: Iterable[Domain]) -> None:
        self.domains: dict[str, Domain] = {domain.domain: domain for domain in domains}
        self.kinds: dict[str, Kind] = {}
        self.domain_of: dict[str, str] = {}
        self.rules: dict[str, tuple[str, Rule]] = {}
        faults = []
        for domain in self.domains.values():
            for name, kind in domain.kinds.items():
                if name in self.kinds:
                    faults.append(
                        f"{domain.domain}.yaml: kind {name}: also in {self.domain_of[name]}.yaml"
                    )
                self.kinds[name] = kind
                self.domain_of[name] = domain.domain
                for rule in kind.rules:
                    if rule.id in self.rules:
                        faults.append(f"{domain.domain}.yaml: rule {rule.id}: given twice")
                    self.rules[rule.id] = (name, rule)
        if faults:
            raise FileError(faults)
        content = "\n".join(d.model_dump_json() for _, d in sorted(self.domains.items()))
        self.version = hashlib.sha256(content.encode()).hexdigest()[:12]


def load_catalog(folder: Path | None = None) -> Catalog:
    """Read every ``*.yaml`` of ``folder`` (the package's own by default).

    Raises ``FileError`` naming file, line, field and value for every fault.
    """
    source = folder or Path(str(package_files("ioc.catalog")))
    domains, faults = [], []
    for path in sorted(source.glob("*.yaml")):
        try:
            domains.append(read_yaml(path, Domain))
        except FileError as error:
            faults += error.faults
    if not domains and not faults:
        faults.append(f"{source}: no catalog file (*.yaml)")
    if faults:
        raise FileError(faults)
    return Catalog(domains)
