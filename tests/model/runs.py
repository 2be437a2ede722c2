"""Driving one orchestrator function, of either dialect, without a worker."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import durable_core as own
from durable_core.alias.finder import install
from durable_core.core.decisions import Complete, CreateTimer, Decision, ScheduleTask
from durable_core.core.history import (
    EventRaised,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorStarted,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durable_core.core.replay import OrchestrationRun

install()
NAMES: dict[str, Any] = {
    "durable_core": own,
    "azure.durable_functions": importlib.import_module("azure.durable_functions"),
}
"""Modules with the public names of each dialect."""


class Driven:
    """One run: answers to what it asks for are given by hand.

    Args:
        names: one of ``NAMES``.
    """

    def __init__(
        self, names: Any, user: Callable[[Any], Any], input: str | None = None, input_type: type | None = None
    ) -> None:
        app = names.DFApp()
        app.orchestration_trigger(context_name="context", orchestration="program", input_type=input_type)(user)
        self.run = OrchestrationRun(app.durable_functions().orchestrators["program"])
        self.decided: list[Decision] = []
        start = ExecutionStarted(
            timestamp=1, instance=OrchestrationInstance("i", "e"), name="program", input=input, version=""
        )
        self.feed(OrchestratorStarted(timestamp=636_000_000_000_000_000), start)

    def feed(self, *events: HistoryEvent) -> None:
        self.run.feed(events, replaying=False)
        self.decided.extend(self.run.take_decisions())

    def complete(self, id: int, value: Any) -> None:
        self.feed(TaskCompleted(timestamp=2, task_scheduled_id=id, result=json.dumps(value)))

    def fail(self, id: int, reason: str, details: str | None = None) -> None:
        self.feed(TaskFailed(timestamp=2, task_scheduled_id=id, reason=reason, details=details))

    def fire(self, id: int) -> None:
        timer = next(item for item in self.decided if isinstance(item, CreateTimer) and item.id == id)
        self.feed(TimerFired(timestamp=3, timer_id=id, fire_at=timer.fire_at))

    def raise_event(self, name: str, text: str) -> None:
        self.feed(EventRaised(timestamp=4, name=name, input=text))

    @property
    def scheduled(self) -> list[tuple[int, str, str | None]]:
        """Activities so far: id, name, input."""
        return [(item.id, item.name, item.input) for item in self.decided if isinstance(item, ScheduleTask)]

    @property
    def end(self) -> tuple[OrchestrationStatus, str | None] | None:
        """Status and output, None while it runs."""
        last = self.decided[-1] if self.decided else None
        return (last.status, last.result) if isinstance(last, Complete) else None

    @property
    def output(self) -> Any:
        end = self.end
        assert end is not None and end[0] is OrchestrationStatus.Completed, end
        return None if end[1] is None else json.loads(end[1])

    @property
    def failure(self) -> str:
        end = self.end
        assert end is not None and end[0] is OrchestrationStatus.Failed, end
        return str(end[1])
