"""From a topic and a payload to what it says, or to the reason it is quarantined. Contract v1.

Each kind of asset has a decoder made from the catalog, which checks types and hard ranges in C.
Whatever it does not take is examined field by field, by rules that give the same answer and also
name the fault: a property test holds the two together. Nothing a device can send raises.

The reasons, stable words: ``too_large``, ``topic``, ``unknown_kind``, ``own_kind``,
``unknown_asset``, ``wrong_kind``, ``not_json``, ``not_object``, ``missing_field``, ``wrong_type``,
``out_of_range``, ``not_finite``, ``bad_time``, ``seq_without_boot``, ``empty``, ``bad_alarm``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn, get_args

import msgspec
import structlog
from msgspec import UNSET, Meta, UnsetType

from ioc.catalog import Catalog, EventType, Kind, Metric
from ioc.ingest.broker import KEPT_OF_TOO_LARGE, MAX_PAYLOAD_BYTES
from ioc.inventory import Asset, Inventory
from ioc.journal.records import DeviceAlarm, GatewayStatus, Quarantined, Value

log = structlog.get_logger()

IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
PROBABLE_CAUSE = re.compile(r"[a-z][A-Za-z0-9]{1,63}")
GATEWAY = "_gateway"
MAX_COUNT = 2**53 - 1  # what every JSON library counts to
MAX_AGE_S = 31 * 86_400.0
MAX_AHEAD_S = 86_400.0
MAX_TOPIC_CHARACTERS = 512
MAX_OBJECT_CHARACTERS = 64
MAX_TEXT_CHARACTERS = 500
EVENT_TYPES = frozenset(get_args(EventType))
ALARM_STATES = ("raised", "changed", "cleared")
SEVERITIES = ("critical", "major", "minor", "warning", "indeterminate", "cleared")
# What a message of telemetry may carry beside its metrics; the last two from gateways only.
_FRAME = ("ts", "seq", "boot", "kind", "asset")
_ALARM_FIELDS = frozenset(
    {"ts", "alarm_id", "state", "severity", "event_type", "probable_cause", "object", "text"}
)


class Telemetry(msgspec.Struct, gc=False):
    """One asset's readings, valid against the catalog; not yet told from a duplicate."""

    kind: str
    asset: str
    ts_ms: int
    boot: int | None
    seq: int | None
    values: dict[str, Value]


Decoded = Telemetry | DeviceAlarm | GatewayStatus | Quarantined


class _FaultError(Exception):
    """Why a message, or one element of a gateway's, is quarantined."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Target(msgspec.Struct):
    """What a topic names, worked out once."""

    channel: Literal["telemetry", "alarm", "batch", "status"]
    province: str
    name: str  # of the asset or gateway
    kind: _Kind | None = None


class _Head(msgspec.Struct):
    """What says whom an element of a gateway's array is about."""

    kind: str
    asset: str


class Decoder:
    """Decodes messages against a catalog and the inventory as it is at that moment.

    ``unknown_fields`` counts the fields that were ignored, ever. ``max_age_s`` and ``max_ahead_s``
    bound how far a device's clock may be from ours before its readings are quarantined.
    """

    def __init__(
        self,
        catalog: Catalog,
        inventory: Inventory,
        *,
        max_age_s: float = MAX_AGE_S,
        max_ahead_s: float = MAX_AHEAD_S,
    ) -> None:
        self.unknown_fields = 0
        self._inventory = inventory
        self._kinds = {name: _Kind(name, kind) for name, kind in catalog.kinds.items()}
        self._targets: dict[str, _Target] = {}
        self._targets_version = inventory.version
        self._max_age_ms = round(max_age_s * 1000)
        self._max_ahead_ms = round(max_ahead_s * 1000)
        self._elements = msgspec.json.Decoder(list[msgspec.Raw])
        self._head = msgspec.json.Decoder(_Head)

    def decode(
        self, topic: str, payload: bytes, *, received_ms: int, size: int | None = None
    ) -> list[Decoded]:
        """What a message says: one thing, or several from a gateway. Never raises.

        ``size`` is the payload's real length when only its beginning was kept.
        """
        size = len(payload) if size is None else size
        try:
            return self._decode(topic, payload, size, received_ms)
        except _FaultError as fault:
            return [_quarantined(topic, fault, payload, size, received_ms)]
        except Exception as error:  # one message of a kind nobody thought of must not stop all
            log.exception("a message could not be decoded", topic=topic[:MAX_TOPIC_CHARACTERS])
            unforeseen = _FaultError("not_json", f"cannot be decoded: {type(error).__name__}")
            return [_quarantined(topic, unforeseen, payload, size, received_ms)]

    def _decode(self, topic: str, payload: bytes, size: int, received_ms: int) -> list[Decoded]:
        if size > MAX_PAYLOAD_BYTES:
            raise _FaultError("too_large", f"{size} bytes, at most {MAX_PAYLOAD_BYTES}")
        if self._targets_version != self._inventory.version:
            self._targets.clear()
            self._targets_version = self._inventory.version
        target = self._targets.get(topic)
        if target is None:
            target = self._find(topic)
            self._targets[topic] = target  # bounded by the inventory, see _gateway
        kind = target.kind
        if target.channel == "telemetry":
            assert kind is not None
            return [self._telemetry(kind, target.name, payload, received_ms)]
        if target.channel == "alarm":
            assert kind is not None
            return [self._alarm(kind.name, target.name, payload, received_ms)]
        if target.channel == "status":
            return [self._status(target.name, payload, received_ms)]
        return self._batch(topic, target.province, payload, received_ms)

    # ── topics ───────────────────────────────────────────────────────────────

    def _find(self, topic: str) -> _Target:
        parts = topic.split("/")
        if len(parts) != 6 or parts[:2] != ["ioc", "v1"]:
            raise _FaultError(
                "topic",
                f"{_shown(topic)}: expected ioc/v1/{{province}}/{{kind}}/{{asset}}/"
                "telemetry or …/alarm",
            )
        province, kind_name, name, channel = parts[2:]
        for part in (province, kind_name, name):
            if not IDENTIFIER.fullmatch(part):
                raise _FaultError(
                    "topic", f"{_shown(part)}: expected 1 to 64 of the characters A-Z a-z 0-9 _ -"
                )
        if kind_name == GATEWAY:
            if channel == "status":
                return self._gateway("status", province, name)
            if channel == "telemetry":
                return self._gateway("batch", province, name)
            raise _FaultError("topic", f"{_shown(channel)}: expected telemetry or status")
        if channel not in ("telemetry", "alarm"):
            raise _FaultError("topic", f"{_shown(channel)}: expected telemetry or alarm")
        kind, asset = self._asset(kind_name, name, province)
        return _Target("alarm" if channel == "alarm" else "telemetry", province, asset.id, kind)

    def _gateway(self, channel: Literal["batch", "status"], province: str, name: str) -> _Target:
        # Gateways are in no inventory: their topics are not worth remembering without bound.
        if len(self._targets) > 4 * len(self._inventory.assets) + 1000:
            self._targets.clear()
        return _Target(channel, province, name)

    def _asset(self, kind_name: str, asset_id: str, province: str) -> tuple[_Kind, Asset]:
        kind = self._kinds.get(kind_name)
        if kind is None:
            known = ", ".join(name for name, kind in self._kinds.items() if not kind.own)
            raise _FaultError("unknown_kind", f"kind {_shown(kind_name)}: expected one of {known}")
        if kind.own:
            raise _FaultError(
                "own_kind", f"kind {kind_name}: the service measures itself, nobody may send for it"
            )
        asset = self._inventory.assets.get(asset_id)
        if asset is None:
            what = "retired" if asset_id in self._inventory.retired else "not in the inventory"
            raise _FaultError("unknown_asset", f"asset {_shown(asset_id)}: {what}")
        if asset.kind != kind_name:
            raise _FaultError("wrong_kind", f"asset {asset_id}: is a {asset.kind}, not {kind_name}")
        if asset.province != province:
            raise _FaultError("topic", f"asset {asset_id}: is in {asset.province}, not {province}")
        return kind, asset

    # ── telemetry ────────────────────────────────────────────────────────────

    def _telemetry(
        self, kind: _Kind, asset: str, payload: bytes | memoryview, received_ms: int
    ) -> Telemetry:
        try:
            fields: dict[str, Any] = msgspec.to_builtins(kind.decoder.decode(payload))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._examined(kind, asset, payload, received_ms)
        ts_ms = fields.pop("ts")
        seq, boot = fields.pop("seq", None), fields.pop("boot", None)
        if kind.gateway:
            del fields["kind"], fields["asset"]
        age_ms = received_ms - ts_ms
        if (
            (seq is None) is not (boot is None)
            or not fields
            or age_ms > self._max_age_ms
            or -age_ms > self._max_ahead_ms
        ):
            return self._examined(kind, asset, payload, received_ms)
        return Telemetry(kind.name, asset, ts_ms, boot, seq, fields)

    def _examined(
        self, kind: _Kind, asset: str, payload: bytes | memoryview, received_ms: int
    ) -> Telemetry:
        """The same, field by field. Raises the first fault, in the order of the contract."""
        fields = _object(payload)
        ts_ms = self._time(fields, received_ms)
        seq, boot = _counter(fields, "seq"), _counter(fields, "boot")
        if (seq is None) is not (boot is None):
            given, absent = ("seq", "boot") if boot is None else ("boot", "seq")
            raise _FaultError("seq_without_boot", f"{given} without {absent}: both or neither")
        values = {
            name: _metric(name, metric, fields[name])
            for name, metric in kind.metrics.items()
            if name in fields
        }
        unknown = sum(name not in kind.metrics and name not in kind.frame for name in fields)
        if not values:
            raise _FaultError("empty", f"no metric of {kind.name} in it")
        self.unknown_fields += unknown
        return Telemetry(kind.name, asset, ts_ms, boot, seq, values)

    def _batch(self, topic: str, province: str, payload: bytes, received_ms: int) -> list[Decoded]:
        try:
            elements = self._elements.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            content = _json(payload)
            raise _FaultError(
                "not_object", f"found {_shown(content)}, expected an array of objects"
            ) from None
        if not elements:
            raise _FaultError("empty", "an array without an element")
        found: list[Decoded] = []
        for element in elements:
            view = memoryview(element)
            try:
                found.append(self._element(view, province, received_ms))
            except _FaultError as fault:
                content = bytes(view)
                found.append(_quarantined(topic, fault, content, len(content), received_ms))
        return found

    def _element(self, element: memoryview, province: str, received_ms: int) -> Telemetry:
        try:
            head = self._head.decode(element)
            kind_name, asset_id = head.kind, head.asset
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            fields = _object(element)
            kind_name = _text(fields, "kind", "wrong_type")
            asset_id = _text(fields, "asset", "wrong_type")
        kind, asset = self._asset(kind_name, asset_id, province)
        return self._telemetry(kind.of_gateway, asset.id, element, received_ms)

    def _time(self, fields: Mapping[str, Any], received_ms: int) -> int:
        if "ts" not in fields:
            raise _FaultError("missing_field", "ts: is missing (Unix time in milliseconds)")
        ts_ms = _integer("ts", fields["ts"])
        if received_ms - ts_ms > self._max_age_ms or ts_ms - received_ms > self._max_ahead_ms:
            raise _FaultError(
                "bad_time",
                f"ts: found {_shown(ts_ms)}, received at {received_ms}: expected Unix time in "
                f"milliseconds, at most {self._max_age_ms // 1000} s before and "
                f"{self._max_ahead_ms // 1000} s after",
            )
        return ts_ms

    # ── device alarms and status ─────────────────────────────────────────────

    def _alarm(self, kind: str, asset: str, payload: bytes, received_ms: int) -> DeviceAlarm:
        fields = _object(payload)
        ts_ms = self._time(fields, received_ms)
        alarm_id = _text(fields, "alarm_id", "bad_alarm")
        if not IDENTIFIER.fullmatch(alarm_id):
            raise _FaultError(
                "bad_alarm",
                f"alarm_id: found {_shown(alarm_id)}, expected 1 to 64 of the characters "
                "A-Z a-z 0-9 _ -",
            )
        state = _word(fields, "state", ALARM_STATES)
        # The end of an alarm needs no more than its id.
        cleared = state == "cleared"
        severity = _word(fields, "severity", SEVERITIES, default="cleared" if cleared else None)
        event_type = _text(fields, "event_type", "bad_alarm", default="" if cleared else None)
        if event_type not in EVENT_TYPES and not (cleared and not event_type):
            raise _FaultError(
                "bad_alarm",
                f"event_type: found {_shown(event_type)}, expected one of "
                + ", ".join(sorted(EVENT_TYPES)),
            )
        cause = _text(fields, "probable_cause", "bad_alarm", default="" if cleared else None)
        if not PROBABLE_CAUSE.fullmatch(cause) and not (cleared and not cause):
            raise _FaultError(
                "bad_alarm",
                f"probable_cause: found {_shown(cause)}, expected a word of X.733 (lossOfSignal)",
            )
        if severity == "cleared" and not cleared:
            raise _FaultError("bad_alarm", f"severity: cleared, but state: {state}")
        alarm = DeviceAlarm(
            kind=kind,
            asset=asset,
            ts_ms=ts_ms,
            received_ms=received_ms,
            alarm_id=alarm_id,
            state=state,  # type: ignore[arg-type]  # _word gave one of them
            severity=severity,  # type: ignore[arg-type]  # as above
            event_type=event_type,
            probable_cause=cause,
            object=_short(fields, "object", MAX_OBJECT_CHARACTERS),
            text=_short(fields, "text", MAX_TEXT_CHARACTERS),
        )
        self.unknown_fields += len(fields.keys() - _ALARM_FIELDS)
        return alarm

    def _status(self, gateway: str, payload: bytes, received_ms: int) -> GatewayStatus:
        # A last will is written before it is needed: its time would say nothing, ts is ignored.
        fields = _object(payload)
        if "online" not in fields:
            raise _FaultError("missing_field", "online: is missing")
        online = fields["online"]
        if not isinstance(online, bool):
            raise _FaultError(
                "wrong_type", f"online: found {_shown(online)}, expected true or false"
            )
        self.unknown_fields += len(fields.keys() - {"online", "ts"})
        return GatewayStatus(gateway, online, received_ms)


class _Kind:
    """A kind of the catalog with its decoder."""

    def __init__(self, name: str, kind: Kind, *, gateway: bool = False) -> None:
        self.name = name
        self.own = kind.own
        self.metrics = kind.metrics
        self.gateway = gateway
        # What a message may carry beside metrics, without being an unknown field.
        self.frame = frozenset(_FRAME if gateway else _FRAME[:3])
        self.decoder = msgspec.json.Decoder(_struct(name, kind, gateway=gateway))
        self.of_gateway: _Kind = self if gateway else _Kind(name, kind, gateway=True)


def _struct(name: str, kind: Kind, *, gateway: bool) -> type[msgspec.Struct]:
    """The shape of a faultless message of this kind. An unknown field is for the examination."""
    count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
    fields: list[Any] = [("ts", count)]
    if gateway:
        # Known by the head already; here only to be no unknown fields.
        fields += [("kind", str), ("asset", str)]
    rename = {}
    for index, (metric_name, metric) in enumerate(kind.metrics.items()):
        # A metric may have a name that is none in Python ("in").
        rename[f"m{index}"] = metric_name
        fields.append((f"m{index}", _annotation(metric) | UnsetType, UNSET))
    fields += [("seq", count | UnsetType, UNSET), ("boot", count | UnsetType, UNSET)]
    return msgspec.defstruct(
        f"{name}_telemetry",
        fields,
        rename=rename,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


def _annotation(metric: Metric) -> Any:
    if metric.type == "bool":
        return bool
    if metric.type == "enum":
        return Literal[metric.values]
    assert metric.range is not None
    low, high = metric.range
    if metric.type == "int":
        return Annotated[int, Meta(ge=math.ceil(low), le=math.floor(high))]
    return Annotated[float, Meta(ge=float(low), le=float(high))]


# ── fields ───────────────────────────────────────────────────────────────────


def _metric(name: str, metric: Metric, value: object) -> Value:
    """A metric's value in the type of the catalog."""
    if metric.type == "bool":
        if not isinstance(value, bool):
            raise _FaultError(
                "wrong_type", f"{name}: found {_shown(value)}, expected true or false"
            )
        return value
    if metric.type == "enum":
        assert metric.values is not None
        expected = f"{name}: found {_shown(value)}, expected one of {', '.join(metric.values)}"
        if not isinstance(value, str):
            raise _FaultError("wrong_type", expected)
        if value not in metric.values:
            raise _FaultError("out_of_range", expected)
        return value
    assert metric.range is not None
    low, high = metric.range
    number: int | float = _integer(name, value) if metric.type == "int" else _number(name, value)
    if not low <= number <= high:
        raise _FaultError(
            "out_of_range",
            f"{name}: found {_shown(value)}, expected {low:g} to {high:g} {metric.unit}",
        )
    return number if metric.type == "int" else float(number)


def _number(name: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _FaultError("wrong_type", f"{name}: found {_shown(value)}, expected a number")
    return value


def _integer(name: str, value: object) -> int:
    """A whole number, also when it is written as 3.0."""
    number = _number(name, value)
    if isinstance(number, float):
        if not number.is_integer():
            raise _FaultError(
                "wrong_type", f"{name}: found {_shown(value)}, expected a whole number"
            )
        number = int(number)
    return number


def _counter(fields: Mapping[str, Any], name: str) -> int | None:
    if name not in fields:
        return None
    number = _integer(name, fields[name])
    if not 0 <= number <= MAX_COUNT:
        raise _FaultError("out_of_range", f"{name}: found {_shown(number)}, expected 0 to 2^53 - 1")
    return number


def _text(fields: Mapping[str, Any], name: str, reason: str, *, default: str | None = None) -> str:
    if name not in fields:
        if default is not None:
            return default
        raise _FaultError("missing_field" if reason == "wrong_type" else reason,
                          f"{name}: is missing")  # fmt: skip
    value = fields[name]
    if not isinstance(value, str):
        raise _FaultError(reason, f"{name}: found {_shown(value)}, expected a text")
    return value


def _word(
    fields: Mapping[str, Any], name: str, words: tuple[str, ...], *, default: str | None = None
) -> str:
    value = _text(fields, name, "bad_alarm", default=default)
    if value not in words:
        raise _FaultError(
            "bad_alarm", f"{name}: found {_shown(value)}, expected one of {', '.join(words)}"
        )
    return value


def _short(fields: Mapping[str, Any], name: str, limit: int) -> str:
    value = _text(fields, name, "bad_alarm", default="")
    if len(value) > limit:
        raise _FaultError("bad_alarm", f"{name}: {len(value)} characters, at most {limit}")
    return value


# ── JSON ─────────────────────────────────────────────────────────────────────


def _object(payload: bytes | memoryview) -> dict[str, Any]:
    content = _json(payload)
    if not isinstance(content, dict):
        raise _FaultError("not_object", f"found {_shown(content)}, expected an object")
    return content


def _json(payload: bytes | memoryview) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if _has_not_finite(bytes(payload)):
            raise _FaultError(
                "not_finite", "NaN or Infinity: leave out what was not measured"
            ) from None
        raise _FaultError("not_json", str(error)[:200]) from None


def _has_not_finite(payload: bytes) -> bool:
    """Whether it would be JSON but for a NaN, an Infinity or a number beyond all (1e999)."""

    def constant(_: str) -> NoReturn:
        raise _FaultError("not_finite", "")

    def number(text: str) -> float:
        value = float(text)
        if math.isinf(value):
            raise _FaultError("not_finite", "")
        return value

    try:
        json.loads(payload, parse_constant=constant, parse_float=number)
    except _FaultError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _shown(value: object, limit: int = 60) -> str:
    """A value as JSON writes it, cut short."""
    try:
        text = msgspec.json.encode(value).decode()
    except (RecursionError, ValueError, OverflowError):  # nested too deep, or of many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else text[:limit] + "…"


def _quarantined(
    topic: str, fault: _FaultError, payload: bytes, size: int, received_ms: int
) -> Quarantined:
    return Quarantined(
        received_ms=received_ms,
        topic=topic[:MAX_TOPIC_CHARACTERS],
        reason=fault.reason,
        detail=fault.detail[:500],
        payload=payload[:KEPT_OF_TOO_LARGE],
        payload_bytes=size,
    )
