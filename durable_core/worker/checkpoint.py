"""Writing the outcome of an episode: messages, then history, then hand-over, then the row (design rules 1, 2 and 4)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from durable_core.core import ticks
from durable_core.core.episode import Outgoing
from durable_core.core.history import EventRaised, ExecutionStarted, TaskScheduled
from durable_core.core.messages import Sender
from durable_core.core.records import struct
from durable_core.core.ticks import seconds_until
from durable_core.errors import NotFoundError, PreconditionFailedError, StorageError
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.messages import Sent
from durable_core.worker.message_leases import HeldMessage
from durable_core.worker.settings import WorkerSettings

logger = logging.getLogger("durable_core.worker")

_AT_ONCE = 64
"""Puts in flight per checkpoint."""

LONGEST_INVISIBILITY = 7 * 24 * 3600
"""Seconds; what Azure Queues allow for a message's visibility timeout (task-hub 3.7)."""


class Slots(Protocol):
    """Places for work items that this process will run itself; their activities are named."""

    def reserve(self, names: Sequence[str]) -> int: ...

    def release(self, names: Iterable[str]) -> None: ...


@struct
class Written:
    """A message that a checkpoint has put into a queue.

    Attributes:
        is_ours: born invisible, to be handed over to this process once history is committed.
        due: ticks at which a delayed message is due, None if it is not delayed.
    """

    outgoing: Outgoing
    sent: Sent
    is_ours: bool
    due: int | None

    def held(self) -> HeldMessage:
        return HeldMessage.written(self.sent)


@struct
class _Doubt:
    """Messages of an episode of which it is not known whether its history was written.

    Attributes:
        etag: of the sentinel that it was to be written upon.
        until: loop time at which the last of them has been taken by somebody, or can be.
    """

    etag: str | None
    written: Sequence[Written]
    until: float


class OutgoingMessages:
    """Sends the messages of episodes, and takes back those of an episode that is not committed."""

    def __init__(self, hub: TaskHub, settings: WorkerSettings, slots: Slots, owns: Callable[[str], bool]) -> None:
        self._hub = hub
        self._settings = settings
        self._slots = slots
        self._owns = owns
        self._doubts: dict[str, _Doubt] = {}

    async def send(self, outgoing: Sequence[Outgoing], *, sender: Sender, episode: int) -> list[Written]:
        """Write all messages; those that this process will consume are born invisible.

        Raises:
            StorageError: one could not be written. The others have been taken back.
        """
        if not outgoing:
            return []
        if len(outgoing) == 1:
            return [await self._send_single(outgoing[0], sender, episode)]
        names = activities_of(outgoing)
        granted = self._slots.reserve(names) if names else 0
        places = [False] * len(outgoing)
        left = granted
        for index, item in enumerate(outgoing):
            if isinstance(item.message.event, TaskScheduled):
                places[index] = left > 0
                left -= left > 0
            else:
                places[index] = self._owns(item.message.target.instance_id)
        results = await self._send_all(outgoing, places, sender, episode)
        written = [result for result in results if isinstance(result, Written)]
        failed = next((result for result in results if isinstance(result, BaseException)), None)
        if failed is not None:
            await self.take_back(written)
            self._slots.release((Counter(names[:granted]) - Counter(reserved(written))).elements())
            raise failed
        return written

    async def _send_single(self, item: Outgoing, sender: Sender, episode: int) -> Written:
        event = item.message.event
        if not isinstance(event, TaskScheduled):
            return await self._send_one(item, self._owns(item.message.target.instance_id), sender, episode)
        names = [event.name or ""]
        ours = self._slots.reserve(names) == 1
        try:
            return await self._send_one(item, ours, sender, episode)
        except StorageError:
            if ours:
                self._slots.release(names)
            raise

    async def _send_all(
        self, outgoing: Sequence[Outgoing], places: Sequence[bool], sender: Sender, episode: int
    ) -> list[Written | BaseException]:
        gate = asyncio.Semaphore(_AT_ONCE)
        before: dict[str, asyncio.Lock] = {}

        async def one(item: Outgoing, ours: bool) -> Written:
            if not _is_ordered(item):
                async with gate:
                    return await self._send_one(item, ours, sender, episode)
            # What one instance is sent keeps its order: an event must not overtake the start of a child.
            async with before.setdefault(item.message.target.instance_id, asyncio.Lock()), gate:
                return await self._send_one(item, ours, sender, episode)

        return await asyncio.gather(
            *(one(item, ours) for item, ours in zip(outgoing, places, strict=True)), return_exceptions=True
        )

    async def _send_one(self, item: Outgoing, ours: bool, sender: Sender, episode: int) -> Written:
        due = item.due
        delay = seconds_until(due, self._hub.now()) if due is not None else 0
        if ours:
            lease = self._settings.handover_lease if delay else self._settings.message_lease
            delay = min(delay + lease, LONGEST_INVISIBILITY)
        sent = await self._hub.messages.send(
            item.message, sender=sender, episode=episode, delay=delay, explicit_delay=due is not None
        )
        return Written(item, sent, ours, due)

    async def take_back(self, written: Sequence[Written]) -> None:
        """Delete the messages of an episode that will not be committed, as far as nobody has taken them."""
        self._slots.release(reserved(written))
        await self._delete(written)

    def doubt(self, instance_id: str, etag: str | None, written: Sequence[Written]) -> None:
        """Keep in mind messages that stay in their queues, because their history may have been written upon ``etag``.

        The slots of work items among them have been released.
        """
        now = asyncio.get_running_loop().time()
        self._doubts = {key: doubt for key, doubt in self._doubts.items() if doubt.until > now}
        if written:
            self._doubts[instance_id] = _Doubt(etag, written, now + self._settings.message_lease)

    async def settle_doubt(self, instance_id: str, etag: str | None) -> None:
        """Another episode is committed upon ``etag``: take back the messages of the one before it, if that never was.

        Whatever is still to be sent the other one has sent once more.
        """
        doubt = self._doubts.pop(instance_id, None) if self._doubts else None
        if doubt is not None and doubt.etag == etag:
            await self._delete(doubt.written)

    async def _delete(self, written: Sequence[Written]) -> None:
        async def one(item: Written) -> None:
            try:
                await self._hub.account.queues.delete(item.sent.queue, item.sent.receipt)
                if isinstance(item.outgoing.message.event, ExecutionStarted):
                    await self._hub.messages.delete_blob(item.sent.blob)  # its instance may never come to be purged
            except (NotFoundError, PreconditionFailedError):
                logger.debug("A message of a lost episode had already been taken from queue %s.", item.sent.queue)
            except StorageError as error:
                logger.warning("A message of a lost episode stays in queue %s: %s", item.sent.queue, error)

        await asyncio.gather(*(one(item) for item in written))

    def renew_in(self, item: Written, elapsed: float) -> float:
        """Seconds until a handed-over message needs its first renewal.

        Args:
            elapsed: seconds since the first message of its episode was about to be written: many take a while.
        """
        if item.due is None:
            return max(0.0, self._settings.message_renewal - elapsed)
        return max(0.0, (item.due - self._hub.now()) / ticks.PER_SECOND) + self._settings.handover_lease / 2


def _is_ordered(item: Outgoing) -> bool:
    return isinstance(item.message.event, (ExecutionStarted, EventRaised))


def activities_of(outgoing: Iterable[Outgoing]) -> list[str]:
    """The activities of the work items among these messages."""
    events = [item.message.event for item in outgoing]
    return [event.name or "" for event in events if isinstance(event, TaskScheduled)]


def reserved(written: Iterable[Written]) -> list[str]:
    """The activities of the work items among these messages that are kept for this process."""
    return activities_of(item.outgoing for item in written if item.is_ours)
