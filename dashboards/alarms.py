"""Alarms: which stand, which came and went, who raises the most; and one asset's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

from dashboards import alarm_rows, ask, parts, variables
from dashboards.board import Drawn, board
from dashboards.layout import Grid
from dashboards.looks import Look, of_commune, of_severity, of_state, of_text
from dashboards.measures import counted, of_measure
from dashboards.setting import Setting
from dashboards.units import grafana_unit
from dashboards.words import LINES, SEVERITY
from ioc.store.derived import ALARM, ASSET_STATE
from ioc.store.query import Tag
from ioc.store.schema import KPI
from ioc.text import Text

_COUNTED = ("critical", "major", "minor", "warning")
# Barely there, on the dark theme and on the light one.
_NONE = "rgba(139, 153, 162, 0.12)"
_COUNTED_ROWS = 5_000
_COUNTED_BY = ("asset", "kind", "commune")
# What Grafana calls a count of the column "alarm".
_COUNT = "alarm (count)"
_CHOSEN: tuple[Tag, ...] = ("commune", "kind", "operator")
_ONE: tuple[Tag, ...] = ("asset",)
_TRANSITIONS: Mapping[str, Text] = {
    "raised": Text(vi="phát sinh", en="raised"),
    "changed": Text(vi="thay đổi", en="changed"),
    "cleared": Text(vi="đã hết", en="cleared"),
    "acknowledged": Text(vi="tiếp nhận", en="acknowledged"),
    "unacknowledged": Text(vi="bỏ tiếp nhận", en="unacknowledged"),
    "commented": Text(vi="ghi chú", en="commented"),
    "suppressed": Text(vi="bị che", en="suppressed"),
    "unsuppressed": Text(vi="hết bị che", en="unsuppressed"),
}


def alarms(on: Setting) -> Drawn:
    grid = Grid()
    grid.row(4, (9, _by_severity(on)), (9, _waiting(on)), (6, _acknowledged(on)))
    grid.at(0, 4, 15, 11, _active(on))
    grid.at(15, 4, 9, 6, _over_time(on))
    grid.at(15, 10, 9, 5, _rate(on))
    grid.at(0, 15, 9, 7, _worst(on))
    grid.at(9, 15, 15, 7, _timeline(on))
    grid.at(0, 22, 24, 12, _history(on, _CHOSEN))
    grid.heading(on.say(vi="Một thiết bị: ${asset}", en="One asset: ${asset}"), folded=True)
    grid.row(4, (24, _one_over_time(on)))
    grid.row(10, (24, _history(on, _ONE)))
    return board(
        on,
        "alarms",
        description=on.say(
            vi="Cảnh báo nào đang có, cảnh báo nào đến rồi đi, thiết bị nào báo nhiều nhất?",
            en="Which alarms stand, which came and went, which asset raises the most?",
        ),
        grid=grid,
        choices=[
            variables.communes(on),
            variables.kinds(on),
            variables.operators(on),
            variables.assets(
                on, ASSET_STATE, label=on.say(vi="Thiết bị", en="Asset"), tags=("commune", "kind")
            ),
        ],
    )


def _of_province(on: Setting, measures: Sequence[str], *, table: bool = False) -> ask.Target:
    return ask.latest(
        on, KPI, measures, where=ask.of_province(on), alias="" if table else "$col", table=table
    )


def _by_severity(on: Setting) -> model.Panel:
    looks = {
        f"last_alarms_{severity}": counted(on, f"alarms_{severity}", SEVERITY[severity])
        for severity in _COUNTED
    }
    return parts.stat(
        title=on.say(vi="Đang có, theo mức", en="Active, by severity"),
        description=on.say(
            vi="Cảnh báo chưa hết và không bị che dưới một sự cố khác, toàn tỉnh.",
            en="Alarms of the province that stand and are not suppressed under another.",
        ),
        look=Look(),
        targets=[_of_province(on, [f"alarms_{severity}" for severity in _COUNTED])],
        overrides=looks,
        text="value_and_name",
        orientation="vertical",
    )


def _waiting(on: Setting) -> model.Panel:
    plain: tuple[tuple[float | None, str], ...] = ((None, "text"),)
    names = ("alarms_unacknowledged", "incidents_active", "alarms_suppressed")
    return parts.stat(
        title=on.say(vi="Chờ xử lý", en="Waiting for people"),
        description=on.say(
            vi="Cảnh báo chưa ai tiếp nhận; sự cố gốc kéo theo thiết bị khác; cảnh báo bị che dưới "
            "các sự cố ấy.",
            en="Alarms that nobody has taken on; root incidents that take others out of service; "
            "alarms suppressed under those.",
        ),
        look=Look(),
        targets=[_of_province(on, names)],
        overrides={f"last_{name}": replace(of_measure(on, name), steps=plain) for name in names},
        text="value_and_name",
        orientation="vertical",
    )


def _acknowledged(on: Setting) -> model.Panel:
    """The share is worked out by Grafana from two measures: one number, once."""
    title = on.say(vi="Đã tiếp nhận", en="Acknowledged")
    panel = parts.stat(
        title=title,
        description=on.say(
            vi="Phần cảnh báo đang có đã có người tiếp nhận. Không có cảnh báo nào: –.",
            en="The share of active alarms that somebody has taken on. Without any alarm: –.",
        ),
        look=Look(unit="percentunit", decimals=0, least=0, greatest=1, steps=((None, "text"),)),
        targets=[_of_province(on, ["alarms_active", "alarms_unacknowledged"], table=True)],
    )
    panel.transformations = [
        _worked_out("last_alarms_active", "-", "last_alarms_unacknowledged", "taken"),
        _worked_out("taken", "/", "last_alarms_active", title, alone=True),
    ]
    return panel


def _worked_out(
    left: str, operator: str, right: str, name: str, *, alone: bool = False
) -> model.DataTransformerConfig:
    return model.DataTransformerConfig(
        id_val="calculateField",
        options={
            "mode": "binary",
            "binary": {"left": left, "operator": operator, "right": right},
            "reduce": {"reducer": "sum"},
            "alias": name,
            "replaceFields": alone,
        },
    )


def _active(on: Setting) -> model.Panel:
    return alarm_rows.standing(
        on,
        title=on.say(vi="Cảnh báo đang có", en="Active alarms"),
        description=on.say(
            vi="Nặng nhất và mới nhất trước; không tính cảnh báo bị che. Bấm vào để mở trên bảng "
            "điều hành và tiếp nhận.",
            en="The worst and newest first, without those suppressed. Click one to open it in the "
            "console and take it on.",
        ),
        tags=_CHOSEN,
    )


def _over_time(on: Setting) -> model.Panel:
    looks = {
        f"max_alarms_{severity}": replace(
            of_measure(on, f"alarms_{severity}"),
            title=f"{SEVERITY[severity].mark} {on.of(SEVERITY[severity].text)}",
            fixed=SEVERITY[severity].colour,
        )
        for severity in _COUNTED
    }
    return parts.lines(
        title=on.say(vi="Số cảnh báo theo mức", en="Active alarms over time"),
        description=on.say(
            vi="Số cảnh báo đang có theo mức, chồng lên nhau, toàn tỉnh.",
            en="Alarms of the province that stood, by severity, stacked.",
        ),
        look=replace(of_measure(on, "alarms_active"), least=0),
        targets=[
            ask.over_time(
                on,
                KPI,
                {f"alarms_{severity}": "max" for severity in _COUNTED},
                where=ask.of_province(on),
                alias="$col",
            )
        ],
        overrides=looks,
        stacked=True,
        fill=60,
        legend=True,
    )


def _rate(on: Setting) -> model.Panel:
    """Bars: a bucket without alarms is no line between its neighbours."""
    titles = {
        "raised": on.say(vi="Phát sinh", en="Raised"),
        "cleared": on.say(vi="Đã hết", en="Cleared"),
    }
    look = Look(
        title=on.say(vi="Cảnh báo đến và đi", en="Alarms come and gone"),
        unit=grafana_unit("1"),
        decimals=0,
        least=0,
    )
    panel = parts.lines(
        title=look.title,
        description=on.say(
            vi="Số cảnh báo phát sinh và số đã hết trong mỗi khoảng, kể cả bị che.",
            en="Alarms raised and alarms cleared in each interval, suppressed ones too.",
        ),
        look=look,
        targets=[
            ask.over_time(
                on,
                ALARM,
                {"alarm": "count"},
                fields={"transition": [transition]},
                tags=_CHOSEN,
                alias=title,
            )
            for transition, title in titles.items()
        ],
        overrides={
            titles["raised"]: replace(look, title=titles["raised"], fixed=LINES[1]),
            titles["cleared"]: replace(look, title=titles["cleared"], fixed=LINES[5]),
        },
        cadence_s=60,
        fill=70,
        legend=True,
    )
    assert panel.field_config is not None
    custom = panel.field_config.defaults.custom
    assert isinstance(custom, common.GraphFieldConfig)
    custom.draw_style = common.GraphDrawStyle.BARS
    return panel


def _worst(on: Setting) -> model.Panel:
    """Grafana counts: InfluxDB has no series of an asset's alarms to count by."""
    thousands = f"{_COUNTED_ROWS:,}"
    panel = parts.table(
        title=on.say(vi="Mười thiết bị báo nhiều nhất", en="Ten worst assets"),
        description=on.say(
            vi="Thiết bị phát sinh nhiều cảnh báo nhất trong khoảng thời gian của bảng, đếm trong "
            f"{thousands.replace(',', '.')} cảnh báo mới nhất. Một thiết bị báo đi báo lại thường "
            "là chập chờn, không phải hỏng nhiều lần.",
            en="The assets that raised the most alarms in the board's time, among the newest "
            f"{thousands} alarms. One that raises again and again mostly has a loose "
            "contact, not many failures.",
        ),
        columns={
            "asset": replace(
                of_text(on.say(vi="Thiết bị", en="Asset")), links=(alarm_rows.asset_link(on),)
            ),
            "kind": _kinds(on),
            "commune": of_commune(on),
            _COUNT: Look(title=on.say(vi="Số lần", en="Raised"), unit=grafana_unit("1"), width=84),
        },
        targets=[
            ask.rows(
                on,
                ALARM,
                ["alarm"],
                columns=["kind", "commune"],
                fields={"transition": ["raised"]},
                tags=_CHOSEN,
                limit=_COUNTED_ROWS,
            )
        ],
        no_value=on.say(
            vi="Không có cảnh báo nào phát sinh trong khoảng này.",
            en="No alarm was raised in this time.",
        ),
    )
    by = {name: {"operation": "groupby", "aggregations": []} for name in _COUNTED_BY}
    counted = {"operation": "aggregate", "aggregations": ["count"]}
    panel.transformations = [
        model.DataTransformerConfig(id_val="groupBy", options={"fields": {**by, "alarm": counted}}),
        model.DataTransformerConfig(
            id_val="sortBy", options={"fields": {}, "sort": [{"field": _COUNT, "desc": True}]}
        ),
        model.DataTransformerConfig(id_val="limit", options={"limitField": 10}),
        *(panel.transformations or []),
    ]
    return panel


def _kinds(on: Setting) -> Look:
    words = {name: (on.of(kind.title), "") for name, kind in on.catalog.kinds.items()}
    return Look(title=on.say(vi="Loại", en="Kind"), mappings=words)


def _timeline(on: Setting) -> model.Panel:
    looks = {
        f"max_alarms_{severity}": replace(
            of_measure(on, f"alarms_{severity}"),
            title=f"{SEVERITY[severity].mark} {on.of(SEVERITY[severity].text)}",
            fixed=SEVERITY[severity].colour,
            mappings={"0": (" ", _NONE)},
        )
        for severity in _COUNTED
    }
    return parts.states(
        title=on.say(vi="Khi nào có cảnh báo mức nào", en="When which severity stood"),
        description=on.say(
            vi="Mỗi hàng là một mức; có màu khi ít nhất một cảnh báo mức ấy đang có, kèm số lượng.",
            en="A row for each severity, coloured while at least one alarm of it stood, with how "
            "many.",
        ),
        look=Look(decimals=0),
        targets=[
            ask.over_time(
                on,
                KPI,
                {f"alarms_{severity}": "max" for severity in _COUNTED},
                where=ask.of_province(on),
                alias="$col",
            )
        ],
        overrides=looks,
    )


def _history(on: Setting, tags: Sequence[Tag]) -> model.Panel:
    text = f"text_{on.language}"
    metrics = ["transition", "severity", text, "duration_s", "actor", "comment", "alarm"]
    one = tags == _ONE
    title = on.say(vi="Lịch sử của thiết bị", en="History of the asset")
    return parts.table(
        title=title if one else on.say(vi="Lịch sử", en="History"),
        description=on.say(
            vi="Mọi thay đổi của cảnh báo trong khoảng thời gian của bảng, mới nhất trước, nhiều "
            "nhất 500. Bấm vào cảnh báo để mở trên bảng điều hành.",
            en="What happened to alarms in the board's time, the newest first, at most 500. Click "
            "an alarm to open it in the console.",
        ),
        columns={
            "Time": Look(title=on.say(vi="Lúc", en="At"), width=165),
            "transition": Look(
                title=on.say(vi="Việc", en="What"),
                mappings={name: (on.of(words), "") for name, words in _TRANSITIONS.items()},
                width=130,
            ),
            "severity": replace(of_severity(on), cell="color-text", width=130),
            text: replace(
                of_text(on.say(vi="Cảnh báo", en="Alarm")), links=(alarm_rows.alarm_link(on),)
            ),
            "asset": replace(
                of_text(on.say(vi="Thiết bị", en="Asset"), width=150),
                links=(alarm_rows.asset_link(on),),
            ),
            "duration_s": alarm_rows.duration(on),
            "actor": of_text(on.say(vi="Người làm", en="By"), width=120),
            "comment": of_text(on.say(vi="Ghi chú", en="Comment")),
            "alarm": replace(of_text("alarm"), hidden=True),
        },
        targets=[ask.rows(on, ALARM, metrics, tags=tags, limit=500)],
        no_value=on.say(
            vi="Không có gì xảy ra trong khoảng này.", en="Nothing happened in this time."
        ),
    )


def _one_over_time(on: Setting) -> model.Panel:
    return parts.states(
        title=on.say(vi="Trạng thái theo thời gian", en="State over time"),
        description=on.say(
            vi="Trạng thái của thiết bị được chọn ở đầu bảng, mỗi phút một lần.",
            en="The state of the asset chosen at the top, once a minute.",
        ),
        look=of_state(on),
        targets=[
            ask.over_time(
                on,
                ASSET_STATE,
                {"state_code": "last"},
                tags=_ONE,
                group_by=["asset"],
                alias="$tag_asset",
            )
        ],
    )
