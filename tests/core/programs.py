"""Random orchestrator programs, and a driver that plays the part of everything outside the replay core."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from durable_core.core.history import (
    EventRaised,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerFired,
)
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.tasks import TaskBase, TaskState, WhenAllTask, WhenAnyTask

Step = tuple[Any, ...]


def decode(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def steps() -> st.SearchStrategy[list[Step]]:
    leaf = st.one_of(
        st.tuples(st.just("activity"), st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("timer"), st.integers(-5, 50)),
        st.tuples(st.just("event"), st.sampled_from(["x", "y"])),
    )
    compound = st.recursive(
        leaf,
        lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, max_size=4)),
        max_leaves=6,
    )
    step = st.one_of(
        st.tuples(st.just("yield"), compound),
        st.tuples(st.just("start"), leaf),
        st.tuples(st.just("yield_started"), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("status"), st.integers(0, 9)),
        st.tuples(
            st.just("guid"),
        ),
        st.tuples(
            st.just("fail_if_failed"),
        ),
    )
    return st.lists(step, max_size=10)


def orchestrator(program: Sequence[Step], name: str = "program") -> Orchestrator:
    """An orchestrator that runs ``program`` and returns a log of everything it saw."""

    def build(run: OrchestrationRun, task: Step) -> TaskBase:
        kind = task[0]
        if kind == "activity":
            return run.call_activity(task[1], json.dumps([run.current_time]), decode)
        if kind == "timer":
            return run.create_timer(run.current_time + task[1])
        if kind == "event":
            return run.wait_for_event(task[1], decode)
        children = [build(run, child) for child in task[1]]
        return WhenAllTask(children) if kind == "all" else WhenAnyTask(children)

    def show(value: Any) -> Any:
        if isinstance(value, TaskBase):
            return ["task", value.id, value.state.name, show(value.result)]
        if isinstance(value, list):
            return [show(item) for item in value]
        return repr(value)

    def start(run: OrchestrationRun) -> Generator[TaskBase, Any, Any]:
        log: list[Any] = []
        started: list[TaskBase] = []
        failed = False
        for step in program:
            kind = step[0]
            if kind in ("yield", "yield_started"):
                if kind == "yield":
                    task = build(run, step[1])
                elif started:
                    task = started[step[1] % len(started)]
                    if getattr(task, "is_cancelled", False):
                        continue
                else:
                    continue
                try:
                    log.append(show((yield task)))
                except Exception as error:
                    failed = True
                    log.append(["raised", str(error)])
            elif kind == "start":
                started.append(build(run, step[1]))
            elif kind == "cancel" and started:
                timer = started[step[1] % len(started)]
                if hasattr(timer, "cancel") and timer.state is TaskState.RUNNING:
                    timer.cancel()
            elif kind == "status":
                run.custom_status = json.dumps([step[1], run.current_time])
            elif kind == "guid":
                log.append(run.next_guid_number())
            elif kind == "fail_if_failed" and failed:
                raise RuntimeError(f"gave up after {len(log)} steps")
        return log

    return Orchestrator(name, start, json.dumps, str)


def start_event(name: str = "program") -> ExecutionStarted:
    return ExecutionStarted(timestamp=1, instance=OrchestrationInstance("i", "e1"), name=name, generation=0)


@dataclass
class Outside:
    """Collects what an episode asks for and answers it, in an order that the test draws."""

    open: list[HistoryEvent]
    events: int = 0

    def take(self, sent: Sequence[Any]) -> None:
        self.open.extend(item.message.event for item in sent)

    def answer(self, data: st.DataObject) -> list[HistoryEvent]:
        """Up to three received events: replies, failures, duplicates of nothing, and external events."""
        batch: list[HistoryEvent] = []
        for _ in range(data.draw(st.integers(1, 3))):
            choice = data.draw(st.integers(0, len(self.open) + 1))
            if choice < len(self.open):
                asked = self.open.pop(choice)
                batch.append(self._reply(asked, fails=data.draw(st.booleans())))
            else:
                self.events += 1
                name = data.draw(st.sampled_from(["x", "y", "nobody"]))
                batch.append(EventRaised(timestamp=1000 + self.events, name=name, input=json.dumps(self.events)))
        return batch

    def _reply(self, asked: HistoryEvent, *, fails: bool) -> HistoryEvent:
        if isinstance(asked, TaskScheduled):
            if fails:
                return TaskFailed(timestamp=5, task_scheduled_id=asked.event_id, reason=f"{asked.name} failed")
            return TaskCompleted(timestamp=5, task_scheduled_id=asked.event_id, result=json.dumps(asked.name))
        assert isinstance(asked, TimerFired)
        return asked
