"""`ioc webhook`: the receiver, its line for a person, and the commands as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ioc.alarms.model import Impact
from ioc.clock import VirtualClock
from ioc.notify.keys import create_secret_file
from ioc.notify.payload import Notice, body
from ioc.notify.receiver import Received, Receiver, as_json, in_words
from ioc.notify.signing import Secret, sign
from tests.notify.parts import KEY, START_MS, alarm

START_S = START_MS // 1000


def message(firing: bool = True, **given: Any) -> bytes:
    notice = Notice(
        alarm=alarm(**given),
        firing=firing,
        impact=Impact(assets=41, stations=41),
        suppressed_alarms=371,
    )
    return body(notice, route="noc", group_key="noc/A1", console_url="http://c").encode()


def signed(raw: bytes, key: Secret = KEY, message_id: str = "msg_1") -> dict[str, str]:
    return sign([key], message_id=message_id, timestamp_s=START_S, body=raw)


def plain(received: Received, language: Any = "en") -> str:
    """The line without its time, which is in the machine's own zone."""
    return re.sub(
        r"^\d\d:\d\d:\d\d  ", "", "".join(t for t, _ in in_words(received, language=language))
    )


@contextmanager
def receiving(clock: VirtualClock, **given: Any) -> Iterator[tuple[Receiver, list[Received]]]:
    heard: list[Received] = []
    yield Receiver([KEY], clock=clock, tell=heard.append, **given), heard


async def test_a_good_one_a_repeat_and_forged_ones(clock: VirtualClock) -> None:
    with receiving(clock) as (receiver, heard):
        async with TestClient(TestServer(receiver.app())) as client:
            raw = message()
            for headers, status in (
                (signed(raw), 200),
                (signed(raw), 200),
                (signed(raw, message_id="msg_2"), 200),
                (signed(raw, key=Secret.new()), 401),
                (signed(raw + b" "), 401),
                ({}, 401),
            ):
                async with client.post("/any/path", data=raw, headers=headers) as answer:
                    assert answer.status == status
            async with client.get("/") as answer:
                assert answer.status == 405
            too_long = b"x" * 100_000
            async with client.post("/", data=too_long, headers=signed(too_long)) as answer:
                assert answer.status == 413
    assert [one.repeat for one in heard] == [False, True, False, False, False, False]
    assert [bool(one.fault) for one in heard] == [False, False, False, True, True, True]
    assert all(one.body is None for one in heard if one.fault)
    line = (
        "◆ critical      firing    NT-0412: Loss of signal · "
        "41 stations out of service, 371 alarms suppressed · signature ok"
    )
    assert plain(heard[0]) == line
    assert plain(heard[1]) == line + " · repeat"
    assert plain(heard[3]) == "SIGNATURE BAD: webhook-signature: no known key made it (msg_1)"
    assert plain(heard[5]) == "SIGNATURE BAD: no webhook-id header (no id)"
    assert json.loads(as_json(heard[1]))["repeat"] is True
    assert json.loads(as_json(heard[0]))["body"]["alerts"][0]["status"] == "firing"
    assert json.loads(as_json(heard[3])) | {"at_ms": 0, "fault": ""} == {
        "at_ms": 0,
        "id": "msg_1",
        "signature": "bad",
        "fault": "",
        "repeat": False,
        "body": None,
    }


async def test_a_replay_after_five_minutes_is_refused(clock: VirtualClock) -> None:
    with receiving(clock) as (receiver, heard):
        raw = message()
        headers = signed(raw)
        await clock.advance(301)
        async with (
            TestClient(TestServer(receiver.app())) as client,
            client.post("/", data=raw, headers=headers) as answer,
        ):
            assert answer.status == 401
    assert "301 s old" in heard[0].fault


async def test_the_answer_of_a_drill(clock: VirtualClock) -> None:
    with receiving(clock, status=503, retry_after_s=9) as (receiver, heard):
        raw = message()
        async with (
            TestClient(TestServer(receiver.app())) as client,
            client.post("/", data=raw, headers=signed(raw)) as answer,
        ):
            assert (answer.status, answer.headers["Retry-After"]) == (503, "9")
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("severity", "shape"),
    [("critical", "◆"), ("major", "▲"), ("minor", "■"), ("warning", "●"), ("indeterminate", "○")],
)
async def test_severity_has_a_shape_and_a_word(
    clock: VirtualClock, severity: str, shape: str
) -> None:
    line = plain(await heard_as(clock, message(severity=severity)))
    assert line.startswith(f"{shape} {severity} ")


async def heard_as(clock: VirtualClock, raw: bytes) -> Received:
    with receiving(clock) as (receiver, heard):
        async with (
            TestClient(TestServer(receiver.app())) as client,
            client.post("/", data=raw, headers=signed(raw)) as answer,
        ):
            assert answer.status == 200
    return heard[0]


async def test_a_line_in_vietnamese_of_a_cleared_alarm(clock: VirtualClock) -> None:
    one = await heard_as(clock, message(firing=False, state="cleared", cleared_ms=START_MS))
    assert plain(one, "vi") == (
        "◆ critical      resolved  NT-0412: Mất tín hiệu quang · "
        "41 trạm mất liên lạc, 371 cảnh báo con được ẩn · signature ok"
    )


async def test_nothing_received_steers_the_terminal(clock: VirtualClock) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\r\n[bold]x[/bold]"
    line = plain(await heard_as(clock, message(text_en=evil)))
    assert "\x1b" not in line
    assert "\x07" not in line
    assert "\n" not in line
    assert "[bold]x[/bold]" in line


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b"[1,2", b'{"version":"4"}'])
async def test_what_is_signed_but_not_an_alarm_is_said_so(clock: VirtualClock, raw: bytes) -> None:
    one = await heard_as(clock, raw)
    assert plain(one) == f"msg_1: not an alarm ({len(raw)} bytes) · signature ok"


def ioc(*words: str, **given: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ioc.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **given,
    )


@contextmanager
def listening(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ioc.cli", "webhook", "listen", "--port", "0", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://\S+?/", first)
        assert found, first
        yield found.group(), process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
def test_listen_and_send_test_as_a_user_runs_them(tmp_path: Path) -> None:
    key, wrong = tmp_path / "noc.key", tmp_path / "wrong.key"
    made = ioc("webhook", "secret", "new", str(wrong))
    assert made.returncode == 0
    assert wrong.stat().st_mode & 0o777 == 0o600
    assert wrong.read_text().strip()[6:] not in made.stdout + made.stderr
    again = ioc("webhook", "secret", "new", str(wrong))
    assert again.returncode == 1
    assert again.stderr == f"ioc: {wrong}: exists; a key is never overwritten\n"

    with listening("--secret-file", str(key), "--create-secret") as (url, process):
        assert key.stat().st_mode & 0o777 == 0o600
        assert process.stdout is not None
        sent = ioc("webhook", "send-test", url, "--secret-file", str(key))
        assert sent.returncode == 0, sent.stderr
        assert sent.stdout.startswith("taken: HTTP 200 in ")
        # The line is there at once, though the output is a pipe.
        assert process.stdout.readline()[10:] == (
            "● warning       firing    TEST: This is a test, there is no alarm. · signature ok\n"
        )
        refused = ioc("webhook", "send-test", url, "--secret-file", str(wrong))
        assert refused.returncode == 1
        assert "not taken: HTTP 401" in refused.stderr
        assert "SIGNATURE BAD" in process.stdout.readline()
        port = url.rsplit(":", 1)[1].strip("/")
        taken = ioc("webhook", "listen", "--secret-file", str(key), "--port", port)
        assert taken.returncode == 1
        assert taken.stderr == f"ioc: --port {port}: in use on 127.0.0.1; choose another\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_listen_for_a_drill_as_json(tmp_path: Path) -> None:
    key = tmp_path / "noc.key"
    create_secret_file(key)
    began = time.monotonic()
    with listening("--secret-file", str(key), "--json", "--status", "410") as (url, process):
        assert process.stdout is not None
        sent = ioc("webhook", "send-test", url, "--secret-file", str(key))
        assert (sent.returncode, "HTTP 410" in sent.stderr) == (1, True)
        heard = json.loads(process.stdout.readline())
        assert (heard["signature"], heard["repeat"]) == ("ok", False)
        assert heard["body"]["status"] == "firing"
    print(f"{time.monotonic() - began:.1f} s")


@pytest.mark.slow
@pytest.mark.parametrize("words", [("listen",), ("send-test",), ("secret", "new")])
def test_help_shows_an_example(words: tuple[str, ...]) -> None:
    shown = ioc("webhook", *words, "--help")
    assert shown.returncode == 0
    assert f"Example: ioc webhook {' '.join(words)}" in shown.stdout
