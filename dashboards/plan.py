"""The plan: what is measured against each target, and what is only reported, never mixed."""

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import ask, parts, targets, variables
from dashboards.board import Drawn, board
from dashboards.layout import Grid
from dashboards.setting import Setting
from dashboards.targets import aim, look_of, number
from ioc.inventory.targets import Target
from ioc.store.schema import KPI


def plan(on: Setting) -> Drawn:
    grid = Grid()
    grid.heading(on.say(vi="Đo được từ dữ liệu thực", en="Measured by telemetry"))
    found = targets.measured(on)
    for pair in (found[place : place + 2] for place in range(0, len(found), 2)):
        panels = []
        for target, measure in pair:
            panels += [(4, _now(on, target, measure)), (8, _trend(on, target, measure))]
        grid.row(5, *panels)
    grid.heading(
        on.say(vi="Do cơ quan khác báo cáo, IOC không đo", en="Reported by others, not measured")
    )
    grid.row(9, (24, _reported(on)))
    return board(
        on,
        "plan",
        description=on.say(
            vi="Các chỉ tiêu của kế hoạch: đạt đến đâu theo dữ liệu đo, và số nào chỉ là báo cáo?",
            en="The plan's targets: how far along by telemetry, and which are only reported?",
        ),
        grid=grid,
        choices=[variables.resolutions(on, chosen="_5m")],
        time_from="now-7d",
        refresh="1m",
        incidents=False,
    )


def _now(on: Setting, target: Target, measure: str) -> model.Panel:
    look = look_of(on, target, measure)
    reached = on.say(vi="đo được", en="measured")
    return parts.stat(
        title=f"{aim(on, target)} · {reached}",
        description=_source(on, target),
        look=replace(look, title=on.of(target.title)),
        targets=[ask.latest(on, KPI, [measure], where=ask.of_province(on), alias=look.title)],
        overrides={look.title: replace(look, title=on.of(target.title))},
        text="value_and_name",
    )


def _trend(on: Setting, target: Target, measure: str) -> model.Panel:
    look = replace(look_of(on, target, measure), least=None, greatest=None)
    return parts.lines(
        title=f"{on.of(target.title)} {aim(on, target)}",
        description=_source(on, target),
        look=look,
        targets=[
            ask.over_time(
                on,
                KPI,
                {measure: "mean"},
                where=ask.of_province(on),
                alias=on.of(target.title),
                rolled_up=True,
            )
        ],
        cadence_s=300,
        fill=10,
    )


def _source(on: Setting, target: Target) -> str:
    word = on.say(vi="Nguồn của chỉ tiêu", en="Source of the target")
    return f"{on.of(target.title)}: {aim(on, target)}. {word}: {target.source.name}."


def _reported(on: Setting) -> model.Panel:
    """A table in words: constants of the province's file, which no query gives."""
    head = [
        on.say(vi="Chỉ tiêu", en="Target"),
        on.say(vi="Mục tiêu", en="Aim"),
        on.say(vi="Số báo cáo", en="Reported"),
        on.say(vi="Thời điểm", en="As of"),
        on.say(vi="Nguồn", en="Source"),
    ]
    lines = [f"| {' | '.join(head)} |", "|---|---:|---:|---|---|"]
    for target in targets.reported(on):
        report = target.reported
        assert report is not None
        value = "–" if report.value is None else number(report.value, on.language)
        met = target.met(report.value)
        mark = "" if met is None else " ✓" if met else " ✗"
        unit = "" if target.unit == "1" or report.value is None else f" {target.unit}"
        cells = [
            on.of(target.title),
            aim(on, target),
            f"{value}{unit}{mark}",
            report.date,
            report.source.name,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return parts.words("\n".join(lines))
