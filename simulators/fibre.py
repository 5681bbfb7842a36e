"""Fibre spans: optical levels with ageing and noise, and what a cut or a bend does to them.

A span's telemetry comes from an end that reaches a core site. Without light that end reads no
power at all; loss, margin and bit errors cannot be measured then and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ioc.inventory import Asset
from simulators.day import outdoor_temperature_c
from simulators.network import Network
from simulators.table import BoolArray, FloatArray, IntArray, Table, number, wander

KIND = "span"
NO_LIGHT_DBM = -40.0
# Module classes: longest planned loss (dB), transmit power (dBm), receive low alarm (dBm).
# Alarms as on SFF-8472 modules: LR −18.4, ER −19.8, ZR −28.
_CLASSES = {"LR": (9.0, -2.0, -18.4), "ER": (14.0, 0.5, -19.8), "ZR": (60.0, 2.5, -28.0)}
_QUARTER_HOUR_MS = 900_000
_FLAP_PERIOD_S = 16.0
# So slowly a bend grows, where a scenario says nothing else.
BEND_OVER_S = 120.0


class Spans:
    """All simulated spans as one table."""

    def __init__(self, assets: Sequence[Asset], network: Network, rng: np.random.Generator) -> None:
        self.rng = rng
        self.table = table = Table(KIND, assets, network.site_index)
        count = len(table)
        self.row_in_network: IntArray = np.array(
            [network.span_index[asset.id] for asset in assets], dtype=np.int64
        )
        length = np.array([asset.length_km for asset in assets], dtype=np.float64)
        # Fibre 0.21–0.275 dB/km at 1550 nm, a splice of 0.12 dB each 4 km, two connectors.
        drawn = length * rng.uniform(0.21, 0.275, count) + np.ceil(length / 4.0) * 0.12 + 0.8
        given = table.attribute("baseline_loss_db", -1.0)
        self._baseline_db = np.where(given > 0.0, given, drawn)
        self._tx_dbm, self._alarm_dbm = self._modules(assets, rng)
        self._aged_db = rng.uniform(0.0, 0.25, count)
        self._bend_db: FloatArray = np.zeros(count)
        self._noise_db: FloatArray = np.zeros(count)
        self._bias_ma = rng.uniform(28.0, 48.0, count)
        self._flap_phase_s = rng.uniform(0.0, _FLAP_PERIOD_S, count)
        self._errored_s: FloatArray = np.zeros(count)
        self._severely_errored_s: FloatArray = np.zeros(count)
        self._unavailable_s: FloatArray = np.zeros(count)
        self._quarter_hour = -1
        self.lit: BoolArray = np.ones(count, dtype=np.bool_)

    def _modules(
        self, assets: Sequence[Asset], rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Transmit power and receive low alarm of each span's modules (dBm): as the inventory has
        them, else of the class its loss needs."""
        transmit, alarm = [], []
        for asset, loss in zip(assets, self._baseline_db.tolist(), strict=True):
            needed = next(name for name, (most, _, _) in _CLASSES.items() if loss <= most)
            name = str(asset.attributes.get("optics", needed))
            _, usual, threshold = _CLASSES.get(name, _CLASSES[needed])
            drawn = usual + float(rng.uniform(-0.8, 0.8))
            transmit.append(number(asset.attributes.get("tx_power_dbm"), drawn))
            alarm.append(number(asset.attributes.get("rx_low_alarm_dbm"), threshold))
        thresholds = np.array(alarm, dtype=np.float64)
        # A span too long for its modules has an amplifier, or it would be in alarm from the first
        # day: as much as leaves 5 dB above the alarm.
        launched = np.maximum(np.array(transmit), thresholds + self._baseline_db + 6.0)
        return np.minimum(launched, 14.0), thresholds

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
        bent = np.where(table.fault("span-bend"), 4.5, 0.0)
        # A bend gets worse over minutes (a cable under a slipping load), and is mended at once.
        growing = self._bend_db + 4.5 * dt_s / table.amount("span-bend", BEND_OVER_S)
        self._bend_db = np.where(bent > 0.0, np.minimum(growing, bent), 0.0)
        wander(self._noise_db, self.rng, sigma=0.04, dt_s=dt_s, tau_s=600.0)
        warm = outdoor_temperature_c(now_ms)
        # Splices and aerial cable lose a little more in the heat.
        excess = self._aged_db + self._noise_db + 0.01 * (warm - 28.0) + self._bend_db
        loss = np.maximum(self._baseline_db + excess, 0.0)
        received = self._tx_dbm - loss
        margin = received - self._alarm_dbm
        jitter = self.rng.normal(0.0, 0.02, (2, len(table)))
        columns["rx_power_dbm"] = np.where(lit, received + jitter[0], NO_LIGHT_DBM)
        columns["tx_power_dbm"] = self._tx_dbm + jitter[1]
        columns["rx_margin_db"] = margin
        columns["loss_db"] = loss
        columns["excess_loss_db"] = excess
        bias = np.where(table.fault("laser-ageing"), 96.0, self._bias_ma)
        columns["laser_bias_ma"] = bias + 0.08 * (warm - 28.0)
        columns["module_temperature_c"] = warm + 14.0 + self._noise_db * 5.0
        columns["link_up"] = lit
        ratio = 10.0 ** np.clip(-6.3 - 0.75 * margin, -15.0, -2.0)
        columns["pre_fec_ber"] = ratio
        lost = np.where(ratio > 5e-5, np.round(ratio * 1e7), 0.0)
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
