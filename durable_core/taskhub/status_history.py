"""A history as status documents show it (http-and-protocol 1.9)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
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
    """One event, members in the recorded order."""
    document: dict[str, Any] = {"EventType": h.EVENT_TYPES[type(event)].name}
    members = _MEMBERS.get(type(event))
    if members is not None:
        document.update(members(event))
    if isinstance(event, h.GenericEvent):
        document = {"Data": event.data, **document}
    if with_output and hasattr(event, "result"):
        document["Result"] = parsed(event.result)
    if isinstance(event, _FAILING):
        document["FailureDetails"] = _failure(event.failure_details)
    document["Timestamp"] = format_message(event.timestamp)
    if isinstance(event, h.ExecutionStarted):
        document["FunctionName"] = event.name
    call = scheduled.get(event.task_scheduled_id) if isinstance(event, _ANSWERS) else None
    if call is not None:
        document["ScheduledTime"] = format_message(call.timestamp).removesuffix("Z") + "+00:00"
        document["FunctionName"] = call.name
        if isinstance(call, h.SubOrchestrationInstanceCreated):
            document["InstanceId"] = call.instance_id
        document["Input"] = call.input
    if not with_input:
        document.pop("Input", None)
    return document


def event_document(event: h.HistoryEvent, *, with_payloads: bool = True) -> dict[str, Any]:
    """One event by itself, nothing merged: its type, number and time, then its other members that say something."""
    names = [name for kind in type(event).__mro__ for name in getattr(kind, "__slots__", ())]
    left_out = _MARKS if with_payloads else _MARKS | _PAYLOADS
    members = {name: getattr(event, name) for name in names if name not in left_out}
    return {
        "eventType": h.EVENT_TYPES[type(event)].name,
        "eventId": event.event_id,
        "timestamp": format_message(event.timestamp),
        **{_camel(name): _plain(name, value) for name, value in members.items() if value not in (None, "", False)},
    }


_MARKS = frozenset({"timestamp", "event_id", "is_played", "parent_trace_context", "correlation"})
_PAYLOADS = frozenset({"input", "result", "data"})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(name: str, value: Any) -> Any:
    if name in ("fire_at", "scheduled_start_time"):
        return format_message(value)
    if isinstance(value, h.OrchestrationStatus):
        return value.name
    if isinstance(value, h.FailureDetails):
        return _failure(value)
    if isinstance(value, h.ParentInstance):
        return {"name": value.name, **_plain("instance", value.instance)}
    if isinstance(value, h.OrchestrationInstance):
        return {"instanceId": value.instance_id, "executionId": value.execution_id}
    if isinstance(value, Mapping):
        return dict(value)
    return value if isinstance(value, (str, int)) else str(value)


_FAILING = (h.ExecutionCompleted, h.TaskFailed, h.SubOrchestrationInstanceFailed)

_MEMBERS: dict[type[h.HistoryEvent], Callable[[Any], dict[str, Any]]] = {
    h.ExecutionStarted: lambda e: {
        "Input": e.input,
        "Correlation": e.correlation,
        "ParentTraceContext": _trace(e.parent_trace_context),
        "ScheduledStartTime": _date(e.scheduled_start_time),
        "Generation": e.generation,
        "GenerateNewTrace": e.generate_new_trace,
    },
    h.ExecutionCompleted: lambda e: {"OrchestrationStatus": e.status.name},
    h.ContinueAsNew: lambda e: {"OrchestrationStatus": e.status.name},
    h.ExecutionTerminated: lambda e: {"Input": e.input},
    h.ExecutionSuspended: lambda e: {"Reason": e.reason},
    h.ExecutionResumed: lambda e: {"Reason": e.reason},
    h.TaskScheduled: lambda e: {
        "Name": e.name,
        "Input": e.input,
        "ParentTraceContext": _trace(e.parent_trace_context),
        "Tags": e.tags,
    },
    h.TaskFailed: lambda e: {"Reason": e.reason, "Details": e.details},
    h.SubOrchestrationInstanceFailed: lambda e: {"Reason": e.reason, "Details": e.details},
    h.SubOrchestrationInstanceCreated: lambda e: {
        "Name": e.name,
        "InstanceId": e.instance_id,
        "Input": e.input,
        "ClientSpanId": e.client_span_id,
        "Tags": e.tags,
    },
    h.TimerCreated: lambda e: {"FireAt": _date(e.fire_at)},
    h.TimerFired: lambda e: {"FireAt": _date(e.fire_at)},
    h.EventSent: lambda e: {"InstanceId": e.instance_id, "Name": e.name, "Input": e.input},
    h.EventRaised: lambda e: {
        "Name": e.name,
        "Input": e.input,
        "ParentTraceContext": _trace(e.parent_trace_context),
    },
}


def parsed(text: str | None) -> Any:
    """A stored text as status documents show it: null, blank, JSON, or the raw text (http-and-protocol 1.8)."""
    if text is None:
        return None
    if not text.strip():
        return ""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> Any:
    """Python writes NaN and the infinities, which no other reader of JSON takes: the text is shown as it is."""
    raise ValueError(constant)


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
