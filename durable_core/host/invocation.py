"""Calling functions the way the Python worker does (functions-host 6.1, 6.2, 7)."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import azure.functions as func

from durable_core.host.indexing import IndexedFunction
from durable_core.model.function_context import FunctionContext

logger = logging.getLogger("durable_core.host")

_DEFAULT_THREADS = 1000


class Invoker:
    """Runs ``async def`` functions on the host's loop and ``def`` functions in a pool."""

    def __init__(self, directory: str) -> None:
        threads = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
        self._pool = ThreadPoolExecutor(
            int(threads) if threads.isdigit() else _DEFAULT_THREADS, thread_name_prefix="function"
        )
        self._directory = directory
        self.running = 0
        """Invocations that have not ended."""

    async def call(self, function: IndexedFunction, argument: Any) -> Any:
        """Call a function with its trigger argument and return what it returned."""
        given = {function.binding: argument}
        if function.takes_context:
            given["context"] = FunctionContext(function.name, self._directory)
        self.running += 1
        try:
            if function.is_async:
                return await function.user_function(**given)
            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, lambda: context.run(function.user_function, **given)
            )
        finally:
            self.running -= 1

    def close(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)


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
