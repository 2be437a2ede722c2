"""Names of decorated functions, and functions given in place of names (python-api 2.6, 2.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from durable_core.model.triggers import ActivityTrigger, OrchestrationTrigger

Substitute = Callable[[str, str, Any], Any]
"""Gives what runs in place of a registered function: called with ``orchestrator``, ``activity`` or ``entity``, the
durable name and the user's function."""


def itself(kind: str, name: str, user: Any) -> Any:
    """The substitute that replaces nothing."""
    return user


def activity_name(function: str | Callable[..., Any]) -> str:
    """The durable name of an activity given by name or as the decorated function."""
    return function if type(function) is str and function else _resolve(function, ActivityTrigger, "activity")


def orchestrator_name(function: str | Callable[..., Any]) -> str:
    """The durable name of an orchestrator given by name or as the decorated function."""
    return _resolve(function, OrchestrationTrigger, "orchestrator")


def durable_name(builder: FunctionBuilder) -> str:
    """The trigger's own name property if given, else the function name."""
    function = builder._function
    trigger = function.get_trigger()
    explicit = getattr(trigger, "durable_name", None)
    return str(explicit or function.get_function_name())


def _resolve(function: str | Callable[..., Any], kind: type, noun: str) -> str:
    if isinstance(function, str):
        if not function:
            raise ValueError(f"the {noun} name cannot be empty")
        return function
    if isinstance(function, FunctionBuilder):
        trigger = function._function.get_trigger()
        if isinstance(trigger, kind):
            return durable_name(function)
        found = type(trigger).__name__ if trigger is not None else "no trigger"
        raise ValueError(
            f"function '{function._function.get_function_name()}' has {found}, but an {noun} was expected here"
        )
    raise ValueError(f"{function!r} is neither the name of an {noun} nor a function decorated as one")
