"""Panels with the settings every board wants: no clutter, calm greys, a description on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from grafana_foundation_sdk.builders import bargauge as bargauge_builder
from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import stat as stat_builder
from grafana_foundation_sdk.builders import statetimeline as statetimeline_builder
from grafana_foundation_sdk.builders import table as table_builder
from grafana_foundation_sdk.builders import text as text_builder
from grafana_foundation_sdk.builders import timeseries as timeseries_builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import text as text_model

from dashboards.ask import SOURCE, Target
from dashboards.looks import Look, field_config, override
from dashboards.words import LINES

Looks = Mapping[str, Look]


def stat(
    *,
    title: str,
    look: Look,
    targets: Sequence[Target],
    description: str = "",
    overrides: Looks | None = None,
    loud: bool = False,
    graph: bool = False,
    text: Literal["auto", "value", "value_and_name", "name"] = "auto",
    orientation: Literal["auto", "horizontal", "vertical"] = "auto",
    worded: bool = False,
    sizes: tuple[int, int] | None = None,
) -> model.Panel:
    """Numbers to be read from afar. ``loud``: what is wrong fills the panel with its colour; a calm
    value should then have a ``transparent`` step. ``worded``: the values are texts or yes and no.
    ``sizes`` are those of names and values in pixels; without
    them Grafana takes what fits."""
    builder = (
        stat_builder.Panel()
        .color_mode(common.BigValueColorMode.BACKGROUND if loud else common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA if graph else common.BigValueGraphMode.NONE)
        .justify_mode(common.BigValueJustifyMode.AUTO)
        .text_mode(common.BigValueTextMode(text))
        .orientation(common.VizOrientation(orientation))
        .reduce_options(_reduce(worded=worded))
    )
    if sizes is not None:
        name_px, value_px = sizes
        builder = builder.text(
            common_builder.VizTextDisplayOptions().title_size(name_px).value_size(value_px)
        )
    return _finished(builder.build(), title, description, look, targets, overrides)


def bars(
    *,
    title: str,
    look: Look,
    targets: Sequence[Target],
    description: str = "",
    overrides: Looks | None = None,
) -> model.Panel:
    """Horizontal bars, one for each series."""
    builder = (
        bargauge_builder.Panel()
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .orientation(common.VizOrientation.HORIZONTAL)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .name_placement(common.BarGaugeNamePlacement.LEFT)
        .sizing(common.BarGaugeSizing.AUTO)
        .show_unfilled(True)
        .min_viz_height(14)
        .reduce_options(_reduce())
    )
    return _finished(builder.build(), title, description, look, targets, overrides)


def lines(
    *,
    title: str,
    look: Look,
    targets: Sequence[Target],
    description: str = "",
    overrides: Looks | None = None,
    cadence_s: int = 10,
    limits: bool = True,
    stacked: bool = False,
    fill: int = 0,
    legend: bool | None = None,
    steps: bool = False,
    soft: tuple[float | None, float | None] = (None, None),
) -> model.Panel:
    """Values over time. A gap of more than three cadences is shown as one. ``limits`` draws the
    look's limits as dashed lines. The legend is left out where one series needs none. ``soft`` is
    what the axis shows at least."""
    shown = len(targets) > 1 or bool(overrides) if legend is None else legend
    legend_options = (
        common_builder.VizLegendOptions()
        .show_legend(shown)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs([])
    )
    builder = (
        timeseries_builder.Panel()
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(fill)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(3000.0 * cadence_s)
        .axis_border_show(False)
        .line_interpolation(
            common.LineInterpolation.STEP_AFTER if steps else common.LineInterpolation.LINEAR
        )
        .legend(legend_options)
        .tooltip(
            common_builder.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )
    if soft[0] is not None:
        builder = builder.axis_soft_min(soft[0])
    if soft[1] is not None:
        builder = builder.axis_soft_max(soft[1])
    if stacked:
        builder = builder.stacking(
            common_builder.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
        )
    if limits and len(look.steps) > 1:
        builder = builder.thresholds_style(
            common_builder.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    if not (look.fixed or look.palette):
        look = replace(look, fixed=LINES[0])
    panel = _finished(builder.build(), title, description, look, targets, overrides)
    panel.interval = f"{cadence_s}s"
    return panel


def table(
    *,
    title: str,
    columns: Looks,
    targets: Sequence[Target],
    description: str = "",
    sort: Sequence[tuple[str, Literal["asc", "desc"]]] = (),
    no_value: str = "",
    time_shown: bool = False,
    merge: bool = False,
) -> model.Panel:
    """One frame as a table. ``columns`` are what the query gives, by its names and in the order of
    the screen; what is not among them is left out. ``sort`` names some of them.

    ``merge`` joins the frames of several targets by those columns that they share. ``no_value`` is
    what an empty table says.
    """
    builder = (
        table_builder.Panel()
        .show_header(True)
        .cell_height(common.TableCellHeight.SM)
        .min_width(50)
        .footer(common_builder.TableFooterOptions().show(False).reducer([]).count_rows(False))
    )
    if sort:
        builder = builder.sort_by(
            [
                common_builder.TableSortByFieldState()
                .display_name(columns[name].title)
                .desc(order == "desc")
                for name, order in sort
            ]
        )
    look = Look(no_value=no_value or "–")
    panel = _finished(builder.build(), title, description, look, targets, columns)
    names = [*(["Time", "time"] if time_shown else []), *columns]
    panel.transformations = [
        model.DataTransformerConfig(
            id_val="filterFieldsByName", options={"include": {"names": names}}
        ),
        *([model.DataTransformerConfig(id_val="merge", options={})] if merge else []),
        model.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {},
                "indexByName": {name: place for place, name in enumerate(names)},
                "renameByName": {},
            },
        ),
    ]
    return panel


def states(
    *,
    title: str,
    look: Look,
    targets: Sequence[Target],
    description: str = "",
    overrides: Looks | None = None,
    cadence_s: int = 60,
) -> model.Panel:
    """Bars of state over time, one for each series, in the words and colours of the look."""
    builder = (
        statetimeline_builder.Panel()
        .merge_values(True)
        .show_value(common.VisibilityMode.AUTO)
        .align_value(common.TimelineValueAlignment.LEFT)
        .row_height(0.85)
        .fill_opacity(80)
        .line_width(0)
        .legend(
            common_builder.VizLegendOptions()
            .show_legend(False)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs([])
        )
        .tooltip(common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
    )
    panel = _finished(builder.build(), title, description, look, targets, overrides)
    panel.interval = f"{cadence_s}s"
    return panel


def words(markdown: str, *, title: str = "") -> model.Panel:
    """A text, for what no number says."""
    builder = text_builder.Panel().mode(text_model.TextMode.MARKDOWN).content(markdown)
    panel = builder.build()
    panel.title = title
    panel.transparent = True
    return panel


def _reduce(*, worded: bool = False) -> common_builder.ReduceDataOptions:
    """Grafana takes numbers alone ("") or fields by a pattern, which would match the time too."""
    options = common_builder.ReduceDataOptions().values(False).calcs(["lastNotNull"])
    return options.fields("/^(?!(Time|time)$).*/" if worded else "")


def _finished(
    panel: model.Panel,
    title: str,
    description: str,
    look: Look,
    targets: Sequence[Target],
    overrides: Looks | None,
) -> model.Panel:
    config = field_config(look)
    drawn = panel.field_config.defaults.custom if panel.field_config else None
    config.custom = drawn if drawn is not None else {}
    panel.title = title
    panel.description = description or look.description
    panel.datasource = SOURCE
    panel.field_config = model.FieldConfigSource(
        defaults=config,
        overrides=[override(name, column) for name, column in (overrides or {}).items()],
    )
    panel.targets = [
        replace(target, ref_id=chr(ord("A") + place)).build()
        for place, target in enumerate(targets)
    ]
    return panel
