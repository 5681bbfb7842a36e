"""The plan that measures are held against."""

from __future__ import annotations

from ioc.inventory.province import Province
from ioc.inventory.targets import Target


class Plan:
    """A province's targets, in the order of its file, beside the profile they come from."""

    def __init__(self, province: Province) -> None:
        self.province = province
        self.targets: tuple[Target, ...] = province.plan
