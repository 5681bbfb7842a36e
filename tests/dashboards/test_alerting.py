"""Alert rules, contact points and policies as Grafana reads them from files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.__main__ import main
from dashboards.alerting import notify
from dashboards.alerting.watch import Asked, Watch, as_rule, from_catalog
from dashboards.alerting.watches import all_of
from dashboards.provisioning import PROVISIONING, provisioned
from dashboards.setting import Setting, settings
from ioc.alarms.model import SEVERITIES
from ioc.catalog.causes import PROBABLE_CAUSES
from ioc.errors import QueryError
from ioc.text import Text
from ioc.web.api_grafana import EVENT_TYPES

JSON = dict[str, Any]
ENVIRONMENT = re.compile(r"\$\{([A-Z_]+)\}")


@pytest.fixture(scope="module")
def on() -> Setting:
    return settings()["vi"]


@pytest.fixture(scope="module")
def files(on: Setting) -> dict[str, JSON]:
    """The files as YAML gives them, by name."""
    return {path.as_posix(): yaml.safe_load(text) for path, text in provisioned(on).items()}


@pytest.fixture(scope="module")
def rules(files: dict[str, JSON]) -> list[JSON]:
    return [rule for group in files["alerting/rules.yaml"]["groups"] for rule in group["rules"]]


def test_every_rule_has_a_name_of_its_own_and_says_what_the_alarm_is(rules: list[JSON]) -> None:
    assert len({rule["uid"] for rule in rules}) == len(rules)
    assert len({rule["title"] for rule in rules}) == len(rules)  # in one folder
    for rule in rules:
        labels, texts = rule["labels"], rule["annotations"]
        assert re.fullmatch(r"ioc-[a-z0-9-]{1,36}", rule["uid"])
        assert labels["severity"] in SEVERITIES
        assert labels["event_type"] in EVENT_TYPES
        assert labels["probable_cause"] in PROBABLE_CAUSES
        assert len(labels["rule"]) <= 64
        assert {"summary", "summary_en", "description", "description_en", "runbook_url"} == set(
            texts
        )
        assert texts["summary"] != texts["summary_en"]


def test_what_has_to_be_watched_is_watched(rules: list[JSON]) -> None:
    assert {rule["labels"]["rule"] for rule in rules} >= {
        "telemetry-missing",
        "stations-out-5",
        "stations-out-20",
        "span-down",
        "dc-room-temperature",
        "dc-site-silent",
        "ups-input-lost",
        "ups-runtime-low",
        "alarm-engine-silent",
        "ioc-alarms-late",
        "journal-growing",
        "ioc-journal-half",
        "ioc-disk-low",
        "ioc-store-late",
    }


def test_a_rule_is_a_chain_of_queries_and_expressions(rules: list[JSON]) -> None:
    for rule in rules:
        known: set[str] = set()
        for step in rule["data"]:
            model = step["model"]
            assert model["refId"] == step["refId"]
            if step["datasourceUid"] == "__expr__":
                used = re.findall(r"\$\{(\w+)\}", model["expression"]) or [model["expression"]]
                assert set(used) <= known, rule["uid"]
            else:
                assert step["datasourceUid"] == "ioc-influxdb"
                assert model["resultFormat"] == "time_series"
                # The backend fills in this and the bucket, and no other variable.
                assert re.findall(r"\$\{?\w+", model["query"]) == ["$timeFilter"]
                assert step["relativeTimeRange"]["from"] <= 2100
            assert step["refId"] not in known, rule["uid"]
            known.add(step["refId"])
        assert rule["condition"] == rule["data"][-1]["refId"]
        assert rule["data"][-1]["model"]["type"] == "threshold"
        seconds = int(rule["for"].removesuffix("s"))
        assert seconds % 10 == 0


def test_no_question_reads_every_station(on: Setting) -> None:
    few = {"kpi", "ioc", "dc_site", "ups"}
    for watch in all_of(on):
        for asked in watch.asked:
            (measurement,) = re.findall(r'FROM "(\w+)"', asked.text)
            assert measurement in few
            if measurement == "kpi":
                assert "'province'" in asked.text


def test_templates_hold_no_variable(rules: list[JSON]) -> None:
    """Some versions of Grafana put their environment into annotations, others do not."""
    for rule in rules:
        for text in rule["annotations"].values():
            assert "$" not in text
            assert text.count("{{") == text.count("}}")
            assert "{asset}" not in text
            assert "{value}" not in text


def test_limits_come_from_the_catalog(on: Setting, rules: list[JSON]) -> None:
    by_name = {rule["labels"]["rule"]: rule for rule in rules}
    hot = by_name["dc-room-temperature"]
    (condition,) = hot["data"][-1]["model"]["conditions"]
    assert condition == {
        "evaluator": {"type": "gt", "params": [30.0]},
        "unloadEvaluator": {"type": "lt", "params": [28.0]},
    }
    assert hot["labels"]["severity"] == "major"
    assert "above 30 °C" in hot["annotations"]["summary_en"]
    assert hot["for"] == "90s"  # the service's own rule waits 60 s
    (low,) = by_name["ups-runtime-low"]["data"][-1]["model"]["conditions"]
    assert (low["evaluator"]["type"], low["unloadEvaluator"]["type"]) == ("lt", "gt")
    with pytest.raises(KeyError, match="no rule 'dc-site-hot'"):
        from_catalog(on, "dc_site", "dc-site-hot", team="data-center")
    for kind, rule in (("dc_site", "dc-site-no-data"), ("ups", "ups-on-battery")):
        with pytest.raises(QueryError, match="is not watched from outside"):
            from_catalog(on, kind, rule, team="data-center")


def test_what_is_no_whole_rule_is_refused() -> None:
    words = Text(vi="a", en="b")

    def watch(**more: Any) -> Watch:
        known: dict[str, Any] = {
            "name": "x",
            "title": words,
            "team": "ioc",
            "severity": "minor",
            "event_type": "equipment",
            "probable_cause": "smoke",
            "text": words,
            "action": words,
            "asked": [Asked(text="SELECT 1")],
        }
        return Watch(**(known | more))

    with pytest.raises(ValueError, match="either above or below"):
        as_rule(watch(), console_url="")
    with pytest.raises(ValueError, match="either above or below"):
        as_rule(watch(above=1, below=0), console_url="")
    with pytest.raises(ValueError, match="need a formula"):
        as_rule(watch(above=1, asked=[Asked(text="a"), Asked(text="b")]), console_url="")
    assert len(as_rule(watch(below=1), console_url="")["data"]) == 3


def test_only_named_variables_are_asked_of_the_environment(files: dict[str, JSON]) -> None:
    found = set()
    for name, content in files.items():
        if name != "alerting/rules.yaml":
            found |= set(ENVIRONMENT.findall(yaml.safe_dump(content)))
    assert found == {
        "IOC_INFLUX_URL",
        "IOC_INFLUX_DATABASE",
        "IOC_INFLUX_TOKEN",
        "IOC_ALERT_URL",
        "IOC_ALERT_TOKEN",
        "IOC_RECIPIENT_URL",
        "IOC_RECIPIENT_SEVERITIES",
    }


def told(route: JSON, labels: dict[str, str], environment: dict[str, str]) -> list[JSON]:
    """The routes an alert takes, as Alertmanager finds them: children in their order, the first
    that matches ends the search unless it says to go on; none matches, and it is the route's."""

    def matches(one: JSON) -> bool:
        for name, operator, wanted in one.get("object_matchers", []):
            value = labels.get(name, "")
            wanted = ENVIRONMENT.sub(lambda found: environment.get(found[1], ""), wanted)
            fits = re.fullmatch(wanted, value) if operator == "=~" else value == wanted
            if not fits:
                return False
        return True

    found: list[JSON] = []
    for child in route.get("routes", []):
        if matches(child):
            found += told(child, labels, environment)
            if not child.get("continue"):
                break
    return found or [route]


@pytest.mark.parametrize(
    ("severity", "severities", "expected"),
    [
        ("critical", "", ["ioc-service"]),
        ("critical", "critical|major", ["ioc-recipients", "ioc-service"]),
        ("minor", "critical|major", ["ioc-service"]),
        ("warning", "critical|major", ["ioc-service"]),
        ("warning", ".*", ["ioc-recipients", "ioc-service"]),
    ],
)
def test_who_is_told(
    files: dict[str, JSON], severity: str, severities: str, expected: list[str]
) -> None:
    (tree,) = files["alerting/policies.yaml"]["policies"]
    labels = {"system": "ioc", "severity": severity}
    found = told(tree, labels, {"IOC_RECIPIENT_SEVERITIES": severities})
    assert [route["receiver"] for route in found] == expected
    quiet = [route for route in found if route.get("mute_time_intervals")]
    assert bool(quiet) is (severity == "warning")


def test_somebody_elses_rule_is_told_to_the_service_too(files: dict[str, JSON]) -> None:
    (tree,) = files["alerting/policies.yaml"]["policies"]
    (route,) = told(tree, {"severity": "critical"}, {"IOC_RECIPIENT_SEVERITIES": ".*"})
    assert route["receiver"] == "ioc-service"


def test_policies_name_what_exists(files: dict[str, JSON]) -> None:
    points = {point["name"] for point in files["alerting/contact_points.yaml"]["contactPoints"]}
    timings = {timing["name"] for timing in files["alerting/mute_timings.yaml"]["muteTimes"]}

    def walk(route: JSON) -> None:
        assert route["receiver"] in points
        assert set(route.get("mute_time_intervals", [])) <= timings
        for child in route.get("routes", []):
            walk(child)

    walk(files["alerting/policies.yaml"]["policies"][0])
    assert points == {notify.SERVICE, notify.RECIPIENTS}


def test_no_secret_is_in_a_file(files: dict[str, JSON]) -> None:
    text = "".join(yaml.safe_dump(content) for content in files.values())
    for line in text.splitlines():
        if re.search(r"token|credentials|password|httpHeaderValue", line, re.IGNORECASE):
            assert ENVIRONMENT.search(line), line


def test_the_command_writes_and_checks_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "boards"), "--provisioning", str(tmp_path / "provisioning")]
    assert main(options) == 0
    assert main(["--check", *options]) == 0
    rules = tmp_path / "provisioning" / "alerting" / "rules.yaml"
    rules.write_text(rules.read_text("utf-8").replace("30.0", "31.0"), encoding="utf-8")
    capsys.readouterr()
    assert main(["--check", *options]) == 1
    assert "alerting/rules.yaml: not what the code gives" in capsys.readouterr().err
    # The boards alone, without touching what is provisioned here.
    assert main(["--out", str(tmp_path / "only")]) == 0
    assert not (tmp_path / "only" / "alerting").exists()


def test_the_committed_files_are_what_the_code_gives(on: Setting) -> None:
    for path, text in provisioned(on).items():
        assert (PROVISIONING / path).read_text(encoding="utf-8") == text, path


def test_the_table_of_the_guide_is_of_these_rules(rules: list[JSON]) -> None:
    guide = (PROVISIONING.parents[2] / "docs" / "grafana.md").read_text(encoding="utf-8")
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in guide.splitlines()
        if line.startswith("| `")
    ]
    told = {row[0].strip("`"): row[-2:] for row in cells if row[-2].endswith(" s")}
    assert told == {
        rule["labels"]["rule"]: [rule["for"].replace("s", " s"), rule["labels"]["severity"]]
        for rule in rules
    }
