"""The body of a webhook."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ioc.alarms.model import Impact
from ioc.notify.payload import (
    MAX_BODY_BYTES,
    Body,
    Notice,
    body,
    impact_words,
    rfc3339,
    trial_message,
)
from tests.notify.parts import START_MS, alarm


def made(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "alarm": alarm(),
        "firing": True,
        "impact": None,
        "suppressed_alarms": 0,
    } | given
    text = body(
        Notice(**values), route="noc", group_key="noc/A1", console_url="https://ioc.example.vn/"
    )
    content: dict[str, Any] = json.loads(text)
    return content


def test_a_firing_alarm_is_alertmanagers_version_4() -> None:
    labels = {
        "alertname": "span-loss-of-signal",
        "alarm": "A1",
        "severity": "critical",
        "asset": "NT-0412",
        "kind": "span",
        "commune": "22366",
        "site": "S-00012",
        "event_type": "communications",
        "probable_cause": "lossOfSignal",
    }
    annotations = {
        "summary_vi": "NT-0412: Mất tín hiệu quang",
        "summary_en": "NT-0412: Loss of signal",
        "action_vi": "Cử đội sửa cáp",
        "action_en": "Send a splicing team",
        "impact_vi": "41 trạm mất liên lạc, 38.200 người mất dịch vụ, 371 cảnh báo con được ẩn",
        "impact_en": "41 stations out of service, 38,200 people without service, "
        "371 alarms suppressed",
        "stations": "41",
        "assets": "60",
        "population": "38200",
        "alarms_suppressed": "371",
    }
    assert made(
        impact=Impact(assets=60, stations=41, population=38_200), suppressed_alarms=371
    ) == {
        "version": "4",
        "groupKey": "noc/A1",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "noc",
        "groupLabels": {"alarm": "A1"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "https://ioc.example.vn/alarms/A1",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": "2026-01-01T00:00:00.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://ioc.example.vn/api/v1/alarms/A1",
                "fingerprint": "16a36e86f6fed5d4",
            }
        ],
    }


def test_a_cleared_alarm_has_its_end_and_the_same_fingerprint() -> None:
    cleared = alarm(state="cleared", cleared_ms=START_MS + 90_500)
    content = made(alarm=cleared, firing=False)
    assert content["status"] == "resolved"
    (alert,) = content["alerts"]
    assert (alert["status"], alert["endsAt"]) == ("resolved", "2026-01-01T00:01:30.500Z")
    assert alert["fingerprint"] == made()["alerts"][0]["fingerprint"]


def test_the_part_of_the_asset_is_named() -> None:
    annotations = made(alarm=alarm(object="cell-2"))["commonAnnotations"]
    assert annotations["summary_en"] == "NT-0412 cell-2: Loss of signal"
    named = made(alarm=alarm(text_en="Span NT-0412 is cut"))["commonAnnotations"]
    assert named["summary_en"] == "Span NT-0412 is cut"


@pytest.mark.parametrize(
    ("impact", "suppressed", "vi", "en"),
    [
        (None, 0, "", ""),
        (Impact(), 0, "", ""),
        (
            Impact(assets=1, stations=1, population=1),
            1,
            "1 trạm mất liên lạc, 1 người mất dịch vụ, 1 cảnh báo con được ẩn",
            "1 station out of service, 1 person without service, 1 alarm suppressed",
        ),
        (Impact(assets=2), 0, "2 thiết bị mất liên lạc", "2 assets out of service"),
        (Impact(stations=1200), 0, "1.200 trạm mất liên lạc", "1,200 stations out of service"),
    ],
)
def test_impact_in_words(impact: Impact | None, suppressed: int, vi: str, en: str) -> None:
    assert impact_words(impact, suppressed) == (vi, en)


@given(text=st.text(min_size=0, max_size=4000), letter=st.characters())
def test_a_body_is_bounded_whatever_the_equipment_wrote(text: str, letter: str) -> None:
    text = (text + letter * 4000)[:4000].encode("utf-8", errors="replace").decode()
    whole = Notice(
        alarm=alarm(
            object=text,
            text_vi=text,
            text_en=text,
            action_vi=text,
            action_en=text,
            source=text,
            probable_cause=text,
        ),
        firing=True,
        impact=Impact(assets=10**9, stations=10**9, population=10**9),
        suppressed_alarms=10**9,
    )
    made = body(whole, route="r" * 64, group_key="g" * 130, console_url="http://x").encode()
    assert len(made) <= MAX_BODY_BYTES
    msgspec.json.decode(made, type=Body)


def test_the_worst_letter_still_fits() -> None:
    worst = "\x01" * 4000
    text = body(
        Notice(
            alarm=alarm(
                **dict.fromkeys(
                    ("object", "text_vi", "text_en", "action_vi", "action_en", "source"), worst
                )
            ),
            firing=True,
            impact=None,
            suppressed_alarms=0,
        ),
        route="noc",
        group_key="noc/A1",
        console_url="http://x",
    )
    assert MAX_BODY_BYTES // 4 < len(text.encode()) <= MAX_BODY_BYTES


def test_times_are_rfc_3339_in_utc() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(START_MS + 1) == "2026-01-01T00:00:00.001Z"


def test_a_trial_message_says_so_in_both_languages() -> None:
    message_id, text = trial_message(now_ms=START_MS)
    assert message_id.startswith("msg_")
    assert trial_message(now_ms=START_MS)[0] != message_id
    annotations = msgspec.json.decode(text, type=Body).common_annotations
    assert "This is a test" in annotations["summary_en"]
    assert "Đây là tin thử" in annotations["summary_vi"]
