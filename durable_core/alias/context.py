"""The contexts of orchestrators and entities under the alias (python-api 3 and 7)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NoReturn

from durable_core.alias.actions import ContinueAsNewAction, SignalEntityAction
from durable_core.alias.encoding import ENCODED_TWICE
from durable_core.alias.messages import FunctionContext, refuse
from durable_core.alias.recorder import Recorder
from durable_core.alias.tasks import (
    AtomicTask,
    LongTimerTask,
    RetryAbleTask,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
    scheduling,
)
from durable_core.core import ticks
from durable_core.core.entities import Operation, Outcome
from durable_core.core.entity_ids import EntityId
from durable_core.core.replay import OrchestrationRun
from durable_core.core.tasks import TaskBase
from durable_core.model import context as model
from durable_core.model import entity_context as entity_model
from durable_core.model.retry import RetryOptions, RetryPolicy, retry_policy

_NO_PAYLOAD = "the runtime has no such payload; in tests use a mock, or call what create() returns with the payload"


class DurableOrchestrationContext(model.DurableOrchestrationContext):
    """Everything an orchestrator may do: a task is scheduled, and takes its id, when it is first yielded."""

    _encoding = ENCODED_TWICE
    _recorder: Recorder | None = None
    """Set while a test wants to know the decisions in the SDK's form."""
    _time: datetime | None = None

    def __init__(self, *made_from: Any, **payload: Any) -> None:
        if payload or not made_from or not isinstance(made_from[0], OrchestrationRun):
            refuse("DurableOrchestrationContext(history, ...)", _NO_PAYLOAD)
        super().__init__(*made_from)

    @classmethod
    def from_json(cls, json_string: str) -> NoReturn:
        """Refused: contexts are made by the runtime."""
        refuse("DurableOrchestrationContext.from_json", _NO_PAYLOAD)

    @property
    def function_context(self) -> FunctionContext:
        """Name and folder of the function; the original keeps unknown members of its payload here."""
        return FunctionContext(self._run.name, "")

    @property
    def current_utc_datetime(self) -> datetime:
        """The time, the same on every replay; tests may set it."""
        return self._time if self._time is not None else super().current_utc_datetime

    @current_utc_datetime.setter
    def current_utc_datetime(self, value: datetime) -> None:
        self._time = value

    def _task(self, schedule: Callable[[], TaskBase]) -> TaskBase:
        return AtomicTask.deferred(schedule)

    def _retried_task(self, retry_options: RetryOptions | RetryPolicy, attempt: Callable[[], TaskBase]) -> TaskBase:
        policy = retry_policy(retry_options)
        task = RetryAbleTask.deferred(lambda: self._run.call_with_retry(policy, attempt))
        task.retry_options = retry_options
        return task

    def _timer(self, due: int, create: Callable[[], Any]) -> Any:
        kind = LongTimerTask if due - self._run.current_time > ticks.LONGEST_DELAY else TimerTask
        return kind.deferred(create)

    def task_all(self, activities: Iterable[TaskBase]) -> Any:
        """A task that succeeds with all results, in order, and fails with the first failure."""
        return WhenAllTask(model.checked_tasks(activities, "task_all"))

    def task_any(self, activities: Iterable[TaskBase]) -> Any:
        """A task that succeeds with the first task of the list that is settled."""
        return WhenAnyTask(model.checked_tasks(activities, "task_any"))

    def signal_entity(
        self, entityId: EntityId, operationName: str, operationInput: Any = None, signal_time: datetime | None = None
    ) -> TaskBase:
        """Ask an entity for an operation, at once and without waiting for it."""
        done = super().signal_entity(entityId, operationName, operationInput, signal_time)
        if self._recorder is not None and not self._run.will_continue_as_new:
            self._recorder.note(SignalEntityAction(entityId, operationName, operationInput))
        return done

    def continue_as_new(
        self, input_: Any = None, *, preserve_unprocessed_events: bool = True, version: str | None = None
    ) -> None:
        """Begin again with a new input and an empty history once the function returns or yields."""
        super().continue_as_new(input_, preserve_unprocessed_events=preserve_unprocessed_events, version=version)
        if self._recorder is not None:
            self._recorder.note(ContinueAsNewAction(input_))


class DurableEntityContext(entity_model.DurableEntityContext):
    """One operation on one entity; only ``set_result`` gives a result, and what a failed operation changed stays."""

    _encoding = ENCODED_TWICE

    def __init__(self, *made_from: Any, **payload: Any) -> None:
        if payload or not made_from or not isinstance(made_from[0], Operation):
            refuse("DurableEntityContext(name, ...)", _NO_PAYLOAD)
        super().__init__(*made_from)

    @classmethod
    def from_json(cls, json_str: str) -> NoReturn:
        """Refused: contexts are made by the runtime."""
        refuse("DurableEntityContext.from_json", _NO_PAYLOAD)

    def outcome(self, returned: Any) -> Outcome:
        return super().outcome(None)


def start(
    user: Callable[[Any], Any], run: OrchestrationRun, input_type: type | None, recorder: Recorder | None = None
) -> Any:
    """Call an orchestrator function.

    Args:
        recorder: is told of every task that is yielded.
    """
    context = DurableOrchestrationContext(run, input_type)
    context._recorder = recorder
    started = user(context)
    if not inspect.isgenerator(started):
        return started
    return scheduling(started, None if recorder is None else lambda task: recorder.yielded(task, run))
