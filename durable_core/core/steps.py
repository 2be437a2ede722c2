"""A history as the steps that an orchestration took, each call together with its answer; those without one are what it
waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from durable_core.core import history as h
from durable_core.core.entity_messages import GRANTED, ReleaseMessage, RequestMessage, ResponseMessage, request_to


class StepKind(Enum):
    """What a step is, in a word for people."""

    STARTED = "started"
    ACTIVITY = "activity"
    TIMER = "timer"
    CHILD = "sub-orchestration"
    CALL = "entity"
    LOCK = "lock"
    RELEASE = "unlock"
    SIGNAL = "signal"
    SENT = "event sent"
    EVENT = "event"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    REWOUND = "rewound"
    TERMINATED = "terminate"
    ENDED = "ended"


@dataclass(slots=True)
class Step:
    """One step. Times are ticks.

    Attributes:
        what: name of the function, operation, event or status; for a lock the entities.
        target: instance id of the child, entity or receiver.
        due: when a timer fires.
        end: when the answer came, or ``begin`` of what needs none; None while it is waited for.
        input, result: JSON text; for failures the reason.
    """

    kind: StepKind
    what: str
    begin: int
    end: int | None = None
    target: str | None = None
    due: int | None = None
    input: str | None = None
    result: str | None = None
    is_failure: bool = False

    @property
    def is_open(self) -> bool:
        """The answer has not come."""
        return self.end is None


def steps_of(events: Iterable[h.HistoryEvent]) -> list[Step]:
    """The steps of one generation, in the order in which they began."""
    fold = _Fold()
    for event in events:
        fold.add(event)
    return fold.steps


class _Fold:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._calls: dict[int, Step] = {}
        """By task id."""
        self._requests: dict[str, Step] = {}
        """Entity calls and lock requests by request id."""

    def add(self, event: h.HistoryEvent) -> None:
        if isinstance(event, (h.TaskScheduled, h.SubOrchestrationInstanceCreated)):
            self._call(event)
        elif isinstance(event, h.TimerCreated):
            self._calls[event.event_id] = self._step(StepKind.TIMER, "", event, due=event.fire_at)
        elif isinstance(event, (h.TaskCompleted, h.SubOrchestrationInstanceCompleted)):
            self._answer(event.task_scheduled_id, event, event.result)
        elif isinstance(event, (h.TaskFailed, h.SubOrchestrationInstanceFailed)):
            self._answer(event.task_scheduled_id, event, event.reason or str(event.failure_details or ""), True)
        elif isinstance(event, h.TimerFired):
            self._answer(event.timer_id, event, None)
            timer = self._calls.get(event.timer_id)
            if timer is not None:
                timer.end = max(event.timestamp, event.fire_at)  # it is dated when it was set
        elif isinstance(event, h.EventSent):
            self._sent(event)
        elif isinstance(event, h.EventRaised):
            self._raised(event)
        else:
            instant = _INSTANT.get(type(event))
            if instant is not None:
                what, kind, text = instant(event)
                failure = isinstance(event, h.ExecutionCompleted) and event.status is h.OrchestrationStatus.Failed
                self._step(kind, what, event, end=event.timestamp, input=text, is_failure=failure)

    def _step(self, kind: StepKind, what: str | None, event: h.HistoryEvent, **members: Any) -> Step:
        step = Step(kind, what or "", event.timestamp, **members)
        self.steps.append(step)
        return step

    def _call(self, event: h.TaskScheduled | h.SubOrchestrationInstanceCreated) -> None:
        if isinstance(event, h.TaskScheduled):
            step = self._step(StepKind.ACTIVITY, event.name, event, input=event.input)
        else:
            detached = h.FIRE_AND_FORGET in (event.tags or {})
            end = event.timestamp if detached else None
            step = self._step(StepKind.CHILD, event.name, event, target=event.instance_id, input=event.input, end=end)
        self._calls[event.event_id] = step

    def _answer(self, task_id: int, event: h.HistoryEvent, result: str | None, is_failure: bool = False) -> None:
        step = self._calls.get(task_id)
        if step is not None and step.end is None:
            step.end, step.result, step.is_failure = event.timestamp, result, is_failure

    def _sent(self, event: h.EventSent) -> None:
        request = request_to(event.instance_id, event.name, event.input)
        target, now = event.instance_id, event.timestamp
        if isinstance(request, RequestMessage) and request.is_lock_request:
            names = ", ".join(str(entity) for entity in request.lockset)
            self._requests[request.id] = self._step(StepKind.LOCK, names, event, target=target)
        elif isinstance(request, RequestMessage) and not request.is_signal:
            step = self._step(StepKind.CALL, request.operation, event, target=target, input=request.input)
            self._requests[request.id] = step
        elif isinstance(request, RequestMessage):
            self._step(StepKind.SIGNAL, request.operation, event, target=target, input=request.input, end=now)
        elif isinstance(request, ReleaseMessage):
            self._step(StepKind.RELEASE, target, event, target=target, end=now)
        else:
            self._step(StepKind.SENT, event.name, event, target=target, input=event.input, end=now)

    def _raised(self, event: h.EventRaised) -> None:
        step = self._requests.get(event.name)
        if step is None:
            self._step(StepKind.EVENT, event.name, event, end=event.timestamp, input=event.input)
            return
        step.end, step.result = event.timestamp, event.input
        try:
            answer = ResponseMessage.decode(event.input)
        except ValueError:
            return
        step.result = None if answer.result == GRANTED else answer.result
        step.is_failure = answer.is_error


_Instant = tuple["str | None", StepKind, "str | None"]

_INSTANT: dict[type[h.HistoryEvent], Callable[[Any], _Instant]] = {
    h.ExecutionStarted: lambda e: (e.name, StepKind.STARTED, e.input),
    h.ExecutionCompleted: lambda e: (
        e.status.name,
        StepKind.ENDED,
        str(e.failure_details) if e.failure_details else e.result,
    ),
    h.ContinueAsNew: lambda e: (e.status.name, StepKind.ENDED, e.result),
    h.ExecutionTerminated: lambda e: (None, StepKind.TERMINATED, e.input),
    h.ExecutionSuspended: lambda e: (None, StepKind.SUSPENDED, e.reason),
    h.ExecutionResumed: lambda e: (None, StepKind.RESUMED, e.reason),
    h.ExecutionRewound: lambda e: (None, StepKind.REWOUND, e.reason),
    h.GenericEvent: lambda e: (None, StepKind.REWOUND, e.data),
}
