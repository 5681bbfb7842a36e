"""How a value looks on a board: title, unit, decimals, limits with their colours, words for values.

What the catalog says of a metric is taken from it: nothing of it is written down a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

from dashboards.setting import Setting
from dashboards.units import grafana_unit
from dashboards.words import CALM, NO, SEVERITY, STATE, VALUES, YES, Sign
from ioc.catalog import Equals, Kind, Metric, Severity, Threshold
from ioc.store.derived import SEVERITY_RANK, STATE_CODE

# From this value upwards (None: from below everything), in this colour.
Step = tuple[float | None, str]
# A ratio that needs so many decimals (a bit error ratio) is written as 1.0e-9.
TINY_DECIMALS = 5


@dataclass(frozen=True, kw_only=True)
class Look:
    """``mappings`` gives values their words and colours: a text of the value ("true", "3", "down")
    to words and a colour (or "" for none). ``fixed`` is a colour that does not depend on the value;
    with ``palette`` Grafana gives each series one of its own.
    ``width`` (pixels), ``cell`` and ``left`` (aligned so) are for columns of tables; a ``hidden``
    one is there for links.
    ``links`` are titles and where a click leads. Change one by ``dataclasses.replace``.
    """

    title: str = ""
    description: str = ""
    unit: str = ""
    decimals: int | None = None
    least: float | None = None
    greatest: float | None = None
    steps: tuple[Step, ...] = ((None, CALM),)
    mappings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    fixed: str = ""
    palette: bool = False
    no_value: str = "–"
    width: int = 0
    cell: Literal["", "color-text", "color-background", "gauge"] = ""
    left: bool = False
    hidden: bool = False
    links: tuple[tuple[str, str], ...] = ()


def of_metric(on: Setting, kind: str, name: str) -> Look:
    """A metric as the catalog describes it, coloured from the limits of its kind's rules.

    Raises ``KeyError`` for what is not in the catalog, or a value of an enum without words here.
    """
    described, metric = on.kind(kind), on.metric(kind, name)
    standard = f"{metric.standard}. " if metric.standard else ""
    is_number = metric.type in ("float", "int")
    unit, decimals = grafana_unit(metric.unit), metric.decimals
    if metric.unit == "1" and decimals >= TINY_DECIMALS:
        unit, decimals = units.ScientificNotation, 1
    return Look(
        title=on.of(metric.title),
        description=f"{on.of(metric.title)}. {standard}{metric.source}.",
        unit=unit if is_number else "",
        decimals=decimals if is_number else None,
        steps=steps_of(described, name),
        mappings=_yes_no(on, described, name, metric),
    )


def steps_of(kind: Kind, name: str) -> tuple[Step, ...]:
    """The limits of a metric's rules as steps of colour: grey where no rule is broken."""
    above: dict[float, Severity] = {}
    below: dict[float, Severity] = {}
    for rule in kind.rules:
        if isinstance(rule.when, Threshold) and rule.when.metric == name:
            for limits, limit in ((above, rule.when.above), (below, rule.when.below)):
                if limit is not None:
                    limits[limit] = _worse(limits.get(limit), rule.severity)
    steps: list[Step] = []
    start: float | None = None
    for limit in sorted(below):
        steps.append((start, SEVERITY[below[limit]].colour))
        start = limit
    steps.append((start, CALM))
    steps += [(limit, SEVERITY[above[limit]].colour) for limit in sorted(above)]
    return tuple(steps)


def _worse(one: Severity | None, other: Severity) -> Severity:
    if one is None:
        return other
    return min(one, other, key=lambda severity: SEVERITY_RANK[severity])


def _yes_no(on: Setting, kind: Kind, name: str, metric: Metric) -> dict[str, tuple[str, str]]:
    """Words for a bool's or an enum's values, marked where a rule makes an alarm of one."""
    values = {"true": on.of(YES), "false": on.of(NO)}
    if metric.type == "enum":
        values = {value: on.of(VALUES[value]) for value in metric.values or ()}
    elif metric.type != "bool":
        return {}
    found = {value: (words, CALM) for value, words in values.items()}
    for rule in kind.rules:
        if isinstance(rule.when, Equals) and rule.when.metric == name:
            value = str(rule.when.equals).lower() if metric.type == "bool" else rule.when.equals
            sign = SEVERITY[rule.severity]
            found[str(value)] = (f"{sign.mark} {values[str(value)]}", sign.colour)
    return found


def worded(on: Setting, sign: Sign) -> str:
    """A sign's mark and word: "▲ degraded"."""
    return f"{sign.mark} {on.of(sign.text)}".strip()


def of_state(on: Setting, *, title: str = "") -> Look:
    """An asset's state, as text (``state``) or as its code (``state_code``)."""
    words = {
        key: (worded(on, STATE[state]), STATE[state].colour)
        for state, code in STATE_CODE.items()
        for key in (state, str(code))
    }
    return Look(
        title=title or on.say(vi="Trạng thái", en="State"),
        description=on.say(
            vi="Tính ra từ các cảnh báo đang có và từ tuổi của dữ liệu.",
            en="Worked out from the alarms that stand and from the age of the data.",
        ),
        mappings=words,
        decimals=0,
        greatest=4,
        least=0,
    )


def of_severity(on: Setting, *, title: str = "") -> Look:
    """An alarm's severity, as text or as its rank."""
    words = {
        key: (worded(on, SEVERITY[severity]), SEVERITY[severity].colour)
        for severity, rank in SEVERITY_RANK.items()
        for key in (severity, str(rank))
    }
    return Look(title=title or on.say(vi="Mức", en="Severity"), mappings=words)


_NOWHERE = {"legend": True, "tooltip": True, "viz": True}


def of_commune(on: Setting) -> Look:
    """A commune's code, shown as its name."""
    names = {commune.code: (commune.name, "") for commune in on.province.communes}
    return Look(title=on.say(vi="Xã, phường", en="Commune"), mappings=names, left=True)


def of_text(title: str, *, width: int = 0) -> Look:
    """A text as it is."""
    return Look(title=title, width=width)


def field_config(look: Look) -> model.FieldConfig:
    """A look as Grafana's defaults of a panel."""
    colour = model.FieldColor(mode=model.FieldColorModeId.THRESHOLDS)
    if look.palette:
        colour = model.FieldColor(mode=model.FieldColorModeId.PALETTE_CLASSIC)
    elif look.fixed:
        colour = model.FieldColor(mode=model.FieldColorModeId.FIXED, fixed_color=look.fixed)
    return model.FieldConfig(
        unit=look.unit or None,
        decimals=look.decimals,
        min_val=look.least,
        max_val=look.greatest,
        mappings=_mappings(look),
        thresholds=_thresholds(look.steps),
        color=colour,
        no_value=look.no_value,
        links=[_link(title, url) for title, url in look.links] or None,
        custom={},
    )


def override(name: str, look: Look) -> model.DashboardFieldConfigSourceOverrides:
    """A look for one column or series, by the name the query gives it, or for all that a pattern
    matches (``/: Running$/``; such a look has no title)."""
    config = field_config(look)
    given: dict[str, object] = {
        "displayName": look.title or None,
        "description": look.description or None,
        "unit": config.unit,
        "decimals": config.decimals,
        "min": config.min_val,
        "max": config.max_val,
        "mappings": config.mappings or None,
        "thresholds": config.thresholds,
        "color": config.color,
        "noValue": config.no_value,
        "links": config.links,
        "custom.width": look.width or None,
        "custom.cellOptions": {"type": look.cell, "mode": "basic"} if look.cell else None,
        "custom.align": "left" if look.left else None,
        "custom.hidden": True if look.hidden else None,
        "custom.hideFrom": _NOWHERE if look.hidden else None,
    }
    return model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(
            id_val="byRegexp" if name.startswith("/") else "byName", options=name
        ),
        properties=[
            model.DynamicConfigValue(id_val=key, value=value)
            for key, value in given.items()
            if value is not None
        ],
    )


def _thresholds(steps: tuple[Step, ...]) -> model.ThresholdsConfig:
    return model.ThresholdsConfig(
        mode=model.ThresholdsMode.ABSOLUTE,
        steps=[model.Threshold(value=start, color=colour) for start, colour in steps],
    )


def _mappings(look: Look) -> list[model.ValueMapping]:
    if not look.mappings:
        return []
    return [
        model.ValueMap(
            options={
                value: model.ValueMappingResult(text=words, color=colour or None, index=place)
                for place, (value, (words, colour)) in enumerate(look.mappings.items())
            }
        )
    ]


def _link(title: str, url: str) -> model.DashboardLink:
    return model.DashboardLink(title=title, url=url, target_blank=False)
