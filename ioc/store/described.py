"""What the columns mean that are in no catalog: measures and derived rows. For
docs/measurements.md, which holds them against what the stores have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Place = Literal["province", "commune", "site"]


class Described(NamedTuple):
    """``unit`` as in the catalog: "1" for a count, "" for a text or yes and no."""

    unit: str
    meaning: str


class MeasureDescribed(NamedTuple):
    unit: str
    of: tuple[Place, ...]
    meaning: str


_WIDE: tuple[Place, ...] = ("province", "commune")
_PROVINCE: tuple[Place, ...] = ("province",)
_SITE: tuple[Place, ...] = ("site",)

MEASURES: Mapping[str, MeasureDescribed] = {
    "bts_total": MeasureDescribed("1", _WIDE, "stations in the inventory"),
    "bts_up": MeasureDescribed("1", _WIDE, "stations in service: up or degraded"),
    "bts_degraded": MeasureDescribed("1", _PROVINCE, "stations in service with an alarm on them"),
    "bts_down": MeasureDescribed("1", _PROVINCE, "stations out of service"),
    "bts_silent": MeasureDescribed("1", _PROVINCE, "stations that nothing comes from"),
    "bts_availability_percent": MeasureDescribed(
        "%", _WIDE, "stations in service, of those ever seen"
    ),
    "bts_5g_share_percent": MeasureDescribed(
        "%",
        _WIDE,
        "stations with a 5G cell on the air, of those whose count of 5G cells is fresh",
    ),
    "download_mbit_s": MeasureDescribed(
        "Mbit/s",
        _WIDE,
        "user throughput downlink (DRB.UEThpDl): mean of the stations where it is fresh, weighted "
        "by their connected users (RRC.ConnMean)",
    ),
    "population_without_service": MeasureDescribed(
        "1", _WIDE, "people served by stations that are down or silent"
    ),
    "fibre_built_km": MeasureDescribed("km", _WIDE, "length of all spans"),
    "fibre_in_service_km": MeasureDescribed("km", _WIDE, "length of the spans in service"),
    "spans_total": MeasureDescribed("1", _WIDE, "spans; one counts where its A end is"),
    "spans_up": MeasureDescribed("1", _WIDE, "spans in service: up or degraded"),
    "spans_degraded": MeasureDescribed("1", _PROVINCE, "spans in service with an alarm on them"),
    "spans_down": MeasureDescribed("1", _PROVINCE, "spans out of service"),
    "spans_silent": MeasureDescribed("1", _PROVINCE, "spans that nothing comes from"),
    "data_centers_up": MeasureDescribed("1", _PROVINCE, "data-centre sites in service"),
    "data_center_up": MeasureDescribed("1", _SITE, "1 in service, 0 not"),
    "it_power_kw": MeasureDescribed("kW", _SITE, "IT power, as the site measured it, while fresh"),
    "pue": MeasureDescribed(
        "1", _SITE, "power usage effectiveness, as the site measured it, while fresh"
    ),
    "alarms_active": MeasureDescribed("1", _WIDE, "alarms that stand and are not suppressed"),
    "alarms_critical": MeasureDescribed("1", _WIDE, "those of them that are critical"),
    "alarms_major": MeasureDescribed("1", _WIDE, "… major"),
    "alarms_minor": MeasureDescribed("1", _WIDE, "… minor"),
    "alarms_warning": MeasureDescribed("1", _WIDE, "… warning or indeterminate"),
    "alarms_unacknowledged": MeasureDescribed("1", _WIDE, "… not acknowledged by anybody"),
    "incidents_active": MeasureDescribed(
        "1", _WIDE, "… that take something out of service: incidents"
    ),
    "alarms_suppressed": MeasureDescribed(
        "1", _WIDE, "alarms that stand and that another one explains"
    ),
    "alarms_written": MeasureDescribed(
        "1", _PROVINCE, "rows of `alarm_active` of the same time, which has room for 2,000"
    ),
}

_OF_AN_ALARM: Mapping[str, Described] = {
    "alarm": Described("", "the alarm's id, the same in the console and in webhooks"),
    "severity": Described("", "critical, major, minor, warning or indeterminate (X.733)"),
    "severity_rank": Described("1", "1 critical … 5 indeterminate"),
    "event_type": Described("", "X.733 event type"),
    "probable_cause": Described("", "X.733 and RFC 3877 probable cause"),
    "source": Described("", "id of the rule, or `device` for an alarm of the equipment"),
    "object": Described("", "the part of the asset, such as `cell-2`; empty for the whole"),
    "text_vi": Described("", "what it says, in Vietnamese"),
    "text_en": Described("", "what it says, in English"),
    "metric": Described("", "the metric that the rule looked at"),
    "value": Described("the metric's", "its value when the alarm was raised"),
    "threshold": Described("the metric's", "the rule's threshold"),
    "acknowledged": Described("", "whether somebody has acknowledged it"),
    "acknowledged_by": Described("", "who"),
    "suppressed": Described("", "whether another alarm explains it: then nobody is notified"),
    "parent": Described("", "id of that alarm"),
    "raised_ms": Described("ms", "when it was raised, Unix time"),
    "impact_assets": Described("1", "assets that it takes out of service, itself included"),
    "impact_stations": Described("1", "stations among them"),
    "impact_population": Described("1", "people whom those serve"),
}
_LAT = Described("°", "latitude; a span's is in the middle between its sites")
_LON = Described("°", "longitude; the same")

COLUMNS: Mapping[str, Mapping[str, Described]] = {
    "alarm": {
        **_OF_AN_ALARM,
        "transition": Described(
            "",
            "what happened: raised, changed, cleared, acknowledged, unacknowledged, commented, "
            "suppressed or unsuppressed",
        ),
        "state": Described("", "raised or cleared, after it"),
        "actor": Described("", "who did it: a person, or the part of the service"),
        "comment": Described("", "what the person wrote"),
        "cleared_ms": Described("ms", "when it was cleared, Unix time"),
        "duration_s": Described("s", "from raised to cleared, of a cleared alarm"),
    },
    "alarm_active": {
        **_OF_AN_ALARM,
        "age_s": Described("s", "since it was raised"),
        "lat": _LAT,
        "lon": _LON,
    },
    "asset_state": {
        "state": Described("", "not_seen, up, degraded, down or silent"),
        "state_code": Described("1", "the same as a number, 0 to 4 in this order"),
        "alarms": Described("1", "alarms of the asset that stand and are not suppressed"),
        "severity": Described("", "the worst of them"),
        "lat": _LAT,
        "lon": _LON,
    },
}
