"""Every error is a problem document, and none tells more than it should."""

from __future__ import annotations

import gzip
import io
import json

import pytest
import structlog
from aiohttp import ClientResponse

from ioc import errors
from ioc.web.models import Problem
from tests.web.conftest import Service


async def problem(response: ClientResponse) -> Problem:
    assert response.content_type == "application/problem+json"
    document = Problem.model_validate(await response.json(), extra="forbid")
    assert document.status == response.status
    assert document.type.startswith("urn:ioc:problem:")
    return document


async def test_every_field_that_cannot_be_used_is_named(service: Service) -> None:
    response = await service.client.get(
        "/api/v1/assets?limit=0&state=broken&commune=a/b&colour=red",
        headers=service.bearer("viewer"),
    )
    assert response.status == 422
    document = await problem(response)
    assert document.errors is not None
    assert {fault.field for fault in document.errors} == {
        "query.limit",
        "query.state.0",
        "query.commune",
        "query.colour",
    }


async def test_what_was_sent_is_not_repeated(service: Service) -> None:
    """It may be a secret in the wrong place."""
    response = await service.client.post(
        "/api/v1/sign-in", json={"token": "a", "password": "hunter2"}
    )
    assert response.status == 422
    assert "hunter2" not in await response.text()


async def test_a_body_that_cannot_be_read(service: Service) -> None:
    large = io.BytesIO(b'{"token": "' + b"x" * 2**20 + b'"}')
    cases: list[tuple[bytes | io.BytesIO, str, int]] = [
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b'{"token": "x"}', "text/plain", 415),
        (b"token=x", "application/x-www-form-urlencoded", 415),
        (large, "application/json", 413),
    ]
    for content, kind, status in cases:
        response = await service.client.post(
            "/api/v1/sign-in", data=content, headers={"Content-Type": kind}
        )
        assert response.status == status, content
        await problem(response)


async def test_wrong_addresses_and_methods(service: Service) -> None:
    viewer = service.bearer("viewer")
    absent = await service.client.get("/api/v1/assets/nothing", headers=viewer)
    assert absent.status == 404
    assert "nothing" in (await problem(absent)).detail
    wrong = await service.client.put("/api/v1/assets", headers=viewer)
    assert wrong.status == 405
    assert set(wrong.headers["Allow"].split(",")) >= {"GET", "POST"}
    await problem(wrong)
    assert (await service.client.get("/api/v1/alarms/a%20b", headers=viewer)).status == 404


async def test_errors_become_problems(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[Exception, int, bool]] = [
        (errors.InventoryError("asset X: no"), 422, False),
        (errors.QueryError("metric x: unknown"), 422, False),
        (errors.CommandError("already cleared"), 409, False),
        (errors.JournalFullError("full"), 503, True),
        (errors.StateUnavailableError("away"), 503, True),
        (errors.StoreUnavailableError("away"), 503, True),
        (TimeoutError(), 503, True),
        (errors.JournalError("damaged /var/lib/ioc"), 500, False),
        (RuntimeError("secret inside"), 500, False),
    ]
    for raised, status, again in cases:

        def fail(raised: Exception = raised) -> None:
            raise raised

        monkeypatch.setattr(service.context.views, "ordered", fail)
        with structlog.testing.capture_logs() as logs:
            response = await service.client.get("/api/v1/assets", headers=service.bearer("viewer"))
        assert response.status == status
        document = await problem(response)
        assert ("Retry-After" in response.headers) == again
        if status == 500:
            text = await response.text()
            assert str(raised) not in text
            assert "Traceback" not in text
            assert document.detail.split()[-1].strip(".") == logs[0]["reference"]
        else:
            assert str(raised) in document.detail


async def test_a_bomb_of_zeros_is_not_unpacked(service: Service) -> None:
    body = gzip.compress(json.dumps({"token": "x" * 50_000_000}).encode())
    response = await service.client.post(
        "/api/v1/sign-in",
        data=body,
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert response.status in (413, 415, 422)
    await problem(response)
