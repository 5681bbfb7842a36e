"""Puts the built console into the wheel, where there is one (docs/adr/0001)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface[Any]):
    """Run by hatchling before it writes the wheel; an editable install needs no copy."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        built = Path(self.root) / "console" / "dist"
        if version == "standard" and (built / "index.html").is_file():
            build_data["force_include"][str(built)] = "ioc/_data/console"
