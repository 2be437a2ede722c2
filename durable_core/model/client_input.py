"""Injecting the durable client into a function without any binding that the host could see (functions-host 3.5)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from durable_core.model.dialect import Dialect
from durable_core.model.runtime import ClientProvider


def inject_client(
    user: Callable[..., Any], client_name: str, dialect: Dialect, provider: Callable[[], ClientProvider]
) -> Callable[..., Any]:
    """Wrap ``user`` so that its parameter ``client_name`` is filled in and hidden from indexing.

    The wrapper of an ``async def`` is one too; that of a ``def`` is a ``def``, so that it keeps running in the host's
    thread pool, and gets a client whose methods block. A client that the caller passes is left alone.

    Args:
        provider: asked at each call for the hub that the client talks to.

    Raises:
        TypeError: there is no such parameter; the text names the function.
    """
    signature = inspect.signature(user)
    names = list(signature.parameters)
    if client_name not in names:
        raise TypeError(
            f"function '{user.__name__}' has no parameter '{client_name}', which its durable_client_input names; it "
            f"has: {', '.join(names) or 'none'}."
        )
    position = names.index(client_name)

    def is_given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return client_name in kwargs or len(args) > position

    wrapper: Any
    if inspect.iscoroutinefunction(user):

        @functools.wraps(user)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            if not is_given(args, kwargs):
                kwargs[client_name] = dialect.client(provider())
            return await user(*args, **kwargs)

        wrapper = call_async
    else:

        @functools.wraps(user)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not is_given(args, kwargs):
                kwargs[client_name] = dialect.sync_client(provider())
            return user(*args, **kwargs)

        wrapper = call
    _hide(wrapper, user, client_name, signature)
    wrapper.client_function = getattr(user, "client_function", user)
    return wrapper  # type: ignore[no-any-return]


def _hide(wrapper: Any, user: Callable[..., Any], client_name: str, signature: inspect.Signature) -> None:
    shown = [parameter for name, parameter in signature.parameters.items() if name != client_name]
    wrapper.__signature__ = signature.replace(parameters=shown)
    annotations = dict(getattr(user, "__annotations__", {}))
    annotations.pop(client_name, None)
    if hasattr(wrapper, "__annotate__"):
        wrapper.__annotate__ = None
    wrapper.__annotations__ = annotations
