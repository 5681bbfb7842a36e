"""Scenarios: what breaks, when, where and for how long, as files of ``scenarios/``.

This module is the language; ``simulators.plan`` works out what a scenario means in one inventory.
Times count from the scenario's begin: ``90s``, ``20m``, ``2h``, ``1h30m``, ``1d``. Where a range
``[20m, 2h]`` stands, each draw of it is uniform, with the run's seed.
"""

from __future__ import annotations

import difflib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ioc.errors import ConfigError
from ioc.files import read_yaml
from ioc.resources import scenarios_folder
from ioc.text import Text
from simulators.faults import FAULTS

SCHEMA_FILE = "schema.json"
LONGEST_S = 31 * 86_400.0
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = r"^-?([0-9]+(\.[0-9]+)?[smhd])+$"


def duration_s(text: object) -> object:
    """Seconds of "90s", "20m", "1h30m" or "-20m"; anything else is left for pydantic to refuse.

    Raises ``ValueError`` for a text that is no duration or longer than 31 days.
    """
    if not isinstance(text, str):
        raise ValueError('expected a time such as "90s", "20m", "2h" or "1h30m"')  # noqa: TRY004
    if not re.fullmatch(_DURATION, text):
        raise ValueError('expected a time such as "90s", "20m", "2h" or "1h30m"')
    total = sum(float(n) * _UNITS_S[unit] for n, unit in re.findall(r"([0-9.]+)([smhd])", text))
    if total > LONGEST_S:
        raise ValueError("expected at most 31d")
    return -total if text.startswith("-") else total


def _positive(text: object) -> object:
    seconds = duration_s(text)
    if isinstance(seconds, float) and seconds < 0:
        raise ValueError("expected a time that is not negative")
    return seconds


def _span(value: object) -> object:
    """A duration or a pair of them, as (least, most)."""
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise ValueError("expected one time, or two as [least, most]")
        least, most = _positive(value[0]), _positive(value[1])
        assert isinstance(least, float)
        assert isinstance(most, float)
        if least > most:
            raise ValueError("expected the least time first")
        return least, most
    seconds = _positive(value)
    return seconds, seconds


_TIME_SCHEMA = {"type": "string", "pattern": _DURATION, "examples": ["90s", "20m", "1h30m"]}
_ONE_TIME: dict[str, Any] = {**_TIME_SCHEMA, "type": "string"}
Duration = Annotated[
    float, BeforeValidator(_positive), Field(json_schema_extra={"$time": True}, ge=0, le=LONGEST_S)
]
SignedDuration = Annotated[
    float,
    BeforeValidator(duration_s),
    Field(json_schema_extra={"$time": True}, ge=-LONGEST_S, le=LONGEST_S),
]
Times = Annotated[
    tuple[float, float], BeforeValidator(_span), Field(json_schema_extra={"$times": True})
]
Share = Annotated[float, Field(gt=0, le=1)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Ids = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(min_length=1)]
Role = Literal[
    "bridge",
    "ring-span",
    "ring-pair",
    "duct",
    "with-genset",
    "without-genset",
    "primary",
    "secondary",
]
SPAN_ROLES = ("bridge", "ring-span", "ring-pair", "duct")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Circle(_Strict):
    """Everything within so many kilometres of a point."""

    lat: Latitude
    lon: Longitude
    km: float = Field(gt=0, le=2000)


class Selector(_Strict):
    """Which assets: those that every given condition holds for, of the kinds the fault can be on.

    ``count`` or ``share`` then draw some of them with the seed. ``role`` chooses by what an asset
    is in the network: ``bridge``, a span whose failure alone cuts stations off; ``ring-span``, one
    whose ring carries on without it; ``ring-pair``, two spans of one ring that cut off what lies
    between them; ``duct``, all spans of a duct that carries several. Of those it takes the one
    that cuts off a number of stations nearest to ``stations``. ``with-genset`` and
    ``without-genset`` are stations by the fixed genset of their site; ``primary`` and
    ``secondary`` everything on that site of the data centre.
    """

    group: Name | None = Field(default=None, description="assets of a group of this file")
    ids: Ids | None = None
    kinds: Ids | None = None
    communes: Ids | None = Field(default=None, description="official codes")
    sites: Ids | None = None
    ducts: Ids | None = None
    power_areas: Ids | None = None
    layer: Literal["access", "aggregation"] | None = None
    near: Circle | None = None
    role: Role | None = None
    stations: int | None = Field(default=None, ge=0, le=10_000)
    count: int | None = Field(default=None, ge=1, le=100_000)
    share: Share | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.count is not None and self.share is not None:
            raise ValueError("expected count or share, not both")
        if self.role in SPAN_ROLES and (self.count is not None or self.share is not None):
            raise ValueError(f"role {self.role} chooses by itself: expected no count or share")
        if self.stations is not None and self.role not in SPAN_ROLES:
            raise ValueError(f"stations goes with a role of {', '.join(SPAN_ROLES)}")
        return self


class Area(_Strict):
    """Something that moves over the map, such as the wind field of a typhoon: its centre follows
    ``track`` (longitude and latitude of its corners) at a constant speed from ``begins`` on."""

    track: tuple[tuple[Longitude, Latitude], ...] = Field(min_length=1, max_length=50)
    begins: Duration = 0.0
    speed_km_h: float = Field(gt=0, le=300)
    radius_km: float = Field(gt=0, le=1000)
    text: Text


class Crews(_Strict):
    """Who repairs: ``count`` faults at once, first come, first served. A repair takes ``takes``,
    the way there included; nobody goes out before ``from``."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    count: int = Field(ge=1, le=1000)
    takes: Times
    from_: Duration = Field(default=0.0, alias="from")


class Load(_Strict):
    """Traffic times ``factor`` for some time, of some stations (all by default)."""

    at: Duration
    for_: Duration = Field(alias="for")
    factor: float = Field(ge=0, le=5)
    where: Selector = Selector()


class Maintenance(_Strict):
    """Planned work: what breaks on these assets in this time is expected by everybody."""

    at: Duration
    for_: Duration = Field(alias="for")
    where: Selector
    text: Text


class Step(_Strict):
    """One fault, on all assets that ``where`` selects.

    It begins ``at`` a time, or ``within`` an area: then each asset the area passes over is hit
    with ``chance`` at its centre's track, less with the distance, nothing at its radius, at a
    moment while it is there. It ends ``for`` a time later, or when the crews of ``repair`` have
    done it. ``together`` draws once for all assets of one site, power area, duct or commune, or
    for all. ``incident: step`` makes the whole step one incident, else each draw is one.
    ``skew`` belongs to clock-skew (45m when not given), ``over`` to span-bend (how slowly it
    grows, 2m when not given).
    """

    fault: str
    where: Selector
    at: Times | None = None
    within: Name | None = None
    chance: Share = 1.0
    for_: Times | None = Field(default=None, alias="for")
    repair: Name | None = None
    together: Literal["all", "site", "power_area", "duct", "commune"] | None = None
    incident: Literal["each", "step"] = "each"
    skew: SignedDuration | None = None
    over: Duration | None = None

    @field_validator("fault")
    @classmethod
    def _known(cls, fault: str) -> str:
        if fault not in FAULTS:
            near = difflib.get_close_matches(fault, FAULTS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"not a fault; {hint}expected one of {', '.join(FAULTS)}")
        return fault

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = []
        if (self.at is None) == (self.within is None):
            faults.append("expected at (a time) or within (an area)")
        if (self.for_ is None) == (self.repair is None):
            faults.append("expected for (a time) or repair (crews)")
        if self.chance < 1.0 and self.within is None:
            faults.append("chance goes with within; for a part of the assets use where.share")
        if self.skew is not None and self.fault != "clock-skew":
            faults.append("skew goes with clock-skew")
        if self.over is not None and self.fault != "span-bend":
            faults.append("over goes with span-bend")
        if self.over is not None and self.over < 1.0:
            faults.append("over: expected at least 1s")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class Misbehaviour(_Strict):
    """What happens to messages on their way, each as a share of all (late_bursts: of the assets
    that a failed link cuts off). See docs/simulators.md."""

    duplicates: float = Field(default=0.0, ge=0, le=0.5)
    out_of_order: float = Field(default=0.0, ge=0, le=0.5)
    gaps: float = Field(default=0.0, ge=0, le=0.5)
    malformed: float = Field(default=0.0, ge=0, le=0.5)
    late_bursts: float = Field(default=0.0, ge=0, le=1)

    @property
    def any(self) -> bool:
        return any(self.model_dump().values())


class Scenario(_Strict):
    """One file of ``scenarios/``. ``start`` is where its time begins when it is not run live,
    ``lasts`` how long it is when nobody says otherwise."""

    title: Text
    text: Text
    start: datetime
    lasts: Duration
    groups: dict[Name, Selector] = Field(
        default={}, description="assets that are chosen once, for several steps"
    )
    load: tuple[Load, ...] = ()
    areas: dict[Name, Area] = {}
    crews: dict[Name, Crews] = {}
    maintenance: tuple[Maintenance, ...] = ()
    steps: tuple[Step, ...] = Field(default=(), max_length=200)
    misbehaviour: Misbehaviour = Misbehaviour()

    @field_validator("start")
    @classmethod
    def _with_zone(cls, start: datetime) -> datetime:
        if start.tzinfo is None:
            raise ValueError("expected a time with its zone, such as 2026-09-15T06:00:00+07:00")
        return start

    @model_validator(mode="after")
    def _names(self) -> Self:
        faults = [
            f"groups.{name}.group: a group is not made of another"
            for name, selector in self.groups.items()
            if selector.group is not None
        ]
        for part in ("load", "maintenance", "steps"):
            for number, one in enumerate(getattr(self, part)):
                if one.where.group is not None and one.where.group not in self.groups:
                    known = ", ".join(self.groups) or "none"
                    faults.append(
                        f"{part}.{number}.where.group {one.where.group!r}: groups has {known}"
                    )
        for number, step in enumerate(self.steps):
            if step.within is not None and step.within not in self.areas:
                known = ", ".join(self.areas) or "none"
                faults.append(f"steps.{number}.within {step.within!r}: areas has {known}")
            if step.repair is not None and step.repair not in self.crews:
                known = ", ".join(self.crews) or "none"
                faults.append(f"steps.{number}.repair {step.repair!r}: crews has {known}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def start_ms(self) -> int:
        return round(self.start.timestamp() * 1000)


def scenario_names(folder: Path | None = None) -> list[str]:
    """The scenarios there are."""
    return sorted(path.stem for path in (folder or scenarios_folder()).glob("*.yaml"))


def scenario_path(name: str, *, folder: Path | None = None) -> Path:
    """The file of a scenario: its name in ``scenarios/``, or a path that ends in .yaml.

    Raises ``ConfigError`` naming what there is.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    folder = folder or scenarios_folder()
    known = scenario_names(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"scenario {name!r}: no such file in {folder}; {hint}"
            f"there is {', '.join(known) or 'none'}, or give the path of a file.yaml"
        )
    return folder / f"{name}.yaml"


def read_scenario(path: Path) -> Scenario:
    """Read one scenario file. Raises ``FileError`` naming file, line, field and value for every
    fault."""
    return read_yaml(path, Scenario)


def schema() -> dict[str, Any]:
    """The JSON schema of a scenario file, for editors: written to ``scenarios/schema.json``."""
    found = Scenario.model_json_schema(by_alias=True)
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "Scenario"
    fault = found["$defs"]["Step"]["properties"]["fault"]
    fault["enum"] = list(FAULTS)
    _as_written(found)
    return found


def _as_written(node: Any) -> None:
    """Times stand in a file as texts, not as the numbers they are read into."""
    if isinstance(node, list):
        for part in node:
            _as_written(part)
    if not isinstance(node, dict):
        return
    for wrapper in (node, *node.get("anyOf", ())):
        if wrapper.pop("$times", False):
            _clear(wrapper)
            pair = {"type": "array", "items": dict(_ONE_TIME), "minItems": 2, "maxItems": 2}
            wrapper["anyOf"] = [dict(_ONE_TIME), pair]
        elif wrapper.pop("$time", False):
            _clear(wrapper)
            wrapper.update(_ONE_TIME)
            if isinstance(wrapper.get("default"), float):
                wrapper["default"] = f"{wrapper['default']:g}s"
    for part in node.values():
        _as_written(part)


def _clear(node: dict[str, Any]) -> None:
    for key in ("type", "ge", "le", "minItems", "maxItems", "prefixItems", "anyOf"):
        node.pop(key, None)


def schema_text() -> str:
    """The content of ``scenarios/schema.json``."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"
