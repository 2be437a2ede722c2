"""The dequeue loop of one owned control queue (task-hub 6.1)."""

from __future__ import annotations

import asyncio
import logging
from random import Random

from durable_core.errors import StorageError, UndecodableMessageError
from durable_core.storage.base import QueueMessage
from durable_core.worker.complaints import Complaint
from durable_core.worker.delivery import Delivery
from durable_core.worker.message_leases import HeldMessage
from durable_core.worker.polling import SHORTEST, PollingInterval
from durable_core.worker.sessions import Sessions
from durable_core.worker.set_aside import SetAside

logger = logging.getLogger("durable_core.worker")


class ControlQueueListener:
    """Receives the messages of one partition and hands them to the sessions."""

    def __init__(self, partition: int, sessions: Sessions, set_aside: SetAside, random: Random) -> None:
        self._partition = partition
        self._sessions = sessions
        self._set_aside = set_aside
        self._queue = sessions.hub.names.control_queue(partition)
        self._polling = PollingInterval(sessions.settings.max_polling_interval, random)
        self._stopping = False

    def hurry(self, seconds: float) -> None:
        """Poll at short intervals for a while: messages that another worker held appear by themselves."""
        self._polling.hurry(seconds)

    def stop(self) -> None:
        """End after what is under way: a receive that is cut off hides its messages for a whole lease."""
        self._stopping = True
        self._polling.signal()

    def signal(self) -> None:
        """Poll soon: a message was written that this process did not keep for itself."""
        self._polling.signal()

    def expect(self) -> None:
        """An instance of the partition begins to wait for something that any worker may complete (design rule 4)."""
        self._polling.quicken(self._sessions.settings.busy_polling_interval)

    async def listen_forever(self) -> None:
        """Poll, open, deliver; until cancelled or stopped."""
        sessions, settings = self._sessions, self._sessions.settings
        complaint = Complaint(f"Queue {self._queue} could not be polled")
        while not self._stopping:
            if sessions.backlog >= settings.control_queue_buffer:
                await sessions.batch_taken(SHORTEST)
                continue
            try:
                messages = await sessions.hub.account.queues.get(
                    self._queue, count=settings.control_queue_batch_size, lease=settings.message_lease
                )
                complaint.recovered()
            except StorageError as error:
                complaint.failed(error)
                await self._polling.wait()
                continue
            if messages:
                self._polling.reset()
                await self._deliver(messages)
            busy = sessions.waits_for_others(self._partition)
            self._polling.longest = settings.busy_polling_interval if busy else settings.max_polling_interval
            await self._polling.wait()

    async def _deliver(self, messages: list[QueueMessage] | tuple[QueueMessage, ...] | object) -> None:
        assert isinstance(messages, (list, tuple))
        ready: list[HeldMessage] = []
        others: list[QueueMessage] = []  # nearly never; a task for each message would cost as much as reading it
        for message in messages:
            data = self._sessions.hub.messages.open_at_once(message)
            if data is None:
                others.append(message)
            else:
                ready.append(HeldMessage(self._queue, message.receipt, data, message.dequeue_count, message.inserted))
        if others:
            opened = await asyncio.gather(*(self._open(message) for message in others))
            ready.extend(held for held in opened if held is not None)
        ready.sort(key=lambda held: (held.inserted, held.data.sequence_number))
        for held in ready:
            message = held.data.task_message
            if message is None:
                continue
            self._sessions.deliver(Delivery(message, self._sessions.leases.hold(held)))

    async def _open(self, message: QueueMessage) -> HeldMessage | None:
        try:
            data, blob = await self._sessions.hub.messages.open(message)
            if data.task_message is None:
                raise UndecodableMessageError("the message has neither a TaskMessage nor a CompressedBlobName")
        except UndecodableMessageError as error:
            await self._set_aside.put(self._queue, message, error)
            return None
        except StorageError as error:
            logger.warning(
                "The blob of message %s of queue %s could not be read; it comes back when its lease ends: %s",
                message.receipt.message_id,
                self._queue,
                error,
            )
            return None
        return HeldMessage(self._queue, message.receipt, data, message.dequeue_count, message.inserted, blob)
