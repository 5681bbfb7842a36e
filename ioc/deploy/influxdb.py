"""Sets an InfluxDB up for the service: the bucket, and a token for each who uses it.

InfluxDB 2.x has buckets and tokens. InfluxDB 1.x has databases and users; a user with its password,
"user:password", is sent as a token is. What is there and works is left as it is.
"""

from __future__ import annotations

import json
import secrets as random_source
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp

from ioc.errors import ConfigError, StoreUnavailableError

ANSWER_WITHIN_S = 15
# Shards of a week: a day's would be 1,826 of them.
SHARD_S = 7 * 24 * 3600
DAY_S = 24 * 3600

Done = Literal["made", "kept", "renewed"]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Somebody who uses the bucket: who, into which file the token goes, and may it write."""

    name: str
    file: Path
    writes: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """An InfluxDB and what is wanted of it. ``admin_token`` is an operator's; "user:password" for
    1.x, "" for one that asks for none."""

    url: str
    bucket: str
    org: str
    retention_days: int
    admin_token: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """What was done. ``version`` is as InfluxDB says it."""

    version: str
    bucket: Done
    tokens: Mapping[str, Done]


async def set_up(target: Target, readers: tuple[Reader, ...], *, renew: bool = False) -> SetUp:
    """Make the bucket when it is missing, and a token for each reader whose file holds none that
    works (``renew``: for all), ending those that were made for it before.

    Raises ``StoreUnavailableError`` when InfluxDB does not answer, ``ConfigError`` when it refuses
    or a file cannot be written.
    """
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    ) as session:
        asking = _Asking(target, session)
        major, version = await asking.version()
        server = _Version1(asking) if major == 1 else _Version2(asking)
        bucket = await server.make_bucket()
        tokens: dict[str, Done] = {}
        for reader in readers:
            known = _read(reader.file)
            if known and not renew and await server.works(known, writes=reader.writes):
                tokens[reader.name] = "kept"
                continue
            token = await server.make_token(reader)
            _write(reader.file, token)
            await server.end_others(reader)
            tokens[reader.name] = "renewed" if known else "made"
    return SetUp(version=version, bucket=bucket, tokens=tokens)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _write(path: Path, token: str) -> None:
    """Into the file that is there: it belongs to somebody, and its folder may be closed to us."""
    try:
        path.touch(mode=0o600)
        path.write_text(token + "\n", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error


class _Asking:
    """What both versions understand."""

    def __init__(self, target: Target, session: aiohttp.ClientSession) -> None:
        self.target = target
        self._session = session

    async def version(self) -> tuple[int, str]:
        """1 or 2, and the version as it says it."""
        status, headers, _ = await self._call("GET", "/ping", token="")
        if status not in (200, 204) or "X-Influxdb-Version" not in headers:
            raise ConfigError(f"{self.target.url}: answers, but is no InfluxDB 1.x or 2.x")
        status, _, body = await self._call("GET", "/api/v2/setup", token="")
        if status != 200:
            return 1, headers["X-Influxdb-Version"]
        if '"allowed":true' in "".join(body.split()):
            raise ConfigError(f"{self.target.url}: is not set up yet; run there: influx setup")
        return 2, headers["X-Influxdb-Version"]

    async def reads(self, token: str) -> bool:
        """Whether InfluxQL may ask the bucket with a token. 2.x answers with nothing when not."""
        return await self._answer("SHOW MEASUREMENTS LIMIT 1", token=token) is not None

    async def writes(self, token: str) -> bool:
        """Whether a token may write to the bucket. Nothing is written: a request without points is
        refused as such, with 400 (1.x: taken, with 204), by whoever would let points in."""
        status, _, _ = await self._call(
            "POST",
            "/api/v2/write",
            token=token,
            query={"bucket": self.target.bucket, "org": self.target.org},
        )
        return status in (204, 400)

    async def ask(self, text: str) -> list[dict[str, Any]]:
        """InfluxQL as the administrator. The text is not shown: it may hold a password."""
        found = await self._answer(text, token=self.target.admin_token)
        if found is None:
            raise ConfigError(
                f"{self.target.url}: refuses the administrator ({self.reason}); "
                "check --admin-token-file"
            )
        return found

    reason = ""

    async def _answer(self, text: str, *, token: str) -> list[dict[str, Any]] | None:
        """The series of an InfluxQL answer; None when it was refused."""
        status, _, body = await self._call(
            "POST", "/query", token=token, query={"db": self.target.bucket}, form={"q": text}
        )
        try:
            answer = json.loads(body)
            result = answer.get("results", [{}])[0]
            self.reason = str(result.get("error") or answer.get("error") or f"HTTP {status}")
        except (ValueError, AttributeError, IndexError, KeyError):
            self.reason, result = f"HTTP {status}", {"error": "no JSON"}
        if status != 200 or "error" in result:
            return None
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    async def manage(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        """The management API of 2.x, as the administrator; with another ``token``, what that one
        may not see is not there."""
        status, _, text = await self._call(
            method,
            f"/api/v2/{path}",
            token=self.target.admin_token if token is None else token,
            query=query,
            content=None if body is None else json.dumps(body),
        )
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = {}
        if (status == 404 and method == "GET") or (status in (401, 403) and token is not None):
            return {}
        if not 200 <= status < 300:
            hint = "; check --admin-token-file" if status in (401, 403) else ""
            said = answer.get("message", "")
            raise ConfigError(f"{self.target.url}: {method} {path}: HTTP {status} {said}{hint}")
        return dict(answer)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        content: str | None = None,
    ) -> tuple[int, Mapping[str, str], str]:
        headers = {"Authorization": f"Token {token}"} if token else {}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                self.target.url + path,
                params=query,
                data=form if content is None else content,
                headers=headers,
                allow_redirects=False,
            ) as response:
                return response.status, response.headers, await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(f"{self.target.url}: {reason}") from error


class _Version1:
    """Databases, users and grants, by InfluxQL."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._target = asking.target

    async def works(self, token: str, *, writes: bool) -> bool:
        """Whether a token may do what it is for."""
        return await self._asking.reads(token) and (not writes or await self._asking.writes(token))

    async def make_bucket(self) -> Done:
        found = await self._asking.ask("SHOW DATABASES")
        if [self._target.bucket] in [row for series in found for row in series.get("values", [])]:
            return "kept"
        await self._asking.ask(
            f"CREATE DATABASE {_quoted(self._target.bucket)} WITH DURATION "
            f"{self._target.retention_days}d REPLICATION 1 SHARD DURATION {SHARD_S // DAY_S}d"
        )
        return "made"

    async def make_token(self, reader: Reader) -> str:
        user, password = f"ioc_{reader.name}", random_source.token_urlsafe(32)
        users = await self._asking.ask("SHOW USERS")
        there = user in [row[0] for series in users for row in series.get("values", [])]
        await self._asking.ask(
            f"SET PASSWORD FOR {_quoted(user)} = '{password}'"
            if there
            else f"CREATE USER {_quoted(user)} WITH PASSWORD '{password}'"
        )
        await self._asking.ask(
            f"GRANT {'ALL' if reader.writes else 'READ'} ON {_quoted(self._target.bucket)} "
            f"TO {_quoted(user)}"
        )
        return f"{user}:{password}"

    async def end_others(self, _: Reader) -> None:
        """A user has one password: the one before is gone already."""


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Version2:
    """Buckets and authorizations, by the management API."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._target = asking.target
        self._bucket_id = ""
        self._org_id = ""
        self._newest = ""

    async def works(self, token: str, *, writes: bool) -> bool:
        """Whether a token may do what it is for: who may not read a bucket does not see it."""
        named = {"name": self._target.bucket, "org": self._target.org}
        seen = await self._asking.manage("GET", "buckets", query=named, token=token)
        return bool(seen.get("buckets")) and (not writes or await self._asking.writes(token))

    async def make_bucket(self) -> Done:
        found = await self._asking.manage("GET", "orgs", query={"org": self._target.org})
        if not found.get("orgs"):
            raise ConfigError(
                f"{self._target.url}: no organization {self._target.org!r} that this token may see"
            )
        self._org_id = str(found["orgs"][0]["id"])
        asked = {"name": self._target.bucket, "orgID": self._org_id}
        there = (await self._asking.manage("GET", "buckets", query=asked)).get("buckets")
        if there:
            self._bucket_id = str(there[0]["id"])
            return "kept"
        rule = {
            "type": "expire",
            "everySeconds": self._target.retention_days * DAY_S,
            "shardGroupDurationSeconds": SHARD_S,
        }
        made = await self._asking.manage("POST", "buckets", body=asked | {"retentionRules": [rule]})
        self._bucket_id = str(made["id"])
        return "made"

    async def make_token(self, reader: Reader) -> str:
        bucket = {"type": "buckets", "id": self._bucket_id, "orgID": self._org_id}
        actions = ("read", "write") if reader.writes else ("read",)
        made = await self._asking.manage(
            "POST",
            "authorizations",
            body={
                "orgID": self._org_id,
                "description": self._description(reader),
                "permissions": [{"action": action, "resource": bucket} for action in actions],
            },
        )
        self._newest = str(made["id"])
        return str(made["token"])

    async def end_others(self, reader: Reader) -> None:
        listed = await self._asking.manage("GET", "authorizations", query={"orgID": self._org_id})
        for found in listed["authorizations"]:
            if found["description"] == self._description(reader) and found["id"] != self._newest:
                await self._asking.manage("DELETE", f"authorizations/{found['id']}")

    def _description(self, reader: Reader) -> str:
        return f"provincial-ioc {reader.name} ({self._target.bucket})"
