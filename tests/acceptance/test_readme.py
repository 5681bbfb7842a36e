"""Every command the README tells a reader to type is run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.demo import Demo, eventually
from tests.servers import find_program

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
# These set the project up and run everything, this test included: CI runs them itself.
RUN_BY_CI = ("scripts/demo", "scripts/test")
# Needs a container engine: .github/workflows/compose.yml runs it, tests/deploy what it starts.
RUN_ELSEWHERE = ("docker compose up",)


def runnable() -> list[str]:
    not_here = (*RUN_BY_CI, *RUN_ELSEWHERE)
    return [block for block in BLOCKS if not any(word in block for word in not_here)]


def test_the_readme_has_its_two_commands_first() -> None:
    assert all(word in BLOCKS[0] for word in RUN_BY_CI)
    assert all((ROOT / word).stat().st_mode & 0o111 for word in RUN_BY_CI)


@pytest.mark.parametrize("block", runnable(), ids=lambda block: " ".join(block.split()[:4]))
def test_a_block_does_what_it_says(demo: Demo, block: str, tmp_path: Path) -> None:
    if "mosquitto_pub" in block and find_program("mosquitto_pub") is None:
        pytest.skip("mosquitto_pub is not installed (Debian: apt-get install mosquitto-clients)")
    # The reader's demo has the usual ports and folder; this one has its own.
    script = (
        block.replace("-p 1883", f"-p {demo.mqtt_port}")
        .replace(".venv/bin/ioc", f"{sys.executable} -m ioc.cli")
        .replace("KH00001", _some_station(demo))
    )
    work = tmp_path / "reader"
    work.mkdir()
    (work / ".ioc").symlink_to(demo.data_dir)
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _some_station(demo: Demo) -> str:
    items = eventually(
        lambda: demo.api("/api/v1/assets?kind=bts&state=up&limit=2")["items"],
        within_s=30,
        what="stations up",
    )
    return str(items[-1]["id"])
