"""Delayed messages that this worker wrote for itself, fired locally at their time (design rule 4).

The message stays in its queue, invisible until its due time plus a hand-over lease; if this process dies, it appears
there by itself and somebody else takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from durable_core.core import ticks
from durable_core.core.ticks import seconds_until
from durable_core.worker.delivery import Delivery


class DelayedDeliveries:
    """Deliveries that wait for their due time.

    Args:
        now: ticks on the storage service's clock; nothing fires before it says so.
        deliver: called with each delivery when it is due.
    """

    def __init__(self, now: Callable[[], int], deliver: Callable[[Delivery], None]) -> None:
        self._now = now
        self._deliver = deliver
        self._waiting: dict[Delivery, tuple[asyncio.TimerHandle, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, delivery: Delivery, due: int) -> None:
        """Deliver at ``due`` ticks, at once if that is past."""
        remaining = due - self._now()
        if remaining <= 0:
            self._deliver(delivery)
            return
        loop = asyncio.get_running_loop()
        handle = loop.call_later(remaining / ticks.PER_SECOND, self._fire, delivery, due)
        self._waiting[delivery] = (handle, due)

    def _fire(self, delivery: Delivery, due: int) -> None:
        self._waiting.pop(delivery, None)
        self.add(delivery, due)  # the loop's timer may be early by the clock that counts

    def drop(self, gone: Callable[[Delivery], bool]) -> list[tuple[Delivery, int]]:
        """Forget the deliveries that ``gone`` picks; returns them with the seconds left, rounded up."""
        dropped = []
        for delivery in [delivery for delivery in self._waiting if gone(delivery)]:
            handle, due = self._waiting.pop(delivery)
            handle.cancel()
            dropped.append((delivery, seconds_until(due, self._now())))
        return dropped
