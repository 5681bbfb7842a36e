"""Every question of every board and alert rule, asked of a time of the province with faults in it.

The time is lived through by the service's own stages on a virtual clock and kept in a real influxd:
see ``day``. The questions are read from the generated files, as Grafana reads them. An hour takes
half a minute; IOC_DAY_HOURS=24 makes it a day.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulators.choose import bridges
from simulators.province import Province
from tests.dashboards.day import Day, Trouble, live_through
from tests.dashboards.fill_in import Asked, Times, Value, asked, chosen, fill_in
from tests.servers_influx import Influxd, start_influxd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
GRAFANA = Path(__file__).parents[2] / "dashboards" / "grafana"
BOARDS = sorted((GRAFANA / "boards" / "en").glob("*.json"))
HOURS = float(os.environ.get("IOC_DAY_HOURS", "1"))
# What only the stages that the day leaves out could tell of.
NOT_LIVED = ("Open screens",)
START_MS = 1_767_225_600_000  # 2026-01-01 00:00 UTC


def troubles(province: Province) -> Iterator[Trouble]:
    """A cut that isolates stations, and again just before the end; a door, a bent fibre and a link
    that flaps in between; mains and cooling in the last hour, so that they stand at the end."""
    end_s = HOURS * 3600
    spans = range(len(province.network.spans))
    _, (row,) = min(bridges(province, spans), key=lambda one: (abs(one[0] - 40), one[1]))
    cut = province.network.spans[row].id
    stations = [s for s in province.stations.table.index if s not in province.real]
    span = next(s for s in province.spans.table.index if s != cut)
    yield Trouble(at_s=0.125 * end_s, for_s=0.5 * end_s, fault="span-cut", asset=cut)
    yield Trouble(at_s=end_s - 2700, for_s=3600, fault="mains-failure", asset=stations[0])
    yield Trouble(at_s=end_s - 2400, for_s=3600, fault="cooling-failure", asset="DC-PR")
    yield Trouble(at_s=0.5 * end_s, for_s=600, fault="door-open", asset=stations[1])
    yield Trouble(at_s=0.625 * end_s, for_s=end_s, fault="span-bend", asset=span)
    yield Trouble(at_s=0.7 * end_s, for_s=900, fault="flapping-link", asset=span)
    yield Trouble(at_s=end_s - 300, for_s=3600, fault="span-cut", asset=cut)
    yield Trouble(at_s=end_s - 200, for_s=3600, fault="door-open", asset=stations[2])


@dataclass(frozen=True)
class Lived:
    day: Day
    server: Influxd

    @property
    def in_trouble(self) -> set[str]:
        """Assets with an alarm at the end of the day."""
        series = self.server.ask(
            f'SELECT "alarm", "asset"::field FROM "alarm_active" '
            f"WHERE time > {self.day.stop_ms - 30_000}ms"
        )
        return {row[-1] for one in series for row in one["values"]}

    @property
    def times(self) -> Times:
        return Times(from_ms=self.day.start_ms, to_ms=self.day.stop_ms, bucket="5m")

    def ask(self, question: Asked, variables: Mapping[str, Value]) -> list[dict[str, Any]]:
        return self.server.ask(fill_in(question.text, self.times, variables))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    folder = tmp_path_factory.mktemp("day")
    with start_influxd(folder / "influxd") as server:
        day = asyncio.run(
            live_through(
                folder,
                store_url=server.url,
                scale=0.01,
                hours=HOURS,
                start_ms=START_MS,
                troubles=troubles,
            )
        )
        print(f"{day.messages:,} messages of {len(day.inventory.assets)} assets")
        yield Lived(day, server)


def variables_of(board: Mapping[str, Any], lived: Lived) -> dict[str, Value]:
    """The board's variables as they are when it is opened."""
    found: dict[str, list[str]] = {}
    for question in asked(board):
        if ": variable " in question.place:
            series = lived.ask(question, chosen(board, found))
            name = question.place.rpartition(" ")[2]
            found[name] = [row[-1] for one in series for row in one["values"]]
            # A reader looks at what is in trouble: that comes first.
            found[name].sort(key=lambda value: value not in lived.in_trouble)
    return chosen(board, found)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_question_of_a_board_has_an_answer(path: Path, lived: Lived) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    variables = variables_of(board, lived)
    empty = [
        f"{question.place}: {fill_in(question.text, lived.times, variables)}"
        for question in asked(board)
        if not any(title in question.place for title in NOT_LIVED)
        and not lived.ask(question, variables)
    ]
    assert empty == []


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_both_languages_ask_the_same(path: Path) -> None:
    other = GRAFANA / "boards" / "vi" / path.name

    def texts(of: Path) -> list[str]:
        board = json.loads(of.read_text(encoding="utf-8"))
        return [question.text.replace('"text_vi"', '"text_en"') for question in asked(board)]

    assert texts(path) == texts(other)


def rules() -> Iterator[tuple[str, str, int]]:
    """Title, query and seconds looked back of every alert rule."""
    for path in sorted((GRAFANA / "provisioning" / "alerting").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8")).get("groups", []):
            for rule in group["rules"]:
                for part in rule["data"]:
                    if "query" in part["model"]:
                        back_s = part["relativeTimeRange"]["from"]
                        yield rule["title"], part["model"]["query"], back_s


def test_every_alert_rule_has_an_answer(lived: Lived) -> None:
    told = list(rules())
    assert told, "no rules were found"
    for title, query, back_s in told:
        stop_ms = lived.day.stop_ms
        times = Times(from_ms=stop_ms - back_s * 1000, to_ms=stop_ms, bucket="10s")
        assert lived.server.ask(fill_in(query, times)), f"{title}: {query}"


LAST = re.compile(r'last\("(\w+)"::field\) AS "(\w+)"')
PLACE = re.compile(r"\"scope\"::tag = '(\w+)'\) AND \(\"place\"::tag = '([\w-]+)'\)")


def test_the_overview_shows_what_the_service_worked_out(lived: Lived) -> None:
    board = json.loads((GRAFANA / "boards" / "en" / "overview.json").read_text(encoding="utf-8"))
    variables = variables_of(board, lived)
    compared = 0
    for question in asked(board):
        place = PLACE.search(question.text)
        if place is None or 'FROM "kpi"' not in question.text:
            continue
        (series,) = lived.ask(question, variables)
        shown = dict(zip(series["columns"], series["values"][-1], strict=True))
        for measure, label in LAST.findall(question.text):
            own = lived.day.measures.get((measure, place[1], place[2]))
            if own is None:
                assert shown[label] is None, f"{measure}: shown, but not worked out"
                continue
            assert shown[label] == own.value, measure
            compared += 1
    assert compared >= 15, "the overview's numbers were not recognised"


def test_the_day_was_worth_asking(lived: Lived) -> None:
    """The faults were seen: without them an answer proves little."""
    raised = lived.server.ask(
        'SELECT "probable_cause" FROM "alarm" WHERE "transition" = \'raised\' AND '
        '"suppressed" = false'
    )
    causes = {row[1] for one in raised for row in one["values"]}
    assert {"lossOfSignal", "enclosureDoorOpen"} <= causes
    stored = lived.server.ask(
        f'SELECT count("ts") FROM "bts" WHERE time < {lived.day.stop_ms + 1000}ms'
    )
    assert stored[0]["values"][0][1] > lived.day.messages * 0.2
