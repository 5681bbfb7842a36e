"""Standard Webhooks signatures: who sent a webhook, that it is unchanged, and when it was sent.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets as random_source
from collections.abc import Mapping, Sequence

from ioc.errors import ConfigError, SignatureError

PREFIX = "whsec_"
# Key lengths the specification allows, in bytes.
SHORTEST_KEY, LONGEST_KEY = 24, 64
TOLERANCE_S = 300
# More signatures than anyone rotates at once are not looked at.
MOST_SIGNATURES = 16
MAX_ID_LENGTH = 256
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


class Secret:
    """A signing key. Shows nothing of itself in a log or traceback."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
            raise ConfigError(
                f"webhook secret: {len(key)} bytes, expected {SHORTEST_KEY} to {LONGEST_KEY}"
            )
        self._key = key

    @classmethod
    def parse(cls, text: str) -> Secret:
        """A secret as it is written: ``whsec_`` and the key in base64.

        Raises ``ConfigError`` that says what is wrong, never what was read.
        """
        if not text.startswith(PREFIX):
            raise ConfigError(f"webhook secret: does not begin with {PREFIX}")
        try:
            key = base64.b64decode(text[len(PREFIX) :], validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(f"webhook secret: what follows {PREFIX} is not base64") from None
        return cls(key)

    @classmethod
    def new(cls) -> Secret:
        """A fresh random key of 32 bytes."""
        return cls(random_source.token_bytes(32))

    def reveal(self) -> str:
        """The secret as ``parse`` reads it, to be written into its file and nowhere else."""
        return PREFIX + base64.b64encode(self._key).decode()

    def digest(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)

    def __repr__(self) -> str:
        return "Secret(…)"


def sign(
    keys: Sequence[Secret], *, message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt, with a signature by each key.

    ``message_id`` stays the same over all attempts, ``timestamp_s`` (Unix s) is the attempt's own.
    """
    content = _content(message_id, str(timestamp_s), body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(
            "v1," + base64.b64encode(key.digest(content)).decode() for key in keys
        ),
    }


def verify(
    keys: Sequence[Secret],
    *,
    headers: Mapping[str, str],
    body: bytes,
    now_s: float,
    tolerance_s: int = TOLERANCE_S,
) -> str:
    """Return the webhook's id when one of the keys signed it within ``tolerance_s`` of ``now_s``.

    ``headers`` is looked up by lower-case name. The time taken does not tell how much of a
    signature was right. Raises ``SignatureError``.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    for name, value in (("id", message_id), ("timestamp", timestamp), ("signature", given)):
        if not value:
            raise SignatureError(f"no webhook-{name} header")
    if len(message_id) > MAX_ID_LENGTH:
        raise SignatureError(f"webhook-id: {len(message_id)} characters")
    # Digits only: with "1.5" an id that holds a dot could be read in two ways.
    if not _DIGITS.fullmatch(timestamp):
        raise SignatureError("webhook-timestamp: not a whole number of seconds")
    off_s = int(timestamp) - now_s
    if abs(off_s) > tolerance_s:
        early_or_late = "in the future" if off_s > 0 else "old"
        raise SignatureError(f"webhook-timestamp: {abs(off_s):.0f} s {early_or_late}")
    content = _content(message_id, timestamp, body)
    expected = [base64.b64encode(key.digest(content)) for key in keys]
    found = False
    for part in given.split(" ")[:MOST_SIGNATURES]:
        version, _, signature = part.partition(",")
        if version != "v1":
            continue
        offered = signature.encode("utf-8", errors="replace")
        for one in expected:
            found |= hmac.compare_digest(one, offered)
    if not found:
        raise SignatureError("webhook-signature: no known key made it")
    return message_id


def _content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body
