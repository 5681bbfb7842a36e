"""The plan: what is measured against each target, and what is only reported, never mixed."""

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import ask, parts, targets, variables
from dashboards.board import Drawn, board
from dashboards.layout import COLUMNS, Grid
from dashboards.setting import Setting
from dashboards.targets import aim, look_of, number
from ioc.inventory.targets import Target
from ioc.store.schema import KPI


def plan(on: Setting) -> Drawn:
    grid = Grid()
    grid.heading(on.say(vi="Đo được từ dữ liệu thực", en="Measured by telemetry"))
    found = targets.measured(on)
    for some in (found[place : place + 3] for place in range(0, len(found), 3)):
        width = COLUMNS // len(some)
        panels = []
        for target, measure in some:
            panels += [(4, _now(on, target, measure)), (width - 4, _trend(on, target, measure))]
        grid.row(5, *panels)
    grid.heading(
        on.say(vi="Do cơ quan khác báo cáo, IOC không đo", en="Reported by others, not measured")
    )
    grid.row(10, (24, _reported(on)))
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
        incidents_on=(),
    )


def _now(on: Setting, target: Target, measure: str) -> model.Panel:
    look = look_of(on, target, measure)
    measured = on.say(vi="đo được", en="measured")
    return parts.stat(
        title=on.of(target.title),
        description=_source(on, target),
        look=look,
        targets=[ask.latest(on, KPI, [measure], where=ask.of_province(on), alias="$col")],
        overrides={f"last_{measure}": replace(look, title=f"{measured} · {aim(on, target)}")},
        text="value_and_name",
        sizes=(14, 34),
    )


def _trend(on: Setting, target: Target, measure: str) -> model.Panel:
    look = replace(look_of(on, target, measure), least=None, greatest=None)
    return parts.lines(
        title=on.say(vi=f"Mục tiêu {aim(on, target)}", en=f"Target {aim(on, target)}"),
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
        value = on.say(vi="chưa công bố", en="not published")
        if report.value is not None:
            value = number(report.value, on.language)
        met = target.met(report.value)
        mark = "" if met is None else " ✓" if met else " ✗"
        unit = "" if target.unit == "1" or report.value is None else f" {target.unit}"
        cells = [
            on.of(target.title),
            aim(on, target),
            f"{value}{unit}{mark}",
            report.date,
            "–" if report.value is None else report.source.name,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return parts.words("\n".join(lines))
