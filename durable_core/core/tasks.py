"""Durable tasks: what an orchestrator yields (python-api 4).

A task is a small state machine without I/O. ``ReplayMachine`` settles atomic tasks as their events arrive; compound
tasks settle themselves when their children do. A task may be a child of several compounds at once, and may be yielded
again after it is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NoReturn

from durable_core.core.failures import error_group

Decode = Callable[["str | None"], Any]
"""Turns the JSON text of a result or event into the value that the orchestrator sees."""


class TaskState(Enum):
    RUNNING = 0
    SUCCEEDED = 1
    FAILED = 2


_RUNNING, _SUCCEEDED, _FAILED = TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED


class TaskBase:
    """A durable task. ``result`` is the value of a succeeded task and the exception *object* of a failed one."""

    __slots__ = ("_parents", "id", "result", "state")

    def __init__(self, id: int | str | None = None) -> None:
        self.id = id
        self.state = _RUNNING
        self.result: Any = None
        self._parents: list[CompoundTask] | None = None

    @property
    def is_completed(self) -> bool:
        """True once the task succeeded or failed."""
        return self.state is not _RUNNING

    def __enter__(self) -> NoReturn:
        raise TypeError("a durable task is no context manager; wait for the lock: `with (yield context.lock(...)):`")

    def __exit__(self, *error: object) -> None:
        """Never called; ``with`` looks for it before it enters."""

    def succeed(self, value: Any) -> None:
        self._settle(_SUCCEEDED, value)

    def fail(self, error: BaseException) -> None:
        self._settle(_FAILED, error)

    def _settle(self, state: TaskState, result: Any) -> None:
        if self.state is not _RUNNING:
            return
        self.state = state
        self.result = result
        if self._parents:
            for parent in self._parents:
                parent.child_settled(self)

    def holds_up(self, other: TaskBase) -> bool:
        """``other`` is this task, or an open compound that still waits for it."""
        parents = self._parents or ()
        return self is other or any(not parent.is_completed and parent.holds_up(other) for parent in parents)

    def _add_parent(self, parent: CompoundTask) -> None:
        if self._parents is None:
            self._parents = [parent]
        else:
            self._parents.append(parent)


class AtomicTask(TaskBase):
    """An activity, sub-orchestration, entity operation or external event, whose answer ``decode`` reads."""

    __slots__ = ("_decode",)

    def __init__(self, id: int | str, decode: Decode) -> None:
        self.id = id  # spelled out: replay makes one for every past activity
        self.state = _RUNNING
        self.result: Any = None
        self._parents: list[CompoundTask] | None = None
        self._decode = decode

    def receive(self, text: str | None) -> None:
        """The answer has come. One that cannot be read is thrown where the orchestrator waits for it."""
        try:
            value = self._decode(text)
        except Exception as error:
            self.fail(error)
            return
        self._settle(_SUCCEEDED, value)


class TimerTask(TaskBase):
    """A durable timer; its result is None. One that is ``is_split`` is made of several shorter ones."""

    __slots__ = ("_cancelled", "fire_at", "is_split")

    def __init__(self, id: int, fire_at: int) -> None:
        super().__init__(id)
        self.fire_at = fire_at
        self.is_split = False
        self._cancelled = False

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Give the timer up: it never completes, and its message is dropped when it arrives.

        Raises:
            ValueError: the timer has already fired (python-api 4.6).
        """
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        self._cancelled = True


class CompoundTask(TaskBase):
    """A task made of ``children``, in the order of the argument."""

    __slots__ = ("children",)

    def __init__(self, children: Sequence[TaskBase]) -> None:
        super().__init__()
        self.children = list(children)
        for child in self.children:
            if not child.is_completed:
                child._add_parent(self)

    def child_settled(self, child: TaskBase) -> None:
        raise NotImplementedError


class WhenAllTask(CompoundTask):
    """Succeeds with the list of all results; fails at once with the first failed child's exception (python-api 4.3)."""

    __slots__ = ("_open",)

    def __init__(self, children: Sequence[TaskBase]) -> None:
        super().__init__(children)
        self._open = sum(1 for child in self.children if not child.is_completed)
        failed = next((child for child in self.children if child.state is _FAILED), None)
        if failed is not None:
            self.fail(failed.result)
        elif self._open == 0:
            self.succeed([child.result for child in self.children])

    def child_settled(self, child: TaskBase) -> None:
        self._open -= 1
        if child.state is _FAILED:
            self.fail(child.result)
        elif self._open == 0:
            self.succeed([child.result for child in self.children])


class WhenAllSettledTask(CompoundTask):
    """Waits for every child; fails with one error group of all failures, in the order of the children."""

    __slots__ = ("_open",)

    def __init__(self, children: Sequence[TaskBase]) -> None:
        super().__init__(children)
        self._open = sum(1 for child in self.children if not child.is_completed)
        if self._open == 0:
            self._finish()

    def child_settled(self, child: TaskBase) -> None:
        self._open -= 1
        if self._open == 0:
            self._finish()

    def _finish(self) -> None:
        failures = [child.result for child in self.children if child.state is _FAILED]
        if failures:
            self.fail(error_group(failures, len(self.children)))
        else:
            self.succeed([child.result for child in self.children])


class WhenAnyTask(CompoundTask):
    """Succeeds with the first settled child *itself*, even if that one failed (python-api 4.4)."""

    __slots__ = ()

    def __init__(self, children: Sequence[TaskBase]) -> None:
        super().__init__(children)
        first = next((child for child in self.children if child.is_completed), None)
        if first is not None:
            self.succeed(first)
        elif not self.children:
            self.succeed(None)

    def child_settled(self, child: TaskBase) -> None:
        self.succeed(child)
