"""What the boards cost: every panel of every board over a day of the whole province.

``python -m benchmarks.dashboards`` starts a real influxd, writes a day of 3,900 stations and 4,000
spans with all that the service works out beside, and asks what every panel asks, as Grafana fills
it in; then some of those questions again of the raw readings. ``--stations`` and ``--hours`` make
it smaller; ``--interval`` is how often an asset reports before the last five minutes (300 s, so
that the day is written in minutes: what is asked of the raw readings would take thirty times as
long at the 10 s of the simulators).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import psutil

from benchmarks.store import value_of
from ioc.catalog import load_catalog
from ioc.clock import SystemClock
from ioc.errors import StoreUnavailableError
from ioc.inventory import Asset
from ioc.inventory.province import load_province
from ioc.inventory.targets import MeasureName
from ioc.journal.records import Measure, Reading, Value
from ioc.store import Row, Store, open_store
from ioc.store.compile import Board, influxql
from ioc.store.derived import (
    ALARM,
    ALARM_ACTIVE,
    ASSET_STATE,
    DERIVED,
    SEVERITY_RANK,
    STATE_CODE,
    numbered,
)
from ioc.store.query import Column, Query
from ioc.store.schema import KPI, Schema
from ioc.store.tiers import BUCKET_MS, TIERS
from simulators.world import build_world
from tests.dashboards.fill_in import Times, asked, chosen, fill_in
from tests.dashboards.fill_in import Value as Chosen
from tests.servers_influx import Influxd, start_influxd

CATALOG = load_catalog()
BOARDS = sorted(
    (Path(__file__).parents[1] / "dashboards" / "grafana" / "boards" / "en").glob("*.json")
)
JOURNAL = "benchmark"
# Prepared sets of values for each kind: making up each reading would take longer than storing it.
VARIETY = 64
STANDING = 60  # alarms at any time
RAISED = 3000  # alarms in the day
MINUTE_MS, SECOND_MS = 60_000, 1000
DENSE_MS = 5 * MINUTE_MS


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A question of a board, and the same asked of the readings themselves."""

    name: str
    worked_out: Query
    raw: Query


def pairs(start_ms: int, stop_ms: int) -> list[Pair]:
    span = {"start_ms": start_ms, "stop_ms": stop_ms}
    province = {"scope": ("province",)}

    def kpi(measure: str) -> Query:
        mean = Column(metric=measure, aggregate="mean")
        return Query(measurement="kpi", columns=(mean,), where=province, every_s=300, **span)

    def raw(kind: str, metric: str, *, of_each: bool = False) -> Query:
        column = Column(metric=metric, aggregate="last" if of_each else "mean")
        groups = ("asset",) if of_each else ()
        return Query(
            measurement=kind, columns=(column,), group_by=groups, every_s=300, limit=100_000, **span
        )

    return [
        Pair(
            name="download speed, mean of the province",
            worked_out=kpi("download_mbit_s"),
            raw=raw("bts", "drb_ue_thp_dl_kbit_s"),
        ),
        Pair(
            name="spans in service",
            worked_out=kpi("spans_up"),
            raw=raw("span", "link_up", of_each=True),
        ),
        Pair(
            name="stations in service",
            worked_out=kpi("bts_up"),
            raw=raw("bts", "dc_voltage_v", of_each=True),
        ),
    ]


class Filler:
    """A made-up day, written by the service's own store."""

    def __init__(self, assets: Sequence[Asset], *, start_ms: int, stop_ms: int) -> None:
        self._assets = assets
        self._start_ms, self._stop_ms = start_ms, stop_ms
        self._noise = random.Random(1)
        self._values = {
            kind: [self._of_kind(kind) for _ in range(VARIETY)] for kind in CATALOG.kinds
        }
        self.rows = 0

    def _of_kind(self, kind: str) -> dict[str, Value]:
        metrics = CATALOG.kinds[kind].metrics
        return {name: value_of(metric, self._noise) for name, metric in metrics.items()}

    async def write(self, store: Store, *, interval_s: int) -> None:
        position = 0
        series = itertools.chain(
            self._readings(interval_s), self._states(), self._active(), self._transitions()
        )
        for part in _parts(series, 20_000):
            position += 1
            await _put(store, part, [], position=position)
            self.rows += len(part)
            sys.stderr.write(f"\r{self.rows:,} rows written ")
        for measures in self._measures():
            position += 1
            await _put(store, [], measures, position=position)
        sys.stderr.write("\n")
        for tier in TIERS:
            for begin_ms in range(self._start_ms, self._stop_ms, BUCKET_MS[tier]):
                at_ms = begin_ms // BUCKET_MS[tier] * BUCKET_MS[tier]
                await store.roll_up(KPI, tier, begin_ms=at_ms)

    def _row(self, asset: Asset, kind: str, at_ms: int, values: dict[str, Value]) -> Row:
        reading = Reading(kind, asset.id, at_ms * 1000, at_ms, at_ms + 5, values)
        return Row(reading=reading, asset=asset)

    def _readings(self, interval_s: int) -> Iterator[Row]:
        # What boards show as the present reads the newest half minute: that is as dense as it is.
        last_ms = max(self._start_ms, self._stop_ms - DENSE_MS)
        times = itertools.chain(
            range(self._start_ms, last_ms, interval_s * SECOND_MS),
            range(last_ms, self._stop_ms, 10 * SECOND_MS),
        )
        for number, at_ms in enumerate(times):
            for index, asset in enumerate(self._assets):
                values = self._values[asset.kind][(index * 7 + number) % VARIETY]
                yield self._row(asset, asset.kind, at_ms + index % 1000, values)

    def _states(self) -> Iterator[Row]:
        states = list(STATE_CODE)
        for at_ms in range(self._start_ms, self._stop_ms, MINUTE_MS):
            if self._stop_ms - at_ms > 120 * MINUTE_MS and at_ms % (10 * MINUTE_MS):
                continue  # the whole day each minute would be most of what is written
            for asset in self._assets:
                state = "up" if self._noise.random() < 0.98 else self._noise.choice(states)
                yield self._row(
                    asset,
                    ASSET_STATE,
                    at_ms,
                    {
                        "state": state,
                        "state_code": STATE_CODE[state],
                        "alarms": 0,
                        "lat": asset.lat,
                        "lon": asset.lon,
                    },
                )

    def _alarm(self, number: int, columns: Sequence[str]) -> dict[str, Value]:
        severity = list(SEVERITY_RANK)[number % 4]
        texts = {name: "x" for name in columns if DERIVED[ALARM].get(name) == "enum"}
        return {
            **texts,
            "alarm": f"a-{number}",
            "severity": severity,
            "severity_rank": SEVERITY_RANK[severity],
            "probable_cause": "lossOfSignal",
            "text_vi": "Mất tín hiệu quang",
            "text_en": "Loss of signal",
            "acknowledged": number % 3 == 0,
            "suppressed": number % 2 == 0,
            "raised_ms": self._start_ms,
            "impact_assets": 3,
            "impact_stations": 2,
            "impact_population": 900,
        }

    def _active(self) -> Iterator[Row]:
        standing = self._noise.sample(self._assets, min(STANDING, len(self._assets)))
        for at_ms in range(self._start_ms, self._stop_ms, 10 * SECOND_MS):
            for number, asset in enumerate(standing):
                values = self._alarm(number, list(DERIVED[ALARM_ACTIVE]))
                values |= {"age_s": 600, "lat": asset.lat, "lon": asset.lon}
                reading = numbered(ALARM_ACTIVE, asset.id, values, at_ms=at_ms, number=number)
                yield Row(reading=reading, asset=asset)

    def _transitions(self) -> Iterator[Row]:
        step_ms = (self._stop_ms - self._start_ms) // (2 * RAISED)
        for number in range(2 * RAISED):
            asset = self._assets[number // 2 % len(self._assets)]
            raised = number % 2 == 0
            values = self._alarm(number // 2, list(DERIVED[ALARM])) | {
                "transition": "raised" if raised else "cleared",
                "state": "raised" if raised else "cleared",
                "duration_s": 60.0,
            }
            at_ms = self._start_ms + number * step_ms
            reading = numbered(ALARM, asset.id, values, at_ms=at_ms, number=number)
            yield Row(reading=reading, asset=asset)

    def _measures(self) -> Iterator[list[Measure]]:
        names = get_args(MeasureName)
        communes = sorted({asset.commune for asset in self._assets})
        places = [("province", self._assets[0].province)]
        places += [("commune", commune) for commune in communes]
        places += [("site", a.site) for a in self._assets if a.kind == "dc_site"]
        for at_ms in range(self._start_ms, self._stop_ms, 10 * SECOND_MS):
            yield [
                Measure(name, scope, place, at_ms * 1000, round(self._noise.uniform(0, 100), 3))
                for scope, place in places
                for name in names
            ]


async def _put(
    store: Store, rows: Sequence[Row], measures: Sequence[Measure], *, position: int
) -> None:
    """Write, again where the server was too busy to answer: as the store stage does."""
    while True:
        with contextlib.suppress(StoreUnavailableError):
            refused = await store.write(rows, measures, journal_uuid=JOURNAL, position=position)
            assert not refused, refused[0].reason
            return


def _parts(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while part := list(itertools.islice(rows, size)):
        yield part


def timed(server: Influxd, text: str, *, times: int) -> tuple[list[float], int]:
    """How long a question took, in ms, and how many rows came."""
    took_ms, rows = [], 0
    for _ in range(times):
        began_s = time.perf_counter()
        series = server.ask(text)
        took_ms.append((time.perf_counter() - began_s) * 1000)
        rows = sum(len(one["values"]) for one in series)
    return took_ms, rows


def quantiles(took_ms: Sequence[float]) -> tuple[float, float]:
    """p50 and p95."""
    cut = statistics.quantiles(took_ms, n=20, method="inclusive")
    return cut[9], cut[18]


def report(server: Influxd, *, start_ms: int, stop_ms: int, runs: int) -> None:
    times = Times(from_ms=start_ms, to_ms=stop_ms, bucket="5m")
    slowest = []
    print(f"{'p50 ms':>8} {'p95 ms':>8} {'rows':>7}  panel")
    for path in BOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        variables: dict[str, Chosen] = {}
        for question in asked(board):
            if ": variable " in question.place:
                found = server.ask(fill_in(question.text, times, chosen(board, {})))
                name = question.place.rpartition(" ")[2]
                variables |= chosen(board, {name: [r[-1] for s in found for r in s["values"]]})
        variables = variables or chosen(board, {})
        for question in asked(board):
            took_ms, rows = timed(server, fill_in(question.text, times, variables), times=runs)
            p50, p95 = quantiles(took_ms)
            slowest.append(p95)
            print(f"{p50:8.1f} {p95:8.1f} {rows:7,}  {question.place}")
    print(f"all panels: median of p95 {statistics.median(slowest):.1f} ms, most {max(slowest):.1f}")
    print("\nworked out, beside the raw readings (p50 ms):")
    schema = Schema(CATALOG)
    for pair in pairs(start_ms, stop_ms):
        medians = []
        for query, often in ((pair.worked_out, runs), (pair.raw, min(runs, 3))):
            text = influxql(
                query,
                schema.measurement_for(query),
                board=Board(
                    times=f"time >= {start_ms}ms AND time < {stop_ms}ms", bucket="5m", limit=False
                ),
            )
            try:
                medians.append(statistics.median(timed(server, text, times=often)[0]))
            except TimeoutError:
                medians.append(float("inf"))
        worked_out, raw = medians
        print(f"{worked_out:8.1f} {raw:10.1f}  1:{raw / worked_out:.0f}  {pair.name}")


async def fill(
    server: Influxd, *, stations: int, start_ms: int, stop_ms: int, interval_s: int
) -> None:
    province = load_province("khanh-hoa")
    _, assets = build_world(province, seed=1, scale=stations / province.network.stations)
    filler = Filler(assets, start_ms=start_ms, stop_ms=stop_ms)
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    began_s, own_s = time.perf_counter(), time.process_time()
    server_s = sum(process.cpu_times()[:2])
    async with open_store(server.url, catalog=CATALOG, clock=SystemClock()) as store:
        await filler.write(store, interval_s=interval_s)
    elapsed_s, own_s = time.perf_counter() - began_s, time.process_time() - own_s
    server_s = sum(process.cpu_times()[:2]) - server_s
    print(
        f"{len(assets)} assets, {filler.rows:,} rows in {elapsed_s:.0f} s "
        f"({filler.rows / elapsed_s:,.0f} a second); CPU a row: {own_s / filler.rows * 1e6:.0f} µs "
        f"here (making them up included), {server_s / filler.rows * 1e6:.0f} µs in influxd; "
        f"influxd {process.memory_info().rss / 2**20:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=3900)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--interval", type=int, default=300, help="seconds between readings")
    parser.add_argument("--times", type=int, default=20, help="how often each question is asked")
    options = parser.parse_args()
    now_ms = time.time_ns() // 1_000_000
    stop_ms = now_ms // MINUTE_MS * MINUTE_MS
    start_ms = stop_ms - round(options.hours * 3_600_000)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_influxd(Path(folder) / "influxd") as server,
    ):
        asyncio.run(
            fill(
                server,
                stations=options.stations,
                start_ms=start_ms,
                stop_ms=stop_ms,
                interval_s=options.interval,
            )
        )
        report(server, start_ms=start_ms, stop_ms=stop_ms, runs=options.times)


if __name__ == "__main__":
    main()
