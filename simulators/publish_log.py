"""The publish log: what was sent and what the broker acknowledged, for whoever audits a run.

JSON lines. Each run begins with ``{"format": "ioc-publish-log", "version": 1, "run": "…",
"at": …}``. Then, in the order of events:

- ``{"sent": n, "at": …, "topic": "…", "asset": "…", "boot": …, "seq": …, "sha256": "…"}``: on disk
  before message ``n`` of this run leaves; once more each time it is sent again. ``boot`` and
  ``seq`` are null where a message has none, ``sha256`` is that of the payload.
- ``{"acked": n, …the same}``: the broker's PUBACK for it came; on disk before anything is sent
  that was not already on its way.

``at`` is Unix ms of this machine. A line that does not end or does not parse is one that a crash
tore: nothing of its batch left.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import threading
import time
from collections import deque
from pathlib import Path

import msgspec

from ioc.errors import FileError
from simulators.messages import Message

FORMAT, VERSION = "ioc-publish-log", 1
_BOOT, _SEQ = re.compile(rb'"boot":(\d{1,16})'), re.compile(rb'"seq":(\d{1,16})')
_encode = msgspec.json.Encoder().encode


class PublishLog:
    """One log file; a run adds to what is there. Lines wait until ``commit``.

    Belongs to one event loop; more lines may come while ``commit`` writes in a thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        self._lines: deque[bytes] = deque()
        self._writing = threading.Lock()
        self._about: dict[int, bytes] = {}
        try:
            self._file = path.open("ab", buffering=0)
            if self._file.tell() and _last_byte(path) != b"\n":
                self._file.write(b"\n")  # a line that a crash tore stays visible as such
        except OSError as error:
            raise _failed(path, error) from error
        run = {"format": FORMAT, "version": VERSION, "run": secrets.token_hex(8), "at": _now_ms()}
        self._lines.append(_encode(run) + b"\n")

    @property
    def pending(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._lines)

    def sent(self, number: int, message: Message) -> None:
        """Message ``number`` is about to leave."""
        about = self._about.get(number)
        if about is None:
            about = self._about[number] = _about(message)
        self._lines.append(b'{"sent":%d,"at":%d,%b\n' % (number, _now_ms(), about))

    def acked(self, number: int) -> None:
        """Its PUBACK came."""
        about = self._about.pop(number)
        self._lines.append(b'{"acked":%d,"at":%d,%b\n' % (number, _now_ms(), about))

    async def commit(self) -> None:
        """Return once everything noted so far is on disk.

        Raises ``FileError`` when it cannot be: nothing may be sent then.
        """
        await asyncio.to_thread(self._write)

    def _write(self) -> None:
        # A commit that was cancelled may not have begun, or still be writing in its thread: its
        # lines are taken here, one commit at a time.
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            content = memoryview(b"".join(lines))
            try:
                while content:
                    content = content[self._file.write(content) :]
                os.fsync(self._file.fileno())
            except OSError as error:
                raise _failed(self.path, error) from error
            self.commits += 1

    def close(self) -> None:
        """Commit what is left and close. Can be called more than once."""
        if not self._file.closed:
            try:
                self._write()
            finally:
                self._file.close()


def _about(message: Message) -> bytes:
    """Everything of a line that is the same whenever the message is sent."""
    boot, seq = _BOOT.search(message.payload), _SEQ.search(message.payload)
    parts = message.topic.split("/")
    about = {
        "topic": message.topic,
        "asset": parts[4] if len(parts) == 6 else "",
        "boot": int(boot[1]) if boot else None,
        "seq": int(seq[1]) if seq else None,
        "sha256": hashlib.sha256(message.payload).hexdigest(),
    }
    return _encode(about)[1:]


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _failed(path: Path, error: OSError) -> FileError:
    reason = error.strerror or error
    return FileError([f"{path}: the publish log cannot be written: {reason}; nothing more is sent"])
