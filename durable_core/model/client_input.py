"""Injecting the durable client into a function without any binding that the host could see (functions-host 3.5)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from durable_core.model.durable_client import DurableOrchestrationClient
from durable_core.model.runtime import client_provider


def inject_client(user: Callable[..., Any], client_name: str) -> Callable[..., Any]:
    """Wrap ``user`` so that its parameter ``client_name`` is filled in and hidden from indexing.

    Raises:
        TypeError: there is no such parameter, or the function is not ``async def`` (all client calls are awaited).
    """
    signature = inspect.signature(user)
    if client_name not in signature.parameters:
        raise TypeError(
            f"function '{user.__name__}' has no parameter '{client_name}', which its durable_client_input names; it "
            f"has: "
            f"{', '.join(signature.parameters) or 'none'}."
        )
    if not inspect.iscoroutinefunction(user):
        raise TypeError(
            f"function '{user.__name__}' must be `async def` to use a durable client: the client's methods are awaited."
        )

    @functools.wraps(user)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if client_name not in kwargs:
            kwargs[client_name] = DurableOrchestrationClient(client_provider())
        return await user(*args, **kwargs)

    hidden = [parameter for name, parameter in signature.parameters.items() if name != client_name]
    wrapper.__signature__ = signature.replace(parameters=hidden)  # type: ignore[attr-defined]
    annotations = dict(getattr(user, "__annotations__", {}))
    annotations.pop(client_name, None)
    if hasattr(wrapper, "__annotate__"):
        wrapper.__annotate__ = None
    wrapper.__annotations__ = annotations
    wrapper.client_function = getattr(user, "client_function", user)  # type: ignore[attr-defined]
    return wrapper
