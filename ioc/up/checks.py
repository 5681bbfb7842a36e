"""What must hold before anything starts; each fault is one line that says what to do."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ioc.errors import ConfigError, InUseError

MIN_FREE_BYTES = 1024**3


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make ``folder`` if need be and hold it: a second instance on the same data is refused.

    Raises ``ConfigError`` when it cannot be written or its disk is nearly full, ``InUseError`` when
    another process holds it.
    """
    try:
        # Telemetry and alarms are nobody else's on this machine.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"--data-dir {folder}: cannot be written ({error.strerror}); "
            "choose another with --data-dir"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            raise InUseError(
                f"--data-dir {folder}: already in use by process {holder}; "
                "stop it, or choose another folder with --data-dir"
            ) from error
        free = shutil.disk_usage(folder).free
        if free < MIN_FREE_BYTES:
            raise ConfigError(
                f"--data-dir {folder}: {free // 2**20} MiB free, at least "
                f"{MIN_FREE_BYTES // 2**20} MiB are needed"
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def check_port(option: str, host: str, port: int) -> None:
    """Raise ``InUseError`` naming the option when nothing can listen on the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.getaddrinfo(host, port, family)
    except OSError as error:
        raise ConfigError(f"{option.replace('port', 'bind')} {host}: is no address here") from error
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise InUseError(
            f"{option} {port}: cannot be used on {host} ({error.strerror}); "
            f"stop what holds it, or choose another with {option}"
        ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
