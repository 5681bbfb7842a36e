"""What is known of each fault beforehand: what it moves, and what an ideal operator would be told.

Written down apart from the catalog's rules: truth is what they are graded by.
"""

from __future__ import annotations

from dataclasses import dataclass

# Not a metric: the power of a site, and with it whether anything there can speak.
POWER = "power"
_SITE_POWER = (
    POWER,
    *("mains_ok", "dc_voltage_v", "battery_charge_percent", "battery_runtime_min"),
    *("shelter_temperature_c", "shelter_humidity_percent", "rx_power_dbm", "link_up"),
    *("genset_running", "fuel_percent"),
)
# What servers that stop or work elsewhere move, here and at the other site.
_MOVED_LOAD = (
    *("load_percent", "runtime_min", "cooling_spare_units", "pue", "room_temperature_c"),
    *("inlet_temperature_c", "supply_temperature_c", "room_humidity_percent"),
    *("replication_lag_s", "switch_over_ready", "utilization_percent", "loss_percent"),
    *("backup_age_h", "last_backup_ok"),
)
_CENTRE = (
    *("on_battery", "position", "up", "battery_charge_percent", "fuel_percent", *_MOVED_LOAD),
)
# Which metrics a fault can carry over a limit of the catalog, on whatever it spreads to.
MOVES: dict[str, frozenset[str]] = {
    fault: frozenset(metrics)
    for fault, metrics in {
        "span-cut": ("rx_power_dbm", "link_up", "switch_over_ready", "replication_lag_s"),
        "span-bend": ("excess_loss_db", "rx_margin_db", "pre_fec_ber", "uncorrected_frames"),
        "flapping-link": ("rx_power_dbm", "link_up", "up", *_MOVED_LOAD),
        "laser-ageing": ("laser_bias_ma",),
        "mains-failure": (*_SITE_POWER, *_CENTRE),
        "battery-low": _SITE_POWER,
        "battery-theft": (POWER, "door_open", "battery_charge_percent", "dc_voltage_v"),
        "rectifier-failure": ("rectifiers_failed",),
        "cell-unavailable": ("cells_unavailable", "in_service"),
        "out-of-service": ("in_service", "cells_unavailable"),
        "vswr": ("vswr",),
        "interference": ("interference_dbm", "rrc_estab_success_percent"),
        "sync-loss": ("sync_error_us",),
        "door-open": ("door_open",),
        "smoke": ("smoke",),
        "high-temperature": ("shelter_temperature_c", *_MOVED_LOAD),
        "cooling-failure": (
            *("shelter_temperature_c", "room_temperature_c", "inlet_temperature_c", "failed"),
            *_MOVED_LOAD,
        ),
        "flood": _SITE_POWER,
        "low-fuel": ("fuel_percent",),
        "ups-on-battery": ("on_battery", "battery_charge_percent", *_MOVED_LOAD),
        "ups-failure": ("on_battery", "battery_charge_percent", *_MOVED_LOAD),
        "ups-bypass": ("on_bypass", *_MOVED_LOAD),
        # Without mains, a site without its genset is lost: not by the genset alone.
        "genset-not-in-auto": ("not_in_auto", POWER),
        "genset-failure": (POWER,),
        "water-leak": ("water_leak",),
        "storage-full": ("used_percent",),
        "backup-failed": ("backup_age_h", "last_backup_ok"),
        "replication-stopped": ("replication_lag_s", "switch_over_ready"),
        "link-down": ("up", *_MOVED_LOAD),
        "silent": (),
        "sensor-spike": (),
        "sensor-stuck": (),
        "bad-payload": (),
        "clock-skew": (),
    }.items()
}


@dataclass(frozen=True)
class Words:
    """Severity and probable cause (X.733) of what an operator is told."""

    severity: str
    probable_cause: str


# By fault, and by kind of the root asset where it makes a difference.
_TOLD: dict[str, Words] = {
    "span-cut": Words("critical", "lossOfSignal"),
    "span-bend": Words("major", "degradedSignalX733"),
    "flapping-link": Words("major", "degradedSignalX733"),
    "laser-ageing": Words("warning", "transmitterFailure"),
    "mains-failure": Words("minor", "commercialPowerFailure"),
    "battery-low": Words("major", "lowBatteryThreshold"),
    "battery-theft": Words("major", "intrusionDetection"),
    "rectifier-failure": Words("minor", "rectifierFailure"),
    "cell-unavailable": Words("minor", "underlyingResourceUnavailable"),
    "out-of-service": Words("critical", "equipmentMalfunction"),
    "vswr": Words("major", "antennaFailure"),
    "interference": Words("minor", "thresholdCrossed"),
    "sync-loss": Words("major", "lossOfSynchronisation"),
    "door-open": Words("warning", "enclosureDoorOpen"),
    "smoke": Words("critical", "smoke"),
    "high-temperature": Words("minor", "highTemperature"),
    "high-temperature dc_site": Words("major", "highTemperature"),
    "high-temperature rack": Words("major", "highTemperature"),
    "cooling-failure": Words("minor", "highTemperature"),
    "cooling-failure dc_site": Words("major", "airConditioningFailure"),
    "cooling-failure cooling_unit": Words("major", "airConditioningFailure"),
    "flood": Words("critical", "flood"),
    "low-fuel": Words("minor", "lowFuel"),
    "ups-on-battery": Words("major", "batteryDischarging"),
    "ups-failure": Words("critical", "powerProblem"),
    "ups-bypass": Words("major", "powerProblem"),
    "genset-not-in-auto": Words("major", "generatorFailure"),
    "genset-failure": Words("major", "generatorFailure"),
    "water-leak": Words("major", "leakDetected"),
    "storage-full": Words("minor", "storageCapacityProblem"),
    "backup-failed": Words("major", "applicationSubsystemFailure"),
    "replication-stopped": Words("major", "excessiveResponseTime"),
    "link-down": Words("critical", "linkFailure"),
    "silent": Words("major", "communicationsSubsystemFailure"),
    # What lies about itself is nothing to call people out for at once.
    "sensor-spike": Words("warning", "corruptData"),
    "sensor-stuck": Words("warning", "corruptData"),
    "bad-payload": Words("warning", "corruptData"),
    "clock-skew": Words("warning", "timingProblemX733"),
}


def told(fault: str, kind: str) -> Words:
    """What an ideal operator is told of this fault on this kind of asset."""
    return _TOLD.get(f"{fault} {kind}") or _TOLD[fault]
