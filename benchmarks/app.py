"""The functions that the measurements run, built with the programming model that users have."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import durable_core as df

app = df.DFApp()


@app.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    return f"Hello {city}!"


def _sequence(context: df.DurableOrchestrationContext, length: int) -> Generator[Any, Any, list[str]]:
    results = []
    for number in range(length):
        results.append((yield context.call_activity("say_hello", f"city {number}")))
    return results


@app.orchestration_trigger(context_name="context")
def hello3(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    return (yield from _sequence(context, 3))


@app.orchestration_trigger(context_name="context")
def hello5(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    return (yield from _sequence(context, 5))


@app.orchestration_trigger(context_name="context")
def sequence(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    results = yield from _sequence(context, context.get_input())
    return len(results)


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    tasks = [context.call_activity("say_hello", str(number)) for number in range(context.get_input())]
    results = yield context.task_all(tasks)
    return len(results)


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> int:
    value: int = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
    return value


@app.orchestration_trigger(context_name="context")
def call_counter(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    value = 0
    for _ in range(context.get_input()):
        value = yield context.call_entity(df.EntityId("counter", "warm"), "add", 1)
    return value
