"""What consoles wait for."""

from __future__ import annotations

import asyncio

from ioc.alarms.live import REMEMBERED_CHANGES, Live
from ioc.clock import settle


async def test_changes_since_a_version_are_gathered() -> None:
    live = Live()
    live.publish(assets=["A"])
    live.publish(alarms=["x"], inventory=True)
    change = live.since(0)
    assert change is not None
    assert (change.version, change.assets, change.alarms) == (2, frozenset("A"), frozenset("x"))
    assert change.inventory
    assert not change.measures
    unchanged = live.since(2)
    assert unchanged is not None
    assert not unchanged.assets


async def test_who_falls_behind_starts_over() -> None:
    live = Live()
    for _ in range(REMEMBERED_CHANGES + 1):
        live.publish()
    assert live.since(0) is None
    assert live.since(1) is not None
    assert live.since(live.version + 1) is None  # of a service that ran before


async def test_a_position_is_waited_for_without_a_change() -> None:
    live = Live()
    reached = asyncio.create_task(live.reached(5))
    changed = asyncio.create_task(live.changed(after=0))
    live.move(4)
    await settle()
    assert not reached.done()
    live.move(5)
    await settle()
    assert reached.done()
    assert not changed.done()
    live.publish()
    await settle()
    assert changed.done()
