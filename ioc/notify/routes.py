"""Who is told of which alarms, where, and signed with which keys.

A routes file lists receivers::

    routes:
      - name: noc
        url: https://noc.example.vn/hooks/ioc
        secret_file: /run/secrets/noc        # or secret_files: [new, old], while keys rotate
        match: {severities: [critical, major], kinds: [bts, span]}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ioc.alarms.model import Alarm, Severity
from ioc.errors import ConfigError, FileError
from ioc.files import read_yaml
from ioc.notify.keys import MOST_SECRETS, read_secrets
from ioc.notify.signing import Secret

MAX_URL_LENGTH = 2048


def check_url(url: str) -> str:
    """The URL itself when a webhook can be sent there; ``ValueError`` says why not."""
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"{len(url)} characters, at most {MAX_URL_LENGTH}")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("expected http:// or https://")
    if not parts.hostname:
        raise ValueError("names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or password; webhooks are signed instead (secret_file)")
    if parts.fragment:
        raise ValueError("a fragment (#…) is never sent")
    _ = parts.port  # raises ValueError for one that is out of range
    return url


class Match(BaseModel):
    """Which alarms a route is told of. An empty list lets all through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severities: tuple[Severity, ...] = ()
    kinds: tuple[str, ...] = ()
    communes: tuple[str, ...] = ()

    def fits(self, alarm: Alarm) -> bool:
        return (
            (not self.severities or alarm.severity in self.severities)
            and (not self.kinds or alarm.kind in self.kinds)
            and (not self.communes or alarm.commune in self.communes)
        )


class RouteEntry(BaseModel):
    """One route as it is written in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    url: Annotated[str, AfterValidator(check_url)]
    secret_file: Path | None = None
    secret_files: tuple[Path, ...] = Field(default=(), max_length=MOST_SECRETS)
    match: Match = Match()
    send_resolved: bool = True
    allow_private: bool = False
    timeout_s: float = Field(default=15.0, ge=1, le=30)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.secret_file is None) == (not self.secret_files):
            raise ValueError("give secret_file or secret_files")
        return self

    @property
    def all_secret_files(self) -> tuple[Path, ...]:
        return self.secret_files if self.secret_file is None else (self.secret_file,)


class RoutesFile(BaseModel):
    """A routes file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    routes: tuple[RouteEntry, ...] = Field(max_length=100)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [route.name for route in self.routes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"routes: name given twice: {', '.join(twice)}")
        return self


@dataclass(frozen=True, kw_only=True)
class Route:
    """One receiver, ready to be used.

    ``secrets`` are all used to sign, so that a receiver accepts the old and the new key while they
    rotate. ``allow_private`` lets requests go into private networks and to this machine itself.
    ``timeout_s`` is for one whole attempt. A route is known by its name: renaming it makes a new
    one that has been told of nothing yet.
    """

    name: str
    url: str
    secrets: tuple[Secret, ...]
    match: Match = field(default_factory=Match)
    send_resolved: bool = True
    allow_private: bool = False
    timeout_s: float = 15.0


def load_routes(path: Path | None) -> tuple[Route, ...]:
    """The routes of a file, with their secrets; none without a file. Paths in it are relative to
    its folder.

    Raises ``FileError`` or ``ConfigError`` naming every fault, never a secret.
    """
    if path is None:
        return ()
    entries = read_yaml(path, RoutesFile).routes
    routes: list[Route] = []
    faults: list[str] = []
    for entry in entries:
        try:
            secrets = read_secrets([path.parent / file for file in entry.all_secret_files])
        except ConfigError as error:
            faults.append(f"{path}: route {entry.name}: {error}")
            continue
        routes.append(
            Route(
                name=entry.name,
                url=entry.url,
                secrets=secrets,
                match=entry.match,
                send_resolved=entry.send_resolved,
                allow_private=entry.allow_private,
                timeout_s=entry.timeout_s,
            )
        )
    if faults:
        raise FileError(faults)
    return tuple(routes)


def webhook_route(
    url: str, secret_file: Path, *, name: str = "webhook", allow_private: bool = False
) -> Route:
    """The route of ``--webhook URL --webhook-secret-file F``: every alarm, with its clear.

    A caller whose user typed the URL on this machine may set ``allow_private``. Raises
    ``ConfigError``.
    """
    try:
        check_url(url)
    except ValueError as error:
        raise ConfigError(f"--webhook {url}: {error}") from error
    return Route(
        name=name, url=url, secrets=read_secrets([secret_file]), allow_private=allow_private
    )
