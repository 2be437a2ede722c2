"""One episode: accepted messages and an orchestrator go in, new events and outgoing messages come out.

Pure: the caller brings the time, writes what comes out, and only then acts on it (orchestration-semantics 1.3, 3.3
to 3.6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from enum import Enum

from durable_core.core.decisions import (
    Complete,
    CreateTimer,
    Decision,
    ScheduleTask,
    SendEvent,
    StartSubOrchestration,
)
from durable_core.core.determinism import SPLIT_TIMER_ID
from durable_core.core.entity_messages import RELEASE, ReleaseMessage, is_response
from durable_core.core.history import (
    FIRE_AND_FORGET,
    NO_ID,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorCompleted,
    OrchestratorStarted,
    ParentInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_core.core.ids import child_execution_id, next_execution_id
from durable_core.core.messages import TaskMessage
from durable_core.core.records import struct
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.state import RuntimeState, answered_parent, settled_id


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
    wanted = message.target.execution_id
    from_entity = isinstance(event, EventRaised) and is_response(event.name, wanted)
    is_reply = reply_to is not None or from_entity
    if started is None:
        return Verdict.DEFER if is_reply and patient else Verdict.DROP
    if wanted and wanted != started.instance.execution_id:
        # An answer for a generation that we cannot see: an old one, or one whose checkpoint is still on its way.
        return Verdict.DEFER if is_reply and patient and not state.is_finished else Verdict.DROP
    if state.is_finished:
        return Verdict.DROP
    if state.is_duplicate(event):
        return Verdict.DROP
    if reply_to is not None and not state.has_scheduled(reply_to):
        return Verdict.DEFER if patient else Verdict.DROP
    if isinstance(event, EventRaised) and from_entity and not state.has_requested(event.name):
        return Verdict.DEFER if patient and not state.has_response(event.name) else Verdict.DROP
    return Verdict.ACCEPT


@struct
class Outgoing:
    """A message that an episode sends; ``due`` (ticks) delays its visibility."""

    message: TaskMessage
    due: int | None = None


@struct
class Episode:
    """The outcome of one episode, not yet committed.

    Attributes:
        state: the generation to go on with.
        first: position in it of ``events[0]``; 0 also when the generation is a new one, which replaces the old.
        events: rows to write, from OrchestratorStarted to OrchestratorCompleted.
        outgoing: messages to send before the rows are written.
        number: of the episode within the generation that it began with, from 1.
        custom_status: JSON text after the episode, None if there is none.
        afterwards: messages that nobody may see unless the rows are written: kept with the rows and sent behind
            them.
    """

    state: RuntimeState = field(compare=False)
    first: int
    events: Sequence[HistoryEvent]
    outgoing: Sequence[Outgoing]
    number: int
    custom_status: str | None
    afterwards: Sequence[Outgoing] = ()


@struct
class EpisodeRules:
    """What a worker's settings say about episodes.

    Attributes:
        store_inputs: keep inputs of activities and children in history (``storeInputsInOrchestrationHistory``).
        default_version: version of children whose call names none.
        accepts: may a generation of this version run here? (semantics 3.12)
        generations: how many times one episode may continue as new before it is committed.
    """

    store_inputs: bool = False
    default_version: str = ""
    accepts: Callable[[str | None], bool] = lambda version: True
    generations: int = 20


DEFAULT_RULES = EpisodeRules()

_MOST_CARRIED = 90
"""Events that a new generation takes along in the one transaction that begins it."""


def run_episode(
    state: RuntimeState,
    run: OrchestrationRun | None,
    orchestrator: Orchestrator,
    received: Sequence[HistoryEvent],
    *,
    now: int,
    rules: EpisodeRules = DEFAULT_RULES,
) -> tuple[Episode, OrchestrationRun | None]:
    """Run the orchestrator on ``received`` events; ``state`` grows by the episode's events.

    Generations that continue as new run on at once; only the last one is written (task-hub 6.9).

    Args:
        state: the generation so far; must contain, or receive, its start.
        run: the waiting execution of this state from an earlier episode, None to replay it.
        received: events of accepted messages, the start first if there is one.
        now: ticks; raised if needed so that the orchestrator's clock never stands still between episodes.

    Returns:
        The episode, and the execution to resume next time (None: replay it).
    """
    now = max(now, state.last_started + 1)
    if run is None:
        run = begin_run(state, orchestrator)
        run.feed(state.events, replaying=not _never_ran(state))
    first = len(state.events)
    fresh: list[HistoryEvent] = [OrchestratorStarted(timestamp=now), *(_played(event) for event in received)]
    state.extend(fresh)
    run.feed(fresh, replaying=False)
    outgoing: list[Outgoing] = []
    number = state.episodes
    generations = 0
    next_start = _decide(state, run, outgoing, now, rules)
    while next_start is not None:
        now += 1
        status = run.custom_status
        state, first = _next_generation(next_start, now), 0
        state.inherited_status = status
        run = begin_run(state, orchestrator)
        generations += 1
        if generations >= rules.generations or not rules.accepts(next_start.started.version):
            _break_off(state, outgoing, now)
            return Episode(state, first, state.events, outgoing, number, status), None
        run.feed(state.events, replaying=False)
        next_start = _decide(state, run, outgoing, now, rules)
    if not isinstance(state.events[-1], OrchestratorCompleted):
        state.add(OrchestratorCompleted(timestamp=now))
    return Episode(state, first, state.events[first:], outgoing, number, run.custom_status), run


def begin_run(state: RuntimeState, orchestrator: Orchestrator) -> OrchestrationRun:
    """A new execution of the generation in ``state``, which has been fed nothing yet."""
    run = OrchestrationRun(orchestrator, state.events)
    run.custom_status = state.inherited_status
    return run


@struct
class _NextStart:
    started: ExecutionStarted
    carried: Sequence[HistoryEvent]


def _decide(
    state: RuntimeState, run: OrchestrationRun, outgoing: list[Outgoing], now: int, rules: EpisodeRules
) -> _NextStart | None:
    """Record what the code decided; returns the start of the next generation if it continues as new."""
    started = state.started
    assert started is not None, "the caller never runs an episode without a start"
    for decision in run.take_decisions():
        if isinstance(decision, Complete):
            _release_locks(state, decision, outgoing, now)
        if isinstance(decision, Complete) and decision.status is OrchestrationStatus.ContinuedAsNew:
            return _next_start(started, decision, outgoing, now)
        if isinstance(decision, StartSubOrchestration) and decision.version is None:
            decision.version = rules.default_version
        state.add(_record(decision, now, rules.store_inputs))
        outgoing.extend(_messages(decision, started, now))
    return None


def _release_locks(state: RuntimeState, end: Complete, outgoing: list[Outgoing], now: int) -> None:
    """However an orchestration or a generation ends, the entities that it has locked, or still waits for, are
    released (semantics 9.9); ``end`` moves behind the releases."""
    started = state.started
    assert started is not None
    open_locks = [(lock, entity) for lock, entities in state.locks.items() for entity in entities]
    for lock_id, entity in open_locks:
        text = ReleaseMessage(parent=started.instance.instance_id, id=lock_id).encode()
        release = SendEvent(end.id, entity, RELEASE, text)
        state.add(_record(release, now, False))
        outgoing.extend(_messages(release, started, now))
        end.id += 1


def _next_start(started: ExecutionStarted, decision: Complete, outgoing: list[Outgoing], now: int) -> _NextStart:
    instance = OrchestrationInstance(
        started.instance.instance_id, next_execution_id(started.instance.execution_id or "")
    )
    for event in decision.carried[_MOST_CARRIED:]:
        # The rest would not fit the transaction that replaces the old generation, and a crash behind it must not lose
        # them: they travel by queue. If this episode is repeated, the old generation knows them as duplicates.
        outgoing.append(Outgoing(TaskMessage(replace(event, is_played=False), replace(instance, execution_id=None))))
    return _NextStart(
        ExecutionStarted(
            timestamp=now,
            is_played=True,
            instance=instance,
            name=started.name,
            version=started.version if decision.version is None else decision.version,
            input=decision.result,
            parent=started.parent,
            tags=started.tags,
            correlation=started.correlation,
            parent_trace_context=started.parent_trace_context,
        ),
        decision.carried[:_MOST_CARRIED],
    )


def _next_generation(start: _NextStart, now: int) -> RuntimeState:
    return RuntimeState(
        (
            OrchestratorStarted(timestamp=now),
            start.started,
            *(_played(event) for event in start.carried),
            OrchestratorCompleted(timestamp=now, is_played=True),
        )
    )


def _break_off(state: RuntimeState, outgoing: list[Outgoing], now: int) -> None:
    """Commit a generation that has not run yet; a timer that no code sees wakes it (behaviours 26, 34)."""
    assert state.started is not None
    state.add(TimerCreated(timestamp=now, event_id=SPLIT_TIMER_ID, fire_at=now))
    state.add(OrchestratorCompleted(timestamp=now))
    fired = TimerFired(timestamp=now, timer_id=SPLIT_TIMER_ID, fire_at=now)
    outgoing.append(Outgoing(TaskMessage(fired, state.started.instance)))


def _never_ran(state: RuntimeState) -> bool:
    return state.episodes == 1 and state.has_scheduled(SPLIT_TIMER_ID)


def _played(event: HistoryEvent) -> HistoryEvent:
    return event if event.is_played else event.as_played()


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
    if isinstance(decision, StartSubOrchestration):
        return SubOrchestrationInstanceCreated(
            timestamp=now,
            event_id=decision.id,
            name=decision.name,
            version=decision.version,
            instance_id=decision.instance_id,
            input=decision.input if store_inputs else None,
            tags=_DETACHED if decision.is_detached else None,
        )
    if isinstance(decision, SendEvent):
        return EventSent(
            timestamp=now,
            event_id=decision.id,
            instance_id=decision.instance_id,
            name=decision.name,
            input=decision.input,
        )
    if isinstance(decision, Complete):
        return ExecutionCompleted(
            timestamp=now,
            event_id=decision.id,
            status=decision.status,
            result=decision.result,
            failure_details=decision.failure_details,
        )
    raise NotImplementedError(f"no history event records a {type(decision).__name__}")


_DETACHED = {FIRE_AND_FORGET: ""}


def _messages(decision: Decision, started: ExecutionStarted, now: int) -> Sequence[Outgoing]:
    target = started.instance
    if isinstance(decision, ScheduleTask):
        event = TaskScheduled(
            timestamp=now,
            event_id=decision.id,
            name=decision.name,
            version=decision.version,
            input=decision.input,
            tags=decision.tags,
        )
        return [Outgoing(TaskMessage(event, target, started.tags or {}))]
    if isinstance(decision, CreateTimer):
        fired = TimerFired(timestamp=now, timer_id=decision.id, fire_at=decision.fire_at)
        return [Outgoing(TaskMessage(fired, target), due=decision.fire_at)]
    if isinstance(decision, StartSubOrchestration):
        return [Outgoing(_start_of_child(decision, started, now))]
    if isinstance(decision, SendEvent):
        # Equal events of one episode are two events: the receiver tells duplicates by their time, in ticks.
        raised = EventRaised(timestamp=now + decision.id, name=decision.name, input=decision.input)
        return [Outgoing(TaskMessage(raised, OrchestrationInstance(decision.instance_id)), due=decision.due)]
    if isinstance(decision, Complete) and (parent := answered_parent(started)) is not None:
        return [Outgoing(_answer_to_parent(decision, parent.instance, parent.task_schedule_id, now))]
    return []


def _start_of_child(decision: StartSubOrchestration, started: ExecutionStarted, now: int) -> TaskMessage:
    """The start of a child: the parent's tags go along, the mark of a detached one is never inherited."""
    parent = started.instance
    tags = {key: value for key, value in (started.tags or {}).items() if key != FIRE_AND_FORGET}
    if decision.is_detached:
        tags.update(_DETACHED)
    event = ExecutionStarted(
        timestamp=now,
        instance=OrchestrationInstance(
            decision.instance_id, child_execution_id(parent.execution_id or "", decision.id)
        ),
        name=decision.name,
        version=decision.version,
        input=decision.input,
        parent=ParentInstance(started.name, parent, decision.id, started.version),
        tags=tags or None,
    )
    return TaskMessage(event, event.instance, started.tags or {})


def _answer_to_parent(decision: Complete, parent: OrchestrationInstance, task_id: int, now: int) -> TaskMessage:
    event: HistoryEvent
    if decision.status is OrchestrationStatus.Completed:
        event = SubOrchestrationInstanceCompleted(timestamp=now, task_scheduled_id=task_id, result=decision.result)
    else:
        event = SubOrchestrationInstanceFailed(
            timestamp=now,
            task_scheduled_id=task_id,
            reason=decision.result,
            failure_details=decision.failure_details,
        )
    return TaskMessage(event, parent)


def answers_of_replaced(state: RuntimeState, now: int) -> list[Outgoing]:
    """What the parent is told of a child that another start replaces while it runs: it would wait for ever."""
    parent = answered_parent(state.started) if state.started is not None and not state.is_finished else None
    if parent is None:
        return []
    reason = (
        f"Instance '{state.started.instance.instance_id if state.started else ''}' was replaced by another start with "
        "the same instance id before it ended. Give every sub-orchestration an id of its own, or none."
    )
    failed = SubOrchestrationInstanceFailed(timestamp=now, task_scheduled_id=parent.task_schedule_id, reason=reason)
    return [Outgoing(TaskMessage(failed, parent.instance))]


def order_received(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """The start first, the others in the order of arrival (semantics 3.2, behaviour 30)."""
    return sorted(events, key=lambda event: type(event) is not ExecutionStarted)


def reject(
    state: RuntimeState,
    received: Sequence[HistoryEvent],
    text: str | None,
    *,
    now: int,
    failure_details: FailureDetails | None = None,
) -> Episode:
    """An episode that fails without running any code, e.g. because the function does not exist."""
    now = max(now, state.last_started + 1)
    first = len(state.events)
    decided = sum(1 for event in state.events if event.event_id != NO_ID)
    state.add(OrchestratorStarted(timestamp=now))
    state.extend(_played(event) for event in received)
    assert state.started is not None, "the caller never rejects without a start"
    end = Complete(decided, OrchestrationStatus.Failed, text, failure_details)
    outgoing: list[Outgoing] = []
    _release_locks(state, end, outgoing, now)
    state.add(_record(end, now, False))
    outgoing.extend(_messages(end, state.started, now))
    state.add(OrchestratorCompleted(timestamp=now))
    return Episode(state, first, state.events[first:], outgoing, state.episodes, None)
