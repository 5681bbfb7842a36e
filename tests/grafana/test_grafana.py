"""`ioc grafana` end to end: the command, grafana-client, HTTP, and what a Grafana then holds."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ioc.cli import main
from ioc.grafana.compare import differences
from ioc.grafana.files import Given, read_wanted, seconds
from ioc.resources import grafana_folder
from tests.grafana.grafana_server import Grafana, serving

JSON = dict[str, Any]


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with serving(Grafana()) as one:
        yield one


class Ioc:
    """The command against one Grafana, with all it can be told."""

    def __init__(self, grafana: Grafana, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.grafana, self._capsys = grafana, capsys
        for name, secret in {
            "admin": grafana.token,
            "influx": "influx-secret",
            "reporter": "reporter-secret",
        }.items():
            (folder / name).write_text(secret + "\n")
        self.base = ["--url", grafana.url, "--token-file", str(folder / "admin")]
        self.influx = ["--influx-url", "http://influx:8086", "--influx-token-file"]
        self.influx.append(str(folder / "influx"))
        self.alerts = ["--alert-url", "http://ioc:8080/api/v1/grafana/alerts"]
        self.alerts += ["--alert-token-file", str(folder / "reporter")]

    def __call__(self, action: str, *more: str, everything: bool = True) -> tuple[int, str, str]:
        options = [*self.base, *(self.influx + self.alerts if everything else []), *more]
        self.grafana.asked.clear()
        with pytest.raises(SystemExit) as ended:
            main(["grafana", action, *options])
        said = self._capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def ioc(
    grafana: Grafana,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Ioc:
    for name in ("URL", "ADMIN_TOKEN_FILE"):
        monkeypatch.delenv(f"IOC_GRAFANA_{name}", raising=False)
    return Ioc(grafana, tmp_path, capsys)


def test_an_empty_grafana_gets_everything_and_a_second_time_nothing(ioc: Ioc) -> None:
    grafana = ioc.grafana
    code, said, _ = ioc("apply")
    assert code == 0, said
    assert set(grafana.folders) == {"ioc-vi", "ioc-en", "ioc-alerts"}
    written = {path.stem for path in (grafana_folder() / "boards" / "vi").glob("*.json")}
    assert len(grafana.boards) == 2 * len(written)
    assert {folder for folder, _ in grafana.boards.values()} == {"ioc-vi", "ioc-en"}
    assert "ioc-telemetry-missing" in grafana.rules
    assert set(grafana.intervals.values()) == {10}
    assert set(grafana.points) == {"ioc-service"}
    assert set(grafana.timings) == {"ioc-maintenance"}
    source = grafana.sources["ioc-influxdb"]
    assert source["url"] == "http://influx:8086"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token influx-secret"}
    assert grafana.points["ioc-service"]["settings"] == {
        "httpMethod": "POST",
        "url": "http://ioc:8080/api/v1/grafana/alerts#ioc",
        "authorization_scheme": "Bearer",
        "authorization_credentials": "reporter-secret",
    }

    held = copy.deepcopy((grafana.rules, grafana.boards, grafana.tree, grafana.intervals))
    code, said, err = ioc("apply")
    assert code == 0
    # What cannot be compared is written again, and nothing else.
    assert grafana.writes == [
        "PUT /api/datasources/uid/ioc-influxdb",
        "PUT /api/v1/provisioning/contact-points/ioc-service",
    ]
    assert said.count("write again") == 2
    assert "nothing to change" in err
    assert held == (grafana.rules, grafana.boards, grafana.tree, grafana.intervals)


def test_no_variable_is_left_in_what_is_sent(ioc: Ioc) -> None:
    ioc("apply", "--console-url", "https://ioc.example.vn/", "--recipient-url", "http://noc/hook")
    grafana = ioc.grafana
    alerting = json.dumps(
        [
            [rule["annotations"] for rule in grafana.rules.values()],
            list(grafana.points.values()),
            grafana.tree,
            grafana.sources,
        ]
    )
    assert not re.findall(r"\$\{[A-Z_]+\}", alerting)
    links = {rule["annotations"]["runbook_url"] for rule in grafana.rules.values()}
    assert "https://ioc.example.vn/system" in links
    # The rules' own variables are Grafana's to fill in.
    assert "$timeFilter" in json.dumps(grafana.rules)
    assert "${RA} - ${RB}" in json.dumps(grafana.rules)
    for _, board in grafana.boards.values():
        assert "http://127.0.0.1:8080" not in json.dumps(board)
        (console,) = (v for v in board["templating"]["list"] if v["name"] == "console")
        assert console["query"] == "https://ioc.example.vn"


def test_check_and_diff_change_nothing_and_say_what_differs(ioc: Ioc) -> None:
    code, said, err = ioc("check")
    assert code == 1
    assert "create      board ioc-overview-vi" in said
    assert "to change" in err
    assert ioc.grafana.writes == []
    ioc("apply")
    assert ioc("check")[0] == 0
    assert ioc.grafana.writes == []

    hot = ioc.grafana.rules["ioc-dc-room-temperature"]
    hot["data"][-1]["model"]["conditions"][0]["evaluator"]["params"] = [35]
    hot["for"] = "5m"
    folder, board = ioc.grafana.boards["ioc-overview-vi"]
    ioc.grafana.boards["ioc-overview-vi"] = (folder, board | {"title": "Meins"})
    code, said, _ = ioc("diff")
    assert code == 0
    assert ioc.grafana.writes == []
    assert "change      alert rule ioc-dc-room-temperature" in said
    lines = [line.strip() for line in said.splitlines()]
    assert "-for: 5m" in lines
    assert "+for: 90s" in lines
    assert "-  title: Meins" in lines
    assert ioc("check")[0] == 1
    ioc("apply")
    assert ioc("check")[0] == 0


def test_what_is_not_ours_stays_as_it_is(ioc: Ioc) -> None:
    grafana = ioc.grafana
    theirs = {
        "receiver": "grafana-default-email",
        "object_matchers": [["team", "=", "billing"]],
        "group_wait": "1m",
    }
    grafana.tree["routes"] = [theirs]
    grafana.folders["billing"] = {"uid": "billing", "title": "Billing"}
    grafana.boards["invoices"] = ("billing", {"uid": "invoices", "title": "B", "version": 1})
    grafana.rules["invoice-late"] = {
        "uid": "invoice-late",
        "folderUID": "billing",
        "ruleGroup": "billing",
        "title": "late",
    }
    grafana.points["pager"] = {"uid": "pager", "name": "pager", "type": "x", "settings": {}}
    ioc("apply")
    assert grafana.tree["receiver"] == "grafana-default-email"
    ours, kept = grafana.tree["routes"]
    assert ours["object_matchers"] == [["system", "=", "ioc"]]
    assert kept == theirs
    # People work in our folders, too.
    grafana.boards["own"] = ("ioc-vi", {"uid": "own", "title": "Own", "version": 1})
    grafana.rules["own-rule"] = grafana.rules["ioc-span-down"] | {"uid": "own-rule", "title": "o"}
    grafana.tree["group_wait"] = "5m"
    ioc("apply", "--recipient-url", "http://noc/hook")
    assert {"own", "invoices"} <= set(grafana.boards)
    assert {"own-rule", "invoice-late"} <= set(grafana.rules)
    assert "pager" in grafana.points
    assert grafana.tree["group_wait"] == "5m"
    assert theirs in grafana.tree["routes"]
    assert not [one for one in grafana.writes if "billing" in one or "own" in one.split("/")[-1]]


def test_what_is_ours_no_more_is_removed(ioc: Ioc) -> None:
    grafana = ioc.grafana
    ioc("apply", "--recipient-url", "http://noc/hook")
    assert set(grafana.points) == {"ioc-service", "ioc-recipients"}
    grafana.boards["ioc-old-vi"] = ("ioc-vi", {"uid": "ioc-old-vi", "title": "o", "version": 1})
    grafana.rules["ioc-old"] = grafana.rules["ioc-span-down"] | {"uid": "ioc-old", "title": "old"}
    _, said, _ = ioc("diff")
    assert "remove      board ioc-old-vi" in said
    assert "remove      alert rule ioc-old" in said
    assert "remove      contact point ioc-recipients" in said
    ioc("apply")
    assert "ioc-old-vi" not in grafana.boards
    assert "ioc-old" not in grafana.rules
    assert set(grafana.points) == {"ioc-service"}
    assert "ioc-recipients" not in json.dumps(grafana.tree)
    assert ioc("check")[0] == 0


def test_without_addresses_neither_source_nor_policies_are_touched(ioc: Ioc) -> None:
    grafana = ioc.grafana
    code, _, err = ioc("apply", everything=False)
    assert code == 1
    assert "there is no data source ioc-influxdb" in err
    assert not grafana.boards
    grafana.sources["ioc-influxdb"] = {"uid": "ioc-influxdb", "url": "http://elsewhere"}
    tree = copy.deepcopy(grafana.tree)
    assert ioc("apply", everything=False)[0] == 0
    assert grafana.boards
    assert grafana.rules
    assert grafana.tree == tree
    assert not grafana.points
    assert grafana.sources["ioc-influxdb"]["url"] == "http://elsewhere"
    assert ioc("check", everything=False)[0] == 0


def test_an_older_grafana_gets_what_it_knows(ioc: Ioc) -> None:
    ioc.grafana.version = "9.4.0-pre"
    assert ioc("apply")[0] == 0
    assert {rule["noDataState"] for rule in ioc.grafana.rules.values()} == {"Alerting", "OK"}
    assert ioc("check")[0] == 0
    ioc.grafana.version = "11.6.0"
    assert ioc("check")[0] == 1
    ioc("apply")
    assert "KeepLast" in {rule["noDataState"] for rule in ioc.grafana.rules.values()}


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ({"token": "another"}, "the token is not accepted; --token-file needs another one"),
        ({"may_write": False}, "needs the role Admin"),
        ({"version": ""}, "not a Grafana"),
    ],
)
def test_refusals_are_one_line_that_says_what_to_do(ioc: Ioc, spoil: JSON, expected: str) -> None:
    for name, value in spoil.items():
        setattr(ioc.grafana, name, value)
    code, _, err = ioc("apply")
    assert code == 1
    assert expected in err
    assert err.count("\n") == 1
    assert "secret" not in err


def test_what_comes_from_files_is_left_to_them(ioc: Ioc) -> None:
    ioc("apply")
    ioc.grafana.from_files.add("ioc-span-down")
    ioc.grafana.rules["ioc-span-down"]["for"] = "1h"
    code, _, err = ioc("apply")
    assert code == 1
    assert "alert rule ioc-span-down: this Grafana has it from its own provisioning files" in err


def test_a_grafana_that_is_not_there_and_wrong_files(
    ioc: Ioc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = ioc("check", "--url", "http://127.0.0.1:9")
    assert code == 1
    assert "no answer (ConnectionError); is Grafana there?" in err
    code, _, err = ioc("check", "--url", "ftp://x")
    assert "expected http://HOST:PORT" in err
    code, _, err = ioc("check", "--url", "http://admin:secret@127.0.0.1:3000")
    assert "without user and password" in err
    code, _, err = ioc("check", "--files", str(tmp_path))
    assert "cannot be read" in err
    assert "python -m dashboards" in err


def test_files_that_are_none_of_ours_are_refused(tmp_path: Path) -> None:
    import shutil

    from ioc.errors import ConfigError

    shutil.copytree(grafana_folder(), tmp_path / "g")
    given = Given(console_url="http://c")
    board = tmp_path / "g" / "boards" / "vi" / "overview.json"
    text = board.read_text("utf-8")
    board.write_text(text.replace('"uid": "ioc-overview-vi"', '"uid": "theirs"'), "utf-8")
    with pytest.raises(ConfigError, match="uid 'theirs' does not begin with ioc-"):
        read_wanted(tmp_path / "g", given)
    board.write_text(text, "utf-8")
    rules = tmp_path / "g" / "provisioning" / "alerting" / "rules.yaml"
    rules.write_text("groups: 3\n")
    with pytest.raises(ConfigError, match="not what python -m dashboards writes"):
        read_wanted(tmp_path / "g", given)
    rules.write_text("groups: [")
    with pytest.raises(ConfigError, match=r"rules\.yaml: not YAML"):
        read_wanted(tmp_path / "g", given)


def test_secrets_do_not_show(tmp_path: Path) -> None:
    given = Given(console_url="http://c", influx_token="geheim", alert_token="geheim")
    assert "geheim" not in repr(given)


def test_differences_are_short_and_only_of_what_is_ours() -> None:
    assert differences({"a": 1}, {"a": 1.0, "b": 2}) == []
    assert differences({"for": "90s"}, {"for": "1m30s"}) == []
    assert differences({"x": []}, {"x": None}) == []
    assert differences({"paused": False}, {}) == []
    assert differences({"paused": True}, {}) != []
    assert differences({"secret": "x"}, {"secret": "[REDACTED]"}) == []
    assert differences({"list": [1]}, {"list": [1, 2]}) != []
    long = differences({"l": list(range(100))}, {"l": []})
    assert len(long) == 17
    assert long[-1].endswith("more lines")


def test_durations() -> None:
    assert [seconds(one) for one in ("90s", "1m30s", "1h", "2d", 5, "4h0m0s")] == [
        90,
        90,
        3600,
        172_800,
        5,
        14_400,
    ]
    for wrong in ("", "s", "1 minute", None):
        with pytest.raises(ValueError, match="no duration"):
            seconds(wrong)


def test_without_grafana_client_it_says_what_to_install(
    ioc: Ioc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "grafana_client", None)
    code, _, err = ioc("check")
    assert code == 1
    assert "pip install 'provincial-ioc[grafana]'" in err.replace("\n", " ")
