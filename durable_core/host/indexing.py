"""The checks that the Python worker and the Functions host make of an app, all errors at once (functions-host 3, 4,
6)."""

from __future__ import annotations

import inspect
import os
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions.decorators.function_app import Function
from azure.functions.queue import QueueMessageOutConverter

from durable_core.errors import ConfigurationError
from durable_core.host.routing import FunctionRoute, RouteError, conflicts, parse_route
from durable_core.host.values import resolved
from durable_core.storage.settings import resolve_connection

_NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
_BINDING = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}|\$return")
_QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")
_DURABLE_BINDINGS = frozenset({"orchestrationTrigger", "activityTrigger", "entityTrigger", "durableClient"})
_RUN_HERE = frozenset({"httpTrigger", "http", "timerTrigger", "queueTrigger", "queue"})


@dataclass(frozen=True, slots=True)
class QueueBinding:
    """A queue that a function reads or writes.

    Attributes:
        name: of the parameter, or ``$return``.
        queue: its name in storage, ``%NAME%`` replaced.
        connection: name of the setting that holds the storage connection; empty for ``AzureWebJobsStorage``.
    """

    name: str
    queue: str
    connection: str


@dataclass(frozen=True, slots=True)
class IndexedFunction:
    """A function that this host can run.

    Attributes:
        trigger: ``httpTrigger``, ``timerTrigger`` or ``queueTrigger``.
        binding: the trigger's parameter name.
        takes_context: the function has a ``context`` parameter.
        has_return: an output binding takes the return value.
        retry: settings of the ``retry`` decorator, None without one.
        auth_level: of an HTTP function: ``anonymous``, ``function`` or ``admin``.
        queue: what a queue function listens to.
        outputs: queues that the function writes to.
    """

    name: str
    user_function: Callable[..., Any]
    trigger: str
    binding: str
    properties: dict[str, Any]
    is_async: bool
    takes_context: bool
    has_return: bool
    route: FunctionRoute | None = None
    retry: dict[str, Any] | None = None
    auth_level: str = "function"
    queue: QueueBinding | None = None
    outputs: tuple[QueueBinding, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    functions: Sequence[IndexedFunction]
    skipped: Sequence[str]
    """Why a function was left out (``--lenient``)."""


def index_functions(
    functions: Sequence[Function], *, lenient: bool = False, environ: Mapping[str, str] = os.environ
) -> Index:
    """Check all functions and prepare them.

    Args:
        environ: app settings, which queue bindings refer to.
        lenient: leave functions with unsupported bindings out instead of refusing the app.

    Raises:
        ConfigurationError: what is wrong with which functions.
    """
    errors: list[str] = []
    skipped: list[str] = []
    indexed: list[IndexedFunction] = []
    seen: set[str] = set()
    for function in functions:
        name = str(function.get_function_name())
        if name.lower() in seen:
            errors.append(f"function '{name}': another function has the same name, ignoring case")
        seen.add(name.lower())
        unsupported = _unsupported(function)
        if unsupported:
            if lenient:
                skipped.append(f"function '{name}': {unsupported}")
            else:
                errors.append(f"function '{name}': {unsupported} (--lenient leaves such functions out)")
            continue
        problems = _problems(name, function)
        if problems:
            errors.extend(f"function '{name}': {problem}" for problem in problems)
            continue
        try:
            indexed.append(_indexed(name, function, environ))
        except (RouteError, ConfigurationError) as error:
            errors.append(str(error))
    indexed.sort(key=lambda item: item.name.lower())
    errors.extend(conflicts([item.route for item in indexed if item.route is not None]))
    if errors:
        raise ConfigurationError("The app cannot be loaded:\n" + "\n".join(f"  - {error}" for error in errors))
    return Index(indexed, skipped)


def _unsupported(function: Function) -> str | None:
    for binding in function.get_bindings():
        kind = str(binding.type)
        if kind in _DURABLE_BINDINGS:
            return (
                f"its binding '{kind}' comes from azure.functions or azure.durable_functions; take the durable "
                "decorators from the app's durable_core.DFApp or Blueprint"
            )
        if kind not in _RUN_HERE:
            return (
                f"the binding type '{kind}' is not supported by this host; only the real Functions host with an "
                "extension bundle can run it"
            )
    return None


def _problems(name: str, function: Function) -> list[str]:
    problems = []
    if not _NAME.fullmatch(name) or name.lower() == "host":
        problems.append("its name must begin with a letter and contain letters, digits, - and _ only, at most 128")
    bindings = function.get_bindings()
    for binding in bindings:
        if not _BINDING.fullmatch(binding.name):
            problems.append(f"the binding name '{binding.name}' must be letters and digits only, without underscores")
    user = function.get_user_function()
    parameters = inspect.signature(user).parameters
    bound = {binding.name for binding in bindings if binding.name != "$return"}
    undeclared = sorted(set(parameters) - bound - {"context"})
    if undeclared:
        problems.append(
            f"the following parameters are declared in Python but not in the function definition: "
            f"{', '.join(undeclared)}"
        )
    missing = sorted(bound - set(parameters))
    if missing:
        problems.append(
            f"the following parameters are declared in the function definition but not in Python: {', '.join(missing)}"
        )
    problems.extend(_annotation_problems(function, user))
    return problems


def _annotation_problems(function: Function, user: Callable[..., Any]) -> list[str]:
    try:
        hints = typing.get_type_hints(user)
    except Exception as error:  # annotations are user code and may fail in any way; the worker fails likewise
        return [f"its annotations cannot be resolved: {error!r}"]
    problems = []
    accepted: dict[str, tuple[type, ...]] = {
        "httpTrigger": (func.HttpRequest,),
        "timerTrigger": (func.TimerRequest, str),
        "queueTrigger": (func.QueueMessage,),
    }
    returns: str | None = None
    for binding in function.get_bindings():
        if binding.name == "$return":
            returns = str(binding.type)
        hint = hints.get(binding.name)
        if str(binding.type) == "queue" and binding.name != "$return" and not _is_queue_output(hint):
            problems.append(
                f"output parameter '{binding.name}' must be annotated func.Out[str], func.Out[bytes], "
                f"func.Out[func.QueueMessage] or func.Out[typing.List[...]] of them, not {hint!r}"
            )
        if binding.type in accepted and hint is not None and hint not in accepted[str(binding.type)]:
            wanted = " or ".join(kind.__name__ for kind in accepted[str(binding.type)])
            problems.append(f"parameter '{binding.name}' must be annotated {wanted}, not {hint!r}")
    answer = hints.get("return")
    if returns == "queue" and "return" in hints and not _is_queue_value(answer):
        problems.append(f"its return annotation must be what a queue message can be made of, not {answer!r}")
    elif returns == "http" and "return" in hints and answer not in (func.HttpResponse, str):
        problems.append(f"its return annotation must be HttpResponse or str, not {answer!r}")
    return problems


def _is_queue_output(hint: Any) -> bool:
    return typing.get_origin(hint) is func.Out and _is_queue_value(typing.get_args(hint)[0])


def _is_queue_value(hint: Any) -> bool:
    return bool(QueueMessageOutConverter.check_output_type_annotation(hint))


def _queue(name: str, binding: Any, environ: Mapping[str, str]) -> QueueBinding:
    properties = binding.get_dict_repr()
    queue = resolved(str(properties.get("queueName") or ""), environ, f"function '{name}': the queue name")
    connection = resolved(str(properties.get("connection") or ""), environ, f"function '{name}': the connection")
    if not _QUEUE_NAME.fullmatch(queue):
        raise ConfigurationError(
            f"function '{name}': '{queue}' is no queue name; 3 to 63 lower-case letters, digits and single hyphens "
            "between them are allowed"
        )
    try:
        resolve_connection(connection or "Storage", environ)
    except ConfigurationError as error:
        raise ConfigurationError(f"function '{name}', queue '{queue}': {error}") from error
    return QueueBinding(str(binding.name), queue, connection)


def _indexed(name: str, function: Function, environ: Mapping[str, str]) -> IndexedFunction:
    trigger = function.get_trigger()
    assert trigger is not None
    properties = trigger.get_dict_repr()
    user = function.get_user_function()
    kind = str(trigger.type)
    route = None
    if kind == "httpTrigger":
        methods = [str(getattr(method, "value", method)) for method in properties.get("methods") or ()]
        route = parse_route(name, str(properties.get("route") or name), methods)
    return IndexedFunction(
        name,
        user,
        kind,
        str(trigger.name),
        properties,
        inspect.iscoroutinefunction(user),
        "context" in inspect.signature(user).parameters and trigger.name != "context",
        any(binding.name == "$return" for binding in function.get_bindings()),
        route,
        function.get_settings_dict("retry_policy"),
        _auth_level(properties),
        _queue(name, trigger, environ) if kind == "queueTrigger" else None,
        tuple(_queue(name, binding, environ) for binding in function.get_bindings() if str(binding.type) == "queue"),
    )


def _auth_level(properties: dict[str, Any]) -> str:
    level = properties.get("authLevel")
    return str(getattr(level, "value", level) or "function").lower()
