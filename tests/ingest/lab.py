"""A small catalog and inventory of the tests' own, so that no catalog file changes a test."""

from __future__ import annotations

from pathlib import Path

from ioc.catalog import Catalog, load_catalog
from ioc.inventory import Asset, Inventory, Site

NOW_MS = 1_767_225_600_000
PROVINCE = "khanh-hoa"
CATALOG_FOLDER = Path(__file__).parent / "catalog"


def lab_catalog() -> Catalog:
    return load_catalog(CATALOG_FOLDER)


def asset(asset_id: str, kind: str = "bts") -> Asset:
    return Asset(
        id=asset_id,
        kind=kind,
        name=asset_id,
        province=PROVINCE,
        commune="22366",
        site="S-1",
        lat=12.24,
        lon=109.19,
    )


def lab_inventory(stations: int = 3) -> Inventory:
    """KH00001… , the span NT-0412, a UPS, the service itself, and the retired KH-OLD."""
    inventory = Inventory(
        [Site(id="S-1", name="Cột 1", commune="22366", lat=12.24, lon=109.19)],
        [
            *(asset(f"KH{n:05d}") for n in range(1, stations + 1)),
            asset("NT-0412", "span"),
            asset("UPS-1", "ups"),
            asset("IOC", "ioc"),
            asset("KH-OLD"),
        ],
    )
    inventory.apply(retire=["KH-OLD"])
    return inventory


def topic(asset_id: str = "KH00001", kind: str = "bts", channel: str = "telemetry") -> str:
    return f"ioc/v1/{PROVINCE}/{kind}/{asset_id}/{channel}"
