"""Tables of alarms, alike on every board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from grafana_foundation_sdk.models import dashboard as model

from dashboards import ask, parts
from dashboards.board import TITLES, address
from dashboards.looks import Look, of_severity, of_text
from dashboards.setting import Setting
from dashboards.units import grafana_unit
from dashboards.words import NO, YES
from ioc.catalog import Severity
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
    narrow: bool = False,
    asset: bool = True,
    severities: Sequence[Severity] = (),
    no_value: str = "",
) -> model.Panel:
    """Alarms that stand at the end of the board's time, the worst first. A click on one leads to
    it in the console. Those suppressed under another are left out unless asked for. ``narrow``
    shows severities by their marks alone, ``severities`` chooses some of them; ``asset``
    shows whose alarm it is, with links to its boards."""
    text = f"text_{on.language}"
    metrics = ["severity_rank", text, "age_s", "acknowledged", "alarm"]
    severity = replace(of_severity(on), cell="color-text", width=120, left=True)
    if narrow:
        marks = {key: (words[:1], colour) for key, (words, colour) in severity.mappings.items()}
        severity = replace(severity, title="!", mappings=marks, width=50)
    whose = of_text(on.say(vi="Thiết bị", en="Asset"), width=118)
    looks: dict[str, Look] = {
        "severity_rank": severity,
        "asset": replace(whose, hidden=not asset, links=_boards_of_asset(on)),
        text: replace(of_text(on.say(vi="Cảnh báo", en="Alarm")), links=(alarm_link(on),)),
    }
    if impact:
        metrics += ["impact_stations", "impact_population"]
        looks["impact_stations"] = Look(
            title=on.say(vi="Trạm", en="Stations"), unit=grafana_unit("1"), width=76
        )
        looks["impact_population"] = Look(
            title=on.say(vi="Người", en="People"), unit=grafana_unit("1"), width=76
        )
    looks["age_s"] = duration(on)
    looks["acknowledged"] = Look(
        title=on.say(vi="Tiếp nhận", en="Ack"),
        mappings={"true": (f"✓ {on.of(YES)}", ""), "false": (on.of(NO), "")},
        width=84,
        hidden=narrow,
    )
    order: list[tuple[str, Literal["asc", "desc"]]] = [("severity_rank", "asc"), ("age_s", "asc")]
    if impact:
        order.insert(1, ("impact_stations", "desc"))
    fields: dict[str, Sequence[bool | str]] = {}
    if not suppressed:
        fields["suppressed"] = [False]
    if severities:
        fields["severity"] = severities
    for tag in columns:
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
                fields=fields,
                tags=tags,
                columns=columns,
            )
        ],
        sort=order,
        no_value=no_value or on.say(vi="Không có cảnh báo.", en="No alarms."),
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


def _boards_of_asset(on: Setting) -> tuple[tuple[str, str], ...]:
    """Where one asset is shown: the boards of stations and of spans, and the console."""
    chosen = ["var-asset=${__data.fields.asset}"]
    return (
        *((on.of(TITLES[name]), address(on, name, choose=chosen)) for name in ("bts", "fibre")),
        asset_link(on),
    )


def duration(on: Setting) -> Look:
    """A time in seconds as d hh:mm:ss, the same in both languages."""
    return Look(title=on.say(vi="Kéo dài", en="For"), unit="dthms", width=90)
