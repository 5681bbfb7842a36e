"""The whole service killed with -9 under load: what the publisher was told against what is stored.

The count is independent: it knows the publisher's own log of PUBACKs and the DuckDB file, and
nothing of the service's bookkeeping. Time windows: killed four times, each 1 s after it receives;
60 s to start and to settle.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ioc.inventory import Asset, Site
from ioc.inventory.file import write_inventory
from tests.acceptance.demo import eventually
from tests.servers import Nats, free_port

pytestmark = pytest.mark.slow
ASSETS = 40
PER_S = 500
KILLS = 4
# Packet ids end at 65,535; the load ends before they come again.
MOST_MESSAGES = 60_000
Key = tuple[str, int, int]


class Service:
    """`ioc serve` as a process, killed and started as often as the test wants."""

    def __init__(self, folder: Path, broker: Nats, *, program: list[str]) -> None:
        self.data_dir = folder / "data"
        self.http_port = free_port()
        self.log = folder / "service.log"
        inventory = folder / "inventory.json"
        site = Site(id="S-1", name="Lab", commune="22366", lat=12.24, lon=109.19, core=True)
        assets = [
            Asset(
                id=f"A{number:03}",
                kind="bts",
                name=f"A{number:03}",
                province="khanh-hoa",
                commune="22366",
                site="S-1",
                lat=12.24,
                lon=109.19,
                synthetic=True,
            )
            for number in range(ASSETS)
        ]
        write_inventory(inventory, province="khanh-hoa", sites=[site], assets=assets)
        self.argv = [
            *(sys.executable, *program, "serve", "--data-dir", str(self.data_dir)),
            *("--inventory-file", str(inventory), "--http-port", str(self.http_port)),
            *("--broker-port", str(broker.port)),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def stages(self) -> dict[str, dict[str, int]]:
        """The stages' health; empty while it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.http_port}/readyz", timeout=2
            ) as answer:
                stages: dict[str, dict[str, int]] = json.load(answer)["stages"]
                return stages
        except (OSError, urllib.error.URLError):
            return {}

    def wait_until_it_receives(self) -> None:
        eventually(
            lambda: self.stages().get("ingest", {}).get("ready"), within_s=60, what="receiving"
        )

    def settled(self) -> bool:
        """Whether nothing waits any more, in the broker or before the store."""
        stages = self.stages()
        return bool(stages) and stages["ingest"]["behind"] == 0 and stages["store"]["behind"] <= 5


class Publisher:
    """Sends readings at a steady rate and writes down every PUBACK it gets."""

    def __init__(self, port: int) -> None:
        self.port = port
        # By packet id: fewer messages are sent than there are ids. Paho calls back while it holds
        # locks that publish() wants, so the two sides share nothing but these.
        self._sent: dict[int, Key] = {}
        self._told: list[int] = []

    @property
    def acknowledged(self) -> set[Key]:
        return {self._sent[packet_id] for packet_id in list(self._told)}

    def run(self, ended: threading.Event) -> None:
        """Publish until told that it is enough, and wait for the last PUBACK."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.max_inflight_messages_set(1000)
        client.on_publish = lambda _client, _data, packet_id, *_rest: self._told.append(packet_id)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            began, number = time.monotonic(), 0
            while not ended.wait(0.002) and number < MOST_MESSAGES:
                while number < (time.monotonic() - began) * PER_S:
                    key = (f"A{number % ASSETS:03}", 1, number // ASSETS)
                    self._sent[self._publish(client, key)] = key
                    number += 1
            eventually(lambda: len(self._told) == number, within_s=20, what="PUBACKs")
        finally:
            client.disconnect()
            client.loop_stop()

    def _publish(self, client: mqtt.Client, key: Key) -> int:
        payload = {
            "ts": time.time_ns() // 1_000_000,
            "boot": key[1],
            "seq": key[2],
            "dc_voltage_v": 53.5,
        }
        topic = f"ioc/v1/khanh-hoa/bts/{key[0]}/telemetry"
        return client.publish(topic, json.dumps(payload), qos=1).mid


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Nats]:
    with Nats(tmp_path / "broker") as running:
        yield running


def audit(tmp_path: Path, broker: Nats, *, program: list[str]) -> tuple[set[Key], Counter[Key]]:
    """What the publisher was told is safe, and how often each reading is stored."""
    service = Service(tmp_path, broker, program=program)
    service.start()
    try:
        publisher, ended = Publisher(broker.port), threading.Event()
        service.wait_until_it_receives()  # before a subscription exists, the broker keeps nothing
        load = threading.Thread(target=publisher.run, args=(ended,))
        load.start()
        for _ in range(KILLS):
            service.wait_until_it_receives()
            time.sleep(1)  # the declared second under load
            service.kill()
            service.start()
        service.wait_until_it_receives()
        ended.set()
        load.join()
        eventually(service.settled, within_s=60, what="all stored")
        # Longer than the broker's ack_wait: what is not acknowledged would come again.
        time.sleep(3)
        eventually(service.settled, within_s=60, what="all stored")
    finally:
        service.stop()
    with duckdb.connect(str(service.data_dir / "series.duckdb"), read_only=True) as series:
        rows = series.execute(
            "SELECT asset, boot, seq FROM bts JOIN ioc_series USING (series)"
        ).fetchall()
    return publisher.acknowledged, Counter((str(a), int(b), int(s)) for a, b, s in rows)


@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(
    tmp_path: Path, broker: Nats
) -> None:
    acknowledged, stored = audit(tmp_path, broker, program=["-m", "ioc.cli"])
    lost = acknowledged - stored.keys()
    twice = [key for key, times in stored.items() if times > 1]
    print(f"{len(acknowledged)} acknowledged, {len(stored)} stored, {len(lost)} lost")
    assert len(acknowledged) > KILLS * PER_S
    assert not lost
    assert not twice


@pytest.mark.timeout(240)
def test_the_audit_finds_what_a_service_loses_that_acknowledges_early(
    tmp_path: Path, broker: Nats
) -> None:
    acknowledged, stored = audit(tmp_path, broker, program=["-m", "tests.acceptance.early_service"])
    assert acknowledged - stored.keys(), "the negative control lost nothing: the audit is blind"
