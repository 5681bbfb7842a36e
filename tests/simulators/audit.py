"""A reader of publish logs that shares no code with what writes them (see docs/simulators.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Audit:
    """What a log says: payload hashes by (asset, boot, seq) of what was sent and acknowledged."""

    runs: int = 0
    torn: int = 0
    sent: dict[tuple[str, int, int], str] = field(default_factory=dict)
    acked: dict[tuple[str, int, int], str] = field(default_factory=dict)
    lines: list[tuple[str, int, int]] = field(default_factory=list)


def audit(path: Path) -> Audit:
    found = Audit()
    for line in path.read_bytes().split(b"\n"):
        if not line:
            continue
        try:
            said = json.loads(line)
        except ValueError:
            found.torn += 1
            continue
        if "format" in said:
            assert (said["format"], said["version"]) == ("ioc-publish-log", 1)
            found.runs += 1
            continue
        if said["boot"] is None:
            continue
        what = "sent" if "sent" in said else "acked"
        key = (said["asset"], said["boot"], said["seq"])
        getattr(found, what)[key] = said["sha256"]
        found.lines.append((what, said[what], said["at"]))
    return found
