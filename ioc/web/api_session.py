"""Sign-in, sign-out, who is signed in, and tokens."""

from __future__ import annotations

from urllib.parse import quote

import structlog
from aiohttp import web

from ioc import __version__
from ioc.web import auth
from ioc.web.context import Context
from ioc.web.guard import COOKIE
from ioc.web.models import (
    CodeQuery,
    CreatedToken,
    NewToken,
    Nothing,
    ProvinceName,
    SessionView,
    SignIn,
    SignInCode,
    TokenList,
    TokenView,
)
from ioc.web.problems import ProblemError, not_found, unauthorized
from ioc.web.routing import Call, Route

log = structlog.get_logger()


async def follow_link(call: Call[CodeQuery, Nothing]) -> web.StreamResponse:
    """The sign-in link: trade its code for a session and go to the console."""
    context, code = call.context, call.query.code
    address = _limited(call.request, context)
    now_ms = context.clock.now_ms()
    secret = await context.state.run(
        lambda connection: auth.redeem_code(connection, code, now_ms=now_ms)
    )
    if secret is None:
        context.limit.failed(address)
        log.warning("sign-in refused", by="code", address=address)
        return web.Response(
            status=401,
            text=(
                "Liên kết đăng nhập này đã được dùng hoặc đã hết hạn.\n"
                "This sign-in link was used already or is too old.\n\n"
                "ioc token sign-in-link\n"
            ),
        )
    log.info("signed in", by="code", address=address)
    response = web.Response(status=303, headers={"Location": "/"})
    _set_cookie(response, secret, context)
    return response


async def sign_in(call: Call[Nothing, SignIn]) -> web.StreamResponse:
    """Trade a token for a session cookie."""
    context = call.context
    address = _limited(call.request, context)
    who = await context.auth.by_token(call.body.token.strip())
    if who is None:
        context.limit.failed(address)
        log.warning("sign-in refused", by="token", address=address)
        raise unauthorized("The token is unknown, expired or revoked.")
    now_ms = context.clock.now_ms()
    secret = await context.state.run(
        lambda connection: auth.open_session(connection, who.token, now_ms=now_ms)
    )
    log.info("signed in", by="token", actor=who.actor, address=address)
    response = web.Response(status=204)
    _set_cookie(response, secret, context)
    return response


async def sign_out(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """End the session of the cookie that was sent."""
    secret = call.request.cookies.get(COOKIE, "")
    if secret:
        hashed = auth.digest(secret)
        await call.context.state.run(lambda connection: auth.close_session(connection, hashed))
        call.context.auth.forget()
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response


async def show_session(call: Call[Nothing, Nothing]) -> SessionView:
    context = call.context
    province = context.plan.province
    return SessionView(
        actor=call.who.actor,
        role=call.who.role,
        province=ProvinceName(id=province.id, name=province.name),
        version=__version__,
        synthetic=any(asset.synthetic for asset in context.inventory.assets.values()),
    )


async def make_code(call: Call[Nothing, Nothing]) -> SignInCode:
    """A link for the caller's own token, for example to open the console on another screen."""
    context = call.context
    now_ms = context.clock.now_ms()
    code = await context.state.run(
        lambda connection: auth.issue_code(connection, call.who.token, now_ms=now_ms)
    )
    base = context.settings.public_url or f"http://{call.request.host}"
    return SignInCode(
        code=code, url=f"{base}/sign-in?code={quote(code)}", expires_ms=now_ms + auth.CODE_TTL_MS
    )


async def list_tokens(call: Call[Nothing, Nothing]) -> TokenList:
    rows = await call.context.state.run(auth.list_tokens)
    now_ms = call.context.clock.now_ms()
    return TokenList(items=[_token_view(row, now_ms) for row in rows])


async def make_token(call: Call[Nothing, NewToken]) -> CreatedToken:
    now_ms, wish = call.context.clock.now_ms(), call.body
    issued = await call.context.state.run(
        lambda connection: auth.create_token(
            connection, name=wish.name, role=wish.role, now_ms=now_ms, days=wish.days
        )
    )
    log.info("token made", id=issued.id, role=wish.role, actor=call.who.actor)
    return CreatedToken(
        id=issued.id,
        name=wish.name,
        role=wish.role,
        created_ms=now_ms,
        expires_ms=issued.expires_ms,
        revoked_ms=None,
        state="in_force",
        token=issued.secret,
    )


async def revoke_token(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """End a token with its sessions and streams, at once."""
    context, token_id = call.context, call.path("id")
    if token_id == call.who.token:
        raise ProblemError(
            409, "own-token", "This is the token in use", "Revoke it with another admin's token."
        )
    now_ms = context.clock.now_ms()
    revoked = await context.state.run(
        lambda connection: auth.revoke_token(connection, token_id, now_ms=now_ms)
    )
    context.auth.forget()
    if not revoked:
        raise not_found(f"There is no token {token_id} in force.")
    context.feed.drop(token_id, reason="the token was revoked")
    log.info("token revoked", id=token_id, actor=call.who.actor)
    return web.Response(status=204)


def _limited(request: web.Request, context: Context) -> str:
    """The caller's address, once it may try to sign in."""
    address = request.remote or ""
    wait_s = context.limit.wait_s(address)
    if wait_s > 0:
        raise ProblemError(
            429,
            "too-many-sign-ins",
            "Too many failed sign-ins",
            f"Try again in {wait_s:.0f} s.",
            headers={"Retry-After": str(int(wait_s) + 1)},
        )
    return address


def _set_cookie(response: web.StreamResponse, secret: str, context: Context) -> None:
    response.set_cookie(
        COOKIE,
        secret,
        max_age=auth.SESSION_TTL_MS // 1000,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=context.settings.secure,
    )


def _token_view(row: auth.TokenRow, now_ms: int) -> TokenView:
    ended = row.expires_ms is not None and row.expires_ms <= now_ms
    return TokenView(
        id=row.id,
        name=row.name,
        role=row.role,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms,
        state="revoked" if row.revoked_ms is not None else "expired" if ended else "in_force",
    )


ROUTES = (
    Route(
        method="GET",
        path="/sign-in",
        handle=follow_link,
        query=CodeQuery,
        body=Nothing,
        summary="Follow a sign-in link",
        tag="session",
        role=None,
        status=303,
        media="text/plain",
        problems=(401, 429),
    ),
    Route(
        method="POST",
        path="/api/v1/sign-in",
        handle=sign_in,
        query=Nothing,
        body=SignIn,
        summary="Trade a token for a session cookie",
        tag="session",
        role=None,
        status=204,
        problems=(401, 415, 429),
    ),
    Route(
        method="POST",
        path="/api/v1/sign-out",
        handle=sign_out,
        query=Nothing,
        body=Nothing,
        summary="End the session",
        tag="session",
        status=204,
    ),
    Route(
        method="GET",
        path="/api/v1/session",
        handle=show_session,
        query=Nothing,
        body=Nothing,
        answer=SessionView,
        summary="Who is signed in",
        tag="session",
    ),
    Route(
        method="POST",
        path="/api/v1/sign-in-codes",
        handle=make_code,
        query=Nothing,
        body=Nothing,
        answer=SignInCode,
        status=201,
        summary="Make a sign-in link for one's own token",
        tag="session",
    ),
    Route(
        method="GET",
        path="/api/v1/tokens",
        handle=list_tokens,
        query=Nothing,
        body=Nothing,
        answer=TokenList,
        summary="All tokens",
        tag="tokens",
        role="admin",
    ),
    Route(
        method="POST",
        path="/api/v1/tokens",
        handle=make_token,
        query=Nothing,
        body=NewToken,
        answer=CreatedToken,
        status=201,
        summary="Make a token",
        tag="tokens",
        role="admin",
        problems=(415,),
    ),
    Route(
        method="DELETE",
        path="/api/v1/tokens/{id}",
        handle=revoke_token,
        query=Nothing,
        body=Nothing,
        status=204,
        summary="Revoke a token with its sessions",
        tag="tokens",
        role="admin",
        problems=(404, 409),
    ),
)
