"""Heat in a shelter: held when cooled, hot without cooling, slowly warm on battery."""

from __future__ import annotations

import numpy as np
import pytest

from ioc.catalog import Threshold
from simulators.shelter import COP, Shelters
from simulators.table import FloatArray
from simulators.weather import outdoor_temperature_c
from tests.simulators.lab import CATALOG, MIDNIGHT_MS, listen, province, telemetry, tripped, whole

COUNT = 30
HEAT_W = np.linspace(350.0, 2700.0, COUNT)
# A June noon: the warmest of the year.
NOON_MS = MIDNIGHT_MS + (166 * 24 + 12) * 3_600_000
(LIMIT_C,) = [
    float(rule.when.above)
    for rule in CATALOG.kinds["bts"].rules
    if rule.id == "bts-high-temperature"
    and isinstance(rule.when, Threshold)
    and rule.when.above is not None
]


def shelters() -> Shelters:
    made = Shelters(COUNT, np.random.default_rng(1))
    made.size(HEAT_W)
    return made


def lived(
    made: Shelters, *, hours: float, step_s: float = 60.0, supplied: float = 1.0
) -> list[FloatArray]:
    """Temperatures after each step from a June noon on."""
    found, now_ms = [], NOON_MS
    for _ in range(round(hours * 3600 / step_s)):
        now_ms += round(step_s * 1000)
        made.advance(now_ms, step_s, heat_w=HEAT_W, supplied=np.full(COUNT, supplied))
        found.append(made.temperature_c.copy())
    return found


def test_air_conditioning_holds_its_set_point_on_the_hottest_day() -> None:
    made = shelters()
    temperatures = lived(made, hours=24)
    assert max(float(now.max()) for now in temperatures) < 28.1
    assert np.all(made.cooling_w < made.most_cooling_w)


def test_what_it_takes_out_is_what_comes_in() -> None:
    """Steady: the heat of the equipment and through the walls, over the coefficient."""
    made = shelters()
    lived(made, hours=2)
    outdoor_c = outdoor_temperature_c(NOON_MS + 2 * 3_600_000) + made._outdoor_offset_c
    through_walls = made.closed_w_per_k * (outdoor_c - made.temperature_c)
    assert made.cooling_w * COP == pytest.approx(HEAT_W + through_walls, rel=0.02)


def test_without_cooling_it_is_over_the_limit_within_hours() -> None:
    made = shelters()
    made.cooling_out[:] = True
    temperatures = lived(made, hours=6)
    assert np.all(temperatures[9] < LIMIT_C), "not within ten minutes"
    assert np.all(temperatures[-1] > LIMIT_C)
    assert np.all(temperatures[-1] < 75)


def test_on_battery_the_fan_keeps_it_near_the_outdoor_air() -> None:
    made = shelters()
    temperatures = lived(made, hours=6, supplied=0.0)
    warmest = max(float(now.max()) for now in temperatures)
    assert 33 < warmest < LIMIT_C
    assert np.all(temperatures[4] - temperatures[0] < 3.0), "slowly"


def test_it_does_not_depend_on_the_step() -> None:
    for supplied, broken in ((1.0, False), (0.0, False), (1.0, True)):
        ends = []
        for step_s in (1.0, 20.0, 60.0):
            made = shelters()
            made.cooling_out[:] = broken
            ends.append(lived(made, hours=1, step_s=step_s, supplied=supplied)[-1])
        assert ends[1] == pytest.approx(ends[0], abs=0.15)
        assert ends[2] == pytest.approx(ends[0], abs=0.4)


def test_after_the_repair_it_is_cool_again() -> None:
    made = shelters()
    made.cooling_out[:] = True
    lived(made, hours=4)
    made.cooling_out[:] = False
    assert np.all(lived(made, hours=6)[-1] < 28.1)


def test_a_cooling_failure_trips_the_rule_and_a_mains_failure_does_not() -> None:
    source = province(whole(), tick_s=60, interval_s=60, start_ms=NOON_MS)
    listen(source, 120)
    source.begin("cooling-failure", "B1a", for_s=4 * 3600)
    source.begin("mains-failure", "B2", for_s=4 * 3600)
    found = listen(source, 4 * 3600)
    assert "bts-high-temperature" in tripped(telemetry(found, "B1a"))
    assert "bts-high-temperature" not in tripped(telemetry(found, "B2"))


def test_air_from_outside_is_drier_where_it_is_warmer() -> None:
    made = shelters()
    lived(made, hours=3)
    cooled = made.read_humidity_percent.mean()
    made.cooling_out[:] = True
    lived(made, hours=6)
    assert 45 < cooled < 65
    assert made.read_humidity_percent.max() < 95, "no rule of humidity is met"
