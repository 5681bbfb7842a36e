"""The plan: what is measured against each target, and what is only reported, never mixed."""

from __future__ import annotations

from dashboards import ask, parts
from dashboards.board import Drawn, board
from dashboards.layout import Grid
from dashboards.measures import of_measure
from dashboards.setting import Setting


def plan(on: Setting) -> Drawn:
    grid = Grid()
    measured = [target for target in on.province.plan if target.measure is not None]
    for target in measured:
        measure = target.measure
        assert measure is not None
        grid.row(
            4,
            (
                24,
                parts.stat(
                    title=on.of(target.title),
                    look=of_measure(on, measure),
                    targets=[
                        ask.latest(on, "kpi", [measure], where=ask.of_province(on)),
                    ],
                ),
            ),
        )
    return board(on, "plan", description=on.say(vi="Kế hoạch", en="Plan"), grid=grid)
