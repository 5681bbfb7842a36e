"""What can be measured on which kind of asset, and when it is an alarm."""

from ioc.catalog.model import (
    Catalog,
    Condition,
    Domain,
    Equals,
    EventType,
    Flapping,
    Kind,
    Metric,
    NoData,
    Rate,
    Rule,
    Severity,
    Threshold,
    load_catalog,
)

__all__ = [
    "Catalog",
    "Condition",
    "Domain",
    "Equals",
    "EventType",
    "Flapping",
    "Kind",
    "Metric",
    "NoData",
    "Rate",
    "Rule",
    "Severity",
    "Threshold",
    "load_catalog",
]
