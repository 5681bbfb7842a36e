"""One attempt at a real receiver, and when the next one is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from ioc.clock import VirtualClock
from ioc.notify.deliver import DELAYS_S, next_attempt_ms, post, retry_after_s
from ioc.notify.signing import verify
from tests.notify.parts import KEY, START_MS, Hook, eventually, route


async def test_what_is_sent(clock: VirtualClock, hook: Callable[..., Hook]) -> None:
    receiver = hook(204)
    outcome = await post(
        route(url=await receiver.start()), message_id="msg_1", body=b'{"a":1}', clock=clock
    )
    assert (outcome.verdict, outcome.status_code, outcome.error) == ("taken", 204, "")
    (taken,) = receiver.taken
    assert taken.raw == b'{"a":1}'
    assert taken.headers["content-type"] == "application/json"
    assert taken.headers["user-agent"].startswith("provincial-ioc/")
    now_s = START_MS / 1000
    assert verify([KEY], headers=taken.headers, body=taken.raw, now_s=now_s) == "msg_1"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        *((code, "taken") for code in (200, 201, 202, 204)),
        (410, "gone"),
        *((code, "refused") for code in (400, 413, 415, 422)),
        *((code, "retry") for code in (301, 302, 304, 401, 403, 404, 408, 409, 425, 429)),
        *((code, "retry") for code in (500, 502, 503, 504, 599)),
    ],
)
async def test_what_an_answer_means(
    answer: int, verdict: str, clock: VirtualClock, hook: Callable[..., Hook]
) -> None:
    receiver = hook(answer)
    outcome = await post(
        route(url=await receiver.start()), message_id="msg_1", body=b"{}", clock=clock
    )
    assert (outcome.verdict, outcome.status_code) == (verdict, answer)
    assert bool(outcome.error) == (verdict != "taken")


async def test_little_of_an_answer_is_read_and_shown(
    clock: VirtualClock, hook: Callable[..., Hook]
) -> None:
    receiver = hook(500)
    receiver.answer_body = b"\x1b[31mbroken\r\n " + b"x" * 5_000_000
    outcome = await post(
        route(url=await receiver.start()), message_id="msg_1", body=b"{}", clock=clock
    )
    assert outcome.error.startswith("HTTP 500: [31mbroken xxx")
    assert len(outcome.error) < 250


async def test_nobody_there(clock: VirtualClock, hook: Callable[..., Hook]) -> None:
    receiver = hook()
    url = await receiver.start()
    await receiver.close()
    outcome = await post(route(url=url), message_id="msg_1", body=b"{}", clock=clock)
    assert (outcome.verdict, outcome.status_code) == ("retry", None)
    assert "Connect" in outcome.error


async def test_a_receiver_that_says_nothing_is_left_after_the_routes_time(
    clock: VirtualClock, hook: Callable[..., Hook]
) -> None:
    receiver = hook()
    receiver.hold = asyncio.Event()
    attempt = asyncio.create_task(
        post(
            route(url=await receiver.start(), timeout_s=20),
            message_id="msg_1",
            body=b"{}",
            clock=clock,
        )
    )
    await eventually(lambda: len(receiver.taken) == 1)
    await clock.advance(19.9)
    assert not attempt.done()
    await clock.advance(0.2)
    outcome = await attempt
    assert (outcome.verdict, outcome.error) == ("retry", "no answer within 20 s")
    assert outcome.duration_ms == 20_000


@pytest.mark.parametrize(
    "greeting", [b"", b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n", b"\xff\n"]
)
async def test_a_connection_that_breaks_off_or_babbles(
    greeting: bytes, clock: VirtualClock
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await post(
            route(url=f"http://127.0.0.1:{port}/"), message_id="msg_1", body=b"{}", clock=clock
        )
    assert outcome.verdict == "retry"
    assert outcome.error


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 60, 999_999_999_999.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 07:02:00 +0700", 120.0),
        ("Thu, 99 Jan 2026 00:02:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_s(header, now_ms=START_MS) == seconds


def test_the_schedule_is_the_standards_with_jitter() -> None:
    assert DELAYS_S == (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    for seed in range(50):
        randomness = random.Random(seed)
        for attempts in range(1, 10):
            at_ms = next_attempt_ms(
                attempts=attempts, now_ms=START_MS, retry_after_s=None, randomness=randomness
            )
            assert at_ms is not None
            wanted = DELAYS_S[attempts]
            assert wanted * 900 <= at_ms - START_MS <= wanted * 1100
    tenth = next_attempt_ms(
        attempts=10, now_ms=START_MS, retry_after_s=60, randomness=random.Random(0)
    )
    assert tenth is None


@pytest.mark.parametrize(
    ("asked_s", "least_s", "most_s"), [(1, 4.5, 5.5), (60, 60, 60), (10**9, 86_400, 86_400)]
)
def test_retry_after_makes_the_pause_longer_up_to_a_day(
    asked_s: float, least_s: float, most_s: float
) -> None:
    at_ms = next_attempt_ms(
        attempts=1, now_ms=START_MS, retry_after_s=asked_s, randomness=random.Random(1)
    )
    assert at_ms is not None
    assert least_s * 1000 <= at_ms - START_MS <= most_s * 1000
