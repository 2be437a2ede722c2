"""Reading, listing and removing entities in the tables of one hub (orchestration-semantics 9.10, 9.11)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_state import EntityStatus, SchedulerState
from durable_core.core.state import RuntimeState
from durable_core.errors import NotFoundError, PreconditionFailedError, UndecodableMessageError
from durable_core.storage.base import ANY, Operation, Verb
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_table import PROJECTION, InstanceStatus, instance_filter, read_status
from durable_core.taskhub.keys import SENTINEL, escape_key


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """An entity as a client sees it.

    Attributes:
        exists: False for one that was deleted, or never had a state, but still has a row.
        state: JSON text; None if it has none, or was not asked for.
        last_operation_time: ticks of its last batch.
        queue_size: operations that waited after it.
        locked_by: instance id of the orchestration that holds its lock.
    """

    entity_id: EntityId
    exists: bool
    state: str | None
    last_operation_time: int
    queue_size: int = 0
    locked_by: str | None = None


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """Which entities to list.

    Attributes:
        name: of the entity function, None for all.
        last_operation_from, last_operation_to: ticks, both inclusive.
        with_state: also read the states.
        include_transient: also those that do not exist but still have a row.
    """

    name: str | None = None
    last_operation_from: int | None = None
    last_operation_to: int | None = None
    with_state: bool = False
    include_transient: bool = False


@dataclass(frozen=True, slots=True)
class EntityPage:
    """A part of a list; ``continuation`` asks for the next, None behind the last."""

    entities: Sequence[EntityRecord]
    continuation: str | None


class EntityStore:
    """The entities of one hub."""

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub

    async def get(self, entity_id: EntityId) -> EntityRecord | None:
        """The entity with its state; None if it has no row."""
        row = await self._hub.instances.get(entity_id.instance_id, with_payloads=True)
        return None if row is None else _record(entity_id, row, with_state=True)

    async def page(self, wanted: EntityFilter, top: int, continuation: str | None) -> EntityPage:
        """Up to ``top`` entities, in the order of their ids; a page may have fewer and still not be the last.

        Raises:
            UndecodableMessageError: a row cannot be read.
        """
        prefix = "@" if wanted.name is None else f"@{wanted.name.lower()}@"
        filter = instance_filter(
            created_from=wanted.last_operation_from, created_to=wanted.last_operation_to, prefix=prefix
        )
        found: list[EntityRecord] = []
        while True:
            page = await self._hub.account.tables.query(
                self._hub.names.instances,
                filter,
                select=() if wanted.with_state else PROJECTION,
                top=top - len(found),
                continuation=continuation,
            )
            for row in page.rows:
                record = await self._read(read_status(row), wanted)
                if record is not None:
                    found.append(record)
            continuation = page.continuation
            if continuation is None or len(found) >= top:
                return EntityPage(found, continuation)

    async def _read(self, row: InstanceStatus, wanted: EntityFilter) -> EntityRecord | None:
        try:
            entity_id = EntityId.parse(row.instance_id)
        except ValueError:
            return None
        if wanted.with_state:
            row = await self._hub.instances.filled(row)
        record = _record(entity_id, row, with_state=wanted.with_state)
        return record if record.exists or wanted.include_transient else None

    async def remove_if_empty(self, entity_id: EntityId, idle_since: int) -> bool:
        """Remove what is stored of an entity if nobody would miss it (behaviour 115).

        Args:
            idle_since: ticks; an entity that ran later is left alone.

        Returns:
            False if it is not empty, or ran meanwhile.
        """
        hub, key = self._hub, escape_key(entity_id.instance_id)
        row = await hub.instances.get(entity_id.instance_id, with_payloads=False)
        loaded = await hub.history.load(entity_id.instance_id)
        started = RuntimeState(loaded.events).started
        if loaded.etag is None or any(event.timestamp > idle_since for event in loaded.events):
            return False
        try:
            if not SchedulerState.decode(started.input if started else None).is_empty:
                return False
        except ValueError:
            return False
        rows = [f"{position:016X}" for position in range(len(loaded.events))]
        operations = [Operation(Verb.DELETE, {"PartitionKey": key, "RowKey": row}, ANY) for row in rows]
        operations.append(Operation(Verb.DELETE, {"PartitionKey": key, "RowKey": SENTINEL}, loaded.etag))
        try:
            await hub.account.tables.transaction(hub.names.history, operations)
        except (NotFoundError, PreconditionFailedError):
            return False  # it has just received something
        if row is not None:  # the worker may not have written it yet, or may write it once more
            with contextlib.suppress(NotFoundError, PreconditionFailedError):
                await hub.instances.delete(entity_id.instance_id, row.etag)
        for blob in loaded.blobs.values():
            await hub.payloads.delete(blob)
        return True


def _record(entity_id: EntityId, row: InstanceStatus, *, with_state: bool) -> EntityRecord:
    status = EntityStatus.decode(row.custom_status)
    record = EntityRecord(
        entity_id,
        status.exists,
        None,
        row.created_time or row.last_updated_time or 0,
        status.queue_size,
        status.locked_by,
    )
    if not with_state:
        return record
    try:
        state = SchedulerState.decode(row.input)
    except ValueError as error:
        raise UndecodableMessageError(
            f"The stored record of entity '{entity_id}' cannot be read; purge it to begin anew: {error}"
        ) from error
    return replace(record, exists=state.exists, state=state.state)
