"""The ground truth of every scenario agrees with the messages sent; a doctored one does not."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from ioc.clock import SystemClock
from simulators.run import Run, SimulateOptions
from simulators.scenario import scenario_names
from simulators.truth import schema_text
from tests.simulators.lab import CATALOG
from tests.simulators.truth_check import Heard, disagreements, read_messages

SCHEMA = Path(__file__).parents[2] / "docs" / "truth.schema.json"
INTERVALS_S = {"demo": 20.0, "bad-firmware": 600.0, "sensor-faults": 600.0}
Doctored = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Told:
    truth: dict[str, Any]
    heard: dict[str, Heard]

    def affected(self, how: str) -> set[str]:
        return {
            one["asset"]
            for incident in self.truth["incidents"]
            for one in incident["affected"]
            if one["how"] == how
        }


def run(folder: Path, scenario: str, **given: Any) -> Told:
    """A fiftieth of Khánh Hòa, a reading each quarter of an hour as it comes."""
    record, truth = folder / f"{scenario}.jsonl", folder / f"{scenario}.json"
    options = SimulateOptions(
        broker=None,
        scale=0.02,
        interval_s=INTERVALS_S.get(scenario, 900.0),
        scenario=scenario,
        speed=float("inf"),
        record=record,
        truth=truth,
        **given,
    )
    asyncio.run(Run(options, clock=SystemClock()).run())
    return Told(json.loads(truth.read_bytes()), read_messages(record))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Told]:
    """Each scenario is run once."""
    known: dict[str, Told] = {}
    folder = tmp_path_factory.mktemp("runs")

    def found(scenario: str) -> Told:
        if scenario not in known:
            known[scenario] = run(folder, scenario)
        return known[scenario]

    return found


def test_the_schema_is_what_the_code_gives() -> None:
    """python -c "from simulators.truth import schema_text; print(schema_text(), end='')" """
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("scenario", scenario_names())
def test_truth_and_messages_agree(told: Callable[[str], Told], scenario: str) -> None:
    found = told(scenario)
    jsonschema_rs.validate(json.loads(SCHEMA.read_bytes()), found.truth)
    assert disagreements(found.truth, found.heard, CATALOG) == []
    assert bool(found.truth["incidents"]) == (scenario not in ("calm", "holiday"))


def test_scenarios_do_what_they_say(told: Callable[[str], Told]) -> None:
    assert told("ring-cut").affected("silent") == set()
    assert told("double-ring-cut").affected("silent")
    assert len(told("grid-loss").affected("silent")) > 60
    assert told("battery-theft").affected("silent")
    assert any(asset.startswith("DC-NT") for asset in told("site-switchover").affected("silent"))
    assert "DC-PR-STORAGE-1" in told("site-switchover").affected("degraded")
    assert "DC-PR-RACK-01" in told("cooling-failure").affected("degraded")
    assert told("bad-firmware").affected("nonsense")
    assert told("clock-skew").affected("clock_wrong")
    assert told("sensor-faults").affected("stuck")
    assert {incident["planned"] for incident in told("maintenance").truth["incidents"]} == {
        True,
        False,
    }
    faults = {incident["fault"] for incident in told("typhoon").truth["incidents"]}
    assert faults >= {"mains-failure", "span-cut"}


def test_one_isolating_cut_names_all_it_takes(told: Callable[[str], Told]) -> None:
    (incident,) = told("demo").truth["incidents"]
    silent = {one["asset"] for one in incident["affected"] if one["how"] == "silent"}
    assert len(silent) > 5
    assert incident["told"]["asset"] == incident["root"] not in silent
    assert incident["told"]["probable_cause"] == "lossOfSignal"
    assert f"{len(silent)} assets fell silent" in incident["told"]["en"]
    assert f"{len(silent)} thiết bị mất liên lạc" in incident["told"]["vi"]


async def test_what_is_injected_is_an_incident_too(tmp_path: Path) -> None:
    options = SimulateOptions(
        broker=None, scale=0.02, interval_s=60.0, scenario="demo", truth=tmp_path / "t.json"
    )
    run = Run(options, clock=SystemClock())
    assert run.truth is not None
    request = {"id": "a", "asset": "KH00001", "fault": "vswr", "for_s": 300.0}
    for _ in range(3):
        run.feed.tick()
    (reply,) = await run._inject(json.dumps(request).encode())
    assert b"until_ms" in reply.payload
    for _ in range(200):
        run.feed.tick()
    found = run.truth.truth()
    by_hand = next(incident for incident in found.incidents if incident.fault == "vswr")
    assert (by_hand.id, by_hand.root) == (2, "KH00001")
    assert {rule for one in by_hand.affected for rule in one.rules} == {"bts-vswr", "bts-vswr-high"}
    assert found.unexplained == []


def first(truth: dict[str, Any], how: str, *, least_s: float = 3000) -> dict[str, Any]:
    """An affected asset with a stretch long enough to be seen."""
    for incident in truth["incidents"]:
        for one in incident["affected"]:
            end = truth["end"] if one["end"] is None else one["end"]
            if one["how"] == how and end - one["begin"] >= least_s * 1000:
                assert isinstance(one, dict)
                return one
    raise AssertionError(f"nothing is {how}")


def drop(how: str) -> Doctored:
    def doctor(truth: dict[str, Any]) -> None:
        gone = first(truth, how)
        for incident in truth["incidents"]:
            incident["affected"] = [one for one in incident["affected"] if one is not gone]

    return doctor


def lengthen(truth: dict[str, Any]) -> None:
    first(truth, "silent")["end"] += 1_800_000


def shorten(truth: dict[str, Any]) -> None:
    first(truth, "silent")["end"] -= 2_400_000


def invent(how: str, **more: Any) -> Doctored:
    """Say of a station that nothing touches that something does."""

    def doctor(truth: dict[str, Any]) -> None:
        touched = {one["asset"] for inc in truth["incidents"] for one in inc["affected"]}
        calm = next(f"KH{n:05d}" for n in range(1, 70) if f"KH{n:05d}" not in touched)
        incident = truth["incidents"][0]
        begin = incident["begin"]
        one = {"asset": calm, "kind": "bts", "how": how, "begin": begin, "end": begin + 6_000_000}
        incident["affected"].append({**one, "rules": [], "also": [], **more})

    return doctor


@pytest.mark.parametrize(
    ("scenario", "doctor"),
    [
        ("battery-theft", drop("silent")),
        ("double-ring-cut", drop("degraded")),
        ("battery-theft", lengthen),
        ("battery-theft", shorten),
        ("double-ring-cut", invent("silent")),
        ("double-ring-cut", invent("degraded", rules=["bts-vswr"])),
        ("double-ring-cut", invent("nonsense")),
        ("double-ring-cut", invent("alarm")),
        ("clock-skew", invent("clock_wrong")),
        ("clock-skew", drop("clock_wrong")),
        ("bad-firmware", drop("nonsense")),
        ("sensor-faults", invent("stuck", metric="dc_voltage_v")),
        ("sensor-faults", invent("spiking", metric="dc_voltage_v")),
        ("battery-theft", drop("alarm")),
        ("ring-cut", lambda truth: truth["incidents"].clear()),
        ("ring-cut", lambda truth: truth["incidents"][0].update(told=None)),
    ],
)
def test_a_doctored_truth_is_found_out(
    told: Callable[[str], Told], scenario: str, doctor: Doctored
) -> None:
    found = told(scenario)
    doctored = copy.deepcopy(found.truth)
    doctor(doctored)
    assert disagreements(doctored, found.heard, CATALOG)
