"""Who waits for something that comes free, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue of callers; belongs to one event loop.

    Args:
        give_back: takes what was handed to a caller that was cancelled at the same moment.
    """

    def __init__(self, give_back: Callable[[T], None]) -> None:
        self._give_back = give_back
        self._waiting: deque[asyncio.Future[T]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def serve(self, what: T) -> None:
        """Hand ``what`` to the one that has waited longest; somebody must be waiting."""
        self._waiting.popleft().set_result(what)

    async def wait(self, timeout: float) -> T:
        """Wait for this caller's turn.

        Raises:
            asyncio.TimeoutError: it did not come within ``timeout`` seconds.
        """
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait([turn], timeout=timeout)
        except asyncio.CancelledError:
            if turn.done():
                self._give_back(turn.result())
            else:
                self._waiting.remove(turn)
            raise
        if not turn.done():
            self._waiting.remove(turn)
            raise asyncio.TimeoutError
        return turn.result()
