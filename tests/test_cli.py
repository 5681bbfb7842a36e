"""The command line reads like a table of contents, and every command shows an example."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ioc.cli import COMMANDS


def ioc(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ioc.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"COLUMNS": "100", "PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "error"},
    )


def test_the_table_of_contents_names_every_command() -> None:
    said = ioc("--help").stdout
    for name, _, summary in COMMANDS:
        assert any(line.split()[:1] == [name] and summary in line for line in said.splitlines())


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = ioc(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Example: ioc {name}" in " ".join(done.stdout.split())


def test_a_setting_that_is_wrong_is_named_with_its_variable() -> None:
    done = ioc("serve", "--http-port", "99999")
    assert done.returncode == 1
    assert "--http-port (IOC_HTTP_PORT)" in done.stderr
    assert "99999" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_unknown_command_is_one_line_of_help() -> None:
    done = ioc("severe")
    assert done.returncode == 2
    assert "severe" in done.stderr
