"""Starting, asking and steering orchestration instances (task-hub 8, orchestration-semantics 8).

Inputs, outputs and event data are JSON *text* here; the programming model above turns values into text.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from random import Random
from typing import Protocol

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId, is_entity
from durable_core.core.history import (
    LIVE,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
)
from durable_core.core.ids import validate_instance_id
from durable_core.core.messages import CLIENT, TaskMessage
from durable_core.core.state import RuntimeState
from durable_core.core.ticks import hop, seconds_until
from durable_core.entity_client import CleanResult, EntityClient
from durable_core.errors import (
    AlreadyExistsError,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidOperationError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from durable_core.taskhub.entity_store import EntityFilter, EntityPage, EntityRecord
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_query import InstanceFilter, InstancePage, PurgeResult
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.messages import Sent
from durable_core.taskhub.purging import Purger
from durable_core.taskhub.rewinding import Rewinder
from durable_core.taskhub.scale_report import ScaleReport, WorkerLimits, report_scale

logger = logging.getLogger("durable_core.text_client")

_START_TRIES = 3
_IDS = 64
"""Looked at for one of an own partition: even one out of 16 is found nearly always."""
_TERMINATION = 60.0
"""Seconds that a recursive termination waits for one instance to end, or for a child to begin: an idle queue is looked
into every 30 s at the latest."""
_TERMINATION_POLL = 0.25
_LARGEST_PAGE = 1000
_PURGE_PAGE = 100
_PURGES_AT_ONCE = 10
_SLOWER = 1.5


class LocalWorker(Protocol):
    """A worker in the same process that takes messages without a detour through its queue (design rule 4)."""

    message_lease: int

    def owns(self, instance_id: str) -> bool:
        """The worker serves the instance's partition."""

    def has_room(self) -> bool:
        """Messages may be handed over; otherwise they wait in their queue, where nothing has to be renewed."""

    def begins_soon(self) -> bool:
        """An instance of one of the worker's partitions would begin at once, or in a moment."""

    def wake(self, instance_id: str) -> None:
        """A message was written visible into the instance's control queue."""

    def accept(self, sent: Sent, *, new_row: str | None = None) -> None:
        """Handle a message that was written invisible for ``message_lease`` seconds.

        Args:
            new_row: of a start, the ETag of the Instances row if it is a new one.
        """

    def watch(self, instance_id: str) -> asyncio.Future[ExecutionCompleted]:
        """A future of the instance's end."""


class TextClient:
    """A client of one task hub; all methods belong to the event loop that the hub's storage clients belong to.

    Args:
        hub: the task hub.
        random: source of instance and execution ids.
        worker: the worker of this process, if there is one.
        replaceable: statuses whose instance a new start may replace (``overridableExistingInstanceStates``).
        default_version: version of new instances whose start names none.
    """

    def __init__(
        self,
        hub: TaskHub,
        *,
        random: Random,
        worker: LocalWorker | None = None,
        replaceable: frozenset[OrchestrationStatus] = frozenset(OrchestrationStatus) - LIVE,
        default_version: str = "",
    ) -> None:
        self._hub = hub
        self._random = random
        self._worker = worker
        self._replaceable = replaceable
        self._default_version = default_version
        self._last_stamp = 0
        self._entities = EntityClient(hub, random, self._send_to_entity)

    @property
    def task_hub(self) -> str:
        """Name of the task hub, as configured."""
        return self._hub.names.hub

    def now(self) -> int:
        """UTC ticks on storage's clock, which all times of instances are of."""
        return self._hub.now()

    async def start_new(
        self,
        name: str,
        *,
        input: str | None = None,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: int | None = None,
        replaceable: Collection[OrchestrationStatus] | None = None,
    ) -> str:
        """Start an instance and return its id.

        Args:
            name: the orchestrator's name.
            input: JSON text.
            instance_id: must follow the rules of semantics 8.2; a GUID is made if it is None or empty, of a partition
                that the worker of this process serves if it has a turn for the instance at once.
            start_at: ticks before which it stays Pending, any distance ahead; None for at once.
            replaceable: statuses in which an instance of this id gives way, None for what the client was made with.

        Raises:
            ValueError: the id is not allowed.
            InstanceExistsError: an instance of this id is in a status that may not be replaced.
        """
        if not name:
            raise ValueError("the orchestrator name cannot be empty")
        generated = not instance_id
        instance_id = instance_id or self._new_id(stays=start_at is None)
        validate_instance_id(instance_id)
        for _ in range(_START_TRIES):
            existing = None
            if not generated:
                existing = await self._hub.instances.get(instance_id, with_payloads=False)
                self._check_replaceable(existing, self._replaceable if replaceable is None else replaceable)
            event = ExecutionStarted(
                timestamp=self._hub.now(),
                instance=OrchestrationInstance(instance_id, f"{self._random.getrandbits(128):032x}"),
                name=name,
                version=self._default_version if version is None else version,
                input=input,
                tags=tags,
                scheduled_start_time=start_at,
                generation=0 if existing is None else (existing.generation or 0) + 1,
            )
            if await self._start(event, existing):
                return instance_id
        raise InstanceExistsError(f"Instance '{instance_id}' is being started by somebody else at the same time.")

    def _new_id(self, *, stays: bool) -> str:
        """A random id.

        Args:
            stays: if the worker of this process would begin with the instance in a moment, it shall be one of its own:
                no other worker has to find the start in its queue and read the row that is written here.
        """
        home = self._worker
        if home is not None and not (stays and home.begins_soon()):
            home = None
        for _ in range(_IDS):
            instance_id = f"{self._random.getrandbits(128):032x}"
            if home is None or home.owns(instance_id):
                break
        return instance_id

    async def _start(self, event: ExecutionStarted, existing: InstanceStatus | None) -> bool:
        """Write the message, then the row (task-hub 8.2); False if another start of the same id came in between."""
        message = TaskMessage(event, event.instance)
        due = event.scheduled_start_time
        sent = await self._send(message, None if due is None else hop(due, self._hub.now()))
        try:
            row = await self._hub.instances.create(event, existing, sent.input_url)
        except (AlreadyExistsError, PreconditionFailedError, NotFoundError):
            try:
                await self._hub.account.queues.delete(sent.queue, sent.receipt)
                await self._hub.messages.delete_blob(sent.blob)  # which a purge under way may not have seen
            except (NotFoundError, PreconditionFailedError):
                logger.debug("The start of '%s' was already received; its worker will discard it.", event.instance)
            return False
        self._hand_over(sent, new_row=row if existing is None else None)
        return True

    def _check_replaceable(self, existing: InstanceStatus | None, replaceable: Collection[OrchestrationStatus]) -> None:
        if existing is not None and existing.runtime_status not in replaceable:
            raise InstanceExistsError(
                f"An Orchestration instance with the status {existing.runtime_status.name} already exists."
            )

    async def get_status(self, instance_id: str) -> InstanceStatus | None:
        """The instance's row with input, output and custom status; None if there is no such instance."""
        return await self._hub.instances.get(instance_id, with_payloads=True)

    async def get_history(self, instance_id: str, *, with_payloads: bool = True) -> Sequence[HistoryEvent]:
        """All events of the current generation, in order; empty if there is none.

        Args:
            with_payloads: also read values that were too large for their row, which are empty otherwise.
        """
        return (await self._hub.history.load(instance_id, with_blobs=with_payloads)).events

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Send an external event.

        Args:
            data: JSON text.

        Raises:
            InstanceNotFoundError, InvalidOperationError: as in semantics 7.2.
        """
        if not name:
            raise ValueError("the event name cannot be empty")
        await self._control(
            instance_id,
            EventRaised(timestamp=self._stamp(), name=name, input=data),
            allowed=LIVE,
            refusal=f"Cannot raise event {name} for orchestration instance {instance_id}",
        )

    async def list_instances(
        self,
        wanted: InstanceFilter | None = None,
        *,
        top: int | None = None,
        continuation: str | None = None,
        with_payloads: bool = True,
    ) -> InstancePage:
        """One page of instances, by id; one storage call beside the blobs of large values.

        Args:
            top: at most this many, 1 to 1,000.
            continuation: of the page before.
            with_payloads: also read inputs, and whole values that were too large for their row.

        Raises:
            ValueError: ``top`` is out of range.
        """
        if top is not None and not 1 <= top <= _LARGEST_PAGE:
            raise ValueError(f"top must be between 1 and {_LARGEST_PAGE}, not {top}")
        return await self._hub.instances.page(
            wanted or InstanceFilter(), top=top, continuation=continuation, with_payloads=with_payloads
        )

    async def all_instances(
        self, wanted: InstanceFilter | None = None, *, with_payloads: bool = True
    ) -> AsyncIterator[InstanceStatus]:
        """Every instance that fits, page by page."""
        continuation: str | None = None
        while True:
            page = await self.list_instances(wanted, continuation=continuation, with_payloads=with_payloads)
            for status in page.instances:
                yield status
            continuation = page.continuation
            if continuation is None:
                return

    async def restart(self, instance_id: str, *, restart_with_new_instance_id: bool = True) -> str:
        """Start the same function with the same input, and return the id (semantics 8.4).

        Raises:
            InstanceNotFoundError: there is no such instance, or it is an entity.
            InstanceExistsError: the id is to be kept, and its instance has not ended.
        """
        if is_entity(instance_id):
            raise InstanceNotFoundError(f"'{instance_id}' is an entity; only orchestration instances can be restarted.")
        status = await self.get_status(instance_id)
        if status is None:
            raise InstanceNotFoundError(f"An orchestrator with the instanceId {instance_id} was not found.")
        return await self.start_new(
            status.name, input=status.input, instance_id=None if restart_with_new_instance_id else instance_id
        )

    async def purge(self, instance_id: str) -> PurgeResult:
        """Remove one finished instance, or an entity: history, large values, row (semantics 8.5).

        An entity never ends, so it goes whatever it is doing; what is sent to it afterwards begins a new one.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InvalidOperationError: it has not ended.
        """
        status = await self._hub.instances.get(instance_id, with_payloads=False)
        if status is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        if not status.runtime_status.is_finished and not is_entity(instance_id):
            raise InvalidOperationError(
                f"Cannot purge the orchestration instance {instance_id} because instance is in the "
                f"{status.runtime_status.name} state; terminate it first."
            )
        return PurgeResult(int(await Purger(self._hub).purge(status)))

    async def purge_many(self, wanted: InstanceFilter, *, within: float = 100.0) -> PurgeResult:
        """Remove the finished instances that fit.

        Args:
            wanted: no status means every final one.
            within: seconds after which no further instance is begun; call again to go on.

        Raises:
            ValueError: a status is asked for that is not final.
        """
        finished = wanted.finished()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        purger = Purger(self._hub)
        deleted = 0
        continuation: str | None = None
        while True:
            page = await self.list_instances(finished, top=_PURGE_PAGE, continuation=continuation, with_payloads=False)
            for begin in range(0, len(page.instances), _PURGES_AT_ONCE):
                if loop.time() >= deadline:
                    return PurgeResult(deleted, is_complete=False)
                some = page.instances[begin : begin + _PURGES_AT_ONCE]
                deleted += sum(await asyncio.gather(*(purger.purge(status) for status in some)))
            continuation = page.continuation
            if continuation is None:
                return PurgeResult(deleted)

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Take the failure of a failed instance back, so that it goes on from there (semantics 8.6).

        Raises:
            InstanceNotFoundError: there is no such instance.
            InvalidOperationError: it has not failed, or it failed inside a critical section.
        """
        row = await self._hub.instances.get(instance_id, with_payloads=False)
        if row is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        if row.runtime_status is not OrchestrationStatus.Failed:
            raise InvalidOperationError(
                f"This orchestration has status {row.runtime_status.name}, but only orchestrations in the "
                '"Failed" state can be rewound.'
            )
        rewinder = Rewinder(self._hub)
        rewound = await rewinder.rewind(row)
        for answer in rewound.answers:
            self._hand_over(await self._send(answer))
        for wakes in rewound.wakes:
            event = GenericEvent(timestamp=self._stamp(), data=reason)
            self._hand_over(await self._send(TaskMessage(event, OrchestrationInstance(wakes))))
        await rewinder.mark(rewound)

    async def terminate(self, instance_id: str, reason: str | None, *, recursive: bool = False) -> None:
        """Ask for the end of a live instance; its output becomes ``reason``.

        Args:
            recursive: also ask its sub-orchestrations, and theirs; otherwise they go on (behaviour 46). Waits a little
                for each to end: until then it may start more of them. Repeated on one that is terminated already, it
                goes on with the children.

        Raises:
            InstanceNotFoundError, InvalidOperationError: there is no such instance, or it has ended.
            UnavailableError: recursive, and an instance has not ended, or a child has not begun, in time; to be
                repeated.
        """
        if recursive:
            await self._terminate_all(instance_id, reason)
            return
        await self._control(
            instance_id,
            ExecutionTerminated(timestamp=self._stamp(), input=reason),
            allowed=LIVE,
            refusal=f"Cannot terminate the orchestration instance {instance_id}",
        )

    async def _terminate_all(self, instance_id: str, reason: str | None) -> None:
        status = await self._hub.instances.get(instance_id, with_payloads=False)
        if status is None or status.runtime_status is not OrchestrationStatus.Terminated:
            await self.terminate(instance_id, reason)
            ended = await self.wait_for_completion(instance_id, timeout=_TERMINATION, poll=_TERMINATION_POLL)
            if ended is not None and not ended.runtime_status.is_finished:
                raise UnavailableError(
                    f"Instance '{instance_id}' was asked to end and has not done so within {_TERMINATION:g} s, so its "
                    "sub-orchestrations are not known yet. See whether a worker runs, then terminate recursively again."
                )
        children = RuntimeState(await self.get_history(instance_id)).open_children().values()
        results = await asyncio.gather(
            *(self._terminate_child(child, reason) for child in children), return_exceptions=True
        )
        for failure in results:  # one that is late keeps nobody from the others
            if isinstance(failure, BaseException):
                raise failure

    async def _terminate_child(self, instance_id: str, reason: str | None) -> None:
        """Terminate a child; its row comes with its first episode, which may still lie ahead."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _TERMINATION
        while loop.time() < deadline:
            if await self._hub.instances.get(instance_id, with_payloads=False) is not None:
                break
            await asyncio.sleep(_TERMINATION_POLL)
        else:
            raise UnavailableError(
                f"Sub-orchestration '{instance_id}' has not begun within {_TERMINATION:g} s, so that it could not be "
                "ended. See whether a worker runs, then terminate recursively again; if it was purged, all is done."
            )
        with contextlib.suppress(InvalidOperationError, InstanceNotFoundError):  # it has ended, or was purged
            await self._terminate_all(instance_id, reason)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Ask a live instance to pause."""
        await self._control(
            instance_id,
            ExecutionSuspended(timestamp=self._stamp(), reason=reason),
            allowed=LIVE - {OrchestrationStatus.Suspended},
            refusal=f"Cannot suspend the orchestration instance {instance_id}",
        )

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Ask a suspended instance to go on."""
        await self._control(
            instance_id,
            ExecutionResumed(timestamp=self._stamp(), reason=reason),
            allowed=frozenset({OrchestrationStatus.Suspended}),
            refusal=f"Cannot resume the orchestration instance {instance_id}",
        )

    async def wait_for_completion(
        self, instance_id: str, *, timeout: float, poll: float = 1.0, longest_poll: float | None = None
    ) -> InstanceStatus | None:
        """Wait until the instance has ended, or ``timeout`` seconds, and return its status then.

        A worker in this process tells at once; otherwise the row is read after pauses.

        Args:
            timeout: seconds; infinity for ever.
            poll: seconds of the first pause.
            longest_poll: seconds up to which each pause is half as long again as the one before; None keeps ``poll``.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        watched = self._worker.watch(instance_id) if self._worker and self._worker.owns(instance_id) else None
        try:
            while True:
                status = await self.get_status(instance_id)
                left = deadline - loop.time()
                if status is None or status.runtime_status.is_finished or left <= 0:
                    return status
                pause = min(poll, left)
                if watched is None:
                    await asyncio.sleep(pause)
                else:
                    await asyncio.wait([watched], timeout=pause)
                poll = max(poll, min(poll * _SLOWER, longest_poll or poll))
        finally:
            if watched is not None:
                watched.cancel()

    # ---- entities --------------------------------------------------------------------------------------------------

    async def read_entity(self, entity_id: EntityId) -> EntityRecord | None:
        """The entity with its state, as its last batch left it; None if it does not exist."""
        return await self._entities.read(entity_id)

    async def signal_entity(
        self, entity_id: EntityId, operation: str, input: str | None = None, *, due: int | None = None
    ) -> None:
        """Ask an entity for an operation, at ``due`` ticks or at once; nobody waits for its result."""
        await self._entities.signal(entity_id, operation, input, due=due)

    async def list_entities(
        self, wanted: EntityFilter | None = None, *, top: int | None = None, continuation: str | None = None
    ) -> EntityPage:
        """A page of the hub's entities, at most ``top`` (default 100), in the order of their ids."""
        return await self._entities.list(wanted, top=top, continuation=continuation)

    async def scale(self, limits: WorkerLimits, *, interval: float) -> ScaleReport:
        """Queue lengths and ages, partition owners, and whether more or fewer workers would do (task-hub 10).

        Args:
            limits: of one worker.
            interval: seconds between the samples.

        Raises:
            HubNotFoundError: the hub does not exist.
        """
        return await report_scale(self._hub.account, self._hub.names, limits, interval=interval)

    async def clean_entities(
        self,
        *,
        remove_empty_entities: bool = True,
        release_orphaned_locks: bool = True,
        continuation: str | None = None,
    ) -> CleanResult:
        """Remove records of entities that no longer exist, release locks whose owner is gone; see ``CleanResult``."""
        return await self._entities.clean(
            remove_empty_entities=remove_empty_entities,
            release_orphaned_locks=release_orphaned_locks,
            continuation=continuation,
        )

    async def _send_to_entity(self, message: TaskMessage, due: int | None) -> None:
        if due is None:
            self._hand_over(await self._send(message))
            return
        delay = max(0, -((self._hub.now() - due) // ticks.PER_SECOND))
        await self._hub.messages.send(message, sender=CLIENT, delay=delay, explicit_delay=True)
        if self._worker is not None:
            # It waits in its queue; the worker that owns the queue looks there when it is due.
            asyncio.get_running_loop().call_later(delay, self._worker.wake, message.target.instance_id)

    def _stamp(self) -> int:
        """The time of a message, later than that of the one before: equal ones of the same tick would count as one."""
        self._last_stamp = max(self._hub.now(), self._last_stamp + 1)
        return self._last_stamp

    async def _control(
        self, instance_id: str, event: HistoryEvent, *, allowed: frozenset[OrchestrationStatus], refusal: str
    ) -> None:
        row = await self._hub.instances.get(instance_id, with_payloads=False)
        if row is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        if row.runtime_status not in allowed:
            raise InvalidOperationError(f"{refusal} because instance is in the {row.runtime_status.name} state.")
        self._hand_over(await self._send(TaskMessage(event, OrchestrationInstance(instance_id))))

    async def _send(self, message: TaskMessage, due: int | None = None) -> Sent:
        if due is not None:
            delay = seconds_until(due, self._hub.now())
            return await self._hub.messages.send(message, sender=CLIENT, delay=delay, explicit_delay=True)
        worker = self._worker
        handed_over = worker is not None and worker.owns(message.target.instance_id) and worker.has_room()
        delay = worker.message_lease if worker is not None and handed_over else 0
        return await self._hub.messages.send(message, sender=CLIENT, delay=delay)

    def _hand_over(self, sent: Sent, *, new_row: str | None = None) -> None:
        """Give a message to the local worker; one written visible is left to whoever polls its queue."""
        message = sent.data.task_message
        if self._worker is None or message is None or _is_scheduled(message):
            return
        if sent.delay:
            self._worker.accept(sent, new_row=new_row)
        else:
            self._worker.wake(message.target.instance_id)


def _is_scheduled(message: TaskMessage) -> bool:
    """A start that waits for its time in the queue, where any worker finds it."""
    return isinstance(message.event, ExecutionStarted) and message.event.scheduled_start_time is not None
