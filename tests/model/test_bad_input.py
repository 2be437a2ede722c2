"""What user code does wrong ends the call or the instance with a text, under both names; nothing hangs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from durable_core.core.history import OrchestrationStatus
from tests.model.runs import NAMES, Driven


@pytest.fixture(params=NAMES)
def names(request: pytest.FixtureRequest) -> Any:
    return NAMES[request.param]


def body(use: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An orchestrator that yields what ``use`` makes."""

    def program(context: Any) -> Generator[Any, Any, Any]:
        return (yield use(context))

    return program


CALLS: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "activity name": (lambda c, df: c.call_activity(""), ValueError, "activity name cannot be empty"),
    "activity function": (lambda c, df: c.call_activity(print), ValueError, "neither the name of an activity"),
    "activity input": (lambda c, df: c.call_activity("a", {1}), TypeError, "input of activity 'a'"),
    "retry options": (lambda c, df: c.call_activity_with_retry("a", 3), TypeError, "retry_options must be"),
    "retry name": (
        lambda c, df: c.call_activity_with_retry("", df.RetryOptions(1, 1)),
        ValueError,
        "activity name cannot be empty",
    ),
    "child name": (lambda c, df: c.call_sub_orchestrator(""), ValueError, "orchestrator name cannot be empty"),
    "child input": (lambda c, df: c.call_sub_orchestrator("o", object()), TypeError, "input of sub-orchestrator 'o'"),
    "child id": (lambda c, df: c.call_sub_orchestrator("o", instance_id="@x@y"), ValueError, "@x@y"),
    "event name": (lambda c, df: c.wait_for_external_event(""), ValueError, "event name cannot be empty"),
    "timer": (lambda c, df: c.create_timer(timedelta(1)), ValueError, "fire_at must be a datetime"),
    "entity": (lambda c, df: c.call_entity("@a@b", "add"), TypeError, "call_entity needs an EntityId"),
    "operation": (lambda c, df: c.call_entity(df.EntityId("a", "b"), ""), ValueError, "operation name cannot be empty"),
    "signal": (lambda c, df: c.signal_entity(None, "add"), TypeError, "signal_entity needs an EntityId"),
    "operation input": (
        lambda c, df: c.call_entity(df.EntityId("a", "b"), "add", b"x"),
        TypeError,
        "input of operation 'add'",
    ),
    "http method": (lambda c, df: c.call_http("", "http://x"), ValueError, "method must be"),
    "http uri": (lambda c, df: c.call_http("GET", "/x"), ValueError, "uri must be a complete http"),
    "http content": (lambda c, df: c.call_http("GET", "http://x", 5, is_raw_str=True), TypeError, "content must be"),
    "all of one": (lambda c, df: c.task_all(c.wait_for_external_event("e")), TypeError, "takes a list"),
    "all of what": (lambda c, df: c.task_all([1]), TypeError, "item 0 is a int"),
    "any of what": (lambda c, df: c.task_any(["a"]), TypeError, "task_any: item 0 is a str"),
    "status": (lambda c, df: c.set_custom_status({1}), TypeError, "custom status"),
    "status of 1 MB": (lambda c, df: c.set_custom_status("x" * 1_000_000), TypeError, "8192 are allowed"),
    "next input": (lambda c, df: c.continue_as_new(object()), TypeError, "next input"),
    "NaN": (lambda c, df: c.call_activity("a", float("nan")), TypeError, "JSON does not know"),
    "itself": (lambda c, df: c.call_activity("a", _endless()), TypeError, "contains itself"),
}


def _endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_argument_is_an_error_at_the_call(names: Any, call: str) -> None:
    use, kind, text = CALLS[call]

    def program(context: Any) -> Generator[Any, Any, Any]:
        try:
            use(context, names)
        except Exception as error:
            yield context.call_activity("told")
            return [isinstance(error, kind), str(error)]
        return "no error"

    driven = Driven(names, program)
    driven.complete(0, None)
    is_kind, message = driven.output
    assert is_kind
    assert text in message


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda df: df.RetryOptions(0, 1), "first_retry_interval_in_milliseconds"),
        (lambda df: df.RetryOptions(1, 0), "max_number_of_attempts"),
        (lambda df: df.EntityId("", "k"), "name cannot be empty"),
        (lambda df: df.EntityId("n", ""), "key cannot be empty"),
        (lambda df: df.EntityId.get_entity_id("n"), "must look like @name@key"),
        (lambda df: df.EntityId("n", "a/b"), "'/'"),
        (lambda df: df.ManagedIdentityTokenSource(""), "resource"),
    ],
)
def test_a_wrong_value_is_an_error_when_it_is_made(names: Any, make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make(names)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "yielded 5 instead of a durable task"),
        (None, "yielded None instead"),
        ([1], r"task_all\(\[\.\.\.\]\)"),
        ((item for item in "abc"), "did you forget `yield from`"),
    ],
)
def test_a_foreign_yield_fails_the_instance(names: Any, value: Any, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(Driven(names, body(lambda _: value)).failure)


def test_a_foreign_yield_after_others(names: Any) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_activity("a")
        yield {}

    driven = Driven(names, program)
    driven.complete(0, 1)
    assert "yielded {} instead of a durable task" in driven.failure


def test_a_task_that_is_awaited_twice_gives_its_result_twice(names: Any) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        task = context.call_activity("a")
        return [(yield task), (yield task), (yield context.task_all([task, task]))]

    driven = Driven(names, program)
    assert [id for id, _, _ in driven.scheduled] == [0]
    driven.complete(0, 7)
    assert driven.output == [7, 7, [7, 7]]


def test_a_failed_task_that_is_awaited_twice_fails_twice(names: Any) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        task = context.call_activity("a")
        told = []
        for _ in range(2):
            try:
                yield task
            except Exception as error:
                told.append(str(error))
        return told

    driven = Driven(names, program)
    driven.fail(0, "broken")
    assert driven.output == ["broken", "broken"]


def test_yields_in_finally_behind_a_return_are_waited_for(names: Any) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        try:
            yield context.call_activity("a")
            return "kept"
        finally:
            yield context.call_activity("clean")

    driven = Driven(names, program)
    driven.complete(0, 1)
    assert driven.end is None
    driven.complete(1, 2)
    assert driven.output == "kept"


def test_an_exception_in_finally_is_the_failure(names: Any) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        try:
            yield context.call_activity("a")
        finally:
            raise KeyError("late")

    driven = Driven(names, program)
    driven.fail(0, "first")
    assert driven.failure.endswith("failed: 'late'")


def test_a_generator_that_swallows_its_end_is_left_behind_with_a_line_in_the_log(
    names: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        context.continue_as_new(1)
        while True:
            try:
                yield context.call_activity("a")
            except GeneratorExit:
                yield context.call_activity("b")

    with caplog.at_level(logging.WARNING):
        driven = Driven(names, program)
    assert driven.end is not None
    assert driven.end[0] is OrchestrationStatus.ContinuedAsNew
    assert "must not yield or raise while it is being closed" in caplog.text
    assert driven.scheduled == []


def test_recursion_without_end_fails_the_instance(names: Any) -> None:
    def deeper(context: Any) -> Any:
        return (yield from deeper(context))

    assert "maximum recursion depth exceeded" in Driven(names, deeper).failure


def test_ten_thousand_settled_tasks_in_a_row_cost_no_stack(names: Any) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        task = context.call_activity("a")
        total = 0
        for _ in range(10_000):
            total += yield task
        return total

    driven = Driven(names, program)
    driven.complete(0, 1)
    assert driven.output == 10_000


@pytest.mark.parametrize("value", [None, 0, "", [], False, {"a": 1}])
def test_an_orchestrator_that_never_yields_is_done_at_once(names: Any, value: Any) -> None:
    assert Driven(names, lambda context: value).output == value


def test_an_orchestrator_that_returns_a_task_or_a_coroutine_fails(names: Any) -> None:
    def task(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_activity("a")
        return context.call_activity("b")

    driven = Driven(names, task)
    driven.complete(0, 1)
    assert "`yield` the task and return its result" in driven.failure

    async def wrong() -> None: ...

    assert "not `async def`" in Driven(names, lambda context: wrong()).failure


def test_an_output_that_cannot_be_written_fails_the_instance(names: Any) -> None:
    assert "output of orchestrator 'program'" in Driven(names, lambda context: {1}).failure


def test_a_timer_in_the_past_and_a_naive_one(names: Any) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        yield context.create_timer(datetime(2000, 1, 1, tzinfo=timezone.utc))
        timer = context.create_timer(datetime(2000, 1, 1))
        yield timer
        try:
            timer.cancel()
        except ValueError as error:
            return str(error)

    driven = Driven(names, program)
    driven.fire(0)
    driven.fire(1)
    assert driven.output == "Cannot cancel a completed task."
