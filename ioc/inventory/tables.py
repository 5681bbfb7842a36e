"""CSV and GeoJSON files as rows of named cells, not yet looked at.

What spreadsheets and map programs do to a file is either put up with (a byte-order mark, semicolons
or tabs, empty rows, parts of one) or named for what it is (a workbook, another encoding, metres
for degrees).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ioc.errors import FileError
from ioc.inventory.columns import ATTRIBUTE, ID, NAMES, Cell

# 10,200 stations with their sites and spans take about 5 MiB of CSV, 12 MiB of GeoJSON.
MAX_BYTES = 64 * 1024 * 1024
MAX_ROWS = 200_000
# More faults than a person mends in one go are counted, not listed.
MAX_FAULTS = 1000
SUFFIXES = (".csv", ".geojson", ".json")
MAX_CELL = 4096
# What QGIS adds by itself.
IGNORED = ("fid", "ogc_fid")

Position = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table, or one feature. ``line`` is its geometry's (longitude, latitude)
    positions: one of a point, the two ends of a line, none where it has none."""

    file: str
    number: int
    cells: dict[str, Cell]
    map_form: bool = False
    line: tuple[Position, ...] = ()

    @property
    def place(self) -> str:
        """How an error names the row: 1 is the header of a table, or the first feature."""
        return f"{self.file}: {'feature' if self.map_form else 'row'} {self.number}"


@dataclass(kw_only=True)
class Faults:
    """All that is wrong, in the order in which it was found."""

    found: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, text: str) -> None:
        if len(self.found) < MAX_FAULTS:
            self.found.append(text)
        else:
            self.more += 1

    def cell(self, row: Row, column: str, expected: str) -> None:
        """File, row, column, value and what was expected."""
        value = row.cells.get(column)
        shown = "empty" if value in (None, "") else _shown(value)
        self.add(f"{row.place}, column {column}: {shown}: {expected}")

    def check(self) -> None:
        """Raise ``FileError`` when there is any."""
        if self.found:
            rest = [f"and {self.more} more faults"] if self.more else []
            raise FileError([*self.found, *rest])


def _shown(value: Cell) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}…"


def read_rows(paths: Sequence[Path], faults: Faults) -> list[Row]:
    """The rows of all files; a folder stands for the tables in it. A file without a column
    ``kind`` has it by its name: ``bts.csv``."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES)
            if not inside:
                faults.add(f"{path}: no {', '.join(SUFFIXES)} file in this folder")
            files += inside
        else:
            files.append(path)
    rows: list[Row] = []
    left = MAX_BYTES
    for path in files:
        content = _read(path, faults, most=left)
        if content is None:
            continue
        left -= len(content)
        if path.suffix.lower() == ".csv":
            rows += _csv_rows(path, content, faults)
        else:
            rows += _features(path, content, faults)
        if len(rows) > MAX_ROWS:
            faults.add(f"{path}: more than {MAX_ROWS} rows in all, which is the most that is read")
            return []
    return rows


def _read(path: Path, faults: Faults, *, most: int) -> bytes | None:
    if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        faults.add(f"{path}: a workbook; save each sheet as “CSV UTF-8” and import that")
        return None
    if path.suffix.lower() not in SUFFIXES:
        faults.add(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")
        return None
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        faults.add(f"{path}: cannot be read: {error.strerror or error}")
        return None
    if len(content) > most:
        faults.add(f"{path}: more than {MAX_BYTES} bytes in all, which is the most that is read")
        return None
    return content


def _decoded(path: Path, content: bytes, faults: Faults) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content:
        faults.add(f"{path}: not UTF-8; in the spreadsheet, save as “CSV UTF-8”")
        return None
    if content.startswith(b"PK\x03\x04"):
        faults.add(f"{path}: a workbook under another name; save it as “CSV UTF-8”")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        faults.add(
            f"{path}: line {row}: byte 0x{content[error.start]:02x}: not UTF-8; in the "
            "spreadsheet, save as “CSV UTF-8”"
        )
        return None


# CSV


def _csv_rows(path: Path, content: bytes, faults: Faults) -> list[Row]:
    text = _decoded(path, content, faults)
    if text is None:
        return []
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    names: list[str] | None = None
    number = 0
    try:
        for number, line in enumerate(reader, start=1):
            if not any(cell.strip() for cell in line):
                continue
            if names is None:
                names = [cell.strip() for cell in line]
                if not _check_header(path, names, faults):
                    return []
                continue
            if any(cell.strip() for cell in line[len(names) :]):
                faults.add(
                    f"{path}: row {number}: {len(line)} cells, expected {len(names)} as the header "
                    "has (a text with the separator in it stands in quotes)"
                )
                continue
            if len(rows) > MAX_ROWS:
                break
            cells: dict[str, Cell] = {
                name: cell for name, cell in zip(names, line, strict=False) if cell.strip()
            }
            if too_long := [name for name, cell in cells.items() if len(str(cell)) > MAX_CELL]:
                faults.add(f"{path}: row {number}, column {too_long[0]}: a cell of more than 4 KiB")
                continue
            if "kind" not in names:
                cells["kind"] = path.stem
            rows.append(Row(file=str(path), number=number, cells=cells))
    except csv.Error as error:
        faults.add(f"{path}: row {number + 1}: not CSV: {error}")
    if names is None:
        faults.add(f"{path}: is empty, expected a header row with {', '.join(NAMES)}")
    return rows


def _check_header(path: Path, names: Sequence[str], faults: Faults) -> bool:
    wrong = False
    for number, name in enumerate(names, start=1):
        if name in names[: number - 1]:
            faults.add(f"{path}: row 1, column {number}: {name!r}: a second column of this name")
            wrong = True
        elif not _known(name):
            faults.add(f"{path}: row 1, column {number}: {name!r}: {_expected_names()}")
            wrong = True
    if "id" not in names:
        faults.add(f"{path}: row 1: no column 'id'; {_expected_names()}")
        wrong = True
    return not wrong


def _known(name: str) -> bool:
    if name.startswith(ATTRIBUTE):
        return ID.fullmatch(name.removeprefix(ATTRIBUTE)) is not None
    return name in NAMES


def _expected_names() -> str:
    return f"expected {', '.join(NAMES)}, or {ATTRIBUTE}NAME for an attribute"


# GeoJSON


def _features(path: Path, content: bytes, faults: Faults) -> list[Row]:
    text = _decoded(path, content, faults)
    if text is None:
        return []
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        faults.add(f"{path}: not JSON: {error}")
        return []
    features = found.get("features") if isinstance(found, dict) else None
    if not isinstance(features, list) or found.get("type") != "FeatureCollection":
        faults.add(f"{path}: expected a GeoJSON FeatureCollection")
        return []
    crs = json.dumps(found.get("crs"))
    if "crs" in found and found["crs"] is not None and not ("CRS84" in crs or "4326" in crs):
        faults.add(f"{path}: crs: {crs[:80]}: expected EPSG:4326 (WGS 84); export it so")
        return []
    rows = []
    for number, feature in enumerate(features[: MAX_ROWS + 1], start=1):
        row = _feature(path, number, feature, faults)
        if row is not None:
            rows.append(row)
    return rows


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def _feature(path: Path, number: int, feature: Any, faults: Faults) -> Row | None:
    place = f"{path}: feature {number}"
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict) or feature.get("type") != "Feature":
        faults.add(f"{place}: expected a Feature with properties")
        return None
    cells = {
        name: cell
        for name, cell in properties.items()
        if cell is not None and (cell != "" or name.startswith(ATTRIBUTE)) and name not in IGNORED
    }
    unknown = [name for name in cells if not _known(name)]
    for name in unknown:
        faults.add(f"{place}, column {name}: {_shown(cells[name])}: {_expected_names()}")
    line = _line(place, feature.get("geometry"), faults)
    if unknown or line is None:
        return None
    if "kind" not in properties:
        cells["kind"] = path.stem
    return Row(file=str(path), number=number, cells=cells, map_form=True, line=line)


def _line(place: str, geometry: Any, faults: Faults) -> tuple[Position, ...] | None:
    """The position of a point, the ends of a line; () for none, None for what cannot be used. Map
    programs write one part as several: a MultiPoint or MultiLineString of one."""
    if geometry is None:
        return ()
    kind, found = (
        (geometry.get("type"), geometry.get("coordinates"))
        if isinstance(geometry, dict)
        else (None, None)
    )
    if str(kind).startswith("Multi") and isinstance(found, list) and len(found) == 1:
        kind, found = str(kind).removeprefix("Multi"), found[0]
    points = [found] if kind == "Point" else found if kind == "LineString" else None
    if not isinstance(points, list) or not all(_is_position(point) for point in points):
        faults.add(f"{place}, geometry: {_shown(str(kind))}: expected one Point or one LineString")
        return None
    if kind == "LineString" and len(points) < 2:
        faults.add(f"{place}, geometry: a line of {len(points)} points: expected two or more")
        return None
    ends = [points[0]] if kind == "Point" else [points[0], points[-1]]
    for lon, lat, *_ in ends:
        if abs(lon) > 180 or abs(lat) > 90:
            faults.add(
                f"{place}, geometry: [{lon}, {lat}]: expected degrees, longitude first; this looks "
                "like metres (VN-2000?) or like latitude first: export in EPSG:4326"
            )
            return None
    return tuple((float(lon), float(lat)) for lon, lat, *_ in ends)


def _is_position(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) >= 2
        and all(isinstance(part, int | float) and not isinstance(part, bool) for part in point)
    )
