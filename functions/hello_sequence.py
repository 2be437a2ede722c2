"""Function chaining: run activities one after the other, each step made durable before the next begins.

    curl -X POST localhost:7071/api/orchestrators/hello_sequence

An *orchestrator* is a generator. Every ``yield`` hands a durable task to the runtime and gets its result back, maybe
after a crash and on another machine: the runtime replays the code over the recorded history, so an orchestrator must do
the same thing every time. Work with side effects belongs into *activities*.
"""

from collections.abc import Generator
from typing import Any

import durable_core as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def hello_sequence(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    """Greet three cities in order."""
    tokyo = yield context.call_activity("say_hello", "Tokyo")
    seattle = yield context.call_activity("say_hello", "Seattle")
    london = yield context.call_activity("say_hello", "London")
    return [tokyo, seattle, london]


@bp.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    """An activity is an ordinary function: it may be slow, fail, read files or call services."""
    return f"Hello {city}!"
