"""Where user code runs: never on the loops that keep the task hub going (design rule 6)."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class UserCode(Protocol):
    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a synchronous function and return its result."""

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an asynchronous function and return its result."""

    def close(self) -> None:
        """Take no more work; what runs is left to itself."""


class ThreadedUserCode:
    """Synchronous code in a pool of daemon-like threads, asynchronous code on one given loop.

    Args:
        threads: upper bound of the pool; threads are started as they are needed.
        loop: where ``async def`` functions run; None means the loop of the caller.
    """

    def __init__(self, threads: int, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._pool: Executor = ThreadPoolExecutor(threads, thread_name_prefix="durable-user")
        self._loop = loop

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return await start(*args)

        async def run() -> T:
            return await start(*args)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self._loop))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class InlineUserCode:
    """Everything at once on the caller's loop: for tests and simulation, where order must be repeatable."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return contextvars.copy_context().run(function, *args)

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        return await start(*args)

    def close(self) -> None:
        """Nothing is held."""
