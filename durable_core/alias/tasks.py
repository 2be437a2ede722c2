"""Tasks that are scheduled when they are first yielded, as ``azure.durable_functions`` does it (python-api 4)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from durable_core.core import tasks as core
from durable_core.core.failures import TaskFailedError
from durable_core.core.retry import RetryableTask
from durable_core.core.tasks import TaskState

__all__ = [
    "AtomicTask",
    "CompoundTask",
    "LongTimerTask",
    "RetryAbleTask",
    "TaskBase",
    "TaskState",
    "TimerTask",
    "WhenAllTask",
    "WhenAnyTask",
]


T = TypeVar("T", bound="AtomicTask")


class TaskBase(core.TaskBase):
    """A durable task.

    Args:
        id_: number or name.
        actions: kept for tests that make tasks of their own.
    """

    parent: core.CompoundTask | None = None
    is_played = False

    def __init__(self, id_: int | str | None = None, actions: Any = ()) -> None:
        super().__init__(id_)
        self.action_repr = actions

    def set_is_played(self, is_played: bool) -> None:
        """Kept for tests that drive tasks themselves; the runtime does not need it."""
        self.is_played = is_played

    def change_state(self, state: TaskState) -> None:
        """Kept for tests that drive tasks themselves."""
        self.state = state

    def set_value(self, is_error: bool, value: Any) -> None:
        """Settle the task, and what it is a part of."""
        if is_error:
            self.fail(value)
        else:
            self.succeed(value)

    def propagate(self) -> None:
        """Nothing to do: whatever a task is a part of hears of it when it is settled."""

    def _add_parent(self, parent: core.CompoundTask) -> None:
        super()._add_parent(parent)
        self.parent = parent


class AtomicTask(TaskBase):
    """One call or wait, which another task carries out once it is scheduled."""

    _schedule: Callable[[], core.TaskBase] | None = None
    _inner: core.TaskBase | None = None

    @classmethod
    def deferred(cls: type[T], schedule: Callable[[], core.TaskBase]) -> T:
        """A task that ``schedule`` makes when it is first yielded."""
        task = cls()
        task._schedule = schedule
        return task

    def schedule(self) -> None:
        """Take effect, if that has not happened yet. What is wrong with the call is the task's failure then."""
        schedule, self._schedule = self._schedule, None
        if schedule is None:
            return
        try:
            inner = schedule()
        except Exception as error:  # thrown where the orchestrator yields the task
            self.fail(error)
            return
        self._inner, self.id = inner, inner.id
        if inner.is_completed:
            self.child_settled(inner)
        else:
            inner._add_parent(self)  # type: ignore[arg-type]

    def child_settled(self, child: core.TaskBase) -> None:
        """The inner task is through."""
        if child.state is TaskState.FAILED:
            self.fail(_bare(child.result))
        else:
            self.succeed(child.result)


class TimerTask(AtomicTask):
    """A timer; ``cancel`` gives it up."""

    _cancelled = False

    def __init__(self, id_: int | str | None = None, action: Any = None) -> None:
        super().__init__(id_, action)

    @property
    def is_cancelled(self) -> bool:
        """``cancel`` has been called."""
        return self._cancelled

    def cancel(self) -> None:
        """Give the timer up: it never completes.

        Raises:
            ValueError: it has fired already.
        """
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        self._cancelled = True
        if isinstance(self._inner, core.TimerTask):
            self._inner.cancel()

    def schedule(self) -> None:
        super().schedule()
        if self._cancelled and isinstance(self._inner, core.TimerTask) and not self._inner.is_cancelled:
            self._inner.cancel()


class CompoundTask(core.CompoundTask, TaskBase):
    """A task made of others.

    Args:
        tasks: the children, in order.
        compound_action_constructor: not used here.
    """

    def __init__(self, tasks: Sequence[core.TaskBase], compound_action_constructor: Any = None) -> None:
        self.action_repr: Any = ()
        super().__init__(tasks)


class WhenAllTask(core.WhenAllTask, CompoundTask):
    """Succeeds with all results, fails with the first failure."""

    def __init__(self, task: Sequence[core.TaskBase], replay_schema: Any = None) -> None:
        super().__init__(task)


class WhenAnyTask(core.WhenAnyTask, CompoundTask):
    """Succeeds with the first task that is settled."""

    def __init__(self, task: Sequence[core.TaskBase], replay_schema: Any = None) -> None:
        super().__init__(task)


class LongTimerTask(TimerTask):
    """A timer that is made of shorter ones."""

    def is_canceled(self) -> bool:
        """``cancel`` has been called."""
        return self._cancelled


class RetryAbleTask(AtomicTask):
    """A call that is made again when it fails."""

    retry_options: Any = None

    @property
    def id_(self) -> int | str | None:
        """The same as ``id``."""
        return self.id

    @property
    def num_attempts(self) -> int:
        """Attempts made so far; 1 before the first, as the original counts."""
        return max(1, self._inner.num_attempts) if isinstance(self._inner, RetryableTask) else 1


def scheduling(
    steps: Generator[Any, Any, Any], yielded: Callable[[core.TaskBase], None] | None = None
) -> Generator[Any, Any, Any]:
    """``steps``, with every task scheduled when it is yielded.

    Args:
        yielded: is told of each task then.
    """
    try:
        task = next(steps)
        while True:
            if isinstance(task, core.TaskBase):
                schedule(task)
                if yielded is not None:
                    yielded(task)
            try:
                value = yield task
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # what the task failed with goes on to the user's code
                task = steps.throw(error)
            else:
                task = steps.send(value)
    except StopIteration as end:
        return end.value


def schedule(task: core.TaskBase) -> None:
    """Schedule a task, or what it is made of in the order of its children."""
    waiting = [task]
    while waiting:
        task = waiting.pop()
        if isinstance(task, AtomicTask):
            task.schedule()
        elif isinstance(task, core.CompoundTask):
            waiting.extend(reversed(task.children))


def _bare(error: BaseException) -> BaseException:
    """A failure as the SDK raises it: a bare ``Exception`` of Reason and Details (python-api 4.8)."""
    if not isinstance(error, TaskFailedError):
        return error
    text = str(error) if error.details is None else f"{error} \n {error.details}"
    bare = Exception(text)
    bare.reason, bare.details = str(error), error.details  # type: ignore[attr-defined]
    bare.__cause__ = error.__cause__
    return bare
