"""Alarms: lists, one alarm with its history, and what operators do about them."""

from __future__ import annotations

import uuid
from typing import Literal

from aiohttp import web
from sqlalchemy import Connection

from ioc.alarms.history import (
    AlarmHistory,
    alarm_with_history,
    children_counts,
    page_of_alarms,
)
from ioc.alarms.lifecycle import check_command
from ioc.alarms.model import Alarm
from ioc.errors import CommandError
from ioc.journal.records import Command
from ioc.web.context import Context
from ioc.web.models import (
    AlarmDetail,
    AlarmPage,
    AlarmQuery,
    AlarmView,
    Comment,
    Nothing,
    RequiredComment,
    TransitionView,
)
from ioc.web.problems import not_found
from ioc.web.routing import Call, Route, json_response
from ioc.web.views import rule_view

APPLIED_WITHIN_S = 2.0
Action = Literal["acknowledge", "unacknowledge", "comment", "clear"]


async def list_alarms(call: Call[AlarmQuery, Nothing]) -> AlarmPage:
    wish = call.query

    def find(connection: Connection) -> tuple[list[Alarm], str | None, dict[str, int]]:
        page = page_of_alarms(
            connection,
            state=wish.state,
            severity=wish.severity,
            kind=wish.kind,
            asset=wish.asset or "",
            parent=wish.parent or "",
            suppressed=wish.suppressed,
            text=wish.q,
            before=wish.before_ms or "",
            limit=wish.limit,
        )
        counts = children_counts(connection, [alarm.id for alarm in page.items])
        return page.items, page.next, counts

    items, following, children = await call.context.state.run(find)
    return AlarmPage.model_construct(
        items=call.context.views.alarms(items, children), next=following
    )


async def show_alarm(call: Call[Nothing, Nothing]) -> AlarmDetail:
    context, alarm_id = call.context, call.path("id")

    history = await _history(context, alarm_id)
    ids = [alarm_id, *(child.id for child in history.children)]
    children = await context.state.run(lambda connection: children_counts(connection, ids))
    rule = context.catalog.rules.get(history.alarm.source)
    return AlarmDetail.model_construct(
        alarm=context.views.alarm(history.alarm, children.get(alarm_id, 0)),
        transitions=[
            TransitionView.model_construct(
                id=transition.id,
                at_ms=transition.at_ms,
                kind=transition.kind,
                actor=transition.actor,
                text=transition.text,
            )
            for transition in history.transitions
        ],
        children=context.views.alarms(history.children, children),
        rule=rule_view(rule[1]) if rule is not None else None,
    )


async def acknowledge(call: Call[Nothing, Comment]) -> web.StreamResponse:
    """An operator has seen the alarm and takes it on."""
    return await _command(call, "acknowledge", call.body.comment)


async def unacknowledge(call: Call[Nothing, Comment]) -> web.StreamResponse:
    """The alarm is for somebody else after all."""
    return await _command(call, "unacknowledge", call.body.comment)


async def comment(call: Call[Nothing, RequiredComment]) -> web.StreamResponse:
    """Something the next shift should know."""
    return await _command(call, "comment", call.body.comment)


async def clear(call: Call[Nothing, Comment]) -> web.StreamResponse:
    """End an alarm of the equipment whose clear never came. A rule's alarm clears by itself."""
    return await _command(call, "clear", call.body.comment)


async def _command(
    call: Call[Nothing, Comment] | Call[Nothing, RequiredComment], action: Action, text: str
) -> web.StreamResponse:
    """Journal a command and wait until the engine has applied it.

    200 with the alarm as it is then; 202 with no body while the engine is behind: the command is
    on disk and is applied in its turn.
    """
    context, alarm_id = call.context, call.path("id")
    before = context.live.alarms.get(alarm_id) or (await _history(context, alarm_id)).alarm
    check_command(before, action)
    position = await context.journal.append(
        Command(
            now_ms=context.clock.now_ms(),
            id=uuid.uuid4().hex,
            actor=call.who.actor,
            action=action,
            alarm=alarm_id,
            text=text,
        )
    )
    applied = await context.reached(position, within_s=APPLIED_WITHIN_S)
    if not applied:
        return web.Response(status=202)
    history = await _history(context, alarm_id)
    if not any(done.position == position for done in history.transitions):
        # Somebody else was first, or the engine no longer remembers the alarm.
        check_command(history.alarm, action)
        raise CommandError(f"alarm {alarm_id}: cleared too long ago to be changed")
    counts = await context.state.run(lambda connection: children_counts(connection, [alarm_id]))
    view = context.views.alarm(history.alarm, counts.get(alarm_id, 0))
    return json_response(view.model_dump_json().encode())


async def _history(context: Context, alarm_id: str) -> AlarmHistory:
    found = await context.state.run(lambda connection: alarm_with_history(connection, alarm_id))
    if found is None:
        raise not_found(f"There is no alarm {alarm_id}.")
    return found


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/alarms",
        handle=list_alarms,
        query=AlarmQuery,
        body=Nothing,
        answer=AlarmPage,
        summary="Alarms, the newest first",
        tag="alarms",
    ),
    Route(
        method="GET",
        path="/api/v1/alarms/{id}",
        handle=show_alarm,
        query=Nothing,
        body=Nothing,
        answer=AlarmDetail,
        summary="One alarm with its history",
        tag="alarms",
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/api/v1/alarms/{id}/acknowledge",
        handle=acknowledge,
        query=Nothing,
        body=Comment,
        answer=AlarmView,
        other=(202,),
        summary="Acknowledge an alarm, with a comment",
        tag="alarms",
        role="operator",
        problems=(404, 409, 415),
    ),
    Route(
        method="POST",
        path="/api/v1/alarms/{id}/unacknowledge",
        handle=unacknowledge,
        query=Nothing,
        body=Comment,
        answer=AlarmView,
        other=(202,),
        summary="Take an acknowledgement back",
        tag="alarms",
        role="operator",
        problems=(404, 409, 415),
    ),
    Route(
        method="POST",
        path="/api/v1/alarms/{id}/comment",
        handle=comment,
        query=Nothing,
        body=RequiredComment,
        answer=AlarmView,
        other=(202,),
        summary="Comment on an alarm",
        tag="alarms",
        role="operator",
        problems=(404, 409, 415),
    ),
    Route(
        method="POST",
        path="/api/v1/alarms/{id}/clear",
        handle=clear,
        query=Nothing,
        body=Comment,
        answer=AlarmView,
        other=(202,),
        summary="Clear an alarm of the equipment",
        tag="alarms",
        role="operator",
        problems=(404, 409, 415),
    ),
)
