"""Everything the time series hold, written down: ``python -m ioc.store.measurements_md``.

Writes ``docs/measurements.md`` from the catalog and the stores' schema; with ``--check`` it only
says whether the file is what they give, and ends with 1 when it is not.
"""

# ruff: noqa: S608  # the examples are texts for people, of nothing but our own words

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ioc.catalog.model import Catalog, Metric, load_catalog
from ioc.ingest.decode import MAX_AGE_S, MAX_AHEAD_S
from ioc.store.derived import NUMBERED, TAGS_AS_FIELDS
from ioc.store.described import COLUMNS, MEASURES
from ioc.store.roll_up import Retention
from ioc.store.schema import ASSET_TAGS, KPI_TAGS, Schema
from ioc.store.tiers import MEAN_DECIMALS

TARGET = Path(__file__).parents[2] / "docs" / "measurements.md"

_TAGS = {
    "province": "id of the province, such as `khanh-hoa`",
    "commune": "official code of the commune or ward; of a span, where its A end is",
    "site": "id of the mast or data centre; of a span, its A end",
    "asset": "id of the asset",
    "operator": "who runs it; empty where nobody is named",
    "kind": "kind of the asset: `bts`, `span` …",
    "scope": "`province`, `commune` or `site`",
    "place": "id of the province, code of the commune, id of the site",
}
_TYPES = {"float": "float", "int": "int", "bool": "bool", "enum": "text"}
_DERIVED = {
    "alarm": "Each transition of an alarm, once, under its time; `seq` is the transition's number, "
    "and tells it apart from others of that millisecond.",
    "alarm_active": "The alarms that stand, all under one time, every 10 s (in its first "
    "millisecond: `seq` tells them apart). A half-open window of 10 s holds each of them once. At "
    "most 2,000: those that are not suppressed first, then by severity.",
    "asset_state": "Every asset, all under one time, every minute. A half-open window of a minute "
    "holds each of them once: a map or a table is one question.",
}


class Example(NamedTuple):
    """One question in both languages. A test asks them of the real stores."""

    title: str
    influxql: str
    sql: str


# The day that the examples ask for.
DAY_MS = 1_767_225_600_000
_INFLUX_DAY = "time >= '2026-01-01T00:00:00Z' AND time < '2026-01-02T00:00:00Z'"
_SQL_DAY = "time >= '2026-01-01' AND time < '2026-01-02'"

EXAMPLES = (
    Example(
        "The battery voltage of one station, as it was measured",
        f"SELECT dc_voltage_v FROM bts WHERE asset = 'KH-BTS-1' AND {_INFLUX_DAY}",
        "SELECT time, dc_voltage_v FROM bts JOIN ioc_series USING (series)\n"
        f"WHERE asset = 'KH-BTS-1' AND {_SQL_DAY} ORDER BY time",
    ),
    Example(
        "The same by the hour: mean, least and greatest",
        "SELECT dc_voltage_v, min_dc_voltage_v, max_dc_voltage_v FROM bts_1h\n"
        f"WHERE asset = 'KH-BTS-1' AND {_INFLUX_DAY}",
        "SELECT time, dc_voltage_v, min_dc_voltage_v, max_dc_voltage_v\n"
        "FROM bts_1h JOIN ioc_series USING (series)\n"
        f"WHERE asset = 'KH-BTS-1' AND {_SQL_DAY} ORDER BY time",
    ),
    Example(
        "The lowest receive power of each span of a commune in a day",
        "SELECT min(min_rx_power_dbm) FROM span_1h\n"
        f"WHERE commune = '22366' AND {_INFLUX_DAY} GROUP BY asset",
        "SELECT asset, min(min_rx_power_dbm) FROM span_1h JOIN ioc_series USING (series)\n"
        f"WHERE commune = '22366' AND {_SQL_DAY} GROUP BY asset ORDER BY asset",
    ),
    Example(
        "A mean over many buckets that weighs each by what was measured in it",
        "SELECT sum(weighted) / sum(n) FROM (\n"
        "  SELECT power_w * count_power_w AS weighted, count_power_w AS n FROM bts_5m\n"
        f"  WHERE {_INFLUX_DAY})",
        f"SELECT sum(power_w * count_power_w) / sum(count_power_w) FROM bts_5m\nWHERE {_SQL_DAY}",
    ),
    Example(
        "Availability of the province, as the service worked it out",
        f"SELECT bts_availability_percent FROM kpi\nWHERE scope = 'province' AND {_INFLUX_DAY}",
        "SELECT time, value FROM kpi\n"
        "WHERE name = 'bts_availability_percent' AND scope = 'province'\n"
        f"AND {_SQL_DAY} ORDER BY time",
    ),
    Example(
        "The worst hour of each commune",
        "SELECT min(min_bts_availability_percent) FROM kpi_1h\n"
        f"WHERE scope = 'commune' AND {_INFLUX_DAY} GROUP BY place",
        "SELECT place, min(min_value) FROM kpi_1h\n"
        "WHERE name = 'bts_availability_percent' AND scope = 'commune'\n"
        f"AND {_SQL_DAY} GROUP BY place ORDER BY place",
    ),
    Example(
        "The critical alarms that stood at 06:00:00 UTC",
        "SELECT asset, text_vi, age_s FROM alarm_active WHERE severity = 'critical'\n"
        "AND time >= '2026-01-01T06:00:00Z' AND time < '2026-01-01T06:00:10Z'",
        "SELECT time, asset, text_vi, age_s FROM alarm_active JOIN ioc_series USING (series)\n"
        "WHERE severity = 'critical' AND time >= '2026-01-01 06:00:00'\n"
        "AND time < '2026-01-01 06:00:10' ORDER BY time, asset",
    ),
    Example(
        "How many assets of each kind were down at that minute",
        "SELECT count(state) FROM asset_state WHERE state = 'down'\n"
        "AND time >= '2026-01-01T06:00:00Z' AND time < '2026-01-01T06:01:00Z' GROUP BY kind",
        "SELECT kind, count(state) FROM asset_state JOIN ioc_series USING (series)\n"
        "WHERE state = 'down' AND time >= '2026-01-01 06:00:00'\n"
        "AND time < '2026-01-01 06:01:00' GROUP BY kind ORDER BY kind",
    ),
    Example(
        "Major alarms raised in a day",
        "SELECT count(alarm) FROM alarm WHERE transition = 'raised' AND severity = 'major'\n"
        f"AND {_INFLUX_DAY}",
        "SELECT count(alarm) FROM alarm WHERE transition = 'raised' AND severity = 'major'\n"
        f"AND {_SQL_DAY}",
    ),
)


def document(catalog: Catalog) -> str:
    """The whole document."""
    schema = Schema(catalog)
    parts = [
        *_intro(),
        *_time(),
        *_kept(schema),
        *_roll_ups(),
        *_tags(),
        *_kinds(catalog),
        *_measures(),
        *_derived(schema),
        *_own(),
        *_examples(),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _intro() -> Iterator[str]:
    yield """# Measurements

Everything that the time series hold, by the names that InfluxDB (measurements, tags, fields) and
the embedded DuckDB file (tables, columns) share. Made from the catalog and the stores' schema by
`python -m ioc.store.measurements_md`: do not edit.

In DuckDB a row has `series` in place of the tags; `JOIN ioc_series USING (series)` gives them. To
open the file with another program, stop the service first. `kpi` and its roll-ups have a row for
each measure there: `name`, `scope`, `place`, `value` (roll-ups also `min_value`, `max_value`,
`count_value`).

A text field is a string in InfluxDB and VARCHAR in DuckDB; a float is a double; an int has 64 bits.
A value that was not measured is no field in InfluxDB, and NULL in DuckDB. Types are the catalog's,
never those of the value that came first.
"""


def _time() -> Iterator[str]:
    days, hours = MAX_AGE_S / 86_400, MAX_AHEAD_S / 3600
    yield f"""## Time

All times are UTC. A reading's time is its **storage time** in µs: the device's own clock (`ts`) in
ms × 1000, plus less than a thousand where another reading of the same asset has that time already,
so that none overwrites another. A device whose clock is wrong is stored under its own time, and has
an alarm for it. Readings more than {days:.0f} days old or {hours:.0f} hours ahead are quarantined.
"""


def _kept(schema: Schema) -> Iterator[str]:
    days = Retention().days
    yield f"""## How long it is kept

| what | days | setting |
|---|---|---|
| raw rows: kinds, `kpi`, `alarm_active`, `asset_state` | {days["raw"]} | `IOC_RETENTION_DAYS` |
| roll-ups of 5 minutes: `…_5m` | {days["5m"]} | `IOC_RETENTION_5M_DAYS` |
| roll-ups of an hour: `…_1h`; transitions: `alarm` | {days["1h"]} | `IOC_RETENTION_1H_DAYS` |

Whole days (UTC) are removed, so up to a day more is there. Raw rows are removed only where they
were rolled up. The service does this on both stores; InfluxDB's
own retention must not be shorter than the longest of these.
"""
    assert set(schema.kept("1h")) > {"alarm"}


def _roll_ups() -> Iterator[str]:
    yield f"""## Roll-ups

Every kind and `kpi` has two: `bts_5m` and `bts_1h`, with the same tags. The time of a row is the
begin of its bucket. So a question over raw rows and over roll-ups differs in the name after `FROM`.

| raw field | in a roll-up |
|---|---|
| a number `x` | `x` (mean, float), `min_x` and `max_x` (its type), `count_x` (int) |
| a bool or text `x` | `x` (the last one by storage time), `count_x` (int) |

- `count_x` counts the values that were measured. Without any, all of them are missing.
- A mean has {MEAN_DECIMALS} decimals more than its metric.
- An hour is made of its 5-minute rows, means weighted by their counts. `mean(x)` over roll-ups
  weighs all buckets alike: see the examples for the exact mean.
- `ts`, `boot` and `seq` are not rolled up.
- 5 minutes are there within a minute after they have passed, an hour soon after its last ones.
  What comes late is in them some 5 minutes later, as long as the raw rows of that time are kept. An
  outage of the store or of the service leaves no hole.
- Each asset under each set of tags has its own rows: one that moved to another commune has two in
  that bucket.
"""


def _tags() -> Iterator[str]:
    yield "## Tags\n"
    yield from _table(("tag", "what"), ((f"`{tag}`", what) for tag, what in _TAGS.items()))
    yield _prose(
        f"Kinds have {_names(ASSET_TAGS)}; alarms and states have these and `kind`; "
        f"`kpi` has {_names(KPI_TAGS)}. In InfluxDB {_names(sorted(NUMBERED))} are in few series, "
        f"with {_names(TAGS_AS_FIELDS)} as fields. Choose rows by them as by tags; `GROUP BY` and "
        "`SHOW TAG VALUES` do not know them."
    )


def _kinds(catalog: Catalog) -> Iterator[str]:
    yield "## Kinds\n"
    yield _prose(
        "A reading of an asset is a row of its kind's measurement. Beside the fields below each "
        "has `ts` (int, ms: the device's clock) and, where the device sends them, `boot` and `seq` "
        "(int). The range is the hard one: a value outside it is in quarantine. The cadence is how "
        "often a field is expected."
    )
    for name, kind in catalog.kinds.items():
        yield f"### `{name}`\n\n{kind.title.en} · {kind.title.vi}\n"
        yield from _table(
            ("field", "type", "unit", "range", "cadence", "what", "source"),
            (_metric(metric, described) for metric, described in kind.metrics.items()),
        )


def _metric(name: str, metric: Metric) -> tuple[str, ...]:
    if metric.values:
        range_ = ", ".join(metric.values)
    elif metric.range:
        range_ = " … ".join(
            f"{end:.0f}" if end.is_integer() else f"{end:g}" for end in metric.range
        )
    else:
        range_ = ""
    standard = f"{metric.standard}; " if metric.standard else ""
    return (
        f"`{name}`",
        _TYPES[metric.type],
        "" if metric.type in ("bool", "enum") else metric.unit,
        range_,
        f"{metric.cadence_s} s",
        f"{metric.title.en} · {metric.title.vi}",
        f"{standard}{metric.source}",
    )


def _measures() -> Iterator[str]:
    yield "## `kpi`\n"
    yield _prose(
        "What the service works out every 10 s, under a time that is a multiple of 10 s. All are "
        "floats with three decimals at most. One that nothing is known for is left out."
    )
    yield from _table(
        ("field", "unit", "of", "what"),
        ((f"`{name}`", one.unit, ", ".join(one.of), one.meaning) for name, one in MEASURES.items()),
    )


def _derived(schema: Schema) -> Iterator[str]:
    yield "## Alarms and states\n\nTags are those of the asset, with its `kind`.\n"
    for name, intro in _DERIVED.items():
        columns = schema.kinds[name].columns
        yield f"### `{name}`\n"
        yield _prose(intro)
        yield from _table(
            ("field", "type", "unit", "what"),
            (
                (f"`{column}`", _TYPES[columns[column]], described.unit, described.meaning)
                for column, described in COLUMNS[name].items()
            ),
        )


def _own() -> Iterator[str]:
    yield """## The stores' own

| name | what |
|---|---|
| `ioc_position` | up to where each journal is stored |
| `ioc_mark` | up to where everything is rolled up; from where on what is kept is whole |
| `ioc_series`, `ioc_schema` | DuckDB only: tags by number; version of the file |
"""


def _examples() -> Iterator[str]:
    yield "## Questions\n\nIn InfluxQL, then in DuckDB's SQL. A test asks them of both stores.\n"
    for example in EXAMPLES:
        yield f"{example.title}:\n"
        yield f"```sql\n{example.influxql}\n```\n"
        yield f"```sql\n{example.sql}\n```\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _prose(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    """Write the document, or check it."""
    text = document(load_catalog())
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            sys.exit(
                f"{TARGET}: not what the catalog gives; run: python -m ioc.store.measurements_md"
            )
        return
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
