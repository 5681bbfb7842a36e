"""What a time-series store must do. ``tests/conformance`` holds every store to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ioc.inventory import Asset
from ioc.journal.records import Measure, Reading
from ioc.store.query import Answer, Query
from ioc.store.tiers import Kept, Mark, Tier


@dataclass(frozen=True, kw_only=True)
class Row:
    """A reading with the asset it belongs to, whose tags are stored beside it."""

    reading: Reading
    asset: Asset


@dataclass(frozen=True, kw_only=True)
class RejectedPoint:
    """A reading or measure that the store refuses for good, and the store's own reason."""

    point: Reading | Measure
    reason: str


class Store(Protocol):
    """A time-series store with a memory of how far it has read the journal."""

    async def position(self, journal_uuid: str) -> int:
        """The journal position up to which everything is stored; 0 for a journal never seen.

        Raises ``StoreUnavailableError``.
        """
        ...

    async def write(
        self,
        rows: Sequence[Row],
        measures: Sequence[Measure],
        *,
        journal_uuid: str,
        position: int,
    ) -> list[RejectedPoint]:
        """Store rows and measures, then that the journal is stored up to ``position``.

        Writing the same again changes nothing: a position that is stored already is not written
        twice, and the identity of a reading is (asset with its tags, ``time_us``), of a measure
        (name, scope, place, ``time_us``), so that a journal that was lost and filled again adds
        nothing twice either. No two rows of one call may share an identity.

        Returns the points the store will never take. When there are any, the position is **not**
        stored and of the others nothing is promised: the caller puts the refused ones aside and
        writes the rest again, so that none is lost in between.

        Raises ``StoreUnavailableError`` with nothing promised.
        """
        ...

    async def query(self, query: Query) -> Answer:
        """Answer a typed query, within a bounded time.

        Raises ``QueryError`` (an unknown name, or too much was asked) or
        ``StoreUnavailableError``.
        """
        ...

    async def roll_up(self, measurement: str, tier: Tier, *, begin_ms: int) -> None:
        """Write the roll-up of ``measurement`` (a kind or ``kpi``) whose bucket begins at
        ``begin_ms``, a multiple of its length: of 5 minutes from the raw rows, of an hour from its
        5-minute rows (``ioc.store.tiers``).

        It is written over what was there: doing it again changes nothing, and after late readings
        it is as if they had come in time. A bucket whose rows were in part removed by ``expire`` is
        left as it is. A question meanwhile may see a part of it.

        Raises ``StoreUnavailableError`` with nothing promised, or ``QueryError`` when the bucket
        holds more than the store can work out.
        """
        ...

    async def mark(self, mark: Mark) -> int | None:
        """A time that the store remembers, in Unix ms; None when it was never set.

        Raises ``StoreUnavailableError``.
        """
        ...

    async def set_mark(self, mark: Mark, at_ms: int) -> None:
        """Remember a time. An earlier one than is remembered changes nothing.

        Raises ``StoreUnavailableError``.
        """
        ...

    async def expire(self, kept: Kept, *, before_ms: int) -> None:
        """Remove the rows of all measurements that are kept as ``kept`` (``Schema.kept``) under a
        time before ``before_ms``, having set the mark that says so. Writing goes on meanwhile.

        Raises ``StoreUnavailableError`` when not all is removed yet.
        """
        ...

    async def close(self) -> None: ...
