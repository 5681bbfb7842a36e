"""`ioc up`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer


def run(
    http_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="The console and the API, on 127.0.0.1.")
    ] = 8080,
    mqtt_port: Annotated[int, typer.Option(min=1, max=65_535, help="The broker.")] = 1883,
    mqtt_bind: Annotated[
        str,
        typer.Option(
            help="Address the broker listens on. Other than loopback it asks for a password, "
            "which is written to DATA_DIR/mqtt.password."
        ),
    ] = "127.0.0.1",
    data_dir: Annotated[Path, typer.Option(help="Everything that is kept.")] = Path(".ioc"),
    scale: Annotated[
        Optional[float],
        typer.Option(min=0.005, max=10.0, help="Share of the province's stations, 1.0 by default."),
    ] = None,
    stations: Annotated[
        Optional[int],
        typer.Option(help="So many stations; by default the province's own, as its plan has it."),
    ] = None,
    interval: Annotated[
        float, typer.Option(min=1.0, max=3600.0, help="Seconds between readings of an asset.")
    ] = 10.0,
    seconds: Annotated[
        Optional[float], typer.Option(min=0.0, help="Stop by itself after so many seconds.")
    ] = None,
    demo_incident: Annotated[
        bool, typer.Option(help="Cut a span about a minute in, and mend it later.")
    ] = True,
    webhook: Annotated[
        Optional[str], typer.Option(help="Deliver alarms there, not to the demo's own receiver.")
    ] = None,
    webhook_secret_file: Annotated[
        Optional[Path], typer.Option(help="The key that signs them (whsec_…).")
    ] = None,
    store: Annotated[
        Optional[str],
        typer.Option(
            help="Keep the time series elsewhere: influxdb://HOST:PORT/DATABASE?token_file=FILE. "
            "DuckDB in the data folder by default."
        ),
    ] = None,
    province: Annotated[str, typer.Option(help="A file of provinces/.")] = "khanh-hoa",
    seed: Annotated[
        Optional[int],
        typer.Option(min=0, help="Another seed, another synthetic province; 1 by default."),
    ] = None,
) -> None:
    """A whole province on this machine: broker, service, simulators and a webhook receiver.

    All it shows is synthetic. Ctrl-C ends everything; the next start goes on with its data.

    Example: ioc up --http-port 8081 --scale 0.1 --seconds 300
    """
    import asyncio

    from ioc.clock import SystemClock
    from ioc.inventory.made import scale_of
    from ioc.up.up import UpOptions, run_until_told

    if webhook_secret_file is not None and webhook is None:
        raise typer.BadParameter("goes with --webhook", param_hint="--webhook-secret-file")
    if webhook is not None and not webhook.startswith(("http://", "https://")):
        raise typer.BadParameter(
            f"{webhook!r}: must begin with http:// or https://", param_hint="--webhook"
        )
    options = UpOptions(
        data_dir=data_dir,
        province=province,
        http_port=http_port,
        mqtt_port=mqtt_port,
        mqtt_bind=mqtt_bind,
        scale=scale_of(province, stations=stations, scale=scale),
        interval_s=interval,
        seconds=seconds,
        incident=demo_incident,
        seed=seed,
        webhook=webhook,
        webhook_secret_file=webhook_secret_file,
        store=store,
    )

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    asyncio.run(run_until_told(options, clock=SystemClock(), say=say))
