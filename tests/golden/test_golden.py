"""One folder per case: ``topic`` and ``payload`` come in, ``expected.json`` comes out.

``IOC_GOLDEN_WRITE=1`` writes what comes out now; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ioc.clock import VirtualClock
from ioc.ingest import Ingest
from ioc.ingest.broker import KEPT_OF_TOO_LARGE, MAX_PAYLOAD_BYTES, Broker, Message
from ioc.journal import open_journal
from ioc.journal.records import Item, Quarantined
from ioc.supervise import StageHealth
from tests.ingest.lab import NOW_MS, lab_catalog, lab_inventory

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/payload"))


def shown(item: Item | Quarantined) -> dict[str, Any]:
    fields = msgspec.structs.asdict(item)
    if isinstance(item, Quarantined):
        fields["payload"] = fields["payload"][:200].decode("utf-8", "backslashreplace")
    return {"record": type(item).__name__} | fields


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_golden(case: Path, tmp_path: Path) -> None:
    payload = (case / "payload").read_bytes()
    size = len(payload)
    if size > MAX_PAYLOAD_BYTES:  # as the connection does it
        payload = payload[:KEPT_OF_TOO_LARGE]
    clock = VirtualClock(start_ms=NOW_MS)
    health = StageHealth(name="ingest")
    async with open_journal(
        tmp_path, clock=clock, bound_bytes=1 << 24, reserve_bytes=0, gather_s=0.0
    ) as journal:
        stage = Ingest(
            Broker("127.0.0.1"),
            catalog=lab_catalog(),
            inventory=lab_inventory(),
            into=journal,
            clock=clock,
            health=health,
        )
        topic = (case / "topic").read_text(encoding="utf-8").removesuffix("\n")
        decided = stage.decide([Message(topic, payload, size, 1, 1)])
    del health.counters["last_message_ms"]
    found = {
        "items": [shown(item) for item in decided.items],
        "quarantined": [shown(row) for row in decided.quarantined],
        "counters": health.counters,
    }
    target = case / "expected.json"
    if os.environ.get("IOC_GOLDEN_WRITE"):
        target.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(target.read_text(encoding="utf-8"))


def test_every_reason_has_a_case() -> None:
    reasons = {
        row["reason"]
        for case in CASES
        for row in json.loads((case / "expected.json").read_text(encoding="utf-8"))["quarantined"]
    }
    assert reasons == {
        "topic",
        "unknown_kind",
        "own_kind",
        "unknown_asset",
        "wrong_kind",
        "not_json",
        "not_object",
        "too_large",
        "missing_field",
        "wrong_type",
        "out_of_range",
        "not_finite",
        "bad_time",
        "seq_without_boot",
        "empty",
        "bad_alarm",
    }
