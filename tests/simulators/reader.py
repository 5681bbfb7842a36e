"""A reader beside the simulators: what it is given comes through the broker's restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import aiomqtt


async def read_on(
    port: int, *, topic: str, take: Callable[[str, bytes], None], subscribed: asyncio.Event
) -> None:
    """Give each message's topic and payload to ``take``, in a session that the broker keeps, until
    cancelled. ``subscribed`` is set once the session exists."""
    while True:
        with contextlib.suppress(aiomqtt.MqttError):
            async with aiomqtt.Client(
                "127.0.0.1",
                port,
                identifier="reader",
                clean_session=False,
                protocol=aiomqtt.ProtocolVersion.V311,
            ) as client:
                await client.subscribe(topic, qos=1)
                subscribed.set()
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    take(message.topic.value, message.payload)
        await asyncio.sleep(0.1)
