"""What exists: sites, assets and spans."""

from ioc.inventory.model import Asset, Inventory, Site

__all__ = ["Asset", "Inventory", "Site"]
