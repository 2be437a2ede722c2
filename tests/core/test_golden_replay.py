"""Recorded .NET histories drive Python twins of their orchestrations to the recorded decisions (golden README 2.6)."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from durable_core.core.history import (
    ExecutionCompleted,
    ExecutionStarted,
    TaskScheduled,
    TimerCreated,
)
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.tasks import TaskBase, WhenAllTask, WhenAnyTask
from durable_core.core.ticks import PER_SECOND
from durable_core.storage.base import DateTime, Row
from durable_core.taskhub.history_table import assemble, read_row

GOLDEN = Path(__file__).parents[1] / "golden"
Steps = Generator[TaskBase, Any, Any]


def decode(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def encode(value: Any) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"))


def call(run: OrchestrationRun, name: str, argument: Any) -> TaskBase:
    return run.call_activity(name, json.dumps([argument], separators=(",", ":")), decode)


def hello1(run: OrchestrationRun) -> Steps:
    return (yield call(run, "say_hello", "Tokyo"))


def hello3(run: OrchestrationRun) -> Steps:
    results = []
    for city in ("Tokyo", "Seattle", "London"):
        results.append((yield call(run, "say_hello", city)))
    return results


def fanout(run: OrchestrationRun) -> Steps:
    results = yield WhenAllTask([call(run, "say_hello", str(number)) for number in range(decode(run.input))])
    return len(results)


def timer(run: OrchestrationRun) -> Steps:
    yield run.create_timer(run.current_time + 2 * PER_SECOND)
    return "woke"


def timer_race(run: OrchestrationRun) -> Steps:
    slow = run.create_timer(run.current_time + 600 * PER_SECOND)
    activity = call(run, "say_hello", "race")
    winner = yield WhenAnyTask([slow, activity])
    if winner is activity:
        slow.cancel()
        return "activity"
    return "timer"


def approval(run: OrchestrationRun) -> Steps:
    run.custom_status = '{"stage":"waiting"}'
    value = yield run.wait_for_event("Approval", decode)
    run.custom_status = '"done"'
    return value


def caught(run: OrchestrationRun) -> Steps:
    try:
        return (yield call(run, "throws", "boom"))
    except Exception as error:
        return f"caught: {error}"


def fails(run: OrchestrationRun) -> Steps:
    return (yield call(run, "throws", "boom"))


def heal(run: OrchestrationRun) -> Steps:
    return (yield call(run, "heals", None))


def throws_self(run: OrchestrationRun) -> Steps:
    yield from ()
    raise RuntimeError("orchestrator broke")


TWINS = {
    function.__name__: function
    for function in (hello1, hello3, fanout, timer, timer_race, approval, caught, fails, heal, throws_self)
}
LEFT_OUT = {
    "fanout250": "the middle of its rows is left out of the capture",
    "large_input": "its event's payload is in a blob",
}


def histories() -> list[Any]:
    found = []
    for folder in ("dtfx", "dtfx-more", "dtfx-base64", "dtfx-extended-sessions"):
        rows: dict[str, list[Row]] = {}
        for raw in json.loads((GOLDEN / folder / "history.json").read_text(encoding="utf-8")):
            columns = {
                name: DateTime(cell["value"]) if cell["type"] == "Edm.DateTime" else cell["value"]
                for name, cell in raw.items()
            }
            rows.setdefault(str(columns["PartitionKey"]), []).append(Row(columns, ""))
        for key, instance in rows.items():
            started = next((row.values for row in instance if row.values.get("EventType") == "ExecutionStarted"), None)
            if started is not None and started.get("Name") in TWINS and key not in LEFT_OUT:
                found.append(pytest.param(instance, id=f"{folder}-{key}"))
    return found


@pytest.mark.parametrize("rows", histories())
def test_a_recorded_history_replays_to_its_recorded_decisions(rows: list[Row]) -> None:
    events = [read_row(row.values) for row in assemble(rows).rows]
    started = next(event for event in events if isinstance(event, ExecutionStarted))
    run = OrchestrationRun(Orchestrator(started.name, TWINS[started.name], encode, str))
    for event in events:
        if isinstance(event, _DECISIONS):
            assert _shape(run.pending[event.event_id], run.current_time) == _shape(event, run.current_time)
        run.feed([event], replaying=True)
        if isinstance(event, ExecutionCompleted):
            run.pending.pop(event.event_id)
    assert not run.pending, "a decision that was not recorded"


_DECISIONS = (TaskScheduled, TimerCreated, ExecutionCompleted)


def _shape(event: Any, now: int) -> tuple[Any, ...]:
    """Name, delay, status and result of a decision or of the event that records it."""
    fire_at = getattr(event, "fire_at", None)
    return (
        getattr(event, "name", None),
        None if fire_at is None else round((fire_at - now) / PER_SECOND, 3),
        getattr(event, "status", None),
        getattr(event, "result", None),
    )
