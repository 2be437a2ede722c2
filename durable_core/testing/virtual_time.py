"""An event loop whose clock jumps to the next timer when nothing is ready, and may run ready callbacks in seeded
order."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from durable_core.core import ticks

T = TypeVar("T")

EPOCH = ticks.parse("2026-01-01T00:00:00Z")
"""Where virtual clocks begin."""


_LAST_ROUNDS = 5
_LAST_PATIENCE = 600.0
"""Virtual seconds after which what was cancelled and goes on all the same is cancelled once more."""
_MOST_TURNS = 1_000_000
"""Turns of a loop without any time passing that are still believed to lead somewhere."""
_FEW_CANCELLED = 100


class DeadlockError(RuntimeError):
    """The program would never end: everything waits and no timer is set, or it spins without time passing."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time.

    While a call runs in an executor (``run_in_executor``, ``asyncio.to_thread``) the clock stands still. Other threads
    and sockets are not waited for: a program that only they could go on with counts as deadlocked.

    Args:
        limit: virtual seconds after which the program counts as hanging.
        random: runs callbacks that are ready at the same moment in its order instead of first in, first out; the same
            seed gives the same run.
    """

    def __init__(self, random: Random | None = None, limit: float = float("inf")) -> None:
        super().__init__()
        # Timers that are so far ahead count as due: less than a tick, and more than the error of floats for 15 years.
        self._clock_resolution = 5e-8
        self._limit = limit
        self._virtual = 0.0
        self._random = random
        self._executing = 0
        self._turns = 0
        self._pauses: list[asyncio.Future[None]] = []
        self.is_over = False
        """The program has ended; what is left is being cancelled."""

    def end(self) -> None:
        """The program has ended; from now on what is left is cancelled."""
        self.is_over = True

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """As ever; the clock stands still until the call has ended."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._executing += 1
        future.add_done_callback(self._executed)
        return future

    async def pause(self) -> None:
        """Wait until nothing is left to do at this moment of virtual time: whatever comes next needs a timer."""
        future: asyncio.Future[None] = self.create_future()
        self._pauses.append(future)
        await future

    def next_timer(self) -> float | None:
        """When the next timer is due, in virtual seconds; None if there is none."""
        self._drop_cancelled()
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return scheduled[0].when() if scheduled else None

    @contextmanager
    def executor_waits(self) -> Iterator[None]:
        """While a call in an executor waits for something on this loop: time goes on meanwhile."""
        self._executing -= 1
        try:
            yield
        finally:
            self._executing += 1

    def _executed(self, _: asyncio.Future[Any]) -> None:
        self._executing -= 1

    def _run_once(self) -> None:
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        if self._executing:
            self._process_events(self._selector.select(0 if ready else None))  # type: ignore[attr-defined]
        elif not ready and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        if scheduled and (scheduled[0]._when <= self._virtual or self._timer_cancelled_count > _FEW_CANCELLED):
            self._take_due(ready, scheduled)
        if self._random is not None and len(ready) > 1:
            shuffled = list(ready)
            self._random.shuffle(shuffled)
            ready.clear()
            ready.extend(shuffled)
        self._turns += 1
        if self._turns > _MOST_TURNS:
            raise DeadlockError(f"the program spins: {self._turns} turns without time passing; {self._waiting()}")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self._step(handle)

    def _step(self, handle: asyncio.Handle) -> None:
        """Run one callback: what lies between two awaits of a task. Simulations override it to interfere."""
        handle._run()

    def _take_due(self, ready: deque[asyncio.Handle], scheduled: list[Any]) -> None:
        """Move the timers whose time has come to what is ready."""
        cancelled: int = self._timer_cancelled_count  # type: ignore[has-type]
        if cancelled > _FEW_CANCELLED and 2 * cancelled > len(scheduled):
            for handle in scheduled:
                handle._scheduled = not handle._cancelled
            scheduled[:] = [handle for handle in scheduled if handle._scheduled]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0]._when <= self._virtual:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if handle._cancelled:
                self._timer_cancelled_count -= 1
            else:
                ready.append(handle)

    def _jump(self) -> None:
        """Make it the time of the next timer, unless somebody waits for this very moment."""
        pauses, self._pauses = [future for future in self._pauses if not future.done()], []
        if pauses:
            for future in pauses:
                future.set_result(None)
            return
        self._drop_cancelled()
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        if not scheduled:
            raise DeadlockError(f"every task waits for something that cannot happen any more; {self._waiting()}")
        when: float = scheduled[0].when()
        if when > self._limit:
            raise DeadlockError(f"nothing ended the program within {self._limit:g} virtual seconds; {self._waiting()}")
        if when > self._virtual:
            self._virtual = when
            self._turns = 0

    def _drop_cancelled(self) -> None:
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            self._timer_cancelled_count -= 1

    def _waiting(self) -> str:
        """Names and places of some tasks that have not ended."""
        places = []
        for task in asyncio.all_tasks(self):
            stack = task.get_stack(limit=1)
            where = f"{stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else "?"
            places.append(f"{task.get_name()} at {where}")
        shown = sorted(places)[:8]
        more = f" and {len(places) - len(shown)} more" if len(places) > len(shown) else ""
        return f"unfinished: {', '.join(shown)}{more}"


class VirtualClock:
    """UTC ticks that follow a loop's virtual time.

    Args:
        skew: seconds by which this clock is wrong.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, skew: float = 0.0) -> None:
        self._loop = loop
        self._base = EPOCH + int(skew * ticks.PER_SECOND)

    def now(self) -> int:
        return self._base + round(self._loop.time() * ticks.PER_SECOND)


def run(main: Coroutine[Any, Any, T], *, seed: int | None = None, limit: float = 30 * 24 * 3600.0) -> T:
    """Run a coroutine on a virtual-time loop of its own.

    Args:
        limit: virtual seconds after which the program counts as hanging.
        seed: shuffles callbacks that are ready at the same moment.

    Raises:
        DeadlockError: everything waits for ever, or the limit has passed.
    """
    loop = VirtualTimeLoop(None if seed is None else Random(seed), limit)
    return run_on(loop, main)


def run_on(loop: VirtualTimeLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on ``loop``, cancel what it leaves behind, and close the loop."""
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        try:
            loop.end()
            cancel_rest(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def cancel_rest(loop: VirtualTimeLoop) -> None:
    """Cancel what still runs on a loop, before it is closed."""
    loop._limit = float("inf")
    loop._turns = 0
    for _ in range(_LAST_ROUNDS):  # what is cancelled may begin something new
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        if not rest:
            break
        # Some miss it: until Python 3.12 a ``wait_for`` swallows a cancellation in the moment of its end.
        ended, _ = loop.run_until_complete(asyncio.wait(rest, timeout=_LAST_PATIENCE))
        for task in ended:
            if not task.cancelled():
                task.exception()  # looked at, so that Python does not complain of it
    loop.run_until_complete(loop.shutdown_asyncgens())
