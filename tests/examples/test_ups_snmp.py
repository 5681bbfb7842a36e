"""From a UPS's SNMP agent to the asset's page, its alarms and the quarantine; real parts only.

Simulated agents (v2c and v3) → the gateway → NATS → `ioc serve` → its API, each a process.
Time windows: values within 60 s of the start; an alarm of the UPS within 15 s, of the rule within
30 s of the mains failure (10 s are the rule's own); a silent UPS within 60 s (30 s are the rule's);
clears within 100 s (60 s are the rule's); 10 s without the broker.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import pytest

from tests.acceptance.demo import eventually
from tests.examples.lab import V2C, V3, Gateway, Service, SimulatedUps, write_secrets
from tests.servers import Nats, find_program

pytestmark = pytest.mark.slow


class Lab(NamedTuple):
    """Everything that runs. ``mains`` loses its mains, ``dies``, ``raves``, or is ``calm``."""

    broker: Nats
    service: Service
    gateway: Gateway
    mains: SimulatedUps
    dies: SimulatedUps
    raves: SimulatedUps
    calm: SimulatedUps


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    write_secrets(folder)
    with ExitStack() as stack:
        broker = stack.enter_context(Nats(folder / "broker"))
        units = [
            SimulatedUps(folder, "UPS-MAINS", access=V2C),
            SimulatedUps(folder, "UPS-DIES", access=V3),
            SimulatedUps(folder, "UPS-RAVES", access=V2C),
            SimulatedUps(folder, "UPS-CALM", access=V3),
        ]
        assets = [unit.asset for unit in units]
        service = stack.enter_context(Service(folder, assets, broker_port=broker.port))
        eventually(service.receives, within_s=60, what="the service receives")
        for unit in units:
            stack.enter_context(unit)
        gateway = stack.enter_context(Gateway(folder, units, broker_port=broker.port))
        for asset in assets:
            eventually(partial(service.values, asset), within_s=60, what=asset)
        yield Lab(broker, service, gateway, *units)
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log_text()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("which", ["mains", "calm"], ids=["v2c", "v3"])
def test_the_assets_page_shows_what_the_ups_says(lab: Lab, which: str) -> None:
    unit: SimulatedUps = getattr(lab, which)
    detail = lab.service.api(f"/api/v1/assets/{unit.asset}")
    assert detail["state"] == "up"
    assert lab.service.values(unit.asset) == {
        "load_percent": 33,
        "runtime_min": 42,
        "on_battery": False,
        "on_bypass": False,
        "battery_charge_percent": 100,
        "battery_temperature_c": 24,
        "input_voltage_v": 229,
        "output_voltage_v": 220,
    }
    assert not lab.service.alarms(unit.asset)


@pytest.mark.timeout(300)
def test_mains_failure_and_a_dead_agent_are_alarms_and_their_return_clears_them(lab: Lab) -> None:
    service = lab.service
    lab.mains.say("ups-a-on-battery.yaml")
    lab.dies.kill()

    eventually(
        lambda: {"upsAlarmOnBattery", "upsAlarmInputBad"} <= service.alarms("UPS-MAINS").keys(),
        within_s=15,
        what="the UPS's own alarms",
    )
    own = service.alarms("UPS-MAINS")["upsAlarmOnBattery"]
    assert (own["source"], own["severity"]) == ("device", "major")
    assert (own["probable_cause"], own["object"]) == ("batteryDischarging", "battery")
    assert own["text_vi"] == "UPS báo: đang chạy bằng ắc quy"
    eventually(
        lambda: "ups-on-battery" in service.alarms("UPS-MAINS"), within_s=30, what="the rule's"
    )
    shown = service.values("UPS-MAINS")
    assert (shown["on_battery"], shown["input_voltage_v"], shown["runtime_min"]) == (True, 0, 38)

    eventually(lambda: "ups-no-data" in service.alarms("UPS-DIES"), within_s=60, what="silence")
    assert service.api("/api/v1/assets/UPS-DIES")["state"] == "silent"
    assert "no answer from a UPS" in lab.gateway.log_text()

    lab.mains.say("ups-a.yaml")
    lab.dies.start()
    eventually(
        lambda: not {"upsAlarmOnBattery", "upsAlarmInputBad"} & service.alarms("UPS-MAINS").keys(),
        within_s=15,
        what="the UPS's own alarms cleared",
    )
    eventually(lambda: not service.alarms("UPS-DIES"), within_s=100, what="it speaks again")
    eventually(lambda: not service.alarms("UPS-MAINS"), within_s=100, what="the rule's cleared")
    assert service.api(f"/api/v1/alarms/{own['id']}")["alarm"]["state"] == "cleared"
    assert not service.alarms("UPS-CALM"), "one UPS's trouble is not another's"


@pytest.mark.timeout(120)
def test_nonsense_of_one_ups_is_in_quarantine_and_the_others_go_on(lab: Lab) -> None:
    service = lab.service
    lab.raves.say(upsEstimatedChargeRemaining=65535)

    def quarantined() -> list[dict[str, str]]:
        items = service.api("/api/v1/quarantine?reason=out_of_range")["items"]
        return [item for item in items if "UPS-RAVES" in item["payload_text"]]

    item = eventually(quarantined, within_s=15, what="in quarantine")[0]
    assert "battery_charge_percent: found 65535, expected 0 to 100 %" in item["detail"]
    assert item["topic"] == "ioc/v1/khanh-hoa/_gateway/GW-LAB/telemetry"
    assert service.values("UPS-RAVES")["battery_charge_percent"] == 100, "what it said before"
    before = len(service.stored("UPS-CALM"))
    eventually(lambda: len(service.stored("UPS-CALM")) > before, within_s=15, what="the others")
    lab.raves.say()
    totals = service.api("/api/v1/quarantine")["totals"]
    assert set(totals) == {"out_of_range"}, "nothing else that was sent is outside of the contract"


@pytest.mark.timeout(180)
def test_without_the_broker_nothing_is_lost(lab: Lab) -> None:
    lab.broker.kill()
    time.sleep(10)  # the declared time without the broker
    lab.broker.start()
    connected = lab.gateway.log_text().count("connected to the broker")
    eventually(
        lambda: (
            lab.gateway.log_text().count("connected to the broker") > connected or connected > 1
        ),
        within_s=40,
        what="connected again",
    )
    newest = max(seq for _, seq in lab.service.stored("UPS-CALM"))
    eventually(
        lambda: max(seq for _, seq in lab.service.stored("UPS-CALM")) > newest + 8,
        within_s=60,
        what="readings go on",
    )
    stored = lab.service.stored("UPS-CALM")
    assert len({boot for boot, _ in stored}) == 1
    seqs = sorted(seq for _, seq in stored)
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "a hole, or one twice"


@pytest.mark.timeout(120)
def test_the_gateways_status_is_retained_and_its_last_will_says_when_it_died(lab: Lab) -> None:
    program = find_program("mosquitto_sub")
    if program is None:
        pytest.skip("mosquitto_sub is not installed (Debian: apt-get install mosquitto-clients)")

    def status() -> str:
        done = subprocess.run(
            [
                *(str(program), "-p", str(lab.broker.port), "-C", "1", "-W", "5"),
                *("-t", "ioc/v1/khanh-hoa/_gateway/GW-LAB/status"),
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout

    assert '"online":true' in status()
    lab.gateway.kill()
    eventually(lambda: '"online":false' in status(), within_s=30, what="the last will")
    lab.gateway.start()
    eventually(lambda: '"online":true' in status(), within_s=30, what="it is back")
    assert lab.gateway.stop() == 0
    assert '"online":false' in status()
    lab.gateway.start()
    eventually(lambda: '"online":true' in status(), within_s=30, what="it is back")
