"""The mapping, held against RFC 1628 and our catalog.

The golden tables are written from the RFC's text: SYNTAX, UNITS and DESCRIPTION of each object.
"""

from __future__ import annotations

import msgspec
import pytest

from examples.ups_snmp.alarms import OTHER, State, message_of
from examples.ups_snmp.config import WELL_KNOWN_ALARMS_FILE, AlarmType, AlarmTypes
from examples.ups_snmp.mapping import KIND, metrics
from examples.ups_snmp.mib import COLUMNS, DESCRIPTION, SCALARS, UNITS, dotted, scaled
from ioc.catalog import load_catalog
from ioc.catalog.causes import PROBABLE_CAUSES
from ioc.files import read_yaml
from ioc.ingest.decode import Decoded, Decoder, Telemetry
from ioc.inventory import Asset, Inventory, Site
from ioc.journal.records import DeviceAlarm, Quarantined
from tests.examples.snapshots import snapshot

NOW_MS = 1_767_225_600_000
TYPES = read_yaml(WELL_KNOWN_ALARMS_FILE, AlarmTypes).alarms
CATALOG = load_catalog()

# Object, its number below upsObjects (1.3.6.1.2.1.33.1) as the RFC assigns it, and its UNITS.
OBJECTS = [
    ("upsIdentManufacturer", "1.1.0", None),
    ("upsIdentModel", "1.2.0", None),
    ("upsIdentName", "1.5.0", None),
    ("upsBatteryStatus", "2.1.0", None),
    ("upsSecondsOnBattery", "2.2.0", "seconds"),
    ("upsEstimatedMinutesRemaining", "2.3.0", "minutes"),
    ("upsEstimatedChargeRemaining", "2.4.0", "percent"),
    ("upsBatteryVoltage", "2.5.0", "0.1 Volt DC"),
    ("upsBatteryCurrent", "2.6.0", "0.1 Amp DC"),
    ("upsBatteryTemperature", "2.7.0", "degrees Centigrade"),
    ("upsInputVoltage", "3.3.1.3", "RMS Volts"),
    ("upsOutputSource", "4.1.0", None),
    ("upsOutputFrequency", "4.2.0", "0.1 Hertz"),
    ("upsOutputVoltage", "4.4.1.2", "RMS Volts"),
    ("upsOutputPercentLoad", "4.4.1.5", "percent"),
    ("upsAlarmsPresent", "6.1.0", None),
    ("upsAlarmDescr", "6.2.1.2", None),
]
SHORT = {
    "seconds": "s",
    "minutes": "min",
    "percent": "%",
    "Volt DC": "V",
    "RMS Volts": "V",
    "Amp DC": "A",
    "Hertz": "Hz",
    "degrees Centigrade": "°C",
}
# upsWellKnownAlarms 1 to 24, in the RFC's order.
WELL_KNOWN = [
    "BatteryBad",
    "OnBattery",
    "LowBattery",
    "DepletedBattery",
    "TempBad",
    "InputBad",
    "OutputBad",
    "OutputOverload",
    "OnBypass",
    "BypassBad",
    "OutputOffAsRequested",
    "UpsOffAsRequested",
    "ChargerFailed",
    "UpsOutputOff",
    "UpsSystemOff",
    "FanFailure",
    "FuseFailure",
    "GeneralFault",
    "DiagnosticTestFailed",
    "CommunicationsLost",
    "AwaitingPower",
    "ShutdownPending",
    "ShutdownImminent",
    "TestInProgress",
]
# Object, what the agent says, and what we send.
VALUES = [
    ("upsEstimatedMinutesRemaining", 1, {"runtime_min": 1}),
    ("upsEstimatedMinutesRemaining", 42, {"runtime_min": 42}),
    ("upsEstimatedChargeRemaining", 0, {"battery_charge_percent": 0}),
    ("upsEstimatedChargeRemaining", 100, {"battery_charge_percent": 100}),
    ("upsBatteryTemperature", -5, {"battery_temperature_c": -5}),
    ("upsBatteryTemperature", 24, {"battery_temperature_c": 24}),
    ("upsOutputSource", 1, {"on_battery": False, "on_bypass": False}),  # other
    ("upsOutputSource", 2, {"on_battery": False, "on_bypass": False}),  # none
    ("upsOutputSource", 3, {"on_battery": False, "on_bypass": False}),  # normal
    ("upsOutputSource", 4, {"on_battery": False, "on_bypass": True}),  # bypass
    ("upsOutputSource", 5, {"on_battery": True, "on_bypass": False}),  # battery
    ("upsOutputSource", 6, {"on_battery": False, "on_bypass": False}),  # booster
    ("upsOutputSource", 7, {"on_battery": False, "on_bypass": False}),  # reducer
    ("upsOutputSource", 0, {}),  # the RFC knows no such source: nothing is said of it
    ("upsOutputSource", 8, {}),
    ("upsOutputSource", "battery", {}),  # an agent that answers with a text
    ("upsInputVoltage", [230], {"input_voltage_v": 230}),
    ("upsInputVoltage", [231, 0, 230], {"input_voltage_v": 0}),  # a phase is missing
    ("upsOutputVoltage", [220, 221, 219], {"output_voltage_v": 219}),
    ("upsOutputPercentLoad", [31, 28, 33], {"load_percent": 33}),
    ("upsOutputPercentLoad", [200], {"load_percent": 200}),
    ("upsInputVoltage", [], {}),  # a table without rows
]


@pytest.mark.parametrize(("name", "number", "units"), OBJECTS, ids=str)
def test_an_object_has_the_number_and_unit_of_the_rfc(
    name: str, number: str, units: str | None
) -> None:
    assert dotted((SCALARS | COLUMNS | DESCRIPTION)[name]) == f"1.3.6.1.2.1.33.1.{number}"
    tenth = units is not None and units.startswith("0.1 ")
    assert scaled(name, 5431) == (543.1 if tenth else 5431)
    assert UNITS.get(name) == (None if units is None else SHORT[units.removeprefix("0.1 ")])


def test_every_object_that_is_read_is_in_the_table() -> None:
    assert (SCALARS | COLUMNS | DESCRIPTION).keys() == {name for name, _, _ in OBJECTS}


@pytest.mark.parametrize(("name", "said", "sent"), VALUES, ids=str)
def test_a_value_is_sent_as_the_catalog_wants_it(
    name: str, said: int | str | list[int], sent: dict[str, float | bool]
) -> None:
    found = metrics(snapshot(**{name: said}))
    assert found == sent
    assert [type(value) for value in found.values()] == [type(value) for value in sent.values()]


def test_what_a_ups_does_not_have_is_left_out() -> None:
    assert metrics(snapshot()) == {}


def test_the_catalog_names_the_same_objects_and_units() -> None:
    whole = metrics(
        snapshot(
            upsEstimatedMinutesRemaining=42,
            upsEstimatedChargeRemaining=100,
            upsBatteryTemperature=24,
            upsOutputSource=3,
            upsInputVoltage=[230],
            upsOutputVoltage=[220],
            upsOutputPercentLoad=[33],
        )
    )
    kind = CATALOG.kinds[KIND]
    assert whole.keys() == kind.metrics.keys()
    for name, metric in kind.metrics.items():
        if metric.standard is not None:
            assert metric.unit == UNITS[metric.standard], name
            only = metrics(snapshot(**{metric.standard: [7] if metric.standard in COLUMNS else 7}))
            assert only == {name: 7}


# ── alarms ───────────────────────────────────────────────────────────────────


def test_the_well_known_alarms_are_those_of_the_rfc() -> None:
    assert len(WELL_KNOWN) == 24
    assert [(known.id, known.oid) for known in TYPES] == [
        (f"upsAlarm{name}", f"1.3.6.1.2.1.33.1.6.3.{number}")
        for number, name in enumerate(WELL_KNOWN, start=1)
    ]


@pytest.mark.parametrize("known", [*TYPES, OTHER], ids=lambda known: known.id)
def test_an_alarm_has_words_that_fit_together(known: AlarmType) -> None:
    number = PROBABLE_CAUSES[known.probable_cause]
    # RFC 3877 keeps M.3100's numbers: 51 to 100 equipment, 101 to 150 environment.
    if 51 <= number <= 100:
        assert known.event_type == "equipment"
    if 101 <= number <= 150:
        assert known.event_type == "environmental"
    assert known.text.vi != known.text.en


# ── against the service's own decoder ────────────────────────────────────────


def decode(topic: str, content: object) -> Decoded:
    inventory = Inventory(
        [Site(id="S", name="S", commune="22366", lat=12.2, lon=109.2)],
        [
            Asset(
                id="UPS-1",
                kind=KIND,
                name="UPS 1",
                province="khanh-hoa",
                commune="22366",
                site="S",
                lat=12.2,
                lon=109.2,
            )
        ],
    )
    decoder = Decoder(CATALOG, inventory)
    found = decoder.decode(topic, msgspec.json.encode(content), received_ms=NOW_MS)
    assert decoder.unknown_fields == 0
    assert len(found) == 1
    return found[0]


def telemetry(**values: float | bool) -> Decoded:
    element = {"kind": KIND, "asset": "UPS-1", "ts": NOW_MS, "boot": 1, "seq": 0, **values}
    return decode("ioc/v1/khanh-hoa/_gateway/GW/telemetry", [element])


@pytest.mark.parametrize("sent", [sent for _, _, sent in VALUES if sent], ids=str)
def test_the_service_takes_what_is_sent(sent: dict[str, float | bool]) -> None:
    found = telemetry(**sent)
    assert isinstance(found, Telemetry)
    assert found.values == sent


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("upsEstimatedChargeRemaining", 255),
        ("upsEstimatedChargeRemaining", -1),
        ("upsBatteryTemperature", 2**31 - 1),
        ("upsOutputPercentLoad", [201]),
    ],
)
def test_what_cannot_be_true_is_sent_and_quarantined(name: str, said: int | list[int]) -> None:
    found = telemetry(**metrics(snapshot(**{name: said})))
    assert isinstance(found, Quarantined)
    assert found.reason == "out_of_range"


@pytest.mark.parametrize("state", ["raised", "changed", "cleared"])
@pytest.mark.parametrize("known", [*TYPES, OTHER], ids=lambda known: known.id)
def test_the_service_takes_every_alarm(known: AlarmType, state: State) -> None:
    message = message_of(known, state, known.text.vi, now_ms=NOW_MS)
    found = decode("ioc/v1/khanh-hoa/ups/UPS-1/alarm", message)
    assert isinstance(found, DeviceAlarm)
    assert (found.alarm_id, found.state) == (known.id, state)
    assert found.severity == ("cleared" if state == "cleared" else known.severity)
