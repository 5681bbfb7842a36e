"""The objects of UPS-MIB (RFC 1628) that are read, by name. Nothing here knows of our contract."""

from __future__ import annotations

from enum import IntEnum

Oid = tuple[int, ...]
UPS_OBJECTS: Oid = (1, 3, 6, 1, 2, 1, 33, 1)
WELL_KNOWN_ALARMS: Oid = (*UPS_OBJECTS, 6, 3)


def _scalar(*end: int) -> Oid:
    return (*UPS_OBJECTS, *end, 0)


def _column(*end: int) -> Oid:
    return (*UPS_OBJECTS, *end)


# Read in each poll.
SCALARS: dict[str, Oid] = {
    "upsEstimatedMinutesRemaining": _scalar(2, 3),
    "upsEstimatedChargeRemaining": _scalar(2, 4),
    "upsBatteryTemperature": _scalar(2, 7),
    "upsOutputSource": _scalar(4, 1),
}
# Tables with a row for each line, and the table of alarms; read in each poll.
COLUMNS: dict[str, Oid] = {
    "upsInputVoltage": _column(3, 3, 1, 3),
    "upsOutputVoltage": _column(4, 4, 1, 2),
    "upsOutputPercentLoad": _column(4, 4, 1, 5),
    "upsAlarmDescr": _column(6, 2, 1, 2),
}
# Read for people only (--show): the catalog has no metric for them.
DESCRIPTION: dict[str, Oid] = {
    "upsIdentManufacturer": _scalar(1, 1),
    "upsIdentModel": _scalar(1, 2),
    "upsIdentName": _scalar(1, 5),
    "upsBatteryStatus": _scalar(2, 1),
    "upsSecondsOnBattery": _scalar(2, 2),
    "upsBatteryVoltage": _scalar(2, 5),
    "upsBatteryCurrent": _scalar(2, 6),
    "upsOutputFrequency": _scalar(4, 2),
    "upsAlarmsPresent": _scalar(6, 1),
}
# What one step of an object is worth, where it is not one of its unit (the UNITS clause).
SCALE: dict[str, float] = {
    "upsBatteryVoltage": 0.1,  # 0.1 Volt DC
    "upsBatteryCurrent": 0.1,  # 0.1 Amp DC
    "upsOutputFrequency": 0.1,  # 0.1 Hertz
}
UNITS: dict[str, str] = {
    "upsEstimatedMinutesRemaining": "min",
    "upsEstimatedChargeRemaining": "%",
    "upsBatteryTemperature": "°C",
    "upsSecondsOnBattery": "s",
    "upsBatteryVoltage": "V",
    "upsBatteryCurrent": "A",
    "upsOutputFrequency": "Hz",
    "upsInputVoltage": "V",
    "upsOutputVoltage": "V",
    "upsOutputPercentLoad": "%",
}


class OutputSource(IntEnum):
    """upsOutputSource: the present source of output power."""

    other = 1
    none = 2
    normal = 3
    bypass = 4
    battery = 5
    booster = 6
    reducer = 7


class BatteryStatus(IntEnum):
    """upsBatteryStatus: the capacity that remains."""

    unknown = 1
    batteryNormal = 2  # noqa: N815  # the name in RFC 1628
    batteryLow = 3  # noqa: N815  # as above
    batteryDepleted = 4  # noqa: N815  # as above


def scaled(name: str, value: int) -> float | int:
    """An object's value in its unit (``UNITS``); a whole number stays one where no scale is."""
    scale = SCALE.get(name)
    return value if scale is None else round(value * scale, 3)


def dotted(oid: Oid) -> str:
    return ".".join(map(str, oid))
