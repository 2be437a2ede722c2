"""When tasks are scheduled under each name, and that resuming and replaying agree for both (python-api 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_core.core.episode import run_episode
from durable_core.core.history import HistoryEvent
from durable_core.core.replay import Orchestrator
from durable_core.core.state import RuntimeState
from durable_core.core.tasks import TaskBase, TaskState
from tests.core.programs import Outside, Step, start_event, steps
from tests.model.runs import NAMES, Driven

OWN, ALIAS = NAMES["durable_core"], NAMES["azure.durable_functions"]
Steps = Generator[Any, Any, Any]


def orchestrator(names: Any, program: Sequence[Step]) -> Orchestrator:
    """An orchestrator that runs a random program with the context's methods, and returns what it saw."""

    def build(context: Any, step: Step) -> Any:
        kind = step[0]
        if kind == "activity":
            if step[1] == "c":
                return context.call_activity_with_retry("c", names.RetryOptions(1000, 2), 1)
            return context.call_activity(step[1], 1)
        if kind == "timer":
            return context.create_timer(context.current_utc_datetime + timedelta(days=step[1]))
        if kind == "event":
            return context.wait_for_external_event(step[1])
        children = [build(context, child) for child in step[1]]
        return context.task_all(children) if kind == "all" else context.task_any(children)

    def show(value: Any) -> Any:
        if isinstance(value, TaskBase):
            return ["task", value.id, value.state.name, show(value.result)]
        return [show(item) for item in value] if isinstance(value, list) else repr(value)

    def run(context: Any) -> Steps:
        log: list[Any] = []
        started: list[Any] = []
        for step in program:
            kind, last = (
                step[0],
                started[step[1] % len(started)]
                if started
                and len(step) > 1
                and step[0]
                in (
                    "yield_started",
                    "cancel",
                )
                else None,
            )
            if kind == "yield" or (last is not None and kind == "yield_started"):
                task = build(context, step[1]) if kind == "yield" else last
                if getattr(task, "is_cancelled", False):
                    continue
                try:
                    log.append(show((yield task)))
                except Exception as error:
                    log.append(["raised", str(error)])
            elif kind == "start":
                started.append(build(context, step[1]))
            elif kind == "cancel" and last is not None and hasattr(last, "cancel"):
                if last.state is TaskState.RUNNING:
                    last.cancel()
            elif kind == "status":
                context.set_custom_status(step[1])
            elif kind == "guid":
                log.append(context.new_uuid())
        return log

    app = names.DFApp()
    app.orchestration_trigger(context_name="context", orchestration="program")(run)
    found: Orchestrator = app.durable_functions().orchestrators["program"]
    return found


@pytest.mark.parametrize("names", [OWN, ALIAS], ids=["own", "alias"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(program=steps(), data=st.data())
def test_resuming_and_replaying_decide_the_same(names: Any, program: list[Step], data: st.DataObject) -> None:
    function = orchestrator(names, program)
    cached_state, cached_run, replayed_state = RuntimeState(), None, RuntimeState()
    outside = Outside([])
    batch: list[HistoryEvent] = [start_event()]
    for number in range(1, 10):
        now = 636_000_000_000_000_000 + number * 10_000_000
        cached, cached_run = run_episode(cached_state, cached_run, function, batch, now=now)
        replayed, _ = run_episode(replayed_state, None, function, batch, now=now)
        assert cached == replayed
        outside.take(cached.outgoing)
        if cached_state.is_finished:
            break
        batch = outside.answer(data)
    assert cached_state.events == replayed_state.events


def driven(names: Any, program: Callable[[Any], Steps]) -> Driven:
    return Driven(names, program)


def test_a_task_that_is_never_yielded_runs_under_our_own_name_only() -> None:
    def program(context: Any) -> Steps:
        context.call_activity("never")
        yield context.call_activity("b")

    assert [name for _, name, _ in driven(OWN, program).scheduled] == ["never", "b"]
    assert [name for _, name, _ in driven(ALIAS, program).scheduled] == ["b"]


def test_two_tasks_run_side_by_side_or_one_after_the_other() -> None:
    """python-api 4.2: the same code."""

    def program(context: Any) -> Steps:
        first, second = context.call_activity("a"), context.call_activity("b")
        return [(yield second), (yield first)]

    own, alias = driven(OWN, program), driven(ALIAS, program)
    assert own.scheduled == [(0, "a", "[null]"), (1, "b", "[null]")]
    assert alias.scheduled == [(0, "b", '["null"]')]
    alias.complete(0, "B")
    assert alias.scheduled[1:] == [(1, "a", '["null"]')]
    alias.complete(1, "A")
    assert alias.output == ["B", "A"]


def test_ids_follow_the_order_of_the_children() -> None:
    def program(context: Any) -> Steps:
        tasks = [context.call_activity(name) for name in "abcd"]
        yield context.task_any([tasks[3], context.task_all([tasks[2], tasks[0]]), tasks[1]])

    assert [(id, name) for id, name, _ in driven(ALIAS, program).scheduled] == [(0, "d"), (1, "c"), (2, "a"), (3, "b")]


def test_a_pending_task_in_several_compounds_is_scheduled_once() -> None:
    """python-api 4.5: the monitor's loop."""

    def program(context: Any) -> Steps:
        approval = context.wait_for_external_event("approve")
        work = context.call_activity("work")
        winners = []
        for name in ("x", "y"):
            winners.append((yield context.task_any([approval, work, context.call_activity(name)])))
        yield context.task_any([approval, work])
        return [winners[0].result, winners[1].result, work.result]

    found = driven(ALIAS, program)
    found.complete(1, "X")
    found.complete(2, "Y")
    assert [name for _, name, _ in found.scheduled] == ["work", "x", "y"]
    found.complete(0, "W")
    assert found.output == ["X", "Y", "W"]


def test_an_event_that_came_before_the_wait_was_yielded_is_kept() -> None:
    def program(context: Any) -> Steps:
        wait = context.wait_for_external_event("go")
        yield context.call_activity("a")
        return (yield wait)

    found = driven(ALIAS, program)
    found.raise_event("go", '"early"')
    found.complete(0, 1)
    assert found.output == "early"


def test_a_timer_that_is_cancelled_before_or_after_it_was_yielded_is_given_up() -> None:
    def program(context: Any) -> Steps:
        soon = context.current_utc_datetime + timedelta(seconds=5)
        never, later = context.create_timer(soon), context.create_timer(soon)
        never.cancel()
        yield context.task_any([never, later, context.call_activity("a")])
        later.cancel()
        return [never.is_cancelled, later.is_cancelled, (yield context.call_activity("b"))]

    found = driven(ALIAS, program)
    found.fire(0)
    assert found.end is None
    found.complete(2, 1)
    found.fire(1)
    found.complete(3, "b")
    assert found.output == [True, True, "b"]


def test_a_long_timer_is_one_task_made_of_shorter_ones() -> None:
    def program(context: Any) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=7))
        known = [type(timer).__name__, timer.is_canceled()]
        yield timer
        return known

    found = driven(ALIAS, program)
    assert found.end is None
    assert len(found.decided) == 1


def test_continue_as_new_counts_at_the_call() -> None:
    def program(context: Any) -> Steps:
        context.continue_as_new({"n": 1})
        yield context.call_activity("not any more")

    found = driven(ALIAS, program)
    assert found.scheduled == []
    assert found.end is not None
    assert (found.end[0].name, found.end[1]) == ("ContinuedAsNew", '"{\\"n\\": 1}"')


def test_retries_under_the_alias() -> None:
    def program(context: Any) -> Steps:
        task = context.call_activity_with_retry("a", ALIAS.RetryOptions(5000, 2), "x")
        assert task.num_attempts == 1
        try:
            yield task
        except Exception as error:
            return [str(error), task.num_attempts, type(task).__name__, task.retry_options.max_number_of_attempts]

    found = driven(ALIAS, program)
    found.fail(0, "once")
    found.fire(1)
    assert found.scheduled == [(0, "a", '["\\"x\\""]'), (2, "a", '["\\"x\\""]')]
    found.fail(2, "twice", "{}")
    found.fire(3)
    assert found.output == ["twice \n {}", 2, "RetryAbleTask", 2]
