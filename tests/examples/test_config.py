"""What is wrong in a configuration is said with its file and line; secrets are said nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.ups_snmp.config import load_config
from ioc.errors import FileError
from tests.examples.lab import LAB, SECRETS, write_secrets


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The lab's configuration with its secrets beside it."""
    write_secrets(tmp_path)
    path = tmp_path / "gateway.yaml"
    path.write_text((LAB / "gateway.yaml").read_text())
    return path


def test_the_lab_is_a_configuration(lab: Path) -> None:
    config, types = load_config(lab)
    assert [ups.asset for ups in config.ups] == ["KH-LAB-UPS-A", "KH-LAB-UPS-B"]
    assert len(types) == 24
    v3 = config.ups[1].v3
    assert v3 is not None
    assert v3.auth_file.get_secret_value() == SECRETS["auth"]


def test_no_secret_is_shown(lab: Path) -> None:
    config, _ = load_config(lab)
    assert not any(secret in repr(config) + config.model_dump_json() for secret in SECRETS.values())


FAULTS = [
    ("province: khanh-hoa", "province: Khánh Hòa", 2, "province"),
    ("gateway: GW-LAB", "gateway: GW LAB", 3, "gateway"),
    ("gateway: GW-LAB\n", "", 2, "gateway: Field required"),
    ("interval_s: 10", "interval_s: 60", 5, "less than or equal to 10"),
    ("interval_s: 10", "interval_s: 4", 2, "timeout_s 2 with 1 retries does not fit"),
    ("port: 1883", "port: 70000", 8, "broker.port"),
    ("port: 1883", "prot: 1883", 8, "broker.prot"),
    ("port: 1883", "port: 1883\n  password_file: nowhere", 9, "broker.password_file"),
    ("port: 1883", "port: 1883\n  tls: { ca_file: nowhere.pem }", 9, "nowhere.pem: no such file"),
    ("port: 1883", "port: 1883\n  tls: { cert_file: auth }", 9, "belong together"),
    ("KH-LAB-UPS-B", "KH-LAB-UPS-A", 9, "asset given twice: KH-LAB-UPS-A"),
    ("community_file: community", "community_file: nowhere", 14, "nowhere: cannot be read"),
    ("community_file: community", "community_file: [a]", 14, "name the file"),
    ("community_file: community", "community: public", 14, "v2c.community: Extra"),
    ("    v2c:\n      community_file: community\n", "", 10, "give v2c or v3"),
    ("auth: sha256", "auth: md5", 20, "ups.1.v3.auth"),
    ("auth_file: auth", "auth_file: short", 21, "needs 8 characters"),
    ("privacy: aes128", "privacy: des", 22, "ups.1.v3.privacy"),
    ("privacy_file: privacy", "privacy_file: empty", 23, "is empty"),
    ("language: vi", "language: vi\nalarms_file: nowhere.yaml", 5, "nowhere.yaml: no such file"),
]


@pytest.mark.parametrize(
    ("there", "instead", "line", "says"), FAULTS, ids=[says for *_, says in FAULTS]
)
def test_a_fault_is_named_with_its_file_and_line(
    lab: Path, there: str, instead: str, line: int, says: str
) -> None:
    (lab.parent / "short").write_text("seven77")
    (lab.parent / "empty").write_text("")
    text = lab.read_text()
    assert there in text
    lab.write_text(text.replace(there, instead))
    with pytest.raises(FileError) as caught:
        load_config(lab)
    fault = next(fault for fault in caught.value.faults if says in fault)
    assert re.match(rf"{re.escape(str(lab))}:{line}: ", fault), caught.value.faults
    assert not any(secret in str(caught.value) for secret in (*SECRETS.values(), "seven77"))


def test_alarms_of_ones_own_are_checked(lab: Path) -> None:
    own = lab.parent / "own.yaml"
    lab.write_text(lab.read_text() + "alarms_file: own.yaml\n")
    own.write_text(
        "alarms:\n"
        "  - id: upsFilterDirty\n"
        "    oid: 1.3.6.1.4.1.64512.7\n"
        "    severity: minor\n"
        "    event_type: equipment\n"
        "    probable_cause: dirt\n"
        '    text: { vi: "Bẩn", en: "Dirty" }\n'
    )
    with pytest.raises(FileError, match=rf"{re.escape(str(own))}:6: .*probable_cause.*RFC 3877"):
        load_config(lab)
    own.write_text(own.read_text().replace("dirt", "equipmentMalfunction"))
    assert [known.id for known in load_config(lab)[1]] == ["upsFilterDirty"]


@pytest.mark.parametrize("module", ["examples.ups_snmp", "examples.ups_snmp.agent"])
def test_the_commands_say_a_fault_in_one_line_and_exit_with_1(module: str, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("nonsense: 1\n")
    port = ["--port", "16999"] if module.endswith("agent") else []
    done = subprocess.run(
        [sys.executable, "-m", module, str(file), *port],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"{file}:1: nonsense: Extra inputs are not permitted" in done.stderr
    assert "Traceback" not in done.stderr
