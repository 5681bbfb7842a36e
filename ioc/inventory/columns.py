"""The columns of an inventory as people exchange it, in CSV and as properties in GeoJSON.

One name, one meaning, in both forms and in both directions. A cell is text in CSV; in GeoJSON it
may be a number or true/false of its own.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Literal

from ioc.inventory.model import Attribute

Cell = str | int | float | bool | list[object] | dict[str, object] | None
For = Literal["site", "asset", "span"]

SITE = "site"
SPAN = "span"
# A column of this beginning is an attribute: attr.cells_5g
ATTRIBUTE = "attr."
MAX_NAME = 128
MAX_OPERATOR = 64
MAX_TEXT = 256
MAX_ATTRIBUTES = 32
MAX_DEPENDS_ON = 64
MAX_POPULATION = 10_000_000
MAX_LENGTH_KM = 10_000.0
# Beyond this an integer is not the same number in every program that reads JSON.
MAX_INTEGER = 2**53

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?\d[\d.]*,\d+")
# Unicode's control, line and paragraph separators.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class CellError(ValueError):
    """What was expected in a cell."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """``rows`` says which kinds of rows may fill it, ``needed`` which must."""

    name: str
    rows: tuple[For, ...]
    needed: tuple[For, ...] = ()


COLUMNS = (
    Column(name="kind", rows=("site", "asset", "span")),
    Column(name="id", rows=("site", "asset", "span"), needed=("site", "asset", "span")),
    Column(name="name", rows=("site", "asset", "span"), needed=("site", "asset", "span")),
    Column(name="commune", rows=("site", "asset", "span"), needed=("site",)),
    Column(name="lat", rows=("site", "asset", "span"), needed=("site",)),
    Column(name="lon", rows=("site", "asset", "span"), needed=("site",)),
    Column(name="core", rows=("site",)),
    Column(name="site", rows=("asset", "span"), needed=("asset", "span")),
    Column(name="far_site", rows=("span",), needed=("span",)),
    Column(name="length_km", rows=("span",), needed=("span",)),
    Column(name="operator", rows=("asset", "span")),
    Column(name="population", rows=("asset", "span")),
    Column(name="depends_on", rows=("asset", "span")),
    Column(name="simulated", rows=("asset", "span")),
    Column(name="synthetic", rows=("asset", "span")),
)
NAMES = tuple(column.name for column in COLUMNS)


def row_form(kind: str) -> For:
    """Which columns a row of this kind may fill."""
    return "site" if kind == SITE else "span" if kind == SPAN else "asset"


# Reading. Each raises ``CellError``; an empty cell does not come here.


def read_id(cell: Cell) -> str:
    text = _text(cell)
    if not ID.fullmatch(text):
        raise CellError("expected letters, digits, _ and -, at most 64")
    return text


def read_name(cell: Cell) -> str:
    return read_text(cell, most=MAX_NAME)


def read_text(cell: Cell, *, most: int) -> str:
    text = _text(cell)
    if len(text) > most:
        raise CellError(f"expected at most {most} characters, this has {len(text)}")
    if _CONTROL.search(text):
        raise CellError("expected one line of text, this has a line break or control character")
    return text


def read_number(cell: Cell, *, low: float, high: float, unit: str) -> float:
    """A finite decimal number with a point, from ``low`` to ``high``."""
    expected = f"expected a number of {unit} from {low:g} to {high:g}"
    if isinstance(cell, bool):
        raise CellError(expected)
    if isinstance(cell, int | float):
        number = float(cell)
    else:
        text = _text(cell)
        if _COMMA_NUMBER.fullmatch(text):
            with_point = text.replace(".", "").replace(",", ".")
            raise CellError(
                f"a decimal comma; expected a point: {with_point} (in a spreadsheet, set the "
                "language of numbers to English before saving as CSV)"
            )
        if not _NUMBER.fullmatch(text):
            raise CellError(f"{expected}, written like 12.2388")
        number = float(text)
    if not (math.isfinite(number) and low <= number <= high):
        raise CellError(expected)
    return number


def read_whole(cell: Cell, *, high: int, unit: str) -> int:
    """A whole number from 0 to ``high``; 12.0 counts as 12, as spreadsheets write it."""
    number = read_number(cell, low=0, high=high, unit=unit)
    if number != int(number):
        raise CellError(f"expected a whole number of {unit} from 0 to {high}")
    return int(number)


def read_flag(cell: Cell) -> bool:
    if isinstance(cell, bool):
        return cell
    text = _text(cell).lower()
    if text not in ("true", "false"):
        raise CellError("expected true or false")
    return text == "true"


def read_ids(cell: Cell) -> tuple[str, ...]:
    """Ids with spaces between them, or a list in GeoJSON."""
    parts = cell if isinstance(cell, list) else _text(cell).split()
    if len(parts) > MAX_DEPENDS_ON:
        raise CellError(f"expected at most {MAX_DEPENDS_ON} ids, these are {len(parts)}")
    try:
        return tuple(read_id(part if isinstance(part, str) else None) for part in parts)
    except CellError:
        raise CellError("expected ids with a space between them") from None


def read_attribute(cell: Cell) -> Attribute:
    """3 is a whole number, 3.0 a decimal one, true and false are flags, all else is text. Text that
    would be taken for one of these stands in quotes, as in JSON: "3"."""
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, int | float):
        return _checked_number(cell)
    if isinstance(cell, list | dict) or cell is None:
        raise CellError("expected a number, true, false or a text")
    return _checked_text(cell)


def read_attribute_text(cell: Cell) -> Attribute:
    """The same for CSV, where everything is text."""
    text = _text(cell)
    if text.startswith('"'):
        try:
            quoted = json.loads(text)
        except ValueError:
            quoted = None
        if not isinstance(quoted, str):
            raise CellError('expected text in quotes to be as in JSON: "3"')
        return _checked_text(quoted)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _WHOLE.fullmatch(text):
        return _checked_number(int(text))
    if _NUMBER.fullmatch(text):
        return _checked_number(float(text))
    if _COMMA_NUMBER.fullmatch(text):
        raise CellError(
            f"a decimal comma; expected a point: {text.replace('.', '').replace(',', '.')}, "
            "or quotes around a text"
        )
    return _checked_text(text)


def _checked_number(number: float) -> float:
    if isinstance(number, int) and abs(number) > MAX_INTEGER:
        raise CellError("expected a whole number of at most 2^53")
    if not math.isfinite(number):
        raise CellError("expected a finite number")
    return number


def _checked_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise CellError(f"expected at most {MAX_TEXT} characters, this has {len(text)}")
    if re.search(r"[\ud800-\udfff]", text):
        raise CellError("expected text, this has half a character")
    return text


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)  # 22366 where "22366" is meant
    raise CellError("expected a text")


# Writing: what the functions above read back as the same value.


def write_number(number: float) -> str:
    return repr(float(number))


def write_flag(flag: bool) -> str:
    return "true" if flag else "false"


def write_attribute(value: Attribute) -> str:
    if isinstance(value, bool):
        return write_flag(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return write_number(value)
    return value if _plain(value) else json.dumps(value, ensure_ascii=True)


def _plain(text: str) -> bool:
    """Whether a text is read back as itself without quotes."""
    try:
        return (
            text != ""
            and not _CONTROL.search(text)
            and type(read_attribute_text(text)) is str
            and read_attribute_text(text) == text
        )
    except CellError:
        return False
