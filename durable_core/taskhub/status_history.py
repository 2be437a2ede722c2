"""A history as status documents show it (http-and-protocol 1.9)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from durable_core.core import history as h
from durable_core.core.ticks import format_message

_SCHEDULING = (h.TaskScheduled, h.SubOrchestrationInstanceCreated)
_ANSWERS = (
    h.TaskCompleted,
    h.TaskFailed,
    h.SubOrchestrationInstanceCompleted,
    h.SubOrchestrationInstanceFailed,
)


def history_events(events: Sequence[h.HistoryEvent], *, with_input: bool, with_output: bool) -> list[dict[str, Any]]:
    """The ``historyEvents`` of a status document: answers merged with their calls, markers left out."""
    scheduled = {event.event_id: event for event in events if isinstance(event, _SCHEDULING)}
    answered = {event.task_scheduled_id for event in events if isinstance(event, _ANSWERS)}
    shown = []
    for event in events:
        if isinstance(event, (h.OrchestratorStarted, h.OrchestratorCompleted)):
            continue
        if isinstance(event, _SCHEDULING) and event.event_id in answered:
            continue
        shown.append(_shown(event, scheduled, with_input, with_output))
    return shown


def _shown(event: h.HistoryEvent, scheduled: dict[int, Any], with_input: bool, with_output: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"EventType": h.EVENT_TYPES[type(event)].name}
    if isinstance(event, h.ExecutionStarted):
        document["Correlation"] = event.correlation
        document["ScheduledStartTime"] = _date(event.scheduled_start_time)
        document["Generation"] = event.generation
        document["ParentTraceContext"] = _trace(event.parent_trace_context)
        if with_input:
            document["Input"] = event.input
        document["Timestamp"] = format_message(event.timestamp)
        document["FunctionName"] = event.name
        return document
    if isinstance(event, h.ExecutionCompleted):
        document["OrchestrationStatus"] = event.status.name
        _add_result(document, event.result, with_output)
        document["FailureDetails"] = _failure(event.failure_details)
    elif isinstance(event, (h.TaskCompleted, h.SubOrchestrationInstanceCompleted)):
        _add_result(document, event.result, with_output)
    elif isinstance(event, (h.TaskFailed, h.SubOrchestrationInstanceFailed)):
        document["Reason"] = event.reason
        document["Details"] = event.details
        document["FailureDetails"] = _failure(event.failure_details)
    elif isinstance(event, _SCHEDULING):
        document["Name"] = event.name
        if with_input:
            document["Input"] = event.input
    elif isinstance(event, (h.TimerCreated, h.TimerFired)):
        document["FireAt"] = _date(event.fire_at)
    elif isinstance(event, (h.EventRaised, h.EventSent)):
        document["Name"] = event.name
        if with_input:
            document["Input"] = event.input
    elif isinstance(event, h.ExecutionTerminated):
        if with_input:
            document["Input"] = event.input
    elif isinstance(event, (h.ExecutionSuspended, h.ExecutionResumed)):
        document["Reason"] = event.reason
    elif isinstance(event, h.GenericEvent):
        document["Data"] = event.data
    document["Timestamp"] = format_message(event.timestamp)
    if isinstance(event, _ANSWERS):
        call = scheduled.get(event.task_scheduled_id)
        if call is not None:
            document["ScheduledTime"] = format_message(call.timestamp)
            document["FunctionName"] = call.name
            if with_input:
                document["Input"] = call.input
    return document


def _add_result(document: dict[str, Any], result: str | None, with_output: bool) -> None:
    if with_output:
        document["Result"] = parsed(result)


def parsed(text: str | None) -> Any:
    """A stored text as status documents show it: null, blank, JSON, or the raw text (http-and-protocol 1.8)."""
    if text is None:
        return None
    if not text.strip():
        return ""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _date(value: int | None) -> str | None:
    return None if value is None else format_message(value)


def _trace(context: h.TraceContext | None) -> Any:
    if context is None:
        return None
    return {"TraceParent": context.trace_parent, "TraceState": context.trace_state}


def _failure(details: h.FailureDetails | None) -> Any:
    if details is None:
        return None
    return {
        "ErrorType": details.error_type,
        "ErrorMessage": details.error_message,
        "StackTrace": details.stack_trace,
        "InnerFailure": _failure(details.inner_failure),
        "IsNonRetriable": details.is_non_retriable,
        "Properties": details.properties,
    }
