"""Threads for user code that returns its results to one event loop.

Most orchestrator steps and many activities take microseconds, where waking a thread takes tens of them. So there are no
more threads awake than needed: while the running calls are short they take turns in one thread, and results travel
to the loop in batches: when nothing waits any more, or when the loop looks, which it does every millisecond while
something waits. A call that would have to wait behind a long one gets a thread of its own.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

logger = logging.getLogger("durable_core.worker")

_LONG = 0.001
"""Seconds from which on a running call is long: others do not wait for it."""
_PATIENCE = 0.01
"""Seconds that a call waits, also behind short ones, until one more thread helps."""


class StoppedError(BaseException):
    """Raised inside user code that ran for too long. No Exception: code that catches those must not swallow it."""


class Call:
    """One call of a synchronous function, from the loop to a thread and back.

    Attributes:
        future: the outcome, on the loop.
        began: when a thread took it up (monotonic seconds), None before.
    """

    __slots__ = ("_error", "_function", "_result", "began", "future", "is_lost", "queued", "thread")

    def __init__(self, function: Callable[..., Any], future: asyncio.Future[Any], queued: float) -> None:
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self.future = future
        self.queued = queued
        self.began: float | None = None
        self.thread: int | None = None
        """Where it runs now."""
        self.is_lost = False
        """It was told to stop, and its thread serves no other call."""

    def run(self) -> None:
        try:
            self._result = self._function()
        except StopIteration as error:  # no future takes one
            self._error = RuntimeError(f"the function raised {error!r}")
            self._error.__cause__ = error
        except BaseException as error:  # the caller of the function gets it, whatever it is
            self._error = error

    def settle(self) -> None:
        """On the loop: tell the outcome to whoever still waits for it."""
        if self.future.done():
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)


class UserThreads:
    """Up to ``most`` threads, started as they are needed. ``submit``, ``stop`` and ``close`` belong to one loop.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[Call] = deque()
        self._finished: deque[Call] = deque()
        self._telling = False
        """The loop has been asked to look at what is finished."""
        self._wake_ups: SimpleQueue[None] = SimpleQueue()
        self._threads = 0
        self._asleep = 0
        self._coming = 0
        """Threads that were sent for and are not here yet: maybe they only wait for the interpreter."""
        self._last_begin = float("-inf")
        """When a call was last taken up, or a thread sent to do so."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def submit(self, function: Callable[..., Any]) -> Call:
        """Run ``function`` in a thread; await the ``future`` of what is returned."""
        if self._is_closed:
            raise RuntimeError("user code is asked for after its threads were closed")
        loop = asyncio.get_running_loop()
        call = Call(function, loop.create_future(), self._clock())
        with self._lock:
            self._waiting.append(call)
            if not self._coming and (self._asleep == self._threads or call.queued - self._last_begin > _LONG):
                self._start_one()
        if self._timer is None and self._waiting:
            self._timer = loop.call_later(_LONG, self._look, loop)
        return call

    def stop(self, call: Call, *, interrupt: bool = True) -> bool:
        """Give up a running call and its thread, whose place another may take. False if it does not run.

        Args:
            interrupt: let it end as soon as it executes Python code, else leave it to itself.
        """
        with self._lock:
            if call.thread is None or call.is_lost:
                return False
            call.is_lost = True
            self._threads -= 1
            if interrupt:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(call.thread), ctypes.py_object(StoppedError))
            if self._waiting:
                self._start_one()
        return True

    def close(self) -> None:
        """Take no more calls and forget those that wait; what runs is left to itself."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            for call in self._waiting:
                call.future.cancel()
            self._waiting.clear()
            for _ in range(self._asleep):
                self._wake_ups.put(None)

    # ---- on the loop -----------------------------------------------------------------------------------------------

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Something waits: give it threads unless those that run get on."""
        self._timer = None  # before the finished calls are looked at: a thread that sees it armed relies on that
        self._settle_finished()
        with self._lock:
            if not self._waiting:
                return
            now = self._clock()
            if not self._coming and now - self._last_begin > _LONG:
                for _ in range(len(self._waiting)):
                    self._start_one()
            elif now - self._waiting[0].queued > _PATIENCE:
                self._start_one()
            if not self._asleep and self._threads == self._most:
                return  # those that run will come to it
        self._timer = loop.call_later(_LONG, self._look, loop)

    def _start_one(self) -> None:
        if self._asleep:
            self._last_begin = self._clock()
            self._asleep -= 1
            self._coming += 1
            self._wake_ups.put(None)
        elif self._threads < self._most:
            self._last_begin = self._clock()
            self._threads += 1
            self._coming += 1
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._serve, args=(loop,), name="durable-user", daemon=True).start()

    def _settle(self) -> None:
        self._telling = False  # first of all: what is finished from now on asks again
        self._settle_finished()

    def _settle_finished(self) -> None:
        while self._finished:
            self._finished.popleft().settle()

    # ---- in the threads --------------------------------------------------------------------------------------------

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._arrive()
            while (call := self._next()) is not None:
                call.run()
                with self._lock:
                    call.thread = None
                    self._finished.append(call)
                    loop_will_look = self._waiting and self._timer is not None
                if not loop_will_look or call.is_lost:
                    self._tell(loop)
                if call.is_lost:
                    return
        except StoppedError:
            logger.debug("A call that was to be stopped had just ended.")
            # It may have come anywhere: behind the note that the loop was asked, and before it was.
            self._telling = False
            self._tell(loop)

    def _arrive(self) -> None:
        with self._lock:
            self._coming -= 1

    def _next(self) -> Call | None:
        while True:
            with self._lock:
                if self._waiting:
                    call = self._waiting.popleft()
                    if call.future.cancelled():
                        continue
                    call.thread = threading.get_ident()
                    call.began = self._last_begin = self._clock()
                    return call
                if self._is_closed:
                    return None
                self._asleep += 1
            self._wake_ups.get()
            self._arrive()

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask the loop to look at what is finished; while others wait it does so by itself."""
        if not self._telling:
            self._telling = True
            try:
                loop.call_soon_threadsafe(self._settle)
            except RuntimeError:
                logger.debug("The loop was closed before user code ended; nobody waits for its result.")
