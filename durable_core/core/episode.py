"""One episode: accepted messages and an orchestrator go in, new events and outgoing messages come out.

Pure: the caller brings the time, writes what comes out, and only then acts on it (orchestration-semantics 1.3, 3.3
to 3.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from durable_core.core.decisions import Complete, CreateTimer, Decision, ScheduleTask
from durable_core.core.history import (
    FIRE_AND_FORGET,
    NO_ID,
    ExecutionCompleted,
    ExecutionStarted,
    GenericEvent,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_core.core.messages import TaskMessage
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.state import RuntimeState, settled_id


class Verdict(Enum):
    """What becomes of a message that meets a state."""

    ACCEPT = "accept"
    """Its event belongs into this episode."""
    DROP = "drop"
    """Delete it: a duplicate, a leftover of an older generation, or nobody is there to receive it."""
    DEFER = "defer"
    """Put it back: what it answers, or the instance it wants, may not be committed yet."""


ZOMBIE_DEQUEUES = 5
"""After more dequeues than this a message that nothing in storage explains is given up (task-hub 6.5)."""


def judge(
    state: RuntimeState, message: TaskMessage, dequeue_count: int, *, starting: ExecutionStarted | None = None
) -> Verdict:
    """May ``message`` (no start) join an episode of the generation in ``state``? (task-hub 6.5, semantics 3.3)

    Args:
        state: the current generation, empty if the instance has no history.
        dequeue_count: how often the message has been received; tells a latecomer from a forerunner.
        starting: an accepted start of the same batch, which will be the state's first event.
    """
    event = message.event
    reply_to = settled_id(event)
    patient = dequeue_count <= ZOMBIE_DEQUEUES
    started = state.started or starting
    if started is None:
        return Verdict.DEFER if reply_to is not None and patient else Verdict.DROP
    wanted = message.target.execution_id
    if wanted and wanted != started.instance.execution_id:
        # An answer for a generation that we cannot see: an old one, or one whose checkpoint is still on its way.
        return Verdict.DEFER if reply_to is not None and patient and not state.is_finished else Verdict.DROP
    if state.is_finished and not isinstance(event, GenericEvent):
        return Verdict.DROP
    if state.is_duplicate(event):
        return Verdict.DROP
    if reply_to is not None and not state.has_scheduled(reply_to):
        return Verdict.DEFER if patient else Verdict.DROP
    return Verdict.ACCEPT


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that an episode sends; ``due`` (ticks) delays its visibility."""

    message: TaskMessage
    due: int | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """The outcome of one episode, not yet committed.

    Attributes:
        events: rows to append, from OrchestratorStarted to OrchestratorCompleted.
        outgoing: messages to send before the rows are written.
        number: 1 for the first episode of the generation.
        custom_status: JSON text after the episode, None if there is none.
    """

    events: Sequence[HistoryEvent]
    outgoing: Sequence[Outgoing]
    number: int
    custom_status: str | None


def run_episode(
    state: RuntimeState,
    run: OrchestrationRun | None,
    orchestrator: Orchestrator,
    received: Sequence[HistoryEvent],
    *,
    now: int,
    store_inputs: bool = False,
) -> tuple[Episode, OrchestrationRun]:
    """Run the orchestrator on ``received`` events; ``state`` grows by the episode's events.

    Args:
        state: the generation so far; must contain, or receive, its start.
        run: the waiting execution of this state from an earlier episode, None to replay it.
        received: events of accepted messages, the start first if there is one.
        now: ticks; raised if needed so that the orchestrator's clock never stands still between episodes.
        store_inputs: keep activity inputs in history (host.json ``storeInputsInOrchestrationHistory``).

    Returns:
        The episode, and the execution to resume next time.
    """
    now = max(now, state.last_started + 1)
    if run is None:
        run = OrchestrationRun(orchestrator, state.events)
        run.feed(state.events, replaying=True)
    first = len(state.events)
    fresh: list[HistoryEvent] = [OrchestratorStarted(timestamp=now), *(_played(event) for event in received)]
    state.extend(fresh)
    run.feed(fresh, replaying=False)
    assert state.started is not None, "the caller never runs an episode without a start"
    outgoing: list[Outgoing] = []
    for decision in run.take_decisions():
        state.add(_record(decision, now, store_inputs))
        outgoing.extend(_messages(decision, state.started, now))
    state.add(OrchestratorCompleted(timestamp=now))
    return Episode(state.events[first:], outgoing, state.episodes, run.custom_status), run


def _played(event: HistoryEvent) -> HistoryEvent:
    return event if event.is_played else replace(event, is_played=True)


def _record(decision: Decision, now: int, store_inputs: bool) -> HistoryEvent:
    if isinstance(decision, ScheduleTask):
        return TaskScheduled(
            timestamp=now,
            event_id=decision.id,
            name=decision.name,
            version=decision.version,
            input=decision.input if store_inputs else None,
        )
    if isinstance(decision, CreateTimer):
        return TimerCreated(timestamp=now, event_id=decision.id, fire_at=decision.fire_at)
    if isinstance(decision, Complete):
        return ExecutionCompleted(timestamp=now, event_id=decision.id, status=decision.status, result=decision.result)
    raise NotImplementedError(f"no history event records a {type(decision).__name__}")


def _messages(decision: Decision, started: ExecutionStarted, now: int) -> Sequence[Outgoing]:
    target = started.instance
    if isinstance(decision, ScheduleTask):
        event = TaskScheduled(
            timestamp=now,
            event_id=decision.id,
            name=decision.name,
            version=decision.version,
            input=decision.input,
        )
        return [Outgoing(TaskMessage(event, target, started.tags or {}))]
    if isinstance(decision, CreateTimer):
        fired = TimerFired(timestamp=now, timer_id=decision.id, fire_at=decision.fire_at)
        return [Outgoing(TaskMessage(fired, target), due=decision.fire_at)]
    if isinstance(decision, Complete) and started.parent is not None and FIRE_AND_FORGET not in (started.tags or {}):
        return [Outgoing(_answer_to_parent(decision, started.parent.instance, started.parent.task_schedule_id, now))]
    return []


def _answer_to_parent(decision: Complete, parent: OrchestrationInstance, task_id: int, now: int) -> TaskMessage:
    event: HistoryEvent
    if decision.status is OrchestrationStatus.Completed:
        event = SubOrchestrationInstanceCompleted(timestamp=now, task_scheduled_id=task_id, result=decision.result)
    else:
        event = SubOrchestrationInstanceFailed(timestamp=now, task_scheduled_id=task_id, reason=decision.result)
    return TaskMessage(event, parent)


def order_received(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """The start first, the others in the order of arrival (semantics 3.2, behaviour 30)."""
    return sorted(events, key=lambda event: not isinstance(event, ExecutionStarted))


def reject(state: RuntimeState, received: Sequence[HistoryEvent], text: str, *, now: int) -> Sequence[HistoryEvent]:
    """Rows of an episode that fails without running any code, e.g. because the function does not exist."""
    now = max(now, state.last_started + 1)
    decided = sum(1 for event in state.events if event.event_id != NO_ID)
    return [
        OrchestratorStarted(timestamp=now),
        *(_played(event) for event in received),
        ExecutionCompleted(timestamp=now, event_id=decided, status=OrchestrationStatus.Failed, result=text),
        OrchestratorCompleted(timestamp=now),
    ]
