"""The replay core: drives one orchestrator function through history events (orchestration-semantics 2).

The machine can stop after any event and go on later: after an episode it keeps the user's generator where it waits, so
that the next event resumes it without replay. Fed the same events from the start, a new machine comes to the same
decisions.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from durable_core.core.decisions import (
    Complete,
    CreateTimer,
    Decision,
    ScheduleTask,
    SendEvent,
    StartSubOrchestration,
)
from durable_core.core.determinism import SPLIT_TIMER_ID, Mismatch, find_mismatch
from durable_core.core.entity_calls import EntityCalls
from durable_core.core.entity_messages import RELEASE
from durable_core.core.failures import TaskFailedError
from durable_core.core.history import (
    EventRaised,
    EventSent,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_core.core.retry import RetryableTask, RetryPolicy
from durable_core.core.tasks import AtomicTask, Decode, TaskBase, TaskState, TimerTask
from durable_core.core.ticks import LONGEST_DELAY, PER_SECOND

logger = logging.getLogger("durable_core.replay")

TIMER_STEP = 3 * 86_400 * PER_SECOND
"""Ticks; the length of the shorter timers that make up one beyond the longest delay (semantics 6.2)."""

_RUNNING = TaskState.RUNNING
_SUCCEEDED = TaskState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class _Continuation:
    """What ``continue_as_new`` was called with."""

    input: str | None
    keep_events: bool
    version: str | None


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """An orchestrator function behind its programming model."""

    name: str
    start: Callable[[OrchestrationRun], Any]
    """Calls the user's function; a generator is driven, anything else is the output."""
    encode_output: Callable[[Any], str | None]
    """JSON text of the returned value; raises SerializationError."""
    describe_failure: Callable[[BaseException], str]
    """Output of the failed instance for an exception that left the function."""


class OrchestrationRun:
    """One execution of one orchestrator function; also what its context asks for tasks, time and input.

    Attributes:
        custom_status: JSON text or None.
        current_time: ticks of the latest OrchestratorStarted (semantics 2.6).
        is_replaying: True while events of earlier episodes are processed (semantics 2.8).
        histories: all events of this generation so far.
        mismatch: where the history records something else than the code decided, None as long as they agree.
    """

    def __init__(self, orchestrator: Orchestrator, histories: Sequence[HistoryEvent] = ()) -> None:
        self.orchestrator = orchestrator
        self.histories = histories
        self.instance_id = ""
        self.execution_id = ""
        self.name = orchestrator.name
        self.version: str | None = ""
        self.parent_instance_id: str | None = None
        self.input: str | None = None
        self.custom_status: str | None = None
        self.is_replaying = False
        self.current_time = 0
        self.is_suspended = False
        self.mismatch: Mismatch | None = None
        self._position = 0
        self._next_id = 0
        self._guids = 0
        self._generator: Generator[Any, Any, Any] | None = None
        self._waiting: TaskBase | None = None
        self._pending: dict[int, Decision] = {}
        self._open: dict[int, TaskBase] = {}
        self._waiters: dict[str, deque[AtomicTask]] = {}
        self._buffered: dict[str, deque[tuple[int, EventRaised]]] = {}
        self._continuation: _Continuation | None = None
        self._held_back: list[HistoryEvent] = []
        self._entities: EntityCalls | None = None
        self._is_complete = False
        self._is_terminated = False

    # ---- what the worker calls -------------------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """The function has ended (its completion may still be held back by a suspension)."""
        return self._is_complete

    def feed(self, events: Iterable[HistoryEvent], *, replaying: bool) -> None:
        """Process events in order; afterwards ``take_decisions`` has what the code decided."""
        self.is_replaying = replaying
        handlers, pending = _HANDLERS, self._pending
        position = self._position
        for event in events:
            kind = type(event)
            if kind is OrchestratorStarted:
                if event.timestamp > self.current_time:
                    self.current_time = event.timestamp
            elif kind is OrchestratorCompleted:
                pass
            elif self.is_suspended and kind is not ExecutionResumed and kind is not ExecutionTerminated:
                if kind is not ExecutionSuspended:
                    self._held_back.append(event)
            elif (
                kind is TaskScheduled
                and type(decision := pending.get(event.event_id)) is ScheduleTask
                and decision.name == event.name  # type: ignore[attr-defined]
            ):
                del pending[event.event_id]  # the usual case of ``_confirm``: it comes for every past activity
            else:
                handler = handlers.get(kind)
                if handler is not None:
                    self._position = position
                    handler(self, event)
            position += 1
        self._position = position
        self.is_replaying = False

    @property
    def pending(self) -> dict[int, Decision]:
        """Decisions by id that no event has confirmed and nobody has taken."""
        return self._pending

    def awaited_events(self) -> list[str]:
        """Names of the external events that the code waits for, in the order of the waits.

        One that it has asked for and does not wait for, any more or as yet, is left out.
        """
        waiting = self._waiting
        if waiting is None:
            return []
        return [name for name, waiters in self._waiters.items() for task in waiters if task.holds_up(waiting)]

    @property
    def will_continue_as_new(self) -> bool:
        """``continue_as_new`` has been called in this generation."""
        return self._continuation is not None

    def take_decisions(self) -> list[Decision]:
        """Decisions that no event has confirmed, by ascending id; none while suspended (semantics 3.11).

        What is taken counts as confirmed: the caller writes it to the history.
        """
        if self.is_suspended:
            return []
        decisions = list(self._pending.values())
        self._pending.clear()
        continuation = self._continuation
        last = decisions[-1] if decisions else None
        if continuation and isinstance(last, Complete) and last.status is OrchestrationStatus.ContinuedAsNew:
            last.carried = self._unconsumed() if continuation.keep_events else ()
            last.version = continuation.version
        return decisions

    def _unconsumed(self) -> list[HistoryEvent]:
        """Events that no wait has taken, in order of arrival."""
        waiting = [entry for queue in self._buffered.values() for entry in queue]
        return [event for _, event in sorted(waiting, key=lambda entry: entry[0])]

    def close(self) -> None:
        """Let the user's generator go; its ``finally`` blocks run, but decide nothing any more."""
        self._is_complete = True
        generator, self._generator = self._generator, None
        if generator is None:
            return
        try:
            generator.close()
        except Exception as error:  # the user's clean-up code failed after the instance was over: only worth a line
            logger.warning(
                "Orchestrator function '%s', instance '%s': closing the generator raised %r; an orchestrator must not "
                "yield or raise while it is being closed.",
                self.orchestrator.name,
                self.instance_id,
                error,
            )

    # ---- what contexts call ----------------------------------------------------------------------------------------

    def next_guid_number(self) -> int:
        """Counter for deterministic GUIDs: 0, 1, 2, … in every execution (semantics 2.9)."""
        number = self._guids
        self._guids = number + 1
        return number

    def call_activity(
        self, name: str, input: str | None, decode: Decode, *, tags: Mapping[str, str] | None = None
    ) -> TaskBase:
        """Schedule an activity now; ``input`` is the JSON text that goes into its message."""
        number = self._next_id
        task = AtomicTask(number, decode)
        self._decide(ScheduleTask(number, name, input, "", tags), task)
        return task

    def call_sub_orchestration(
        self,
        name: str,
        input: str | None,
        decode: Decode,
        *,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> TaskBase:
        """Start a child orchestration now; the task settles when it ends (semantics 3.7).

        Args:
            instance_id: of the child; ``{execution id}:{task id}`` if None or blank (behaviour 40).
            version: of the child, None for the default.

        Raises:
            LockingRulesError: entities are locked.
        """
        if self._entities is not None:
            self._entities.check_child()
        task = AtomicTask(self._next_id, decode)
        self._decide(self._child(name, input, instance_id, version), task)
        return task

    def start_orchestration(
        self, name: str, input: str | None, *, instance_id: str | None = None, version: str | None = None
    ) -> str:
        """Start an orchestration that never reports back, and return its instance id (behaviour 42)."""
        decision = self._child(name, input, instance_id, version)
        decision.is_detached = True
        self._decide(decision, None)
        return decision.instance_id

    def _child(
        self, name: str, input: str | None, instance_id: str | None, version: str | None
    ) -> StartSubOrchestration:
        if not instance_id or instance_id.isspace():
            instance_id = f"{self.execution_id}:{self._next_id}"
        return StartSubOrchestration(self._next_id, name, instance_id, input, version)

    def call_with_retry(self, policy: RetryPolicy, call: Callable[[], TaskBase]) -> RetryableTask:
        """Make ``call``, which schedules one attempt, until it succeeds or ``policy`` gives up (semantics 5.2)."""
        return RetryableTask(policy, call, self.create_timer, lambda: self.current_time)

    def send_event(self, instance_id: str, name: str, input: str | None, *, due: int | None = None) -> None:
        """Send an external event to another instance; nobody tells whether it exists (semantics 7.3).

        Args:
            due: ticks before which the event is not visible, None for at once.
        """
        self._decide(SendEvent(self._next_id, instance_id, name, input, due), None)

    @property
    def entities(self) -> EntityCalls:
        """Calls, signals and critical sections of this execution."""
        if self._entities is None:
            self._entities = EntityCalls(self)
        return self._entities

    def create_timer(self, fire_at: int) -> TimerTask:
        """Create a timer that fires at ``fire_at`` ticks, at once when that is past.

        One that is more than six days ahead is made of shorter timers, each under an id of its own (behaviour 79).
        """
        task = TimerTask(self._next_id, fire_at)
        if fire_at - self.current_time > LONGEST_DELAY:
            task.is_split = True
        self._next_timer(task)
        return task

    def _next_timer(self, task: TimerTask) -> None:
        fire_at = task.fire_at
        if task.is_split and fire_at - self.current_time >= TIMER_STEP:
            fire_at = self.current_time + TIMER_STEP
        self._decide(CreateTimer(self._next_id, fire_at), task)

    def wait_for_event(self, name: str, decode: Decode) -> TaskBase:
        """Wait for an external event of exactly this name; events and waiters pair first in, first out.

        Takes no id and writes nothing (behaviour 8).
        """
        task = AtomicTask(name, decode)
        buffered = self._buffered.get(name)
        if buffered:
            task.receive(buffered.popleft()[1].input)
        else:
            self._waiters.setdefault(name, deque()).append(task)
        return task

    def continue_as_new(self, input: str | None, *, keep_events: bool = True, version: str | None = None) -> None:
        """End this generation when the function returns or yields again, and begin the next with ``input``.

        Args:
            keep_events: events that no wait has taken go with it.
            version: of the next generation, None for the same.
        """
        self._continuation = _Continuation(input, keep_events, version)

    # ---- events ----------------------------------------------------------------------------------------------------

    def _decide(self, decision: Decision, task: TaskBase | None) -> None:
        if self._is_complete or self._continuation is not None:
            return  # the code is over: what it still asks for, in a ``finally`` block say, is not carried out
        self._pending[decision.id] = decision
        if task is not None:
            self._open[decision.id] = task
        self._next_id = decision.id + 1

    def _start(self, event: ExecutionStarted) -> None:
        self.instance_id = event.instance.instance_id
        self.execution_id = event.instance.execution_id or ""
        self.name = event.name
        self.version = event.version
        self.input = event.input
        self.parent_instance_id = event.parent.instance.instance_id if event.parent else None
        try:
            started = self.orchestrator.start(self)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the user's code raises, SystemExit included, fails the instance
            self._fail(error)
            return
        if inspect.isgenerator(started):
            self._generator = started
            self._waiting = _STARTING
            self._resume()
        elif wrong := _not_an_output(started):
            if inspect.iscoroutine(started):
                started.close()
            self._fail(TypeError(wrong))
        else:
            self._return(started)

    def _confirm(self, event: HistoryEvent) -> None:
        decision = self._pending.pop(event.event_id, None)
        if event.event_id == SPLIT_TIMER_ID:
            return
        if type(decision) is Complete and type(event) is EventSent and event.name == RELEASE:
            # The end was moved behind the releases of the locks that were still held (semantics 9.9).
            decision.id += 1
            self._pending[decision.id] = decision
            return
        wrong = find_mismatch(event, decision, function=self.orchestrator.name, position=self._position)
        if wrong is None:
            if self._entities is not None and isinstance(event, EventSent):
                self._adopt_request(event, decision)
        elif self.mismatch is None:
            # What the diverging replay decided must not run a second time, so none of it is carried out.
            self.mismatch = wrong
            self._pending.clear()
            self._complete(OrchestrationStatus.Failed, str(wrong))

    def _adopt_request(self, event: EventSent, decision: Decision | None) -> None:
        """A runtime that makes request ids in another way recorded this one: its answer has the recorded name."""
        assert self._entities is not None
        if not isinstance(decision, SendEvent) or decision.input == event.input:
            return
        ids = self._entities.adopt(decision.input, event.input, decision.instance_id)
        if ids is not None and ids[0] in self._waiters:
            self._waiters[ids[1]] = self._waiters.pop(ids[0])

    def _task_completed(self, event: TaskCompleted | SubOrchestrationInstanceCompleted) -> None:
        task = self._open.pop(event.task_scheduled_id, None)
        if task is not None:
            if isinstance(task, AtomicTask):
                task.receive(event.result)
            else:  # a timer, which a result that is not for it settles all the same
                task.succeed(None)
            self._resume()

    def _task_failed(self, event: TaskFailed | SubOrchestrationInstanceFailed) -> None:
        task = self._open.pop(event.task_scheduled_id, None)
        if task is not None:
            task.fail(TaskFailedError(event.reason or "", event.details, event.failure_details))
            self._resume()

    def _timer_fired(self, event: TimerFired) -> None:
        timer = self._open.pop(event.timer_id, None)
        if timer is not None:
            assert isinstance(timer, TimerTask)
            if timer.is_cancelled:
                return
            if timer.is_split and timer.fire_at > event.fire_at:
                self._next_timer(timer)
                return
            timer.succeed(None)
            self._resume()

    def _event_raised(self, event: EventRaised) -> None:
        waiters = self._waiters.get(event.name)
        if waiters:
            waiters.popleft().receive(event.input)
            self._resume()
        else:
            self._buffered.setdefault(event.name, deque()).append((self._position, event))

    def _terminate(self, event: ExecutionTerminated) -> None:
        if self.is_suspended or self._is_continuing():
            self._next_id = min(self._pending, default=self._next_id)
            self._pending.clear()
            self._is_complete = False
            self._continuation = None
            self.is_suspended = False
        if not self._is_complete:
            self._is_terminated = True
            self._complete(OrchestrationStatus.Terminated, event.input)

    def _is_continuing(self) -> bool:
        """The next generation is decided and not taken yet: a termination in the same batch still wins."""
        return self._continuation is not None and self._is_complete and bool(self._pending)

    def _suspend(self, event: ExecutionSuspended) -> None:
        if not self._is_terminated:
            self.is_suspended = True

    def _continue(self, event: ExecutionResumed) -> None:
        self.is_suspended = False
        held_back, self._held_back = self._held_back, []
        replaying = self.is_replaying
        self.feed(held_back, replaying=replaying)
        self._position -= len(held_back)
        self.is_replaying = replaying

    # ---- the user's generator --------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Run user code until it waits for an open task. Iterative: many settled tasks in a row cost no stack."""
        task = self._waiting
        generator = self._generator
        if generator is None or task is None:
            return
        try:
            while task.state is not _RUNNING:
                task = generator.send(task.result) if task.state is _SUCCEEDED else generator.throw(task.result)
                if self._continuation is not None:
                    self._continue_as_new(self._continuation)
                    return
                if not isinstance(task, TaskBase):
                    self._waiting = None
                    self._fail(TypeError(_not_a_task(task)))
                    return
            self._waiting = task
        except StopIteration as stop:
            self._generator = None
            self._return(stop.value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the user's code raises, SystemExit included, fails the instance
            self._generator = None
            self._fail(error)

    def _return(self, value: Any) -> None:
        if self._continuation is not None:
            self._continue_as_new(self._continuation)
            return
        if isinstance(value, TaskBase):
            self._fail(TypeError("the orchestrator returned a durable task; `yield` the task and return its result"))
            return
        try:
            output = self.orchestrator.encode_output(value)
        except Exception as error:  # user code (to_json) runs inside the codec: any failure is the instance's
            self._fail(error)
            return
        self._complete(OrchestrationStatus.Completed, output)

    def _continue_as_new(self, continuation: _Continuation) -> None:
        self._complete(OrchestrationStatus.ContinuedAsNew, continuation.input)

    def _fail(self, error: BaseException) -> None:
        self._continuation = None
        self._complete(OrchestrationStatus.Failed, self.orchestrator.describe_failure(error))

    def _complete(self, status: OrchestrationStatus, result: str | None) -> None:
        self._pending[self._next_id] = Complete(self._next_id, status, result)
        self._next_id += 1
        self._waiting = None
        self._waiters.clear()
        self.close()


def _not_a_task(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        hint = "to wait for several tasks yield context.task_all([...]) or context.task_any([...])"
    elif inspect.isgenerator(value):
        hint = "did you forget `yield from`?"
    elif inspect.isawaitable(value):
        hint = "an orchestrator cannot await; move asynchronous work into an activity"
    else:
        hint = "yield what context.call_activity, create_timer, wait_for_external_event, task_all or task_any returns"
    return f"the orchestrator yielded {_short(value)} instead of a durable task: {hint}"


def _not_an_output(value: Any) -> str | None:
    if inspect.iscoroutine(value):
        return "an orchestrator must be a generator function: write `def` and `yield`, not `async def` and `await`"
    if inspect.isasyncgen(value):
        return "an orchestrator must be a plain generator function: write `def`, not `async def`"
    if isinstance(value, Generator) or (hasattr(value, "__next__") and hasattr(value, "__iter__")):
        return f"an orchestrator must be a generator function or return a value, but it returned {_short(value)}"
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


_STARTING = TaskBase()
_STARTING.succeed(None)

_HANDLERS: dict[type[HistoryEvent], Callable[[OrchestrationRun, Any], None]] = {
    ExecutionStarted: OrchestrationRun._start,
    TaskScheduled: OrchestrationRun._confirm,
    TimerCreated: OrchestrationRun._confirm,
    SubOrchestrationInstanceCreated: OrchestrationRun._confirm,
    EventSent: OrchestrationRun._confirm,
    TaskCompleted: OrchestrationRun._task_completed,
    SubOrchestrationInstanceCompleted: OrchestrationRun._task_completed,
    TaskFailed: OrchestrationRun._task_failed,
    SubOrchestrationInstanceFailed: OrchestrationRun._task_failed,
    TimerFired: OrchestrationRun._timer_fired,
    EventRaised: OrchestrationRun._event_raised,
    ExecutionTerminated: OrchestrationRun._terminate,
    ExecutionSuspended: OrchestrationRun._suspend,
    ExecutionResumed: OrchestrationRun._continue,
}
