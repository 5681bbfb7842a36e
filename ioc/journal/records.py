"""What a journal row can be. The alarm engine reads nothing else.

All records are msgpack arrays (msgspec, ``array_like``), tagged by their first element: fields may
be added at the end only. ``ENCODING`` is written beside each row and says which form it has.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ioc.inventory import Asset, Site

ENCODING = 1
Value = float | int | bool | str
ClockState = Literal["ok", "off"]


class Reading(msgspec.Struct, array_like=True, frozen=True, tag="r", gc=False):
    """One message of telemetry, valid against the catalog.

    ``time_us`` is the storage time (Unix µs, unique per asset), ``ts_ms`` the device's clock,
    ``received_ms`` ours. ``clock`` is "off" when the two differ by more than the limit: the
    reading is then evaluated under ``received_ms``. ``values`` holds what was measured, by catalog
    name and type. ``missed`` counts the seqs skipped since the asset's previous message.
    """

    kind: str
    asset: str
    time_us: int
    ts_ms: int
    received_ms: int
    values: dict[str, Value]
    boot: int | None = None
    seq: int | None = None
    clock: ClockState = "ok"
    missed: int = 0


class DeviceAlarm(msgspec.Struct, array_like=True, frozen=True, tag="a", gc=False):
    """An alarm that the equipment itself reported, or a watch from outside.

    ``text_vi`` is ``text`` in Vietnamese, where whoever reports has both; "" where it has not.
    """

    kind: str
    asset: str
    ts_ms: int
    received_ms: int
    alarm_id: str
    state: Literal["raised", "changed", "cleared"]
    severity: Literal["critical", "major", "minor", "warning", "indeterminate", "cleared"]
    event_type: str
    probable_cause: str
    object: str
    text: str
    clock: ClockState = "ok"
    text_vi: str = ""


class GatewayStatus(msgspec.Struct, array_like=True, frozen=True, tag="g", gc=False):
    """A gateway said that it is online or offline (retained, or its last will)."""

    gateway: str
    online: bool
    received_ms: int


Item = Reading | DeviceAlarm | GatewayStatus


class Batch(msgspec.Struct, array_like=True, frozen=True, tag="B"):
    """What one group commit admitted, in the order of arrival."""

    items: list[Item]


class Tick(msgspec.Struct, array_like=True, frozen=True, tag="T"):
    """One second has passed. ``listening`` is false while no-data must not be judged: the broker
    is away, or a backlog drains."""

    now_ms: int
    listening: bool


class Command(msgspec.Struct, array_like=True, frozen=True, tag="C"):
    """What an operator asked for, about one alarm."""

    now_ms: int
    id: str
    actor: str
    action: Literal["acknowledge", "unacknowledge", "comment", "clear"]
    alarm: str
    text: str = ""


class Activation(msgspec.Struct, array_like=True, frozen=True, tag="I"):
    """A change of the inventory, or of the rules (by catalog version), takes force here."""

    now_ms: int
    actor: str
    sites: list[Site] = []
    add: list[Asset] = []
    retire: list[str] = []
    catalog_version: str = ""
    drop_sites: list[str] = []


class Measure(msgspec.Struct, array_like=True, frozen=True, tag="m", gc=False):
    """One worked-out measure (a KPI) of one place at one time.

    ``scope`` is "province", "commune" or "site"; ``place`` its code or id.
    """

    name: str
    scope: str
    place: str
    time_us: int
    value: float


class Measures(msgspec.Struct, array_like=True, frozen=True, tag="M"):
    """Worked-out measures: journalled, so that a store that is away loses none."""

    items: list[Measure]


class Derived(msgspec.Struct, array_like=True, frozen=True, tag="D"):
    """Rows that the service worked out itself (``ioc.store.derived``), in the shape of readings:
    ``kind`` is the measurement. Journalled, so that a store that is away loses none; the alarm
    engine and the measures pass over them."""

    items: list[Reading]


Record = Batch | Tick | Command | Activation | Measures | Derived


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was not admitted, and why.

    ``reason`` is a stable word (``unknown_asset``), ``detail`` a sentence naming field and value.
    ``payload`` is at most the first 4 KiB.
    """

    received_ms: int
    topic: str
    reason: str
    detail: str
    payload: bytes
    payload_bytes: int
    id: int = 0


class Entry(msgspec.Struct, frozen=True):
    """A record with its position: the journal's one order of events. Positions only grow; gaps
    between them mean nothing."""

    position: int
    written_ms: int
    record: Record
