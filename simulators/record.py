"""Recorded runs: JSON lines, compressed where the file's name ends in ``.gz``.

The first line says what the run was: ``{"format": "ioc-record", "version": 1, …}``. Each further
line is one message: ``{"at": …, "topic": "…", "payload": {…}}``, ``at`` in Unix ms of simulated
time, the payload byte for byte as it is sent; a payload that is no JSON stands as
``"base64": "…"``. Nothing in a file depends on the machine, the clock or the speed of the run.
"""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import msgspec

from ioc.errors import FileError
from simulators.messages import Message

FORMAT, VERSION = "ioc-record", 1
# Fast, and still a tenth of the size.
_LEVEL = 1
_MAX_LINE_BYTES = 1024 * 1024
_BUFFER_BYTES = 1024 * 1024


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a recorded run was. Enough to make it again with the same version of the project."""

    format: str = FORMAT
    version: int = VERSION
    province: str
    scenario: str
    seed: int
    start_ms: int
    interval_s: float
    assets: int


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    at: int
    topic: str
    payload: msgspec.Raw = msgspec.Raw(b"")
    base64: str = ""


class Recorded(msgspec.Struct, frozen=True):
    """One message of a recorded run and when it was sent (Unix ms, simulated time)."""

    at: int
    message: Message


class Recorder:
    """Writes one file. Use as a context manager; not reusable."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.messages = 0
        try:
            self._raw = path.open("wb")
        except OSError as error:
            raise FileError([f"{path}: cannot be written: {error.strerror or error}"]) from error
        # No name and no time in it: the same run gives the same bytes.
        self._file: IO[bytes] = self._raw
        if path.suffix == ".gz":
            packed = gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0)
            self._file = io.BufferedWriter(packed, _BUFFER_BYTES)
        self._file.write(msgspec.json.encode(header) + b"\n")

    def write(self, messages: Iterable[Message], at_ms: int) -> None:
        """Add messages that are sent at one time, in order."""
        begin = b'{"at":%d,"topic":"' % at_ms
        lines = []
        for topic, payload, valid in messages:
            lines.append(begin)
            lines.append(topic.encode())
            if valid:
                lines += (b'","payload":', payload, b"}\n")
            else:
                lines += (b'","base64":"', base64.b64encode(payload), b'"}\n')
            self.messages += 1
        self._file.write(b"".join(lines))

    def close(self) -> None:
        self._file.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Record:
    """One recorded run, read line by line. ``messages`` can be iterated more than once."""

    def __init__(self, path: Path) -> None:
        """Raises ``FileError`` when the file cannot be read or is no recorded run."""
        self.path = path
        with self._open() as file:
            try:
                first = file.readline(_MAX_LINE_BYTES)
                self.header = msgspec.json.decode(first, type=Header)
            except (msgspec.DecodeError, UnicodeDecodeError, OSError, EOFError) as error:
                raise FileError([f"{path}:1: not a recorded run: {error}"]) from error
        if (self.header.format, self.header.version) != (FORMAT, VERSION):
            raise FileError(
                [
                    f"{path}:1: format {self.header.format!r} version {self.header.version}, "
                    f"expected {FORMAT!r} version {VERSION}"
                ]
            )

    def messages(self) -> Iterator[Recorded]:
        """All messages in order. Raises ``FileError`` naming the line that is none."""
        decode = msgspec.json.Decoder(_Line).decode
        number = 1
        with self._open() as file:
            try:
                file.readline(_MAX_LINE_BYTES)
                while content := file.readline(_MAX_LINE_BYTES):
                    number += 1
                    line = decode(content)
                    raw = bytes(line.payload)
                    if raw:
                        yield Recorded(line.at, Message(line.topic, raw))
                    else:
                        payload = base64.b64decode(line.base64, validate=True)
                        yield Recorded(line.at, Message(line.topic, payload, valid=False))
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
                raise FileError([f"{self.path}:{number}: not a message: {error}"]) from error
            except (OSError, EOFError) as error:
                raise FileError([f"{self.path}:{number}: cannot be read on: {error}"]) from error

    def _open(self) -> IO[bytes]:
        try:
            if self.path.suffix == ".gz":
                return cast("IO[bytes]", gzip.open(self.path))
            return self.path.open("rb")
        except OSError as error:
            said = error.strerror or error
            raise FileError([f"{self.path}: cannot be read: {said}"]) from error
