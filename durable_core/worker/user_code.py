"""Where user code runs: never on the loops that keep the task hub going (design rule 6)."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from durable_core.errors import DurableError

T = TypeVar("T")


class EndlessCodeError(DurableError):
    """User code did not come to an end in time."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How user code ended, if not with an ordinary exception."""

    result: T | None = None
    exit: BaseException | None = None

    def value(self) -> T:
        """The result.

        Raises:
            SystemExit, KeyboardInterrupt: the code asked for the end of the process.
        """
        if self.exit is not None:
            raise self.exit
        return self.result  # type: ignore[return-value]


async def contained(work: Awaitable[T]) -> Outcome[T]:
    """Run ``work`` so that a ``SystemExit`` of it does not end the event loop, as it would by leaving a task."""
    try:
        return Outcome(await work)
    except (SystemExit, KeyboardInterrupt) as error:
        return Outcome(exit=error)


class UserCode(Protocol):
    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a synchronous function and return its result."""

    async def call_within(self, seconds: float, function: Callable[[], T]) -> T:
        """Run a synchronous function and return its result.

        Raises:
            EndlessCodeError: it did not return in time. It was told to stop; whether it does, nobody knows.
        """

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
        self._threads = threads
        self._pool = self._new_pool()
        self._loop = loop

    def _new_pool(self) -> Executor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="durable-user")

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    async def call_within(self, seconds: float, function: Callable[[], T]) -> T:
        run = _Stoppable(function)
        future = asyncio.get_running_loop().run_in_executor(self._pool, run)
        left = seconds
        while not (await asyncio.wait([future], timeout=left))[0]:
            if run.began is None or _is_debugged():
                left = seconds  # it waits for a thread, or for somebody who looks at it
                continue
            left = run.began + seconds - time.monotonic()
            if left > 0:
                continue
            run.stop()
            future.add_done_callback(_ignore)
            # A thread that cannot be stopped is lost, and the others must not wait for it.
            lost, self._pool = self._pool, self._new_pool()
            lost.shutdown(wait=False)
            raise EndlessCodeError(f"no end within {seconds:g} s")
        return future.result()

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return await start(*args)

        ended = asyncio.run_coroutine_threadsafe(contained(start(*args)), self._loop)
        return (await asyncio.wrap_future(ended)).value()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Stoppable(Generic[T]):
    """A call that another thread can interrupt as long as it executes Python code."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._thread: int | None = None
        self.began: float | None = None
        """When a thread took it up; None before."""

    def __call__(self) -> T:
        self._thread = threading.get_ident()
        self.began = time.monotonic()
        try:
            return self._function()
        finally:
            with self._lock:
                self._thread = None

    def stop(self) -> None:
        with self._lock:
            if self._thread is not None:
                # Not an Exception: user code that catches those must not swallow it.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(_Stop))


class _Stop(BaseException):
    """Ends user code that ran for too long."""


def _is_debugged() -> bool:
    return "debugpy" in sys.modules or "pydevd" in sys.modules


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


class InlineUserCode:
    """Everything at once on the caller's loop: for tests and simulation, where order must be repeatable."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return contextvars.copy_context().run(function, *args)

    async def call_within(self, seconds: float, function: Callable[[], T]) -> T:
        return await self.call(function)

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        return await start(*args)

    def close(self) -> None:
        """Nothing is held."""
