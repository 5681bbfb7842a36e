"""The command: ``python -m examples.ups_snmp CONFIG``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from examples.ups_snmp.config import AlarmType, Config, load_config
from examples.ups_snmp.gateway import Gateway
from examples.ups_snmp.outbox import Outbox
from examples.ups_snmp.show import show as show_all
from ioc.clock import SystemClock
from ioc.errors import ConfigError
from ioc.logs import set_up_logging


def run(
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    show: Annotated[
        bool, typer.Option("--show", help="Print what each UPS says now, publish nothing.")
    ] = False,
    language: Annotated[
        Optional[str], typer.Option(help="vi or en; by default the configuration's.")
    ] = None,
) -> None:
    """Poll UPSs by SNMP (UPS-MIB, RFC 1628) and publish to contract v1, until told to stop.

    Đọc các UPS qua SNMP và gửi về trung tâm, đến khi được lệnh dừng.

    Example: python -m examples.ups_snmp gateway.yaml --show
    """
    config, types = load_config(config_file)
    if language not in (None, "vi", "en"):
        raise ConfigError(f"--language {language}: expected vi or en")
    if show:
        shown = "vi" if language == "vi" else "en" if language == "en" else config.language
        if not asyncio.run(show_all(config, types, language=shown)):
            raise typer.Exit(1)
        return
    set_up_logging()
    asyncio.run(_until_told(config, types))


async def _until_told(config: Config, types: tuple[AlarmType, ...]) -> None:
    clock = SystemClock()
    outbox = Outbox(
        config.broker,
        status_topic=f"ioc/v1/{config.province}/_gateway/{config.gateway}/status",
        client_id=f"ioc-gateway-{config.gateway}",
        clock=clock,
    )
    gateway = Gateway(config, types, outbox=outbox, clock=clock)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    asking = asyncio.create_task(gateway.run(), name="gateway")
    sending = asyncio.create_task(outbox.run(), name="outbox")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({asking, sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
    # First the questions, then the last words of what was answered.
    for task in (stopping, asking, sending):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task  # raises what ended it, if it was not us


def main() -> None:
    """Run the command; what a person must put right becomes one line each and exit code 1."""
    try:
        typer.run(run)
    except ConfigError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"ups_snmp: {line}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
