"""The users of the broker and what each may do, written for NATS and for Mosquitto.

MQTT's ``ioc/v1/#`` is ``ioc.v1.>`` to NATS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Mosquitto's own default. A password of 256 random bits needs no slow hash.
PBKDF2_ITERATIONS = 101
SALT_BYTES = 12


@dataclass(frozen=True, kw_only=True)
class BrokerUser:
    """A user of the broker. ``publish`` and ``subscribe`` are MQTT topic filters; what is not
    named is refused."""

    name: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


SERVICE = BrokerUser(name="service", subscribe=("ioc/v1/#",))
SIMULATORS = BrokerUser(
    name="simulators", publish=("ioc/v1/#", "ioc-sim/v1/#"), subscribe=("ioc-sim/v1/#",)
)
EQUIPMENT = BrokerUser(name="equipment", publish=("ioc/v1/#",))
USERS = (SERVICE, SIMULATORS, EQUIPMENT)


def gateway_user(gateway: str) -> BrokerUser:
    """A gateway's own user: it speaks as itself and as no other gateway."""
    return BrokerUser(name=f"gateway-{gateway}", publish=(f"ioc/v1/+/_gateway/{gateway}/#",))


def nats_users(users: Sequence[BrokerUser], passwords: Mapping[str, str]) -> str:
    """The ``authorization`` block of a NATS configuration. NATS calls its passwords plain text; the
    file is for its user only."""
    lines = ["# Written anew by `ioc deploy secrets`.", "authorization {", "  users: ["]
    for user in users:
        publish = _allowed([_subject(topic) for topic in user.publish])
        # By $MQTT.sub.> NATS delivers what is subscribed at QoS 1.
        subjects = [subject for topic in user.subscribe for subject in _subjects(topic)]
        subscribe = _allowed([*subjects, "$MQTT.sub.>"] if subjects else [])
        lines.append(
            f"    {{ user: {json.dumps(user.name)}, password: {json.dumps(passwords[user.name])}, "
            f'allowed_connection_types: ["MQTT"], permissions: {{ publish: {publish}, '
            f"subscribe: {subscribe} }} }}"
        )
    return "\n".join([*lines, "  ]", "}", ""])


def _allowed(subjects: Sequence[str]) -> str:
    return json.dumps({"allow": list(subjects)} if subjects else {"deny": [">"]})


def _subject(topic: str) -> str:
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")


def _subjects(topic: str) -> list[str]:
    """What NATS subscribes for a filter: "a/#" is also the topic "a"."""
    subject = _subject(topic)
    return [subject.removesuffix(".>"), subject] if subject.endswith(".>") else [subject]


def mosquitto_passwords(passwords: Mapping[str, str]) -> str:
    """Mosquitto's password file: ``user:$7$iterations$salt$hash``, PBKDF2 with SHA-512."""
    return "".join(f"{name}:{_pbkdf2(password)}\n" for name, password in sorted(passwords.items()))


def _pbkdf2(password: str) -> str:
    salt = secrets.token_bytes(SALT_BYTES)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ITERATIONS)
    return f"$7${PBKDF2_ITERATIONS}${_base64(salt)}${_base64(hashed)}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def mosquitto_acl(users: Sequence[BrokerUser]) -> str:
    """Mosquitto's access list."""
    lines = ["# Written anew by `ioc deploy secrets`."]
    for user in users:
        both = set(user.publish) & set(user.subscribe)
        lines += ["", f"user {user.name}"]
        lines += [f"topic readwrite {topic}" for topic in sorted(both)]
        lines += [f"topic write {topic}" for topic in user.publish if topic not in both]
        lines += [f"topic read {topic}" for topic in user.subscribe if topic not in both]
    return "\n".join(lines) + "\n"
