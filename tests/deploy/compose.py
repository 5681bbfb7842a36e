"""docker-compose.yml as `docker compose` reads it: variables filled in, keys merged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

CHECKOUT = Path(__file__).parents[2]
FILE = CHECKOUT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^{}]*))?\}|(\$\$)|(\$)")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """What is mounted where. ``source`` is the name of a volume, or a path of this machine."""

    source: str | Path
    target: PurePosixPath
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, as it would be started."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    uid: int
    gid: int
    profiles: tuple[str, ...]
    healthcheck: tuple[str, ...]
    ports: tuple[str, ...]
    depends_on: Mapping[str, str]
    raw: Mapping[str, Any]

    @property
    def ours(self) -> bool:
        return self.image.startswith("provincial-ioc:")


def dot_env(path: Path = CHECKOUT / ".env") -> dict[str, str]:
    """The variables that compose takes from the file beside docker-compose.yml."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """``${NAME}`` and ``${NAME:-default}``, the forms this project uses. Any other is an error."""

    def fill(found: re.Match[str]) -> str:
        if found[3]:
            return "$"
        assert not found[4], f"a lone $ in {text!r}"
        value = variables.get(found[1], "")
        return value or (found[2] or "")

    return _VARIABLE.sub(fill, text)


def read(variables: Mapping[str, str] | None = None) -> dict[str, Service]:
    """All services, with ``variables`` beside those of .env."""
    return {name: _service(name, content) for name, content in raw(variables)["services"].items()}


def raw(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The whole file, filled in."""
    given = {**dot_env(), **(variables or {})}

    def fill(node: Any) -> Any:
        if isinstance(node, str):
            return interpolate(node, given)
        if isinstance(node, dict):
            return {name: fill(value) for name, value in node.items()}
        if isinstance(node, list):
            return [fill(value) for value in node]
        return node

    return dict(fill(yaml.safe_load(FILE.read_text())))


def _service(name: str, content: Mapping[str, Any]) -> Service:
    uid, _, gid = str(content["user"]).partition(":")
    return Service(
        name=name,
        image=content["image"],
        command=tuple(content.get("command", ())),
        environment=dict(content.get("environment", {})),
        mounts=tuple(map(_mount, content["volumes"])),
        uid=int(uid),
        gid=int(gid),
        profiles=tuple(content.get("profiles", ())),
        healthcheck=tuple(content.get("healthcheck", {}).get("test", ())),
        ports=tuple(content.get("ports", ())),
        depends_on={k: v["condition"] for k, v in content.get("depends_on", {}).items()},
        raw=content,
    )


def _mount(text: str) -> Mount:
    source, target, *mode = text.split(":")
    return Mount(
        source=CHECKOUT / source if source.startswith((".", "/")) else source,
        target=PurePosixPath(target),
        read_only=mode == ["ro"],
    )
