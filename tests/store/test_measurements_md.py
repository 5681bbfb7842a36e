"""docs/measurements.md says what the stores hold, and its questions are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest

from dashboards.measures import MEASURES as LOOKS
from ioc.catalog import load_catalog
from ioc.clock import VirtualClock
from ioc.inventory import Asset
from ioc.inventory.targets import MeasureName
from ioc.journal.records import Measure, Reading, Value
from ioc.store import Row, Store, open_store
from ioc.store.derived import DERIVED
from ioc.store.described import COLUMNS, MEASURES
from ioc.store.measurements_md import DAY_MS, EXAMPLES, TARGET, Example, document
from ioc.store.schema import Schema
from tests.conformance.samples import JOURNAL, asset
from tests.servers_influx import Influxd

CATALOG = load_catalog()
SIX_O_CLOCK_MS = DAY_MS + 6 * 3_600_000
STATION = asset("KH-BTS-1", kind="bts")
SPANS = [asset("KH-SPAN-1", kind="span"), asset("KH-SPAN-2", kind="span", commune="22375")]


def test_the_committed_document_is_what_the_catalog_gives() -> None:
    assert TARGET.read_text(encoding="utf-8") == document(CATALOG), (
        "run: python -m ioc.store.measurements_md"
    )


def test_all_that_is_stored_is_described() -> None:
    assert MEASURES.keys() == set(get_args(MeasureName))
    assert {name: list(columns) for name, columns in COLUMNS.items()} == {
        name: list(columns) for name, columns in DERIVED.items()
    }
    text = document(CATALOG)
    for name, measurement in Schema(CATALOG).kinds.items():
        assert f"\n### `{name}`\n" in text
        for column in measurement.columns:
            assert f"`{column}`" in text
    assert {name: one.unit for name, one in MEASURES.items()} == {
        name: unit for name, (_, unit, _) in LOOKS.items()
    }


def row(of: Asset, measurement: str, at_ms: int, **values: Value) -> Row:
    reading = Reading(measurement, of.id, at_ms * 1000, at_ms, at_ms, values)
    return Row(reading=reading, asset=of)


async def fill(store: Store) -> None:
    """Something that each of the questions finds."""
    rows: list[Row] = []
    measures: list[Measure] = []
    for n in range(120):
        at_ms = DAY_MS + n * 60_000
        rows.append(row(STATION, "bts", at_ms, dc_voltage_v=53.5 - n % 7, power_w=900.0 + n % 11))
        rows += [row(of, "span", at_ms, rx_power_dbm=-9.0 - n % 5) for of in SPANS]
        for scope, place in (("province", "khanh-hoa"), ("commune", "22366"), ("commune", "22375")):
            share = 99.0 - n % 3
            name = "bts_availability_percent"
            measures.append(Measure(name, scope, place, at_ms * 1000, share))
    for of, state in ((STATION, "down"), (SPANS[0], "up"), (SPANS[1], "down")):
        rows.append(row(of, "asset_state", SIX_O_CLOCK_MS, state=state, alarms=1))
        severity = "critical" if of is not SPANS[0] else "minor"
        more: dict[str, Value] = {"alarm": f"a-{of.id}", "severity": severity}
        text: dict[str, Value] = {"text_vi": f"Mất tín hiệu {of.id}", "age_s": 60}
        rows.append(row(of, "alarm_active", SIX_O_CLOCK_MS, **more, **text))
    raised: dict[str, Value] = {"transition": "raised", "severity": "major"}
    rows += [row(STATION, "alarm", SIX_O_CLOCK_MS + n, alarm=f"a{n}", **raised) for n in range(4)]
    assert await store.write(rows, measures, journal_uuid=JOURNAL, position=1) == []
    for name in ("bts", "span", "kpi"):
        for bucket in range(24):
            await store.roll_up(name, "5m", begin_ms=DAY_MS + bucket * 300_000)
        for hour in range(2):
            await store.roll_up(name, "1h", begin_ms=DAY_MS + hour * 3_600_000)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_each_question_has_the_same_answer_in_both_languages(
    filled: tuple[Path, Influxd], example: Example
) -> None:
    path, influxd = filled
    with duckdb.connect(str(path), read_only=True) as connection:
        cursor = connection.execute(example.sql)
        names = [column[0] for column in cursor.description or ()]
        of_duckdb = [_plain(values) for values in cursor.fetchall()]
    assert of_duckdb
    of_influx: list[list[Any]] = []
    for series in influxd.ask(example.influxql):
        tags = list(series.get("tags", {}).values())
        for at_us, *values in series["values"]:
            first = [at_us] if names[0] == "time" else []
            of_influx.append([*first, *tags, *values])
    assert of_influx == [pytest.approx(values, abs=1e-9) for values in of_duckdb]


def _plain(values: tuple[Any, ...]) -> list[Any]:
    return [
        round(value.replace(tzinfo=UTC).timestamp() * 1_000_000)
        if isinstance(value, datetime)
        else value
        for value in values
    ]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Influxd]]:
    """Both stores with the same day, and the DuckDB file let go of."""
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    folder = tmp_path_factory.mktemp("filled")
    with Influxd(folder) as influxd:

        async def fill_both() -> None:
            for url in (f"duckdb://{folder}/series.duckdb", influxd.url):
                async with open_store(url, catalog=CATALOG, clock=VirtualClock()) as store:
                    await fill(store)

        asyncio.run(fill_both())
        yield folder / "series.duckdb", influxd
