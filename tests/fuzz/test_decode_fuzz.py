"""Whatever bytes come on whatever topic: an answer, and never an error."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ioc.ingest.broker import KEPT_OF_TOO_LARGE
from ioc.ingest.decode import Decoded, Decoder, Telemetry, _FaultError
from ioc.journal.records import Batch, DeviceAlarm, GatewayStatus, Quarantined, Reading
from tests.ingest.lab import NOW_MS, lab_catalog, lab_inventory, topic

DECODER = Decoder(lab_catalog(), lab_inventory())
TELEMETRY, ALARM = topic(), topic(channel="alarm")
GATEWAY = "ioc/v1/khanh-hoa/_gateway/gw/telemetry"
STATUS = "ioc/v1/khanh-hoa/_gateway/gw/status"
TOPICS = st.sampled_from([TELEMETRY, ALARM, GATEWAY, STATUS, topic("UPS-1", "ups")])
WORDS = st.sampled_from(
    [
        *("ts", "seq", "boot", "kind", "asset", "online", "alarm_id", "state", "severity"),
        *("event_type", "probable_cause", "object", "text"),
        *("mains_ok", "dc_voltage_v", "cells_total", "position", "load_percent", "rx_power_dbm"),
    ]
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.just(NOW_MS),
    st.integers(0, 100),
    st.sampled_from([2**53, 2**63, 2**64, 10**400, -0.0, 1e308, 5e-324, 3.0, 80, 80.0000001]),
)
TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["bts", "KH00001", "raised", "major", "mains", "off"])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(WORDS | st.text(max_size=8), VALUES, max_size=10)


def checked(topic_text: str, payload: bytes) -> list[Decoded]:
    """Decode, and hold the answer to what all answers keep."""
    before = DECODER.unknown_fields
    found = DECODER.decode(topic_text, payload, received_ms=NOW_MS)
    assert found
    assert DECODER.unknown_fields >= before
    for one in found:
        if isinstance(one, Telemetry):
            assert one.values
            assert isinstance(one.ts_ms, int)
            # It can be written to a journal and read again.
            reading = Reading(one.kind, one.asset, 1, one.ts_ms, NOW_MS, one.values)
            written = msgspec.msgpack.encode(Batch([reading]))
            assert msgspec.msgpack.decode(written, type=Batch).items == [reading]
        elif isinstance(one, Quarantined):
            assert one.reason
            assert "cannot be decoded" not in one.detail, one.detail
            assert len(one.payload) <= KEPT_OF_TOO_LARGE
            one.topic.encode()
            one.detail.encode()
        else:
            assert isinstance(one, DeviceAlarm | GatewayStatus)
            msgspec.msgpack.encode(Batch([one]))
    return found


@given(st.text(max_size=100), st.binary(max_size=200))
@example("ioc/v1//\x00//telemetry", b"")
def test_any_bytes_on_any_topic(topic_text: str, payload: bytes) -> None:
    checked(topic_text, payload)


@given(TOPICS, st.binary(max_size=300))
@example(TELEMETRY, b"[" * 60_000)
@example(TELEMETRY, b'{"ts":' * 9000)
@example(TELEMETRY, b'{"x":' + b"[" * 50_000 + b"]" * 10_000)
@example(GATEWAY, b"[" * 60_000 + b"]" * 5_000)
@example(GATEWAY, b'[{"kind":"bts","asset":' + b"[" * 900 + b"]" * 900 + b"}]")
@example(TELEMETRY, b'{"ts":' + b"1" * 6000 + b"}")
@example(TELEMETRY, b'{"ts":1767225600000,"dc_voltage_v":' + b"1" * 6000 + b"}")
@example(TELEMETRY, b'{"ts":1767225600000,"dc_voltage_v":"' + b"[" * 6000 + b'"}')
@example(TELEMETRY, b'{"ts":1767225600000,"dc_voltage_v":"\\ud800"}')
@example(ALARM, b'{"ts":1767225600000,"alarm_id":"\\ud800\\udc00"}')
@example(TELEMETRY, b"\xef\xbb\xbf{}")
@example(TELEMETRY, b"\xff\xfe{\x00}\x00")
def test_any_bytes_on_a_good_topic(topic_text: str, payload: bytes) -> None:
    checked(topic_text, payload)


@settings(max_examples=60)
@given(TOPICS, OBJECTS | st.lists(OBJECTS, max_size=4) | VALUES)
def test_any_json(topic_text: str, content: Any) -> None:
    checked(topic_text, json.dumps(content).encode())


METRICS = {
    "mains_ok": st.booleans() | VALUES,
    "dc_voltage_v": st.floats(-1, 81) | st.integers(-1, 81) | VALUES,
    "cells_total": st.integers(-1, 65) | st.floats(-1, 65) | st.sampled_from([3.0, 64.0]),
    "power_w": st.integers(0, 50_000) | NUMBERS,
}
FRAMES = st.fixed_dictionaries(
    {"ts": st.integers(NOW_MS - 10**6, NOW_MS + 10**6) | st.just(float(NOW_MS)) | VALUES},
    optional={
        "seq": st.integers(0, 10) | st.integers(2**53 - 2, 2**53 + 2) | VALUES,
        "boot": st.integers(0, 10) | VALUES,
        "vendor": VALUES,
        **METRICS,
    },
)


@settings(max_examples=100)
@given(FRAMES)
def test_the_fast_way_and_the_examination_agree(content: dict[str, Any]) -> None:
    payload = json.dumps(content).encode()
    kind = DECODER._kinds["bts"]
    try:
        examined: object = DECODER._examined(kind, "KH00001", payload, NOW_MS)
    except _FaultError as fault:
        examined = (fault.reason, fault.detail)
    found = checked(TELEMETRY, payload)[0]
    if isinstance(found, Quarantined):
        assert (found.reason, found.detail) == examined
    else:
        assert found == examined
        assert isinstance(found, Telemetry)
        assert isinstance(examined, Telemetry)
        assert {n: type(v) for n, v in found.values.items()} == {
            n: type(v) for n, v in examined.values.items()
        }
