"""What `ioc up` does when it is started wrongly, told to stop, or killed.

Time windows: ready within 60 s, stopped within 30 s, orphans gone within 10 s.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.demo import Demo, eventually

pytestmark = pytest.mark.slow
SMALL = ("--scale", "0.02", "--no-demo-incident")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Demo]:
    """A province of the test's own, which it may kill."""
    demo = Demo(tmp_path, *SMALL)
    yield demo
    demo.stop(signal.SIGKILL)


def refused(demo: Demo, *options: str) -> str:
    """What `ioc up` says when it refuses to start: one line, exit code 1."""
    done = subprocess.run(
        demo.command(*SMALL, *options), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def gone(processes: list[psutil.Process]) -> bool:
    return not [
        process
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.parametrize("option", ["--http-port", "--mqtt-port"])
def test_a_taken_port_is_named(tmp_path: Path, option: str) -> None:
    demo = Demo(tmp_path)
    port = demo.http_port if option == "--http-port" else demo.mqtt_port
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        said = refused(demo)
    assert f"{option} {port}" in said
    assert "choose another" in said


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demo.data_dir = Path("/proc/no-such-folder")  # not even root can write there
    assert "--data-dir /proc/no-such-folder: cannot be written" in refused(demo)


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refused(Demo(tmp_path), "--webhook", "http://127.0.0.1:9", "--webhook-secret-file", "/x")
    assert "--webhook-secret-file /x: cannot be read" in said


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    assert "--mqtt-bind 300.1.1.1: is no address" in refused(
        Demo(tmp_path), "--mqtt-bind", "300.1.1.1"
    )


def test_a_service_that_cannot_start_is_not_started_for_ever(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    key = tmp_path / "key"
    key.write_text("no key")
    said = refused(demo, "--webhook", "http://127.0.0.1:9", "--webhook-secret-file", str(key))
    assert "service: ended before it was ready" in said
    assert str(key) in said


def test_data_of_another_scale_is_not_taken_for_this_one(own: Demo) -> None:
    own.options = (*SMALL, "--seconds", "0")
    own.start()
    assert own.process is not None
    own.process.wait(30)
    assert "was made with --scale 0.02" in refused(own, "--scale", "0.5")


def test_a_second_instance_is_refused_and_the_first_goes_on(own: Demo) -> None:
    own.start()
    other = Demo(own.folder, *SMALL)
    other.data_dir = own.data_dir
    assert own.process is not None
    assert f"already in use by process {own.process.pid}" in refused(other)
    assert own.api("/readyz", token="")["ready"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_leaves_nothing_behind(own: Demo, number: signal.Signals) -> None:
    own.start()
    family = own.family()
    assert len(family) >= 5  # supervisor, broker, receiver, service, simulators
    assert own.stop(number) == 0
    assert gone(family)


def test_killed_it_leaves_nothing_behind_and_the_next_goes_on_with_its_data(own: Demo) -> None:
    own.start()
    stored = eventually(
        lambda: list(own.api("/api/v1/assets?kind=bts&state=up&limit=5")["items"]),
        within_s=30,
        what="stations up",
    )
    family = own.family()
    os.kill(family[0].pid, signal.SIGKILL)
    eventually(lambda: gone(family), within_s=10, what="all processes gone")
    token = (own.data_dir / "admin.token").read_text()
    own.stop(signal.SIGKILL)

    own.lines.clear()
    own.start()
    assert (own.data_dir / "admin.token").read_text() == token
    again = own.api(f"/api/v1/assets/{stored[0]['id']}")
    assert again["last_seen_ms"] >= stored[0]["last_seen_ms"]


def test_it_stops_by_itself_when_its_seconds_are_over(own: Demo) -> None:
    own.options = (*SMALL, "--seconds", "2")
    own.start()
    family = own.family()
    assert own.process is not None
    assert own.process.wait(30) == 0
    assert gone(family)
