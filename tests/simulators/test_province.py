"""What the simulated province sends: valid, the same for a seed, calm when nothing breaks."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from ioc.catalog import Metric
from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators.world import build_world
from tests.simulators.lab import CATALOG, Heard, heard, listen, province, telemetry, tripped, whole


@pytest.fixture(scope="module")
def built() -> InventoryFile:
    """A fiftieth of the real thing, as ``ioc up`` would make it."""
    found = load_province("khanh-hoa")
    sites, assets = build_world(found, seed=1, scale=0.02)
    return InventoryFile(province=found.id, sites=sites, assets=assets)


def valid(metric: Metric, value: object) -> bool:
    match metric.type:
        case "bool":
            return isinstance(value, bool)
        case "enum":
            return value in (metric.values or ())
        case "int":
            right = isinstance(value, int) and not isinstance(value, bool)
        case "float":
            right = isinstance(value, int | float) and not isinstance(value, bool)
    assert metric.range is not None
    assert isinstance(value, int | float)
    return right and metric.range[0] <= value <= metric.range[1]


def invalid(found: list[Heard]) -> list[tuple[str, str, object]]:
    return [
        (one.asset, name, value)
        for one in found
        if one.channel == "telemetry"
        for name, value in one.metrics.items()
        if not valid(CATALOG.kinds[one.kind].metrics[name], value)
    ]


def test_same_seed_same_messages() -> None:
    first, second = province(whole()), province(whole())
    for _ in range(120):
        assert first.tick() == second.tick()


def test_another_seed_sends_something_else() -> None:
    first, second = province(whole(), seed=1), province(whole(), seed=2)
    assert [first.tick() for _ in range(20)] != [second.tick() for _ in range(20)]


def test_boot_is_outside_the_seed() -> None:
    first, second = listen(province(whole(), boot=7), 30), listen(province(whole(), boot=8), 30)
    assert {one.content.pop("boot") for one in first} == {7}
    assert {one.content.pop("boot") for one in second} == {8}
    assert first == second


def test_an_hour_is_valid_against_the_catalog(built: InventoryFile) -> None:
    found = listen(province(built, start_ms=1_767_265_200_000, tick_s=5), 3600)
    assert len(found) > 10_000
    assert not invalid(found)


def test_an_hour_of_faults_is_valid_too() -> None:
    source = province(whole(), tick_s=5)
    for fault, asset in (
        ("mains-failure", "B1a"),
        ("battery-theft", "B2"),
        ("span-bend", "S-1"),
        ("span-cut", "S-3"),
        ("mains-failure", "DC-NT-dc_site-0"),
        ("genset-failure", "DC-NT-genset-0"),
        ("cooling-failure", "DC-PR-dc_site-0"),
        ("link-down", "DC-PR-uplink-0"),
    ):
        source.begin(fault, asset, for_s=3000)
    assert not invalid(listen(source, 3600))


def test_a_calm_day_trips_no_rule(built: InventoryFile) -> None:
    """Not even for one reading: so no `for` has to hide anything."""
    source = province(built, interval_s=60, tick_s=60)
    for _ in range(24):
        found = listen(source, 3600)
        assert tripped(found) == set()
        assert not [one for one in found if one.channel == "alarm"]


def test_a_calm_hour_at_the_real_pace_trips_no_rule(built: InventoryFile) -> None:
    source = province(built, start_ms=1_767_272_400_000, tick_s=0.5)
    assert tripped(listen(source, 600)) == set()


@pytest.mark.parametrize("interval_s", [2.0, 10.0, 20.0])
def test_everybody_sends_once_an_interval_and_evenly(
    built: InventoryFile, interval_s: float
) -> None:
    source = province(built, interval_s=interval_s, tick_s=0.1)
    listen(source, interval_s)  # the first messages carry everything
    ticks = [heard(source.tick()) for _ in range(round(interval_s / 0.1))]
    counts = Counter(one.asset for tick in ticks for one in tick)
    assert set(counts.values()) == {1}
    assert len(counts) == source.size
    most, least = max(map(len, ticks)), min(map(len, ticks))
    assert most - least <= 2


def test_seq_grows_by_one_in_a_boot() -> None:
    found = listen(province(whole()), 300)
    of_asset = defaultdict(list)
    for one in found:
        of_asset[one.asset].append(one.content["seq"])
    assert all(seqs == list(range(len(seqs))) for seqs in of_asset.values())


def test_slow_metrics_come_at_once_and_then_at_their_cadence(built: InventoryFile) -> None:
    source = province(built, tick_s=5)
    at: dict[str, list[int]] = defaultdict(list)
    for one in listen(source, 2700):
        if "rrc_conn_mean" in one.content:
            at[one.asset].append(one.content["ts"])
    stations = {asset.id for asset in built.assets if asset.kind == "bts" and asset.simulated}
    assert at.keys() == stations
    begin = min(times[0] for times in at.values())
    seconds = []
    for times in at.values():
        assert times[0] - begin <= 10_000, "at the first message"
        seconds.append(times[1] - times[0])
        assert seconds[-1] <= 910_000
        assert times[2] - times[1] == 900_000
    assert max(seconds) - min(seconds) > 600_000, "staggered"


def test_a_fixed_genset_is_reported_only_where_there_is_one() -> None:
    found = listen(province(whole()), 10)
    assert "fuel_percent" in telemetry(found, "B3")[0].content
    assert "fuel_percent" not in telemetry(found, "B1a")[0].content


def test_stations_of_a_mast_share_power_and_shelter() -> None:
    source = province(whole(), tick_s=10)
    found = listen(source, 10)
    first, second = telemetry(found, "B1a")[0], telemetry(found, "B1b")[0]
    for metric in ("battery_charge_percent", "shelter_temperature_c", "shelter_humidity_percent"):
        assert first.content[metric] == second.content[metric]


def test_the_province_breathes_with_the_day() -> None:
    """Evening is busier than before dawn, and users, load and speed agree."""

    def at(hour: int) -> dict[str, float]:
        source = province(whole(), start_ms=1_767_200_400_000 + hour * 3_600_000)
        return telemetry(listen(source, 10), "B1a")[0].content

    night, evening = at(4), at(20)
    assert evening["rrc_conn_mean"] > 3 * night["rrc_conn_mean"]
    assert evening["rru_prb_tot_dl_percent"] > 2 * night["rru_prb_tot_dl_percent"]
    assert evening["drb_ue_thp_dl_kbit_s"] < night["drb_ue_thp_dl_kbit_s"]
    assert evening["power_w"] > night["power_w"]


def test_optical_budget_balances(built: InventoryFile) -> None:
    for one in listen(province(built), 10):
        if one.kind == "span":
            content = one.content
            balance = content["tx_power_dbm"] - content["loss_db"] - content["rx_power_dbm"]
            assert abs(balance) < 0.25, one.asset


def test_power_usage_effectiveness_is_a_tropical_server_rooms(built: InventoryFile) -> None:
    sites = [one for one in listen(province(built), 10) if one.kind == "dc_site"]
    assert len(sites) == 2
    for one in sites:
        content = one.content
        assert 1.6 <= content["pue"] <= 2.0
        assert content["facility_power_kw"] / content["it_power_kw"] == pytest.approx(
            content["pue"], rel=0.02
        )


def test_time_that_was_skipped_is_not_sent() -> None:
    source = province(whole())
    listen(source, 30)
    source.skip_to(source.now_ms + 3_600_000)
    found = listen(source, 10)
    assert len(found) == source.size
    # Storage speaks once a minute.
    seqs = {one.content["seq"] for one in found if one.kind != "storage_backup"}
    assert seqs == {3}, "what was not measured has no seq"
