"""A real InfluxDB 2.x for tests, where ``IOC_INFLUXD2`` names the program. CI has none."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers import START_WITHIN_S, Server, free_port


class Influxd2(Server):
    """influxd 2.x, set up as its image does it: user, organization, bucket, operator token."""

    program = "influxd"

    def __init__(self, folder: Path, *, token: str, password: str) -> None:
        super().__init__(folder)
        self.token, self.password = token, password

    @classmethod
    def find(cls) -> Path | None:
        named = os.environ.get("IOC_INFLUXD2")
        return Path(named) if named else None

    def arguments(self) -> list[str]:
        at = self.folder
        return [
            *("run", "--bolt-path", f"{at}/influxd.bolt", "--engine-path", f"{at}/engine"),
            *("--sqlite-path", f"{at}/influxd.sqlite", "--reporting-disabled"),
            *("--http-bind-address", f"{self.host}:{self.port}", "--log-level", "warn"),
        ]

    def write_config(self) -> None:
        self.port = self.port or free_port()

    def start(self) -> None:
        super().start()
        asked = {"username": "admin", "password": self.password, "org": "ioc", "bucket": "ioc"}
        deadline = time.monotonic() + START_WITHIN_S
        while True:  # the port is open a little before it answers
            try:
                if self.call("GET", "/api/v2/setup")["allowed"]:
                    self.call("POST", "/api/v2/setup", asked | {"token": self.token})
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The management API, as the administrator."""
        request = urllib.request.Request(
            f"http://{self.host}:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return dict(json.loads(content)) if content else {}
