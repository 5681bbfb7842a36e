"""The two scenarios of the data centres, told by the messages that were recorded: each stage at its
time. docs/simulators.md tells the same in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from ioc.clock import SystemClock
from ioc.inventory.file import write_inventory
from simulators.run import Run, SimulateOptions
from tests.simulators.centres import of_province
from tests.simulators.lab import CATALOG
from tests.simulators.truth_check import Heard, disagreements, read_messages

NT_RACKS = [f"DC-NT-RACK-{n:02d}" for n in range(1, 13)]
PR_RACKS = [f"DC-PR-RACK-{n:02d}" for n in range(1, 9)]


class Story:
    """What was recorded, by asset, metric and minute since the begin."""

    def __init__(self, heard: dict[str, Heard], truth: dict[str, Any]) -> None:
        self.heard, self.truth = heard, truth

    def at(self, asset: str, metric: str, minute: float) -> Any:
        """The last reading of a metric until then."""
        until = self.truth["begin"] + minute * 60_000
        values = [
            reading.metrics[metric]
            for reading in self.heard[asset].readings
            if reading.at <= until and metric in reading.metrics
        ]
        return values[-1]

    def speaks(self, asset: str, begin: float, end: float) -> bool:
        ms = [self.truth["begin"] + minute * 60_000 for minute in (begin, end)]
        return any(ms[0] <= reading.at < ms[1] for reading in self.heard[asset].readings)

    def kw(self, racks: list[str], minute: float) -> float:
        return float(sum(self.at(rack, "power_kw", minute) for rack in racks))

    def affected(self, asset: str) -> set[str]:
        return {
            rule
            for incident in self.truth["incidents"]
            for one in incident["affected"]
            if one["asset"] == asset
            for rule in one["rules"]
        }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Story]:
    folder = tmp_path_factory.mktemp("stories")
    inventory = of_province()
    write_inventory(
        folder / "inventory.json",
        province="khanh-hoa",
        sites=inventory.sites,
        assets=inventory.assets,
    )
    known: dict[str, Story] = {}

    def story(scenario: str) -> Story:
        if scenario not in known:
            record, truth = folder / f"{scenario}.jsonl", folder / f"{scenario}.json"
            options = SimulateOptions(
                broker=None,
                inventory=folder / "inventory.json",
                interval_s=120.0,
                scenario=scenario,
                speed=float("inf"),
                record=record,
                truth=truth,
            )
            asyncio.run(Run(options, clock=SystemClock()).run())
            known[scenario] = Story(read_messages(record), json.loads(truth.read_bytes()))
        return known[scenario]

    return story


@pytest.fixture
def heat(told: Callable[[str], Story]) -> Story:
    """From 12:00 on; cooling fails at minute 20 and is mended at minute 60."""
    return told("cooling-failure")


@pytest.fixture
def loss(told: Callable[[str], Story]) -> Story:
    """From 14:00 on; mains fails at minute 20 and is back at minute 170."""
    return told("site-switchover")


@pytest.mark.parametrize("scenario", ["cooling-failure", "site-switchover"])
def test_the_truth_is_that_of_the_messages(told: Callable[[str], Story], scenario: str) -> None:
    story = told(scenario)
    assert story.truth["unexplained"] == []
    assert disagreements(story.truth, story.heard, CATALOG) == []


# Cooling fails in Phan Rang


def test_first_the_room_heats(heat: Story) -> None:
    assert heat.at("DC-PR", "room_temperature_c", 19) < 22.5
    assert heat.at("DC-PR", "room_temperature_c", 24) > 27.0
    assert heat.at("DC-PR", "room_temperature_c", 30) > 32.0
    assert heat.kw(PR_RACKS, 34) == pytest.approx(heat.kw(PR_RACKS, 19), rel=0.02)
    assert heat.at("DC-PR", "switch_over_ready", 30) is True, "its copy is in Nha Trang"
    assert heat.at("DC-NT", "switch_over_ready", 34) is False, "Phan Rang could not take over"


def test_then_servers_are_held_back_and_stop_one_after_the_other(heat: Story) -> None:
    before = heat.kw(PR_RACKS, 19)
    assert 0.5 * before < heat.kw(PR_RACKS, 41) < 0.95 * before
    assert heat.kw(PR_RACKS, 52) < 0.3 * before
    stopped = [rack for rack in PR_RACKS if heat.at(rack, "power_kw", 58) < 0.4]
    assert len(stopped) >= 6
    assert max(heat.at(rack, "inlet_temperature_c", 58) for rack in PR_RACKS) < 46.0


def test_its_work_goes_to_nha_trang_and_replication_stands(heat: Story) -> None:
    before = heat.kw(NT_RACKS, 30)
    assert heat.kw(NT_RACKS, 44) == pytest.approx(before, rel=0.02)
    assert heat.kw(NT_RACKS, 60) > 1.1 * before
    assert heat.at("DC-NT-UPS-A", "load_percent", 64) > 40
    assert heat.at("DC-NT", "room_temperature_c", 64) < 24.0
    for storage in ("DC-NT-STORAGE-1", "DC-PR-STORAGE-1"):
        assert heat.at(storage, "replication_lag_s", 34) < 60
        assert 600 < heat.at(storage, "replication_lag_s", 62) < 1500
    assert "ups-load-high" in heat.affected("DC-NT-UPS-A")


def test_mended_cooling_brings_it_all_back(heat: Story) -> None:
    assert heat.at("DC-PR", "room_temperature_c", 76) < 23.0
    assert heat.kw(PR_RACKS, 70) < 0.3 * heat.kw(PR_RACKS, 19), "cool, and not yet started"
    assert all(heat.at(rack, "power_kw", 95) > 2.5 for rack in PR_RACKS)
    for storage in ("DC-NT-STORAGE-1", "DC-PR-STORAGE-1"):
        assert heat.at(storage, "replication_lag_s", 100) < 60
    assert heat.kw(NT_RACKS, 100) > 1.1 * heat.kw(NT_RACKS, 30), "work is still in Nha Trang"
    assert heat.kw(PR_RACKS, 140) > 0.95 * heat.kw(PR_RACKS, 19)
    assert heat.at("DC-NT-UPS-A", "load_percent", 140) < 40
    assert heat.at("DC-NT", "switch_over_ready", 140) is True


# Nha Trang loses its power


def test_batteries_carry_it_for_a_quarter_of_an_hour(loss: Story) -> None:
    assert loss.at("DC-PR", "switch_over_ready", 18) is True
    assert loss.at("DC-NT-ATS-1", "position", 24) == "off"
    assert loss.at("DC-NT-UPS-A", "on_battery", 24) is True
    said = loss.at("DC-NT-UPS-A", "runtime_min", 19)
    assert loss.speaks("DC-NT-UPS-A", 20, 20 + 0.9 * said)
    assert not loss.speaks("DC-NT-UPS-A", 20 + 1.4 * said, 169)
    assert loss.at("DC-NT", "room_temperature_c", 34) > 36.0, "cooling has no power"
    assert loss.at("DC-PR", "switch_over_ready", 30) is False


def test_then_it_is_lost_and_phan_rang_takes_what_it_can(loss: Story) -> None:
    assert not any(loss.speaks(asset, 50, 169) for asset in loss.heard if asset[:5] == "DC-NT")
    before = loss.kw(PR_RACKS, 30)
    assert loss.kw(PR_RACKS, 42) == pytest.approx(before, rel=0.02)
    assert 1.2 * before < loss.kw(PR_RACKS, 70) < 1.45 * before
    for ups in ("DC-PR-UPS-A", "DC-PR-UPS-B"):
        assert 40 < loss.at(ups, "load_percent", 90) < 55
    assert loss.at("DC-PR", "cooling_spare_units", 90) == 0
    assert loss.at("DC-PR-UPLINK-1", "tx_mbit_s", 90) > loss.at("DC-PR-UPLINK-1", "tx_mbit_s", 30)
    assert loss.at("DC-PR-STORAGE-1", "replication_lag_s", 160) > 6600
    assert {"ups-load-high"} <= loss.affected("DC-PR-UPS-A")
    mains = next(one for one in loss.truth["incidents"] if one["fault"] == "mains-failure")
    assert {"DC-PR-UPS-A", "DC-PR-STORAGE-1", "DC-PR"} <= {
        one["asset"] for one in mains["affected"]
    }, "of the other site, and by this incident"


def test_when_mains_is_back_servers_and_data_come_first_and_then_the_work(loss: Story) -> None:
    assert loss.at("DC-NT", "room_temperature_c", 182) < 25.0
    assert loss.kw(NT_RACKS, 190) < 0.8 * loss.kw(NT_RACKS, 18), "up, with nothing to do yet"
    assert loss.kw(NT_RACKS, 190) > 0.5 * loss.kw(NT_RACKS, 18)
    assert loss.at("DC-PR-STORAGE-1", "replication_lag_s", 178) > 900
    assert loss.at("DC-PR-STORAGE-1", "replication_lag_s", 215) < 60
    assert loss.kw(PR_RACKS, 215) > 1.2 * loss.kw(PR_RACKS, 30)
    assert loss.kw(NT_RACKS, 260) > 0.85 * loss.kw(NT_RACKS, 18)
    assert loss.kw(PR_RACKS, 260) < 1.02 * loss.kw(PR_RACKS, 30)
    assert loss.at("DC-PR", "switch_over_ready", 260) is True
    assert 0 < loss.at("DC-NT-UPS-A", "battery_charge_percent", 260) < 60, "it takes hours"
