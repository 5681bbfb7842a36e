"""docs/simulators.md, read from top to bottom: every command is run as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from simulators.faults import FAULTS
from tests.servers import Nats

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(Nats.missing()), reason=Nats.missing() or "nats-server"),
]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulators.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, int], None, None]:
    """Somebody who types what the page says, with a broker beside."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "roadworks.yaml").write_text(EXAMPLE, encoding="utf-8")
    with Nats(folder / "nats") as nats:
        yield folder, nats.port


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[-1][:60] for block in BLOCKS])
def test_a_block_does_what_it_says(reader: tuple[Path, int], block: str) -> None:
    """In the page's order: later blocks read what earlier ones wrote."""
    folder, port = reader
    done = subprocess.run(
        ["sh", "-euc", block.replace("127.0.0.1:1883", f"127.0.0.1:{port}")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runs_left_what_the_page_says(reader: tuple[Path, int]) -> None:
    folder, _ = reader
    assert json.loads((folder / "typhoon.json").read_bytes())["scenario"] == "typhoon"
    roadworks = json.loads((folder / "roadworks.json").read_bytes())
    assert [incident["fault"] for incident in roadworks["incidents"]] == ["span-cut"] * 2
    log = (folder / "publish.log").read_text().splitlines()
    assert sum('"acked"' in line for line in log) == sum('"sent"' in line for line in log) > 300


def test_the_page_names_every_option_of_a_selector_and_a_step() -> None:
    from simulators.scenario import Misbehaviour, Scenario, Selector, Step

    for model in (Scenario, Selector, Step, Misbehaviour):
        for name, known in model.model_fields.items():
            assert (known.alias or name) in PAGE, name
    assert FAULTS.keys() >= {"span-cut", "flood"}
