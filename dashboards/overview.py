"""The province at a glance: how is it, where is something wrong, what is the worst of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import alarm_rows, ask, geomap, parts
from dashboards.board import Drawn, address, board
from dashboards.layout import Grid
from dashboards.looks import Look, of_commune, of_metric, of_severity, of_state, of_text
from dashboards.measures import counted, of_measure
from dashboards.setting import Setting
from dashboards.targets import measured_bars
from dashboards.words import SEVERITY, STATE
from ioc.catalog import Severity
from ioc.store.derived import ALARM_ACTIVE, ASSET_STATE
from ioc.store.schema import KPI
from ioc.text import Text

_INCIDENTS: tuple[Severity, ...] = ("critical", "major")
_OPEN = Text(vi="Xem chi tiết", en="Show details")
# Short words for states, where there is little room.
STATE_WORDS: Mapping[str, Text] = {
    "degraded": Text(vi="Suy giảm", en="Degraded"),
    "down": Text(vi="Ngừng", en="Down"),
    "silent": Text(vi="Mất liên lạc", en="Silent"),
}
SPAN_WORDS: Mapping[str, Text] = {**STATE_WORDS, "down": Text(vi="Đứt", en="Down")}


def overview(on: Setting) -> Drawn:
    grid = Grid()
    grid.row(
        3,
        (8, stations(on)),
        (4, one(on, "bts_availability_percent", to="bts")),
        (4, without_service(on)),
        (8, _alarms(on)),
    )
    grid.row(
        3,
        (8, spans(on)),
        (4, one(on, "fibre_in_service_km", to="fibre")),
        (4, one(on, "data_centers_up", to="data_center")),
        (8, _load(on)),
    )
    availability = _availability(on)
    grid.at(0, 6, 6, 8, measured_bars(on))
    grid.at(0, 14, 6, 8, availability)
    grid.at(6, 6, 8, 16, _map(on, height=16))
    grid.at(14, 6, 10, 11, _incidents(on))
    grid.at(14, 17, 10, 5, _centers(on))
    return board(
        on,
        "overview",
        description=on.say(
            vi="Hạ tầng số của tỉnh đang thế nào, chỗ nào có sự cố, sự cố nào nặng nhất?",
            en="How is the province's digital infrastructure, where is trouble, what is the worst?",
        ),
        grid=grid,
        incidents_on=[availability],
    )


def _of_province(on: Setting, measures: Sequence[str]) -> ask.Target:
    return ask.latest(on, KPI, measures, where=ask.of_province(on), alias="$col")


def _counts(
    on: Setting, *, title: str, description: str, looks: Mapping[str, Look], to: str
) -> model.Panel:
    """Measures of the province side by side. ``to`` is the board that a click leads to."""
    return parts.stat(
        title=title,
        description=description,
        look=Look(links=_to(on, to)),
        targets=[_of_province(on, list(looks))],
        overrides={f"last_{name}": look for name, look in looks.items()},
        text="value_and_name",
        orientation="vertical",
        sizes=(13, 34),
    )


def _calm(on: Setting, name: str, title: str) -> Look:
    return replace(of_measure(on, name, title=title), steps=((None, "text"),))


def stations(on: Setting) -> model.Panel:
    """Stations by state."""
    return _counts(
        on,
        title=on.say(vi="Trạm gốc", en="Base stations"),
        description=on.say(
            vi="Số trạm theo trạng thái. Trạm suy giảm vẫn đang phục vụ.",
            en="Stations by state. A degraded station is still in service.",
        ),
        looks={
            "bts_up": _calm(on, "bts_up", on.say(vi="Phục vụ", en="In service")),
            **_by_state(on, "bts", STATE_WORDS),
        },
        to="bts",
    )


def spans(on: Setting) -> model.Panel:
    """Spans by state."""
    return _counts(
        on,
        title=on.say(vi="Chặng cáp quang", en="Fibre spans"),
        description=on.say(
            vi="Số chặng theo trạng thái. Chặng suy giảm vẫn đang hoạt động.",
            en="Spans by state. A degraded span is still in service.",
        ),
        looks={
            "spans_up": _calm(on, "spans_up", on.say(vi="Hoạt động", en="In service")),
            **_by_state(on, "spans", SPAN_WORDS),
        },
        to="fibre",
    )


def _by_state(on: Setting, kind: str, words: Mapping[str, Text]) -> dict[str, Look]:
    return {
        f"{kind}_{state}": counted(on, f"{kind}_{state}", STATE[state], title=on.of(text))
        for state, text in words.items()
    }


def one(on: Setting, name: str, *, to: str = "") -> model.Panel:
    """One measure of the province, in the colour of text."""
    look = replace(_calm(on, name, ""), links=_to(on, to) if to else ())
    return parts.stat(
        title=look.title, look=replace(look, title=""), targets=[_of_province(on, [name])]
    )


def without_service(on: Setting) -> model.Panel:
    """People that nobody serves, loud from the first one."""
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


def _alarms(on: Setting) -> model.Panel:
    return _counts(
        on,
        title=on.say(vi="Cảnh báo đang có", en="Active alarms"),
        description=on.say(
            vi="Cảnh báo chưa hết và không nằm dưới một sự cố khác, theo mức.",
            en="Alarms that stand and are not suppressed under another, by severity.",
        ),
        looks={
            f"alarms_{severity}": counted(on, f"alarms_{severity}", SEVERITY[severity])
            for severity in ("critical", "major", "minor", "warning")
        },
        to="alarms",
    )


def _load(on: Setting) -> model.Panel:
    """What the alarms ask of people."""
    return _counts(
        on,
        title=on.say(vi="Việc phải làm", en="Work to do"),
        description=on.say(
            vi="Sự cố: cảnh báo làm ngừng dịch vụ. Chưa tiếp nhận: chưa ai nhận xử lý. Đã che: nằm "
            "dưới một sự cố khác, không cần xử lý riêng.",
            en="Incidents: alarms that take something out of service. Unacknowledged: nobody has "
            "taken them up. Suppressed: explained by another, no work of their own.",
        ),
        looks={
            "incidents_active": counted(on, "incidents_active", SEVERITY["critical"]),
            "alarms_unacknowledged": _calm(on, "alarms_unacknowledged", ""),
            "alarms_suppressed": _calm(on, "alarms_suppressed", ""),
        },
        to="alarms",
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


def _map(on: Setting, *, height: int) -> model.Panel:
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
                sizes=(0, 7),
                symbol="square",
                opacity=0.7,
            ),
            geomap.Layer(
                name=on.say(vi="Trạm gốc", en="Base stations"),
                target=states("bts"),
                colour="state_code",
                size="state_code",
                sizes=(0, 8),
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
                    fields={"suppressed": [False], "severity": _INCIDENTS},
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
        height=height,
    )


def _incidents(on: Setting) -> model.Panel:
    return alarm_rows.standing(
        on,
        title=on.say(vi="Sự cố", en="Incidents"),
        description=on.say(
            vi="Cảnh báo gốc nghiêm trọng và nặng đang có, nặng nhất trước, với số trạm và số "
            "người bị mất dịch vụ. Bấm vào để mở trên bảng điều hành.",
            en="Critical and major root alarms that stand, the worst first, with the stations and "
            "people they take out of service. Click one to open it in the console.",
        ),
        narrow=True,
        severities=_INCIDENTS,
        no_value=on.say(vi="Không có sự cố.", en="No incidents."),
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
            "site": Look(
                title=on.say(vi="Cơ sở", en="Site"), mappings=names, links=_to(on, "data_center")
            ),
            "last_state_code": replace(of_state(on), cell="color-text", width=130, left=True),
            "last_pue": replace(of_metric(on, "dc_site", "pue"), title="PUE", width=64),
            "last_it_power_kw": replace(
                of_metric(on, "dc_site", "it_power_kw"), title=on.say(vi="CNTT", en="IT"), width=76
            ),
        },
        targets=[
            ask.latest(
                on,
                ASSET_STATE,
                ["state_code"],
                where={"kind": ["dc_site"]},
                group_by=["site"],
                times=ask.STATE_WINDOW,
                table=True,
            ),
            ask.latest(on, "dc_site", ["pue", "it_power_kw"], group_by=["site"], table=True),
        ],
        merge=True,
        sort=[("site", "asc")],
    )


def _to(on: Setting, name: str) -> tuple[tuple[str, str], ...]:
    return ((on.of(_OPEN), address(on, name)),)
