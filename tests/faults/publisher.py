"""An independent publisher: plain paho, which writes down what the broker acknowledged to it."""

from __future__ import annotations

import json
import random
import threading
import time
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.ingest.lab import topic

Key = tuple[str, int, int]  # asset, boot, seq


class Publisher:
    """Sends readings of some assets in turn, each asset's seq +1 with each message.

    ``acknowledged`` holds the keys whose PUBACK came; ``sent`` all that were handed to paho.
    """

    def __init__(self, port: int, *, assets: int = 3, boot: int = 1) -> None:
        self.sent: list[Key] = []
        self.acknowledged: set[Key] = set()
        self._assets = [f"KH{n:05d}" for n in range(1, assets + 1)]
        self._boot = boot
        self._by_mid: dict[int, Key] = {}
        self._early: set[int] = set()
        self._lock = threading.Lock()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id="publisher",
            clean_session=False,
            protocol=mqtt.MQTTv311,
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(500)
        self._client.on_publish = self._on_publish
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, count: int, *, per_s: float = 0) -> None:
        """Publish ``count`` readings at QoS 1, evenly; blocks for as long as that takes."""
        begin = time.monotonic()
        for n in range(count):
            index = len(self.sent)
            key = (self._assets[index % len(self._assets)], self._boot, index // len(self._assets))
            self.sent.append(key)
            payload = {
                "ts": time.time_ns() // 1_000_000,
                "boot": key[1],
                "seq": key[2],
                "dc_voltage_v": random.uniform(48, 56),  # noise, so that it fills a journal
                "power_w": random.uniform(0, 5000),
                "interference_dbm": random.uniform(-120, -100),
                "mains_ok": True,
            }
            info = self._client.publish(topic(key[0]), json.dumps(payload), qos=1)
            # Not around the publish: the callback holds a lock of paho's that it needs.
            with self._lock:
                if info.mid in self._early:
                    self._early.discard(info.mid)
                    self.acknowledged.add(key)
                else:
                    self._by_mid[info.mid] = key
            if per_s:
                time.sleep(max(0.0, begin + (n + 1) / per_s - time.monotonic()))

    def _on_publish(self, _c: object, _u: object, mid: int, *_: object) -> None:
        with self._lock:
            key = self._by_mid.pop(mid, None)
            if key is None:
                self._early.add(mid)
            else:
                self.acknowledged.add(key)

    def wait(self, *, within_s: float = 20) -> None:
        """Return once the broker has acknowledged everything sent."""
        deadline = time.monotonic() + within_s
        while len(self.acknowledged) < len(self.sent):
            assert time.monotonic() < deadline, (
                f"the broker acknowledged {len(self.acknowledged)} of {len(self.sent)}"
            )
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
