"""Real equipment: a reading, an alarm, rubbish, sent by the tools that people use.

Time windows: on the asset's page within 2 s of the publish, alarm and webhook within 10 s.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.acceptance.demo import Demo, eventually
from tests.servers import find_program

pytestmark = pytest.mark.slow
LAB = "ioc/v1/khanh-hoa/bts/KH-LAB-01"
Publish = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Equipment:
    """A station that is not simulated, and the way its messages are sent."""

    asset: str
    publish: Publish

    def send(self, payload: bytes, *, what: str = "telemetry") -> None:
        self.publish(f"ioc/v1/khanh-hoa/bts/{self.asset}/{what}", payload)


def by_mosquitto_pub(demo: Demo) -> Publish:
    program = find_program("mosquitto_pub")
    if program is None:
        pytest.skip("mosquitto_pub is not installed (Debian: apt-get install mosquitto-clients)")

    def publish(topic: str, payload: bytes) -> None:
        subprocess.run(
            [str(program), "-p", str(demo.mqtt_port), "-q", "1", "-t", topic, "-s"],
            input=payload,
            check=True,
            timeout=10,
        )

    return publish


def by_paho(demo: Demo) -> Publish:
    def publish(topic: str, payload: bytes) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", demo.mqtt_port)
        client.loop_start()
        try:
            client.publish(topic, payload, qos=1).wait_for_publish(10)
        finally:
            client.disconnect()
            client.loop_stop()

    return publish


def by_gateway(demo: Demo) -> Publish:
    """The same telemetry inside a gateway's batch; everything else as it is."""
    send = by_paho(demo)

    def publish(topic: str, payload: bytes) -> None:
        _, _, province, kind, asset, what = topic.split("/")
        if what != "telemetry":
            send(topic, payload)
            return
        batch = [{"kind": kind, "asset": asset, **json.loads(payload)}]
        send(f"ioc/v1/{province}/_gateway/GW-01/telemetry", json.dumps(batch).encode())

    return publish


@pytest.fixture(
    params=[("KH-LAB-01", by_mosquitto_pub), ("KH-LAB-11", by_paho), ("KH-LAB-12", by_gateway)],
    ids=["mosquitto_pub", "paho", "gateway"],
)
def equipment(request: pytest.FixtureRequest, demo: Demo) -> Equipment:
    """Each on a mast of its own: on one mast, the second alarm of a kind is suppressed."""
    asset, way = request.param
    if asset not in {item["id"] for item in demo.api("/api/v1/assets?q=KH-LAB")["items"]}:
        added = demo.ioc(
            *("inventory", "add", asset, "--kind", "bts", "--name", asset),
            *("--lat", "12.25", "--lon", "109.18", "--data-dir", str(demo.data_dir)),
        )
        assert added.returncode == 0, added.stderr
    return Equipment(asset, way(demo))


def reading(**values: object) -> bytes:
    return json.dumps({"ts": time.time_ns() // 1_000_000, **values}).encode()


def test_a_reading_is_on_the_page_within_two_seconds(demo: Demo, equipment: Equipment) -> None:
    def shown() -> object:
        values = demo.api(f"/api/v1/assets/{equipment.asset}")["values"]
        return values.get("dc_voltage_v", {}).get("value")

    for voltage in (53.5, 53.6):  # it can be repeated
        equipment.send(reading(mains_ok=True, dc_voltage_v=voltage))
        deadline = time.monotonic() + 2
        while shown() != voltage:
            assert time.monotonic() < deadline, f"{shown()} V on the page, {voltage} V sent"


def active(demo: Demo, asset: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = demo.api(f"/api/v1/alarms?state=raised&asset={asset}")["items"]
    return items


def delivered(demo: Demo, alarm: object) -> list[dict[str, object]]:
    items = demo.api("/api/v1/deliveries?limit=200")["items"]
    return [item for item in items if item["alarm"] == alarm and item["status"] == "delivered"]


def test_a_reading_that_breaks_a_rule_raises_the_alarm_and_its_webhook(
    demo: Demo, equipment: Equipment
) -> None:
    def smoke(*, seen: bool) -> list[dict[str, object]]:
        equipment.send(reading(smoke=seen))
        return [alarm for alarm in active(demo, equipment.asset) if alarm["metric"] == "smoke"]

    alarm = eventually(lambda: smoke(seen=True), within_s=10, what="alarm raised")[0]
    assert alarm["probable_cause"] == "smoke"
    assert alarm["severity"] == "critical"
    eventually(lambda: delivered(demo, alarm["id"]), within_s=10, what="webhook delivered")
    if equipment.asset == "KH-LAB-01":  # once is enough: the rule clears after a minute
        eventually(lambda: not smoke(seen=False), within_s=90, what="alarm cleared")
        eventually(lambda: len(delivered(demo, alarm["id"])) > 1, within_s=10, what="its clear")


def test_a_device_alarm_enters_the_same_lifecycle(demo: Demo, equipment: Equipment) -> None:
    def tell(state: str) -> None:
        equipment.send(
            reading(
                alarm_id="7",
                state=state,
                severity="major",
                event_type="equipment",
                probable_cause="rectifierFailure",
                object="rectifier-2",
                text="rectifier 2 failed",
            ),
            what="alarm",
        )

    tell("raised")
    alarm = eventually(
        lambda: [a for a in active(demo, equipment.asset) if a["external_id"] == "7"],
        within_s=5,
        what="device alarm",
    )[0]
    assert alarm["object"] == "rectifier-2"
    eventually(lambda: delivered(demo, alarm["id"]), within_s=10, what="its webhook")
    tell("cleared")
    eventually(
        lambda: demo.api(f"/api/v1/alarms/{alarm['id']}")["alarm"]["state"] == "cleared",
        within_s=5,
        what="device alarm cleared",
    )


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        pytest.param(f"{LAB}/telemetry", b'{"ts": 17', "not_json", id="malformed"),
        pytest.param("ioc/v1/khanh-hoa/bts/KH-LAB-01/telemtry", b"{}", "topic", id="mistyped"),
        pytest.param(
            "ioc/v1/khanh-hoa/bts/KH-NOBODY/telemetry",
            reading(mains_ok=True),
            "unknown_asset",
            id="unknown",
        ),
    ],
)
def test_rubbish_is_in_quarantine_with_its_reason_and_nothing_else_changes(
    demo: Demo, topic: str, payload: bytes, reason: str
) -> None:
    before = demo.api("/api/v1/assets/KH-LAB-01")["values"]
    newest = [item["id"] for item in demo.api("/api/v1/quarantine?limit=1")["items"]]
    by_mosquitto_pub(demo)(topic, payload)

    def found() -> list[dict[str, object]]:
        items = demo.api("/api/v1/quarantine?limit=20")["items"]
        return [i for i in items if i["topic"] == topic and i["id"] not in newest]

    item = eventually(found, within_s=5, what="in quarantine")[0]
    assert item["reason"] == reason
    after = demo.api("/api/v1/assets/KH-LAB-01")["values"]
    assert {k: (v["value"], v["at_ms"]) for k, v in after.items()} == {
        k: (v["value"], v["at_ms"]) for k, v in before.items()
    }
    assert demo.api("/readyz", token="")["ready"]


def test_an_asset_never_seen_is_no_alarm(demo: Demo) -> None:
    added = demo.ioc(
        *("inventory", "add", "KH-LAB-77", "--kind", "bts", "--name", "Lab 77"),
        *("--like", "KH-LAB-01", "--data-dir", str(demo.data_dir)),
    )
    assert added.returncode == 0, added.stderr
    assert demo.api("/api/v1/assets/KH-LAB-77")["state"] == "not_seen"
    by_paho(demo)("ioc/v1/khanh-hoa/bts/KH-LAB-77/telemetry", reading(mains_ok=True))
    eventually(
        lambda: demo.api("/api/v1/assets/KH-LAB-77")["state"] == "up",
        within_s=2,
        what="KH-LAB-77 seen",
    )
    assert not active(demo, "KH-LAB-77")
