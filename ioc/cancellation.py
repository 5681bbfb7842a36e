"""A cancellation that must not be forgotten."""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """Raise ``CancelledError`` where the running task was asked to end and has not noticed.

    To be called after a call that waits by ``asyncio.wait_for``, as aiomqtt's do: Python 3.11's
    forgets a cancellation that comes together with the answer, and the task would go on for ever.
    (Python 3.12 mended it.)
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
