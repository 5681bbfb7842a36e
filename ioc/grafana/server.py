"""One Grafana, through grafana-client: what is asked of it, and its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ioc.errors import ConfigError, IocError
from ioc.grafana.files import JSON
from ioc.network import is_loopback

ANSWER_WITHIN_S = 30.0
T = TypeVar("T")


class GrafanaError(IocError):
    """Grafana refused what was asked of it, or did not answer."""


class Server:
    """A Grafana and the right to change it. Opened by ``connect``."""

    def __init__(self, api: Any, url: str) -> None:
        self._api = api
        self.url = url

    def version(self) -> tuple[int, ...]:
        """Grafana's version, as far as it is numbers. Raises ``GrafanaError``."""
        found = self._ask(self._api.health.check, "its health")
        numbers = re.match(r"\d+(\.\d+)*", str(found.get("version", "")))
        if numbers is None:
            raise GrafanaError(f"{self.url}: not a Grafana: it tells no version")
        return tuple(int(part) for part in numbers[0].split("."))

    def folder(self, uid: str) -> JSON | None:
        return self._find(lambda: self._api.folder.get_folder(uid), f"folder {uid}")

    def write_folder(self, uid: str, title: str, *, exists: bool) -> None:
        def write() -> object:
            if exists:
                return self._api.folder.update_folder(uid, title=title, overwrite=True)
            return self._api.folder.create_folder(title, uid=uid)

        self._ask(write, f"folder {uid}")

    def board(self, uid: str) -> tuple[str, JSON] | None:
        """The folder that a board is in, and the board."""
        found = self._find(lambda: self._api.dashboard.get_dashboard(uid), f"board {uid}")
        if found is None:
            return None
        return str(found["meta"].get("folderUid", "")), dict(found["dashboard"])

    def boards_in(self, folder_uid: str) -> list[str]:
        """The uids of the boards in a folder."""
        api = self._api
        found = self._ask(
            lambda: api.client.GET(f"/search?type=dash-db&limit=5000&folderUIDs={folder_uid}"),
            f"boards of folder {folder_uid}",
        )
        # Before Grafana 9.5 folderUIDs is not known, and all boards are found.
        return [one["uid"] for one in found if one.get("folderUid") == folder_uid]

    def write_board(self, folder_uid: str, board: JSON) -> None:
        content = {
            "dashboard": board | {"id": None},
            "folderUid": folder_uid,
            "overwrite": True,
            "message": "ioc grafana apply",
        }
        what = f"board {board['uid']}"
        self._ask(lambda: self._api.dashboard.update_dashboard(content), what)

    def remove_board(self, uid: str) -> None:
        self._ask(lambda: self._api.dashboard.delete_dashboard(uid), f"board {uid}")

    def source(self, uid: str) -> JSON | None:
        return self._find(
            lambda: self._api.datasource.get_datasource_by_uid(uid), f"data source {uid}"
        )

    def write_source(self, source: JSON, *, exists: bool) -> None:
        def write() -> object:
            if exists:
                return self._api.datasource.update_datasource_by_uid(source["uid"], source)
            return self._api.datasource.create_datasource(source)

        self._ask(write, f"data source {source['uid']}")

    def rules(self) -> list[JSON]:
        return list(self._ask(self._api.alertingprovisioning.get_alertrules_all, "alert rules"))

    def write_rule(self, rule: JSON, *, exists: bool) -> None:
        api = self._api.alertingprovisioning

        def write() -> object:
            if exists:
                return api.update_alertrule(rule["uid"], rule)
            return api.create_alertrule(rule)

        self._ask(write, f"alert rule {rule['uid']}")

    def remove_rule(self, uid: str) -> None:
        api = self._api.alertingprovisioning
        self._ask(lambda: api.delete_alertrule(uid), f"alert rule {uid}")

    def group(self, folder_uid: str, name: str) -> JSON | None:
        api = self._api.alertingprovisioning
        return self._find(lambda: api.get_rule_group(folder_uid, name), f"rule group {name}")

    def write_group(self, folder_uid: str, name: str, group: JSON) -> None:
        api = self._api.alertingprovisioning
        self._ask(
            lambda: api.update_rule_group_interval(folder_uid, name, group), f"rule group {name}"
        )

    def points(self) -> list[JSON]:
        return list(self._ask(self._api.alertingprovisioning.get_contactpoints, "contact points"))

    def write_point(self, point: JSON, *, exists: bool) -> None:
        api = self._api.alertingprovisioning

        def write() -> object:
            if exists:
                return api.update_contactpoint(point["uid"], point)
            return api.create_contactpoint(point)

        self._ask(write, f"contact point {point['uid']}")

    def remove_point(self, uid: str) -> None:
        api = self._api.alertingprovisioning
        self._ask(lambda: api.delete_contactpoint(uid), f"contact point {uid}")

    def timings(self) -> list[JSON]:
        found = self._ask(self._api.alertingprovisioning.get_mute_timings, "mute timings")
        return list(found or [])

    def write_timing(self, timing: JSON, *, exists: bool) -> None:
        api = self._api.alertingprovisioning

        def write() -> object:
            if exists:
                return api.update_mute_timing(timing["name"], timing)
            return api.create_mute_timing(timing)

        self._ask(write, f"mute timing {timing['name']}")

    def policies(self) -> JSON:
        api = self._api.alertingprovisioning
        return dict(self._ask(api.get_notification_policy_tree, "notification policies"))

    def write_policies(self, tree: JSON) -> None:
        api = self._api.alertingprovisioning
        self._ask(lambda: api.set_notification_policy_tree(tree), "notification policies")

    def _find(self, call: Callable[[], Any], what: str) -> JSON | None:
        """The same as ``_ask``; None for what is not there."""
        try:
            return dict(self._ask(call, what))
        except _NotThereError:
            return None

    def _ask(self, call: Callable[[], T], what: str) -> T:
        from grafana_client.client import GrafanaException
        from requests import RequestException

        try:
            return call()
        except GrafanaException as error:
            if error.status_code == 404:
                raise _NotThereError(f"{self.url}: {what}: not there") from None
            raise GrafanaError(self._explained(error.status_code, error.response, what)) from None
        except RequestException as error:
            # The text of the exception could hold what was sent; its kind says enough.
            kind = type(error).__name__
            raise GrafanaError(
                f"{self.url}: {what}: no answer ({kind}); is Grafana there?"
            ) from None
        except ValueError:
            raise GrafanaError(f"{self.url}: {what}: answered with something else") from None

    def _explained(self, status: int, response: Any, what: str) -> str:
        said = response.get("message", "") if isinstance(response, dict) else str(response)
        said = str(said)[:300]
        where = f"{self.url}: {what}"
        if status == 401:
            return f"{where}: the token is not accepted; --token-file needs another one"
        if status == 403:
            return f"{where}: the token may not do this; it needs the role Admin ({said})"
        if "provenance" in said.lower() or "provisioned" in said.lower():
            return f"{where}: this Grafana has it from its own provisioning files: {said}"
        return f"{where}: HTTP {status}: {said}"


class _NotThereError(GrafanaError):
    """404."""


def connect(url: str, token: str) -> Server:
    """A Grafana at ``url``, by a service account's token (or ``user:password``).

    Raises ``ConfigError`` for an address that is none, and where grafana-client is not installed.
    """
    try:
        from grafana_client import GrafanaApi
    except ImportError as error:
        raise ConfigError(
            "ioc grafana needs grafana-client; install it: pip install 'provincial-ioc[grafana]' "
            "(in a checkout: .venv/bin/pip install -e '.[grafana]')"
        ) from error
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ConfigError(f"--url {url!r}: expected http://HOST:PORT, without user and password")
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"--url {url!r}: {error}") from error
    user, colon, password = token.partition(":")
    api = GrafanaApi(
        (user, password) if colon else token,
        protocol=parts.scheme,
        host=f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname,
        port=port,
        url_path_prefix=f"{path}/" if (path := parts.path.strip("/")) else "",
        timeout=ANSWER_WITHIN_S,
        user_agent="provincial-ioc",
    )
    if is_loopback(parts.hostname):
        api.client.s.trust_env = False  # no proxy leads to this machine
    return Server(api, url.rstrip("/"))
