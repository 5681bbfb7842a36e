"""New times and boots in messages that were made before: nothing else of them changes."""

from __future__ import annotations

import re
import secrets

from simulators.messages import Message

# A text within the payload cannot look like this: its quotes are escaped.
_STAMPS = re.compile(rb'"(ts|boot)":(\d{1,16})')


def draw_boot() -> int:
    """What to add to the boots of one run, drawn outside any seed: a second run of the same
    messages is then not taken for a repetition of the first."""
    return secrets.randbits(40) + 1


class Stamp:
    """Moves ``ts`` by ``shift_ms`` and ``boot`` by ``boot`` in every message, also in those that
    are no JSON as far as they can be read."""

    def __init__(self, *, boot: int, shift_ms: int = 0) -> None:
        self._add = {b"ts": shift_ms, b"boot": boot}

    def messages(self, messages: list[Message]) -> list[Message]:
        return [
            Message(topic, _STAMPS.sub(self._moved, payload), valid)
            for topic, payload, valid in messages
        ]

    def _moved(self, found: re.Match[bytes]) -> bytes:
        name, value = found.groups()
        return b'"%s":%d' % (name, max(int(value) + self._add[name], 0))
