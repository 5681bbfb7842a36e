"""What only the embedded store promises: one file, whole after kill -9, bounded questions."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ioc.clock import VirtualClock
from ioc.errors import QueryError
from ioc.store import duckdb, open_store
from ioc.store.schema import Schema
from tests.conformance.samples import (
    JOURNAL,
    T0_MS,
    T0_US,
    ask,
    asset,
    at,
    derived,
    make_catalog,
    measure,
    put,
    row,
)

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
MINUTE = 60_000
WRITER = """
import asyncio, itertools, sys
from ioc.clock import SystemClock
from ioc.store import open_store
from tests.conformance.samples import make_catalog, put, row

async def main():
    async with open_store(sys.argv[1], catalog=make_catalog(), clock=SystemClock()) as store:
        for n in itertools.count(1):
            await put(store, *(row(n * 100 + i, f"A{i}", volt=1.0) for i in range(50)), position=n)
            print(n, flush=True)

asyncio.run(main())
"""


def start_writer(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


@pytest.mark.slow
async def test_killed_again_and_again_it_has_each_position_whole(tmp_path: Path) -> None:
    url = f"duckdb://{tmp_path}/readings.duckdb"
    for round_ in range(3):
        told = 0
        with start_writer(url) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                told = int(line)
                if told >= 10 * (round_ + 1):
                    break
            writer.kill()
        async with open_store(url, catalog=make_catalog(), clock=VirtualClock()) as store:
            position = await store.position(JOURNAL)
            assert position >= told
            found = await store.query(ask("count volt", stop_ms=100_000_000))
            # Positions start over in each round: those stored already were not written again.
            assert at(found) == [(0, position * 50)]


async def test_readings_and_writing_go_on_side_by_side(tmp_path: Path) -> None:
    async with open_store(
        f"duckdb://{tmp_path}/x.duckdb", catalog=make_catalog(), clock=VirtualClock()
    ) as store:

        async def write() -> None:
            for n in range(30):
                await put(store, *(row(n * 10 + i, volt=1.0) for i in range(10)), position=n + 1)

        async def read() -> int:
            found = await store.query(ask("count volt"))
            return int(found.rows[0][1] or 0) if found.rows else 0

        writing = asyncio.create_task(write())
        counts = [await read() for _ in range(20)]
        await writing
        assert all(count % 10 == 0 for count in counts), "a batch is seen whole or not at all"
        assert counts == sorted(counts)
        assert await read() == 300


async def test_a_question_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await duckdb.DuckDBStore.open(tmp_path / "x.duckdb", Schema(make_catalog()))
    monkeypatch.setattr(duckdb, "QUERY_TIMEOUT_S", 0.2)
    endless = (
        "SELECT count(*) FROM range(10_000_000_000) a, range(1000) b WHERE a.range % 7 = b.range"
    )
    with pytest.raises(QueryError, match="ask for less"):
        await store._read(endless, [])
    # Its threads are free again, also after the one who asked went away.
    asking = [asyncio.create_task(store._read(endless, [])) for _ in range(2 * duckdb.READERS)]
    await asyncio.sleep(0.05)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert await store._read("SELECT 1", []) == [(1,)]
    await store.close()


async def test_a_question_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    store = await duckdb.DuckDBStore.open(tmp_path / "x.duckdb", Schema(make_catalog()))
    with pytest.raises(QueryError, match="memory"):
        await store._read("SELECT list(range) FROM range(100_000_000)", [])
    assert await store.position(JOURNAL) == 0
    await store.close()


async def test_a_failed_write_leaves_nothing_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await duckdb.DuckDBStore.open(tmp_path / "x.duckdb", Schema(make_catalog()))
    await put(store, row(0, volt=1.0), position=1)

    def broken(*_: object) -> None:
        raise OSError("made to fail")

    with monkeypatch.context() as patched:
        patched.setattr(duckdb, "_kpi_columns", broken)
        with pytest.raises(OSError, match="made to fail"):
            await store.write(
                [row(1, "New", volt=2.0)],
                [measure(0, "pue", 1.5, "site", "DC-NT")],
                journal_uuid=JOURNAL,
                position=2,
            )
    assert await store.position(JOURNAL) == 1
    assert at(await store.query(ask("count volt"))) == [(0, 1)]
    await put(store, row(1, "New", volt=2.0), position=2)
    found = await store.query(ask("volt", group_by=("asset",)))
    assert at(found, time_column=1) == [("A1", 0, 1.0), ("New", 1, 2.0)]
    await store.close()


async def test_a_file_of_version_1_goes_on_under_the_same_series(tmp_path: Path) -> None:
    """Made by the code of that time: a station under two communes, another kind, measures."""
    path = tmp_path / "x.duckdb"
    path.write_bytes(gzip.decompress((DATA / "version-1.duckdb.gz").read_bytes()))
    store = await duckdb.DuckDBStore.open(path, Schema(make_catalog()))
    assert await store.position(JOURNAL) == 3
    assert at(await store.query(ask("count volt", "sum volt"))) == [(0, 31, 442.0)]
    before = await store._read("SELECT count(*), count(DISTINCT series) FROM ioc_series", [])
    # As after a journal that was lost: all of A0 again, which is there, and something new.
    again = [row(n * MINUTE, f"A{n % 3}", volt=float(n)) for n in range(0, 30, 3)]
    other = "7d2f4f0e-0000-4000-8000-000000000009"
    await put(
        store,
        *again,
        row(90 * MINUTE, "A1", volt=1.0),
        row(5, asset("W1", kind="select"), group=2.5),
        position=1,
        journal=other,
    )
    await put(store, derived(0, "asset_state", "A1", state="up"), position=2, journal=other)
    assert at(await store.query(ask("count volt", stop_ms=2 * 3_600_000))) == [(0, 32)]
    state = await store.query(ask("state", measurement="asset_state", group_by=("asset", "kind")))
    assert at(state, time_column=2) == [("A1", "mast", 0, "up")]
    assert (
        await store._read("SELECT count(*), count(DISTINCT series) FROM ioc_series", []) == before
    )
    await store.roll_up("mast", "5m", begin_ms=T0_MS)
    found = await store.query(
        ask("count_volt", measurement="mast_5m", group_by=("asset", "commune"))
    )
    assert at(found, time_column=2) == [
        *(("A0", "22366", 0, 2), ("A1", "22366", 0, 2), ("A1", "22375", 0, 1)),
        ("A2", "22366", 0, 1),
    ]
    await store.close()
    store = await duckdb.DuckDBStore.open(path, Schema(make_catalog()))
    kinds = await store._read("SELECT asset, kind FROM ioc_series ORDER BY ALL", [])
    assert kinds == [("A0", "mast"), ("A1", ""), ("A1", "mast"), ("A2", ""), ("W1", "select")]
    await store.close()


async def test_what_expired_makes_room_in_the_file(tmp_path: Path) -> None:
    path, day_ms, rows = tmp_path / "x.duckdb", 86_400_000, 400_000
    sizes = []
    for number in range(5):
        store = await duckdb.DuckDBStore.open(path, Schema(make_catalog()))
        await put(store, row(number * day_ms, volt=1.0), position=number + 1)
        fill = (
            "INSERT INTO mast (time, series, volt, ts) "
            f"SELECT make_timestamp({T0_US + number * day_ms * 1000} + range * 1000), 1, random(), "
            f"range FROM range(1, {rows})"
        )
        await store._in_writer(partial(store._execute, fill))
        await store.expire("raw", before_ms=T0_MS + number * day_ms)
        found = await store.query(ask("count volt", stop_ms=10 * day_ms))
        assert at(found) == [(0, rows)]
        await store.close()
        sizes.append(path.stat().st_size)
    assert sizes[-1] < 2.5 * sizes[0], sizes
