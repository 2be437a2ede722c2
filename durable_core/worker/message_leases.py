"""The queue messages this worker holds, and the renewal that keeps others from taking them.

Messages are taken and given back on the worker's loop, while renewal may run on another thread's loop with storage
clients of its own, so that user code can never starve it. A message's receipt changes with every renewal; the lock
makes sure that a receipt is used by one side at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from durable_core.core.messages import MessageData
from durable_core.errors import NotFoundError, PreconditionFailedError, StorageError
from durable_core.storage.base import QueueStore, Receipt
from durable_core.taskhub.messages import Sent

logger = logging.getLogger("durable_core.worker")

_LONGEST_ABANDON = 600
_GROUPS = 20
"""Groups of messages in a second of due times."""


class HeldMessage:
    """One message that this worker has received, or written for itself.

    Args:
        blob: name of the blob that carries it, if it was too large for its queue.
    """

    __slots__ = ("_group", "_renewal", "_taken", "blob", "data", "dequeue_count", "inserted", "queue", "receipt")

    def __init__(
        self,
        queue: str,
        receipt: Receipt,
        data: MessageData,
        dequeue_count: int,
        inserted: int,
        blob: str | None = None,
    ) -> None:
        self.blob = blob
        self.queue = queue
        self.receipt = receipt
        self.data = data
        self.dequeue_count = dequeue_count
        self.inserted = inserted
        self._renewal: Future[None] | None = None
        self._group = 0
        self._taken = False

    @classmethod
    def written(cls, sent: Sent) -> HeldMessage:
        """One that this process has put invisible, for itself."""
        return cls(sent.queue, sent.receipt, sent.data, 1, sent.inserted, sent.blob)

    @property
    def is_settled(self) -> bool:
        """Deleted, given back or lost: nothing may be done with it any more."""
        return self._taken

    def is_ours(self, until: int) -> bool:
        """Nobody else can receive it before ``until`` (ticks of the service): its lease lasts as long at least."""
        return not self._taken and self.receipt.next_visible > until


class MessageLeases:
    """Holds messages, renews their leases, deletes them and gives them back.

    Args:
        queues: used on the worker's loop for deleting and giving back.
        lease: seconds of invisibility per renewal.
        renewal: seconds between renewals.
        monotonic: a clock shared by both threads.

    Attributes:
        forget_blob: called with the blob of a message that has been deleted.
    """

    forget_blob: Callable[[str], Awaitable[None]] | None = None

    def __init__(self, queues: QueueStore, *, lease: int, renewal: float, monotonic: Callable[[], float]) -> None:
        self._queues = queues
        self._lease = lease
        self._renewal = renewal
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._due: dict[int, dict[HeldMessage, None]] = {}
        """Messages by the time at which their renewal is due: one that is settled is forgotten at once."""
        self._order: list[int] = []
        """A heap of these times."""

    def hold(self, held: HeldMessage, *, renew_in: float | None = None) -> HeldMessage:
        """Start to look after ``held``; its first renewal is due in ``renew_in`` seconds (default: the interval)."""
        due = self._monotonic() + (self._renewal if renew_in is None else renew_in)
        with self._lock:
            self._schedule(held, due)
        return held

    def _schedule(self, held: HeldMessage, due: float) -> None:
        """Under the lock: have ``held`` renewed at ``due``."""
        held._group = number = math.ceil(due * _GROUPS)
        group = self._due.get(number)
        if group is None:
            self._due[number] = {held: None}
            heapq.heappush(self._order, number)
        else:
            group[held] = None

    async def delete(self, held: HeldMessage, *, keeps_blob: bool = False) -> None:
        """Delete a message that has been dealt with, and then its blob; one that is already gone is fine.

        Args:
            keeps_blob: something else refers to the blob now.
        """
        receipt = await self._take(held)
        if receipt is None:
            return
        try:
            await self._queues.delete(held.queue, receipt)
        except (NotFoundError, PreconditionFailedError):
            # Its lease ran out and somebody else has it: they will find that its event is in the history.
            logger.debug("Message %s of queue %s was no longer ours to delete.", receipt.message_id, held.queue)
            return
        if held.blob is not None and self.forget_blob is not None and not keeps_blob:
            await self.forget_blob(held.blob)

    async def give_back(self, held: HeldMessage, delay: int = 0) -> None:
        """Make a message visible again after ``delay`` seconds; one that is already gone is fine."""
        receipt = await self._take(held)
        if receipt is None:
            return
        try:
            await self._queues.update(held.queue, receipt, lease=delay)
        except (NotFoundError, PreconditionFailedError):
            logger.debug("Message %s of queue %s was no longer ours to give back.", receipt.message_id, held.queue)

    async def put_off(self, held: HeldMessage, longest: int | None = None) -> None:
        """Give a message back with the back-off of task-hub 6.8: 2, 4, 8, … at most 600 seconds, or ``longest``."""
        delay = back_off(held.dequeue_count)
        await self.give_back(held, delay if longest is None else min(delay, longest))

    async def _take(self, held: HeldMessage) -> Receipt | None:
        while True:
            with self._lock:
                if held._taken:
                    return None
                renewal = held._renewal
                if renewal is None:
                    held._taken = True
                    self._due.get(held._group, {}).pop(held, None)
                    return held.receipt
            await asyncio.wrap_future(renewal)

    # ---- renewal, possibly on another thread -----------------------------------------------------------------------

    async def renew_forever(self, queues: QueueStore) -> None:
        """Renew what is due, until cancelled.

        Args:
            queues: clients that belong to the calling loop.
        """
        while True:
            next_due = await self.renew_due(queues)
            # What is held meanwhile is due one interval from then, and a lease lasts three.
            await asyncio.sleep(self._renewal / 2 if next_due is None else min(self._renewal / 2, next_due))

    async def renew_due(self, queues: QueueStore) -> float | None:
        """Renew what is due now; returns the seconds until the next renewal, None if nothing is held."""
        due = self._start_due()
        if due:
            await asyncio.gather(*(self._renew(queues, held) for held in due))
        with self._lock:
            while self._order and not self._due[self._order[0]]:
                del self._due[heapq.heappop(self._order)]
            next_due = self._order[0] / _GROUPS if self._order else None
        return None if next_due is None else max(next_due - self._monotonic(), 0.01)

    def _start_due(self) -> list[HeldMessage]:
        now = self._monotonic() * _GROUPS
        started: list[HeldMessage] = []
        with self._lock:
            while self._order and self._order[0] <= now:
                started += self._due.pop(heapq.heappop(self._order))
            for held in started:
                held._renewal = Future()
        return started

    async def _renew(self, queues: QueueStore, held: HeldMessage) -> None:
        again: float | None = self._renewal
        try:
            held.receipt = await queues.update(held.queue, held.receipt, lease=self._lease)
        except (NotFoundError, PreconditionFailedError):
            again = None
            logger.info(
                "The lease on message %s of queue %s was lost; whoever has it now will handle it.",
                held.receipt.message_id,
                held.queue,
            )
        except StorageError as error:
            again = self._renewal / 5
            logger.warning("Could not renew message %s of queue %s: %s", held.receipt.message_id, held.queue, error)
        finally:
            with self._lock:
                renewal, held._renewal = held._renewal, None
                if again is None:
                    held._taken = True
                else:
                    self._schedule(held, self._monotonic() + again)
            if renewal is not None:
                renewal.set_result(None)


def back_off(dequeue_count: int) -> int:
    """Seconds of invisibility of an abandoned message (task-hub 6.8, behaviour 37)."""
    return min(1 << min(max(dequeue_count, 1), 30), _LONGEST_ABANDON)
