"""docs/deploy.md: units, settings and commands as they stand there are tried."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import yaml
from typer.testing import CliRunner

from ioc.commands.deploy import app
from ioc.config import Settings, load_settings
from tests.deploy import compose
from tests.servers import find_program, free_port
from tests.servers_postgres import Postgres, start_postgres

TEXT = (compose.CHECKOUT / "docs" / "deploy.md").read_text(encoding="utf-8")


def block(language: str, beginning: str) -> str:
    """The fenced block of a language that holds ``beginning``."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    (found,) = [text for text in blocks if beginning in text]
    return str(found)


@pytest.mark.parametrize("unit", ["ioc.service", "ioc-nats.service"])
def test_systemd_takes_the_units(unit: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    text = block("ini", f"# /etc/systemd/system/{unit}\n")
    # The programs are in this checkout, and user and group are the tests' own.
    scripts = Path(sys.executable).parent
    text = text.replace("/opt/ioc/.venv/bin", str(scripts))
    text = re.sub(r"^User=.*", "User=root", text, flags=re.MULTILINE)
    path = tmp_path / unit
    path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:/lib/systemd/system"},
    )
    assert done.returncode == 0, done.stderr
    assert unit not in done.stderr, done.stderr
    broken = tmp_path / f"broken-{unit}"
    broken.write_text(text.replace("ExecStart=", "ExecStrat="))
    refused = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(broken)],
        capture_output=True,
        check=False,
    )
    assert refused.returncode != 0


def test_the_service_takes_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = dict(
        line.split("=", 1)
        for line in block("sh", "# /etc/ioc/ioc.env\n").splitlines()
        if not line.startswith("#")
    )
    settings = {f"IOC_{name.upper()}" for name in Settings.model_fields}
    assert given.keys() - settings == {"MALLOC_ARENA_MAX"}
    secret = tmp_path / "password"
    secret.write_text("of-a-test")
    for name, value in given.items():
        file = str(secret) if name.endswith("_FILE") else value
        monkeypatch.setenv(name, file)
    loaded = load_settings()
    assert loaded.state_url == "postgresql+psycopg://ioc:of-a-test@127.0.0.1/ioc"
    assert loaded.console_url == "https://ioc.example.vn"
    # The same files as the stack's service, below another folder.
    stack = compose.read()["service"].environment
    for name in ("IOC_BROKER_PASSWORD_FILE", "IOC_STATE_PASSWORD_FILE", "IOC_GRAFANA_TOKEN_FILE"):
        assert given[name] == stack[name].replace("/run/ioc", "/etc/ioc")


def test_the_brokers_configuration_is_made_from_the_stacks(tmp_path: Path) -> None:
    """The `sed` of the page, with /etc and /var below the test's folder."""
    etc, data = tmp_path / "etc", tmp_path / "data"
    etc.mkdir()
    done = CliRunner().invoke(app, ["secrets", "--folder", str(etc / "secrets")])
    assert done.exception is None, done.output
    command = block("sh", "sed -e").strip()
    for here, there in {
        "/var/lib/ioc-nats": str(data),
        "/opt/ioc": str(compose.CHECKOUT),
        "sudo tee /etc/ioc/nats.conf": f"tee {etc}/nats.conf",
    }.items():
        assert here in command
        command = command.replace(here, there)
    subprocess.run(["sh", "-euc", command], check=True, capture_output=True)
    text = (etc / "nats.conf").read_text()
    for port in ("1883", "8222"):
        text = re.sub(rf"\b{port}\b", str(free_port()), text)
    (etc / "nats.conf").write_text(text)
    assert 'host: "127.0.0.1"\n  port' in text
    program = find_program("nats-server")
    assert program is not None
    done_check = subprocess.run(
        [str(program), "-t", "--config", str(etc / "nats.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done_check.returncode == 0, done_check.stderr


def test_postgresqls_role_gets_the_password_from_its_file(tmp_path: Path) -> None:
    """Both pieces of SQL: the role made, and its password changed."""
    if Postgres.missing():
        pytest.skip(Postgres.missing())
    secret = tmp_path / "password"
    made, changed = (
        re.findall(r"<<'SQL'\n(.*?)^SQL$", TEXT, re.DOTALL | re.MULTILINE)[index]
        for index in (0, 1)
    )
    assert "CREATE ROLE" in made
    assert "ALTER ROLE" in changed
    with start_postgres() as server:  # its own administrator is called ioc
        for script, password in ((made, "first-password"), (changed, "second-password")):
            secret.write_text(password + "\n")
            text = re.sub(r"\bioc\b(?!/)", "ioc_docs", script)
            # Last: the test's own folder may have "ioc" in its name.
            text = re.sub(r"/\w+/ioc/secrets/postgres/password", str(secret), text)
            done = subprocess.run(
                [
                    *("psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", server.host),
                    *("-p", str(server.port), "-U", server.user, "-d", "postgres"),
                ],
                input=text,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"PGPASSWORD": server.password},
            )
            assert done.returncode == 0, done.stderr
            psycopg.connect(
                host=server.host,
                port=server.port,
                user="ioc_docs",
                password=password,
                dbname="ioc_docs",
            ).close()


def test_the_override_is_about_services_that_are_there() -> None:
    text = block("yaml", "# docker-compose.override.yml").replace("!override", "")
    services = compose.read()
    for name, content in yaml.safe_load(text)["services"].items():
        assert set(content.get("environment", {})) <= set(services[name].environment)
        if "command" in content:
            words = {word.partition("=")[0] for word in services[name].command}
            assert {word.partition("=")[0] for word in content["command"]} <= words


def test_every_command_and_file_it_names_exists() -> None:
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (compose.CHECKOUT / "docs" / name).exists(), name
    for name in re.findall(r"ioc deploy (\w+)", TEXT):
        done = CliRunner().invoke(app, [name, "--help"])
        assert done.exit_code == 0, name
    shown = set(re.findall(r"ioc deploy show ([\w.-]+\w)", TEXT))
    listed = {"mqtt-equipment.password", "mqtt-service.password", "grafana.password"}
    assert listed <= shown
