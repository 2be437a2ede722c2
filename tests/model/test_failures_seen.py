"""How failures reach an orchestrator and leave it, under both names (python-api 4.8, captures python-stack)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.model.runs import NAMES, Driven

REASON = "Activity function 'boom' failed: ValueError: bad thing"
DETAILS = '{"$type":"System.Exception, System.Private.CoreLib","StackTraceString":"File app.py"}'


def caught(context: Any) -> Generator[Any, Any, Any]:
    try:
        yield context.call_activity("boom")
    except Exception as error:
        return [type(error).__name__, str(error), error.details]  # type: ignore[attr-defined]


def test_under_the_alias_the_text_is_reason_and_details() -> None:
    driven = Driven(NAMES["azure.durable_functions"], caught)
    driven.fail(0, REASON, DETAILS)
    assert driven.output == ["Exception", f"{REASON} \n {DETAILS}", DETAILS]


def test_under_the_own_name_the_text_is_the_reason_and_details_are_an_attribute() -> None:
    driven = Driven(NAMES["durable_core"], caught)
    driven.fail(0, REASON, DETAILS)
    assert driven.output == ["TaskFailedError", REASON, DETAILS]


@pytest.mark.parametrize("name", NAMES)
def test_the_output_of_a_failed_orchestrator_begins_as_recorded(name: str) -> None:
    def uncaught(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_activity("boom")

    driven = Driven(NAMES[name], uncaught)
    driven.fail(0, REASON, DETAILS)
    assert driven.failure.partition(" \n ")[0] == f"Orchestrator function 'program' failed: {REASON}"


@pytest.mark.parametrize("name", NAMES)
def test_task_all_fails_at_the_first_failed_child_with_its_exception(name: str) -> None:
    """python-api 4.3."""

    def program(context: Any) -> Generator[Any, Any, Any]:
        tasks = [context.call_activity("a", number) for number in range(3)]
        try:
            yield context.task_all(tasks)
        except Exception as error:
            return [str(error).partition(" \n ")[0], [task.is_completed for task in tasks], error is tasks[1].result]

    driven = Driven(NAMES[name], program)
    driven.complete(2, "late")
    driven.fail(1, "second failed", "{}")
    assert driven.output == ["second failed", [False, True, True], True]


@pytest.mark.parametrize("name", NAMES)
def test_when_all_waits_for_all_and_raises_every_failure_in_order(name: str) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield context.when_all([context.call_activity("a", number) for number in range(4)]))
        except Exception as error:
            failures = error.exceptions  # type: ignore[attr-defined]
            return [type(error).__name__, str(error), [str(failure) for failure in failures]]

    driven = Driven(NAMES[name], program)
    driven.fail(3, "last")
    driven.complete(0, 0)
    driven.fail(1, "second")
    assert driven.end is None
    driven.complete(2, 2)
    text = "2 of 4 tasks failed: second; last (2 sub-exceptions)"
    assert driven.output == ["ExceptionGroup", text, ["second", "last"]]


@pytest.mark.parametrize("name", NAMES)
def test_when_all_gives_all_results(name: str) -> None:
    def program(context: Any) -> Generator[Any, Any, Any]:
        none = yield context.when_all([])
        tasks = [context.call_activity("a"), context.call_activity("a")]
        first = yield context.when_all(tasks)
        return [none, first, (yield context.when_all(tasks))]

    driven = Driven(NAMES[name], program)
    driven.complete(1, "b")
    driven.complete(0, "a")
    assert driven.output == [[], ["a", "b"], ["a", "b"]]


@pytest.mark.parametrize("name", NAMES)
def test_the_result_of_a_failed_task_is_its_exception(name: str) -> None:
    """python-api 4.1, 4.4: task_any never raises."""

    def program(context: Any) -> Generator[Any, Any, Any]:
        first, second = context.call_activity("a"), context.call_activity("b")
        winner = yield context.task_any([first, second])
        return [winner is second, winner.state.name, isinstance(winner.result, Exception), str(winner.result)]

    driven = Driven(NAMES[name], program)
    driven.fail(1, "down")
    assert driven.output == [True, "FAILED", True, "down"]
