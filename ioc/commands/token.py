"""`ioc token`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="""Who may use the API: create, list, revoke; and a link to sign in by.

    A token is sent as "Authorization: Bearer TOKEN", or traded for a session on the console's
    sign-in page.

    Example: ioc token create noc --role operator --days 365
    """,
)
DataDir = Annotated[Path, typer.Option(envvar="IOC_DATA_DIR", help="The service's data folder.")]
Url = Annotated[
    Optional[str], typer.Option(help="The service's address, where it runs elsewhere (IOC_URL).")
]
HERE = Path(".ioc")


class RoleName(StrEnum):
    """What a token may do; each role may do what those before it may, but for reporter: it may
    report alarms and nothing else."""

    reporter = "reporter"
    viewer = "viewer"
    operator = "operator"
    engineer = "engineer"
    admin = "admin"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what it is for; goes into every record.")],
    role: Annotated[
        RoleName,
        typer.Option(
            help="viewer reads; operator acknowledges; engineer changes the inventory; "
            "admin makes tokens; reporter (a machine) only reports alarms."
        ),
    ] = RoleName.viewer,
    days: Annotated[
        int, typer.Option(min=0, max=3650, help="It ends after so many days; 0: never.")
    ] = 90,
    data_dir: DataDir = HERE,
    url: Url = None,
) -> None:
    """Make a token and print it: the only time it is shown.

    Example: ioc token create noc-screen --role viewer --days 365 > noc.token
    """
    from ioc.commands.client import connect

    made = connect(data_dir, url).post(
        "/api/v1/tokens", {"name": name, "role": role.value, "days": days or None}
    )
    typer.echo(made["token"])
    typer.echo(f"id {made['id']}, {made['role']}, {_until(made['expires_ms'])}", err=True)


@app.command("list")
def list_(data_dir: DataDir = HERE, url: Url = None) -> None:
    """All tokens, without their secrets.

    Example: ioc token list
    """
    from rich.console import Console
    from rich.table import Table

    from ioc.commands.client import connect

    table = Table(box=None, pad_edge=False)
    for title in ("id", "name", "role", "state", "ends"):
        table.add_column(title)
    for row in connect(data_dir, url).get("/api/v1/tokens")["items"]:
        state = row["state"].replace("_", " ")
        table.add_row(row["id"], row["name"], row["role"], state, _until(row["expires_ms"]))
    Console().print(table)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As ioc token list shows it.")],
    data_dir: DataDir = HERE,
    url: Url = None,
) -> None:
    """End a token with its sessions and open screens, at once.

    Example: ioc token revoke 3f9c2a7b10de
    """
    from ioc.commands.client import connect, quoted

    connect(data_dir, url).delete(f"/api/v1/tokens/{quoted(token_id)}")
    typer.echo(f"revoked {token_id}")


@app.command("sign-in-link")
def sign_in_link(data_dir: DataDir = HERE, url: Url = None) -> None:
    """A link that signs a browser in: once, within ten minutes.

    Example: ioc token sign-in-link
    """
    from ioc.commands.client import connect

    typer.echo(connect(data_dir, url).post("/api/v1/sign-in-codes", {})["url"])


def _until(expires_ms: int | None) -> str:
    if expires_ms is None:
        return "does not end"
    return f"until {datetime.fromtimestamp(expires_ms / 1000).astimezone():%Y-%m-%d %H:%M}"
