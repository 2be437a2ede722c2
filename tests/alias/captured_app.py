"""The orchestrators and entities that were recorded (golden python-stack), written again for the alias."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any

from durable_core.alias.finder import install

install()
df: Any = importlib.import_module("azure.durable_functions")


def hello3(context: Any) -> Any:
    results = []
    for city in ("Tokyo", "Seattle", "London"):
        results.append((yield context.call_activity("say", city)))
    return results


def echogen(context: Any) -> Any:
    given = context.get_input()
    out = yield context.call_activity("echo_act", given)
    return {
        "in": given,
        "out": out,
        "id": context.instance_id,
        "version": context.version,
        "parent": context.parent_instance_id,
    }


def fan(context: Any) -> Any:
    return sum((yield context.task_all([context.call_activity("square", n) for n in range(context.get_input())])))


def approval(context: Any) -> Any:
    event = context.wait_for_external_event("approve")
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input()))
    winner = yield context.task_any([event, timer])
    if winner == event:
        timer.cancel()
        return {"approved": event.result}
    return "timeout"


def parent(context: Any) -> Any:
    first = yield context.call_sub_orchestrator("child", {"n": 1})
    second = yield context.call_sub_orchestrator("child", {"n": 2}, instance_id=f"fixed-child-{context.instance_id}")
    return [first, second]


def child(context: Any) -> Any:
    value = yield context.call_activity("square", context.get_input()["n"] + 1)
    return {"v": value, "id": context.instance_id, "parent": context.parent_instance_id}


def parent_fail(context: Any) -> Any:
    try:
        yield context.call_sub_orchestrator("fail_activity")
    except Exception as error:
        return {"caught": type(error).__name__, "text": str(error)}


def fail_activity(context: Any) -> Any:
    yield context.call_activity("say", "before")
    yield context.call_activity("boom", "uncaught")


def caught(context: Any) -> Any:
    try:
        yield context.call_activity("boom", "caught")
    except Exception as error:
        return {"caught": type(error).__name__, "text": str(error)}


def fail_orch(context: Any) -> Any:
    context.set_custom_status({"step": "about to fail"})
    yield context.call_activity("say", "x")
    raise KeyError("orch broke")


def fail_orch_first(context: Any) -> Any:
    yield from ()
    raise ValueError("at once")


def retry(context: Any) -> Any:
    return (yield context.call_activity_with_retry("flaky", df.RetryOptions(1000, 3), context.instance_id))


def retry_exhaust(context: Any) -> Any:
    return (yield context.call_activity_with_retry("boom", df.RetryOptions(500, 2), "retry"))


def again(context: Any) -> Any:
    generation = context.get_input() or 0
    context.set_custom_status(f"gen {generation}")
    yield context.call_activity("square", generation)
    if generation < 2:
        context.continue_as_new(generation + 1)
        return None
    return {"finished": generation}


def custom(context: Any) -> Any:
    context.set_custom_status("first")
    yield context.call_activity("say", "a")
    context.set_custom_status({"pct": 50, "list": [1, None, "é"]})
    yield context.wait_for_external_event("go")
    return "done"


def waiter(context: Any) -> Any:
    return (yield context.wait_for_external_event("go"))


def rewindable(context: Any) -> Any:
    first = yield context.call_activity("say", "pre")
    second = yield context.call_activity("fails_once", context.instance_id)
    return [first, second]


def uses_entity(context: Any) -> Any:
    entity = df.EntityId("counter", context.get_input())
    context.signal_entity(entity, "add", 5)
    value = yield context.call_entity(entity, "add", 3)
    got = yield context.call_entity(entity, "get")
    try:
        yield context.call_entity(entity, "fail", "x")
        failed: Any = None
    except Exception as error:
        failed = [type(error).__name__, str(error)]
    after = yield context.call_entity(entity, "get")
    return {"v": value, "g": got, "f": failed, "after": after, "uuid": context.new_uuid()}


def big(context: Any) -> Any:
    return (yield context.call_activity("big_act", 100000))


def no_act(context: Any) -> Any:
    yield context.call_activity("does_not_exist", 1)


def no_sub(context: Any) -> Any:
    yield context.call_sub_orchestrator("does_not_exist", 1)


def returns_nothing(context: Any) -> Any:
    return (yield context.call_activity("nothing"))


def dates(context: Any) -> Any:
    said = yield context.call_activity("say", "d")
    return [said, context.new_uuid(), str(context.new_guid()), str(context.current_utc_datetime)]


def http_call(context: Any) -> Any:
    return (yield context.call_http("GET", context.get_input()))


def counter(context: Any) -> None:
    operation = context.operation_name
    if operation == "add":
        context.set_state(context.get_state(lambda: 0) + context.get_input())
        context.set_result(context.get_state())
    elif operation == "get":
        context.set_result(context.get_state(lambda: 0))
    elif operation == "set":
        context.set_state(context.get_input())
    elif operation == "fail":
        context.set_state(context.get_state(lambda: 0) + 1000)
        raise ValueError("entity failed")
    elif operation == "reset":
        context.destruct_on_exit()


def nondet(context: Any) -> Any:
    if context.is_replaying:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
    else:
        yield context.call_activity("say", "one")
    yield context.call_activity("say", "two")


def nondet_name(context: Any) -> Any:
    yield context.call_activity("square" if context.is_replaying else "say", 1)
    yield context.call_activity("say", "two")


ORCHESTRATORS = {
    function.__name__: function
    for function in (
        hello3, echogen, fan, approval, parent, child, parent_fail, fail_activity, caught, fail_orch, fail_orch_first,
        retry, retry_exhaust, again, custom, waiter, rewindable, uses_entity, big, no_act, no_sub, returns_nothing,
        dates, http_call, nondet, nondet_name,
    )
}  # fmt: skip
