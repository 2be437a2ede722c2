"""From a decorated orchestrator to what the worker runs (python-api 2.3, 2.8)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from durable_core.core.replay import Orchestrator
from durable_core.model.failures import orchestrator_failure
from durable_core.model.naming import Substitute, durable_name, itself
from durable_core.model.serialization import encode_or_none
from durable_core.model.triggers import OrchestrationTrigger


def build_orchestrator(builder: FunctionBuilder, substitute: Substitute = itself) -> Orchestrator:
    """The orchestrator behind a decorated function.

    Raises:
        TypeError: it is ``async def`` or does not take one context; the text names the function.
    """
    name = durable_name(builder)
    trigger = builder._function.get_trigger()
    assert isinstance(trigger, OrchestrationTrigger)
    start, input_type = trigger.dialect.start, trigger.input_type
    registered: Any = builder._function.get_user_function()
    user: Callable[[Any], Any] = substitute("orchestrator", name, registered.orchestrator_function)
    if inspect.iscoroutinefunction(user) or inspect.isasyncgenfunction(user):
        raise TypeError(
            f"Orchestrator function '{name}' is `async def`; an orchestrator is a generator: write `def` and `yield` "
            "the durable tasks."
        )
    try:
        inspect.signature(user).bind(None)
    except TypeError as error:
        raise TypeError(
            f"Orchestrator function '{name}' must take exactly one argument, the context; its input comes from "
            f"context.get_input()."
        ) from error
    what = f"the output of orchestrator '{name}'"
    return Orchestrator(
        name,
        lambda run: start(user, run, input_type),
        lambda value: encode_or_none(value, what),
        orchestrator_failure(name),
    )
