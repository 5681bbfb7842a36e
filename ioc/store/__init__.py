"""Time series: a port, DuckDB (embedded) or InfluxDB behind it."""

from ioc.store.open import open_store
from ioc.store.port import RejectedPoint, Row, Store
from ioc.store.query import Aggregate, Answer, Column, Query, Tag

__all__ = [
    "Aggregate",
    "Answer",
    "Column",
    "Query",
    "RejectedPoint",
    "Row",
    "Store",
    "Tag",
    "open_store",
]
