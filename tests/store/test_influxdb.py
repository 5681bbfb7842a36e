"""What only InfluxDB can do to us: be away, be slow, ask for a token, lack the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from ioc.clock import VirtualClock
from ioc.errors import QueryError, StoreUnavailableError
from ioc.store import influxdb, open_store
from ioc.store.influx_client import InfluxSettings
from ioc.store.influxdb import InfluxDBStore
from ioc.store.query import MAX_MS
from ioc.store.schema import Schema
from tests.conformance.samples import JOURNAL, T0_MS, ask, at, derived, make_catalog, put, row
from tests.servers import free_port
from tests.servers_influx import Influxd, start_influxd


def store_at(server: Influxd, *, database: str = "") -> InfluxDBStore:
    where = InfluxSettings(host=server.host, port=server.port, database=database or server.database)
    return InfluxDBStore(where, Schema(make_catalog()), VirtualClock())


async def test_nobody_there() -> None:
    url = f"influxdb://127.0.0.1:{free_port()}/ioc"
    async with open_store(url, catalog=make_catalog(), clock=VirtualClock()) as store:
        with pytest.raises(StoreUnavailableError, match="http://127"):
            await store.position(JOURNAL)
        with pytest.raises(StoreUnavailableError, match="http://127"):
            await put(store, row(0, volt=1.0), position=1)
        with pytest.raises(StoreUnavailableError, match="http://127"):
            await store.query(ask("volt"))
        with pytest.raises(StoreUnavailableError, match="http://127"):
            await store.expire("raw", before_ms=T0_MS)


async def test_a_database_that_is_missing_names_the_command(influxd: Influxd) -> None:
    store = store_at(influxd, database="absent")
    try:
        # Nothing is refused for good: once somebody has made the database, all is written.
        for work in (store.position(JOURNAL), store.query(ask("volt"))):
            with pytest.raises(StoreUnavailableError, match='CREATE DATABASE "absent"'):
                await work
        influxd.ask('CREATE DATABASE "absent"')
        await put(store, row(0, volt=1.0), position=1)
        influxd.ask('DROP DATABASE "absent"')
        with pytest.raises(StoreUnavailableError, match='CREATE DATABASE "absent"'):
            await put(store, row(1, volt=1.0), position=2)
    finally:
        await store.close()


async def test_a_server_that_hangs_is_not_waited_for(
    influxd: Influxd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influxdb, "WRITE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(influxdb, "QUERY_TIMEOUT_S", 0.3)
    store = store_at(influxd)
    await put(store, row(0, volt=1.0), position=1)
    influxd.pause()
    try:
        with pytest.raises(StoreUnavailableError):
            await store.position(JOURNAL)
        with pytest.raises(StoreUnavailableError):
            await put(store, row(1, volt=1.0), position=2)
        with pytest.raises(StoreUnavailableError, match="nor to a ping"):
            await store.query(ask("volt"))
    finally:
        influxd.resume()
        await store.close()


async def test_a_query_that_takes_too_long_is_not_the_server_s_absence(
    influxd: Influxd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influxdb, "QUERY_TIMEOUT_S", 1e-6)
    store = store_at(influxd)
    try:
        with pytest.raises(QueryError, match="took longer"):
            await store.query(ask("volt"))
    finally:
        await store.close()


async def test_a_token_opens_the_door(tmp_path: Path) -> None:
    if Influxd.missing():
        pytest.skip(Influxd.missing())
    with start_influxd(tmp_path / "influxd", user="ioc", password="s3cret-x") as server:
        wrong = store_at(server)
        with pytest.raises(StoreUnavailableError, match="token_file"):
            await put(wrong, row(0, volt=1.0), position=1)
        with pytest.raises(StoreUnavailableError, match="token_file"):
            await wrong.query(ask("volt"))
        await wrong.close()
        token_file = tmp_path / "token"
        token_file.write_text("ioc:s3cret-x\n")
        url = f"{server.url}?token_file={token_file}"
        async with open_store(url, catalog=make_catalog(), clock=VirtualClock()) as store:
            await put(store, row(0, volt=1.0), position=1)
            assert at(await store.query(ask("volt"))) == [(0, 1.0)]
            assert await store.position(JOURNAL) == 1
            await store.expire("raw", before_ms=T0_MS + 1)
            assert (await store.query(ask("volt"))).rows == []


async def test_points_older_than_the_retention_are_refused_with_its_words(
    influxd: Influxd,
) -> None:
    influxd.ask('CREATE DATABASE "short" WITH DURATION 1h')
    store = store_at(influxd, database="short")
    rows = [row(n, volt=1.0) for n in range(3)]  # from the first of January 2026
    rejected = await store.write(rows, [], journal_uuid=JOURNAL, position=1)
    assert [r.point for r in rejected] == [r.reading for r in rows]
    assert all("retention policy" in r.reason for r in rejected)
    await store.close()


async def test_alarms_are_in_few_series_however_many_assets_have_them(influxd: Influxd) -> None:
    """What is asked by time must not cost more where there are more assets."""
    store = store_at(influxd)
    rows = [
        derived(n, measurement, f"N{n}", severity="major")
        for measurement in ("alarm", "alarm_active", "asset_state")
        for n in range(50)
    ]
    await put(store, *rows, position=1)
    await store.close()
    few = 'SHOW SERIES FROM "alarm", "alarm_active"'
    assert len([row for one in influxd.ask(few) for row in one["values"]]) == 2
    (states,) = influxd.ask('SHOW SERIES FROM "asset_state"')
    assert len(states["values"]) == 50


async def test_all_of_time_is_a_question_too(influxd: Influxd) -> None:
    store = store_at(influxd)
    await put(store, row(0, volt=1.0), row(5, volt=4.0), position=1)
    for columns in (("volt",), ("mean volt",), ("last volt",)):
        whole = ask(*columns).model_copy(update={"start_ms": 0, "stop_ms": MAX_MS})
        found = await store.query(whole)
        assert [r[1] for r in found.rows] in ([1.0, 4.0], [2.5], [4.0])
    await store.close()
