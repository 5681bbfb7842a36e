"""A catalog's rules as conditions on arrays.

Each rule turns a reading into one number, its *signal*: above ``limit`` the condition holds, at or
below ``clear_limit`` it is gone, between the two nothing changes, NaN says nothing. All signals of
the rows that changed are worked out and compared at once; Python looks only at the few (row, rule)
pairs that have something to say.

Times are storage times (µs): ``for`` and ``clear_for`` are judged by what the asset measured, when
a reading says that the condition still holds. A gap in the readings starts them anew: what was not
measured did not hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ioc.alarms.table import Bytes, Floats, KindTable, Longs, grown
from ioc.catalog.model import Equals, Flapping, Kind, NoData, Rate, Rule, Threshold
from ioc.journal.records import Reading, Value
from ioc.text import Text

S_US = 1_000_000
# What a rule's row can be.
NORMAL, PENDING, RAISED, CLEARING = range(4)
# A metric not heard for this many of its cadences has a gap.
GAP_CADENCES = 3
# A rate remembers at most this many samples of an asset.
MAX_SAMPLES = 32

CLOCK_OFF = Rule(
    id="clock-off",
    # Never looked at: the signal is the reading's own mark.
    when=NoData(no_data_cadences=2),
    for_s=0,
    clear_for_s=60,
    severity="warning",
    event_type="equipment",
    probable_cause="timingProblemX733",
    effect="none",
    text=Text(
        vi="Đồng hồ của {asset} bị lệch: dữ liệu được tính theo giờ nhận",
        en="The clock of {asset} is off: its readings count under the time they are received",
    ),
    action=Text(
        vi="Kiểm tra nguồn đồng bộ thời gian (NTP, PTP, GNSS) của thiết bị.",
        en="Check the device's source of time (NTP, PTP, GNSS).",
    ),
    source="IANA-ITU-ALARM-TC-MIB: timingProblemX733 (550)",
)

Step = Literal["raise", "clear"]
Mask = npt.NDArray[np.bool_]


class _Samples:
    """Past values of one metric, for a rate: a ring per row."""

    def __init__(self, when: Rate, cadence_s: int) -> None:
        self._over = when.over_s * S_US
        size = min(math.ceil(when.over_s / cadence_s) + 2, MAX_SAMPLES)
        # A ring shorter than the readings keeps one in so many µs.
        self._every = self._over // (size - 1) if size == MAX_SAMPLES else 0
        self._slack = max(GAP_CADENCES * cadence_s * S_US, 2 * self._every)
        self.times: Longs = np.zeros((0, size), dtype=np.int64)
        self.values: Floats = np.zeros((0, size))
        self.heads: Longs = np.zeros(0, dtype=np.int64)

    def reserve(self, rows: int) -> None:
        self.times = grown(self.times, rows, 0)
        self.values = grown(self.values, rows, math.nan)
        self.heads = grown(self.heads, rows, 0)

    def forget(self, row: int) -> None:
        self.times[row], self.values[row], self.heads[row] = 0, math.nan, 0

    def signal(self, rows: Longs, times: Longs, values: Floats, _previous: Floats) -> Floats:
        """The change per minute since the latest sample at least ``over_s`` old; NaN without one.

        A NaN value is not a sample.
        """
        known = ~np.isnan(values)
        past = self.times[rows]
        latest = (times - self._over)[:, None]
        fits = (past > 0) & (past <= latest) & (past >= latest - self._slack)
        chosen = np.where(fits, past, 0).argmax(axis=1)
        at = np.arange(len(rows))
        since = times - past[at, chosen]
        usable = known & fits[at, chosen]
        rate = np.full(len(rows), math.nan)
        moved = values - self.values[rows, chosen]
        np.divide(moved * (60 * S_US), since, out=rate, where=usable)
        size = self.times.shape[1]
        last = self.times[rows, (self.heads[rows] - 1) % size]
        keep = known & (times - last >= self._every)
        kept, heads = rows[keep], self.heads[rows[keep]]
        self.times[kept, heads] = times[keep]
        self.values[kept, heads] = values[keep]
        self.heads[kept] = (heads + 1) % size
        return rate

    def saved(self, rows: int) -> list[bytes]:
        return [a[:rows].tobytes() for a in (self.times, self.values, self.heads)]

    def restore(self, saved: list[bytes], rows: int) -> None:
        size = self.times.shape[1]
        self.times[:rows] = np.frombuffer(saved[0], dtype=np.int64).reshape(rows, size)
        self.values[:rows] = np.frombuffer(saved[1]).reshape(rows, size)
        self.heads[:rows] = np.frombuffer(saved[2], dtype=np.int64)


class _Changes:
    """When one metric changed, the last ``changes`` times: a ring per row."""

    def __init__(self, when: Flapping) -> None:
        self._within = when.within_s * S_US
        self.times: Longs = np.zeros((0, when.changes), dtype=np.int64)
        self.heads: Longs = np.zeros(0, dtype=np.int64)

    def reserve(self, rows: int) -> None:
        self.times = grown(self.times, rows, 0)
        self.heads = grown(self.heads, rows, 0)

    def forget(self, row: int) -> None:
        self.times[row], self.heads[row] = 0, 0

    def signal(self, rows: Longs, times: Longs, values: Floats, previous: Floats) -> Floats:
        """How long (µs) the oldest of the last ``changes`` changes is still within the window;
        NaN where nothing was measured."""
        known = ~np.isnan(values)
        changed = known & ~np.isnan(previous) & (values != previous)
        if changed.any():
            moved, heads = rows[changed], self.heads[rows[changed]]
            self.times[moved, heads] = times[changed]
            self.heads[moved] = (heads + 1) % self.times.shape[1]
        oldest = self.times[rows, self.heads[rows]]
        left = np.where(oldest > 0, oldest - (times - self._within), 0).astype(np.float64)
        return np.where(known, left, math.nan)

    def count(self, row: int, time_us: int) -> int:
        """Changes within the window that ends here (at most as many as the rule asks for)."""
        return int((self.times[row] > time_us - self._within).sum())

    def saved(self, rows: int) -> list[bytes]:
        return [self.times[:rows].tobytes(), self.heads[:rows].tobytes()]

    def restore(self, saved: list[bytes], rows: int) -> None:
        size = self.times.shape[1]
        self.times[:rows] = np.frombuffer(saved[0], dtype=np.int64).reshape(rows, size)
        self.heads[:rows] = np.frombuffer(saved[1], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One rule, compiled. ``sign`` turns a condition around so that more is always worse."""

    rule: Rule
    number: int
    metric: str
    sign: float
    limit: float
    clear_limit: float
    for_us: int
    clear_for_us: int
    gap_us: int
    code: float = math.nan  # the value of an enum that is looked for
    memory: _Samples | _Changes | None = None

    @property
    def silence(self) -> bool:
        """Whether the rule is about readings that do not come."""
        return isinstance(self.rule.when, NoData) and self.rule is not CLOCK_OFF

    @property
    def threshold(self) -> float | None:
        """What the alarm says was crossed, in the metric's own unit."""
        match self.rule.when:
            case Threshold(above=above, below=below):
                return above if above is not None else below
            case Rate(rate_above_per_min=up, rate_below_per_min=down):
                return up if up is not None else down
            case Flapping(changes=changes):
                return float(changes)
        return None


def _watch(rule: Rule, number: int, kind: Kind, codes: Mapping[Value, float]) -> Watch:
    when = rule.when
    sign, limit, clear_limit, code = 1.0, 0.0, 0.0, math.nan
    memory: _Samples | _Changes | None = None
    metric = "" if isinstance(when, NoData) else when.metric
    cadence_s = kind.metrics[metric].cadence_s if metric else kind.shortest_cadence_s
    match when:
        case Threshold(above=float(above), clear_below=clear):
            limit, clear_limit = above, above if clear is None else clear
        case Threshold(below=float(below), clear_above=clear):
            sign, limit, clear_limit = -1.0, -below, -(below if clear is None else clear)
        case Equals(equals=bool(wanted)):
            sign = 1.0 if wanted else -1.0
            limit = clear_limit = 0.5 * sign
        case Equals(equals=wanted):
            limit = clear_limit = -0.5
            code = codes[wanted]
        case Rate(rate_above_per_min=float(rate)):
            limit = clear_limit = rate
            memory = _Samples(when, cadence_s)
        case Rate(rate_below_per_min=float(rate)):
            sign, limit, clear_limit = -1.0, -rate, -rate
            memory = _Samples(when, cadence_s)
        case Flapping():
            memory = _Changes(when)
    return Watch(
        rule=rule,
        number=number,
        metric=metric,
        sign=sign,
        limit=limit,
        clear_limit=clear_limit,
        for_us=rule.for_s * S_US,
        clear_for_us=rule.clear_for_s * S_US,
        gap_us=GAP_CADENCES * cadence_s * S_US,
        code=code,
        memory=memory,
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """A (row, rule) pair whose alarm begins or ends, with what was measured."""

    row: int
    watch: Watch
    step: Step
    time_us: int
    value: float


class RulesState(msgspec.Struct, kw_only=True):
    """The rules of a kind as a snapshot keeps them."""

    rules: list[str]
    status: bytes
    since: bytes
    memories: dict[str, list[bytes]]


class KindRules:
    """The rules of one kind on its table: what each says of each asset, and since when.

    ``status`` and ``since`` have a row per asset and a column per rule.
    """

    def __init__(self, table: KindTable, kind: Kind) -> None:
        self.table = table
        self.watches: tuple[Watch, ...] = tuple(
            _watch(rule, number, kind, table.codes.get(getattr(rule.when, "metric", ""), {}))
            for number, rule in enumerate((*kind.rules, CLOCK_OFF))
        )
        self.by_id = {watch.rule.id: watch for watch in self.watches}
        self.silence = [
            (watch, watch.rule.when.no_data_cadences * kind.shortest_cadence_s * 1000)
            for watch in self.watches
            if watch.silence and isinstance(watch.rule.when, NoData)
        ]
        self.status: Bytes = np.zeros((0, len(self.watches)), dtype=np.int8)
        self.since: Longs = np.zeros((0, len(self.watches)), dtype=np.int64)
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self.fit()

    def fit(self) -> None:
        """Grow with the table."""
        if len(self.status) == self.table.capacity:
            return
        self.status = grown(self.status, self.table.capacity, NORMAL)
        self.since = grown(self.since, self.table.capacity, 0)
        for watch in self.watches:
            if watch.memory is not None:
                watch.memory.reserve(self.table.capacity)

    def forget(self, row: int) -> None:
        """A row is free for another asset."""
        self.status[row] = NORMAL
        self.since[row] = 0
        for watch in self.watches:
            if watch.memory is not None:
                watch.memory.forget(row)

    def shape(self, names: tuple[str, ...]) -> Shape:
        """How readings of just these metrics, in this order, are taken in."""
        shape = self._shapes.get(names)
        if shape is None:
            if len(self._shapes) > 1000:  # readings of any mixture: do not keep them all
                self._shapes.clear()
            shape = self._shapes[names] = Shape(self, names)
        return shape

    def silent(self, *, now_ms: int) -> list[Found]:
        """Assets that have just become silent, with how long (s) they were while somebody
        listened. Never-seen ones are not."""
        found = []
        seen, quiet_since = self.table.last_seen > 0, self.table.quiet_since
        for watch, allowed_ms in self.silence:
            status = self.status[:, watch.number]
            late = quiet_since < now_ms - allowed_ms - watch.rule.for_s * 1000
            late &= seen & ((status == NORMAL) | (status == CLEARING))
            for row in np.flatnonzero(late).tolist():
                if status[row] == CLEARING:  # silent again before it was called clear
                    status[row] = RAISED
                    continue
                status[row] = RAISED
                found.append(
                    Found(
                        row=row,
                        watch=watch,
                        step="raise",
                        time_us=now_ms * 1000,
                        value=(now_ms - int(quiet_since[row])) / 1000,
                    )
                )
        return found

    def raised(self, row: int, watch: Watch) -> None:
        """The alarm of this rule stands already."""
        self.status[row, watch.number] = RAISED

    def told(self, watch: Watch, found: Found) -> float:
        """What the alarm says was measured: of a flapping metric, how often it changed."""
        if isinstance(watch.memory, _Changes):
            return float(watch.memory.count(found.row, found.time_us))
        return found.value

    def saved(self) -> RulesState:
        used = len(self.table.assets)
        return RulesState(
            rules=[watch.rule.id for watch in self.watches],
            status=self.status[:used].tobytes(),
            since=self.since[:used].tobytes(),
            memories={
                watch.rule.id: watch.memory.saved(used)
                for watch in self.watches
                if watch.memory is not None
            },
        )

    def restore(self, saved: RulesState) -> None:
        """Take over what a snapshot of the same catalog says; the table is restored before."""
        used, width = len(self.table.assets), len(saved.rules)
        self.fit()
        self.status[:used] = np.frombuffer(saved.status, dtype=np.int8).reshape(used, width)
        self.since[:used] = np.frombuffer(saved.since, dtype=np.int64).reshape(used, width)
        for rule, arrays in saved.memories.items():
            memory = self.by_id[rule].memory
            assert memory is not None
            memory.restore(arrays, used)


class Shape:
    """Readings that carry the same metrics, in the same order: taken in and judged together.

    It gathers readings until ``judge_gathered`` is called.
    """

    def __init__(self, rules: KindRules, names: tuple[str, ...]) -> None:
        self.rules = rules
        table = rules.table
        # A metric that the catalog no longer has is passed over.
        self.kept = [place for place, name in enumerate(names) if name in table.columns]
        self.partial = len(self.kept) != len(names)
        known = tuple(names[place] for place in self.kept)
        self.columns: Longs = np.array([table.columns[name] for name in known], dtype=np.int64)
        self.labels = [
            (place, table.codes[name]) for place, name in enumerate(known) if name in table.codes
        ]
        place_of = {name: place for place, name in enumerate(known)}
        self.watches = [w for w in rules.watches if not w.metric or w.metric in place_of]
        self.numbers: Longs = np.array([w.number for w in self.watches], dtype=np.int64)
        self.all_rules = len(self.watches) == len(rules.watches)
        self.places = [place_of[w.metric] if w.metric else -1 for w in self.watches]
        self._take: Longs = np.array([max(place, 0) for place in self.places], dtype=np.int64)
        self._sign: Floats = np.array([w.sign for w in self.watches])
        self._limit: Floats = np.array([w.limit for w in self.watches])
        self._clear: Floats = np.array([w.clear_limit for w in self.watches])
        self._enums = [(i, w.code) for i, w in enumerate(self.watches) if not math.isnan(w.code)]
        self._memories = [(i, w.memory) for i, w in enumerate(self.watches) if w.memory is not None]
        self._spoke = [i for i, w in enumerate(self.watches) if not w.metric]
        self._clock = next(i for i, w in enumerate(self.watches) if w.rule is CLOCK_OFF)
        # Gathered readings, and the row of each.
        self.rows: list[int] = []
        self.readings: list[Reading] = []

    def judge_gathered(self, seen: set[str]) -> Iterator[Found]:
        """Judge what was gathered, in the order of arrival, and begin to gather anew.

        Assets that had never been seen are added to ``seen``. What is found is to be acted upon
        one by one: rows that come again later in the batch are judged after it.
        """
        rows, readings = self.rows, self.readings
        self.rows, self.readings = [], []
        if len(set(rows)) == len(rows):
            yield from self._judge_round(rows, readings, seen)
            return
        for places in _rounds(rows):
            yield from self._judge_round(
                [rows[at] for at in places], [readings[at] for at in places], seen
            )

    def _judge_round(self, rows: list[int], readings: list[Reading], seen: set[str]) -> list[Found]:
        off = np.array([one.clock == "off" for one in readings], dtype=np.int8)
        received = np.array([one.received_ms for one in readings], dtype=np.int64)
        times = np.array([one.time_us for one in readings], dtype=np.int64)
        if off.any():
            times = np.where(off, received * 1000, times)
        found, new = self.judge(
            np.array(rows, dtype=np.int64),
            times,
            self._matrix([list(one.values.values()) for one in readings]),
            received,
            off,
        )
        if new:
            seen.update(self.rules.table.assets[row] for row in new)
        return found

    def _matrix(self, values: list[list[Value]]) -> Floats:
        """Values as the table holds them, in this shape's order."""
        if self.partial:
            values = [[row[place] for place in self.kept] for row in values]
        for place, codes in self.labels:
            for row in values:
                row[place] = codes.get(row[place], math.nan)
        try:
            matrix = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            # Journalled under a catalog in which a metric had another type.
            matrix = np.array([[_number(value) for value in row] for row in values])
        return matrix.reshape(len(values), len(self.columns))

    def judge(
        self, rows: Longs, times: Longs, values: Floats, received: Longs, off: Bytes
    ) -> tuple[list[Found], list[int]]:
        """Take readings into the table and say which alarms begin or end, and which rows had never
        been seen. Each row occurs once.

        A value older than the one in the table is not taken in, and not judged.
        """
        table = self.rules.table
        grid = rows[:, None]
        previous_times = table.times[grid, self.columns]
        stale = times[:, None] < previous_times
        # Times before and after a change of the clock cannot be compared.
        stale &= (table.clock_off[rows] == off)[:, None]
        any_stale = bool(stale.any())
        previous = table.values[grid, self.columns] if self._memories or any_stale else values
        if any_stale:
            table.values[grid, self.columns] = np.where(stale, previous, values)
            table.times[grid, self.columns] = np.where(stale, previous_times, times[:, None])
            values = np.where(stale, math.nan, values)
        else:
            table.values[grid, self.columns] = values
            table.times[grid, self.columns] = times[:, None]
        seen = table.last_seen[rows]
        table.last_seen[rows] = np.maximum(seen, received)
        table.quiet_since[rows] = np.maximum(table.quiet_since[rows], received)
        table.clock_off[rows] = off
        signals = self._signals(rows, times, values, previous, off)
        found = self._compare(rows, times, values, previous_times, signals)
        return found, rows[seen == 0].tolist()

    def _signals(
        self, rows: Longs, times: Longs, values: Floats, previous: Floats, off: Bytes
    ) -> Floats:
        if len(self.columns):
            signals = values[:, self._take] * self._sign
        else:
            signals = np.zeros((len(rows), len(self.watches)))
        for i, code in self._enums:
            signals[:, i] = -np.abs(values[:, self.places[i]] - code)
        for i, memory in self._memories:
            place = self.places[i]
            found = memory.signal(rows, times, values[:, place], previous[:, place])
            signals[:, i] = found * self._sign[i]
        for i in self._spoke:
            signals[:, i] = -1.0  # something came: not silent
        signals[:, self._clock] = np.where(off, 1.0, -1.0)
        return signals

    def _compare(
        self,
        rows: Longs,
        times: Longs,
        values: Floats,
        previous_times: Longs,
        signals: Floats,
    ) -> list[Found]:
        status = self.rules.status[rows]
        if not self.all_rules:
            status = status[:, self.numbers]
        holds = signals > self._limit
        attention = holds & (status == NORMAL)
        if status.any():
            attention |= (status == RAISED) & (signals <= self._clear)
            attention |= (status == PENDING) | (status == CLEARING)
        if not attention.any():
            return []
        found = []
        for at, i in zip(*(part.tolist() for part in np.nonzero(attention)), strict=True):
            watch, place = self.watches[i], self.places[i]
            time_us = int(times[at])
            before = int(previous_times[at, place]) if place >= 0 else time_us
            step = self._step(
                watch, int(rows[at]), float(signals[at, i]), time_us, time_us - before
            )
            if step:
                value = float(values[at, place]) if place >= 0 else math.nan
                found.append(
                    Found(row=int(rows[at]), watch=watch, step=step, time_us=time_us, value=value)
                )
        return found

    def _step(
        self, watch: Watch, row: int, signal: float, time_us: int, gap_us: int
    ) -> Step | None:
        """Move one row of one rule on; say whether its alarm begins or ends here."""
        if math.isnan(signal):
            return None
        key = (row, watch.number)
        status = int(self.rules.status[key])
        if status in (NORMAL, PENDING):
            aim, wait_us, done, back = signal > watch.limit, watch.for_us, RAISED, NORMAL
        else:
            aim, wait_us = signal <= watch.clear_limit, watch.clear_for_us
            done, back = NORMAL, RAISED
        if not aim:
            self.rules.status[key] = back
            return None
        # A negative gap: the asset changed from its own clock to ours, or back.
        if status == back or not 0 <= gap_us <= watch.gap_us:
            self.rules.since[key] = time_us
        if time_us - int(self.rules.since[key]) < wait_us:
            self.rules.status[key] = PENDING if done == RAISED else CLEARING
            return None
        self.rules.status[key] = done
        return "raise" if done == RAISED else "clear"


def _rounds(rows: list[int]) -> list[list[int]]:
    """The places of ``rows`` in rounds, so that no row comes twice in one."""
    rounds: list[list[int]] = []
    times: dict[int, int] = {}
    for place, row in enumerate(rows):
        number = times.get(row, 0)
        times[row] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(place)
    return rounds


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
