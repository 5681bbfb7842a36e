"""Faults show, spread by the topology, and end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ioc.inventory.file import InventoryFile
from simulators.faults import FAULTS, FaultError
from simulators.messages import CLOCK_SKEW_S, Message
from simulators.province import Province
from tests.simulators.lab import (
    EQUIPMENT,
    alarms,
    heard,
    listen,
    network,
    province,
    telemetry,
    tripped,
    whole,
)

ON = {"bts": "B1a", "span": "S-1"} | {kind: f"DC-NT-{kind}-0" for kind in EQUIPMENT}


def speaking(source: Province) -> set[str]:
    """Who sends telemetry within one interval."""
    return {one.asset for one in listen(source, 10) if one.channel == "telemetry"}


# Topology


def expected(inventory: InventoryFile, cut: set[str]) -> set[str]:
    """Who can speak when these spans are cut: the plain rule, site by site."""
    spans = [asset for asset in inventory.assets if asset.kind == "span"]
    reached = {site.id for site in inventory.sites if site.core}
    while True:
        more = {
            end
            for span in spans
            if span.id not in cut and {span.site, span.far_site} & reached
            for end in (span.site, span.far_site)
        }
        if more <= reached:
            break
        reached |= more
    return {asset.id for asset in inventory.assets if {asset.site, asset.far_site} & reached}


EDGES = st.lists(
    st.tuples(st.sampled_from("CABDEFG"), st.sampled_from("CABDEFG")).filter(
        lambda edge: edge[0] != edge[1]
    ),
    min_size=1,
    max_size=12,
    unique=True,
)


@settings(max_examples=40, deadline=None)
@given(edges=EDGES, choice=st.data())
def test_cuts_silence_what_no_longer_reaches_the_core(
    edges: list[tuple[str, str]], choice: st.DataObject
) -> None:
    """Against a simple oracle, on any network. A site without any way to the core is on its own
    link and is left out."""
    inventory = network(edges)
    joined = expected(inventory, set())
    source = province(inventory, tick_s=10)
    listen(source, 20)
    spans = sorted(asset.id for asset in inventory.assets if asset.kind == "span")
    cut = set(choice.draw(st.lists(st.sampled_from(spans), unique=True)))
    for span in cut:
        source.begin("span-cut", span, for_s=60)
    listen(source, 10)
    assert speaking(source) & joined == expected(inventory, cut) & joined
    listen(source, 60)
    assert speaking(source) >= joined, "mended"


def test_a_ring_closes_the_other_way_and_a_second_cut_opens_it() -> None:
    source = province(network([("C", "A"), ("A", "B"), ("B", "C")]))
    source.begin("span-cut", "C-A", for_s=600)
    assert {"K-A", "K-B"} <= speaking(source)
    source.begin("span-cut", "A-B", for_s=600)
    listen(source, 10)
    assert speaking(source) & {"K-A", "K-B"} == {"K-B"}


def test_of_a_cut_spur_the_near_end_tells() -> None:
    source = province(network([("C", "A"), ("A", "B")]))
    listen(source, 20)
    source.begin("span-cut", "C-A", for_s=100)
    found = listen(source, 60)
    dark = telemetry(found, "C-A")[-1].content
    assert dark["rx_power_dbm"] == -40.0
    assert dark["link_up"] is False
    assert not {"loss_db", "excess_loss_db", "pre_fec_ber", "rx_margin_db"} & dark.keys()
    (raised,) = alarms(found, "C-A")
    assert raised.content == {
        "ts": raised.content["ts"],
        "alarm_id": "los",
        "state": "raised",
        "severity": "critical",
        "event_type": "communications",
        "probable_cause": "lossOfSignal",
        "object": "port-1",
        "text": "Loss of signal",
    }
    assert not [one for one in found[len(found) // 2 :] if one.asset in ("A-B", "K-A", "K-B")]

    found = listen(source, 70)
    (cleared,) = alarms(found, "C-A")
    assert (cleared.content["state"], cleared.content["severity"]) == ("cleared", "cleared")
    assert telemetry(found, "C-A")[-1].content["rx_power_dbm"] > -20
    assert {"K-A", "K-B", "A-B"} <= speaking(source)


def test_what_stood_behind_a_cut_goes_on_with_its_seq() -> None:
    """A cut takes no power: the same boot, and no message was made that could be missing."""
    source = province(network([("C", "A")]))
    before = telemetry(listen(source, 30), "K-A")[-1].content
    source.begin("span-cut", "C-A", for_s=60)
    listen(source, 60)
    after = telemetry(listen(source, 20), "K-A")[0].content
    assert (after["boot"], after["seq"]) == (before["boot"], before["seq"] + 1)


# Power


def test_mains_failure_ends_in_silence_and_a_new_boot() -> None:
    source = province(whole(), tick_s=60, interval_s=60)
    listen(source, 60)
    source.begin("mains-failure", "B1a", for_s=12 * 3600)
    on_battery = listen(source, 3600)
    last = telemetry(on_battery, "B1a")[-1].content
    assert last["mains_ok"] is False
    assert last["battery_current_a"] < 0
    assert 46.0 < last["dc_voltage_v"] < 51.5
    assert 50 < last["battery_charge_percent"] < 95
    later = listen(source, 10 * 3600)
    charges = [one.content["battery_charge_percent"] for one in telemetry(later, "B1a")]
    assert charges == sorted(charges, reverse=True)
    assert 3 * 60 <= len(charges) < 9 * 60, "a battery lasts four hours or more"
    assert {"bts-mains-failure", "bts-low-battery"} <= tripped(telemetry(later, "B1a"))
    gone = {one.asset for one in listen(source, 60)}
    assert not gone & {"B1a", "B1b"}, "both operators of the mast"
    assert not gone & {"B2", "S-2"}, "and what hangs behind it: its transmission has no power"
    assert "S-1" in gone
    back = telemetry(listen(source, 3600 + 300), "B1a")
    assert [one.content["boot"] for one in back[:2]] == [8, 8]
    assert [one.content["seq"] for one in back[:2]] == [0, 1]
    assert back[-1].content["mains_ok"] is True
    assert back[-1].content["battery_current_a"] > 0


def test_a_genset_carries_its_site() -> None:
    source = province(whole(), tick_s=60, interval_s=60)
    source.begin("mains-failure", "B3", for_s=11 * 3600)
    found = telemetry(listen(source, 10 * 3600), "B3")
    assert len(found) == 600
    assert found[-1].content["genset_running"] is True
    assert found[-1].content["fuel_percent"] < found[0].content["fuel_percent"]
    assert found[-1].content["battery_charge_percent"] > 95


def test_a_stolen_battery_takes_the_site_down_with_mains() -> None:
    source = province(whole())
    source.begin("battery-theft", "B2", for_s=600)
    found = listen(source, 30)
    assert telemetry(found, "B2")[-1].content["battery_charge_percent"] == 0
    assert alarms(found, "B2")[0].content["probable_cause"] == "intrusionDetection"
    source.begin("mains-failure", "B2", for_s=60)
    listen(source, 10)
    assert "B2" not in speaking(source)


def test_a_data_centre_lives_through_a_mains_failure() -> None:
    source = province(whole())
    listen(source, 20)
    source.begin("mains-failure", "DC-NT-dc_site-0", for_s=600)
    found = listen(source, 300)
    positions = [one.content["position"] for one in telemetry(found, "DC-NT-transfer_switch-0")]
    assert positions[-1] == "genset"
    assert telemetry(found, "DC-NT-genset-0")[-1].content["running"] is True
    assert any(one.content["on_battery"] for one in telemetry(found, "DC-NT-ups-0"))
    assert telemetry(found, "DC-NT-ups-0")[-1].content["on_battery"] is False
    found = listen(source, 590)
    # Mains is back for less than the five minutes after which it is trusted.
    assert telemetry(found, "DC-NT-transfer_switch-0")[-1].content["position"] == "genset"
    found = listen(source, 90)
    assert telemetry(found, "DC-NT-transfer_switch-0")[-1].content["position"] == "mains"
    assert telemetry(found, "DC-NT-genset-0")[-1].content["running"] is False, "it has cooled down"


def test_without_its_genset_it_lasts_as_long_as_its_batteries() -> None:
    source = province(whole(), tick_s=10)
    source.begin("genset-failure", "DC-NT-genset-0", for_s=9000)
    source.begin("mains-failure", "DC-NT-dc_site-0", for_s=9000)
    found = listen(source, 7200)
    rooms = telemetry(found, "DC-NT-dc_site-0")
    assert 1200 < 10 * len(rooms) < 5400
    assert "ups-runtime-low" in tripped(found)
    left = speaking(source)
    assert not left & {"DC-NT-rack-0", "S-1", "B1a"}, "a core site takes its branches with it"
    assert {"DC-NT-PR", "DC-PR-rack-0", "B3"} <= left


def test_failed_cooling_heats_the_room_and_its_repair_cools_it() -> None:
    source = province(whole(), tick_s=5)
    listen(source, 60)
    source.begin("cooling-failure", "DC-PR-dc_site-0", for_s=900)
    room = [
        one.content["room_temperature_c"]
        for one in telemetry(listen(source, 900), "DC-PR-dc_site-0")
    ]
    assert room[0] < 24
    assert room[-1] > 30
    assert room[-1] - room[0] < 25
    after = telemetry(listen(source, 3600), "DC-PR-dc_site-0")
    assert after[-1].content["room_temperature_c"] < 24


def test_one_failed_cooling_unit_is_borne_by_the_others() -> None:
    source = province(whole(), tick_s=10)
    source.begin("cooling-failure", "DC-PR-cooling_unit-0", for_s=3600)
    found = listen(source, 3600)
    assert telemetry(found, "DC-PR-dc_site-0")[-1].content["room_temperature_c"] < 25
    assert {"cooling-unit-failed", "dc-cooling-no-spare"} <= tripped(found)


def test_a_failed_uplink_leaves_its_traffic_to_the_other() -> None:
    source = province(whole())
    before = telemetry(listen(source, 20), "DC-NT-uplink-1")[-1].content
    source.begin("link-down", "DC-NT-uplink-0", for_s=300)
    found = listen(source, 60)
    assert telemetry(found, "DC-NT-uplink-0")[-1].content["up"] is False
    now = telemetry(found, "DC-NT-uplink-1")[-1].content
    assert now["tx_mbit_s"] > 1.2 * before["tx_mbit_s"]


# What the readings suffer


def test_a_silent_station_sends_nothing_and_comes_back_without_a_gap() -> None:
    source = province(whole())
    before = telemetry(listen(source, 30), "B2")[-1].content
    source.begin("silent", "B2", for_s=120)
    assert not [one for one in listen(source, 119) if one.asset == "B2"]
    after = telemetry(listen(source, 30), "B2")[0].content
    assert after["seq"] == before["seq"] + 1
    assert after["boot"] == before["boot"]


def test_a_skewed_clock_is_45_minutes_fast() -> None:
    source = province(whole())
    source.begin("clock-skew", "S-3", for_s=60)
    for one in telemetry(listen(source, 60), "S-3"):
        assert one.content["ts"] - source.now_ms > CLOCK_SKEW_S * 1000 - 60_000


def test_bad_firmware_sends_nonsense_and_nobody_else_does() -> None:
    source = province(whole())
    source.begin("bad-payload", "B3", for_s=600)
    messages: list[Message] = []
    for _ in range(200):
        messages += source.tick()
    bad = [one for one in messages if "/B3/" in one.topic]
    assert len(bad) == 20
    readable = 0
    for one in bad:
        try:
            heard([one])
            readable += 1
        except ValueError:
            pass
    assert 0 < readable < len(bad), "cut short and not-a-number are no JSON; the others are"
    heard([one for one in messages if "/B3/" not in one.topic])


# All of them


# A shelter without cooling is not hot at once: it and what stands in it take hours to warm.
LASTS_S = {("cooling-failure", "bts"): 3 * 3600}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(fault.id, kind) for fault in FAULTS.values() for kind in ON if fault.fits(kind)],
)
def test_every_fault_is_noticed_and_ends(fault: str, kind: str) -> None:
    """By a rule, a device alarm, silence, a jump or nonsense; after it all is as it was."""
    asset = "B3" if fault == "low-fuel" and kind == "bts" else ON[kind]
    source = province(whole(), tick_s=10)
    listen(source, 20)
    for_s = LASTS_S.get((fault, kind), 1000)
    source.begin(fault, asset, for_s=for_s)
    messages: list[Message] = []
    for _ in range(for_s // 10 - 1):
        messages += source.tick()
    mine = [one for one in messages if f"/{asset}/" in one.topic]
    if fault == "bad-payload":
        assert mine
        return
    found = heard(messages)
    if fault == "silent":
        assert not telemetry(found, asset)
    elif fault == "clock-skew":
        assert telemetry(found, asset)[0].content["ts"] > source.now_ms
    elif fault == "sensor-spike":
        calm = province(whole(), tick_s=10)
        usual = telemetry(listen(calm, 1010), asset)[-len(telemetry(found, asset)) :]
        spiked = [
            one.content["seq"]
            for one, other in zip(telemetry(found, asset), usual, strict=True)
            if one.metrics != other.metrics
        ]
        assert spiked
        assert {seq % 6 for seq in spiked} == {3}, "one reading, and the next is right again"
    elif fault == "sensor-stuck":
        metrics = [one.metrics for one in telemetry(found, asset)]
        metric = next(name for name, value in metrics[0].items() if type(value) is float)
        assert len({one[metric] for one in metrics}) == 1
    elif fault == "flapping-link":
        ups = [one.content.get("link_up", one.content.get("up")) for one in telemetry(found, asset)]
        assert sum(a != b for a, b in pairwise(ups)) > 10
    elif fault != "genset-failure":
        assert tripped(found), "a rule of the catalog tells it"
    else:
        assert alarms(found, asset)
    assert source.faults.active
    source.tick()
    assert not source.faults.active


def test_every_fault_has_a_sentence_in_both_languages() -> None:
    for fault in FAULTS.values():
        assert fault.text.vi.endswith(".")
        assert fault.text.en.endswith(".")
        assert fault.text.vi != fault.text.en


@pytest.mark.parametrize(
    ("fault", "asset", "said"),
    [
        ("span-cutt", "S-1", "did you mean span-cut? known are span-cut,"),
        ("vswr", "B1aa", "no such asset; close to it are B1a"),
        ("vswr", "S-1", "not on a span (S-1); it can have span-cut"),
        ("vswr", "LAB", "is not simulated"),
        ("low-fuel", "B1a", "B1a does not measure fuel_percent"),
    ],
)
def test_a_wrong_injection_says_what_is_known(fault: str, asset: str, said: str) -> None:
    source = province(whole())
    with pytest.raises(FaultError) as raised:
        source.begin(fault, asset, for_s=60)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not source.faults.active


def test_a_device_alarm_of_a_cut_off_station_waits_until_it_can_speak() -> None:
    source = province(whole())
    source.begin("span-cut", "S-3", for_s=120)
    listen(source, 5)
    source.begin("cell-unavailable", "B3", for_s=3600)
    assert not alarms(listen(source, 100), "B3")
    assert alarms(listen(source, 60), "B3")[0].content["state"] == "raised"
