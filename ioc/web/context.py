"""What every handler may use: the parts of the service, and the web stage's own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from ioc.alarms.live import Live
from ioc.catalog import Catalog
from ioc.clock import Clock
from ioc.inventory import Inventory
from ioc.journal import Journal
from ioc.kpi.plan import Plan
from ioc.network import is_loopback
from ioc.state import State
from ioc.store import Store
from ioc.supervise import Health
from ioc.web.auth import Authenticator, Principal, SignInLimit
from ioc.web.bucket import Bucket
from ioc.web.stream import Feed
from ioc.web.views import Views

# Long reads of the store at a time; more wait, so that a board full of charts is no flood.
MAX_QUERIES = 4


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """How the web stage listens and what it is called from outside.

    ``console_dir`` None means where the built console usually is. ``external_url`` is the address
    people use, when a proxy stands in front; with https the session cookie is marked Secure.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    console_dir: Path | None = None
    external_url: str = ""
    max_streams: int = 64
    request_timeout_s: float = 30.0
    max_body_bytes: int = 1024 * 1024

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def secure(self) -> bool:
        return urlsplit(self.external_url).scheme == "https"

    @property
    def public_url(self) -> str:
        """Where people find the console; "" when nobody said so ("every address" is none)."""
        if urlsplit(self.external_url).hostname in (None, "0.0.0.0", "::"):  # noqa: S104
            return ""
        return self.external_url.rstrip("/")

    @property
    def hosts(self) -> frozenset[str]:
        """The names a request may call the service by while it listens on loopback only."""
        own = {"localhost", "127.0.0.1", "::1", self.host.lower()}
        external = urlsplit(self.external_url).hostname
        return frozenset(own | ({external.lower()} if external else set()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A large answer made once and kept until ``version`` is another one."""

    version: object
    etag: str
    body: bytes
    gzipped: bytes


@dataclass(kw_only=True)
class Context:
    """The parts of the service as the handlers see them. One per start of the stage."""

    settings: WebSettings
    began_s: int
    state: State
    store: Store
    live: Live
    journal: Journal
    inventory: Inventory
    catalog: Catalog
    plan: Plan
    health: Health
    clock: Clock
    auth: Authenticator
    limit: SignInLimit
    reports: Bucket  # of alarms, from machines outside
    feed: Feed
    views: Views
    webhooks: tuple[str, ...]  # the names of the routes that notifications go to
    documents: dict[str, Document] = field(default_factory=dict)
    queries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_QUERIES))

    @property
    def inventory_version(self) -> int:
        """Grows with each change of the inventory, over restarts of the service too."""
        return self.began_s * 10_000 + self.inventory.version

    async def reached(self, position: int, *, within_s: float) -> bool:
        """Whether the alarm engine commits this journal position in time."""
        waits = (
            asyncio.ensure_future(self.live.reached(position)),
            asyncio.ensure_future(self.clock.sleep(within_s)),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return self.live.position >= position
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


CONTEXT = web.AppKey("context", Context)
PRINCIPAL = web.RequestKey("principal", Principal)


def from_this_machine(request: web.Request) -> bool:
    """Whether a request was made on this machine, and not handed on by a proxy on it."""
    handed_on = {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"} & set(request.headers)
    return not handed_on and is_loopback(request.remote or "")
