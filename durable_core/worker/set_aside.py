"""Messages that keep failing: put off a few times, then kept for a human (design rule 9)."""

from __future__ import annotations

import logging

from durable_core.core import ticks
from durable_core.core.history import OrchestrationStatus
from durable_core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    MissingBlobError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from durable_core.storage.base import QueueMessage
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.payloads import PayloadStore
from durable_core.worker.message_leases import HeldMessage, MessageLeases, back_off

logger = logging.getLogger("durable_core.worker")

_PASSING = (UnavailableError, AuthenticationError, NotFoundError, AlreadyExistsError, PreconditionFailedError)
"""Storage's trouble or somebody else's progress: no message is to blame, however often it happens."""


class SetAside:
    """Puts failing messages off a few times, then moves them, text unchanged, to the hub's poison store.

    Args:
        tries: receives after which a message is moved.
    """

    def __init__(self, hub: TaskHub, leases: MessageLeases, tries: int) -> None:
        self._hub = hub
        self._leases = leases
        self._tries = tries

    async def put(self, queue: str, message: QueueMessage, error: Exception) -> None:
        """Deal with one message of ``queue`` that ``error`` says cannot be read."""
        message_id, count = message.receipt.message_id, message.dequeue_count
        reason = f"The message cannot be read: {error}"
        try:
            if isinstance(error, MissingBlobError) and await self._is_needless(error.name, message.inserted):
                logger.info(
                    "Message %s of queue %s is dropped: its instance was purged, or it taken back.", message_id, queue
                )
                await self._hub.account.queues.delete(queue, message.receipt)
                return
            if count < self._tries:
                self._complain(queue, message_id, count, reason)
                await self._hub.account.queues.update(queue, message.receipt, lease=back_off(count))
                return
            await self._keep(queue, message_id, message.text, count, message.inserted, reason)
            await self._hub.account.queues.delete(queue, message.receipt)
        except (NotFoundError, PreconditionFailedError):
            logger.info("Message %s of queue %s was taken by another worker.", message_id, queue)
        except StorageError as failure:
            logger.warning("Message %s of queue %s could not be set aside yet: %s", message_id, queue, failure)

    async def _is_needless(self, blob: str, inserted: int) -> bool:
        """Nobody waits for the message that the blob carried: a purge takes the blobs of messages along, and an episode
        that is not committed those of its starts, of which a second copy may be on its way.

        Args:
            inserted: the second in which the message was put: before the start of the run that is there, it was not for
                that.
        """
        hub, instance_id = self._hub, PayloadStore.instance_of(blob)
        row = await hub.instances.get(instance_id, with_payloads=False)
        if row is not None:
            if row.created_time is not None and inserted + ticks.PER_SECOND <= row.created_time:
                return True
            return hub.payloads.is_message_document(blob) and row.runtime_status is not OrchestrationStatus.Pending
        return (await hub.history.load(instance_id, with_blobs=False)).etag is None

    async def failed(self, held: HeldMessage, error: Exception) -> bool:
        """Set a message aside whose processing has failed too often; False if it is to be put off once more.

        Raises:
            StorageError: it could not be kept; it still stands in its queue.
        """
        message_id, count = held.receipt.message_id, held.dequeue_count
        if isinstance(error, _PASSING):
            return False
        reason = f"Processing failed: {type(error).__name__}: {error}"
        if count < self._tries:
            self._complain(held.queue, message_id, count, reason)
            return False
        await self.keep(held, reason)
        return True

    async def keep(self, held: HeldMessage, reason: str) -> None:
        """Set a message aside at once.

        Raises:
            StorageError: it could not be kept; it still stands in its queue.
        """
        text = self._hub.messages.text_of(held.data)
        message_id, count = held.receipt.message_id, held.dequeue_count
        await self._keep(held.queue, message_id, text, count, held.inserted, reason)
        await self._leases.delete(held, keeps_blob=True)

    def _complain(self, queue: str, message_id: str, count: int, reason: str) -> None:
        logger.warning("Message %s of queue %s, try %d of %d. %s", message_id, queue, count, self._tries, reason)

    async def _keep(self, queue: str, message_id: str, text: str, count: int, inserted: int, reason: str) -> None:
        await self._hub.poison.put(queue, message_id, text, reason=reason, dequeue_count=count, inserted=inserted)
        logger.error(
            "Message %s of queue %s was set aside after %d tries (`durable poison` lists it). %s",
            message_id,
            queue,
            count,
            reason,
        )
