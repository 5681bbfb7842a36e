"""What a person writes: which UPSs, how to reach them, where to publish. YAML.

File names are relative to the configuration's folder. Secrets are read from files of their own and
are shown nowhere.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ioc.catalog import EventType, Severity
from ioc.catalog.causes import PROBABLE_CAUSES
from ioc.config import read_secret
from ioc.errors import ConfigError
from ioc.files import read_yaml
from ioc.text import Language, Text

# A poll takes about 17 ms of CPU: with 64 UPSs an eighth of a core. For more, another gateway.
MAX_UPS = 64
MAX_ALARMS = 1000
SHORTEST_PASSPHRASE = 8  # RFC 3414, 11.2
WELL_KNOWN_ALARMS_FILE = Path(__file__).parent / "alarms.yaml"

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Port = Annotated[int, Field(ge=1, le=65_535)]


def _beside(path: Path, info: ValidationInfo) -> Path:
    """A file named in the configuration: relative to it, and there."""
    folder = (info.context or {}).get("folder", Path())
    found = Path(folder, path)
    if not found.is_file():
        raise ValueError(f"{found}: no such file")
    return found


def _secret(name: object, info: ValidationInfo) -> str:
    if not isinstance(name, str):
        raise ValueError("name the file that holds the secret")  # noqa: TRY004  # pydantic's word
    folder = (info.context or {}).get("folder", Path())
    try:
        return read_secret(Path(folder, name), name="file")
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _long_enough(passphrase: SecretStr) -> SecretStr:
    if len(passphrase.get_secret_value()) < SHORTEST_PASSPHRASE:
        raise ValueError(f"the passphrase in it needs {SHORTEST_PASSPHRASE} characters (RFC 3414)")
    return passphrase


ExistingFile = Annotated[Path, AfterValidator(_beside)]
SecretFile = Annotated[SecretStr, BeforeValidator(_secret)]
PassphraseFile = Annotated[SecretFile, AfterValidator(_long_enough)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(_Strict):
    """TLS to the broker. Without ``ca_file`` the machine's own certificates count."""

    ca_file: ExistingFile | None = None
    cert_file: ExistingFile | None = None
    key_file: ExistingFile | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


class Broker(_Strict):
    """Where to publish. MQTT 3.1.1."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str = ""
    password_file: SecretFile | None = None
    tls: Tls | None = None


class V2c(_Strict):
    """SNMP v2c: the community goes over the wire as it is. Only inside of a management network."""

    community_file: SecretFile


class V3(_Strict):
    """SNMP v3 with authentication and privacy (authPriv); nothing less is offered."""

    user: str = Field(min_length=1, max_length=32)
    auth: Literal["sha1", "sha256", "sha512"] = "sha256"
    auth_file: PassphraseFile
    privacy: Literal["aes128", "aes256", "aes256c"] = Field(
        default="aes128", description="aes256c is the variant of Cisco and others (Reeder)"
    )
    privacy_file: PassphraseFile


class Access(_Strict):
    """How an agent is asked: by v2c or by v3."""

    v2c: V2c | None = None
    v3: V3 | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.v2c is None) == (self.v3 is None):
            raise ValueError("give v2c or v3")
        return self


class Ups(Access):
    """One UPS: the asset it is in our inventory, and its agent (UDP over IPv4)."""

    asset: Identifier
    host: str = Field(min_length=1, max_length=253)
    port: Port = 161


class AlarmType(_Strict):
    """What one value of upsAlarmDescr means, in the words of X.733.

    ``object`` is the part of the UPS that is meant; with it the UPS is degraded, not down.
    """

    id: Identifier
    oid: str = Field(pattern=r"^\d+(\.\d+){3,63}$")
    severity: Severity
    event_type: EventType
    probable_cause: str
    object: str = Field(default="", max_length=64)
    text: Text

    @field_validator("probable_cause")
    @classmethod
    def _known_cause(cls, cause: str) -> str:
        if cause not in PROBABLE_CAUSES:
            raise ValueError("not a probable cause of RFC 3877")
        return cause


class AlarmTypes(_Strict):
    """The file ``alarms.yaml``."""

    alarms: tuple[AlarmType, ...] = Field(max_length=MAX_ALARMS)

    @field_validator("alarms")
    @classmethod
    def _once(cls, alarms: tuple[AlarmType, ...]) -> tuple[AlarmType, ...]:
        _no_repetition("id", [alarm.id for alarm in alarms])
        _no_repetition("oid", [alarm.oid for alarm in alarms])
        return alarms


class Config(_Strict):
    """The whole configuration.

    Each ``interval_s`` every UPS is asked once; a request is given up after ``timeout_s`` and
    ``retries`` repetitions. The catalog calls a UPS silent after 30 s, so ask it each 10 s.
    ``language`` is that of the alarms' texts.
    """

    province: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    gateway: Identifier
    language: Language = "vi"
    interval_s: float = Field(default=10, ge=1, le=10)
    timeout_s: float = Field(default=2, ge=0.1, le=10)
    retries: int = Field(default=1, ge=0, le=5)
    alarms_file: ExistingFile = WELL_KNOWN_ALARMS_FILE
    broker: Broker = Broker()
    ups: tuple[Ups, ...] = Field(min_length=1, max_length=MAX_UPS)

    @field_validator("ups")
    @classmethod
    def _once(cls, ups: tuple[Ups, ...]) -> tuple[Ups, ...]:
        _no_repetition("asset", [each.asset for each in ups])
        return ups

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.timeout_s * (self.retries + 1) >= self.interval_s:
            raise ValueError(
                f"timeout_s {self.timeout_s:g} with {self.retries} retries does not fit into "
                f"interval_s {self.interval_s:g}"
            )
        return self


def load_config(path: Path) -> tuple[Config, tuple[AlarmType, ...]]:
    """The configuration and what the alarms mean.

    Raises ``FileError`` with a line ``file:line: field: …`` for each fault.
    """
    config = read_yaml(path, Config)
    return config, read_yaml(config.alarms_file, AlarmTypes).alarms


def _no_repetition(field: str, values: list[str]) -> None:
    twice = sorted(value for value, times in Counter(values).items() if times > 1)
    if twice:
        raise ValueError(f"{field} given twice: {', '.join(twice)}")
