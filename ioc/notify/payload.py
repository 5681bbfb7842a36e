"""The body of a webhook: Alertmanager's, version "4", so that what already takes its webhooks
takes ours.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
One group is one root alarm, so ``alerts`` holds one alert and nothing is truncated.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

import msgspec

from ioc.alarms.model import Alarm, Impact

# No text of an alarm is longer in a webhook (in characters; JSON may take six bytes for each): with
# the fields there are, a body stays below MAX_BODY_BYTES whatever the equipment wrote.
MAX_TEXT = 700
MAX_LABEL = 128
MAX_BODY_BYTES = 64 * 1024
# What Alertmanager sends as the end of an alert that still fires.
NOT_ENDED = "0001-01-01T00:00:00Z"


class Alert(msgspec.Struct, kw_only=True, rename="camel"):
    """One alert. Times are RFC 3339."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str
    generator_url: str = msgspec.field(name="generatorURL")
    fingerprint: str


class Body(msgspec.Struct, kw_only=True, rename="camel"):
    """The whole body."""

    version: Literal["4"] = "4"
    group_key: str
    truncated_alerts: int = 0
    status: Literal["firing", "resolved"]
    receiver: str
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    common_annotations: dict[str, str]
    external_url: str = msgspec.field(name="externalURL")
    alerts: list[Alert]


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What a receiver is to be told: an alarm as it is now.

    ``suppressed_alarms`` counts the alarms that this one explains and that are therefore not
    notified on their own.
    """

    alarm: Alarm
    firing: bool
    impact: Impact | None
    suppressed_alarms: int


def body(notice: Notice, *, route: str, group_key: str, console_url: str) -> str:
    """The JSON text for one route. ``console_url`` is where people reach the console."""
    alarm = notice.alarm
    status: Literal["firing", "resolved"] = "firing" if notice.firing else "resolved"
    labels = _labels(alarm)
    annotations = _annotations(notice)
    base = console_url.rstrip("/")
    alert = Alert(
        status=status,
        labels=labels,
        annotations=annotations,
        starts_at=rfc3339(alarm.raised_ms),
        ends_at=NOT_ENDED if notice.firing else rfc3339(alarm.cleared_ms or alarm.changed_ms),
        generator_url=f"{base}/api/v1/alarms/{quote(alarm.id, safe='')}",
        fingerprint=hashlib.sha256(alarm.id.encode()).hexdigest()[:16],
    )
    content = Body(
        group_key=group_key,
        status=status,
        receiver=route,
        group_labels={"alarm": alarm.id},
        common_labels=labels,
        common_annotations=annotations,
        external_url=f"{base}/alarms/{quote(alarm.id, safe='')}",
        alerts=[alert],
    )
    return msgspec.json.encode(content).decode()


def rfc3339(at_ms: int) -> str:
    """A Unix time in milliseconds, as RFC 3339 in UTC."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def impact_words(impact: Impact | None, suppressed_alarms: int) -> tuple[str, str]:
    """The impact in Vietnamese and in English; two empty texts when there is none.

    Example: "41 stations out of service, 371 alarms suppressed".
    """
    vi: list[str] = []
    en: list[str] = []
    if impact is not None and impact.stations:
        vi.append(f"{_vi(impact.stations)} trạm mất liên lạc")
        en.append(f"{_en(impact.stations, 'station')} out of service")
    elif impact is not None and impact.assets:
        vi.append(f"{_vi(impact.assets)} thiết bị mất liên lạc")
        en.append(f"{_en(impact.assets, 'asset')} out of service")
    if impact is not None and impact.population:
        vi.append(f"{_vi(impact.population)} người mất dịch vụ")
        en.append(f"{_en(impact.population, 'person', 'people')} without service")
    if suppressed_alarms:
        vi.append(f"{_vi(suppressed_alarms)} cảnh báo con được ẩn")
        en.append(f"{_en(suppressed_alarms, 'alarm')} suppressed")
    return ", ".join(vi), ", ".join(en)


def _labels(alarm: Alarm) -> dict[str, str]:
    labels = {
        "alertname": alarm.source,
        "alarm": alarm.id,
        "severity": alarm.severity,
        "asset": alarm.asset,
        "object": alarm.object,
        "kind": alarm.kind,
        "commune": alarm.commune,
        "site": alarm.site,
        "event_type": alarm.event_type,
        "probable_cause": alarm.probable_cause,
    }
    return {name: value[:MAX_LABEL] for name, value in labels.items() if value}


def _annotations(notice: Notice) -> dict[str, str]:
    alarm, impact = notice.alarm, notice.impact
    subject = f"{alarm.asset} {alarm.object}".strip()
    impact_vi, impact_en = impact_words(impact, notice.suppressed_alarms)
    annotations = {
        "summary_vi": _named(subject, alarm.text_vi),
        "summary_en": _named(subject, alarm.text_en),
        "action_vi": alarm.action_vi,
        "action_en": alarm.action_en,
        "impact_vi": impact_vi,
        "impact_en": impact_en,
    }
    numbers = {
        "stations": impact.stations if impact else 0,
        "assets": impact.assets if impact else 0,
        "population": impact.population if impact else 0,
        "alarms_suppressed": notice.suppressed_alarms,
    }
    annotations |= {name: str(value) for name, value in numbers.items() if value}
    return {name: value[:MAX_TEXT] for name, value in annotations.items() if value}


def _named(subject: str, text: str) -> str:
    """The text with the name of what it is about, which it may hold already."""
    return text if subject in text else f"{subject}: {text}"


def _en(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _vi(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def trial_message(*, now_ms: int) -> tuple[str, str]:
    """A fresh id, and a body that says in both languages that it is a test."""
    alarm = Alarm(
        id=f"test-{now_ms}",
        source="test",
        asset="TEST",
        kind="test",
        site="",
        commune="",
        severity="warning",
        event_type="processingError",
        probable_cause="thresholdCrossed",
        text_vi="Đây là tin thử, không có cảnh báo nào.",
        text_en="This is a test, there is no alarm.",
        raised_ms=now_ms,
        changed_ms=now_ms,
    )
    notice = Notice(alarm=alarm, firing=True, impact=None, suppressed_alarms=0)
    text = body(notice, route="test", group_key=f"test/{alarm.id}", console_url="")
    return f"msg_{secrets.token_hex(16)}", text
