"""A task made of others that are scheduled one after another, such as a call that is polled for its result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from durable_core.core.tasks import CompoundTask, TaskBase, TaskState

Steps = Generator[TaskBase, Any, Any]


class SequenceTask(CompoundTask):
    """Runs ``steps`` as an orchestrator would be run: yielded tasks are waited for, the returned value is the result.

    The generator must be as deterministic as an orchestrator. It runs in the episode in which a task settles.
    """

    __slots__ = ("_steps",)

    def __init__(self, steps: Callable[[], Steps]) -> None:
        super().__init__([])
        self._steps = steps()
        self._advance(None)
        if self.children:
            self.id = self.children[0].id

    def child_settled(self, child: TaskBase) -> None:
        self._advance(child)

    def _advance(self, settled: TaskBase | None) -> None:
        while True:
            try:
                if settled is not None and settled.state is TaskState.FAILED:
                    step = self._steps.throw(settled.result)
                else:
                    step = self._steps.send(None if settled is None else settled.result)
            except StopIteration as end:
                self.succeed(end.value)
                return
            except Exception as error:  # a failed step that the generator did not handle is the failure of the whole
                self.fail(error)
                return
            self.children.append(step)
            if not step.is_completed:
                step._add_parent(self)
                return
            settled = step
