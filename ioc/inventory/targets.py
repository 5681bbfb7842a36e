"""The province's plan: what is to be reached, and by whose word it is or is not.

A target is either measured here from telemetry, or reported by somebody with a source. It is never
both, and a reported figure is never shown as measured.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ioc.text import Text

Day = Annotated[str, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$", description="2026 or 2026-01-31")]
Scope = Literal["province", "commune", "site"]
MeasureName = Literal[
    "bts_total",
    "bts_up",
    "bts_availability_percent",
    "bts_5g_share_percent",
    "download_mbit_s",
    "population_without_service",
    "fibre_built_km",
    "fibre_in_service_km",
    "spans_total",
    "spans_up",
    "bts_degraded",
    "bts_down",
    "bts_silent",
    "spans_degraded",
    "spans_down",
    "spans_silent",
    "alarms_active",
    "alarms_critical",
    "alarms_major",
    "alarms_minor",
    "alarms_warning",
    "alarms_suppressed",
    "alarms_unacknowledged",
    "alarms_written",
    "incidents_active",
    "data_centers_up",
    "data_center_up",
    "it_power_kw",
    "pue",
]
# "about 400" is missed when the value is more than this share below it.
ABOUT_WITHIN = 0.05


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Strict):
    """Who said so, and when."""

    name: str = Field(min_length=1, max_length=300)
    url: str | None = Field(default=None, pattern=r"^https://")
    date: Day | None = None


class Reported(_Strict):
    """A figure that telemetry cannot give. ``value`` is None while nobody has published one;
    ``date`` is then the day that was looked."""

    value: float | None
    date: Day
    source: Source


class Target(_Strict):
    """One aim of the plan. ``measure`` names the province's measure that it is held against."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: Text
    unit: str = Field(min_length=1, max_length=16, description='"1" for a count')
    target: float
    direction: Literal["at_least", "at_most", "about"]
    source: Source
    measure: MeasureName | None = None
    reported: Reported | None = None

    @model_validator(mode="after")
    def _one_word(self) -> Self:
        if (self.measure is None) == (self.reported is None):
            raise ValueError("give either measure or reported, never both")
        return self

    @property
    def kind(self) -> Literal["measured", "reported"]:
        return "measured" if self.measure is not None else "reported"

    def met(self, value: float | None) -> bool | None:
        """Whether ``value`` meets the target; None while there is no value.

        "about" is met from 5 % below the target upwards.
        """
        if value is None:
            return None
        if self.direction == "at_most":
            return value <= self.target
        slack = ABOUT_WITHIN * abs(self.target) if self.direction == "about" else 0.0
        return value >= self.target - slack
