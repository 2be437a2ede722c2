"""The worker of one task hub: start, accept, drain, stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from durable_core.core.history import ExecutionCompleted
from durable_core.errors import StorageError
from durable_core.storage.base import QueueStore
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.messages import Sent
from durable_core.worker.activities import ActivityWorker
from durable_core.worker.checkpoint import OutgoingMessages
from durable_core.worker.control_queue import ControlQueueListener
from durable_core.worker.delivery import Delivery
from durable_core.worker.functions import Functions
from durable_core.worker.message_leases import HeldMessage, MessageLeases
from durable_core.worker.sessions import Sessions
from durable_core.worker.set_aside import SetAside
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import UserCode

logger = logging.getLogger("durable_core.worker")

_AFTER_TAKE_OVER = 60.0
"""Seconds for which queues are polled at short intervals after another worker's partition was taken over."""
_STOP_DRAIN = 1.5
"""Seconds that a stop leaves to the episodes in flight: others wait for the partitions."""
_LAST_RECEIVE = 1.0
"""Seconds that a receive under way may take before it is cut off."""


class Ownership(Protocol):
    """Who decides which partitions this worker serves; it calls ``acquired``, ``drain`` and ``lost`` of the worker."""

    async def run(self, worker: TaskHubWorker) -> None:
        """Own partitions until cancelled."""

    async def close(self) -> None:
        """Claim no more partitions; those that are owned stay until ``release``."""

    async def release(self) -> None:
        """Let all partitions go, after they were drained. Held messages are renewed until ``run`` is cancelled."""

    def others_alive(self) -> bool:
        """Another live worker is seen in the hub."""

    async def make_primary(self) -> bool:
        """Take the app lease from another app that holds it; False if this worker uses none."""


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """One time that a partition became ours; ``taken_over``: another worker had it before."""

    taken_over: bool


class TaskHubWorker:
    """Runs an app's orchestrators and activities on one task hub.

    Everything here belongs to one event loop. Crash-only: a worker that vanishes loses nothing, whatever it was doing;
    ``stop`` only saves the others some waiting (design rule 7).

    Args:
        hub: the task hub; it is created when the worker starts.
        functions: what the app registered.
        ownership: decides about partitions, usually from a thread of its own.
        leases: the held messages; ``renew_forever`` of it must run somewhere.
        random: spreads polls.
    """

    def __init__(
        self,
        hub: TaskHub,
        functions: Functions,
        settings: WorkerSettings,
        *,
        ownership: Ownership,
        leases: MessageLeases,
        user_code: UserCode,
        random: Random,
    ) -> None:
        self.hub = hub
        self.message_lease = settings.message_lease
        self._settings = settings
        self._ownership = ownership
        self._leases = leases
        leases.forget_blob = hub.messages.forget_blob
        self._random = random
        self._set_aside = SetAside(hub, leases, settings.poison_tries)
        self.sessions = Sessions(hub, functions, leases, user_code, settings, ownership.others_alive, self._set_aside)
        self.activities = ActivityWorker(
            hub,
            functions,
            leases,
            self.sessions,
            user_code,
            settings,
            self._set_aside,
            ownership.others_alive,
            random,
        )
        self.sessions.activities = self.activities
        self.sessions.outgoing = OutgoingMessages(hub, settings, self.activities, self.sessions.owns)
        self.sessions.expect = self._expect
        self._user_code = user_code
        self._listeners: dict[int, tuple[ControlQueueListener, asyncio.Task[None]]] = {}
        self._claims: dict[int, _Claim] = {}
        """Partitions that are ours; one may still wait until its earlier loss has been drained."""
        self._changes: dict[int, asyncio.Task[None]] = {}
        """Drains and take-ups of one partition, each waiting for the one before: the last of them is kept here."""
        self._stopping = False
        self._loops: list[asyncio.Task[None]] = []
        self._activity_loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Create the hub if needed, then begin to work.

        Raises:
            StorageError: the hub could not be reached or created; calling again is fine.
        """
        await self.hub.create()
        self._activity_loop = self._spawn(self.activities.poll_forever(), "work items")
        self._loops = [
            self._activity_loop,
            self._spawn(self.sessions.sweep_forever(), "session sweep"),
            self._spawn(self._ownership.run(self), "partition ownership"),
        ]

    async def stop(self, grace: float | None = None) -> None:
        """Let the partitions go at once, running activities when they have ended, then end.

        Args:
            grace: seconds that activities get instead of ``activity_grace``.

        Nothing new is taken. Episodes in flight get a moment; activities go on for ``activity_grace`` while their
        messages stay leased, and their results travel by queue. What has not ended then becomes visible.
        """
        self._stopping = True
        await self._ownership.close()
        self.activities.stop_polling()
        await asyncio.gather(*(self._drain(partition, _STOP_DRAIN) for partition in list(self._claims)))
        try:
            await asyncio.wait_for(self._ownership.release(), self._settings.drain_grace)
        except (StorageError, asyncio.TimeoutError) as error:
            logger.warning("The partitions were not released and pass on when their leases end: %r", error)
        if self._activity_loop is not None:
            await _finish(self._activity_loop)
        await self.activities.drain(self._settings.activity_grace if grace is None else grace)
        for loop in self._loops:
            await _cancel(loop)
        self._user_code.close()

    # ---- partitions ------------------------------------------------------------------------------------------------

    def acquired(self, partition: int, *, taken_over: bool = False) -> None:
        """The partition is ours from now on; it is listened to as soon as an earlier loss of it has been drained.

        Args:
            taken_over: another worker had it, and may have left messages that become visible by themselves.
        """
        if self._stopping or partition in self._claims:
            return
        claim = self._claims[partition] = _Claim(taken_over)
        if partition in self._changes:
            self._in_turn(partition, self._take_up(partition, claim))
        else:
            self._listen(partition, claim)

    async def _take_up(self, partition: int, claim: _Claim) -> None:
        if self._claims.get(partition) is claim:
            self._listen(partition, claim)

    def _listen(self, partition: int, claim: _Claim) -> None:
        self.sessions.add_partition(partition)
        listener = ControlQueueListener(partition, self.sessions, self._set_aside, self._random)
        if claim.taken_over:
            listener.hurry(_AFTER_TAKE_OVER)
            self.activities.hurry(_AFTER_TAKE_OVER)
        task = self._spawn(listener.listen_forever(), f"control queue {partition}")
        self._listeners[partition] = (listener, task)

    def _expect(self, partition: int) -> None:
        listener = self._listeners.get(partition)
        if listener is not None:
            listener[0].expect()

    async def drain(self, partition: int) -> None:
        """Stop listening; returns when nothing of this partition runs any more and everything was given back."""
        await self._drain(partition, self._settings.drain_grace)

    def lost(self, partition: int) -> None:
        """The lease is gone: touch the partition no more."""
        logger.warning("Partition %s was lost to another worker or by time.", self.hub.names.control_queue(partition))
        self._let_go(partition, self._settings.drain_grace)

    async def _drain(self, partition: int, grace: float) -> None:
        rest = self._let_go(partition, grace)
        if rest is not None:
            await asyncio.shield(rest)

    def _let_go(self, partition: int, grace: float) -> asyncio.Task[None] | None:
        """From this moment on nothing is delivered any more; the task of the rest is returned, if there is one."""
        if self._claims.pop(partition, None) is None:
            return self._changes.get(partition)
        listener = self._listeners.pop(partition, None)
        if listener is not None:
            listener[0].stop()
        self.sessions.refuse(partition)
        return self._in_turn(partition, self._empty(partition, listener[1] if listener else None, grace))

    async def _empty(self, partition: int, listener: asyncio.Task[None] | None, grace: float) -> None:
        end = asyncio.get_running_loop().time() + grace
        if listener is not None:
            await _finish(listener)
        await self.sessions.remove_partition(partition, grace=_until(end))
        belongs = lambda instance_id: self.hub.partition_of(instance_id) == partition  # noqa: E731
        try:
            await asyncio.wait_for(self.sessions.merges.flush(belongs), _until(end))
        except asyncio.TimeoutError:
            logger.warning("Rows of partition %d could not be written in time; its next owner repairs them.", partition)

    def _in_turn(self, partition: int, step: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``step`` after all earlier ones of this partition."""
        before = self._changes.get(partition)

        async def run() -> None:
            if before is not None:
                await asyncio.wait([before])
            await step

        task = self._spawn(run(), f"change of partition {partition}")
        self._changes[partition] = task
        task.add_done_callback(lambda done: self._changed(partition, done))
        return task

    def _changed(self, partition: int, task: asyncio.Task[None]) -> None:
        if self._changes.get(partition) is task:
            del self._changes[partition]

    async def make_primary(self) -> bool:
        """Have this app's workers serve the hub instead of another app's (http-and-protocol 1.18).

        Returns:
            False if the app lease is not used (``useAppLease``).

        Raises:
            StorageError: the wish could not be written.
        """
        return await self._ownership.make_primary()

    # ---- messages of clients in this process -----------------------------------------------------------------------

    def owns(self, instance_id: str) -> bool:
        """Messages for the instance may be handed over to this worker."""
        return self.sessions.owns(instance_id)

    def has_room(self) -> bool:
        """Messages may be handed over; with a long backlog they are better off in their queue."""
        return self.sessions.has_room()

    def begins_soon(self) -> bool:
        """An instance of one of this worker's partitions would begin at once, or in a moment."""
        return self.sessions.begins_soon()

    def wake(self, instance_id: str) -> None:
        """A message was written visible into the instance's control queue: poll it soon if it is ours."""
        listener = self._listeners.get(self.hub.partition_of(instance_id))
        if listener is not None:
            listener[0].signal()

    def wake_queue(self, queue: str) -> None:
        """A message is visible in ``queue``: receive from it now if this worker reads it."""
        if queue == self.hub.names.work_items:
            self.activities.signal()
        for partition, (listener, _) in self._listeners.items():
            if queue == self.hub.names.control_queue(partition):
                listener.signal()

    def accept(self, sent: Sent, *, new_row: str | None = None) -> None:
        """Handle a message that a client of this process wrote invisible."""
        message = sent.data.task_message
        assert message is not None
        held = self._leases.hold(HeldMessage.written(sent))
        self.sessions.deliver(Delivery(message, held, new_row=new_row))

    def watch(self, instance_id: str) -> asyncio.Future[ExecutionCompleted]:
        """A future of the instance's end, as this worker sees it."""
        return self.sessions.watch(instance_id)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"durable {name}")
        task.add_done_callback(_report)
        return task


class OwnEverything:
    """Ownership of all partitions without leases: one worker alone, as in tests and in-memory runs."""

    def __init__(self, leases: MessageLeases, queues: QueueStore) -> None:
        self._leases = leases
        self._queues = queues

    async def run(self, worker: TaskHubWorker) -> None:
        for partition in range(worker.hub.names.partition_count):
            worker.acquired(partition)
        await self._leases.renew_forever(self._queues)

    async def close(self) -> None:
        """Nothing is claimed."""

    async def release(self) -> None:
        """Nothing is held."""

    def others_alive(self) -> bool:
        return False

    async def make_primary(self) -> bool:
        return False


def _until(end: float) -> float:
    """Seconds left; a moment when there are none, so that what is nearly done gets done."""
    return max(0.2, end - asyncio.get_running_loop().time())


async def _finish(task: asyncio.Task[None]) -> None:
    """Wait a little for a loop that was told to stop, then cancel it."""
    await asyncio.wait([task], timeout=_LAST_RECEIVE)
    await _cancel(task)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("The loop '%s' of the worker ended", task.get_name(), exc_info=error)
