"""Words, marks and colours that every board shares with the console.

The colours of severity are those of Okabe and Ito, told apart by colour-blind eyes; a mark and a
word always stand beside them. What is well is grey.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ioc.store.derived import SEVERITY_RANK, STATE_CODE
from ioc.text import Text

# Greys that can be read on dark and light alike; "text" is the theme's own colour of text.
CALM = "#8b99a2"
CALM_STRONG = "text"
QUIET = "#5f6d77"
# Lines beside each other that mean nothing bad: told apart by lightness more than by hue.
LINES = ("text", "#7fa7c9", "#a38bb5", "#6f8f86", "#c2a878", "#8b99a2")


@dataclass(frozen=True, kw_only=True)
class Sign:
    """How something that is wrong, or is not, is written and coloured."""

    mark: str
    text: Text
    colour: str


SEVERITY: Mapping[str, Sign] = {
    "critical": Sign(mark="◆", text=Text(vi="nghiêm trọng", en="critical"), colour="#d55e00"),
    "major": Sign(mark="▲", text=Text(vi="nặng", en="major"), colour="#e69f00"),
    "minor": Sign(mark="■", text=Text(vi="nhẹ", en="minor"), colour="#f0e442"),
    "warning": Sign(mark="●", text=Text(vi="chú ý", en="warning"), colour="#56b4e9"),
    "indeterminate": Sign(
        mark="○", text=Text(vi="chưa xác định", en="indeterminate"), colour="#9aa4ab"
    ),
}
STATE: Mapping[str, Sign] = {
    "not_seen": Sign(mark="·", text=Text(vi="chưa thấy", en="not yet seen"), colour=QUIET),
    "up": Sign(mark="", text=Text(vi="bình thường", en="up"), colour=CALM),
    "degraded": Sign(mark="▲", text=Text(vi="suy giảm", en="degraded"), colour="#e69f00"),
    "down": Sign(mark="◆", text=Text(vi="ngừng", en="down"), colour="#d55e00"),
    "silent": Sign(mark="✕", text=Text(vi="mất liên lạc", en="silent"), colour="#cc79a7"),
}
assert SEVERITY.keys() == SEVERITY_RANK.keys()
assert STATE.keys() == STATE_CODE.keys()

# The catalog's values of enums are English words: what a person reads in their place.
VALUES: Mapping[str, Text] = {
    "mains": Text(vi="điện lưới", en="mains"),
    "genset": Text(vi="máy phát", en="genset"),
    "off": Text(vi="ngắt", en="off"),
}
YES, NO = Text(vi="có", en="yes"), Text(vi="không", en="no")
