"""`ioc inventory import` and `ioc inventory export`: the inventory as files that people edit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from ioc.inventory.compare import Comparison
    from ioc.inventory.file import InventoryFile

DataDir = Annotated[Path, typer.Option(envvar="IOC_DATA_DIR", help="The service's data folder.")]
Url = Annotated[
    Optional[str], typer.Option(help="The service's address, where it runs elsewhere (IOC_URL).")
]
HERE = Path(".ioc")
InventoryPath = Annotated[
    Optional[Path],
    typer.Option(
        "--inventory-file",
        help="Work on this inventory file, not on the running service.",
    ),
]


def export(
    path: Annotated[
        Path,
        typer.Argument(
            help="NAME.csv, NAME.geojson, NAME.json (an inventory file), or a folder: "
            "a CSV file for each kind."
        ),
    ],
    inventory_file: InventoryPath = None,
    data_dir: DataDir = HERE,
    url: Url = None,
) -> None:
    """Write the whole inventory for a spreadsheet, a map program or another service.

    ioc inventory import takes CSV and GeoJSON back as they are; NAME.json begins another service:
    ioc serve --inventory-file NAME.json

    Example: ioc inventory export network.csv
    """
    from ioc.errors import ConfigError
    from ioc.inventory.exported import export_network
    from ioc.inventory.file import write_inventory
    from ioc.inventory.model import OWN_ID

    found = _current(inventory_file, data_dir, url)
    if path.suffix.lower() == ".json":
        sites, assets = found.sites, found.assets
    else:
        sites = [site for site in found.sites if site.id != OWN_ID]
        assets = [asset for asset in found.assets if asset.id != OWN_ID]
    try:
        if path.suffix.lower() == ".json":
            write_inventory(path, province=found.province, sites=sites, assets=assets)
        else:
            export_network(path, sites=sites, assets=assets)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from error
    typer.echo(f"{len(sites)} sites and {len(assets)} assets in {path}")


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CSV or GeoJSON files, or folders of them."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and show what would change.")
    ] = False,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="The files are the whole network: what they do not have is retired."
        ),
    ] = False,
    inventory_file: InventoryPath = None,
    province: Annotated[
        Optional[str], typer.Option(help="Of a new inventory file: a file of provinces/.")
    ] = None,
    data_dir: DataDir = HERE,
    url: Url = None,
) -> None:
    """Take in a real network: everything is checked first, then all of it is in force or nothing.

    Sites and assets are added or changed; docs/inventory.md describes the columns.

    Example: ioc inventory import sites.csv bts.csv span.geojson --dry-run
    """
    from ioc.catalog import load_catalog
    from ioc.inventory.compare import compare
    from ioc.inventory.imported import notes, read_network
    from ioc.inventory.province import load_province

    now = _current(inventory_file, data_dir, url, new_of=province)
    network = read_network(
        paths,
        province=load_province(now.province),
        catalog=load_catalog(),
        sites=now.sites,
        assets=now.assets,
        whole=whole,
    )
    found = compare(network, sites=now.sites, assets=now.assets, whole=whole)
    if dry_run:
        for line in found.lines():
            typer.echo(line)
    for note in notes(network, sites=now.sites, assets=now.assets, whole=whole):
        typer.echo(f"note: {note}")
    typer.echo(found.counted())
    if dry_run:
        typer.echo("nothing was changed (--dry-run)")
    elif found.empty:
        typer.echo("nothing to change")
    elif inventory_file is not None:
        _into_file(inventory_file, now, found)
        typer.echo(f"written to {inventory_file}")
    else:
        typer.echo(_into_service(found, data_dir, url))


def _current(
    inventory_file: Path | None, data_dir: Path, url: str | None, *, new_of: str | None = None
) -> InventoryFile:
    """The inventory to work on. ``new_of``: the province of a file that is still to be made."""
    import msgspec

    from ioc.commands.client import connect
    from ioc.errors import ConfigError
    from ioc.inventory.file import InventoryFile, read_inventory

    if inventory_file is None:
        if new_of is not None:
            raise ConfigError("--province goes with --inventory-file; a service has its own")
        return msgspec.convert(connect(data_dir, url).get("/api/v1/inventory"), InventoryFile)
    if new_of is not None and not inventory_file.exists():
        return InventoryFile(province=new_of, sites=[], assets=[])
    found = read_inventory(inventory_file)
    if new_of not in (None, found.province):
        raise ConfigError(
            f"--province {new_of}: {inventory_file} is of {found.province}; expected that"
        )
    return found


def _into_file(path: Path, now: InventoryFile, found: Comparison) -> None:
    from ioc.catalog import load_catalog
    from ioc.errors import ConfigError
    from ioc.inventory.file import write_inventory
    from ioc.inventory.model import Inventory

    catalog = load_catalog()
    retire = [asset.id for asset in found.retired]
    inventory = Inventory(now.sites, now.assets)
    inventory.check(
        kinds=catalog.kinds,
        sites=found.sites,
        add=found.assets,
        retire=retire,
        drop_sites=found.dropped_sites,
    )
    inventory.apply(
        sites=found.sites, add=found.assets, retire=retire, drop_sites=found.dropped_sites
    )
    try:
        write_inventory(
            path,
            province=now.province,
            sites=inventory.sites.values(),
            assets=inventory.assets.values(),
        )
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from error


def _into_service(found: Comparison, data_dir: Path, url: str | None) -> str:
    import msgspec

    from ioc.commands.client import connect

    assets = [_without(msgspec.to_builtins(asset), "province") for asset in found.assets]
    wish = {
        "sites": msgspec.to_builtins(found.sites),
        "assets": assets,
        "retire": [asset.id for asset in found.retired],
        "drop_sites": found.dropped_sites,
    }
    done = connect(data_dir, url).post("/api/v1/inventory", wish)
    return "in force" if done["in_force"] else "on disk; in force as soon as the alarms catch up"


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
