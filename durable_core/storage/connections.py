"""Which request opens a connection to a service, and which waits for one that is open.

A busy service may be slow to accept: Azurite takes one new connection at a time, and between two of them answers
everything that has come over the others. A request that opens a connection of its own can then wait for seconds, while
those behind it pass by on connections that come free. So a request takes whichever comes first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from durable_core.storage.turns import Turns

_SLOW = 0.25
"""Seconds to the first answer over a new connection from which on fewer are opened at once."""
_FAR = 6
"""Times the quickest answer over an open one that the first over a new one may take: the service may be far away."""
_FIRST = 4
"""Connections that may be opening at once, as long as nothing is known."""
_MOST = 8


class Connections:
    """Counts the connections to one service that are in use, kept and opening; belongs to one event loop.

    Args:
        idle: seconds for which a connection is kept that nobody uses.
        clock: monotonic seconds.
    """

    def __init__(self, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle = idle
        self._clock = clock
        self._kept: deque[float] = deque()
        """When each connection that nobody uses came free, the oldest first: it is the next that is used."""
        self._opening = 0
        self._most_opening = _FIRST
        self._quickest: float | None = None
        """Answer over an open connection, in seconds."""
        self._turns: Turns[bool] = Turns(self._free)

    async def take(self, timeout: float) -> bool:
        """Wait until a connection is free or may be opened.

        Returns:
            True if the request has to open one.

        Raises:
            asyncio.TimeoutError: neither within ``timeout`` seconds.
        """
        limit = self._clock() - self._idle
        while self._kept and self._kept[0] < limit:
            self._kept.popleft()
        if self._kept:
            self._kept.popleft()
            return False
        if self._opening < self._most_opening:
            self._opening += 1
            return True
        return await self._turns.wait(timeout)

    def give(self, *, is_new: bool, seconds: float, is_usable: bool) -> None:
        """A request ended.

        Args:
            is_new: what ``take`` returned.
            seconds: from then to the end.
            is_usable: the connection is kept; otherwise it was closed, or did not come about.
        """
        if is_new:
            self._opening -= 1
            if seconds < max(_SLOW, _FAR * (self._quickest or 0)):
                self._most_opening = min(self._most_opening + 1, _MOST)
            else:
                self._most_opening = max(self._most_opening // 2, 1)
        elif is_usable and (self._quickest is None or seconds < self._quickest):
            self._quickest = seconds
        if is_usable:
            self._free(is_new=False)
        self._open_more()

    def _free(self, is_new: bool) -> None:
        """A connection is free, or the right to open one."""
        if is_new:
            self._opening -= 1
            self._open_more()
        elif self._turns:
            self._turns.serve(False)
        else:
            self._kept.append(self._clock())

    def _open_more(self) -> None:
        while self._turns and self._opening < self._most_opening:
            self._opening += 1
            self._turns.serve(True)
