"""Reading history events from JSON objects with .NET member names (task-hub 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durable_core.core import history as h
from durable_core.core.ticks import parse

_NAMESPACE = "DurableTask.Core.History."


def read_event(value: Any) -> h.HistoryEvent:
    """Build an event from its JSON object; its class comes from ``$type``, ``__type`` or ``EventType``.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is no history event.
    """
    name = _class_name(value)
    reader = _READERS.get(name)
    if reader is None:
        raise ValueError(f"'{name}' is no history event that this version knows")
    common = {
        "timestamp": parse(value["Timestamp"]),
        "event_id": int(value.get("EventId", h.NO_ID)),
        "is_played": bool(value.get("IsPlayed", False)),
    }
    return reader(value, common)


def _class_name(value: Any) -> str:
    declared = value.get("$type")
    if isinstance(declared, str):
        return declared.split(",")[0].removeprefix(_NAMESPACE).removesuffix("Event")
    contract = value.get("__type")
    if isinstance(contract, str):
        return contract.split(":")[0].removesuffix("Event")
    kind = value.get("EventType")
    if isinstance(kind, str):
        return kind
    return h.EventType(kind).name


def read_instance(value: Any) -> h.OrchestrationInstance:
    """An OrchestrationInstance object."""
    return h.OrchestrationInstance(value["InstanceId"], value.get("ExecutionId"))


def read_parent(value: Any) -> h.ParentInstance | None:
    """A ParentInstance object or null."""
    if value is None:
        return None
    return h.ParentInstance(
        value.get("Name"),
        read_instance(value["OrchestrationInstance"]),
        int(value.get("TaskScheduleId", 0)),
        value.get("Version"),
    )


def read_trace(value: Any) -> h.TraceContext | None:
    """A DistributedTraceContext object or null."""
    if value is None:
        return None
    return h.TraceContext(
        value.get("TraceParent"),
        value.get("TraceState"),
        value.get("Id"),
        value.get("SpanId"),
        value.get("ActivityStartTime"),
    )


def read_failure(value: Any) -> h.FailureDetails | None:
    """A FailureDetails object or null."""
    if value is None:
        return None
    properties = value.get("Properties")
    return h.FailureDetails(
        value.get("ErrorType"),
        value.get("ErrorMessage"),
        value.get("StackTrace"),
        read_failure(value.get("InnerFailure")),
        bool(value.get("IsNonRetriable", False)),
        None if properties is None else {k: v for k, v in properties.items() if k != "$type"},
    )


def read_tags(value: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """A string dictionary or null, without its ``$type``."""
    if value is None:
        return None
    return {key: item for key, item in value.items() if key != "$type"}


def _date(value: Any) -> int | None:
    return None if value is None else parse(value)


def _status(value: Any) -> h.OrchestrationStatus:
    return h.OrchestrationStatus[value] if isinstance(value, str) else h.OrchestrationStatus(value)


def _reply(value: Any) -> dict[str, Any]:
    return {"task_scheduled_id": int(value["TaskScheduledId"])}


def _completed(value: Any) -> dict[str, Any]:
    return {
        "status": _status(value["OrchestrationStatus"]),
        "result": value.get("Result"),
        "failure_details": read_failure(value.get("FailureDetails")),
    }


def _failed(value: Any) -> dict[str, Any]:
    return {
        **_reply(value),
        "reason": value.get("Reason"),
        "details": value.get("Details"),
        "failure_details": read_failure(value.get("FailureDetails")),
    }


def _execution_started(v: Any, common: dict[str, Any]) -> h.HistoryEvent:
    generation = v.get("Generation")
    return h.ExecutionStarted(
        **common,
        instance=read_instance(v["OrchestrationInstance"]),
        name=v["Name"],
        version=v.get("Version"),
        input=v.get("Input"),
        parent=read_parent(v.get("ParentInstance")),
        tags=read_tags(v.get("Tags")),
        correlation=v.get("Correlation"),
        parent_trace_context=read_trace(v.get("ParentTraceContext")),
        scheduled_start_time=_date(v.get("ScheduledStartTime")),
        generation=None if generation is None else int(generation),
        generate_new_trace=bool(v.get("GenerateNewTrace", False)),
    )


def _task_scheduled(v: Any, common: dict[str, Any]) -> h.HistoryEvent:
    return h.TaskScheduled(
        **common,
        name=v.get("Name"),
        version=v.get("Version"),
        input=v.get("Input"),
        parent_trace_context=read_trace(v.get("ParentTraceContext")),
        tags=read_tags(v.get("Tags")),
    )


def _child_created(v: Any, common: dict[str, Any]) -> h.HistoryEvent:
    return h.SubOrchestrationInstanceCreated(
        **common,
        name=v.get("Name"),
        instance_id=v.get("InstanceId"),
        version=v.get("Version"),
        input=v.get("Input"),
        client_span_id=v.get("ClientSpanId"),
        tags=read_tags(v.get("Tags")),
    )


def _rewound(v: Any, common: dict[str, Any]) -> h.HistoryEvent:
    return h.ExecutionRewound(
        **common,
        reason=v.get("Reason"),
        parent_execution_id=v.get("ParentExecutionId"),
        instance_id=v.get("InstanceId"),
        parent_trace_context=read_trace(v.get("ParentTraceContext")),
    )


def _raised(v: Any, common: dict[str, Any]) -> h.HistoryEvent:
    return h.EventRaised(
        **common, name=v["Name"], input=v.get("Input"), parent_trace_context=read_trace(v.get("ParentTraceContext"))
    )


_Reader = Callable[[Any, dict[str, Any]], h.HistoryEvent]

_READERS: dict[str, _Reader] = {
    "ExecutionStarted": _execution_started,
    "ExecutionCompleted": lambda v, c: h.ExecutionCompleted(**c, **_completed(v)),
    "ContinueAsNew": lambda v, c: h.ContinueAsNew(**c, **_completed(v)),
    "ExecutionTerminated": lambda v, c: h.ExecutionTerminated(**c, input=v.get("Input")),
    "ExecutionSuspended": lambda v, c: h.ExecutionSuspended(**c, reason=v.get("Reason")),
    "ExecutionResumed": lambda v, c: h.ExecutionResumed(**c, reason=v.get("Reason")),
    "ExecutionRewound": _rewound,
    "TaskScheduled": _task_scheduled,
    "TaskCompleted": lambda v, c: h.TaskCompleted(**c, **_reply(v), result=v.get("Result")),
    "TaskFailed": lambda v, c: h.TaskFailed(**c, **_failed(v)),
    "SubOrchestrationInstanceCreated": _child_created,
    "SubOrchestrationInstanceCompleted": lambda v, c: h.SubOrchestrationInstanceCompleted(
        **c, **_reply(v), result=v.get("Result")
    ),
    "SubOrchestrationInstanceFailed": lambda v, c: h.SubOrchestrationInstanceFailed(**c, **_failed(v)),
    "TimerCreated": lambda v, c: h.TimerCreated(**c, fire_at=parse(v["FireAt"])),
    "TimerFired": lambda v, c: h.TimerFired(**c, timer_id=int(v["TimerId"]), fire_at=parse(v["FireAt"])),
    "OrchestratorStarted": lambda v, c: h.OrchestratorStarted(**c),
    "OrchestratorCompleted": lambda v, c: h.OrchestratorCompleted(**c),
    "EventSent": lambda v, c: h.EventSent(
        **c, instance_id=v.get("InstanceId"), name=v.get("Name"), input=v.get("Input")
    ),
    "EventRaised": _raised,
    "Generic": lambda v, c: h.GenericEvent(**c, data=v.get("Data")),
    "GenericEvent": lambda v, c: h.GenericEvent(**c, data=v.get("Data")),
    "HistoryState": lambda v, c: h.HistoryState(**c, state=v.get("State")),
}
