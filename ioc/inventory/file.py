"""The inventory file: what ``ioc up``, the simulators and a person hand each other.

JSON: ``{"province": id, "sites": [...], "assets": [...]}``, one site or asset to a line, so that
two versions can be compared line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ioc.errors import FileError
from ioc.files import write_whole
from ioc.inventory.model import Asset, Identifier, Site

# 10,200 stations with their spans take about 12 MiB.
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FAULTS = 100


class InventoryFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of one inventory file."""

    province: Identifier
    sites: list[Site]
    assets: list[Asset]


class _Outline(msgspec.Struct, forbid_unknown_fields=True):
    """The file with its entries not looked at yet."""

    province: Identifier
    sites: list[msgspec.Raw]
    assets: list[msgspec.Raw]


def read_inventory(path: Path) -> InventoryFile:
    """Read one inventory file.

    Raises ``FileError`` with one line per wrong site or asset (at most 100), each naming the file
    and the field, when the file is absent, larger than 64 MiB, not JSON, or does not fit. An id
    given twice is a fault. Whether sites and kinds exist is ``Inventory.check``'s to say.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FileError([f"{path}: cannot be read: {error.strerror or error}"]) from error
    if len(content) > MAX_FILE_BYTES:
        raise FileError(
            [f"{path}: more than {MAX_FILE_BYTES} bytes, which is the most that is read"]
        )
    try:
        found = msgspec.json.decode(content, type=InventoryFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FileError(_faults(path, content, error)) from error
    repeated = [
        *_repeated(path, "sites", (site.id for site in found.sites)),
        *_repeated(path, "assets", (asset.id for asset in found.assets)),
    ]
    if repeated:
        raise FileError(repeated[:MAX_FAULTS])
    return found


def write_inventory(
    path: Path, *, province: str, sites: Iterable[Site], assets: Iterable[Asset]
) -> None:
    """Write an inventory file in one step: a reader sees the old content or the new, never half.

    The same inventory always gives the same bytes.
    """
    encode = msgspec.json.Encoder(order="deterministic").encode
    content = b"".join(
        (
            b'{"province":' + encode(province) + b',\n"sites":[\n',
            b",\n".join(encode(site) for site in sites),
            b'\n],\n"assets":[\n',
            b",\n".join(encode(asset) for asset in assets),
            b"\n]}\n",
        )
    )
    write_whole(path, content)


def _faults(path: Path, content: bytes, error: Exception) -> list[str]:
    """Every wrong entry, found one by one: the decoder stops at its first."""
    try:
        outline = msgspec.json.decode(content, type=_Outline)
    except msgspec.ValidationError as outline_error:
        return [_fault(path, "", outline_error)]
    except (msgspec.DecodeError, UnicodeDecodeError) as outline_error:
        return [f"{path}: not JSON: {outline_error}"]
    faults: list[str] = []
    for part, kind, entries in (("sites", Site, outline.sites), ("assets", Asset, outline.assets)):
        decoder = msgspec.json.Decoder(kind)
        for index, entry in enumerate(entries):
            try:
                decoder.decode(entry)
            except msgspec.DecodeError as entry_error:
                faults.append(_fault(path, f"{part}.{index}", entry_error))
                if len(faults) == MAX_FAULTS:
                    return faults
    return faults or [_fault(path, "", error)]


def _fault(path: Path, place: str, error: Exception) -> str:
    """``path: assets.3.lat: Expected `float` <= 90`` out of msgspec's "… - at `$.lat`"."""
    text, _, within = str(error).partition(" - at `$")
    steps = re.sub(r"\[(\w+)\]", r".\1", within.rstrip("`")).strip(".")
    field = ".".join(part for part in (place, steps) if part)
    return f"{path}: {field}: {text}" if field else f"{path}: {text}"


def _repeated(path: Path, part: str, ids: Iterable[str]) -> list[str]:
    first: dict[str, int] = {}
    return [
        f"{path}: {part}.{index}.id: {id_!r} is already {part}.{first[id_]}"
        for index, id_ in enumerate(ids)
        if first.setdefault(id_, index) != index
    ]
