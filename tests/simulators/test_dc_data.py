"""Uplinks, replication and backups: lag from load and capacity, nights that fail, what moves."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ioc.inventory.file import InventoryFile
from simulators.dc_platforms import work_share
from tests.simulators.centres import MORNING_MS, Centres, of_province

NT, PR = "DC-NT-STORAGE-1", "DC-PR-STORAGE-1"
LAG, AGE, OK = "replication_lag_s", "backup_age_h", "last_backup_ok"
MIDNIGHT_MS = MORNING_MS - 9 * 3_600_000


def with_uplinks(mbit_s: float) -> InventoryFile:
    """Khánh Hòa's centres with thinner uplinks, whose own traffic is thinner, too."""
    inventory = of_province()
    assets = [
        msgspec.structs.replace(asset, attributes={**asset.attributes, "capacity_mbit_s": mbit_s})
        if asset.kind == "uplink"
        else asset
        for asset in inventory.assets
    ]
    return InventoryFile(province="x", sites=inventory.sites, assets=assets)


def test_lag_grows_by_the_second_and_shrinks_as_fast_as_the_link_gives() -> None:
    source = Centres(of_province(), step_s=20.0)
    source.run(600)
    assert source.read(NT, LAG) < 60
    source.fault("replication-stopped", NT)
    source.run(7200)
    assert source.read(NT, LAG) == pytest.approx(7200, abs=60)
    assert source.read(PR, LAG) < 60, "the other direction goes on"
    behind_gb = float(source.centres.data.backlog_gb[0])
    # 17 TB in use, 5 % of it a day, more in office hours.
    assert 60 < behind_gb < 150
    source.fault("replication-stopped", NT, on=False)
    took_s = source.until(lambda: source.read(NT, LAG) < 60, within_s=7200)
    gigabit_gb_s = 1000 / 8000
    written_gb_s = behind_gb / 7200
    assert took_s == pytest.approx(behind_gb / (gigabit_gb_s - written_gb_s), rel=0.1)


def test_lag_does_not_depend_on_the_step() -> None:
    found = []
    for step_s in (5.0, 60.0):
        source = Centres(of_province(), step_s=step_s)
        source.fault("link-down", "DC-NT-UPLINK-1")
        source.fault("link-down", "DC-NT-UPLINK-2")
        source.run(3600)
        lags = [source.read(NT, LAG), source.read(PR, LAG)]
        source.fault("link-down", "DC-NT-UPLINK-1", on=False)
        source.run(300)
        found.append([*lags, source.read(NT, LAG)])
    assert found[0] == pytest.approx(found[1], abs=70)
    assert min(found[0][:2]) > 3500


def test_a_thin_link_lags_in_office_hours_and_catches_up_at_night() -> None:
    """Nha Trang's uplinks at 50 Mbit/s each: what is written in office hours is more than what
    other traffic leaves."""
    source = Centres(with_uplinks(50.0), start_ms=MIDNIGHT_MS, step_s=300.0)
    lags = {}
    for hour in range(24):
        source.run(3600)
        lags[hour + 1] = source.read(NT, LAG)
    assert max(lags.values()) > 900
    assert lags[18] > lags[8]
    assert source.read("DC-NT-UPLINK-1", "utilization_percent") <= 86


def test_uplinks_share_and_saturate() -> None:
    inventory = of_province()
    share = {"DC-PR-UPLINK-1": 10_000, "DC-PR-UPLINK-2": 1_000}
    assets = [
        msgspec.structs.replace(asset, attributes={"capacity_mbit_s": share[asset.id]})
        if asset.id in share
        else asset
        for asset in inventory.assets
    ]
    source = Centres(InventoryFile(province="x", sites=inventory.sites, assets=assets))
    before = source.read("DC-PR-UPLINK-2", "latency_ms")
    assert source.read("DC-PR-UPLINK-2", "loss_percent") == 0
    source.fault("link-down", "DC-PR-UPLINK-1")
    source.run(60)
    assert source.read("DC-PR-UPLINK-1", "up") == 0
    assert source.read("DC-PR-UPLINK-1", "tx_mbit_s") == 0
    assert source.read("DC-PR-UPLINK-2", "utilization_percent") == 100
    assert source.read("DC-PR-UPLINK-2", "loss_percent") > 1
    assert source.read("DC-PR-UPLINK-2", "latency_ms") > before + 20
    source.run(3600)
    assert source.read(PR, LAG) > 3000, "nothing is left for replication"
    assert not source.read("DC-PR", "switch_over_ready")


def test_three_sites_replicate_in_a_ring() -> None:
    """As ``replicates_to`` says: Hạ Long to Uông Bí, Uông Bí to Cẩm Phả, Cẩm Phả to Hạ Long."""
    source = Centres(of_province("quang-ninh"), step_s=20.0)
    source.run(60)
    for link in ("DC-UB-UPLINK-1", "DC-UB-UPLINK-2"):
        source.fault("link-down", link)
    source.run(3600)
    assert source.read("DC-HL-STORAGE-1", LAG) > 3500, "its copy is in Uông Bí"
    assert source.read("DC-UB-STORAGE-1", LAG) > 3500
    assert source.read("DC-CF-STORAGE-1", LAG) < 60
    ready = [source.read(site, "switch_over_ready") for site in ("DC-HL", "DC-UB", "DC-CF")]
    assert ready == [0, 0, 1]


def test_a_night_s_backup_takes_an_hour_and_age_follows() -> None:
    source = Centres(of_province(), start_ms=MIDNIGHT_MS, step_s=300.0)
    before = source.read(NT, AGE)
    assert 21 < before < 23.5
    source.run(5400)
    assert source.read(NT, AGE) > before, "under way"
    assert source.read("DC-NT-UPLINK-1", "tx_mbit_s") > 1000
    source.run(5400)
    assert source.read(NT, AGE) < 1.5
    assert source.read(NT, OK) == 1
    most = 0.0
    for _ in range(50):
        source.run(3600)
        most = max(most, source.read(NT, AGE), source.read(PR, AGE))
    assert most < 25.5


def test_a_backup_without_its_uplinks_is_late_or_fails_and_is_run_again() -> None:
    late, failed = Centres(of_province(), start_ms=MIDNIGHT_MS, step_s=300.0), None
    for link in ("DC-NT-UPLINK-1", "DC-NT-UPLINK-2"):
        late.fault("link-down", link)
    late.run(3 * 3600)
    assert late.read(NT, AGE) > 24
    assert late.read(NT, OK) == 1
    failed = late
    failed.run(3.5 * 3600)
    assert failed.read(NT, OK) == failed.read(PR, OK) == 0, "not done by six"
    for link in ("DC-NT-UPLINK-1", "DC-NT-UPLINK-2"):
        failed.fault("link-down", link, on=False)
    failed.run(2.5 * 3600)
    assert failed.read(NT, OK) == failed.read(PR, OK) == 1
    assert failed.read(NT, AGE) < 2


def test_a_failed_backup_says_so_at_once_and_grows_old() -> None:
    source = Centres(of_province(), step_s=300.0)
    age = source.read(NT, AGE)
    source.fault("backup-failed", NT)
    source.run(300)
    assert source.read(NT, OK) == 0
    source.run(20 * 3600)
    assert source.read(NT, AGE) == pytest.approx(age + 20, abs=0.1)
    source.fault("backup-failed", NT, on=False)
    source.run(3 * 3600)
    assert source.read(NT, OK) == 1


def test_storage_fills_with_what_stays() -> None:
    """2 % of the 5 % that change each day: 0.04–0.07 % of the capacity."""
    source = Centres(of_province(), step_s=300.0)
    before = source.read(NT, "used_percent")
    source.run(24 * 3600)
    assert 0.04 < source.read(NT, "used_percent") - before < 0.08


def test_platforms_work_in_office_hours() -> None:
    hours = [work_share(MIDNIGHT_MS + hour * 3_600_000) for hour in range(24)]
    assert max(hours) == max(hours[8:17]) <= 0.95
    assert min(hours) == min(hours[0:6])
    sunday = [work_share(MIDNIGHT_MS + (5 * 24 + hour) * 3_600_000) for hour in range(24)]
    assert np.mean(sunday) < np.mean(hours)


def test_a_lost_site_s_work_moves_to_where_its_copy_is_as_far_as_that_can() -> None:
    source = Centres(of_province(), step_s=20.0)
    platforms = source.centres.platforms
    assert source.read("DC-NT", "switch_over_ready") == 1
    before_kw = source.read("DC-PR", "it_power_kw")
    for fault, asset in (("genset-failure", "DC-NT-GEN-1"), ("mains-failure", "DC-NT")):
        source.fault(fault, asset)
    source.run(60)
    assert source.read("DC-PR", "switch_over_ready") == 0, "Nha Trang could not take over"
    source.until(lambda: platforms.unserved_kw[0] > 0, within_s=3600)
    source.run(500)
    assert platforms.hosted_kw[1] == 0, "it takes people to decide"
    source.until(lambda: not source.centres.powered[0], within_s=3600)
    source.run(2400)
    demand_kw = platforms.unserved_kw[0] + platforms.away_kw[0]
    assert 0.3 * demand_kw < platforms.away_kw[0] < 0.8 * demand_kw, "not all of it fits"
    assert platforms.served_kw[1] == pytest.approx(source.centres.racks.capacity_kw()[1])
    assert 1.2 * before_kw < source.read("DC-PR", "it_power_kw") < 1.45 * before_kw
    assert source.read("DC-PR-UPS-A", "load_percent") > 40
    assert source.read("DC-PR", "cooling_spare_units") == 0
    assert source.read(PR, LAG) > 1800
    source.fault("mains-failure", "DC-NT", on=False)
    source.run(900)
    assert platforms.away_kw[0] > 0, "first its servers and its data come back"
    source.until(lambda: platforms.moved[0] == 0.0, within_s=5400)
    assert source.centres.data.resync_gb[0] == 0
    assert source.read("DC-PR", "it_power_kw") == pytest.approx(before_kw, rel=0.12)
    assert source.read("DC-NT", "switch_over_ready") == source.read("DC-PR", "switch_over_ready")


def test_work_goes_nowhere_without_a_partner() -> None:
    inventory = of_province()
    alone = [asset for asset in inventory.assets if asset.site == "DC-NT"]
    source = Centres(InventoryFile(province="x", sites=inventory.sites[:1], assets=alone))
    source.run(60)
    assert source.read(NT, LAG) < 60
    assert source.read("DC-NT", "switch_over_ready") == 1
    source.fault("cooling-failure", "DC-NT")
    source.run(5400)
    assert source.centres.platforms.away_kw[0] == 0
    assert source.centres.platforms.unserved_kw[0] > 0


def test_a_lag_of_days_is_still_right_to_the_minute() -> None:
    """What is long ago is kept more coarsely, not wrongly; and it is worked off in the order in
    which it was written."""
    source = Centres(of_province(), step_s=200.0)
    source.fault("replication-stopped", NT)
    source.run(72 * 3600)
    assert source.read(NT, LAG) == pytest.approx(72 * 3600, abs=120)
    source.fault("replication-stopped", NT, on=False)
    lags = []
    while source.read(NT, LAG) > 60:
        source.run(1200)
        lags.append(source.read(NT, LAG))
        assert len(lags) < 36
    assert lags == sorted(lags, reverse=True)
    # Nights are worked off faster than days: never more than twice the usual pace.
    pace = -np.diff([72 * 3600, *lags])
    assert max(pace[:-1]) < 2.5 * np.mean(pace)
