"""The words of an alarm: a rule's text with what was measured put in.

A rule's text may name what ``ioc.catalog.model.PLACEHOLDERS`` lists; the catalog refuses others.
"""

from __future__ import annotations

import math

from ioc.catalog.cause_words import CAUSE_VI
from ioc.catalog.model import Equals, Flapping, Metric, NoData, Rate, Rule
from ioc.journal.records import DeviceAlarm
from ioc.text import Language, Text

# Units as people write them, where the catalog's word is another.
_SHOWN = {"1": "", "us": "µs"}
_YES_NO = {"vi": ("không", "có"), "en": ("no", "yes")}


def device_words(item: DeviceAlarm) -> Text:
    """What the equipment said. Where that is not Vietnamese: its probable cause in Vietnamese, and
    its own words after that, which its manual is searched for. Words with letters beyond ASCII are
    taken for Vietnamese: a gateway may say them so."""
    own = item.text or item.probable_cause
    cause = CAUSE_VI.get(item.probable_cause)
    vi = item.text_vi
    if not vi and cause and own.isascii():
        vi = f"{cause} ({item.text})" if item.text else cause
    return Text(vi=(vi or own)[:500], en=own[:500])


def filled(
    text: Text,
    *,
    rule: Rule,
    metric: Metric | None,
    asset: str,
    value: float,
    threshold: float | None,
) -> Text:
    """A rule's text with the asset's name and what was measured, in both languages."""
    unit = _unit(rule, metric)

    def words(language: Language) -> str:
        return text.of(language).format(
            asset=asset,
            value=_shown(rule, metric, value, language),
            threshold="" if threshold is None else _shown(rule, metric, threshold, language),
            unit=unit,
        )

    return Text(vi=words("vi")[:500], en=words("en")[:500])


def _unit(rule: Rule, metric: Metric | None) -> str:
    if isinstance(rule.when, NoData):
        return "s"
    if metric is None or isinstance(rule.when, Flapping):
        return ""
    unit = _SHOWN.get(metric.unit, metric.unit)
    return f"{unit}/min" if isinstance(rule.when, Rate) else unit


def _shown(rule: Rule, metric: Metric | None, value: float, language: Language) -> str:
    if math.isnan(value):
        return "–"
    if metric is None or isinstance(rule.when, Flapping | NoData):
        return f"{value:.0f}"
    if isinstance(rule.when, Equals):
        if metric.values:
            return metric.values[int(value)]
        return _YES_NO[language][bool(value)]
    decimals = 0 if metric.type == "int" and value == int(value) else metric.decimals
    shown = f"{value:.{decimals}f}"
    if value and float(shown) == 0:
        shown = f"{value:.1e}"  # a bit error ratio has no use for "0.0"
    return shown.replace(".", ",") if language == "vi" else shown
