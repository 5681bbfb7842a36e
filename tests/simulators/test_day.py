"""The simulated day against the sources it is stated to come from, over all stations."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import msgspec
import numpy as np
import pytest

from ioc.inventory import Asset
from ioc.inventory.file import InventoryFile
from ioc.inventory.province import load_province
from simulators import day
from simulators.province import Province
from simulators.table import FloatArray
from simulators.weather import HIGH_C, LOW_C, outdoor_temperature_c, outdoor_vapour_hpa
from simulators.world import build_world
from tests.simulators.lab import CATALOG, MIDNIGHT_MS, asset, heard, province, whole

HERE = timezone(timedelta(hours=7))


def at(year: int, month: int, on: int, hour: float = 0.0) -> int:
    midnight = datetime(year, month, on, tzinfo=HERE).timestamp()
    return round((midnight + hour * 3600.0) * 1000)


@pytest.fixture(scope="module")
def full() -> Province:
    """All 3,900 stations."""
    found = load_province("khanh-hoa")
    sites, assets = build_world(found, seed=1)
    stations: list[Asset] = [one for one in assets if one.kind in ("bts", "span")]
    inventory = InventoryFile(province=found.id, sites=sites, assets=stations)
    return Province(
        inventory, catalog=CATALOG, seed=1, start_ms=MIDNIGHT_MS, interval_s=60, tick_s=60
    )


def hourly(source: Province, year: int, month: int, on: int, *, place: str = "") -> FloatArray:
    """Demand at the middle of each hour (Mbit/s), all stations of a place together."""
    rows = np.ones(len(source.stations.table), dtype=np.bool_)
    if place:
        rows = source.stations._place == day.PLACES.index(place)
    return np.array(
        [
            source.stations.demand_mbit_s(at(year, month, on, hour + 0.5))[rows].sum()
            for hour in range(24)
        ]
    )


# A Tuesday and the Sunday of its week.
TUESDAY, SUNDAY = (2026, 9, 15), (2026, 9, 20)


def test_a_working_day_has_the_statistics_of_its_source(full: Province) -> None:
    """Xu et al. 2017, residential cluster: peak 21 to 22, trough 4 o'clock with 0.16 of the peak,
    a mean of 0.58. EARTH D2.3: peak 21, trough 5 o'clock with 0.15, 15 % of the day before 6."""
    curve = hourly(full, *TUESDAY)
    assert 20 <= int(curve.argmax()) <= 21
    assert 3 <= int(curve.argmin()) <= 5
    assert 0.14 <= curve.min() / curve.max() <= 0.19
    assert 0.55 <= curve.mean() / curve.max() <= 0.70
    night = curve[:6].sum() / curve.sum()
    assert 0.08 <= night <= 0.15
    assert curve[12] > 3 * curve[4]


def test_the_recorded_day_has_the_same_shape() -> None:
    """From messages: users and resource blocks of a station follow the model's curve."""
    found = load_province("khanh-hoa")
    sites, assets = build_world(found, seed=1, scale=0.05)
    stations = [one for one in assets if one.kind in ("bts", "span")]
    inventory = InventoryFile(province=found.id, sites=sites, assets=stations)
    source = province(inventory, start_ms=at(*TUESDAY), interval_s=1800, tick_s=60)
    users, blocks = np.zeros(24), np.zeros(24)
    for minute in range(24 * 60):
        for one in heard(source.tick()):
            if "rrc_conn_mean" in one.content:
                users[minute // 60] += one.content["rrc_conn_mean"]
                blocks[minute // 60] += one.content["rru_prb_tot_dl_percent"]
    assert 19 <= int(users.argmax()) <= 21, "a small province is mostly town"
    assert 3 <= int(users.argmin()) <= 5
    assert users.min() / users.max() == pytest.approx(0.17, abs=0.04)
    assert np.corrcoef(users, blocks)[0, 1] > 0.98


def test_offices_and_homes_have_their_own_hours() -> None:
    """Xu et al. 2017: the office cluster peaks between 10 and 14 and falls to 0.06 at 4; the
    residential one peaks at 21 to 22; both at weekends lie flatter."""
    office, home = day.WORKING_DAY[day.OFFICE], day.WORKING_DAY[day.HOME]
    assert 9 <= int(office.argmax()) <= 14
    assert office.min() == pytest.approx(0.06, abs=0.01)
    assert int(home.argmax()) == 21
    assert home.mean() == pytest.approx(0.584, abs=0.01)
    assert day.DAY_OFF[day.HOME].mean() == pytest.approx(0.686, abs=0.01)
    assert office.mean() == pytest.approx(0.498, abs=0.01)


def test_towns_are_busier_by_day_and_the_country_in_the_evening(full: Province) -> None:
    town = hourly(full, *TUESDAY, place="ward")
    country = hourly(full, *TUESDAY, place="commune")
    assert town[10] / town.max() > country[10] / country.max() + 0.1
    assert int(country.argmax()) in (20, 21)


def test_weekends_differ_by_place(full: Province) -> None:
    """Homes make a sixth more on a day off than on a working day, offices two thirds."""
    country = hourly(full, *SUNDAY, place="commune").mean()
    country /= hourly(full, *TUESDAY, place="commune").mean()
    town = hourly(full, *SUNDAY, place="ward").mean() / hourly(full, *TUESDAY, place="ward").mean()
    assert 1.05 < country < 1.18
    assert 0.95 < town < country - 0.05
    everywhere = hourly(full, *SUNDAY).mean() / hourly(full, *TUESDAY).mean()
    assert everywhere == pytest.approx(1.05, abs=0.06)


@pytest.mark.parametrize(
    ("on", "name"),
    [
        ((2026, 2, 17), "Lunar New Year"),
        ((2026, 4, 30), "Liberation Day/Reunification Day"),
        ((2026, 9, 2), "National Day"),
        ((2027, 2, 6), "Lunar New Year"),
    ],
)
def test_the_calendar_knows_the_holidays(on: tuple[int, int, int], name: str) -> None:
    assert day.public_holidays(on[0])[datetime(*on, tzinfo=HERE).date()] == name


def test_holidays_empty_offices_and_fill_beaches_and_tet_most(full: Province) -> None:
    """Against the same weekday two weeks later; the factors are stated assumptions."""

    def change(on: tuple[int, int, int], place: str) -> float:
        usual = datetime(*on, tzinfo=HERE) + timedelta(days=14)
        plain = hourly(full, usual.year, usual.month, usual.day, place=place)
        return float(hourly(full, *on, place=place)[10] / plain[10])

    tet, reunification = (2026, 2, 18), (2026, 4, 30)
    assert change(reunification, "ward") < 0.95
    assert change(reunification, "coastal ward") > change(reunification, "ward") + 0.1
    assert change(tet, "commune") > change(reunification, "commune") > 1.2
    assert change(tet, "ward") < change(reunification, "ward")


def test_the_curve_is_smooth_over_midnight_and_between_days() -> None:
    for on in ((2026, 9, 18), (2026, 2, 15), (2026, 12, 31)):
        steps = np.array([day.levels(at(*on, 23.0 + n / 60.0)) for n in range(121)])
        assert np.abs(np.diff(steps, axis=0)).max() < 0.02


def test_people_make_so_much_a_month_as_the_source_says(full: Province) -> None:
    """17 GB a month and smartphone, 0.95 smartphones a person."""
    week = [hourly(full, 2026, 9, on).mean() for on in range(14, 21)]
    people = sum(one.population for one in full.stations.table.assets)
    gb = float(np.mean(week)) / people * 86_400 * 365.25 / 12 / 8e3
    assert gb == pytest.approx(17.0 * 0.95, rel=0.05)


def test_what_no_profile_knows_is_a_commune() -> None:
    here = asset("B", "bts", "A")
    assert day.places_of([here]).tolist() == [1], "Phường Nha Trang, on the coast"
    for stranger in ("no-such-province", "khanh-hoa"):
        elsewhere = msgspec.structs.replace(here, province=stranger, commune="99999")
        assert day.places_of([elsewhere]).tolist() == [2]


def test_scenarios_still_multiply() -> None:
    source = province(whole())
    before = source.stations.demand_mbit_s(source.now_ms)
    source.stations.load_factor = source.stations.load_factor * 1.5
    assert source.stations.demand_mbit_s(source.now_ms) == pytest.approx(1.5 * before)


# Weather


@pytest.mark.parametrize("month", range(1, 13))
def test_each_month_is_as_warm_as_its_normals(month: int) -> None:
    day_c = [outdoor_temperature_c(at(2026, month, 15, hour / 4)) for hour in range(96)]
    assert max(day_c) == pytest.approx(HIGH_C[month - 1], abs=0.15)
    assert min(day_c) == pytest.approx(LOW_C[month - 1], abs=0.15)
    assert 13 <= int(np.argmax(day_c)) / 4 <= 15
    assert 4 <= int(np.argmin(day_c)) / 4 <= 6


def test_air_is_humid_and_drier_in_the_afternoon() -> None:
    """About 80 % on the mean of a day, as on such a coast."""
    for month in range(1, 13):
        hours = [at(2026, month, 15, hour) for hour in range(24)]
        humidity = [
            100 * outdoor_vapour_hpa(when) / float(saturated(outdoor_temperature_c(when)))
            for when in hours
        ]
        assert max(humidity) <= 100.5
        assert 72 < float(np.mean(humidity)) < 88
        assert int(np.argmin(humidity)) in (13, 14, 15)


def saturated(temperature_c: float) -> float:
    """Buck's formula, not the one of the model (hPa)."""
    return float(6.1121 * np.exp(17.502 * temperature_c / (240.97 + temperature_c)))
