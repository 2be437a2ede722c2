"""The fold of one generation's history: what it says about the instance (orchestration-semantics 1.7)."""

from __future__ import annotations

from collections.abc import Iterable

from durable_core.core.entity_messages import ReleaseMessage, request_to
from durable_core.core.history import (
    FIRE_AND_FORGET,
    NO_ID,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorCompleted,
    OrchestratorStarted,
    ParentInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

_Key = tuple[object, ...]


class RuntimeState:
    """Events of one generation, in order, and the facts that follow from them.

    Attributes:
        events: every event so far; append through ``add`` and ``extend`` only.
        started: the generation's start, None before it.
        completed: its end, None while it runs.
        status: Running until a suspension or the completion says otherwise.
        episodes: number of OrchestratorStarted events.
        is_continued: an earlier generation continued as new; only then is the row that begins it marked as played.
        locks: entities that were asked for a lock and have not been released, by lock request.
        inherited_status: custom status of the generation before this one, with which this one begins (behaviour 50).
        is_rewinding: its failure was taken back, and the message that lets it go on has not come. Until then its row
            says Failed, so that a rewind that was cut off can be repeated. It may end before: a child fails, too.
    """

    def __init__(self, events: Iterable[HistoryEvent] = ()) -> None:
        self.events: list[HistoryEvent] = []
        self.started: ExecutionStarted | None = None
        self.completed: ExecutionCompleted | None = None
        self.status = OrchestrationStatus.Running
        self.episodes = 0
        self.last_started = 0
        self.is_continued = False
        self.inherited_status: str | None = None
        self.is_rewinding = False
        self._last_undone = -1
        """Episodes before the last decision that was taken back; -1 if there is none."""
        self._activities: set[int] = set()
        self._others: set[int] = set()
        """Scheduled timers and children."""
        self._answered: set[int] = set()
        """Ids of scheduled things that a reply has settled."""
        self._seen: set[_Key] = set()
        """Identities of received events other than replies."""
        self._children: dict[int, str] = {}
        self._requests: dict[str, str] = {}
        self._responses: set[str] = set()
        self.locks: dict[str, dict[str, None]] = {}
        self.extend(events)

    @property
    def execution_id(self) -> str | None:
        return self.started.instance.execution_id if self.started else None

    @property
    def is_finished(self) -> bool:
        return self.completed is not None

    def extend(self, events: Iterable[HistoryEvent]) -> None:
        """Append events; the four most frequent kinds are folded here, because this runs for every row of every history
        that is loaded."""
        append, activities, answered = self.events.append, self._activities, self._answered
        for event in events:
            append(event)
            kind = type(event)
            if kind is TaskCompleted:
                answered.add(event.task_scheduled_id)  # type: ignore[attr-defined]
            elif kind is TaskScheduled:
                activities.add(event.event_id)
            elif kind is OrchestratorStarted:
                self.episodes += 1
                self.last_started = event.timestamp
            elif kind is OrchestratorCompleted:
                if event.is_played:
                    self.is_continued = True
            else:
                self._fold(event)

    def add(self, event: HistoryEvent) -> None:
        """Append one event."""
        self.extend((event,))

    def _fold(self, event: HistoryEvent) -> None:
        settles = settled_id(event)
        if settles is not None:
            self._answered.add(settles)
            return
        if isinstance(event, TimerCreated):
            self._others.add(event.event_id)
        elif isinstance(event, SubOrchestrationInstanceCreated):
            self._others.add(event.event_id)
            if FIRE_AND_FORGET not in (event.tags or {}):
                self._children[event.event_id] = event.instance_id or ""
        elif isinstance(event, EventSent):
            self._sent(event)
        elif isinstance(event, EventRaised):
            if event.name in self._requests:
                self._responses.add(event.name)
        elif isinstance(event, ExecutionStarted):
            self.started = event
        elif isinstance(event, ExecutionCompleted):
            if self.completed is None:
                self.completed = event
                self.status = event.status
                self.is_rewinding = False
        elif isinstance(event, ExecutionSuspended):
            self.status = OrchestrationStatus.Suspended
        elif isinstance(event, ExecutionResumed) and self.completed is None:
            self.status = OrchestrationStatus.Running
        elif isinstance(event, GenericEvent):
            self._rewind(event)
        key = identity(event)
        if key is not None:
            self._seen.add(key)

    def _rewind(self, event: GenericEvent) -> None:
        """A decision that was taken back keeps its id; what wakes the instance afterwards comes in a later episode."""
        if event.event_id != NO_ID:
            self.is_rewinding = True
            self._last_undone = self.episodes
        elif self.episodes > self._last_undone:
            self.is_rewinding = False

    def _sent(self, event: EventSent) -> None:
        request = request_to(event.instance_id, event.name, event.input)
        if isinstance(request, ReleaseMessage):
            self.locks.get(request.id or "", {}).pop(event.instance_id or "", None)
        elif request is not None and not request.is_signal:
            self._requests[request.id] = event.instance_id or ""
            if request.lockset:
                self.locks[request.id] = {item.instance_id: None for item in request.lockset}

    def has_scheduled(self, task_id: int) -> bool:
        """A decision with this id is in the history."""
        return task_id in self._activities or task_id in self._others

    def has_reply(self, task_id: int) -> bool:
        """The decision with this id has been answered."""
        return task_id in self._answered

    def is_duplicate(self, event: HistoryEvent) -> bool:
        """The history already holds this received event, told by its ``identity``."""
        settles = settled_id(event)
        if settles is not None:
            return settles in self._answered
        key = identity(event)
        return key is not None and key in self._seen

    def has_requested(self, request_id: str) -> bool:
        """An entity call or lock request with this id is in the history, and has no answer yet."""
        return request_id in self._requests and request_id not in self._responses

    def has_response(self, request_id: str) -> bool:
        """An entity has answered this request."""
        return request_id in self._responses

    def open_requests(self) -> dict[str, str]:
        """Entities that owe an answer, by request id."""
        return {key: target for key, target in self._requests.items() if key not in self._responses}

    def open_children(self) -> dict[int, str]:
        """Instance ids of children that have not answered yet, by task id."""
        return {task_id: child for task_id, child in self._children.items() if task_id not in self._answered}

    def open_activities(self) -> set[int]:
        """Ids of scheduled activities that nothing has answered yet."""
        return self._activities - self._answered


_REPLIES = (TaskCompleted, TaskFailed, SubOrchestrationInstanceCompleted, SubOrchestrationInstanceFailed)


def settled_id(event: HistoryEvent) -> int | None:
    """Id of the decision that this reply answers; None if the event is no reply."""
    if isinstance(event, _REPLIES):
        return event.task_scheduled_id
    if isinstance(event, TimerFired):
        return event.timer_id
    return None


_REPLY = "reply"


def identity(event: HistoryEvent) -> _Key | None:
    """What makes two received events the same one (design rule 1); None for events that are never received twice.

    A reply is known by its task id; an external or control event by type, name, input and Timestamp.
    """
    settles = settled_id(event)
    if settles is not None:
        return (_REPLY, settles)
    if isinstance(event, EventRaised):
        return (EventRaised, event.name, event.input, event.timestamp)
    if isinstance(event, ExecutionTerminated):
        return (ExecutionTerminated, event.input, event.timestamp)
    if isinstance(event, (ExecutionSuspended, ExecutionResumed)):
        return (type(event), event.reason, event.timestamp)
    if isinstance(event, GenericEvent):
        return (GenericEvent, event.data, event.timestamp)
    return None


def answered_parent(start: ExecutionStarted) -> ParentInstance | None:
    """To whom the instance reports its end: nobody if it has no parent, or is a detached child (semantics 3.7)."""
    return None if FIRE_AND_FORGET in (start.tags or {}) else start.parent
