"""A whole board: its name, links, variables and what happened, around the panels of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.models import dashboard as model

from dashboards import ask, variables
from dashboards.layout import Grid
from dashboards.setting import Setting
from dashboards.words import SEVERITY
from ioc.store.derived import ALARM
from ioc.text import Language, Text

# The boards and what links call them, in the order of the links at the top of each.
TITLES: dict[str, Text] = {
    "overview": Text(vi="Toàn tỉnh", en="Overview"),
    "alarms": Text(vi="Cảnh báo", en="Alarms"),
    "bts": Text(vi="Trạm gốc", en="Base stations"),
    "fibre": Text(vi="Cáp quang", en="Fibre"),
    "data_center": Text(vi="Trung tâm dữ liệu", en="Data centre"),
    "plan": Text(vi="Kế hoạch", en="Plan"),
    "service": Text(vi="Dịch vụ IOC", en="IOC service"),
}
TAG = "ioc"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A board with its name."""

    name: str
    language: Language
    dashboard: model.Dashboard


def uid(name: str, language: Language) -> str:
    """How Grafana and links know a board: "ioc-data-center-vi"."""
    return f"ioc-{name.replace('_', '-')}-{language}"


def address(on: Setting, name: str, *, choose: Sequence[str] = (), keep: Sequence[str] = ()) -> str:
    """A link to another board with the time kept. ``choose`` are values of its variables
    (``var-asset=${__value.text}``), ``keep`` names of variables of both boards."""
    query = ["${__url_time_range}", *(f"${{{variable}:queryparam}}" for variable in keep), *choose]
    return f"/d/{uid(name, on.language)}?{'&'.join(query)}"


def board(
    on: Setting,
    name: str,
    *,
    description: str,
    grid: Grid,
    choices: Sequence[model.VariableModel] = (),
    time_from: str = "now-6h",
    refresh: str = "10s",
    incidents_on: Sequence[model.Panel] | None = None,
) -> Drawn:
    """The board ``name`` (one of ``TITLES``) in the setting's language.

    Descriptions of boards say what question they answer. Critical alarms that stood alone are
    marked on the panels ``incidents_on`` alone, or on all that have a time axis (Grafana 9.4 does
    so in any case).
    """
    title = f"IOC {on.of(on.province.name)} · {on.of(TITLES[name])}"
    dashboard = model.Dashboard(
        uid=uid(name, on.language),
        title=title,
        description=description,
        tags=[TAG, f"{TAG}-{on.language}"],
        timezone=on.province.time_zone,
        editable=False,
        graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
        time=model.DashboardDashboardTime(from_val=time_from, to="now"),
        timepicker=model.TimePickerConfig(refresh_intervals=["10s", "30s", "1m", "5m", "15m"]),
        refresh=refresh,
        week_start="monday",
        panels=grid.panels,
        templating=model.DashboardDashboardTemplating(list_val=[*choices, variables.console(on)]),
        annotations=model.AnnotationContainer(
            list_val=[] if incidents_on == () else [_incidents(on, incidents_on)]
        ),
        links=_links(on, name, crowded=bool(choices)),
    )
    return Drawn(name=name, language=on.language, dashboard=dashboard)


def _links(on: Setting, name: str, *, crowded: bool) -> list[model.DashboardLink]:
    """The other boards of this language (behind one button beside choices), this board in the
    other language, the console."""
    other: Language = "en" if on.language == "vi" else "vi"
    links = [
        model.DashboardLink(
            title=on.of(title),
            url=f"/d/{uid(target, on.language)}",
            include_vars=True,
            keep_time=True,
            icon="dashboard",
        )
        for target, title in TITLES.items()
        if target != name
    ]
    if crowded:
        links = [
            model.DashboardLink(
                title=on.say(vi="Trang khác", en="Other boards"),
                type_val=model.DashboardLinkType.DASHBOARDS,
                tags=[f"{TAG}-{on.language}"],
                as_dropdown=True,
                include_vars=True,
                keep_time=True,
            )
        ]
    links.append(
        model.DashboardLink(
            title={"vi": "Tiếng Việt", "en": "English"}[other],
            url=f"/d/{uid(name, other)}",
            include_vars=True,
            keep_time=True,
            icon="external link",
        )
    )
    links.append(
        model.DashboardLink(
            title=on.say(vi="Bảng điều hành", en="Console"),
            url=on.console_url,
            target_blank=True,
            icon="external link",
        )
    )
    return links


class _Incidents(model.AnnotationQuery):
    """Annotations of an InfluxQL query, which the SDK has no type for."""

    def __init__(self, *, name: str, colour: str, query: str, text: str, tags: str) -> None:
        super().__init__(name=name, datasource=ask.SOURCE, enable=True, icon_color=colour)
        self._query, self._text, self._tags = query, text, tags

    def to_json(self) -> dict[str, object]:
        target = {
            "fromAnnotations": True,
            "query": self._query,
            "queryType": "tags",
            "refId": "Anno",
            "tagsColumn": self._tags,
            "textColumn": self._text,
            "textEditor": True,
            "timeEndColumn": "",
            "titleColumn": "",
        }
        return {**super().to_json(), "target": target}


def _incidents(on: Setting, panels: Sequence[model.Panel] | None) -> model.AnnotationQuery:
    critical = SEVERITY["critical"]
    text = f"text_{on.language}"
    asked = ask.rows(
        on,
        ALARM,
        [text],
        fields={"transition": ["raised"], "severity": ["critical"], "suppressed": [False]},
        limit=200,
    )
    marks = _Incidents(
        name=on.say(vi="Sự cố nghiêm trọng", en="Critical incidents"),
        colour=critical.colour,
        query=asked.text,
        text=text,
        tags="asset",
    )
    if panels is not None:
        marks.filter_val = model.AnnotationPanelFilter(
            exclude=False, ids=[panel.id_val for panel in panels if panel.id_val is not None]
        )
    return marks
