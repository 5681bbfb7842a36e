"""Files for one reader each: written whole, with their owner, before anybody else can open them."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ioc.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A user and a group, by number."""

    uid: int
    gid: int


def parse_owner(text: str) -> Owner:
    """An owner as "70", "70:70", "postgres" or "postgres:postgres"; without a group the user's own,
    or the group of the same number.

    Raises ``ConfigError`` for a name that this machine does not know.
    """
    user, _, group = text.partition(":")
    try:
        if user.isdigit():
            uid = int(user)
            gid = uid
        else:
            entry = pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
        if group:
            gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise ConfigError(f"owner {text!r}: {error.args[0]!s}") from error
    return Owner(uid=uid, gid=gid)


class Keeper:
    """Writes files and folders for their readers.

    Root gives each to its reader. Anybody else cannot give files away: then all belong to whoever
    runs this, and nobody but them reads one.
    """

    def __init__(self, owners: Mapping[str, Owner]) -> None:
        self._owners = owners
        self.gives = os.geteuid() == 0

    def owner(self, reader: str) -> Owner:
        """Whom files of a reader belong to. Raises ``ConfigError`` for an unknown reader."""
        try:
            return self._owners[reader]
        except KeyError:
            known = ", ".join(sorted(self._owners))
            raise ConfigError(f"reader {reader!r}: expected one of {known}") from None

    def folder(self, path: Path, reader: str) -> None:
        """A folder that others than its reader's group may pass through but not list."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o751 if self.gives else 0o700)
        if self.gives:
            os.chown(path, 0, self.owner(reader).gid)

    def give_folder(self, path: Path, reader: str) -> None:
        """Make a folder and hand it over: what is in it is its reader's own business. One that is
        not root's belongs to somebody already, and is left to them."""
        owner = self.owner(reader)
        path.mkdir(parents=True, exist_ok=True)
        if self.gives and path.stat().st_uid == 0:
            os.chown(path, owner.uid, owner.gid)

    def write(self, path: Path, content: str, reader: str) -> None:
        """A file that its reader may read and nobody change. Whoever has the old one open keeps
        it; there is no moment without one."""
        owner = self.owner(reader) if self.gives else None
        write_private(path, content, mode=0o400 if self.gives else 0o600, owner=owner)

    def leave_empty(self, path: Path, *, writer: str, reader: str) -> None:
        """A file that ``writer`` is going to fill for ``reader``; one that is there is kept."""
        if path.exists():
            return
        owner = Owner(uid=self.owner(writer).uid, gid=self.owner(reader).gid)
        mode = 0o640 if self.gives else 0o600
        write_private(path, "", mode=mode, owner=owner if self.gives else None)


def write_private(path: Path, content: str, *, mode: int, owner: Owner | None = None) -> None:
    """Write a file in one step. Raises ``ConfigError`` when it cannot be."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content.encode())
            os.fchmod(file.fileno(), mode)
            if owner is not None:
                # Last: what was given away cannot be changed any more.
                os.fchown(file.fileno(), owner.uid, owner.gid)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
