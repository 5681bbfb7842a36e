"""One alert rule: what it asks, when that is too much or too little, and what it then says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import alerting, expr
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from dashboards import ask
from dashboards.setting import Setting
from ioc.catalog import Severity, Threshold
from ioc.catalog.model import EventType
from ioc.errors import QueryError
from ioc.text import Language, Text

Team = Literal["ioc", "network", "data-center"]
# What a rule becomes without an answer: it fires, it is well, or it stays as it was.
Otherwise = Literal["Alerting", "OK", "KeepLast"]

# Grafana evaluates no rule more often.
EVERY_S = 10
WINDOW_S = 60
# The times of the rule's own evaluation, not those of a board.
TIMES = "$timeFilter"
# The service's own rules look at the same metrics, and are to speak first.
AFTER_THE_SERVICE_S = 30
# Marks what is ours among the rules of a Grafana that others use, too.
SYSTEM = "ioc"
UID_PREFIX = "ioc-"
_EXPRESSION = "__expr__"
_VALUE = "V"  # what is compared, in texts: .Values.V
_DECIDES = "T"  # queries are A, B, C, …: no name may be used twice


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A query of a rule, over ``[now - from_s, now - to_s]``. Its answer is one number, or one for
    each value of the tag it is grouped by."""

    text: str
    from_s: int = WINDOW_S
    to_s: int = 0


@dataclass(frozen=True, kw_only=True)
class Watch:
    """An alert rule. ``name`` is its uid without the prefix, and the label ``rule``.

    The last value of each of ``asked`` is taken, worked on by ``formula`` (``$A - $B``; needed for
    more than one), and compared: the rule fires ``above`` or ``below`` its limit for ``for_s``
    seconds, until the value is beyond ``clear``. Texts may have ``{value}``, and ``{asset}`` where
    answers are grouped by it. ``silent`` is for no data, ``failed`` for a query that fails.
    ``page`` is where in the console people go on.
    """

    name: str
    title: Text
    team: Team
    severity: Severity
    event_type: EventType
    probable_cause: str
    text: Text
    action: Text
    asked: Sequence[Asked]
    formula: str = ""
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    decimals: int = 0
    for_s: int = 0
    silent: Otherwise = "KeepLast"
    failed: Otherwise = "KeepLast"
    page: str = "/alarms"


def from_catalog(
    on: Setting, kind: str, rule_id: str, *, team: Team, page: str = "/assets/{asset}"
) -> Watch:
    """A watch for what a rule of the catalog says, with its limits, words and severity.

    It fires ``AFTER_THE_SERVICE_S`` later. Raises ``KeyError`` for a rule that is not there,
    ``QueryError`` for one without a limit: Grafana's expressions compare numbers only.
    """
    rule = next((one for one in on.kind(kind).rules if one.id == rule_id), None)
    if rule is None:
        raise KeyError(f"{kind} has no rule {rule_id!r} in the catalog")
    when = rule.when
    if not isinstance(when, Threshold):
        raise QueryError(f"rule {rule_id}: {type(when).__name__} is not watched from outside")
    metric = on.metric(kind, when.metric)
    unit = "" if metric.unit == "1" else metric.unit
    limit = when.above if when.above is not None else when.below
    target = ask.latest(on, kind, [when.metric], group_by=["asset"], times=TIMES)
    return Watch(
        name=rule.id,
        title=_title(on, kind, when),
        team=team,
        severity=rule.severity,
        event_type=rule.event_type,
        probable_cause=rule.probable_cause,
        text=_put(rule.text, threshold=f"{limit:g}", unit=unit),
        action=rule.action,
        asked=(Asked(text=target.text),),
        above=when.above,
        below=when.below,
        clear=when.clear_below if when.above is not None else when.clear_above,
        decimals=metric.decimals,
        for_s=-(-(rule.for_s + AFTER_THE_SERVICE_S) // EVERY_S) * EVERY_S,
        page=page,
    )


def as_rule(watch: Watch, *, console_url: str) -> dict[str, Any]:
    """The rule as Grafana's provisioning files have it. Links lead to the console there: Grafana
    puts no variable of its environment into annotations."""
    data, condition = _data(watch)
    return {
        "uid": UID_PREFIX + watch.name.removeprefix(UID_PREFIX),
        "title": f"{watch.title.vi} · {watch.title.en}",
        "condition": condition,
        "data": data,
        "for": f"{watch.for_s}s",
        "noDataState": watch.silent,
        "execErrState": watch.failed,
        "labels": {
            "system": SYSTEM,
            "rule": watch.name,
            "team": watch.team,
            "severity": watch.severity,
            "event_type": watch.event_type,
            "probable_cause": watch.probable_cause,
        },
        "annotations": {
            "summary": _spoken(watch, "vi"),
            "summary_en": _spoken(watch, "en"),
            "description": watch.action.vi,
            "description_en": watch.action.en,
            "runbook_url": console_url + _filled(watch.page, watch),
        },
        "isPaused": False,
    }


def _title(on: Setting, kind: str, when: Threshold) -> Text:
    """What is watched and the limit: one metric may have several rules, a title must be one's."""
    metric = on.metric(kind, when.metric)
    sign, number = (">", when.above) if when.above is not None else ("<", when.below)
    limit = f"{sign} {number:g} {'' if metric.unit == '1' else metric.unit}".rstrip()
    described = on.kind(kind).title
    return Text(
        vi=f"{described.vi}: {metric.title.vi} {limit}",
        en=f"{described.en}: {metric.title.en} {limit}",
    )


def _put(text: Text, **known: str) -> Text:
    def put(one: str) -> str:
        for name, value in known.items():
            one = one.replace(f"{{{name}}}", value)
        # "37 " where a number has no unit.
        return " ".join(one.split())

    return Text(vi=put(text.vi), en=put(text.en))


def _spoken(watch: Watch, language: Language) -> str:
    # Who hears it is to know which of the two watches speaks.
    return "Grafana: " + _filled(watch.text.of(language), watch)


def _filled(text: str, watch: Watch) -> str:
    """The catalog's placeholders as Grafana's templates. None has a ``$``: some versions of Grafana
    take it for a variable of the environment."""
    value = (
        f'{{{{ with .Values.{_VALUE} }}}}{{{{ printf "%.{watch.decimals}f" .Value }}}}'
        "{{ else }}?{{ end }}"
    )
    return text.replace("{value}", value).replace("{asset}", "{{ .Labels.asset }}")


def _data(watch: Watch) -> tuple[list[dict[str, Any]], str]:
    """The queries and expressions of a rule, and which of them decides."""
    if (watch.above is None) is (watch.below is None):
        raise ValueError(f"watch {watch.name}: either above or below")
    if len(watch.asked) != 1 and not watch.formula:
        raise ValueError(f"watch {watch.name}: several questions need a formula")
    steps: list[alerting.Query] = []
    formula = watch.formula
    for place, asked in enumerate(watch.asked):
        name = chr(ord("A") + place)
        reduced = f"R{name}" if watch.formula else _VALUE
        query = ask.Target(text=asked.text, ref_id=name).build()
        times = alerting.RelativeTimeRange(from_val=asked.from_s, to=asked.to_s)
        steps.append(
            alerting.Query(
                datasource_uid=ask.SOURCE_UID, ref_id=name, model=query, relative_time_range=times
            )
        )
        steps.append(
            _step(expr.TypeReduce(ref_id=reduced, expression=name, reducer="last"), reduced)
        )
        formula = formula.replace(f"${name}", f"${{{reduced}}}")
    if formula:
        steps.append(_step(expr.TypeMath(ref_id=_VALUE, expression=formula), _VALUE))
    condition = expr.TypeThreshold(
        ref_id=_DECIDES, expression=_VALUE, conditions=[_compared(watch)]
    )
    steps.append(_step(condition, _DECIDES))
    plain: list[dict[str, Any]] = json.loads(JSONEncoder().encode(steps))
    return plain, _DECIDES


def _compared(watch: Watch) -> expr.ExprTypeThresholdConditions:
    rises = watch.above is not None
    limit = watch.above if watch.above is not None else watch.below
    assert limit is not None
    evaluator = expr.ExprTypeThresholdConditionsEvaluator(
        params=[float(limit)], type_val="gt" if rises else "lt"
    )
    if watch.clear is None or watch.clear == limit:
        return expr.ExprTypeThresholdConditions(evaluator=evaluator)
    until = expr.ExprTypeThresholdConditionsUnloadEvaluator(
        params=[float(watch.clear)], type_val="lt" if rises else "gt"
    )
    return expr.ExprTypeThresholdConditions(evaluator=evaluator, unload_evaluator=until)


def _step(model: Dataquery, name: str) -> alerting.Query:
    if isinstance(model, expr.TypeReduce | expr.TypeMath | expr.TypeThreshold):
        model.datasource = DataSourceRef(type_val=_EXPRESSION, uid=_EXPRESSION)
    times = alerting.RelativeTimeRange(from_val=WINDOW_S, to=0)
    return alerting.Query(
        datasource_uid=_EXPRESSION, ref_id=name, model=model, relative_time_range=times
    )
