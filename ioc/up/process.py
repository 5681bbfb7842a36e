"""One child process of the supervisor: started, watched, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ioc.clock import Clock

LOG_BYTES = 5 * 1024 * 1024
FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 30.0
SETTLED_AFTER_S = 60.0
GRACE_S = 10.0
TETHER = Path(__file__).with_name("tether.py")


@dataclass(kw_only=True)
class Child:
    """A command that must keep running while the supervisor does.

    Its output goes to ``log`` (rotated at 5 MiB, two kept) and line by line to ``on_line``. It is
    started again when it ends, after 0.5 s doubling to 30 s. ``stop`` asks with SIGTERM and ends it
    with SIGKILL after 10 s.
    """

    name: str
    argv: list[str]
    log: Path
    clock: Clock
    env: Mapping[str, str] = field(default_factory=dict)
    on_line: Callable[[str, str], None] = lambda _name, _line: None
    on_exit: Callable[[str, int], None] = lambda _name, _code: None
    restarts: int = 0
    process: asyncio.subprocess.Process | None = None
    _keeper: asyncio.Task[None] | None = None
    _stopping: bool = False

    async def start(self) -> None:
        """Start it, and keep it running until ``stop``."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"child-{self.name}")

    async def stop(self) -> None:
        """End it and wait until it is gone."""
        self._stopping = True
        process = self.process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), GRACE_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    def kill(self) -> None:
        """End it at once; the keeper starts it again."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)

    async def _spawn(self) -> None:
        # A group of its own: Ctrl-C reaches the supervisor alone, which ends the children in order.
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(TETHER),
            str(os.getpid()),
            *self.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def _keep(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        writer = _log_file(self.log)
        try:
            while True:
                began_s = self.clock.monotonic_s()
                assert self.process is not None
                await self._copy_output(self.process, writer)
                code = await self.process.wait()
                if self._stopping:
                    return
                self.on_exit(self.name, code)
                self.restarts += 1
                if self.clock.monotonic_s() - began_s > SETTLED_AFTER_S:
                    backoff_s = FIRST_BACKOFF_S
                await self.clock.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
                if self._stopping:
                    return
                await self._spawn()
        finally:
            writer.close()

    async def _copy_output(
        self, process: asyncio.subprocess.Process, writer: RotatingFileHandler
    ) -> None:
        assert process.stdout is not None
        while True:
            try:
                raw = await process.stdout.readline()
            except ValueError:  # a line longer than asyncio keeps: its rest follows
                continue
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip("\n")
            writer.emit(logging.makeLogRecord({"msg": line}))
            self.on_line(self.name, line)


def _log_file(path: Path) -> RotatingFileHandler:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8")
