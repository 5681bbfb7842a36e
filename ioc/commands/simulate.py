"""`ioc simulate`: simulated equipment, and faults in it on demand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ioc.errors import BrokerError, ConfigError
from ioc.resources import need_simulators

if TYPE_CHECKING:
    from ioc.ingest.broker import Broker
    from simulators.run import InjectReply

ANSWER_WITHIN_S = 5.0

app = typer.Typer(
    no_args_is_help=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Username = Annotated[str, typer.Option(help="Name at the broker, where it asks for one.")]
PasswordFile = Annotated[Optional[Path], typer.Option(help="File with the broker's password.")]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    inventory: Annotated[
        Path, typer.Option(help="The inventory file; its assets with simulated: true are driven.")
    ] = Path(".ioc/inventory.json"),
    broker: Annotated[str, typer.Option(help="The broker's host:port.")] = "127.0.0.1:1883",
    username: Username = "",
    password_file: PasswordFile = None,
    interval: Annotated[
        float,
        typer.Option(
            min=1.0,
            max=3600.0,
            help="Seconds between readings of an asset. An asset counts as silent after three of "
            "its catalog's cadence (10 s): above 25 s all of them would.",
        ),
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same readings.")] = 1,
    duration: Annotated[
        Optional[float], typer.Option(min=0.0, help="Stop by itself after so many seconds.")
    ] = None,
    incident: Annotated[
        bool, typer.Option(help="Cut a span after a minute, mend it two minutes later, once.")
    ] = True,
    list_: Annotated[bool, typer.Option("--list", help="Show what can happen by itself.")] = False,
) -> None:
    """Simulated equipment that sends to a broker as real equipment would.

    `ioc up` starts it; alone it serves against a broker and a service of your own.

    Example: ioc simulate --inventory inventory.json --broker 10.0.0.5:1883 --no-incident

    Example: ioc simulate faults

    Example: ioc simulate inject NT-0412 span-cut --for 20m
    """
    if context.invoked_subcommand is not None:
        return
    need_simulators()
    if list_:
        from simulators.scenario import SCENARIOS

        for name, text in SCENARIOS.items():
            sys.stdout.write(f"{name}\n  {text.en}\n  {text.vi}\n")
        return
    import asyncio

    from ioc.clock import SystemClock
    from simulators.run import SimulateOptions, simulate

    options = SimulateOptions(
        inventory=inventory,
        broker=_broker(broker, username, password_file),
        interval_s=interval,
        seed=seed,
        duration_s=duration,
        incident=incident,
        state_file=inventory.with_name("simulators.json"),
    )
    live = sys.stdout.isatty()
    say, close = _live() if live else (_plain, _nothing)
    try:
        asyncio.run(simulate(options, clock=SystemClock(), say=say, live=live))
    finally:
        close()


@app.command()
def inject(
    asset: Annotated[str, typer.Argument(help="The asset that breaks.")],
    fault: Annotated[str, typer.Argument(help="What breaks: see ioc simulate faults.")],
    for_: Annotated[str, typer.Option("--for", help="How long: 90s, 20m, 2h, 1d.")] = "10m",
    data_dir: Annotated[
        Path, typer.Option(help="Where `ioc up` runs: its run.json names the broker.")
    ] = Path(".ioc"),
    broker: Annotated[str, typer.Option(help="The broker's host:port, without run.json.")] = "",
    province: Annotated[str, typer.Option(help="The province, without run.json.")] = "",
    username: Username = "",
    password_file: PasswordFile = None,
) -> None:
    """Break one thing now, through the running simulators.

    Example: ioc simulate inject NT-0412 span-cut --for 20m

    Example: ioc simulate inject KH00017 mains-failure --for 6h

    Example: ioc simulate inject DC-NT-UPS-A ups-on-battery --for 90s
    """
    import asyncio
    from datetime import UTC, datetime

    need_simulators()
    for_s = parse_duration(for_)
    found = _run_file(data_dir) if not (broker and province) else {}
    settings = _broker(
        broker or f"{found['mqtt_host']}:{found['mqtt_port']}",
        username or str(found.get("mqtt_username", "")),
        password_file or (Path(found["mqtt_password_file"]) if _given(found) else None),
    )
    reply = asyncio.run(
        _ask(settings, province or str(found["province"]), asset=asset, fault=fault, for_s=for_s)
    )
    if reply.until_ms is None:
        raise ConfigError(reply.text)
    until = datetime.fromtimestamp(reply.until_ms / 1000, tz=UTC).astimezone()
    sys.stdout.write(f"done: {reply.text} until {until:%H:%M}\n")


@app.command()
def faults(
    kind: Annotated[str, typer.Option(help="Only what can be on this kind: bts, span, ups…")] = "",
) -> None:
    """What can be injected, a sentence each.

    Example: ioc simulate faults --kind span
    """
    need_simulators()
    from simulators.faults import FAULTS

    chosen = [fault for fault in FAULTS.values() if not kind or fault.fits(kind)]
    for fault in chosen:
        on = ", ".join(sorted(fault.kinds)) or "any"
        sys.stdout.write(f"{fault.id} ({on})\n  {fault.text.en}\n  {fault.text.vi}\n")


def parse_duration(text: str) -> float:
    """Seconds of "90s", "20m", "2h", "1d" or a plain number of seconds.

    Raises ``ConfigError`` naming the option.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= 7 * 86_400.0:
        raise ConfigError(f"--for {text!r}: expected 1s to 7d, such as 90s, 20m or 2h")
    return seconds


async def _ask(
    broker: Broker, province: str, *, asset: str, fault: str, for_s: float
) -> InjectReply:
    import asyncio
    import secrets

    import aiomqtt
    import msgspec

    from simulators.run import InjectReply, InjectRequest, inject_topic, reply_topic

    asked = InjectRequest(id=secrets.token_hex(8), asset=asset, fault=fault, for_s=for_s)
    try:
        async with aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username or None,
            password=broker.password or None,
            tls_params=aiomqtt.TLSParameters() if broker.tls else None,
            timeout=ANSWER_WITHIN_S,
        ) as client:
            await client.subscribe(reply_topic(province, asked.id), qos=1)
            await client.publish(inject_topic(province), msgspec.json.encode(asked), qos=1)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                async for message in client.messages:
                    if isinstance(message.payload, bytes):
                        return msgspec.json.decode(message.payload, type=InjectReply)
    except TimeoutError:
        pass
    except aiomqtt.MqttError as error:
        raise BrokerError(f"broker {broker.host}:{broker.port}: {error}") from error
    raise BrokerError(
        f"no answer from simulators of {province} at {broker.host}:{broker.port} within "
        f"{ANSWER_WITHIN_S:g} s: are they running (ioc up, ioc simulate)?"
    )


def _run_file(data_dir: Path) -> dict[str, Any]:
    import json

    path = data_dir / "run.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict) and {"mqtt_host", "mqtt_port", "province"} <= found.keys():
        return found
    raise ConfigError(
        f"{path}: `ioc up` does not run there; name the folder with --data-dir, "
        "or the broker with --broker and --province"
    )


def _given(found: dict[str, Any]) -> bool:
    return bool(found.get("mqtt_password_file"))


def _broker(address: str, username: str, password_file: Path | None) -> Broker:
    from ioc.config import read_secret
    from ioc.ingest.broker import Broker

    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise ConfigError(f"--broker {address!r}: expected host:port, such as 127.0.0.1:1883")
    password = read_secret(password_file, name="--password-file") if password_file else ""
    return Broker(host=host.strip("[]"), port=int(port), username=username, password=password)


def _plain(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _nothing() -> None:
    pass


def _live() -> tuple[Any, Any]:
    """One line that is rewritten in place."""
    from rich.console import Console
    from rich.status import Status

    status = Status("starting", console=Console(highlight=False))
    status.start()
    return status.update, status.stop
