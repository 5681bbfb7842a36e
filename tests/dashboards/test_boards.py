"""The boards as files: what the code gives, complete, in both languages, without collisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from dashboards import ask, parts
from dashboards.__main__ import main
from dashboards.layout import Grid, LayoutError
from dashboards.looks import Look, of_metric
from dashboards.measures import MEASURES
from dashboards.registry import BOARDS, FOLDER, drawn
from dashboards.setting import Setting, settings
from ioc.errors import QueryError
from ioc.inventory.targets import MeasureName
from tests.dashboards.fill_in import Times, asked, fill_in, panels

ALL = [(name, language) for name in BOARDS for language in ("vi", "en")]


@pytest.fixture(scope="module")
def on() -> Setting:
    return settings()["en"]


@pytest.fixture(scope="module")
def boards() -> dict[str, Any]:
    return {str(path): json.loads(text) for path, text in drawn().items()}


def test_the_committed_files_are_what_the_code_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_check_names_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check", "--out", str(tmp_path)]) == 0
    changed = tmp_path / "vi" / "plan.json"
    changed.write_text(changed.read_text(encoding="utf-8").replace("ioc", "iox"), encoding="utf-8")
    (tmp_path / "en" / "plan.json").unlink()
    (tmp_path / "en" / "stray.json").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert main(["--check", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "vi/plan.json: not what the code gives" in said
    assert "en/plan.json: missing" in said
    assert "en/stray.json: no board of this name" in said
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check", "--out", str(tmp_path)]) == 0


def test_another_console_and_an_unknown_province(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path), "--console-url", "https://ioc.example.vn/"]) == 0
    assert '"https://ioc.example.vn"' in (tmp_path / "vi" / "plan.json").read_text("utf-8")
    assert main(["--out", str(tmp_path), "--province", "atlantis"]) == 1
    assert "atlantis" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "language"), ALL)
def test_every_panel_says_what_it_is(boards: dict[str, Any], name: str, language: str) -> None:
    board = boards[f"{language}/{name}.json"]
    assert board["description"]
    ids = [panel["id"] for panel in [*board["panels"], *panels(board)] if panel["type"] != "row"]
    assert len(set(ids)) == len({(panel["id"]) for panel in panels(board)})
    for panel in panels(board):
        if panel["type"] != "text":
            assert panel["title"], panel["type"]
            assert panel["description"], panel["title"]
            assert panel["targets"], panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_languages_differ_in_words_only(boards: dict[str, Any], name: str) -> None:
    vi, en = boards[f"vi/{name}.json"], boards[f"en/{name}.json"]
    assert [panel["gridPos"] for panel in panels(vi)] == [panel["gridPos"] for panel in panels(en)]
    assert [panel["type"] for panel in panels(vi)] == [panel["type"] for panel in panels(en)]
    ours = [one.text.replace("text_vi", "text_en") for one in asked(vi)]
    assert ours == [one.text for one in asked(en)]


@pytest.mark.parametrize(("name", "language"), ALL)
def test_links_lead_to_boards_that_exist(boards: dict[str, Any], name: str, language: str) -> None:
    known = {board["uid"] for board in boards.values()}
    text = json.dumps(boards[f"{language}/{name}.json"])
    for link in (part.split("?")[0].split('"')[0] for part in text.split("/d/")[1:]):
        if link.startswith("ioc-") and link.rsplit("-", 1)[0][4:] in {
            board.replace("_", "-") for board in BOARDS
        }:
            assert link in known


def test_files_are_all_there() -> None:
    assert {path.stem for path in FOLDER.glob("vi/*.json")} == set(BOARDS)


def test_a_typo_fails_at_once(on: Setting) -> None:
    with pytest.raises(QueryError, match="no metric 'rx_powr_dbm'"):
        ask.over_time(on, "span", {"rx_powr_dbm": "mean"})
    with pytest.raises(QueryError, match="measurement 'spam'"):
        ask.latest(on, "spam", ["up"])
    with pytest.raises(QueryError, match="no tag 'kind'"):
        ask.rows(on, "span", ["rx_power_dbm"], tags=["kind"])
    with pytest.raises(QueryError, match="not a number"):
        ask.worst(on, "bts", ["mains_ok"], most=True)
    with pytest.raises(KeyError, match="rx_powr_dbm"):
        of_metric(on, "span", "rx_powr_dbm")


def test_panels_that_overlap_or_leave_the_grid_fail() -> None:
    def panel(title: str, description: str = "What it is.") -> Any:
        return parts.stat(title=title, look=Look(description=description), targets=[])

    grid = Grid()
    grid.at(0, 0, 12, 4, panel("one"))
    with pytest.raises(LayoutError, match="stands on 'one'"):
        grid.at(11, 3, 4, 4, panel("two"))
    with pytest.raises(LayoutError, match="not on the grid"):
        grid.at(20, 0, 5, 4, panel("three"))
    with pytest.raises(LayoutError, match="needs a description"):
        grid.at(12, 0, 4, 4, panel("four", description=""))


def test_limits_and_words_come_from_the_catalog(on: Setting) -> None:
    voltage = of_metric(on, "bts", "dc_voltage_v")
    assert (voltage.title, voltage.unit, voltage.decimals) == ("DC voltage", "volt", 2)
    assert [start for start, _ in voltage.steps] == [None, 47.0]
    vswr = of_metric(on, "bts", "vswr")
    assert [start for start, _ in vswr.steps] == [None, 1.5, 2.0]
    assert "major" not in vswr.title
    assert of_metric(on, "bts", "smoke").mappings["true"][0] == "◆ yes"
    assert of_metric(on, "bts", "mains_ok").mappings["false"][0] == "■ no"
    assert of_metric(on, "bts", "mains_ok").mappings["true"][0] == "yes"


def test_filling_in_as_grafana_does() -> None:
    times = Times(from_ms=1_000, to_ms=2_000, bucket="10s")
    text = (
        'SELECT mean("x") FROM /^bts${resolution:raw}$/ WHERE $timeFilter AND '
        '"operator"::tag =~ /^${operator:regex}$/ GROUP BY time($__interval)'
    )
    values = {"resolution": "(_raw)?", "operator": ["op-a", "op.b"]}
    assert fill_in(text, times, values) == (
        'SELECT mean("x") FROM /^bts(_raw)?$/ WHERE time >= 1000ms and time <= 2000ms AND '
        '"operator"::tag =~ /^(op-a|op\\.b)$/ GROUP BY time(10s)'
    )
    assert fill_in("${__to}ms - 3s", times) == "2000ms - 3s"
    assert fill_in("/^${a:regex}$/", times, {"a": ".*"}) == "/^.*$/"
    with pytest.raises(KeyError, match="province"):
        fill_in("${province:regex}", times)


def test_every_measure_that_boards_may_ask_for_is_worked_out() -> None:
    assert set(MEASURES) == set(get_args(MeasureName))
