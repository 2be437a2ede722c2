"""Calling functions the way the Python worker does (functions-host 6.1, 6.2, 7)."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import azure.functions as func

from durable_core.host.indexing import IndexedFunction, QueueBinding
from durable_core.model.function_context import FunctionContext
from durable_core.worker.function_timeout import FunctionTimeoutError
from durable_core.worker.user_code import Outcome, contained

logger = logging.getLogger("durable_core.host")

_DEFAULT_THREADS = 1000
_RETURN = "$return"


class OutValue(func.Out[Any]):
    """What a function sets in an output parameter."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


SendOutput = Callable[[QueueBinding, Any], Awaitable[None]]


class Invoker:
    """Runs ``async def`` functions on the host's loop and ``def`` functions in a pool.

    Args:
        directory: the app folder.
        timeout: seconds that a function may run; None for no limit.
        send: writes what functions give to their queue outputs.
    """

    def __init__(self, directory: str, timeout: float | None = None, send: SendOutput | None = None) -> None:
        threads = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
        self._pool = ThreadPoolExecutor(
            int(threads) if threads.isdigit() else _DEFAULT_THREADS, thread_name_prefix="function"
        )
        self._directory = directory
        self._timeout = timeout
        self._send = send
        self.running = 0
        """Invocations that have not ended."""

    async def call(self, function: IndexedFunction, argument: Any) -> Any:
        """Call a function with its trigger argument; returns what is for the trigger, once all outputs are written.

        Raises:
            FunctionTimeoutError: it takes too long; a ``def`` is left behind in its thread.
            RuntimeError: it returned a value that no binding takes.
        """
        outputs = {binding.name: OutValue() for binding in function.outputs if binding.name != _RETURN}
        given = {function.binding: argument, **outputs}
        if function.takes_context:
            given["context"] = FunctionContext(function.name, self._directory)
        self.running += 1
        try:
            result = await self._within_time(function, given)
            if result is not None and not function.has_return:
                raise RuntimeError(
                    f"function '{function.name}' without a $return binding returned a non-None value, a "
                    f"{type(result).__name__}"
                )
            for binding in function.outputs:
                assert self._send is not None
                await self._send(binding, result if binding.name == _RETURN else outputs[binding.name].get())
            return result
        finally:
            self.running -= 1

    async def _within_time(self, function: IndexedFunction, given: dict[str, Any]) -> Any:
        if function.is_async:
            call: asyncio.Future[Outcome[Any]] = asyncio.ensure_future(contained(function.user_function(**given)))
        else:
            work = partial(contextvars.copy_context().run, _contained_call, function.user_function, given)
            call = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            ended, _ = await asyncio.wait([call], timeout=self._timeout)
        except asyncio.CancelledError:
            call.cancel()
            raise
        if not ended:
            call.add_done_callback(_ignore)
            call.cancel()
            raise FunctionTimeoutError("function", function.name, self._timeout or 0)
        outcome = call.result()
        if outcome.exit is not None:
            raise RuntimeError(f"function '{function.name}' asked the process to end: {outcome.exit!r}")
        return outcome.result

    def close(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _contained_call(function: Callable[..., Any], given: dict[str, Any]) -> Outcome[Any]:
    try:
        return Outcome(function(**given))
    except (SystemExit, KeyboardInterrupt) as error:
        return Outcome(exit=error)


def _ignore(call: asyncio.Future[Any]) -> None:
    """What is left behind may end as it likes."""
    if not call.cancelled():
        call.exception()


def http_response(function: IndexedFunction, result: Any) -> func.HttpResponse | None:
    """The response that a function's return value means; None, with a log line, if it means none."""
    if isinstance(result, func.HttpResponse):
        return result
    if isinstance(result, str):
        return _from_text(result)
    logger.error(
        "Function '%s' returned a %s; an HTTP function must return func.HttpResponse or str.",
        function.name,
        type(result).__name__,
    )
    return None


def _from_text(text: str) -> func.HttpResponse:
    """A text is a body, but a JSON object with ``body`` describes a whole response."""
    try:
        document = json.loads(text)
    except ValueError:
        return func.HttpResponse(text)
    if not isinstance(document, dict) or "body" not in document:
        return func.HttpResponse(text)
    body = document["body"]
    status = document.get("statusCode") or document.get("status") or 200
    headers = {str(name): str(value) for name, value in (document.get("headers") or {}).items()}
    return func.HttpResponse(
        body if isinstance(body, str) else json.dumps(body), status_code=int(status), headers=headers
    )
