"""Every secret is made once and can be read by its reader alone."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ioc.commands.deploy import app
from ioc.deploy.private import Keeper, Owner, parse_owner
from ioc.deploy.secrets import (
    AUTHORITY_NAME,
    ENTRIES,
    READERS,
    TOKENS,
    known_secrets,
    write_secrets,
)
from ioc.errors import ConfigError
from ioc.notify.keys import read_secrets
from tests.deploy.rights import AS_ROOT, can_read

COPIES = [(copy, copy.partition("/")[0]) for entry in ENTRIES for copy in entry.copies]
WRITTEN = [
    *COPIES,
    *((token, token.partition("/")[0]) for token in TOKENS),
    ("nats/users.conf", "nats"),
    ("mosquitto/passwords", "mosquitto"),
    ("mosquitto/acl", "mosquitto"),
    ("tls/server.pem", "tls"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may reach, as a volume is; the tests' own are closed to them."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made, "secrets")


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None:
        raise done.exception
    return done.output


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_made_once_and_kept_and_none_is_on_the_screen(folder: Path) -> None:
    first = run("secrets", "--folder", str(folder), "--gateways", "gw-01")
    made = contents(folder)
    again = run("secrets", "--folder", str(folder), "--gateways", "gw-01")
    after = contents(folder)
    salted = "mosquitto/passwords"
    assert {k: v for k, v in after.items() if k != salted} == {
        k: v for k, v in made.items() if k != salted
    }
    names = [name for name, _ in known_secrets(folder) if name != AUTHORITY_NAME]
    values = [made[f"admin/{name}"].strip() for name in names]
    assert len(set(values)) == len(values) == len(ENTRIES) + 1
    assert min(map(len, values)) >= 43
    for value in values:
        assert value not in first + again
    assert "11 new, 0 kept" in first
    assert "0 new, 11 kept" in again
    for copy, _ in COPIES:
        name = next(entry.name for entry in ENTRIES if copy in entry.copies)
        assert made[copy] == made[f"admin/{name}"]


def test_a_secret_is_renewed_and_only_that_one(folder: Path) -> None:
    run("secrets", "--folder", str(folder))
    before = contents(folder)
    assert "1 new, 9 kept" in run(
        "secrets", "--folder", str(folder), "--renew", "mqtt-service.password"
    )
    after = contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "admin/mqtt-service.password",
        "service/mqtt.password",
        "nats/users.conf",
        "mosquitto/passwords",
    }
    with pytest.raises(ConfigError, match="--renew nonsense: no such secret"):
        run("secrets", "--folder", str(folder), "--renew", "nonsense")


def test_tokens_that_were_filled_in_are_kept(folder: Path) -> None:
    run("secrets", "--folder", str(folder))
    for token in TOKENS:
        assert (folder / token).read_text() == ""
        (folder / token).write_text("filled in\n")
    run("secrets", "--folder", str(folder))
    assert {(folder / token).read_text() for token in TOKENS} == {"filled in\n"}


def test_each_is_for_its_reader_alone(folder: Path) -> None:
    """As root: read by each user in turn, with the kernel as the judge."""
    run("secrets", "--folder", str(folder))
    if not AS_ROOT:
        modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
        assert modes <= {0o600, 0o700}
        return
    for file, reader in WRITTEN:
        allowed = {name for name, who in READERS.items() if can_read(folder / file, who)}
        assert allowed == ({reader, "setup"} if file in TOKENS else {reader}), file
    for path in (folder / "admin").rglob("*"):
        assert not any(can_read(path, who) for who in READERS.values() if path.is_file()), path


@pytest.mark.skipif(not AS_ROOT, reason="only root can be another user")
def test_setup_fills_its_tokens_in_and_nobody_elses(folder: Path) -> None:
    run("secrets", "--folder", str(folder))

    def writes(file: str) -> bool:
        who = READERS["setup"]
        done = subprocess.run(
            ["/bin/sh", "-c", f"echo x > {folder / file}"],
            user=who.uid,
            group=who.gid,
            extra_groups=[],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode == 0

    assert [file for file, _ in WRITTEN if writes(file)] == list(TOKENS)


def test_the_webhook_key_is_one(folder: Path) -> None:
    run("secrets", "--folder", str(folder))
    (key,) = read_secrets([folder / "service" / "webhook.secret"])
    assert key.reveal() + "\n" == (folder / "receiver" / "webhook.secret").read_text()


def test_show_gives_one_alone(folder: Path) -> None:
    run("secrets", "--folder", str(folder), "--gateways", "gw-01, gw-02")
    listed = run("show", "--folder", str(folder))
    value = (folder / "admin" / "grafana.password").read_text()
    assert run("show", "grafana.password", "--folder", str(folder)) == value
    assert value.strip() not in listed
    assert "mqtt-gateway-gw-02.password" in listed
    assert run("show", "tls-ca.pem", "--folder", str(folder)).startswith("-----BEGIN CERTIFICATE")
    with pytest.raises(ConfigError, match="no such secret"):
        run("show", "../service/mqtt.password", "--folder", str(folder))


def test_folders_are_handed_over(folder: Path, tmp_path: Path) -> None:
    run("secrets", "--folder", str(folder), "--give", f"nats={tmp_path / 'new'}")
    owner = READERS["nats"].uid if AS_ROOT else os.geteuid()
    assert (tmp_path / "new").stat().st_uid == owner
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if AS_ROOT:
        os.chown(theirs, 1234, 1234)
        run("secrets", "--folder", str(folder), "--give", f"nats={theirs}")
        assert theirs.stat().st_uid == 1234
    with pytest.raises(ConfigError, match="reader 'nat': expected one of grafana, influxdb"):
        run("secrets", "--folder", str(folder), "--give", f"nat={tmp_path / 'new'}")
    with pytest.raises(ConfigError, match="--give 'nats': expected NAME=VALUE"):
        run("secrets", "--folder", str(folder), "--give", "nats")


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("70", Owner(uid=70, gid=70)),
        ("70:71", Owner(uid=70, gid=71)),
        ("root", Owner(uid=0, gid=0)),
    ],
)
def test_owners(text: str, owner: Owner) -> None:
    assert parse_owner(text) == owner


def test_an_owner_that_does_not_exist_is_said() -> None:
    with pytest.raises(ConfigError, match="nobody-of-that-name"):
        parse_owner("nobody-of-that-name")


def test_a_gateway_with_a_name_that_is_none_is_refused(folder: Path) -> None:
    for name in ("gw/01", "#", "+", "g" * 57):
        with pytest.raises(ConfigError, match="--gateway"):
            write_secrets(folder, keeper=Keeper(READERS), gateways=[name])
