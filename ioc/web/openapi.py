"""The OpenAPI 3.1 document, made from the table of routes and the pydantic models."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from ioc import __version__
from ioc.web.guard import COOKIE
from ioc.web.models import Nothing, Problem, Snapshot
from ioc.web.problems import CONTENT_TYPE as PROBLEM_TYPE
from ioc.web.routing import Route

References = dict[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]
_REF = "#/components/schemas/{model}"


def describe(routes: Iterable[Route[Any, Any]]) -> dict[str, Any]:
    """The whole document."""
    routes = list(routes)
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (Problem, "serialization"),
        (Snapshot, "serialization"),
    ]
    for route in routes:
        wanted.append((route.query, "validation"))
        wanted.append((route.body, "validation"))
        if route.answer is not None:
            wanted.append((route.answer, "serialization"))
    made, schemas = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    references: References = {key: made[key] for key in wanted}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, references, schemas["$defs"]
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Provincial IOC",
            "version": __version__,
            "description": (
                "Real-time monitoring of a province's digital infrastructure. Times are Unix ms. "
                "Errors are RFC 9457 problem documents."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
            "schemas": {
                name: schema for name, schema in schemas["$defs"].items() if name != "Nothing"
            },
        },
    }


def _operation(
    route: Route[Any, Any],
    references: References,
    definitions: dict[str, Any],
) -> dict[str, Any]:
    # A handler's name is unique and says what it does.
    operation: dict[str, Any] = {
        "operationId": route.handle.__name__,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route, references),
    }
    if route.handle.__doc__:
        operation["description"] = " ".join(route.handle.__doc__.split())
    if route.role is None:
        operation["security"] = []
    else:
        operation["x-role"] = route.role
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        }
        for name in route.parameters
    ]
    if route.query is not Nothing:
        name = references[route.query, "validation"]["$ref"].rsplit("/", 1)[1]
        parameters += _query_parameters(definitions[name])
    if parameters:
        operation["parameters"] = parameters
    if route.method == "POST" and route.body is not Nothing:
        model = references[route.body, "validation"]
        required = any(field.is_required() for field in route.body.model_fields.values())
        operation["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": model}},
        }
    return operation


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    parameters = []
    for name, field in schema["properties"].items():
        field = dict(field)
        parameter = {"name": name, "in": "query", "required": False}
        if "description" in field:
            parameter["description"] = field.pop("description")
        options = field.get("anyOf")
        if options is not None:  # a parameter that is left out is null; it cannot be sent as null
            kept = [option for option in options if option != {"type": "null"}]
            field = kept[0] if len(kept) == 1 else {"anyOf": kept}
        field.pop("title", None)
        if field.get("default", "") in ("", None, []):
            field.pop("default", None)
        parameters.append({**parameter, "schema": field})
    return parameters


def _responses(
    route: Route[Any, Any],
    references: References,
) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if route.answer is not None:
        body = {route.media: {"schema": references[route.answer, "serialization"]}}
    elif route.streams:
        body = {route.media: {"schema": {"type": "string"}}}
    elif route.status == 200:
        body = {route.media: {"schema": {} if "json" in route.media else {"type": "string"}}}
    responses: dict[str, Any] = {}
    for status in (route.status, *route.other):
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if body and status not in (202, 304):
            responses[str(status)]["content"] = body
    problems = {422, 503, *route.problems}
    if route.role is not None:
        problems |= {401, 403}
    for status in sorted(problems - {route.status, *route.other}):
        media = route.media if status == 401 and route.media == "text/plain" else PROBLEM_TYPE
        schema = references[Problem, "serialization"] if media == PROBLEM_TYPE else {}
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {media: {"schema": schema}},
        }
    responses["default"] = {
        "description": "Any other problem",
        "content": {PROBLEM_TYPE: {"schema": references[Problem, "serialization"]}},
    }
    return responses
