"""From a decorated activity to what the worker runs (python-api 9)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from durable_core.model.failures import activity_failure
from durable_core.model.function_context import FunctionContext
from durable_core.model.naming import Substitute, durable_name, itself
from durable_core.model.serialization import encode_or_none
from durable_core.model.triggers import ActivityTrigger
from durable_core.model.typed import annotated_type
from durable_core.worker.functions import Activity, ActivityCall

_CONTEXT = "context"


class ActivityContext(FunctionContext):
    """The context of one activity call: also which instance and task it works for."""

    def __init__(self, call: ActivityCall, file: str) -> None:
        super().__init__(call.name, str(Path(file).parent))
        self._call = call

    @property
    def instance_id(self) -> str:
        """The orchestration instance that called the activity."""
        return self._call.instance_id

    @property
    def task_id(self) -> int:
        """The call's number within its orchestration."""
        return self._call.task_id


def build_activity(builder: FunctionBuilder, substitute: Substitute = itself) -> Activity:
    """The activity behind a decorated function.

    Raises:
        TypeError: its signature or bindings do not fit; the text names the function.
    """
    function = builder._function
    name = durable_name(builder)
    user: Callable[..., Any] = substitute("activity", name, function.get_user_function())
    trigger = function.get_trigger()
    assert isinstance(trigger, ActivityTrigger)
    extra = [binding.name for binding in function.get_bindings() if binding is not trigger]
    if extra:
        raise TypeError(
            f"Activity function '{name}' has the bindings {', '.join(extra)}; input and output bindings on activities "
            "are not supported: use an SDK client inside the activity."
        )
    input_name, read_input = str(trigger.name), trigger.dialect.encoding.read_activity_input
    input_type = annotated_type(user, input_name)
    takes_context = _check_signature(name, user, input_name)
    file = inspect.getsourcefile(inspect.unwrap(user)) or "function_app.py"

    def arguments(call: ActivityCall, input: str | None) -> dict[str, Any]:
        given: dict[str, Any] = {input_name: read_input(input, input_type)}
        if takes_context:
            given[_CONTEXT] = ActivityContext(call, file)
        return given

    what = f"the result of activity '{name}'"

    def run(call: ActivityCall, input: str | None) -> str | Awaitable[str | None] | None:
        result = user(**arguments(call, input))
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(
                "the function returned a coroutine; every decorator around an `async def` must be async too"
            )
        return encode_or_none(result, what)

    async def run_async(call: ActivityCall, input: str | None) -> str | None:
        return encode_or_none(await user(**arguments(call, input)), what)

    is_async = inspect.iscoroutinefunction(user)
    return Activity(name, run_async if is_async else run, is_async, activity_failure(name))


def _check_signature(name: str, user: Callable[..., Any], input_name: str) -> bool:
    if inspect.isgeneratorfunction(user) or inspect.isasyncgenfunction(user):
        raise TypeError(
            f"Activity function '{name}' is a generator; an activity returns its result, only orchestrators yield."
        )
    parameters = inspect.signature(user).parameters
    if input_name not in parameters:
        raise TypeError(
            f"Activity function '{name}' has no parameter '{input_name}', which its activity_trigger names as "
            f"input_name; it has: {', '.join(parameters) or 'none'}."
        )
    others = set(parameters) - {input_name, _CONTEXT}
    if others:
        raise TypeError(
            f"Activity function '{name}' has the parameters {', '.join(sorted(others))} besides its input; an "
            "activity takes one input (pass several values as a list or dictionary) and optionally 'context'."
        )
    return _CONTEXT in parameters and input_name != _CONTEXT
