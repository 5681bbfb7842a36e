"""The state database: one way to run a transaction, on SQLite or PostgreSQL.

The functions that read and write it are plain and synchronous: they take a connection that is in a
transaction. ``State.run`` calls them in a thread and commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from ioc.errors import ConfigError, StateUnavailableError

Result = TypeVar("Result")


class State:
    """An open state database. Safe to use from many tasks of one event loop.

    SQLite has one writer, so its transactions go through one thread, in order; PostgreSQL gets a
    small pool.
    """

    def __init__(self, engine: Engine, *, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="state")

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Run ``work`` in one transaction, committed when it returns and rolled back when it
        raises.

        Raises ``StateUnavailableError`` when the database does not answer; whether the commit
        happened is then unknown, and the caller reads its position again.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except (OperationalError, InterfaceError) as error:
            raise StateUnavailableError(f"state database: {error.orig}") from error
        except PoolTimeoutError as error:
            raise StateUnavailableError(f"state database: {error}") from error

    async def close(self) -> None:
        """Wait for what is under way, then let go of the database."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()


@asynccontextmanager
async def open_state(url: str) -> AsyncIterator[State]:
    """Open the state database at a SQLAlchemy URL, bringing its schema up to date.

    ``sqlite:////var/lib/ioc/state.db`` or ``postgresql+psycopg://user:password@host/name``.
    Raises ``ConfigError`` for a URL that is neither, ``StateUnavailableError`` when it cannot be
    reached.
    """
    engine, threads = await asyncio.to_thread(_prepare, url)
    state = State(engine, threads=threads)
    try:
        yield state
    finally:
        await state.close()


def _prepare(url: str) -> tuple[Engine, int]:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"state database: {url!r} is not a SQLAlchemy URL") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        engine, threads = create_engine(parsed, connect_args={"timeout": 30}), 1
        event.listen(engine, "connect", _set_up_sqlite)
    elif backend == "postgresql":
        engine, threads = create_engine(parsed, pool_size=4, pool_pre_ping=True), 4
    else:
        raise ConfigError(f"state database: {backend!r}: expected sqlite or postgresql+psycopg")
    try:
        migrate(engine)
    except DBAPIError as error:
        raise StateUnavailableError(
            f"state database {parsed.render_as_string(hide_password=True)}: {error.orig}"
        ) from error
    return engine, threads


def _set_up_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a DBAPI connection
    cursor.execute("PRAGMA journal_mode=WAL")
    # A committed transition survives a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def migrate(engine: Engine) -> None:
    """Bring the schema to this version of the service."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
