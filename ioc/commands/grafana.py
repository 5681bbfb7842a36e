"""`ioc grafana`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer


class Action(StrEnum):
    """What to do about the differences."""

    apply = "apply"
    check = "check"
    diff = "diff"


def run(
    action: Annotated[
        Action,
        typer.Argument(
            help="apply: do it and say what was done. check: exit with 1 where something differs. "
            "diff: show what apply would do."
        ),
    ],
    token_file: Annotated[
        Path,
        typer.Option(
            envvar="IOC_GRAFANA_ADMIN_TOKEN_FILE",
            help="A service account's token with the role Admin, or user:password.",
        ),
    ],
    url: Annotated[
        str, typer.Option(envvar="IOC_GRAFANA_URL", help="The Grafana to change.")
    ] = "http://127.0.0.1:3000",
    console_url: Annotated[
        str, typer.Option(envvar="IOC_CONSOLE_URL", help="Where links to alarms lead.")
    ] = "http://127.0.0.1:8080",
    influx_url: Annotated[
        str,
        typer.Option(
            envvar="IOC_INFLUX_URL",
            help="InfluxDB as Grafana reaches it. Left out: the data source is not touched.",
        ),
    ] = "",
    influx_database: Annotated[
        str, typer.Option(envvar="IOC_INFLUX_DATABASE", help="Database; of 2.x the bucket.")
    ] = "ioc",
    influx_token_file: Annotated[
        Optional[Path],
        typer.Option(envvar="IOC_INFLUX_TOKEN_FILE", help="A token that reads it."),
    ] = None,
    alert_url: Annotated[
        str,
        typer.Option(
            envvar="IOC_ALERT_URL",
            help="Our route as Grafana reaches it: http://HOST:8080/api/v1/grafana/alerts. "
            "Left out: contact points and policies are not touched.",
        ),
    ] = "",
    alert_token_file: Annotated[
        Optional[Path],
        typer.Option(envvar="IOC_ALERT_TOKEN_FILE", help="A token with the role reporter."),
    ] = None,
    recipient_url: Annotated[
        str,
        typer.Option(
            envvar="IOC_RECIPIENT_URL", help="A webhook that Grafana tells beside the service."
        ),
    ] = "",
    recipient_severities: Annotated[
        str, typer.Option(envvar="IOC_RECIPIENT_SEVERITIES", help="Of what, as a pattern.")
    ] = "critical|major",
    files: Annotated[
        Optional[Path],
        typer.Option(help="A folder with boards/ and provisioning/, as python -m dashboards has."),
    ] = None,
) -> None:
    """Boards and alerting in a Grafana that runs elsewhere, through its HTTP API.

    The Grafana of docker-compose.yml has them from files and needs none of this. Only what is ours
    is touched: uids that begin with ioc-, and one branch of the notification policies.

    Example: ioc grafana diff --url https://grafana.example.vn --token-file grafana.token
    """
    from ioc.config import read_secret
    from ioc.grafana.changes import changes
    from ioc.grafana.files import Given, read_wanted
    from ioc.grafana.server import connect
    from ioc.resources import grafana_folder

    def secret(path: Path | None, name: str) -> str:
        return "" if path is None else read_secret(path, name=name)

    given = Given(
        console_url=console_url,
        influx_url=influx_url,
        influx_database=influx_database,
        influx_token=secret(influx_token_file, "--influx-token-file"),
        alert_url=alert_url,
        alert_token=secret(alert_token_file, "--alert-token-file"),
        recipient_url=recipient_url,
        recipient_severities=recipient_severities,
    )
    server = connect(url, read_secret(token_file, name="--token-file"))
    differing = 0
    for change in changes(read_wanted(files or grafana_folder(), given), server):
        differing += change.differs
        if action is Action.apply:
            change.do()
            typer.echo(f"{change.action:<11} {change.what}")
        elif change.differs:
            typer.echo(f"{change.action:<11} {change.what}")
            if action is Action.diff:
                for line in change.lines:
                    typer.echo(f"    {line}")
    said = f"{differing} {'changed' if action is Action.apply else 'to change'}"
    typer.echo(f"{url}: {said if differing else 'nothing to change'}", err=True)
    if action is Action.check and differing:
        raise typer.Exit(1)
