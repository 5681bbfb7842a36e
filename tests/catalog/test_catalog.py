"""The built-in catalog says what the rest of the service relies on, and faults name their line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ioc.catalog import Catalog, Flapping, Kind, NoData, Rule, Threshold, load_catalog
from ioc.catalog.cause_words import CAUSE_VI
from ioc.catalog.causes import PROBABLE_CAUSES
from ioc.errors import FileError
from ioc.text import Text

CATALOG = load_catalog()
RULES = [pytest.param(kind, rule, id=rule.id) for kind, rule in CATALOG.rules.values()]
KINDS = [pytest.param(kind, id=name) for name, kind in CATALOG.kinds.items()]

# Letters that only Vietnamese has: a text of several words without any is not Vietnamese.
VIETNAMESE = re.compile(
    r"[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]", re.IGNORECASE
)


def test_domains_and_kinds() -> None:
    assert set(CATALOG.domains) == {"bts", "fibre", "data_center", "ioc"}
    assert set(CATALOG.kinds) == {
        *("bts", "span", "dc_site", "ups", "genset", "transfer_switch"),
        *("cooling_unit", "rack", "storage_backup", "uplink", "ioc"),
    }
    assert [name for name, kind in CATALOG.kinds.items() if kind.own] == ["ioc"]


@pytest.mark.parametrize(
    ("kind", "metrics"),
    [
        (
            "bts",
            "mains_ok dc_voltage_v battery_charge_percent battery_current_a cells_total "
            "cells_unavailable shelter_temperature_c shelter_humidity_percent door_open smoke "
            "power_w vswr interference_dbm sync_error_us genset_running fuel_percent",
        ),
        (
            "span",
            "rx_power_dbm tx_power_dbm loss_db laser_bias_ma pre_fec_ber uncorrected_frames "
            "errored_s severely_errored_s unavailable_s",
        ),
        (
            "dc_site",
            "pue it_power_kw facility_power_kw room_temperature_c room_humidity_percent "
            "replication_lag_s smoke water_leak door_open",
        ),
        ("ups", "load_percent runtime_min on_battery on_bypass battery_charge_percent"),
        ("uplink", "rx_mbit_s tx_mbit_s utilization_percent latency_ms loss_percent up"),
    ],
)
def test_metrics_that_others_rely_on(kind: str, metrics: str) -> None:
    assert set(metrics.split()) <= CATALOG.kinds[kind].metrics.keys()


@pytest.mark.parametrize(
    ("metric", "standard"),
    [
        ("rrc_conn_mean", "RRC.ConnMean"),
        ("drb_ue_thp_dl_kbit_s", "DRB.UEThpDl"),
        ("drb_ue_thp_ul_kbit_s", "DRB.UEThpUl"),
        ("rru_prb_tot_dl_percent", "RRU.PrbTotDl"),
        ("rru_prb_tot_ul_percent", "RRU.PrbTotUl"),
        ("cell_unavailable_s", "RRU.CellUnavailableTime"),
    ],
)
def test_counters_carry_their_standard_name_and_granularity(metric: str, standard: str) -> None:
    found = CATALOG.kinds["bts"].metrics[metric]
    assert found.standard == standard
    assert found.cadence_s == 900
    assert "3GPP TS" in found.source


@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_has_a_source_and_a_normal_within_its_range(kind: Kind) -> None:
    for name, metric in kind.metrics.items():
        assert len(metric.source) > 10, name
        if metric.normal and metric.range:
            assert metric.range[0] <= metric.normal[0] < metric.normal[1] <= metric.range[1], name


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_noticed_when_it_falls_silent(kind: Kind) -> None:
    (rule,) = [rule for rule in kind.rules if isinstance(rule.when, NoData)]
    assert isinstance(rule.when, NoData)
    assert rule.when.no_data_cadences == 3
    # The service that is silent about itself still judges: a part of it has stopped.
    assert (rule.event_type, rule.probable_cause, rule.effect) == (
        ("processingError", "applicationSubsystemFailure", "degraded")
        if kind.own
        else ("communications", "communicationsSubsystemFailure", "down")
    )


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_rule_has_a_known_cause_and_a_source(kind: str, rule: Rule) -> None:
    assert rule.probable_cause in PROBABLE_CAUSES
    # M.3100 numbers its causes by event type.
    number = PROBABLE_CAUSES[rule.probable_cause]
    of_type = {
        range(1, 51): "communications",
        range(51, 101): "equipment",
        range(101, 151): "environmental",
        range(151, 200): "processingError",
    }
    for numbers, event_type in of_type.items():
        if number in numbers:
            assert rule.event_type == event_type
    assert re.search(r"common practice, .+|ITU|RFC|ASHRAE|3GPP|data sheet", rule.source)


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_rule_speaks_both_languages(kind: str, rule: Rule) -> None:
    for text in (rule.text, rule.action):
        assert VIETNAMESE.search(text.vi), text.vi
        assert not VIETNAMESE.search(text.en), text.en
        assert text.vi != text.en
    assert places(rule.text.vi) == places(rule.text.en), "both languages tell the same"
    assert "{asset}" in rule.text.en


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_rule_cannot_be_true_of_a_normal_value(kind: str, rule: Rule) -> None:
    """A calm province is a calm screen: no threshold lies within what is normal, and none can
    only be reached by a value that would be quarantined."""
    when = rule.when
    if not isinstance(when, Threshold):
        return
    metric = CATALOG.kinds[kind].metrics[when.metric]
    assert metric.normal is not None, when.metric
    assert metric.range is not None, when.metric
    if when.above is not None:
        assert metric.normal[1] <= when.above < metric.range[1]
    else:
        assert when.below is not None
        assert metric.range[0] < when.below <= metric.normal[0]


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_rule_clears_elsewhere_than_it_raises_or_waits(kind: str, rule: Rule) -> None:
    """A value that hovers does not chatter."""
    when = rule.when
    hysteresis = isinstance(when, Threshold) and (
        (when.above is not None and when.clear_below is not None and when.clear_below < when.above)
        or (
            when.below is not None
            and when.clear_above is not None
            and when.clear_above > when.below
        )
    )
    waits = rule.clear_for_s > 0
    assert hysteresis or waits or isinstance(when, NoData | Flapping)


def test_only_a_span_without_light_isolates() -> None:
    assert [rule.id for _, rule in CATALOG.rules.values() if rule.isolates] == [
        "span-loss-of-signal"
    ]


def test_one_mains_failure_is_one_event_for_the_whole_mast() -> None:
    assert CATALOG.rules["bts-mains-failure"][1].shared_by == "site"


def test_version_follows_the_content(tmp_path: Path) -> None:
    domains = list(CATALOG.domains.values())
    assert Catalog(reversed(domains)).version == CATALOG.version, "the order means nothing"
    other = domains[0].model_copy(update={"title": Text(vi="khác", en="other")})
    assert Catalog([other, *domains[1:]]).version != CATALOG.version


GOOD = """\
domain: lab
title: { vi: "Phòng thí nghiệm", en: "Lab" }
kinds:
  box:
    title: { vi: "Hộp", en: "Box" }
    metrics:
      temperature_c:
        title: { vi: "Nhiệt độ", en: "Temperature" }
        unit: "°C"
        range: [-40, 100]
        source: "a test"
    rules:
      - id: box-hot
        when: { metric: temperature_c, above: 50, clear_below: 45 }
        severity: major
        event_type: environmental
        probable_cause: highTemperature
        text: { vi: "Nóng", en: "Hot" }
        action: { vi: "Làm mát", en: "Cool it" }
        source: "a test"
"""


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(GOOD, encoding="utf-8")
    assert list(load_catalog(tmp_path).rules) == ["box-hot"]


@pytest.mark.parametrize(
    ("line", "old", "new", "said"),
    [
        (10, "range: [-40, 100]", "range: [100, -40]", "first must be below"),
        (10, "        range: [-40, 100]\n", "", "a number needs a hard range"),
        (14, "above: 50", "over: 50", "over"),
        (14, "clear_below: 45", "clear_below: 55", "clear_below must not be greater"),
        (15, "severity: major", "severity: terrible", "severity"),
        (16, "environmental", "weather", "event_type"),
        (17, "highTemperature", "hightTemperature", "close to it are highTemperature"),
        (18, ', en: "Hot"', "", "en"),
        (18, '"Hot"', '"Hot {colour}"', "colour"),
        (14, "metric: temperature_c", "metric: temperature", "no metric 'temperature'"),
    ],
)
def test_a_fault_names_file_and_line(
    tmp_path: Path, line: int, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    path = tmp_path / "lab.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(FileError) as raised:
        load_catalog(tmp_path)
    assert all(fault.startswith(f"{path}:") for fault in raised.value.faults)
    assert any(said in fault for fault in raised.value.faults), raised.value.faults
    lines = [int(fault.removeprefix(f"{path}:").split(":")[0]) for fault in raised.value.faults]
    # What concerns a whole block is told at its beginning.
    assert any(abs(found - line) <= 10 for found in lines)


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.replace("major", "terrible"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text("- [", encoding="utf-8")
    with pytest.raises(FileError) as raised:
        load_catalog(tmp_path)
    assert [Path(fault.split(":")[0]).name for fault in raised.value.faults] == ["a.yaml", "b.yaml"]


def test_a_kind_or_rule_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(GOOD.replace("domain: lab", "domain: lob"), encoding="utf-8")
    with pytest.raises(FileError) as raised:
        load_catalog(tmp_path)
    assert [fault.partition(": ")[2] for fault in raised.value.faults] == [
        "kind box: also in lab.yaml",
        "rule box-hot: given twice",
    ]


def places(words: str) -> set[str]:
    return set(re.findall(r"\{\w+\}", words))


def test_causes_in_vietnamese_are_registered_ones() -> None:
    assert CAUSE_VI.keys() <= PROBABLE_CAUSES.keys()
    assert all(words and len(words) <= 60 for words in CAUSE_VI.values())
