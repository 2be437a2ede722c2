"""What an orchestrator decided, in the order of its yields, in the form of the SDK's protocol."""

from __future__ import annotations

import json
from typing import Any

from durable_core.alias.actions import (
    Action,
    CallActivityAction,
    CallActivityWithRetryAction,
    CallEntityAction,
    CallHttpAction,
    CallSubOrchestratorAction,
    CallSubOrchestratorWithRetryAction,
    CompoundAction,
    CreateTimerAction,
    NoOpAction,
    WaitForExternalEventAction,
    WhenAllAction,
    WhenAnyAction,
)
from durable_core.alias.tasks import RetryAbleTask, TimerTask, WhenAnyTask
from durable_core.core import ticks
from durable_core.core.decisions import CreateTimer, Decision, ScheduleTask, SendEvent, StartSubOrchestration
from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_messages import RequestMessage
from durable_core.core.replay import OrchestrationRun
from durable_core.core.tasks import CompoundTask, TaskBase
from durable_core.model.http_calls import HTTP_ACTIVITY, DurableHttpRequest


class Recorder:
    """Keeps the actions of one replay."""

    def __init__(self) -> None:
        self._actions: list[Action] = []
        self._timers: list[tuple[TimerTask, CreateTimerAction]] = []
        self._seen: set[int] = set()
        self._tasks: list[TaskBase] = []

    def note(self, action: Action) -> None:
        """An action that takes effect at its call."""
        self._actions.append(action)

    def yielded(self, task: TaskBase, run: OrchestrationRun) -> None:
        """A task has been yielded and scheduled."""
        if id(task) not in self._seen:
            self._seen.add(id(task))
            self._tasks.append(task)  # kept, so that its id stays its own
            self._actions.append(self._action(task, run))

    def actions(self, *, flat: bool) -> list[Action]:
        """All actions so far.

        Args:
            flat: without compounds, as the first version of the protocol has it.
        """
        for task, action in self._timers:
            action.is_cancelled = task.is_cancelled
        return _flat(self._actions) if flat else self._actions

    def _action(self, task: TaskBase, run: OrchestrationRun) -> Action:
        if isinstance(task, RetryAbleTask):
            return WhenAllAction([self._retried(task, run)])
        if isinstance(task, CompoundTask):
            kind = WhenAnyAction if isinstance(task, WhenAnyTask) else WhenAllAction
            return kind([self._action(child, run) for child in task.children])
        decision = _decision(task, run)
        if isinstance(task, TimerTask) and isinstance(decision, CreateTimer):
            timer = CreateTimerAction(ticks.to_datetime(decision.fire_at))
            self._timers.append((task, timer))
            return timer
        if decision is None:
            return WaitForExternalEventAction(task.id) if isinstance(task.id, str) else NoOpAction()
        return _call(decision, run)

    def _retried(self, task: RetryAbleTask, run: OrchestrationRun) -> Action:
        decision = _decision(task, run)
        if isinstance(decision, StartSubOrchestration):
            return CallSubOrchestratorWithRetryAction(
                decision.name, task.retry_options, _value(decision.input), _own_id(decision, run), decision.version
            )
        assert isinstance(decision, ScheduleTask)
        return CallActivityWithRetryAction(decision.name, task.retry_options, _argument(decision))


def _call(decision: Decision, run: OrchestrationRun) -> Action:
    if isinstance(decision, StartSubOrchestration):
        return CallSubOrchestratorAction(
            decision.name, _value(decision.input), _own_id(decision, run), decision.version
        )
    if isinstance(decision, SendEvent):
        request = RequestMessage.decode(decision.input)
        return CallEntityAction(EntityId.parse(decision.instance_id), str(request.operation), _value(request.input))
    assert isinstance(decision, ScheduleTask)
    if decision.name == HTTP_ACTIVITY:
        request = json.loads(decision.input or "[{}]")[0]
        return CallHttpAction(
            DurableHttpRequest(request["method"], request["uri"], request["content"], request["headers"] or None)
        )
    return CallActivityAction(decision.name, _argument(decision))


def _decision(task: TaskBase, run: OrchestrationRun) -> Decision | None:
    return run.pending.get(task.id) if isinstance(task.id, int) else _request(task, run)


def _request(task: TaskBase, run: OrchestrationRun) -> Decision | None:
    """The message of an entity call: its task has the id of the request."""
    for decision in run.pending.values():
        if isinstance(decision, SendEvent) and str(task.id) in (decision.input or ""):
            return decision
    return None


def _own_id(decision: StartSubOrchestration, run: OrchestrationRun) -> str | None:
    """The child's id, unless the runtime made it."""
    return None if decision.instance_id == f"{run.execution_id}:{decision.id}" else decision.instance_id


def _argument(decision: ScheduleTask) -> Any:
    return json.loads(json.loads(decision.input or "[null]")[0])


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(json.loads(text))


def _flat(actions: list[Action]) -> list[Action]:
    found: list[Action] = []
    for action in actions:
        found.extend(_flat(action.compound_tasks) if isinstance(action, CompoundAction) else [action])
    return found
