"""The tables of the DuckDB file, as the catalog has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from ioc.catalog.model import MetricType
from ioc.errors import ConfigError
from ioc.store.duckdb_roll_up import KPI_COLUMNS
from ioc.store.schema import DERIVED_TAGS, Measurement, Schema

SCHEMA_VERSION = 2

_SQL_TYPES: Mapping[MetricType, str] = {
    "float": "DOUBLE",
    "int": "BIGINT",
    "bool": "BOOLEAN",
    "enum": "VARCHAR",
}
_OWN_TABLES = (
    "ioc_position (journal VARCHAR NOT NULL, position BIGINT NOT NULL)",
    "ioc_mark (name VARCHAR NOT NULL, at_ms BIGINT NOT NULL)",
    "ioc_series (series INTEGER NOT NULL, "
    + ", ".join(f'"{tag}" VARCHAR NOT NULL' for tag in DERIVED_TAGS)
    + ")",
)
_KPI = (
    "time TIMESTAMP NOT NULL, name VARCHAR NOT NULL, scope VARCHAR NOT NULL, "
    "place VARCHAR NOT NULL, value DOUBLE NOT NULL"
)


def follow_catalog(connection: duckdb.DuckDBPyConnection, path: Path, schema: Schema) -> None:
    """Create what is missing, in one transaction: tables, and a column for each metric the catalog
    gained.

    Raises ``ConfigError`` for a file of a newer version, and for a metric under another type.
    """
    connection.begin()
    connection.execute("CREATE TABLE IF NOT EXISTS ioc_schema (version INTEGER NOT NULL)")
    found = connection.execute("SELECT max(version) FROM ioc_schema").fetchone()
    if found is None or found[0] is None:
        connection.execute("INSERT INTO ioc_schema VALUES (?)", [SCHEMA_VERSION])
    elif found[0] == 1:  # series without the kind: a series is given its own when it is used
        connection.execute("ALTER TABLE ioc_series ADD COLUMN kind VARCHAR DEFAULT ''")
        connection.execute("UPDATE ioc_schema SET version = ?", [SCHEMA_VERSION])
    elif found[0] > SCHEMA_VERSION:
        raise ConfigError(
            f"store: {path}: written by a newer version of ioc "
            f"(schema {found[0]}, this one knows {SCHEMA_VERSION})"
        )
    for table in _OWN_TABLES:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    for measurement in schema.measurements.values():
        if not measurement.open:
            _follow_measurement(connection, path, measurement)
            continue
        rolled = (f", {name} {type_}" for name, type_ in KPI_COLUMNS.items())
        columns = _KPI + ("".join(rolled) if measurement.rolled else "")
        connection.execute(f'CREATE TABLE IF NOT EXISTS "{measurement.name}" ({columns})')
    connection.commit()


def _follow_measurement(
    connection: duckdb.DuckDBPyConnection, path: Path, measurement: Measurement
) -> None:
    connection.execute(
        f'CREATE TABLE IF NOT EXISTS "{measurement.name}" '
        "(time TIMESTAMP NOT NULL, series INTEGER NOT NULL)"
    )
    found = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?",
        [measurement.name],
    ).fetchall()
    known = dict(found)
    for name, kind_of_value in measurement.columns.items():
        wanted = _SQL_TYPES[kind_of_value]
        if name not in known:
            connection.execute(f'ALTER TABLE "{measurement.name}" ADD COLUMN "{name}" {wanted}')
        elif known[name] != wanted:
            raise ConfigError(
                f"store: {path}: {measurement.name}.{name} is kept as {known[name]}, "
                f"the catalog says {kind_of_value}: give the metric a new name"
            )
