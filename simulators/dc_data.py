"""Data of the data centres: uplinks, replication to the other site, nightly backups."""

from __future__ import annotations

import numpy as np

from simulators.dc_places import Places
from simulators.dc_platforms import mean_work_share
from simulators.table import BoolArray, FloatArray, IntArray, wander
from simulators.weather import local_hour

# So much storage per kW of IT load where the inventory gives no ``capacity_tb``; an assumption.
CAPACITY_TB_PER_KW = 0.5
# Of the data in use, so much changes in a day (Zerto, How Much Bandwidth Do I Need for
# Replication?: 5 % in its example); of what changes, so much is new and stays (assumption).
CHANGE_PER_DAY = 0.05
NEW_SHARE = 0.02
# What the storage gives replication and backup at most, and the share of an uplink up to which
# they may fill it: other traffic goes first. Assumptions.
REPLICATION_MBIT_S = 1_000.0
BACKUP_MBIT_S = 2_000.0
FILL_SHARE = 0.85
# A change is on its way for so long when nothing waits: sent in small batches; an assumption.
PIPELINE_S = (8.0, 30.0)
# The nightly backup: begins at one, has failed when it is not done by six, local time. Somebody
# runs a failed one again as soon as it can. Assumptions.
BACKUP_FROM_H, BACKUP_UNTIL_H = 1.0, 6.0
# Of its capacity, what a site's other traffic takes on each of its uplinks at its busiest, and
# what of that is there when nobody works; what comes in of what goes out. Assumptions.
TRAFFIC_SHARE = (0.14, 0.38)
QUIET_SHARE = 0.25
IN_SHARE = 0.7
USUAL_CAPACITY_MBIT_S = 10_000.0
# Waiting grows with the load ρ as ρ/(1−ρ) (a queue with one server, M/M/1) until its buffer is
# full; what does not fit is lost. Time of one packet with its burst, and buffer: assumptions.
QUEUE_MS, BUFFER_MS = 0.05, 50.0
_GB_PER_MBIT = 1.0 / 8000.0
_MOST_LAG_S = 2_592_000.0
_DAY_MS = 86_400_000
_NOTED_EVERY_S, _MOST_NOTED = 30.0, 2000


class Data:
    """Uplinks, storage, replication and backups of every place."""

    def __init__(self, places: Places, rng: np.random.Generator) -> None:
        self.places, self.rng = places, rng
        uplink, storage = places.tables["uplink"], places.tables["storage_backup"]
        self._uplink_at, self._at = places.at["uplink"], places.at["storage_backup"]
        self._share = rng.uniform(*TRAFFIC_SHARE, len(uplink))
        given = uplink.attribute("capacity_mbit_s", USUAL_CAPACITY_MBIT_S)
        self._capacity = np.where(given > 0.0, given, USUAL_CAPACITY_MBIT_S)
        self._noise: FloatArray = np.zeros(len(uplink))
        self._latency_ms = rng.uniform(1.2, 6.0, len(uplink))
        self._has_uplink: BoolArray = places.has("uplink") > 0
        self._copies = np.maximum(places.has("storage_backup"), 1.0)
        self.partner, self._alone = self._find_partners()
        # Of each storage.
        given = storage.attribute("capacity_tb", 0.0)
        per_storage = (CAPACITY_TB_PER_KW * places.it_kw / self._copies)[self._at]
        self._capacity_gb = 1000.0 * np.where(given > 0.0, given, per_storage)
        self._used_gb = self._capacity_gb * rng.uniform(0.42, 0.68, len(storage))
        self._pipeline_s = rng.uniform(*PIPELINE_S, len(storage))
        self._jitter_s: FloatArray = np.zeros(len(storage))
        self._age_s: FloatArray = np.zeros(len(storage))
        self.lag_s: FloatArray = self._pipeline_s.copy()
        self._new_gb: FloatArray = np.zeros(len(storage))
        self._written_gb: FloatArray = np.zeros(len(storage))
        self.backlog_gb: FloatArray = np.zeros(len(storage))
        # When how much had been written: as far back as something waits.
        self._times_s: list[float] = []
        self._ledger: list[FloatArray] = []
        self._mean_gb_h = self._used_gb * CHANGE_PER_DAY / 24.0
        # When last night's backup was to begin: 0 before the first step. When the last good one was
        # done, whether the last one was; what has changed since it began, what is left to do (GB).
        self._night_ms = 0
        self.backup_ms: IntArray = np.zeros(len(storage), dtype=np.int64)
        self.backup_ok: BoolArray = np.ones(len(storage), dtype=np.bool_)
        self._since_gb: FloatArray = np.zeros(len(storage))
        self._left_gb: FloatArray = np.zeros(len(storage))
        # Of each place.
        self.joined: BoolArray = np.ones(places.count, dtype=np.bool_)
        self.flows: BoolArray = np.ones(len(storage), dtype=np.bool_)
        self.resync_gb: FloatArray = np.zeros(places.count)
        self._free_out: FloatArray = np.zeros(places.count)
        self._free_in: FloatArray = np.zeros(places.count)
        # What the uplinks that are up can carry (Mbit/s), and what other traffic asks of each.
        self._left: FloatArray = np.zeros(places.count)
        self._offered: FloatArray = np.zeros(len(uplink))

    def _find_partners(self) -> tuple[IntArray, BoolArray]:
        """Where each place's platforms go, and which storages have no other side that is simulated.

        As ``replicates_to`` of its first storage says; where it is absent, the next place with a
        storage. ``_far`` is the place of each storage's other side, its own where there is none."""
        places, table = self.places, self.places.tables["storage_backup"]
        partner = np.arange(places.count, dtype=np.int64)
        keep = sorted(set(self._at.tolist()))
        far, alone = [], []
        for asset, place in zip(table.assets, self._at.tolist(), strict=True):
            to = asset.attributes.get("replicates_to")
            if to is None:
                other = keep[(keep.index(place) + 1) % len(keep)]
            else:
                row = table.index.get(str(to))
                other = place if row is None else int(self._at[row])
            far.append(other)
            alone.append(other == place)
            if partner[place] == place:
                partner[place] = other
        self._far: IntArray = np.array(far, dtype=np.int64)
        return partner, np.array(alone, dtype=np.bool_)

    def advance(
        self,
        now_ms: int,
        dt_s: float,
        *,
        powered: BoolArray,
        reached: BoolArray,
        storing: BoolArray,
        activity: FloatArray,
        hosted: FloatArray,
    ) -> None:
        """Move by ``dt_s``. ``reached`` places that reach a core; ``storing``: storages that run;
        ``activity``: work done at each place over the work of its own servers as sized;
        ``hosted``: of each place's own work, the share that is done and written elsewhere."""
        up = self._use_uplinks(now_ms, dt_s, powered, activity)
        joined = np.zeros(self.places.count, dtype=np.bool_)
        joined[self._uplink_at[up]] = True
        self.joined = (joined | ~self._has_uplink) & powered & reached
        out = np.zeros(self.places.count)
        into = np.zeros(self.places.count)
        used = self._replicate(now_ms, dt_s, storing, activity, hosted)
        np.add.at(out, self._at, used)
        np.add.at(into, self._far, np.where(self._alone, 0.0, used))
        backed = self._back_up(now_ms, dt_s, storing, out, into)
        np.add.at(out, self._at, backed)
        np.add.at(into, self._far, np.where(self._alone, 0.0, backed))
        self._read_uplinks(up, out, into)
        self._read_storage(now_ms)

    # Uplinks

    def _use_uplinks(
        self, now_ms: int, dt_s: float, powered: BoolArray, activity: FloatArray
    ) -> BoolArray:
        table, at = self.places.tables["uplink"], self._uplink_at
        flapping = (now_ms // 20_000) % 2 == 0
        up: BoolArray = ~(table.fault("link-down") | (table.fault("flapping-link") & flapping))
        up &= powered[at]
        wander(self._noise, self.rng, sigma=0.04, dt_s=dt_s, tau_s=120.0)
        busy = np.where(activity > 0.0, QUIET_SHARE + (1.0 - QUIET_SHARE) * activity, 0.02)
        demand = self._share * busy[at] * (1.0 + self._noise) * self._capacity
        # What a failed uplink carried goes over those that are left.
        total = self.places.total("uplink", demand)
        left = self.places.total("uplink", np.where(up, self._capacity, 0.0))
        held = self.places.total("uplink", np.where(up, demand, 0.0))
        more = np.maximum(total - held, 0.0) / np.maximum(left, 1e-9)
        self._offered = np.where(up, demand + more[at] * self._capacity, 0.0)
        room = np.maximum(FILL_SHARE * self._capacity - self._offered, 0.0)
        room_in = np.maximum(FILL_SHARE * self._capacity - IN_SHARE * self._offered, 0.0)
        endless = np.where(self._has_uplink, 0.0, np.inf)
        self._free_out = endless + self.places.total("uplink", np.where(up, room, 0.0))
        self._free_in = endless + self.places.total("uplink", np.where(up, room_in, 0.0))
        self._left = left
        return up

    def _read_uplinks(self, up: BoolArray, out: FloatArray, into: FloatArray) -> None:
        table, at, columns = (
            self.places.tables["uplink"],
            self._uplink_at,
            self.places.tables["uplink"].columns,
        )
        weight = np.where(up, self._capacity / np.maximum(self._left, 1e-9)[at], 0.0)
        tx = self._offered + out[at] * weight
        rx = IN_SHARE * self._offered + into[at] * weight
        load = np.maximum(tx, rx) / self._capacity
        carried = np.minimum(load, 1.0)
        columns["up"] = up
        columns["tx_mbit_s"] = np.minimum(tx, self._capacity)
        columns["rx_mbit_s"] = np.minimum(rx, self._capacity)
        columns["utilization_percent"] = 100.0 * carried
        waits = np.minimum(QUEUE_MS * carried / np.maximum(1.0 - carried, 1e-9), BUFFER_MS)
        columns["latency_ms"] = self._latency_ms + waits
        columns["loss_percent"] = 100.0 * np.maximum(load - 1.0, 0.0) / np.maximum(load, 1e-9)
        table.masks["latency_ms"] = table.masks["loss_percent"] = up

    # Replication

    def _replicate(
        self,
        now_ms: int,
        dt_s: float,
        storing: BoolArray,
        activity: FloatArray,
        hosted: FloatArray,
    ) -> FloatArray:
        """Write and ship changes; what each storage sends (Mbit/s)."""
        table, at, far = self.places.tables["storage_backup"], self._at, self._far
        alive = np.zeros(self.places.count, dtype=np.bool_)
        alive[at[storing]] = True
        both = self.joined[at] & self.joined[far] & alive[far] & storing
        # What replicates to an asset that is not simulated finds it well.
        self.flows = np.where(self._alone, self.joined[at] & storing, both)
        self.flows &= ~table.fault("replication-stopped")
        hours = dt_s / 3600.0
        new_gb = np.where(storing, self._mean_gb_h * activity[at] / mean_work_share(), 0.0) * hours
        self._written_gb = self._written_gb + new_gb
        self._used_gb = np.minimum(self._used_gb + NEW_SHARE * new_gb, self._capacity_gb)
        waiting = self.backlog_gb + new_gb
        most = np.minimum(self._free_out[at], np.where(self._alone, np.inf, self._free_in[far]))
        most = np.minimum(most / self._copies[at], REPLICATION_MBIT_S)
        can_gb = np.where(self.flows, most, 0.0) * _GB_PER_MBIT * dt_s
        sent_gb = np.minimum(waiting, can_gb)
        self.backlog_gb = waiting - sent_gb
        self._new_gb = new_gb
        self._age(now_ms, dt_s)
        sent_gb = sent_gb + self._resynchronise(can_gb - sent_gb, hours, hosted)
        rate: FloatArray = sent_gb / max(_GB_PER_MBIT * dt_s, 1e-12)
        return rate

    def _resynchronise(self, left_gb: FloatArray, hours: float, hosted: FloatArray) -> FloatArray:
        """What was written elsewhere for a place comes home over its partner's storage; what is
        sent for it (GB). ``left_gb``: what each storage could still send."""
        at = self._at
        own_gb_h = np.bincount(at, self._mean_gb_h, minlength=self.places.count)
        self.resync_gb += own_gb_h * hosted * hours
        sent = np.zeros(len(at))
        storing_at = np.zeros(self.places.count, dtype=np.bool_)
        storing_at[at[self.flows | self._alone]] = True
        for place in np.flatnonzero(self.resync_gb > 0.0).tolist():
            away = int(self.partner[place])
            rows = np.flatnonzero((at == away) & (left_gb > 0.0))
            if not (self.joined[place] and self.joined[away] and storing_at[place]) or not len(
                rows
            ):
                continue
            gb = min(float(left_gb[rows].sum()), float(self.resync_gb[place]))
            self.resync_gb[place] -= gb
            sent[rows] += gb * left_gb[rows] / left_gb[rows].sum()
        return sent

    def _age(self, now_ms: int, dt_s: float) -> None:
        """The age of the oldest change that the other side does not have; where nothing flows, all
        that it has grows old by the second."""
        now_s = now_ms / 1000.0
        wander(self._jitter_s, self.rng, sigma=1.5, dt_s=max(dt_s, 1e-3), tau_s=60.0)
        behind = self.backlog_gb > 1e-9
        self._note(now_s, dt_s)
        age_s = self._age_s + dt_s
        if (self.flows & behind).any():
            times, ledger = np.array(self._times_s), np.array(self._ledger)
            shipped = self._written_gb - self.backlog_gb
            for row in np.flatnonzero(self.flows & behind).tolist():
                age_s[row] = now_s - np.interp(shipped[row], ledger[:, row], times)
        self._age_s = np.where(self.flows & ~behind, 0.0, age_s)
        self.lag_s = np.minimum(self._pipeline_s + self._jitter_s + self._age_s, _MOST_LAG_S)

    def _note(self, now_s: float, dt_s: float) -> None:
        """Keep how much had been written when, as far back as something waits: each half minute,
        every other one of what is long ago."""
        if not self._times_s or not (self.backlog_gb > 1e-9).any():
            self._times_s = [now_s - dt_s, now_s]
            self._ledger = [self._written_gb - self._new_gb, self._written_gb.copy()]
            return
        if now_s - self._times_s[-2] < _NOTED_EVERY_S:
            del self._times_s[-1], self._ledger[-1]
        self._times_s.append(now_s)
        self._ledger.append(self._written_gb.copy())
        if len(self._times_s) > _MOST_NOTED:
            del self._times_s[1:-1:2], self._ledger[1:-1:2]

    # Backups

    def _begin_backups(self, now_ms: int) -> None:
        """As if every night before this one had gone well."""
        night_ms = _night_ms(now_ms)
        took_h = 24.0 * self._mean_gb_h / (BACKUP_MBIT_S * _GB_PER_MBIT * 3600.0)
        took_ms = np.round(took_h * 3_600_000).astype(np.int64)
        done_ms = night_ms + took_ms
        under_way = done_ms > now_ms
        self.backup_ms = np.where(under_way, done_ms - _DAY_MS, done_ms)
        since_h = (now_ms - night_ms) / 3_600_000
        self._since_gb = self._mean_gb_h * since_h
        rate = BACKUP_MBIT_S * _GB_PER_MBIT
        self._left_gb = np.where(under_way, (done_ms - now_ms) / 1000.0 * rate, 0.0)
        self._night_ms = night_ms

    def _back_up(
        self,
        now_ms: int,
        dt_s: float,
        storing: BoolArray,
        out: FloatArray,
        into: FloatArray,
    ) -> FloatArray:
        """Let backups begin, go on and fail; what each storage sends for them (Mbit/s)."""
        if not self._night_ms:
            self._begin_backups(now_ms)
        table, at, far = self.places.tables["storage_backup"], self._at, self._far
        broken = table.fault("backup-failed")
        self._since_gb += self._new_gb
        night_ms = _night_ms(now_ms)
        due = (night_ms != self._night_ms) | (broken & (self._left_gb <= 0.0))
        self._left_gb = np.where(due, np.maximum(self._left_gb, self._since_gb), self._left_gb)
        self._night_ms = night_ms
        late = (self._left_gb > 0.0) & (
            now_ms - night_ms >= (BACKUP_UNTIL_H - BACKUP_FROM_H) * 3_600_000
        )
        self.backup_ok &= ~(late | broken)
        both = self.joined[at] & self.joined[far]
        able = storing & ~broken & np.where(self._alone, True, both) & (self._left_gb > 0.0)
        free = np.minimum(
            self._free_out[at] - out[at],
            np.where(self._alone, np.inf, self._free_in[far] - into[far]),
        )
        rate = np.clip(free / self._copies[at], 0.0, BACKUP_MBIT_S)
        sent_gb = np.where(able, np.minimum(rate * _GB_PER_MBIT * dt_s, self._left_gb), 0.0)
        self._left_gb = self._left_gb - sent_gb
        done = able & (self._left_gb <= 1e-9)
        self._left_gb = np.where(done, 0.0, self._left_gb)
        self._since_gb = np.where(done, 0.0, self._since_gb)
        self.backup_ms = np.where(done, now_ms, self.backup_ms)
        self.backup_ok |= done
        return np.where(self._alone, 0.0, sent_gb / np.maximum(_GB_PER_MBIT * dt_s, 1e-12))

    def _read_storage(self, now_ms: int) -> None:
        table = self.places.tables["storage_backup"]
        columns = table.columns
        used = 100.0 * self._used_gb / self._capacity_gb
        columns["used_percent"] = np.where(table.fault("storage-full"), 93.0, used)
        columns["backup_age_h"] = (now_ms - self.backup_ms) / 3_600_000.0
        columns["last_backup_ok"] = self.backup_ok.copy()
        columns["replication_lag_s"] = self.lag_s.copy()


def _night_ms(now_ms: int) -> int:
    """When the last night's backup was to begin (Unix ms)."""
    since_h = (local_hour(now_ms) - BACKUP_FROM_H) % 24.0
    # To the second: what local_hour loses must not make two nights of one.
    return round((now_ms - since_h * 3_600_000) / 1000.0) * 1000
