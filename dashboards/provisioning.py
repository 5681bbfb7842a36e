"""Grafana's provisioning files: the data source, the folders of boards, and alerting.

They hold no secret and no address: both come from Grafana's environment (docs/grafana.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dashboards import ask
from dashboards.alerting import notify
from dashboards.alerting.watch import EVERY_S, as_rule
from dashboards.alerting.watches import groups
from dashboards.setting import Setting
from ioc.text import Language

PROVISIONING = Path(__file__).parent / "grafana" / "provisioning"
DATABASE = "${IOC_INFLUX_DATABASE}"
# Where boards are in Grafana's container.
BOARDS = "/var/lib/ioc/boards"
RULES_FOLDER = "IOC · Cảnh báo · Alerts"
BOARD_FOLDERS: Mapping[Language, tuple[str, str]] = {
    "vi": ("ioc-vi", "IOC · Tiếng Việt"),
    "en": ("ioc-en", "IOC · English"),
}
_HEAD = "# Written by python -m dashboards; change dashboards/{source}, not this file.\n"


def provisioned(on: Setting) -> dict[Path, str]:
    """The text of every provisioning file, by its path below Grafana's provisioning folder."""
    files: dict[str, tuple[str, dict[str, Any]]] = {
        "datasources/ioc.yaml": ("provisioning.py", {"datasources": [_source()]}),
        "dashboards/ioc.yaml": ("provisioning.py", {"providers": _providers()}),
        "alerting/rules.yaml": ("alerting/watches.py", {"groups": _groups(on)}),
        "alerting/contact_points.yaml": (
            "alerting/notify.py",
            {"contactPoints": [{"orgId": 1, **point} for point in notify.contact_points()]},
        ),
        "alerting/policies.yaml": (
            "alerting/notify.py",
            {"policies": [{"orgId": 1, **notify.policy()}]},
        ),
        "alerting/mute_timings.yaml": (
            "alerting/notify.py",
            {"muteTimes": [{"orgId": 1, **timing} for timing in notify.mute_timings(on)]},
        ),
    }
    return {
        Path(name): _HEAD.format(source=source) + _as_yaml({"apiVersion": 1, **content})
        for name, (source, content) in files.items()
    }


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice twice: people read these files."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _as_yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10_000)


def _source() -> dict[str, Any]:
    return {
        "uid": ask.SOURCE_UID,
        "name": "IOC InfluxDB",
        "type": ask.SOURCE_TYPE,
        "access": "proxy",
        "orgId": 1,
        "url": "${IOC_INFLUX_URL}",
        "database": DATABASE,
        "isDefault": True,
        "editable": False,
        "jsonData": {
            "version": "InfluxQL",
            "dbName": DATABASE,
            "httpMode": "POST",
            "timeInterval": "10s",
            "httpHeaderName1": "Authorization",
        },
        "secureJsonData": {"httpHeaderValue1": "Token ${IOC_INFLUX_TOKEN}"},
    }


def _providers() -> list[dict[str, Any]]:
    return [
        {
            "name": uid,
            "orgId": 1,
            "folder": title,
            "folderUid": uid,
            "type": "file",
            "disableDeletion": False,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 30,
            "options": {"path": f"{BOARDS}/{language}"},
        }
        for language, (uid, title) in BOARD_FOLDERS.items()
    ]


def _groups(on: Setting) -> list[dict[str, Any]]:
    return [
        {
            "orgId": 1,
            "name": name,
            "folder": RULES_FOLDER,
            "interval": f"{EVERY_S}s",
            "rules": [as_rule(watch, console_url=on.console_url) for watch in watches],
        }
        for name, watches in groups(on).items()
    ]
