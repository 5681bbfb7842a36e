"""The certificate that the broker is reached under with TLS: the user's own, or one of a small
certificate authority made here by the ``openssl`` program."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ioc.deploy.private import Keeper, write_private
from ioc.errors import ConfigError

AUTHORITY_DAYS = 3650
# Longer ones are refused by some clients.
SERVER_DAYS = 397
RENEW_BEFORE_S = 30 * 24 * 3600
_NAME = re.compile(r"(?!-)[A-Za-z0-9.-]{1,253}")


def write_certificate(
    folder: Path, *, keeper: Keeper, names: Sequence[str], own: Path | None
) -> str:
    """Write ``tls/server.pem`` (certificate and key) and say in a word where it is from.

    ``own`` is a PEM file with certificate chain and private key; when it is None or not there, a
    certificate for ``names`` is made, by an authority whose ``tls/ca.pem`` the equipment has to
    trust, and made again 30 days before it ends or for other names. Raises ``ConfigError``.
    """
    target = folder / "tls" / "server.pem"
    if own is not None and own.exists():
        try:
            content = own.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{own}: cannot be read: {error}") from error
        if "PRIVATE KEY-----" not in content or "BEGIN CERTIFICATE-----" not in content:
            raise ConfigError(f"{own}: expected the certificate chain and its private key, as PEM")
        keeper.write(target, content, "tls")
        return "own"
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"--tls-name {name!r}: expected a host name or an IP address")
    admin = folder / "admin" / "tls"
    admin.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _authority(admin)
    server = admin / "server.pem"
    wanted = ",".join(sorted(names))
    if not _is_good(server, admin / "names", wanted, authority):
        write_private(server, _sign(admin, names), mode=0o600)
        write_private(admin / "names", wanted, mode=0o600)
    keeper.write(target, server.read_text(encoding="ascii"), "tls")
    keeper.write(folder / "tls" / "ca.pem", authority.read_text(encoding="ascii"), "tls")
    return "made"


def _authority(admin: Path) -> Path:
    """The authority's certificate; key and certificate are made at the first call."""
    certificate, key = admin / "ca.pem", admin / "ca.key"
    if not (certificate.exists() and key.exists()):
        with tempfile.TemporaryDirectory() as scratch:
            made_key, made = Path(scratch, "key"), Path(scratch, "certificate")
            _openssl(
                *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-nodes", "-days", str(AUTHORITY_DAYS), "-subj", "/CN=IOC broker authority"),
                *("-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"),
                *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
                *("-keyout", str(made_key), "-out", str(made)),
            )
            write_private(key, made_key.read_text(), mode=0o600)
            write_private(certificate, made.read_text(), mode=0o600)
    return certificate


def _is_good(server: Path, names: Path, wanted: str, authority: Path) -> bool:
    if not server.exists() or not names.exists() or names.read_text() != wanted:
        return False
    ends = ("x509", "-in", str(server), "-noout", "-checkend", str(RENEW_BEFORE_S))
    signed = ("verify", "-CAfile", str(authority), str(server))
    return all(_run(*words).returncode == 0 for words in (ends, signed))


def _sign(admin: Path, names: Sequence[str]) -> str:
    """A new key with its certificate, for these names."""
    with tempfile.TemporaryDirectory() as scratch:
        key, request = Path(scratch, "key"), Path(scratch, "request")
        certificate, extensions = Path(scratch, "certificate"), Path(scratch, "extensions")
        extensions.write_text(
            f"subjectAltName={','.join(map(_alternative, names))}\n"
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth\n"
        )
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={names[0][:64]}", "-keyout", str(key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", str(SERVER_DAYS)),
            *("-CA", str(admin / "ca.pem"), "-CAkey", str(admin / "ca.key")),
            *("-CAcreateserial", "-CAserial", str(Path(scratch, "serial"))),
            *("-extfile", str(extensions), "-out", str(certificate)),
        )
        return certificate.read_text() + key.read_text()


def _alternative(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return f"DNS:{name}"
    return f"IP:{name}"


def _openssl(*words: str) -> None:
    done = _run(*words)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ConfigError(f"openssl {words[0]}: {last}")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("openssl")
    if program is None:
        raise ConfigError("openssl: not found; on Debian: apt-get install openssl")
    return subprocess.run(  # noqa: S603  # our own words
        [program, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
