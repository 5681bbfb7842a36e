"""`ioc up`: broker, service, simulators and a webhook receiver on this machine, as one thing.

The supervisor holds the data folder, starts the parts in the order in which they need each other,
keeps them running, and ends them in the opposite order. It does nothing else, so that it stays
small and has no reason to fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ioc.clock import Clock
from ioc.errors import ConfigError, IocError
from ioc.inventory.made import as_made
from ioc.network import is_loopback
from ioc.notify.keys import create_secret_file
from ioc.resources import need_simulators
from ioc.up.broker import BrokerPlan, plan_broker
from ioc.up.checks import check_port, free_port, hold_folder
from ioc.up.process import Child

READY_WITHIN_S = 90.0
# Glibc keeps an arena per thread; two are enough for our few threads and save tens of MiB.
SMALL_ARENAS = {"MALLOC_ARENA_MAX": "2"}


class PartFailedError(IocError):
    """A part of the demo did not come up."""


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """What `ioc up` was asked for. ``seconds`` None means until it is told to stop; ``scale`` and
    ``seed`` None mean those the data was made with, or 1.0 and 1."""

    data_dir: Path
    province: str
    http_port: int
    mqtt_port: int
    mqtt_bind: str
    scale: float | None
    interval_s: float
    seconds: float | None
    incident: bool
    seed: int | None
    webhook: str | None
    webhook_secret_file: Path | None
    store: str | None = None


async def up(options: UpOptions, *, clock: Clock, say: Callable[[str], None]) -> None:
    """Run the whole province until cancelled, or for ``options.seconds`` after it is ready.

    Raises ``ConfigError`` or ``InUseError`` before anything is started, ``PartFailedError`` when a
    part does not come up.
    """
    need_simulators()
    with hold_folder(options.data_dir):
        _check_secret(options)
        options = _as_made(options)
        if options.http_port == options.mqtt_port:
            raise ConfigError(
                f"--http-port {options.http_port}: is the --mqtt-port, too; choose another"
            )
        check_port("--http-port", "127.0.0.1", options.http_port)
        check_port("--mqtt-port", options.mqtt_bind, options.mqtt_port)
        began_s = clock.monotonic_s()
        inventory_file = await _make_inventory(options, say)
        broker = plan_broker(
            folder=options.data_dir / "broker", bind=options.mqtt_bind, port=options.mqtt_port
        )
        async with _parts(options, clock, say) as start:
            child = await start("broker", broker.argv, broker.env)
            await _until_it_works(lambda: _port_waits(broker.host, broker.port), child, clock)
            say(f"broker      {options.mqtt_bind}:{broker.port} (MQTT 3.1.1, NATS)")

            routes_file = await _start_receiver(options, start, say)
            service = _service(options, broker, inventory_file, routes_file)
            child = await start("service", service, {})
            _write_run_file(options, broker)
            url = f"http://127.0.0.1:{options.http_port}"
            await _until_it_works(lambda: service_waits(url), child, clock)
            say(f"service     {url}")

            await start("simulators", _simulators(options, broker, inventory_file), {})
            say("simulators  started")
            await _welcome(options, broker, url, clock.monotonic_s() - began_s, say)
            if options.seconds is None:
                await asyncio.Event().wait()
            else:
                await clock.sleep(options.seconds)
                say(f"{options.seconds:g} s are over")


def _check_secret(options: UpOptions) -> None:
    path = options.webhook_secret_file
    if path is None:
        return
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"--webhook-secret-file {path}: cannot be read ({error.strerror}); "
            "make one with: ioc webhook secret new FILE"
        ) from error


def _as_made(options: UpOptions) -> UpOptions:
    """The options with the scale and seed the data was made with.

    Raises ``ConfigError`` when others are asked for: the province of a folder stays as it is.
    """
    made = as_made(
        options.data_dir / "inventory.json",
        province=options.province,
        scale=options.scale,
        seed=options.seed,
        otherwise="for another province choose another --data-dir",
    )
    return replace(options, scale=made.scale, seed=made.seed)


Start = Callable[[str, list[str], dict[str, str]], Awaitable[Child]]


@asynccontextmanager
async def _parts(
    options: UpOptions, clock: Clock, say: Callable[[str], None]
) -> AsyncIterator[Start]:
    """Gives a function that starts a part; ends all parts at the end, the last started first."""
    children: list[Child] = []

    def show(name: str, line: str) -> None:
        if name in ("receiver", "simulators"):
            say(f"{name:<11} {line}")

    def tell_exit(name: str, code: int) -> None:
        log = options.data_dir / "logs" / f"{name}.log"
        say(f"{name:<11} ended with code {code}; it is started again (see {log})")

    async def start(name: str, argv: list[str], env: dict[str, str]) -> Child:
        child = Child(
            name=name,
            argv=argv,
            env=env | SMALL_ARENAS,
            log=options.data_dir / "logs" / f"{name}.log",
            clock=clock,
            on_line=show,
            on_exit=tell_exit,
        )
        await child.start()
        children.append(child)
        return child

    try:
        yield start
    finally:
        say("stopping")
        for child in reversed(children):
            await child.stop()
        (options.data_dir / "run.json").unlink(missing_ok=True)
        say(f"stopped; the data is in {options.data_dir}")


async def _make_inventory(options: UpOptions, say: Callable[[str], None]) -> Path:
    """The synthetic province's inventory file, made at the first start and kept.

    It is made in a process of its own: what that needs in memory is gone when it ends.
    """
    path = options.data_dir / "inventory.json"
    if not path.exists():
        maker = await asyncio.create_subprocess_exec(
            *(*_ioc(), "inventory", "generate", str(path)),
            *("--province", options.province, "--seed", str(options.seed)),
            *("--scale", str(options.scale)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await maker.communicate()
        if maker.returncode != 0:
            lines = output.decode(errors="replace").strip().splitlines() or ["no output"]
            reason = lines[-1].removeprefix("ioc: ")
            raise PartFailedError(f"inventory: could not be made: {reason}")
        say(f"inventory   {output.decode(errors='replace').strip()}")
    else:
        say(f"inventory   as it was ({path})")
    return path


async def _start_receiver(options: UpOptions, start: Start, say: Callable[[str], None]) -> Path:
    """The demo's own webhook receiver, unless the reader has one; returns the routes file."""
    secret_file = options.webhook_secret_file or options.data_dir / "webhook.secret"
    if options.webhook_secret_file is None and not secret_file.exists():
        create_secret_file(secret_file)
    url = options.webhook
    if url is None:
        port = free_port()
        url = f"http://127.0.0.1:{port}/"
        listen = ["webhook", "listen", "--port", str(port), "--secret-file", str(secret_file)]
        await start("receiver", [*_ioc(), *listen], {})
    say(f"webhooks    to {url}, key in {secret_file}")
    # JSON is YAML: no quoting of our own. The reader typed the address, or it is our receiver on
    # loopback: private networks are meant.
    route = {
        "name": "demo",
        "url": url,
        "secret_files": [str(secret_file.resolve())],
        "allow_private": True,
    }
    path = options.data_dir / "routes.yaml"
    path.write_text(json.dumps({"routes": [route]}, indent=2) + "\n", encoding="utf-8")
    return path


def _ioc() -> list[str]:
    return [sys.executable, "-m", "ioc.cli"]


def _service(
    options: UpOptions, broker: BrokerPlan, inventory_file: Path, routes_file: Path
) -> list[str]:
    given: dict[str, object] = {
        "--data-dir": options.data_dir,
        "--province": options.province,
        "--inventory-file": inventory_file,
        "--routes-file": routes_file,
        "--broker-host": broker.host,
        "--broker-port": broker.port,
        "--http-port": options.http_port,
    }
    if options.store is not None:
        given["--store"] = options.store
    return [*_ioc(), "serve", *_words(given), *_broker_login(broker)]


def _simulators(options: UpOptions, broker: BrokerPlan, inventory_file: Path) -> list[str]:
    given: dict[str, object] = {
        "--inventory": inventory_file,
        "--broker": f"{broker.host}:{broker.port}",
        "--interval": options.interval_s,
        "--seed": options.seed,
    }
    incident = "--incident" if options.incident else "--no-incident"
    login = ["--username", broker.username] if broker.username else []
    if broker.password_file:
        login += ["--password-file", str(broker.password_file)]
    return [*_ioc(), "simulate", *_words(given), incident, *login]


def _broker_login(broker: BrokerPlan) -> list[str]:
    if not broker.password_file:
        return []
    return _words(
        {"--broker-username": broker.username, "--broker-password-file": broker.password_file}
    )


def _words(options: dict[str, object]) -> list[str]:
    return [word for name, value in options.items() for word in (name, str(value))]


def _write_run_file(options: UpOptions, broker: BrokerPlan) -> None:
    """Where the running service and broker are, for the commands that talk to them."""
    path = options.data_dir / "run.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(
            {
                "pid": os.getpid(),
                "http_url": f"http://127.0.0.1:{options.http_port}",
                "mqtt_host": broker.host,
                "mqtt_port": broker.port,
                "mqtt_username": broker.username,
                "mqtt_password_file": str(broker.password_file or ""),
                "province": options.province,
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )


async def _until_it_works(waits_for: Callable[[], str | None], child: Child, clock: Clock) -> None:
    """Wait until a part does its work. One that ends before it ever did is not started for ever.

    ``waits_for`` says what the part still waits for: None once it works, "" when that is not known.
    """
    deadline_s = clock.monotonic_s() + READY_WITHIN_S
    while (waiting := await asyncio.to_thread(waits_for)) is not None:
        late = clock.monotonic_s() > deadline_s
        if late or child.restarts > 0:
            why = f"not ready after {READY_WITHIN_S:g} s" if late else "ended before it was ready"
            lines = child.log.read_text(errors="replace").strip().splitlines()
            last = next((line for line in reversed(lines) if line.startswith("ioc: ")), "")
            said = last.removeprefix("ioc: ") or waiting or "no reason"
            raise PartFailedError(f"{child.name}: {why}: {said}; see {child.log}")
        await clock.sleep(0.1)


def _port_waits(host: str, port: int) -> str | None:
    import socket

    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return ""
    return None


def service_waits(url: str) -> str | None:
    """What the stages say that are not ready, of a service that answers."""
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=2).close()  # noqa: S310  # our own
    except urllib.error.HTTPError as answer:
        with answer, contextlib.suppress(OSError, ValueError):
            stages = json.load(answer)["stages"].values()
            return "; ".join(
                f"{stage['name']}: {stage['last_error'] or stage['note']}"
                for stage in stages
                if not stage["ready"]
            )
        return ""
    except OSError:
        return ""
    return None


async def _welcome(
    options: UpOptions, broker: BrokerPlan, url: str, took_s: float, say: Callable[[str], None]
) -> None:
    link = await asyncio.to_thread(sign_in_link, url, options.data_dir / "admin.token")
    # Commands as they can be typed in this terminal.
    ioc = sys.argv[0] if Path(sys.argv[0]).name == "ioc" else f"{sys.executable} -m ioc.cli"
    where = "" if options.data_dir == Path(".ioc") else f" --data-dir {options.data_dir}"
    say("")
    say(f"Ready after {took_s:.1f} s. Everything shown is synthetic.")
    say(f"  open       {link}")
    say("             (once, within 10 minutes; another one:")
    say(f"             {ioc} token sign-in-link{where})")
    login = f' -u {broker.username} -P "$(cat {broker.password_file})"'
    login = "" if is_loopback(options.mqtt_bind) else login
    to = f"-h {broker.host} -p {broker.port}{login}"
    say(f"  publish    mosquitto_pub {to} -q 1 -t … (see README)")
    say(f"  break      {ioc} simulate inject ASSET FAULT --for 20m{where}")
    say("  stop       Ctrl-C")
    say("")


def sign_in_link(url: str, token_file: Path) -> str:
    """A one-time address that signs a browser in. Raises ``ConfigError`` when it cannot be had."""
    try:
        request = urllib.request.Request(  # noqa: S310  # our own service
            f"{url}/api/v1/sign-in-codes",
            method="POST",
            headers={"Authorization": f"Bearer {token_file.read_text().strip()}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # as above
            code = json.load(answer)["code"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{url}: no sign-in code to be had with {token_file}: {error}") from error
    return f"{url}/sign-in?code={code}"


async def run_until_told(options: UpOptions, *, clock: Clock, say: Callable[[str], None]) -> None:
    """`up`, ended by Ctrl-C or SIGTERM."""
    import signal

    task = asyncio.create_task(up(options, clock=clock, say=say), name="up")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
