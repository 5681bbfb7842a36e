"""A plan as it is carried out: what begins now, what happens, what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from simulators.fibre import BEND_OVER_S
from simulators.messages import CLOCK_SKEW_S
from simulators.plan import Breakage, Plan
from simulators.province import Province

Begun = Callable[[Breakage], None]


class Script:
    """Carries a plan out on one province, by the province's own time from ``start_ms`` on.

    Call ``advance`` before each tick. ``begun`` is told each breakage when it begins.
    """

    def __init__(
        self, plan: Plan, province: Province, *, start_ms: int, begun: Begun | None = None
    ) -> None:
        self.plan = plan
        self.province = province
        self.start_ms = start_ms
        self._begun = begun
        self._next = 0
        self._loads: tuple[bool, ...] = tuple(False for _ in plan.loads)

    @property
    def elapsed_s(self) -> float:
        return (self.province.now_ms - self.start_ms) / 1000.0

    def advance(self) -> None:
        """Let everything begin whose time has come. What would be over already is left out."""
        elapsed_s = self.elapsed_s
        while self._next < len(self.plan.breakages):
            broken = self.plan.breakages[self._next]
            if broken.at_s > elapsed_s:
                break
            self._next += 1
            if broken.until_s - elapsed_s > 0.5:
                self._break(broken, for_s=broken.until_s - elapsed_s)
        self._set_loads(elapsed_s)

    def _break(self, broken: Breakage, *, for_s: float) -> None:
        faults, tables = self.province.faults, self.province.tables
        for asset in broken.assets:
            table = tables[faults.kind_of(asset)]
            row = table.index[asset]
            if broken.fault == "clock-skew":
                amount = table.amount("clock-skew", CLOCK_SKEW_S)
                amount[row] = CLOCK_SKEW_S if broken.skew_s is None else broken.skew_s
            if broken.fault == "span-bend":
                amount = table.amount("span-bend", BEND_OVER_S)
                amount[row] = BEND_OVER_S if broken.over_s is None else broken.over_s
            self.province.begin(broken.fault, asset, for_s=for_s)
        if self._begun is not None:
            self._begun(broken)

    def _set_loads(self, elapsed_s: float) -> None:
        active = tuple(load.at_s <= elapsed_s < load.until_s for load in self.plan.loads)
        if active == self._loads:
            return
        self._loads = active
        factor = np.ones(len(self.province.stations.table))
        for load, now in zip(self.plan.loads, active, strict=True):
            if now:
                factor[list(load.rows)] *= load.factor
        self.province.stations.load_factor = factor

    def now(self) -> str:
        """What happens now and what comes next, in a few words."""
        parts = [*self._active(), *self._loads_now(), *self._windows_now()]
        if not parts:
            parts = ["all well"]
        if self._next < len(self.plan.breakages):
            coming = self.plan.breakages[self._next]
            what = f"{coming.fault} on {named(coming.assets)}"
            parts.append(f"{what} in {short(max(coming.at_s - self.elapsed_s, 0))}")
        return "; ".join(parts)

    def _active(self) -> list[str]:
        active = self.province.faults.active
        if len(active) <= 3:
            return [
                f"{fault.fault} on {fault.asset}, "
                f"{short(max(fault.until_ms - self.province.now_ms, 0) / 1000)} left"
                for fault in active
            ]
        counted = sorted(Counter(fault.fault for fault in active).items())
        return [f"{count:,} × {fault}" for fault, count in counted]

    def _loads_now(self) -> list[str]:
        return [
            f"traffic × {load.factor:g} at {len(load.rows):,} stations"
            for load, now in zip(self.plan.loads, self._loads, strict=True)
            if now
        ]

    def _windows_now(self) -> list[str]:
        elapsed_s = self.elapsed_s
        return [
            f"planned work: {window.text.en}"
            for window in self.plan.windows
            if window.at_s <= elapsed_s < window.until_s
        ]


def named(assets: tuple[str, ...]) -> str:
    """One asset by its id, several by their number."""
    return assets[0] if len(assets) == 1 else f"{len(assets):,} assets"


def short(seconds: float) -> str:
    """A duration for a person."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
