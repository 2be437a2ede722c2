"""What a rewind takes out of a failed history, so that replay comes to the failed step once more (semantics 8.6).

.NET rewinds every failure of the execution, also one that the code had caught or retried; its replay then diverges from
what followed. Here only the failures that ended the run are taken out, and whatever was decided behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from durable_core.core.entity_messages import ReleaseMessage, request_to
from durable_core.core.history import (
    FIRE_AND_FORGET,
    EventSent,
    ExecutionCompleted,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorStarted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
)
from durable_core.core.state import settled_id

_DECISIONS = (TaskScheduled, TimerCreated, SubOrchestrationInstanceCreated, EventSent)
_FAILURES = (TaskFailed, SubOrchestrationInstanceFailed)


@dataclass(frozen=True, slots=True)
class RewindPlan:
    """Positions in the history, and children by the position of the event that created them.

    Attributes:
        undone: events that become GenericEvent, which replay ignores.
        failed_children: children whose failure ended the run; they are rewound themselves.
        open_children: children that had not answered when the run ended; what they said since was dropped.
        is_unlocked: the run gave locks back in the moment in which it failed, so that it cannot go on inside the
            critical section: others may have changed the entities since.
    """

    undone: set[int] = field(default_factory=set)
    failed_children: dict[int, str] = field(default_factory=dict)
    open_children: dict[int, str] = field(default_factory=dict)
    is_unlocked: bool = False


def plan_rewind(events: Sequence[HistoryEvent]) -> RewindPlan:
    """What to undo in the history of a failed run; nothing if it did not fail."""
    end = next((index for index in range(len(events) - 1, -1, -1) if _is_failed_end(events[index])), None)
    plan = RewindPlan()
    if end is None:
        return plan
    if _releases(events, end):
        return RewindPlan(is_unlocked=True)
    plan.undone.add(end)
    created = {event.event_id: index for index, event in enumerate(events[:end]) if isinstance(event, _DECISIONS)}
    # By number, not by place: what an earlier rewind reopened was decided again, behind what came later.
    last = created[max(created)] if created else -1
    culprits = [index for index in range(last + 1, end) if isinstance(events[index], _FAILURES)]
    if not culprits:
        culprits = _exhausted_retries(events, last, end)
        if culprits:
            _undo_everything_behind(events, culprits[0], created, plan)
    for index in culprits:
        event = events[index]
        assert isinstance(event, _FAILURES)
        plan.undone.add(index)
        origin = created.get(event.task_scheduled_id)
        if origin is None:
            continue
        child = events[origin]
        if isinstance(child, SubOrchestrationInstanceCreated):
            plan.failed_children[origin] = child.instance_id or ""
        else:
            plan.undone.add(origin)
    _reopen(events[:end], created, plan)
    return plan


def _is_failed_end(event: HistoryEvent) -> bool:
    return isinstance(event, ExecutionCompleted) and event.status is OrchestrationStatus.Failed


def _releases(events: Sequence[HistoryEvent], end: int) -> bool:
    """Locks were given back in the episode that ended the run: by the code, or by the engine behind it."""
    for event in reversed(events[:end]):
        if isinstance(event, OrchestratorStarted):
            return False
        if isinstance(event, EventSent) and isinstance(
            request_to(event.instance_id, event.name, event.input), ReleaseMessage
        ):
            return True
    return False


def _exhausted_retries(events: Sequence[HistoryEvent], last: int, end: int) -> list[int]:
    """Failures of the episode whose last decision is the timer that follows a last attempt (behaviours 71, 76)."""
    timer = events[last] if last >= 0 else None
    if not isinstance(timer, TimerCreated):
        return []
    begin = next(index for index in range(last, -1, -1) if isinstance(events[index], OrchestratorStarted))
    fired = any(settled_id(event) == timer.event_id for event in events[last:end])
    if timer.fire_at > events[begin].timestamp or not fired:
        return []
    return [index for index in range(begin, last) if isinstance(events[index], _FAILURES)]


def _undo_everything_behind(
    events: Sequence[HistoryEvent], failure: int, created: Mapping[int, int], plan: RewindPlan
) -> None:
    """Undo every later event, except what was received and is still awaited: replies to earlier decisions, events."""
    for index in range(failure + 1, len(events)):
        event = events[index]
        reply_to = settled_id(event)
        if reply_to is not None:
            if created.get(reply_to, len(events)) > failure:
                plan.undone.add(index)
        elif isinstance(event, (*_DECISIONS, ExecutionCompleted)) or type(event).__name__.startswith("Orchestrator"):
            plan.undone.add(index)


def _reopen(events: Sequence[HistoryEvent], created: Mapping[int, int], plan: RewindPlan) -> None:
    """Decisions that nothing had answered are made again: a finished instance drops the answers that come late."""
    answered = {settled_id(event) for index, event in enumerate(events) if index not in plan.undone}
    for task_id, index in created.items():
        if task_id in answered or index in plan.undone or index in plan.failed_children:
            continue
        event = events[index]
        if isinstance(event, (TaskScheduled, TimerCreated)):
            plan.undone.add(index)
        elif isinstance(event, SubOrchestrationInstanceCreated) and FIRE_AND_FORGET not in (event.tags or {}):
            plan.open_children[index] = event.instance_id or ""
