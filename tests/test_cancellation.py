"""A task that was told to end ends."""

from __future__ import annotations

import asyncio

import pytest

from ioc.cancellation import heed_cancellation


async def test_a_cancellation_that_comes_with_the_answer_is_heeded() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask() -> str:
        found = await asyncio.wait_for(answer, 10)
        heed_cancellation()
        return found

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    answer.set_result("yes")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_nobody_ended_goes_on() -> None:
    heed_cancellation()
    # A time-out that has passed is no cancellation of the task.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    heed_cancellation()
