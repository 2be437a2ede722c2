"""Tasks that share the work on many items: no more of them than have something to wait for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger("durable_core.worker")

T = TypeVar("T")


class Crew(Generic[T]):
    """Works on items in the order in which they came, on a bounded number at once.

    A task takes one item after the other; before it begins with one while more are waiting it sends for one more task.
    So work that need not wait, as on storage in memory, is done by one, and requests over a network are soon all under
    way.

    Args:
        most: items under way at once.
        work: what is done with an item; True if it shall have another turn, behind those that wait.
    """

    def __init__(self, most: int, work: Callable[[T], Awaitable[bool | None]]) -> None:
        self._most = most
        self._work = work
        self._waiting: deque[T] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_coming = False
        """A task was sent for and has not begun."""

    def add(self, item: T) -> None:
        """Let ``item`` have its turn."""
        self._waiting.append(item)
        if not self._is_coming:
            self._send_for_one()

    async def rest(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _send_for_one(self) -> None:
        if len(self._tasks) < self._most:
            self._is_coming = True
            self._tasks.add(asyncio.create_task(self._serve()))

    async def _serve(self) -> None:
        self._is_coming = False
        waiting = self._waiting
        try:
            while waiting:
                item = waiting.popleft()
                if waiting and not self._is_coming:
                    self._send_for_one()
                try:
                    if await self._work(item):
                        waiting.append(item)
                except Exception:  # a defect of the work on one item, which costs the others nothing
                    logger.exception("Work failed unexpectedly: %r", item)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.discard(task)
