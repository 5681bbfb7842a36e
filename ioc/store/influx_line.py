"""Line protocol: how InfluxDB is told tags and values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ioc.catalog.model import MetricType
from ioc.journal.records import Value


def head(measurement: str, tags: Iterable[tuple[str, str]]) -> str:
    """Measurement and tags, as a line begins; values are ``tag_text`` already.

    An empty tag does not exist in InfluxDB; it reads back as "".
    """
    given = (f"{tag}={escaped(value)}" for tag, value in sorted(tags) if value)
    return ",".join([measurement, *given])


def escaped(tag: str) -> str:
    if tag.isalnum():
        return tag
    return tag.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _text_field(value: Value) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


# A field's value as its type is written. That it is of the type was checked before.
FIELD: Mapping[MetricType, Callable[[Any], str]] = {
    "float": lambda value: repr(float(value)),
    "int": lambda value: f"{value}i",
    "bool": lambda value: "true" if value else "false",
    "enum": _text_field,
}
