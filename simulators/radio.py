"""Radio: from what people want to what cells carry, and what that costs in power.

One demand (Mbit/s) decides everything: it is divided by the capacity of the cells that radiate.
Cells share their capacity among those who are active (processor sharing), so that a user sees
C·(1 − ρ): T. Bonald and A. Proutière, "Wireless Downlink Data Channels: User Performance and Cell
Dimensioning", MobiCom 2003.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulators.table import BoolArray, FloatArray, IntArray

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
    """What a station's cells carry now. Loads are shares of the capacity, 0 to 1; ``cell_load`` and
    ``uplink_load`` are means of its cells, speeds are what a user sees."""

    load_4g: FloatArray
    load_5g: FloatArray
    down_mbit_s: FloatArray
    up_mbit_s: FloatArray
    cell_load: FloatArray
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


class Cells:
    """The cells of all stations that radiate now, and who uses which: 5G phones use 5G where it
    radiates, and 4G otherwise; where only 5G is left, 4G phones are not served."""

    def __init__(
        self,
        of_4g: IntArray,
        of_5g: IntArray,
        *,
        capacity: dict[str, FloatArray],
        disturbed: BoolArray,
    ) -> None:
        self.of_4g, self.of_5g = of_4g.astype(np.float64), of_5g.astype(np.float64)
        down = np.where(disturbed, DISTURBED_DOWN, 1.0)
        up = np.where(disturbed, DISTURBED_UP, 1.0)
        wants_5g = np.where(of_5g > 0, SHARE_OF_5G_PHONES, 0.0)
        wants_4g = np.where(of_4g > 0, 1.0 - wants_5g, 0.0)
        served = wants_4g + wants_5g
        self.wants_4g, self.wants_5g = wants_4g, wants_5g
        self.of_served_4g, self.of_served_5g = (
            _divided(wants_4g, served),
            _divided(wants_5g, served),
        )
        cells = self.of_4g + self.of_5g
        self.of_cells_4g, self.of_cells_5g = (
            _divided(self.of_4g, cells),
            _divided(self.of_5g, cells),
        )
        self.down_4g, self.down_5g = capacity["down_4g"] * down, capacity["down_5g"] * down
        self.up_4g, self.up_5g = capacity["up_4g"] * up, capacity["up_5g"] * up
        # Load for each Mbit/s that the station's people want to download.
        self.load_4g = _divided(wants_4g, self.down_4g * self.of_4g)
        self.load_5g = _divided(wants_5g, self.down_5g * self.of_5g)
        self.uplink_4g = _divided(wants_4g * UPLINK_SHARE, self.up_4g * self.of_4g)
        self.uplink_5g = _divided(wants_5g * UPLINK_SHARE, self.up_5g * self.of_5g)
        self.best_percent = SUCCESS_PERCENT - np.where(disturbed, DISTURBED_FAILS_PERCENT, 0.0)


def carry(demand_mbit_s: FloatArray, cells: Cells) -> Carried:
    """Share what people want among the cells that radiate."""
    wanted = [
        demand_mbit_s * each
        for each in (cells.load_4g, cells.load_5g, cells.uplink_4g, cells.uplink_5g)
    ]
    loads = [np.minimum(load, 1.0) for load in wanted]
    rates = [
        cell * np.maximum(1.0 - load, LEAST_SHARE)
        for load, cell in zip(
            loads, (cells.down_4g, cells.down_5g, cells.up_4g, cells.up_5g), strict=True
        )
    ]
    # Little's law: connections a second, times how long each is there.
    per_s = demand_mbit_s / MBIT_PER_CONNECTION
    stays_4g = MBIT_PER_CONNECTION / rates[0] + INACTIVITY_S
    stays_5g = MBIT_PER_CONNECTION / rates[1] + INACTIVITY_S
    fullest = np.maximum(loads[0], loads[1])
    full = np.maximum((fullest - FULL_FROM) / (1.0 - FULL_FROM), 0.0)
    return Carried(
        load_4g=loads[0],
        load_5g=loads[1],
        down_mbit_s=cells.of_served_4g * rates[0] + cells.of_served_5g * rates[1],
        up_mbit_s=cells.of_served_4g * rates[2] + cells.of_served_5g * rates[3],
        cell_load=cells.of_cells_4g * loads[0] + cells.of_cells_5g * loads[1],
        uplink_load=cells.of_cells_4g * loads[2] + cells.of_cells_5g * loads[3],
        connected=per_s * (cells.wants_4g * stays_4g + cells.wants_5g * stays_5g),
        success_percent=cells.best_percent - FULL_FAILS_PERCENT * full * full,
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
