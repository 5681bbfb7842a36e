"""What boards ask, put to a real InfluxDB: what the parts find, and no query refused."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards import ask
from dashboards.registry import BOARDS, drawn
from dashboards.setting import Setting, settings
from tests.dashboards.fill_in import Times, Value, asked, chosen, fill_in
from tests.servers_influx import Influxd

NOW_MS = 1_790_000_000_000
TIMES = Times(from_ms=NOW_MS - 3_600_000, to_ms=NOW_MS, bucket="1m")


@pytest.fixture(scope="module")
def on() -> Setting:
    return settings()["en"]


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    with Influxd(tmp_path_factory.mktemp("influxd")) as running:
        yield running


def write(influxd: Influxd, *lines: str) -> None:
    """Line protocol, times in ms."""
    address = f"http://{influxd.host}:{influxd.port}/write?db={influxd.database}&precision=ms"
    body = "\n".join(lines).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=10):
        pass


def answer(
    influxd: Influxd, target: ask.Target, times: Times = TIMES, **variables: Value
) -> list[dict[str, Any]]:
    """The rows of an answer, each with its columns and tags."""
    return [
        {**series.get("tags", {}), **dict(zip(series["columns"], row, strict=True))}
        for series in influxd.ask(fill_in(target.text, times, variables))
        for row in series["values"]
    ]


def test_no_query_of_any_board_is_refused(influxd: Influxd) -> None:
    count = 0
    for text in drawn().values():
        board = json.loads(text)
        values = chosen(board, {"asset": ["KH00001"], "operator": ["op-a"]})
        for one in asked(board):
            influxd.ask(fill_in(one.text, TIMES, values))
            count += 1
    assert count > 20 * len(BOARDS)


def test_the_worst_are_found_once_each(influxd: Influxd, on: Setting) -> None:
    for at_ms in (NOW_MS - 25_000, NOW_MS - 15_000, NOW_MS - 5_000):
        write(
            influxd,
            *(
                f"bts,asset=W{n:02d},commune=c{n % 2},operator=op-a "
                f"battery_runtime_min={n + 10},mains_ok={'true' if n == 3 else 'false'} {at_ms}"
                for n in range(20)
            ),
        )
    target = ask.worst(
        on,
        "bts",
        ["battery_runtime_min", "mains_ok"],
        most=False,
        count=4,
        fields={"mains_ok": [False]},
        tags=["commune"],
        columns=["commune"],
    )
    found = answer(influxd, target, commune=".*")
    assert sorted(row["asset"] for row in found) == ["W00", "W01", "W02", "W04"]
    assert {row["commune"] for row in found} == {"c0", "c1"}
    chosen_one = answer(influxd, target, commune="c1")
    assert sorted(row["asset"] for row in chosen_one) == ["W01", "W05", "W07", "W09"]
    most = ask.worst(on, "bts", ["battery_runtime_min"], most=True, count=2)
    assert {row["asset"] for row in answer(influxd, most)} == {"W18", "W19"}


@pytest.mark.parametrize("late_ms", [0, 1, 2_999, 3_000, 3_001, 7_777, 9_999])
def test_a_snapshot_is_found_once_at_any_time(influxd: Influxd, on: Setting, late_ms: int) -> None:
    base = NOW_MS // 60_000 * 60_000
    for at_ms in range(base - 120_000, base + 30_000, 10_000):
        write(influxd, f"alarm_active,asset=S1,kind=bts severity_rank=1i {at_ms}")
    for at_ms in range(base - 180_000, base + 60_000, 60_000):
        write(influxd, f"asset_state,asset=S1,kind=bts state_code=1i {at_ms}")
    times = Times(from_ms=base - 3_600_000, to_ms=base + late_ms)
    for measurement, metric in (("alarm_active", "severity_rank"), ("asset_state", "state_code")):
        assert len(answer(influxd, ask.snapshot(on, measurement, [metric]), times)) == 1


def test_the_resolution_chooses_the_series(influxd: Influxd, on: Setting) -> None:
    at_ms = NOW_MS - 600_000
    write(
        influxd,
        f"ups,asset=U1 load_percent=30 {at_ms}",
        f"ups_5m,asset=U1 load_percent=40 {at_ms}",
        f"ups_1h,asset=U1 load_percent=50 {at_ms}",
    )
    target = ask.over_time(on, "ups", {"load_percent": "mean"}, rolled_up=True)
    for resolution, value in ((ask.RAW, 30), ("_5m", 40), ("_1h", 50)):
        rows = answer(influxd, target, resolution=resolution)
        assert [row["mean_load_percent"] for row in rows] == [value]


def test_variables_offer_what_is_there(influxd: Influxd, on: Setting) -> None:
    write(
        influxd,
        f"span,asset=V1,commune=22366,operator=op-a rx_power_dbm=-9 {NOW_MS}",
        f"span,asset=V2,commune=22333,operator=op-b rx_power_dbm=-9 {NOW_MS}",
    )
    text = ask.tag_values(on, "span", "asset", tags=["commune", "operator"])

    def offered(**variables: Value) -> list[str]:
        series = influxd.ask(fill_in(text, TIMES, variables))
        return [value for one in series for _, value in one["values"]]

    assert offered(commune=".*", operator=".*") == ["V1", "V2"]
    assert offered(commune=["22366", "22333"], operator="op-b") == ["V2"]


def test_what_is_old_is_not_the_present(influxd: Influxd, on: Setting) -> None:
    where = ask.of_province(on)
    target = ask.latest(on, "kpi", ["bts_up"], where=where)
    write(influxd, f"kpi,scope=province,place=khanh-hoa bts_up=7 {NOW_MS - 61_000}")
    assert answer(influxd, target) == []
    write(influxd, f"kpi,scope=province,place=khanh-hoa bts_up=8 {NOW_MS - 59_000}")
    assert [row["last_bts_up"] for row in answer(influxd, target)] == [8]


def test_variables_need_only_those_before_them() -> None:

    for text in drawn().values():
        known: set[str] = set()
        for variable in json.loads(text)["templating"]["list"]:
            if variable["type"] == "query":
                fill_in(variable["query"], TIMES, dict.fromkeys(known, "x"))
            known.add(variable["name"])
