"""A real InfluxDB 1.12 for tests. ``scripts/build-influxd`` makes the program."""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers import START_WITHIN_S, Server, find_program, free_port


class Influxd(Server):
    """influxd with its own data, a port of its own, and the database ``ioc``."""

    program = "influxd"
    database = "ioc"

    def __init__(self, folder: Path, *, user: str = "", password: str = "") -> None:
        """With ``user`` and ``password``, nobody else may do anything."""
        super().__init__(folder)
        self.backup_port = free_port()
        self.user, self.password = user, password

    @classmethod
    def find(cls) -> Path | None:
        """``IOC_INFLUXD``, or where scripts/build-influxd puts it, or on the path."""
        named = os.environ.get("IOC_INFLUXD")
        if named:
            return Path(named)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        built = cache / "provincial-ioc" / "bin" / cls.program
        return built if built.exists() else find_program(cls.program)

    @classmethod
    def missing(cls) -> str:
        found = cls.find()
        if found is None:
            return "influxd is not installed: run scripts/build-influxd, or set IOC_INFLUXD"
        return "" if os.access(found, os.X_OK) else f"IOC_INFLUXD={found}: no such program"

    @property
    def url(self) -> str:
        """The store's URL in the service's settings."""
        return f"influxdb://{self.host}:{self.port}/{self.database}"

    def arguments(self) -> list[str]:
        return ["run", "-config", str(self.config)]

    def write_config(self) -> None:
        self.config.write_text(
            f"""reporting-disabled = true
bind-address = "{self.host}:{self.backup_port}"
[meta]
  dir = "{self.folder / "meta"}"
[data]
  dir = "{self.folder / "data"}"
  wal-dir = "{self.folder / "wal"}"
  query-log-enabled = false
[coordinator]
  write-timeout = "10s"
[monitor]
  store-enabled = false
[http]
  bind-address = "{self.host}:{self.port}"
  log-enabled = false
  auth-enabled = {"true" if self.user else "false"}
[logging]
  level = "warn"
"""
        )

    def start(self) -> None:
        super().start()
        deadline = time.monotonic() + START_WITHIN_S
        while True:  # the port is open a little before the shards are
            try:
                if self.user:  # the first one needs no user, and is needed before all else
                    self.ask(
                        f"CREATE USER \"{self.user}\" WITH PASSWORD '{self.password}' "
                        "WITH ALL PRIVILEGES"
                    )
                self.ask(f'CREATE DATABASE "{self.database}"')
            except (OSError, urllib.error.URLError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def ask(self, text: str) -> list[dict[str, Any]]:
        """Send InfluxQL as it is, beside the service. Returns the series of the answer."""
        request = urllib.request.Request(
            f"http://{self.host}:{self.port}/query?"
            + urllib.parse.urlencode({"db": self.database, "epoch": "u"}),
            headers={"Authorization": f"Token {self.user}:{self.password}"} if self.user else {},
            data=urllib.parse.urlencode({"q": text}).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            result = json.load(response)["results"][0]
        if "error" in result:
            raise AssertionError(f"{text}: {result['error']}")
        series: list[dict[str, Any]] = result.get("series", [])
        return series


@contextlib.contextmanager
def start_influxd(folder: Path, *, user: str = "", password: str = "") -> Iterator[Influxd]:
    """A running influxd with an empty database ``ioc``; ended by pid."""
    with Influxd(folder, user=user, password=password) as server:
        yield server
