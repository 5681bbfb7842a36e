"""Files that hold signing keys: read, and made. No key is ever logged or shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ioc.errors import ConfigError
from ioc.notify.signing import Secret

# One key, the one before it, and room to move.
MOST_SECRETS = 4
MAX_FILE_BYTES = 4096


def create_secret_file(path: Path) -> Secret:
    """Make a new key and write it to a new file that only its owner may read (mode 0600).

    Raises ``ConfigError`` when the file exists or cannot be written.
    """
    secret = Secret.new()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret.reveal() + "\n")
    except FileExistsError as error:
        raise ConfigError(f"{path}: exists; a key is never overwritten") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    return secret


def read_secrets(paths: Sequence[Path]) -> tuple[Secret, ...]:
    """The signing keys of these files: one on each line, at most four in all.

    Warns of a file that others than its owner may read. Raises ``ConfigError`` naming the file.
    """
    secrets: list[Secret] = []
    for path in paths:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        except OSError as error:
            raise ConfigError(
                f"webhook secret {path}: cannot be read ({error.strerror})"
            ) from error
        if len(content) > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: more than {MAX_FILE_BYTES} bytes")
        for line in content.decode("utf-8", errors="replace").split():
            try:
                secrets.append(Secret.parse(line))
            except ConfigError as error:
                raise ConfigError(f"{path}: {error}") from error
        if mode & 0o077:
            # Imported for this alone: the receiver is a small process.
            import structlog

            log = structlog.get_logger()
            log.warning("secret file can be read by others", file=str(path), mode=f"{mode:04o}")
    if not 1 <= len(secrets) <= MOST_SECRETS:
        raise ConfigError(f"webhook secrets: {len(secrets)} keys, expected 1 to {MOST_SECRETS}")
    return tuple(secrets)
