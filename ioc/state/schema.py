"""The tables of the state database: alarms, outbox, users. SQLite or PostgreSQL.

Times are Unix ms. ``content`` columns hold the whole object as JSON (msgspec); the columns beside
it are what is searched by. A change of this file needs a migration in ``migrations/versions``.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()
# SQLite counts only a plain INTEGER up by itself.
_Counter = BigInteger().with_variant(Integer, "sqlite")

position = Table(
    "position",
    metadata,
    Column("consumer", String(32), primary_key=True),
    Column("journal_uuid", String(36), nullable=False),
    Column("position", BigInteger, nullable=False),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("consumer", String(32), primary_key=True),
    Column("journal_uuid", String(36), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("taken_ms", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

site = Table(
    "site",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("content", Text, nullable=False),
)

asset = Table(
    "asset",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("content", Text, nullable=False),
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("asset", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("source", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("acknowledged", Boolean, nullable=False),
    Column("suppressed", Boolean, nullable=False),
    Column("parent", String(64), nullable=False),
    Column("raised_ms", BigInteger, nullable=False),
    Column("cleared_ms", BigInteger),
    # What a text search looks in: asset and words, folded (ioc.alarms.history.fold).
    Column("search", Text, nullable=False),
    Column("content", Text, nullable=False),
    Index("alarm_by_state", "state", "raised_ms"),
    Index("alarm_by_raised", "raised_ms"),
    Index("alarm_by_cleared", "cleared_ms"),
    Index("alarm_by_asset", "asset", "raised_ms"),
    Index("alarm_by_parent", "parent"),
)

transition = Table(
    "transition",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("position", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("alarm", String(64), ForeignKey("alarm.id"), nullable=False),
    Column("content", Text, nullable=False),
    Index("transition_by_alarm", "alarm", "id"),
    sqlite_autoincrement=True,
)

# One row per notification: the outbox while it is pending, the delivery log after. Within one
# ``group_key`` the order of ``transition`` is the order of delivery.
delivery = Table(
    "delivery",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("route", String(64), nullable=False),
    Column("group_key", String(256), nullable=False),
    Column("alarm", String(64), nullable=False),
    Column("transition", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),  # pending, delivered, dead
    Column("firing", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("next_attempt_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("finished_ms", BigInteger),
    Column("last_error", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("delivery_by_status", "status", "route", "next_attempt_ms"),
    Index("delivery_by_group", "group_key", "status", "transition"),
    Index("delivery_by_created", "created_ms"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("delivery", String(64), ForeignKey("delivery.id"), nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status_code", Integer),
    Column("error", Text, nullable=False),
    sqlite_autoincrement=True,
)

# What the notify step remembers of a group until its alarm clears: what its receiver was told last,
# in which delivery, and when the last update (not the first word) was sent.
notified = Table(
    "notified",
    metadata,
    Column("route", String(64), primary_key=True),
    Column("alarm", String(64), primary_key=True),
    Column("delivery", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("impact", Text, nullable=False),  # JSON, "" for none
    Column("updated_ms", BigInteger),
    Index("notified_by_alarm", "alarm"),
)

# A word to a receiver that is not due yet: the alarm's root cause is still being looked for, or
# its last update was less than a minute ago. ``content`` is the newest transition, as JSON.
waiting = Table(
    "waiting",
    metadata,
    Column("route", String(64), primary_key=True),
    Column("alarm", String(64), primary_key=True),
    Column("due_ms", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Index("waiting_by_due", "due_ms"),
    Index("waiting_by_alarm", "alarm"),
)

# A receiver that answered 410 Gone, or was switched off by a person.
disabled_route = Table(
    "disabled_route",
    metadata,
    Column("route", String(64), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),  # see ioc.web.auth
    Column("hash", String(64), nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
)

sign_in_code = Table(
    "sign_in_code",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("token", String(32), ForeignKey("token.id"), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("token", String(32), ForeignKey("token.id"), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)
