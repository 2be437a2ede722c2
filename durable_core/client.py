"""The client of scripts, notebooks and other services: any task hub, without a Functions app (python-api 8).

    async with TaskHubClient.from_connection_string(text, task_hub="Orders") as client:
        instance_id = await client.start_new("ship", client_input={"order": 42})
        state = await client.wait_for_completion(instance_id, timeout=60)
        print(state.output)

Values go in and come out as in the programming model; ``TextClient`` does the work.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.core.history import OrchestrationStatus
from durable_core.entity_client import CleanResult
from durable_core.errors import InstanceNotFoundError
from durable_core.model.serialization import encode, encode_or_none
from durable_core.model.status import OrchestrationRuntimeStatus
from durable_core.orchestration_state import EntityState, OrchestrationState, entity_of, state_of
from durable_core.storage.azure import open_account
from durable_core.storage.base import StorageAccount
from durable_core.storage.settings import parse_connection_string, resolve_connection
from durable_core.taskhub.entity_store import EntityFilter
from durable_core.taskhub.existing import partitions_of, unknown_hub
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_query import InstanceFilter, PurgeResult
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.status_history import history_events
from durable_core.text_client import TextClient

_FIRST_POLL, _LONGEST_POLL = 0.1, 5.0
_STARTS_AT_ONCE = 16


class TaskHubClient:
    """A client of one task hub. All methods belong to the event loop in which it was connected.

    It is used with ``async with``, or between ``await client.connect()`` and ``await client.close()``.

    Args:
        open_storage: opens the storage account; called by ``connect``.
        task_hub: name of the hub.
        create: make the hub if it does not exist, with ``partition_count`` partitions; otherwise that is an error.
        default_version: version of new instances whose start names none.

    Raises:
        ConfigurationError: the hub's name is not allowed.
    """

    def __init__(
        self,
        open_storage: Callable[[], StorageAccount],
        *,
        task_hub: str,
        create: bool = False,
        partition_count: int = 4,
        default_version: str = "",
    ) -> None:
        self._open_storage = open_storage
        self._names = HubNames(task_hub, partition_count)
        self._create = create
        self._default_version = default_version
        self._account: StorageAccount | None = None
        self._connected: TextClient | None = None

    @classmethod
    def from_connection_string(cls, connection_string: str, *, task_hub: str, **options: Any) -> TaskHubClient:
        """A client of a hub in the account that a connection string names.

        Args:
            options: see the class.

        Raises:
            ConfigurationError: the connection string cannot be used.
        """
        settings = parse_connection_string(connection_string)
        return cls(lambda: open_account(settings), task_hub=task_hub, **options)

    @classmethod
    def from_settings(
        cls,
        connection: str = "AzureWebJobsStorage",
        *,
        task_hub: str,
        environ: Mapping[str, str] = os.environ,
        **options: Any,
    ) -> TaskHubClient:
        """A client of a hub whose account the environment names as app settings do.

        Args:
            connection: name of the setting. It holds a connection string; or ``{name}__accountName``,
                ``{name}__queueServiceUri`` and so on ask for the identity of this process (package ``identity``).
            options: see the class.

        Raises:
            ConfigurationError: there is no such setting, or it cannot be used.
        """
        settings = resolve_connection(connection, environ)
        return cls(lambda: open_account(settings), task_hub=task_hub, **options)

    # ---- connecting --------------------------------------------------------------------------------------------------

    async def connect(self) -> TaskHubClient:
        """Look up how the hub is divided, and return this client.

        Raises:
            HubNotFoundError: there is no such hub, and it was not to be created; the text names those there are.
            StorageError: storage cannot be reached.
        """
        if self._connected is not None:
            return self
        account = self._open_storage()
        try:
            names = await self._existing(account)
        except BaseException:
            await account.close()
            raise
        random = Random()
        self._account = account
        self._connected = TextClient(
            TaskHub(account, names, random), random=random, default_version=self._default_version
        )
        return self

    async def _existing(self, account: StorageAccount) -> HubNames:
        names = self._names
        partitions = await partitions_of(account, names)
        if partitions:
            return HubNames(names.hub, len(partitions))
        if not self._create:
            raise await unknown_hub(account, names.hub)
        await TaskHub(account, names, Random()).create()
        return names

    async def close(self) -> None:
        """Let go of storage; a second time does nothing."""
        account, self._account, self._connected = self._account, None, None
        if account is not None:
            await account.close()

    async def __aenter__(self) -> TaskHubClient:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def task_hub(self) -> str:
        """Name of the task hub."""
        return self._names.hub

    @property
    def _hub(self) -> TextClient:
        if self._connected is None:
            raise RuntimeError(
                "The client is not connected: use it inside `async with`, or call `await client.connect()` first."
            )
        return self._connected

    # ---- starting ----------------------------------------------------------------------------------------------------

    async def start_new(
        self,
        orchestration_function_name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start an instance and return its id.

        Args:
            orchestration_function_name: or the decorated function.
            instance_id: must follow the rules of semantics 8.2; a GUID is made if it is None.
            client_input: a JSON value, or an object with ``to_json``; None means no input.
            start_at: it stays Pending until then; a naive time is UTC.

        Raises:
            ValueError: the id is not allowed.
            InstanceExistsError: a live instance has this id; one that has ended is replaced.
            SerializationError: the input cannot be written as JSON.
        """
        name = _name_of(orchestration_function_name)
        return await self._hub.start_new(
            name,
            input=encode_or_none(client_input, f"the input of orchestrator '{name}'"),
            instance_id=instance_id,
            version=version,
            tags=tags,
            start_at=None if start_at is None else ticks.from_datetime(start_at),
        )

    async def start_many(
        self,
        orchestration_function_name: str | Callable[..., Any],
        inputs: Iterable[Any] | Mapping[str, Any],
        version: str | None = None,
    ) -> list[str]:
        """Start one instance for each input, many at a time, and return their ids in the order of the inputs.

        The first error ends it: what is under way is finished, nothing further is started.

        Args:
            inputs: or a mapping of instance ids to inputs. An iterator is read only as far as instances are started.

        Raises:
            See ``start_new``.
        """
        pairs: Iterable[tuple[str | None, Any]] = (
            inputs.items() if isinstance(inputs, Mapping) else ((None, value) for value in inputs)
        )
        waiting = enumerate(pairs)
        ids: dict[int, str] = {}
        errors: list[BaseException] = []

        async def start_some() -> None:
            for position, (instance_id, value) in waiting:
                try:
                    ids[position] = await self.start_new(orchestration_function_name, instance_id, value, version)
                except BaseException as error:
                    errors.append(error)
                    raise
                if errors:
                    return

        await asyncio.gather(*(start_some() for _ in range(_STARTS_AT_ONCE)), return_exceptions=True)
        if errors:
            raise errors[0]
        return [ids[position] for position in sorted(ids)]

    async def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> str:
        """Start the same function with the same input, and return the id.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceExistsError: the id is to be kept, and its instance has not ended.
        """
        return await self._hub.restart(instance_id, restart_with_new_instance_id=restart_with_new_instance_id)

    # ---- asking ------------------------------------------------------------------------------------------------------

    async def get_status(self, instance_id: str) -> OrchestrationState | None:
        """The instance with input, output and custom status; None if there is none of this id."""
        found = await self._hub.get_status(instance_id)
        return None if found is None else state_of(found)

    async def instances(
        self,
        *,
        runtime_status: Collection[OrchestrationRuntimeStatus] = (),
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        instance_id_prefix: str = "",
        with_payloads: bool = False,
    ) -> AsyncIterator[OrchestrationState]:
        """``async for`` over every instance that fits, by id; pages are read as they are needed.

        Args:
            created_time_from, created_time_to: both inclusive; naive times are UTC.
            with_payloads: also read inputs and outputs that were too large for their row.
        """
        wanted = _filter(runtime_status, created_time_from, created_time_to, instance_id_prefix)
        async for row in self._hub.all_instances(wanted, with_payloads=with_payloads):
            yield state_of(row)

    async def get_history(self, instance_id: str, *, with_payloads: bool = True) -> list[dict[str, Any]]:
        """What an instance has done, as status documents show it: calls merged with their answers.

        Args:
            with_payloads: with inputs and results; large ones are read from their blobs.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        events = await self._hub.get_history(instance_id, with_payloads=with_payloads)
        if not events and await self._hub.get_status(instance_id) is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        return history_events(events, with_input=with_payloads, with_output=with_payloads)

    async def wait_for_completion(
        self,
        instance_id: str,
        timeout: float | None = None,
        *,
        poll: float = _FIRST_POLL,
        longest_poll: float = _LONGEST_POLL,
    ) -> OrchestrationState:
        """Wait until an instance has completed, failed or was terminated; its state tells which.

        Args:
            timeout: seconds; None waits for ever.
            poll, longest_poll: seconds of the first pause between two looks, and of the longest: they grow by half.

        Raises:
            InstanceNotFoundError: there is no such instance, or it was purged meanwhile.
            TimeoutError: it is still running.
        """
        limit = math.inf if timeout is None else timeout
        found = await self._hub.wait_for_completion(instance_id, timeout=limit, poll=poll, longest_poll=longest_poll)
        if found is None:
            raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
        if not found.runtime_status.is_finished:
            raise TimeoutError(f"Instance '{instance_id}' is still {found.runtime_status.name} after {timeout} s.")
        return state_of(found)

    # ---- steering ----------------------------------------------------------------------------------------------------

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any = None) -> None:
        """Send an event to an instance.

        Raises:
            ValueError: the name is empty.
            InstanceNotFoundError, InvalidOperationError: there is no such instance, or it has ended.
            SerializationError: the data cannot be written as JSON.
        """
        text = encode(event_data, f"the data of event '{event_name}'")
        await self._hub.raise_event(instance_id, event_name, text)

    async def terminate(self, instance_id: str, reason: str | None = None, *, recursive: bool = False) -> None:
        """End a live instance; its output becomes ``reason``. ``recursive``: and its sub-orchestrations."""
        await self._hub.terminate(instance_id, reason, recursive=recursive)

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Pause a live instance; what it is sent waits."""
        await self._hub.suspend(instance_id, reason)

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let a suspended instance go on."""
        await self._hub.resume(instance_id, reason)

    async def rewind(self, instance_id: str, reason: str | None = None) -> None:
        """Let a failed instance try the failed step again."""
        await self._hub.rewind(instance_id, reason)

    async def purge(self, instance_id: str) -> PurgeResult:
        """Delete a finished instance with its history and large values.

        Raises:
            InstanceNotFoundError, InvalidOperationError: there is no such instance, or it has not ended.
        """
        return await self._hub.purge(instance_id)

    async def purge_by(
        self,
        *,
        runtime_status: Collection[OrchestrationRuntimeStatus] = (),
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        instance_id_prefix: str = "",
        within: float = math.inf,
    ) -> PurgeResult:
        """Delete the finished instances that fit; those that have not ended are never deleted.

        Args:
            runtime_status: final ones; none means every final one.
            within: seconds after which no further instance is begun; ``is_complete`` is false then.

        Raises:
            ValueError: a status is not final.
        """
        wanted = _filter(runtime_status, created_time_from, created_time_to, instance_id_prefix)
        return await self._hub.purge_many(wanted, within=within)

    # ---- entities ----------------------------------------------------------------------------------------------------

    async def signal_entity(
        self,
        entity_id: EntityId,
        operation_name: str,
        operation_input: Any = None,
        *,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask an entity for an operation, not before ``signal_time``; nobody waits for its result."""
        text = encode_or_none(operation_input, f"the input of operation '{operation_name}' of entity '{entity_id}'")
        due = None if signal_time is None else ticks.from_datetime(signal_time)
        await self._hub.signal_entity(entity_id, operation_name, text, due=due)

    async def read_entity(self, entity_id: EntityId) -> EntityState | None:
        """The entity with its state; None if it does not exist."""
        found = await self._hub.read_entity(entity_id)
        return None if found is None else entity_of(found)

    async def entities(self, name: str | None = None, *, with_state: bool = False) -> AsyncIterator[EntityState]:
        """``async for`` over every entity, or those of one entity function, by id."""
        continuation: str | None = None
        while True:
            page = await self._hub.list_entities(EntityFilter(name, with_state=with_state), continuation=continuation)
            for record in page.entities:
                yield entity_of(record)
            continuation = page.continuation
            if continuation is None:
                return

    async def clean_entities(
        self, *, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanResult:
        """Remove records of entities that no longer exist, release locks whose owner is gone."""
        removed = released = 0
        continuation: str | None = None
        while True:
            result = await self._hub.clean_entities(
                remove_empty_entities=remove_empty_entities,
                release_orphaned_locks=release_orphaned_locks,
                continuation=continuation,
            )
            removed += result.empty_entities_removed
            released += result.orphaned_locks_released
            continuation = result.continuation
            if continuation is None:
                return CleanResult(removed, released)


def _name_of(orchestrator: str | Callable[..., Any]) -> str:
    if isinstance(orchestrator, str):
        return orchestrator
    from durable_core.model.naming import orchestrator_name  # needs the Functions library, as the function does

    return orchestrator_name(orchestrator)


def _filter(
    statuses: Collection[OrchestrationRuntimeStatus], begin: datetime | None, end: datetime | None, prefix: str
) -> InstanceFilter:
    return InstanceFilter(
        created_from=None if begin is None else ticks.from_datetime(begin),
        created_to=None if end is None else ticks.from_datetime(end),
        statuses=[OrchestrationStatus[status.name] for status in statuses],
        prefix=prefix,
    )
