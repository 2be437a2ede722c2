"""Which request opens a connection to a service, and which waits for one that is open.

A busy service may be slow to accept: Azurite takes one new connection at a time, and between two of them answers
everything that has come over the others. A request that opens a connection of its own can then wait for seconds, while
those behind it pass by on connections that come free. So a request takes whichever comes first.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from durable_core.storage.turns import Turns

_SLOW = 0.25
"""Seconds to the first answer over a new connection from which on fewer are opened at once."""
_FAR = 6
"""Times the quickest answer over an open one that the first over a new one may take: the service may be far away."""
_FIRST = 4
"""Connections that may be opening at once, as long as nothing is known."""
_MOST = 8


class Connection(Protocol):
    """What is known of a connection here.

    Attributes:
        is_open: neither side has closed it.
    """

    @property
    def is_open(self) -> bool: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """The connections to one service, kept and opening; belongs to one event loop.

    Args:
        idle: seconds for which a connection may be used again; within twice of them it is closed.
        clock: monotonic seconds.
    """

    def __init__(self, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle = idle
        self._clock = clock
        self._kept: deque[tuple[float, C]] = deque()
        """Those that nobody uses, and since when. The last one is the next that is used, so that a flood's many
        connections are closed when fewer are needed: each costs the service something."""
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._opening = 0
        self._most_opening = _FIRST
        self._quickest: float | None = None
        """Answer over an open connection, in seconds."""
        self._turns: Turns[C | None] = Turns(self._free)

    async def take(self, timeout: float) -> C | None:
        """Wait until a connection is free or may be opened.

        Returns:
            None if the request has to open one.

        Raises:
            asyncio.TimeoutError: neither within ``timeout`` seconds.
        """
        while self._kept:
            since, connection = self._kept.pop()
            if connection.is_open and self._clock() - since < self._idle:
                return connection
            connection.close()
        if self._opening < self._most_opening:
            self._opening += 1
            return None
        return await self._turns.wait(timeout)

    def give(self, connection: C | None, *, is_new: bool, seconds: float) -> None:
        """A request ended.

        Args:
            connection: None if none came about. It is kept if it is open.
            is_new: ``take`` returned none.
            seconds: from then to the end.
        """
        is_usable = connection is not None and connection.is_open
        if is_new:
            self._opening -= 1
            if seconds < max(_SLOW, _FAR * (self._quickest or 0)):
                self._most_opening = min(self._most_opening + 1, _MOST)
            else:
                self._most_opening = max(self._most_opening // 2, 1)
        elif is_usable and (self._quickest is None or seconds < self._quickest):
            self._quickest = seconds
        if is_usable:
            self._free(connection)
        self._open_more()

    def close(self) -> None:
        """Close what nobody uses, and from now on whatever comes free."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        while self._kept:
            self._kept.pop()[1].close()

    def _free(self, connection: C | None) -> None:
        """A connection is free, or (None) the right to open one."""
        if connection is None:
            self._opening -= 1
            self._open_more()
        elif self._turns:
            self._turns.serve(connection)
        elif self._is_closed:
            connection.close()
        else:
            self._kept.append((self._clock(), connection))
            self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweep is None and self._kept:
            self._sweep = asyncio.get_running_loop().call_later(self._idle, self._close_idle)

    def _close_idle(self) -> None:
        self._sweep = None
        limit = self._clock() - self._idle
        while self._kept and self._kept[0][0] <= limit:
            self._kept.popleft()[1].close()
        self._sweep_later()

    def _open_more(self) -> None:
        while self._turns and self._opening < self._most_opening:
            self._opening += 1
            self._turns.serve(None)
