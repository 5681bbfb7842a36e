"""The whole province into a real InfluxDB, which is killed and comes back.

Time windows: first readings within 30 s, 10 s without InfluxDB, filled within 60 s after.
"""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.demo import Demo, eventually
from tests.servers_influx import Influxd

pytestmark = pytest.mark.slow


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    with Influxd(tmp_path / "influxd") as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, influxd: Influxd) -> Iterator[Demo]:
    demo = Demo(
        tmp_path,
        *("--scale", "0.02", "--interval", "2", "--no-demo-incident"),
        *("--store", influxd.url),
    )
    demo.start()
    yield demo
    demo.stop()


def readings(demo: Demo, asset: str) -> list[tuple[int, int]]:
    """(time in ms, seq) of everything stored of one asset, in the order of time."""
    now_ms = time.time_ns() // 1_000_000
    answer = demo.api(
        "/api/v1/query",
        body={
            "measurement": "bts",
            "columns": [{"metric": "seq"}],
            "where": {"asset": [asset]},
            "start_ms": now_ms - 600_000,
            "stop_ms": now_ms + 60_000,
        },
    )
    at = {name: number for number, name in enumerate(answer["columns"])}
    return [(row[at["time_us"]] // 1000, row[at["seq"]]) for row in answer["rows"]]


def stages(demo: Demo) -> dict[str, Any]:
    try:
        answer = demo.api("/readyz", token="")
    except urllib.error.HTTPError as error:  # 503 while the store is away
        answer = json.load(error)
    found: dict[str, Any] = answer["stages"]
    return found


@pytest.mark.timeout(240)
def test_without_influxdb_alarms_go_on_and_it_is_filled_when_it_is_back(
    own: Demo, influxd: Influxd
) -> None:
    asset = str(
        eventually(
            lambda: own.api("/api/v1/assets?kind=bts&state=up&limit=1")["items"],
            within_s=30,
            what="a station",
        )[0]["id"]
    )
    eventually(lambda: readings(own, asset), within_s=30, what="readings in InfluxDB")

    away_ms = time.time_ns() // 1_000_000
    influxd.kill()
    eventually(lambda: not stages(own)["store"]["ready"], within_s=20, what="the store is away")
    assert all(stage["ready"] for name, stage in stages(own).items() if name != "store")
    done = own.ioc(
        "simulate", "inject", asset, "smoke", "--for", "5s", "--data-dir", str(own.data_dir)
    )
    assert done.returncode == 0, done.stderr
    eventually(
        lambda: [
            item
            for item in own.api(f"/api/v1/alarms?state=raised&asset={asset}")["items"]
            if item["probable_cause"] == "smoke"
        ],
        within_s=20,
        what="an alarm without the store",
    )
    time.sleep(10)  # the declared time without InfluxDB

    back_ms = time.time_ns() // 1_000_000
    influxd.start()
    eventually(lambda: stages(own)["store"]["ready"], within_s=60, what="the store is back")
    newest = eventually(
        lambda: stages(own)["alarms"]["position"], within_s=5, what="the journal's end by now"
    )
    eventually(lambda: stages(own)["store"]["position"] >= newest, within_s=60, what="filled")
    stored = readings(own, asset)
    meanwhile = [ts_ms for ts_ms, _ in stored if away_ms <= ts_ms < back_ms]
    assert len(meanwhile) >= 4, "10 s and more without InfluxDB, at an interval of 2 s"
    seqs = [seq for _, seq in stored]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "a hole, or one twice"
