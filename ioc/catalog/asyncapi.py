"""Contract v1 as AsyncAPI 3, made from the catalog: ``python -m ioc.catalog.asyncapi``.

Writes ``docs/asyncapi.yaml``; with ``--check`` it only says whether the file is what the catalog
gives, and ends with 1 when it is not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from ioc.catalog.model import Catalog, Kind, Metric, load_catalog

IDENTIFIER = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
COUNTER = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
TIME = {"type": "integer", "description": "Unix time in milliseconds, the device's clock"}
TARGET = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
Json = dict[str, Any]


def contract(catalog: Catalog) -> Json:
    """The whole document. Metrics may be left out of a message: then they were not measured.

    What the service measures itself is no part of it: nobody may send that.
    """
    kinds = {name: kind for name, kind in catalog.kinds.items() if not kind.own}
    schemas: Json = {f"{name}_telemetry": _telemetry(kind) for name, kind in kinds.items()}
    schemas["alarm"] = _alarm()
    schemas["status"] = _object({"online": {"type": "boolean"}, "ts": TIME}, ["online"])
    schemas["gateway_batch"] = {
        "type": "array",
        "items": {
            "allOf": [
                _object({"kind": {"enum": list(kinds)}, "asset": IDENTIFIER}, ["kind", "asset"]),
                {"anyOf": [_schema(f"{name}_telemetry") for name in kinds]},
            ]
        },
    }
    addresses = {
        f"{name}_telemetry": (f"ioc/v1/{{province}}/{name}/{{asset}}/telemetry", kind.title.en)
        for name, kind in kinds.items()
    }
    addresses["alarm"] = ("ioc/v1/{province}/{kind}/{asset}/alarm", "An alarm of the equipment")
    addresses["gateway_batch"] = (
        "ioc/v1/{province}/_gateway/{gateway}/telemetry",
        "Telemetry of many assets in one message",
    )
    addresses["status"] = (
        "ioc/v1/{province}/_gateway/{gateway}/status",
        "Retained, with the connection's last will",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Telemetry and alarms of a province's digital infrastructure",
            "version": "1",
            "description": (
                "MQTT 3.1.1, QoS 1. A payload is at most 64 KiB of JSON. An unknown field is "
                "counted and ignored; whatever does not fit is quarantined with its reason. Made "
                "from the catalog: do not edit."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": address,
                "description": text,
                "parameters": {
                    word: {"description": f"identifier of the {word}"}
                    for word in ("province", "kind", "asset", "gateway")
                    if f"{{{word}}}" in address
                },
                "messages": {name: {"payload": _schema(name)}},
            }
            for name, (address, text) in addresses.items()
        },
        "operations": {
            f"receive_{name}": {"action": "receive", "channel": {"$ref": f"#/channels/{name}"}}
            for name in addresses
        },
        "components": {"schemas": schemas},
    }


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required}


def _telemetry(kind: Kind) -> Json:
    own: Json = {
        "ts": TIME,
        "boot": {**COUNTER, "description": "drawn at each start; with seq or not at all"},
        "seq": {**COUNTER, "description": "+1 with each message of one boot"},
    }
    schema = _object(own | {n: _metric(m) for n, m in kind.metrics.items()}, ["ts"])
    schema["dependentRequired"] = {"seq": ["boot"], "boot": ["seq"]}
    return schema


def _metric(metric: Metric) -> Json:
    schema: Json = {"description": f"{metric.title.en}, unit {metric.unit}. {metric.source}"}
    if metric.standard:
        schema["description"] += f" ({metric.standard})"
    if metric.type == "enum":
        return schema | {"enum": list(metric.values or ())}
    if metric.type == "bool":
        return schema | {"type": "boolean"}
    assert metric.range is not None
    schema["type"] = "integer" if metric.type == "int" else "number"
    return schema | {"minimum": metric.range[0], "maximum": metric.range[1]}


def _alarm() -> Json:
    return _object(
        {
            "ts": TIME,
            "alarm_id": {**IDENTIFIER, "description": "the equipment's own id of the alarm"},
            "state": {"enum": ["raised", "changed", "cleared"]},
            "severity": {
                "enum": ["critical", "major", "minor", "warning", "indeterminate", "cleared"]
            },
            "event_type": {"type": "string", "description": "X.733 event type"},
            "probable_cause": {"type": "string", "description": "X.733 probable cause"},
            "object": {"type": "string", "maxLength": 64, "examples": ["cell-2"]},
            "text": {"type": "string", "maxLength": 500},
        },
        ["ts", "alarm_id", "state", "severity", "event_type", "probable_cause"],
    )


def main() -> None:
    """Write the contract, or check it."""
    text = yaml.safe_dump(contract(load_catalog()), sort_keys=False, allow_unicode=True, width=100)
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            sys.exit(f"{TARGET}: not what the catalog gives; run: python -m ioc.catalog.asyncapi")
        return
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
