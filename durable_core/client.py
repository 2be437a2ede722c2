"""Starting, asking and steering orchestration instances (task-hub 8, orchestration-semantics 8).

Inputs, outputs and event data are JSON *text* here; the programming model above turns values into text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.core.history import (
    LIVE,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
)
from durable_core.core.ids import validate_instance_id
from durable_core.core.messages import CLIENT, TaskMessage
from durable_core.entity_client import CleanResult, EntityClient
from durable_core.errors import (
    AlreadyExistsError,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidOperationError,
    NotFoundError,
    PreconditionFailedError,
)
from durable_core.taskhub.entity_store import EntityFilter, EntityPage, EntityRecord
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.messages import Sent

logger = logging.getLogger("durable_core.client")

_START_TRIES = 3


class LocalWorker(Protocol):
    """A worker in the same process that takes messages without a detour through its queue (design rule 4)."""

    message_lease: int

    def owns(self, instance_id: str) -> bool:
        """The worker serves the instance's partition."""

    def has_room(self) -> bool:
        """Messages may be handed over; otherwise they wait in their queue, where nothing has to be renewed."""

    def wake(self, instance_id: str) -> None:
        """A message was written visible into the instance's control queue."""

    def accept(self, sent: Sent, *, is_new_instance: bool = False) -> None:
        """Handle a message that was written invisible for ``message_lease`` seconds."""

    def watch(self, instance_id: str) -> asyncio.Future[ExecutionCompleted]:
        """A future of the instance's end."""


class TaskHubClient:
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
        self._entities = EntityClient(hub, random, self._send_to_entity)

    @property
    def task_hub(self) -> str:
        """Name of the task hub, as configured."""
        return self._hub.names.hub

    async def start_new(
        self,
        name: str,
        *,
        input: str | None = None,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start an instance and return its id.

        Args:
            name: the orchestrator's name.
            input: JSON text.
            instance_id: must follow the rules of semantics 8.2; a GUID is made if it is None or empty.

        Raises:
            ValueError: the id is not allowed.
            InstanceExistsError: an instance of this id is in a status that may not be replaced.
        """
        if not name:
            raise ValueError("the orchestrator name cannot be empty")
        generated = not instance_id
        instance_id = instance_id or f"{self._random.getrandbits(128):032x}"
        validate_instance_id(instance_id)
        for _ in range(_START_TRIES):
            existing = None
            if not generated:
                existing = await self._hub.instances.get(instance_id, with_payloads=False)
                self._check_replaceable(existing)
            event = ExecutionStarted(
                timestamp=self._hub.now(),
                instance=OrchestrationInstance(instance_id, f"{self._random.getrandbits(128):032x}"),
                name=name,
                version=self._default_version if version is None else version,
                input=input,
                tags=tags,
                generation=0 if existing is None else (existing.generation or 0) + 1,
            )
            if await self._start(event, existing):
                return instance_id
        raise InstanceExistsError(f"Instance '{instance_id}' is being started by somebody else at the same time.")

    async def _start(self, event: ExecutionStarted, existing: InstanceStatus | None) -> bool:
        """Write the message, then the row (task-hub 8.2); False if another start of the same id came in between."""
        message = TaskMessage(event, event.instance)
        sent = await self._send(message)
        try:
            await self._hub.instances.create(event, existing, sent.input_url)
        except (AlreadyExistsError, PreconditionFailedError, NotFoundError):
            try:
                await self._hub.account.queues.delete(sent.queue, sent.receipt)
            except (NotFoundError, PreconditionFailedError):
                logger.debug("The start of '%s' was already received; its worker will discard it.", event.instance)
            return False
        self._hand_over(sent, is_new_instance=existing is None)
        return True

    def _check_replaceable(self, existing: InstanceStatus | None) -> None:
        if existing is not None and existing.runtime_status not in self._replaceable:
            raise InstanceExistsError(
                f"An Orchestration instance with the status {existing.runtime_status.name} already exists."
            )

    async def get_status(self, instance_id: str) -> InstanceStatus | None:
        """The instance's row with input, output and custom status; None if there is no such instance."""
        return await self._hub.instances.get(instance_id, with_payloads=True)

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        """All events of the current generation, in order; empty if there is none."""
        return (await self._hub.history.load(instance_id)).events

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
            EventRaised(timestamp=self._hub.now(), name=name, input=data),
            allowed=LIVE,
            refusal=f"Cannot raise event {name} for orchestration instance {instance_id}",
        )

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        """Ask for the end of a live instance; its output becomes ``reason``."""
        await self._control(
            instance_id,
            ExecutionTerminated(timestamp=self._hub.now(), input=reason),
            allowed=LIVE,
            refusal=f"Cannot terminate the orchestration instance {instance_id}",
        )

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Ask a live instance to pause."""
        await self._control(
            instance_id,
            ExecutionSuspended(timestamp=self._hub.now(), reason=reason),
            allowed=LIVE - {OrchestrationStatus.Suspended},
            refusal=f"Cannot suspend the orchestration instance {instance_id}",
        )

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Ask a suspended instance to go on."""
        await self._control(
            instance_id,
            ExecutionResumed(timestamp=self._hub.now(), reason=reason),
            allowed=frozenset({OrchestrationStatus.Suspended}),
            refusal=f"Cannot resume the orchestration instance {instance_id}",
        )

    async def wait_for_completion(
        self, instance_id: str, *, timeout: float, poll: float = 1.0
    ) -> InstanceStatus | None:
        """Wait until the instance has ended, or ``timeout`` seconds, and return its status then.

        A worker in this process tells at once; otherwise the row is read every ``poll`` seconds.
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

    async def _control(
        self, instance_id: str, event: HistoryEvent, *, allowed: frozenset[OrchestrationStatus], refusal: str
    ) -> None:
        row = await self._hub.instances.get(instance_id, with_payloads=False)
        if row is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        if row.runtime_status not in allowed:
            raise InvalidOperationError(f"{refusal} because instance is in the {row.runtime_status.name} state.")
        self._hand_over(await self._send(TaskMessage(event, OrchestrationInstance(instance_id))))

    async def _send(self, message: TaskMessage) -> Sent:
        worker = self._worker
        handed_over = worker is not None and worker.owns(message.target.instance_id) and worker.has_room()
        delay = worker.message_lease if worker is not None and handed_over else 0
        return await self._hub.messages.send(message, sender=CLIENT, delay=delay)

    def _hand_over(self, sent: Sent, *, is_new_instance: bool = False) -> None:
        """Give a message to the local worker; one written visible is left to whoever polls its queue."""
        message = sent.data.task_message
        if self._worker is None or message is None:
            return
        if sent.delay:
            self._worker.accept(sent, is_new_instance=is_new_instance)
        else:
            self._worker.wake(message.target.instance_id)
