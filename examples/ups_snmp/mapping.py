"""What a UPS said, in the words of our catalog (kind ``ups``).

Nothing is corrected here: a value that cannot be true goes out as the UPS said it, and the service
quarantines it where people see it. What a UPS does not have is left out: it was not measured.
"""

from __future__ import annotations

from examples.ups_snmp.mib import OutputSource
from examples.ups_snmp.snmp import Snapshot

KIND = "ups"
Metric = float | int | bool


def metrics(snapshot: Snapshot) -> dict[str, Metric]:
    """The catalog's metrics that this UPS gives, in the catalog's units.

    Of several lines the one that matters counts: the most loaded, the lowest voltage. An
    upsOutputSource that RFC 1628 does not know says nothing about battery and bypass.
    """
    found: dict[str, Metric | None] = {
        "load_percent": max(snapshot.numbers("upsOutputPercentLoad"), default=None),
        "runtime_min": snapshot.number("upsEstimatedMinutesRemaining"),
        "battery_charge_percent": snapshot.number("upsEstimatedChargeRemaining"),
        "battery_temperature_c": snapshot.number("upsBatteryTemperature"),
        "input_voltage_v": min(snapshot.numbers("upsInputVoltage"), default=None),
        "output_voltage_v": min(snapshot.numbers("upsOutputVoltage"), default=None),
    }
    source = snapshot.number("upsOutputSource")
    if source in set(OutputSource):
        found["on_battery"] = source == OutputSource.battery
        found["on_bypass"] = source == OutputSource.bypass
    return {name: value for name, value in found.items() if value is not None}
