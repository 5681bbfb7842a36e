"""What goes in and out over HTTP. The OpenAPI document is generated from these models.

Times are Unix ms. A field that is null was not measured or does not apply.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ioc.alarms.model import AssetState, Severity, TransitionKind
from ioc.text import Text
from ioc.web.auth import Role

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Search = Annotated[str, Field(max_length=100)]
# A time, and the id that tells apart what has the same time: "1767225600000.some-id".
Before = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[A-Za-z0-9_-]{1,64})?$")]
Scalar = bool | int | float | str
DeliveryStatus = Literal["pending", "delivered", "dead"]


class Input(BaseModel):
    """What a caller sends: an unknown field is a mistake, not a wish."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Output(BaseModel):
    """What the service answers. New fields may come; none goes away within a version."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Nothing(Input):
    """No body, or no parameters."""


# Problems (RFC 9457)


class FieldFault(Output):
    """One field that cannot be used, and why."""

    field: str
    detail: str


class Problem(Output):
    """An error, as RFC 9457 has it. ``type`` is stable; a program decides by it."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[FieldFault] | None = None


# Health


class StageView(Output):
    """One stage: what it says of itself."""

    name: str
    state: Literal["starting", "running", "failed", "stopped"]
    ready: bool
    position: int
    behind: int = Field(description="how many of `unit` wait in front of the stage")
    unit: str
    lag_s: float = Field(description="how long the oldest of them has waited, in seconds")
    restarts: int
    last_error: str
    last_error_ms: int | None
    note: str
    note_vi: str


class JournalView(Output):
    """The journal: what it holds, and how long it would last with its slowest consumer away."""

    first: int
    end: int
    bytes: int
    bound_bytes: int
    free_disk_bytes: int
    reserve_bytes: int
    admits: bool
    hours_left: float | None
    quarantined_total: int
    quarantine_dropped: int
    positions: dict[str, int]


class Ready(Output):
    """Whether every stage does its work."""

    ready: bool
    stages: dict[str, StageView]
    journal: JournalView


class Alive(Output):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


# Sign-in


class SignIn(Input):
    """A token, to be traded for a session cookie."""

    token: str = Field(min_length=1, max_length=256)


class CodeQuery(Input):
    code: str = Field(default="", max_length=256)


class ProvinceName(Output):
    id: str
    name: Text


class SessionView(Output):
    """Who is signed in, and to what. ``synthetic``: the equipment does not exist."""

    actor: str
    role: Role
    province: ProvinceName
    version: str
    synthetic: bool


class SignInCode(Output):
    """A code that signs a browser in once, within ten minutes, and the link that has it."""

    code: str
    url: str
    expires_ms: int


class NewToken(Input):
    """A token to make."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w.@ -]+$")
    role: Role = "viewer"
    days: int | None = Field(default=90, ge=1, le=3650, description="null: it does not end")


class TokenView(Output):
    id: str
    name: str
    role: Role
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    state: Literal["in_force", "expired", "revoked"]


class CreatedToken(TokenView):
    """The one answer that has the token itself: it cannot be shown again."""

    token: str


class TokenList(Output):
    items: list[TokenView]


# Catalog and map


class DomainView(Output):
    title: Text
    kinds: list[str]


class MetricView(Output):
    """A metric: ``range`` is what can be true, ``normal`` what is usual."""

    title: Text
    unit: str
    type: Literal["float", "int", "bool", "enum"]
    range: tuple[float, float] | None
    normal: tuple[float, float] | None
    values: list[str] | None
    cadence_s: int
    decimals: int
    standard: str | None
    source: str
    show: bool


class RuleView(Output):
    """A rule of the catalog. ``when`` has the fields of its condition."""

    id: str
    when: dict[str, Scalar | None]
    for_s: int
    clear_for_s: int
    severity: Severity
    event_type: str
    probable_cause: str
    effect: Literal["down", "degraded", "none"]
    isolates: bool
    shared_by: Literal["site"] | None
    text: Text
    action: Text
    source: str


class KindView(Output):
    """``own``: the service itself, which nobody else sends for and which is not on the map."""

    domain: str
    title: Text
    own: bool = False
    metrics: dict[str, MetricView]
    rules: list[RuleView]


class CatalogView(Output):
    version: str
    domains: dict[str, DomainView]
    kinds: dict[str, KindView]


class MapCommune(Output):
    code: str
    name: str
    lat: float
    lon: float
    population: int


class MapSite(Output):
    id: str
    name: str
    commune: str
    lat: float
    lon: float
    core: bool
    data_center: bool


class MapView(Output):
    """Where everything is; what state it is in comes over the stream.

    A row of ``assets`` is id, kind, index into ``sites``, operator; a row of ``spans`` is id and
    the indexes of both ends (-1: the site is not in the inventory).
    """

    inventory_version: int
    bbox: tuple[float, float, float, float] = Field(description="west, south, east, north")
    communes: list[MapCommune]
    sites: list[MapSite]
    assets: list[tuple[str, str, int, str]]
    spans: list[tuple[str, int, int]]


# Alarms


class ImpactView(Output):
    """What a root alarm takes with it."""

    assets: int
    stations: int
    population: int


class AlarmView(Output):
    """An alarm (X.733, TMF642) with the names a person needs beside it.

    ``parent`` is the root alarm that explains this one; while it stands, this one is
    ``suppressed``: not notified, still monitored. ``suppressed_count`` is how many alarms this one
    explains.
    """

    id: str
    source: str = Field(description='the rule\'s id, or "device"')
    asset: str
    asset_name: str
    kind: str
    site: str
    site_name: str
    commune: str
    commune_name: str
    lat: float | None
    lon: float | None
    severity: Severity
    event_type: str
    probable_cause: str
    text_vi: str
    text_en: str
    action_vi: str
    action_en: str
    object: str
    external_id: str
    state: Literal["raised", "cleared"]
    acknowledged: bool
    acknowledged_by: str
    acknowledged_ms: int | None
    raised_ms: int
    changed_ms: int
    cleared_ms: int | None
    value: float | None
    threshold: float | None
    metric: str
    parent: str
    suppressed: bool
    suppressed_count: int
    impact: ImpactView | None
    settles_ms: int


class AlarmQuery(Input):
    """Which alarms. A parameter that may be repeated takes any of its values."""

    state: Literal["raised", "cleared", "all"] = "all"
    severity: tuple[Severity, ...] = Field(default=(), max_length=5)
    kind: tuple[Id, ...] = Field(default=(), max_length=16)
    asset: Id | None = None
    parent: Id | None = None
    suppressed: bool | None = None
    q: Search = Field(default="", description="part of a text, an asset's id or a name")
    before_ms: Before | None = Field(
        default=None, description="raised before this time, or `next` of the page before"
    )
    limit: int = Field(default=100, ge=1, le=500)


class AlarmPage(Output):
    """Alarms, the newest first. ``next`` is null on the last page."""

    items: list[AlarmView]
    next: str | None


class TransitionView(Output):
    id: int
    at_ms: int
    kind: TransitionKind
    actor: str
    text: str


class AlarmDetail(Output):
    """One alarm with its history, what it explains, and its rule (null for a device's alarm)."""

    alarm: AlarmView
    transitions: list[TransitionView]
    children: list[AlarmView]
    rule: RuleView | None


class Comment(Input):
    """What an operator says about an alarm."""

    comment: str = Field(default="", max_length=2000)


class RequiredComment(Input):
    """What an operator says about an alarm."""

    comment: str = Field(min_length=1, max_length=2000)


# Assets


class AssetQuery(Input):
    """Which assets. A parameter that may be repeated takes any of its values."""

    kind: tuple[Id, ...] = Field(default=(), max_length=16)
    state: tuple[AssetState, ...] = Field(default=(), max_length=5)
    commune: Id | None = None
    site: Id | None = None
    operator: Annotated[str, Field(max_length=64)] | None = None
    q: Search = Field(default="", description="part of an id or a name; diacritics do not matter")
    after: Annotated[str, Field(max_length=64)] = Field(
        default="", description="`next` of the page before"
    )
    limit: int = Field(default=100, ge=1, le=1000)


class AssetRow(Output):
    id: str
    kind: str
    name: str
    state: AssetState
    commune: str
    commune_name: str
    site: str
    site_name: str
    operator: str
    last_seen_ms: int | None


class AssetPage(Output):
    """Assets in the order of their ids. ``total`` counts all that fit."""

    items: list[AssetRow]
    next: str | None
    total: int


class AssetView(Output):
    """An asset with all its fields, and the names of its places."""

    id: str
    kind: str
    name: str
    province: str
    commune: str
    commune_name: str
    site: str
    site_name: str
    far_site: str
    far_site_name: str
    lat: float
    lon: float
    operator: str
    depends_on: list[str]
    population: int
    length_km: float
    simulated: bool
    synthetic: bool
    attributes: dict[str, Scalar]


class ValueView(Output):
    """A metric's last value. ``stale``: older than three of its own cadences."""

    value: Scalar
    at_ms: int
    age_s: float
    stale: bool


class Neighbours(Output):
    """The spans that end at the asset's site, and what else stands there."""

    spans: list[str]
    stations: list[str]


class AssetDetail(Output):
    asset: AssetView
    state: AssetState
    last_seen_ms: int | None
    values: dict[str, ValueView]
    alarms: list[AlarmView]
    recent_alarms: list[AlarmView]
    neighbours: Neighbours


class NewSite(Input):
    id: Id
    name: str = Field(min_length=1, max_length=128)
    commune: Id
    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)
    core: bool = False


class NewAsset(Input):
    """An asset to add or replace. ``site`` is in the inventory or in the same request."""

    id: Id
    kind: Id
    name: str = Field(min_length=1, max_length=128)
    commune: Id | None = Field(default=None, description="the site's, when left out")
    site: Id
    lat: float | None = Field(default=None, ge=-90, le=90, description="the site's, when left out")
    lon: float | None = Field(default=None, ge=-180, le=180)
    operator: str = Field(default="", max_length=64)
    far_site: Id | None = None
    depends_on: tuple[Id, ...] = Field(default=(), max_length=64)
    population: int = Field(default=0, ge=0, le=10_000_000)
    length_km: float = Field(default=0.0, ge=0, le=10_000)
    synthetic: bool = False
    attributes: dict[Id, Annotated[str, Field(max_length=256)] | bool | int | float] = Field(
        default_factory=dict, max_length=32
    )


class InventoryChange(Input):
    """Sites and assets to add or replace, all or nothing."""

    sites: tuple[NewSite, ...] = Field(default=(), max_length=1000)
    assets: tuple[NewAsset, ...] = Field(default=(), max_length=1000)


class ImportedAsset(NewAsset):
    """An asset of an import, which says itself whether it is simulated."""

    simulated: bool = False


class InventoryImport(Input):
    """A change of any size: sites and assets to put, assets to retire, empty sites to drop."""

    sites: tuple[NewSite, ...] = Field(default=(), max_length=100_000)
    assets: tuple[ImportedAsset, ...] = Field(default=(), max_length=200_000)
    retire: tuple[Id, ...] = Field(default=(), max_length=200_000)
    drop_sites: tuple[Id, ...] = Field(default=(), max_length=100_000)


class InventoryChanged(Output):
    """The change is on disk; ``in_force`` says whether the alarm engine already judges by it."""

    position: int
    inventory_version: int
    in_force: bool


class Exported(Output):
    """A part of an inventory file: what is as usual is left out."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)


class ExportedSite(Exported):
    id: str
    name: str
    commune: str
    lat: float
    lon: float
    core: bool = False


class ExportedAsset(Exported):
    id: str
    kind: str
    name: str
    province: str
    commune: str
    site: str
    lat: float
    lon: float
    operator: str = ""
    far_site: str = ""
    depends_on: list[str] = []
    population: int = 0
    length_km: float = 0.0
    simulated: bool = False
    synthetic: bool = False
    attributes: dict[str, Scalar] = {}


class InventoryExport(Output):
    """The whole inventory, in the form of an inventory file."""

    province: str
    sites: list[ExportedSite]
    assets: list[ExportedAsset]


# Measures


class MeasureView(Output):
    value: float
    time_ms: int


class TargetSource(Output):
    name: str
    url: str | None
    date: str | None


class TargetView(Output):
    """A target of the province's plan: measured here, or reported by somebody; never both.

    ``met`` is null while there is no value.
    """

    id: str
    title: Text
    unit: str
    target: float
    direction: Literal["at_least", "at_most", "about"]
    kind: Literal["measured", "reported"]
    measure: str | None
    value: float | None
    time_ms: int | None = Field(description="when it was measured")
    reported_date: str | None = Field(description="the day it was reported for")
    source: TargetSource = Field(description="who set the target")
    reported_source: TargetSource | None = Field(description="who reported the value")
    met: bool | None


class KpiView(Output):
    province: dict[str, MeasureView]
    sites: dict[str, dict[str, MeasureView]]
    communes: dict[str, dict[str, MeasureView]]
    plan: list[TargetView]


# Logs


class QuarantineQuery(Input):
    before_id: int | None = Field(default=None, ge=0, le=2**53)
    reason: Annotated[str, Field(max_length=64, pattern=r"^[a-z_]*$")] | None = None
    limit: int = Field(default=100, ge=1, le=500)


class QuarantinedView(Output):
    """A message that was not admitted. ``payload_text`` is at most its first 4 KiB, with what is
    not text replaced."""

    id: int
    received_ms: int
    topic: str
    reason: str
    detail: str
    payload_text: str
    payload_bytes: int


class QuarantinePage(Output):
    """The newest first. ``next`` is the ``before_id`` of the next page; ``totals`` count each
    reason since the journal began, ``dropped`` those that made way for newer ones."""

    items: list[QuarantinedView]
    next: int | None
    totals: dict[str, int]
    dropped: int


class DeliveryQuery(Input):
    status: DeliveryStatus | None = None
    route: Annotated[str, Field(max_length=64)] = ""
    alarm: Annotated[str, Field(max_length=64)] = ""
    before_ms: int | None = Field(default=None, ge=0, le=2**53)
    limit: int = Field(default=50, ge=1, le=200)


class AttemptView(Output):
    at_ms: int
    duration_ms: int
    status_code: int | None
    error: str


class DeliveryView(Output):
    """One notification to one route. ``firing`` is false for a clear."""

    id: str
    route: str
    alarm: str
    group_key: str
    status: DeliveryStatus
    firing: bool
    created_ms: int
    next_attempt_ms: int | None
    attempts: int
    finished_ms: int | None
    last_error: str
    asset: str
    text_vi: str
    text_en: str
    log: list[AttemptView]


class DeliveryPage(Output):
    """The newest first. ``next`` is the ``before_ms`` of the next page. A page may be longer than
    asked for: what was decided in one millisecond stays together. Of ``routes`` the
    ``disabled_routes`` are told nothing, with the reason."""

    items: list[DeliveryView]
    next: int | None
    totals: dict[str, int]
    routes: list[str]
    disabled_routes: dict[str, str]


# The live stream


class AlarmTotals(Output):
    """Active alarms. Severities and ``unacknowledged`` count the unsuppressed ones."""

    critical: int
    major: int
    minor: int
    warning: int
    indeterminate: int
    suppressed: int
    unacknowledged: int


class LiveAlarms(Output):
    """``active``: unsuppressed, worst first, at most 200. ``per_10_min``: alarms that operators
    were shown in each 10 minutes of the last four hours, the oldest first."""

    active: list[AlarmView]
    totals: AlarmTotals
    last_cleared_ms: int | None
    per_10_min: list[int]


class LiveMeasure(Output):
    name: str
    scope: Literal["province", "site"]
    place: str
    value: float
    time_ms: int


class LiveIngest(Output):
    messages_per_s: float
    behind: int
    connected: bool
    last_message_ms: int | None
    quarantined_total: int
    missed_total: int


class LiveDeliveries(Output):
    delivered: int
    pending: int
    dead: int


class Snapshot(Output):
    """The province now. A ``change`` event has ``version``, ``now_ms`` and the keys that changed;
    in ``abnormal`` only the assets that changed, "up" for those that are normal again."""

    version: int
    now_ms: int
    inventory_version: int
    counts: dict[str, dict[AssetState, int]]
    abnormal: dict[str, AssetState]
    alarms: LiveAlarms
    kpis: list[LiveMeasure]
    ingest: LiveIngest
    deliveries: LiveDeliveries
    ready: bool
    not_ready: list[str]
