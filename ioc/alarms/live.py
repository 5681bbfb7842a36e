"""What is true now: written by the alarm engine and the KPI stage, read by the web stage.

Everything here is in memory and can be worked out again from the journal; nothing is kept here
alone. It belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ioc.alarms.model import Alarm, AssetState
from ioc.journal.records import Measure, Value

# How many versions back a console can catch up before it is told to start over.
REMEMBERED_CHANGES = 256


@dataclass(frozen=True, kw_only=True)
class LiveValue:
    """A metric's last value, and the storage time it was measured at (Unix ms)."""

    value: Value
    at_ms: int


class LiveTable(Protocol):
    """The engine's arrays, as the web stage may read them."""

    def values(self, asset: str) -> Mapping[str, LiveValue]:
        """The last value of each metric ever seen from this asset; empty when unknown."""
        ...

    def last_seen_ms(self, asset: str) -> int | None:
        """When the last telemetry of this asset was received (Unix ms), None if never."""
        ...


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became different at one version."""

    version: int
    assets: frozenset[str] = frozenset()
    alarms: frozenset[str] = frozenset()
    measures: bool = False
    inventory: bool = False


@dataclass(kw_only=True)
class Live:
    """The province now. ``version`` grows by one with each published change."""

    version: int = 0
    now_ms: int = 0
    position: int = 0
    listening: bool = True
    states: dict[str, AssetState] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)  # the active ones, by id
    measures: dict[tuple[str, str, str], Measure] = field(default_factory=dict)
    table: LiveTable | None = None
    _changes: deque[Change] = field(default_factory=lambda: deque(maxlen=REMEMBERED_CHANGES))
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def counts(self) -> dict[str, Counter[AssetState]]:
        """How many assets of each kind are in each state."""
        counts: dict[str, Counter[AssetState]] = {}
        for asset, state in self.states.items():
            counts.setdefault(self.kinds[asset], Counter())[state] += 1
        return counts

    def publish(
        self,
        *,
        assets: Iterable[str] = (),
        alarms: Iterable[str] = (),
        measures: bool = False,
        inventory: bool = False,
    ) -> None:
        """Announce what was changed in place; waiters wake."""
        self.version += 1
        self._changes.append(
            Change(
                version=self.version,
                assets=frozenset(assets),
                alarms=frozenset(alarms),
                measures=measures,
                inventory=inventory,
            )
        )
        self._changed.set()
        self._changed = asyncio.Event()
        self.move(self.position)

    async def changed(self, *, after: int) -> None:
        """Return once ``version`` is above ``after``."""
        while self.version <= after:
            await self._changed.wait()

    def move(self, position: int) -> None:
        """Say how far the engine has committed the journal; those who wait for it wake."""
        self.position = position
        self._moved.set()
        self._moved = asyncio.Event()

    async def reached(self, position: int) -> None:
        """Return once the engine has committed this journal position."""
        while self.position < position:
            await self._moved.wait()

    def since(self, version: int) -> Change | None:
        """All changes after ``version`` in one; None when that is too long ago (start over)."""
        if version > self.version or (
            version < self.version and (not self._changes or self._changes[0].version > version + 1)
        ):
            return None
        newer = [change for change in self._changes if change.version > version]
        return Change(
            version=self.version,
            assets=frozenset().union(*(change.assets for change in newer)),
            alarms=frozenset().union(*(change.alarms for change in newer)),
            measures=any(change.measures for change in newer),
            inventory=any(change.inventory for change in newer),
        )
