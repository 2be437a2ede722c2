"""Values of a wanted type: ``expected_type``, ``input_type`` and return annotations (python-api 3.5, 10.1)."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from durable_core.core.tasks import Decode
from durable_core.model.serialization import decode, is_strict

logger = logging.getLogger("durable_core.model")

_PLAIN = (str, int, float, bool, list, dict, type(None))

Typed = Callable[[type | None], Decode]
"""How values of a wanted type are read; None wants no particular one."""


def checked_decode(expected: type | None) -> Decode:
    """The stored value as it is, as ``azure.durable_functions`` gives it.

    An object of another class is only worth a warning; in strict mode every other type is a ``TypeError``.
    """
    if expected is None or not _can_be_checked(expected):
        return decode

    def read(text: str | None) -> Any:
        value = decode(text, expected)
        if is_strict():
            if not isinstance(value, expected):
                raise TypeError(f"the stored value is a {type(value).__name__}, expected was {_name(expected)}")
        elif not isinstance(value, (expected, *_PLAIN)):
            logger.warning("The stored value is a %s, expected was %s.", type(value).__name__, _name(expected))
        return value

    return read


def converting_decode(expected: type | None) -> Decode:
    """As ``checked_decode``; plain JSON becomes an object where the expected class has ``from_json``."""
    if expected is None:
        return decode
    check = checked_decode(expected)
    from_json = getattr(expected, "from_json", None)
    if from_json is None:
        return check

    def read(text: str | None) -> Any:
        value = decode(text, expected)
        if value is None or not isinstance(value, _PLAIN):
            return check(text)
        try:
            return from_json(value)
        except Exception as error:  # the user's from_json may raise anything
            raise ValueError(f"{_name(expected)}.from_json cannot read the stored value: {error!r}") from error

    return read


def result_type(function: str | Callable[..., Any], expected: type | None) -> type | None:
    """The type that a call's result is expected to have: the argument, else the return annotation of a decorated
    function if that is a class."""
    if expected is not None or not isinstance(function, FunctionBuilder):
        return expected
    user: Any = function._function.get_user_function()
    return annotated_type(getattr(user, "orchestrator_function", user), "return")


def annotated_type(function: Callable[..., Any], parameter: str) -> type | None:
    """The class that a parameter, or ``return``, is annotated with; None for anything that is no class."""
    try:
        found = typing.get_type_hints(function).get(parameter)
    except Exception:  # annotations are user code; one that cannot be resolved names no type
        return None
    return found if inspect.isclass(found) and found is not type(None) and _can_be_checked(found) else None


def _can_be_checked(kind: Any) -> bool:
    """Values can be told to be of this type; not so of ``Any``, ``list[int]`` and typed dictionaries."""
    try:
        isinstance(None, kind)
    except TypeError:
        return False
    return True


def _name(expected: Any) -> str:
    return str(getattr(expected, "__name__", expected))
