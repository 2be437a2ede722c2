"""An event loop whose clock jumps to the next timer when nothing is ready, and may run ready callbacks in seeded
order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from durable_core.core import ticks

T = TypeVar("T")

EPOCH = ticks.parse("2026-01-01T00:00:00Z")
"""Where virtual clocks begin."""


class DeadlockError(RuntimeError):
    """Everything waits and no timer is set: the program would wait for ever."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time.

    Args:
        limit: virtual seconds after which the program counts as hanging.
        random: runs callbacks that are ready at the same moment in its order instead of first in, first out; the same
            seed gives the same run.
    """

    def __init__(self, random: Random | None = None, limit: float = float("inf")) -> None:
        super().__init__()
        self._limit = limit
        self._virtual = 0.0
        self._random = random

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual

    def _run_once(self) -> None:
        ready: deque[Any] = self._ready  # type: ignore[attr-defined]
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        if not ready:
            pending = [handle for handle in scheduled if not handle.cancelled()]
            if pending:
                self._virtual = max(self._virtual, min(handle.when() for handle in pending))
                if self._virtual > self._limit:
                    raise DeadlockError(f"nothing ended the program within {self._limit:g} virtual seconds")
            elif not self._stopping:  # type: ignore[attr-defined]
                raise DeadlockError("every task waits for something that cannot happen any more")
        elif self._random is not None and len(ready) > 1:
            shuffled = list(ready)
            self._random.shuffle(shuffled)
            ready.clear()
            ready.extend(shuffled)
        super()._run_once()  # type: ignore[misc]


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
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        try:
            _cancel_rest(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _cancel_rest(loop: VirtualTimeLoop) -> None:
    loop._limit = float("inf")
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    if rest:
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
