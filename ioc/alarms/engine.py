"""The alarm engine: journal entries in, transitions out.

It reads nothing but journal records and no clock, so the same journal always gives the same
transitions, wherever it is stopped, kept in a snapshot and taken up again. It belongs to one
thread.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from ioc.alarms.lifecycle import DEVICE, Effect, Lifecycle, LifecycleState, Standing
from ioc.alarms.model import Alarm, AssetState, Severity, Transition
from ioc.alarms.root_cause import RootCause, RootCauseState
from ioc.alarms.rules import Found, KindRules, RulesState, Shape
from ioc.alarms.table import KindTable, Tables, TableState
from ioc.alarms.words import device_words, filled
from ioc.catalog.model import Catalog
from ioc.errors import CommandError
from ioc.inventory import Asset, Inventory
from ioc.journal.records import (
    Activation,
    Batch,
    Command,
    DeviceAlarm,
    Entry,
    Item,
    Reading,
    Tick,
)

# Changes with what the same journal gives: a snapshot of another version is not replayed from.
VERSION = 3
# Ticks come every second. A longer step is a stop of the service, or a clock that was set.
LONGEST_TICK_MS = 5_000
# The machine may have slept, and cut off devices that have to connect again: they get as long again
# as it slept, at most this.
LONGEST_RETURN_MS = 15_000
# X.733 words of equipment that say that a span carries nothing.
ISOLATING_CAUSES = frozenset({"lossOfSignal", "linkFailure", "cableTamper"})
NETWORK_EVENTS = frozenset({"communications", "qualityOfService"})
# Device alarms that are over: a late word on one of them changes nothing.
REMEMBERED_DEVICE_ALARMS = 10_000
RETIRED, RULE_GONE = "retired", "rule removed"


class Snapshot(msgspec.Struct, kw_only=True):
    """All that the engine knows, but for the inventory, which the state database has."""

    version: int
    catalog: str
    now_ms: int
    listening: bool
    ticked_ms: int
    return_ms: int = 0  # not in snapshots of version 1
    tables: dict[str, TableState]
    rules: dict[str, RulesState]
    lifecycle: LifecycleState
    root_cause: RootCauseState
    device_cleared: list[tuple[str, str, int]]


class Engine:
    """Rules, lifecycle and root cause over the journal's entries, one after the other."""

    def __init__(self, catalog: Catalog, inventory: Inventory, *, journal_uuid: str) -> None:
        self.catalog = catalog
        self.inventory = inventory
        self.now_ms = 0
        self.listening = False
        self.ignored: Counter[str] = Counter()
        self._ticked_ms = 0  # 0 for never
        self._return_ms = 0  # what devices still get to come back after a late tick
        self._tables: dict[str, KindTable] = {}
        self._rules: dict[str, KindRules] = {}
        for name, kind in catalog.kinds.items():
            table = self._tables[name] = KindTable(name, kind)
            self._rules[name] = KindRules(table, kind)
        self.lifecycle = Lifecycle(journal_uuid=journal_uuid, settle=self._settle)
        self._root_cause = RootCause(
            self.lifecycle, cadence_s=lambda kind: catalog.kinds[kind].shortest_cadence_s
        )
        # What equipment of a kind says in these words, it says of its whole site, as the rules do.
        self._of_site = {
            (name, rule.probable_cause)
            for name, kind in catalog.kinds.items()
            for rule in kind.rules
            if rule.shared_by == "site"
        }
        self._device_cleared: dict[tuple[str, str], int] = {}
        self.changed_assets: set[str] = set()
        self.table = Tables(self._tables)
        self._take_in_inventory()

    def apply(self, entry: Entry) -> list[Transition]:
        """Take in one entry; the transitions it brings, in their order."""
        self.lifecycle.begin(entry.position)
        match entry.record:
            case Batch(items=items):
                self._batch(items)
            case Tick() as tick:
                self._tick(tick)
            case Command() as command:
                self._command(command)
            case Activation() as activation:
                self._activate(activation)
        self._settle()
        return self.lifecycle.end()

    def state_of(self, asset_id: str) -> AssetState:
        """What its alarms and its silence say of an asset."""
        standing = self.lifecycle.by_asset.get(asset_id, {}).values()
        if any(one.silence for one in standing):
            return "silent"
        effects = {one.effect for one in standing}
        if "down" in effects:
            return "down"
        if "degraded" in effects:
            return "degraded"
        asset = self.inventory.assets.get(asset_id)
        table = self._tables.get(asset.kind) if asset else None
        if table is None or not table.last_seen[table.rows[asset_id]]:
            return "not_seen"
        return "up"

    # Readings

    def _batch(self, items: Sequence[Item]) -> None:
        touched: list[Shape] = []
        device_alarms = []
        kinds = self._rules
        for item in items:
            if type(item) is Reading:
                rules = kinds.get(item.kind)
                row = rules.table.rows.get(item.asset) if rules is not None else None
                if rules is None or row is None:
                    self.ignored["unknown_asset"] += 1
                    continue
                shape = rules.shape(tuple(item.values))
                if not shape.rows:
                    touched.append(shape)
                shape.rows.append(row)
                shape.readings.append(item)
            elif type(item) is DeviceAlarm:
                device_alarms.append(item)
        if items:
            self._now(items[-1].received_ms)  # in the order of arrival
        for shape in touched:
            for found in shape.judge_gathered(self.changed_assets):
                self._found(shape.rules, found)
        for alarm in device_alarms:
            self._device_alarm(alarm)

    def _found(self, rules: KindRules, found: Found) -> None:
        asset_id = rules.table.assets[found.row]
        standing = self.lifecycle.by_key.get((asset_id, found.watch.rule.id, ""))
        if found.step == "raise" and standing is None:
            self._raise(rules, found, self.inventory.assets[asset_id])
        elif found.step == "clear" and standing is not None:
            self._clear(standing, at_ms=found.time_us // 1000)

    def _raise(self, rules: KindRules, found: Found, asset: Asset) -> None:
        watch, rule = found.watch, found.watch.rule
        value, threshold = found.value, watch.threshold
        if watch.silence:
            threshold = next(ms for one, ms in rules.silence if one is watch) / 1000
        else:
            value = rules.told(watch, found)
        metric = rules.table.metrics.get(watch.metric)
        name = asset.name or asset.id
        words, action = (
            filled(text, rule=rule, metric=metric, asset=name, value=value, threshold=threshold)
            for text in (rule.text, rule.action)
        )
        at_ms = found.time_us // 1000
        self._rise(
            Alarm(
                id=self.lifecycle.alarm_id(asset.id, rule.id),
                source=rule.id,
                asset=asset.id,
                kind=asset.kind,
                site=asset.site,
                commune=asset.commune,
                severity=rule.severity,
                event_type=rule.event_type,
                probable_cause=rule.probable_cause,
                text_vi=words.vi,
                text_en=words.en,
                action_vi=action.vi,
                action_en=action.en,
                raised_ms=at_ms,
                changed_ms=at_ms,
                value=None if math.isnan(value) else value,
                threshold=threshold,
                metric=watch.metric,
            ),
            effect=rule.effect,
            isolates=rule.isolates and bool(asset.far_site),
            shared=rule.shared_by == "site",
            silence=watch.silence,
        )

    def _rise(
        self,
        alarm: Alarm,
        *,
        effect: Effect,
        isolates: bool,
        shared: bool = False,
        silence: bool = False,
        heard_ms: int = 0,
    ) -> None:
        standing = Standing(
            alarm=alarm,
            number=self.lifecycle.raised,
            began_ms=self.now_ms,
            effect=effect,
            isolates=isolates,
            network=silence or alarm.event_type in NETWORK_EVENTS,
            shared=shared,
            silence=silence,
            heard_ms=heard_ms,
        )
        self.lifecycle.rise(standing)
        self._root_cause.raised(standing)
        self.changed_assets.add(alarm.asset)

    def _clear(self, standing: Standing, *, at_ms: int, actor: str = "", text: str = "") -> None:
        self.lifecycle.clear(standing, at_ms=at_ms, actor=actor, text=text)
        self._root_cause.cleared(standing, now_ms=self.now_ms)
        self.changed_assets.add(standing.alarm.asset)

    # Alarms of the equipment

    def _device_alarm(self, item: DeviceAlarm) -> None:
        """Raised, changed or cleared by (asset, alarm_id). What is late or said twice changes
        nothing: a word counts only when it is newer than the last one on the same alarm."""
        asset = self.inventory.assets.get(item.asset)
        if asset is None:
            self.ignored["unknown_asset"] += 1
            return
        at_ms = item.received_ms if item.clock == "off" else item.ts_ms
        standing = self.lifecycle.by_key.get((item.asset, DEVICE, item.alarm_id))
        key = (item.asset, item.alarm_id)
        over = item.state == "cleared" or item.severity == "cleared"
        if at_ms < (standing.heard_ms if standing else self._device_cleared.get(key, 0)):
            self.ignored["late_device_alarm"] += 1
        elif over:
            self._device_over(key, at_ms)
            if standing:
                self._clear(standing, at_ms=at_ms)
        elif standing:
            self._device_changed(standing, item, at_ms)
        elif at_ms == self._device_cleared.get(key):
            self.ignored["late_device_alarm"] += 1  # its clear came before it
        else:
            self._device_raised(asset, item, at_ms)

    def _device_raised(self, asset: Asset, item: DeviceAlarm, at_ms: int) -> None:
        severity, words = _severity(item), device_words(item)
        self._device_cleared.pop((item.asset, item.alarm_id), None)
        self._rise(
            Alarm(
                id=self.lifecycle.alarm_id(asset.id, DEVICE),
                source=DEVICE,
                asset=asset.id,
                kind=asset.kind,
                site=asset.site,
                commune=asset.commune,
                severity=severity,
                event_type=item.event_type,
                probable_cause=item.probable_cause,
                text_vi=words.vi,
                text_en=words.en,
                object=item.object,
                external_id=item.alarm_id,
                raised_ms=at_ms,
                changed_ms=at_ms,
            ),
            effect=_device_effect(severity, item.object),
            isolates=bool(asset.far_site) and item.probable_cause in ISOLATING_CAUSES,
            shared=(asset.kind, item.probable_cause) in self._of_site,
            heard_ms=at_ms,
        )

    def _device_changed(self, standing: Standing, item: DeviceAlarm, at_ms: int) -> None:
        standing.heard_ms = at_ms
        alarm, severity = standing.alarm, _severity(item)
        words = device_words(item)
        said = (severity, item.object, words.en, words.vi)
        if (alarm.severity, alarm.object, alarm.text_en, alarm.text_vi) == said:
            return
        standing.effect = _device_effect(severity, item.object)
        self.lifecycle.change(
            standing,
            at_ms=at_ms,
            severity=severity,
            object=item.object,
            text_vi=words.vi,
            text_en=words.en,
        )
        self.changed_assets.add(alarm.asset)

    def _device_over(self, key: tuple[str, str], at_ms: int) -> None:
        self._device_cleared.pop(key, None)
        self._device_cleared[key] = at_ms
        if len(self._device_cleared) > REMEMBERED_DEVICE_ALARMS:
            del self._device_cleared[next(iter(self._device_cleared))]

    # Time, people, inventory

    def _tick(self, tick: Tick) -> None:
        """A second has passed. Silence is judged where we listened from the last tick to this one,
        and devices had no reason to be away."""
        step_ms = tick.now_ms - self._ticked_ms
        set_back = tick.now_ms < self.now_ms - LONGEST_TICK_MS
        self.now_ms = self.lifecycle.now_ms = (
            tick.now_ms if set_back else max(self.now_ms, tick.now_ms)
        )
        late = step_ms > LONGEST_TICK_MS
        heard = self.listening and tick.listening and not (late or set_back or self._return_ms)
        self._return_ms = max(0, self._return_ms - max(0, step_ms))
        if late and self._ticked_ms and not set_back:
            self._return_ms = max(self._return_ms, min(step_ms, LONGEST_RETURN_MS))
        self.listening, self._ticked_ms = tick.listening, tick.now_ms
        if not heard:
            # Time that does not count, for anybody's silence or grace.
            for table in self._tables.values():
                table.not_heard(for_ms=step_ms, now_ms=tick.now_ms)
            self._root_cause.not_heard(for_ms=step_ms, now_ms=tick.now_ms)
            return
        for rules in self._rules.values():
            for found in rules.silent(now_ms=tick.now_ms):
                self._found(rules, found)
        self._settle()
        self._root_cause.tick(tick.now_ms)

    def _command(self, command: Command) -> None:
        self._now(command.now_ms)
        try:
            standing = self.lifecycle.command(command)
        except CommandError:
            self.ignored["command"] += 1  # told to the operator before it was journalled
            return
        if standing is not None:
            alarm = standing.alarm
            self._device_over((alarm.asset, alarm.external_id), standing.heard_ms)
            self._clear(standing, at_ms=command.now_ms, actor=command.actor, text=command.text)

    def _activate(self, activation: Activation) -> None:
        self._now(activation.now_ms)
        gone = [asset_id for asset_id in activation.retire if asset_id in self.inventory.assets]
        for asset_id in gone:
            self._clear_all(asset_id, RETIRED)
            kind = self.inventory.assets[asset_id].kind
            if kind in self._tables:
                row = self._tables[kind].remove(asset_id)
                if row is not None:
                    self._rules[kind].forget(row)
        self._clear_ruleless()
        self._settle()
        self.inventory.apply(
            sites=activation.sites,
            add=activation.add,
            retire=activation.retire,
            drop_sites=activation.drop_sites,
        )
        self.changed_assets.update(asset.id for asset in activation.add)
        self.changed_assets.update(gone)
        self._take_in_inventory()

    def _clear_all(self, asset_id: str, text: str) -> None:
        for standing in list(self.lifecycle.by_asset.get(asset_id, {}).values()):
            self._clear(standing, at_ms=self.now_ms, text=text)

    def _clear_ruleless(self) -> None:
        """Alarms of rules that the catalog no longer has."""
        for standing in list(self.lifecycle.standing.values()):
            source, kind = standing.alarm.source, standing.alarm.kind
            if source != DEVICE and source not in getattr(self._rules.get(kind), "by_id", {}):
                self._clear(standing, at_ms=self.now_ms, text=RULE_GONE)

    def _take_in_inventory(self) -> None:
        counts = Counter(asset.kind for asset in self.inventory.assets.values())
        for kind, count in counts.items():
            if kind in self._tables:
                self._tables[kind].reserve(count)
        for asset in self.inventory.assets.values():
            if asset.kind in self._tables:
                self._tables[asset.kind].add(asset.id)
        for rules in self._rules.values():
            rules.fit()
        self._root_cause.rebuild(self.inventory)

    def _now(self, now_ms: int) -> None:
        self.now_ms = self.lifecycle.now_ms = max(self.now_ms, now_ms)

    def _settle(self) -> None:
        self._root_cause.settle(self.now_ms)

    # Snapshots

    def snapshot(self) -> bytes:
        """All the engine knows after the last entry."""
        return msgspec.msgpack.encode(
            Snapshot(
                version=VERSION,
                catalog=self.catalog.version,
                now_ms=self.now_ms,
                listening=self.listening,
                ticked_ms=self._ticked_ms,
                return_ms=self._return_ms,
                tables={name: table.saved() for name, table in self._tables.items()},
                rules={name: rules.saved() for name, rules in self._rules.items()},
                lifecycle=self.lifecycle.saved(),
                root_cause=self._root_cause.saved(),
                device_cleared=[
                    (asset, alarm, at_ms) for (asset, alarm), at_ms in self._device_cleared.items()
                ],
            )
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot of the same version, catalog and inventory, before any entry."""
        self._take_values(snapshot)
        self.now_ms = self.lifecycle.now_ms = snapshot.now_ms
        self.listening = snapshot.listening
        self._ticked_ms, self._return_ms = snapshot.ticked_ms, snapshot.return_ms
        for name, rules in snapshot.rules.items():
            self._rules[name].restore(rules)
        self.lifecycle.restore(snapshot.lifecycle)
        self._root_cause.restore(snapshot.root_cause, self.inventory)
        self._device_cleared = {
            (asset, alarm): at_ms for asset, alarm, at_ms in snapshot.device_cleared
        }

    def adopt(
        self,
        standing: Sequence[Alarm],
        cleared: Sequence[Alarm],
        *,
        next_id: int,
        snapshot: Snapshot | None,
    ) -> None:
        """Begin with the alarms of the state database, those that stand and those that cleared
        last, under another catalog or version than they were raised by; before any entry.

        Last values are taken from the snapshot as far as they still fit. Timers begin anew.
        """
        if snapshot is not None:
            self._take_values(snapshot)
            self.now_ms = self.lifecycle.now_ms = snapshot.now_ms
            self._device_cleared = {
                (asset, alarm): at_ms for asset, alarm, at_ms in snapshot.device_cleared
            }
        for rules in self._rules.values():
            rules.fit()
        kept = []
        for number, alarm in enumerate(standing):
            kept.append(self._adopted(alarm, number))
        self.lifecycle.restore(
            LifecycleState(next_id=next_id, raised=len(kept), standing=kept, cleared=list(cleared))
        )
        children: dict[str, list[str]] = {}
        for alarm in standing:
            if alarm.suppressed and alarm.parent in self.lifecycle.standing:
                children.setdefault(alarm.parent, []).append(alarm.id)
        self._root_cause.restore(
            RootCauseState(recovering={}, roots={}, recent=[], children=children), self.inventory
        )

    def _adopted(self, alarm: Alarm, number: int) -> Standing:
        rules = self._rules.get(alarm.kind)
        watch = rules.by_id.get(alarm.source) if rules else None
        asset = self.inventory.assets.get(alarm.asset)
        span = bool(asset and asset.far_site)
        standing = Standing(
            alarm=alarm,
            number=number,
            began_ms=alarm.raised_ms,
            network=alarm.event_type in NETWORK_EVENTS,
            heard_ms=alarm.changed_ms,
            # Long past: the first tick makes its grace a whole one.
            unsuppress_ms=alarm.changed_ms if alarm.suppressed else None,
        )
        if rules is not None and watch is not None:
            row = rules.table.rows.get(alarm.asset)
            if row is not None:
                rules.raised(row, watch)
            standing.effect = watch.rule.effect
            standing.isolates = watch.rule.isolates and span
            standing.shared = watch.rule.shared_by == "site"
            standing.silence = watch.silence
            standing.network |= watch.silence
        elif alarm.source == DEVICE:
            standing.effect = _device_effect(alarm.severity, alarm.object)
            standing.isolates = span and alarm.probable_cause in ISOLATING_CAUSES
            standing.shared = (alarm.kind, alarm.probable_cause) in self._of_site
        return standing

    def _take_values(self, snapshot: Snapshot) -> None:
        for name, saved in snapshot.tables.items():
            table = self._tables.get(name)
            if table is not None:
                table.restore(saved)
        self._take_in_inventory()


def read_snapshot(content: bytes) -> Snapshot | None:
    """A snapshot as ``Engine.snapshot`` wrote it; None when it is of a form no longer known."""
    try:
        return msgspec.msgpack.decode(content, type=Snapshot)
    except msgspec.DecodeError:
        return None


def _severity(item: DeviceAlarm) -> Severity:
    return "indeterminate" if item.severity == "cleared" else item.severity


def _device_effect(severity: Severity, part: str) -> Effect:
    """X.733: critical is service affecting. Of a part of the asset, the asset is degraded."""
    if severity == "critical" and not part:
        return "down"
    return "degraded" if severity in ("critical", "major") else "none"
