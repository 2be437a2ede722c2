"""What orchestrators see of their instance, and how wrong calls are told (python-api 3, 4)."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import durable_core as df
from durable_core.core.decisions import Complete, CreateTimer, ScheduleTask
from durable_core.core.history import (
    ExecutionStarted,
    OrchestrationInstance,
    OrchestrationStatus,
    TaskCompleted,
    TaskFailed,
)
from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import parse


def a_context(input: str | None = None) -> df.DurableOrchestrationContext:
    app = df.DFApp()
    seen: list[df.DurableOrchestrationContext] = []

    @app.orchestration_trigger(context_name="context")
    def capture(context: df.DurableOrchestrationContext) -> Any:
        seen.append(context)
        yield context.wait_for_external_event("never")

    run = OrchestrationRun(app.durable_functions().orchestrators["capture"])
    run.current_time = parse("2021-05-05T18:45:32.362Z")
    start = ExecutionStarted(
        timestamp=1, instance=OrchestrationInstance("eaee885b", "e"), name="capture", input=input, version="1.2"
    )
    run.feed([start], replaying=False)
    return seen[0]


def test_behaviours_15_16_deterministic_uuids() -> None:
    context = a_context()
    assert context.current_utc_datetime == datetime(2021, 5, 5, 18, 45, 32, 362000, tzinfo=timezone.utc)
    assert context.new_uuid() == "8e8bbd2d-1976-578e-9717-4686068a1494"
    assert context.new_uuid() == "01204fe0-3f3c-5062-a063-301c6e27a719"
    assert str(a_context().new_guid()) == "791b8c8a-2921-50ea-9941-c7289afe0698"


def test_the_context_tells_about_its_instance() -> None:
    """http-and-protocol 10, item 88: the custom status has a limit."""
    context = a_context('{"n":1}')
    assert (context.instance_id, context.version, context.parent_instance_id) == ("eaee885b", "1.2", None)
    assert context.get_input() == {"n": 1}
    context.set_custom_status({"done": 0})
    assert context.custom_status == {"done": 0}
    with pytest.raises(TypeError, match="8192 are allowed"):
        context.set_custom_status("x" * 9000)


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda context: context.call_activity(""), "activity name cannot be empty"),
        (lambda context: context.call_activity(print), "neither the name of an activity nor a function decorated"),
        (lambda context: context.wait_for_external_event(""), "event name cannot be empty"),
        (lambda context: context.create_timer(timedelta(1)), r"context\.current_utc_datetime \+ timedelta"),
        (lambda context: context.task_all([1]), "item 0 is a int"),
        (lambda context: context.call_activity("a", {1, 2}), "input of activity 'a'"),
    ],
)
def test_argument_errors_are_raised_at_the_call(use: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        use(a_context())


@pytest.mark.parametrize("status", [None, "", 0, False, {}, []])
def test_falsy_custom_statuses_are_kept(status: Any) -> None:
    context = a_context()
    context.set_custom_status(status)
    assert context._run.custom_status == json.dumps(status)
    assert context.custom_status == status


def test_a_custom_status_of_16_kilobytes_of_utf_16_just_fits() -> None:
    """orchestration-semantics 3.8."""
    context = a_context()
    context.set_custom_status("x" * 8190)
    with pytest.raises(TypeError, match="custom status of 'capture' has 8193 characters"):
        context.set_custom_status("x" * 8191)
    with pytest.raises(TypeError, match="custom status"):
        context.set_custom_status("\N{PILE OF POO}" * 4096)


def test_an_input_that_is_no_json_is_shown() -> None:
    with pytest.raises(ValueError, match="'hello' is not JSON"):
        a_context("hello").get_input()


def test_tasks_may_come_from_a_generator_expression() -> None:
    context = a_context()
    both = context.task_all(context.call_activity("a", number) for number in range(2))
    assert [task.is_completed for task in both.children] == [False, False]
    assert len(context.task_any(task for task in both.children).children) == 2
    with pytest.raises(TypeError, match="not a single one"):
        context.task_all(context.call_activity("a"))  # type: ignore[arg-type]


def test_calls_are_scheduled_when_they_are_made() -> None:
    """python-api 4.2: ids in the order of creation; a naive time is UTC; no input is the argument null."""
    context = a_context()
    context._run.take_decisions()
    context.call_activity("a", "Tokyo")
    context.create_timer(datetime(2021, 1, 1))
    context.create_timer(datetime(2021, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    context.call_activity("b")
    midnight = parse("2021-01-01T00:00:00Z")
    assert context._run.take_decisions() == [
        ScheduleTask(0, "a", '["Tokyo"]'),
        CreateTimer(1, midnight),
        CreateTimer(2, midnight),
        ScheduleTask(3, "b", "[null]"),
    ]


def test_a_failed_activity_is_an_exception_with_the_reason_alone() -> None:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def careful(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        try:
            yield context.call_activity("charge")
        except df.TaskFailedError as error:
            return [str(error), error.reason, error.details]

    run = OrchestrationRun(app.durable_functions().orchestrators["careful"])
    start = ExecutionStarted(timestamp=1, instance=OrchestrationInstance("i", "e"), name="careful")
    run.feed([start], replaying=False)
    run.take_decisions()
    run.feed([TaskFailed(timestamp=2, task_scheduled_id=0, reason="no money", details="where")], replaying=False)
    (end,) = run.take_decisions()
    assert isinstance(end, Complete)
    assert json.loads(end.result or "") == ["no money", "no money", "where"]


def test_outputs_use_the_codec_and_results_may_be_absent() -> None:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def passes_on(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield context.call_activity("quiet"))

    @app.orchestration_trigger(context_name="context")
    def broken(context: df.DurableOrchestrationContext) -> Any:
        return {"at": datetime(2026, 1, 1)}

    orchestrators = app.durable_functions().orchestrators
    run = OrchestrationRun(orchestrators["passes_on"])
    start = ExecutionStarted(timestamp=1, instance=OrchestrationInstance("i", "e"), name="passes_on")
    run.feed([start, TaskCompleted(timestamp=2, task_scheduled_id=0, result=None)], replaying=False)
    assert run.take_decisions()[-1] == Complete(1, OrchestrationStatus.Completed, None)
    run = OrchestrationRun(orchestrators["broken"])
    run.feed([start], replaying=False)
    (end,) = run.take_decisions()
    assert isinstance(end, Complete)
    assert end.result == (
        "Orchestrator function 'broken' failed: the output of orchestrator 'broken' cannot be written as JSON: "
        "$.at is a datetime; pass plain JSON values, or give it to_json and from_json methods"
    )
