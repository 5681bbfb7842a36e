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
    from simulators.inject import InjectReply

ANSWER_WITHIN_S = 5.0
_USUAL_INVENTORY = Path(".ioc/inventory.json")

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
        Optional[Path],
        typer.Option(
            help="The inventory file; its assets with simulated: true are driven. "
            ".ioc/inventory.json by default."
        ),
    ] = None,
    province: Annotated[
        str, typer.Option(help="Instead: the synthetic inventory of a file of provinces/.")
    ] = "",
    scale: Annotated[
        float, typer.Option(min=0.005, max=10.0, help="With --province: share of its stations.")
    ] = 1.0,
    scenario: Annotated[
        str,
        typer.Option(help="What happens: a name of --list, or a file.yaml. demo by default."),
    ] = "",
    broker: Annotated[str, typer.Option(help="The broker's host:port.")] = "127.0.0.1:1883",
    username: Username = "",
    password_file: PasswordFile = None,
    publish: Annotated[bool, typer.Option(help="Send to the broker.")] = True,
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
    speed: Annotated[
        str, typer.Option(help="Simulated seconds per second, or max: as fast as it goes.")
    ] = "1",
    start: Annotated[
        str,
        typer.Option(
            help="When simulated time begins, such as 2026-09-15T06:00:00+07:00. By default now "
            "when sending at speed 1 to a broker alone, else the scenario's own begin."
        ),
    ] = "",
    duration: Annotated[
        str,
        typer.Option(
            help="Stop by itself after so much simulated time: 90, 90s, 20m, 2h, 1d. By default "
            "as long as a scenario that is named, else until told to stop."
        ),
    ] = "",
    record: Annotated[
        Optional[Path], typer.Option(help="Write all messages to this file (.gz: compressed).")
    ] = None,
    truth: Annotated[
        Optional[Path], typer.Option(help="Write what really happened to this JSON file.")
    ] = None,
    replay: Annotated[
        Optional[Path],
        typer.Option(help="Send a recorded file again, as if it were now, with its own timing."),
    ] = None,
    publish_log: Annotated[
        Optional[Path],
        typer.Option(help="Note every message and PUBACK in this file, on disk, for audits."),
    ] = None,
    duplicates: Annotated[
        Optional[float], typer.Option(min=0, max=0.5, help="Share of readings that come twice.")
    ] = None,
    out_of_order: Annotated[
        Optional[float],
        typer.Option(min=0, max=0.5, help="Share of readings that come after later ones."),
    ] = None,
    gaps: Annotated[
        Optional[float], typer.Option(min=0, max=0.5, help="Share of readings that never come.")
    ] = None,
    malformed: Annotated[
        Optional[float], typer.Option(min=0, max=0.5, help="Share of readings that are broken.")
    ] = None,
    late_bursts: Annotated[
        Optional[float],
        typer.Option(
            min=0,
            max=1,
            help="Share of assets that keep readings while cut off, for later.",
        ),
    ] = None,
    incident: Annotated[
        bool, typer.Option(help="Without --scenario: the demo's incident, or a calm province.")
    ] = True,
    list_: Annotated[bool, typer.Option("--list", help="Show all scenarios.")] = False,
) -> None:
    """Simulated equipment that sends to a broker as real equipment would.

    `ioc up` starts it; alone it serves against a broker and a service of your own. How to write a
    scenario: docs/simulators.md.

    Example: ioc simulate --inventory inventory.json --broker 10.0.0.5:1883 --scenario calm

    Example: ioc simulate --province khanh-hoa --scenario typhoon --interval 300 --speed max
    --no-publish --record typhoon.jsonl.gz --truth typhoon.json

    Example: ioc simulate --replay typhoon.jsonl.gz --speed 60

    Example: ioc simulate faults

    Example: ioc simulate inject NT-0412 span-cut --for 20m
    """
    if context.invoked_subcommand is not None:
        return
    need_simulators()
    if list_:
        _list()
        return
    import asyncio

    from ioc.clock import SystemClock
    from simulators.replay import ReplayOptions
    from simulators.run import SimulateOptions
    from simulators.tell import replay as send_again
    from simulators.tell import simulate

    pace = parse_speed(speed)
    if inventory is not None and province:
        raise ConfigError("--inventory and --province: expected one of them")
    if replay is not None and not publish:
        raise ConfigError("--replay: sends to a broker; leave --no-publish away")
    if publish_log is not None and not publish:
        raise ConfigError("--publish-log: nothing is published with --no-publish")
    if not publish and record is None and truth is None:
        raise ConfigError("--no-publish: give --record or --truth, or nothing comes of it")
    live = sys.stdout.isatty()
    say, close = _live() if live else (_plain, _nothing)
    server = _broker(broker, username, password_file) if publish else None
    try:
        if replay is not None:
            assert server is not None
            again = ReplayOptions(file=replay, broker=server, speed=pace, publish_log=publish_log)
            asyncio.run(send_again(again, clock=SystemClock(), say=say, live=live))
            return
        file = inventory or (None if province else _USUAL_INVENTORY)
        shares = {
            "duplicates": duplicates,
            "out_of_order": out_of_order,
            "gaps": gaps,
            "malformed": malformed,
            "late_bursts": late_bursts,
        }
        options = SimulateOptions(
            inventory=file,
            province=province,
            scale=scale,
            broker=server,
            interval_s=interval,
            seed=seed,
            duration_s=parse_duration(duration, name="--duration") if duration else None,
            scenario=scenario,
            incident=incident,
            speed=pace,
            start_ms=parse_start(start) if start else None,
            record=record,
            truth=truth,
            publish_log=publish_log,
            misbehaviour={name: share for name, share in shares.items() if share is not None},
            state_file=file.with_name("simulators.json") if file is not None else None,
        )
        if file == _USUAL_INVENTORY and not file.exists():
            raise ConfigError(
                f"{file}: no such file (ioc up makes it); name a province with --province, "
                "or an inventory with --inventory"
            )
        asyncio.run(simulate(options, clock=SystemClock(), say=say, live=live))
    finally:
        close()


def _list() -> None:
    from simulators.scenario import read_scenario, scenario_names, scenario_path

    for name in scenario_names():
        text = read_scenario(scenario_path(name)).text
        sys.stdout.write(f"{name}\n  {text.en}\n  {text.vi}\n")


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


def parse_duration(text: str, *, name: str = "--for") -> float:
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
        raise ConfigError(f"{name} {text!r}: expected 1s to 7d, such as 90s, 20m or 2h")
    return seconds


def parse_speed(text: str) -> float:
    """Simulated seconds per second; infinite for "max". Raises ``ConfigError``."""
    if text == "max":
        return float("inf")
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.01 <= speed <= 1_000_000:
        raise ConfigError(f"--speed {text!r}: expected a number from 0.01 on, or max")
    return speed


def parse_start(text: str) -> int:
    """Unix ms of a time with its zone. Raises ``ConfigError``."""
    from datetime import datetime

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(
            f"--start {text!r}: expected a time with its zone, such as 2026-09-15T06:00:00+07:00"
        )
    return round(found.timestamp() * 1000)


async def _ask(
    broker: Broker, province: str, *, asset: str, fault: str, for_s: float
) -> InjectReply:
    import asyncio
    import secrets

    import aiomqtt
    import msgspec

    from simulators.inject import InjectReply, InjectRequest, inject_topic, reply_topic

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
