"""What stands before every handler: the name it was called by, credentials, origin; and the
security headers behind it."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ioc.web.auth import Principal
from ioc.web.context import CONTEXT, PRINCIPAL, Context
from ioc.web.problems import ProblemError, forbidden, unauthorized

COOKIE = "ioc_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # The name and version of the server library are nobody's business.
    "Server": "ioc",
}


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Signal ``on_response_prepare``: security headers on everything, streams too."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = HEADERS["Server"]
    response.headers.setdefault("Cache-Control", "no-store")


def guard(public: frozenset[str]) -> Middleware:
    """A middleware that lets a request through when it may come in.

    Everything under ``/api/`` needs credentials, known route or not, but for ``public`` paths.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        context = request.app[CONTEXT]
        check_host(request, context)
        if request.path in public:
            # Nobody may be signed in to somebody else's account from another site.
            if (
                request.method not in SAFE_METHODS
                and _says_where_from(request)
                and not same_origin(request, context)
            ):
                raise forbidden("The request comes from another site.")
        elif request.path.startswith("/api/") or request.path == "/metrics":
            await _let_in(request, context)
        return await handler(request)

    return check


async def _let_in(request: web.Request, context: Context) -> None:
    who = await identify(request, context)
    if who is None:
        if request.path == "/metrics":  # its route decides: it is open to this machine
            return
        raise unauthorized("This needs a token or a session.")
    if (
        who.by == "session"
        and request.method not in SAFE_METHODS
        and not same_origin(request, context)
    ):
        raise forbidden("With a session cookie, only the console itself may change things.")
    request[PRINCIPAL] = who


async def identify(request: web.Request, context: Context) -> Principal | None:
    """Who asks, by ``Authorization: Bearer`` or else by the session cookie."""
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return await context.auth.by_token(secret.strip())
    cookie = request.cookies.get(COOKIE)
    return None if cookie is None else await context.auth.by_session(cookie)


def check_host(request: web.Request, context: Context) -> None:
    """While only this machine can reach the service, it must be called by a name of this machine.

    A page of another site could otherwise let its own name point here (DNS rebinding) and read the
    answers.
    """
    if not context.settings.loopback:
        return
    try:
        name = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        name = ""
    if name.lower() not in context.settings.hosts:
        raise ProblemError(
            421,
            "wrong-host",
            "Called by a strange name",
            "The service answers to localhost, or to the name in --external-url.",
        )


def same_origin(request: web.Request, context: Context) -> bool:
    """Whether a browser says that the console itself sent this."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    own = {request.headers.get("Host", "").lower()}
    if context.settings.external_url:
        own.add(urlsplit(context.settings.external_url).netloc.lower())
    try:
        return urlsplit(origin).netloc.lower() in own - {""}
    except ValueError:
        return False


def _says_where_from(request: web.Request) -> bool:
    return "Sec-Fetch-Site" in request.headers or "Origin" in request.headers
