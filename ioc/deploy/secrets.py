"""The secrets of a deployment: made once, kept, and handed to those who need them.

The folder has ``admin/`` with every secret, for root alone, and a folder for each reader with
copies of what that one needs. Every container runs as a user of its own and can read its own copies
only. What is made from secrets (the broker's users, certificates) is written beside them.
"""

from __future__ import annotations

import re
import secrets as random_source
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ioc.config import read_secret
from ioc.deploy.brokers import (
    USERS,
    BrokerUser,
    gateway_user,
    mosquitto_acl,
    mosquitto_passwords,
    nats_users,
)
from ioc.deploy.private import Keeper, Owner, write_private
from ioc.errors import ConfigError
from ioc.notify.signing import Secret
from ioc.text import Text
from ioc.web.auth import new_token_secret

ADMIN = "admin"
# Who reads a folder, and as which user: those of the images, ours above 10000.
READERS: Mapping[str, Owner] = {
    name: Owner(uid=number, gid=number)
    for name, number in {
        "service": 10001,
        "nats": 10002,
        "simulators": 10003,
        "setup": 10004,
        "receiver": 10005,
        "influxdb": 1000,
        "mosquitto": 1883,
        "postgres": 70,
        "grafana": 472,
        "tls": 99,
    }.items()
}
AUTHORITY = Path(ADMIN, "tls", "ca.pem")
AUTHORITY_NAME = "tls-ca.pem"
AUTHORITY_TEXT = Text(
    vi="chứng chỉ gốc mà thiết bị phải tin khi dùng TLS (không phải bí mật)",
    en="with TLS, the authority that equipment has to trust (no secret)",
)
GATEWAY = re.compile(r"[A-Za-z0-9_-]{1,56}")


def random_password() -> str:
    """256 random bits that need no quoting in a URL, a shell or a configuration."""
    return random_source.token_urlsafe(32)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One secret: what it is for, how it is made, and its copies ``reader/file``."""

    name: str
    text: Text
    copies: tuple[str, ...] = ()
    make: Callable[[], str] = field(default=random_password, repr=False)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="grafana.password",
        text=Text(vi="mật khẩu của người dùng admin ở Grafana", en="Grafana's user admin"),
        copies=("grafana/admin.password",),
    ),
    Entry(
        name="grafana.key",
        text=Text(
            vi="khóa mà Grafana mã hóa cơ sở dữ liệu của nó", en="Grafana encrypts its database by"
        ),
        copies=("grafana/secret.key",),
    ),
    Entry(
        name="grafana-alerts.token",
        text=Text(
            vi="Grafana gửi cảnh báo của nó vào dịch vụ", en="Grafana reports its alerts to us by"
        ),
        copies=("grafana/alerts.token", "service/grafana.token"),
        make=new_token_secret,
    ),
    Entry(
        name="influxdb.password",
        text=Text(vi="mật khẩu của người dùng admin ở InfluxDB", en="InfluxDB's user admin"),
        copies=("influxdb/admin.password",),
    ),
    Entry(
        name="influxdb.token",
        text=Text(vi="mã quản trị InfluxDB", en="InfluxDB's operator token"),
        copies=("influxdb/admin.token", "setup/influxdb-admin.token"),
    ),
    Entry(
        name="postgres.password",
        text=Text(vi="mật khẩu của người dùng ioc ở PostgreSQL", en="PostgreSQL's user ioc"),
        copies=("postgres/password", "service/postgres.password"),
    ),
    Entry(
        name="mqtt-service.password",
        text=Text(vi="MQTT: dịch vụ (chỉ nhận)", en="MQTT: the service (receives)"),
        copies=("service/mqtt.password",),
    ),
    Entry(
        name="mqtt-simulators.password",
        text=Text(vi="MQTT: bộ mô phỏng", en="MQTT: the simulators"),
        copies=("simulators/mqtt.password",),
    ),
    Entry(
        name="mqtt-equipment.password",
        text=Text(
            vi="MQTT: thiết bị thật, người dùng equipment", en="MQTT: equipment, user equipment"
        ),
    ),
    Entry(
        name="webhook.secret",
        text=Text(vi="khóa ký webhook", en="webhooks are signed by"),
        copies=("service/webhook.secret", "receiver/webhook.secret"),
        make=lambda: Secret.new().reveal(),
    ),
)
# `ioc deploy influxdb` fills these in; each is for one reader.
TOKENS = ("service/influxdb.token", "grafana/influxdb.token")


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a run did: the names of secrets made new, and of those that were there."""

    new: tuple[str, ...]
    kept: tuple[str, ...]


def write_secrets(
    folder: Path,
    *,
    keeper: Keeper,
    gateways: Sequence[str] = (),
    renew: Sequence[str] = (),
) -> Written:
    """Make what is missing, and write every reader's copies anew.

    ``gateways`` get a broker user each, who may speak for that gateway only. ``renew`` are names of
    secrets to be made again; whoever uses them has to be told (docs/deploy.md). Raises
    ``ConfigError`` for a name that is none, or a folder that cannot be written.
    """
    entries = (*ENTRIES, *map(_gateway_entry, gateways))
    unknown = sorted(set(renew) - {entry.name for entry in entries})
    if unknown:
        raise ConfigError(f"--renew {unknown[0]}: no such secret; see: ioc deploy show")
    admin = folder / ADMIN
    try:
        admin.mkdir(parents=True, exist_ok=True, mode=0o700)
        admin.chmod(0o700)
        # Nothing here is secret but what the files hold.
        folder.chmod(0o755 if keeper.gives else 0o700)
        for reader in READERS:
            keeper.folder(folder / reader, reader)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}") from error
    values, new = {}, []
    for entry in entries:
        path = admin / entry.name
        if entry.name in renew or not path.exists():
            write_private(path, entry.make() + "\n", mode=0o600)
            new.append(entry.name)
        values[entry.name] = read_secret(path, name=entry.name)
        for copy in entry.copies:
            keeper.write(folder / copy, values[entry.name] + "\n", copy.partition("/")[0])
    for token in TOKENS:
        keeper.leave_empty(folder / token, writer="setup", reader=token.partition("/")[0])
    _write_broker_users(folder, values, gateways, keeper)
    return Written(
        new=tuple(new), kept=tuple(entry.name for entry in entries if entry.name not in new)
    )


def _gateway_entry(gateway: str) -> Entry:
    if not GATEWAY.fullmatch(gateway):
        raise ConfigError(f"--gateway {gateway!r}: letters, digits, _ and -, at most 56 characters")
    user = gateway_user(gateway).name
    return Entry(
        name=f"mqtt-{user}.password",
        text=Text(vi=f"MQTT: người dùng {user}", en=f"MQTT: user {user}"),
    )


def _write_broker_users(
    folder: Path, values: Mapping[str, str], gateways: Sequence[str], keeper: Keeper
) -> None:
    users: list[BrokerUser] = [*USERS, *map(gateway_user, gateways)]
    passwords = {user.name: values[f"mqtt-{user.name}.password"] for user in users}
    keeper.write(folder / "nats" / "users.conf", nats_users(users, passwords), "nats")
    keeper.write(folder / "mosquitto" / "passwords", mosquitto_passwords(passwords), "mosquitto")
    keeper.write(folder / "mosquitto" / "acl", mosquitto_acl(users), "mosquitto")


def known_secrets(folder: Path) -> list[tuple[str, Text]]:
    """What ``find_secret`` gives of a folder, with what each is for.

    Raises ``ConfigError`` when it cannot be listed.
    """
    try:
        there = {path.name for path in (folder / ADMIN).iterdir() if path.suffix != ".new"}
        authority = (folder / AUTHORITY).exists()
    except OSError as error:
        raise ConfigError(
            f"{folder / ADMIN}: {error.strerror or error}; only root reads it, and "
            "`ioc deploy secrets` makes it"
        ) from error
    found = [(entry.name, entry.text) for entry in ENTRIES if entry.name in there]
    for name in sorted(there):
        gateway = name.removeprefix("mqtt-gateway-").removesuffix(".password")
        if name == f"mqtt-gateway-{gateway}.password":
            found.append((name, _gateway_entry(gateway).text))
    if authority:
        found.append((AUTHORITY_NAME, AUTHORITY_TEXT))
    return found


def find_secret(folder: Path, name: str) -> str:
    """One secret's value. Raises ``ConfigError`` for a name that is none."""
    if name not in dict(known_secrets(folder)):
        raise ConfigError(f"{name}: no such secret; see: ioc deploy show")
    path = folder / (AUTHORITY if name == AUTHORITY_NAME else Path(ADMIN, name))
    return read_secret(path, name=name)
