"""What a time-series store must do. ``tests/conformance`` holds every store to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ioc.inventory import Asset
from ioc.journal.records import Measure, Reading
from ioc.store.query import Answer, Query


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

    async def expire(self, *, before_ms: int) -> None:
        """Remove raw readings stored under a time before ``before_ms``. Measures stay.

        Raises ``StoreUnavailableError``.
        """
        ...

    async def close(self) -> None: ...
