"""An alarm and its lifecycle, in the words of X.733, TMF642 and ISA-18.2."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["critical", "major", "minor", "warning", "indeterminate"]
SEVERITIES: tuple[Severity, ...] = ("critical", "major", "minor", "warning", "indeterminate")
AssetState = Literal["up", "degraded", "down", "silent", "not_seen"]
TransitionKind = Literal[
    "raised",
    "changed",
    "cleared",
    "acknowledged",
    "unacknowledged",
    "commented",
    "suppressed",
    "unsuppressed",
]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """What is out of service by the root alarm, itself included, worked out from the topology.

    ``stations`` are among ``assets``; ``population`` is whom those serve.
    """

    assets: int = 0
    stations: int = 0
    population: int = 0


class Alarm(msgspec.Struct, kw_only=True):
    """One alarm from raised to cleared. Times are Unix ms.

    ``source`` is the rule's id, or "device" for an alarm of the equipment (``external_id`` is then
    its own id). ``object`` is the part of the asset ("cell-2"), "" for the whole. ``parent`` names
    the root alarm that explains this one: while it stands, this one is ``suppressed`` (not
    notified, still monitored). ``impact`` is set on a root.
    """

    id: str
    source: str
    asset: str
    kind: str
    site: str
    commune: str
    severity: Severity
    event_type: str
    probable_cause: str
    text_vi: str
    text_en: str
    action_vi: str = ""
    action_en: str = ""
    object: str = ""
    external_id: str = ""
    state: Literal["raised", "cleared"] = "raised"
    acknowledged: bool = False
    acknowledged_by: str = ""
    acknowledged_ms: int | None = None
    raised_ms: int = 0
    changed_ms: int = 0
    cleared_ms: int | None = None
    value: float | None = None
    threshold: float | None = None
    metric: str = ""
    parent: str = ""
    suppressed: bool = False
    impact: Impact | None = None
    # Root cause is still being looked for until this time: notification waits, monitoring does not.
    settles_ms: int = 0


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one alarm, committed with the engine's position in the journal.

    ``alarm`` is the alarm as it is after the change. ``id`` grows with every transition.
    """

    id: int
    position: int
    at_ms: int
    kind: TransitionKind
    actor: str
    text: str
    alarm: Alarm
