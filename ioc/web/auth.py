"""Who may ask: tokens, one-time sign-in codes and sessions.

A secret is 256 random bits and is shown once, to the one it was made for. Only its SHA-256 is
kept: with that many random bits a slow hash would add nothing but time. Functions that take a
``Connection`` run inside ``State.run``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.sql import ColumnElement

from ioc.clock import Clock
from ioc.config import read_secret
from ioc.errors import ConfigError
from ioc.state import State
from ioc.state.schema import session, sign_in_code, token

Role = Literal["reporter", "viewer", "operator", "engineer", "admin"]
# Each may do what those before it may.
LADDER: tuple[Role, ...] = ("viewer", "operator", "engineer", "admin")
# For a machine that watches us from outside: it may report alarms, and do or read nothing else.
REPORTER: Role = "reporter"
ROLES: tuple[Role, ...] = (REPORTER, *LADDER)

TOKEN_PREFIX = "ioc_"  # so that a secret scanner knows one  # noqa: S105
ADMIN_FILE = "admin.token"
MAX_SECRET_CHARS = 256
MIN_GIVEN_CHARS = 32
CODE_TTL_MS = 10 * 60 * 1000
SESSION_TTL_MS = 7 * 24 * 3600 * 1000
DAY_MS = 24 * 3600 * 1000
# A token may have this many codes and sessions at a time; the oldest give way.
MAX_SESSIONS = 100


def allows(has: Role, needs: Role) -> bool:
    """Whether a role includes another. Of people, engineers may report what a reporter may."""
    if has == REPORTER:
        return needs == REPORTER
    return LADDER.index(has) >= LADDER.index("engineer" if needs == REPORTER else needs)


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", errors="replace")).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Somebody whose credentials were checked.

    ``actor`` is the token's name and goes into every record of what was done. ``expires_ms`` is
    when these credentials end by themselves (Unix ms), None for never.
    """

    actor: str
    role: Role
    token: str
    by: Literal["token", "session"]
    expires_ms: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuedToken:
    """A token just made. ``secret`` exists here only."""

    id: str
    secret: str
    expires_ms: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRow:
    """A token as it is listed: without anything to sign in with."""

    id: str
    name: str
    role: Role
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None


def create_token(
    connection: Connection, *, name: str, role: Role, now_ms: int, days: int | None
) -> IssuedToken:
    """Make a token that ends after ``days`` (None: never)."""
    return _insert_token(
        connection, new_token_secret(), name=name, role=role, now_ms=now_ms, days=days
    )


def new_token_secret() -> str:
    """A secret for a token, of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def _insert_token(
    connection: Connection,
    secret: str,
    *,
    name: str,
    role: Role,
    now_ms: int,
    days: int | None = None,
) -> IssuedToken:
    issued = IssuedToken(
        id=secrets.token_hex(6),
        secret=secret,
        expires_ms=None if days is None else now_ms + days * DAY_MS,
    )
    connection.execute(
        insert(token).values(
            id=issued.id,
            name=name,
            role=role,
            hash=digest(issued.secret),
            created_ms=now_ms,
            expires_ms=issued.expires_ms,
        )
    )
    return issued


def list_tokens(connection: Connection) -> list[TokenRow]:
    """All tokens, revoked and expired ones too, the newest first."""
    rows = connection.execute(
        select(
            token.c.id,
            token.c.name,
            token.c.role,
            token.c.created_ms,
            token.c.expires_ms,
            token.c.revoked_ms,
        ).order_by(token.c.created_ms.desc(), token.c.id)
    )
    return [TokenRow(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name


def revoke_token(connection: Connection, token_id: str, *, now_ms: int) -> bool:
    """End a token with its codes and sessions. False when there is no such token in force."""
    revoked = connection.execute(
        update(token)
        .where(token.c.id == token_id, token.c.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
    )
    if revoked.rowcount == 0:
        return False
    connection.execute(delete(session).where(session.c.token == token_id))
    connection.execute(delete(sign_in_code).where(sign_in_code.c.token == token_id))
    return True


def find_token(connection: Connection, hashed: str, *, now_ms: int) -> Principal | None:
    """Who a token in force belongs to, by the token's digest."""
    row = connection.execute(
        select(token.c.id, token.c.name, token.c.role, token.c.hash, token.c.expires_ms).where(
            token.c.hash == hashed, *_in_force(now_ms)
        )
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.hash, hashed):
        return None
    return Principal(
        actor=row.name, role=row.role, token=row.id, by="token", expires_ms=row.expires_ms
    )


def find_session(connection: Connection, hashed: str, *, now_ms: int) -> Principal | None:
    """Who an open session belongs to. A session ends with its token."""
    row = connection.execute(
        select(
            token.c.id,
            token.c.name,
            token.c.role,
            token.c.expires_ms,
            session.c.hash,
            session.c.expires_ms.label("session_expires_ms"),
        )
        .join(token, token.c.id == session.c.token)
        .where(session.c.hash == hashed, session.c.expires_ms > now_ms, *_in_force(now_ms))
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.hash, hashed):
        return None
    ends = [row.session_expires_ms] + ([row.expires_ms] if row.expires_ms is not None else [])
    return Principal(
        actor=row.name, role=row.role, token=row.id, by="session", expires_ms=min(ends)
    )


def open_session(connection: Connection, token_id: str, *, now_ms: int) -> str:
    """Begin a session of seven days; returns the cookie's value."""
    connection.execute(delete(session).where(session.c.expires_ms <= now_ms))
    oldest = (
        select(session.c.hash)
        .where(session.c.token == token_id)
        .order_by(session.c.created_ms.desc())
        .offset(MAX_SESSIONS - 1)
    )
    connection.execute(delete(session).where(session.c.hash.in_(oldest)))
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(session).values(
            hash=digest(secret),
            token=token_id,
            created_ms=now_ms,
            expires_ms=now_ms + SESSION_TTL_MS,
        )
    )
    return secret


def close_session(connection: Connection, hashed: str) -> None:
    """End one session."""
    connection.execute(delete(session).where(session.c.hash == hashed))


def issue_code(connection: Connection, token_id: str, *, now_ms: int) -> str:
    """Make a sign-in code for a token: good once, for ten minutes."""
    connection.execute(delete(sign_in_code).where(sign_in_code.c.expires_ms <= now_ms))
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(sign_in_code).values(
            hash=digest(secret), token=token_id, expires_ms=now_ms + CODE_TTL_MS
        )
    )
    return secret


def redeem_code(connection: Connection, code: str, *, now_ms: int) -> str | None:
    """Trade a sign-in code for a session; returns the cookie's value, or None.

    The code is gone with the first try, whether its token is still in force or not. Of two that
    try at once, one gets it.
    """
    hashed = digest(code)
    found = connection.execute(
        select(sign_in_code.c.token, sign_in_code.c.expires_ms).where(sign_in_code.c.hash == hashed)
    ).one_or_none()
    taken = connection.execute(delete(sign_in_code).where(sign_in_code.c.hash == hashed))
    if found is None or taken.rowcount != 1 or found.expires_ms <= now_ms:
        return None
    in_force = connection.scalar(
        select(token.c.id).where(token.c.id == found.token, *_in_force(now_ms))
    )
    return None if in_force is None else open_session(connection, found.token, now_ms=now_ms)


async def ensure_admin_token(state: State, data_dir: Path, clock: Clock) -> str:
    """Make sure that ``data_dir/admin.token`` (mode 0600) holds an admin token in force.

    It is written at the first start, and again when the file is gone or its token was revoked or
    taken out of the database. Returns the token's id. Raises ``ConfigError`` when the file cannot
    be read or written, ``StateUnavailableError``.
    """
    path = data_dir / ADMIN_FILE
    now_ms = clock.now_ms()
    known = _read_private(path)
    if known is not None:
        hashed = digest(known)
        who = await state.run(lambda connection: find_token(connection, hashed, now_ms=now_ms))
        if who is not None and who.role == "admin":
            return who.token

    def replace(connection: Connection) -> str:
        if known is not None:
            connection.execute(
                update(token)
                .where(token.c.hash == digest(known), token.c.revoked_ms.is_(None))
                .values(revoked_ms=now_ms)
            )
        issued = create_token(connection, name="admin", role="admin", now_ms=now_ms, days=None)
        # Inside the transaction: a token that could not be written down is not left behind.
        _write_private(path, issued.secret + "\n")
        return issued.id

    return await state.run(replace)


async def accept_token_file(
    state: State, path: Path, *, name: str, role: Role, clock: Clock
) -> str:
    """Let whoever sends the token in a file in, with ``role``. Returns the token's id.

    The file belongs to whoever sets both sides up; with another content than at the last start, the
    token before it is revoked. Raises ``ConfigError`` when the file cannot be read, holds no token
    of at least 32 characters, or holds one that was given another role, and
    ``StateUnavailableError``.
    """
    secret = read_secret(path, name=str(path))
    if not MIN_GIVEN_CHARS <= len(secret) <= MAX_SECRET_CHARS:
        raise ConfigError(
            f"{path}: {len(secret)} characters, expected {MIN_GIVEN_CHARS} to {MAX_SECRET_CHARS}"
        )
    hashed, now_ms = digest(secret), clock.now_ms()

    def take(connection: Connection) -> str:
        connection.execute(
            update(token)
            .where(
                token.c.name == name,
                token.c.role == role,
                token.c.hash != hashed,
                token.c.revoked_ms.is_(None),
            )
            .values(revoked_ms=now_ms)
        )
        known = connection.execute(
            select(token.c.id, token.c.role, token.c.revoked_ms).where(token.c.hash == hashed)
        ).one_or_none()
        if known is None:
            return _insert_token(connection, secret, name=name, role=role, now_ms=now_ms).id
        if known.role != role or known.revoked_ms is not None:
            why = "was revoked" if known.revoked_ms is not None else f"is one of role {known.role}"
            raise ConfigError(f"{path}: this token {why}; write another one to the file")
        return str(known.id)

    return await state.run(take)


async def issue_sign_in_code(state: State, *, token_id: str, clock: Clock) -> str:
    """A one-time code to put into a sign-in link (``/sign-in?code=…``). Never log it."""
    now_ms = clock.now_ms()
    return await state.run(lambda connection: issue_code(connection, token_id, now_ms=now_ms))


class Authenticator:
    """Checks credentials against the state database, remembering an answer for some seconds.

    A page of the console asks several things at once; without the memory each would wait its turn
    behind the alarm engine's transactions. ``forget`` (after a revocation or sign-out) takes force
    at once, also for checks that are under way.
    """

    REMEMBER_S = 5.0
    REMEMBERED = 1024

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, Principal]] = OrderedDict()
        self._forgotten = 0

    async def by_token(self, secret: str) -> Principal | None:
        """Who a bearer token belongs to. Raises ``StateUnavailableError``."""
        return await self._check("token", secret)

    async def by_session(self, secret: str) -> Principal | None:
        """Who a session cookie belongs to. Raises ``StateUnavailableError``."""
        return await self._check("session", secret)

    def forget(self) -> None:
        """Check everybody anew."""
        self._known.clear()
        self._forgotten += 1

    async def _check(self, by: Literal["token", "session"], secret: str) -> Principal | None:
        if not secret or len(secret) > MAX_SECRET_CHARS:
            return None
        key = (by, digest(secret))
        now_ms = self._clock.now_ms()
        known = self._known.get(key)
        if known is not None and self._clock.monotonic_s() < known[0]:
            who: Principal | None = known[1]
        else:
            find = find_token if by == "token" else find_session
            began = self._forgotten
            who = await self._state.run(
                lambda connection: find(connection, key[1], now_ms=now_ms),
            )
            if who is not None and began == self._forgotten:
                self._known[key] = (self._clock.monotonic_s() + self.REMEMBER_S, who)
                if len(self._known) > self.REMEMBERED:
                    self._known.popitem(last=False)
        if who is not None and who.expires_ms is not None and who.expires_ms <= now_ms:
            return None
        return who


class SignInLimit:
    """At most ten failed sign-ins at once from an address, then one every six seconds.

    It spares the log and the database; guessing 256 bits is hopeless at any rate. The memory is
    bounded: of more than 1,024 addresses the one that failed longest ago is forgotten. Behind a
    proxy all callers share the proxy's address; limit them there.
    """

    BURST = 10
    REFILL_S = 6.0
    ADDRESSES = 1024

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """How long this address must wait before it may try; 0 for not at all."""
        tokens = self._tokens(address)
        return 0.0 if tokens >= 1 else (1 - tokens) * self.REFILL_S

    def failed(self, address: str) -> None:
        """Note a failed try."""
        self._failed[address] = (self._tokens(address) - 1, self._clock.monotonic_s())
        self._failed.move_to_end(address)
        if len(self._failed) > self.ADDRESSES:
            self._failed.popitem(last=False)

    def _tokens(self, address: str) -> float:
        left, at_s = self._failed.get(address, (float(self.BURST), 0.0))
        return min(float(self.BURST), left + (self._clock.monotonic_s() - at_s) / self.REFILL_S)


def _in_force(now_ms: int) -> tuple[ColumnElement[bool], ...]:
    return (
        token.c.revoked_ms.is_(None),
        or_(token.c.expires_ms.is_(None), token.c.expires_ms > now_ms),
    )


def _read_private(path: Path) -> str | None:
    """The file's content, its mode put right if somebody loosened it; None when there is none."""
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_text(encoding="utf-8")[:MAX_SECRET_CHARS].strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _write_private(path: Path, content: str) -> None:
    """Write a file that nobody else can read, not even for a moment."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
