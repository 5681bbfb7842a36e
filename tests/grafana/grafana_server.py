"""An HTTP server that answers as Grafana 11.6 documents it, as far as ``ioc grafana`` asks.

Grafana is no package of any registry, so this stands in its place: folders, data sources, boards
and alerting's provisioning API in memory, with what Grafana adds to what it is given (defaults,
durations in its own words, secrets that are not shown) and with its refusals. The same calls were
tried against a real Grafana 9.4 by hand (docs/grafana.md).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

JSON = dict[str, Any]
Reply = tuple[int, Any]
REDACTED = "[REDACTED]"
SECRET_SETTINGS = ("authorization_credentials", "password")


@dataclass
class Grafana:
    """What a Grafana holds, and what was asked of it."""

    version: str = "11.6.0"
    token: str = "glsa_admin"
    folders: dict[str, JSON] = field(default_factory=dict)
    boards: dict[str, tuple[str, JSON]] = field(default_factory=dict)
    sources: dict[str, JSON] = field(default_factory=dict)
    rules: dict[str, JSON] = field(default_factory=dict)
    intervals: dict[tuple[str, str], int] = field(default_factory=dict)
    points: dict[str, JSON] = field(default_factory=dict)
    timings: dict[str, JSON] = field(default_factory=dict)
    tree: JSON = field(
        default_factory=lambda: {
            "receiver": "grafana-default-email",
            "group_by": ["grafana_folder", "alertname"],
        }
    )
    # What came from files; Grafana refuses to change it through the API.
    from_files: set[str] = field(default_factory=set)
    may_write: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def writes(self) -> list[str]:
        return [one for one in self.asked if not one.startswith("GET ")]

    # Answers. Each is (status, body).

    def answer(self, method: str, path: str, query: JSON, body: Any, token: str) -> Reply:
        self.asked.append(f"{method} {path}")
        if path == "/api/health":
            return 200, {"database": "ok", "version": self.version, "commit": "0000000"}
        if token != self.token:
            return 401, {"message": "Invalid API key"}
        if method != "GET" and not self.may_write:
            return 403, {"message": "You'll need additional permissions", "title": "Access denied"}
        for wanted, pattern, handle in self.routes():
            found = re.fullmatch(pattern, path)
            if wanted == method and found:
                return handle(*found.groups(), body, query)
        return 404, {"message": "Not found"}

    def routes(self) -> list[tuple[str, str, Callable[..., Reply]]]:
        alerting = "/api/v1/provisioning"
        one = r"([\w-]+)"
        return [
            ("GET", f"/api/folders/{one}", self.get_folder),
            ("POST", "/api/folders", self.post_folder),
            ("PUT", f"/api/folders/{one}", self.put_folder),
            ("GET", f"/api/dashboards/uid/{one}", self.get_board),
            ("DELETE", f"/api/dashboards/uid/{one}", self.delete_board),
            ("POST", "/api/dashboards/db", self.post_board),
            ("GET", "/api/search", self.search),
            ("GET", f"/api/datasources/uid/{one}", self.get_source),
            ("POST", "/api/datasources", self.post_source),
            ("PUT", f"/api/datasources/uid/{one}", self.put_source),
            ("GET", f"{alerting}/alert-rules", lambda *_: (200, list(self.rules.values()))),
            ("POST", f"{alerting}/alert-rules", self.post_rule),
            ("PUT", f"{alerting}/alert-rules/{one}", self.put_rule),
            ("DELETE", f"{alerting}/alert-rules/{one}", self.delete_rule),
            ("GET", f"{alerting}/folder/{one}/rule-groups/{one}", self.get_group),
            ("PUT", f"{alerting}/folder/{one}/rule-groups/{one}", self.put_group),
            ("GET", f"{alerting}/contact-points", self.get_points),
            ("POST", f"{alerting}/contact-points", self.post_point),
            ("PUT", f"{alerting}/contact-points/{one}", self.put_point),
            ("DELETE", f"{alerting}/contact-points/{one}", self.delete_point),
            ("GET", f"{alerting}/mute-timings", lambda *_: (200, list(self.timings.values()))),
            ("POST", f"{alerting}/mute-timings", self.post_timing),
            ("PUT", f"{alerting}/mute-timings/{one}", self.put_timing),
            ("GET", f"{alerting}/policies", lambda *_: (200, self.tree)),
            ("PUT", f"{alerting}/policies", self.put_policies),
        ]

    def get_folder(self, uid: str, *_: Any) -> Reply:
        if uid not in self.folders:
            return 404, {"message": "folder not found", "status": "not-found"}
        return 200, self.folders[uid]

    def post_folder(self, body: JSON, _: JSON) -> Reply:
        uid = body["uid"]
        self.folders[uid] = {"id": len(self.folders) + 1, "version": 1, **body}
        return 200, self.folders[uid]

    def put_folder(self, uid: str, body: JSON, _: JSON) -> Reply:
        self.folders[uid] |= {"title": body["title"]}
        return 200, self.folders[uid]

    def get_board(self, uid: str, *_: Any) -> Reply:
        if uid not in self.boards:
            return 404, {"message": "Dashboard not found"}
        folder, board = self.boards[uid]
        return 200, {"meta": {"folderUid": folder, "version": board["version"]}, "dashboard": board}

    def post_board(self, body: JSON, _: JSON) -> Reply:
        board, folder = body["dashboard"], body["folderUid"]
        if folder not in self.folders:
            return 400, {"message": "folder not found"}
        if board["uid"] in self.from_files:
            return 400, {"message": "Cannot save provisioned dashboard"}
        version = self.boards[board["uid"]][1]["version"] + 1 if board["uid"] in self.boards else 1
        self.boards[board["uid"]] = (folder, board | {"id": len(self.boards), "version": version})
        return 200, {"uid": board["uid"], "status": "success", "version": version}

    def delete_board(self, uid: str, *_: Any) -> Reply:
        del self.boards[uid]
        return 200, {"title": uid, "message": f"Dashboard {uid} deleted"}

    def search(self, _: Any, query: JSON) -> Reply:
        (wanted,) = query["folderUIDs"]
        return 200, [
            {"uid": uid, "title": board["title"], "type": "dash-db", "folderUid": folder}
            for uid, (folder, board) in self.boards.items()
            if folder == wanted
        ]

    def get_source(self, uid: str, *_: Any) -> Reply:
        if uid not in self.sources:
            return 404, {"message": "Data source not found", "traceID": ""}
        source = dict(self.sources[uid])
        secrets = source.pop("secureJsonData", {})
        return 200, source | {"id": 1, "secureJsonFields": dict.fromkeys(secrets, True)}

    def post_source(self, body: JSON, _: JSON) -> Reply:
        self.sources[body["uid"]] = {"typeLogoUrl": "", "user": "", "version": 1, **body}
        return 200, {"message": "Datasource added"}

    def put_source(self, uid: str, body: JSON, _: JSON) -> Reply:
        if uid in self.from_files:
            return 403, {"message": "Cannot edit read-only data source, it is provisioned"}
        self.sources[uid] |= body
        return 200, {"message": "Datasource updated"}

    def post_rule(self, body: JSON, _: JSON) -> Reply:
        if body["folderUID"] not in self.folders:
            return 400, {"message": "folder does not exist"}
        if any(
            rule["title"] == body["title"] and rule["folderUID"] == body["folderUID"]
            for rule in self.rules.values()
        ):
            return 409, {"message": "a conflicting alert rule is found: rule title under the same"}
        self.intervals.setdefault((body["folderUID"], body["ruleGroup"]), 60)
        return self._keep_rule(body, 201)

    def put_rule(self, uid: str, body: JSON, _: JSON) -> Reply:
        if uid in self.from_files:
            return 409, {"message": "cannot change provenance from 'file' to 'api'"}
        return self._keep_rule(body, 200)

    def _keep_rule(self, body: JSON, status: int) -> Reply:
        known = {"Alerting", "NoData", "OK", "Error"}
        if int(self.version.split(".")[0]) > 10:
            known.add("KeepLast")
        if not {body["noDataState"], body["execErrState"]} <= known:
            return 400, {"message": "invalid alert rule: unknown state"}
        seconds = int(body["for"].removesuffix("s"))
        said = (f"{seconds // 60}m" if seconds >= 60 else "") + (
            f"{seconds % 60}s" if seconds % 60 or not seconds else ""
        )
        data = [
            {"queryType": "", **step, "model": {"intervalMs": 1000, **step["model"]}}
            for step in body["data"]
        ]
        self.rules[body["uid"]] = {
            **body,
            "id": len(self.rules) + 1,
            "data": data,
            "for": said,
            "keep_firing_for": "0s",
            "provenance": "api",
            "updated": "2026-01-01T00:00:00Z",
            "notification_settings": None,
            "record": None,
        }
        return status, self.rules[body["uid"]]

    def delete_rule(self, uid: str, *_: Any) -> Reply:
        del self.rules[uid]
        return 204, None

    def get_group(self, folder: str, name: str, *_: Any) -> Reply:
        if (folder, name) not in self.intervals:
            return 404, {"message": "rule group not found"}
        rules = [rule for rule in self.rules.values() if rule["ruleGroup"] == name]
        return 200, {
            "title": name,
            "folderUid": folder,
            "interval": self.intervals[folder, name],
            "rules": rules,
        }

    def put_group(self, folder: str, name: str, body: JSON, _: JSON) -> Reply:
        """Grafana takes the rules of the body for all there are."""
        kept = {rule["uid"] for rule in body["rules"]}
        self.rules = {
            uid: rule
            for uid, rule in self.rules.items()
            if rule["ruleGroup"] != name or uid in kept
        }
        self.intervals[folder, name] = body["interval"]
        return 200, body

    def get_points(self, *_: Any) -> Reply:
        return 200, [
            point
            | {
                "settings": {
                    key: REDACTED if key in SECRET_SETTINGS else value
                    for key, value in point["settings"].items()
                },
                "provenance": "api",
            }
            for point in self.points.values()
        ]

    def post_point(self, body: JSON, _: JSON) -> Reply:
        if not body["settings"].get("url"):
            return 400, {"message": "required field 'url' is not specified"}
        self.points[body["uid"]] = body
        return 202, body

    def put_point(self, uid: str, body: JSON, _: JSON) -> Reply:
        self.points[uid] = body
        return 202, {"message": "contactpoint updated"}

    def delete_point(self, uid: str, *_: Any) -> Reply:
        if self.points[uid]["name"] in json.dumps(self.tree):
            return 409, {"message": "contact point is in use by a notification policy"}
        del self.points[uid]
        return 202, {"message": "contactpoint deleted"}

    def post_timing(self, body: JSON, _: JSON) -> Reply:
        self.timings[body["name"]] = body | {"provenance": "api", "version": "1"}
        return 201, self.timings[body["name"]]

    def put_timing(self, name: str, body: JSON, _: JSON) -> Reply:
        self.timings[name] = body | {"provenance": "api", "version": "2"}
        return 202, self.timings[name]

    def put_policies(self, body: JSON, _: JSON) -> Reply:
        receivers = {point["name"] for point in self.points.values()} | {"grafana-default-email"}
        text = json.dumps(body)
        for receiver in re.findall(r'"receiver": "([^"]+)"', text):
            if receiver not in receivers:
                return 400, {"message": f"invalid object: receiver '{receiver}' does not exist"}
        for timings in re.findall(r'"mute_time_intervals": \["([^"]+)"\]', text):
            if timings not in self.timings:
                return 400, {"message": f"mute time interval '{timings}' does not exist"}
        self.tree = body | {"provenance": "api"}
        return 202, {"message": "policies updated"}


@contextmanager
def serving(grafana: Grafana) -> Iterator[Grafana]:
    """Let it answer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            address = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = grafana.answer(
                self.command,
                address.path,
                parse_qs(address.query),
                json.loads(content) if content else None,
                self.headers.get("Authorization", "").removeprefix("Bearer "),
            )
            reply = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST = do_PUT = do_DELETE = _reply  # noqa: N815  # the library's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    grafana.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield grafana
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
