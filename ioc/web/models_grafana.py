"""What Grafana's webhook contact point sends, and what it is told.

The form is Grafana's own (version "1" since Grafana 9, the same in 11.6). Fields that are not
needed here are passed over, and so are fields that a newer Grafana adds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ioc.alarms.model import Severity
from ioc.web.models import Output

# How many alerts one message may hold; within the 1 MiB of a body there is room for no more.
MAX_ALERTS = 1000

Labels = Annotated[dict[str, str], Field(max_length=100)]


class _Sent(BaseModel):
    """A part of what Grafana sends."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class GrafanaAlert(_Sent):
    """One instance of an alert rule: one combination of its labels.

    ``fingerprint`` is Grafana's name of that combination. ``startsAt`` stays the same while it
    fires; ``endsAt`` is the year 1 until it is resolved.
    """

    status: Literal["firing", "resolved"]
    fingerprint: str = Field(pattern=r"^[0-9a-fA-F]{1,32}$")
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")


class GrafanaAlerts(_Sent):
    """A group of alerts. ``truncatedAlerts`` says how many the contact point left out."""

    version: Literal["1"] = "1"
    alerts: tuple[GrafanaAlert, ...] = Field(max_length=MAX_ALERTS)
    truncated_alerts: int = Field(default=0, ge=0, le=2**53, alias="truncatedAlerts")


class ReportedAlarm(Output):
    """What became of one alert: an alarm of ``asset``, under the id that the reporter gave it."""

    asset: str
    alarm_id: str
    state: Literal["raised", "cleared"]
    severity: Severity


class Reported(Output):
    """What is in the journal now, in the order of the alerts."""

    items: list[ReportedAlarm]
