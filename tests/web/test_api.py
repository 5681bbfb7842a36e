"""What each resource answers, over the real journal, state database, store and alarm engine."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import ClientResponse
from sqlalchemy import insert

from ioc.alarms.evaluate import evaluate
from ioc.alarms.live import LiveValue
from ioc.inventory import Site
from ioc.inventory.file import InventoryFile
from ioc.inventory.load import load_inventory
from ioc.journal.records import Activation, Batch, DeviceAlarm, Quarantined, Reading
from ioc.state.schema import attempt, delivery
from ioc.store import Row
from ioc.web.models import AlarmView
from tests.web.conftest import Service, alarm, measure, small_inventory

JSON = dict[str, Any]


async def get(service: Service, path: str, *, status: int = 200) -> JSON:
    response = await service.client.get(path, headers=service.bearer("viewer"))
    assert response.status == status, await response.text()
    return dict(await response.json())


async def post(service: Service, path: str, body: object, *, role: str = "admin") -> ClientResponse:
    headers = service.bearer(role)  # type: ignore[arg-type]  # a role's name
    return await service.client.post(path, json=body, headers=headers)


@asynccontextmanager
async def engine(service: Service) -> AsyncIterator[None]:
    """The alarm engine, with the small inventory in force."""
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
        inventory = small_inventory()
        position = await context.journal.append(
            Activation(
                now_ms=context.clock.now_ms(),
                actor="test",
                sites=list(inventory.sites.values()),
                add=list(inventory.assets.values()),
            )
        )
        await asyncio.wait_for(context.live.reached(position), 20)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def raise_device_alarm(service: Service, alarm_id: str = "7") -> str:
    """An alarm that the equipment reports; its id here."""
    now_ms = service.clock.now_ms()
    position = await service.journal.append(
        Batch(
            items=[
                DeviceAlarm(
                    kind="bts",
                    asset="KH00002",
                    ts_ms=now_ms,
                    received_ms=now_ms,
                    alarm_id=alarm_id,
                    state="raised",
                    severity="major",
                    event_type="equipment",
                    probable_cause="rectifierFailure",
                    object="rectifier-2",
                    text="Bộ nắn 2 hỏng",
                )
            ]
        )
    )
    await asyncio.wait_for(service.live.reached(position), 20)
    (found,) = (a.id for a in service.live.alarms.values() if a.external_id == alarm_id)
    return found


async def test_an_operator_acknowledges_comments_and_clears(service: Service) -> None:
    async with engine(service):
        alarm_id = await raise_device_alarm(service)
        at = f"/api/v1/alarms/{alarm_id}"

        done = await post(
            service, f"{at}/acknowledge", {"comment": "Đội 2 đang đến"}, role="operator"
        )
        assert done.status == 200, await done.text()
        view = await done.json()
        assert view["acknowledged"] is True
        assert view["acknowledged_by"] == "operator"
        assert view["asset_name"] == "Trạm KH00002"
        assert service.live.alarms[alarm_id].acknowledged

        twice = await post(service, f"{at}/acknowledge", {}, role="operator")
        assert twice.status == 409
        assert "already acknowledged by operator" in (await twice.json())["detail"]

        for action, body in (
            ("comment", {"comment": "Thiếu phụ tùng"}),
            ("unacknowledge", {}),
            ("clear", {"comment": "Đã thay"}),
        ):
            done = await post(service, f"{at}/{action}", body, role="operator")
            assert done.status == 200, await done.text()
        assert (await done.json())["state"] == "cleared"
        assert (await post(service, f"{at}/clear", {})).status == 409

        detail = await get(service, at)
        assert [(t["kind"], t["actor"], t["text"]) for t in detail["transitions"]][1:] == [
            ("acknowledged", "operator", "Đội 2 đang đến"),
            ("commented", "operator", "Thiếu phụ tùng"),
            ("unacknowledged", "operator", ""),
            ("cleared", "operator", "Đã thay"),
        ]
        assert detail["rule"] is None
        assert detail["children"] == []

        # A cleared alarm can still be acknowledged; its time of clearing stays.
        done = await post(service, f"{at}/acknowledge", {}, role="operator")
        assert done.status == 200


async def test_of_two_who_acknowledge_at_once_one_is_told(service: Service) -> None:
    async with engine(service):
        at = f"/api/v1/alarms/{await raise_device_alarm(service)}/acknowledge"
        answers = await asyncio.gather(
            post(service, at, {}, role="operator"), post(service, at, {}, role="engineer")
        )
        assert sorted(answer.status for answer in answers) == [200, 409]


async def test_while_the_engine_is_behind_a_command_is_accepted(service: Service) -> None:
    async with engine(service):
        alarm_id = await raise_device_alarm(service)
    # The engine is away: the command is on disk, and applied once it is back.
    asking = asyncio.create_task(
        post(service, f"/api/v1/alarms/{alarm_id}/acknowledge", {}, role="operator")
    )
    for _ in range(1000):
        await asyncio.sleep(0.005)
        if service.clock._sleepers:
            break
    await service.clock.advance(2)
    response = await asking
    assert response.status == 202
    assert await response.read() == b""
    assert not service.live.alarms[alarm_id].acknowledged
    async with engine(service):
        assert service.live.alarms[alarm_id].acknowledged


async def test_commands_on_an_alarm_that_is_not_there(service: Service) -> None:
    assert (await post(service, "/api/v1/alarms/none/acknowledge", {})).status == 404
    assert (await post(service, "/api/v1/alarms/none/comment", {})).status == 422


async def test_alarms_are_listed_filtered_and_paged(service: Service) -> None:
    async with engine(service):
        ids = [await raise_device_alarm(service, str(number)) for number in range(5)]
        await post(service, f"/api/v1/alarms/{ids[0]}/clear", {})
        seen: list[str] = []
        following: str | None = ""
        while following is not None:
            page = await get(
                service,
                f"/api/v1/alarms?limit=2&before_ms={following}".rstrip("=")
                if following
                else "/api/v1/alarms?limit=2",
            )
            seen += [item["id"] for item in page["items"]]
            following = page["next"]
        assert sorted(seen) == sorted(ids)
        for query, count in (
            ("state=raised", 4),
            ("state=cleared", 1),
            ("state=all&severity=critical", 0),
            ("severity=critical,major", 5),
            ("severity=critical&severity=major", 5),
            ("kind=span", 0),
            ("asset=KH00002", 5),
            ("q=bo nan", 5),
            ("suppressed=true", 0),
            (f"parent={ids[0]}", 0),
        ):
            page = await get(service, f"/api/v1/alarms?{query}")
            assert len(page["items"]) == count, query
            for item in page["items"]:
                AlarmView.model_validate(item, extra="forbid")


async def test_an_asset_is_added_in_force_and_retired(service: Service) -> None:
    async with engine(service):
        wish = {
            "sites": [
                {"id": "S-9", "name": "Cam Lâm", "commune": "22366", "lat": 12.05, "lon": 109.1}
            ],
            "assets": [{"id": "KH-NEW", "kind": "bts", "name": "Trạm mới", "site": "S-9"}],
        }
        done = await post(service, "/api/v1/assets", wish, role="engineer")
        assert done.status == 201, await done.text()
        assert (await done.json())["in_force"] is True
        assert service.live.states["KH-NEW"] == "not_seen"
        detail = await get(service, "/api/v1/assets/KH-NEW")
        assert detail["asset"]["commune"] == "22366"
        assert detail["asset"]["lat"] == 12.05
        assert detail["asset"]["simulated"] is False
        assert "KH-NEW" in json.dumps(await get(service, "/api/v1/map"))

        gone = await service.client.delete(
            "/api/v1/assets/KH-NEW", headers=service.bearer("engineer")
        )
        assert gone.status == 200
        await get(service, "/api/v1/assets/KH-NEW", status=404)
        assert "KH-NEW" not in service.live.states

    for fault, asset_id, kind, site in (
        ("no such site", "X", "bts", "S-404"),
        ("not in the catalog", "X", "tv", "S-1"),
        ("retire it first", "DC-NT", "bts", "S-1"),
    ):
        asset = {"id": asset_id, "kind": kind, "name": "x", "site": site}
        refused = await post(service, "/api/v1/assets", {"assets": [asset]})
        assert refused.status == 422
        assert fault in (await refused.json())["detail"]


async def test_a_place_outside_of_the_province_is_refused_and_its_islands_are_not(
    service: Service,
) -> None:
    hanoi = {"id": "S-HN", "name": "Hà Nội", "commune": "22366", "lat": 21.0, "lon": 105.8}
    refused = await post(service, "/api/v1/assets", {"sites": [hanoi]})
    assert refused.status == 422
    assert "S-HN: lat 21, lon 105.8: outside of" in (await refused.json())["detail"]
    island = {"id": "S-TS", "name": "Trường Sa", "commune": "22736", "lat": 8.64, "lon": 111.92}
    async with engine(service):
        taken = await post(service, "/api/v1/assets", {"sites": [island]})
        assert taken.status == 201, await taken.text()


async def test_an_import_is_one_change_of_any_size_all_or_nothing(service: Service) -> None:
    before = await get(service, "/api/v1/inventory")
    site = {"id": "S-9", "name": "Cam Lâm", "commune": "22366", "lat": 12.05, "lon": 109.1}
    many = [
        {"id": f"B{n}", "kind": "bts", "name": "x" * 100, "site": "S-9", "simulated": n == 0}
        for n in range(12_000)
    ]
    asset = {"id": "X", "kind": "bts", "name": "x", "site": "S-404"}
    for wish, said in (
        ({}, "give sites, assets, retire or drop_sites"),
        ({"sites": [site], "assets": [*many[:3], asset]}, "asset X: site 'S-404': no such site"),
        ({"sites": [site], "retire": ["Y"]}, "asset Y: retire: no such asset"),
        ({"sites": [site], "drop_sites": ["S-2"]}, "site S-2: drop: KH00002 stands on it"),
        ({"sites": [site], "drop_sites": ["S-404"]}, "site S-404: drop: no such site"),
        ({"sites": [site | {"lat": 21.0}]}, "outside of Khánh Hòa"),
    ):
        refused = await post(service, "/api/v1/inventory", wish, role="engineer")
        assert refused.status == 422
        assert said in (await refused.json())["detail"]
    assert await get(service, "/api/v1/inventory") == before
    async with engine(service):
        whole = {
            "sites": [site],
            "assets": many,
            "retire": ["NT-0001", "KH00002"],
            "drop_sites": ["S-2"],
        }
        body = json.dumps(whole).encode()
        assert len(body) > 2**20  # more than other requests may have
        taken = await service.client.post(
            "/api/v1/inventory",
            data=io.BytesIO(body),
            headers=service.bearer("engineer") | {"Content-Type": "application/json"},
        )
        assert taken.status == 201, await taken.text()
    after = await get(service, "/api/v1/inventory")
    found = {one["id"]: one for one in after["assets"]}
    assert found.keys() == {"DC-NT", "KH-LAB-01", "KH00001"} | {one["id"] for one in many}
    assert [one["id"] for one in after["sites"]] == ["DC-NT", "S-1", "S-9"]
    assert found["B0"]["simulated"] is True
    again = await load_inventory(service.state, service.journal)
    assert again.assets.keys() == found.keys()
    assert again.sites.keys() == {"DC-NT", "S-1", "S-9"}


async def test_assets_are_listed_filtered_searched_and_paged(service: Service) -> None:
    service.live.states["KH00002"] = "down"
    service.table.seen["KH00002"] = 1234
    page = await get(service, "/api/v1/assets?limit=2")
    assert [row["id"] for row in page["items"]] == ["DC-NT", "KH-LAB-01"]
    assert page["total"] == 5
    rest = await get(service, f"/api/v1/assets?limit=3&after={page['next']}")
    assert [row["id"] for row in rest["items"]] == ["KH00001", "KH00002", "NT-0001"]
    assert rest["next"] is None
    for query, ids in (
        ("state=down", ["KH00002"]),
        ("state=down,not_seen", ["KH-LAB-01", "KH00002"]),
        ("kind=span", ["NT-0001"]),
        ("commune=22528", ["KH00002"]),
        ("site=S-2", ["KH00002", "NT-0001"]),
        ("operator=viettel", ["KH00001"]),
        ("q=ninh hoa", ["KH00002"]),
        ("q=NINH HÒA", ["KH00002"]),
        ("q=nowhere", []),
    ):
        page = await get(service, f"/api/v1/assets?{query}")
        assert [row["id"] for row in page["items"]] == ids, query
    row = (await get(service, "/api/v1/assets?state=down"))["items"][0]
    assert row["site_name"] == "Ninh Hòa"
    assert row["last_seen_ms"] == 1234


async def test_an_asset_tells_the_age_of_each_value_by_its_own_cadence(service: Service) -> None:
    now_ms = service.clock.now_ms()
    service.table.content["KH00001"] = {
        "mains_ok": LiveValue(value=True, at_ms=now_ms - 31_000),
        "dc_voltage_v": LiveValue(value=53.5, at_ms=now_ms - 29_000),
        "rrc_conn_mean": LiveValue(value=40.0, at_ms=now_ms - 2_600_000),
    }
    service.live.alarms["a-1"] = alarm("a-1", asset="KH00001")
    detail = await get(service, "/api/v1/assets/KH00001")
    assert detail["values"]["mains_ok"] == {
        "value": True,
        "at_ms": now_ms - 31_000,
        "age_s": 31.0,
        "stale": True,
    }
    assert detail["values"]["dc_voltage_v"]["stale"] is False
    assert detail["values"]["rrc_conn_mean"]["stale"] is False
    assert [a["id"] for a in detail["alarms"]] == ["a-1"]
    assert detail["neighbours"] == {"spans": ["NT-0001"], "stations": ["KH-LAB-01"]}
    span = await get(service, "/api/v1/assets/NT-0001")
    assert span["neighbours"]["stations"] == ["KH-LAB-01", "KH00001", "KH00002"]
    assert span["asset"]["far_site_name"] == "Ninh Hòa"


async def test_the_map_is_compressed_and_known_by_its_tag(service: Service) -> None:
    headers = service.bearer("viewer")
    # The service itself is an asset like any other, but nowhere on the map.
    own_site = Site(id="IOC", name="IOC", commune="22366", lat=12.25, lon=109.18)
    own = msgspec.structs.replace(
        service.context.inventory.assets["DC-NT"], id="IOC", kind="ioc", site="IOC"
    )
    service.context.inventory.apply(sites=[own_site], add=[own])
    first = await service.client.get("/api/v1/map", headers=headers)
    assert first.headers["Content-Encoding"] == "gzip"
    found = await first.json()
    assert [site["id"] for site in found["sites"]] == ["DC-NT", "S-1", "S-2"]
    assert [site["data_center"] for site in found["sites"]] == [True, False, False]
    assert found["spans"] == [["NT-0001", 1, 2]]
    assert ["KH00001", "bts", 1, "viettel"] in found["assets"]
    assert "IOC" not in {asset[0] for asset in found["assets"]}
    assert len(found["communes"]) == 65
    west, south, east, north = found["bbox"]
    assert west < 109.2 < east
    assert south < 12.2 < north

    tag = first.headers["ETag"]
    again = await service.client.get("/api/v1/map", headers=headers | {"If-None-Match": tag})
    assert again.status == 304
    service.context.inventory.apply(retire=["KH00001"])
    changed = await service.client.get("/api/v1/map", headers=headers | {"If-None-Match": tag})
    assert changed.status == 200
    assert (await changed.json())["inventory_version"] > found["inventory_version"]
    plain = await service.client.get(
        "/api/v1/map", headers=headers | {"Accept-Encoding": "identity"}
    )
    assert "Content-Encoding" not in plain.headers
    assert await plain.json() == await changed.json()


async def test_the_catalog_has_kinds_metrics_and_rules(service: Service) -> None:
    found = await get(service, "/api/v1/catalog")
    assert found["version"] == service.context.catalog.version
    assert "bts" in found["domains"]["bts"]["kinds"]
    metric = found["kinds"]["bts"]["metrics"]["dc_voltage_v"]
    assert metric["unit"] == "V"
    assert metric["title"]["vi"]
    assert all(rule["when"] for kind in found["kinds"].values() for rule in kind["rules"])


async def test_kpis_hold_measured_and_reported_apart(service: Service) -> None:
    for one in (
        measure("bts_total", 3900),
        measure("bts_5g_share_percent", 81),
        measure("pue", 1.7, scope="site", place="DC-NT"),
        measure("bts_up", 12, scope="commune", place="22366"),
    ):
        service.live.measures[one.name, one.scope, one.place] = one
    found = await get(service, "/api/v1/kpis")
    assert found["province"]["bts_total"]["value"] == 3900
    assert found["sites"]["DC-NT"]["pue"]["value"] == 1.7
    assert found["communes"]["22366"]["bts_up"]["time_ms"] == 1_767_225_590_000
    assert {target["kind"] for target in found["plan"]} == {"measured", "reported"}
    for target in found["plan"]:
        assert target["source"]["name"]
        if target["kind"] == "measured":
            assert target["reported_date"] is None
            assert target["reported_source"] is None
        else:
            assert target["time_ms"] is None
            assert target["reported_date"]
            assert target["reported_source"]["name"]
    stations = next(t for t in found["plan"] if t["measure"] == "bts_total")
    assert stations["met"] is True


async def test_quarantine_is_paged_and_counted(service: Service) -> None:
    for number in range(3):
        await service.journal.append(
            quarantined=[
                Quarantined(
                    received_ms=number,
                    topic="ioc/v1/khanh-hoa/bts/X/telemetry",
                    reason="unknown_asset" if number else "not_json",
                    detail="asset X: not in the inventory",
                    payload=b'{"ts": 1, \xff<script>',
                    payload_bytes=20,
                )
            ]
        )
    page = await get(service, "/api/v1/quarantine?limit=2")
    assert [row["received_ms"] for row in page["items"]] == [2, 1]
    assert page["items"][0]["payload_text"] == '{"ts": 1, \ufffd<script>'
    assert page["totals"] == {"unknown_asset": 2, "not_json": 1}
    rest = await get(service, f"/api/v1/quarantine?limit=2&before_id={page['next']}")
    assert [row["received_ms"] for row in rest["items"]] == [0]
    assert rest["next"] is None
    only = await get(service, "/api/v1/quarantine?reason=not_json")
    assert len(only["items"]) == 1


async def test_deliveries_are_listed_with_their_attempts_and_sent_again(service: Service) -> None:
    await service.state.run(
        lambda connection: (
            connection.execute(
                insert(delivery),
                [
                    {
                        "id": f"msg_{number}",
                        "route": "noc",
                        "group_key": f"g{number}",
                        "alarm": "a-1",
                        "transition": number,
                        "status": status,
                        "firing": True,
                        "created_ms": number,
                        "next_attempt_ms": 5,
                        "attempts": 1,
                        "finished_ms": 6,
                        "last_error": "HTTP 500",
                        "body": "{}",
                    }
                    for number, status in enumerate(("delivered", "dead", "dead"))
                ],
            ),
            connection.execute(
                insert(attempt).values(
                    delivery="msg_1", at_ms=5, duration_ms=12, status_code=500, error="HTTP 500"
                )
            ),
        )
    )
    page = await get(service, "/api/v1/deliveries?limit=2")
    assert [row["id"] for row in page["items"]] == ["msg_2", "msg_1"]
    assert page["items"][1]["log"][0]["status_code"] == 500
    assert page["totals"] == {"delivered": 1, "pending": 0, "dead": 2}
    rest = await get(service, f"/api/v1/deliveries?before_ms={page['next']}")
    assert [row["id"] for row in rest["items"]] == ["msg_0"]
    assert len((await get(service, "/api/v1/deliveries?status=dead"))["items"]) == 2

    again = await post(service, "/api/v1/deliveries/msg_1/send-again", {}, role="engineer")
    assert again.status == 204
    assert (await get(service, "/api/v1/deliveries"))["totals"]["pending"] == 1
    refused = await post(service, "/api/v1/deliveries/msg_0/send-again", {}, role="engineer")
    assert refused.status == 409
    assert (await post(service, "/api/v1/routes/noc/enable", {}, role="engineer")).status == 404


async def test_the_typed_query_reaches_the_store(service: Service) -> None:
    now_ms = service.clock.now_ms()
    asset = service.context.inventory.assets["KH00001"]
    reading = Reading(
        kind="bts",
        asset=asset.id,
        time_us=now_ms * 1000,
        ts_ms=now_ms,
        received_ms=now_ms,
        values={"dc_voltage_v": 53.5},
    )
    await service.context.store.write(
        [Row(reading=reading, asset=asset)], [], journal_uuid=service.journal.uuid, position=1
    )
    query = {
        "measurement": "bts",
        "columns": [{"metric": "dc_voltage_v"}],
        "where": {"asset": ["KH00001"]},
        "start_ms": now_ms - 1000,
        "stop_ms": now_ms + 1000,
    }
    answer = await (await post(service, "/api/v1/query", query, role="viewer")).json()
    assert answer["columns"] == ["time_us", "dc_voltage_v"]
    assert answer["rows"] == [[now_ms * 1000, 53.5]]
    unknown = await post(
        service, "/api/v1/query", query | {"columns": [{"metric": "colour"}]}, role="viewer"
    )
    assert unknown.status == 422
    assert (await unknown.json())["type"] == "urn:ioc:problem:query"
    backwards = await post(service, "/api/v1/query", query | {"stop_ms": 0}, role="viewer")
    assert backwards.status == 422


async def test_readyz_says_which_stage_is_not_ready(service: Service) -> None:
    ready = await service.client.get("/readyz")
    assert ready.status == 200
    stage = service.health.stage("store")
    stage.failed(OSError("connection refused"), at_ms=5)
    stage.behind, stage.lag_s = 12, 3.5
    answer = await service.client.get("/readyz")
    assert answer.status == 503
    found = await answer.json()
    assert found["ready"] is False
    assert found["stages"]["store"]["last_error"] == "OSError: connection refused"
    assert found["stages"]["store"]["behind"] == 12
    assert found["journal"]["admits"] is True
    assert (await service.client.get("/healthz")).status == 200


async def test_metrics_are_open_to_this_machine_only(service: Service) -> None:
    ingest = service.health.stage("ingest")
    ingest.count("messages", 7)
    ingest.counters["last_message_ms"] = 1500
    service.live.alarms["a-1"] = alarm("a-1")
    own = await service.client.get("/metrics")
    assert own.status == 200
    text = await own.text()
    for line in (
        'ioc_stage_events_total{event="messages",stage="ingest"} 7.0',
        'ioc_stage_ready{stage="alarms"} 1.0',
        "ioc_last_message_timestamp_seconds 1.5",
        'ioc_alarms_active{severity="major"} 1.0',
        'ioc_assets{kind="bts",state="not_seen"} 1.0',
        'ioc_deliveries{status="pending"} 0.0',
        "ioc_journal_admits 1.0",
    ):
        assert line in text.splitlines(), line
    assert "process_resident_memory_bytes" in text
    proxied = {"X-Forwarded-For": "203.0.113.9"}
    assert (await service.client.get("/metrics", headers=proxied)).status == 401
    with_token = await service.client.get("/metrics", headers=proxied | service.bearer("viewer"))
    assert with_token.status == 200


async def test_the_inventory_is_exported_as_a_file_has_it(service: Service) -> None:
    response = await service.client.get("/api/v1/inventory", headers=service.bearer("viewer"))
    found = msgspec.json.decode(await response.read(), type=InventoryFile)
    assert found.province == "khanh-hoa"
    assert {asset.id: asset for asset in found.assets} == service.context.inventory.assets
