"""Sending and opening queue messages, large ones through blobs (task-hub 3)."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from random import Random

from durable_core.core.history import TaskScheduled
from durable_core.core.ids import guid_text
from durable_core.core.messages import MessageData, Sender, TaskMessage
from durable_core.core.records import struct
from durable_core.errors import StorageError, UnavailableError, UndecodableMessageError
from durable_core.storage.base import QueueMessage, QueueStore, Receipt
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitioning import partition_of
from durable_core.taskhub.payloads import PayloadStore, message_blob
from durable_core.taskhub.wire import blob_reference, decode, encode

logger = logging.getLogger("durable_core.taskhub")

_TRIES = 4
"""Of one put, beyond what the storage provider retries by itself."""
_FIRST_PAUSE = 0.1


@struct
class Sent:
    """A message as it stands in its queue."""

    queue: str
    receipt: Receipt
    data: MessageData
    inserted: int
    """Ticks on the service's clock."""
    delay: int
    """Seconds of invisibility that it was written with."""
    blob: str | None
    """Name of the blob that carries the message, if it was too large for the queue."""
    input_url: str | None
    """URL of that blob (task-hub 5.3)."""


class MessageStore:
    """Puts task messages where they belong and reads what comes back.

    Args:
        random: source of the messages' activity ids.
        now: ticks on the service's clock.
    """

    def __init__(
        self,
        queues: QueueStore,
        names: HubNames,
        payloads: PayloadStore,
        random: Random,
        now: Callable[[], int],
    ) -> None:
        self._queues = queues
        self._work_items = names.work_items
        self._control_queues = names.control_queues
        self._payloads = payloads
        self._random = random
        self._now = now
        self._numbers = itertools.count(1)

    def queue_of(self, message: TaskMessage) -> str:
        """Work items go to the one work-item queue, everything else to the target's control queue (task-hub 3.6)."""
        if isinstance(message.event, TaskScheduled):
            return self._work_items
        return self._control_queues[partition_of(message.target.instance_id, len(self._control_queues))]

    async def send(
        self,
        message: TaskMessage,
        *,
        sender: Sender | None,
        episode: int | None = None,
        delay: int = 0,
        explicit_delay: bool = False,
    ) -> Sent:
        """Encode and put one message, invisible for ``delay`` seconds.

        If it is not known whether it arrived, it is put again: whoever receives a second copy tells it apart. Each copy
        has a blob of its own, which goes when the copy is deleted.
        """
        queue, number = self.queue_of(message), next(self._numbers)
        for attempt in itertools.count(1):
            data = MessageData(
                activity_id=guid(self._random),
                task_message=message,
                sequence_number=number,
                sender=sender,
                episode=episode,
            )
            text = encode(data)
            blob = message_blob(data, text)
            if blob is not None:
                await self._put_blob(blob, text)
                text = encode(blob_reference(blob))
            try:
                receipt = await self._queues.put(queue, text, delay=delay, explicit_delay=explicit_delay)
            except UnavailableError:
                if attempt >= _TRIES:
                    raise
                await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
            else:
                url = self._payloads.url(blob) if blob is not None else None
                return Sent(queue, receipt, data, self._now(), delay, blob, url)
        raise AssertionError("the loop returns or raises")

    async def _put_blob(self, name: str, text: str) -> None:
        """Put a blob, again under the same name if it is not known whether it is there: else nobody would delete it."""
        for attempt in itertools.count(1):
            try:
                await self._payloads.put(name, text)
            except UnavailableError:
                if attempt >= _TRIES:
                    raise
                await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
            else:
                return

    async def forget_blob(self, name: str) -> None:
        """Delete the blob of a message that has been deleted, but for starts: the Instances row refers to those."""
        if self._payloads.is_message_document(name):
            return
        try:
            await self._payloads.delete(name)
        except StorageError as error:
            logger.warning("Blob '%s' of a message that is done stays until its instance is purged: %s", name, error)

    async def delete_blob(self, name: str | None) -> None:
        """Delete the blob of a message that nobody will read any more, if it has one."""
        if name is not None:
            await self._payloads.delete(name)

    def text_of(self, data: MessageData) -> str:
        """The text with which an opened message stands in its queue."""
        text = encode(data)
        blob = message_blob(data, text)
        return text if blob is None else encode(blob_reference(blob))

    def open_at_once(self, message: QueueMessage) -> MessageData | None:
        """Decode a received message; None if there is more to it: it is in a blob, or cannot be read."""
        try:
            data = decode(message.text)
        except UndecodableMessageError:
            return None
        return None if data.task_message is None else data

    async def open(self, message: QueueMessage) -> tuple[MessageData, str | None]:
        """Decode a received message, following a blob reference (task-hub 3.8); also gives the blob's name.

        Raises:
            UndecodableMessageError: neither the text nor its blob is a message.
        """
        return await self.open_text(message.text)

    async def open_text(self, text: str) -> tuple[MessageData, str | None]:
        """Decode the text of a message; as ``open``."""
        data = decode(text)
        blob = data.compressed_blob_name
        return (decode(await self._payloads.get(blob)), blob) if blob else (data, None)


def guid(random: Random) -> str:
    """128 random bits in "D" form."""
    return guid_text(random.getrandbits(128))
