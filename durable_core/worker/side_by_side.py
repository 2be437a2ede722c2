"""The same work on many items, with no more tasks than have something to wait for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_MOST = 64
"""Items under way at once: as many requests as storage is sent."""


async def side_by_side(work: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Do ``work`` for every item. It must not raise.

    Each task goes through items until none is left, and their number doubles in every round of the loop: storage that
    answers at once, as in memory, keeps one busy, and requests over a network are soon all under way.
    """
    left = deque(items)

    async def serve() -> None:
        while left:
            await work(left.popleft())

    if len(left) == 1:
        await work(left.popleft())
    tasks: list[asyncio.Task[None]] = []
    while left and len(tasks) < _MOST:
        tasks += [asyncio.create_task(serve()) for _ in range(max(1, min(len(tasks), len(left), _MOST - len(tasks))))]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
