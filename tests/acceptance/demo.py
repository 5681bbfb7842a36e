"""`ioc up` as a user runs it: a process, its terminal, its API, and the processes it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.servers import free_port

READY_WITHIN_S = 60.0
Found = TypeVar("Found")


def eventually(look: Callable[[], Found], *, within_s: float, what: str) -> Found:
    """The first truthy answer of ``look``; fails when there is none in time."""
    deadline = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < deadline:
        last = found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s:g} s: {what}; last seen: {str(last)[:500]}")


class Demo:
    """One run of `ioc up`. ``start`` returns when it says that it is ready."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.http_port = free_port()
        self.mqtt_port = free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.options = options
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def command(self, *options: str) -> list[str]:
        return [
            *(sys.executable, "-m", "ioc.cli", "up"),
            *("--data-dir", str(self.data_dir)),
            *("--http-port", str(self.http_port), "--mqtt-port", str(self.mqtt_port)),
            *options,
        ]

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command(*self.options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        eventually(
            lambda: self.said("Ready after") or self.process is None or self.process.poll(),
            within_s=READY_WITHIN_S,
            what="Ready",
        )
        assert self.process.poll() is None, "\n".join(self.lines)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
        process.stdout.close()

    def said(self, pattern: str) -> str:
        """The first line on the terminal that matches, "" when there is none."""
        return next((line for line in list(self.lines) if re.search(pattern, line)), "")

    @property
    def sign_in_link(self) -> str:
        found = re.search(r"http\S+/sign-in\?code=\S+", self.said("sign-in"))
        assert found, "\n".join(self.lines)
        return found.group()

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything it started."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def part(self, word: str) -> psutil.Process:
        """The child whose command line holds ``word``."""
        for process in self.family()[1:]:
            if word in " ".join(process.cmdline()):
                return process
        raise AssertionError(f"no process with {word!r}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the supervisor and wait for it; returns its exit code."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if process.poll() is None:
            os.kill(process.pid, number)
        try:
            code = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if self._reader is not None:
                self._reader.join(10)
        return code

    def api(
        self, path: str, *, body: object = None, method: str | None = None, token: str | None = None
    ) -> Any:
        """The answer of an API call with the admin token, decoded."""
        secret = token if token is not None else (self.data_dir / "admin.token").read_text().strip()
        request = urllib.request.Request(
            self.url + path,
            method=method or ("GET" if body is None else "POST"),
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def ioc(self, *words: str, within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Another `ioc` command beside the running one."""
        return subprocess.run(
            [sys.executable, "-m", "ioc.cli", *words],
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
