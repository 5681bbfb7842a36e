"""A small catalog with every type, and rows to store."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec

from ioc.catalog import Catalog, Domain
from ioc.inventory import Asset
from ioc.journal.records import Measure, Reading, Value
from ioc.store import Answer, Query, Row, Store
from ioc.store.derived import NUMBERED

# A whole day of 2026, so that buckets of an hour begin where they look to.
T0_MS = 1_767_225_600_000
T0_US = T0_MS * 1000
JOURNAL = "7d2f4f0e-0000-4000-8000-000000000001"


def text(words: str) -> dict[str, str]:
    return {"vi": words, "en": words}


def metric(kind_of_value: str = "float", **more: Any) -> dict[str, Any]:
    number = kind_of_value in ("float", "int")
    return {
        "title": text("x"),
        "unit": "1",
        "type": kind_of_value,
        "source": "made up",
        **({"range": [-1e6, 1e6]} if number else {}),
        **({"values": ["grid", "genset", 'o"d\\d, n=e w']} if kind_of_value == "enum" else {}),
        **more,
    }


def make_catalog(**more_metrics: dict[str, Any]) -> Catalog:
    """Kinds ``mast`` (every type) and ``select``, a word of both query languages."""
    mast = {
        "volt": metric(),
        "power_w": metric(),
        "cells": metric("int"),
        "mains_ok": metric("bool"),
        "source": metric("enum"),
        **more_metrics,
    }
    kinds = {
        "mast": {"title": text("Cột"), "metrics": mast},
        "select": {"title": text("Từ"), "metrics": {"group": metric(), "where": metric("int")}},
    }
    domain = {"domain": "made_up", "title": text("Thử"), "kinds": kinds}
    return Catalog([Domain.model_validate(domain)])


def asset(name: str = "A1", kind: str = "mast", **fields: Any) -> Asset:
    given: dict[str, Any] = {
        "province": "khanh-hoa",
        "commune": "22366",
        "site": f"S-{name}",
        "lat": 12.2,
        "lon": 109.2,
        "operator": "viettel",
    }
    return Asset(id=name, kind=kind, name=f"Trạm {name}", **(given | fields))


def row(
    at_ms: float,
    of: Asset | str = "A1",
    *,
    boot: int | None = None,
    seq: int | None = None,
    **values: Value,
) -> Row:
    """A reading ``at_ms`` after ``T0_MS``."""
    of = asset(of) if isinstance(of, str) else of
    time_us = T0_US + round(at_ms * 1000)
    reading = Reading(
        kind=of.kind,
        asset=of.id,
        time_us=time_us,
        ts_ms=time_us // 1000,
        received_ms=time_us // 1000 + 40,
        values=values,
        boot=boot,
        seq=seq,
    )
    return Row(reading=reading, asset=of)


def derived(at_ms: float, measurement: str, of: Asset | str = "A1", **values: Value) -> Row:
    """A row that the service worked out about an asset, ``at_ms`` after ``T0_MS``."""
    of = asset(of) if isinstance(of, str) else of
    made = row(at_ms, of, boot=None, seq=None, **values)
    # Of one time, rows of different assets have different numbers.
    seq = crc32(of.id.encode()) % 1000 * 1000 if measurement in NUMBERED else None
    return Row(reading=msgspec.structs.replace(made.reading, kind=measurement, seq=seq), asset=of)


def measure(at_ms: float, name: str, value: float, scope: str, place: str) -> Measure:
    return Measure(name, scope, place, T0_US + round(at_ms * 1000), value)


async def put(store: Store, *rows: Row, position: int, journal: str = JOURNAL) -> None:
    """Write rows that must all be taken."""
    assert await store.write(rows, [], journal_uuid=journal, position=position) == []


async def put_measures(store: Store, *measures: Measure, position: int) -> None:
    assert await store.write([], measures, journal_uuid=JOURNAL, position=position) == []


def ask(
    *columns: str,
    measurement: str = "mast",
    start_ms: int = 0,
    stop_ms: int = 3_600_000,
    **more: Any,
) -> Query:
    """A query by short words: ``"volt"`` raw, ``"mean volt"`` an aggregate; times after T0."""
    parsed = []
    for column in columns:
        aggregate, _, name = column.rpartition(" ")
        parsed.append({"metric": name, "aggregate": aggregate or None})
    return Query.model_validate(
        {
            "measurement": measurement,
            "columns": parsed,
            "start_ms": T0_MS + start_ms,
            "stop_ms": T0_MS + stop_ms,
            **more,
        }
    )


def at(answer: Answer, *, time_column: int = 0) -> list[tuple[Any, ...]]:
    """The rows with their time in ms after T0, which is what the tests put in."""
    return [
        (*r[:time_column], (r[time_column] - T0_US) / 1000, *r[time_column + 1 :])  # type: ignore[operator]
        for r in answer.rows
    ]
