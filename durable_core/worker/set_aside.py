"""Messages that cannot be read: kept for a human in ``{queue}-poison``, so that the queue goes on (design rule 9)."""

from __future__ import annotations

import logging

from durable_core.errors import NotFoundError, PreconditionFailedError
from durable_core.storage.base import QueueMessage, QueueStore
from durable_core.worker.message_leases import back_off

logger = logging.getLogger("durable_core.worker")


class SetAside:
    """Puts unreadable messages off a few times, then moves them, text unchanged, to the queue's poison queue.

    Args:
        tries: receives after which a message is moved.
    """

    def __init__(self, queues: QueueStore, tries: int) -> None:
        self._queues = queues
        self._tries = tries

    async def put(self, queue: str, message: QueueMessage, error: Exception) -> None:
        """Deal with one message of ``queue`` that ``error`` says cannot be read."""
        try:
            if message.dequeue_count < self._tries:
                logger.warning(
                    "Message %s of queue %s cannot be read (try %d of %d): %s",
                    message.receipt.message_id,
                    queue,
                    message.dequeue_count,
                    self._tries,
                    error,
                )
                await self._queues.update(queue, message.receipt, lease=back_off(message.dequeue_count))
                return
            poison = f"{queue}-poison"
            await self._queues.create(poison)
            await self._queues.put(poison, message.text)
            await self._queues.delete(queue, message.receipt)
            logger.error(
                "Message %s of queue %s cannot be read and was moved to queue %s after %d tries: %s",
                message.receipt.message_id,
                queue,
                poison,
                message.dequeue_count,
                error,
            )
        except (NotFoundError, PreconditionFailedError):
            logger.info("Message %s of queue %s was taken by another worker.", message.receipt.message_id, queue)
