"""Signalling, reading, listing and cleaning up entities (orchestration-semantics 9.7, 9.10, 9.11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_messages import (
    OPERATION,
    ORPHANED,
    RELEASE,
    ReleaseMessage,
    RequestMessage,
    scheduled_name,
)
from durable_core.core.history import EventRaised, OrchestrationInstance, OrchestrationStatus
from durable_core.core.ids import random_guid
from durable_core.core.messages import TaskMessage
from durable_core.taskhub.entity_store import EntityFilter, EntityPage, EntityRecord, EntityStore
from durable_core.taskhub.hub import TaskHub

_PAGE = 100
_OWNING = frozenset({OrchestrationStatus.Running, OrchestrationStatus.Suspended, OrchestrationStatus.Pending})


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What a clean-up did; with a ``continuation`` it is not through yet."""

    empty_entities_removed: int
    orphaned_locks_released: int
    continuation: str | None = None


class EntityClient:
    """The entity side of ``TextClient``; all values are JSON text, times are ticks.

    Args:
        send: puts a message, with a due time if it is delayed.
        idle: ticks without an operation after which an empty entity may be removed: the reorder window, because its
            record tells duplicates apart.
    """

    def __init__(
        self,
        hub: TaskHub,
        random: Random,
        send: Callable[[TaskMessage, int | None], Awaitable[None]],
        *,
        idle: int = 30 * 60 * ticks.PER_SECOND,
    ) -> None:
        self._hub = hub
        self._store = EntityStore(hub)
        self._random = random
        self._send = send
        self._idle = idle

    async def signal(
        self, entity_id: EntityId, operation: str, input: str | None = None, *, due: int | None = None
    ) -> None:
        """Ask for an operation; nobody waits for its result.

        Args:
            input: JSON text.
            due: ticks before which it must not run.
        """
        request = RequestMessage(
            id=random_guid(self._random),
            operation=operation,
            is_signal=True,
            input=input,
            due=due,
        )
        if due is None:
            await self._raise(entity_id, OPERATION, request.encode(), None)
            return
        delivery = ticks.hop(due, self._hub.now())
        await self._raise(entity_id, scheduled_name(delivery), request.encode(), delivery)

    async def read(self, entity_id: EntityId) -> EntityRecord | None:
        """The entity as its last batch left it; None if it does not exist."""
        found = await self._store.get(entity_id)
        return found if found is not None and found.exists else None

    async def list(
        self, wanted: EntityFilter | None = None, *, top: int | None = None, continuation: str | None = None
    ) -> EntityPage:
        """A page of entities, at most ``top`` (default 100).

        Raises:
            ValueError: ``top`` is not positive.
        """
        if top is not None and top < 1:
            raise ValueError(f"top must be positive, not {top}")
        return await self._store.page(wanted or EntityFilter(), top or _PAGE, continuation)

    async def clean(
        self,
        *,
        remove_empty_entities: bool = True,
        release_orphaned_locks: bool = True,
        continuation: str | None = None,
        within: float = 5.0,
    ) -> CleanResult:
        """Remove the records of entities that do not exist any more, and free those whose lock owner is gone.

        Args:
            continuation: of an earlier call that ran out of time.
            within: seconds after which the call returns with a continuation.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        everything = EntityFilter(include_transient=True)
        removed = released = 0
        while True:
            page = await self._store.page(everything, _PAGE, continuation)
            for record in page.entities:
                if release_orphaned_locks and record.locked_by is not None and not await self._runs(record.locked_by):
                    release = ReleaseMessage(parent=record.locked_by, id=ORPHANED)
                    await self._raise(record.entity_id, RELEASE, release.encode(), None)
                    released += 1
                elif remove_empty_entities and not record.exists and record.locked_by is None:
                    idle_since = self._hub.now() - self._idle
                    if record.last_operation_time <= idle_since:
                        removed += await self._store.remove_if_empty(record.entity_id, idle_since)
            continuation = page.continuation
            if continuation is None or loop.time() >= deadline:
                return CleanResult(removed, released, continuation)

    async def _runs(self, instance_id: str) -> bool:
        row = await self._hub.instances.get(instance_id, with_payloads=False)
        return row is not None and row.runtime_status in _OWNING

    async def _raise(self, entity_id: EntityId, name: str, input: str, due: int | None) -> None:
        event = EventRaised(timestamp=self._hub.now(), name=name, input=input)
        await self._send(TaskMessage(event, OrchestrationInstance(entity_id.instance_id)), due)
