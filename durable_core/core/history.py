"""Every history event, as a frozen dataclass (orchestration-semantics 1.2, task-hub 3.5).

``timestamp``, ``fire_at`` and ``scheduled_start_time`` are ticks (see ``ticks``). Inputs and results are JSON *text*;
nothing here looks inside them. The member order of the wire is the codec's business, not this module's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from durable_core.core.records import record, struct

if TYPE_CHECKING:
    from typing_extensions import Self

NO_ID = -1
"""The ``event_id`` of every event that records no decision of the orchestrator."""

FIRE_AND_FORGET = "FireAndForget"
"""Tag of a child that never reports to its parent (orchestration-semantics 3.7)."""


class EventType(IntEnum):
    ExecutionStarted = 0
    ExecutionCompleted = 1
    ExecutionFailed = 2
    ExecutionTerminated = 3
    TaskScheduled = 4
    TaskCompleted = 5
    TaskFailed = 6
    SubOrchestrationInstanceCreated = 7
    SubOrchestrationInstanceCompleted = 8
    SubOrchestrationInstanceFailed = 9
    TimerCreated = 10
    TimerFired = 11
    OrchestratorStarted = 12
    OrchestratorCompleted = 13
    EventSent = 14
    EventRaised = 15
    ContinueAsNew = 16
    GenericEvent = 17
    HistoryState = 18
    ExecutionSuspended = 19
    ExecutionResumed = 20
    ExecutionRewound = 21


class OrchestrationStatus(IntEnum):
    Running = 0
    Completed = 1
    ContinuedAsNew = 2
    Failed = 3
    Canceled = 4
    Terminated = 5
    Pending = 6
    Suspended = 7

    @property
    def is_finished(self) -> bool:
        return self in _FINISHED


_FINISHED = frozenset(
    {
        OrchestrationStatus.Completed,
        OrchestrationStatus.Failed,
        OrchestrationStatus.Canceled,
        OrchestrationStatus.Terminated,
    }
)


LIVE = frozenset(status for status in OrchestrationStatus if not status.is_finished)
"""Statuses of instances that have not ended."""


@struct
class OrchestrationInstance:
    """One generation of one instance; ``execution_id`` is None for "whichever is current"."""

    instance_id: str
    execution_id: str | None = None


@struct
class ParentInstance:
    name: str | None
    instance: OrchestrationInstance
    task_schedule_id: int
    version: str | None = ""


@struct
class TraceContext:
    """A W3C trace context as DurableTask.Core's DistributedTraceContext keeps it."""

    trace_parent: str | None
    trace_state: str | None = None
    id: str | None = None
    span_id: str | None = None
    activity_start_time: str | None = None
    """Text, kept as it was read: it carries an offset instead of ``Z``."""


@struct
class FailureDetails:
    error_type: str | None
    error_message: str | None
    stack_trace: str | None = None
    inner_failure: FailureDetails | None = None
    is_non_retriable: bool = False
    properties: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.error_type}: {self.error_message}"


@record
class HistoryEvent:
    """What all events have. ``event_id`` numbers decisions from 0 and is ``NO_ID`` otherwise."""

    timestamp: int
    event_id: int = NO_ID
    is_played: bool = False

    def as_played(self) -> Self:
        """The same event, marked as one that the orchestrator has received. Every message that is received becomes
        one, and ``dataclasses.replace`` takes five times as long."""
        kind = type(self)
        played = object.__new__(kind)
        for name in _FIELDS[kind]:
            setattr(played, name, getattr(self, name))
        played.is_played = True  # type: ignore[misc]
        return played


@record
class ExecutionStarted(HistoryEvent):
    instance: OrchestrationInstance
    name: str
    version: str | None = ""
    input: str | None = None
    parent: ParentInstance | None = None
    tags: Mapping[str, str] | None = None
    correlation: str | None = None
    parent_trace_context: TraceContext | None = None
    scheduled_start_time: int | None = None
    generation: int | None = None
    generate_new_trace: bool = False


@record
class ExecutionCompleted(HistoryEvent):
    status: OrchestrationStatus
    result: str | None = None
    failure_details: FailureDetails | None = None


@record
class ContinueAsNew(ExecutionCompleted):
    """Only in data of old versions; read, never written (orchestration-semantics 1.7)."""


@record
class ExecutionTerminated(HistoryEvent):
    input: str | None = None
    """The reason, as raw text."""


@record
class ExecutionSuspended(HistoryEvent):
    reason: str | None = None


@record
class ExecutionResumed(HistoryEvent):
    reason: str | None = None


@record
class ExecutionRewound(HistoryEvent):
    reason: str | None = None
    parent_execution_id: str | None = None
    instance_id: str | None = None
    parent_trace_context: TraceContext | None = None


@record
class TaskScheduled(HistoryEvent):
    name: str | None
    version: str | None = ""
    input: str | None = None
    parent_trace_context: TraceContext | None = None
    tags: Mapping[str, str] | None = None


@record
class TaskCompleted(HistoryEvent):
    task_scheduled_id: int
    result: str | None = None


@record
class TaskFailed(HistoryEvent):
    task_scheduled_id: int
    reason: str | None = None
    details: str | None = None
    failure_details: FailureDetails | None = None


@record
class SubOrchestrationInstanceCreated(HistoryEvent):
    name: str | None
    instance_id: str | None
    version: str | None = ""
    input: str | None = None
    client_span_id: str | None = None
    tags: Mapping[str, str] | None = None


@record
class SubOrchestrationInstanceCompleted(HistoryEvent):
    task_scheduled_id: int
    result: str | None = None


@record
class SubOrchestrationInstanceFailed(HistoryEvent):
    task_scheduled_id: int
    reason: str | None = None
    details: str | None = None
    failure_details: FailureDetails | None = None


@record
class TimerCreated(HistoryEvent):
    fire_at: int


@record
class TimerFired(HistoryEvent):
    timer_id: int
    fire_at: int


@record
class OrchestratorStarted(HistoryEvent):
    pass


@record
class OrchestratorCompleted(HistoryEvent):
    pass


@record
class EventSent(HistoryEvent):
    instance_id: str | None
    name: str | None
    input: str | None = None


@record
class EventRaised(HistoryEvent):
    name: str
    input: str | None = None
    parent_trace_context: TraceContext | None = None


@record
class GenericEvent(HistoryEvent):
    """A marker that replay ignores; a rewound row also keeps the columns of the event it was."""

    data: str | None = None


@record
class HistoryState(HistoryEvent):
    """Legacy; read, never written."""

    state: Any = None


EVENT_TYPES: dict[type[HistoryEvent], EventType] = {
    ExecutionStarted: EventType.ExecutionStarted,
    ExecutionCompleted: EventType.ExecutionCompleted,
    ContinueAsNew: EventType.ContinueAsNew,
    ExecutionTerminated: EventType.ExecutionTerminated,
    ExecutionSuspended: EventType.ExecutionSuspended,
    ExecutionResumed: EventType.ExecutionResumed,
    ExecutionRewound: EventType.ExecutionRewound,
    TaskScheduled: EventType.TaskScheduled,
    TaskCompleted: EventType.TaskCompleted,
    TaskFailed: EventType.TaskFailed,
    SubOrchestrationInstanceCreated: EventType.SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceCompleted: EventType.SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed: EventType.SubOrchestrationInstanceFailed,
    TimerCreated: EventType.TimerCreated,
    TimerFired: EventType.TimerFired,
    OrchestratorStarted: EventType.OrchestratorStarted,
    OrchestratorCompleted: EventType.OrchestratorCompleted,
    EventSent: EventType.EventSent,
    EventRaised: EventType.EventRaised,
    GenericEvent: EventType.GenericEvent,
    HistoryState: EventType.HistoryState,
}
"""The EventType of each event class; the .NET class name is the EventType's name + ``Event``."""

_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in EVENT_TYPES}
