"""Measures against the plan, and the typed query over the time series."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ioc.inventory.targets import Source, Target
from ioc.store import Answer, Query
from ioc.web.context import Context
from ioc.web.models import KpiView, MeasureView, Nothing, TargetSource, TargetView
from ioc.web.routing import Call, Route, json_response


async def show_kpis(call: Call[Nothing, Nothing]) -> KpiView:
    context = call.context
    places: dict[str, dict[str, dict[str, MeasureView]]] = {"commune": {}, "site": {}}
    province: dict[str, MeasureView] = {}
    for (name, scope, place), measure in sorted(context.live.measures.items()):
        view = MeasureView(value=measure.value, time_ms=measure.time_us // 1000)
        if scope == "province":
            province[name] = view
        else:
            places.setdefault(scope, {}).setdefault(place, {})[name] = view
    return KpiView(
        province=province,
        sites=places["site"],
        communes=places["commune"],
        plan=[_target(target, province) for target in context.plan.targets],
    )


def _target(target: Target, province: dict[str, MeasureView]) -> TargetView:
    measured = province.get(target.measure) if target.measure is not None else None
    reported = target.reported
    value = reported.value if reported is not None else measured.value if measured else None
    return TargetView(
        id=target.id,
        title=target.title,
        unit=target.unit,
        target=target.target,
        direction=target.direction,
        kind=target.kind,
        measure=target.measure,
        value=value,
        time_ms=measured.time_ms if measured is not None else None,
        reported_date=reported.date if reported is not None else None,
        source=_source(target.source),
        reported_source=_source(reported.source) if reported is not None else None,
        met=target.met(value),
    )


def _source(source: Source) -> TargetSource:
    return TargetSource(name=source.name, url=source.url, date=source.date)


async def answer_query(call: Call[Nothing, Query]) -> web.StreamResponse:
    """Ask the time-series store. At most four are under way; more wait their turn."""
    context: Context = call.context
    async with context.queries:
        answer = await context.store.query(call.body)
    # Up to 100,000 rows: msgspec is several times faster than the model's own way.
    return json_response(
        msgspec.json.encode(
            {"columns": answer.columns, "rows": answer.rows, "truncated": answer.truncated}
        )
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/kpis",
        handle=show_kpis,
        query=Nothing,
        body=Nothing,
        answer=KpiView,
        summary="Measures of province, communes and sites, and the plan",
        tag="measures",
    ),
    Route(
        method="POST",
        path="/api/v1/query",
        handle=answer_query,
        query=Nothing,
        body=Query,
        answer=Answer,
        summary="Ask the time series by the typed query",
        tag="measures",
        problems=(415,),
    ),
)
