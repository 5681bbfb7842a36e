"""A route, and how it becomes a handler: credentials, parameters, body, answer, time-out.

One table of routes registers the handlers and makes the OpenAPI document, so that the two cannot
differ.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ValidationError

from ioc.web.auth import Principal, Role, allows
from ioc.web.context import CONTEXT, PRINCIPAL, Context, from_this_machine
from ioc.web.models import Input, Nothing
from ioc.web.problems import ProblemError, forbidden, invalid, unauthorized

# A slow sender holds a connection no longer than this for its body.
BODY_WITHIN_S = 15.0

Q = TypeVar("Q", bound=Input)
B = TypeVar("B", bound=BaseModel)
Reply = BaseModel | web.StreamResponse


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Generic[Q, B]):
    """One request, checked: ``query`` and ``body`` fit their models, ``path`` its patterns."""

    context: Context
    request: web.Request
    query: Q
    body: B

    @property
    def who(self) -> Principal:
        """Who asks. Only on routes that have a role."""
        return self.request[PRINCIPAL]

    def path(self, name: str) -> str:
        """A part of the address."""
        return self.request.match_info[name]


@dataclass(frozen=True, kw_only=True)
class Route(Generic[Q, B]):
    """One thing that can be asked.

    ``role`` None needs no credentials; ``local`` waives them for requests from this machine.
    ``answer`` describes the body of ``status``; None means none, or not JSON (``media``).
    ``other`` are further statuses that are answers, ``problems`` those that are problem documents
    beside 401, 403, 422 and 503. ``max_body_bytes`` is given where the usual bound is too small.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handle: Callable[[Call[Q, B]], Awaitable[Reply]]
    query: type[Q]
    body: type[B]
    summary: str
    tag: str
    role: Role | None = "viewer"
    local: bool = False
    answer: type[BaseModel] | None = None
    status: int = 200
    media: str = "application/json"
    other: tuple[int, ...] = ()
    problems: tuple[int, ...] = ()
    streams: bool = False
    max_body_bytes: int | None = None

    @property
    def pattern(self) -> str:
        """The path as aiohttp matches it: each ``{name}`` is an identifier."""
        return re.sub(r"\{(\w+)\}", r"{\1:[A-Za-z0-9_-]{1,64}}", self.path)

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)


def register(app: web.Application, routes: Iterable[Route[Any, Any]]) -> None:
    """Add the routes to the application."""
    for route in routes:
        handler = _handler(route)
        if route.method == "GET":
            app.router.add_get(route.pattern, handler, allow_head=not route.streams)
        else:
            app.router.add_route(route.method, route.pattern, handler)


def _handler(route: Route[Q, B]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        context = request.app[CONTEXT]
        _check_role(route, request)
        if route.streams:
            reply = await route.handle(await _call(route, request, context))
        else:
            # A time-out of the network, so it runs on the loop's own clock.
            async with asyncio.timeout(context.settings.request_timeout_s):
                reply = await route.handle(await _call(route, request, context))
        if isinstance(reply, BaseModel):
            return json_response(reply.model_dump_json().encode(), status=route.status)
        return reply

    return handle


def json_response(body: bytes, *, status: int = 200) -> web.Response:
    """An answer that is JSON already."""
    return web.Response(body=body, status=status, content_type="application/json")


def _check_role(route: Route[Q, B], request: web.Request) -> None:
    if route.role is None or (route.local and from_this_machine(request)):
        return
    who = request.get(PRINCIPAL)
    if who is None:
        raise unauthorized("This needs a token or a session.")
    if not allows(who.role, route.role):
        raise forbidden(f"{who.actor} is {who.role}; this needs {route.role}.")


async def _call(route: Route[Q, B], request: web.Request, context: Context) -> Call[Q, B]:
    return Call(
        context=context,
        request=request,
        query=_parse_query(route.query, request),
        body=await _parse_body(
            route.body,
            request
            if route.max_body_bytes is None
            else request.clone(client_max_size=route.max_body_bytes),
        ),
    )


def _parse_query(model: type[Q], request: web.Request) -> Q:
    given: dict[str, object] = {}
    for name in request.query:
        values = request.query.getall(name)
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is tuple:
            # a=1&a=2 and a=1,2 alike.
            given[name] = [part for value in values for part in value.split(",") if part]
        else:
            given[name] = values[0] if len(values) == 1 else values
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error, where="query") from None


async def _parse_body(model: type[B], request: web.Request) -> B:
    if request.method in ("GET", "HEAD") or (
        request.method == "DELETE" and issubclass(model, Nothing)
    ):
        return model()
    async with asyncio.timeout(BODY_WITHIN_S):
        content = await request.read()
    if content and request.content_type != "application/json":
        raise ProblemError(
            415, "media-type", "Send JSON", "The content type must be application/json."
        )
    try:
        return model.model_validate_json(content or b"{}")
    except ValidationError as error:
        raise invalid(error, where="body") from None
