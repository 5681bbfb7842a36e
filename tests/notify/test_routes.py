"""Routes files and keys, read and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ioc.errors import ConfigError, FileError
from ioc.notify.keys import create_secret_file, read_secrets
from ioc.notify.routes import load_routes, webhook_route
from tests.notify.parts import alarm


def write(folder: Path, text: str) -> Path:
    path = folder / "routes.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    create_secret_file(tmp_path / "new.key")
    create_secret_file(tmp_path / "old.key")
    routes = load_routes(
        write(
            tmp_path,
            """
routes:
  - name: noc
    url: https://noc.example.vn/hooks/ioc?team=1
    secret_files: [new.key, old.key]
    match: {severities: [critical, major], kinds: [bts, span], communes: ["22366"]}
    send_resolved: false
    timeout_s: 20
  - {name: all, url: "http://10.0.0.5:9099/", secret_file: new.key, allow_private: true}
""",
        )
    )
    noc, everything = routes
    assert (noc.name, noc.timeout_s, noc.send_resolved, noc.allow_private) == (
        "noc",
        20,
        False,
        False,
    )
    assert len(noc.secrets) == 2
    assert everything.allow_private
    assert everything.match.fits(alarm(severity="warning", kind="ups"))
    assert noc.match.fits(alarm())
    assert not noc.match.fits(alarm(severity="minor"))
    assert not noc.match.fits(alarm(kind="ups"))
    assert not noc.match.fits(alarm(commune="1"))


def test_no_file_is_no_routes() -> None:
    assert load_routes(None) == ()


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{name: a, url: 'ftp://x/', secret_file: k}", "3: routes.0.url: .*http:// or https://"),
        ("{name: a, url: 'http:///x', secret_file: k}", "names no host"),
        ("{name: a, url: 'http://u:p@x/', secret_file: k}", "holds a user or password"),
        ("{name: a, url: 'http://x/#y', secret_file: k}", "fragment"),
        ("{name: a, url: 'http://x:99999/', secret_file: k}", "routes.0.url"),
        ("{name: A B, url: 'http://x/', secret_file: k}", "routes.0.name"),
        ("{name: a, url: 'http://x/'}", "secret_file or secret_files"),
        ("{name: a, url: 'http://x/', secret_file: k, secret_files: [k]}", "secret_file or"),
        ("{name: a, url: 'http://x/', secret_file: k, secret: whsec_x}", "routes.0.secret"),
        ("{name: a, url: 'http://x/', secret_file: k, timeout_s: 31}", "routes.0.timeout_s"),
        ("{name: a, url: 'http://x/', secret_file: k, match: {severities: [bad]}}", "severities"),
    ],
)
def test_a_fault_names_file_line_and_field(tmp_path: Path, entry: str, fault: str) -> None:
    create_secret_file(tmp_path / "k")
    path = write(tmp_path, f"\nroutes:\n  - {entry}\n")
    with pytest.raises(FileError, match=fault) as caught:
        load_routes(path)
    assert "routes.yaml:" in str(caught.value)


def test_a_name_may_not_be_given_twice(tmp_path: Path) -> None:
    entry = "{name: a, url: 'http://x/', secret_file: k}"
    with pytest.raises(FileError, match="given twice: a"):
        load_routes(write(tmp_path, f"routes: [{entry}, {entry}]"))


def test_every_bad_secret_file_is_named_and_none_is_shown(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("whsec_c2hvcnQ=")
    path = write(
        tmp_path,
        "routes: [{name: a, url: 'http://x/', secret_file: short},"
        " {name: b, url: 'http://x/', secret_file: absent}]",
    )
    with pytest.raises(FileError) as caught:
        load_routes(path)
    text = str(caught.value)
    assert "route a" in text
    assert "short: webhook secret: 5 bytes" in text
    assert "absent: cannot be read" in text
    assert "c2hvcnQ" not in text


def test_a_key_file_others_may_read_is_warned_of_once_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "open.key"
    secret = create_secret_file(path)
    with capture_logs() as quiet:
        read_secrets([path])
    assert quiet == []
    path.chmod(0o644)
    with capture_logs() as logs:
        read_secrets([path])
    assert [(line["event"], line["mode"]) for line in logs] == [
        ("secret file can be read by others", "0644")
    ]
    assert secret.reveal()[6:] not in str(logs)


def test_a_key_file_may_hold_several_lines_up_to_four(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    lines = [create_secret_file(tmp_path / f"{n}").reveal() for n in range(5)]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines[:4]) + "\n\n")
    assert [secret.reveal() for secret in read_secrets([path])] == lines[:4]
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="5 keys"):
        read_secrets([path])
    path.write_text("\n")
    with pytest.raises(ConfigError, match="0 keys"):
        read_secrets([path])
    path.write_text("w" * 5000)
    with pytest.raises(ConfigError, match="more than 4096"):
        read_secrets([path])


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "noc.key"
    first = create_secret_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="never overwritten"):
        create_secret_file(path)
    assert read_secrets([path])[0].reveal() == first.reveal()
    with pytest.raises(ConfigError, match="cannot be written"):
        create_secret_file(tmp_path / "no" / "folder")


def test_the_route_of_the_command_line(tmp_path: Path) -> None:
    create_secret_file(tmp_path / "k")
    route = webhook_route("http://127.0.0.1:9099/", tmp_path / "k", allow_private=True)
    assert (route.name, route.send_resolved, route.allow_private) == ("webhook", True, True)
    with pytest.raises(ConfigError, match="--webhook file:///etc/passwd: expected http"):
        webhook_route("file:///etc/passwd", tmp_path / "k")
