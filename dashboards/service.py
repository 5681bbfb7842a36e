"""The service itself: does it keep up, has it room, do notifications leave, does the machine do?"""

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.models import dashboard as model

from dashboards import alarm_rows, ask, parts, variables
from dashboards.board import Drawn, board
from dashboards.layout import Grid
from dashboards.looks import Look, of_metric
from dashboards.metrics import now, on_stat, trend
from dashboards.setting import Setting
from dashboards.words import LINES

KIND = "ioc"
_LAGS = ("ingest_lag_s", "store_lag_s", "alarms_lag_s", "notify_lag_s")


def service(on: Setting) -> Drawn:
    grid = Grid()
    grid.row(
        4,
        (3, now(on, KIND, "broker_connected", loud=True)),
        (3, _stages(on)),
        (3, now(on, KIND, "alarms_lag_s")),
        (3, now(on, KIND, "store_lag_s")),
        (3, _now(on, "journal_used_percent", vi="Nhật ký đã dùng", en="Journal used")),
        (3, _now(on, "journal_hours_left", vi="Nhật ký còn chứa", en="Journal room")),
        (3, now(on, KIND, "disk_free_percent")),
        (3, _now(on, "notify_dead", vi="Không gửi được", en="Not delivered")),
    )
    grid.row(
        6,
        (
            12,
            trend(
                on,
                KIND,
                ["messages_per_s", "readings_per_s"],
                title=on.say(vi="Tiếp nhận", en="What comes in"),
                soft=(0, None),
            ),
        ),
        (12, _lags(on)),
    )
    grid.row(
        6,
        (6, trend(on, KIND, ["journal_used_percent"], soft=(0, 60), fill=10)),
        (6, trend(on, KIND, ["store_behind"], soft=(0, None), fill=10)),
        (
            6,
            trend(
                on,
                KIND,
                ["quarantined_per_min", "missed_per_min"],
                title=on.say(vi="Cách ly và thiếu", en="Quarantined and missed"),
                soft=(0, None),
            ),
        ),
        (
            6,
            trend(
                on,
                KIND,
                ["notify_pending", "notify_dead"],
                title=on.say(vi="Thông báo", en="Notifications"),
                soft=(0, 10),
                how="max",
            ),
        ),
    )
    grid.row(
        6,
        (6, trend(on, KIND, ["cpu_percent"], soft=(0, 100), fill=10)),
        (6, trend(on, KIND, ["rss_mib"], soft=(0, None), fill=10)),
        (6, trend(on, KIND, ["disk_free_percent"], soft=(0, 100), fill=10)),
        (6, trend(on, KIND, ["web_clients"], soft=(0, 10), how="max")),
    )
    grid.row(
        8, (16, _alarms(on)), (8, trend(on, KIND, ["stage_restarts"], soft=(0, 10), how="max"))
    )
    return board(
        on,
        "service",
        description=on.say(
            vi="Dịch vụ IOC có theo kịp không, còn chỗ không, thông báo có đi không, máy có đủ "
            "không?",
            en="Does the IOC service keep up, has it room, do notifications leave, is the machine "
            "enough?",
        ),
        grid=grid,
        choices=[variables.resolutions(on)],
    )


def _now(on: Setting, metric: str, *, vi: str, en: str) -> model.Panel:
    """A number under a heading short enough for its panel."""
    return now(on, KIND, metric, title=on.say(vi=vi, en=en))


def _stages(on: Setting) -> model.Panel:
    """How many of how many."""
    ready = on_stat(of_metric(on, KIND, "stages_not_ready"))
    total = replace(of_metric(on, KIND, "stages_total"), steps=((None, "text"),))
    return parts.stat(
        title=on.say(vi="Khối chức năng", en="Stages"),
        description=ready.description,
        look=Look(),
        targets=[ask.latest(on, KIND, ["stages_not_ready", "stages_total"], alias="$col")],
        overrides={
            "last_stages_not_ready": replace(
                ready, title=on.say(vi="Chưa sẵn sàng", en="Not ready")
            ),
            "last_stages_total": replace(total, title=on.say(vi="Tổng số", en="In all")),
        },
        text="value_and_name",
        orientation="vertical",
    )


def _lags(on: Setting) -> model.Panel:
    """Each stage's own limit is on its own number above: one line could not be all of them."""
    looks = {
        f"max_{name}": replace(
            of_metric(on, KIND, name), fixed=LINES[place % len(LINES)], steps=Look().steps
        )
        for place, name in enumerate(_LAGS)
    }
    return parts.lines(
        title=on.say(vi="Độ trễ từng khối", en="Lag of each stage"),
        description=" ".join(look.description for look in looks.values()),
        look=replace(of_metric(on, KIND, "store_lag_s"), steps=Look().steps),
        targets=[
            ask.over_time(on, KIND, dict.fromkeys(_LAGS, "max"), alias="$col", rolled_up=True)
        ],
        overrides=looks,
        soft=(0, 10),
        legend=True,
    )


def _alarms(on: Setting) -> model.Panel:
    return alarm_rows.standing(
        on,
        title=on.say(vi="Cảnh báo của chính dịch vụ", en="Alarms of the service itself"),
        description=on.say(
            vi="Do quy tắc của dịch vụ hoặc do Grafana phát hiện, đang có.",
            en="Found by the service's own rules or by Grafana; those that stand.",
        ),
        where={"kind": [KIND]},
        impact=False,
        suppressed=True,
    )
