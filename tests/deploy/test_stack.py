"""The stack of docker-compose.yml, started as plain processes in the order that it asks for: see
``tests/deploy/stack.py`` for what is changed (places) and what only images do.

Time windows: the service is ready within 60 s of its start, the first readings of simulators that
send each 2 s are in InfluxDB within 60 s, a fault's alarm and webhook are there within 30 s.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from ioc.deploy.secrets import ENTRIES, READERS, TOKENS
from tests.acceptance.demo import eventually
from tests.deploy.compose import CHECKOUT
from tests.deploy.rights import AS_ROOT, can_read
from tests.deploy.stack import IMAGES, Stack, wait_until_it_answers
from tests.servers import find_program
from tests.servers_influx import Influxd
from tests.servers_postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]
SETTINGS = {
    "IOC_SCALE": "0.02",
    "IOC_INTERVAL": "2",
    "IOC_INCIDENT": "no-incident",
    "IOC_GATEWAYS": "gw-01",
}
STEPS = ("init", "province", "influxdb-setup")


@pytest.fixture(scope="module", params=["nats", "mosquitto"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Everything, with each broker in turn, TLS before it."""
    missing = [
        *(kind.missing() for kind in (Influxd, Postgres)),
        *(
            f"{name} is not installed (Debian: apt-get install {name})"
            for name in ("mosquitto", "haproxy")
            if find_program(name) is None
        ),
    ]
    if any(missing):
        pytest.skip("; ".join(filter(None, missing)))
    # Users other than root must get to it, as they get to volumes.
    folder = Path(tempfile.mkdtemp(prefix="ioc-stack-"))
    running = Stack(folder, SETTINGS)
    try:
        try:
            start(running, broker=str(request.param))
        except AssertionError as error:
            running.stop()  # what hangs says where
            logs = "\n".join(f"{name}: {running.log(name)[-2000:]}" for name in running.started)
            raise AssertionError(f"{error}\n{logs}") from error
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder)


def start(stack: Stack, *, broker: str) -> None:
    """The order is the file's own: each service after those it depends on."""
    how: dict[str, Callable[[str], object]] = {
        **dict.fromkeys(STEPS, stack.run),
        "influxdb": lambda _: stack.start_influxdb(),
        "postgres": lambda _: stack.start_postgres(),
        "grafana": lambda _: None,
    }
    waiting = dict(stack.services)
    waiting.pop("mosquitto" if broker == "nats" else "nats")
    done: set[str] = set()
    while waiting:
        name = next(name for name, one in waiting.items() if one.depends_on.keys() <= done)
        del waiting[name]
        how.get(name, stack.start)(name)
        if name in ("nats", "mosquitto"):
            wait_until_it_answers(stack.ports["1883"])
        if name == "service":
            eventually(lambda: stack.healthy("service"), within_s=60, what="ready")
        done.add(name)


def api(stack: Stack, path: str, *, token: str = "", body: object = None) -> Any:
    """An answer of the API: decoded, or its status where it was refused."""
    secret = token or (stack.volume("service") / "admin.token").read_text().strip()
    request = urllib.request.Request(
        stack.url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class Device:
    """A client of the broker, as equipment has one."""

    def __init__(self, port: int, user: str, password: str, *, ca: Path | None = None) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(user, password)
        if ca is not None:
            self.client.tls_set_context(ssl.create_default_context(cafile=str(ca)))
        self.answers: list[str] = []
        self.granted: list[str] = []
        self.heard: list[str] = []
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _on_connect(self, _c: object, _d: object, _f: object, code: ReasonCode, _p: object) -> None:
        self.answers.append(str(code))

    def _on_subscribe(
        self, _c: object, _d: object, _m: int, codes: list[ReasonCode], _p: object
    ) -> None:
        self.granted.append(str(codes[0]))

    def _on_message(self, _c: object, _d: object, message: mqtt.MQTTMessage) -> None:
        self.heard.append(message.topic)

    def connected(self) -> bool:
        answer = eventually(lambda: list(self.answers), within_s=10, what="CONNACK")[0]
        return answer == "Success"

    def publish(self, topic: str, body: dict[str, object]) -> None:
        self.client.publish(topic, json.dumps(body), qos=1).wait_for_publish(10)

    def subscribe(self, topic: str) -> None:
        """Ask for a topic, and wait for the broker's answer, whatever it is: Mosquitto grants what
        it then never delivers, NATS refuses."""
        self.client.subscribe(topic, qos=1)
        eventually(lambda: list(self.granted), within_s=10, what="SUBACK")

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def value_of(stack: Stack, metric: str) -> object:
    """The last value of the laboratory's station, which no simulator drives."""
    values = api(stack, "/api/v1/assets/KH-LAB-01")["values"]
    return values[metric]["value"] if metric in values else None


def reading(**values: object) -> dict[str, object]:
    return {"ts": time.time_ns() // 1_000_000, **values}


def test_readings_of_the_simulators_are_in_influxdb(stack: Stack) -> None:
    assert stack.influxd is not None
    user, _, password = stack.secret("grafana/influxdb.token").partition(":")
    server = stack.influxd
    admin = server.user, server.password
    try:
        server.user, server.password = user, password  # what Grafana may do

        def stations() -> int:
            found = server.ask('SELECT COUNT("ts") FROM "bts" GROUP BY "asset"')
            return len(found)

        eventually(lambda: stations() > 50, within_s=60, what="readings")
        with pytest.raises((AssertionError, urllib.error.HTTPError)):
            server.ask('DROP MEASUREMENT "bts"')
    finally:
        server.user, server.password = admin
    up = eventually(
        lambda: api(stack, "/api/v1/assets?kind=bts&state=up&limit=1")["total"],
        within_s=60,
        what="stations that are up",
    )
    assert up > 50


def test_a_fault_is_an_alarm_in_postgresql_and_a_webhook_at_the_receiver(stack: Stack) -> None:
    station = eventually(
        lambda: api(stack, "/api/v1/assets?kind=bts&state=up&limit=5")["items"],
        within_s=60,
        what="a station",
    )[-1]
    asset = station["id"]
    login = [
        *("--broker", f"127.0.0.1:{stack.ports['1883']}", "--province", "khanh-hoa"),
        *(
            "--username",
            "simulators",
            "--password-file",
            "/run/ioc/secrets/simulators/mqtt.password",
        ),
    ]
    said = stack.run(
        "simulators", "ioc", "simulate", "inject", asset, "smoke", "--for", "60s", *login
    )
    assert "done: smoke" in said

    assert stack.postgres is not None
    password = stack.secret("service/postgres.password")
    url = stack.postgres.url.replace("postgresql+psycopg", "postgresql")
    assert password in url  # the service's own

    def alarms() -> list[Any]:
        with psycopg.connect(url) as connection:
            return connection.execute(
                "SELECT severity, state FROM alarm WHERE asset = %s AND kind = 'bts'", (asset,)
            ).fetchall()

    found = eventually(alarms, within_s=30, what="the alarm in PostgreSQL")
    assert ("critical", "raised") in found
    # The receiver says so of each whose signature it has verified. The mast's stations share its
    # shelter: the webhook may be about another of them.
    mast = station["name"].partition(" · ")[0]
    line = eventually(
        lambda: [line for line in stack.log("receiver").splitlines() if mast in line],
        within_s=30,
        what=f"a webhook about {mast}",
    )[0]
    assert "critical" in line
    assert line.endswith("signature ok")


def test_equipment_reaches_the_broker_by_tls_and_says_only_what_it_may(stack: Stack) -> None:
    authority = stack.volume("secrets") / "tls" / "ca.pem"
    password = stack.secret("admin/mqtt-equipment.password")
    device = Device(stack.ports["8883"], "equipment", password, ca=authority)
    try:
        assert device.connected()
        device.subscribe("ioc/v1/#")
        device.publish("ioc/v1/khanh-hoa/bts/KH-LAB-01/telemetry", reading(dc_voltage_v=51.25))
        eventually(
            lambda: value_of(stack, "dc_voltage_v") == 51.25, within_s=10, what="the reading"
        )
        assert device.heard == []
    finally:
        device.close()

    stranger = Device(stack.ports["1883"], "equipment", "guess")
    assert not stranger.connected()
    stranger.close()


def test_a_gateway_speaks_for_itself_only(stack: Stack) -> None:
    gateway = Device(
        stack.ports["1883"], "gateway-gw-01", stack.secret("admin/mqtt-gateway-gw-01.password")
    )
    place = "ioc/v1/khanh-hoa/_gateway"

    try:
        assert gateway.connected()
        one = {"kind": "bts", "asset": "KH-LAB-01"}
        for topic, temperature in (
            (f"{place}/gw-02/telemetry", 11.0),
            ("ioc/v1/khanh-hoa/bts/KH-LAB-01/telemetry", 12.0),
            (f"{place}/gw-01/telemetry", 33.0),
        ):
            sent = one | reading(shelter_temperature_c=temperature)
            gateway.client.publish(
                topic, json.dumps([sent] if "_gateway" in topic else sent), qos=1
            )
        eventually(
            lambda: value_of(stack, "shelter_temperature_c") == 33.0,
            within_s=10,
            what="its own reading",
        )
        stored = api(
            stack,
            "/api/v1/query",
            body={
                "measurement": "bts",
                "columns": [{"metric": "shelter_temperature_c"}],
                "where": {"asset": ["KH-LAB-01"]},
                "start_ms": time.time_ns() // 1_000_000 - 600_000,
                "stop_ms": time.time_ns() // 1_000_000 + 60_000,
            },
        )
        at = stored["columns"].index("shelter_temperature_c")
        assert {row[at] for row in stored["rows"]} <= {33.0}
    finally:
        gateway.close()


# `docker` as compose/smoke uses it, for a stack of plain processes.
DOCKER = """#!{python}
import json, os, subprocess, sys
settings = json.load(open({settings!r}))
words = [word for word in sys.argv[1:] if word not in ("-T", "--rm", "--no-log-prefix")]
assert words[0] == "compose", words
if words[1] == "logs":
    sys.stdout.write(open(settings["logs"] + "/" + words[2] + ".log").read())
    sys.exit()
assert words[1] in ("exec", "run"), words
service, program, *rest = words[2:]
if program == "psql":
    program, rest = settings["psql"], [*rest, "-h", "127.0.0.1", "-p", settings["postgres"]]
elif program == "ioc":
    program, rest = settings["python"], ["-m", "ioc.cli", *rest]
elif program == "python":
    program = settings["python"]
    rest = [rest[0], rest[1].replace('"broker"', '"127.0.0.1", port=' + settings["broker"])]
rest = [word.replace("/var/lib/ioc/data", settings["data"]) for word in rest]
sys.exit(subprocess.run([program, *rest], env=os.environ | settings["environment"]).returncode)
"""


def test_the_smoke_script_finds_it_well(stack: Stack, tmp_path: Path) -> None:
    """compose/smoke against the processes, with a stand-in for the command `docker`. What it asks
    of Grafana is tried by CI's own `docker compose up` only."""
    assert stack.postgres is not None
    settings = tmp_path / "settings.json"
    settings.write_text(
        json.dumps(
            {
                "logs": str(stack.root / "logs"),
                "psql": str(find_program("psql")),
                "postgres": str(stack.ports["5432"]),
                "python": sys.executable,
                "broker": str(stack.ports["1883"]),
                "data": str(stack.volume("service")),
                "environment": {
                    "IOC_SECRETS": str(stack.volume("secrets")),
                    "PGPASSWORD": stack.secret("admin/postgres.password"),
                },
            }
        )
    )
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(python=sys.executable, settings=str(settings)))
    docker.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "compose" / "smoke"), "--without-grafana"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "IOC_HTTP_PORT": str(stack.ports["8080"]),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    proofs = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert proofs == [
        "ok    service ready",
        "ok    stations",
        "ok    readings in the store",
        "ok    alarm",
        "ok    webhook",
        "ok    PostgreSQL",
        "ok    everything answers",
    ]


def test_grafana_reports_alarms_with_its_token_and_sees_nothing(stack: Stack) -> None:
    token = stack.secret("grafana/alerts.token")
    alert = {
        "status": "firing",
        "fingerprint": "c0ffee",
        "labels": {"alertname": "of a test", "asset": "KH-LAB-01", "severity": "minor"},
        "annotations": {"summary": "thử", "summary_en": "a test"},
        "startsAt": "2026-01-01T00:00:00Z",
    }
    done = api(
        stack, "/api/v1/grafana/alerts", token=token, body={"version": "1", "alerts": [alert]}
    )
    assert done["items"][0]["asset"] == "KH-LAB-01"
    assert api(stack, "/api/v1/alarms", token=token) == 403
    assert api(stack, "/api/v1/alarms")["items"]


def test_a_person_gets_in_by_the_link(stack: Stack) -> None:
    """`docker compose exec service ioc token sign-in-link`, as `init` says at its end."""
    link = stack.run("service", "ioc", "token", "sign-in-link").strip()
    # The address is what compose publishes the console as.
    assert link.startswith(f"{stack.url}/sign-in?code=")
    request = urllib.request.Request(link, headers={"Sec-Fetch-Site": "none"})
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=10) as answer:
        assert answer.status == 303
        assert "ioc_session=" in answer.headers["Set-Cookie"]


class _NoRedirect(urllib.request.HTTPErrorProcessor):
    """Gives the redirect itself."""

    def http_response(self, _request: object, response: Any) -> Any:
        return response


def test_nothing_of_the_file_is_left_out(stack: Stack) -> None:
    """Every service but the other broker ran, with all of its environment and mounts; what only
    images use is named."""
    other = {"nats", "mosquitto"} - stack.started
    assert len(other) == 1
    assert stack.services.keys() - stack.started == {"grafana", *other}
    for name, variables in IMAGES.items():
        assert stack.services[name].environment.keys() == variables
    for name in stack.started:
        for mount in stack.services[name].mounts:
            place = stack.root / "roots" / name / mount.target.relative_to("/")
            assert place.exists(), place
    # A step may run again at each `docker compose up`.
    before = {entry.name: stack.secret(f"admin/{entry.name}") for entry in ENTRIES}
    kept = [stack.secret(token) for token in TOKENS]
    stack.run("influxdb-setup")
    stack.run("province")
    assert [stack.secret(token) for token in TOKENS] == kept
    assert {entry.name: stack.secret(f"admin/{entry.name}") for entry in ENTRIES} == before


@pytest.mark.skipif(not AS_ROOT, reason="only root can be another user")
def test_every_file_that_a_service_names_can_be_read_by_its_user(stack: Stack) -> None:
    import re

    for name, service in stack.services.items():
        if name in ("init", "grafana"):
            continue
        who = service.uid, service.gid
        texts = [*service.command, *service.environment.values()]
        for found in re.findall(r"/run/ioc/secrets/([\w-]+/[\w.-]+)", " ".join(texts)):
            reader = next(one for one in READERS.values() if (one.uid, one.gid) == who)
            assert can_read(stack.volume("secrets") / found, reader), (name, found)


def test_it_ends_as_it_should_and_no_log_holds_a_secret(stack: Stack) -> None:
    """Last: it ends the service and the simulators."""
    assert stack.end("simulators") == 0
    assert stack.end("service") == 0
    said = stack.everything_said()
    assert len(said) > 1000
    secrets = {
        line.strip()
        for path in stack.volume("secrets").rglob("*")
        if path.is_file() and path.parent.name not in ("nats", "mosquitto", "tls")
        for line in path.read_text().splitlines()
    }
    assert len(secrets) >= len(ENTRIES) + len(TOKENS)
    secrets |= {token.partition(":")[2] for token in secrets if ":" in token}
    secrets.add((stack.volume("service") / "admin.token").read_text().strip())
    for secret in secrets - {"", "localhost,127.0.0.1", "127.0.0.1,localhost"}:
        assert secret not in said
