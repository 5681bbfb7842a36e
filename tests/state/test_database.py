"""The state database as its users meet it, on both of its engines."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, insert, inspect, select

from ioc.errors import ConfigError, StateUnavailableError
from ioc.state import State, open_state, schema
from tests.servers_postgres import Postgres, start_postgres


def add_site(connection: Connection, site: str) -> None:
    connection.execute(insert(schema.site), {"id": site, "content": "{}"})


def sites(connection: Connection) -> list[str]:
    return list(connection.scalars(select(schema.site.c.id).order_by(schema.site.c.id)))


async def test_the_migrations_make_the_schema(state_url: str) -> None:
    """The tables, columns and indexes are the ones that the code is written against."""
    async with open_state(state_url):
        pass
    engine = create_engine(state_url)
    try:
        there = inspect(engine)
        assert set(there.get_table_names()) == {*schema.metadata.tables, "alembic_version"}
        for name, table in schema.metadata.tables.items():
            columns = {one["name"]: one["nullable"] for one in there.get_columns(name)}
            assert columns == {one.name: one.nullable for one in table.columns}
            wanted = {index.name for index in table.indexes}
            assert wanted <= {one["name"] for one in there.get_indexes(name)}
    finally:
        engine.dispose()


async def test_it_is_opened_again_with_its_content(state_url: str) -> None:
    async with open_state(state_url) as state:
        await state.run(lambda connection: add_site(connection, "S-1"))
    async with open_state(state_url) as state:
        assert await state.run(sites) == ["S-1"]


async def test_a_transaction_is_whole_or_nothing(state: State) -> None:
    def half(connection: Connection) -> None:
        add_site(connection, "S-1")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await state.run(half)
    assert await state.run(sites) == []


async def test_many_tasks_at_once(state: State) -> None:
    names = [f"S-{n:02}" for n in range(40)]
    await asyncio.gather(*(state.run(partial(add_site, site=name)) for name in names))
    assert await state.run(sites) == names


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", ""])
async def test_a_wrong_url_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="state database"):
        async with open_state(url):
            pass


async def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailableError, match="unable to open"):
        async with open_state(f"sqlite:///{tmp_path / 'none' / 'state.db'}"):
            pass


async def test_a_database_that_is_locked_is_unavailable_not_broken(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with open_state(f"sqlite:///{path}") as state:
        other = create_engine(f"sqlite:///{path}")
        await state.run(
            lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=1").close()
        )
        with other.connect() as holder:
            holder.exec_driver_sql("BEGIN EXCLUSIVE")
            with pytest.raises(StateUnavailableError, match="locked"):
                await state.run(lambda connection: add_site(connection, "S-1"))
        other.dispose()
        await state.run(lambda connection: add_site(connection, "S-2"))
        assert await state.run(sites) == ["S-2"]


@pytest.mark.slow
async def test_a_server_that_goes_and_comes_back() -> None:
    if reason := Postgres.missing():
        pytest.skip(reason)
    with start_postgres() as server:
        async with open_state(server.url) as state:
            await state.run(lambda connection: add_site(connection, "S-1"))
            server.stop()
            with pytest.raises(StateUnavailableError):
                await state.run(sites)
            server.start()
            assert await state.run(sites) == ["S-1"]
        server.stop()
        with pytest.raises(StateUnavailableError) as caught:
            async with open_state(server.url):
                pass
        assert server.password not in str(caught.value)
