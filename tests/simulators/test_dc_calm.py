"""Days on which nothing breaks, at the data centres of every province; what is always valid."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ioc.catalog import Equals, Threshold
from ioc.inventory.file import InventoryFile
from simulators import data_center
from simulators.data_center import KINDS
from tests.simulators.centres import MORNING_MS, Centres, of_province
from tests.simulators.lab import CATALOG

FRIDAY_MS = MORNING_MS + 3 * 86_400_000 - 9 * 3_600_000  # midnight before it


def tripped(source: Centres) -> set[str]:
    """Rules beyond whose limit any asset measures now."""
    found = set()
    for kind in KINDS:
        table = source.centres.tables[kind]
        for rule in CATALOG.kinds[kind].rules:
            when = rule.when
            if not isinstance(when, Threshold | Equals):
                continue
            values = table.columns[when.metric]
            if isinstance(when, Equals):
                beyond = values == when.equals
            else:
                beyond = values > when.above if when.above is not None else values < when.below
            if (beyond & table.masks.get(when.metric, np.bool_(True))).any():
                found.add(rule.id)
    return found


def outside(source: Centres) -> list[tuple[str, str]]:
    """Metrics that the catalog would have quarantined."""
    found = []
    for kind in KINDS:
        for name, metric in CATALOG.kinds[kind].metrics.items():
            values = source.centres.tables[kind].columns[name]
            if metric.range is not None and len(values):
                mask = source.centres.tables[kind].masks.get(name, np.ones(len(values), np.bool_))
                inside = (values >= metric.range[0]) & (values <= metric.range[1])
                if not inside[mask].all():
                    found.append((kind, name))
    return found


@pytest.mark.parametrize("province", ["khanh-hoa", "thanh-hoa", "phu-tho", "quang-ninh"])
def test_a_working_day_and_a_free_one_trip_no_rule(province: str) -> None:
    source = Centres(of_province(province), start_ms=FRIDAY_MS, step_s=180.0, seed=7)
    for _ in range(40 * 20):
        source.step()
        assert tripped(source) == set()
    assert outside(source) == []


def test_a_hot_month_trips_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 36 °C outside all day the units still hold, and PUE stays below 2.1."""
    monkeypatch.setattr(data_center, "outdoor_temperature_c", lambda now_ms: 36.0)
    source = Centres(of_province(), step_s=180.0)
    for _ in range(24 * 20):
        source.step()
        assert tripped(source) == set()
        assert max(source.centres.tables["dc_site"].columns["pue"]) < 2.1


def test_a_day_of_troubles_stays_within_the_catalog() -> None:
    source = Centres(of_province("quang-ninh"), step_s=60.0)
    troubles = (
        ("mains-failure", "DC-HL"),
        ("genset-failure", "DC-HL-GEN-1"),
        ("cooling-failure", "DC-UB"),
        ("link-down", "DC-CF-UPLINK-1"),
        ("high-temperature", "DC-CF"),
        ("storage-full", "DC-CF-STORAGE-1"),
    )
    for minute in range(8 * 60):
        if minute in (30, 240):
            for fault, asset in troubles:
                source.fault(fault, asset, on=minute == 30)
        source.step()
        assert outside(source) == []


def test_an_inventory_of_before_still_works() -> None:
    """Without rooms of UPS and storage, and with units sized for the site and not for each room:
    Nha Trang's two rooms have no unit to spare then, and nothing else is wrong."""
    inventory = of_province()
    assets = []
    for asset in inventory.assets:
        about = dict(asset.attributes)
        if asset.kind in ("ups", "storage_backup"):
            about.pop("room")
        if asset.kind == "cooling_unit":
            about["rated_kw"] = 23.8 if asset.site == "DC-NT" else 14.6
        assets.append(msgspec.structs.replace(asset, attributes=about))
    source = Centres(
        InventoryFile(province="x", sites=inventory.sites, assets=assets), step_s=180.0
    )
    for _ in range(24 * 20):
        source.step()
        assert tripped(source) == {"dc-cooling-no-spare"}
    assert source.read("DC-PR", "cooling_spare_units") == 1
    assert source.read("DC-NT", "room_temperature_c") < 22.5
