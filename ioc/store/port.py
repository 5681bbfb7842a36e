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
    """A reading that the store refuses for good, and the store's own reason."""

    reading: Reading
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
        """Store rows and measures, and that the journal is stored up to ``position``.

        Writing the same rows again changes nothing: (asset, ``time_us``) is their identity. Returns
        the points the store will never take. Raises ``StoreUnavailableError`` with nothing
        promised.
        """
        ...

    async def query(self, query: Query) -> Answer:
        """Answer a typed query. Raises ``QueryError`` or ``StoreUnavailableError``."""
        ...

    async def expire(self, *, before_ms: int) -> None:
        """Remove raw readings older than ``before_ms``."""
        ...

    async def close(self) -> None: ...
