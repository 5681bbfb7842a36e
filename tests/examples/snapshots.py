"""What UPSs say, for tests: the names of RFC 1628."""

from __future__ import annotations

from examples.ups_snmp.mib import WELL_KNOWN_ALARMS
from examples.ups_snmp.snmp import Snapshot, Value


def snapshot(*alarms: int | str, **said: int | str | list[int]) -> Snapshot:
    """A poll's result. A list is a column, one value a line. An alarm is its number in RFC 1628's
    list, or an OID."""
    columns: dict[str, dict[int, Value]] = {
        name: dict(enumerate(values, start=1))
        for name, values in said.items()
        if isinstance(values, list)
    }
    columns["upsAlarmDescr"] = {
        row: (*WELL_KNOWN_ALARMS, alarm)
        if isinstance(alarm, int)
        else tuple(map(int, alarm.split(".")))
        for row, alarm in enumerate(alarms, start=1)
    }
    scalars = {name: value for name, value in said.items() if not isinstance(value, list)}
    return Snapshot(scalars, columns)
