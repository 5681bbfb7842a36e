"""Records to put into a journal."""

from __future__ import annotations

from ioc.journal.records import Batch, Quarantined, Reading, Tick

NOW_MS = 1_767_225_600_000


def reading(asset: str = "KH00001", seq: int = 0, **values: float) -> Reading:
    ts_ms = NOW_MS + seq * 10_000
    return Reading(
        kind="bts",
        asset=asset,
        time_us=ts_ms * 1000,
        ts_ms=ts_ms,
        received_ms=ts_ms + 40,
        values=dict(values or {"dc_voltage_v": 53.5}),
        boot=1,
        seq=seq,
    )


def batch(*seqs: int, asset: str = "KH00001") -> Batch:
    return Batch([reading(asset, seq) for seq in seqs])


def tick(second: int) -> Tick:
    return Tick(NOW_MS + second * 1000, listening=True)


def quarantined(reason: str = "not_json", n: int = 0) -> Quarantined:
    return Quarantined(
        received_ms=NOW_MS + n,
        topic="ioc/v1/khanh-hoa/bts/KH00001/telemetry",
        reason=reason,
        detail=f"number {n}",
        payload=b"{",
        payload_bytes=1,
    )
