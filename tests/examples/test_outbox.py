"""The way to the broker, with real brokers: nothing is lost while it is away, and it is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import re
import ssl
import subprocess
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from examples.ups_snmp.config import Broker
from examples.ups_snmp.outbox import Message, Outbox
from ioc.clock import SystemClock
from tests.servers import Mosquitto, Nats, Server, find_program, free_port

PAGE = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")
STATUS = "ioc/v1/khanh-hoa/_gateway/GW/status"
TOPIC = "ioc/v1/khanh-hoa/_gateway/GW/telemetry"
ALARM = "ioc/v1/khanh-hoa/ups/UPS-1/alarm"


def outbox_to(port: int, **bounds: int) -> Outbox:
    return Outbox(
        Broker(port=port), status_topic=STATUS, client_id="gw", clock=SystemClock(), **bounds
    )


@contextlib.asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(outbox.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], object]) -> None:
    """Return once it holds; fail after half a minute."""
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within 30 s")


class Listener:
    """Keeps what the broker says, retained messages included."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._news = asyncio.Condition()

    async def run(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            async with self._news:
                self.heard.append((str(message.topic), message.payload, message.retain))
                self._news.notify_all()

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for heard, payload, _ in self.heard if heard == topic]

    async def until(self, holds: Callable[[], object], *, within_s: float = 20) -> None:
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(lambda: bool(holds()))


@contextlib.asynccontextmanager
async def listening(port: int, **options: object) -> AsyncIterator[Listener]:
    listener = Listener()
    async with aiomqtt.Client("127.0.0.1", port, **options) as client:  # type: ignore[arg-type]  # options of one test
        await client.subscribe("ioc/#", qos=1)
        task = asyncio.create_task(listener.run(client))
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


BROKERS = [
    pytest.param(
        server,
        id=server.program,
        marks=pytest.mark.skipif(bool(server.missing()), reason=server.missing()),
    )
    for server in (Nats, Mosquitto)
]


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server: Server = request.param(tmp_path / "broker")
    with server:
        yield server


def online(payload: bytes) -> bool:
    return bool(json.loads(payload)["online"])


async def test_the_status_is_retained_and_ends_as_the_run_ends(broker: Server) -> None:
    async with listening(broker.port) as listener, running(outbox_to(broker.port)):
        await listener.until(lambda: listener.payloads(STATUS))
        assert online(listener.payloads(STATUS)[-1])
    # NATS keeps what is retained a moment after its PUBACK.
    for _ in range(20):
        async with listening(broker.port) as later:
            with contextlib.suppress(TimeoutError):
                await later.until(lambda heard=later.heard: heard, within_s=1)  # type: ignore[misc]  # bound now
        if later.heard and not online(later.heard[0][1]):
            break
    topic, payload, retained = later.heard[0]
    assert (topic, online(payload), retained) == (STATUS, False, True)


async def test_what_waits_when_it_ends_is_still_sent(broker: Server) -> None:
    async with listening(broker.port) as listener:
        outbox = outbox_to(broker.port)
        async with running(outbox):
            await listener.until(lambda: listener.payloads(STATUS))
            outbox.put_alarm(Message(ALARM, b'{"alarm_id": "last"}'))
        await listener.until(lambda: listener.payloads(ALARM))
        assert not outbox.waiting


class Forgetful(Outbox):
    """Its cancellation comes with the broker's answer, and is forgotten, as Python 3.11 does it."""

    async def _say_status(self, client: aiomqtt.Client, *, online: bool) -> None:
        await super()._say_status(client, online=online)
        task = asyncio.current_task()
        if online and task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)


async def test_it_ends_when_it_was_told_to_while_the_broker_answered(broker: Server) -> None:
    where = Broker(port=broker.port)
    outbox = Forgetful(where, status_topic=STATUS, client_id="gw", clock=SystemClock())
    outbox.put_alarm(Message(ALARM, b"{}"))
    running = asyncio.create_task(outbox.run())
    done, _ = await asyncio.wait([running], timeout=20)
    running.cancel()
    assert done, "it went on"
    assert running.cancelled()
    assert not outbox.waiting, "what waited was sent all the same"


async def test_nothing_is_lost_while_the_broker_is_away(broker: Server) -> None:
    outbox = outbox_to(broker.port)
    payloads = [f"[{number}]".encode() for number in range(60)]
    async with running(outbox):
        async with listening(broker.port) as listener:
            for payload in payloads[:30]:
                outbox.put_telemetry(Message(TOPIC, payload))
            await listener.until(lambda: len(listener.payloads(TOPIC)) == 30)
            assert listener.payloads(TOPIC) == payloads[:30], "in order"
        broker.kill()
        for payload in payloads[30:]:
            outbox.put_telemetry(Message(TOPIC, payload))
        outbox.put_alarm(Message(ALARM, b"{}"))
        assert outbox.waiting == 31
        broker.start()
        # Before it is subscribed again, the broker keeps nothing: what counts is the PUBACK.
        await until(lambda: not outbox.waiting)
    assert (outbox.dropped_telemetry, outbox.dropped_alarms) == (0, 0)


def test_when_too_much_waits_the_oldest_readings_go_and_alarms_stay() -> None:
    outbox = outbox_to(free_port(), max_telemetry_bytes=100)
    outbox.put_alarm(Message(ALARM, b"{}"))
    for number in range(30):
        outbox.put_telemetry(Message(TOPIC, b"%010d" % number))
    assert outbox.waiting == 11
    assert outbox.dropped_telemetry == 20
    assert [message.payload for message in outbox._telemetry] == [
        b"%010d" % number for number in range(20, 30)
    ]


def test_alarms_are_bounded_too_and_the_loss_is_counted() -> None:
    outbox = outbox_to(free_port(), max_alarms=5)
    for number in range(7):
        outbox.put_alarm(Message(ALARM, b"%d" % number))
    assert (outbox.waiting, outbox.dropped_alarms) == (5, 2)


# ── TLS and a password ───────────────────────────────────────────────────────


def certificate(folder: Path) -> None:
    """A certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab broker")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class SecuredMosquitto(Mosquitto):
    """Set as docs/connect.md says: TLS, users with passwords, access rules."""

    def write_config(self) -> None:
        certificate(self.folder)
        config, acl = re.findall(r"```mosquitto(?:-acl)?\n(.*?)```", PAGE, re.DOTALL)
        for there, here in (
            ("listener 8883", f"listener {self.port} {self.host}"),
            ("/etc/mosquitto/certs/broker.pem", f"{self.folder}/cert.pem"),
            ("/etc/mosquitto/certs/broker.key", f"{self.folder}/key.pem"),
            ("/etc/mosquitto/", f"{self.folder}/"),
        ):
            assert there in config
            config = config.replace(there, here)
        program = find_program("mosquitto_passwd")
        assert program is not None
        passwords = self.folder / "passwords"
        passwords.touch(mode=0o600)
        for user in ("ioc", "GW-LAB"):
            subprocess.run([program, "-b", passwords, user, f"{user}-password"], check=True)
        (self.folder / "acl").write_text(textwrap.dedent(acl))
        self.config.write_text(
            textwrap.dedent(config)
            + f"persistence_location {self.folder}/\nlog_dest stderr\n"
            + ("user root\n" if os.geteuid() == 0 else "")
        )


def secured(server: Server, folder: Path, *, password: str, ca: str) -> Outbox:
    (folder / "password").write_text(password)
    broker = Broker.model_validate(
        {
            "port": server.port,
            "username": "GW-LAB",
            "password_file": "password",
            "tls": {"ca_file": f"broker/{ca}"} if ca else {},
        },
        context={"folder": folder},
    )
    return Outbox(
        broker,
        status_topic="ioc/v1/khanh-hoa/_gateway/GW-LAB/status",
        client_id="gw",
        clock=SystemClock(),
    )


@pytest.mark.skipif(bool(Mosquitto.missing()), reason=Mosquitto.missing())
@pytest.mark.parametrize(
    ("password", "ca", "trouble"),
    [
        ("wrong", "cert.pem", "Not authorized"),
        ("GW-LAB-password", "", "CERTIFICATE_VERIFY_FAILED"),
    ],
    ids=["wrong-password", "unknown-certificate"],
)
# paho leaves the socket of a refused handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
async def test_who_is_not_known_does_not_get_in(
    tmp_path: Path, password: str, ca: str, trouble: str
) -> None:
    with SecuredMosquitto(tmp_path / "broker") as server:
        outbox = secured(server, tmp_path, password=password, ca=ca)
        async with running(outbox):
            await until(lambda: outbox.trouble)
    assert trouble in outbox.trouble


@pytest.mark.skipif(bool(Mosquitto.missing()), reason=Mosquitto.missing())
async def test_a_gateway_may_publish_what_the_pages_rules_allow_and_no_more(tmp_path: Path) -> None:
    """What is not allowed gets a PUBACK and goes nowhere; Mosquitto 2.0.11 disconnects as well."""
    allowed = [
        "ioc/v1/khanh-hoa/_gateway/GW-LAB/telemetry",
        "ioc/v1/khanh-hoa/ups/KH-LAB-UPS-A/alarm",
        "ioc/v1/khanh-hoa/ups/KH-LAB-UPS-B/alarm",
    ]
    forbidden = "ioc/v1/khanh-hoa/ups/NT-UPS-1/alarm"
    with SecuredMosquitto(tmp_path / "broker") as server:
        outbox = secured(server, tmp_path, password="GW-LAB-password", ca="cert.pem")
        trusted = ssl.create_default_context(cafile=str(tmp_path / "broker" / "cert.pem"))
        async with (
            listening(
                server.port, username="ioc", password="ioc-password", tls_context=trusted
            ) as listener,
            running(outbox),
        ):
            for topic in (allowed[0], forbidden, *allowed[1:]):
                outbox.put_alarm(Message(topic, b"{}"))
            await until(lambda: not outbox.waiting)
            await listener.until(lambda: listener.payloads(allowed[-1]))
            assert {topic for topic, *_ in listener.heard} == {
                *allowed,
                "ioc/v1/khanh-hoa/_gateway/GW-LAB/status",
            }
