"""Tables of alarms, alike on every board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import ask, parts
from dashboards.looks import Look, of_severity, of_text
from dashboards.setting import Setting
from dashboards.units import grafana_unit
from dashboards.words import NO, YES
from ioc.store.derived import ALARM_ACTIVE
from ioc.store.query import Tag


def standing(
    on: Setting,
    *,
    title: str,
    description: str,
    where: ask.Where | None = None,
    tags: ask.Tags = (),
    impact: bool = True,
    columns: Sequence[Tag] = (),
    suppressed: bool = False,
) -> model.Panel:
    """Alarms that stand at the end of the board's time, the worst first. A click on one leads to
    it in the console. Those suppressed under another are left out unless asked for."""
    text = f"text_{on.language}"
    metrics = ["severity_rank", text, "age_s", "acknowledged", "alarm"]
    looks: dict[str, Look] = {
        "severity_rank": replace(of_severity(on), cell="color-text", width=120),
        text: replace(of_text(on.say(vi="Cảnh báo", en="Alarm")), links=(alarm_link(on),)),
    }
    if impact:
        metrics += ["impact_stations", "impact_population"]
        looks["impact_stations"] = Look(
            title=on.say(vi="Trạm", en="Stations"), unit=grafana_unit("1"), width=64
        )
        looks["impact_population"] = Look(
            title=on.say(vi="Người", en="People"), unit=grafana_unit("1"), width=76
        )
    looks["age_s"] = duration(on)
    looks["acknowledged"] = Look(
        title=on.say(vi="Tiếp nhận", en="Ack"),
        mappings={"true": (f"✓ {on.of(YES)}", ""), "false": (on.of(NO), "")},
        width=72,
    )
    for tag in ("asset", *columns):
        looks[tag] = replace(of_text(tag), hidden=True)
    looks["alarm"] = replace(of_text("alarm"), hidden=True)
    return parts.table(
        title=title,
        description=description,
        columns=looks,
        targets=[
            ask.snapshot(
                on,
                ALARM_ACTIVE,
                metrics,
                where=where,
                fields=None if suppressed else {"suppressed": [False]},
                tags=tags,
                columns=columns,
            )
        ],
        sort=[("severity_rank", "asc"), ("age_s", "asc")],
        no_value=on.say(vi="Không có cảnh báo.", en="No alarms."),
    )


def alarm_link(on: Setting) -> tuple[str, str]:
    """From a row with the column ``alarm`` to the console."""
    return (
        on.say(vi="Mở trên bảng điều hành", en="Open in the console"),
        "${console}/alarms/${__data.fields.alarm}",
    )


def asset_link(on: Setting) -> tuple[str, str]:
    """From a row with the column ``asset`` to the console."""
    return (
        on.say(vi="Mở trên bảng điều hành", en="Open in the console"),
        "${console}/assets/${__data.fields.asset}",
    )


def duration(on: Setting) -> Look:
    """A time in seconds as d hh:mm:ss, the same in both languages."""
    return Look(title=on.say(vi="Đã kéo dài", en="For"), unit="dthms", width=92)
