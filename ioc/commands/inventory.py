"""`ioc inventory`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ioc.commands import inventory_files
from ioc.commands.inventory_files import HERE, DataDir, Url

app = typer.Typer(
    no_args_is_help=True,
    help="""What exists: show, add, retire, import, export, make up. Changes take force at once.

    Example: ioc inventory add KH-LAB-02 --kind bts --name "Lab 2" --like KH-LAB-01
    """,
)


@app.command()
def show(
    asset: Annotated[
        Optional[str], typer.Argument(metavar="[ASSET]", help="One asset with its values.")
    ] = None,
    kind: Annotated[Optional[str], typer.Option(help="bts, span, ups, …")] = None,
    state: Annotated[
        Optional[str], typer.Option(help="up, degraded, down, silent or not_seen")
    ] = None,
    commune: Annotated[Optional[str], typer.Option(help="A commune's official code.")] = None,
    operator: Annotated[Optional[str], typer.Option(help="Whose it is.")] = None,
    search: Annotated[
        Optional[str], typer.Option(help="Part of an id or a name; diacritics do not matter.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many rows.")] = 50,
    data_dir: DataDir = HERE,
    url: Url = None,
) -> None:
    """The assets in force with their state, or one asset with its last values.

    Example: ioc inventory show --kind bts --state down --search "ninh hoa"
    """
    from rich.console import Console
    from rich.table import Table

    from ioc.commands.client import connect, quoted

    client = connect(data_dir, url)
    if asset is not None:
        _show_one(client.get(f"/api/v1/assets/{quoted(asset)}"))
        return
    page = client.get(
        "/api/v1/assets",
        kind=kind,
        state=state,
        commune=commune,
        operator=operator,
        q=search,
        limit=limit,
    )
    table = Table(box=None, pad_edge=False)
    columns = ("id", "kind", "state", "name", "site", "commune_name", "operator")
    for column in columns:
        table.add_column(column.replace("_name", ""))
    for row in page["items"]:
        table.add_row(*(row[column] for column in columns))
    console = Console()
    console.print(table)
    console.print(f"{len(page['items'])} of {page['total']}")


@app.command()
def add(
    asset: Annotated[str, typer.Argument(help="Its id: letters, digits, _ and -, at most 64.")],
    kind: Annotated[str, typer.Option(help="A kind of the catalog: bts, span, ups, …")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    like: Annotated[
        Optional[str], typer.Option(metavar="ASSET", help="Stands where this one stands.")
    ] = None,
    site: Annotated[Optional[str], typer.Option(help="The site it stands on.")] = None,
    lat: Annotated[Optional[float], typer.Option(help="Without a site: makes one here.")] = None,
    lon: Annotated[Optional[float], typer.Option()] = None,
    commune: Annotated[
        Optional[str], typer.Option(help="Official code; by default the site's, or the nearest.")
    ] = None,
    far_site: Annotated[Optional[str], typer.Option(help="A span's other end.")] = None,
    operator: Annotated[str, typer.Option(help="Whose it is.")] = "",
    depends_on: Annotated[
        Optional[list[str]], typer.Option(help="An asset it cannot do without; repeatable.")
    ] = None,
    population: Annotated[int, typer.Option(min=0, help="How many people it serves.")] = 0,
    length_km: Annotated[float, typer.Option(min=0, help="Of a span.")] = 0.0,
    data_dir: DataDir = HERE,
    url: Url = None,
) -> None:
    """Add an asset, or replace it, while the service runs. It is not simulated.

    Example: ioc inventory add KH-LAB-02 --kind bts --name "Lab 2" --lat 12.2388 --lon 109.1967
    """
    from ioc.commands.client import connect
    from ioc.errors import ConfigError

    if sum((like is not None, site is not None, lat is not None)) != 1:
        raise ConfigError("say where it stands, in one way: --site, --like, or --lat with --lon")
    if (lat is None) != (lon is None):
        raise ConfigError("--lat and --lon belong together")
    client = connect(data_dir, url)
    wish: dict[str, Any] = {
        "id": asset,
        "kind": kind,
        "name": name,
        "site": site,
        "commune": commune,
        "far_site": far_site,
        "operator": operator,
        "depends_on": depends_on or [],
        "population": population,
        "length_km": length_km,
    }
    sites = []
    if like is not None:
        wish |= _place_of(client, like, wish)
    elif lat is not None and lon is not None:
        code = commune or _nearest(client.get("/api/v1/map")["communes"], lat, lon)
        wish |= {"site": f"S-{asset}"[:64], "commune": code}
        sites = [{"id": wish["site"], "name": name, "commune": code, "lat": lat, "lon": lon}]
    done = client.post("/api/v1/assets", {"sites": sites, "assets": [wish]})
    when = "in force" if done["in_force"] else "on disk; in force as soon as the alarms catch up"
    typer.echo(f"added {asset} on site {wish['site']}: {when}")
    province = client.get("/api/v1/session")["province"]["id"]
    typer.echo(f"its readings go to: ioc/v1/{province}/{kind}/{asset}/telemetry")


@app.command()
def retire(
    asset: Annotated[str, typer.Argument(help="Its id.")],
    data_dir: DataDir = HERE,
    url: Url = None,
) -> None:
    """Take an asset out of service: its alarms clear, what it still sends is quarantined.

    Its readings and past alarms stay. An asset that others depend on is not retired before them.

    Example: ioc inventory retire KH-LAB-02
    """
    from ioc.commands.client import connect, quoted

    client = connect(data_dir, url)
    standing = len(client.get(f"/api/v1/assets/{quoted(asset)}")["alarms"])
    done = client.delete(f"/api/v1/assets/{quoted(asset)}")
    when = "in force" if done["in_force"] else "on disk; in force as soon as the alarms catch up"
    typer.echo(f"retired {asset}: {when}")
    typer.echo(
        f"{standing} standing alarms of it clear; its readings and past alarms stay; "
        "what it still sends is quarantined as of a retired asset"
    )


app.command("export")(inventory_files.export)
app.command("import")(inventory_files.import_)


@app.command()
def generate(
    file: Annotated[Path, typer.Argument(help="Made when it is not there, else kept.")],
    province: Annotated[str, typer.Option(help="A file of provinces/.")] = "khanh-hoa",
    scale: Annotated[
        Optional[float], typer.Option(min=0.001, max=10.0, help="Share of the stations: 1.0.")
    ] = None,
    stations: Annotated[
        Optional[int],
        typer.Option(help="So many stations; by default the province's own, as its plan has it."),
    ] = None,
    seed: Annotated[
        Optional[int], typer.Option(min=0, help="The same seed, the same province: 1.")
    ] = None,
) -> None:
    """Make up a province: the inventory that a service and its simulators begin with. Synthetic.

    Example: ioc inventory generate inventory.json --scale 0.1
    """
    from ioc.errors import ConfigError
    from ioc.inventory.made import as_made, scale_of
    from ioc.resources import need_simulators

    need_simulators()
    from simulators.world import write_world

    try:
        made = as_made(
            file,
            province=province,
            scale=scale_of(province, stations=stations, scale=scale),
            seed=seed,
            otherwise="for another province name another file",
        )
        if file.exists():
            typer.echo(f"as it was ({file})")
            return
        typer.echo(write_world(file, province=made.province, scale=made.scale, seed=made.seed))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror or error})") from error


def _show_one(detail: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console, asset = Console(), detail["asset"]
    console.print(f"{asset['id']}  {asset['name']}  {asset['kind']}  {detail['state']}")
    console.print(f"site {asset['site']} {asset['site_name']}, {asset['commune_name']}")
    for alarm in detail["alarms"]:
        console.print(f"{alarm['severity']}: {alarm['text_en']} ({alarm['id']})")
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("age", justify="right")
    for metric, value in detail["values"].items():
        age = f"{value['age_s']:.0f} s" + (" (old)" if value["stale"] else "")
        table.add_row(metric, str(value["value"]), age)
    console.print(table if detail["values"] else "no value yet")


def _place_of(client: Any, like: str, wish: dict[str, Any]) -> dict[str, Any]:
    """Where another asset stands, and what goes with the place."""
    from ioc.commands.client import quoted

    other = client.get(f"/api/v1/assets/{quoted(like)}")["asset"]
    return {
        "site": other["site"],
        "commune": wish["commune"] or other["commune"],
        "lat": other["lat"],
        "lon": other["lon"],
        "far_site": wish["far_site"] or other["far_site"] or None,
        "operator": wish["operator"] or other["operator"],
        "length_km": wish["length_km"] or other["length_km"],
    }


def _nearest(communes: list[dict[str, Any]], lat: float, lon: float) -> str:
    """The commune whose centre is nearest: good enough where somebody can correct it."""
    narrow = math.cos(math.radians(lat))

    def squared(commune: dict[str, Any]) -> float:
        across = (float(commune["lon"]) - lon) * narrow
        return float((float(commune["lat"]) - lat) ** 2 + across**2)

    return str(min(communes, key=squared)["code"])
