"""Radio: from what people want to what cells carry, and what that costs in power.

One demand (Mbit/s) decides everything: it is divided by the capacity of the cells that radiate.
Cells share their capacity among those who are active (processor sharing), so that a user sees
C·(1 − ρ): T. Bonald and A. Proutière, "Wireless Downlink Data Channels: User Performance and Cell
Dimensioning", MobiCom 2003.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulators.table import BoolArray, FloatArray

# Demand. 17 GB a month and smartphone in South-East Asia in 2024 (Ericsson Mobility Report, June
# 2019, forecast), 0.95 smartphones a person (93.7 million in Việt Nam: Ministry of Information and
# Communications, 2022).
GB_PER_SMARTPHONE_MONTH = 17.0
SMARTPHONES_PER_PERSON = 0.95
MEAN_MBIT_S_PER_PERSON = (
    GB_PER_SMARTPHONE_MONTH * SMARTPHONES_PER_PERSON * 8e3 / (365.25 / 12 * 86_400)
)
# Upload for each download, about an eighth (assumption); share of it all that 5G phones make where
# there is 5G: a third, as of subscriptions (Ericsson Mobility Report, June 2025, world).
UPLINK_SHARE = 0.12
SHARE_OF_5G_PHONES = 1.0 / 3.0
# A connection brings 2 MB (about 20 an hour and person in the busy hour; assumption) and stays for
# 10 s of inactivity, the usual timer.
MBIT_PER_CONNECTION = 16.0
INACTIVITY_S = 10.0
# Capacity of a cell (Mbit/s): bandwidth (MHz) times mean spectral efficiency (bit/s/Hz and cell).
# 4G: 20 MHz FDD; IMT-Advanced, base coverage urban: 2.2 down, 1.4 up (ITU-R M.2134, table 1).
# 5G: 100 MHz TDD, DDDSU with 10:2:2 symbols, so 74 % down and 23 % up; IMT-2020, dense urban 7.8
# and 5.4, rural 3.3 and 1.6 (ITU-R M.2410, table 2).
MHZ_4G, MHZ_5G = 20.0, 100.0
DOWN_4G, UP_4G = 2.2, 1.4
TDD_DOWN, TDD_UP = (3 + 10 / 14) / 5, (1 + 2 / 14) / 5
DOWN_5G, UP_5G = {"ward": 7.8, "commune": 3.3}, {"ward": 5.4, "commune": 1.6}
# Broadcast and signalling use some blocks in an empty cell, too (assumption).
COMMON_PERCENT = 3.0
# However full a cell is, a user it has let in gets so much of it (assumption).
LEAST_SHARE = 0.02
# Half of the people under a failed cell are reached by the station's other cells (assumption).
OVERLAP = 0.5
# An outside source 20 dB above the floor: what is left of the capacity (assumption).
DISTURBED_DOWN, DISTURBED_UP = 0.7, 0.3
# Connections fail when a cell is nearly full, never more than these (assumption), and where the
# uplink is disturbed.
SUCCESS_PERCENT, FULL_FAILS_PERCENT, DISTURBED_FAILS_PERCENT = 99.7, 3.8, 8.0
FULL_FROM = 0.85
# Power of a cell (W). 4G: P = N·(P0 + Δp·Pmax·load) with remote radio heads: N = 2, P0 = 84 W,
# Δp = 2.8, Pmax = 20 W; of it 29.6 W a transceiver are baseband (G. Auer et al., "How Much Energy
# is Needed to Run a Wireless Network?", IEEE Wireless Communications 18(5), 2011: EARTH).
N_TRX, P0_W, DELTA_P, PMAX_W, BASEBAND_W = 2, 84.0, 2.8, 20.0, 29.6
# 5G: active antenna 633 W empty, 1,127 W full, baseband 293 W a station: an operator's field test
# in Guangzhou and Shenzhen, 2019 (3.7 kW a station at full load), as reported in the press.
AAU_W, AAU_LOAD_W, BASEBAND_5G_W = 633.0, 494.0, 293.0


@dataclass(frozen=True)
class Carried:
    """What a station's cells carry now. Loads are shares of the capacity, 0 to 1."""

    load_4g: FloatArray
    load_5g: FloatArray
    down_mbit_s: FloatArray
    up_mbit_s: FloatArray
    uplink_load: FloatArray
    connected: FloatArray
    success_percent: FloatArray


def cell_mbit_s(rural: BoolArray) -> dict[str, FloatArray]:
    """Capacity of one cell at each station, before what is special to it."""
    return {
        "down_4g": np.full(len(rural), MHZ_4G * DOWN_4G),
        "up_4g": np.full(len(rural), MHZ_4G * UP_4G),
        "down_5g": MHZ_5G * TDD_DOWN * np.where(rural, DOWN_5G["commune"], DOWN_5G["ward"]),
        "up_5g": MHZ_5G * TDD_UP * np.where(rural, UP_5G["commune"], UP_5G["ward"]),
    }


def _divided(a: FloatArray, b: FloatArray) -> FloatArray:
    """a / b; no cells, no load: where b is nought, a is."""
    found: FloatArray = a / np.maximum(b, 1e-9)
    return found


def carry(
    demand_mbit_s: FloatArray,
    *,
    cells_4g: FloatArray,
    cells_5g: FloatArray,
    capacity: dict[str, FloatArray],
    disturbed: BoolArray,
) -> Carried:
    """Share a demand among the cells that radiate. 5G phones use 5G where it radiates, and 4G
    otherwise; where only 5G is left, 4G phones are not served."""
    down = np.where(disturbed, DISTURBED_DOWN, 1.0)
    up = np.where(disturbed, DISTURBED_UP, 1.0)
    wants_5g = np.where(cells_5g > 0, SHARE_OF_5G_PHONES, 0.0)
    wants_4g = np.where(cells_4g > 0, 1.0 - wants_5g, 0.0)
    rates: list[FloatArray] = []
    loads: list[FloatArray] = []
    ups: list[FloatArray] = []
    uplinks: list[FloatArray] = []
    for cells, wants, radio in ((cells_4g, wants_4g, "4g"), (cells_5g, wants_5g, "5g")):
        for way, share, rate_list, load_list in (
            ("down", 1.0, rates, loads),
            ("up", UPLINK_SHARE, ups, uplinks),
        ):
            cell = capacity[f"{way}_{radio}"] * (down if way == "down" else up)
            load = _divided(demand_mbit_s * wants * share, cell * cells)
            load_list.append(np.minimum(load, 1.0))
            rate_list.append(cell * np.maximum(1.0 - load, LEAST_SHARE))
    served = wants_4g + wants_5g
    per_s = demand_mbit_s / MBIT_PER_CONNECTION
    # Little's law: connections a second, times how long each is there.
    connected = sum(
        per_s * wants * (MBIT_PER_CONNECTION / rate + INACTIVITY_S)
        for wants, rate in ((wants_4g, rates[0]), (wants_5g, rates[1]))
    )
    full = np.clip((np.maximum(*loads) - FULL_FROM) / (1.0 - FULL_FROM), 0.0, 1.0)
    fails = FULL_FAILS_PERCENT * full**2 + np.where(disturbed, DISTURBED_FAILS_PERCENT, 0.0)
    cells = cells_4g + cells_5g
    return Carried(
        load_4g=loads[0],
        load_5g=loads[1],
        down_mbit_s=_divided(wants_4g * rates[0] + wants_5g * rates[1], served),
        up_mbit_s=_divided(wants_4g * ups[0] + wants_5g * ups[1], served),
        uplink_load=_divided(uplinks[0] * cells_4g + uplinks[1] * cells_5g, cells),
        connected=np.asarray(connected, dtype=np.float64),
        success_percent=SUCCESS_PERCENT - fails,
    )


def used_percent(load: FloatArray) -> FloatArray:
    """Resource blocks in use at this load."""
    found: FloatArray = COMMON_PERCENT + (100.0 - COMMON_PERCENT) * load
    return found


def power_w(
    cells_4g: FloatArray,
    cells_5g: FloatArray,
    *,
    load_4g: FloatArray | float,
    load_5g: FloatArray | float,
    has_5g: BoolArray,
) -> FloatArray:
    """What a station draws from the −48 V bus."""
    drawn: FloatArray = (
        cells_4g * N_TRX * (P0_W + DELTA_P * PMAX_W * load_4g)
        + cells_5g * (AAU_W + AAU_LOAD_W * load_5g)
        + np.where(has_5g, BASEBAND_5G_W, 0.0)
    )
    return drawn


def indoor_w(cells_4g: FloatArray, *, has_5g: BoolArray) -> FloatArray:
    """What of it becomes heat in the shelter: baseband; radio units hang on the mast."""
    found: FloatArray = cells_4g * N_TRX * BASEBAND_W + np.where(has_5g, BASEBAND_5G_W, 0.0)
    return found
