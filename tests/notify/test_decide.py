"""Who is told of what, and when: the decision alone, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, insert, select

from ioc.alarms.model import Alarm
from ioc.notify.decide import Decided, decide
from ioc.notify.payload import Body
from ioc.notify.routes import Match, Route
from ioc.state import schema
from ioc.state.database import State
from tests.notify.parts import START_MS, alarm, commit, impact, route

NOC = route("noc")
MINUTE = 60_000


class Desk:
    """The decision over a database, at times of the test's choosing."""

    def __init__(self, state: State, *routes: Route) -> None:
        self.state = state
        self.routes = routes or (NOC,)
        self.seen: set[str] = set()

    async def commit(self, *changes: tuple[Alarm, Any], at_ms: int = START_MS) -> list[int]:
        return await self.state.run(
            lambda c: [commit(c, changed, kind, at_ms=at_ms) for changed, kind in changes]
        )

    async def decide(self, at_ms: int = START_MS, limit: int = 256) -> Decided:
        return await self.state.run(
            lambda c: decide(
                c, self.routes, now_ms=at_ms, console_url="http://console", limit=limit
            )
        )

    async def news(self, at_ms: int = START_MS) -> list[tuple[str, str, str, Body]]:
        """Decide, and return what is new in the outbox: route, alarm, status, body."""
        await self.decide(at_ms)

        def read(c: Connection) -> list[Any]:
            table = schema.delivery
            return list(c.execute(select(table).order_by(table.c.transition, table.c.route)))

        rows = [row for row in await self.state.run(read) if row.id not in self.seen]
        self.seen |= {row.id for row in rows}
        return [
            (
                row.route,
                row.alarm,
                "firing" if row.firing else "resolved",
                msgspec.json.decode(row.body, type=Body),
            )
            for row in rows
        ]

    async def words(self, at_ms: int = START_MS) -> list[tuple[str, str, str]]:
        return [row[:3] for row in await self.news(at_ms)]


@pytest.fixture
def desk(state: State) -> Callable[..., Desk]:
    return lambda *routes: Desk(state, *routes)


def cleared(of: Alarm, at_ms: int = START_MS) -> Alarm:
    return msgspec.structs.replace(of, state="cleared", cleared_ms=at_ms)


async def test_a_raise_and_its_clear(desk: Callable[..., Desk]) -> None:
    at = desk()
    await at.commit((alarm(), "raised"))
    assert await at.words() == [("noc", "A1", "firing")]
    assert await at.words() == []
    await at.commit((cleared(alarm()), "cleared"))
    assert await at.words() == [("noc", "A1", "resolved")]
    # Forgotten: a second clear has nothing to say.
    await at.commit((cleared(alarm()), "cleared"))
    assert await at.words() == []


async def test_acknowledgements_and_comments_are_not_notified(desk: Callable[..., Desk]) -> None:
    at = desk()
    await at.commit((alarm(), "raised"))
    assert len(await at.words()) == 1
    acknowledged = alarm(acknowledged=True)
    await at.commit(
        (acknowledged, "acknowledged"), (acknowledged, "commented"), (alarm(), "unacknowledged")
    )
    assert await at.words() == []


async def test_each_route_by_its_match(desk: Callable[..., Desk]) -> None:
    at = desk(
        route("critical", match=Match(severities=("critical",))),
        route("everything"),
        route("ups", match=Match(kinds=("ups",))),
    )
    await at.commit((alarm("A1"), "raised"), (alarm("A2", severity="minor"), "raised"))
    assert await at.words() == [
        ("critical", "A1", "firing"),
        ("everything", "A1", "firing"),
        ("everything", "A2", "firing"),
    ]
    # A2 becomes critical: news to one, an update to the other; then it fits one no longer, whose
    # receiver is told all the same, and of its clear.
    await at.commit((alarm("A2", severity="critical"), "changed"))
    assert await at.words() == [("critical", "A2", "firing"), ("everything", "A2", "firing")]
    await at.commit((alarm("A2", severity="minor"), "changed"))
    assert ("critical", "A2", "firing") in await at.words(START_MS + MINUTE)
    await at.commit((cleared(alarm("A2")), "cleared"))
    assert await at.words() == [("critical", "A2", "resolved"), ("everything", "A2", "resolved")]


async def test_without_send_resolved_a_clear_is_left_out(desk: Callable[..., Desk]) -> None:
    at = desk(route("noc", send_resolved=False))
    for _ in range(2):
        await at.commit((alarm(), "raised"))
        assert await at.words() == [("noc", "A1", "firing")]
        await at.commit((cleared(alarm()), "cleared"))
        assert await at.words() == []


async def test_a_suppressed_alarm_is_not_notified_nor_its_clear(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    child = alarm("C1", suppressed=True, parent="A1")
    await at.commit((child, "raised"), (child, "changed"))
    assert await at.words() == []
    await at.commit((cleared(child), "cleared"))
    assert await at.words() == []


async def test_what_outlives_its_root_is_notified_then(desk: Callable[..., Desk]) -> None:
    at = desk()
    await at.commit((alarm("C1", suppressed=True, parent="A1"), "raised"))
    assert await at.words() == []
    await at.commit((alarm("C1"), "unsuppressed"))
    assert await at.words() == [("noc", "C1", "firing")]


async def test_a_notified_alarm_that_is_suppressed_later_still_has_its_clear_delivered(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    await at.commit((alarm("C1"), "raised"))
    assert await at.words() == [("noc", "C1", "firing")]
    under = alarm("C1", suppressed=True, parent="A1", severity="minor")
    await at.commit((under, "suppressed"), (under, "changed"))
    assert await at.words() == []
    await at.commit((cleared(under), "cleared"))
    assert await at.words() == [("noc", "C1", "resolved")]


async def test_an_alarm_with_a_possible_parent_waits_for_it_and_the_others_do_not(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    settling = alarm("C1", settles_ms=START_MS + 5000)
    await at.commit((settling, "raised"), (alarm("A2"), "raised"))
    assert await at.words() == [("noc", "A2", "firing")]
    assert await at.words(START_MS + 4999) == []
    assert await at.words(START_MS + 5000) == [("noc", "C1", "firing")]
    assert await at.words(START_MS + 9000) == []


async def test_while_it_waits_it_may_be_suppressed_or_clear(desk: Callable[..., Desk]) -> None:
    at = desk()
    c1, c2 = (alarm(name, settles_ms=START_MS + 5000) for name in ("C1", "C2"))
    await at.commit((c1, "raised"), (c2, "raised"))
    assert await at.words() == []
    await at.commit(
        (msgspec.structs.replace(c1, suppressed=True, parent="A1"), "suppressed"),
        (cleared(c2), "cleared"),
    )
    # Both are due, and the decision is made only after their last transitions were read.
    assert await at.words(START_MS + 6000) == []
    assert await at.words(START_MS + 600_000) == []


async def test_what_is_due_waits_for_transitions_that_are_not_read_yet(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    settling = alarm("C1", settles_ms=START_MS + 5000)
    await at.commit((settling, "raised"))
    await at.decide()
    await at.commit(
        (alarm("A1"), "raised"),
        (msgspec.structs.replace(settling, suppressed=True, parent="A1"), "suppressed"),
    )
    late = START_MS + 60_000
    first = await at.decide(late, limit=1)
    assert (first.transitions, first.behind) == (1, 1)
    await at.decide(late, limit=1)
    assert await at.words(late) == [("noc", "A1", "firing")]


async def test_a_change_while_it_waits_does_not_make_it_wait_longer(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    await at.commit((alarm("C1", settles_ms=START_MS + 5000), "raised"))
    assert await at.words() == []
    worse = alarm("C1", severity="major", settles_ms=START_MS + 8000)
    await at.commit((worse, "changed"), at_ms=START_MS + 3000)
    assert await at.words(START_MS + 3000) == []
    ((_, alarm_id, status, told),) = await at.news(START_MS + 5000)
    assert (alarm_id, status, told.common_labels["severity"]) == ("C1", "firing", "major")


async def test_an_engine_behind_time_gets_its_time_to_find_the_root(
    desk: Callable[..., Desk],
) -> None:
    """The engine works off what happened 10 minutes ago: the wait counts from when we hear."""
    at = desk()
    now = START_MS + 600_000
    await at.commit((alarm("C1", settles_ms=START_MS + 5000), "raised"), at_ms=START_MS)
    assert await at.words(now) == []
    assert await at.words(now + 5000) == [("noc", "C1", "firing")]


async def test_severity_and_impact_are_updates_at_most_one_a_minute(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    await at.commit((alarm(), "raised"))
    assert len(await at.words()) == 1
    # The first update may follow at once; what comes after waits for its minute, and only the
    # newest is told.
    for stations in (10, 20, 41):
        await at.commit((alarm(impact=impact(stations)), "changed"))
        words = [told.common_annotations["stations"] for *_, told in await at.news(START_MS + 1000)]
        assert words == (["10"] if stations == 10 else [])
    assert await at.words(START_MS + 60_999) == []
    ((*_, told),) = await at.news(START_MS + 61_000)
    assert told.common_annotations["impact_en"] == "41 stations out of service"


async def test_a_change_of_anything_else_or_back_again_is_no_update(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    await at.commit((alarm(), "raised"), (alarm(severity="major"), "changed"))
    assert len(await at.words()) == 2
    await at.commit((alarm(severity="major", value=-40.0), "changed"))
    await at.commit((alarm(severity="minor"), "changed"), (alarm(severity="major"), "changed"))
    assert await at.words(START_MS + 10 * MINUTE) == []


async def test_an_update_that_waits_is_dropped_when_the_alarm_clears(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    await at.commit((alarm(), "raised"), (alarm(impact=impact(1)), "changed"))
    assert len(await at.words()) == 2
    await at.commit((alarm(impact=impact(41)), "changed"))
    await at.decide(START_MS + 1)
    await at.commit((cleared(alarm()), "cleared"))
    ((*_, status, told),) = await at.news(START_MS + 2)
    assert status == "resolved"
    # The clear names the impact that the receiver knows of.
    assert told.common_annotations["impact_en"] == "1 station out of service"
    assert await at.words(START_MS + 10 * MINUTE) == []


async def test_the_root_names_how_many_alarms_are_suppressed_under_it(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    root = alarm(impact=impact(2))
    await at.commit(
        (root, "raised"),
        *(
            (alarm(name, suppressed=True, parent="A1", kind="bts"), "raised")
            for name in ("C1", "C2", "C3")
        ),
        (cleared(alarm("C3", suppressed=True, parent="A1")), "cleared"),
    )
    ((*_, told),) = await at.news()
    assert told.common_annotations["impact_en"] == "2 stations out of service, 2 alarms suppressed"
    assert told.external_url == "http://console/alarms/A1"


async def test_a_disabled_route_is_told_nothing(desk: Callable[..., Desk]) -> None:
    at = desk(route("gone"), route("noc"))
    await at.commit((alarm("A1"), "raised"))
    assert len(await at.words()) == 2
    await at.state.run(
        lambda c: c.execute(
            insert(schema.disabled_route).values(route="gone", at_ms=START_MS, reason="410")
        )
    )
    await at.commit((alarm("A2"), "raised"), (cleared(alarm("A1")), "cleared"))
    assert await at.words() == [("noc", "A2", "firing"), ("noc", "A1", "resolved")]


async def test_a_route_that_is_gone_from_the_file_is_forgotten(
    desk: Callable[..., Desk],
) -> None:
    before = desk(route("old"), NOC)
    settling = alarm("A2", settles_ms=START_MS + 5000)
    await before.commit((alarm("A1"), "raised"), (settling, "raised"))
    assert len(await before.words()) == 2
    after = desk(NOC)
    after.seen = before.seen
    await after.commit((cleared(alarm("A1")), "cleared"))
    assert await after.words(START_MS + 5000) == [
        ("noc", "A2", "firing"),
        ("noc", "A1", "resolved"),
    ]
    left = await after.state.run(
        lambda c: [
            *c.scalars(select(schema.notified.c.route)),
            *c.scalars(select(schema.waiting.c.route)),
        ]
    )
    assert left == ["noc"]


async def test_ids_are_stable_and_differ_by_route_and_transition(
    desk: Callable[..., Desk],
) -> None:
    at = desk(route("a"), route("b"))
    await at.commit((alarm(), "raised"))
    await at.decide()
    first = set(await at.state.run(lambda c: c.scalars(select(schema.delivery.c.id)).all()))
    assert len(first) == 2
    assert all(one.startswith("msg_") and len(one) == 36 for one in first)

    def undo(c: Connection) -> None:
        for table in (schema.delivery, schema.notified, schema.position):
            c.execute(table.delete())

    # As after a restore of the database: the same transitions lead to the same ids.
    await at.state.run(undo)
    await at.decide(START_MS + 5)
    assert first == set(await at.state.run(lambda c: c.scalars(select(schema.delivery.c.id)).all()))


async def test_the_position_moves_without_any_route(state: State) -> None:
    at = Desk(state)
    at.routes = ()
    ids = await at.commit((alarm(), "raised"), (alarm("A2"), "raised"))
    decided = await at.decide()
    assert (decided.position, decided.transitions, decided.deliveries) == (ids[-1], 2, 0)
    assert (await at.decide()).transitions == 0
