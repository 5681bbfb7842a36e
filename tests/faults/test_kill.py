"""Promise 1: what the broker got a PUBACK for is in the journal, exactly once, through kill -9.

Each test counts by itself what was published and compares it with the journal's file. The negative
control acknowledges before it commits, under the same conditions: the count must find its losses.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.faults.audit import faults, journaled
from tests.faults.publisher import Publisher
from tests.servers import Server

ROOT = Path(__file__).parents[2]
KILLS = 4
PER_S = 300


class Victim:
    """The ingest process, started and killed again and again."""

    def __init__(self, folder: Path, broker: Server, *, early: bool) -> None:
        self.folder = folder / "journal"
        self._output = folder / "output"
        self._command = [
            *(sys.executable, "-m", "tests.faults.ingest_process"),
            *(str(self.folder), str(broker.port)),
            *(["--early"] if early else []),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )

    def until_admitting(self, *, within_s: float = 30) -> None:
        deadline = time.monotonic() + within_s
        while b"admitted" not in self._output.read_bytes():
            assert self._process is not None
            assert self._process.poll() is None, self._output.read_text()
            assert time.monotonic() < deadline, self._output.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def subscribed(victim: Victim, publisher: Publisher) -> int:
    """Start, and return how many were published before the subscription: those reach nobody."""
    victim.start()
    deadline = time.monotonic() + 30
    while not journaled(victim.folder):
        assert time.monotonic() < deadline, "nothing admitted"
        publisher.send(1)
        time.sleep(0.1)
    publisher.wait()
    return len(publisher.sent)


def killed_under_load(tmp_path: Path, broker: Server, *, early: bool) -> tuple[int, int, int]:
    """How many were acknowledged to the publisher, lost, and admitted twice."""
    dice = random.Random(7)
    victim = Victim(tmp_path, broker, early=early)
    with Publisher(broker.port) as publisher:
        try:
            before_load = subscribed(victim, publisher)
            done = threading.Event()

            def publish() -> None:
                while not done.is_set():
                    publisher.send(30, per_s=PER_S)

            load = threading.Thread(target=publish, daemon=True)
            load.start()
            for _ in range(KILLS):
                victim.until_admitting()
                time.sleep(dice.uniform(0.15, 0.5))
                victim.kill()
                victim.start()
            done.set()
            load.join()
            publisher.wait()
            expected = publisher.acknowledged & set(publisher.sent[before_load:])
            # The broker sends again what was not acknowledged; then nothing comes any more.
            deadline = time.monotonic() + 20
            before = -1
            while time.monotonic() < deadline:
                found = journaled(victim.folder)
                if not faults(expected, found)[0]:
                    break
                if early and len(found) == before:
                    break
                before = len(found)
                time.sleep(2.5 if early else 0.2)
            # A moment for what would be admitted twice.
            time.sleep(0.5)
        finally:
            victim.kill()
    lost, twice = faults(expected, journaled(victim.folder))
    return len(expected), len(lost), len(twice)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path, broker: Server) -> None:
    published, lost, twice = killed_under_load(tmp_path, broker, early=False)
    print(f"{published} published, {KILLS} kills: {lost} lost, {twice} twice")
    assert published > KILLS * 50
    assert (lost, twice) == (0, 0)


@pytest.mark.slow
def test_negative_control_acknowledging_early_loses_and_is_found_out(
    tmp_path: Path, broker: Server
) -> None:
    published, lost, _ = killed_under_load(tmp_path, broker, early=True)
    print(f"{published} published, {KILLS} kills, acknowledged early: {lost} lost")
    assert published > KILLS * 50
    assert lost > 0
