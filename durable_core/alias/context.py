"""The contexts of orchestrators and entities under the alias (python-api 3 and 7)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from durable_core.alias.encoding import ENCODED_TWICE
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
from durable_core.core.entities import Outcome
from durable_core.core.replay import OrchestrationRun
from durable_core.core.tasks import TaskBase
from durable_core.model import context as model
from durable_core.model import entity_context as entity_model
from durable_core.model.retry import RetryOptions, RetryPolicy, retry_policy


class DurableOrchestrationContext(model.DurableOrchestrationContext):
    """Everything an orchestrator may do: a task is scheduled, and takes its id, when it is first yielded."""

    _encoding = ENCODED_TWICE

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


class DurableEntityContext(entity_model.DurableEntityContext):
    """One operation on one entity; only ``set_result`` gives a result, and what a failed operation changed stays."""

    _encoding = ENCODED_TWICE

    def outcome(self, returned: Any) -> Outcome:
        return super().outcome(None)


def start(user: Callable[[Any], Any], run: OrchestrationRun, input_type: type | None) -> Any:
    """Call an orchestrator function."""
    started = user(DurableOrchestrationContext(run, input_type))
    return scheduling(started) if inspect.isgenerator(started) else started
