"""The broker's certificate: made once, good for its names, or the user's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ioc.deploy.private import Keeper
from ioc.deploy.secrets import READERS
from ioc.deploy.tls import write_certificate
from ioc.errors import ConfigError

NAMES = ("mqtt.example.vn", "192.0.2.7")


def write(folder: Path, *, names: tuple[str, ...] = NAMES, own: Path | None = None) -> str:
    keeper = Keeper(READERS)
    keeper.folder(folder / "tls", "tls")
    return write_certificate(folder, keeper=keeper, names=names, own=own)


def verified(folder: Path, *words: str) -> bool:
    done = subprocess.run(
        [
            *("openssl", "verify", "-CAfile", str(folder / "tls" / "ca.pem"), "-purpose"),
            *("sslserver", *words, str(folder / "tls" / "server.pem")),
        ],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_it_is_good_for_its_names_and_no_other(tmp_path: Path) -> None:
    assert write(tmp_path) == "made"
    assert verified(tmp_path, "-verify_hostname", "mqtt.example.vn")
    assert verified(tmp_path, "-verify_ip", "192.0.2.7")
    assert not verified(tmp_path, "-verify_hostname", "other.example.vn")
    assert verified(tmp_path, "-attime", str(_in_days(390)))
    assert not verified(tmp_path, "-attime", str(_in_days(400)))


def _in_days(days: int) -> int:
    import time

    return int(time.time()) + days * 24 * 3600


def test_it_is_kept_until_the_names_change(tmp_path: Path) -> None:
    write(tmp_path)
    first = (tmp_path / "tls" / "server.pem").read_text()
    authority = (tmp_path / "tls" / "ca.pem").read_text()
    write(tmp_path, names=NAMES[::-1])
    assert (tmp_path / "tls" / "server.pem").read_text() == first
    write(tmp_path, names=("mqtt2.example.vn",))
    assert verified(tmp_path, "-verify_hostname", "mqtt2.example.vn")
    # Equipment that trusts the authority goes on.
    assert (tmp_path / "tls" / "ca.pem").read_text() == authority


def test_the_users_own_is_used_when_it_is_there(tmp_path: Path) -> None:
    own = tmp_path / "server.pem"
    assert write(tmp_path, own=own) == "made"
    own.write_text((tmp_path / "tls" / "server.pem").read_text())
    write(tmp_path, names=("other",))
    assert write(tmp_path, own=own) == "own"
    assert (tmp_path / "tls" / "server.pem").read_text() == own.read_text()
    own.write_text("-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match=r"server\.pem: expected the certificate chain and its"):
        write(tmp_path, own=own)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\nsubjectAltName=DNS:b", "a,DNS:b"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--tls-name"):
        write(tmp_path, names=(name,))
