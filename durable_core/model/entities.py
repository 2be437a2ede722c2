"""From a decorated entity to what the worker runs (python-api 7, 14.2)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from durable_core.core.entities import Entity, Operation, Outcome
from durable_core.model.dialect import OWN, Dialect
from durable_core.model.entity_class import DurableEntity, call_operation, check_operations
from durable_core.model.entity_context import DurableEntityContext
from durable_core.model.failures import exception_message, user_traceback
from durable_core.model.naming import Substitute, durable_name, itself
from durable_core.model.triggers import EntityTrigger

_VALUES = (str, int, float, bool, list, dict)


def build_entity(builder: FunctionBuilder, substitute: Substitute = itself) -> Entity:
    """The entity behind a decorated function or class.

    Raises:
        TypeError: its shape does not fit; the text names it.
    """
    name = durable_name(builder)
    trigger = builder._function.get_trigger()
    assert isinstance(trigger, EntityTrigger)
    registered: Any = builder._function.get_user_function()
    return entity_of(name, substitute("entity", name, registered.entity_function), trigger.dialect)


def entity_of(name: str, user: Any, dialect: Dialect = OWN) -> Entity:
    """An entity of this name that runs ``user``: a function of the context, of context and input, or a
    ``DurableEntity`` class.

    Raises:
        TypeError: it is none of these.
    """
    body = _body(name, user)

    def run(operation: Operation) -> Outcome:
        context = dialect.entity_context(operation)
        try:
            return context.outcome(_plain(name, body(context)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the user's code raises, SystemExit included, fails the operation
            return context.failure(exception_message(error), user_traceback(error))

    return Entity(name, run, dialect.rolls_back)


def _body(name: str, user: Any) -> Callable[[DurableEntityContext], Any]:
    if inspect.isclass(user):
        if not issubclass(user, DurableEntity):
            raise TypeError(f"Entity class '{user.__name__}' must be a subclass of durable_core.DurableEntity.")
        check_operations(name, user)
        return lambda context: call_operation(user, context)
    taken = _positional(user)
    if taken == 1:
        one: Callable[[DurableEntityContext], Any] = user
        return one
    if taken == 2:
        return lambda context: user(context, context.get_input())
    raise TypeError(
        f"Entity function '{name}' must take the context, or context and input; it takes {inspect.signature(user)}."
    )


def _positional(user: Callable[..., Any]) -> int:
    """How many of (context, input) the function takes; 0 if it fits neither."""
    signature = inspect.signature(user)
    for count in (2, 1):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        named = [item for item in signature.parameters.values() if item.default is item.empty]
        return count if count == 1 or len(named) > 1 or _takes_any(signature) else 1
    return 0


def _takes_any(signature: inspect.Signature) -> bool:
    return any(item.kind is item.VAR_POSITIONAL for item in signature.parameters.values())


def _plain(name: str, returned: Any) -> Any:
    """What the function returned, if it is a value.

    Raises:
        TypeError: it is something that would still have to run.
    """
    if returned is None or type(returned) in _VALUES:
        return returned
    if inspect.iscoroutine(returned):
        returned.close()
        raise TypeError(
            f"Entity function '{name}' is `async def`; entity functions are synchronous: write `def`, and leave "
            "waiting to activities."
        )
    if inspect.isgenerator(returned):
        returned.close()
        raise TypeError(
            f"Entity function '{name}' is a generator; an entity cannot wait, only orchestrators yield: return a value "
            "or call context.set_result."
        )
    if inspect.isasyncgen(returned) or inspect.isawaitable(returned):
        raise TypeError(f"Entity function '{name}' returned {returned!r}, which an entity cannot wait for.")
    return returned
