"""A change is checked, journalled, then in force; a start finds it again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, insert

from ioc.catalog.model import Catalog, Domain, Kind, Metric
from ioc.clock import VirtualClock
from ioc.errors import InventoryError, JournalFullError
from ioc.inventory import Asset, Inventory, Site
from ioc.inventory.change import activate, change_inventory
from ioc.inventory.file import write_inventory
from ioc.inventory.load import load_inventory
from ioc.journal.records import Activation, Entry, Record, Tick
from ioc.state import schema
from ioc.state.database import State, open_state
from ioc.text import Text

WORD = Text(vi="chữ", en="word")
KIND = Kind(title=WORD, metrics={"mains_ok": Metric(title=WORD, unit="1", type="bool", source="x")})
OWN = KIND.model_copy(update={"own": True})
CATALOG = Catalog([Domain(domain="bts", title=WORD, kinds={"bts": KIND, "span": KIND, "ioc": OWN})])
ONE = Site(id="S-1", name="one", commune="1", lat=12, lon=109)
TWO = Site(id="S-2", name="two", commune="1", lat=12, lon=109)


def asset(id_: str, *, kind: str = "bts", site: str = "S-1", **more: object) -> Asset:
    fields = {"name": id_, "province": "p", "commune": "1", "lat": 12, "lon": 109, **more}
    return msgspec.structs.replace(
        msgspec.convert({"id": id_, "kind": kind, "site": "S-1", **fields}, Asset), site=site
    )


class MemoryJournal:
    """A journal's order of events, without its disk."""

    uuid = "one"

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.full = False

    async def append(self, *records: Record) -> int:
        await asyncio.sleep(0)
        if self.full:
            raise JournalFullError("full")
        for record in records:
            position = len(self.entries) * 3 + 1  # gaps mean nothing
            self.entries.append(Entry(position=position, written_ms=0, record=record))
        return self.entries[-1].position

    async def read(self, *, after: int, limit: int = 256) -> list[Entry]:
        return [entry for entry in self.entries if entry.position > after][: min(limit, 2)]


async def change(
    journal: MemoryJournal,
    inventory: Inventory,
    *,
    sites: list[Site] | None = None,
    add: list[Asset] | None = None,
    retire: list[str] | None = None,
    drop_sites: list[str] | None = None,
) -> int:
    return await change_inventory(
        journal,
        inventory,
        catalog=CATALOG,
        actor="an",
        clock=VirtualClock(),
        sites=sites or [],
        add=add or [],
        retire=retire or [],
        drop_sites=drop_sites or [],
    )


async def test_a_change_is_journalled_and_in_force() -> None:
    journal, inventory = MemoryJournal(), Inventory([ONE])
    await journal.append(Tick(now_ms=0, listening=True))
    position = await change(journal, inventory, add=[asset("A")])
    record = journal.entries[-1].record
    assert isinstance(record, Activation)
    assert position == journal.entries[-1].position
    assert (record.actor, record.catalog_version) == ("an", CATALOG.version)
    assert record.add == [asset("A")]
    assert inventory.assets.keys() == {"A"}
    await change(journal, inventory, retire=["A"])
    assert not inventory.assets
    assert inventory.find("A") == asset("A")


@pytest.mark.parametrize(
    ("add", "retire", "word"),
    [
        ([asset("A", kind="lamp")], [], "'lamp': not in the catalog"),
        ([asset("A", site="S-9")], [], "site 'S-9': no such site"),
        ([asset("A", site="")], [], "site: is empty"),
        ([asset("A", kind="span")], [], "a span joins two sites"),
        ([asset("A", kind="span", far_site="S-1")], [], "a span joins two sites"),
        ([asset("A", far_site="S-2")], [], "only a span has one"),
        ([asset("A", depends_on=["B"])], [], "depends_on 'B': no such asset"),
        ([asset("A"), asset("A")], [], "asset A: given 2 times"),
        ([asset("A")], ["A"], "asset A: given 2 times"),
        ([], ["A"], "retire: no such asset"),
        ([asset("OLD", kind="span", far_site="S-2")], [], "is a bts; retire it first"),
    ],
)
async def test_a_fault_is_named_and_nothing_changes(
    add: list[Asset], retire: list[str], word: str
) -> None:
    journal, inventory = MemoryJournal(), Inventory([ONE, TWO], [asset("OLD")])
    with pytest.raises(InventoryError, match=word):
        await change(journal, inventory, add=[*add, asset("GOOD")], retire=retire)
    assert inventory.assets.keys() == {"OLD"}
    assert not journal.entries
    await change(journal, inventory, add=[asset("GOOD")])  # and the way is free again


async def test_what_others_need_is_not_taken_away() -> None:
    journal = MemoryJournal()
    inventory = Inventory([ONE, TWO], [asset("A", depends_on=["B"]), asset("B", site="S-2")])
    with pytest.raises(InventoryError, match="asset B: retire: A depends on it; change or retire"):
        await change(journal, inventory, retire=["B"])
    with pytest.raises(InventoryError, match="site S-2: drop: B stands on it; retire B too"):
        await change(journal, inventory, drop_sites=["S-2"])
    await change(journal, inventory, add=[asset("A")], retire=["B"], drop_sites=["S-2"])
    assert inventory.sites.keys() == {"S-1"}
    assert inventory.assets.keys() == {"A"}


async def test_a_full_journal_leaves_the_inventory_as_it_was() -> None:
    journal, inventory = MemoryJournal(), Inventory([ONE])
    journal.full = True
    with pytest.raises(JournalFullError):
        await change(journal, inventory, add=[asset("A")])
    assert not inventory.assets


async def test_changes_at_the_same_time_are_checked_one_after_the_other() -> None:
    journal, inventory = MemoryJournal(), Inventory([ONE], [asset("A")])
    results = await asyncio.gather(
        change(journal, inventory, retire=["A"]),
        change(journal, inventory, retire=["A"]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, InventoryError]
    assert len(journal.entries) == 1


async def test_a_file_fills_an_empty_inventory_once(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    write_inventory(path, province="p", sites=[ONE], assets=[asset("A"), asset("B")])
    journal, inventory, clock = MemoryJournal(), Inventory(), VirtualClock()
    assert await activate(journal, inventory, CATALOG, file=None, clock=clock) == 0
    assert await activate(journal, inventory, CATALOG, file=path, clock=clock) == 2
    assert inventory.assets.keys() == {"A", "B"}
    await change(journal, inventory, retire=["B"])
    # At the next start, what a person retired stays away.
    assert await activate(journal, inventory, CATALOG, file=path, clock=clock) == 0
    assert inventory.assets.keys() == {"A"}


async def test_a_file_fills_an_inventory_that_holds_only_the_service_itself(tmp_path: Path) -> None:
    """It was started without a file before."""
    path = tmp_path / "inventory.json"
    write_inventory(path, province="p", sites=[ONE], assets=[asset("A")])
    journal, inventory = MemoryJournal(), Inventory()
    own_site = Site(id="IOC", name="IOC", commune="1", lat=12, lon=109)
    await change(journal, inventory, sites=[own_site], add=[asset("IOC", kind="ioc", site="IOC")])
    assert await activate(journal, inventory, CATALOG, file=path, clock=VirtualClock()) == 1
    assert inventory.assets.keys() == {"IOC", "A"}


async def test_there_is_one_service_itself_and_it_stays() -> None:
    journal, inventory = MemoryJournal(), Inventory([ONE])
    await change(journal, inventory, add=[asset("IOC", kind="ioc")])
    await change(journal, inventory, add=[asset("IOC", kind="ioc", name="another name")])
    with pytest.raises(InventoryError, match="asset X: kind 'ioc': is the service itself"):
        await change(journal, inventory, add=[asset("X", kind="ioc")])
    with pytest.raises(InventoryError, match="asset IOC: retire: is the service itself"):
        await change(journal, inventory, retire=["IOC"])
    assert inventory.assets["IOC"].name == "another name"


async def test_a_file_with_an_unknown_kind_fills_nothing(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    write_inventory(path, province="p", sites=[ONE], assets=[asset("A", kind="lamp")])
    journal, inventory = MemoryJournal(), Inventory()
    with pytest.raises(InventoryError, match="'lamp'"):
        await activate(journal, inventory, CATALOG, file=path, clock=VirtualClock())
    assert not journal.entries
    assert not inventory.sites


async def test_a_start_finds_what_was_committed_and_what_came_after(tmp_path: Path) -> None:
    journal = MemoryJournal()
    known = Inventory([ONE])
    for number in range(5):
        await change(journal, known, add=[asset(f"A{number}")])
    await change(journal, known, sites=[TWO], retire=["A1"])
    async with open_state(f"sqlite:///{tmp_path / 'state.db'}") as state:
        # The engine has met the first two activations and written their rows.
        await state.run(lambda connection: _commit(connection, journal, met=2))
        found = await load_inventory(state, journal)
        assert found.assets == known.assets
        assert found.sites == known.sites
        assert found.find("A1") == asset("A1")
        await _another_journal_starts_from_its_beginning(state, journal)


async def _another_journal_starts_from_its_beginning(state: State, old: MemoryJournal) -> None:
    other = MemoryJournal()
    other.uuid = "two"
    await change(other, Inventory([ONE]), add=[asset("B")])
    found = await load_inventory(state, other)
    assert found.assets.keys() == {"A0", "A1", "B"}
    assert old.entries


def _commit(connection: Connection, journal: MemoryJournal, *, met: int) -> None:
    content = msgspec.json.encode
    connection.execute(insert(schema.site).values(id=ONE.id, content=content(ONE).decode()))
    for number in range(met):
        row = asset(f"A{number}")
        connection.execute(
            insert(schema.asset).values(id=row.id, kind=row.kind, content=content(row).decode())
        )
    connection.execute(
        insert(schema.position).values(
            consumer="alarms",
            journal_uuid=journal.uuid,
            position=journal.entries[met - 1].position,
        )
    )
