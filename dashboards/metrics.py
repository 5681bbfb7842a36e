"""Panels of the catalog's metrics: a line of code each, words and limits from the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import ask, parts
from dashboards.looks import Look, of_metric
from dashboards.setting import Setting
from dashboards.words import CALM, LINES
from ioc.store.query import Aggregate, Tag


def on_stat(look: Look, *, loud: bool = False) -> Look:
    """A look for a number that stands alone: what is well is in the colour of text, or has no
    background where the colour fills the panel (``loud``)."""
    calm = "transparent" if loud else "text"
    steps = tuple((start, calm if colour == CALM else colour) for start, colour in look.steps)
    words = {
        value: (text, calm if colour == CALM else colour)
        for value, (text, colour) in look.mappings.items()
    }
    return replace(look, steps=steps, mappings=words)


def trend(
    on: Setting,
    kind: str,
    metrics: Sequence[str],
    *,
    title: str = "",
    where: ask.Where | None = None,
    tags: ask.Tags = (),
    group_by: Sequence[Tag] = (),
    rolled_up: bool = True,
    how: Aggregate = "mean",
    limits: bool = True,
    soft: tuple[float | None, float | None] = (None, None),
    fill: int = 0,
    legend: bool = True,
) -> model.Panel:
    """Metrics of one unit over time. With ``group_by`` there is one metric and a line for each
    group. One line alone has no legend."""
    looks = {metric: of_metric(on, kind, metric) for metric in metrics}
    first = looks[metrics[0]]
    if len({look.unit for look in looks.values()}) != 1:
        raise ValueError(f"trend of {', '.join(metrics)}: not of one unit")
    alias = f"$tag_{group_by[0]}" if group_by else ""
    targets = [
        ask.over_time(
            on,
            kind,
            {metric: how},
            where=where,
            tags=tags,
            group_by=group_by,
            alias=alias or look.title,
            rolled_up=rolled_up,
        )
        for metric, look in looks.items()
    ]
    overrides = {
        look.title: replace(look, fixed=LINES[place % len(LINES)], steps=first.steps)
        for place, look in enumerate(looks.values())
        if not group_by and len(looks) > 1
    }
    if "asset" in group_by:
        overrides = _by_number(first)
    elif group_by:
        first = replace(first, palette=True)
    return parts.lines(
        title=title or first.title,
        description=" ".join(dict.fromkeys(look.description for look in looks.values())),
        look=first,
        targets=targets,
        overrides=overrides,
        cadence_s=on.metric(kind, metrics[0]).cadence_s,
        limits=limits,
        soft=soft,
        fill=fill,
        legend=legend and (bool(group_by) or len(looks) > 1),
    )


def _by_number(look: Look) -> dict[str, Look]:
    """A colour for each unit of a site by the end of its id (UPS-A, CRAC-1, RACK-01): the same
    number has the same colour on every site."""
    return {
        f"/-(0*{place + 1}|{chr(ord('A') + place)})$/": replace(
            look, title="", description="", fixed=LINES[place % len(LINES)]
        )
        for place in range(2 * len(LINES))
    }


def now(
    on: Setting,
    kind: str,
    metric: str,
    *,
    title: str = "",
    where: ask.Where | None = None,
    tags: ask.Tags = (),
    loud: bool = False,
) -> model.Panel:
    """The present value of a metric of one asset."""
    look = on_stat(of_metric(on, kind, metric), loud=loud)
    cadence_s = on.metric(kind, metric).cadence_s
    times = f"time >= ${{__to}}ms - {max(60, 3 * cadence_s)}s AND time <= ${{__to}}ms"
    return parts.stat(
        title=title or look.title,
        look=replace(look, title=""),
        targets=[ask.latest(on, kind, [metric], where=where, tags=tags, times=times)],
        loud=loud,
        worded=bool(look.mappings),
    )


def column(on: Setting, kind: str, metric: str, *, title: str = "", width: int = 0) -> Look:
    """A metric as a column of a table: coloured text beyond a limit."""
    look = of_metric(on, kind, metric)
    coloured = len(look.steps) > 1 or any(colour != CALM for _, colour in look.mappings.values())
    return replace(
        on_stat(look),
        title=title or look.title,
        width=width,
        cell="color-text" if coloured else "",
    )
