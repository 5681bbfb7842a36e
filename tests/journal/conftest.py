from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from ioc.clock import VirtualClock
from ioc.journal import Journal, open_journal

Opener = Callable[..., AbstractAsyncContextManager[Journal]]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def opened(tmp_path: Path, clock: VirtualClock) -> Opener:
    """Opens the test's journal; the same folder each time."""

    def open_(**settings: Any) -> AbstractAsyncContextManager[Journal]:
        given: dict[str, Any] = {
            "clock": clock,
            "bound_bytes": 64 * 1024 * 1024,
            "reserve_bytes": 0,
            "gather_s": 0.0,
        }
        return open_journal(tmp_path / "journal", **(given | settings))

    return open_
