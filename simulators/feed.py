"""A scenario in a province, tick by tick: what it sends, in simulated time alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ioc.catalog import Catalog
from ioc.inventory.file import InventoryFile
from simulators.messages import Message
from simulators.misbehave import Misbehave
from simulators.plan import Breakage, Plan, make_plan
from simulators.province import Province
from simulators.scenario import Misbehaviour, Scenario
from simulators.script import Script

# Boots count from one in what is made; what is added when it is published is drawn elsewhere.
FIRST_BOOT = 1
_SLOTS, _SLOTS_SLOW = 100, 15
_SLOW_ABOVE_S = 60.0
_LONGEST_STEP_S = 60.0


def tick_s(interval_s: float) -> float:
    """The grain of sending: readings are spread over the interval in a hundred moments (a tenth of
    a second apart at least), in fifteen where it is longer than a minute."""
    if interval_s > _SLOW_ABOVE_S:
        return interval_s / _SLOTS_SLOW
    return max(interval_s / _SLOTS, 0.1)


def physics_s(interval_s: float) -> float:
    """The grain of the physics: a fifteenth of the interval (20 s at five minutes), but at least a
    second and at most a minute. By the interval alone: never by the speed of the run."""
    return min(max(interval_s / _SLOTS_SLOW, 1.0), _LONGEST_STEP_S)


@dataclass(frozen=True, kw_only=True)
class FeedOptions:
    """What a feed is made of. The same options, inventory and catalog: the same messages."""

    scenario: Scenario
    scenario_path: Path
    seed: int
    start_ms: int
    interval_s: float
    misbehaviour: Misbehaviour


class Feed:
    """Ticks of one run. Not reusable. ``begun`` is told each breakage when it begins."""

    def __init__(
        self,
        inventory: InventoryFile,
        options: FeedOptions,
        *,
        catalog: Catalog,
        begun: Callable[[Breakage], None] | None = None,
    ) -> None:
        """Raises ``FileError`` where the scenario asks for what the inventory has not."""
        self.options = options
        self.province = Province(
            inventory,
            catalog=catalog,
            seed=options.seed,
            start_ms=options.start_ms,
            interval_s=options.interval_s,
            tick_s=tick_s(options.interval_s),
            physics_s=physics_s(options.interval_s),
            late_bursts=options.misbehaviour.late_bursts,
            boot=FIRST_BOOT,
        )
        self.plan: Plan = make_plan(
            options.scenario, self.province, seed=options.seed, path=options.scenario_path
        )
        self.script = Script(self.plan, self.province, start_ms=options.start_ms, begun=begun)
        self._misbehave = Misbehave(
            options.misbehaviour, seed=options.seed, interval_s=options.interval_s
        )

    def begin_at(self, now_ms: int) -> None:
        """Let the scenario begin now, not at the start: what lies between was not measured."""
        self.province.skip_to(now_ms)
        self.script.start_ms = now_ms

    def tick(self) -> list[Message]:
        """Move time by one tick; what is sent at its end."""
        self.script.advance()
        return self._misbehave.pass_on(self.province.tick(), self.province.now_ms)

    def rest(self) -> list[Message]:
        """What is still on its way when the run ends."""
        return self._misbehave.rest()
