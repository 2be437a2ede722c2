"""Orchestrators and activities of the worker tests."""

from __future__ import annotations

from typing import Any

from durable_core.core.replay import OrchestrationRun
from durable_core.core.tasks import WhenAllTask, WhenAnyTask
from durable_core.core.ticks import PER_SECOND
from tests.worker.world import Steps, call, decode, functions


def hello5(run: OrchestrationRun) -> Steps:
    results = []
    for number in range(5):
        results.append((yield call(run, "say", number)))
    return results


def fan_out(run: OrchestrationRun) -> Steps:
    return (yield WhenAllTask([call(run, "say", number) for number in range(decode(run.input))]))


def sleeper(run: OrchestrationRun) -> Steps:
    yield run.create_timer(run.current_time + round(decode(run.input) * PER_SECOND))
    return run.current_time


def waiter(run: OrchestrationRun) -> Steps:
    run.custom_status = '"waiting"'
    return (yield run.wait_for_event("go", decode))


def approval(run: OrchestrationRun) -> Steps:
    timer = run.create_timer(run.current_time + 60 * PER_SECOND)
    event = run.wait_for_event("go", decode)
    winner = yield WhenAnyTask([event, timer])
    if winner is timer:
        return "timed out"
    timer.cancel()
    return event.result


def fails(run: OrchestrationRun) -> Steps:
    return (yield call(run, "boom", "x"))


def catches(run: OrchestrationRun) -> Steps:
    try:
        yield call(run, "boom", "x")
    except Exception as error:
        return f"caught {error}"


def calls_nobody(run: OrchestrationRun) -> Steps:
    return (yield call(run, "nobody"))


def large(run: OrchestrationRun) -> Steps:
    return (yield call(run, "echo", "x" * decode(run.input)))


def boom(value: Any) -> Any:
    raise ValueError(f"no {value}")


ORCHESTRATORS = {
    body.__name__: body for body in (hello5, fan_out, sleeper, waiter, approval, fails, catches, calls_nobody, large)
}
ACTIVITIES = {"say": lambda value: f"Hello {value}", "boom": boom, "echo": lambda value: value}
FUNCTIONS = functions(ORCHESTRATORS, ACTIVITIES)
