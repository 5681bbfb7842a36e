"""The plan's targets: measured by telemetry or reported by somebody, and always said which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import ask, parts
from dashboards.board import address
from dashboards.looks import Look
from dashboards.measures import of_measure
from dashboards.setting import Setting
from dashboards.units import grafana_unit
from dashboards.words import CALM, CALM_STRONG
from ioc.inventory.targets import ABOUT_WITHIN, Target
from ioc.store.schema import KPI
from ioc.text import Language

# How a target is reached, as a sign that needs no language.
_DIRECTION = {"at_least": "≥", "at_most": "≤", "about": "≈"}


def measured(on: Setting) -> list[tuple[Target, str]]:
    """The targets that telemetry answers, with their measures."""
    return [(target, target.measure) for target in on.province.plan if target.measure is not None]


def reported(on: Setting) -> list[Target]:
    """The targets that somebody must report."""
    return [target for target in on.province.plan if target.reported is not None]


def aim(on: Setting, target: Target) -> str:
    """What is to be reached: "≥ 3,900 km"."""
    unit = "" if target.unit == "1" else f" {target.unit}"
    return f"{_DIRECTION[target.direction]} {number(target.target, on.language)}{unit}"


def number(value: float, language: Language) -> str:
    """A number as the language writes it: 3,900 or 3.900."""
    shown = f"{value:,.10g}" if value != int(value) else f"{value:,.0f}"
    return shown.translate(str.maketrans(",.", ".,")) if language == "vi" else shown


def look_of(on: Setting, target: Target, measure: str) -> Look:
    """The measure against its target: a mark and a stronger grey when it is met. A target that is
    not met yet is no fault: it has no colour of trouble."""
    look = of_measure(on, measure)
    reached = target.target
    if target.direction == "about":
        reached *= 1 - ABOUT_WITHIN
    if target.direction == "at_most":
        steps: tuple[tuple[float | None, str], ...] = ((None, CALM_STRONG), (reached, CALM))
    else:
        steps = ((None, CALM), (reached, CALM_STRONG))
    return replace(
        look,
        title=f"{on.of(target.title)}  {aim(on, target)}",
        unit=grafana_unit(target.unit),
        least=0,
        greatest=target.target,
        steps=steps,
    )


def measured_bars(on: Setting) -> model.Panel:
    """A bar for each measured target, full when it is met."""
    found = measured(on)
    looks: Mapping[str, Look] = {
        f"last_{measure}": look_of(on, target, measure) for target, measure in found
    }
    return parts.bars(
        title=on.say(vi="Kế hoạch · đo được", en="Plan · measured"),
        description=on.say(
            vi="Các chỉ tiêu của kế hoạch mà dữ liệu đo trả lời được: thanh đầy là đạt. Những chỉ "
            "tiêu chỉ có báo cáo nằm ở trang Kế hoạch.",
            en="The targets of the plan that telemetry answers: a full bar is met. Those that are "
            "only reported stand on the board Plan.",
        ),
        look=Look(links=((on.say(vi="Xem kế hoạch", en="Show the plan"), address(on, "plan")),)),
        targets=[
            ask.latest(
                on,
                KPI,
                list(dict.fromkeys(measure for _, measure in found)),
                where=ask.of_province(on),
                alias="$col",
            )
        ],
        overrides=looks,
    )
