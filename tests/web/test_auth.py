"""Who may come in, and what each may do."""

from __future__ import annotations

import asyncio
import re
import stat
from pathlib import Path

import pytest
import structlog
from aiohttp import ClientResponse

from ioc.clock import VirtualClock
from ioc.errors import ConfigError
from ioc.state import open_state
from ioc.web import auth
from ioc.web.guard import COOKIE
from ioc.web.routes import PUBLIC, ROUTES
from tests.web.conftest import Service

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def cookie_of(response: ClientResponse) -> str:
    return response.cookies[COOKIE].value


async def code_for(service: Service, role: auth.Role = "operator") -> str:
    answer = await service.client.post("/api/v1/sign-in-codes", headers=service.bearer(role))
    assert answer.status == 201
    return str((await answer.json())["code"])


async def test_without_credentials_every_route_but_the_public_ones_is_401(
    service: Service,
) -> None:
    proxied = {"X-Forwarded-For": "203.0.113.9"}  # else /metrics is open to this machine
    for route in ROUTES:
        target = re.sub(r"\{\w+\}", "x", route.path)
        for headers in (
            proxied,
            proxied | {"Authorization": "Bearer ioc_wrong"},
            proxied | {"Authorization": "Basic YTpi"},
            proxied | {"Cookie": f"{COOKIE}=wrong"},
        ):
            response = await service.client.request(route.method, target, headers=headers)
            if route.path in PUBLIC:
                continue
            assert response.status == 401, (route.method, route.path)
            assert response.content_type == "application/problem+json"
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_only_these_routes_are_public() -> None:
    assert {"/healthz", "/readyz", "/sign-in", "/api/v1/sign-in"} == PUBLIC


async def test_an_unknown_api_address_tells_a_stranger_nothing(service: Service) -> None:
    assert (await service.client.get("/api/v1/nothing")).status == 401
    known = await service.client.get("/api/v1/nothing", headers=service.bearer("viewer"))
    assert known.status == 404


async def test_a_role_includes_those_before_it_and_no_more(service: Service) -> None:
    for route in ROUTES:
        if route.role is None or route.streams or route.local:
            continue
        target = re.sub(r"\{\w+\}", "x", route.path)
        for role in auth.ROLES:
            if auth.allows(role, route.role):
                continue
            response = await service.client.request(
                route.method, target, headers=service.bearer(role)
            )
            assert response.status == 403, (role, route.method, route.path)


async def test_a_sign_in_code_is_good_once(service: Service) -> None:
    code = await code_for(service)
    first = await service.client.get(f"/sign-in?code={code}", allow_redirects=False)
    assert first.status == 303
    assert first.headers["Location"] == "/"
    morsel = first.cookies[COOKIE]
    assert morsel["httponly"] is True
    assert morsel["samesite"] == "Strict"
    assert morsel["path"] == "/"
    assert int(morsel["max-age"]) == 7 * 24 * 3600
    second = await service.client.get(f"/sign-in?code={code}", allow_redirects=False)
    assert second.status == 401
    assert COOKIE not in second.cookies

    who = await service.client.get(
        "/api/v1/session", headers={"Cookie": f"{COOKIE}={cookie_of(first)}"}
    )
    session = await who.json()
    assert session["actor"] == "operator"
    assert session["province"]["name"]["vi"] == "Khánh Hòa"
    assert session["synthetic"] is True


async def test_a_sign_in_code_ends_after_ten_minutes(service: Service) -> None:
    code = await code_for(service)
    await service.clock.advance(600)
    response = await service.client.get(f"/sign-in?code={code}", allow_redirects=False)
    assert response.status == 401


async def test_a_code_of_a_revoked_token_is_refused(service: Service) -> None:
    code = await code_for(service, "viewer")
    await revoke(service, "viewer")
    response = await service.client.get(f"/sign-in?code={code}", allow_redirects=False)
    assert response.status == 401


async def revoke(service: Service, name: str) -> None:
    admin = service.bearer("admin")
    rows = (await (await service.client.get("/api/v1/tokens", headers=admin)).json())["items"]
    token_id = next(row["id"] for row in rows if row["name"] == name)
    response = await service.client.delete(f"/api/v1/tokens/{token_id}", headers=admin)
    assert response.status == 204


async def sign_in(service: Service, role: auth.Role) -> dict[str, str]:
    response = await service.client.post("/api/v1/sign-in", json={"token": service.tokens[role]})
    assert response.status == 204
    return {"Cookie": f"{COOKIE}={cookie_of(response)}"}


async def test_revoking_a_token_ends_it_and_its_sessions_at_once(service: Service) -> None:
    session = await sign_in(service, "operator")
    for headers in (session, service.bearer("operator")):
        assert (await service.client.get("/api/v1/session", headers=headers)).status == 200
    await revoke(service, "operator")
    for headers in (session, service.bearer("operator")):
        assert (await service.client.get("/api/v1/session", headers=headers)).status == 401


async def test_a_session_ends_after_seven_days_and_at_sign_out(service: Service) -> None:
    first, second = await sign_in(service, "viewer"), await sign_in(service, "viewer")
    out = await service.client.post("/api/v1/sign-out", headers=first | SAME_ORIGIN)
    assert out.status == 204
    assert out.cookies[COOKIE]["max-age"] == "0"
    assert (await service.client.get("/api/v1/session", headers=first)).status == 401
    assert (await service.client.get("/api/v1/session", headers=second)).status == 200
    await service.clock.advance(7 * 24 * 3600)
    assert (await service.client.get("/api/v1/session", headers=second)).status == 401


async def test_a_token_has_a_bounded_number_of_sessions(
    tmp_path: Path, clock: VirtualClock
) -> None:
    async with open_state(f"sqlite:///{tmp_path / 's.db'}") as state:
        issued = await state.run(
            lambda c: auth.create_token(c, name="a", role="viewer", now_ms=0, days=None)
        )
        opened = [
            await state.run(lambda c, n=n: auth.open_session(c, issued.id, now_ms=n))  # type: ignore[misc]  # bound now
            for n in range(auth.MAX_SESSIONS + 1)
        ]
        known = [
            await state.run(
                lambda c, s=secret: auth.find_session(c, auth.digest(s), now_ms=1000)  # type: ignore[misc]  # bound now
            )
            for secret in opened
        ]
    assert known[0] is None  # the oldest gave way
    assert all(who is not None for who in known[1:])


async def test_a_token_ends_by_itself(service: Service) -> None:
    headers = service.bearer("viewer")
    assert (await service.client.get("/api/v1/session", headers=headers)).status == 200
    await service.clock.advance(30 * 24 * 3600)
    assert (await service.client.get("/api/v1/session", headers=headers)).status == 401


async def test_with_a_cookie_only_the_console_itself_changes_things(service: Service) -> None:
    session = await sign_in(service, "admin")
    own = f"http://{service.client.host}:{service.client.port}"
    wish = {"name": "tv", "role": "viewer"}
    for headers, status in (
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": own}, 201),
    ):
        response = await service.client.post("/api/v1/tokens", json=wish, headers=session | headers)
        assert response.status == status, headers
    # A token in the header is no ambient authority: no browser adds it by itself.
    response = await service.client.post(
        "/api/v1/tokens", json=wish, headers=service.bearer("admin")
    )
    assert response.status == 201


async def test_nobody_is_signed_in_from_another_site(service: Service) -> None:
    response = await service.client.post(
        "/api/v1/sign-in",
        json={"token": service.tokens["viewer"]},
        headers={"Origin": "https://evil.example"},
    )
    assert response.status == 403


async def test_on_loopback_a_strange_name_is_refused(service: Service) -> None:
    for host, status in (
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("[::1", 421),
    ):
        response = await service.client.get("/healthz", headers={"Host": host})
        assert response.status == status, host


async def test_failed_sign_ins_are_limited(service: Service) -> None:
    async def attempt(token: str) -> int:
        return (await service.client.post("/api/v1/sign-in", json={"token": token})).status

    assert [await attempt("wrong") for _ in range(11)] == [401] * 10 + [429]
    assert await attempt(service.tokens["viewer"]) == 429
    assert (await service.client.get("/sign-in?code=wrong")).status == 429
    await service.clock.advance(6)
    assert await attempt(service.tokens["viewer"]) == 204


async def test_the_limit_remembers_a_bounded_number_of_addresses(clock: VirtualClock) -> None:
    limit = auth.SignInLimit(clock)
    for number in range(5000):
        limit.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(limit._failed) == limit.ADDRESSES


async def test_a_token_is_shown_once_and_kept_as_a_digest(service: Service, tmp_path: Path) -> None:
    admin = service.bearer("admin")
    made = await service.client.post(
        "/api/v1/tokens", json={"name": "tv-wall", "role": "viewer", "days": 7}, headers=admin
    )
    token = (await made.json())["token"]
    assert len(token) >= 43 + len(auth.TOKEN_PREFIX)  # 256 bits
    listed = await (await service.client.get("/api/v1/tokens", headers=admin)).text()
    assert token not in listed
    assert "tv-wall" in listed
    kept = [
        file.read_bytes()
        for file in tmp_path.glob("state.db*")  # noqa: ASYNC240  # three small files
    ]
    assert kept
    assert all(token.encode() not in content for content in kept)


async def test_the_token_in_use_cannot_be_revoked(service: Service) -> None:
    admin = service.bearer("admin")
    rows = (await (await service.client.get("/api/v1/tokens", headers=admin)).json())["items"]
    own = next(row["id"] for row in rows if row["name"] == "admin")
    response = await service.client.delete(f"/api/v1/tokens/{own}", headers=admin)
    assert response.status == 409


async def test_no_secret_reaches_a_log(service: Service) -> None:
    with structlog.testing.capture_logs() as logs:
        code = await code_for(service)
        signed_in = await service.client.get(f"/sign-in?code={code}", allow_redirects=False)
        await service.client.get(f"/sign-in?code={code}")
        await service.client.post("/api/v1/sign-in", json={"token": "ioc_guess"})
        await sign_in(service, "admin")
        await service.client.post(
            "/api/v1/tokens", json={"name": "tv"}, headers=service.bearer("admin")
        )
    assert len(logs) >= 4
    for secret in (code, cookie_of(signed_in), "ioc_guess", *service.tokens.values()):
        assert secret not in repr(logs)


async def test_the_admin_token_is_written_once_with_mode_0600(
    tmp_path: Path, clock: VirtualClock
) -> None:
    async with open_state(f"sqlite:///{tmp_path / 's.db'}") as state:
        first = await auth.ensure_admin_token(state, tmp_path, clock)
        path = tmp_path / auth.ADMIN_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_text()
        path.chmod(0o644)
        assert await auth.ensure_admin_token(state, tmp_path, clock) == first
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == content
        who = await auth.Authenticator(state, clock).by_token(content.strip())
        assert who is not None
        assert who.role == "admin"
        assert who.expires_ms is None

        path.unlink()  # whoever has the folder can always get in again
        second = await auth.ensure_admin_token(state, tmp_path, clock)
        assert second != first
        await state.run(lambda c: auth.revoke_token(c, second, now_ms=clock.now_ms()))
        third = await auth.ensure_admin_token(state, tmp_path, clock)
        assert third not in (first, second)


async def test_an_admin_token_that_cannot_be_written_is_not_left_behind(
    tmp_path: Path, clock: VirtualClock
) -> None:
    async with open_state(f"sqlite:///{tmp_path / 's.db'}") as state:
        with pytest.raises(ConfigError, match=r"admin\.token: cannot be written"):
            await auth.ensure_admin_token(state, tmp_path / "absent", clock)
        assert await state.run(auth.list_tokens) == []


async def test_a_check_under_way_during_a_revocation_is_not_remembered(
    tmp_path: Path, clock: VirtualClock
) -> None:
    async with open_state(f"sqlite:///{tmp_path / 's.db'}") as state:
        issued = await state.run(
            lambda c: auth.create_token(c, name="a", role="viewer", now_ms=0, days=None)
        )
        checks = auth.Authenticator(state, clock)
        under_way = checks.by_token(issued.secret)
        task = asyncio.ensure_future(under_way)
        await asyncio.sleep(0)
        await state.run(lambda c: auth.revoke_token(c, issued.id, now_ms=1))
        checks.forget()
        await task
        assert await checks.by_token(issued.secret) is None


async def test_a_reporter_reports_and_people_below_engineer_do_not() -> None:
    needs_reporter = {role for role in auth.ROLES if auth.allows(role, "reporter")}
    assert needs_reporter == {"reporter", "engineer", "admin"}
    assert [role for role in auth.ROLES if auth.allows("reporter", role)] == ["reporter"]


async def test_a_token_from_a_file_is_accepted_until_the_file_holds_another(
    tmp_path: Path, clock: VirtualClock
) -> None:
    path = tmp_path / "grafana.token"
    first, second = auth.new_token_secret(), auth.new_token_secret()
    async with open_state(f"sqlite:///{tmp_path / 's.db'}") as state:

        async def accept() -> str:
            return await auth.accept_token_file(
                state, path, name="grafana", role="reporter", clock=clock
            )

        async def role_of(secret: str) -> str | None:
            who = await auth.Authenticator(state, clock).by_token(secret)
            return None if who is None else who.role

        path.write_text(first + "\n")
        assert await accept() == await accept()
        assert await role_of(first) == "reporter"
        path.write_text(second)
        await accept()
        assert await role_of(first) is None
        assert await role_of(second) == "reporter"

        path.write_text(first)  # ended is ended
        with pytest.raises(ConfigError, match=r"grafana\.token: this token was revoked"):
            await accept()
        assert await role_of(second) == "reporter"
        person = await state.run(
            lambda c: auth.create_token(c, name="an", role="admin", now_ms=0, days=None)
        )
        path.write_text(person.secret)
        with pytest.raises(ConfigError, match="is one of role admin"):
            await accept()
        path.write_text("guess")
        with pytest.raises(ConfigError, match="5 characters, expected 32 to 256"):
            await accept()
