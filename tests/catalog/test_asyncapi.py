"""The published contract says what the service takes."""

from __future__ import annotations

import jsonschema_rs
import pytest
import yaml

from ioc.catalog import load_catalog
from ioc.catalog.asyncapi import TARGET, contract


@pytest.fixture(scope="module")
def document() -> dict[str, object]:
    return contract(load_catalog())


def test_the_committed_contract_is_what_the_catalog_gives(document: dict[str, object]) -> None:
    assert yaml.safe_load(TARGET.read_text(encoding="utf-8")) == document, (
        "run: python -m ioc.catalog.asyncapi"
    )


def test_what_the_service_measures_itself_is_not_for_senders(document: dict[str, object]) -> None:
    assert "bts_telemetry" in str(document)
    assert "ioc_telemetry" not in str(document)
    assert "'ioc'" not in str(document), "a gateway may not name the kind either"


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        pytest.param({"ts": 1, "dc_voltage_v": 53.5}, True, id="one metric"),
        pytest.param({"ts": 1, "dc_voltage_v": 53.5, "boot": 1, "seq": 2}, True, id="with seq"),
        pytest.param({"ts": 1, "dc_voltage_v": 53.5, "seq": 2}, False, id="seq without boot"),
        pytest.param({"dc_voltage_v": 53.5}, False, id="no time"),
        pytest.param({"ts": 1, "dc_voltage_v": 5350}, False, id="outside the hard range"),
        pytest.param({"ts": 1, "mains_ok": "yes"}, False, id="wrong type"),
    ],
)
def test_messages_against_the_contract(
    document: dict[str, object], message: dict[str, object], fits: bool
) -> None:
    schema = {**document, "$ref": "#/components/schemas/bts_telemetry"}
    assert jsonschema_rs.is_valid(schema, message) is fits
