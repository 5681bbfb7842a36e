"""Base stations: the fleet, and one station by variable."""

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import alarm_rows, ask, parts, variables
from dashboards.board import Drawn, address, board
from dashboards.layout import Grid
from dashboards.looks import Look, of_commune, of_metric, of_state, of_text
from dashboards.measures import of_measure
from dashboards.metrics import column, now, trend
from dashboards.overview import one, stations, without_service
from dashboards.setting import Setting
from dashboards.units import grafana_unit
from dashboards.words import CALM, STATE
from ioc.store.derived import ASSET_STATE
from ioc.store.query import Tag
from ioc.store.schema import KPI

KIND = "bts"
_CHOSEN: tuple[Tag, ...] = ("commune", "operator")
_ONE: tuple[Tag, ...] = ("asset",)


def bts(on: Setting) -> Drawn:
    grid = Grid()
    grid.row(
        4,
        (9, stations(on)),
        (4, one(on, "bts_availability_percent")),
        (4, without_service(on)),
        (4, one(on, "download_mbit_s")),
        (3, one(on, "bts_5g_share_percent")),
    )
    over_time = _states_over_time(on)
    grid.at(0, 4, 10, 9, over_time)
    grid.at(10, 4, 14, 9, _on_battery(on))
    grid.at(0, 13, 10, 9, _communes(on))
    grid.at(10, 13, 6, 9, _operators(on))
    grid.at(16, 13, 8, 9, _not_up(on))
    _one_station(on, grid)
    _worst(on, grid)
    _traffic(on, grid)
    return board(
        on,
        "bts",
        description=on.say(
            vi="Trạm nào đang ngừng, suy giảm hoặc sắp hết ắc quy, và một trạm được chọn ra sao?",
            en="Which stations are down, degraded or near the end of their battery, and how is the "
            "one that is chosen?",
        ),
        grid=grid,
        choices=[
            variables.communes(on),
            variables.operators(on),
            variables.assets(on, KIND, label=on.say(vi="Trạm", en="Station"), tags=_CHOSEN),
            variables.resolutions(on),
        ],
        incidents_on=[over_time],
    )


def _states_over_time(on: Setting) -> model.Panel:
    signs = {"bts_degraded": "degraded", "bts_silent": "silent", "bts_down": "down"}
    looks = {
        f"max_{name}": replace(
            of_measure(on, name), title=on.of(STATE[state].text), fixed=STATE[state].colour
        )
        for name, state in signs.items()
    }
    return parts.lines(
        title=on.say(vi="Trạm không bình thường theo thời gian", en="Stations not up, over time"),
        description=on.say(
            vi="Số trạm suy giảm, mất liên lạc và ngừng trong toàn tỉnh, chồng lên nhau.",
            en="Stations of the province that are degraded, silent and down, stacked.",
        ),
        look=replace(of_measure(on, "bts_down"), least=0),
        targets=[
            ask.over_time(
                on,
                KPI,
                dict.fromkeys(signs, "max"),
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


def _on_battery(on: Setting) -> model.Panel:
    """Stations without mains, the least minutes first."""
    return parts.table(
        title=on.say(vi="Mất điện lưới: ắc quy còn ít nhất", en="Without mains: least battery"),
        description=on.say(
            vi="Mười lăm trạm mất điện lưới có ắc quy còn ít phút nhất.",
            en="The fifteen stations without mains whose batteries last the fewest minutes.",
        ),
        columns={
            **_where(on),
            "battery_runtime_min": column(
                on, KIND, "battery_runtime_min", title=on.say(vi="Còn", en="Left"), width=84
            ),
            "battery_charge_percent": column(
                on,
                KIND,
                "battery_charge_percent",
                title=on.say(vi="Ắc quy", en="Battery"),
                width=84,
            ),
            "dc_voltage_v": column(
                on, KIND, "dc_voltage_v", title=on.say(vi="Điện áp", en="Voltage"), width=90
            ),
            "genset_running": column(
                on, KIND, "genset_running", title=on.say(vi="Máy phát", en="Genset"), width=84
            ),
        },
        targets=[
            ask.worst(
                on,
                KIND,
                ["battery_runtime_min", "battery_charge_percent", "dc_voltage_v", "genset_running"],
                most=False,
                count=15,
                fields={"mains_ok": [False]},
                tags=_CHOSEN,
                columns=["commune", "operator"],
            )
        ],
        sort=[("battery_runtime_min", "asc")],
        no_value=on.say(vi="Không trạm nào mất điện lưới.", en="No station is without mains."),
    )


def _where(on: Setting) -> dict[str, Look]:
    """Which station, whose, where: with its links."""
    return {
        "asset": replace(
            of_text(on.say(vi="Trạm", en="Station"), width=100),
            links=(
                (
                    on.say(vi="Xem trạm này", en="Show this station"),
                    address(
                        on,
                        "bts",
                        choose=["var-asset=${__value.raw}"],
                        keep=["commune", "operator", "resolution"],
                    ),
                ),
                alarm_rows.asset_link(on),
            ),
        ),
        "operator": of_text(on.say(vi="Nhà mạng", en="Operator"), width=90),
        "commune": of_commune(on),
    }


def _communes(on: Setting) -> model.Panel:
    availability = replace(
        of_measure(on, "bts_availability_percent"),
        least=90,
        steps=((None, CALM),),
        cell="gauge",
        decimals=1,
    )
    return parts.table(
        title=on.say(vi="Theo xã, phường", en="By commune"),
        description=on.say(
            vi="Độ sẵn sàng của trạm trong từng xã, phường, thấp nhất trước. Thanh từ 90 đến "
            "100 %.",
            en="Availability of the stations of each commune, the least first. Bars are from 90 to "
            "100 %.",
        ),
        columns={
            "place": of_commune(on),
            "bts_availability_percent": availability,
            "bts_total": replace(
                of_measure(on, "bts_total", title=on.say(vi="Trạm", en="Stations")), width=72
            ),
            "population_without_service": replace(
                of_measure(
                    on,
                    "population_without_service",
                    title=on.say(vi="Người mất sóng", en="People out"),
                ),
                width=130,
                cell="color-text",
                steps=((None, "text"), (1, STATE["down"].colour)),
            ),
        },
        targets=[
            ask.communes(
                on, ["bts_availability_percent", "bts_total", "population_without_service"]
            )
        ],
        sort=[("bts_availability_percent", "asc")],
    )


def _operators(on: Setting) -> model.Panel:
    """Counts of one snapshot of states, by operator: three counts under three columns' names."""

    def counted(name: str, states: list[str] | None) -> ask.Target:
        return ask.latest(
            on,
            ASSET_STATE,
            [name],
            how="count",
            where={"kind": [KIND]},
            fields={"state": states} if states else None,
            tags=_CHOSEN,
            group_by=["operator"],
            times=ask.STATE_WINDOW,
            table=True,
        )

    count = Look(unit=grafana_unit("1"), decimals=0, no_value="0", width=72)
    return parts.table(
        title=on.say(vi="Theo nhà mạng", en="By operator"),
        description=on.say(
            vi="Số trạm của từng nhà mạng: tất cả, suy giảm, và ngừng hoặc mất liên lạc.",
            en="Stations of each operator: all, degraded, and down or silent.",
        ),
        columns={
            "operator": of_text(on.say(vi="Nhà mạng", en="Operator")),
            "count_state": replace(count, title=on.say(vi="Trạm", en="All")),
            "count_alarms": replace(count, title="▲", cell="color-text"),
            "count_state_code": replace(
                count,
                title="◆ ✕",
                cell="color-text",
                steps=((None, "text"), (1, STATE["down"].colour)),
            ),
        },
        targets=[
            counted("state", None),
            counted("alarms", ["degraded"]),
            counted("state_code", ["down", "silent"]),
        ],
        merge=True,
    )


def _not_up(on: Setting) -> model.Panel:
    return parts.table(
        title=on.say(vi="Ngừng và mất liên lạc", en="Down and silent"),
        description=on.say(
            vi="Các trạm không phục vụ lúc này.", en="Stations that are out of service now."
        ),
        columns={
            **_where(on),
            "state": replace(of_state(on), cell="color-text", width=120),
        },
        targets=[
            ask.snapshot(
                on,
                ASSET_STATE,
                ["state"],
                where={"kind": [KIND]},
                fields={"state": ["down", "silent"]},
                tags=_CHOSEN,
                columns=["commune", "operator"],
            )
        ],
        sort=[("state", "asc")],
        no_value=on.say(vi="Mọi trạm đều đang phục vụ.", en="All stations are in service."),
    )


def _one_station(on: Setting, grid: Grid) -> None:
    grid.heading(on.say(vi="Trạm ${asset}", en="Station ${asset}"))
    y = grid.bottom
    bools = ("mains_ok", "in_service", "door_open", "smoke")
    state = on.say(vi="Trạng thái", en="State")
    looks = {state: of_state(on)} | {
        on.of(on.metric(KIND, name).title): of_metric(on, KIND, name) for name in bools
    }
    timeline = parts.states(
        title=on.say(vi="Trạng thái của ${asset}", en="State of ${asset}"),
        description=on.say(
            vi="Trạng thái của trạm và các tiếp điểm của nhà trạm theo thời gian.",
            en="The station's state and its shelter's contacts over time.",
        ),
        look=Look(),
        targets=[
            ask.over_time(on, ASSET_STATE, {"state": "last"}, tags=_ONE, alias=state),
            *(
                ask.over_time(
                    on,
                    KIND,
                    {name: "last"},
                    tags=_ONE,
                    alias=on.of(on.metric(KIND, name).title),
                    rolled_up=True,
                )
                for name in bools
            ),
        ],
        overrides=looks,
    )
    grid.at(0, y, 12, 7, timeline)
    grid.at(
        12,
        y,
        12,
        7,
        alarm_rows.standing(
            on,
            title=on.say(vi="Cảnh báo của ${asset}", en="Alarms of ${asset}"),
            description=on.say(
                vi="Cảnh báo đang có của trạm, kể cả những cảnh báo nằm dưới một sự cố khác.",
                en="Alarms of the station that stand, those suppressed under another too.",
            ),
            tags=_ONE,
            impact=False,
            asset=False,
            suppressed=True,
        ),
    )
    grid.row(
        4,
        *(
            (4, now(on, KIND, name, tags=_ONE, title=title))
            for name, title in (
                ("battery_charge_percent", on.say(vi="Ắc quy", en="Battery charge")),
                ("battery_runtime_min", on.say(vi="Ắc quy còn giữ được", en="Battery lasts")),
                ("power_w", ""),
                ("cells_unavailable", ""),
                ("rrc_conn_mean", on.say(vi="Thuê bao kết nối", en="Connected users")),
                ("vswr", "VSWR"),
            )
        ),
    )
    grid.row(
        7,
        (8, trend(on, KIND, ["dc_voltage_v"], tags=_ONE, soft=(46, 56))),
        (8, trend(on, KIND, ["battery_charge_percent"], tags=_ONE, soft=(0, 100))),
        (8, trend(on, KIND, ["shelter_temperature_c"], tags=_ONE)),
    )
    grid.row(
        7,
        (8, trend(on, KIND, ["power_w"], tags=_ONE, soft=(0, None), title=_of_one(on, "power_w"))),
        (
            8,
            trend(
                on,
                KIND,
                ["drb_ue_thp_dl_kbit_s", "drb_ue_thp_ul_kbit_s"],
                tags=_ONE,
                title=on.say(vi="Tốc độ mỗi thuê bao", en="User throughput"),
                soft=(0, None),
            ),
        ),
        (
            8,
            trend(
                on,
                KIND,
                ["rru_prb_tot_dl_percent", "rru_prb_tot_ul_percent"],
                tags=_ONE,
                title=on.say(vi="Mức sử dụng PRB", en="Resource blocks used"),
                soft=(0, 100),
            ),
        ),
    )
    grid.row(
        7,
        (6, trend(on, KIND, ["vswr"], tags=_ONE, title=_of_one(on, "vswr"))),
        (6, trend(on, KIND, ["interference_dbm"], tags=_ONE, soft=(-120, -100))),
        (6, trend(on, KIND, ["sync_error_us"], tags=_ONE)),
        (6, trend(on, KIND, ["rrc_estab_success_percent"], tags=_ONE, soft=(94, 100))),
    )


def _of_one(on: Setting, name: str) -> str:
    return f"{on.of(on.metric(KIND, name).title)} · ${{asset}}"


def _worst(on: Setting, grid: Grid) -> None:
    """Ten worst stations of several metrics, asked for when the row is opened."""
    grid.heading(on.say(vi="Mười trạm xấu nhất", en="Ten worst stations"), folded=True)
    rows = [
        ("shelter_temperature_c", True, ask.READING_WINDOW),
        ("vswr", True, ask.READING_WINDOW),
        ("interference_dbm", True, ask.READING_WINDOW),
        ("rru_prb_tot_dl_percent", True, ask.COUNTER_WINDOW),
        ("rrc_conn_mean", True, ask.COUNTER_WINDOW),
        ("drb_ue_thp_dl_kbit_s", False, ask.COUNTER_WINDOW),
    ]
    for place in range(0, len(rows), 3):
        grid.row(9, *((8, _ten(on, *row)) for row in rows[place : place + 3]))


def _ten(on: Setting, metric: str, most: bool, times: str) -> model.Panel:
    look = column(on, KIND, metric, width=130)
    extreme = on.say(vi="cao nhất", en="highest") if most else on.say(vi="thấp nhất", en="lowest")
    return parts.table(
        title=f"{look.title}: {extreme}",
        description=look.description,
        columns={**_where(on), metric: replace(look, title=on.say(vi="Giá trị", en="Value"))},
        targets=[
            ask.worst(
                on,
                KIND,
                [metric],
                most=most,
                tags=_CHOSEN,
                columns=["commune", "operator"],
                times=times,
            )
        ],
        sort=[(metric, "desc" if most else "asc")],
    )


def _traffic(on: Setting, grid: Grid) -> None:
    """Means over all stations of an operator: they cost as many readings as there are stations, so
    they are asked for when the row is opened."""
    grid.heading(on.say(vi="Lưu lượng theo nhà mạng", en="Traffic by operator"), folded=True)
    grid.row(
        8,
        (8, _by_operator(on, "drb_ue_thp_dl_kbit_s")),
        (8, _by_operator(on, "rrc_conn_mean")),
        (8, _by_operator(on, "rru_prb_tot_dl_percent")),
    )


def _by_operator(on: Setting, metric: str) -> model.Panel:
    title = on.say(
        vi=f"{on.metric(KIND, metric).title.vi}, trung bình theo nhà mạng",
        en=f"{on.metric(KIND, metric).title.en}, mean by operator",
    )
    return trend(
        on,
        KIND,
        [metric],
        title=title,
        tags=_CHOSEN,
        group_by=["operator"],
        limits=False,
        soft=(0, None),
    )
