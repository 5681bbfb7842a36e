"""What a board asks, filled in as Grafana fills it in: of its JSON alone.

Grafana puts the times of the board, the width of a bucket and the values of variables into the text
of a query. This does the same, and refuses what Grafana would leave standing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = str | Sequence[str]
ALL = "$__all"

_VARIABLE = re.compile(
    r"\$\{(?P<braced>\w+)(?::(?P<format>[\w:]+))?\}|\$(?P<bare>\w+)|\[\[(?P<square>\w+)\]\]"
)
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One query of a board. ``place`` says where it stands, ``table`` how its answer is read."""

    place: str
    text: str
    table: bool


@dataclass(frozen=True, kw_only=True)
class Times:
    """The board's times and the bucket that a panel of its width would get."""

    from_ms: int
    to_ms: int
    bucket: str = "1m"


def fill_in(text: str, times: Times, variables: Mapping[str, Value] | None = None) -> str:
    """The text that InfluxDB gets. A list of several values is an alternative in a pattern.

    Raises ``KeyError`` for a variable that has no value: Grafana would send it as it stands.
    """
    own: dict[str, Value] = {
        "timeFilter": f"time >= {times.from_ms}ms and time <= {times.to_ms}ms",
        "__interval": times.bucket,
        "__from": str(times.from_ms),
        "__to": str(times.to_ms),
    }
    known = {**own, **(variables or {})}

    def put(match: re.Match[str]) -> str:
        name = match["braced"] or match["bare"] or match["square"]
        if name not in known:
            raise KeyError(f"{match[0]} in {text!r}: no variable of this name")
        return _formatted(known[name], match["format"] or "")

    return _VARIABLE.sub(put, text)


def _formatted(value: Value, form: str) -> str:
    values = [value] if isinstance(value, str) else list(value)
    if form == "raw" or form == "":
        return values[0] if len(values) == 1 else "{" + ",".join(values) + "}"
    if form == "regex":
        # A custom "all" value (a pattern) goes in as it is.
        escaped = [one if one == ".*" else _SPECIAL.sub(r"\\\g<0>", one) for one in values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    if form == "queryparam":
        raise ValueError("queryparam belongs in a link, not in a query")
    raise ValueError(f"format {form!r}: not known here")


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels, those of folded rows too; rows themselves are left out."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def asked(board: Mapping[str, Any]) -> Iterator[Asked]:
    """Every query of a board: of its panels, its variables and its annotations."""
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield Asked(
                place=f"{board['uid']}: {panel['title']} ({target['refId']})",
                text=target["query"],
                table=target["resultFormat"] == "table",
            )
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            place = f"{board['uid']}: variable {variable['name']}"
            yield Asked(place=place, text=variable["query"], table=True)
    for annotation in board["annotations"]["list"]:
        place = f"{board['uid']}: annotation {annotation['name']}"
        yield Asked(place=place, text=annotation["target"]["query"], table=True)


def chosen(board: Mapping[str, Any], found: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """The values of a board's variables when it is opened.

    ``found`` is what InfluxDB answered for query variables: the first one is chosen where the
    variable does not start with all of them.
    """
    values: dict[str, Value] = {}
    for variable in board["templating"]["list"]:
        name, current = variable["name"], variable.get("current", {}).get("value", "")
        if current in (ALL, [ALL]):
            options = found.get(name) or [option["value"] for option in variable.get("options", [])]
            values[name] = variable.get("allValue") or [one for one in options if one != ALL]
        elif variable["type"] == "query" and not current:
            values[name] = found[name][0] if found.get(name) else ""
        else:
            values[name] = current
    return values
