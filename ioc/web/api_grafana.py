"""Grafana's alerts become alarms here: the second, independent watch comes back to operators.

An alert is an alarm that was reported from outside, as equipment reports one: it enters the journal
as a ``DeviceAlarm`` and from there the same lifecycle, routes and webhooks. Its labels say what it
is: ``asset``, ``severity``, ``event_type``, ``probable_cause``, ``rule``; its annotations
``summary`` and ``summary_en`` what people read (docs/grafana.md).
"""

from __future__ import annotations

from datetime import datetime
from typing import cast, get_args

import structlog

from ioc.alarms.model import SEVERITIES, Severity
from ioc.catalog.causes import PROBABLE_CAUSES
from ioc.catalog.model import EventType
from ioc.inventory import Asset
from ioc.inventory.model import OWN_ID
from ioc.journal.records import Batch, DeviceAlarm
from ioc.web.context import Context
from ioc.web.models import Nothing
from ioc.web.models_grafana import GrafanaAlert, GrafanaAlerts, Reported, ReportedAlarm
from ioc.web.problems import ProblemError
from ioc.web.routing import Call, Route

log = structlog.get_logger()

EVENT_TYPES: tuple[str, ...] = get_args(EventType)
# What a rule without labels says: a threshold was crossed, how bad that is nobody said.
DEFAULT_SEVERITY: Severity = "indeterminate"
DEFAULT_EVENT_TYPE = "qualityOfService"
DEFAULT_CAUSE = "thresholdCrossed"
MAX_TEXT_CHARACTERS = 500
MAX_OBJECT_CHARACTERS = 64
# A clock further ahead than this is wrong, as for readings.
MAX_AHEAD_MS = 120_000


async def report_grafana_alerts(call: Call[Nothing, GrafanaAlerts]) -> Reported:
    """Take Grafana's alerts in as alarms.

    They are on the disk when this answers. Grafana sends what still fires again and again: an alarm
    that stands is not raised twice, and one that an operator cleared stays cleared until Grafana
    sees it anew.
    """
    context, sent = call.context, call.body
    wait_s = context.reports.take()
    if wait_s > 0:
        raise ProblemError(
            429,
            "too-many-reports",
            "Too many reports",
            f"Try again in {wait_s:.0f} s; group alerts in Grafana's notification policy.",
            headers={"Retry-After": str(int(wait_s) + 1)},
        )
    now_ms = context.clock.now_ms()
    alarms = [_alarm(alert, context, now_ms=now_ms) for alert in sent.alerts]
    if alarms:
        await context.journal.append(Batch(items=[*alarms]))
        log.info("alerts reported", count=len(alarms), actor=call.who.actor)
    if sent.truncated_alerts:
        log.warning("grafana left alerts out", count=sent.truncated_alerts, actor=call.who.actor)
    return Reported(
        items=[
            ReportedAlarm(
                asset=alarm.asset,
                alarm_id=alarm.alarm_id,
                state="cleared" if alarm.state == "cleared" else "raised",
                severity=cast("Severity", alarm.severity),
            )
            for alarm in alarms
        ]
    )


def _alarm(alert: GrafanaAlert, context: Context, *, now_ms: int) -> DeviceAlarm:
    labels, texts = alert.labels, alert.annotations
    asset = _asset(labels.get("asset", ""), context)
    cleared = alert.status == "resolved"
    at_ms = _ms(alert.ends_at if cleared else alert.starts_at)
    # A time that cannot be is not corrected here: the engine then goes by when it was received.
    sound = 0 < at_ms <= now_ms + MAX_AHEAD_MS
    rule = labels.get("alertname", "") or labels.get("rulename", "")
    text_vi = texts.get("summary") or texts.get("description") or rule
    return DeviceAlarm(
        kind=asset.kind,
        asset=asset.id,
        ts_ms=at_ms if sound else now_ms,
        received_ms=now_ms,
        alarm_id=f"grafana-{alert.fingerprint.lower()}",
        state="cleared" if cleared else "raised",
        severity=_severity(labels.get("severity", "")),
        event_type=_known(labels.get("event_type", ""), EVENT_TYPES, DEFAULT_EVENT_TYPE),
        probable_cause=_known(labels.get("probable_cause", ""), PROBABLE_CAUSES, DEFAULT_CAUSE),
        object=(labels.get("rule") or rule)[:MAX_OBJECT_CHARACTERS],
        text=(texts.get("summary_en") or text_vi)[:MAX_TEXT_CHARACTERS],
        clock="ok" if sound else "off",
        text_vi=text_vi[:MAX_TEXT_CHARACTERS],
    )


def _asset(name: str, context: Context) -> Asset:
    """The asset an alert is about; the service itself where it names none that exists."""
    assets = context.inventory.assets
    asset = assets.get(name) or assets.get(OWN_ID)
    if asset is None:
        raise ProblemError(
            503,
            "no-own-asset",
            "Nothing can bear this alarm",
            f"The alert names no asset of the inventory, and the service's own asset {OWN_ID} "
            "is not in it yet; it is added at the service's start.",
            headers={"Retry-After": "10"},
        )
    return asset


def _ms(at: datetime | None) -> int:
    return 0 if at is None else round(at.timestamp() * 1000)


def _severity(word: str) -> Severity:
    return cast("Severity", _known(word.lower(), SEVERITIES, DEFAULT_SEVERITY))


def _known(word: str, words: tuple[str, ...] | dict[str, int], otherwise: str) -> str:
    return word if word in words else otherwise


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/grafana/alerts",
        handle=report_grafana_alerts,
        query=Nothing,
        body=GrafanaAlerts,
        answer=Reported,
        summary="Report Grafana's alerts, as its webhook contact point sends them",
        tag="reports",
        role="reporter",
        problems=(413, 415, 429),
    ),
)
