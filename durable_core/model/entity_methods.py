"""The part of the durable client that concerns entities (python-api 8, 14.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.entity_client import CleanResult
from durable_core.model.encoding import InputEncoding
from durable_core.model.entity_id import checked
from durable_core.model.runtime import HubClient
from durable_core.model.serialization import decode_or_text
from durable_core.taskhub.entity_store import EntityFilter, EntityRecord


class EntityStateResponse:
    """What ``read_entity_state`` tells."""

    def __init__(self, entity_exists: bool, entity_state: Any = None) -> None:
        self._entity_exists = entity_exists
        self._entity_state = entity_state

    @property
    def entity_exists(self) -> bool:
        """The entity has a state."""
        return self._entity_exists

    @property
    def entity_state(self) -> Any:
        """The state, None if there is none."""
        return self._entity_state


@dataclass(frozen=True, slots=True)
class EntityMetadata:
    """An entity in a list.

    Attributes:
        entity_state: None unless states were asked for.
        last_modified_time: of its last batch of operations.
        backlog_queue_size: operations that waited after it.
        locked_by: instance id of the orchestration that holds its lock.
    """

    entity_id: EntityId
    entity_state: Any
    last_modified_time: datetime
    backlog_queue_size: int
    locked_by: str | None


@dataclass(frozen=True, slots=True)
class EntityList:
    """A page of entities; ``continuation_token`` asks for the next, None behind the last."""

    entities: Sequence[EntityMetadata]
    continuation_token: str | None


class EntityMethods:
    """Signals, reads, lists and cleans up entities."""

    _hub: HubClient
    _encoding: InputEncoding

    async def signal_entity(
        self,
        entityId: EntityId,
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask an entity for an operation; it is created if it does not exist.

        Args:
            operation_input: a JSON value; None means no input.
            signal_time: not before this time; a naive one is UTC.
            task_hub_name, connection_name: of another hub than this client's.

        Raises:
            TypeError, ValueError: no entity id, or no operation name.
            SerializationError: the input cannot be written as JSON.
        """
        hub = self._hub_at(task_hub_name, connection_name)
        entity = checked(entityId, "signal_entity")
        if not isinstance(operation_name, str):
            raise ValueError("signal_entity: the operation name must be text")
        what = f"the input of operation '{operation_name}' of entity '{entity}'"
        text = self._encoding.start_input(operation_input, what)
        due = None if signal_time is None else ticks.from_datetime(signal_time)
        await hub.signal_entity(entity, operation_name, text, due=due)

    async def read_entity_state(
        self, entityId: EntityId, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> EntityStateResponse:
        """The entity's state after its last batch of operations; reading does not wait for those under way."""
        found = await self._hub_at(task_hub_name, connection_name).read_entity(checked(entityId, "read_entity_state"))
        return EntityStateResponse(False) if found is None else EntityStateResponse(True, decode_or_text(found.state))

    async def list_entities(
        self,
        entity_name: str | None = None,
        *,
        last_modified_from: datetime | None = None,
        last_modified_to: datetime | None = None,
        include_state: bool = False,
        include_transient: bool = False,
        top: int = 100,
        continuation_token: str | None = None,
    ) -> EntityList:
        """A page of the hub's entities, in the order of their ids.

        Args:
            entity_name: only entities of this function.
            last_modified_from, last_modified_to: only those whose last batch ran then.
            include_transient: also those that do not exist any more but still have a record.
        """
        page = await self._hub.list_entities(
            EntityFilter(
                entity_name,
                None if last_modified_from is None else ticks.from_datetime(last_modified_from),
                None if last_modified_to is None else ticks.from_datetime(last_modified_to),
                include_state,
                include_transient,
            ),
            top=top,
            continuation=continuation_token,
        )
        return EntityList([_metadata(record) for record in page.entities], page.continuation)

    async def clean_entity_storage(
        self,
        remove_empty_entities: bool = True,
        release_orphaned_locks: bool = True,
        continuation_token: str | None = None,
    ) -> CleanResult:
        """Remove the records of entities that no longer exist, and release locks whose owner is gone.

        A result with a ``continuation`` ran out of time; call again with it.
        """
        return await self._hub.clean_entities(
            remove_empty_entities=remove_empty_entities,
            release_orphaned_locks=release_orphaned_locks,
            continuation=continuation_token,
        )

    def _hub_at(self, task_hub_name: str | None, connection_name: str | None) -> HubClient:
        raise NotImplementedError


def _metadata(record: EntityRecord) -> EntityMetadata:
    return EntityMetadata(
        record.entity_id,
        decode_or_text(record.state),
        ticks.to_datetime(record.last_operation_time),
        record.queue_size,
        record.locked_by,
    )
