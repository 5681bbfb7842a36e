"""Fibre: which spans are down or about to fail, and one span against its commissioned baseline."""

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import alarm_rows, ask, parts, variables
from dashboards.board import Drawn, address, board
from dashboards.layout import Grid
from dashboards.looks import Look, of_commune, of_metric, of_state, of_text
from dashboards.measures import of_measure
from dashboards.metrics import column, now, trend
from dashboards.overview import SPAN_WORDS, one, spans
from dashboards.setting import Setting
from dashboards.words import CALM_STRONG, LINES, STATE
from ioc.catalog import Flapping
from ioc.store.derived import ALARM, ASSET_STATE
from ioc.store.query import Tag
from ioc.store.schema import KPI

KIND = "span"
_CHOSEN: tuple[Tag, ...] = ("commune", "operator")
_ONE: tuple[Tag, ...] = ("asset",)


def fibre(on: Setting) -> Drawn:
    grid = Grid()
    grid.row(
        4,
        (9, spans(on)),
        (5, one(on, "fibre_in_service_km")),
        (5, one(on, "fibre_built_km")),
        (5, _unprotected(on)),
    )
    grid.at(0, 4, 12, 9, _not_up(on))
    grid.at(12, 4, 12, 9, _most_excess(on))
    over_time = _over_time(on)
    grid.at(0, 13, 8, 9, over_time)
    grid.at(8, 13, 8, 9, _communes(on))
    grid.at(16, 13, 8, 9, _least_margin(on))
    _one_span(on, grid)
    _errors(on, grid)
    return board(
        on,
        "fibre",
        description=on.say(
            vi="Chặng nào đứt, chặng nào sắp đứt, và một chặng được chọn so với lúc nghiệm thu?",
            en="Which spans are down or about to fail, and how does the one that is chosen stand "
            "against its baseline?",
        ),
        grid=grid,
        choices=[
            variables.communes(on),
            variables.operators(on, measurement=KIND),
            variables.assets(on, KIND, label=on.say(vi="Chặng", en="Span"), tags=_CHOSEN),
            variables.resolutions(on),
        ],
        incidents_on=[over_time],
    )


def _unprotected(on: Setting) -> model.Panel:
    """Of the ring state, what the states of spans tell."""
    look = Look(
        unit="locale",
        decimals=0,
        steps=((None, "text"), (1, STATE["degraded"].colour)),
        no_value="0",
    )
    return parts.stat(
        title=on.say(vi="Vòng có thể mất bảo vệ", en="Rings without protection, at most"),
        description=on.say(
            vi="Số chặng đang ngừng hoặc mất liên lạc: mỗi chặng như vậy trong một vòng làm vòng "
            "đó chỉ còn một hướng. Chặng thuộc vòng nào thì xem trang của chặng trên bảng điều "
            "hành; chuỗi thời gian không mang thông tin này.",
            en="Spans that are down or silent: each of them in a ring leaves that ring with one "
            "way only. Which ring a span belongs to is on its page in the console; the time series "
            "do not carry it.",
        ),
        look=look,
        targets=[
            ask.latest(
                on,
                ASSET_STATE,
                ["state"],
                how="count",
                where={"kind": [KIND]},
                fields={"state": ["down", "silent"]},
                tags=_CHOSEN,
                times=ask.STATE_WINDOW,
            )
        ],
    )


def _where(on: Setting) -> dict[str, Look]:
    return {
        "asset": replace(
            of_text(on.say(vi="Chặng", en="Span"), width=100),
            links=(
                (
                    on.say(vi="Xem chặng này", en="Show this span"),
                    address(
                        on,
                        "fibre",
                        choose=["var-asset=${__value.raw}"],
                        keep=["commune", "operator", "resolution"],
                    ),
                ),
                alarm_rows.asset_link(on),
            ),
        ),
        "commune": of_commune(on),
    }


def _not_up(on: Setting) -> model.Panel:
    return parts.table(
        title=on.say(vi="Chặng không bình thường", en="Spans that are not up"),
        description=on.say(
            vi="Các chặng đứt, mất liên lạc hoặc suy giảm; những chặng có cảnh báo gốc đứng trước.",
            en="Spans that are down, silent or degraded; those with alarms of their own come "
            "first.",
        ),
        columns={
            **_where(on),
            "operator": of_text(on.say(vi="Nhà mạng", en="Operator"), width=90),
            "alarms": Look(title=on.say(vi="Cảnh báo", en="Alarms"), decimals=0, width=90),
            "state_code": replace(of_state(on), cell="color-text", width=130),
        },
        targets=[
            ask.snapshot(
                on,
                ASSET_STATE,
                ["state_code", "alarms"],
                where={"kind": [KIND]},
                fields={"state": ["down", "silent", "degraded"]},
                tags=_CHOSEN,
                columns=["commune", "operator"],
            )
        ],
        sort=[("alarms", "desc"), ("state_code", "desc")],
        no_value=on.say(vi="Mọi chặng đều bình thường.", en="All spans are up."),
    )


def _most_excess(on: Setting) -> model.Panel:
    return parts.table(
        title=on.say(
            vi="Suy hao tăng nhiều nhất so với nghiệm thu", en="Most loss above the baseline"
        ),
        description=of_metric(on, KIND, "excess_loss_db").description,
        columns={
            **_where(on),
            "excess_loss_db": column(
                on, KIND, "excess_loss_db", title=on.say(vi="Tăng", en="Above"), width=90
            ),
            "loss_db": column(on, KIND, "loss_db", title=on.say(vi="Suy hao", en="Loss"), width=90),
            "rx_power_dbm": column(
                on, KIND, "rx_power_dbm", title=on.say(vi="Thu", en="Receive"), width=110
            ),
            "rx_margin_db": column(
                on, KIND, "rx_margin_db", title=on.say(vi="Dự phòng", en="Margin"), width=90
            ),
        },
        targets=[
            ask.worst(
                on,
                KIND,
                ["excess_loss_db", "loss_db", "rx_power_dbm", "rx_margin_db"],
                most=True,
                tags=_CHOSEN,
                columns=["commune"],
            )
        ],
        sort=[("excess_loss_db", "desc")],
    )


def _least_margin(on: Setting) -> model.Panel:
    return parts.table(
        title=on.say(vi="Dự phòng công suất thu ít nhất", en="Least receive margin"),
        description=of_metric(on, KIND, "rx_margin_db").description,
        columns={
            **_where(on),
            "rx_margin_db": column(
                on, KIND, "rx_margin_db", title=on.say(vi="Dự phòng", en="Margin"), width=90
            ),
            "rx_power_dbm": column(
                on, KIND, "rx_power_dbm", title=on.say(vi="Thu", en="Receive"), width=110
            ),
        },
        targets=[
            ask.worst(
                on,
                KIND,
                ["rx_margin_db", "rx_power_dbm"],
                most=False,
                tags=_CHOSEN,
                columns=["commune"],
            )
        ],
        sort=[("rx_margin_db", "asc")],
    )


def _over_time(on: Setting) -> model.Panel:
    looks = {
        f"max_spans_{state}": replace(
            of_measure(on, f"spans_{state}"),
            title=on.of(SPAN_WORDS[state]),
            fixed=STATE[state].colour,
        )
        for state in ("degraded", "silent", "down")
    }
    return parts.lines(
        title=on.say(vi="Chặng không bình thường theo thời gian", en="Spans not up, over time"),
        description=on.say(
            vi="Số chặng suy giảm, mất liên lạc và đứt trong toàn tỉnh, chồng lên nhau.",
            en="Spans of the province that are degraded, silent and down, stacked.",
        ),
        look=replace(of_measure(on, "spans_down"), least=0),
        targets=[
            ask.over_time(
                on,
                KPI,
                {"spans_degraded": "max", "spans_silent": "max", "spans_down": "max"},
                where=ask.of_province(on),
                alias="$col",
                rolled_up=True,
            )
        ],
        overrides=looks,
        stacked=True,
        fill=60,
        legend=True,
    )


def _communes(on: Setting) -> model.Panel:
    return parts.table(
        title=on.say(vi="Theo xã, phường", en="By commune"),
        description=on.say(
            vi="Chặng hoạt động, tổng số chặng (tính theo đầu A) và chiều dài của từng xã, phường.",
            en="Spans in service and in all (counted at their A end) and the length, by commune.",
        ),
        columns={
            "place": of_commune(on),
            "spans_up": replace(
                of_measure(on, "spans_up", title=on.say(vi="Hoạt động", en="In service")), width=96
            ),
            "spans_total": replace(
                of_measure(on, "spans_total", title=on.say(vi="Tất cả", en="All")), width=70
            ),
            "fibre_in_service_km": replace(
                of_measure(on, "fibre_in_service_km", title=on.say(vi="Dài", en="Length")), width=90
            ),
        },
        targets=[ask.communes(on, ["spans_up", "spans_total", "fibre_in_service_km"])],
        sort=[("spans_total", "desc")],
    )


def _one_span(on: Setting, grid: Grid) -> None:
    grid.heading(on.say(vi="Chặng ${asset}", en="Span ${asset}"))
    y = grid.bottom
    for place, metric in enumerate(("rx_power_dbm", "rx_margin_db", "excess_loss_db")):
        grid.at(4 * place, y, 4, 4, now(on, KIND, metric, tags=_ONE))
    grid.at(0, y + 4, 12, 5, _timeline(on))
    grid.at(
        12,
        y,
        12,
        9,
        alarm_rows.standing(
            on,
            title=on.say(vi="Cảnh báo của ${asset}", en="Alarms of ${asset}"),
            description=on.say(
                vi="Cảnh báo đang có của chặng, kể cả những cảnh báo nằm dưới một sự cố khác.",
                en="Alarms of the span that stand, those suppressed under another too.",
            ),
            tags=_ONE,
            asset=False,
            suppressed=True,
        ),
    )
    grid.row(8, (12, _budget(on)), (12, _baseline(on)))
    grid.row(
        7,
        (8, trend(on, KIND, ["rx_margin_db"], tags=_ONE, title=_of_one(on, "rx_margin_db"))),
        (8, trend(on, KIND, ["laser_bias_ma"], tags=_ONE)),
        (8, trend(on, KIND, ["module_temperature_c"], tags=_ONE)),
    )
    grid.row(
        7,
        (8, trend(on, KIND, ["pre_fec_ber"], tags=_ONE, how="max")),
        (8, trend(on, KIND, ["uncorrected_frames"], tags=_ONE, how="max")),
        (
            8,
            trend(
                on,
                KIND,
                ["errored_s", "severely_errored_s", "unavailable_s"],
                tags=_ONE,
                how="max",
                title=on.say(vi="Giây lỗi và gián đoạn (G.8201)", en="Seconds in error (G.8201)"),
            ),
        ),
    )


def _of_one(on: Setting, name: str) -> str:
    return f"{on.of(on.metric(KIND, name).title)} · ${{asset}}"


def _timeline(on: Setting) -> model.Panel:
    state, link = on.say(vi="Trạng thái", en="State"), on.of(on.metric(KIND, "link_up").title)
    return parts.states(
        title=on.say(vi="Trạng thái của ${asset}", en="State of ${asset}"),
        description=on.say(
            vi="Trạng thái của chặng và của cổng theo thời gian; chập chờn hiện thành nhiều vạch.",
            en="State of the span and of its port over time; flaps show as many bars.",
        ),
        look=Look(),
        targets=[
            ask.over_time(on, ASSET_STATE, {"state": "last"}, tags=_ONE, alias=state),
            ask.over_time(on, KIND, {"link_up": "last"}, tags=_ONE, alias=link, rolled_up=True),
        ],
        overrides={state: of_state(on), link: of_metric(on, KIND, "link_up")},
    )


def _budget(on: Setting) -> model.Panel:
    """Transmit and receive power: what lies between them is lost."""
    return trend(
        on,
        KIND,
        ["tx_power_dbm", "rx_power_dbm"],
        tags=_ONE,
        title=on.say(vi="Quỹ công suất quang: phát và thu", en="Optical budget: transmit, receive"),
        limits=False,
    )


def _baseline(on: Setting) -> model.Panel:
    """Loss beside what it was at commissioning, which is loss less what came on top."""
    loss, excess = of_metric(on, KIND, "loss_db"), of_metric(on, KIND, "excess_loss_db")
    base = on.say(vi="Lúc nghiệm thu", en="At commissioning")
    panel = parts.lines(
        title=on.say(vi="Suy hao so với lúc nghiệm thu", en="Loss against the baseline"),
        description=f"{loss.description} {excess.description}",
        look=loss,
        targets=[
            ask.over_time(
                on,
                KIND,
                {"loss_db": "mean", "excess_loss_db": "mean"},
                tags=_ONE,
                alias="$col",
                rolled_up=True,
            )
        ],
        overrides={
            "mean_loss_db": replace(loss, fixed=CALM_STRONG),
            "mean_excess_loss_db": replace(excess, fixed=LINES[4]),
            base: replace(loss, title=base, fixed=LINES[1]),
        },
        legend=True,
    )
    panel.transformations = [
        model.DataTransformerConfig(id_val="joinByField", options={"byField": "Time"}),
        model.DataTransformerConfig(
            id_val="calculateField",
            options={
                "alias": base,
                "mode": "binary",
                "binary": {"left": "mean_loss_db", "operator": "-", "right": "mean_excess_loss_db"},
            },
        ),
    ]
    return panel


def _errors(on: Setting, grid: Grid) -> None:
    grid.heading(on.say(vi="Chập chờn và lỗi", en="Flaps and errors"), folded=True)
    text = f"text_{on.language}"
    rules = [rule.id for rule in on.kind(KIND).rules if isinstance(rule.when, Flapping)]
    flaps = parts.table(
        title=on.say(vi="Chập chờn", en="Flaps"),
        description=on.say(
            vi="Cảnh báo chập chờn phát sinh trong khoảng thời gian đang xem, mới nhất trước.",
            en="Alarms of flapping that were raised in the time shown, the newest first.",
        ),
        columns={
            "Time": of_text(on.say(vi="Lúc", en="At"), width=170),
            **_where(on),
            text: replace(
                of_text(on.say(vi="Cảnh báo", en="Alarm")), links=(alarm_rows.alarm_link(on),)
            ),
            "alarm": replace(of_text("alarm"), hidden=True),
        },
        targets=[
            ask.rows(
                on,
                ALARM,
                [text, "alarm"],
                where={"kind": [KIND]},
                fields={"transition": ["raised"], "source": rules},
                tags=_CHOSEN,
                columns=["commune"],
                limit=200,
            )
        ],
        no_value=on.say(vi="Không chặng nào chập chờn.", en="No span came and went."),
    )
    grid.row(9, (12, flaps), (6, _ten(on, "pre_fec_ber")), (6, _ten(on, "uncorrected_frames")))


def _ten(on: Setting, metric: str) -> model.Panel:
    look = column(on, KIND, metric, width=130)
    return parts.table(
        title=f"{look.title}: {on.say(vi='cao nhất', en='highest')}",
        description=look.description,
        columns={**_where(on), metric: replace(look, title=on.say(vi="Giá trị", en="Value"))},
        targets=[ask.worst(on, KIND, [metric], most=True, tags=_CHOSEN, columns=["commune"])],
        sort=[(metric, "desc")],
    )
