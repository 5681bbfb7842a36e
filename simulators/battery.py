"""A string of lead-acid batteries: how much it gives at a current and a temperature, at which
voltage, and how it is charged again. Everything is per ampere-hour rated, over arrays of sites.

Current is in multiples of the ten-hour rating (``rate``, 1/h): 0.1 empties a new battery at 25 °C
in ten hours. ``charge`` is the share left of what it would give at the current that flows.
"""

from __future__ import annotations

import numpy as np

from simulators.table import FloatArray

# Four blocks of 12 V, six cells each.
BLOCKS, CELLS = 4, 24
# What a battery gives at a constant current down to 1.80 V per cell, 25 °C: amperes of a block of
# 100 Ah over 20, 10, 8, 6, 5, 4, 3, 2 and 1 h (data sheet CT100-12, AGM, 12 V 100 Ah).
HOURS = np.array([20.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
AMPERES_OF_100_AH = np.array([5.20, 10.0, 11.7, 14.6, 16.8, 20.7, 25.6, 32.8, 52.8])
_LOG_RATE = np.log(AMPERES_OF_100_AH / 100.0)
_GIVES = AMPERES_OF_100_AH * HOURS / 100.0
# Capacity against temperature: 86 % at 0 °C, 100 % at 25 °C, 103 % at 40 °C (the same data sheet).
TEMPERATURE_C = np.array([0.0, 25.0, 40.0])
GIVES_AT = np.array([0.86, 1.00, 1.03])
# Ohmic resistance: 4.9 mΩ for a block of 100 Ah (the same data sheet), so 1.96 V at a rate of 1.
OHMIC_V = 4.9e-3 * 100.0 * BLOCKS
# Terminal voltage while it is discharged over ten hours, against what is left: 1.80 V per cell at
# the end and 1.85 V a sixteenth before (data sheet); the plateau before that has the usual shape
# of AGM curves (2.10 V falling to 1.95 V; an assumption within ±0.02 V per cell).
LEFT = np.array([0.0, 0.06, 0.14, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0])
DISCHARGE_V = CELLS * np.array([1.80, 1.85, 1.90, 1.925, 1.955, 1.98, 2.0, 2.02, 2.055, 2.07, 2.10])
_MEAN_V = 48.5
# Float charge: 13.5–13.8 V per block at 25 °C in the data sheet; 53.5 V is the usual setting of
# −48 V systems. While it charges, voltage climbs to that; the shape is an assumption.
FLOAT_V = 53.5
_CHARGING_LEFT = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
_CHARGING_V = np.array([50.5, 51.6, 52.6, FLOAT_V, FLOAT_V])
# Low-voltage disconnect within 42.0–46.8 V for 24 cells, common practice; 1.92 V per cell.
DISCONNECT_V = 46.0
# Charging: a tenth of the ten-hour rating per hour up to nine tenths of the charge, then falling
# with what is missing; 110 % of what was taken goes back in (both common practice).
CHARGE_RATE_PER_H = 0.1
TAPER_BELOW = 0.1
CHARGE_EFFICIENCY = 1.0 / 1.1


def gives(rate: FloatArray) -> FloatArray:
    """Share of the ten-hour capacity that a discharge at this rate gets out."""
    found: FloatArray = np.interp(np.log(np.maximum(rate, 1e-6)), _LOG_RATE, _GIVES)
    return found


def warmth(temperature_c: FloatArray) -> FloatArray:
    """Capacity at this temperature as a share of that at 25 °C."""
    found: FloatArray = np.interp(temperature_c, TEMPERATURE_C, GIVES_AT)
    return found


def discharge_v(charge: FloatArray, rate: FloatArray) -> FloatArray:
    """Terminal voltage of the string while it is discharged."""
    found: FloatArray = np.interp(charge, LEFT, DISCHARGE_V) - OHMIC_V * (rate - 0.1)
    return found


def charging_v(charge: FloatArray) -> FloatArray:
    """Terminal voltage of the string while it is charged or floats."""
    found: FloatArray = np.interp(charge, _CHARGING_LEFT, _CHARGING_V)
    return found


def rate_of(load_w: FloatArray, rated_ah: FloatArray, charge: FloatArray) -> FloatArray:
    """The rate at which a constant power discharges it: the current rises as voltage falls."""
    by_v = load_w / rated_ah
    found: FloatArray = by_v / discharge_v(charge, by_v / _MEAN_V)
    return found


def charge_at_disconnect(rate: FloatArray) -> FloatArray:
    """What is left in it when its voltage reaches the disconnect at this rate."""
    found: FloatArray = np.interp(DISCONNECT_V + OHMIC_V * (rate - 0.1), DISCHARGE_V, LEFT)
    return found


def emptied_per_h(rate: FloatArray, temperature_c: FloatArray, health: FloatArray) -> FloatArray:
    """Charge that a discharge at this rate takes in an hour."""
    found: FloatArray = rate / (gives(rate) * warmth(temperature_c) * health)
    return found


def hours_left(
    load_w: FloatArray,
    rated_ah: FloatArray,
    charge: FloatArray,
    *,
    temperature_c: FloatArray,
    health: FloatArray,
) -> FloatArray:
    """Hours to the disconnect at a constant load."""
    end = charge_at_disconnect(load_w / (DISCONNECT_V * rated_ah))
    rate = rate_of(load_w, rated_ah, (charge + end) / 2.0)
    left = np.maximum(charge - end, 0.0)
    found: FloatArray = left / emptied_per_h(rate, temperature_c, health)
    return found


def charged(
    charge: FloatArray, rate: FloatArray, *, health: FloatArray, hours: FloatArray
) -> FloatArray:
    """The charge after so many hours at most at this rate: exact for any time."""
    climb = np.maximum(rate * CHARGE_EFFICIENCY / health, 1e-9)
    knee = 1.0 - TAPER_BELOW
    to_knee_h = np.maximum(knee - charge, 0.0) / climb
    tapering_h = np.maximum(hours - to_knee_h, 0.0)
    missing = 1.0 - np.maximum(charge, knee)
    tapered = 1.0 - missing * np.exp(-climb * tapering_h / TAPER_BELOW)
    found: FloatArray = np.where(hours < to_knee_h, charge + climb * hours, tapered)
    return found
