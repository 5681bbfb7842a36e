"""Where the data files are: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ioc.errors import ConfigError

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent


def provinces_folder() -> Path:
    """The folder of the province files. Raises ``ConfigError`` when there is none."""
    for folder in (_PACKAGE / "_data" / "provinces", _CHECKOUT / "provinces"):
        if folder.is_dir():
            return folder
    raise ConfigError("province files: not found beside or inside the package; install it again")


def scenarios_folder() -> Path:
    """The folder of the scenario files. Raises ``ConfigError`` when there is none."""
    for folder in (_PACKAGE / "_data" / "scenarios", _CHECKOUT / "scenarios"):
        if folder.is_dir():
            return folder
    raise ConfigError("scenario files: not found beside or inside the package; install it again")


def grafana_folder() -> Path:
    """The folder of Grafana's boards and provisioning files. Raises ``ConfigError`` when there is
    none."""
    for folder in (_PACKAGE / "_data" / "grafana", _CHECKOUT / "dashboards" / "grafana"):
        if (folder / "boards").is_dir():
            return folder
    raise ConfigError("Grafana's files: not found beside or inside the package; install it again")


def usual_console_folder() -> Path:
    """Where the built console belongs, whether it is there or not."""
    installed = _PACKAGE / "_data" / "console"
    return installed if installed.is_dir() else _CHECKOUT / "console" / "dist"


def console_folder() -> Path | None:
    """The built console, None when it was not built."""
    folder = usual_console_folder()
    return folder if (folder / "index.html").is_file() else None


def need_simulators() -> None:
    """Raise ``ConfigError`` where only the wheel is installed: simulators are not part of it."""
    if find_spec("simulators") is None:
        raise ConfigError(
            "the simulators come with the source checkout, not with the installed package; "
            "for real equipment use: ioc serve"
        )
