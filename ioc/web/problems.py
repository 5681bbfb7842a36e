"""Errors as RFC 9457 problem documents. A stack trace goes to the log, never to the caller."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from ioc import errors
from ioc.web.models import FieldFault, Problem

log = structlog.get_logger()

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:ioc:problem:"
MAX_FAULTS = 100

# The first class that fits decides; subclasses come before their bases.
_BY_ERROR: tuple[tuple[type[errors.IocError], int, str, str], ...] = (
    (errors.InventoryError, 422, "inventory", "The inventory cannot be changed so"),
    (errors.QueryError, 422, "query", "The query cannot be answered"),
    (errors.CommandError, 409, "command", "The command does not fit the alarm"),
    (errors.JournalFullError, 503, "journal-full", "Nothing is admitted now"),
    (errors.StateUnavailableError, 503, "state-unavailable", "The state database is away"),
    (errors.StoreUnavailableError, 503, "store-unavailable", "The time-series store is away"),
)


class ProblemError(Exception):
    """Answer this request with a problem document."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str = "",
        *,
        faults: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.problem = Problem(
            type=TYPE_PREFIX + kind,
            title=title,
            status=status,
            detail=detail,
            errors=list(faults) or None,
        )
        self.headers = dict(headers or {})


def unauthorized(detail: str) -> ProblemError:
    return ProblemError(
        401,
        "unauthorized",
        "Sign in first",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="ioc"'},
    )


def forbidden(detail: str) -> ProblemError:
    return ProblemError(403, "forbidden", "Not allowed", detail)


def not_found(detail: str) -> ProblemError:
    return ProblemError(404, "not-found", "Not found", detail)


def invalid(error: ValidationError, *, where: str) -> ProblemError:
    """All faults of a request, each with its field. ``where`` is "body" or "query".

    What was sent is not repeated: it may be a secret in the wrong place.
    """
    faults = [
        FieldFault(field=".".join(map(str, (where, *fault["loc"]))), detail=fault["msg"])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return ProblemError(
        422,
        "invalid",
        "The request does not fit",
        f"{len(faults)} field{'s' if len(faults) > 1 else ''} of the {where} cannot be used",
        faults=faults[:MAX_FAULTS],
    )


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> web.Response:
    """A problem as a response."""
    return web.Response(
        status=problem.status,
        body=problem.model_dump_json(exclude_none=True).encode(),
        content_type=CONTENT_TYPE,
        headers=headers,
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of the handlers inside into a problem document."""
    try:
        return await handler(request)
    except ProblemError as error:
        return respond(error.problem, error.headers)
    except web.HTTPException as error:
        if error.status < 400:  # a redirect is an answer
            raise
        return _of_http(request, error)
    except errors.IocError as error:
        return _of_ioc(request, error)
    except TimeoutError:
        return respond(
            ProblemError(
                503, "timeout", "It took too long", "The request was given up; try it again."
            ).problem,
            {"Retry-After": "5"},
        )
    except Exception as error:  # noqa: BLE001  # nothing of it may reach the caller
        return _unexpected(request, error)


def _unexpected(request: web.Request, error: Exception) -> web.Response:
    reference = secrets.token_hex(4)
    # The path without its query string: a query can hold a sign-in code.
    log.error(
        "request failed",
        reference=reference,
        method=request.method,
        path=request.path,
        exc_info=error,
    )
    return respond(
        ProblemError(
            500,
            "internal",
            "The service failed",
            f"The reason is in the service's log under {reference}.",
        ).problem
    )


def _of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    kind = HTTPStatus(error.status).phrase.lower().replace(" ", "-")
    detail = {
        404: f"There is nothing at {request.path[:200]}.",
        405: f"{request.method[:20]} is not possible here.",
        413: "At most 1 MiB is accepted.",
    }.get(error.status, "")
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    title = HTTPStatus(error.status).phrase
    return respond(ProblemError(error.status, kind, title, detail).problem, headers)


def _of_ioc(request: web.Request, error: errors.IocError) -> web.Response:
    for cls, status, kind, title in _BY_ERROR:
        if isinstance(error, cls):
            if status >= 500:
                log.warning("request refused", kind=kind, path=request.path, error=str(error))
            headers = {"Retry-After": "5"} if error.retryable else None
            return respond(ProblemError(status, kind, title, str(error)[:4000]).problem, headers)
    return _unexpected(request, error)
