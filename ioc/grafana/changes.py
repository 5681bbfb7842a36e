"""What has to be done to a Grafana so that it holds what is wanted, in the order it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ioc.errors import ConfigError
from ioc.grafana.compare import differences, has_secret, seen
from ioc.grafana.files import JSON, PREFIX, RECIPIENTS, RULES_FOLDER_UID, SYSTEM_MATCHER, Wanted
from ioc.grafana.server import Server

Action = Literal["create", "change", "remove", "write again"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One step. ``lines`` show what becomes different; "write again" is for what cannot be compared
    because Grafana does not give it out: it may be the same."""

    action: Action
    what: str
    lines: tuple[str, ...] = ()
    do: Callable[[], object]

    @property
    def differs(self) -> bool:
        return self.action != "write again"


def changes(wanted: Wanted, server: Server) -> Iterator[Change]:
    """The steps, each found out when its turn has come: take one, do it, take the next.

    Without doing them the rest is found as far as it does not hang on what is missing. Raises
    ``GrafanaError``, and ``ConfigError`` where boards would have no data source.
    """
    wanted = wanted.for_version(server.version())
    yield from _folders(wanted, server)
    yield from _source(wanted, server)
    yield from _boards(wanted, server)
    if wanted.policy is not None:
        yield from _timings(wanted, server)
        yield from _points(wanted, server)
        yield from _policies(wanted.policy, server)
    yield from _rules(wanted, server)
    if wanted.policy is not None:
        yield from _points_left_over(wanted, server)


def _folders(wanted: Wanted, server: Server) -> Iterator[Change]:
    for uid, title in wanted.folders.items():
        found = server.folder(uid)
        write = partial(server.write_folder, uid, title, exists=found is not None)
        yield from _change(f"folder {uid}", {"title": title}, found, write)


def _source(wanted: Wanted, server: Server) -> Iterator[Change]:
    source = wanted.source
    if source is None:
        uid = "ioc-influxdb"
        if server.source(uid) is None:
            raise ConfigError(
                f"{server.url}: there is no data source {uid}, which all boards ask; make it with "
                "--influx-url, or by hand (docs/grafana.md)"
            )
        return
    found = server.source(source["uid"])
    kept = found or {}
    write = partial(server.write_source, source, exists=found is not None)
    has = kept.get("secureJsonFields", {})
    shown = kept | {"secureJsonData": {name: "[REDACTED]" for name in has if has[name]}}
    yield from _change(f"data source {source['uid']}", source, shown if found else None, write)


def _boards(wanted: Wanted, server: Server) -> Iterator[Change]:
    for folder, boards in wanted.boards.items():
        for board in boards:
            write = partial(server.write_board, folder, board)
            found = server.board(board["uid"])
            theirs = None if found is None else {"folder": found[0], "board": found[1]}
            ours = {"folder": folder, "board": board}
            yield from _change(f"board {board['uid']}", ours, theirs, write)
        if server.folder(folder) is None:
            continue
        known = {board["uid"] for board in boards}
        for uid in server.boards_in(folder):
            if uid.startswith(PREFIX) and uid not in known:
                yield Change(
                    action="remove", what=f"board {uid}", do=partial(server.remove_board, uid)
                )


def _timings(wanted: Wanted, server: Server) -> Iterator[Change]:
    theirs = {timing["name"]: timing for timing in server.timings()}
    for timing in wanted.timings:
        found = theirs.get(timing["name"])
        write = partial(server.write_timing, timing, exists=found is not None)
        yield from _change(f"mute timing {timing['name']}", timing, found, write)


def _points(wanted: Wanted, server: Server) -> Iterator[Change]:
    theirs = {point["uid"]: point for point in server.points()}
    for point in wanted.points:
        found = theirs.get(point["uid"])
        write = partial(server.write_point, point, exists=found is not None)
        yield from _change(f"contact point {point['uid']}", point, found, write)


def _points_left_over(wanted: Wanted, server: Server) -> Iterator[Change]:
    """Nobody is told beside the service any more."""
    if any(point["uid"] == RECIPIENTS for point in wanted.points):
        return
    if any(point["uid"] == RECIPIENTS for point in server.points()):
        remove = partial(server.remove_point, RECIPIENTS)
        yield Change(action="remove", what=f"contact point {RECIPIENTS}", do=remove)


def _policies(branch: JSON, server: Server) -> Iterator[Change]:
    """Our branch in their tree, first of all: the rest of the tree stays as it is."""
    tree = server.policies()
    routes: list[JSON] = list(tree.get("routes") or [])
    places = [
        place
        for place, route in enumerate(routes)
        if SYSTEM_MATCHER in (route.get("object_matchers") or [])
    ]
    found = routes[places[0]] if places else None
    others = [route for place, route in enumerate(routes) if place not in places]
    write = partial(server.write_policies, tree | {"routes": [branch, *others]})
    yield from _change("notification policy for system = ioc", branch, found, write)


def _rules(wanted: Wanted, server: Server) -> Iterator[Change]:
    theirs = {rule["uid"]: rule for rule in server.rules()}
    ours = set()
    for name, (interval_s, rules) in wanted.groups.items():
        for rule in rules:
            ours.add(rule["uid"])
            found = theirs.get(rule["uid"])
            write = partial(server.write_rule, rule, exists=found is not None)
            yield from _change(f"alert rule {rule['uid']}", rule, found, write)
        yield from _interval(name, interval_s, server)
    for uid, rule in theirs.items():
        if uid.startswith(PREFIX) and uid not in ours and rule["folderUID"] == RULES_FOLDER_UID:
            remove = partial(server.remove_rule, uid)
            yield Change(action="remove", what=f"alert rule {uid}", do=remove)


def _interval(name: str, interval_s: int, server: Server) -> Iterator[Change]:
    """How often a group is evaluated; its rules are as they are by now."""
    group = server.group(RULES_FOLDER_UID, name)
    ours = {"interval": interval_s}

    def write() -> None:
        now = server.group(RULES_FOLDER_UID, name) or {"title": name}
        server.write_group(RULES_FOLDER_UID, name, now | ours)

    yield from _change(f"rule group {name}", ours, group, write)


def _change(what: str, ours: Any, theirs: Any | None, do: Callable[[], object]) -> Iterator[Change]:
    if theirs is None:
        yield Change(action="create", what=what, do=do)
        return
    lines = differences(ours, theirs)
    if lines:
        yield Change(action="change", what=what, lines=tuple(lines), do=do)
    elif has_secret(ours, seen(theirs, theirs)):
        yield Change(action="write again", what=what, do=do)
