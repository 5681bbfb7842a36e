"""What is in a journal's file, counted without the service's help but for the form of a row."""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.faults.publisher import Key


def journaled(folder: Path) -> Counter[Key]:
    """How often each (asset, boot, seq) is in the journal in ``folder``."""
    found: Counter[Key] = Counter()
    path = folder / "journal.db"
    if not path.exists():
        return found
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entry'").fetchone():
            return found  # just being made
        for (content,) in connection.execute("SELECT content FROM entry ORDER BY id"):
            plain = zlib.decompress(content) if content[:1] == b"x" else content
            record = msgspec.msgpack.decode(plain)
            if record[0] == "B":
                for item in record[1]:
                    assert item[0] == "r"
                    found[(item[2], item[7], item[8])] += 1
    finally:
        connection.close()
    return found


def faults(acknowledged: Iterable[Key], found: Counter[Key]) -> tuple[set[Key], set[Key]]:
    """What was lost, and what is there more than once."""
    return (
        {key for key in acknowledged if not found[key]},
        {key for key, count in found.items() if count > 1},
    )
