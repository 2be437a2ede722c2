"""Python twins of the orchestrations that DurableTask.Core ran for the captures (tests/golden/README.md 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any, TypeVar

import durable_core as own

Steps = Generator[Any, Any, Any]
DTFX = own.DFApp()
Function = TypeVar("Function", bound=Callable[[Any], Any])


Context = Any


def dtfx(function: Function) -> Function:
    """Register an orchestrator, and leave it a function."""
    DTFX.orchestration_trigger(context_name="context")(function)
    return function


@dtfx
def hello1(context: Context) -> Steps:
    return (yield context.call_activity("say_hello", "Tokyo"))


@dtfx
def hello3(context: Context) -> Steps:
    results = []
    for city in ("Tokyo", "Seattle", "London"):
        results.append((yield context.call_activity("say_hello", city)))
    return results


@dtfx
def fanout(context: Context) -> Steps:
    calls = [context.call_activity("say_hello", str(number)) for number in range(context.get_input())]
    return len((yield context.task_all(calls)))


@dtfx
def timer(context: Context) -> Steps:
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
    return "woke"


@dtfx
def timer_race(context: Context) -> Steps:
    slow = context.create_timer(context.current_utc_datetime + timedelta(minutes=10))
    activity = context.call_activity("say_hello", "race")
    if (yield context.task_any([slow, activity])) is activity:
        slow.cancel()
        return "activity"
    return "timer"


@dtfx
def approval(context: Context) -> Steps:
    context.set_custom_status({"stage": "waiting"})
    value = yield context.wait_for_external_event("Approval")
    context.set_custom_status("done")
    return value


@dtfx
def two_events(context: Context) -> Steps:
    first = yield context.wait_for_external_event("A")
    second = yield context.wait_for_external_event("B")
    return [first, second]


@dtfx
def parent(context: Context) -> Steps:
    own_id = f"{context.instance_id}:child"
    first = yield context.call_sub_orchestrator("hello1", context.get_input(), instance_id=own_id)
    second = yield context.call_sub_orchestrator("hello1", "second")
    return [first, second]


@dtfx
def parent_fails(context: Context) -> Steps:
    return (yield context.call_sub_orchestrator("fails"))


@dtfx
def fire_and_forget(context: Context) -> str:
    context.start_new_orchestrator("hello1", "x", instance_id=f"{context.instance_id}-ff")
    return "started"


@dtfx
def fails(context: Context) -> Steps:
    return (yield context.call_activity("throws", "boom"))


@dtfx
def caught(context: Context) -> Steps:
    try:
        return (yield context.call_activity("throws", "boom"))
    except own.TaskFailedError as error:
        return f"caught: {error}"


@dtfx
def throws_self(context: Context) -> Steps:
    yield from ()
    raise RuntimeError("orchestrator broke")


@dtfx
def retry(context: Context) -> Steps:
    options = own.RetryOptions(1000, 3)
    return (yield context.call_activity_with_retry("flaky", options, context.instance_id))


@dtfx
def can(context: Context) -> Steps:
    number = context.get_input()
    yield context.call_activity("say_hello", f"gen{number}")
    if number < 3:
        context.continue_as_new(number + 1)
    return f"last {number}"


@dtfx
def can_events(context: Context) -> Steps:
    number = context.get_input()
    value = yield context.wait_for_external_event("go")
    if number < 2:
        context.continue_as_new(number + 1)
    return value


@dtfx
def can_carry(context: Context) -> Steps:
    number = context.get_input()
    value = yield context.wait_for_external_event("go")
    if number < 3:
        context.continue_as_new(number + 1)
    return value


@dtfx
def large(context: Context) -> Steps:
    return (yield context.call_activity("echo", "x" * context.get_input()))


@dtfx
def sender(context: Context) -> str:
    context.send_event(context.get_input(), "Approval", "from sender")
    return "sent"


@dtfx
def heal(context: Context) -> Steps:
    return (yield context.call_activity("heals"))


@dtfx
def entity_call(context: Context) -> Steps:
    counter = own.EntityId("counter", context.get_input())
    yield context.call_entity(counter, "add", 5)
    return str((yield context.call_entity(counter, "get")))


@dtfx
def entity_fail(context: Context) -> Steps:
    return (yield context.call_entity(own.EntityId("counter", context.get_input()), "fail"))


@dtfx
def entity_signal(context: Context) -> str:
    counter = own.EntityId("counter", context.get_input())
    context.signal_entity(counter, "add", 3)
    context.signal_entity(counter, "add", 4, signal_time=context.current_utc_datetime + timedelta(seconds=2))
    return "signalled"


@dtfx
def transfer(context: Context) -> Steps:
    key = context.get_input()
    source, target = own.EntityId("counter", f"{key}-a"), own.EntityId("counter", f"{key}-b")
    with (yield context.lock(target, source)):
        yield context.call_entity(source, "add", -10)
        yield context.call_entity(target, "add", 10)
    return "moved"
