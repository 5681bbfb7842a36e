"""The store that a URL names."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ioc.catalog.model import Catalog
from ioc.clock import Clock
from ioc.config import read_secret
from ioc.errors import ConfigError
from ioc.store.port import Store
from ioc.store.schema import Schema

if TYPE_CHECKING:  # it imports a client that only its users need
    from ioc.store.influx_client import InfluxSettings

_FORMS = "duckdb:///path/file.duckdb or influxdb://host:8086/database?org=ORG&token_file=PATH&tls=1"
_DATABASE = re.compile(r"[^\s\"'/\\]{1,128}")


@asynccontextmanager
async def open_store(url: str, *, catalog: Catalog, clock: Clock) -> AsyncIterator[Store]:
    """Open the store of ``url``: ``duckdb:///path/file.duckdb`` (created when absent) or
    ``influxdb://host:port/database?org=…&token_file=…&tls=1``.

    Raises ``ConfigError`` for a URL, token file or DuckDB file that is not right, and
    ``InUseError`` for a DuckDB file that another process has open. An InfluxDB that is away is no
    error yet: each call says so.
    """
    parts = urlsplit(url)
    schema = Schema(catalog)
    store: Store
    if parts.scheme == "duckdb":
        from ioc.store.duckdb import DuckDBStore

        store = await DuckDBStore.open(_duckdb_path(parts), schema)
    elif parts.scheme == "influxdb":
        from ioc.store.influxdb import InfluxDBStore

        store = InfluxDBStore(_influx_settings(parts), schema, clock)
    else:
        raise ConfigError(f"store {url!r}: scheme {parts.scheme!r}: expected {_FORMS}")
    try:
        yield store
    finally:
        await store.close()


def _duckdb_path(parts: SplitResult) -> Path:
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or path == "/":
        raise ConfigError(f"store {parts.geturl()!r}: expected duckdb:///path/file.duckdb")
    return Path(path)


def _influx_settings(parts: SplitResult) -> InfluxSettings:
    """The settings in an ``influxdb://`` URL."""
    from ioc.store.influx_client import InfluxSettings

    if parts.username is not None or parts.password is not None:
        # The URL is not repeated: it holds a password.
        raise ConfigError(
            "store: a user or password in the URL ends up in logs and process lists; write the "
            "token (InfluxDB 1.x: user:password) to a file and give its path as token_file"
        )
    url = parts.geturl()
    try:
        host, port = parts.hostname, parts.port or 8086
    except ValueError as error:
        raise ConfigError(f"store {url!r}: port: {error}") from error
    database = unquote(parts.path).removeprefix("/")
    if not host or not _DATABASE.fullmatch(database) or parts.fragment:
        raise ConfigError(f"store {url!r}: needs a host and a database, expected {_FORMS}")
    try:
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ConfigError(f"store {url!r}: {error}") from error
    unknown = sorted(options.keys() - {"org", "token_file", "tls"})
    if unknown:
        raise ConfigError(f"store {url!r}: option {unknown[0]!r}: expected org, token_file or tls")
    tls = options.get("tls", "0")
    if tls not in ("0", "1"):
        raise ConfigError(f"store {url!r}: tls {tls!r}: expected 0 or 1")
    return InfluxSettings(
        host=host,
        port=port,
        database=database,
        org=options.get("org", "-"),
        token=_token(options["token_file"]) if "token_file" in options else "",
        tls=tls == "1",
    )


def _token(path: str) -> str:
    name = "store: token_file"
    token = read_secret(Path(path), name=name)
    if not token.isascii() or not token.isprintable():
        raise ConfigError(f"{name} {path}: holds no token (one line of ASCII text)")
    return token
