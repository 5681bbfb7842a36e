"""The console's own tests (vitest), where its packages are installed."""

from __future__ import annotations

import subprocess

import pytest

from tests.console.conftest import ROOT


@pytest.mark.slow
def test_the_consoles_own_tests_pass() -> None:
    if not (ROOT / "console" / "node_modules").is_dir():
        pytest.skip("the console's packages are not installed: run scripts/build-console")
    ran = subprocess.run(
        [ROOT / "scripts" / "build-console", "--test"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
