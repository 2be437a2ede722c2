"""Orchestrators that no runtime should have to run: each ends with a text that says what is wrong; none hangs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

import durable_core as df
from durable_core.testing import DurableTestEnvironment
from tests.model.test_orchestrations import app_of

Steps = Generator[Any, Any, Any]
Context = df.DurableOrchestrationContext


def yields_a_number(context: Context) -> Steps:
    yield 5


def yields_a_list_of_tasks(context: Context) -> Steps:
    yield [context.call_activity("work", 1)]


def yields_a_generator(context: Context) -> Steps:
    yield yields_a_number(context)


def raises_in_finally(context: Context) -> Steps:
    try:
        yield context.call_activity("work", 1)
    finally:
        raise ValueError("in finally")


def raises_in_finally_over_another_error(context: Context) -> Steps:
    try:
        yield context.call_activity("work", 1)
        raise KeyError("first")
    finally:
        raise ValueError("in finally")


def recurses(context: Context) -> Steps:
    yield from recurses(context)


def has_a_huge_status(context: Context) -> Steps:
    context.set_custom_status("x" * 1_000_000)
    yield context.call_activity("work", 1)


def has_a_child_like_an_entity(context: Context) -> Steps:
    yield context.call_sub_orchestrator("child", instance_id="@a@b")


def returns_what_is_no_json(context: Context) -> Steps:
    yield context.call_activity("work", 1)
    return object()


def passes_what_is_no_json(context: Context) -> Steps:
    yield context.call_activity("work", {1, 2})


def continues_with_what_is_no_json(context: Context) -> Steps:
    yield context.call_activity("work", 1)
    context.continue_as_new(object())


def calls_nothing(context: Context) -> Steps:
    yield context.call_activity("")


def stops_iteration(context: Context) -> Steps:
    yield context.call_activity("work", 1)
    raise StopIteration("odd")


def waits_for_no_name(context: Context) -> Steps:
    yield context.wait_for_external_event("")


FAILING: list[tuple[Callable[[Context], Any], str]] = [
    (yields_a_number, "yielded 5 instead of a durable task"),
    (yields_a_list_of_tasks, "context.task_all"),
    (yields_a_generator, "yield from"),
    (raises_in_finally, "in finally"),
    (raises_in_finally_over_another_error, "in finally"),
    (recurses, "maximum recursion depth"),
    (has_a_huge_status, "custom status"),
    (has_a_child_like_an_entity, "must not start with '@'"),
    (returns_what_is_no_json, "cannot be written as JSON"),
    (passes_what_is_no_json, "the input of activity 'work' cannot be written as JSON"),
    (continues_with_what_is_no_json, "cannot be written as JSON"),
    (calls_nothing, "name cannot be empty"),
    (stops_iteration, "StopIteration"),
    (waits_for_no_name, "event name cannot be empty"),
]


@pytest.mark.parametrize(("body", "says"), FAILING, ids=[body.__name__ for body, _ in FAILING])
@pytest.mark.parametrize("replays", [False, True])
def test_it_fails_and_says_why(body: Callable[[Context], Any], says: str, replays: bool) -> None:
    with DurableTestEnvironment(app_of(body), replays=replays) as env:
        assert says in env.run(body.__name__).failure


def awaits_a_task_twice(context: Context) -> Steps:
    task = context.call_activity("work", 1)
    return [(yield task), (yield task)]


def yields_after_return(context: Context) -> Steps:
    try:
        return "returned"
    finally:
        yield context.call_activity("work", 1)


def never_yields(context: Context) -> str:
    return "at once"


def is_a_generator_that_never_waits(context: Context) -> Steps:
    if context.instance_id == "nobody":
        yield
    return "at once"


def swallows_the_exit(context: Context) -> Steps:
    try:
        yield context.wait_for_external_event("Go")
        context.continue_as_new(None)
    except GeneratorExit:
        yield context.wait_for_external_event("Go")


def swallows_failures(context: Context) -> Steps:
    for _ in range(3):
        try:
            yield context.call_activity("missing", 1)
        except Exception:
            continue
    return "swallowed"


@pytest.mark.parametrize(
    ("body", "output"),
    [
        (awaits_a_task_twice, [1, 1]),
        (yields_after_return, "returned"),
        (never_yields, "at once"),
        (is_a_generator_that_never_waits, "at once"),
        (swallows_failures, "swallowed"),
    ],
)
@pytest.mark.parametrize("replays", [False, True])
def test_it_is_odd_and_ends(body: Callable[[Context], Any], output: Any, replays: bool) -> None:
    with DurableTestEnvironment(app_of(body), replays=replays) as env:
        assert env.run(body.__name__).output == output


@pytest.mark.parametrize("replays", [False, True])
def test_a_generator_that_swallows_its_exit_can_be_terminated(replays: bool) -> None:
    with DurableTestEnvironment(app_of(swallows_the_exit), replays=replays) as env:
        instance = env.start("swallows_the_exit")
        assert instance.raise_event("Go").status.name == "Running"
        assert instance.terminate("enough").output == "enough"
        env.restart_worker()
        assert env.start("swallows_the_exit").status.name == "Running"


@pytest.mark.parametrize("instance_id", ["@a", "a/b", "a\\b", "a#b", "a?b", "a\x00b", "a\nb", "x" * 300])
def test_ids_with_forbidden_characters_are_refused_at_the_call(instance_id: str) -> None:
    with DurableTestEnvironment(app_of(never_yields)) as env:
        with pytest.raises(ValueError, match="instance ids must not"):
            env.start("never_yields", instance_id=instance_id)
        assert env.instances == []


def test_a_status_just_below_the_limit_is_kept() -> None:
    def status(context: Context) -> Steps:
        context.set_custom_status("x" * (8 * 1024 - 2))
        yield context.wait_for_external_event("Go")

    with DurableTestEnvironment(app_of(status)) as env:
        assert len(env.start("status").custom_status) == 8 * 1024 - 2
