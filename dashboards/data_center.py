"""The data centre's sites side by side: power, cooling, racks, backup, replication, uplinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import alarm_rows, ask, parts, variables
from dashboards.board import Drawn, board
from dashboards.layout import COLUMNS, Grid
from dashboards.looks import Look, of_metric, of_state, of_text
from dashboards.metrics import column, now, on_stat, trend
from dashboards.setting import Setting
from ioc.inventory.province import DataCenter
from ioc.store.derived import ASSET_STATE
from ioc.text import Text

# Two columns side by side are what people compare; more would be too narrow to read.
_SIDE_BY_SIDE = 2


def data_center(on: Setting) -> Drawn:
    grid = Grid()
    centers = on.province.data_centers
    width = COLUMNS // _SIDE_BY_SIDE
    for place in range(0, len(centers), _SIDE_BY_SIDE):
        top = grid.bottom
        for column_, center in enumerate(centers[place : place + _SIDE_BY_SIDE]):
            _site(on, grid, center, x=column_ * width, y=top)
    return board(
        on,
        "data_center",
        description=on.say(
            vi="Nguồn, làm mát, PUE, sao lưu và đồng bộ của từng cơ sở có tốt không, cơ sở kia có "
            "sẵn sàng thay thế không?",
            en="Are power, cooling, PUE, backup and replication of each site well, and is the "
            "other site ready to take over?",
        ),
        grid=grid,
        choices=[variables.resolutions(on)],
        incidents_on=(),
    )


def _site(on: Setting, grid: Grid, center: DataCenter, *, x: int, y: int) -> None:
    """One site in a column of 12: what counts first is in the first screen."""
    name = on.of(center.name)
    where: ask.Where = {"site": [center.id]}
    grid.at(x, y, 4, 3, _state(on, center, name))
    for place, (width, metric) in enumerate(
        ((2, "pue"), (3, "it_power_kw"), (3, "room_temperature_c"))
    ):
        title = "PUE" if metric == "pue" else ""
        left = x + (4, 6, 9)[place]
        grid.at(left, y, width, 3, now(on, "dc_site", metric, where=where, title=title))
    grid.at(x, y + 3, 12, 5, _units(on, "ups", _UPS, where, center=center))
    supply = on.say(vi="Nguồn đang dùng", en="Supply in use")
    position = now(on, "transfer_switch", "position", where=where, title=supply, loud=True)
    grid.at(x, y + 8, 3, 3, position)
    for place, (metric, words) in enumerate(_GENSET.items()):
        panel = now(on, "genset", metric, where=where, title=on.of(words))
        grid.at(x + 3 + 3 * place, y + 8, 3, 3, panel)
    grid.at(x, y + 11, 12, 7, _units(on, "cooling_unit", _COOLING, where, center=center))
    for place, (kind, metric, words) in enumerate(_STANDBY):
        panel = now(on, kind, metric, where=where, title=on.of(words))
        grid.at(x + 3 * place, y + 18, 3, 4, panel)
    grid.at(x + 9, y + 18, 3, 4, _uplinks(on, where))
    # Second screen: the same over time, and what is wrong.
    below = y + 22
    grid.at(x, below, 12, 7, _alarms(on, name, where))
    pairs = [
        trend(on, "dc_site", ["it_power_kw", "facility_power_kw"], where=where, soft=(0, None)),
        trend(on, "dc_site", ["pue"], where=where, soft=(1, None)),
        trend(on, "dc_site", ["room_temperature_c"], where=where, soft=(18, 32)),
        trend(on, "dc_site", ["room_humidity_percent"], where=where, soft=(30, 80)),
        _by_asset(on, "ups", "load_percent", where),
        _by_asset(on, "ups", "runtime_min", where),
        _by_asset(on, "cooling_unit", "supply_temperature_c", where),
        _by_asset(on, "rack", "inlet_temperature_c", where),
        _by_asset(on, "uplink", "utilization_percent", where),
        trend(on, "storage_backup", ["replication_lag_s"], where=where, soft=(0, None)),
    ]
    pairs[0].title = on.say(vi="Công suất CNTT và toàn cơ sở", en="IT and facility power")
    for place, panel in enumerate(pairs):
        grid.at(x + 6 * (place % 2), below + 7 + 6 * (place // 2), 6, 6, panel)
    below += 7 + 6 * (len(pairs) // 2)
    grid.at(x, below, 5, 10, _racks(on, where))
    grid.at(x + 5, below, 7, 10, _timeline(on, where))


_GENSET: Mapping[str, Text] = {
    "running": Text(vi="Máy phát chạy", en="Genset runs"),
    "not_in_auto": Text(vi="Không tự động", en="Genset not in auto"),
    "fuel_percent": Text(vi="Nhiên liệu", en="Genset fuel"),
}
_STANDBY: Sequence[tuple[str, str, Text]] = (
    ("storage_backup", "backup_age_h", Text(vi="Tuổi bản sao lưu", en="Backup age")),
    ("storage_backup", "replication_lag_s", Text(vi="Trễ đồng bộ", en="Replication lag")),
    ("dc_site", "switch_over_ready", Text(vi="Sẵn sàng chuyển", en="Switch-over ready")),
)
# Metrics of each unit's table, with a short heading where the catalog's title is long.
_UPS: Mapping[str, Text | None] = {
    "load_percent": None,
    "runtime_min": Text(vi="Còn giữ được", en="Runtime"),
    "battery_charge_percent": Text(vi="Ắc quy", en="Charge"),
    "on_battery": Text(vi="Chạy ắc quy", en="On battery"),
    "on_bypass": Text(vi="Nhánh tắt", en="On bypass"),
}
_COOLING: Mapping[str, Text | None] = {
    "supply_temperature_c": Text(vi="Gió cấp", en="Supply"),
    "return_temperature_c": Text(vi="Gió hồi", en="Return"),
    "fan_speed_percent": Text(vi="Quạt", en="Fan"),
    "power_kw": Text(vi="Công suất", en="Power"),
    "running": Text(vi="Chạy", en="Running"),
    "failed": Text(vi="Hỏng", en="Failed"),
}


def _uplinks(on: Setting, where: ask.Where) -> model.Panel:
    """Each uplink by its own name, up or down."""
    look = on_stat(of_metric(on, "uplink", "up"), loud=True)
    return parts.stat(
        title=on.say(vi="Đường truyền", en="Uplinks"),
        look=replace(look, title=""),
        targets=[
            ask.latest(on, "uplink", ["up"], where=where, group_by=["asset"], alias="$tag_asset")
        ],
        text="value_and_name",
        loud=True,
        worded=True,
        sizes=(12, 22),
    )


def _state(on: Setting, center: DataCenter, name: str) -> model.Panel:
    look = on_stat(of_state(on), loud=True)
    return parts.stat(
        title=name,
        description=look.description,
        look=replace(look, title="", links=(_open(on, center.id),)),
        targets=[
            ask.latest(
                on,
                ASSET_STATE,
                ["state_code"],
                where={"asset": [center.id]},
                times=ask.STATE_WINDOW,
            )
        ],
        loud=True,
    )


def _open(on: Setting, asset: str) -> tuple[str, str]:
    title = on.say(vi="Mở trên bảng điều hành", en="Open in the console")
    return title, f"${{console}}/assets/{asset}"


def _units(
    on: Setting,
    kind: str,
    metrics: Mapping[str, Text | None],
    where: ask.Where,
    *,
    center: DataCenter,
) -> model.Panel:
    """A row for each unit of a kind, at the end of the board's time."""
    title = on.of(on.kind(kind).title)
    unit = on.say(vi="Thiết bị", en="Unit")
    looks = {
        f"last_{metric}": column(on, kind, metric, title=on.of(short) if short else "")
        for metric, short in metrics.items()
    }
    return parts.table(
        title=title,
        description=on.say(
            vi=f"{on.kind(kind).title.vi} của {center.name.vi}: giá trị mới nhất, tô màu theo "
            "ngưỡng cảnh báo.",
            en=f"{on.kind(kind).title.en} of {center.name.en}: newest values, coloured by the "
            "limits of the rules.",
        ),
        columns={
            "asset": replace(of_text(unit, width=140), links=(alarm_rows.asset_link(on),)),
            **looks,
        },
        targets=[ask.latest(on, kind, list(metrics), where=where, group_by=["asset"], table=True)],
        sort=[("asset", "asc")],
    )


def _alarms(on: Setting, name: str, where: ask.Where) -> model.Panel:
    return alarm_rows.standing(
        on,
        title=on.say(vi=f"Cảnh báo · {name}", en=f"Alarms · {name}"),
        description=on.say(
            vi="Cảnh báo đang có của mọi thiết bị tại cơ sở.",
            en="Alarms of everything on the site that stand.",
        ),
        where=where,
        impact=False,
        suppressed=True,
    )


def _by_asset(on: Setting, kind: str, metric: str, where: ask.Where) -> model.Panel:
    title = f"{on.of(on.kind(kind).title)}: {on.of(on.metric(kind, metric).title)}"
    few = kind != "rack"  # racks are told apart by the bars below
    return trend(on, kind, [metric], title=title, where=where, group_by=["asset"], legend=few)


def _racks(on: Setting, where: ask.Where) -> model.Panel:
    inlet = column(on, "rack", "inlet_temperature_c")
    return parts.bars(
        title=f"{on.of(on.kind('rack').title)}: {inlet.title}",
        description=inlet.description,
        look=replace(inlet, title="", least=15, greatest=35),
        targets=[
            ask.latest(
                on,
                "rack",
                ["inlet_temperature_c"],
                where=where,
                group_by=["asset"],
                alias="$tag_asset",
            )
        ],
    )


def _timeline(on: Setting, where: ask.Where) -> model.Panel:
    """What switched: supply, genset, UPSs, uplinks."""
    switching = (
        ("transfer_switch", "position"),
        ("genset", "running"),
        ("ups", "on_battery"),
        ("uplink", "up"),
    )
    titles = {pair: on.of(on.metric(*pair).title) for pair in switching}
    return parts.states(
        title=on.say(vi="Chuyển mạch", en="What switched"),
        description=on.say(
            vi="Vị trí bộ chuyển nguồn, máy phát, UPS và đường truyền theo thời gian.",
            en="Transfer switch, genset, UPSs and uplinks over time.",
        ),
        look=Look(),
        targets=[
            ask.over_time(
                on,
                kind,
                {metric: "last"},
                where=where,
                group_by=["asset"],
                alias=f"$tag_asset: {title}",
            )
            for (kind, metric), title in titles.items()
        ],
        overrides={
            f"/: {title}$/": replace(of_metric(on, *pair), title="")
            for pair, title in titles.items()
        },
    )
