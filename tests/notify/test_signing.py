"""Signatures, against the specification's own library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ioc.clock import SystemClock
from ioc.errors import ConfigError, SignatureError
from ioc.notify.signing import Secret, sign, verify

OLD, NEW, OTHER = Secret(b"o" * 24), Secret(b"n" * 64), Secret(b"x" * 32)
BODY = '{"status":"firing","text":"Mất tín hiệu"}'.encode()
AT_S = 1_767_225_600


def headers(*keys: Secret, body: bytes = BODY, at_s: int = AT_S) -> dict[str, str]:
    return sign(keys, message_id="msg_1", timestamp_s=at_s, body=body)


@given(key=st.binary(min_size=24, max_size=64), text=st.text())
def test_the_oracle_believes_ours(key: bytes, text: str) -> None:
    ours = Secret(key)
    body = text.encode(errors="replace")
    made = sign(
        [ours],
        message_id="msg_1",
        timestamp_s=SystemClock().now_ms() // 1000,
        body=body,
    )
    Webhook(ours.reveal()).verify(body, made, json_parse=False)


@given(key=st.binary(min_size=24, max_size=64), text=st.text())
def test_we_believe_the_oracles(key: bytes, text: str) -> None:
    ours = Secret(key)
    body = text.encode(errors="replace")
    signature = Webhook(ours.reveal()).sign(
        "msg_1", datetime.fromtimestamp(AT_S, UTC), body.decode()
    )
    made = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(AT_S),
        "webhook-signature": signature,
    }
    assert verify([ours], headers=made, body=body, now_s=AT_S) == "msg_1"


def test_while_keys_rotate_either_side_may_be_first() -> None:
    both = headers(NEW, OLD)
    assert both["webhook-signature"].count("v1,") == 2
    for known in ([NEW], [OLD], [OTHER, OLD]):
        assert verify(known, headers=both, body=BODY, now_s=AT_S) == "msg_1"
    now = SystemClock().now_ms() // 1000
    for key in (NEW, OLD):
        Webhook(key.reveal()).verify(BODY, headers(NEW, OLD, at_s=now))
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER.reveal()).verify(BODY, headers(NEW, OLD, at_s=now))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": "msg_2"}, "no known key"),
        ({"webhook-id": ""}, "no webhook-id"),
        ({"webhook-id": "m" * 257}, "257 characters"),
        ({"webhook-timestamp": str(AT_S + 1)}, "no known key"),
        ({"webhook-timestamp": f"{AT_S}.0"}, "whole number"),
        ({"webhook-timestamp": "١٢٣"}, "whole number"),
        ({"webhook-timestamp": ""}, "no webhook-timestamp"),
        ({"webhook-signature": ""}, "no webhook-signature"),
        ({"webhook-signature": "v1,AAAA"}, "no known key"),
        ({"webhook-signature": "v1"}, "no known key"),
        ({"webhook-signature": "v1,Mất"}, "no known key"),
    ],
)
def test_what_was_changed_is_not_believed(change: dict[str, str], reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        verify([NEW], headers=headers(NEW) | change, body=BODY, now_s=AT_S)


def test_another_body_key_or_version_is_not_believed() -> None:
    with pytest.raises(SignatureError):
        verify([NEW], headers=headers(NEW), body=BODY + b" ", now_s=AT_S)
    with pytest.raises(SignatureError):
        verify([OTHER], headers=headers(NEW), body=BODY, now_s=AT_S)
    made = headers(NEW)
    made["webhook-signature"] = made["webhook-signature"].replace("v1,", "v1a,")
    with pytest.raises(SignatureError):
        verify([NEW], headers=made, body=BODY, now_s=AT_S)


@pytest.mark.parametrize("off_s", [-301, 301])
def test_an_old_or_future_one_is_not_believed(off_s: int) -> None:
    made = headers(NEW)
    assert verify([NEW], headers=made, body=BODY, now_s=AT_S + off_s // 301 * 300)
    with pytest.raises(SignatureError, match="301 s"):
        verify([NEW], headers=made, body=BODY, now_s=AT_S + off_s)


def test_at_most_sixteen_signatures_are_looked_at() -> None:
    made = headers(*[OTHER] * 16, NEW)
    with pytest.raises(SignatureError):
        verify([NEW], headers=made, body=BODY, now_s=AT_S)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("c2VjcmV0", "does not begin with whsec_"),
        ("whsec_" + base64.b64encode(b"s" * 23).decode(), "23 bytes"),
        ("whsec_" + base64.b64encode(b"s" * 65).decode(), "65 bytes"),
        ("whsec_not base64 at all!", "not base64"),
    ],
)
def test_a_wrong_secret_is_refused_without_showing_it(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        Secret.parse(text)
    assert text not in str(caught.value)
    assert text[6:] not in str(caught.value)


def test_a_secret_shows_nothing_of_itself() -> None:
    fresh = Secret.new()
    assert Secret.parse(fresh.reveal()).reveal() == fresh.reveal()
    shown = f"{fresh!r} {fresh} {[fresh]}"
    assert fresh.reveal()[6:] not in shown
    assert Secret.new().reveal() != fresh.reveal()
