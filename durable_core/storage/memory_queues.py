"""Queues of the in-memory service: visibility, pop receipts, dequeue counts."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import QueueMessage, Receipt
from durable_core.storage.memory_gate import Gate

_LONGEST = 7 * 24 * 3600
_LARGEST = 64 * 1024


@dataclass(slots=True)
class _Message:
    id: str
    text: str
    inserted: int
    visible: int
    receipt: str
    dequeued: int = 0

    def seen(self, receipt: str) -> QueueMessage:
        return QueueMessage(Receipt(self.id, receipt, self.visible), self.text, self.dequeued, self.inserted)


class _Queue:
    """Messages by id, and a heap of when they become visible; entries of the heap may be out of date."""

    def __init__(self) -> None:
        self.messages: dict[str, _Message] = {}
        self.schedule: list[tuple[int, int, str]] = []


class QueueService:
    """The state of all queues."""

    def __init__(self, clock: Callable[[], int], random: Random) -> None:
        self.clock = clock
        self.queues: dict[str, _Queue] = {}
        self._random = random
        self._numbers = itertools.count()

    def queue(self, name: str) -> _Queue:
        queue = self.queues.get(name)
        if queue is None:
            raise NotFoundError(f"queue {name} does not exist", status=404, code="QueueNotFound")
        return queue

    def new_id(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def put(self, name: str, text: str, delay: int) -> Receipt:
        queue = self.queue(name)
        if not 0 <= delay <= _LONGEST:
            raise InvalidRequestError(
                f"a visibility timeout of {delay} s is outside 0 to {_LONGEST}",
                status=400,
                code="OutOfRangeQueryParameterValue",
            )
        if len(text) > _LARGEST or len(text.encode()) > _LARGEST:
            raise InvalidRequestError("the message is larger than 64 KiB", status=413, code="RequestBodyTooLarge")
        now = self.clock()
        message = _Message(self.new_id(), text, now // PER_SECOND * PER_SECOND, now + delay * PER_SECOND, self.new_id())
        queue.messages[message.id] = message
        self._schedule(queue, message)
        return Receipt(message.id, message.receipt, message.visible)

    def _schedule(self, queue: _Queue, message: _Message) -> None:
        heapq.heappush(queue.schedule, (message.visible, next(self._numbers), message.id))

    def get(self, name: str, count: int, lease: int) -> list[QueueMessage]:
        queue = self.queue(name)
        if not 1 <= count <= 32:
            raise InvalidRequestError(
                f"{count} messages asked for, 1 to 32 are allowed", status=400, code="OutOfRangeQueryParameterValue"
            )
        now = self.clock()
        taken: list[QueueMessage] = []
        schedule = queue.schedule
        while len(taken) < count and schedule and schedule[0][0] <= now:
            visible, _, id = heapq.heappop(schedule)
            message = queue.messages.get(id)
            if message is None or message.visible != visible:
                continue
            message.visible = now + lease * PER_SECOND
            message.receipt = self.new_id()
            message.dequeued += 1
            self._schedule(queue, message)
            taken.append(message.seen(message.receipt))
        return taken

    def peek(self, name: str, count: int) -> list[QueueMessage]:
        now = self.clock()
        visible = [message for message in self.queue(name).messages.values() if message.visible <= now]
        visible.sort(key=lambda message: (message.visible, message.inserted))
        return [message.seen("") for message in visible[:count]]

    def owned(self, name: str, receipt: Receipt) -> tuple[_Queue, _Message]:
        queue = self.queue(name)
        message = queue.messages.get(receipt.message_id)
        if message is None:
            raise NotFoundError(f"message {receipt.message_id} is gone", status=404, code="MessageNotFound")
        if message.receipt != receipt.pop_receipt:
            raise PreconditionFailedError(
                f"the pop receipt of message {receipt.message_id} is out of date", status=400, code="PopReceiptMismatch"
            )
        return queue, message

    def update(self, name: str, receipt: Receipt, lease: int, text: str | None) -> Receipt:
        queue, message = self.owned(name, receipt)
        if not 0 <= lease <= _LONGEST:
            raise InvalidRequestError(
                f"a visibility timeout of {lease} s is outside 0 to {_LONGEST}",
                status=400,
                code="OutOfRangeQueryParameterValue",
            )
        if text is not None:
            message.text = text
        message.visible = self.clock() + lease * PER_SECOND
        message.receipt = self.new_id()
        self._schedule(queue, message)
        return Receipt(message.id, message.receipt, message.visible)

    def delete(self, name: str, receipt: Receipt) -> None:
        queue, message = self.owned(name, receipt)
        del queue.messages[message.id]

    def all_messages(self, name: str) -> list[QueueMessage]:
        queue = self.queues.get(name)
        return [message.seen(message.receipt) for message in queue.messages.values()] if queue else []


class MemoryQueues:
    """One client's view; the contract is that of ``base.QueueStore``."""

    def __init__(self, service: QueueService, gate: Gate) -> None:
        self._service = service
        self._gate = gate

    async def create(self, queue: str) -> bool:
        await self._gate.enter("queue.create", queue)
        created = queue not in self._service.queues
        if created:
            self._service.queues[queue] = _Queue()
        await self._gate.leave("queue.create", queue)
        return created

    async def drop(self, queue: str) -> bool:
        await self._gate.enter("queue.drop", queue)
        dropped = self._service.queues.pop(queue, None) is not None
        await self._gate.leave("queue.drop", queue)
        return dropped

    async def names(self, prefix: str) -> Sequence[str]:
        await self._gate.enter("queue.names", prefix)
        return sorted(name for name in self._service.queues if name.startswith(prefix))

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        await self._gate.enter("queue.put", queue)
        receipt = self._service.put(queue, text, delay)
        await self._gate.leave("queue.put", queue)
        return receipt

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        await self._gate.enter("queue.get", queue)
        messages = self._service.get(queue, count, lease)
        if not messages:
            self._gate.calls.empty_gets += 1
        await self._gate.leave("queue.get", queue)
        return messages

    async def peek(self, queue: str, *, count: int = 1) -> Sequence[QueueMessage]:
        await self._gate.enter("queue.peek", queue)
        return self._service.peek(queue, count)

    async def update(self, queue: str, receipt: Receipt, *, lease: int, text: str | None = None) -> Receipt:
        await self._gate.enter("queue.update", queue)
        renewed = self._service.update(queue, receipt, lease, text)
        await self._gate.leave("queue.update", queue)
        return renewed

    async def delete(self, queue: str, receipt: Receipt) -> None:
        await self._gate.enter("queue.delete", queue)
        self._service.delete(queue, receipt)
        await self._gate.leave("queue.delete", queue)

    async def length(self, queue: str) -> int:
        await self._gate.enter("queue.length", queue)
        return len(self._service.queue(queue).messages)

    async def clear(self, queue: str) -> None:
        await self._gate.enter("queue.clear", queue)
        state = self._service.queue(queue)
        state.messages.clear()
        state.schedule.clear()
        await self._gate.leave("queue.clear", queue)
