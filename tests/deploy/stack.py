"""The stack of docker-compose.yml as plain processes.

Each service is started with the command, environment, mounts, user and configuration files that
the file gives it. What is changed is only where things are: every path inside a container becomes a
path below a folder of the test, every host 127.0.0.1, every port a free one. What an image does
by itself, before it starts its program, is done here and named in ``IMAGES``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.deploy import compose
from tests.deploy.rights import AS_ROOT
from tests.servers import find_program, free_port
from tests.servers_influx import Influxd
from tests.servers_postgres import Postgres

HOSTS = ("broker", "influxdb", "postgres", "service", "receiver")
PORTS = ("1883", "8883", "8086", "8080", "8222", "9099", "5432")
# What the images' own entry points do with the variables that compose gives them; done here.
IMAGES: Mapping[str, frozenset[str]] = {
    # Sets InfluxDB up: user, organization, bucket, token. Here it is InfluxDB 1.12, whose
    # administrator is a user with a password.
    "influxdb": frozenset(
        {
            *("DOCKER_INFLUXDB_INIT_MODE", "DOCKER_INFLUXDB_INIT_USERNAME"),
            *("DOCKER_INFLUXDB_INIT_PASSWORD_FILE", "DOCKER_INFLUXDB_INIT_ADMIN_TOKEN_FILE"),
            *("DOCKER_INFLUXDB_INIT_ORG", "DOCKER_INFLUXDB_INIT_BUCKET"),
            *("DOCKER_INFLUXDB_INIT_RETENTION", "INFLUXD_REPORTING_DISABLED"),
            *("INFLUXD_LOG_LEVEL", "INFLUXD_SQLITE_PATH", "GOMEMLIMIT"),
        }
    ),
    # initdb with this user, password and database.
    "postgres": frozenset(
        {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"}
    ),
    # Not started at all: there is no Grafana here. Its files are tried in tests/dashboards.
    "grafana": frozenset(compose.read()["grafana"].environment),
}
END_WITHIN_S = 15.0


class Stack:
    """The stack below ``root``; ``variables`` are those of a shell or .env."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.root = root
        self.services = compose.read(variables)
        self.ports = {port: free_port() for port in PORTS}
        self.started: set[str] = set()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.influxd: Influxd | None = None
        self.postgres: Postgres | None = None
        for folder in ("volumes", "roots", "logs"):
            (root / folder).mkdir(parents=True)
        root.chmod(0o755)

    # --- where things are ---

    def volume(self, name: str) -> Path:
        """A named volume's folder, as Docker makes one: empty, and root's."""
        folder = self.root / "volumes" / name
        folder.mkdir(exist_ok=True)
        return folder

    def secret(self, name: str) -> str:
        return (self.volume("secrets") / name).read_text().strip()

    def log(self, service: str) -> str:
        path = self.root / "logs" / f"{service}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['8080']}"

    def _inside(self, service: compose.Service) -> Path:
        """A folder that looks like the container's root, as far as things are mounted there."""
        root = self.root / "roots" / service.name
        for mount in service.mounts:
            place = root / mount.target.relative_to("/")
            if place.exists() or place.is_symlink():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(mount.source, str):
                place.symlink_to(self.volume(mount.source))
            elif mount.source.is_file():
                place.write_text(self._moved(mount.source.read_text(), service))
                place.chmod(0o644)
            else:
                place.symlink_to(mount.source)
        return root

    def _moved(self, text: str, service: compose.Service) -> str:
        """A text with every place of the container turned into its place here."""
        root = self.root / "roots" / service.name
        for target in {str(mount.target) for mount in service.mounts} | {"/run/ioc/secrets"}:
            # Not in the middle of a path: "../../run/ioc/secrets" is relative, and stays so.
            text = re.sub(rf"(?<![\w./-]){re.escape(target)}(?![\w.-])", f"{root}{target}", text)
        hosts = "|".join(HOSTS)
        text = re.sub(rf"(?<=@)({hosts})(?=/)", f"127.0.0.1:{self.ports['5432']}", text)
        text = re.sub(rf"(?<![\w.-])({hosts})(?=:\d)", "127.0.0.1", text)
        text = re.sub(r"\b0\.0\.0\.0\b", "127.0.0.1", text).replace("bind :", "bind 127.0.0.1:")
        return re.sub(
            rf"(?<![\w.-])({'|'.join(PORTS)})(?![\w.])", lambda m: str(self.ports[m[0]]), text
        )

    # --- starting ---

    def run(self, name: str, *words: str) -> str:
        """Run a step to its end, or ``words`` in a service's container. Returns what it said."""
        service = self.services[name]
        if not words:
            self.started.add(name)
        done = subprocess.run(
            self._command(service, words or service.command),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self._environment(service),
            **self._identity(service, words or service.command),
        )
        with (self.root / "logs" / f"{name}.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        assert done.returncode == 0, f"{name}: {done.returncode}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    def start(self, name: str) -> None:
        """Start a service that goes on."""
        service = self.services[name]
        self.started.add(name)
        with (self.root / "logs" / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._command(service, service.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self._environment(service),
                **self._identity(service, service.command),
            )

    def healthy(self, name: str) -> bool:
        """Whether a service of ours passes its own health check."""
        service = self.services[name]
        process = self.running[name]
        assert process.poll() is None, f"{name} ended: {self.log(name)[-3000:]}"
        kind, *words = service.healthcheck
        assert kind == "CMD"
        done = subprocess.run(
            self._command(service, words), capture_output=True, timeout=30, check=False
        )
        return done.returncode == 0

    def _command(self, service: compose.Service, words: Sequence[str]) -> list[str]:
        self._inside(service)
        program, *rest = (self._moved(word, service) for word in words)
        if service.ours:
            ours = {"ioc": ["-m", "ioc.cli"], "python": []}
            return [sys.executable, *ours[program], *rest]
        return [str(self._program(program)), *rest]

    def _program(self, name: str) -> Path:
        """A server's program where every user may start it."""
        found = find_program(name)
        assert found is not None, f"{name} is not installed"
        if reachable(found):
            return found
        copy = self.root / name
        if not copy.exists():
            shutil.copy(found, copy)
        return copy

    def _environment(self, service: compose.Service) -> dict[str, str]:
        """What compose gives, and nothing of this shell's but where programs are."""
        given = {
            key: "127.0.0.1" if key.endswith("_BROKER_HOST") else self._moved(value, service)
            for key, value in service.environment.items()
        }
        ours = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONFAULTHANDLER": "1"}
        return ours | given

    def _identity(self, service: compose.Service, words: Sequence[str]) -> dict[str, Any]:
        """The container's user, where the tests may become one and it can reach the program."""
        if not AS_ROOT or (service.ours and not reachable(Path(sys.executable))):
            return {}
        assert words
        return {"user": service.uid, "group": service.gid, "extra_groups": []}

    # --- what the images do ---

    def start_influxdb(self) -> None:
        service = self.services["influxdb"]
        environment = service.environment
        assert environment.keys() == IMAGES["influxdb"]
        self.started.add("influxdb")
        user = environment["DOCKER_INFLUXDB_INIT_USERNAME"]
        self._inside(service)
        file = self._moved(environment["DOCKER_INFLUXDB_INIT_PASSWORD_FILE"], service)
        password = Path(file).read_text().strip()
        server = Influxd(self.volume("influxdb") / "1.12", user=user, password=password)
        server.port = self.ports["8086"]
        server.start()
        server.ask(f'DROP DATABASE "{server.database}"')  # the tests' own; ours is to be made
        self.influxd = server
        # 1.x has no operator token: the administrator is a user.
        for copy in ("influxdb/admin.token", "setup/influxdb-admin.token"):
            path = self.volume("secrets") / copy
            path.chmod(0o600)
            path.write_text(f"{user}:{password}\n")

    def start_postgres(self) -> None:
        service = self.services["postgres"]
        environment = service.environment
        assert environment.keys() == IMAGES["postgres"]
        self.started.add("postgres")
        self._inside(service)
        server = Postgres(self.volume("postgres"))
        assert environment["POSTGRES_USER"] == server.user
        assert environment["POSTGRES_DB"] == "ioc"
        file = self._moved(environment["POSTGRES_PASSWORD_FILE"], service)
        server.password = Path(file).read_text().strip()
        server.port = self.ports["5432"]
        server.start()
        self.postgres = server

    # --- the end ---

    def stop(self) -> None:
        """End everything, the last started first, as `docker compose down` does."""
        for name in reversed(list(self.running)):
            with contextlib.suppress(subprocess.TimeoutExpired):  # it is killed by then
                self.end(name)
        for server in (self.influxd, self.postgres):
            if server is not None:
                server.stop()

    def end(self, name: str) -> int:
        """End one service and return its exit code."""
        process = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # says where it is, see PYTHONFAULTHANDLER
            time.sleep(0.5)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise

    def everything_said(self) -> str:
        """All logs, the servers' own too."""
        parts = [path.read_text(errors="replace") for path in (self.root / "logs").iterdir()]
        servers = (self.influxd, self.postgres)
        return "\n".join([*parts, *(server.log_text() for server in servers if server)])


def reachable(program: Path) -> bool:
    """Whether users other than root get to a program, its library and our code."""
    places = [program.resolve(), Path(sys.prefix).resolve(), compose.CHECKOUT / "ioc"]
    return all(
        folder.stat().st_mode & 0o001 for place in places for folder in [place, *place.parents]
    )


def wait_until_it_answers(port: int, *, within_s: float = 20.0) -> None:
    """Return once something listens on a port of the loopback."""
    import socket

    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")
