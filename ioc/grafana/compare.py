"""What differs between ours and theirs, for people to read."""

from __future__ import annotations

import difflib
from typing import Any

import yaml

from ioc.grafana.files import seconds

# Grafana gives no secret out; it says that it has one.
REDACTED = "[REDACTED]"
DURATIONS = frozenset({"for", "group_wait", "group_interval", "repeat_interval"})
SHOWN_LINES = 16


def seen(ours: Any, theirs: Any) -> Any:
    """Theirs as far as we have a say in it: what ours does not name is left out, and what says the
    same in other words (a duration, a secret that is not shown) is in ours."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        # What is empty or false Grafana leaves out, or says null.
        return {
            key: _same(key, value, theirs.get(key))
            for key, value in ours.items()
            if key in theirs or not value
        }
    if isinstance(ours, list) and isinstance(theirs, list):
        paired = [seen(one, other) for one, other in zip(ours, theirs, strict=False)]
        return paired + theirs[len(paired) :]
    if isinstance(ours, int | float) and not isinstance(ours, bool) and ours == theirs:
        return ours  # 30.0 and 30
    return ours if theirs == REDACTED else theirs


def differences(ours: Any, theirs: Any) -> list[str]:
    """A short unified difference; empty where there is none."""
    visible = seen(ours, theirs)
    if visible == ours:
        return []
    lines = list(difflib.unified_diff(_lines(visible), _lines(ours), lineterm="", n=1))[2:]
    if len(lines) > SHOWN_LINES:
        left = len(lines) - SHOWN_LINES
        return [*lines[:SHOWN_LINES], f"… {left} more lines"]
    return lines


def has_secret(ours: Any, theirs: Any) -> bool:
    """Whether something in ours cannot be compared, for it is not shown."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return any(has_secret(value, theirs.get(key)) for key, value in ours.items())
    return bool(theirs == REDACTED)


def _same(key: str, ours: Any, theirs: Any) -> Any:
    if key in DURATIONS:
        try:
            return ours if seconds(ours) == seconds(theirs) else theirs
        except ValueError:
            return theirs
    if not ours and theirs is None:
        return ours
    return seen(ours, theirs)


def _lines(content: Any) -> list[str]:
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=True, width=200)
    return text.splitlines()
