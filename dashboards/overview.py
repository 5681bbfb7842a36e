"""The province at a glance: how is it, where is something wrong, what is the worst of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import alarm_rows, ask, geomap, parts
from dashboards.board import Drawn, address, board
from dashboards.layout import Grid
from dashboards.looks import Look, of_commune, of_severity, of_state, of_text
from dashboards.measures import counted, of_measure
from dashboards.setting import Setting
from dashboards.targets import measured_bars
from dashboards.words import SEVERITY, STATE
from ioc.store.derived import ALARM_ACTIVE, ASSET_STATE
from ioc.store.schema import KPI
from ioc.text import Text

_OPEN = Text(vi="Xem chi tiết", en="Show details")


def overview(on: Setting) -> Drawn:
    grid = Grid()
    grid.row(
        4,
        (7, stations(on)),
        (3, _one(on, "bts_availability_percent")),
        (3, without_service(on)),
        (5, _spans(on)),
        (6, _alarms(on)),
    )
    grid.at(0, 4, 6, 9, measured_bars(on))
    grid.at(0, 13, 6, 9, _availability(on))
    grid.at(6, 4, 10, 18, _map(on))
    grid.at(16, 4, 8, 13, _incidents(on))
    grid.at(16, 17, 8, 5, _centers(on))
    return board(
        on,
        "overview",
        description=on.say(
            vi="Hạ tầng số của tỉnh đang thế nào, chỗ nào có sự cố, sự cố nào nặng nhất?",
            en="How is the province's digital infrastructure, where is trouble, what is the worst?",
        ),
        grid=grid,
    )


def _of_province(on: Setting, measures: Sequence[str]) -> ask.Target:
    return ask.latest(on, KPI, measures, where=ask.of_province(on), alias="$col")


def stations(on: Setting) -> model.Panel:
    """Stations by state."""
    looks = {
        "last_bts_up": replace(
            of_measure(on, "bts_up", title=on.say(vi="Đang phục vụ", en="In service")),
            steps=((None, "text"),),
        ),
        "last_bts_degraded": counted(
            on, "bts_degraded", STATE["degraded"], title=on.say(vi="Suy giảm", en="Degraded")
        ),
        "last_bts_down": counted(
            on, "bts_down", STATE["down"], title=on.say(vi="Ngừng", en="Down")
        ),
        "last_bts_silent": counted(
            on, "bts_silent", STATE["silent"], title=on.say(vi="Mất liên lạc", en="Silent")
        ),
    }
    return parts.stat(
        title=on.say(vi="Trạm gốc", en="Base stations"),
        description=on.say(
            vi="Số trạm theo trạng thái. Trạm suy giảm vẫn đang phục vụ.",
            en="Stations by state. A degraded station is still in service.",
        ),
        look=Look(links=_to(on, "bts")),
        targets=[_of_province(on, ["bts_up", "bts_degraded", "bts_down", "bts_silent"])],
        overrides=looks,
        text="value_and_name",
        orientation="vertical",
    )


def _one(on: Setting, measure: str) -> model.Panel:
    look = replace(of_measure(on, measure), steps=((None, "text"),), links=_to(on, "bts"))
    return parts.stat(title=look.title, look=look, targets=[_of_province(on, [measure])])


def without_service(on: Setting) -> model.Panel:
    name = "population_without_service"
    look = replace(
        of_measure(on, name),
        steps=((None, "text"), (1, SEVERITY["critical"].colour)),
        links=_to(on, "bts"),
        description=on.say(
            vi="Số người do các trạm đang ngừng hoặc mất liên lạc phục vụ (ước tính theo trạm).",
            en="People served by the stations that are down or silent (an estimate per station).",
        ),
    )
    return parts.stat(title=look.title, look=look, targets=[_of_province(on, [name])])


def _spans(on: Setting) -> model.Panel:
    looks = {
        "last_spans_up": replace(
            of_measure(on, "spans_up", title=on.say(vi="Hoạt động", en="In service")),
            steps=((None, "text"),),
        ),
        "last_spans_degraded": counted(
            on, "spans_degraded", STATE["degraded"], title=on.say(vi="Suy giảm", en="Degraded")
        ),
        "last_spans_down": counted(
            on, "spans_down", STATE["down"], title=on.say(vi="Đứt", en="Down")
        ),
        "last_fibre_in_service_km": replace(
            of_measure(on, "fibre_in_service_km", title=on.say(vi="Đang dùng", en="In service")),
            steps=((None, "text"),),
        ),
    }
    return parts.stat(
        title=on.say(vi="Chặng cáp quang", en="Fibre spans"),
        description=on.say(
            vi="Số chặng theo trạng thái và tổng chiều dài đang hoạt động.",
            en="Spans by state, and the length in service.",
        ),
        look=Look(links=_to(on, "fibre")),
        targets=[
            _of_province(on, ["spans_up", "spans_degraded", "spans_down", "fibre_in_service_km"])
        ],
        overrides=looks,
        text="value_and_name",
        orientation="vertical",
    )


def _alarms(on: Setting) -> model.Panel:
    looks = {
        f"last_alarms_{severity}": counted(on, f"alarms_{severity}", SEVERITY[severity])
        for severity in ("critical", "major", "minor", "warning")
    }
    return parts.stat(
        title=on.say(vi="Cảnh báo đang có", en="Active alarms"),
        description=on.say(
            vi="Cảnh báo chưa hết và không nằm dưới một sự cố khác, theo mức.",
            en="Alarms that stand and are not suppressed under another, by severity.",
        ),
        look=Look(links=_to(on, "alarms")),
        targets=[
            _of_province(on, ["alarms_critical", "alarms_major", "alarms_minor", "alarms_warning"])
        ],
        overrides=looks,
        text="value_and_name",
        orientation="vertical",
    )


def _availability(on: Setting) -> model.Panel:
    name = "bts_availability_percent"
    look = replace(of_measure(on, name), least=None)
    return parts.lines(
        title=on.say(vi="Độ sẵn sàng theo thời gian", en="Availability over time"),
        look=look,
        targets=[
            ask.over_time(on, KPI, {name: "min"}, where=ask.of_province(on), alias=look.title)
        ],
        fill=10,
        soft=(95, None),
    )


def _map(on: Setting) -> model.Panel:
    """Spans, stations and sites by state, and the alarms that stand alone on top."""
    text = f"text_{on.language}"

    def states(kind: str) -> ask.Target:
        return ask.snapshot(
            on,
            ASSET_STATE,
            ["state_code", "alarms", "lat", "lon"],
            where={"kind": [kind]},
            columns=["commune"],
        )

    hidden = replace(of_text("–"), hidden=True)
    return geomap.world(
        on,
        title=on.say(vi="Bản đồ", en="Map"),
        description=on.say(
            vi="Mỗi chấm là một trạm, một chặng cáp (ở giữa chặng) hoặc một cơ sở. Màu xám là bình "
            "thường; càng nặng càng lớn. Ký hiệu tam giác: cảnh báo gốc. Trường Sa nằm ngoài "
            "khung nhìn đầu: kéo bản đồ về phía đông nam.",
            en="Each dot is a station, a span (at its middle) or a site. Grey is well; the worse, "
            "the larger. Triangles are root alarms. Trường Sa lies outside of the first view: "
            "drag the map to the south-east.",
        ),
        layers=[
            geomap.Layer(
                name=on.say(vi="Chặng cáp quang", en="Fibre spans"),
                target=states("span"),
                colour="state_code",
                size="state_code",
                sizes=(1, 7),
                symbol="square",
                opacity=0.7,
            ),
            geomap.Layer(
                name=on.say(vi="Trạm gốc", en="Base stations"),
                target=states("bts"),
                colour="state_code",
                size="state_code",
                sizes=(1, 8),
                opacity=0.8,
            ),
            geomap.Layer(
                name=on.say(vi="Trung tâm dữ liệu", en="Data centres"),
                target=states("dc_site"),
                colour="state_code",
                sizes=(9, 9),
                symbol="square",
                opacity=1,
            ),
            geomap.Layer(
                name=on.say(vi="Cảnh báo gốc", en="Root alarms"),
                target=ask.snapshot(
                    on,
                    ALARM_ACTIVE,
                    ["severity_rank", text, "impact_stations", "alarm", "lat", "lon"],
                    fields={"suppressed": [False], "severity": ["critical", "major"]},
                ),
                colour="severity_rank",
                sizes=(10, 10),
                symbol="triangle",
                opacity=1,
            ),
        ],
        columns={
            "Time": hidden,
            "lat": hidden,
            "lon": hidden,
            "alarm": hidden,
            "asset": replace(
                of_text(on.say(vi="Thiết bị", en="Asset")), links=(alarm_rows.asset_link(on),)
            ),
            "state_code": of_state(on),
            "alarms": Look(title=on.say(vi="Cảnh báo", en="Alarms"), decimals=0),
            "commune": of_commune(on),
            "severity_rank": of_severity(on),
            text: replace(
                of_text(on.say(vi="Cảnh báo", en="Alarm")), links=(alarm_rows.alarm_link(on),)
            ),
            "impact_stations": Look(
                title=on.say(vi="Trạm bị ảnh hưởng", en="Stations out"), decimals=0
            ),
        },
    )


def _incidents(on: Setting) -> model.Panel:
    return alarm_rows.standing(
        on,
        title=on.say(vi="Sự cố", en="Incidents"),
        description=on.say(
            vi="Cảnh báo gốc đang có, nặng nhất trước, với số trạm và số người bị mất dịch vụ. "
            "Bấm vào để mở trên bảng điều hành.",
            en="Root alarms that stand, the worst first, with the stations and people they take "
            "out of service. Click one to open it in the console.",
        ),
    )


def _centers(on: Setting) -> model.Panel:
    """One row for each data-centre site."""
    names = {center.id: (on.of(center.name), "") for center in on.province.data_centers}
    return parts.table(
        title=on.say(vi="Trung tâm dữ liệu", en="Data centres"),
        description=on.say(
            vi="Hai cơ sở của trung tâm dữ liệu tỉnh: trạng thái, PUE tức thời và công suất CNTT.",
            en="The provincial data centre's sites: state, instantaneous PUE and IT power.",
        ),
        columns={
            "place": Look(
                title=on.say(vi="Cơ sở", en="Site"),
                mappings=names,
                links=((on.of(_OPEN), address(on, "data_center")),),
            ),
            "data_center_up": Look(
                title=on.say(vi="Trạng thái", en="State"),
                mappings={
                    "1": (on.say(vi="hoạt động", en="in operation"), ""),
                    "0": (f"◆ {on.say(vi='ngừng', en='down')}", STATE["down"].colour),
                },
                cell="color-text",
                width=120,
            ),
            "pue": replace(of_measure(on, "pue", title="PUE"), width=70),
            "it_power_kw": replace(of_measure(on, "it_power_kw"), width=120),
        },
        targets=[
            ask.rows(
                on,
                KPI,
                ["data_center_up", "pue", "it_power_kw"],
                where={"scope": ["site"]},
                times=ask.MEASURE_WINDOW,
                limit=None,
            )
        ],
    )


def _to(on: Setting, name: str) -> tuple[tuple[str, str], ...]:
    return ((on.of(_OPEN), address(on, name)),)
