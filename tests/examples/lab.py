"""The parts of an end-to-end test, each a process: simulated UPSs, the gateway, the service."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from examples.ups_snmp.agent import open_agent
from ioc.inventory import Asset, Site
from ioc.inventory.file import write_inventory
from tests.servers import free_port

LAB = Path(__file__).parents[2] / "examples" / "ups_snmp" / "lab"
SECRETS = {"community": "lab-community", "auth": "lab-auth-pass", "privacy": "lab-privacy-pass"}
Json = dict[str, Any]
V2C: Json = {"v2c": {"community_file": "community"}}
V3: Json = {"v3": {"user": "ioc", "auth_file": "auth", "privacy_file": "privacy"}}


def free_udp_port() -> int:
    """A UDP port of the loopback that nobody has now."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_secrets(folder: Path) -> None:
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)


class AgentsHere:
    """Simulated agents in this process and its event loop. They say what UPS A's file says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ups.yaml"
        self._engines: list[Any] = []
        write_secrets(folder)
        (folder / "wrong").write_text("wrong-secret")
        self.say(lambda said: None)

    def say(self, change: Callable[[Json], object]) -> None:
        """The lab's file, changed, put there in one step."""
        said = yaml.safe_load((LAB / "ups-a.yaml").read_text())
        change(said)
        new = self.folder / "new.yaml"
        new.write_text(yaml.safe_dump(said))
        new.replace(self.file)

    def open(self, *, port: int = 0, access: Json | None = None) -> int:
        """Begin to answer. Returns the port."""
        if access is not None:
            self.say(lambda said: said.update(access=access))
        port = port or free_udp_port()
        self._engines.append(open_agent(self.file, port=port))
        return port

    def close(self) -> None:
        """End all of them. The event loop then closes the sockets."""
        for engine in self._engines:
            engine.close_dispatcher()
        self._engines.clear()


class Part:
    """One process, which can end and be started again."""

    def __init__(self, log: Path, *argv: str) -> None:
        self.argv = argv
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, *self.argv], stdout=log, stderr=log)

    def stop(self) -> int:
        """SIGTERM, as its user would. Returns the exit code."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.terminate()
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


class SimulatedUps(Part):
    """One UPS: its agent's process and the file of what it says."""

    def __init__(self, folder: Path, asset: str, *, access: Json) -> None:
        self.asset = asset
        self.access = access
        self.port = free_udp_port()
        self.file = folder / f"{asset}.yaml"
        self.say()
        super().__init__(
            folder / f"{asset}.log",
            *("-m", "examples.ups_snmp.agent", str(self.file), "--port", str(self.port)),
        )

    def say(self, name: str = "ups-a.yaml", **objects: int) -> None:
        """What a file of the lab says, with some objects changed; in one step."""
        said = yaml.safe_load((LAB / name).read_text())
        said["access"] = self.access
        said["objects"].update(objects)
        new = self.file.with_suffix(".new")
        new.write_text(yaml.safe_dump(said))
        new.replace(self.file)


class Gateway(Part):
    """The gateway's process, asking each 2 s."""

    def __init__(self, folder: Path, units: list[SimulatedUps], *, broker_port: int) -> None:
        config = {
            "province": "khanh-hoa",
            "gateway": "GW-LAB",
            "interval_s": 2,
            "timeout_s": 0.9,
            "broker": {"port": broker_port},
            "ups": [
                {"asset": unit.asset, "host": "127.0.0.1", "port": unit.port, **unit.access}
                for unit in units
            ],
        }
        path = folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(config))
        super().__init__(folder / "gateway.log", "-m", "examples.ups_snmp", str(path))


class Service(Part):
    """`ioc serve` with an inventory of UPSs, each on a site of its own, and its API."""

    def __init__(self, folder: Path, assets: list[str], *, broker_port: int) -> None:
        self.data_dir = folder / "data"
        self.http_port = free_port()
        inventory = folder / "inventory.json"
        where = {"commune": "22366", "lat": 12.24, "lon": 109.19}
        write_inventory(
            inventory,
            province="khanh-hoa",
            sites=[Site(id=f"S-{asset}", name=asset, **where) for asset in assets],  # type: ignore[arg-type]  # one dict for both
            assets=[
                Asset(
                    id=asset,
                    kind="ups",
                    name=asset,
                    province="khanh-hoa",
                    site=f"S-{asset}",
                    synthetic=True,
                    **where,  # type: ignore[arg-type]  # as above
                )
                for asset in assets
            ],
        )
        super().__init__(
            folder / "service.log",
            *("-m", "ioc.cli", "serve", "--data-dir", str(self.data_dir)),
            *("--inventory-file", str(inventory), "--http-port", str(self.http_port)),
            *("--broker-port", str(broker_port)),
        )

    def receives(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.http_port}/readyz", timeout=2
            ) as answer:
                return bool(json.load(answer)["stages"]["ingest"]["ready"])
        except (OSError, urllib.error.URLError):
            return False

    def api(self, path: str, *, body: object = None) -> Json:
        """The answer of an API call with the admin token."""
        token = (self.data_dir / "admin.token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: Json = json.load(answer)
            return found

    def values(self, asset: str) -> Json:
        """What the asset's page shows, by metric."""
        values = self.api(f"/api/v1/assets/{asset}")["values"]
        return {name: found["value"] for name, found in values.items()}

    def alarms(self, asset: str) -> dict[str, Json]:
        """The alarms that stand: of rules by the rule's id, of the UPS by the UPS's own."""
        items = self.api(f"/api/v1/alarms?state=raised&asset={asset}")["items"]
        return {item["external_id"] or item["source"]: item for item in items}

    def stored(self, asset: str) -> list[tuple[int, int]]:
        """(boot, seq) of every reading that is stored, in the order of time."""
        now_ms = time.time_ns() // 1_000_000
        answer = self.api(
            "/api/v1/query",
            body={
                "measurement": "ups",
                "columns": [{"metric": "boot"}, {"metric": "seq"}],
                "where": {"asset": [asset]},
                "start_ms": now_ms - 900_000,
                "stop_ms": now_ms + 60_000,
            },
        )
        at = {name: number for number, name in enumerate(answer["columns"])}
        return [(row[at["boot"]], row[at["seq"]]) for row in answer["rows"]]
