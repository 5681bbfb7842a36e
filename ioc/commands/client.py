"""How commands talk to the running service: over its HTTP API, with the admin token.

The address comes from ``--url``, ``IOC_URL`` or ``DATA_DIR/run.json``; the token from
``IOC_TOKEN_FILE`` or ``DATA_DIR/admin.token``.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ioc.config import read_secret
from ioc.errors import ConfigError, IocError

ANSWER_WITHIN_S = 30.0
MAX_ANSWER_BYTES = 256 * 1024 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Parameter = str | int | bool | Sequence[str] | None


class ApiError(IocError):
    """The service refused what a command asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """The running service's API. Every failure is one line that says what to do."""

    def __init__(self, *, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"--url {url!r}: expected http://HOST:PORT")
        self.url = url.rstrip("/")
        self._token = token
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if parts.hostname in LOOPBACK:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str, **query: Parameter) -> Any:
        """GET; the decoded answer. Raises ``ApiError`` or ``ConfigError``."""
        return self._call("GET", path, query=query)

    def post(self, path: str, body: object) -> Any:
        """POST ``body`` as JSON; the decoded answer, None when there is none."""
        return self._call("POST", path, body=body)

    def delete(self, path: str) -> Any:
        """DELETE; the decoded answer, None when there is none."""
        return self._call("DELETE", path)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Parameter] | None = None,
        body: object = None,
    ) -> Any:
        given = {
            name: value for name, value in (query or {}).items() if value not in (None, "", [])
        }
        address = f"{self.url}{path}" + (f"?{urlencode(given, doseq=True)}" if given else "")
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        content = None
        if body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        # The scheme was checked: http or https.
        request = urllib.request.Request(  # noqa: S310
            address, method=method, data=content, headers=headers
        )
        try:
            with self._opener.open(request, timeout=ANSWER_WITHIN_S) as answer:
                text = answer.read(MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, self._explained(error)) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ConfigError(
                f"{self.url}: no answer ({reason}); is the service running? Start it with: ioc up"
            ) from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise ConfigError(f"{self.url}: not an IOC; it answered something else") from None

    def _explained(self, error: urllib.error.HTTPError) -> str:
        try:
            problem = json.loads(error.read(1024 * 1024))
            faults = [f"{fault['field']}: {fault['detail']}" for fault in problem.get("errors", [])]
            said = "; ".join(faults) or problem.get("detail") or problem["title"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{self.url}: HTTP {error.code}"
        if error.code == 401:
            return (
                f"{self.url}: the token is not accepted; name the file of another one in "
                "IOC_TOKEN_FILE"
            )
        return str(said)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is not followed: the token is for this address only."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def connect(data_dir: Path, url: str | None) -> Client:
    """The service that runs on ``data_dir``, or at ``url``.

    Raises ``ConfigError`` saying what is missing and what to do.
    """
    token_file = os.environ.get("IOC_TOKEN_FILE")
    path = Path(token_file) if token_file else data_dir / "admin.token"
    address = url or os.environ.get("IOC_URL") or _address(data_dir)
    name = "IOC_TOKEN_FILE" if token_file else "the admin token"
    return Client(url=address, token=read_secret(path, name=name))


def quoted(part: str) -> str:
    """A name as one part of an address."""
    return quote(part, safe="")


def _address(data_dir: Path) -> str:
    path = data_dir / "run.json"
    try:
        address = json.loads(path.read_text(encoding="utf-8"))["http_url"]
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: is not there, so no service runs on {data_dir}; start one with ioc up, or "
            "name the running one: --url http://HOST:PORT (or --data-dir)"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be used ({error}); name the service by --url") from None
    return str(address)
