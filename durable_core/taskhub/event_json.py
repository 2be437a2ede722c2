"""Reading history events from JSON objects with .NET member names (task-hub 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durable_core.core import history as h
from durable_core.core.json_text import text_members
from durable_core.core.ticks import parse

_NAMESPACE = "DurableTask.Core.History."
_LATEST = 3_155_378_975_999_999_999
"""The last tick of year 9999: what .NET can hold and the writers can format."""
_INT32 = 1 << 31
_DEEPEST = 64
"""Newtonsoft's own limit; a document that is nested deeper could be read here but never written again."""


INSTANCE = ("InstanceId", "ExecutionId")


# ---- members: a wrong type is refused here, because a row that holds it fails later, at every try of the checkpoint --


def text_member(value: Mapping[str, Any], name: str) -> str | None:
    """A text or null."""
    item = value.get(name)
    if item is None or isinstance(item, str):
        return item
    raise TypeError(f"{name} is {_kind(item)}, not text")


def whole_number(value: Mapping[str, Any], name: str, *, bits: int = 32) -> int | None:
    """A number that fits an Int32 (or Int64), or null."""
    item = value.get(name)
    if item is None or (type(item) is int and -_INT32 <= item < _INT32):
        return item
    if isinstance(item, (bool, float)) or not isinstance(item, (int, str)):
        raise TypeError(f"{name} is {_kind(item)}, not a whole number")
    number = int(item)
    if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
        raise ValueError(f"{name} does not fit {bits} bits")
    return number


def object_member(value: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """An object or null."""
    item = value.get(name)
    if item is None or isinstance(item, dict):
        return item
    raise TypeError(f"{name} is {_kind(item)}, not an object")


def required_object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object that must be there."""
    item = object_member(value, name)
    if item is None:
        raise KeyError(name)
    return item


def required_text(value: Mapping[str, Any], name: str) -> str:
    """A text that must be there."""
    return _present(text_member(value, name), name)


def _present(item: str | None, name: str) -> str:
    if item is None:
        raise KeyError(name)
    return item


def _required_number(value: Mapping[str, Any], name: str) -> int:
    number = whole_number(value, name)
    if number is None:
        raise KeyError(name)
    return number


def _flag(value: Mapping[str, Any], name: str) -> bool:
    item = value.get(name)
    if item is False or item is None:
        return False
    if item is True:
        return True
    raise TypeError(f"{name} is {_kind(item)}, not true or false")


def _moment(value: Mapping[str, Any], name: str) -> int:
    text = value.get(name)
    if type(text) is not str:
        text = required_text(value, name)
    try:
        ticks = parse(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not 0 <= ticks <= _LATEST:
        raise ValueError(f"{name}: {text!r} lies outside the years 1 to 9999")
    return ticks


def _kind(item: Any) -> str:
    names = {dict: "an object", list: "an array", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(item)) or ("text" if isinstance(item, str) else f"a {type(item).__name__}")


def _check_depth(item: Any, name: str, left: int = _DEEPEST) -> None:
    if not isinstance(item, (dict, list)):
        return
    if left == 0:
        raise ValueError(f"{name} is nested more than {_DEEPEST} deep")
    for inner in item.values() if isinstance(item, dict) else item:
        _check_depth(inner, name, left - 1)


# ---- classes ---------------------------------------------------------------------------------------------------------


def read_event(value: Mapping[str, Any]) -> h.HistoryEvent:
    """Build an event from its JSON object; its class comes from ``$type``, ``__type`` or ``EventType``.

    Raises:
        KeyError, TypeError, ValueError: it is no history event; the text names the member.
    """
    reader = _BY_TYPE.get(text_member(value, "$type")) or _reader(value)
    event_id = whole_number(value, "EventId")
    common = {
        "timestamp": _moment(value, "Timestamp"),
        "event_id": h.NO_ID if event_id is None else event_id,
        "is_played": _flag(value, "IsPlayed"),
    }
    return reader(value, common)


def _reader(value: Mapping[str, Any]) -> _Reader:
    name = _class_name(value)
    reader = _READERS.get(name)
    if reader is None:
        raise ValueError(f"'{name}' is no history event that this version knows")
    return reader


def _class_name(value: Mapping[str, Any]) -> str:
    declared = text_member(value, "$type")
    if declared is not None:
        return declared.split(",")[0].strip().removeprefix(_NAMESPACE).removesuffix("Event")
    contract = text_member(value, "__type")
    if contract is not None:
        return contract.split(":")[0].removesuffix("Event")
    kind = value.get("EventType")
    if isinstance(kind, str):
        return kind
    number = whole_number(value, "EventType")
    if number is None:
        raise KeyError("$type")
    return h.EventType(number).name


def read_instance(value: Mapping[str, Any]) -> h.OrchestrationInstance:
    """An OrchestrationInstance object."""
    instance_id, execution_id = text_members(value, INSTANCE, text_member)
    return h.OrchestrationInstance(_present(instance_id, "InstanceId"), execution_id)


def _parent(value: Mapping[str, Any]) -> h.ParentInstance | None:
    parent = object_member(value, "ParentInstance")
    if parent is None:
        return None
    return h.ParentInstance(
        text_member(parent, "Name"),
        read_instance(required_object(parent, "OrchestrationInstance")),
        whole_number(parent, "TaskScheduleId") or 0,
        text_member(parent, "Version"),
    )


def _trace(value: Mapping[str, Any]) -> h.TraceContext | None:
    trace = object_member(value, "ParentTraceContext")
    if trace is None:
        return None
    return h.TraceContext(
        text_member(trace, "TraceParent"),
        text_member(trace, "TraceState"),
        text_member(trace, "Id"),
        text_member(trace, "SpanId"),
        text_member(trace, "ActivityStartTime"),
    )


def _failure(value: Mapping[str, Any], name: str = "FailureDetails", left: int = _DEEPEST) -> h.FailureDetails | None:
    details = object_member(value, name)
    if details is None:
        return None
    if left == 0:
        raise ValueError(f"FailureDetails is nested more than {_DEEPEST} deep")
    properties = object_member(details, "Properties")
    _check_depth(properties, "FailureDetails.Properties")
    return h.FailureDetails(
        text_member(details, "ErrorType"),
        text_member(details, "ErrorMessage"),
        text_member(details, "StackTrace"),
        _failure(details, "InnerFailure", left - 1),
        _flag(details, "IsNonRetriable"),
        None if properties is None else {k: v for k, v in properties.items() if k != "$type"},
    )


def read_tags(value: Mapping[str, Any], name: str) -> Mapping[str, str] | None:
    """A string dictionary or null, without its ``$type``."""
    tags = object_member(value, name)
    if tags is None:
        return None
    return {key: text_member(tags, key) or "" for key in tags if key != "$type"}


def _status(value: Mapping[str, Any]) -> h.OrchestrationStatus:
    item = value["OrchestrationStatus"]
    if not isinstance(item, str):
        return h.OrchestrationStatus(_required_number(value, "OrchestrationStatus"))
    try:
        return h.OrchestrationStatus[item]
    except KeyError:
        raise ValueError(f"OrchestrationStatus '{item}' is none that this version knows") from None


def _reply(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"task_scheduled_id": _required_number(value, "TaskScheduledId")}


def _completed(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": _status(value),
        "result": text_member(value, "Result"),
        "failure_details": _failure(value),
    }


def _failed(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_reply(value),
        "reason": text_member(value, "Reason"),
        "details": text_member(value, "Details"),
        "failure_details": _failure(value),
    }


def _execution_started(v: Mapping[str, Any], common: dict[str, Any]) -> h.HistoryEvent:
    return h.ExecutionStarted(
        **common,
        instance=read_instance(required_object(v, "OrchestrationInstance")),
        name=text_member(v, "Name") or "",
        version=text_member(v, "Version"),
        input=text_member(v, "Input"),
        parent=_parent(v),
        tags=read_tags(v, "Tags"),
        correlation=text_member(v, "Correlation"),
        parent_trace_context=_trace(v),
        scheduled_start_time=_moment(v, "ScheduledStartTime") if v.get("ScheduledStartTime") is not None else None,
        generation=whole_number(v, "Generation"),
        generate_new_trace=_flag(v, "GenerateNewTrace"),
    )


def _task_scheduled(v: Mapping[str, Any], common: dict[str, Any]) -> h.HistoryEvent:
    return h.TaskScheduled(
        **common,
        name=text_member(v, "Name"),
        version=text_member(v, "Version"),
        input=text_member(v, "Input"),
        parent_trace_context=_trace(v),
        tags=read_tags(v, "Tags"),
    )


def _child_created(v: Mapping[str, Any], common: dict[str, Any]) -> h.HistoryEvent:
    return h.SubOrchestrationInstanceCreated(
        **common,
        name=text_member(v, "Name"),
        instance_id=text_member(v, "InstanceId"),
        version=text_member(v, "Version"),
        input=text_member(v, "Input"),
        client_span_id=text_member(v, "ClientSpanId"),
        tags=read_tags(v, "Tags"),
    )


def _rewound(v: Mapping[str, Any], common: dict[str, Any]) -> h.HistoryEvent:
    return h.ExecutionRewound(
        **common,
        reason=text_member(v, "Reason"),
        parent_execution_id=text_member(v, "ParentExecutionId"),
        instance_id=text_member(v, "InstanceId"),
        parent_trace_context=_trace(v),
    )


def _raised(v: Mapping[str, Any], common: dict[str, Any]) -> h.HistoryEvent:
    name, input = text_members(v, ("Name", "Input"), text_member)
    return h.EventRaised(**common, name=name or "", input=input, parent_trace_context=_trace(v))


_Reader = Callable[[Mapping[str, Any], dict[str, Any]], h.HistoryEvent]

_READERS: dict[str, _Reader] = {
    "ExecutionStarted": _execution_started,
    "ExecutionCompleted": lambda v, c: h.ExecutionCompleted(**c, **_completed(v)),
    "ContinueAsNew": lambda v, c: h.ContinueAsNew(**c, **_completed(v)),
    "ExecutionTerminated": lambda v, c: h.ExecutionTerminated(**c, input=text_member(v, "Input")),
    "ExecutionSuspended": lambda v, c: h.ExecutionSuspended(**c, reason=text_member(v, "Reason")),
    "ExecutionResumed": lambda v, c: h.ExecutionResumed(**c, reason=text_member(v, "Reason")),
    "ExecutionRewound": _rewound,
    "TaskScheduled": _task_scheduled,
    "TaskCompleted": lambda v, c: h.TaskCompleted(**c, **_reply(v), result=text_member(v, "Result")),
    "TaskFailed": lambda v, c: h.TaskFailed(**c, **_failed(v)),
    "SubOrchestrationInstanceCreated": _child_created,
    "SubOrchestrationInstanceCompleted": lambda v, c: h.SubOrchestrationInstanceCompleted(
        **c, **_reply(v), result=text_member(v, "Result")
    ),
    "SubOrchestrationInstanceFailed": lambda v, c: h.SubOrchestrationInstanceFailed(**c, **_failed(v)),
    "TimerCreated": lambda v, c: h.TimerCreated(**c, fire_at=_moment(v, "FireAt")),
    "TimerFired": lambda v, c: h.TimerFired(**c, timer_id=_required_number(v, "TimerId"), fire_at=_moment(v, "FireAt")),
    "OrchestratorStarted": lambda v, c: h.OrchestratorStarted(**c),
    "OrchestratorCompleted": lambda v, c: h.OrchestratorCompleted(**c),
    "EventSent": lambda v, c: h.EventSent(
        **c, instance_id=text_member(v, "InstanceId"), name=text_member(v, "Name"), input=text_member(v, "Input")
    ),
    "EventRaised": _raised,
    "Generic": lambda v, c: h.GenericEvent(**c, data=text_member(v, "Data")),
    "GenericEvent": lambda v, c: h.GenericEvent(**c, data=text_member(v, "Data")),
    "HistoryState": lambda v, c: h.HistoryState(**c, state=v.get("State")),
}

_BY_TYPE: dict[str | None, _Reader] = {
    f"{_NAMESPACE}{name.removesuffix('Event')}Event": reader for name, reader in _READERS.items()
}
"""The same by the ``$type`` that .NET writes, which is what nearly every message has."""
