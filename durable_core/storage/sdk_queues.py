"""``QueueStore`` on azure-storage-queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from durable_core.core import ticks
from durable_core.storage.azure_sdk import Sdk, translated
from durable_core.storage.base import CallCounter, QueueMessage, Receipt


class SdkQueues:
    """``QueueStore`` on azure-storage-queue."""

    def __init__(self, sdk: Sdk, calls: CallCounter) -> None:
        self._sdk = sdk
        self._calls = calls

    @property
    def _service(self) -> Any:
        return self._sdk.queues

    async def create(self, queue: str) -> bool:
        from azure.core.exceptions import ResourceExistsError

        self._calls.add("queue.create")
        with translated(f"creating queue {queue}"):
            try:
                await self._service.create_queue(queue)
            except ResourceExistsError as error:
                if "BeingDeleted" in str(error):
                    raise
                return False
        return True

    async def drop(self, queue: str) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("queue.drop")
        with translated(f"deleting queue {queue}"):
            try:
                await self._service.delete_queue(queue)
            except ResourceNotFoundError:
                return False
        return True

    async def names(self, prefix: str) -> Sequence[str]:
        self._calls.add("queue.names")
        with translated("listing queues"):
            return sorted([found.name async for found in self._service.list_queues(name_starts_with=prefix)])

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        self._calls.add("queue.put")
        with translated(f"putting into queue {queue}"):
            # A put is repeated only if it surely was not applied, which the SDK does not tell apart: not at all.
            sent = await self._queue(queue).send_message(
                text,
                visibility_timeout=delay if delay or explicit_delay else None,
                time_to_live=-1,
                retry_total=0,
            )
        return Receipt(sent.id, str(sent.pop_receipt), _ticks(sent.next_visible_on))

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        self._calls.add("queue.get")
        messages = []
        with translated(f"receiving from queue {queue}"):
            pages = self._queue(queue).receive_messages(messages_per_page=count, visibility_timeout=lease).by_page()
            async for page in pages:
                messages = [_message(found) async for found in page]
                break
        if not messages:
            self._calls.empty_gets += 1
        return messages

    async def peek(self, queue: str, *, count: int = 1) -> Sequence[QueueMessage]:
        self._calls.add("queue.peek")
        with translated(f"peeking into queue {queue}"):
            return [_message(found) for found in await self._queue(queue).peek_messages(count)]

    async def update(self, queue: str, receipt: Receipt, *, lease: int, text: str | None = None) -> Receipt:
        self._calls.add("queue.update")
        with translated(f"updating a message of queue {queue}"):
            updated = await self._queue(queue).update_message(
                receipt.message_id, receipt.pop_receipt, content=text, visibility_timeout=lease
            )
        return Receipt(receipt.message_id, str(updated.pop_receipt), _ticks(updated.next_visible_on))

    async def delete(self, queue: str, receipt: Receipt) -> None:
        self._calls.add("queue.delete")
        with translated(f"deleting a message of queue {queue}"):
            await self._queue(queue).delete_message(receipt.message_id, receipt.pop_receipt)

    async def length(self, queue: str) -> int:
        self._calls.add("queue.length")
        with translated(f"measuring queue {queue}"):
            return (await self._queue(queue).get_queue_properties()).approximate_message_count or 0

    async def clear(self, queue: str) -> None:
        self._calls.add("queue.clear")
        with translated(f"clearing queue {queue}"):
            await self._queue(queue).clear_messages()

    def _queue(self, name: str) -> Any:
        return self._service.get_queue_client(name)


def _message(found: Any) -> QueueMessage:
    return QueueMessage(
        Receipt(found.id, found.pop_receipt or "", _ticks(found.next_visible_on)),
        found.content,
        found.dequeue_count or 0,
        _ticks(found.inserted_on),
    )


def _ticks(value: datetime | None) -> int:
    return ticks.from_datetime(value) if value is not None else 0
