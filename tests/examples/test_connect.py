"""docs/connect.md, read from top to bottom: every command is run as it stands there, and what the
page says of it is true.

Time windows are the page's own: 10 s of the gateway, 10 s and a minute of the rule, half a minute
of silence; each with as much again for a busy machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.demo import Demo, eventually
from tests.examples.lab import free_udp_port
from tests.servers import find_program

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")
BLOCKS = [
    (before.strip().splitlines()[-1].strip(), textwrap.dedent(block))
    for before, block in re.findall(r"(.*?)^ *```sh\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
]
SET_UP = "scripts/setup --dev"  # CI has run it
BESIDE = "In another terminal"  # such a block is left running


class Reader:
    """Somebody who has the demo running and types what the page says."""

    def __init__(self, demo: Demo, folder: Path) -> None:
        self.demo = demo
        self.folder = folder
        self.ports = {"1610" + name: str(free_udp_port()) for name in "12"}
        self.beside: list[subprocess.Popen[bytes]] = []
        folder.mkdir()
        (folder / ".ioc").symlink_to(demo.data_dir)
        (folder / "examples").symlink_to(ROOT / "examples")
        (folder / ".venv").symlink_to(sys.prefix)

    def here(self, text: str) -> str:
        """The same with this demo's ports, where a reader has the usual ones."""
        for usual, ours in {
            "-p 1883": f"-p {self.demo.mqtt_port}",
            "port: 1883": f"port: {self.demo.mqtt_port}",
            "127.0.0.1:8080": f"127.0.0.1:{self.demo.http_port}",
            **self.ports,
        }.items():
            text = text.replace(usual, ours)
        return text

    def type(self, block: str, *, beside: bool) -> str:
        """What the block prints; nothing when it is left running."""
        argv = ["sh", "-euc", self.here(block)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        if beside:
            with (self.folder / "beside.log").open("ab") as log:
                self.beside.append(
                    subprocess.Popen(
                        argv,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        cwd=self.folder,
                        env=env,
                    )
                )
            return ""
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.folder,
            env=env,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def interrupt(self, number: int) -> None:
        """Ctrl-C in one of the other terminals."""
        os.killpg(self.beside[number].pid, signal.SIGINT)
        self.beside[number].wait(30)

    def end(self) -> None:
        for shell in self.beside:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()

    # ── what the page says ───────────────────────────────────────────────────

    def values(self, asset: str) -> dict[str, Any]:
        found = self.demo.api(f"/api/v1/assets/{asset}")["values"]
        return {name: value["value"] for name, value in found.items()}

    def alarms(self, asset: str) -> set[str]:
        items = self.demo.api(f"/api/v1/alarms?state=raised&asset={asset}")["items"]
        return {item["external_id"] or item["source"] for item in items}

    def quarantined(self) -> list[str]:
        return [item["detail"] for item in self.demo.api("/api/v1/quarantine?limit=50")["items"]]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    for program in ("mosquitto_pub", "mosquitto_sub", "curl"):
        if find_program(program) is None:
            pytest.skip(f"{program} is not installed")
    demo = Demo(tmp_path, "--scale", "0.02", "--interval", "2", "--no-demo-incident")
    demo.start()
    found = Reader(demo, tmp_path / "reader")
    yield found
    found.end()
    demo.stop()


A, B = "KH-LAB-UPS-A", "KH-LAB-UPS-B"


def check_own_topic(reader: Reader, printed: str) -> None:
    eventually(lambda: reader.values(A).get("load_percent") == 33, within_s=5, what="way 1")


def check_batch(reader: Reader, printed: str) -> None:
    eventually(lambda: reader.values(A).get("load_percent") == 34, within_s=5, what="way 2")
    eventually(lambda: reader.values(B).get("load_percent") == 17, within_s=5, what="way 2")


def check_device_alarm(reader: Reader, printed: str) -> None:
    def told() -> list[str]:
        items = reader.demo.api(f"/api/v1/alarms?asset={A}")["items"]
        return [item["state"] for item in items if item["external_id"] == "7"]

    eventually(lambda: told() == ["cleared"], within_s=5, what="way 3")


def check_lab(reader: Reader, printed: str) -> None:
    config = reader.folder / ".ioc" / "ups-lab" / "gateway.yaml"
    config.write_text(reader.here(config.read_text()))
    for secret in ("community", "auth", "privacy"):
        path = config.parent / secret
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(path.read_text().strip()) >= 8


def check_agent(reader: Reader, printed: str) -> None:
    log = reader.folder / "beside.log"
    eventually(
        lambda: log.read_text().count("a simulated UPS answers") == len(reader.beside),
        within_s=60,
        what="it answers",
    )


def check_show(reader: Reader, printed: str) -> None:
    shown = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[0]
    printed = " ".join(printed.split())
    for line in reader.here(shown).splitlines():
        if line.strip() != "…":
            assert " ".join(line.split()) in printed


def check_gateway(reader: Reader, printed: str) -> None:
    eventually(lambda: reader.values(A).get("input_voltage_v") == 229, within_s=30, what=A)
    eventually(lambda: reader.values(B).get("runtime_min") == 65, within_s=30, what=B)


def check_mains_failed(reader: Reader, printed: str) -> None:
    own = {"upsAlarmOnBattery", "upsAlarmInputBad"}
    eventually(lambda: own <= reader.alarms(A), within_s=20, what="the UPS's own")
    eventually(lambda: "ups-on-battery" in reader.alarms(A), within_s=40, what="the rule's")


def check_mains_returned(reader: Reader, printed: str) -> None:
    own = {"upsAlarmOnBattery", "upsAlarmInputBad"}
    eventually(lambda: not own & reader.alarms(A), within_s=20, what="the UPS's own clear")
    eventually(lambda: not reader.alarms(A), within_s=120, what="the rule's clears")


def check_nonsense(reader: Reader, printed: str) -> None:
    eventually(
        lambda: any("65535" in detail for detail in reader.quarantined()),
        within_s=20,
        what="in quarantine",
    )
    assert reader.demo.api(f"/api/v1/assets/{A}")["state"] == "up"


def check_watched(reader: Reader, printed: str) -> None:
    assert '/status {"online":true' in printed
    assert '/telemetry [{"kind":"ups","asset":"KH-LAB-UPS-' in printed


def check_refused(reader: Reader, printed: str) -> None:
    assert '"out_of_range"' in printed


# By words that only one block has.
CHECKS: dict[str, Callable[[Reader, str], None]] = {
    "KH-LAB-UPS-A/telemetry": check_own_topic,
    "_gateway/GW-LAB/telemetry": check_batch,
    "alarm_id": check_device_alarm,
    "cp -r": check_lab,
    "--port 16101": check_agent,
    "--port 16102": check_agent,
    "--show": check_show,
    "gateway.yaml\n": check_gateway,
    "ups-a-on-battery.yaml": check_mains_failed,
    "cp examples/ups_snmp/lab/ups-a.yaml": check_mains_returned,
    "sed -i": check_nonsense,
    "mosquitto_sub": check_watched,
    "curl": check_refused,
}


def test_each_check_belongs_to_one_block() -> None:
    for words in CHECKS:
        assert sum(words in block for _, block in BLOCKS) == 1, words
    assert sum(BESIDE in before for before, _ in BLOCKS) == 3
    assert BLOCKS[0][1].strip() == SET_UP


@pytest.mark.timeout(600)
def test_every_command_does_what_the_page_says(reader: Reader) -> None:
    for before, block in BLOCKS:
        if block.strip() == SET_UP:
            continue
        printed = reader.type(block, beside=BESIDE in before)
        for words, check in CHECKS.items():
            if words in block:
                check(reader, printed)
    # The last thing to try is a key: Ctrl-C in the terminal of UPS A.
    reader.interrupt(0)
    eventually(lambda: "ups-no-data" in reader.alarms(A), within_s=90, what="silent")
    log = (reader.folder / "beside.log").read_text()
    assert "Traceback" not in log, log
