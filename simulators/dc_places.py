"""Where the equipment of the data centres stands: sites, and the rooms of each site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ioc.inventory import Asset
from simulators.network import Network
from simulators.table import BoolArray, FloatArray, IntArray, Table

KINDS = (
    *("dc_site", "ups", "genset", "transfer_switch", "cooling_unit"),
    *("rack", "storage_backup", "uplink"),
)
# Where nothing is said of a site's load; an assumption.
USUAL_IT_KW = 60.0


class Places:
    """The simulated assets of all data-centre sites, site by site and room by room.

    A *place* is a site that has any of them. ``sites`` are its rows in ``network.sites``;
    ``at[kind]`` is the place of each asset, ``room[kind]`` the room of each rack, cooling unit, UPS
    and storage; ``room_at`` is the place of each room. What names no ``room`` stands in the site's
    first; a room without a cooling unit of its own is part of the first that has one. A place
    without simulated racks has one stand-in rack in its first room (``rack_at``, ``rack_room`` and
    ``rack_kw`` are those of the table, then the stand-ins). A storage shares the fate of the rack
    it stands in (``storage_rack``).
    """

    def __init__(self, assets: Sequence[Asset], network: Network, rng: np.random.Generator) -> None:
        of_kind = {kind: [asset for asset in assets if asset.kind == kind] for kind in KINDS}
        self.tables = {
            kind: Table(kind, found, network.site_index) for kind, found in of_kind.items()
        }
        found = sorted({int(site) for table in self.tables.values() for site in table.site})
        self.sites: IntArray = np.array(found, dtype=np.int64)
        row_of = {site: row for row, site in enumerate(found)}
        self.at: dict[str, IntArray] = {
            kind: np.array([row_of[int(site)] for site in table.site], dtype=np.int64)
            for kind, table in self.tables.items()
        }
        self._find_rooms()
        self._find_racks(rng)

    @property
    def count(self) -> int:
        return len(self.sites)

    def total(self, kind: str, values: FloatArray) -> FloatArray:
        """Sum of a value of each asset, per place."""
        return np.bincount(self.at[kind], values, minlength=self.count).astype(np.float64)

    def anywhere(self, kind: str, fault: str) -> BoolArray:
        """At which places an asset of this kind has this fault."""
        found = np.zeros(self.count, dtype=np.bool_)
        found[self.at[kind][self.tables[kind].fault(fault)]] = True
        return found

    def has(self, kind: str) -> FloatArray:
        """How many assets of a kind each place has."""
        return np.bincount(self.at[kind], minlength=self.count).astype(np.float64)

    def _find_rooms(self) -> None:
        named: list[set[str]] = [set() for _ in range(self.count)]
        cooled: list[set[str]] = [set() for _ in range(self.count)]
        for kind in ("rack", "cooling_unit", "ups", "storage_backup"):
            for asset, place in zip(self.tables[kind].assets, self.at[kind].tolist(), strict=True):
                if "room" in asset.attributes:
                    named[place].add(str(asset.attributes["room"]))
                    if kind == "cooling_unit":
                        cooled[place].add(str(asset.attributes["room"]))
        rows: dict[tuple[int, str], int] = {}
        first: list[int] = []
        for place in range(self.count):
            names = sorted(cooled[place] or named[place] or {""}, key=_number_then_name)
            first.append(len(rows))
            for name in names:
                rows[place, name] = len(rows)
        self.room_at: IntArray = np.array([place for place, _ in rows], dtype=np.int64)
        self.first_room: IntArray = np.array(first, dtype=np.int64)
        self.room: dict[str, IntArray] = {
            kind: np.array(
                [
                    rows.get((place, str(asset.attributes.get("room", ""))), first[place])
                    for asset, place in zip(
                        self.tables[kind].assets, self.at[kind].tolist(), strict=True
                    )
                ],
                dtype=np.int64,
            )
            for kind in ("rack", "cooling_unit", "ups", "storage_backup")
        }

    def _find_racks(self, rng: np.random.Generator) -> None:
        table = self.tables["rack"]
        given = table.attribute("it_load_kw", 0.0)
        self.rack_kw: FloatArray = np.where(given > 0.0, given, rng.uniform(1.8, 4.8, len(table)))
        site_kw = self.total("dc_site", self.tables["dc_site"].attribute("it_load_kw", 0.0))
        bare = np.flatnonzero(self.has("rack") == 0)
        stand_in_kw = np.where(site_kw > 0.0, site_kw, USUAL_IT_KW)[bare]
        self.rack_kw = np.concatenate([self.rack_kw, stand_in_kw])
        self.rack_at: IntArray = np.concatenate([self.at["rack"], bare])
        self.rack_room: IntArray = np.concatenate([self.room["rack"], self.first_room[bare]])
        # A stand-in is as many racks as its load would fill.
        self.rack_size: FloatArray = np.concatenate([np.ones(len(table)), stand_in_kw / 5.0])
        self.storage_rack: IntArray = np.array(
            [
                self._middle_rack(room, place)
                for room, place in zip(
                    self.room["storage_backup"].tolist(),
                    self.at["storage_backup"].tolist(),
                    strict=True,
                )
            ],
            dtype=np.int64,
        )
        self.it_kw: FloatArray = np.bincount(
            self.rack_at, self.rack_kw, minlength=self.count
        ).astype(np.float64)

    def _middle_rack(self, room: int, place: int) -> int:
        """Where a storage stands: in the middle one of its room's racks, or of its site's."""
        rows = np.flatnonzero(self.rack_room == room)
        if not len(rows):
            rows = np.flatnonzero(self.rack_at == place)
        return int(rows[len(rows) // 2])


def _number_then_name(name: str) -> tuple[int, str]:
    return (int(name), name) if name.isdecimal() else (10**9, name)
