"""`ioc webhook`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ioc.notify.receiver import Received, Receiver
    from ioc.text import Language

app = typer.Typer(
    no_args_is_help=True,
    help="Receive signed webhooks, make keys, send a test.\n\n"
    "Example: ioc webhook listen --secret-file noc.key --create-secret",
)
secret = typer.Typer(no_args_is_help=True, help="Keys that webhooks are signed with.")
app.add_typer(secret, name="secret")


@app.command()
def listen(
    secret_file: Annotated[
        Path, typer.Option(help="The route's key (whsec_…), one on each line while keys rotate.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="0 takes a free one and says which.")
    ] = 9099,
    create_secret: Annotated[
        bool, typer.Option("--create-secret", help="Make the key when its file is not there.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on each line, for programs.")
    ] = False,
    vietnamese: Annotated[
        bool, typer.Option("--vi", help="The alarm's words in Vietnamese.")
    ] = False,
    status: Annotated[
        int, typer.Option(min=200, max=599, help="Answer with this, for drills: 500, 410, 429.")
    ] = 200,
    retry_after: Annotated[
        int, typer.Option(min=0, help="Seconds, sent with the answer; 0 sends none.")
    ] = 0,
    delay: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds before each answer, for drills.")
    ] = 0.0,
) -> None:
    """Receive webhooks: verify each signature and print a line for each.

    A webhook that is forged, altered or older than five minutes is answered 401. One whose id came
    before is marked as a repeat. Ends with Ctrl-C.

    Example: ioc webhook listen --secret-file noc.key --create-secret --port 9099
    """
    import asyncio
    import sys

    from ioc.clock import SystemClock
    from ioc.notify.keys import create_secret_file, read_secrets
    from ioc.notify.receiver import Receiver

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no ◆ still gets the word
    if create_secret and not secret_file.exists():
        create_secret_file(secret_file)
    receiver = Receiver(
        read_secrets([secret_file]),
        clock=SystemClock(),
        tell=_teller(as_json=as_json, language="vi" if vietnamese else "en"),
        status=status,
        delay_s=delay,
        retry_after_s=retry_after or None,
    )
    asyncio.run(_listen(receiver, host=host, port=port, as_json=as_json))


@secret.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="A file that does not exist yet.")],
) -> None:
    """Make a new key in a file that only you may read (mode 0600).

    Example: ioc webhook secret new noc.key
    """
    from ioc.notify.keys import create_secret_file

    create_secret_file(file)
    typer.echo(f"{file}: new key, mode 0600. Give it to the receiver over a safe way.")


@app.command("send-test")
def send_test(
    url: Annotated[str, typer.Argument(help="The receiver.")],
    secret_file: Annotated[Path, typer.Option(help="The key it knows (whsec_…).")],
    timeout: Annotated[float, typer.Option(min=1, max=30, help="Seconds.")] = 15.0,
) -> None:
    """Send one signed test webhook and say what the receiver answered.

    The webhook says in both languages that it is a test. Exit code 1 when it was not taken.

    Example: ioc webhook send-test https://noc.example.vn/hooks/ioc --secret-file noc.key
    """
    import asyncio
    from dataclasses import replace

    from ioc.clock import SystemClock
    from ioc.notify.deliver import post
    from ioc.notify.payload import trial_message
    from ioc.notify.routes import webhook_route

    # The user typed the address on this machine: private networks are meant.
    route = webhook_route(url, secret_file, name="test", allow_private=True)
    clock = SystemClock()
    message_id, body = trial_message(now_ms=clock.now_ms())
    outcome = asyncio.run(
        post(
            replace(route, timeout_s=timeout),
            message_id=message_id,
            body=body.encode(),
            clock=clock,
        )
    )
    if outcome.verdict == "taken":
        typer.echo(f"taken: HTTP {outcome.status_code} in {outcome.duration_ms} ms, {message_id}")
        return
    typer.echo(f"not taken: {outcome.error}", err=True)
    raise typer.Exit(1)


def _teller(*, as_json: bool, language: Language) -> Callable[[Received], None]:
    """How a webhook is shown: JSON, plain text, or colours on a terminal."""
    import sys

    from ioc.notify import receiver

    if as_json:
        return lambda received: typer.echo(receiver.as_json(received))
    if not sys.stdout.isatty():
        return lambda received: typer.echo(
            "".join(text for text, _ in receiver.in_words(received, language=language))
        )
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)

    def tell(received: Received) -> None:
        pieces = receiver.in_words(received, language=language)
        console.print(Text.assemble(*pieces), soft_wrap=True)

    return tell


async def _listen(receiver: Receiver, *, host: str, port: int, as_json: bool) -> None:
    import asyncio
    import errno
    import json
    import signal

    from aiohttp import web

    from ioc.errors import InUseError

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # An answer that is held back (--delay) does not hold up the end.
    runner = web.AppRunner(receiver.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InUseError(f"--port {port}: in use on {host}; choose another") from error
            raise InUseError(f"--host {host} --port {port}: {error.strerror}") from error
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        address = f"http://{shown}:{bound[1]}/"
        typer.echo(json.dumps({"listening": address}) if as_json else f"listening on {address}")
        await stop.wait()
    finally:
        await runner.cleanup()
