"""The life of an alarm (ISA-18.2, TMF642): every change of every alarm is one transition.

Raised, changed, cleared; beside that acknowledged or not, suppressed or not. A cleared alarm can
still be acknowledged and commented. A device alarm is known by (asset, its own id); one of a rule
by (asset, rule): no second one is raised while the first stands.

Deterministic: ids come from the journal's UUID and position, times from its records.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Literal

import msgspec

from ioc.alarms.model import Alarm, Impact, Transition, TransitionKind
from ioc.errors import CommandError
from ioc.journal.records import Command

DEVICE = "device"
# Who a transition is by when no person is.
ENGINE = "ioc"
# Cleared alarms that can still be acknowledged or commented.
REMEMBERED_CLEARED = 4000

Key = tuple[str, str, str]  # asset, source, external id
Effect = Literal["down", "degraded", "none"]


class Standing(msgspec.Struct, kw_only=True):
    """An alarm that stands, with what the engine needs to know of it.

    ``number`` is its place in the order of raising, ``began_ms`` our clock when it was raised.
    ``isolates``: it says that a span is failed. ``network``: the loss of a path could explain it.
    ``shared``: its neighbours on the mast have it for the same reason. ``silence``: nothing comes.
    ``heard_ms`` is the time of the device's last word on it. ``unsuppress_ms``: its parent is gone;
    from then on it stands for itself.
    """

    alarm: Alarm
    number: int
    began_ms: int
    effect: Effect = "none"
    isolates: bool = False
    network: bool = False
    shared: bool = False
    silence: bool = False
    heard_ms: int = 0
    unsuppress_ms: int | None = None

    @property
    def key(self) -> Key:
        return (self.alarm.asset, self.alarm.source, self.alarm.external_id)


class LifecycleState(msgspec.Struct, kw_only=True):
    """The alarms as a snapshot keeps them."""

    next_id: int
    raised: int
    standing: list[Standing]
    cleared: list[Alarm]


def check_command(alarm: Alarm, action: str) -> None:
    """Raise ``CommandError`` when an operator's action does not fit the alarm as it is."""
    if action == "acknowledge" and alarm.acknowledged:
        raise CommandError(f"alarm {alarm.id}: already acknowledged by {alarm.acknowledged_by}")
    if action == "unacknowledge" and not alarm.acknowledged:
        raise CommandError(f"alarm {alarm.id}: not acknowledged")
    if action == "clear" and alarm.state == "cleared":
        raise CommandError(f"alarm {alarm.id}: already cleared")
    if action == "clear" and alarm.source != DEVICE:
        raise CommandError(
            f"alarm {alarm.id}: of rule {alarm.source}: it clears when its condition is gone"
        )


class Lifecycle:
    """All alarms that stand, and the transitions of the entry at hand.

    An alarm that is raised is announced at the end of its entry (``announce``), when its root cause
    has been looked for; ``settle`` is called when one of them changes before that.
    """

    def __init__(self, *, journal_uuid: str, settle: Callable[[], None]) -> None:
        self.standing: dict[str, Standing] = {}  # by id, in the order of raising
        self.by_key: dict[Key, Standing] = {}
        self.by_asset: dict[str, dict[str, Standing]] = {}
        self.cleared: dict[str, Alarm] = {}
        self.next_id = 1
        self.raised = 0  # how many ever were
        self.now_ms = 0
        self.fresh: dict[str, Standing] = {}  # raised, not announced yet
        self._journal_uuid = journal_uuid
        self._settle = settle
        self._position = 0
        self._raised_here = 0
        self._transitions: list[Transition] = []

    def begin(self, position: int) -> None:
        """An entry begins."""
        self._position = position
        self._raised_here = 0
        self._transitions = []

    def end(self) -> list[Transition]:
        """The transitions of the entry, in their order."""
        return self._transitions

    def alarm_id(self, asset: str, source: str) -> str:
        """An id that the same journal always gives, and no other."""
        self._raised_here += 1
        told = f"{self._journal_uuid}/{self._position}/{source}/{asset}/{self._raised_here}"
        digest = hashlib.blake2b(told.encode(), digest_size=10).digest()
        return base64.b32encode(digest).decode()

    def rise(self, standing: Standing) -> None:
        """An alarm begins; it is announced later."""
        self.raised += 1
        self._keep(standing)
        self.fresh[standing.alarm.id] = standing

    def announce(self) -> None:
        """Tell of the alarms that were raised, as their root cause left them."""
        fresh, self.fresh = self.fresh, {}
        for standing in fresh.values():
            self._record(standing.alarm, "raised", text=standing.alarm.parent)

    def clear(self, standing: Standing, *, at_ms: int, actor: str = ENGINE, text: str = "") -> None:
        """An alarm is over. Always told, suppressed or not."""
        self._settled(standing)
        alarm = standing.alarm
        alarm.state = "cleared"
        alarm.cleared_ms = alarm.changed_ms = max(at_ms, alarm.raised_ms)
        del self.standing[alarm.id]
        del self.by_key[standing.key]
        of_asset = self.by_asset[alarm.asset]
        del of_asset[alarm.id]
        if not of_asset:
            del self.by_asset[alarm.asset]
        self._remember(alarm)
        self._record(alarm, "cleared", actor=actor or ENGINE, text=text)

    def change(self, standing: Standing, *, at_ms: int, **fields: object) -> None:
        """Something that the alarm says is different."""
        self._settled(standing)
        for field, value in fields.items():
            setattr(standing.alarm, field, value)
        standing.alarm.changed_ms = max(at_ms, standing.alarm.changed_ms)
        self._record(standing.alarm, "changed")

    def weigh(self, standing: Standing, impact: Impact | None) -> None:
        """Set what a root takes with it; told when it is different."""
        if standing.alarm.impact == impact:
            return
        if standing.alarm.id in self.fresh:
            standing.alarm.impact = impact
        else:
            self.change(standing, at_ms=self.now_ms, impact=impact)

    def suppress(self, standing: Standing, parent: str) -> None:
        """The alarm is explained by another; monitoring goes on, notification does not."""
        standing.unsuppress_ms = None
        alarm = standing.alarm
        if alarm.suppressed and alarm.parent == parent:
            return
        alarm.parent, alarm.suppressed = parent, True
        if alarm.id not in self.fresh:
            self._record(alarm, "suppressed", text=parent)

    def unsuppress(self, standing: Standing) -> None:
        """The alarm stands for itself again."""
        standing.unsuppress_ms = None
        alarm = standing.alarm
        text, alarm.parent, alarm.suppressed = alarm.parent, "", False
        self._record(alarm, "unsuppressed", text=text)

    def command(self, command: Command) -> Standing | None:
        """Carry out what an operator asked for; the alarm if it was cleared by it.

        Raises ``CommandError`` when it does not fit.
        """
        standing = self.standing.get(command.alarm)
        alarm = standing.alarm if standing else self.cleared.get(command.alarm)
        if alarm is None:
            raise CommandError(f"alarm {command.alarm}: no such alarm, or cleared too long ago")
        check_command(alarm, command.action)
        if standing:
            self._settled(standing)
        match command.action:
            case "acknowledge":
                alarm.acknowledged, alarm.acknowledged_by = True, command.actor
                alarm.acknowledged_ms = command.now_ms
                self._record(alarm, "acknowledged", actor=command.actor, text=command.text)
            case "unacknowledge":
                alarm.acknowledged, alarm.acknowledged_by = False, ""
                alarm.acknowledged_ms = None
                self._record(alarm, "unacknowledged", actor=command.actor, text=command.text)
            case "comment":
                self._record(alarm, "commented", actor=command.actor, text=command.text)
            case "clear":
                return standing
        return None

    def saved(self) -> LifecycleState:
        """A copy for a snapshot, to be encoded before the next entry."""
        return LifecycleState(
            next_id=self.next_id,
            raised=self.raised,
            standing=list(self.standing.values()),
            cleared=list(self.cleared.values()),
        )

    def restore(self, saved: LifecycleState) -> None:
        """Take over a snapshot."""
        self.next_id, self.raised = saved.next_id, saved.raised
        for standing in saved.standing:
            self._keep(standing)
        self.cleared = {alarm.id: alarm for alarm in saved.cleared}

    def _keep(self, standing: Standing) -> None:
        alarm = standing.alarm
        self.standing[alarm.id] = standing
        self.by_key[standing.key] = standing
        self.by_asset.setdefault(alarm.asset, {})[alarm.id] = standing

    def _remember(self, alarm: Alarm) -> None:
        self.cleared[alarm.id] = alarm
        if len(self.cleared) > REMEMBERED_CLEARED:
            del self.cleared[next(iter(self.cleared))]

    def _settled(self, standing: Standing) -> None:
        """Before an alarm changes, it has been announced."""
        if standing.alarm.id in self.fresh:
            self._settle()

    def _record(
        self, alarm: Alarm, kind: TransitionKind, *, actor: str = ENGINE, text: str = ""
    ) -> None:
        self._transitions.append(
            Transition(
                id=self.next_id,
                position=self._position,
                at_ms=self.now_ms,
                kind=kind,
                actor=actor,
                text=text,
                alarm=msgspec.structs.replace(alarm),
            )
        )
        self.next_id += 1
