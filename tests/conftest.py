"""What all tests share. Servers have their starters in ``tests/servers*.py``."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from ioc.clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that stands still until the test moves it."""
    return VirtualClock()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With IOC_NO_SKIPS=1 (CI) a skipped test is a failed one: nothing may be missing there."""
    report = yield
    if report.skipped and os.environ.get("IOC_NO_SKIPS") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report
