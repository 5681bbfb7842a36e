"""A real notifier process, killed with -9 while its receiver has the webhook and it has not yet
written that down: it is delivered again under the same id, and then no more."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from ioc.clock import SystemClock
from ioc.notify import log
from ioc.state import schema
from ioc.state.database import State
from tests.notify.parts import Hook, alarm, commit

NOTIFIER = """
import asyncio, sys
from ioc.clock import SystemClock
from ioc.notify.notify import notify
from ioc.state.database import open_state
from ioc.supervise import StageHealth
from tests.notify.parts import route

async def main(database, url):
    async with open_state(database) as state:
        await notify(
            state,
            routes=[route(url=url)],
            clock=SystemClock(),
            health=StageHealth(name="notify"),
        )

asyncio.run(main(*sys.argv[1:]))
"""


async def start(database: str, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NOTIFIER, database, url),
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.slow
async def test_killed_between_post_and_commit(
    state: State, state_url: str, hook: Callable[..., Hook]
) -> None:
    receiver = hook()
    url = await receiver.start()
    now_ms = SystemClock().now_ms()
    names = [f"A{n}" for n in range(3)]
    await state.run(lambda c: [commit(c, alarm(name), "raised", at_ms=now_ms) for name in names])
    kills = 0
    processes: list[asyncio.subprocess.Process] = []

    async def kill() -> None:
        """The request is here, the answer is not there yet."""
        nonlocal kills
        if kills < 3 and processes[-1].returncode is None:
            kills += 1
            processes[-1].send_signal(signal.SIGKILL)
            await processes[-1].wait()

    receiver.on_take = kill
    try:
        async with asyncio.timeout(90):
            while True:
                if not processes or processes[-1].returncode is not None:
                    processes.append(await start(state_url, url))
                totals = await state.run(log.totals)
                if totals == {"pending": 0, "delivered": 3, "dead": 0}:
                    break
                await asyncio.sleep(0.05)
    finally:
        if processes[-1].returncode is None:
            processes[-1].kill()
            await processes[-1].wait()

    assert kills == 3
    heard: dict[str, set[str]] = {}
    for taken in receiver.taken:
        heard.setdefault(taken.body.group_labels["alarm"], set()).add(taken.id)
    # Every alarm was heard of, some more than once, each under one id.
    assert sorted(heard) == names
    assert all(len(ids) == 1 for ids in heard.values())
    assert len(receiver.taken) > 3
    ids = await state.run(lambda c: set(c.scalars(select(schema.delivery.c.id))))
    assert ids == set().union(*heard.values())
