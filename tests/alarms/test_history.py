"""What the web and notify stages read from the state database."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from ioc.alarms import saved
from ioc.alarms.history import (
    WINDOW_MS,
    alarm_with_history,
    children_counts,
    last_cleared_ms,
    page_of_alarms,
    raised_per_10_min,
    recent_of_asset,
    transitions_after,
)
from ioc.errors import QueryError
from ioc.state import State
from ioc.text import fold

from .world import NETWORK, T0, Drill, ring_and_spur


@pytest.fixture
async def told(state: State) -> Drill:
    """A cut spur, two stations with high levels, one of them over, one acknowledged."""
    sites, assets = ring_and_spur()
    it = Drill(NETWORK, assets, sites)
    it.tick()
    it.read("A1", at_s=1, level=11)
    it.command("acknowledge", it.alarm("A1", "high").id, words="đang xử lý")
    it.read("B1", at_s=2, level=11)
    it.read("B1", at_s=12, level=1)
    it.read("D1", at_s=13, level=1)
    it.read("D2", at_s=13, level=1)
    it.read("S1", at_s=14, rx=-40.0)
    it.run(to_s=70, S1={"rx": -40.0}, A1={"level": 11.0}, B1={"level": 1.0})
    work = saved.Work(
        journal_uuid=it.uuid, after=None, position=len(it.entries), transitions=it.transitions
    )

    def write(connection: Connection) -> None:
        saved.write(connection, work)

    await state.run(write)
    return it


async def test_pages(told: Drill, state: State) -> None:
    found = []
    before = ""
    while True:
        page = await state.run(partial(page_of_alarms, before=before, limit=2))
        found += page.items
        if page.next is None:
            break
        before = page.next
    # Two of the same second are told apart by their ids: none is lost between pages.
    assert {one.asset for one in found[:2]} == {"D1", "D2"}
    assert [one.asset for one in found[2:]] == ["S1", "B1", "A1"]
    assert len({one.id for one in found}) == 5


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"A1", "B1", "S1", "D1", "D2"}),
        ({"state": "raised"}, {"A1", "S1", "D1", "D2"}),
        ({"state": "cleared"}, {"B1"}),
        ({"severity": ["critical"]}, {"S1"}),
        ({"kind": ["bts"]}, {"A1", "B1", "D1", "D2"}),
        ({"kind": ["bts", "span"], "severity": ["critical", "minor"]}, {"S1"}),
        ({"asset": "A1"}, {"A1"}),
        ({"suppressed": True}, {"D1", "D2"}),
        ({"suppressed": False, "state": "raised"}, {"A1", "S1"}),
        ({"text": "d1"}, {"D1"}),
        ({"text": "100%"}, set()),
        ({"before": str(T0 + 2000)}, {"A1"}),
    ],
)
async def test_filters(
    told: Drill, state: State, filters: dict[str, Any], expected: set[str]
) -> None:
    page = await state.run(partial(page_of_alarms, **filters))
    assert {one.asset for one in page.items} == expected
    assert page.next is None


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 40, "١٢", ".x"])
async def test_a_wrong_cursor_is_refused(state: State, cursor: str) -> None:
    with pytest.raises(QueryError, match="before"):
        await state.run(lambda connection: page_of_alarms(connection, before=cursor))


async def test_one_alarm_with_all_that_happened(told: Drill, state: State) -> None:
    root = told.alarm("S1", "los").id
    found = await state.run(lambda connection: alarm_with_history(connection, root))
    assert found is not None
    assert found.alarm == told.alarm("S1", "los")
    assert {one.asset for one in found.children} == {"D1", "D2"}
    counts = await state.run(lambda connection: children_counts(connection, [root, "none"]))
    assert counts == {root: 2}
    acknowledged = told.alarm("A1", "high").id
    history = await state.run(lambda connection: alarm_with_history(connection, acknowledged))
    assert history is not None
    assert [(one.kind, one.actor, one.text) for one in history.transitions] == [
        ("raised", "ioc", ""),
        ("acknowledged", "linh", "đang xử lý"),
    ]
    assert await state.run(lambda connection: alarm_with_history(connection, "none")) is None


async def test_numbers_for_the_overview(told: Drill, state: State) -> None:
    recent = await state.run(lambda connection: recent_of_asset(connection, "B1"))
    assert [one.state for one in recent] == ["cleared"]
    assert await state.run(last_cleared_ms) == T0 + 12_000
    counts = await state.run(
        lambda connection: raised_per_10_min(connection, until_ms=T0 + WINDOW_MS, windows=3)
    )
    assert counts == [0, 0, 3]  # the suppressed ones are put before nobody
    counts = await state.run(
        lambda connection: raised_per_10_min(connection, until_ms=T0 + 13_000, windows=2)
    )
    assert counts == [0, 2]


async def test_transitions_in_their_order(told: Drill, state: State) -> None:
    first = await state.run(lambda connection: transitions_after(connection, 0, 3))
    rest = await state.run(lambda connection: transitions_after(connection, first[-1].id, 100))
    assert [*first, *rest] == told.transitions


def test_folding() -> None:
    assert fold("Mất điện ở TRẠM Đá Bạc") == "mat dien o tram da bac"
