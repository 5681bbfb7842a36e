"""docker-compose.yml: what can be said of it without starting anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ioc.config import Settings
from ioc.deploy.secrets import ENTRIES, READERS, TOKENS
from tests.deploy import compose

SERVICES = compose.read()
STEPS = {"init", "province", "influxdb-setup"}
DOCKERFILE = (compose.CHECKOUT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def converted() -> str:
    """The file as Debian's docker-compose reads it, after it checked it by its own schema."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed (Debian: apt-get install docker-compose)")
    done = subprocess.run(
        [program, "-f", str(compose.FILE), "config"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compose_reads_it_as_the_tests_do(converted: str) -> None:
    """Commands, environment, users, mounts: what the other tests start is what compose starts."""
    theirs: dict[str, dict[str, Any]] = yaml.safe_load(converted)["services"]
    assert theirs.keys() == SERVICES.keys()
    for name, service in SERVICES.items():
        found = theirs[name]
        assert found["image"] == service.image
        assert found["user"] == f"{service.uid}:{service.gid}"
        assert tuple(found.get("command", ())) == service.command
        environment = {k: v.replace("$$", "$") for k, v in found.get("environment", {}).items()}
        assert environment == dict(service.environment)
        assert tuple(found.get("profiles", ())) == service.profiles
        mounts = {
            f"{mount.source}:{mount.target}:{'ro' if mount.read_only else 'rw'}"
            for mount in service.mounts
        }
        assert set(found["volumes"]) == mounts
        assert (
            {other: condition["condition"] for other, condition in found["depends_on"].items()}
            == dict(service.depends_on)
            if service.depends_on
            else "depends_on" not in found
        )


def test_no_secret_is_in_the_file_or_what_compose_shows_of_it(converted: str) -> None:
    """Where a secret is needed a file is named; nothing looks like one itself."""
    for name, service in SERVICES.items():
        for key, value in service.environment.items():
            if re.search(r"PASSWORD|TOKEN|SECRET|KEY", key):
                assert re.match(r"(\$__file\{)?/run/ioc/secrets", value), (name, key)
    assert not re.search(r"ioc_[\w-]{40}|whsec_|[A-Za-z0-9_-]{43}", converted)


def test_images_are_exact() -> None:
    for service in SERVICES.values():
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?(-alpine)?", service.image), service.image
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in stages:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-slim|[a-z]+:\d+\.\d+\.\d+-\w+-slim", image) or (
            re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-slim-\w+", image)
        ), image


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_has_the_least_it_needs(name: str) -> None:
    service = SERVICES[name].raw
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "/tmp" in service["tmpfs"]
    assert service["logging"]["options"]["max-size"]
    limits = service["deploy"]["resources"]["limits"]
    assert limits["memory"]
    assert float(limits["cpus"]) <= 2  # no machine of the sizes in docs/deploy.md has fewer
    if name == "init":
        assert service["user"] == "0:0"
        assert service["cap_add"] == ["CHOWN", "DAC_READ_SEARCH"]
        assert service["network_mode"] == "none"
    else:
        assert SERVICES[name].uid != 0
        assert "cap_add" not in service
    for mount in SERVICES[name].mounts:
        if mount.source == "secrets" and name not in ("init", "influxdb-setup"):
            assert mount.read_only
        if isinstance(mount.source, Path):
            assert mount.read_only


def test_each_runs_as_the_reader_its_secrets_are_for() -> None:
    reader_of = {"influxdb-setup": "setup", "province": "simulators"}
    for name, service in SERVICES.items():
        if name == "init":
            continue
        owner = READERS[reader_of.get(name, name)]
        assert (service.uid, service.gid) == (owner.uid, owner.gid), name


def test_every_secret_that_is_named_is_made() -> None:
    made = {copy for entry in ENTRIES for copy in entry.copies} | set(TOKENS)
    made |= {"nats/users.conf", "mosquitto/passwords", "mosquitto/acl", "tls/server.pem"}
    files = [mount.source for service in SERVICES.values() for mount in service.mounts]
    texts = [path.read_text() for path in files if isinstance(path, Path) and path.is_file()]
    texts.append(compose.FILE.read_text())
    named = {
        found for text in texts for found in re.findall(r"run/ioc/secrets/([\w-]+/[\w.-]+)", text)
    }
    assert made == named, "made for nobody"


def test_it_starts_in_the_order_of_need() -> None:
    for name, service in SERVICES.items():
        for other, condition in service.depends_on.items():
            if other in STEPS:
                assert condition == "service_completed_successfully"
            elif other == "receiver":  # whoever receives webhooks may be away
                assert condition == "service_started"
            else:
                assert condition == "service_healthy"
                assert SERVICES[other].healthcheck
        after: set[str] = set()
        waiting = [name]
        while waiting:
            needed = set(SERVICES[waiting.pop()].depends_on) - after
            after |= needed
            waiting += needed
        assert name not in after
        assert name == "init" or "init" in after
    # Messages that are acknowledged before the service has subscribed are gone.
    assert SERVICES["simulators"].depends_on == {"service": "service_healthy"}
    # `up --wait` waits for the end of a step only if another one does.
    awaited = {other for service in SERVICES.values() for other in service.depends_on}
    assert awaited >= STEPS


def test_what_runs_on_is_watched_and_started_again() -> None:
    unwatched = {"simulators", "receiver"}  # they end when they cannot work
    for name, service in SERVICES.items():
        if name in STEPS:
            assert service.raw["restart"] == "no"
            continue
        assert service.raw["restart"] == "unless-stopped"
        disabled = service.raw["healthcheck"].get("disable", False)
        assert disabled == (name in unwatched)


def test_a_secret_is_renewed_with_what_it_was_made_with() -> None:
    """`docker compose run init ioc deploy secrets --renew …`: another command, the same
    environment."""
    assert not [word for word in SERVICES["init"].command if re.match("--(gat|tls)", word)]
    assert {"IOC_GATEWAYS", "IOC_TLS_NAMES", "IOC_TLS_CERTIFICATE"} <= set(
        SERVICES["init"].environment
    )


def test_only_this_machine_reaches_it_until_told_otherwise() -> None:
    for name, service in SERVICES.items():
        for port in service.ports:
            assert port.startswith("127.0.0.1:")
            assert "outside" in service.raw["networks"]
        if not service.ports:
            assert service.raw.get("network_mode") == "none" or list(service.raw["networks"]) == [
                "inside"
            ], name
    assert compose.raw()["networks"]["inside"] == {"internal": True}
    published = {port for service in SERVICES.values() for port in service.ports}
    assert published == {f"127.0.0.1:{port}:{port}" for port in ("1883", "8080", "3000", "8883")}
    opened = compose.read({"IOC_BIND": "192.0.2.7", "IOC_HTTP_PORT": "80"})
    assert opened["service"].ports == ("192.0.2.7:80:8080",)


def test_one_broker_under_one_name() -> None:
    brokers = [name for name, service in SERVICES.items() if "1883:1883" in str(service.ports)]
    assert brokers == ["nats", "mosquitto"]
    for name in brokers:
        assert SERVICES[name].profiles == (name,)
        assert SERVICES[name].raw["networks"]["inside"] == {"aliases": ["broker"]}
        # Either may be the one that does not run.
        assert all(name not in service.depends_on for service in SERVICES.values())
    assert compose.dot_env()["COMPOSE_PROFILES"] == "nats"
    assert {p for service in SERVICES.values() for p in service.profiles} == {*brokers, "tls"}


def test_the_services_settings_exist() -> None:
    settings = {f"IOC_{name.upper()}" for name in Settings.model_fields}
    given = set(SERVICES["service"].environment)
    assert given - settings == {"IOC_URL", "MALLOC_ARENA_MAX"}


def test_grafana_has_the_variables_that_its_files_ask_for() -> None:
    folder = compose.CHECKOUT / "dashboards" / "grafana" / "provisioning"
    asked = {
        name
        for path in folder.rglob("*.yaml")
        for name in re.findall(r"\$\{(IOC_\w+)\}", path.read_text())
    }
    given = {name for name in SERVICES["grafana"].environment if name.startswith("IOC_")}
    assert asked == given
    targets = {str(mount.target): mount.source for mount in SERVICES["grafana"].mounts}
    assert targets["/etc/grafana/provisioning"] == folder
    boards = targets["/var/lib/ioc/boards"]
    assert isinstance(boards, Path)
    providers = yaml.safe_load((folder / "dashboards" / "ioc.yaml").read_text())["providers"]
    for provider in providers:
        path = Path(provider["options"]["path"])
        assert list((boards / path.relative_to("/var/lib/ioc/boards")).glob("*.json"))


def test_variables_are_in_the_documentation() -> None:
    text = (compose.CHECKOUT / "docs" / "deploy.md").read_text()
    used = set(re.findall(r"\$\{(\w+)", compose.FILE.read_text())) | compose.dot_env().keys()
    assert [name for name in sorted(used) if f"`{name}" not in text] == []


def test_the_image_has_what_its_copies_say_and_the_same_uv(tmp_path: Path) -> None:
    setup = (compose.CHECKOUT / "scripts" / "setup").read_text()
    version = re.search(r"uv_version=(\S+)", setup)
    assert version is not None
    assert f"uv=={version[1]}" in DOCKERFILE
    ignore = (compose.CHECKOUT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == let_in
    assert all((compose.CHECKOUT / source).exists() for source in copied)
    from ioc import __version__

    assert SERVICES["service"].image == f"provincial-ioc:{__version__}"
    assert f'version="{__version__}"' in DOCKERFILE
