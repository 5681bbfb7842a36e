"""examples/telegraf/ups.conf with a real Telegraf: simulated UPSs → Telegraf → NATS → the service's
own decoder. Time window: a reading of each UPS within 60 s (Telegraf asks each 10 s)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from ioc.catalog import load_catalog
from ioc.ingest.decode import Decoder, Telemetry
from ioc.inventory import Asset, Inventory, Site
from tests.acceptance.demo import eventually
from tests.examples.lab import LAB, SECRETS, Part, free_udp_port, write_secrets
from tests.servers import Nats, find_program

pytestmark = pytest.mark.slow
CONFIG = LAB.parents[1] / "telegraf" / "ups.conf"
ASSETS = {"KH-LAB-UPS-A": "ups-a.yaml", "KH-LAB-UPS-B": "ups-b.yaml"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Nats]:
    with Nats(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def heard(broker: Nats) -> Iterator[dict[str, list[bytes]]]:
    """What is published, by topic."""
    found: dict[str, list[bytes]] = {}
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: found.setdefault(message.topic, []).append(
        bytes(message.payload)
    )
    client.connect("127.0.0.1", broker.port)
    client.subscribe("ioc/#", qos=1)
    client.loop_start()
    yield found
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[dict[str, int]]:
    """The lab's UPSs, by the port each has in the file."""
    write_secrets(tmp_path)
    parts, found = [], {}
    for usual, name in (("16101", "ups-a.yaml"), ("16102", "ups-b.yaml")):
        (tmp_path / name).write_text((LAB / name).read_text())
        found[usual] = free_udp_port()
        argv = ("-m", "examples.ups_snmp.agent", str(tmp_path / name), "--port", str(found[usual]))
        parts.append(Part(tmp_path / f"{name}.log", *argv))
        parts[-1].start()
    yield found
    for part in parts:
        part.kill()


@pytest.mark.timeout(180)
def test_telegraf_sends_what_the_service_takes(
    tmp_path: Path, broker: Nats, heard: dict[str, list[bytes]], ports: dict[str, int]
) -> None:
    config = CONFIG.read_text().replace(":1883", f":{broker.port}")
    for usual, ours in ports.items():
        config = config.replace(usual, str(ours))
    (tmp_path / "ups.conf").write_text(config)
    program = find_program("telegraf")
    assert program is not None
    secrets = {f"UPS_{name.upper()}": secret for name, secret in SECRETS.items()}
    with (tmp_path / "telegraf.log").open("wb") as log:
        telegraf = subprocess.Popen(
            [str(program), "--config", str(tmp_path / "ups.conf")],
            stdout=log,
            stderr=log,
            env={**os.environ, **secrets},
        )
    try:
        topics = {asset: f"ioc/v1/khanh-hoa/ups/{asset}/telemetry" for asset in ASSETS}
        eventually(
            lambda: heard.keys() >= set(topics.values()), within_s=60, what="a reading of each"
        )
    finally:
        telegraf.terminate()
        telegraf.wait(30)
    decoder = Decoder(load_catalog(), inventory())
    for asset, name in ASSETS.items():
        for payload in heard[topics[asset]]:
            said = yaml.safe_load((LAB / name).read_text())
            (found,) = decoder.decode(topics[asset], payload, received_ms=_ts(payload))
            assert isinstance(found, Telemetry), found
            assert found.values == expected(said)
    assert decoder.unknown_fields == 0


def expected(said: dict[str, Any]) -> dict[str, float | bool]:
    objects, lines = said["objects"], said["lines"]
    found = {
        "load_percent": max(lines["upsOutputPercentLoad"]),
        "runtime_min": objects["upsEstimatedMinutesRemaining"],
        "on_battery": objects["upsOutputSource"] == 5,
        "on_bypass": objects["upsOutputSource"] == 4,
        "battery_charge_percent": objects["upsEstimatedChargeRemaining"],
        "battery_temperature_c": objects.get("upsBatteryTemperature"),
        "input_voltage_v": min(lines["upsInputVoltage"]),
        "output_voltage_v": min(lines["upsOutputVoltage"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def inventory() -> Inventory:
    where: dict[str, Any] = {"commune": "22366", "lat": 12.24, "lon": 109.19}
    site = Site(id="S", name="S", **where)
    return Inventory(
        [site],
        [
            Asset(id=asset, kind="ups", name=asset, province="khanh-hoa", site="S", **where)
            for asset in ASSETS
        ],
    )


def _ts(payload: bytes) -> int:
    return int(yaml.safe_load(payload)["ts"])
