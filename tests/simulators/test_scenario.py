"""Scenario files: what they may say, what is told of those that say something else."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from ioc.catalog.causes import PROBABLE_CAUSES
from ioc.errors import ConfigError, FileError
from ioc.resources import scenarios_folder
from simulators.faults import FAULTS
from simulators.ideal import MOVES, told
from simulators.scenario import (
    SCHEMA_FILE,
    duration_s,
    read_scenario,
    scenario_names,
    scenario_path,
    schema_text,
)

STATED = {
    *("calm", "holiday", "typhoon", "ring-cut", "double-ring-cut", "duct-cut", "grid-loss"),
    *("cooling-failure", "site-switchover", "fibre-bend", "flapping-link", "battery-theft"),
    *("sensor-faults", "clock-skew", "bad-firmware", "maintenance"),
}
HEAD = """\
title: { vi: a, en: a }
text: { vi: a, en: a }
start: 2026-09-15T09:00:00+07:00
lasts: 1h
"""


def faults_of(tmp_path: Path, content: str) -> list[str]:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + content, encoding="utf-8")
    with pytest.raises(FileError) as raised:
        read_scenario(path)
    return [fault.removeprefix(f"{path}:") for fault in raised.value.faults]


def test_all_scenarios_are_there() -> None:
    assert set(scenario_names()) == STATED | {"demo"}


@pytest.mark.parametrize("name", scenario_names())
def test_a_scenario_reads_and_names_the_schema(name: str) -> None:
    path = scenario_path(name)
    found = read_scenario(path)
    assert found.lasts <= 86_400
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_FILE}"
    assert found.text.vi != found.text.en


def test_the_schema_is_what_the_code_gives() -> None:
    """python -c "from simulators.scenario import schema_text; print(schema_text(), end='')" """
    assert (scenarios_folder() / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("name", scenario_names())
def test_the_schema_takes_every_scenario(name: str) -> None:
    """As an editor sees the file: times are texts, the start is a time."""
    content = yaml.safe_load(scenario_path(name).read_text(encoding="utf-8"))
    content["start"] = content["start"].isoformat()
    jsonschema_rs.validate(json.loads(schema_text()), content)
    content["steps"] = [{"fault": "span-cuts", "where": {}, "at": "1m", "for": "1m"}]
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(json.loads(schema_text()), content)


def test_the_schema_knows_files_as_they_are_written() -> None:
    schema = json.loads(schema_text())
    step = schema["$defs"]["Step"]["properties"]
    assert {"at", "for", "where", "within"} <= step.keys()
    assert "for_" not in step
    assert step["fault"]["enum"] == list(FAULTS)
    (one, two) = next(kind for kind in step["at"]["anyOf"] if "anyOf" in kind)["anyOf"]
    assert one["type"] == two["items"]["type"] == "string"


def test_all_faults_of_a_file_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path,
        """\
steps:
  - fault: span-cuts
    where: { role: bridge }
    at: 1m
    for: 2m
  - fault: span-cut
    where: { role: bridge }
    at: soon
    for: [2h, 1h]
  - fault: vswr
    where: { count: 0 }
    at: 1m
    until: 2m
""",
    )
    assert [fault.split(": ")[:2] for fault in found] == [
        ["6", "steps.0.fault"],
        ["12", "steps.1.at"],
        ["13", "steps.1.for"],
        ["15", "steps.2.where.count"],
        ["17", "steps.2.until"],
    ]
    assert "did you mean span-cut?" in found[0]
    assert "found 'span-cuts'" in found[0]
    assert 'expected a time such as "90s"' in found[1]
    assert "found 'soon'" in found[1]
    assert "expected the least time first" in found[2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("steps: [{ fault: vswr, where: {}, at: 1m }]", "expected for (a time) or repair (crews)"),
        (
            "steps: [{ fault: vswr, where: {}, for: 1m }]",
            "expected at (a time) or within (an area)",
        ),
        (
            "steps: [{ fault: vswr, where: {}, at: 1m, for: 1m, skew: 1m }]",
            "skew goes with clock-skew",
        ),
        (
            "steps: [{ fault: vswr, where: {}, at: 1m, for: 1m, chance: 0.5 }]",
            "for a part of the assets use where.share",
        ),
        ("steps: [{ fault: vswr, where: {}, within: gale, for: 1m }]", "areas has none"),
        ("steps: [{ fault: vswr, where: {}, at: 1m, repair: us }]", "crews has none"),
        ("steps: [{ fault: vswr, where: { group: us }, at: 1m, for: 1m }]", "groups has none"),
        ("groups: { a: { share: 0.5, count: 3 } }", "expected count or share, not both"),
        ("groups: { a: { role: duct, share: 0.5 } }", "chooses by itself"),
        ("groups: { a: { stations: 4 } }", "stations goes with a role of"),
        ("misbehaviour: { gaps: 0.9 }", "less than or equal to 0.5"),
        ("load: [{ at: 1m, for: 40d, factor: 1 }]", "expected at most 31d"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, content: str, expected: str) -> None:
    (fault,) = faults_of(tmp_path, content)
    assert expected in fault


def test_a_start_needs_its_zone(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD.replace("+07:00", ""), encoding="utf-8")
    with pytest.raises(FileError, match=r"x.yaml:3: start: .*with its zone"):
        read_scenario(path)


def test_durations() -> None:
    assert duration_s("1h30m") == 5400
    assert duration_s("-20m") == -1200
    assert duration_s("0.5h") == 1800


def test_a_scenario_that_is_none_names_what_there_is() -> None:
    with pytest.raises(ConfigError, match="did you mean typhoon"):
        scenario_path("typhon")


def test_everything_known_of_faults_names_faults_and_causes() -> None:
    assert set(MOVES) == set(FAULTS)
    for fault in FAULTS.values():
        for kind in fault.kinds or {"bts", "span"}:
            assert told(fault.id, kind).probable_cause in PROBABLE_CAUSES
