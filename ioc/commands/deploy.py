"""`ioc deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="""Set a deployment up: secrets, the broker's users, certificates, InfluxDB's bucket.

    docker-compose.yml runs these by itself; docs/deploy.md is about doing without it.

    Example: ioc deploy secrets --folder /etc/ioc/secrets
    """,
)
Folder = Annotated[
    Path, typer.Option(envvar="IOC_SECRETS", help="The folder of the deployment's secrets.")
]
USUAL = Path("/run/ioc/secrets")


@app.command()
def secrets(
    folder: Folder = USUAL,
    gateways: Annotated[
        str,
        typer.Option(
            envvar="IOC_GATEWAYS", help="Ids of gateways that get a broker user each, with commas."
        ),
    ] = "",
    renew: Annotated[
        Optional[list[str]], typer.Option(metavar="NAME", help="Make this one again; repeatable.")
    ] = None,
    owner: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="READER=USER[:GROUP]",
            help="Who a reader is on this machine, where it is not a container; repeatable.",
        ),
    ] = None,
    give: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="READER=FOLDER",
            help="A data folder to hand over, when it is root's; repeatable.",
        ),
    ] = None,
    tls_names: Annotated[
        str,
        typer.Option(
            envvar="IOC_TLS_NAMES", help="What equipment calls the broker by, with commas."
        ),
    ] = "localhost,127.0.0.1",
    tls_certificate: Annotated[
        Optional[Path],
        typer.Option(
            envvar="IOC_TLS_CERTIFICATE",
            help="Your own: chain and key in one PEM file; used when it is there.",
        ),
    ] = None,
) -> None:
    """Make the secrets that are missing and hand each to who needs it. Run it as root.

    Run again, it keeps what is there. As another user than root, all files are that user's.

    Example: ioc deploy secrets --folder /etc/ioc/secrets --owner service=ioc --gateways gw-01,gw-02
    """
    from ioc.deploy.private import Keeper, parse_owner
    from ioc.deploy.secrets import READERS, write_secrets
    from ioc.deploy.tls import write_certificate
    from ioc.errors import ConfigError

    owners = dict(READERS)
    owners |= {reader: parse_owner(who) for reader, who in _pairs("--owner", owner)}
    keeper = Keeper(owners)
    try:
        for reader, path in _pairs("--give", give):
            keeper.give_folder(Path(path), reader)
    except OSError as error:
        raise ConfigError(f"--give: {error}") from error
    written = write_secrets(
        folder, keeper=keeper, gateways=_listed(gateways), renew=tuple(renew or ())
    )
    certificate = write_certificate(
        folder,
        keeper=keeper,
        names=_listed(tls_names) or ("localhost",),
        own=tls_certificate,
    )
    typer.echo(_screen(folder, new=len(written.new), kept=len(written.kept), tls=certificate))


@app.command()
def show(
    name: Annotated[
        Optional[str], typer.Argument(metavar="[NAME]", help="The one to print, alone.")
    ] = None,
    folder: Folder = USUAL,
) -> None:
    """What secrets there are and what each is for, or one of them. Only root can.

    Example: ioc deploy show

    Example: ioc deploy show grafana.password
    """
    from ioc.deploy.secrets import find_secret, known_secrets

    if name is not None:
        typer.echo(find_secret(folder, name))
        return
    known = known_secrets(folder)
    width = max((len(known_name) for known_name, _ in known), default=0)
    for known_name, text in known:
        typer.echo(f"{known_name:<{width}}  {text.vi}\n{'':<{width}}  {text.en}")


@app.command()
def influxdb(
    url: Annotated[str, typer.Option(help="http://HOST:8086, of InfluxDB 1.8 or later or 2.x.")],
    admin_token_file: Annotated[
        Optional[Path],
        typer.Option(help="An operator's token; for 1.x with authentication user:password."),
    ] = None,
    bucket: Annotated[str, typer.Option(help="Bucket (1.x: database).")] = "ioc",
    org: Annotated[str, typer.Option(help="Organization (2.x).")] = "ioc",
    retention_days: Annotated[
        int,
        typer.Option(
            min=1,
            max=36500,
            help="Of a bucket that is made now; the service removes raw data earlier.",
        ),
    ] = 1826,
    renew: Annotated[
        bool, typer.Option("--renew", help="New tokens; those before them end.")
    ] = False,
    folder: Folder = USUAL,
) -> None:
    """Make the bucket, a token that reads and writes it and one that only reads it.

    They go to service/influxdb.token and grafana/influxdb.token in the folder. What is there and
    works is kept.

    Example: ioc deploy influxdb --url http://influx.example.vn:8086 --admin-token-file admin.token
    --org noc --folder /etc/ioc/secrets
    """
    import asyncio
    from urllib.parse import urlsplit

    from ioc.config import read_secret
    from ioc.deploy.influxdb import Reader, Target, set_up
    from ioc.errors import ConfigError

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ConfigError("--url: expected http://HOST:PORT or https://HOST:PORT, without a user")
    token = (
        "" if admin_token_file is None else read_secret(admin_token_file, name="--admin-token-file")
    )
    readers = tuple(
        Reader(name=name, file=folder / name / "influxdb.token", writes=name == "service")
        for name in ("service", "grafana")
    )
    done = asyncio.run(
        set_up(
            Target(
                url=url.rstrip("/"),
                bucket=bucket,
                org=org,
                retention_days=retention_days,
                admin_token=token,
            ),
            readers,
            renew=renew,
        )
    )
    typer.echo(f"InfluxDB {done.version} at {url}")
    typer.echo(f"bucket {bucket}: {done.bucket}")
    for reader in readers:
        scope = "reads and writes" if reader.writes else "reads"
        typer.echo(f"token of {reader.name} ({scope}): {done.tokens[reader.name]}, {reader.file}")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    from ioc.errors import ConfigError

    pairs = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{option} {text!r}: expected NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _screen(folder: Path, *, new: int, kept: int, tls: str) -> str:
    """What a person needs next. No secret is on it."""
    vi_tls = "của bạn" if tls == "own" else "tự tạo; thiết bị cần tls-ca.pem"
    en_tls = "yours" if tls == "own" else "made here; equipment needs tls-ca.pem"
    where = "" if folder == USUAL else f" --folder {folder}"
    rows = (
        ("Xem danh sách / what there is", f"ioc deploy show{where}"),
        ("Grafana, người dùng admin / user admin", f"ioc deploy show grafana.password{where}"),
        ("Thiết bị MQTT / equipment", f"ioc deploy show mqtt-equipment.password{where}"),
        ("Khóa webhook / webhook key", f"ioc deploy show webhook.secret{where}"),
    )
    width = max(len(label) for label, _ in rows)
    return "\n".join(
        (
            f"Bí mật trong {folder}: {new} mới, {kept} giữ nguyên. Chứng chỉ TLS: {vi_tls}.",
            f"Secrets in {folder}: {new} new, {kept} kept. TLS certificate: {en_tls}.",
            "",
            "Với Docker, đặt trước mỗi lệnh / with Docker, put before each:",
            "  docker compose run --rm init",
            "",
            *(f"  {label:<{width}}  {command}" for label, command in rows),
            "",
            "Bảng điều khiển: liên kết đăng nhập dùng một lần / console, a link to sign in once:",
            "  docker compose exec service ioc token sign-in-link",
        )
    )
