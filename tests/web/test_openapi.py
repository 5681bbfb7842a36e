"""The API's description is valid, complete, and true of the running service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ioc.alarms.model import Alarm, Impact
from ioc.catalog import Catalog
from ioc.clock import VirtualClock
from ioc.inventory import Asset, Site
from ioc.kpi.plan import Plan
from ioc.web import models
from ioc.web.openapi import describe
from ioc.web.routes import ROUTES
from tests.web.conftest import Service, alarm, build_service

# Negative tests and authentication have their own files.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, catalog: Catalog, plan: Plan
) -> Iterator[tuple[str, dict[str, str]]]:
    """The service on a loop of its own, so that synchronous requests reach it."""
    ready: dict[str, tuple[str, dict[str, str]]] = {}
    began, stop = threading.Event(), threading.Event()

    async def run(folder: Path) -> None:
        async with AsyncExitStack() as stack:
            service = await build_service(stack, folder, VirtualClock(), catalog, plan)
            service.live.alarms["a-1"] = alarm("a-1")
            port = service.client.port
            ready["at"] = (f"http://127.0.0.1:{port}", service.bearer("admin"))
            began.set()
            await asyncio.to_thread(stop.wait)

    folder = tmp_path_factory.mktemp("service")
    thread = threading.Thread(target=lambda: asyncio.run(run(folder)), name="service")
    thread.start()
    try:
        assert began.wait(30)
        yield ready["at"]
    finally:
        stop.set()
        thread.join(30)


def test_every_get_route_answers_as_its_description_says(
    address: tuple[str, dict[str, str]],
) -> None:
    url, headers = address
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", headers=headers)
    tested = set()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if operation.method != "get" or operation.path == "/api/v1/stream":
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=5,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def answers(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(
                base_url=url, headers=headers, checks=CHECKS, allow_redirects=False
            )

        answers()
        tested.add(operation.path)
    # The description itself is passed over: it was just read.
    assert tested | {"/api/v1/openapi.json"} == {
        route.path for route in ROUTES if route.method == "GET" and not route.streams
    }


def test_the_description_is_of_every_route_and_every_reference_leads_somewhere() -> None:
    document = describe(ROUTES)
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    names = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    ]
    assert len(names) == len(set(names))
    text = msgspec.json.encode(document).decode()
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"], reference
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )


def test_models_have_every_field_of_what_they_show() -> None:
    assert set(Alarm.__struct_fields__) <= set(models.AlarmView.model_fields)
    assert set(Impact.__struct_fields__) == set(models.ImpactView.model_fields)
    assert set(Asset.__struct_fields__) <= set(models.AssetView.model_fields)
    assert set(Asset.__struct_fields__) == set(models.ExportedAsset.model_fields)
    assert set(Site.__struct_fields__) == set(models.ExportedSite.model_fields)


async def test_it_is_served_to_whoever_is_signed_in(service: Service) -> None:
    response = await service.client.get("/api/v1/openapi.json", headers=service.bearer("viewer"))
    assert response.status == 200
    assert (await response.json())["info"]["title"] == "Provincial IOC"
