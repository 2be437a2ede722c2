"""Where user code runs: never on the loops that keep the task hub going (design rule 6)."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from durable_core.core.records import struct
from durable_core.errors import DurableError
from durable_core.worker.user_threads import Call, UserThreads

T = TypeVar("T")


class EndlessCodeError(DurableError):
    """User code did not come to an end in time."""


@struct
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

    async def call_within(self, seconds: float, function: Callable[[], T], *, interrupt: bool = True) -> T:
        """Run a synchronous function and return its result.

        Args:
            interrupt: tell a function that takes too long to stop, else leave it behind in its thread.

        Raises:
            EndlessCodeError: it did not return in time. Whether it stops when told so, nobody knows.
        """

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an asynchronous function and return its result."""

    def close(self) -> None:
        """Take no more work; what runs is left to itself."""


class ThreadedUserCode:
    """Synchronous code in a pool of daemon threads, asynchronous code on one given loop.

    Args:
        threads: upper bound of the pool; threads are started as they are needed.
        loop: where ``async def`` functions run; None means the loop of the caller.
    """

    def __init__(self, threads: int, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._threads = UserThreads(threads)
        self._loop = loop
        self._limits: dict[Call, tuple[float, bool]] = {}
        """Calls under way that must end: within how many seconds, and whether they are interrupted then."""
        self._watch: asyncio.TimerHandle | None = None
        self._watched = 0.0
        """Seconds for which it was set."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        result: T = await self._threads.submit(partial(function, *args)).future
        return result

    async def call_within(self, seconds: float, function: Callable[[], T], *, interrupt: bool = True) -> T:
        call = self._threads.submit(function)
        self._limits[call] = seconds, interrupt
        self._watch_within(seconds)
        try:
            result: T = await call.future
            return result
        finally:
            del self._limits[call]

    def _watch_within(self, seconds: float) -> None:
        """One timer for all calls: nearly all of them end long before it goes off."""
        if self._watch is not None:
            if self._watched <= seconds:  # whenever it was set, it goes off in time
                return
            self._watch.cancel()
        self._watched = seconds
        self._watch = asyncio.get_running_loop().call_later(seconds, self._stop_endless)

    def _stop_endless(self) -> None:
        self._watch = None
        for call, (seconds, interrupt) in list(self._limits.items()):
            left = seconds
            if call.began is not None and not _is_debugged():  # else it waits for a thread, or somebody looks at it
                left = call.began + seconds - time.monotonic()
            if left > 0:
                self._watch_within(left)
            elif self._threads.stop(call, interrupt=interrupt) and not call.future.done():
                call.future.set_exception(EndlessCodeError(f"no end within {seconds:g} s"))

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return await start(*args)

        ended = asyncio.run_coroutine_threadsafe(contained(start(*args)), self._loop)
        return (await asyncio.wrap_future(ended)).value()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._threads.close()


def _is_debugged() -> bool:
    return "debugpy" in sys.modules or "pydevd" in sys.modules


class InlineUserCode:
    """Everything at once on the caller's loop: for tests and simulation, where order must be repeatable."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return contextvars.copy_context().run(function, *args)

    async def call_within(self, seconds: float, function: Callable[[], T], *, interrupt: bool = True) -> T:
        return await self.call(function)

    async def wait(self, start: Callable[..., Awaitable[T]], *args: Any) -> T:
        return await start(*args)

    def close(self) -> None:
        """Nothing is held."""
