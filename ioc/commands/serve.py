"""`ioc serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def run(
    data_dir: Annotated[
        Optional[Path], typer.Option(help="Journal and, by default, both databases.")
    ] = None,
    province: Annotated[Optional[str], typer.Option(help="A file of provinces/.")] = None,
    inventory_file: Annotated[
        Optional[Path], typer.Option(help="Taken in at the first start.")
    ] = None,
    routes_file: Annotated[Optional[Path], typer.Option(help="Who gets which webhooks.")] = None,
    broker_host: Annotated[Optional[str], typer.Option(help="MQTT 3.1.1 broker.")] = None,
    broker_port: Annotated[Optional[int], typer.Option()] = None,
    broker_username: Annotated[Optional[str], typer.Option()] = None,
    broker_password_file: Annotated[Optional[Path], typer.Option()] = None,
    broker_tls: Annotated[Optional[bool], typer.Option()] = None,
    store: Annotated[
        Optional[str],
        typer.Option(help="duckdb:///FILE or influxdb://HOST:PORT/DATABASE?token_file=FILE"),
    ] = None,
    state: Annotated[
        Optional[str], typer.Option(help="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
    ] = None,
    state_password_file: Annotated[Optional[Path], typer.Option()] = None,
    http_host: Annotated[Optional[str], typer.Option(help="Address to listen on.")] = None,
    http_port: Annotated[Optional[int], typer.Option()] = None,
    external_url: Annotated[
        Optional[str], typer.Option(help="How people reach the console, for links.")
    ] = None,
    grafana_token_file: Annotated[
        Optional[Path], typer.Option(help="A token (32 characters or more) that reports alarms.")
    ] = None,
    journal_bound_mib: Annotated[Optional[int], typer.Option()] = None,
    disk_reserve_mib: Annotated[Optional[int], typer.Option()] = None,
    retention_days: Annotated[Optional[int], typer.Option(help="Raw data is kept so long.")] = None,
    retention_5m_days: Annotated[
        Optional[int], typer.Option(help="Roll-ups of 5 minutes are kept so long.")
    ] = None,
    retention_1h_days: Annotated[
        Optional[int], typer.Option(help="Roll-ups of an hour, and alarms in the time series.")
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
