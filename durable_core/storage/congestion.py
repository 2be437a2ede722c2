"""How many requests of one process are under way at once: fewer while the service answers slowly.

A busy service puts requests in a queue, where those of all processes wait together: what one process sends beyond the
point at which the service is at its limit only makes everybody wait, renewals of leases included.
"""

from __future__ import annotations

from durable_core.storage.adaptive_limit import AdaptiveLimit
from durable_core.storage.turns import Turns

_SLOW = 0.5
"""Seconds from which on an answer is slow."""
_LEAST = 8


class Congestion:
    """A limit that follows the service's answers; belongs to one event loop.

    Args:
        most: requests at once while the service is quick.
    """

    def __init__(self, most: int) -> None:
        self._limit = AdaptiveLimit(most, _LEAST, _SLOW)
        self._under_way = 0
        self._turns: Turns[None] = Turns(self._free)

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return self._limit.value

    async def enter(self, timeout: float) -> None:
        """Wait for a place, first come, first served.

        Raises:
            asyncio.TimeoutError: there was none within ``timeout`` seconds.
        """
        if self._under_way < self.limit and not self._turns:
            self._under_way += 1
        else:
            await self._turns.wait(timeout)

    def leave(self, seconds: float) -> None:
        """A request ended after ``seconds``, however it ended."""
        self._limit.ended(seconds)
        self._free()

    def _free(self, _: None = None) -> None:
        self._under_way -= 1
        while self._turns and self._under_way < self.limit:
            self._under_way += 1
            self._turns.serve(None)
