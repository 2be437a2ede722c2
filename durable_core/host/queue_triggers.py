"""Queue triggers: messages in batches, each kept from others while its function runs (functions-host 10.2, 14.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from durable_core.errors import NotFoundError, PreconditionFailedError, StorageError, UndecodableMessageError
from durable_core.host.indexing import IndexedFunction
from durable_core.host.queue_messages import opened
from durable_core.host.queue_options import QueueOptions
from durable_core.host.queue_storage import put_creating
from durable_core.host.timers import retry_delays
from durable_core.storage.base import QueueMessage, QueueStore
from durable_core.worker.complaints import Complaint
from durable_core.worker.polling import PollingInterval

logger = logging.getLogger("durable_core.host")

LEASE = 600
"""Seconds that a message is hidden; renewed at half of them while its function runs."""
_POISON = "-poison"
_LONGEST_NAME = 63
_PAUSE = 1.0

Call = Callable[[IndexedFunction, Any], Awaitable[Any]]


class QueueListener:
    """Feeds one function from its queue.

    Args:
        queues: of the account that the function's connection names.
        call: invokes the function with a message; raises what the function raises.
        random: spreads the polls of several hosts.
    """

    def __init__(
        self, function: IndexedFunction, queues: QueueStore, call: Call, options: QueueOptions, random: Random
    ) -> None:
        assert function.queue is not None
        self.function = function
        self.queue = function.queue.queue
        poison = f"{self.queue}{_POISON}"
        self._poison = None if self.queue.endswith(_POISON) or len(poison) > _LONGEST_NAME else poison
        self._queues = queues
        self._call = call
        self._options = options
        self._retries = retry_delays(function.retry or {})
        self._polling = PollingInterval(options.max_polling_interval, random)
        self._running: dict[asyncio.Task[None], _Held] = {}
        self._ended = asyncio.Event()

    async def run_forever(self) -> None:
        """Receive until cancelled; the queue is made if it does not exist."""
        complaint = Complaint(f"Queue '{self.queue}' of function '{self.function.name}' could not be read")
        exists = False
        while True:
            try:
                if not exists:
                    await self._queues.create(self.queue)
                    exists = True
                messages = await self._receive()
                complaint.recovered()
            except NotFoundError:  # somebody has deleted it
                exists = False
                messages = []
                await asyncio.sleep(_PAUSE)
            except StorageError as error:
                complaint.failed(error)
                messages = []
            if messages:
                self._polling.reset()
            else:
                await self._polling.wait()

    async def _receive(self) -> Sequence[QueueMessage]:
        while len(self._running) > self._options.new_batch_threshold:
            self._ended.clear()
            await self._ended.wait()
        messages = await self._queues.get(self.queue, count=self._options.batch_size, lease=LEASE)
        for message in messages:
            held = _Held(self._queues, self.queue, message)
            task = asyncio.create_task(self._handle(held), name=self.function.name)
            self._running[task] = held
            task.add_done_callback(self._done)
        return messages

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._ended.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("A message of queue '%s' was not dealt with and appears again: %s", self.queue, error)

    async def drain(self, grace: float) -> None:
        """Wait up to ``grace`` seconds for running functions; messages of the others become visible at once."""
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        rest = dict(self._running)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.gather(*(held.give_back(0) for held in rest.values()), return_exceptions=True)

    # ---- one message -----------------------------------------------------------------------------------------------

    async def _handle(self, held: _Held) -> None:
        message = held.message
        if self._poison is not None and message.dequeue_count > self._options.max_dequeue_count:
            await self._set_aside(held, f"was received more than {self._options.max_dequeue_count} times")
            return
        try:
            argument = opened(message, is_base64=self._options.is_base64)
        except UndecodableMessageError as error:
            await self._failed(held, f"cannot be read: {error}", is_hopeless=True)
            return
        async with held.renewed():
            failure = await self._attempt(argument)
        if failure is None:
            await held.delete()
        else:
            await self._failed(held, f"failed {message.dequeue_count} times", is_hopeless=False)

    async def _attempt(self, argument: Any) -> Exception | None:
        """Call the function, again as its ``retry`` decorator says; the last error, None after success."""
        failure: Exception | None = None
        for pause in (*self._retries, None):
            try:
                await self._call(self.function, argument)
                return None
            except Exception as error:  # user code may raise anything; the queue goes on
                failure = error
                again = "" if pause is None else f" It is called again in {pause:g} s."
                logger.exception("Queue function '%s' failed.%s", self.function.name, again)
            if pause is not None:
                await asyncio.sleep(pause)
        return failure

    async def _failed(self, held: _Held, why: str, *, is_hopeless: bool) -> None:
        if self._poison is not None and (is_hopeless or held.message.dequeue_count >= self._options.max_dequeue_count):
            await self._set_aside(held, why)
            return
        if is_hopeless:
            logger.error("Message %s of queue '%s' %s.", held.message.receipt.message_id, self.queue, why)
        await held.give_back(LEASE if is_hopeless else self._options.visibility_timeout)

    async def _set_aside(self, held: _Held, why: str) -> None:
        assert self._poison is not None
        logger.error(
            "Message %s of queue '%s' (function '%s') %s; it is moved to queue '%s'.",
            held.message.receipt.message_id,
            self.queue,
            self.function.name,
            why,
            self._poison,
        )
        await put_creating(self._queues, self._poison, held.message.text)
        await held.delete()


class _Held:
    """A received message and the right to decide about it, which each renewal replaces."""

    def __init__(self, queues: QueueStore, queue: str, message: QueueMessage) -> None:
        self.message = message
        self._queues = queues
        self._queue = queue
        self._receipt = message.receipt
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Keeps the message from others until the context is left."""
        renewal = asyncio.create_task(self._renew_forever())
        try:
            yield
        finally:
            async with self._lock:  # a renewal on its way must bring its receipt
                renewal.cancel()

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 2)
            async with self._lock:
                try:
                    self._receipt = await self._queues.update(self._queue, self._receipt, lease=LEASE)
                except StorageError as error:
                    logger.warning(
                        "Message %s of queue '%s' could not be kept from other hosts: %s",
                        self.message.receipt.message_id,
                        self._queue,
                        error,
                    )

    async def delete(self) -> None:
        """The message is dealt with; one that somebody else has meanwhile is left to them."""
        try:
            await self._queues.delete(self._queue, self._receipt)
        except (NotFoundError, PreconditionFailedError):
            logger.debug("Message %s of queue '%s' is no longer ours.", self.message.receipt.message_id, self._queue)

    async def give_back(self, delay: int) -> None:
        """Make the message visible in ``delay`` seconds."""
        try:
            await self._queues.update(self._queue, self._receipt, lease=delay)
        except (NotFoundError, PreconditionFailedError):
            logger.debug("Message %s of queue '%s' is no longer ours.", self.message.receipt.message_id, self._queue)
