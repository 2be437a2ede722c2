"""The queue messages this worker holds, and the renewal that keeps others from taking them.

Messages are taken and given back on the worker's loop, while renewal may run on another thread's loop with storage
clients of its own, so that user code can never starve it. A message's receipt changes with every renewal; the lock
makes sure that a receipt is used by one side at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from durable_core.core.messages import MessageData
from durable_core.errors import NotFoundError, PreconditionFailedError, StorageError
from durable_core.storage.base import QueueStore, Receipt
from durable_core.taskhub.messages import Sent

logger = logging.getLogger("durable_core.worker")

_LONGEST_ABANDON = 600


class HeldMessage:
    """One message that this worker has received, or written for itself.

    Args:
        blob: name of the blob that carries it, if it was too large for its queue.
    """

    __slots__ = ("_renewal", "_taken", "blob", "data", "dequeue_count", "inserted", "queue", "receipt")

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
        self._due: list[tuple[float, int, HeldMessage]] = []
        self._numbers = itertools.count()

    def hold(self, held: HeldMessage, *, renew_in: float | None = None) -> HeldMessage:
        """Start to look after ``held``; its first renewal is due in ``renew_in`` seconds (default: the interval)."""
        due = self._monotonic() + (self._renewal if renew_in is None else renew_in)
        with self._lock:
            heapq.heappush(self._due, (due, next(self._numbers), held))
        return held

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
            next_due = self._due[0][0] if self._due else None
        return None if next_due is None else max(next_due - self._monotonic(), 0.01)

    def _start_due(self) -> list[HeldMessage]:
        now = self._monotonic()
        started = []
        with self._lock:
            while self._due and self._due[0][0] <= now:
                held = heapq.heappop(self._due)[2]
                if not held._taken:
                    held._renewal = Future()
                    started.append(held)
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
                    heapq.heappush(self._due, (self._monotonic() + again, next(self._numbers), held))
            if renewal is not None:
                renewal.set_result(None)


def back_off(dequeue_count: int) -> int:
    """Seconds of invisibility of an abandoned message (task-hub 6.8, behaviour 37)."""
    return min(1 << min(max(dequeue_count, 1), 30), _LONGEST_ABANDON)
