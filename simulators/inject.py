"""`ioc simulate inject`: requests to running simulators, and their answers, over the broker."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from simulators.faults import FaultError
from simulators.messages import Message
from simulators.province import Province

MAX_INJECT_BYTES = 4096
LONGEST_FAULT_S = 7 * 86_400.0


class InjectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `ioc simulate inject` sends to ``ioc-sim/v1/{province}/inject``."""

    id: str
    asset: str
    fault: str
    for_s: float


class InjectReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, on ``ioc-sim/v1/{province}/reply/{id}``. ``until_ms`` is set when it is done;
    else ``text`` says in one line why not."""

    id: str
    text: str
    until_ms: int | None = None


def inject_topic(province: str) -> str:
    return f"ioc-sim/v1/{province}/inject"


def reply_topic(province: str, request: str) -> str:
    return f"ioc-sim/v1/{province}/reply/{request}"


def answer(
    province: Province,
    payload: bytes,
    *,
    named: str,
    begun: Callable[[InjectRequest], None] | None = None,
) -> list[Message]:
    """Do what one request asks for; the answer to publish. What is no request at all is not
    answered. ``named`` is the province's id, ``begun`` is told what was done."""
    if len(payload) > MAX_INJECT_BYTES:
        return []
    try:
        asked = msgspec.json.decode(payload, type=InjectRequest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    if not asked.id.isalnum() or len(asked.id) > 64:
        return []
    reply = _begin(province, asked)
    if begun is not None and reply.until_ms is not None:
        begun(asked)
    return [Message(reply_topic(named, asked.id), msgspec.json.encode(reply))]


def _begin(province: Province, asked: InjectRequest) -> InjectReply:
    if not 1.0 <= asked.for_s <= LONGEST_FAULT_S:
        return InjectReply(id=asked.id, text=f"--for {asked.for_s:g} s: expected 1 s to 7 days")
    try:
        begun = province.begin(asked.fault, asked.asset, for_s=asked.for_s)
    except FaultError as error:
        return InjectReply(id=asked.id, text=str(error))
    return InjectReply(id=asked.id, text=f"{asked.fault} on {asked.asset}", until_ms=begun.until_ms)
