"""The embedded broker's configuration: loopback without a password, anything else with one."""

from __future__ import annotations

import stat
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from ioc.clock import SystemClock
from ioc.network import is_loopback
from ioc.up.broker import plan_broker
from ioc.up.process import Child
from tests.acceptance.demo import eventually
from tests.servers import free_port


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("ioc", False)],
)
def test_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


def test_loopback_needs_no_password(tmp_path: Path) -> None:
    plan = plan_broker(folder=tmp_path / "broker", bind="127.0.0.1", port=1883)
    assert plan.password_file is None
    assert not (tmp_path / "mqtt.password").exists()


def test_the_password_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = plan_broker(folder=tmp_path / "broker", bind="0.0.0.0", port=1883)
    assert first.password_file is not None
    password = first.password_file.read_text()
    assert len(password.strip()) >= 32
    assert stat.S_IMODE(first.password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "broker" / "nats.conf").stat().st_mode) == 0o600
    plan_broker(folder=tmp_path / "broker", bind="0.0.0.0", port=1883)
    assert first.password_file.read_text() == password


def connect(port: int, password: str | None) -> str:
    """How the broker answers a connection: the reason's name."""
    answers: list[str] = []

    def answered(
        _client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _props: object
    ) -> None:
        answers.append(str(code))

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = answered
    if password is not None:
        client.username_pw_set("ioc", password)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        return eventually(lambda: answers and answers[0], within_s=5, what="CONNACK") or ""
    finally:
        client.disconnect()
        client.loop_stop()


async def test_beyond_loopback_the_broker_refuses_who_has_no_password(tmp_path: Path) -> None:
    import asyncio

    plan = plan_broker(folder=tmp_path / "broker", bind="0.0.0.0", port=free_port())
    assert plan.password_file is not None
    broker = Child(
        name="broker", argv=plan.argv, env=plan.env, log=tmp_path / "log", clock=SystemClock()
    )
    await broker.start()
    try:
        password = plan.password_file.read_text().strip()
        await asyncio.to_thread(eventually, lambda: answers_at(plan.port), within_s=10, what="up")
        assert await asyncio.to_thread(connect, plan.port, password) == "Success"
        assert await asyncio.to_thread(connect, plan.port, None) != "Success"
        assert await asyncio.to_thread(connect, plan.port, "guess") != "Success"
    finally:
        await broker.stop()


def answers_at(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
