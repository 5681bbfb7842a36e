"""What a Grafana should hold: the files that provisioning takes, filled in as Grafana does it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ioc.errors import ConfigError
from ioc.files import MAX_FILE_BYTES, Loader

JSON = dict[str, Any]

# What is ours in a Grafana that others use, too, bears this.
PREFIX = "ioc-"
SYSTEM_MATCHER = ["system", "=", "ioc"]
RULES_FOLDER_UID = "ioc-alerts"
RECIPIENTS = "ioc-recipients"
# From here on Grafana can keep a rule as it was while there is no answer.
KEEPS_LAST_SINCE = (10, 4)
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


@dataclass(frozen=True, kw_only=True)
class Given:
    """Addresses and secrets of one place, which the files leave open.

    Without ``influx_url`` the data source is not touched, without ``alert_url`` neither contact
    points nor policies are; without ``recipient_url`` nobody is told beside the service.
    """

    console_url: str
    influx_url: str = ""
    influx_database: str = "ioc"
    influx_token: str = field(default="", repr=False)
    alert_url: str = ""
    alert_token: str = field(default="", repr=False)
    recipient_url: str = ""
    recipient_severities: str = "critical|major"

    def variables(self) -> dict[str, str]:
        """The values by the names that the files have for them."""
        return {
            "IOC_INFLUX_URL": self.influx_url,
            "IOC_INFLUX_DATABASE": self.influx_database,
            "IOC_INFLUX_TOKEN": self.influx_token,
            "IOC_ALERT_URL": self.alert_url,
            "IOC_ALERT_TOKEN": self.alert_token,
            "IOC_RECIPIENT_URL": self.recipient_url,
            "IOC_RECIPIENT_SEVERITIES": self.recipient_severities,
        }


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """All of it, in the form of Grafana's HTTP API.

    ``folders`` are titles by uid, ``boards`` folders with the boards in them, ``groups`` rules by
    the name of their group with its interval in seconds. ``source`` and ``policy`` are None where
    they are not to be touched; ``points`` is then empty.
    """

    folders: Mapping[str, str]
    boards: Mapping[str, list[JSON]]
    groups: Mapping[str, tuple[int, list[JSON]]]
    source: JSON | None
    points: list[JSON]
    timings: list[JSON]
    policy: JSON | None

    def for_version(self, version: tuple[int, ...]) -> Wanted:
        """The same, as far as an older Grafana knows it: without a last state to keep, a rule is
        well while there is no answer."""
        if version >= KEEPS_LAST_SINCE:
            return self

        def known(rule: JSON) -> JSON:
            states = {
                name: "OK" if rule[name] == "KeepLast" else rule[name]
                for name in ("noDataState", "execErrState")
            }
            return rule | states

        groups = {
            name: (interval_s, [known(rule) for rule in rules])
            for name, (interval_s, rules) in self.groups.items()
        }
        return replace(self, groups=groups)


def read_wanted(folder: Path, given: Given) -> Wanted:
    """Read ``boards/`` and ``provisioning/`` below a folder.

    Raises ``ConfigError`` naming a file that is missing or is none of ours.
    """
    values = given.variables()

    def provisioning(name: str) -> Any:
        content = _read_yaml(folder / "provisioning" / name)
        return _filled(content, values)

    try:
        providers = provisioning("dashboards/ioc.yaml")["providers"]
        groups = provisioning("alerting/rules.yaml")["groups"]
        sources = provisioning("datasources/ioc.yaml")["datasources"]
        points = provisioning("alerting/contact_points.yaml")["contactPoints"]
        policies = provisioning("alerting/policies.yaml")["policies"]
        timings = provisioning("alerting/mute_timings.yaml")["muteTimes"]
        boards = {
            provider["folderUid"]: _boards(
                folder / "boards" / Path(provider["options"]["path"]).name
            )
            for provider in providers
        }
        boards, groups = _moved([boards, groups], console_url=given.console_url.rstrip("/"))
        folders = {provider["folderUid"]: provider["folder"] for provider in providers}
        folders[RULES_FOLDER_UID] = groups[0]["folder"]
        return Wanted(
            folders=folders,
            boards=boards,
            groups={group["name"]: _group(group) for group in groups},
            source=_source(sources[0]) if given.influx_url else None,
            points=_points(points, given) if given.alert_url else [],
            timings=[_without_org(timing) for timing in timings] if given.alert_url else [],
            policy=_policy(policies[0], given) if given.alert_url else None,
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder}: not what python -m dashboards writes ({error!r}); write it again"
        ) from error


def seconds(duration: object) -> float:
    """A duration as Grafana writes one: "90s", "1m30s", "1h", or a number of seconds.

    Raises ``ValueError``.
    """
    if isinstance(duration, int | float):
        return float(duration)
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", str(duration))
    if parts is None or not any(parts.groups()):
        raise ValueError(f"{duration!r} is no duration")
    days, hours, minutes, rest = (int(part or 0) for part in parts.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def _filled(content: Any, values: Mapping[str, str]) -> Any:
    """The content with known variables put into its texts. A model of a rule has its own."""
    if isinstance(content, dict):
        return {
            key: value if key == "model" else _filled(value, values)
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [_filled(value, values) for value in content]
    if isinstance(content, str):
        return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), content)
    return content


def _boards(folder: Path) -> list[JSON]:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ConfigError(f"{folder}: no boards; write them with: python -m dashboards")
    return [_board(file) for file in files]


def _board(file: Path) -> JSON:
    try:
        board: JSON = json.loads(_read(file))
    except ValueError as error:
        raise ConfigError(f"{file}: not JSON: {error}") from error
    if not str(board["uid"]).startswith(PREFIX):
        raise ConfigError(f"{file}: uid {board['uid']!r} does not begin with {PREFIX}")
    return board


def _moved(content: Any, *, console_url: str) -> Any:
    """The content with links that lead to this console: where they led before, every board says in
    a constant of its own."""
    boards = [board for boards in content[0].values() for board in boards]
    before = {
        variable["query"]
        for board in boards
        for variable in board["templating"]["list"]
        if variable["name"] == "console"
    }
    text = json.dumps(content, ensure_ascii=False)
    for url in before:
        text = text.replace(json.dumps(url)[1:-1], json.dumps(console_url)[1:-1])
    return json.loads(text)


def _group(group: JSON) -> tuple[int, list[JSON]]:
    rules = []
    for rule in group["rules"]:
        if not str(rule["uid"]).startswith(PREFIX):
            raise ConfigError(f"alert rule {rule['uid']!r}: does not begin with {PREFIX}")
        own = {"folderUID": RULES_FOLDER_UID, "ruleGroup": group["name"], "orgID": 1}
        rules.append(rule | own)
    return int(seconds(group["interval"])), rules


def _source(source: JSON) -> JSON:
    # Which source is the default, and whether it may be edited, is not ours to say elsewhere.
    return {
        key: value for key, value in source.items() if key not in ("orgId", "isDefault", "editable")
    }


def _points(points: list[JSON], given: Given) -> list[JSON]:
    return [
        {"name": point["name"], **receiver}
        for point in points
        for receiver in point["receivers"]
        if given.recipient_url or point["name"] != RECIPIENTS
    ]


def _policy(tree: JSON, given: Given) -> JSON:
    """Our branch of the tree: the rest of a tree elsewhere is not ours."""
    routes: list[JSON] = tree["routes"]
    (branch,) = (route for route in routes if SYSTEM_MATCHER in route.get("object_matchers", []))
    if given.recipient_url:
        return branch
    routes = [route for route in branch["routes"] if route["receiver"] != RECIPIENTS]
    return branch | {"routes": routes}


def _without_org(content: JSON) -> JSON:
    return {key: value for key, value in content.items() if key != "orgId"}


def _read_yaml(file: Path) -> Any:
    try:
        return yaml.load(_read(file), Loader=Loader)  # noqa: S506  # a safe loader
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {error}") from error


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{file}: at most {MAX_FILE_BYTES} bytes are read")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file}: cannot be read ({error}); write it with: python -m dashboards"
        ) from error
