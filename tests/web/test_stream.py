"""The live stream: a snapshot, then changes, and nobody holds the others up."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse

from ioc.alarms.model import AssetState
from ioc.state.schema import alarm as alarm_table
from ioc.web import stream
from ioc.web.auth import Principal, create_token
from ioc.web.models import Snapshot
from tests.web.conftest import ROOT, Service, alarm, measure

Event = tuple[str, dict[str, Any]]


class Reader:
    """Reads server-sent events of one response."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def next(self) -> Event:
        name, data = "", ""
        while True:
            line = (await asyncio.wait_for(self.response.content.readline(), 10)).decode()
            assert line, "the stream ended"
            if line == "\n":
                return name, json.loads(data)
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.response.content.read(), 10) == b""


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another task does with a real socket."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen within 5 s")


@asynccontextmanager
async def opened(service: Service) -> AsyncIterator[Reader]:
    async with service.client.get("/api/v1/stream", headers=service.bearer("viewer")) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield Reader(response)


async def test_the_snapshot_has_everything_and_fits_its_model(service: Service) -> None:
    live = service.live
    live.alarms = {
        "a-1": alarm("a-1", **ROOT),
        "a-2": alarm("a-2", severity="critical", acknowledged=True),
        "a-3": alarm("a-3", parent="a-1", suppressed=True),
    }
    live.states["KH00002"] = "down"
    for one in (
        measure("bts_up", 3859),
        measure("pue", 1.7, scope="site", place="DC-NT"),
        measure("bts_up", 12, scope="commune", place="22366"),
    ):
        live.measures[one.name, one.scope, one.place] = one
    service.health.stage("ingest").counters.update(messages=10, missed=2, last_message_ms=1234)
    async with opened(service) as reader:
        name, data = await reader.next()
    assert name == "snapshot"
    Snapshot.model_validate(data, strict=False, extra="forbid")
    assert data["version"] == 1
    assert data["now_ms"] == service.clock.now_ms()
    assert data["counts"]["bts"] == {
        "up": 1,
        "degraded": 0,
        "down": 1,
        "silent": 0,
        "not_seen": 1,
    }
    assert data["abnormal"] == {"KH00002": "down", "KH-LAB-01": "not_seen"}
    # Worst first; the suppressed one is counted, not listed.
    assert [a["id"] for a in data["alarms"]["active"]] == ["a-2", "a-1"]
    assert data["alarms"]["active"][1]["suppressed_count"] == 1
    assert data["alarms"]["active"][1]["impact"]["stations"] == 2
    assert data["alarms"]["active"][1]["asset_name"] == "Trạm KH00002"
    totals = data["alarms"]["totals"]
    assert totals["critical"] == 1
    assert totals["major"] == 1
    assert totals["suppressed"] == 1
    assert totals["unacknowledged"] == 1
    assert {(k["name"], k["scope"]) for k in data["kpis"]} == {
        ("bts_up", "province"),
        ("pue", "site"),
    }
    assert data["ingest"]["missed_total"] == 2
    assert data["ingest"]["last_message_ms"] == 1234
    assert data["deliveries"] == {"delivered": 0, "pending": 0, "dead": 0}
    assert data["ready"] is True


async def test_a_change_has_only_what_changed_and_a_quiet_second_is_a_heartbeat(
    service: Service,
) -> None:
    live, feed = service.live, service.context.feed
    async with opened(service) as reader:
        await reader.next()
        await service.clock.advance(1)
        await feed.tick()
        assert await reader.next() == (
            "change",
            {"version": 1, "now_ms": service.clock.now_ms()},
        )

        live.states["KH00002"], live.states["KH-LAB-01"] = "silent", "up"
        live.alarms["a-1"] = alarm("a-1")
        live.publish(assets=["KH00002", "KH-LAB-01", "KH00001"], alarms=["a-1"])
        await feed.tick()
        name, data = await reader.next()
        assert name == "change"
        assert data["version"] == 2
        assert data.keys() == {"version", "now_ms", "counts", "abnormal", "alarms"}
        assert data["abnormal"] == {"KH00002": "silent", "KH-LAB-01": "up"}
        assert [a["id"] for a in data["alarms"]["active"]] == ["a-1"]

        service.health.stage("store").ready = False
        await feed.tick()
        _, data = await reader.next()
        assert data["ready"] is False
        assert data["not_ready"] == ["store"]


async def test_changes_lead_to_what_a_new_snapshot_says(service: Service) -> None:
    """Whoever follows the changes knows what one knows who comes later."""
    live, feed = service.live, service.context.feed
    steps: list[dict[str, AssetState | None]] = [
        {"KH00001": "down"},
        {"KH00001": "up", "KH00002": "degraded"},
        {"DC-NT": "silent", "KH00002": None},
        {"KH-LAB-01": "up"},
    ]
    async with opened(service) as reader:
        _, told = await reader.next()
        for step in steps:
            for asset, state in step.items():
                if state is None:
                    del live.states[asset], live.kinds[asset]
                else:
                    live.states[asset] = state
            live.publish(assets=step)
            await feed.tick()
            _, change = await reader.next()
            for asset, state in change.pop("abnormal", {}).items():
                told["abnormal"].pop(asset, None)
                if state != "up":
                    told["abnormal"][asset] = state
            told |= change
        async with opened(service) as late:
            _, snapshot = await late.next()
    assert told == snapshot


async def test_after_too_many_versions_the_difference_is_worked_out_anew(
    service: Service,
) -> None:
    live, feed = service.live, service.context.feed
    async with opened(service) as reader:
        await reader.next()
        live.states["KH00001"] = "down"
        live.publish(assets=["KH00001"])
        for _ in range(300):
            live.publish(measures=True)
        await feed.tick()
        _, data = await reader.next()
    assert data["abnormal"] == {"KH00001": "down"}


async def viewer(service: Service) -> Principal:
    who = await service.context.auth.by_token(service.tokens["viewer"])
    assert who is not None
    return who


async def test_all_clients_get_the_same_bytes(service: Service) -> None:
    feed, who = service.context.feed, await viewer(service)
    first, second = await feed.join(who, None), await feed.join(who, None)
    assert await first.next() == await second.next()
    await feed.tick()
    assert await first.next() is await second.next()


async def test_while_nobody_listens_nothing_is_made(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = service.context.feed
    monkeypatch.setattr(feed, "_update", lambda: pytest.fail("made for nobody"))
    await feed.tick()


async def test_the_clockwork_makes_one_event_a_second(service: Service) -> None:
    feed = service.context.feed
    running = asyncio.create_task(feed.run())
    try:
        for number in range(12):
            service.health.stage("ingest").count("messages", 800)
            await service.clock.advance(1)
            assert len(feed._received) == min(number + 1, 11)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert feed.messages_per_s() == 800.0


async def test_a_slow_client_is_told_to_start_over_and_let_go(service: Service) -> None:
    """It neither reads nor goes away; the others do not notice, and memory is bounded."""
    feed, live = service.context.feed, service.live
    many = [f"X{number:05}" for number in range(4000)]
    for asset in many:
        live.kinds[asset], live.states[asset] = "bts", "up"
    live.publish(inventory=True)
    slow = socket.create_connection(("127.0.0.1", int(service.client.port or 0)))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        slow.sendall(
            b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n"
            + f"Authorization: Bearer {service.tokens['viewer']}\r\n\r\n".encode()
        )
        async with opened(service) as quick:
            await quick.next()
            await until(lambda: len(feed.clients) == 2)
            for number in range(200):
                state: AssetState = "down" if number % 2 == 0 else "up"
                live.states.update(dict.fromkeys(many, state))
                live.publish(assets=many)
                await service.clock.advance(1)
                await feed.tick()
                _, data = await quick.next()
                assert data["abnormal"][many[0]] == state
                if feed.restarts:
                    break
            assert feed.restarts == 1
            (lagging,) = (client for client in feed.clients if client.ended_s is not None)
            assert len(lagging._pending) <= 1
            # It does not even take the word to start over: its connection is cut.
            await service.clock.advance(stream.ABORT_AFTER_S + 1)
            await feed.tick()
            await until(lambda: lagging not in feed.clients)
    finally:
        slow.close()


async def test_a_client_that_comes_back_to_reading_is_told_to_start_over(
    service: Service,
) -> None:
    client = await service.context.feed.join(await viewer(service), None)
    for number in range(stream.MAX_PENDING + 3):
        client.offer(b"event %d" % number, now_s=0)
    last = await client.next()
    assert last is not None
    assert last.startswith(b"event: restart\ndata: ")
    assert "reason" in msgspec.json.decode(last.split(b"data: ")[1])
    assert await client.next() is None


async def test_only_so_many_streams_are_open(service: Service) -> None:
    service.context.feed._max_clients = 1
    async with opened(service) as reader:
        await reader.next()
        refused = await service.client.get("/api/v1/stream", headers=service.bearer("viewer"))
        assert refused.status == 503
        assert refused.headers["Retry-After"] == "10"
        assert (await refused.json())["type"] == "urn:ioc:problem:too-many-streams"


async def test_a_stream_ends_with_its_token(service: Service) -> None:
    clock, feed = service.clock, service.context.feed
    issued = await service.state.run(
        lambda c: create_token(c, name="tv", role="viewer", now_ms=clock.now_ms(), days=1)
    )
    headers = {"Authorization": f"Bearer {issued.secret}"}
    async with service.client.get("/api/v1/stream", headers=headers) as response:
        reader = Reader(response)
        await reader.next()
        revoked = await service.client.delete(
            f"/api/v1/tokens/{issued.id}", headers=service.bearer("admin")
        )
        assert revoked.status == 204
        assert (await reader.next())[0] == "restart"
        assert await reader.ended()
    async with opened(service) as reader:
        await reader.next()
        await clock.advance(31 * 24 * 3600)
        await feed.tick()
        assert (await reader.next())[0] == "restart"
        assert await reader.ended()


async def test_when_the_service_stops_streams_are_told(service: Service) -> None:
    async with opened(service) as reader:
        await reader.next()
        service.context.feed.close()
        assert (await reader.next())[0] == "restart"
        assert await reader.ended()
    await until(lambda: not service.context.feed.clients)


async def test_counts_of_the_past_follow_the_state_database(service: Service) -> None:
    now_ms = service.clock.now_ms()
    shown = alarm("a-9", raised_ms=now_ms - 1000, cleared_ms=now_ms - 500, state="cleared")
    async with opened(service) as reader:
        _, data = await reader.next()
        assert data["alarms"]["per_10_min"] == [0] * 24
        assert data["alarms"]["last_cleared_ms"] is None
        await service.state.run(
            lambda connection: connection.execute(
                alarm_table.insert().values(
                    {
                        **{
                            column.name: getattr(shown, column.name)
                            for column in alarm_table.columns
                            if hasattr(shown, column.name)
                        },
                        "search": "",
                        "content": msgspec.json.encode(shown).decode(),
                    }
                )
            )
        )
        await service.clock.advance(stream.LOGS_EVERY_S)
        await service.context.feed.tick()
        _, data = await reader.next()
    assert data["alarms"]["per_10_min"] == [0] * 23 + [1]
    assert data["alarms"]["last_cleared_ms"] == now_ms - 500
