"""A child is watched, started again, ended; with real processes.

Time windows: everything within 10 s.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from ioc.clock import SystemClock
from ioc.up.process import TETHER, Child
from tests.acceptance.demo import eventually


def child(tmp_path: Path, program: str, lines: list[str]) -> Child:
    return Child(
        name="child",
        argv=[sys.executable, "-c", program],
        log=tmp_path / "logs" / "child.log",
        clock=SystemClock(),
        on_line=lambda _name, line: lines.append(line),
    )


async def wait_for(lines: list[str], text: str) -> None:
    await asyncio.to_thread(
        eventually, lambda: any(text in line for line in lines), within_s=10, what=text
    )


async def test_output_is_shown_and_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    one = child(tmp_path, "import time; print('Trạm BTS'); time.sleep(60)", lines)
    await one.start()
    await wait_for(lines, "Trạm BTS")
    await one.stop()
    assert "Trạm BTS" in one.log.read_text(encoding="utf-8")


async def test_a_child_that_was_killed_is_started_again(tmp_path: Path) -> None:
    lines: list[str] = []
    one = child(tmp_path, "import os, time; print('pid', os.getpid()); time.sleep(60)", lines)
    await one.start()
    await wait_for(lines, "pid")
    one.kill()
    await asyncio.to_thread(eventually, lambda: len(lines) > 1, within_s=10, what="again")
    assert one.restarts == 1
    assert lines[0] != lines[1]
    await one.stop()
    assert not psutil.pid_exists(int(lines[1].split()[1]))


async def test_a_line_without_an_end_does_not_hold_it_up(tmp_path: Path) -> None:
    lines: list[str] = []
    program = "import time; print('x' * 300_000); print('after'); time.sleep(60)"
    one = child(tmp_path, program, lines)
    await one.start()
    await wait_for(lines, "after")
    await one.stop()


def test_the_command_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    # A parent that starts a tethered child and waits for ever.
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys\n"
            f"subprocess.Popen([sys.executable, {str(TETHER)!r}, str(os.getpid()), sys.executable,"
            f" '-c', \"import os, time; open({str(told)!r}, 'w').write(str(os.getpid()));"
            ' time.sleep(60)"]).wait()',
        ]
    )
    pid = int(eventually(lambda: told.exists() and told.read_text(), within_s=10, what="pid") or 0)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    eventually(lambda: not psutil.pid_exists(pid), within_s=10, what="the child is gone")
