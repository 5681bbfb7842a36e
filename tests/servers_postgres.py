"""A real PostgreSQL for tests, from Debian's package; see ``tests/servers.py``.

It refuses to run as root: where the tests do, it runs as its own user ``postgres``, in a folder of
that user's under the system's temporary folder (the tests' own folder is closed to it).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from tests.servers import START_WITHIN_S, Server, find_program

_DEBIAN = Path("/usr/lib/postgresql")


class Postgres(Server):
    """postgres with one empty database ``ioc``, reached over the loopback with a password."""

    program = "postgres"
    user: ClassVar[str] = "ioc"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.password = secrets.token_hex(8)
        self.data = folder / "data"

    @classmethod
    def find(cls) -> Path | None:
        return _program("postgres")

    @classmethod
    def missing(cls) -> str:
        if _program("postgres") is None or _program("initdb") is None:
            return "PostgreSQL is not installed (Debian: apt install postgresql)"
        if os.geteuid() == 0 and _own_user() is None:
            return "PostgreSQL does not run as root, and there is no user postgres"
        return ""

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the empty database."""
        return f"postgresql+psycopg://{self.user}:{self.password}@{self.host}:{self.port}/ioc"

    def identity(self) -> dict[str, Any]:
        user = _own_user()
        if user is None:
            return {}
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def arguments(self) -> list[str]:
        # Without fsync: what a test kills is the process, not the machine.
        return ["-D", str(self.data), "-F", "-h", self.host, "-p", str(self.port), "-k", ""]

    def write_config(self) -> None:
        if self.data.exists():
            return
        program = _program("initdb")
        assert program is not None, self.missing()
        user = _own_user()
        if user is not None:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as file:
            file.write(self.password)
            file.flush()
            if user is not None:
                os.chown(file.name, user.pw_uid, user.pw_gid)
            subprocess.run(
                [
                    str(program),
                    *("-D", str(self.data), "-U", self.user, "--pwfile", file.name),
                    *("-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"),
                ],
                check=True,
                capture_output=True,
                cwd=self.folder,
                **self.identity(),
            )

    def start(self) -> None:
        first = not self.data.exists()
        super().start()
        deadline = time.monotonic() + START_WITHIN_S
        while True:  # the port is open while it still recovers
            try:
                with self.connect("postgres") as connection:
                    if first:
                        connection.execute("CREATE DATABASE ioc")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, *, within_s: float = 10.0) -> None:
        if self.process is not None:
            # A fast shutdown: SIGTERM would wait until every client has gone.
            self.process.send_signal(signal.SIGINT)
        super().stop(within_s=within_s)

    def kill(self) -> None:
        """An immediate shutdown: kill -9 of the postmaster alone leaves its children behind."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        self.process = None

    def connect(self, database: str = "ioc") -> psycopg.Connection[Any]:
        """A connection beside the service, each statement committed by itself."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def empty(self) -> None:
        """Take out everything that a test left in the database."""
        with self.connect() as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")


@contextlib.contextmanager
def start_postgres() -> Iterator[Postgres]:
    """A running PostgreSQL with an empty database ``ioc``; ended by pid, its folder removed."""
    folder = Path(tempfile.mkdtemp(prefix="ioc-postgres-"))
    try:
        with Postgres(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path | None:
    """A program of the newest version that Debian has installed, or one on the path."""
    found = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return found[-1] if found else find_program(name)


def _own_user() -> pwd.struct_passwd | None:
    """PostgreSQL's user; None where the tests are not root and need none."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return None
