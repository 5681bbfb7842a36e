"""Rows sorted out before a store takes them: by kind, every value of the catalog's type."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ioc.catalog.model import MetricType
from ioc.journal.records import Measure, Value
from ioc.store.port import RejectedPoint, Row
from ioc.store.schema import Schema, is_measure_name

_INT64 = 2**63
_FLOAT_INTS = 2**53  # whole numbers up to here are the same as floats


def sort_out(
    rows: Sequence[Row], measures: Sequence[Measure], schema: Schema
) -> tuple[dict[str, list[Row]], list[Measure], list[RejectedPoint]]:
    """Rows by kind, measures, and what no store can take.

    A journal may hold readings from before a change of the catalog: a kind that is gone, or a
    value of another type, is refused with its reason, alike on every store. A metric that is gone
    is left out when the row is written.
    """
    by_kind: dict[str, list[Row]] = {}
    rejected: list[RejectedPoint] = []
    for row in rows:
        reading = row.reading
        measurement = schema.kinds.get(reading.kind)
        if measurement is None:
            reason = f"kind {reading.kind!r} is not in the catalog"
            rejected.append(RejectedPoint(point=reading, reason=reason))
            continue
        columns = measurement.columns
        for name, value in reading.values.items():
            expected = columns.get(name)
            if expected is not None and not fits(value, expected):
                reason = f"{name}: {value!r} is not {expected}"
                rejected.append(RejectedPoint(point=reading, reason=reason))
                break
        else:
            by_kind.setdefault(reading.kind, []).append(row)
    good: list[Measure] = []
    for measure in measures:
        if not is_measure_name(measure.name):
            reason = f"{measure.name!r} cannot be a measure's name"
        elif not isfinite(measure.value):
            reason = f"{measure.name}: {measure.value} is not finite"
        else:
            good.append(measure)
            continue
        rejected.append(RejectedPoint(point=measure, reason=reason))
    return by_kind, good, rejected


def fits(value: Value, expected: MetricType) -> bool:
    """Whether a value can be kept as the catalog's type. An int is a good float, a bool is not."""
    if isinstance(value, float):
        return expected == "float" and isfinite(value)
    if isinstance(value, bool):
        return expected == "bool"
    if isinstance(value, int):
        return (expected == "int" and -_INT64 <= value < _INT64) or (
            expected == "float" and abs(value) <= _FLOAT_INTS
        )
    return expected == "enum"
