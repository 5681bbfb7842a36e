"""Fibre spans: an optical budget that balances, and what a cut or a bend does to it.

Loss is the sum of its parts: fibre, splices and connectors as commissioned, what age, heat, the
cable's movement and a bend have added. Receive power is transmit power less loss. A span's
telemetry comes from an end that reaches a core site. Without light that end reads no power at all;
loss, margin and bit errors cannot be measured then and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ioc.inventory import Asset
from simulators.cabling import CONNECTORS_DB, DRUM_KM, SPLICE_DB
from simulators.network import Network
from simulators.table import BoolArray, FloatArray, IntArray, Table, number, wander
from simulators.weather import outdoor_temperature_c

KIND = "span"
NO_LIGHT_DBM = -40.0
# As built, where the inventory has nothing better: 0.21–0.275 dB/km at 1550 nm (ITU-T G.652.D
# allows 0.30), a splice of 0.12 dB at both ends of each drum of 4 km, two connectors.
FIBRE_DB_PER_KM = (0.21, 0.275)
# Inventories that give a loss as it was measured share it out: what two connectors have, the rest
# is the fibre's.
MEAN_DB_PER_KM = {1310: 0.355, 1550: 0.2425}
# Age since commissioning, in the ten years before 2025: repairs, connectors that are opened and
# cable that settles add so much a year and span, and so much a year and km (assumptions; ITU-T
# G.957 keeps a cable margin for just these).
COMMISSIONED_MS = (1_451_581_200_000, 1_735_664_400_000)  # 2016-01-01 and 2025-01-01
AGEING_DB_PER_YEAR, AGEING_DB_PER_KM_YEAR = 0.02, 0.0003
YEAR_MS = 365.25 * 86_400_000
# Cable may change by 0.05 dB/km from −30 to +70 °C (usual acceptance of IEC 60794-1-22, method
# F1): 0.0005 dB/km and kelvin, against the day of commissioning.
HEAT_DB_PER_KM_K, COMMISSIONED_AT_C = 0.0005, 28.0
# Wind and traffic move cable: a little loss that wanders (assumption).
MOVEMENT_DB, MOVEMENT_TAU_S = 0.04, 600.0
# A meter on a module reads within so much (SFF-8472 allows 3 dB in all; its noise is far less).
JITTER_DB = 0.02
# A bend: six turns with a radius of 10 mm, 0.75 dB each at 1550 nm (ITU-T G.657 category A1). At
# 1310 nm it would be less; the fault is said to cost as much there.
BEND_TURNS, BEND_DB_PER_TURN = 6, 0.75
BEND_DB = BEND_TURNS * BEND_DB_PER_TURN
# Module classes: longest planned loss (dB), transmit power (dBm), receive low alarm (dBm).
# Alarms as on SFF-8472 modules: LR −18.4, ER −19.8, ZR −28.
_CLASSES = {"LR": (9.0, -2.0, -18.4), "ER": (14.0, 0.5, -19.8), "ZR": (60.0, 2.5, -28.0)}
# A span that its modules would not reach has a booster, for so much above the alarm (dB).
BOOSTED_TO_DB, MOST_DBM = 6.0, 14.0
# Bit errors: a module's low warning, 4 dB above its alarm in all three classes, is where it still
# has an error ratio of 1e-12 without correction (IEEE 802.3 clause 52), a Q of 7.03. Noise of a
# receiver without optical amplifier is thermal, so that Q goes with the received power: ten
# decibels are a factor of ten, and BER = exp(−Q²/2) / (Q·√2π).
WARNING_ABOVE_ALARM_DB, Q_AT_WARNING = 4.0, 7.03
LEAST_BER, MOST_BER = 1e-15, 1e-2
ERROR_FREE_FROM_DB = 6.0
# Correction: RS(255,239) of ITU-T G.709 mends 8 wrong bytes of 255, so that 1e-4 comes out clean
# (ITU-T G.975); at 10.7 Gbit/s so many code words are sent in the 10 s between two readings.
CODE_BYTES, MENDED_BYTES = 255, 8
CODE_WORDS = 10.709e9 / (8 * CODE_BYTES) * 10.0
# The ways of nine wrong bytes, the commonest of what cannot be mended.
_NINE_OF_255 = float(math.comb(CODE_BYTES, MENDED_BYTES + 1))
_QUARTER_HOUR_MS = 900_000
_FLAP_PERIOD_S = 16.0
# So slowly a bend grows, where a scenario says nothing else.
BEND_OVER_S = 120.0


def bit_error_ratio(margin_db: FloatArray) -> FloatArray:
    """Before correction, by how far the receive power is above the module's low alarm."""
    found = np.full(len(margin_db), LEAST_BER)
    # From 6 dB on there are no errors to speak of, which is nearly everywhere.
    rows = np.flatnonzero(margin_db < ERROR_FREE_FROM_DB)
    if len(rows):
        q = Q_AT_WARNING * 10.0 ** ((margin_db[rows] - WARNING_ABOVE_ALARM_DB) / 10.0)
        q = np.maximum(q, 0.5)
        ratio = np.exp(-q * q / 2.0) / (q * np.sqrt(2.0 * np.pi))
        found[rows] = np.clip(ratio, LEAST_BER, MOST_BER)
    return found


def uncorrected_frames(ratio: FloatArray) -> FloatArray:
    """Code words with more wrong bytes than can be mended, of those sent in 10 s."""
    wrong_bytes = np.minimum(8.0 * ratio, 1.0)
    three = wrong_bytes * wrong_bytes * wrong_bytes
    fails = np.minimum(_NINE_OF_255 * three * three * three, 1.0)
    found: FloatArray = np.floor(CODE_WORDS * fails)
    return found


class Spans:
    """All simulated spans as one table. ``parts`` are the parts of the loss now (dB)."""

    def __init__(self, assets: Sequence[Asset], network: Network, rng: np.random.Generator) -> None:
        self.rng = rng
        self.table = table = Table(KIND, assets, network.site_index)
        count = len(table)
        self.row_in_network: IntArray = np.array(
            [network.span_index[asset.id] for asset in assets], dtype=np.int64
        )
        self._length_km = np.array([asset.length_km for asset in assets], dtype=np.float64)
        self.parts: dict[str, FloatArray] = self._built(rng)
        self.baseline_db: FloatArray = np.sum(list(self.parts.values()), axis=0)
        self._tx_dbm, self._alarm_dbm = self._modules(assets, rng)
        self._commissioned_ms = rng.uniform(*COMMISSIONED_MS, count)
        self._ageing_db_per_year = (
            AGEING_DB_PER_YEAR * rng.random(count)
            + AGEING_DB_PER_KM_YEAR * rng.random(count) * self._length_km
        )
        self._bend_db: FloatArray = np.zeros(count)
        self._noise_db: FloatArray = np.zeros(count)
        self._bias_ma = rng.uniform(28.0, 48.0, count)
        self._flap_phase_s = rng.uniform(0.0, _FLAP_PERIOD_S, count)
        self._errored_s: FloatArray = np.zeros(count)
        self._severely_errored_s: FloatArray = np.zeros(count)
        self._unavailable_s: FloatArray = np.zeros(count)
        self._quarter_hour = -1
        self.lit: BoolArray = np.ones(count, dtype=np.bool_)

    def _built(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """The parts of the commissioned loss: as the inventory has it, else as such spans are."""
        length, table = self._length_km, self.table
        joints = table.attribute("splices", -1.0)
        splices = SPLICE_DB * np.where(joints < 0.0, np.ceil(length / DRUM_KM) + 1.0, joints)
        connectors = rng.uniform(*CONNECTORS_DB, len(table))
        drawn = length * rng.uniform(*FIBRE_DB_PER_KM, len(table)) + splices + connectors
        given = table.attribute("baseline_loss_db", -1.0)
        loss = np.where(given > 0.0, given, drawn)
        at_1310 = table.attribute("wavelength_nm", 1550.0) < 1400.0
        usual = length * np.where(at_1310, MEAN_DB_PER_KM[1310], MEAN_DB_PER_KM[1550])
        connectors = np.where(
            given > 0.0, np.clip(loss - splices - usual, *CONNECTORS_DB), connectors
        )
        fibre = np.maximum(loss - splices - connectors, 0.0)
        connectors = loss - splices - fibre
        return {"fibre": fibre, "splices": splices, "connectors": connectors}

    def _modules(
        self, assets: Sequence[Asset], rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Transmit power and receive low alarm of each span's modules (dBm): as the inventory has
        them, else of the class its loss needs."""
        transmit, alarm = [], []
        for asset, loss in zip(assets, self.baseline_db.tolist(), strict=True):
            needed = next((name for name, (most, _, _) in _CLASSES.items() if loss <= most), "ZR")
            name = str(asset.attributes.get("optics", needed))
            _, usual, threshold = _CLASSES.get(name, _CLASSES[needed])
            drawn = usual + float(rng.uniform(-0.8, 0.8))
            transmit.append(number(asset.attributes.get("tx_power_dbm"), drawn))
            alarm.append(number(asset.attributes.get("rx_low_alarm_dbm"), threshold))
        sent, thresholds = np.array(transmit, dtype=np.float64), np.array(alarm, dtype=np.float64)
        missing_db = thresholds + self.baseline_db + BOOSTED_TO_DB - sent
        # What the inventory does not say: it would be in alarm from the first day without.
        self.booster_db: FloatArray = np.clip(missing_db, 0.0, np.maximum(MOST_DBM - sent, 0.0))
        return sent + self.booster_db, thresholds

    def broken(self, now_ms: int) -> BoolArray:
        """Which spans carry no light of their own fault: cut, or in the dark half of flapping."""
        flapping = (now_ms / 1000.0 + self._flap_phase_s) % _FLAP_PERIOD_S < _FLAP_PERIOD_S / 2
        broken: BoolArray = self.table.fault("span-cut") | (
            self.table.fault("flapping-link") & flapping
        )
        return broken

    def advance(self, now_ms: int, dt_s: float, *, lit: BoolArray) -> None:
        """Move all spans by ``dt_s``. ``lit``: which have light (not cut, both ends powered)."""
        table, columns = self.table, self.table.columns
        self.lit = lit
        # A bend gets worse over minutes (a cable under a slipping load), and is mended at once.
        growing = self._bend_db + BEND_DB * dt_s / table.amount("span-bend", BEND_OVER_S)
        self._bend_db = np.where(table.fault("span-bend"), np.minimum(growing, BEND_DB), 0.0)
        wander(self._noise_db, self.rng, sigma=MOVEMENT_DB, dt_s=dt_s, tau_s=MOVEMENT_TAU_S)
        warm_c = outdoor_temperature_c(now_ms)
        age = np.maximum(now_ms - self._commissioned_ms, 0.0) * (1.0 / YEAR_MS)
        parts = self.parts
        parts["age"] = self._ageing_db_per_year * age
        parts["heat"] = HEAT_DB_PER_KM_K * (warm_c - COMMISSIONED_AT_C) * self._length_km
        parts["movement"], parts["bend"] = self._noise_db, self._bend_db
        excess = parts["age"] + parts["heat"] + parts["movement"] + parts["bend"]
        loss = self.baseline_db + excess
        received = self._tx_dbm - loss
        margin = received - self._alarm_dbm
        jitter = self.rng.normal(0.0, JITTER_DB, (2, len(table)))
        columns["rx_power_dbm"] = np.where(lit, received + jitter[0], NO_LIGHT_DBM)
        columns["tx_power_dbm"] = self._tx_dbm + jitter[1]
        columns["rx_margin_db"] = margin
        columns["loss_db"] = loss
        columns["excess_loss_db"] = excess
        bias = np.where(table.fault("laser-ageing"), 96.0, self._bias_ma)
        columns["laser_bias_ma"] = bias + 0.08 * (warm_c - COMMISSIONED_AT_C)
        columns["module_temperature_c"] = warm_c + 14.0 + self._noise_db * 5.0
        columns["link_up"] = lit
        ratio = bit_error_ratio(margin)
        columns["pre_fec_ber"] = ratio
        lost = uncorrected_frames(ratio)
        columns["uncorrected_frames"] = lost.astype(np.int64)
        for name in (
            *("rx_margin_db", "loss_db", "excess_loss_db"),
            *("pre_fec_ber", "uncorrected_frames"),
        ):
            table.masks[name] = lit
        self._count_seconds(now_ms, dt_s, lit, lost > 0.0)

    def _count_seconds(self, now_ms: int, dt_s: float, lit: BoolArray, bad: BoolArray) -> None:
        """Running counts of the current quarter hour (ITU-T G.8201)."""
        quarter_hour = now_ms // _QUARTER_HOUR_MS
        if quarter_hour != self._quarter_hour:
            self._quarter_hour = quarter_hour
            for seconds in (self._errored_s, self._severely_errored_s, self._unavailable_s):
                seconds[:] = 0.0
        dark = ~lit
        self._errored_s[bad | dark] += dt_s
        self._severely_errored_s[dark] += dt_s
        self._unavailable_s[dark] += dt_s
        columns = self.table.columns
        for name, seconds in (
            ("errored_s", self._errored_s),
            ("severely_errored_s", self._severely_errored_s),
            ("unavailable_s", self._unavailable_s),
        ):
            columns[name] = np.minimum(seconds, 900.0).astype(np.int64)
