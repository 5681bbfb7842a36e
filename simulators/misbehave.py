"""What happens to messages between a device and the broker: some come twice, late, never, or
broken. Drawn from a stream of its own, so that the physics is the same with and without."""

from __future__ import annotations

import heapq

import numpy as np

from simulators.messages import Message, nonsense
from simulators.scenario import Misbehaviour

_STREAM = 0xBAD


class Misbehave:
    """Passes telemetry on as a poor network would; device alarms pass as they are.

    Of all telemetry, ``gaps`` are lost, ``malformed`` arrive cut short or with a number that is
    none, ``out_of_order`` arrive one to three intervals late, ``duplicates`` arrive a second time
    within two intervals. (``late_bursts`` are the devices' own: see ``Province``.)
    """

    def __init__(self, shares: Misbehaviour, *, seed: int, interval_s: float) -> None:
        self._shares = shares
        self._interval_ms = interval_s * 1000.0
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM,)))
        self._later: list[tuple[float, int, Message]] = []
        self._number = 0
        self._idle = not (
            shares.gaps or shares.malformed or shares.out_of_order or shares.duplicates
        )

    def pass_on(self, messages: list[Message], now_ms: int) -> list[Message]:
        """What arrives now of what is sent now, after what comes late."""
        if self._idle:
            return messages
        arrived = []
        while self._later and self._later[0][0] <= now_ms:
            arrived.append(heapq.heappop(self._later)[2])
        shares, interval_ms = self._shares, self._interval_ms
        draws = self._rng.random((len(messages), 5)).tolist()
        for message, (gap, malformed, late, twice, when) in zip(messages, draws, strict=True):
            if not message.topic.endswith("/telemetry"):
                arrived.append(message)
                continue
            if gap < shares.gaps:
                continue
            if malformed < shares.malformed and message.valid:
                self._number += 1
                broken = nonsense(message.payload, 3 * (self._number % 2), "value")
                message = Message(message.topic, broken, valid=False)
            if twice < shares.duplicates:
                self._keep(message, now_ms + when * 2 * interval_ms)
            if late < shares.out_of_order:
                self._keep(message, now_ms + (1 + 2 * when) * interval_ms)
            else:
                arrived.append(message)
        return arrived

    def rest(self) -> list[Message]:
        """What is still on its way when the run ends."""
        left = [message for _, _, message in sorted(self._later)]
        self._later.clear()
        return left

    def _keep(self, message: Message, until_ms: float) -> None:
        self._number += 1
        heapq.heappush(self._later, (until_ms, self._number, message))
