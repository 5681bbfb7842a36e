"""Real servers for tests: on free ports of the loopback, in a folder of the test, ended by pid.

A server keeps its folder and its port: ``start`` after ``stop`` or ``kill`` goes on with its data.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import psutil

START_WITHIN_S = 20.0


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def find_program(name: str) -> Path | None:
    """A program beside this Python, on the path, or where Debian keeps daemons."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


class Server:
    """One server process. Reusable: it can be started again after it ended."""

    program: ClassVar[str]
    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.config = folder / f"{self.program}.conf"

    @classmethod
    def find(cls) -> Path | None:
        """The server's program; None when it is not on this machine."""
        return find_program(cls.program)

    @classmethod
    def missing(cls) -> str:
        """Why tests with this server are skipped; "" when it is there."""
        return "" if cls.find() else f"{cls.program} is not installed"

    def identity(self) -> dict[str, Any]:
        """Who the server runs as, in the words of ``Popen``: whoever runs the tests."""
        return {}

    def arguments(self) -> list[str]:
        raise NotImplementedError

    def write_config(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Start and return once the port answers. Raises with the log's end if it does not."""
        assert self.process is None, "already running"
        program = self.find()
        assert program is not None, self.missing()
        self.write_config()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [str(program), *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # the tests' Ctrl-C is not the server's
                **self.identity(),
            )
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"{self.program} did not start:\n{self.log_text()[-2000:]}")

    def stop(self, *, within_s: float = 10.0) -> None:
        """End it as its user would (SIGTERM), and for good when it does not obey."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """kill -9."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def pause(self) -> None:
        """SIGSTOP: the port stays open and nothing answers."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)  # its threads stop a moment later

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.program}.log"

    def log_text(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Nats(Server):
    """nats-server with MQTT 3.1.1 on JetStream, set as the service's embedded broker is."""

    program = "nats-server"

    def __init__(self, folder: Path, *, ack_wait: str = "2s", max_ack_pending: int = 5000) -> None:
        super().__init__(folder)
        self.client_port = free_port()
        self.ack_wait = ack_wait
        self.max_ack_pending = max_ack_pending

    def arguments(self) -> list[str]:
        return ["--config", str(self.config)]

    def write_config(self) -> None:
        self.config.write_text(
            f"""server_name: test
host: {self.host}
port: {self.client_port}
jetstream {{ store_dir: "{self.folder / "jetstream"}", max_mem: 64MB, max_file: 1GB }}
mqtt {{
  host: {self.host}
  port: {self.port}
  ack_wait: "{self.ack_wait}"
  max_ack_pending: {self.max_ack_pending}
}}
"""
        )


class Mosquitto(Server):
    """Debian's mosquitto, set so that it keeps what it cannot deliver."""

    program = "mosquitto"

    def arguments(self) -> list[str]:
        return ["-c", str(self.config)]

    def write_config(self) -> None:
        self.config.write_text(
            f"""listener {self.port} {self.host}
allow_anonymous true
persistence true
persistence_location {self.folder}/
autosave_interval 1
max_queued_messages 0
max_inflight_messages 1000
set_tcp_nodelay true
log_dest stderr
"""
            # Started by root it would become the user mosquitto, who cannot write here.
            + ("user root\n" if os.geteuid() == 0 else "")
        )
