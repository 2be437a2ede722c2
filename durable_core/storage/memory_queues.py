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
from durable_core.storage.memory_gate import Answer, Gate
from durable_core.storage.memory_names import Names

_LONGEST = 7 * 24 * 3600
_LARGEST = 64 * 1024
_SLACK = 64
"""Out-of-date entries that a schedule may hold beside as many as there are messages."""


@dataclass(slots=True)
class _Message:
    """``place`` is the number of its current entry in the schedule; entries with another number are out of date."""

    id: str
    text: str
    inserted: int
    visible: int
    receipt: str
    place: int
    dequeued: int = 0

    def seen(self) -> QueueMessage:
        return QueueMessage(
            Receipt(self.id, self.receipt, _whole(self.visible)), self.text, self.dequeued, self.inserted
        )


_Entry = tuple[int, int, _Message]
"""When it becomes visible, a number that never repeats, the message."""


class _Queue:
    """Messages by id, and a heap of when they become visible."""

    __slots__ = ("messages", "schedule")

    def __init__(self) -> None:
        self.messages: dict[str, _Message] = {}
        self.schedule: list[_Entry] = []

    def show(self, message: _Message, at: int, number: int) -> None:
        """Let the message be visible from ``at`` on, behind those that are visible since then."""
        message.visible, message.place = at, number
        schedule = self.schedule
        heapq.heappush(schedule, (at, number, message))
        if len(schedule) > 2 * len(self.messages) + _SLACK:
            schedule[:] = [(found.visible, found.place, found) for found in self.messages.values()]
            heapq.heapify(schedule)

    def next_visible(self, now: int) -> _Message | None:
        schedule = self.schedule
        while schedule and schedule[0][0] <= now:
            _, number, message = heapq.heappop(schedule)
            if message.place == number:
                return message
        return None

    def remove(self, message: _Message) -> None:
        del self.messages[message.id]
        message.place = -1


class QueueService:
    """The state of all queues."""

    def __init__(self, clock: Callable[[], int], ids: Random, deletion: int) -> None:
        self.clock = clock
        self.queues: dict[str, _Queue] = {}
        self._names = Names("queue", clock, deletion)
        self._ids = ids
        self._numbers = itertools.count()

    def create(self, name: str) -> bool:
        if name in self.queues:
            return False
        self._names.claim(name)
        self.queues[name] = _Queue()
        return True

    def drop(self, name: str) -> bool:
        if self.queues.pop(name, None) is None:
            return False
        self._names.bury(name)
        return True

    def queue(self, name: str) -> _Queue:
        queue = self.queues.get(name)
        if queue is None:
            raise NotFoundError(f"queue {name} does not exist", status=404, code="QueueNotFound")
        return queue

    def _new_id(self) -> str:
        return f"{self._ids.getrandbits(64):016x}"

    def put(self, name: str, text: str, delay: int) -> Receipt:
        queue = self.queue(name)
        _check_timeout(delay, 0)
        _check_text(text)
        now, number = self.clock(), next(self._numbers)
        ids = f"{self._ids.getrandbits(128):032x}"
        message = _Message(ids[:16], text, _whole(now), now, ids[16:], number)
        queue.messages[message.id] = message
        queue.show(message, now + delay * PER_SECOND, number)
        return Receipt(message.id, message.receipt, _whole(message.visible))

    def get(self, name: str, count: int, lease: int) -> list[QueueMessage]:
        queue = self.queue(name)
        _check_count(count)
        _check_timeout(lease, 1)
        now = self.clock()
        taken: list[QueueMessage] = []
        while len(taken) < count:
            message = queue.next_visible(now)
            if message is None:
                break
            message.receipt = self._new_id()
            message.dequeued += 1
            queue.show(message, now + lease * PER_SECOND, next(self._numbers))
            taken.append(message.seen())
        return taken

    def peek(self, name: str, count: int) -> list[QueueMessage]:
        queue = self.queue(name)
        _check_count(count)
        now = self.clock()
        visible = [message for message in queue.messages.values() if message.visible <= now]
        first = heapq.nsmallest(count, visible, key=lambda message: (message.visible, message.place))
        return [
            QueueMessage(Receipt(message.id, ""), message.text, message.dequeued, message.inserted) for message in first
        ]

    def _owned(self, name: str, receipt: Receipt) -> tuple[_Queue, _Message]:
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
        _check_timeout(lease, 0)
        if text is not None:
            _check_text(text)
        queue, message = self._owned(name, receipt)
        if text is not None:
            message.text = text
        message.receipt = self._new_id()
        queue.show(message, self.clock() + lease * PER_SECOND, next(self._numbers))
        return Receipt(message.id, message.receipt, _whole(message.visible))

    def delete(self, name: str, receipt: Receipt) -> None:
        queue, message = self._owned(name, receipt)
        queue.remove(message)

    def length(self, name: str) -> int:
        return len(self.queue(name).messages)

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.queues if name.startswith(prefix))

    def clear(self, name: str) -> None:
        queue = self.queue(name)
        queue.messages.clear()
        queue.schedule.clear()

    def next_visible(self, name: str) -> int | None:
        queue = self.queues.get(name)
        return min((message.visible for message in queue.messages.values()), default=None) if queue else None

    def all_messages(self, name: str) -> list[QueueMessage]:
        queue = self.queues.get(name)
        return [message.seen() for message in queue.messages.values()] if queue else []


def _whole(moment: int) -> int:
    """The service tells times of messages as HTTP dates, which have whole seconds."""
    return moment - moment % PER_SECOND


def _check_timeout(seconds: int, shortest: int) -> None:
    if not shortest <= seconds <= _LONGEST:
        raise InvalidRequestError(
            f"a visibility timeout of {seconds} s is outside {shortest} to {_LONGEST}",
            status=400,
            code="OutOfRangeQueryParameterValue",
        )


def _check_count(count: int) -> None:
    if not 1 <= count <= 32:
        raise InvalidRequestError(
            f"{count} messages asked for, 1 to 32 are allowed", status=400, code="OutOfRangeQueryParameterValue"
        )


def _check_text(text: str) -> None:
    if len(text) > _LARGEST or (not text.isascii() and len(text.encode()) > _LARGEST):
        raise InvalidRequestError("the message is larger than 64 KiB", status=413, code="RequestBodyTooLarge")


class MemoryQueues:
    """One client's view; the contract is that of ``base.QueueStore``."""

    def __init__(self, service: QueueService, gate: Gate) -> None:
        self._service = service
        self._call = gate.call
        self._calls = gate.calls

    def create(self, queue: str) -> Answer[bool]:
        return self._call("queue.create", (queue,), self._service.create, queue)

    def drop(self, queue: str) -> Answer[bool]:
        return self._call("queue.drop", (queue,), self._service.drop, queue)

    def names(self, prefix: str) -> Answer[Sequence[str]]:
        return self._call("queue.names", (prefix,), self._service.names, prefix)

    def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Answer[Receipt]:
        return self._call("queue.put", (queue,), self._service.put, queue, text, delay)

    def get(self, queue: str, *, count: int, lease: int) -> Answer[Sequence[QueueMessage]]:
        return self._call("queue.get", (queue,), self._get, queue, count, lease)

    def _get(self, queue: str, count: int, lease: int) -> Sequence[QueueMessage]:
        messages = self._service.get(queue, count, lease)
        if not messages:
            self._calls.empty_gets += 1
        return messages

    def peek(self, queue: str, *, count: int = 1) -> Answer[Sequence[QueueMessage]]:
        return self._call("queue.peek", (queue,), self._service.peek, queue, count)

    def update(self, queue: str, receipt: Receipt, *, lease: int, text: str | None = None) -> Answer[Receipt]:
        about = queue, receipt.message_id
        return self._call("queue.update", about, self._service.update, queue, receipt, lease, text)

    def delete(self, queue: str, receipt: Receipt) -> Answer[None]:
        return self._call("queue.delete", (queue, receipt.message_id), self._service.delete, queue, receipt)

    def length(self, queue: str) -> Answer[int]:
        return self._call("queue.length", (queue,), self._service.length, queue)

    def clear(self, queue: str) -> Answer[None]:
        return self._call("queue.clear", (queue,), self._service.clear, queue)
