"""Settings of the service: options, then environment (``IOC_…``), then defaults.

Secrets come from files only (``…_FILE``): neither the process list nor a log shows them.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ioc.errors import ConfigError

MAX_SECRET_BYTES = 4096


class Settings(BaseSettings):
    """Everything `ioc serve` can be told. Each field is also the variable ``IOC_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="IOC_", extra="forbid", frozen=True)

    data_dir: Path = Path(".ioc")
    province: str = Field(default="khanh-hoa", pattern=r"^[a-z0-9-]{1,64}$")
    inventory_file: Path | None = None
    routes_file: Path | None = None

    broker_host: str = "127.0.0.1"
    broker_port: int = Field(default=1883, ge=1, le=65_535)
    broker_username: str = ""
    broker_password_file: Path | None = None
    broker_tls: bool = False

    store: str = ""
    state: str = ""
    state_password_file: Path | None = None

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=1, le=65_535)
    external_url: str = ""
    grafana_token_file: Path | None = None

    journal_bound_mib: int = Field(default=8192, ge=64)
    disk_reserve_mib: int = Field(default=512, ge=16)
    retention_days: int = Field(default=30, ge=1, le=3650)
    retention_5m_days: int = Field(default=365, ge=1, le=3650)
    retention_1h_days: int = Field(default=1826, ge=1, le=36_500)

    @model_validator(mode="after")
    def _tiers_ascend(self) -> Settings:
        days = (self.retention_days, self.retention_5m_days, self.retention_1h_days)
        if list(days) != sorted(days):
            raise ValueError(
                "--retention-days, --retention-5m-days, --retention-1h-days: found "
                f"{days[0]}, {days[1]}, {days[2]}; what is coarser must be kept at least as long"
            )
        return self

    @property
    def journal_folder(self) -> Path:
        return self.data_dir / "journal"

    @property
    def store_url(self) -> str:
        """The time-series store's URL; DuckDB in the data folder by default."""
        return self.store or f"duckdb:///{(self.data_dir / 'series.duckdb').resolve()}"

    @property
    def state_url(self) -> str:
        """The state database's URL; SQLite in the data folder by default.

        With ``state_password_file`` the password is put into the URL here, not by the user.
        """
        url = self.state or f"sqlite:///{(self.data_dir / 'state.db').resolve()}"
        if self.state_password_file is None:
            return url
        from sqlalchemy import make_url

        password = read_secret(self.state_password_file, name="IOC_STATE_PASSWORD_FILE")
        return make_url(url).set(password=password).render_as_string(hide_password=False)

    @property
    def broker_password(self) -> str:
        if self.broker_password_file is None:
            return ""
        return read_secret(self.broker_password_file, name="IOC_BROKER_PASSWORD_FILE")

    @property
    def console_url(self) -> str:
        """The address people reach the console under."""
        return self.external_url.rstrip("/") or f"http://{self.http_host}:{self.http_port}"


def default(name: str) -> str:
    """A setting's default and bounds, for --help."""
    field = Settings.model_fields[name]
    bounds = {type(one).__name__: one for one in field.metadata}
    told = "" if field.default in (None, "") else str(field.default)
    if isinstance(field.default, bool):
        told = "yes" if field.default else "no"
    if "Ge" in bounds:
        most = f" to {bounds['Le'].le}" if "Le" in bounds else " or more"
        told += f"; {bounds['Ge'].ge}{most}"
    return told


def load_settings(**given: object) -> Settings:
    """Settings from options that were given (None means not given), environment and defaults.

    Raises ``ConfigError`` with one line per fault, naming option and variable.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # pydantic checks the types
    except ValidationError as error:
        lines = []
        for fault in error.errors(include_url=False):
            if not fault["loc"]:
                lines.append(str(fault["ctx"]["error"]))
                continue
            name = str(fault["loc"][0])
            lines.append(
                f"--{name.replace('_', '-')} (IOC_{name.upper()}): {fault['msg']}, "
                f"found {fault['input']!r}"
            )
        raise ConfigError("\n".join(lines)) from error


def read_secret(path: Path, *, name: str) -> str:
    """The content of a secret's file, without white space around it.

    Raises ``ConfigError`` naming the setting when the file cannot be read, is empty or too long.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} {path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_SECRET_BYTES:
        raise ConfigError(f"{name} {path}: {len(content)} bytes, at most {MAX_SECRET_BYTES}")
    secret = content.decode("utf-8", errors="replace").strip()
    if not secret:
        raise ConfigError(f"{name} {path}: is empty")
    return secret
