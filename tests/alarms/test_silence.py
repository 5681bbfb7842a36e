"""Silence is the time since an asset's last reading, less that in which the service was deaf."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ioc.catalog.model import Catalog, Domain
from ioc.ingest.clocks import GRACE_S, SETTLE_S, Listening
from ioc.inventory import Asset

from .world import NETWORK, NO_DATA, T0, Drill, number, replayed, ring_and_spur, station, text, told

CADENCES = (10, 60, 900)
ALLOWED_CADENCES = 3
BACKOFF_S = 15  # what devices and gateways wait at most before they try to connect again


def paces() -> Catalog:
    """A kind ``every_N`` for each cadence; each counts as silent after three of its cadences."""
    kinds = {
        f"every_{cadence_s}": {
            "title": text("kind"),
            "metrics": {"level": number(cadence_s=cadence_s)},
            "rules": [{**NO_DATA, "id": f"no-data-{cadence_s}"}],
        }
        for cadence_s in CADENCES
    }
    return Catalog(
        [Domain.model_validate({"domain": "paces", "title": text("paces"), "kinds": kinds})]
    )


PACES = paces()


def one_of_each(suffix: str = "") -> list[Asset]:
    return [
        msgspec.structs.replace(station(f"K{cadence_s}{suffix}"), kind=f"every_{cadence_s}")
        for cadence_s in CADENCES
    ]


class Service:
    """The engine behind a real ``Listening``, a tick each second.

    ``due`` says what speaks when (seconds → assets). What is said while the service is not
    connected waits at the broker and comes with the connection.
    """

    def __init__(self, it: Drill) -> None:
        self.it = it
        self.line = Listening()
        self.line.connected(0.0)
        self.connected = True
        self.deaf_s = 0.0
        self._held: list[str] = []
        self._listened = False

    def run(
        self,
        *,
        to_s: float,
        due: Mapping[float, list[str]],
        away: Iterable[tuple[float, float]] = (),
    ) -> None:
        """Run; ``away`` are the times from which and to which the connection is gone."""
        ends = {moment for span in away for moment in span}
        seconds = {float(second) for second in range(int(self.it.now_s) + 1, int(to_s) + 1)}
        for now_s in sorted(seconds | ends | due.keys()):
            if not self.it.now_s < now_s <= to_s:
                continue
            self.it.now_ms = T0 + round(now_s * 1000)
            if now_s in ends:
                self._toggle(now_s)
            spoken = due.get(now_s, [])
            if not self.connected:
                self._held += spoken
            elif self._held or spoken:
                self.it.batch(*(self.it.reading(one, level=1.0) for one in self._held + spoken))
                self._held.clear()
                self.line.received(now_s, lag_s=0.1, waiting=0)
            if now_s in seconds:
                self._tick(listening=self.line.listening(now_s))

    def _toggle(self, now_s: float) -> None:
        self.connected = not self.connected
        if self.connected:
            self.line.connected(now_s)
        else:
            self.line.disconnected()

    def _tick(self, *, listening: bool) -> None:
        if not (listening and self._listened):
            self.deaf_s += 1
        self._listened = listening
        self.it.tick(listening=listening)


def each(cadence_s: float, asset: str, *, from_s: float, to_s: float) -> dict[float, list[str]]:
    """One asset at its cadence."""
    found, at_s = {}, from_s
    while at_s < to_s:
        found[round(at_s, 1)] = [asset]
        at_s += cadence_s
    return found


def together(*plans: Mapping[float, list[str]]) -> dict[float, list[str]]:
    found: dict[float, list[str]] = {}
    for plan in plans:
        for at_s, assets in plan.items():
            found.setdefault(at_s, []).extend(assets)
    return found


def fleet(count: int) -> list[Asset]:
    return [station(f"K{number}") for number in range(count)]


# Stalls of the disk


@pytest.mark.parametrize("every_s", [20, 40])
def test_stalls_of_a_second_hide_no_silent_station(every_s: int) -> None:
    """A commit over a second ends the connection; 0.2 s after the commit it is made again."""
    it = Drill(NETWORK, fleet(20))
    service = Service(it)
    fine = [each(10, f"K{n}", from_s=1 + n / 2, to_s=600) for n in range(1, 20)]
    stops = each(10, "K0", from_s=1, to_s=100)
    last_s = max(stops)
    stalls = [(at_s + 0.5, at_s + 1.7) for at_s in range(30, 590, every_s)]
    service.run(to_s=last_s, due=together(stops, *fine), away=stalls)
    assert it.transitions == []
    service.deaf_s = 0
    while not it.transitions:
        service.run(to_s=it.now_s + 1, due=together(*fine), away=stalls)
    assert it.now_s - last_s <= 30 + service.deaf_s + 2
    # Most of the time it listens: a stall costs little more than its grace.
    assert service.deaf_s <= (it.now_s - last_s) / every_s * (SETTLE_S + 4) + SETTLE_S + 4
    service.run(to_s=600, due=together(*fine), away=stalls)
    assert told(it.transitions) == [("raised", "K0", "no-data")]


def test_one_stall_delays_the_alarm_by_little_more_than_its_grace() -> None:
    it = Drill(NETWORK, fleet(2))
    service = Service(it)
    fine = each(10, "K0", from_s=9.5, to_s=100)  # what is received at 59.5 is not on disk at 60.5
    due = together(fine, each(10, "K1", from_s=1, to_s=52))
    service.run(to_s=51 + 30 + SETTLE_S + 5, due=due, away=[(60.5, 61.7)])
    assert told(it.transitions) == [("raised", "K1", "no-data")]


def test_a_grace_under_a_root_is_not_begun_anew_by_each_stall() -> None:
    sites, assets = ring_and_spur()
    it = Drill(NETWORK, assets, sites)
    fine = {"mains_ok": True, "level": 1.0}
    lit, dark = {"rx": -10.0, "errors": 0}, {"rx": -40.0, "errors": 0}
    it.run(to_s=30, D1=fine, S1=lit)
    it.run(to_s=90, S1=dark)
    it.run(to_s=100, S1=lit)
    assert it.alarm("D1", "no-data").suppressed
    for end_s in range(120, 200, 20):  # 8 s of each 20 are deaf
        it.run(to_s=end_s - 8, S1=lit)
        it.tick(to_s=end_s, listening=False)
    assert not it.alarm("D1", "no-data").suppressed


# Outages


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("out_s", [0.6, 3.0, 8.0, 600.0])
def test_no_false_alarm_after_the_broker_was_away(out_s: float, lost: bool) -> None:
    """Each device connects again within its backoff and then speaks at its cadence. What it would
    have said meanwhile is lost (a device without memory), or comes when it can."""
    chance = random.Random(out_s)
    assets = [one for n in range(20) for one in one_of_each(f"-{n}")]
    it = Drill(PACES, assets)
    service = Service(it)
    down_s = 1000.0
    up_s = down_s + out_s
    plans = []
    for asset in assets:
        cadence_s = PACES.kinds[asset.kind].shortest_cadence_s
        first_s = chance.randrange(cadence_s) + 0.5
        back_s = up_s + chance.random() * BACKOFF_S
        if chance.random() < 0.3:
            back_s = up_s + BACKOFF_S
        own = each(cadence_s, asset.id, from_s=first_s, to_s=up_s + 2000)
        plans.append({s: who for s, who in own.items() if s < down_s or s > back_s})
        if not lost:
            plans.append({back_s: [asset.id]})
    service.run(to_s=up_s + 2000, due=together(*plans), away=[(down_s, up_s)])
    assert it.transitions == []


@pytest.mark.parametrize("second", range(10))
def test_no_false_alarm_after_the_broker_restarts_in_a_blink(second: int) -> None:
    """The worst that a device may do: a cadence without a word, its longest wait, and another
    cadence before it speaks."""
    it = Drill(NETWORK, fleet(2))
    down_s, up_s = 60.5, 61.1
    k0 = each(10, "K0", from_s=second + 0.5, to_s=200)  # other devices are back at once
    back_s = up_s + BACKOFF_S + 10
    k1 = together({down_s - 10: ["K1"]}, each(10, "K1", from_s=back_s, to_s=200))
    Service(it).run(to_s=200, due=together(k0, k1), away=[(down_s, up_s)])
    assert it.transitions == []


def test_who_does_not_come_back_after_an_outage_is_found() -> None:
    it = Drill(NETWORK)
    service = Service(it)
    outage = [(60.0, 660.0)]
    service.run(to_s=52, due={51.0: ["K1"]})
    # Silent for 8 s before the outage; 22 s more after the grace, and what ticks round off.
    service.run(to_s=660 + GRACE_S + 22, due={}, away=outage)
    assert it.transitions == []
    service.run(to_s=660 + GRACE_S + 25, due={})
    assert told(it.transitions) == [("raised", "K1", "no-data")]


def test_a_machine_that_slept_gives_devices_time_to_come_back() -> None:
    """Nobody noticed: the connection to a broker on the same machine outlives the sleep. Devices
    elsewhere were cut off."""
    it = Drill(NETWORK)
    it.run(to_s=60, K1={"level": 1.0})
    it.tick(to_s=69)
    it.now_ms += 600_000
    it.tick(to_s=669 + BACKOFF_S + 9)
    assert it.transitions == []
    it.read(level=1.0)
    assert it.tick(to_s=it.now_s + 29) == []
    assert told(it.tick(to_s=it.now_s + 3)) == [("raised", "K1", "no-data")]


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_setting_the_clock_neither_makes_nor_ends_silence(jump_s: int) -> None:
    it = Drill(NETWORK)
    it.tick()
    it.read(level=1.0)
    it.tick(to_s=20)
    it.now_ms += jump_s * 1000
    begin_s = it.now_s
    grace_s = GRACE_S if jump_s > 0 else 0
    assert it.tick(to_s=begin_s + grace_s + 9) == []
    found = it.tick(to_s=begin_s + grace_s + 13)
    assert told(found) == [("raised", "K1", "no-data")]
    assert found[0].alarm.value == pytest.approx(31, abs=1)


# Any windows


class Window(NamedTuple):
    """``listens_s`` in which the service listens, then ``lasts_s`` in which it does not: its ticks
    say so, or (``asleep``) there are none."""

    listens_s: int
    lasts_s: int
    asleep: bool

    @property
    def deaf_s(self) -> int:
        """An upper bound: to the next tick that listens, or with what devices are given."""
        return self.lasts_s + 1 + (min(self.lasts_s + 1, BACKOFF_S) if self.asleep else 0)


def windows(*, least_s: int, most_s: int) -> st.SearchStrategy[list[Window]]:
    one = st.builds(
        Window,
        listens_s=st.integers(least_s, most_s),
        lasts_s=st.one_of(st.integers(1, 20), st.integers(6, 100)),
        asleep=st.booleans(),
    )
    return st.lists(one, max_size=8)


Fate = Literal["at once", "held", "lost"]


class Watch:
    """One asset of one cadence, and windows."""

    def __init__(self, cadence_s: int, *, phase_s: int, fate: Fate) -> None:
        self.it = Drill(PACES, one_of_each())
        self.asset, self.cadence_s, self.phase_s = f"K{cadence_s}", cadence_s, phase_s
        self.fate = fate
        self.last_s = -1.0
        self.speaks = True
        self._held = False
        self._away_until_s = -1.0

    def second(self, *, listening: bool, ticks: bool = True) -> None:
        it = self.it
        it.now_ms += 1000
        due = self.speaks and it.now_s % self.cadence_s == self.phase_s
        cut_off = not (listening and ticks) or it.now_s <= self._away_until_s
        if due and cut_off and self.fate != "at once":
            self._held = self.fate == "held"
        elif due or (self._held and not cut_off):
            self._held = False
            self.last_s = it.now_s
            it.read(self.asset, level=1.0)
        if ticks:
            it.tick(listening=listening)

    def pass_through(self, window: Window) -> None:
        for _ in range(window.listens_s):
            self.second(listening=True)
        for _ in range(window.lasts_s):
            self.second(listening=window.asleep, ticks=not window.asleep)
        if window.asleep and window.lasts_s >= 5:
            self._away_until_s = self.it.now_s + min(window.lasts_s, BACKOFF_S)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    cadence_s=st.sampled_from([10, 60]),
    fate=st.sampled_from(["at once", "held", "lost"]),
)
def test_who_speaks_whenever_it_is_listened_to_is_never_silent(
    data: st.DataObject, cadence_s: int, fate: Fate
) -> None:
    # What was lost must be said again while the service listens: that takes a cadence at most.
    least_s = cadence_s + BACKOFF_S + 1 if fate == "lost" else 1
    plan = data.draw(windows(least_s=least_s, most_s=least_s + 3 * cadence_s))
    watch = Watch(cadence_s, phase_s=data.draw(st.integers(0, cadence_s - 1)), fate=fate)
    for window in plan:
        watch.pass_through(window)
    watch.pass_through(Window(2 * cadence_s, 1, asleep=False))
    assert watch.it.transitions == []


@settings(max_examples=40, deadline=None)
@given(
    plan=windows(least_s=1, most_s=100),
    cadence_s=st.sampled_from([10, 60]),
    phase_s=st.integers(0, 9),
    stops_in=st.integers(0, 8),
    split=st.floats(0, 1),
)
@example(plan=[Window(3, 2, asleep=False)] * 8, cadence_s=10, phase_s=0, stops_in=0, split=0.5)
def test_who_stopped_is_found_once_it_was_listened_for_long_enough(
    plan: list[Window], cadence_s: int, phase_s: int, stops_in: int, split: float
) -> None:
    watch = Watch(cadence_s, phase_s=phase_s, fate="at once")
    it = watch.it
    for _ in range(cadence_s + 1):
        watch.second(listening=True)
    for place, window in enumerate(plan):
        watch.speaks = place < stops_in
        watch.pass_through(window)
    watch.speaks = False
    allowed_s = ALLOWED_CADENCES * cadence_s
    for _ in range(allowed_s + BACKOFF_S + 2):
        watch.second(listening=True)
    assert told(it.transitions[:1]) == [("raised", watch.asset, f"no-data-{cadence_s}")]
    found_s = (it.transitions[0].at_ms - T0) / 1000
    deaf_s, at_s = 0, cadence_s + 1
    for window in plan:
        at_s += window.listens_s + window.lasts_s
        if at_s + BACKOFF_S >= watch.last_s:
            deaf_s += window.deaf_s
    silent_s = found_s - watch.last_s
    assert allowed_s <= silent_s <= allowed_s + deaf_s + 2
    # Kept, put away and taken up anywhere, the journal says the same.
    again = replayed(it, split_at=round(split * (len(it.entries) - 1)))
    assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode(it.transitions)
