"""A model of the outbox: the service ends between any two steps, the receiver loses answers, and
still every word arrives, in order, under one id, decided once."""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.pool import StaticPool

from ioc.alarms.model import Alarm
from ioc.notify.decide import decide
from ioc.notify.deliver import DELAYS_S, next_attempt_ms
from ioc.notify.outbox import Due, Outcome, due, record
from ioc.notify.payload import Body
from ioc.state import schema
from tests.notify.parts import START_MS, alarm, commit, empty, impact, route

ENGINE = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
schema.metadata.create_all(ENGINE)
ROUTES = (route("a"), route("b"))
ALARMS = ("A1", "A2")
DAY_MS = 86_400_000
FATES = ["taken", "taken, answer lost", "failed", "ends before", "ends after"]


class Outbox(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        with ENGINE.begin() as c:
            empty(c)
        self.now_ms = START_MS
        self.standing: dict[str, Alarm] = {}
        # (route, alarm) → what its receiver took, in the order of arrival: (id, body)
        self.arrived: dict[tuple[str, str], list[tuple[str, Body]]] = {}
        self.under_way: dict[str, Due] = {}
        self.decided: set[str] = set()
        self.committed = False
        self.randomness = random.Random(0)

    # The engine

    @rule(name=st.sampled_from(ALARMS), settles_s=st.sampled_from([0, 0, 5]))
    def raise_or_clear(self, name: str, settles_s: int) -> None:
        stands = self.standing.get(name)
        if stands is None:
            self.standing[name] = alarm(
                name, raised_ms=self.now_ms, settles_ms=self.now_ms + settles_s * 1000
            )
            self._commit(name, "raised")
        else:
            self.standing[name] = msgspec.structs.replace(
                stands, state="cleared", cleared_ms=self.now_ms
            )
            self._commit(name, "cleared")
            del self.standing[name]

    @precondition(lambda self: self.standing)
    @rule(
        name=st.sampled_from(ALARMS),
        severity=st.sampled_from(["critical", "minor"]),
        stations=st.integers(0, 3),
    )
    def change(self, name: str, severity: Literal["critical", "minor"], stations: int) -> None:
        if name in self.standing:
            self.standing[name] = msgspec.structs.replace(
                self.standing[name], severity=severity, impact=impact(stations)
            )
            self._commit(name, "changed")

    @precondition(lambda self: self.standing)
    @rule(name=st.sampled_from(ALARMS))
    def suppress_or_not(self, name: str) -> None:
        if name in self.standing:
            was = self.standing[name].suppressed
            self.standing[name] = msgspec.structs.replace(
                self.standing[name], suppressed=not was, parent="" if was else "ROOT"
            )
            self._commit(name, "unsuppressed" if was else "suppressed")

    def _commit(self, name: str, kind: str) -> None:
        with ENGINE.begin() as c:
            commit(c, self.standing[name], kind, at_ms=self.now_ms)  # type: ignore[arg-type]  # one of the words above

    # The notifier, step by step; each may be its last

    @rule(seconds=st.sampled_from([1, 5, 60, 400, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.now_ms += seconds * 1000

    @rule(limit=st.integers(1, 4), ends=st.sampled_from([False, False, True]))
    def one_round(self, limit: int, ends: bool) -> None:
        with ENGINE.connect() as c:
            decide(c, ROUTES, now_ms=self.now_ms, console_url="http://c", limit=limit)
            found = due(c, slots={"a": 2, "b": 2}, busy=set(self.under_way), now_ms=self.now_ms)
            if ends:  # kill -9 before the commit
                c.rollback()
                self.under_way.clear()
                return
            c.commit()
        self.committed = True
        for one in found:
            assert one.id not in self.under_way
            self.under_way[one.id] = one

    @precondition(lambda self: self.under_way)
    @rule(
        pick=st.integers(0, 10),
        fate=st.sampled_from(
            ["taken", "taken, answer lost", "failed", "ends before", "ends after"]
        ),
    )
    def attempt(self, pick: int, fate: str) -> None:
        tried = self.under_way.pop(sorted(self.under_way)[pick % len(self.under_way)])
        if fate in ("taken", "taken, answer lost", "ends after"):
            body = msgspec.json.decode(tried.body, type=Body)
            key = (tried.route, body.group_labels["alarm"])
            self.arrived.setdefault(key, []).append((tried.id, body))
        if fate.startswith("ends"):  # nothing is written down
            self.under_way.clear()
            return
        self._record(tried, taken=fate == "taken")

    def _record(self, tried: Due, *, taken: bool) -> None:
        again_ms = next_attempt_ms(
            attempts=tried.attempts + 1,
            now_ms=self.now_ms,
            retry_after_s=None,
            randomness=self.randomness,
        )
        outcome = Outcome(
            verdict="taken" if taken else "retry", at_ms=self.now_ms, duration_ms=1, error="no"
        )
        with ENGINE.begin() as c:
            assert record(c, tried, outcome, next_attempt_ms=again_ms)
        with ENGINE.begin() as c:  # a commit in doubt is written down again, without effect
            assert not record(c, tried, outcome, next_attempt_ms=again_ms)

    # What holds at every moment

    @invariant()
    def what_is_decided_stays_and_is_true(self) -> None:
        if not self.committed:
            return
        self.committed = False
        with ENGINE.begin() as c:
            rows = self._rows(c)
            table = schema.transition
            alarms = {
                row.id: msgspec.json.decode(row.content, type=Alarm)
                for row in c.execute(select(table.c.id, table.c.content))
            }
        ids = {row.id for row in rows}
        assert self.decided <= ids, "a decided notification vanished"
        self.decided = ids
        assert len({(row.route, row.transition) for row in rows}) == len(rows)
        told: dict[str, bool] = {}
        for row in rows:
            at_the_time = alarms[row.transition]
            assert at_the_time.state == ("raised" if row.firing else "cleared")
            assert not (row.firing and at_the_time.suppressed), "a suppressed alarm was notified"
            assert row.firing or told.get(row.group_key), "a clear without its raise"
            told[row.group_key] = row.firing

    def _check_arrivals(self) -> None:
        """First seen in the order decided; the same id is the same body."""
        with ENGINE.begin() as c:
            rows = {row.id: row for row in self._rows(c)}
        for heard in self.arrived.values():
            first_heard = list(dict.fromkeys(message for message, _ in heard))
            order = [rows[message].transition for message in first_heard]
            assert order == sorted(order)
            bodies: dict[str, Body] = {}
            for message, body in heard:
                assert bodies.setdefault(message, body) == body, "same id, another body"

    def teardown(self) -> None:
        """When everything works again, everything arrives that is not given up."""
        if not hasattr(self, "now_ms"):
            return
        self.under_way.clear()
        for _ in range(200):
            self.now_ms += 2 * DAY_MS
            with ENGINE.begin() as c:
                decided = decide(c, ROUTES, now_ms=self.now_ms, console_url="http://c")
                found = due(c, slots={"a": 8, "b": 8}, busy=(), now_ms=self.now_ms)
            for tried in found:
                body = msgspec.json.decode(tried.body, type=Body)
                key = (tried.route, body.group_labels["alarm"])
                self.arrived.setdefault(key, []).append((tried.id, body))
                self._record(tried, taken=True)
            if not found and not decided.transitions and not decided.deliveries:
                break
        with ENGINE.begin() as c:
            rows = self._rows(c)
            newest = max((*c.scalars(select(schema.transition.c.id)), 0))
            assert decided.position == newest
        heard = {message for words in self.arrived.values() for message, _ in words}
        for row in rows:
            assert row.status in ("delivered", "dead")
            if row.status == "dead":
                assert row.attempts == len(DELAYS_S)
            else:
                assert row.id in heard
        self._check_arrivals()
        # And the receivers end with the truth, unless the last word to one was given up.
        last = {row.group_key: row for row in rows}
        for name in ALARMS:
            for one in ROUTES:
                row = last.get(f"{one.name}/{name}")
                stands = self.standing.get(name)
                if stands is not None and not stands.suppressed:
                    assert row is not None
                    assert row.firing
                if stands is None:
                    assert row is None or not row.firing

    def _rows(self, c: Connection) -> list[Any]:
        table = schema.delivery
        return list(c.execute(select(table).order_by(table.c.transition)))


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
