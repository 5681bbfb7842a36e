"""How the service's own measures (``kpi``) look. What each is: ``ioc.kpi.worked_out``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dashboards.looks import Look
from dashboards.setting import Setting
from dashboards.units import grafana_unit
from dashboards.words import Sign
from ioc.text import Text

# Title, unit of the catalog's kind, decimals.
MEASURES: Mapping[str, tuple[Text, str, int]] = {
    "bts_total": (Text(vi="Tổng số trạm", en="Stations"), "1", 0),
    "bts_up": (Text(vi="Trạm đang phục vụ", en="Stations in service"), "1", 0),
    "bts_degraded": (Text(vi="Trạm suy giảm", en="Stations degraded"), "1", 0),
    "bts_down": (Text(vi="Trạm ngừng", en="Stations down"), "1", 0),
    "bts_silent": (Text(vi="Trạm mất liên lạc", en="Stations silent"), "1", 0),
    "bts_availability_percent": (Text(vi="Độ sẵn sàng", en="Availability"), "%", 2),
    "bts_5g_share_percent": (Text(vi="Trạm phát sóng 5G", en="Stations with 5G"), "%", 1),
    "download_mbit_s": (Text(vi="Tốc độ tải xuống", en="Download speed"), "Mbit/s", 0),
    "population_without_service": (
        Text(vi="Người dân mất sóng", en="People without service"),
        "1",
        0,
    ),
    "fibre_built_km": (Text(vi="Cáp quang đã xây dựng", en="Fibre built"), "km", 0),
    "fibre_in_service_km": (Text(vi="Cáp quang đang hoạt động", en="Fibre in service"), "km", 0),
    "spans_total": (Text(vi="Tổng số chặng", en="Spans"), "1", 0),
    "spans_up": (Text(vi="Chặng đang hoạt động", en="Spans in service"), "1", 0),
    "spans_degraded": (Text(vi="Chặng suy giảm", en="Spans degraded"), "1", 0),
    "spans_down": (Text(vi="Chặng đứt", en="Spans down"), "1", 0),
    "spans_silent": (Text(vi="Chặng mất liên lạc", en="Spans silent"), "1", 0),
    "data_centers_up": (
        Text(vi="Trung tâm dữ liệu hoạt động", en="Data centres in operation"),
        "1",
        0,
    ),
    "data_center_up": (Text(vi="Cơ sở hoạt động", en="Site in operation"), "1", 0),
    "it_power_kw": (Text(vi="Công suất CNTT", en="IT power"), "kW", 0),
    "pue": (Text(vi="PUE tức thời", en="PUE, instantaneous"), "1", 2),
    "alarms_active": (Text(vi="Cảnh báo đang có", en="Active alarms"), "1", 0),
    "alarms_critical": (Text(vi="Nghiêm trọng", en="Critical"), "1", 0),
    "alarms_major": (Text(vi="Nặng", en="Major"), "1", 0),
    "alarms_minor": (Text(vi="Nhẹ", en="Minor"), "1", 0),
    "alarms_warning": (Text(vi="Chú ý", en="Warning"), "1", 0),
    "alarms_suppressed": (Text(vi="Đã che", en="Suppressed"), "1", 0),
    "alarms_unacknowledged": (Text(vi="Chưa tiếp nhận", en="Unacknowledged"), "1", 0),
    "alarms_written": (Text(vi="Cảnh báo trong ảnh chụp", en="Alarms in the snapshot"), "1", 0),
    "incidents_active": (Text(vi="Sự cố", en="Incidents"), "1", 0),
}


def is_measure(name: str) -> bool:
    return name in MEASURES


def of_measure(on: Setting, name: str, *, title: str = "") -> Look:
    """A measure's look, without limits. Raises ``KeyError`` for one that has none here yet."""
    words, unit, decimals = MEASURES[name]
    plain = Look(
        title=title or on.of(words),
        unit=grafana_unit(unit),
        decimals=decimals,
        description=on.say(
            vi=f"{words.vi}: dịch vụ IOC tính từ dữ liệu đo, 10 giây một lần.",
            en=f"{words.en}: worked out by the IOC service from telemetry, every 10 s.",
        ),
    )
    return replace(plain, least=0, greatest=100) if unit == "%" else plain


def counted(on: Setting, name: str, sign: Sign, *, title: str = "") -> Look:
    """A count of what is wrong: grey at none, in the sign's colour from one up, its mark before
    the title at all times."""
    look = of_measure(on, name, title=title)
    return replace(
        look,
        title=f"{sign.mark} {look.title}".strip(),
        steps=((None, "text"), (1, sign.colour)),
    )
