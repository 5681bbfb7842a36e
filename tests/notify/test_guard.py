"""No request goes where it must not."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from ioc.clock import VirtualClock
from ioc.notify.deliver import post
from ioc.notify.guard import is_public
from tests.notify.parts import Hook, route

PRIVATE = [
    "127.0.0.1",
    "127.255.0.9",
    "0.0.0.0",  # an address to be refused
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "169.254.169.254",  # a cloud's metadata
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "203.162.4.191", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.1.2.3",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",  # an address to be refused
        "0x7f.1",
        "169.254.169.254",
    ],
)
async def test_a_private_address_is_refused_before_anything_is_sent(
    host: str, clock: VirtualClock, hook: Callable[..., Hook]
) -> None:
    receiver = hook()
    port = (await receiver.start()).split(":")[2].split("/")[0]
    outcome = await post(
        route(url=f"http://{host}:{port}/", allow_private=False),
        message_id="msg_1",
        body=b"{}",
        clock=clock,
    )
    assert outcome.verdict == "refused"
    assert "is not a public address" in outcome.error
    assert "allow_private: true in route noc" in outcome.error
    assert receiver.taken == []


async def test_an_address_written_as_one_number_reaches_nobody(
    clock: VirtualClock, hook: Callable[..., Hook]
) -> None:
    receiver = hook()
    url = (await receiver.start()).replace("127.0.0.1", "2130706433")
    outcome = await post(
        route(url=url, allow_private=False), message_id="msg_1", body=b"{}", clock=clock
    )
    assert outcome.verdict in ("refused", "retry")
    assert receiver.taken == []


async def test_allow_private_lets_it_through(
    clock: VirtualClock, hook: Callable[..., Hook]
) -> None:
    receiver = hook()
    url = (await receiver.start()).replace("127.0.0.1", "localhost")
    outcome = await post(route(url=url), message_id="msg_1", body=b"{}", clock=clock)
    assert (outcome.verdict, outcome.status_code) == ("taken", 200)


async def test_a_name_that_changes_its_mind_is_judged_by_the_address_connected_to(
    clock: VirtualClock, hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when somebody looks first, loopback when the connection is made."""
    receiver = hook()
    port = int((await receiver.start()).split(":")[2].split("/")[0])
    answers = iter(["203.0.113.7", "127.0.0.1", "127.0.0.1"])
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = (next(answers), port)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    socket.getaddrinfo("rebind.example", port)
    outcome = await post(
        route(url=f"http://rebind.example:{port}/", allow_private=False),
        message_id="msg_1",
        body=b"{}",
        clock=clock,
    )
    assert asked == ["rebind.example"] * 2
    assert outcome.verdict == "refused"
    assert receiver.taken == []


async def test_a_name_with_public_and_private_addresses_is_not_given_up(
    clock: VirtualClock, hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = hook()
    port = int((await receiver.start()).split(":")[2].split("/")[0])

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in ("203.162.4.191", "127.0.0.1")
        ]

    def no_network(*_: Any) -> socket.socket:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("ioc.notify.guard.socket.socket", no_network)
    outcome = await post(
        route(url=f"http://both.example:{port}/", allow_private=False),
        message_id="msg_1",
        body=b"{}",
        clock=clock,
    )
    monkeypatch.undo()
    assert outcome.verdict == "retry"
    assert receiver.taken == []


async def test_a_redirect_into_a_private_network_is_not_followed(
    clock: VirtualClock, hook: Callable[..., Hook]
) -> None:
    inside, outside = hook(), hook(307)
    outside.extra = {"Location": await inside.start()}
    outcome = await post(
        route(url=await outside.start()), message_id="msg_1", body=b"{}", clock=clock
    )
    assert (outcome.verdict, outcome.status_code) == ("retry", 307)
    assert "not followed" in outcome.error
    assert inside.taken == []


async def test_a_name_that_does_not_resolve_is_tried_again(clock: VirtualClock) -> None:
    outcome = await post(
        route(url="http://nowhere.invalid/", allow_private=False),
        message_id="msg_1",
        body=b"{}",
        clock=clock,
    )
    assert outcome.verdict == "retry"
    assert "nowhere.invalid" in outcome.error
