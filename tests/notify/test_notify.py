"""The whole stage: real database, real receivers, a clock that stands still until moved."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from ioc.clock import VirtualClock
from ioc.errors import CommandError, StateUnavailableError
from ioc.notify import log, outbox
from ioc.notify.deliver import DELAYS_S
from ioc.notify.notify import notify
from ioc.notify.routes import Route
from ioc.notify.signing import verify
from ioc.state import schema
from ioc.state.database import State
from ioc.supervise import StageHealth
from tests.notify.parts import KEY, START_MS, Hook, alarm, commit, eventually, route


class Stage:
    """The stage at work."""

    def __init__(self, state: State, clock: VirtualClock, *routes: Route) -> None:
        self.state, self.clock, self.routes = state, clock, routes
        self.health = StageHealth(name="notify")
        self.wake = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(
            notify(
                self.state,
                routes=self.routes,
                clock=self.clock,
                health=self.health,
                wake=self.wake,
                randomness=random.Random(0),
            )
        )
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def happen(self, *changes: tuple[Any, Any]) -> None:
        """The engine commits and wakes the stage."""
        now_ms = self.clock.now_ms()
        await self.state.run(
            lambda c: [commit(c, changed, kind, at_ms=now_ms) for changed, kind in changes]
        )
        self.wake.set()

    async def later(self, seconds: float) -> None:
        """Time passes; the stage looks again (its own poll may fall anywhere in between)."""
        await self.clock.advance(seconds)
        self.wake.set()

    async def page(self) -> list[log.DeliveryView]:
        return (await self.state.run(log.page)).items

    async def until(self, *statuses: str) -> list[log.DeliveryView]:
        """The log, newest first, once these are the statuses in it."""
        async with asyncio.timeout(20):
            while True:
                found = await self.page()
                if sorted(one.status for one in found) == sorted(statuses):
                    return found
                await asyncio.sleep(0.01)

    async def until_attempts(self, count: int) -> log.DeliveryView:
        async with asyncio.timeout(20):
            while True:
                found = await self.page()
                if [one.attempts for one in found] == [count]:
                    return found[0]
                await asyncio.sleep(0.01)


@pytest.fixture
def stage(state: State, clock: VirtualClock) -> Callable[..., Stage]:
    return lambda *routes: Stage(state, clock, *routes)


def cleared(name: str = "A1") -> Any:
    return msgspec.structs.replace(alarm(name), state="cleared", cleared_ms=START_MS)


async def test_an_alarm_reaches_its_receiver_signed_and_so_does_its_clear(
    stage: Callable[..., Stage], hook: Callable[..., Hook]
) -> None:
    receiver = hook()
    it = stage(route(url=await receiver.start()))
    async with it.running():
        await it.happen((alarm(), "raised"))
        (delivered,) = await it.until("delivered")
        await it.happen((cleared(), "cleared"))
        await it.until("delivered", "delivered")
        await eventually(lambda: it.health.note == "routes 1: 0 pending, 0 dead")
    first, second = receiver.taken
    assert (first.body.status, second.body.status) == ("firing", "resolved")
    assert first.body.group_key == second.body.group_key == "noc/A1"
    for taken in receiver.taken:
        verify([KEY], headers=taken.headers, body=taken.raw, now_s=START_MS / 1000)
    assert first.id == delivered.id
    assert [(one.status_code, one.error) for one in delivered.log] == [(200, "")]
    assert it.health.ready
    assert it.health.position == 2
    assert it.health.counters["delivered"] == 2


async def test_retries_under_one_id_until_taken(
    stage: Callable[..., Stage], hook: Callable[..., Hook], clock: VirtualClock
) -> None:
    receiver = hook(500, 404, 200)
    it = stage(route(url=await receiver.start()))
    async with it.running():
        await it.happen((alarm(), "raised"))
        await it.until_attempts(1)
        await it.later(4)
        assert len(receiver.taken) == 1
        await it.later(2)
        waiting = await it.until_attempts(2)
        assert waiting.last_error == "HTTP 404"
        assert waiting.next_attempt_ms is not None
        assert 270_000 <= waiting.next_attempt_ms - clock.now_ms() <= 330_000
        await it.later(331)
        (delivered,) = await it.until("delivered")
    assert [one.status_code for one in delivered.log] == [500, 404, 200]
    assert len({taken.id for taken in receiver.taken}) == 1
    assert len({taken.raw for taken in receiver.taken}) == 1
    stamps = [int(taken.headers["webhook-timestamp"]) for taken in receiver.taken]
    assert stamps[0] + 5 <= stamps[1] + 1 < stamps[2]
    for taken, stamp in zip(receiver.taken, stamps, strict=True):
        verify([KEY], headers=taken.headers, body=taken.raw, now_s=stamp)


async def test_after_the_last_attempt_it_is_dead_and_can_be_sent_again(
    stage: Callable[..., Stage], hook: Callable[..., Hook], clock: VirtualClock
) -> None:
    receiver = hook(*[503] * len(DELAYS_S), 200)
    it = stage(route(url=await receiver.start()))
    async with it.running():
        await it.happen((alarm(), "raised"))
        for attempts in range(1, len(DELAYS_S) + 1):
            one = await it.until_attempts(attempts)
            if one.next_attempt_ms is not None:
                await it.later((one.next_attempt_ms - clock.now_ms()) / 1000)
        (dead,) = await it.until("dead")
        assert dead.finished_ms is not None
        assert (dead.next_attempt_ms, dead.last_error) == (None, "HTTP 503")
        assert clock.now_ms() - START_MS > 0.9 * 1000 * sum(DELAYS_S)
        await it.state.run(lambda c: log.requeue(c, dead.id, now_ms=clock.now_ms()))
        it.wake.set()
        (delivered,) = await it.until("delivered")
        assert len(delivered.log) == len(DELAYS_S) + 1
        with pytest.raises(CommandError, match="is delivered"):
            await it.state.run(lambda c: log.requeue(c, dead.id, now_ms=clock.now_ms()))
    assert {taken.id for taken in receiver.taken} == {dead.id}


async def test_retry_after_is_waited_for(
    stage: Callable[..., Stage], hook: Callable[..., Hook], clock: VirtualClock
) -> None:
    receiver = hook(429, 200)
    receiver.extra = {"Retry-After": "60"}
    it = stage(route(url=await receiver.start()))
    async with it.running():
        await it.happen((alarm(), "raised"))
        waiting = await it.until_attempts(1)
        assert waiting.next_attempt_ms == clock.now_ms() + 60_000
        await it.later(61)
        await it.until("delivered")


async def test_410_disables_the_route_with_a_loud_log(
    stage: Callable[..., Stage], hook: Callable[..., Hook]
) -> None:
    gone, other = hook(410), hook()
    it = stage(
        route("gone", url=await gone.start()),
        route("other", url=await other.start()),
    )
    with capture_logs() as logs:
        async with it.running():
            await it.happen((alarm(), "raised"))
            await it.until("dead", "delivered")
            await it.happen((alarm("A2"), "raised"), (cleared(), "cleared"))
            await it.until("dead", "delivered", "delivered", "delivered")
            assert await it.state.run(log.disabled_routes) == {"gone": "HTTP 410"}
            assert await it.state.run(lambda c: log.enable_route(c, "gone"))
            assert not await it.state.run(lambda c: log.enable_route(c, "gone"))
            await it.happen((alarm("A3"), "raised"))
            await it.until("dead", "dead", *["delivered"] * 4)
    assert len(gone.taken) == 2
    assert len(other.taken) == 4
    loud = [line for line in logs if line["log_level"] == "error"]
    assert [line["route"] for line in loud] == ["gone", "gone"]
    assert "route disabled" in loud[0]["event"]


async def test_a_receiver_that_hangs_holds_up_nobody_else_and_only_its_own_slots(
    stage: Callable[..., Stage], hook: Callable[..., Hook], clock: VirtualClock
) -> None:
    stuck, quick = hook(), hook()
    stuck.hold = asyncio.Event()
    it = stage(
        route("stuck", url=await stuck.start(), timeout_s=30),
        route("quick", url=await quick.start()),
    )
    async with it.running():
        await it.happen(*((alarm(f"A{n}"), "raised") for n in range(20)))
        await eventually(lambda: len(quick.taken) == 20)
        assert len(stuck.taken) <= 8
        await eventually(lambda: len(stuck.taken) == 8)
        stuck.hold.set()
        await it.until(*["delivered"] * 40)
    assert len(stuck.taken) == 20


async def test_within_one_group_the_clear_waits_for_the_raise_and_other_groups_do_not(
    stage: Callable[..., Stage], hook: Callable[..., Hook], clock: VirtualClock
) -> None:
    receiver = hook(500, 200)
    it = stage(route(url=await receiver.start()))
    async with it.running():
        await it.happen((alarm("A1"), "raised"))
        await it.until_attempts(1)
        await it.happen((cleared("A1"), "cleared"), (alarm("A2"), "raised"))
        await it.until("pending", "pending", "delivered")
        await it.later(7)
        await it.until(*["delivered"] * 3)
    told = [(taken.body.group_labels["alarm"], taken.body.status) for taken in receiver.taken]
    assert told == [("A1", "firing"), ("A2", "firing"), ("A1", "firing"), ("A1", "resolved")]


async def test_ended_before_it_could_write_down_it_sends_again_under_the_same_id(
    stage: Callable[..., Stage], hook: Callable[..., Hook]
) -> None:
    receiver = hook()
    receiver.hold = asyncio.Event()
    it = stage(route(url=await receiver.start()))
    async with it.running():
        await it.happen((alarm(), "raised"))
        await eventually(lambda: len(receiver.taken) == 1)
    receiver.hold.set()
    again = stage(*it.routes)
    async with again.running():
        await again.until("delivered")
    assert len(receiver.taken) == 2
    assert receiver.taken[0].id == receiver.taken[1].id


async def test_while_the_database_is_away_nothing_is_sent_twice_and_then_it_goes_on(
    stage: Callable[..., Stage],
    hook: Callable[..., Hook],
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver = hook()
    receiver.hold = asyncio.Event()
    it = stage(route(url=await receiver.start()))
    run = it.state.run

    async def away(work: Callable[[Connection], Any]) -> Any:
        raise StateUnavailableError("disk is full")

    async with it.running():
        await it.happen((alarm(), "raised"))
        await eventually(lambda: len(receiver.taken) == 1)
        monkeypatch.setattr(it.state, "run", away)
        receiver.hold.set()
        await eventually(lambda: "disk is full" in it.health.last_error)
        await it.later(30)
        await eventually(lambda: not it.health.ready)
        assert len(receiver.taken) == 1
        monkeypatch.setattr(it.state, "run", run)
        await it.later(2)
        await it.until("delivered")
        await it.later(2)
        await eventually(lambda: it.health.ready)
    assert len(receiver.taken) == 1


async def test_what_waits_for_a_route_that_is_gone_is_given_up(
    stage: Callable[..., Stage], hook: Callable[..., Hook]
) -> None:
    receiver = hook(500)
    it = stage(route("old", url=await receiver.start()))
    async with it.running():
        await it.happen((alarm(), "raised"))
        await it.until_attempts(1)
    after = stage()
    async with after.running():
        (dead,) = await after.until("dead")
        assert "not configured any more" in dead.last_error
        await eventually(lambda: after.health.ready)


async def test_found_within_a_second_without_being_woken(
    state: State, hook: Callable[..., Hook], clock: VirtualClock
) -> None:
    receiver = hook()
    it = Stage(state, clock, route(url=await receiver.start()))
    async with it.running():
        await eventually(lambda: it.health.ready)
        await state.run(lambda c: commit(c, alarm(), "raised"))
        await clock.advance(1.1)
        await it.until("delivered")


async def test_the_log_pages_and_counts(state: State, clock: VirtualClock) -> None:
    it = Stage(state, clock)
    it.routes = (route("a"), route("b"))
    for n in range(5):
        now_ms = START_MS + n

        def work(c: Connection, n: int = n, now_ms: int = now_ms) -> None:
            commit(c, alarm(f"A{n}"), "raised", at_ms=now_ms)
            from ioc.notify.decide import decide

            decide(c, it.routes, now_ms=now_ms, console_url="http://c")

        await state.run(work)
    first = await state.run(lambda c: log.page(c, limit=3))
    # Two of one millisecond stay together, so three become four.
    assert [(one.alarm, one.route) for one in first.items] == [
        ("A4", "a"),
        ("A4", "b"),
        ("A3", "a"),
        ("A3", "b"),
    ]
    rest = await state.run(lambda c: log.page(c, before_ms=first.next_ms, limit=200))
    assert [one.alarm for one in rest.items] == ["A2", "A2", "A1", "A1", "A0", "A0"]
    assert rest.next_ms is None
    assert len((await state.run(lambda c: log.page(c, route="a"))).items) == 5
    assert len((await state.run(lambda c: log.page(c, alarm="A1"))).items) == 2
    assert (await state.run(lambda c: log.page(c, status="dead"))).items == []
    assert await state.run(log.totals) == {"pending": 10, "delivered": 0, "dead": 0}
    with pytest.raises(CommandError, match="no such delivery"):
        await state.run(lambda c: log.requeue(c, "msg_no", now_ms=0))
    await state.run(lambda c: outbox.disable(c, "a", now_ms=START_MS, reason="by hand"))
    assert await state.run(log.totals) == {"pending": 5, "delivered": 0, "dead": 5}
    (dead, *_) = (await state.run(lambda c: log.page(c, status="dead"))).items
    with pytest.raises(CommandError, match="route a is disabled: by hand"):
        await state.run(lambda c: log.requeue(c, dead.id, now_ms=0))


async def test_a_dead_word_is_not_sent_after_a_later_one_was_taken(
    stage: Callable[..., Stage], hook: Callable[..., Hook]
) -> None:
    receiver = hook(400, 200)
    it = stage(route(url=await receiver.start()))
    async with it.running():
        await it.happen((alarm(), "raised"))
        (dead,) = await it.until("dead")
        await it.happen((cleared(), "cleared"))
        await it.until("dead", "delivered")
    with pytest.raises(CommandError, match="a later word on A1 was delivered"):
        await it.state.run(lambda c: log.requeue(c, dead.id, now_ms=0))


async def test_the_log_is_bounded_by_age_and_number_and_keeps_what_is_pending(
    state: State,
) -> None:
    day_ms = 86_400_000

    def fill(c: Connection) -> None:
        for n in range(40):
            c.execute(
                schema.delivery.insert().values(
                    id=f"msg_{n}",
                    route="noc",
                    group_key=f"noc/{n}",
                    alarm=f"A{n}",
                    transition=n,
                    status="pending" if n == 0 else "delivered",
                    firing=True,
                    created_ms=START_MS + n * day_ms,
                    next_attempt_ms=0,
                    attempts=1,
                    finished_ms=START_MS,
                    last_error="",
                    body="{}",
                )
            )
            c.execute(
                schema.attempt.insert().values(
                    delivery=f"msg_{n}", at_ms=0, duration_ms=1, status_code=200, error=""
                )
            )

    await state.run(fill)
    now_ms = START_MS + 40 * day_ms
    assert await state.run(lambda c: outbox.expire(c, now_ms=now_ms)) == 9
    assert await state.run(lambda c: outbox.expire(c, now_ms=now_ms)) == 0
    assert await state.run(lambda c: outbox.expire(c, now_ms=now_ms, most=10)) == 20
    left = await state.run(lambda c: set(c.scalars(select(schema.delivery.c.id))))
    assert left == {"msg_0", *(f"msg_{n}" for n in range(30, 40))}
    attempts = await state.run(lambda c: set(c.scalars(select(schema.attempt.c.delivery))))
    assert attempts == left
