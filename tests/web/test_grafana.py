"""Grafana's alerts as alarms: through the journal and the real engine, by the real messages."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ioc.alarms.evaluate import evaluate
from ioc.alarms.model import Alarm
from ioc.errors import JournalFullError
from ioc.inventory import Asset, Site
from ioc.journal.records import Activation, Batch, Command, DeviceAlarm
from ioc.web.models import AlarmView
from ioc.web.serve import REPORTS_AT_ONCE
from tests.web.conftest import Service

PATH = "/api/v1/grafana/alerts"
JSON = dict[str, Any]
NOBODY = "0001-01-01T00:00:00Z"
OWN_SITE = Site(id="IOC", name="IOC", commune="22366", lat=12.25, lon=109.19)
OWN_ASSET = Asset(
    id="IOC",
    kind="ioc",
    name="IOC",
    province="khanh-hoa",
    commune="22366",
    site="IOC",
    lat=12.25,
    lon=109.19,
)


@pytest.fixture
async def owned(service: Service) -> Service:
    """The service, with itself in its inventory."""
    service.context.inventory.apply(sites=[OWN_SITE], add=[OWN_ASSET], retire=[])
    return service


def when(service: Service, ago_s: float = 0) -> str:
    """A time as Grafana writes it: with nanoseconds and the zone of its machine."""
    at = datetime.fromtimestamp(service.clock.now_ms() / 1000 - ago_s, tz=UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def alert(service: Service, **more: Any) -> JSON:
    """One alert as Grafana 11.6 sends it."""
    return {
        "status": "firing",
        "labels": {
            "alertname": "Nhiệt độ phòng máy",
            "grafana_folder": "IOC",
            "asset": "DC-NT",
            "severity": "major",
            "event_type": "environmental",
            "probable_cause": "highTemperature",
            "rule": "dc-room-temperature",
            "team": "data-center",
        },
        "annotations": {
            "summary": "Phòng máy DC-NT nóng trên 30 °C",
            "summary_en": "Room of DC-NT is above 30 °C",
        },
        "startsAt": when(service, 30),
        "endsAt": NOBODY,
        "values": {"A": 31.4, "C": 1},
        "generatorURL": "http://127.0.0.1:3000/alerting/grafana/ioc-dc-room-temperature/view",
        "fingerprint": "c6eadffa33fcdf37",
        "silenceURL": "http://127.0.0.1:3000/alerting/silence/new",
        "dashboardURL": "",
        "panelURL": "",
        "valueString": "[ var='A' labels={asset=DC-NT} value=31.4 ]",
    } | more


def message(*alerts: JSON, **more: Any) -> JSON:
    return {
        "receiver": "ioc-service",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "Nhiệt độ phòng máy"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:3000/",
        "version": "1",
        "groupKey": '{}:{alertname="x"}',
        "truncatedAlerts": 0,
        "orgId": 1,
        "title": "[FIRING:1]",
        "state": "alerting",
        "message": "**Firing**",
    } | more


async def send(service: Service, body: object, *, role: str = "reporter") -> ClientResponse:
    headers = service.bearer(role)  # type: ignore[arg-type]  # a role's name
    return await service.client.post(PATH, json=body, headers=headers)


async def accepted(service: Service, *alerts: JSON) -> list[JSON]:
    response = await send(service, message(*alerts))
    assert response.status == 200, await response.text()
    return list((await response.json())["items"])


async def journalled(service: Service) -> list[DeviceAlarm]:
    entries = await service.journal.read(after=0)
    return [
        item
        for entry in entries
        if isinstance(entry.record, Batch)
        for item in entry.record.items
        if isinstance(item, DeviceAlarm)
    ]


@asynccontextmanager
async def engine(service: Service) -> AsyncIterator[None]:
    """The real alarm engine, with the service's own inventory in force."""
    context = service.context
    task = asyncio.create_task(
        evaluate(
            context.journal,
            catalog=context.catalog,
            state=context.state,
            live=context.live,
            clock=context.clock,
            health=service.health.stage("alarms"),
        )
    )
    try:
        inventory = context.inventory
        await context.journal.append(
            Activation(
                now_ms=context.clock.now_ms(),
                actor="test",
                sites=list(inventory.sites.values()),
                add=list(inventory.assets.values()),
            )
        )
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled(service: Service) -> dict[str, Alarm]:
    """The alarms that stand once the engine has read all that was written."""
    async with asyncio.timeout(20):
        await service.live.reached(service.journal.end)
    return dict(service.live.alarms)


async def test_an_alert_is_in_the_journal_as_an_alarm_of_its_asset(owned: Service) -> None:
    now_ms = owned.clock.now_ms()
    assert await accepted(owned, alert(owned)) == [
        {
            "asset": "DC-NT",
            "alarm_id": "grafana-c6eadffa33fcdf37",
            "state": "raised",
            "severity": "major",
        }
    ]
    assert await journalled(owned) == [
        DeviceAlarm(
            kind="dc_site",
            asset="DC-NT",
            ts_ms=now_ms - 30_000,
            received_ms=now_ms,
            alarm_id="grafana-c6eadffa33fcdf37",
            state="raised",
            severity="major",
            event_type="environmental",
            probable_cause="highTemperature",
            object="dc-room-temperature",
            text="Room of DC-NT is above 30 °C",
            text_vi="Phòng máy DC-NT nóng trên 30 °C",
        )
    ]


@pytest.mark.parametrize("asset", ["", "KH99999", "no such thing " * 40])
async def test_what_is_about_no_known_asset_is_about_the_service(
    owned: Service, asset: str
) -> None:
    labels = alert(owned)["labels"] | {"asset": asset}
    (item,) = await accepted(owned, alert(owned, labels=labels))
    assert item["asset"] == "IOC"


async def test_an_alert_without_labels_is_an_alarm_too(owned: Service) -> None:
    bare = {
        "status": "firing",
        "fingerprint": "AB12",
        "startsAt": when(owned),
        "labels": {"alertname": "Somebody's own rule", "severity": "p1", "probable_cause": "magic"},
    }
    (item,) = await accepted(owned, bare)
    assert item == {
        "asset": "IOC",
        "alarm_id": "grafana-ab12",
        "state": "raised",
        "severity": "indeterminate",
    }
    (alarm,) = await journalled(owned)
    assert (alarm.event_type, alarm.probable_cause) == ("qualityOfService", "thresholdCrossed")
    assert alarm.text == alarm.text_vi == alarm.object == "Somebody's own rule"


async def test_severity_is_taken_as_people_write_it(owned: Service) -> None:
    labels = alert(owned)["labels"] | {"severity": "Critical"}
    (item,) = await accepted(owned, alert(owned, labels=labels))
    assert item["severity"] == "critical"


async def test_long_texts_are_cut_to_what_an_alarm_holds(owned: Service) -> None:
    long = alert(
        owned,
        labels=alert(owned)["labels"] | {"rule": "r" * 5000},
        annotations={"summary": "đ" * 5000},
    )
    await accepted(owned, long)
    (alarm,) = await journalled(owned)
    assert (len(alarm.text), len(alarm.text_vi), len(alarm.object)) == (500, 500, 64)


async def test_what_fires_again_and_again_is_one_alarm_and_ends_once(owned: Service) -> None:
    async with engine(owned):
        firing = alert(owned)
        await accepted(owned, firing)
        first = await settled(owned)
        assert [(a.asset, a.severity, a.text_vi) for a in first.values()] == [
            ("DC-NT", "major", "Phòng máy DC-NT nóng trên 30 °C")
        ]
        (raised,) = first.values()
        assert raised.external_id == "grafana-c6eadffa33fcdf37"
        assert raised.text_en == "Room of DC-NT is above 30 °C"

        await owned.clock.advance(4 * 3600)
        await accepted(owned, firing)  # as Grafana repeats it
        assert await settled(owned) == first

        ended = alert(owned, status="resolved", startsAt=firing["startsAt"], endsAt=when(owned, 5))
        await accepted(owned, ended)
        assert await settled(owned) == {}
        await accepted(owned, ended)
        assert await settled(owned) == {}
        await accepted(owned, firing)  # late: it was sent before the end
        assert await settled(owned) == {}

        await owned.clock.advance(60)
        await accepted(owned, alert(owned))
        again = await settled(owned)
        assert len(again) == 1
        assert raised.id not in again


async def test_the_same_fingerprint_with_another_severity_changes_the_alarm(
    owned: Service,
) -> None:
    async with engine(owned):
        firing = alert(owned)
        await accepted(owned, firing)
        (raised,) = (await settled(owned)).values()
        worse = firing | {"labels": firing["labels"] | {"severity": "critical"}}
        await accepted(owned, worse)
        (changed,) = (await settled(owned)).values()
        assert (changed.id, changed.severity) == (raised.id, "critical")


async def test_what_an_operator_cleared_stays_cleared_until_grafana_sees_it_anew(
    owned: Service,
) -> None:
    async with engine(owned):
        firing = alert(owned)
        await accepted(owned, firing)
        (raised,) = (await settled(owned)).values()
        await owned.journal.append(
            Command(
                now_ms=owned.clock.now_ms(),
                id="c-1",
                actor="an",
                action="clear",
                alarm=raised.id,
            )
        )
        assert await settled(owned) == {}
        await accepted(owned, firing)
        assert await settled(owned) == {}


async def test_a_clock_that_is_wrong_is_not_believed(owned: Service) -> None:
    await accepted(owned, alert(owned, startsAt=when(owned, -3600)))
    await accepted(owned, alert(owned, startsAt=NOBODY))
    await accepted(owned, alert(owned, status="resolved", endsAt=NOBODY))
    found = await journalled(owned)
    assert [(one.clock, one.ts_ms) for one in found] == [("off", owned.clock.now_ms())] * 3
    async with engine(owned):
        assert await settled(owned) == {}  # raised twice, then ended


async def test_nobody_but_a_reporter_or_an_engineer_reports(owned: Service) -> None:
    for role, status in {
        "reporter": 200,
        "viewer": 403,
        "operator": 403,
        "engineer": 200,
        "admin": 200,
    }.items():
        assert (await send(owned, message(), role=role)).status == status
    assert (await owned.client.post(PATH, json=message())).status == 401


async def test_without_its_own_asset_the_service_says_to_come_back(service: Service) -> None:
    assert (await send(service, message(alert(service)))).status == 200  # about DC-NT
    response = await send(service, message(alert(service, labels={})))
    assert response.status == 503
    assert response.headers["Retry-After"] == "10"
    assert response.content_type == "application/problem+json"
    problem = await response.json()
    assert problem["type"] == "urn:ioc:problem:no-own-asset"
    assert "IOC" in problem["detail"]


async def test_a_full_journal_says_to_come_back(
    owned: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owned.journal, "_bound_bytes", 0)  # as full as it can be
    with pytest.raises(JournalFullError):
        await owned.journal.append(Batch(items=[]))
    response = await send(owned, message(alert(owned)))
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert (await response.json())["type"] == "urn:ioc:problem:journal-full"
    monkeypatch.undo()
    assert await journalled(owned) == []


async def test_a_flood_of_reports_is_slowed_down(owned: Service) -> None:
    for _ in range(REPORTS_AT_ONCE):
        assert (await send(owned, message())).status == 200
    response = await send(owned, message())
    assert response.status == 429
    assert int(response.headers["Retry-After"]) >= 1
    await owned.clock.advance(1)
    assert (await send(owned, message())).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.alerts"),
        ({"alerts": "all"}, "body.alerts"),
        ({"alerts": [{}]}, "body.alerts.0.status"),
        ({"version": "2", "alerts": []}, "body.version"),
        (
            {
                "alerts": [
                    {"status": "firing", "fingerprint": "../..", "startsAt": "2026-01-01T00:00:00Z"}
                ]
            },
            "body.alerts.0.fingerprint",
        ),
        (
            {"alerts": [{"status": "firing", "fingerprint": "a", "startsAt": "yesterday"}]},
            "body.alerts.0.startsAt",
        ),
        (
            {
                "alerts": [
                    {
                        "status": "firing",
                        "fingerprint": "a",
                        "startsAt": "2026-01-01T00:00:00Z",
                        "labels": {f"l{number}": "" for number in range(101)},
                    }
                ]
            },
            "body.alerts.0.labels",
        ),
    ],
)
async def test_what_does_not_fit_is_named_and_changes_nothing(
    owned: Service, body: JSON, field: str
) -> None:
    response = await send(owned, body)
    assert response.status == 422
    assert response.content_type == "application/problem+json"
    assert field in [fault["field"] for fault in (await response.json())["errors"]]
    assert await journalled(owned) == []


async def test_too_many_alerts_at_once_are_refused(owned: Service) -> None:
    small = {"status": "firing", "fingerprint": "a", "startsAt": "2026-01-01T00:00:00Z"}
    assert (await send(owned, {"alerts": [small] * 1000})).status == 200
    assert (await send(owned, {"alerts": [small] * 1001})).status == 422
    large = small | {"annotations": {"summary": "x" * 2**20}}
    response = await owned.client.post(
        PATH,
        data=io.BytesIO(json.dumps({"alerts": [large]}).encode()),
        headers=owned.bearer("reporter") | {"Content-Type": "application/json"},
    )
    assert response.status == 413


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
words = st.text(max_size=80) | st.sampled_from(["DC-NT", "major", "equipment", "smoke"])
fitting = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "fingerprint": st.text("0123456789abcdef", min_size=1, max_size=2),
        "startsAt": st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    },
    optional={
        "endsAt": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        "labels": st.dictionaries(
            st.sampled_from(["asset", "severity", "event_type", "probable_cause", "rule"]), words
        ),
        "annotations": st.dictionaries(
            st.sampled_from(["summary", "summary_en", "description"]), st.text(max_size=600)
        ),
    },
)
near = st.builds(
    lambda alert, more: alert | more,
    fitting,
    st.dictionaries(
        st.sampled_from(["status", "fingerprint", "startsAt", "endsAt", "labels"]), anything
    ),
)
bodies_of_all_sorts = (
    st.fixed_dictionaries({"alerts": st.lists(fitting, max_size=3)})
    | st.fixed_dictionaries({"alerts": st.lists(near, max_size=3) | anything})
    | anything
)


async def test_whatever_is_sent_it_is_taken_or_refused_by_a_problem(owned: Service) -> None:
    bodies: list[Any] = []

    @given(bodies_of_all_sorts)
    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def collect(body: Any) -> None:
        bodies.append(body)

    await asyncio.to_thread(collect)
    taken = 0
    async with engine(owned):
        for body in bodies:
            await owned.clock.advance(1)
            response = await send(owned, body)
            assert response.status in (200, 422), (body, await response.text())
            taken += response.status == 200
            if response.status == 422:
                assert response.content_type == "application/problem+json"
        for standing in (await settled(owned)).values():
            AlarmView.model_validate(owned.context.views.alarm(standing, 0).model_dump())
    assert taken > 20  # some of it fits
