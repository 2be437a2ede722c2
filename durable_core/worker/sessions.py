"""All sessions of a worker: who gets a message, how many run at once, which executions stay in memory."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from durable_core.core import ticks
from durable_core.core.entity_ids import is_entity
from durable_core.core.episode import EpisodeRules
from durable_core.core.history import ExecutionCompleted, ExecutionStarted, TaskScheduled
from durable_core.core.messages import TaskMessage
from durable_core.core.ticks import hop, seconds_until
from durable_core.errors import StorageError
from durable_core.taskhub.hub import TaskHub
from durable_core.worker.activities import ActivityWorker
from durable_core.worker.attempts import cut_off, next_batch
from durable_core.worker.checkpoint import OutgoingMessages, Written, reserved
from durable_core.worker.crew import Crew
from durable_core.worker.delayed import DelayedDeliveries
from durable_core.worker.delivery import Delivery
from durable_core.worker.entity_session import EntitySession
from durable_core.worker.functions import Functions
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.pace import Pace
from durable_core.worker.row_merges import RowMerges
from durable_core.worker.session import Session
from durable_core.worker.set_aside import SetAside
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import UserCode

logger = logging.getLogger("durable_core.worker")

_SWEEPS = 10
"""Looks for idle sessions per idle time."""
_SOON = 0.25
"""Seconds that a new instance may wait for its first episode here rather than be any worker's."""
_MOST_COMPLAINTS = 10_000
_FAST = 16
"""Times the size of the control queue buffer: what may wait here for its episode, however fast this process is."""


class Sessions:
    """Routes deliveries to sessions and runs up to ``max_concurrent_orchestrators`` episodes at once.

    ``activities``, ``outgoing`` and ``expect`` are set once by the worker, which builds the circle of parts.

    Attributes:
        expect: called with a partition when an instance of it begins to wait for something that any worker may
            complete.
    """

    activities: ActivityWorker
    outgoing: OutgoingMessages
    expect: Callable[[int], None]

    def __init__(
        self,
        hub: TaskHub,
        functions: Functions,
        leases: MessageLeases,
        user_code: UserCode,
        settings: WorkerSettings,
        others_alive: Callable[[], bool],
        set_aside: SetAside,
    ) -> None:
        self.hub = hub
        self.functions = functions
        self.leases = leases
        self.user_code = user_code
        self.settings = settings
        self.episode_rules = EpisodeRules(
            store_inputs=settings.store_inputs,
            default_version=settings.default_version,
            accepts=settings.versioning.accepts,
        )
        self._complaints: set[tuple[str, str]] = set()
        self.merges = RowMerges(hub.instances.merge, hub.instances.replace, leases, self.owns, self._repair)
        self._others_alive = others_alive
        self._set_aside = set_aside
        self._endless: set[str] = set()
        """Instances whose orchestrator did not come to an end in time."""
        self._delayed = DelayedDeliveries(hub.now, self.deliver)
        self._partitions: set[int] = set()
        self._active: dict[str, Session] = {}
        self._cached: OrderedDict[str, Session] = OrderedDict()
        self._orchestrations = Crew(settings.max_concurrent_orchestrators, self._turn)
        self._entities = Crew(settings.max_concurrent_entities, self._turn)
        self._background: set[asyncio.Task[None]] = set()
        self._watchers: dict[str, list[asyncio.Future[ExecutionCompleted]]] = {}
        self.backlog = 0
        """Deliveries that no episode has taken yet."""
        self._pace = Pace()
        self._batch_taken = asyncio.Event()

    # ---- ownership -------------------------------------------------------------------------------------------------

    def owns(self, instance_id: str) -> bool:
        """This worker reads the instance's control queue."""
        return self.hub.partition_of(instance_id) in self._partitions

    def owns_partition(self, partition: int) -> bool:
        """This worker reads the partition's control queue."""
        return partition in self._partitions

    def add_partition(self, partition: int) -> None:
        """Messages of this partition's instances may be delivered from now on."""
        self._partitions.add(partition)

    def refuse(self, partition: int) -> None:
        """From now on messages of this partition go back to their queue."""
        self._partitions.discard(partition)

    async def remove_partition(self, partition: int, *, grace: float) -> None:
        """Finish what runs (up to ``grace`` seconds), give everything else of this partition back at once."""
        self.refuse(partition)
        end = asyncio.get_running_loop().time() + grace
        for delivery, left in self._delayed.drop(lambda item: self.hub.partition_of(item.instance_id) == partition):
            self._in_background(self._give_back(delivery, left))
        active = [session for session in self._active.values() if session.partition == partition]
        for session in active:
            for delivery in self._take_inbox(session):
                self._in_background(self._give_back(delivery, 0))
            if not session.taken:
                session.forget()
        running = [session for session in active if session.taken]
        if running:
            await asyncio.wait([self._rest(session) for session in running], timeout=grace)
        for session in running:
            # Its episode goes on and may still be committed; nobody waits for it any more.
            abandoned, session.taken = session.taken, []
            if not abandoned:
                continue
            logger.warning("Instance '%s': an episode did not end in time and is abandoned.", session.instance_id)
            for delivery in abandoned:
                self._in_background(self._give_back(delivery, 0))
        for instance_id in [key for key, session in self._cached.items() if session.partition == partition]:
            self._cached.pop(instance_id).forget()
        if self._background:
            await asyncio.wait(list(self._background), timeout=max(0.2, end - asyncio.get_running_loop().time()))

    @property
    def cached_count(self) -> int:
        """Executions that are kept in memory between episodes."""
        return len(self._cached)

    def waits_for_others(self, partition: int) -> bool:
        """An instance of the partition waits for something that any worker may complete (design rule 4)."""
        return any(
            session.waits_for_others and session.partition == partition
            for sessions in (self._active, self._cached)
            for session in sessions.values()
        )

    def has_visible_work(self) -> bool:
        """An instance of this worker waits for a work item that was left to any worker."""
        return any(session.foreign for sessions in (self._active, self._cached) for session in sessions.values())

    def left_to_others(self, work: TaskMessage) -> None:
        """A work item that was handed over here is visible after all: any worker may complete it."""
        instance_id = work.target.instance_id
        session = self._active.get(instance_id) or self._cached.get(instance_id)
        if session is not None and isinstance(work.event, TaskScheduled):
            session.await_others(work.target, work.event.event_id)
            self.expect(session.partition)

    # ---- deliveries ------------------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """What is handed over now is not one of too many, or gets its turn before its lease has to be renewed."""
        settings = self.settings
        if self.backlog < settings.control_queue_buffer:
            return True
        most = _FAST * settings.control_queue_buffer
        return self.backlog < self._pace.within(settings.message_renewal / 2, most=most)

    def begins_soon(self) -> bool:
        """What is started in one of this worker's partitions now has its first episode at once, or in a moment.

        Not so while many instances are kept here: whoever starts them all shall not have all of them for ever.
        """
        most = self.settings.control_queue_buffer
        if not self._partitions or len(self._active) + len(self._cached) >= most:
            return False
        if len(self._active) < self.settings.max_concurrent_orchestrators:
            return True
        return self.backlog < self._pace.within(_SOON, most=most)

    def deliver(self, delivery: Delivery) -> None:
        """Give a message to its instance's session; one that is not ours any more goes back to its queue."""
        instance_id = delivery.instance_id
        partition = self.hub.partition_of(instance_id)
        if partition not in self._partitions:
            self._in_background(self._give_back(delivery, 0))
            return
        session = self._active.get(instance_id) or self._cached.pop(instance_id, None)
        if session is None:
            session = self._new_session(instance_id, partition)
        session.inbox.append(delivery)
        self.backlog += 1
        if not session.is_active:
            session.is_active = True
            self._active[instance_id] = session
            self._crew(session).add(session)

    async def _repair(self, instance_id: str, execution_id: str) -> str | None:
        return await self._new_session(instance_id, self.hub.partition_of(instance_id)).repair(execution_id)

    def _new_session(self, instance_id: str, partition: int) -> Session:
        kind = EntitySession if is_entity(instance_id) else Session
        return kind(self, instance_id, partition)

    async def batch_taken(self, seconds: float) -> None:
        """Wait until an episode takes deliveries out of the backlog, for so long at most."""
        self._batch_taken.clear()
        end = asyncio.get_running_loop().call_later(seconds, self._batch_taken.set)
        try:
            await self._batch_taken.wait()
        finally:
            end.cancel()

    def deliver_at(self, delivery: Delivery, due: int | None) -> None:
        """Deliver at ``due`` ticks, now if None."""
        if due is None:
            self.deliver(delivery)
        elif self.owns(delivery.instance_id):
            self._delayed.add(delivery, due)
        else:
            self._in_background(self._give_back(delivery, seconds_until(due, self.hub.now())))

    def _crew(self, session: Session) -> Crew[Session]:
        return self._entities if is_entity(session.instance_id) else self._orchestrations

    async def _turn(self, session: Session) -> bool:
        """Process one batch of a session; True if there is more by now."""
        more = False
        try:
            if self.merges.is_full:
                await self.merges.room()
            if session.inbox and session.partition in self._partitions:
                batch, session.inbox = next_batch(session.inbox)
                self.backlog -= len(batch)
                loop = asyncio.get_running_loop()
                since = loop.time()
                self._pace.took(len(batch), left=self.backlog, now=since)
                self._batch_taken.set()
                session.taken = batch
                await session.process(batch)
                session.last_used = loop.time()
                self._pace.ended(len(batch), session.last_used - since)
                session.taken = []
            else:  # the partition went, and maybe everything was given back before this turn came
                session.forget()
                for delivery in self._take_inbox(session):
                    await self._give_back(delivery, 0)
            more = bool(session.inbox)
        finally:
            if not more:
                self._end_turns(session)
        return more

    def _take_inbox(self, session: Session) -> list[Delivery]:
        """What no batch will take any more."""
        left, session.inbox = session.inbox, []
        self.backlog -= len(left)
        return left

    def _end_turns(self, session: Session) -> None:
        session.is_active = False
        self._active.pop(session.instance_id, None)
        if session.is_cached and session.partition in self._partitions:
            self._cached[session.instance_id] = session
            self._evict()
        else:
            session.forget()
        if session.rest is not None:
            session.rest.set_result(None)
            session.rest = None

    def _rest(self, session: Session) -> asyncio.Future[None]:
        """A future of the end of the turns of an active session."""
        if session.rest is None:
            session.rest = asyncio.get_running_loop().create_future()
        return session.rest

    def _evict(self) -> None:
        while len(self._cached) > self.settings.session_cache_size:
            _, oldest = self._cached.popitem(last=False)
            oldest.forget()

    async def sweep_forever(self) -> None:
        """Let idle cached sessions go, until cancelled."""
        while True:
            await asyncio.sleep(self.settings.session_idle / _SWEEPS)
            limit = asyncio.get_running_loop().time() - self.settings.session_idle
            while self._cached:
                instance_id, oldest = next(iter(self._cached.items()))
                if oldest.last_used > limit:
                    break
                del self._cached[instance_id]
                oldest.forget()

    # ---- what sessions ask for -------------------------------------------------------------------------------------

    async def delete(self, deliveries: Sequence[Delivery]) -> None:
        """Delete the messages behind ``deliveries``."""
        await asyncio.gather(*(self.leases.delete(delivery.held) for delivery in deliveries))

    async def put_off(self, deliveries: Sequence[Delivery], *, until: int | None = None) -> None:
        """Put messages back with the usual back-off; results are sent as ordinary replies instead.

        Args:
            until: ticks at which what they wait for happens; they are looked at again right behind it at the latest.
        """
        is_ahead = until is not None and until > self.hub.now()  # behind it the usual back-off: it may take its time
        longest = seconds_until(until, self.hub.now()) + 1 if until is not None and is_ahead else None
        await asyncio.gather(*(self._put_off(delivery, longest) for delivery in deliveries))

    async def failed(self, deliveries: Sequence[Delivery], error: Exception) -> None:
        """Put messages off whose processing ended with ``error``, or set aside those that failed too often."""
        await asyncio.gather(*(self._failed(delivery, error) for delivery in deliveries))

    async def _failed(self, delivery: Delivery, error: Exception) -> None:
        try:
            if not delivery.is_result and await self._set_aside.failed(delivery.held, error):
                return
        except StorageError as failure:
            logger.warning("A message could not be set aside yet: %s", failure)
        await self._put_off(delivery)

    def why_not(self, instance_id: str, name: str, deliveries: Sequence[Delivery]) -> str | None:
        """Why the orchestrator shall not be tried once more with these messages; None if it shall."""
        tries = max([delivery.dequeue_count for delivery in deliveries], default=0)
        if tries <= 1 and instance_id not in self._endless:
            return None
        now, settings = self.hub.now(), self.settings
        if instance_id in self._endless and tries >= settings.max_attempts:
            self._endless.discard(instance_id)
            return (
                f"Orchestrator function '{name}' ran for more than {settings.episode_limit:g} seconds without waiting "
                f"for anything, in each of its last attempts (attempt {tries}). Orchestrators must not loop or block: "
                "do the work in activities."
            )
        if any(cut_off(item.held, now) >= settings.max_cut_off for item in deliveries if not item.is_result):
            return (
                f"Orchestrator function '{name}' was given up at attempt {tries}: each time the worker process that "
                "ran it died. Look for crashes of native code, exits of the process or lack of memory."
            )
        return None

    def note_endless(self, instance_id: str) -> None:
        """The orchestrator of this instance did not come to an end in time."""
        self._endless.add(instance_id)

    async def _put_off(self, delivery: Delivery, longest: int | None = None) -> None:
        try:
            if delivery.is_result:
                await self.activities.reply(delivery.held, delivery.message)
            else:
                await self.leases.put_off(delivery.held, longest)
        except StorageError as error:
            logger.warning("A message could not be given back and appears when its lease ends: %s", error)

    async def _give_back(self, delivery: Delivery, delay: int) -> None:
        try:
            if delivery.is_result:
                await self.activities.reply(delivery.held, delivery.message)
            else:
                await self.leases.give_back(delivery.held, delay)
        except StorageError as error:
            logger.warning("A message could not be given back and appears when its lease ends: %s", error)

    def leave_to_others(self, deliveries: Sequence[Delivery]) -> bool:
        """During a rolling deployment another live worker may know the orchestrator that this one does not."""
        oldest = min(delivery.held.inserted for delivery in deliveries)
        waited = (self.hub.now() - oldest) / ticks.PER_SECOND
        return waited < self.settings.unknown_function_patience and self._others_alive()

    async def is_ahead_of_time(self, delivery: Delivery, event: ExecutionStarted) -> bool:
        """A scheduled start that came to the end of a hop before its time is sent on (task-hub 3.7)."""
        now, due = self.hub.now(), event.scheduled_start_time
        if due is None or due <= now:
            return False
        await self.hub.messages.send(
            delivery.message,
            sender=delivery.held.data.sender,
            delay=seconds_until(hop(due, now), now),
            explicit_delay=True,
        )
        await self.leases.delete(delivery.held)
        return True

    def complain_once(self, instance_id: str, text: str) -> bool:
        """True the first time that this text is to be logged for the instance."""
        if (instance_id, text) in self._complaints:
            return False
        if len(self._complaints) >= _MOST_COMPLAINTS:
            self._complaints.clear()
        self._complaints.add((instance_id, text))
        return True

    def delete_blobs(self, names: Sequence[str]) -> None:
        """Delete the blobs of a generation that is replaced, behind everything that refers to them."""
        self._in_background(self._delete_blobs(names))

    async def _delete_blobs(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                await self.hub.payloads.delete(name)
            except StorageError as error:
                logger.warning("Blob '%s' of a replaced generation stays behind: %s", name, error)

    def abandon_reserved(self, written: Sequence[Written]) -> None:
        """Free the slots of work items whose episode may or may not be committed."""
        self.activities.release(reserved(written))

    def finished(self, instance_id: str, completed: ExecutionCompleted) -> None:
        """The instance's row says that it ended."""
        for watcher in self._watchers.pop(instance_id, ()):
            if not watcher.done():
                watcher.set_result(completed)

    def watch(self, instance_id: str) -> asyncio.Future[ExecutionCompleted]:
        """A future of the instance's end, as this worker sees it: no polling. Cancel it when it is not needed."""
        future: asyncio.Future[ExecutionCompleted] = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(instance_id, []).append(future)
        future.add_done_callback(lambda done: self._unwatch(instance_id, done))
        return future

    def _unwatch(self, instance_id: str, future: asyncio.Future[ExecutionCompleted]) -> None:
        watchers = self._watchers.get(instance_id)
        if watchers and future in watchers:
            watchers.remove(future)
            if not watchers:
                del self._watchers[instance_id]

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
