"""`ioc serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ioc.config import default


def _option(name: str, help_: str) -> Any:
    """An option that says its default and its bounds as the settings have them."""
    told = default(name)
    return typer.Option(help=f"{help_}  [default: {told}]" if told else help_)


def run(
    data_dir: Annotated[
        Optional[Path], _option("data_dir", "Journal and, by default, both databases.")
    ] = None,
    province: Annotated[Optional[str], _option("province", "A file of provinces/.")] = None,
    inventory_file: Annotated[
        Optional[Path], _option("inventory_file", "Taken in at the first start.")
    ] = None,
    routes_file: Annotated[
        Optional[Path], _option("routes_file", "Who gets which webhooks.")
    ] = None,
    broker_host: Annotated[Optional[str], _option("broker_host", "MQTT 3.1.1 broker.")] = None,
    broker_port: Annotated[Optional[int], _option("broker_port", "Its port.")] = None,
    broker_username: Annotated[
        Optional[str], _option("broker_username", "Who we are there.")
    ] = None,
    broker_password_file: Annotated[
        Optional[Path], _option("broker_password_file", "File of the password.")
    ] = None,
    broker_tls: Annotated[
        Optional[bool], _option("broker_tls", "TLS, by the machine's certificate authorities.")
    ] = None,
    store: Annotated[
        Optional[str],
        typer.Option(
            help="duckdb:///FILE or influxdb://HOST:PORT/DATABASE?token_file=FILE  "
            "[default: a DuckDB file in the data folder]",
        ),
    ] = None,
    state: Annotated[
        Optional[str],
        typer.Option(
            help="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME  "
            "[default: an SQLite file in the data folder]",
        ),
    ] = None,
    state_password_file: Annotated[
        Optional[Path], _option("state_password_file", "File of PostgreSQL's password.")
    ] = None,
    http_host: Annotated[Optional[str], _option("http_host", "Address to listen on.")] = None,
    http_port: Annotated[Optional[int], _option("http_port", "Port to listen on.")] = None,
    external_url: Annotated[
        Optional[str], _option("external_url", "How people reach the console, for links.")
    ] = None,
    grafana_token_file: Annotated[
        Optional[Path],
        _option("grafana_token_file", "A token (32 characters or more) that reports alarms."),
    ] = None,
    journal_bound_mib: Annotated[
        Optional[int],
        _option("journal_bound_mib", "The journal admits no more then."),
    ] = None,
    disk_reserve_mib: Annotated[
        Optional[int], _option("disk_reserve_mib", "So much of the disk is left free.")
    ] = None,
    retention_days: Annotated[
        Optional[int], _option("retention_days", "Raw data is kept so long.")
    ] = None,
    retention_5m_days: Annotated[
        Optional[int], _option("retention_5m_days", "Roll-ups of 5 minutes are kept so long.")
    ] = None,
    retention_1h_days: Annotated[
        Optional[int],
        _option("retention_1h_days", "Roll-ups of an hour, and alarms in the time series."),
    ] = None,
) -> None:
    """Run the service alone, against a broker and stores that run elsewhere.

    Each option is also a variable: --broker-host is IOC_BROKER_HOST. Secrets come from files.

    Example: ioc serve --broker-host mqtt.example.vn --store
    'influxdb://influx.example.vn:8086/ioc?token_file=/run/secrets/influx' --data-dir /var/lib/ioc
    """
    options = dict(locals())
    import asyncio
    import contextlib
    import signal

    from ioc.app import run as run_service
    from ioc.clock import SystemClock
    from ioc.config import load_settings
    from ioc.logs import set_up_logging

    settings = load_settings(**options)
    set_up_logging()

    async def until_told() -> None:
        task = asyncio.create_task(run_service(settings, clock=SystemClock()), name="service")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(until_told())
