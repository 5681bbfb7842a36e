"""Snapshots that are journalled beside the measures: alarms that stand, states of all assets.

Rows are ``ioc.store.derived``'s, but for the columns that ``completed`` adds when they are stored.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

from ioc.alarms.model import Alarm, AssetState
from ioc.alarms.series import columns_of
from ioc.journal.records import Reading, Value
from ioc.store.derived import ALARM_ACTIVE, ASSET_STATE, SEVERITY_RANK, numbered

# More alarms than these stand only when most of them are suppressed under few roots.
MOST_ALARMS = 2_000
# What an asset's alarms are told apart by, the µs, has room for so many.
MOST_OF_AN_ASSET = 1_000


class AlarmRows:
    """Makes the rows of ``alarm_active``. Alarms that did not change are not described again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Alarm, dict[str, Value]]] = {}

    def rows(self, alarms: Mapping[str, Alarm], *, at_ms: int) -> list[Reading]:
        """At most ``MOST_ALARMS``: not suppressed first, then by severity, then the newest."""
        chosen = heapq.nsmallest(MOST_ALARMS, alarms.values(), key=_order)
        of_asset: Counter[str] = Counter()
        rows: list[Reading] = []
        known: dict[str, tuple[Alarm, dict[str, Value]]] = {}
        # By asset: the numbers of an asset's alarms then differ in their last three digits.
        by_asset = sorted(chosen, key=lambda alarm: alarm.asset)
        numbers = {alarm.id: number for number, alarm in enumerate(by_asset)}
        for alarm in chosen:
            of_asset[alarm.asset] += 1
            if of_asset[alarm.asset] > MOST_OF_AN_ASSET:
                continue
            before = self._known.get(alarm.id)
            # The engine shows a changed alarm as another object.
            columns = before[1] if before and before[0] is alarm else columns_of(alarm)
            known[alarm.id] = alarm, columns
            rows.append(
                numbered(ALARM_ACTIVE, alarm.asset, columns, at_ms=at_ms, number=numbers[alarm.id])
            )
        self._known = known
        return rows


def _order(alarm: Alarm) -> tuple[bool, int, int, str]:
    return alarm.suppressed, SEVERITY_RANK[alarm.severity], -alarm.raised_ms, alarm.id


def state_rows(
    assets: Iterable[str],
    *,
    states: Mapping[str, AssetState],
    alarms: Mapping[str, Alarm],
    at_ms: int,
) -> list[Reading]:
    """The rows of ``asset_state``: one for each asset, with the number of its alarms that are not
    suppressed and the worst of them. One that the alarm engine does not know is not yet seen."""
    standing: dict[str, list[int]] = {}
    for alarm in alarms.values():
        if not alarm.suppressed:
            standing.setdefault(alarm.asset, []).append(SEVERITY_RANK[alarm.severity])
    calm: dict[AssetState, dict[str, Value]] = {}
    severities = list(SEVERITY_RANK)
    rows = []
    time_us = at_ms * 1000
    for asset in assets:
        state = states.get(asset, "not_seen")
        ranks = standing.get(asset)
        if ranks is None:
            columns = calm.setdefault(state, {"state": state})
        else:
            columns = {
                "state": state,
                "alarms": len(ranks),
                "severity": severities[min(ranks) - 1],
            }
        rows.append(Reading(ASSET_STATE, asset, time_us, at_ms, at_ms, columns))
    return rows
