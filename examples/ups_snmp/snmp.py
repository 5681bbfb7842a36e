"""One UPS's agent, asked by SNMP. pysnmp's types stay in here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from pyasn1.type.univ import Integer, ObjectIdentifier, OctetString
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto.rfc1905 import EndOfMibView, NoSuchInstance, NoSuchObject

from examples.ups_snmp.config import V3, Access, Config, Ups
from examples.ups_snmp.mib import COLUMNS, DESCRIPTION, SCALARS, Oid
from ioc.errors import IocError

Value = int | str | Oid
# Three lines and a handful of alarms come with one question; an agent's table is read so far.
ROWS_AT_ONCE = 8
MOST_ROWS = 64
# A poll that is not done by then is given up, so that the UPS's next turn is on time.
SHARE_OF_INTERVAL = 0.9

AUTH = {
    "sha1": hlapi.USM_AUTH_HMAC96_SHA,
    "sha256": hlapi.USM_AUTH_HMAC192_SHA256,
    "sha512": hlapi.USM_AUTH_HMAC384_SHA512,
}
PRIVACY = {
    "aes128": hlapi.USM_PRIV_CFB128_AES,
    "aes256": hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL,
    "aes256c": hlapi.USM_PRIV_CFB256_AES,
}


class NoAnswerError(IocError):
    """An agent did not answer, or not so that it can be believed. ``failure`` is pysnmp's word for
    it (RequestTimedOut, WrongDigest, …)."""

    retryable = True

    def __init__(self, text: str, *, failure: str = "") -> None:
        super().__init__(text)
        self.failure = failure


@dataclass(frozen=True)
class Snapshot:
    """What a UPS said in one poll, by the names of RFC 1628, as it said it. What it does not have
    is left out. A column's values are by row."""

    scalars: Mapping[str, Value]
    columns: Mapping[str, Mapping[int, Value]]

    def number(self, name: str) -> int | None:
        value = self.scalars.get(name)
        return value if isinstance(value, int) else None

    def numbers(self, name: str) -> list[int]:
        return [value for value in self.columns.get(name, {}).values() if isinstance(value, int)]


class Engines:
    """SNMP engines, one for each set of credentials: users of the same name with other passphrases
    stay apart. Belongs to one event loop.

    An engine remembers each agent's id and clock for five minutes. So long it takes until version 3
    believes a card that was exchanged for another.
    """

    def __init__(self) -> None:
        self._engines: dict[tuple[str, ...], Any] = {}

    def of(self, access: Access) -> Any:
        key = _key(access)
        if key not in self._engines:
            self._engines[key] = hlapi.SnmpEngine()  # a quarter of a second of work
        return self._engines[key]

    def close(self) -> None:
        """Close the sockets."""
        for engine in self._engines.values():
            engine.close_dispatcher()
        self._engines.clear()


class Agent:
    """One UPS's agent; one question at a time. A request is repeated ``retries`` times, each after
    ``timeout_s``; a poll has ``within_s`` for all its requests."""

    def __init__(
        self, ups: Ups, engines: Engines, *, timeout_s: float, retries: int, within_s: float
    ) -> None:
        self._ups = ups
        self._engines = engines
        self._within_s = within_s
        self._timeout_s = timeout_s
        self._retries = retries
        self._target: Any = None
        self._credentials = _credentials(ups)
        self._refused: set[str] = set()

    async def poll(self) -> Snapshot:
        """Everything that is published. Raises ``NoAnswerError``."""
        return await self._read(SCALARS)

    async def describe(self) -> Snapshot:
        """The same, and what is only of interest to people. Raises ``NoAnswerError``."""
        return await self._read({**DESCRIPTION, **SCALARS})

    async def _read(self, scalars: Mapping[str, Oid]) -> Snapshot:
        try:
            async with asyncio.timeout(self._within_s):
                if self._target is None:
                    self._target = await hlapi.UdpTransportTarget.create(
                        (self._ups.host, self._ups.port),
                        timeout=self._timeout_s,
                        retries=self._retries,
                    )
                return Snapshot(await self._get(scalars), await self._walk(COLUMNS))
        except (NoAnswerError, PySnmpError, TimeoutError) as error:
            # Its name may stand for another address now, and another card have other objects.
            self._target = None
            self._refused.clear()
            if isinstance(error, NoAnswerError):
                raise
            raise NoAnswerError(str(error) or f"not within {self._within_s:g} s") from error

    async def _ask(self, command: Any, *question: Any) -> tuple[int, int, Any]:
        """(error status, its index from 1, variables). Raises when there is no answer at all."""
        failure, status, index, found = await command(
            self._engines.of(self._ups),
            self._credentials,
            self._target,
            hlapi.ContextData(),
            *question,
            lookupMib=False,
        )
        if failure:
            raise NoAnswerError(str(failure), failure=type(failure).__name__)
        return int(status), int(index), found

    async def _get(self, scalars: Mapping[str, Oid]) -> dict[str, Value]:
        """One GET. Some agents answer an object they do not have with an error for the whole: it is
        not asked for again."""
        while names := [name for name in scalars if name not in self._refused]:
            status, index, found = await self._ask(
                hlapi.get_cmd, *_objects(scalars[name] for name in names)
            )
            if not status:
                pairs = zip(names, (_value(value) for _, value in found), strict=False)
                return {name: value for name, value in pairs if value is not None}
            if not 1 <= index <= len(names):
                raise NoAnswerError(f"the agent refuses with error {status}")
            self._refused.add(names[index - 1])
        return {}

    async def _walk(self, columns: Mapping[str, Oid]) -> dict[str, dict[int, Value]]:
        """All rows of some columns, side by side by GETBULK."""
        found: dict[str, dict[int, Value]] = {name: {} for name in columns}
        reached = dict(columns)
        while reached:
            names = list(reached)
            status, _, answer = await self._ask(
                hlapi.bulk_cmd, 0, ROWS_AT_ONCE, *_objects(reached.values())
            )
            if status or not answer:
                raise NoAnswerError(f"the agent refuses its tables with error {status}")
            for name, (oid_found, content) in zip(cycle(names), answer, strict=False):
                if name not in reached:
                    continue
                oid, value = tuple(oid_found), _value(content)
                start = columns[name]
                if value is None or oid[: len(start)] != start or len(found[name]) >= MOST_ROWS:
                    del reached[name]
                elif oid <= reached[name]:
                    raise NoAnswerError(f"the agent goes in circles in {name}")
                else:
                    reached[name] = oid
                    found[name][oid[-1]] = value
        return found


def agent_of(ups: Ups, config: Config, engines: Engines) -> Agent:
    """The agent of one UPS, given up in time for its next turn."""
    return Agent(
        ups,
        engines,
        timeout_s=config.timeout_s,
        retries=config.retries,
        within_s=config.interval_s * SHARE_OF_INTERVAL,
    )


def _objects(oids: Iterable[Oid]) -> list[Any]:
    return [hlapi.ObjectType(hlapi.ObjectIdentity(oid)) for oid in oids]


def _value(found: Any) -> Value | None:
    """A variable's value; None when the agent does not have it."""
    if isinstance(found, NoSuchObject | NoSuchInstance | EndOfMibView):
        return None
    if isinstance(found, Integer):
        return int(found)
    if isinstance(found, ObjectIdentifier):
        return tuple(found)
    if isinstance(found, OctetString):
        return bytes(found).decode("utf-8", "replace").strip("\x00 ")[:255]
    return None


def _key(access: Access) -> tuple[str, ...]:
    v3 = access.v3
    if v3 is None:
        return ()
    secrets = (v3.auth_file.get_secret_value(), v3.privacy_file.get_secret_value())
    return (v3.user, v3.auth, v3.privacy, *secrets)


def _credentials(access: Access) -> Any:
    if access.v2c is not None:
        return hlapi.CommunityData(access.v2c.community_file.get_secret_value())
    assert isinstance(access.v3, V3), "v2c or v3"
    return hlapi.UsmUserData(
        access.v3.user,
        access.v3.auth_file.get_secret_value(),
        access.v3.privacy_file.get_secret_value(),
        authProtocol=AUTH[access.v3.auth],
        privProtocol=PRIVACY[access.v3.privacy],
    )
