"""The stage that measures the service itself: a reading of asset ``IOC`` every 10 s.

It goes by the clock and not by the journal's ticks, and reads what the other stages say of
themselves: when one of them stands still, this is where it shows. The reading goes into the journal
like any other, so that the store keeps it and the rules of ``ioc/catalog/ioc.yaml`` judge it.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from ioc.alarms.live import Live
from ioc.catalog.model import Catalog
from ioc.clock import Clock
from ioc.errors import JournalFullError
from ioc.ingest.storage_time import StorageTimes
from ioc.inventory import Inventory
from ioc.inventory.model import OWN_ID
from ioc.inventory.own import OWN_KIND, ensure_own
from ioc.inventory.province import Province
from ioc.journal.journal import JournalStatus
from ioc.journal.records import Batch, Reading, Record, Value
from ioc.supervise import Health, StageHealth

EVERY_MS = 10_000
# A stage that hangs does not say so. What has not moved for so long, while the journal went on, is
# late by that much, whatever it says of itself.
STANDS_STILL_MS = 30_000
MIB = 2**20


class OwnJournal(Protocol):
    """As much of a journal as is needed here."""

    async def append(self, *records: Record) -> int: ...

    def status(self) -> JournalStatus: ...


@dataclass(frozen=True, kw_only=True)
class Use:
    """What the process uses of its machine. ``cpu_s`` counts from its start; ``rss_bytes`` is None
    where the system does not tell."""

    cpu_s: float
    rss_bytes: int | None
    disk_bytes: int


class Machine:
    """The machine that the process runs on. ``folder`` is on the disk that the journal needs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def use(self) -> Use:
        times = resource.getrusage(resource.RUSAGE_SELF)
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            rss_bytes = pages * resource.getpagesize()
        except OSError:  # not Linux
            rss_bytes = None
        disk = os.statvfs(self._folder)
        return Use(
            cpu_s=times.ru_utime + times.ru_stime,
            rss_bytes=rss_bytes,
            disk_bytes=disk.f_blocks * disk.f_frsize,
        )


async def measure_own(
    journal: OwnJournal,
    *,
    province: Province,
    catalog: Catalog,
    inventory: Inventory,
    live: Live,
    health: Health,
    mine: StageHealth,
    clock: Clock,
    machine: Machine,
) -> NoReturn:
    """Journal a reading of the service at each multiple of 10 s, until cancelled.

    Adds the service to the inventory when it is not there. A full journal takes no reading: the
    stage is not ready and goes on with the next one. Raises ``JournalError`` when the journal
    fails.
    """

    async def known() -> bool:
        there = await ensure_own(
            journal, inventory, province=province, catalog=catalog, clock=clock
        )
        mine.ready = there
        if there:
            mine.say()
        else:
            mine.say(
                en=f"an asset of another kind is called {OWN_ID}",
                vi=f"một thiết bị loại khác đang mang tên {OWN_ID}",
            )
        return there

    mine.unit = "readings"
    times, gauge = StorageTimes(), Gauge(live=live, started_ms=clock.now_ms())
    with suppress(JournalFullError):  # the next reading finds out
        await known()
    last_ms = clock.now_ms() // EVERY_MS * EVERY_MS
    while True:
        await clock.sleep((EVERY_MS - clock.now_ms() % EVERY_MS) / 1000)
        now_ms = clock.now_ms()
        at_ms = now_ms // EVERY_MS * EVERY_MS
        if at_ms == last_ms:  # awake a little early
            continue
        last_ms = at_ms
        values = gauge.read(
            health, journal.status(), machine.use(), now_ms=now_ms, at_s=clock.monotonic_s()
        )
        try:
            if await known():
                time_us = times.assign(OWN_ID, at_ms, salt=0)
                reading = Reading(OWN_KIND, OWN_ID, time_us, at_ms, now_ms, values)
                await journal.append(Batch([reading]))
                mine.count("readings")
        except JournalFullError as error:
            mine.failed(error, at_ms=now_ms)
            mine.count("refused")
            mine.ready = False
            mine.say(en="the journal is full", vi="nhật ký đã đầy")


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """What is counted up: its growth over time is a rate."""

    at_s: float
    messages: int
    readings: int
    missed: int
    quarantined: int
    cpu_s: float


class Gauge:
    """Reads the service. ``started_ms``: before it, nothing was late."""

    def __init__(self, *, live: Live, started_ms: int) -> None:
        self._live = live
        self._started_ms = started_ms
        self._before: _Counts | None = None
        self._moved: dict[str, tuple[int, int]] = {}  # by stage: its position, and since when

    def read(
        self, health: Health, journal: JournalStatus, use: Use, *, now_ms: int, at_s: float
    ) -> dict[str, Value]:
        """All that is known now, by the names of ``ioc/catalog/ioc.yaml``. Rates are since the
        reading before; the first one has none. What is not known is left out."""
        values: dict[str, Value | None] = {
            **self._rates(health, journal, use, at_s=at_s),
            **_of_journal(journal, use),
            **self._of_stages(health, journal, now_ms=now_ms),
            "rss_mib": None if use.rss_bytes is None else use.rss_bytes / MIB,
        }
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in values.items()
            if value is not None
        }

    def _rates(
        self, health: Health, journal: JournalStatus, use: Use, *, at_s: float
    ) -> dict[str, Value | None]:
        ingest = health.stages.get("ingest")
        counters = ingest.counters if ingest is not None else {}
        now = _Counts(
            at_s=at_s,
            messages=counters.get("messages", 0),
            readings=counters.get("readings", 0),
            missed=counters.get("missed", 0),
            quarantined=journal.quarantined_total,
            cpu_s=use.cpu_s,
        )
        before, self._before = self._before, now
        if before is None or now.at_s <= before.at_s:
            return {}

        def per_s(name: str) -> float:
            # A counter may be taken back a little: a batch that was refused comes again.
            grown = float(getattr(now, name) - getattr(before, name))
            return max(0.0, grown) / (now.at_s - before.at_s)

        return {
            "messages_per_s": per_s("messages"),
            "readings_per_s": per_s("readings"),
            "missed_per_min": 60 * per_s("missed"),
            "quarantined_per_min": 60 * per_s("quarantined"),
            "cpu_percent": 100 * per_s("cpu_s"),
        }

    def _of_stages(
        self, health: Health, journal: JournalStatus, *, now_ms: int
    ) -> dict[str, Value | None]:
        stages = health.stages
        ready = sum(stage.ready for stage in stages.values())
        ingest, store, notify, web = (
            stages.get(name) for name in ("ingest", "store", "notify", "web")
        )
        return {
            "broker_connected": ingest.ready if ingest else None,
            "ingest_lag_s": ingest.lag_s if ingest else None,
            "store_behind": max(0, journal.end - store.position) if store else None,
            "store_lag_s": self._lag_s(store, journal, now_ms=now_ms) if store else None,
            "alarms_lag_s": self._alarms_lag_s(journal, now_ms=now_ms),
            "notify_pending": notify.gauges.get("pending") if notify else None,
            "notify_dead": notify.gauges.get("dead") if notify else None,
            "notify_lag_s": notify.lag_s if notify else None,
            "web_clients": web.gauges.get("clients") if web else None,
            "stages_total": len(stages),
            "stages_ready": ready,
            "stages_not_ready": len(stages) - ready,
            "stage_restarts": sum(stage.restarts for stage in stages.values()),
        }

    def _lag_s(self, stage: StageHealth, journal: JournalStatus, *, now_ms: int) -> float:
        """What a stage says, or how long it has not moved although there was something to do."""
        position, since_ms = self._moved.get(stage.name, (-1, now_ms))
        if stage.position != position or stage.position >= journal.end:
            since_ms = now_ms
        self._moved[stage.name] = stage.position, since_ms
        stands_ms = now_ms - since_ms
        return max(stage.lag_s, stands_ms / 1000 if stands_ms >= STANDS_STILL_MS else 0.0)

    def _alarms_lag_s(self, journal: JournalStatus, *, now_ms: int) -> float:
        """How far the time that the alarm engine has judged is behind; it may not have begun."""
        live = self._live
        if live.position >= journal.end:
            return 0.0
        return max(0, now_ms - max(live.now_ms, self._started_ms)) / 1000


def _of_journal(journal: JournalStatus, use: Use) -> dict[str, Value | None]:
    free, reserve = journal.free_disk_bytes, journal.reserve_bytes
    return {
        "journal_used_percent": 100 * journal.bytes / journal.bound_bytes,
        "journal_bytes": journal.bytes,
        "journal_hours_left": journal.hours_left,
        "disk_free_percent": 100 * free / use.disk_bytes if use.disk_bytes else None,
        "disk_free_reserves": free / reserve if reserve else None,
    }
