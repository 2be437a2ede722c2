"""The durable client of ``def`` functions: the same methods, blocking (python-api 2.8, 14.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, ClassVar, TypeVar

import azure.functions as func

from durable_core.core.entity_ids import EntityId
from durable_core.entity_client import CleanResult
from durable_core.model.durable_client import DurableOrchestrationClient
from durable_core.model.entity_methods import EntityList, EntityStateResponse
from durable_core.model.instance_methods import PurgeHistoryResult, Statuses
from durable_core.model.runtime import ClientProvider
from durable_core.model.status import DurableOrchestrationStatus

T = TypeVar("T")


class SyncDurableFunctionsClient:
    """``DurableOrchestrationClient`` for functions that run in a thread; arguments, results and errors are its.

    A method called on the thread of a running event loop raises ``RuntimeError`` instead of blocking the loop.
    """

    _client_type: ClassVar[type[DurableOrchestrationClient]] = DurableOrchestrationClient

    def __init__(self, provider: ClientProvider) -> None:
        self._client = self._client_type(provider)

    @property
    def task_hub_name(self) -> str:
        """The task hub that this client talks to."""
        return self._client.task_hub_name

    def start_new(
        self,
        orchestration_function_name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        start_at: datetime | None = None,
    ) -> str:
        """Start an instance and return its id."""
        return _block(
            self._client.start_new(orchestration_function_name, instance_id, client_input, version, start_at=start_at)
        )

    def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """The instance's status; false, never None, if there is no such instance."""
        return _block(self._client.get_status(instance_id, show_history, show_history_output, show_input))

    def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Send an event to an instance."""
        _block(self._client.raise_event(instance_id, event_name, event_data, task_hub_name, connection_name))

    def terminate(self, instance_id: str, reason: str | None) -> None:
        """End a live instance; one that has ended is left as it is."""
        _block(self._client.terminate(instance_id, reason))

    def suspend(self, instance_id: str, reason: str | None) -> None:
        """Pause a live instance."""
        _block(self._client.suspend(instance_id, reason))

    def resume(self, instance_id: str, reason: str | None) -> None:
        """Let a suspended instance go on."""
        _block(self._client.resume(instance_id, reason))

    def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """The status of every instance of the hub, entities left out."""
        return _block(self._client.get_status_all())

    def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """The status of every instance that fits all conditions."""
        return _block(
            self._client.get_status_by(created_time_from, created_time_to, runtime_status, instance_id_prefix)
        )

    def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Remove one finished instance."""
        return _block(self._client.purge_instance_history(instance_id))

    def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses | None = None,
    ) -> PurgeHistoryResult:
        """Remove the finished instances that fit."""
        return _block(self._client.purge_instance_history_by(created_time_from, created_time_to, runtime_status))

    def rewind(
        self, instance_id: str, reason: str, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> None:
        """Let a failed instance go on from where it failed."""
        _block(self._client.rewind(instance_id, reason, task_hub_name, connection_name))

    def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> Any:
        """Start the same function with the same input."""
        return _block(self._client.restart(instance_id, restart_with_new_instance_id))

    def signal_entity(
        self,
        entityId: EntityId,
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask an entity for an operation; it is created if it does not exist."""
        _block(
            self._client.signal_entity(
                entityId, operation_name, operation_input, task_hub_name, connection_name, signal_time
            )
        )

    def read_entity_state(
        self, entityId: EntityId, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> EntityStateResponse:
        """The entity's state after its last batch of operations."""
        return _block(self._client.read_entity_state(entityId, task_hub_name, connection_name))

    def list_entities(
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
        """A page of the hub's entities, in the order of their ids."""
        return _block(
            self._client.list_entities(
                entity_name,
                last_modified_from=last_modified_from,
                last_modified_to=last_modified_to,
                include_state=include_state,
                include_transient=include_transient,
                top=top,
                continuation_token=continuation_token,
            )
        )

    def clean_entity_storage(
        self,
        remove_empty_entities: bool = True,
        release_orphaned_locks: bool = True,
        continuation_token: str | None = None,
    ) -> CleanResult:
        """Remove the records of entities that no longer exist, and release locks whose owner is gone."""
        return _block(
            self._client.clean_entity_storage(remove_empty_entities, release_orphaned_locks, continuation_token)
        )

    def wait_for_completion_or_create_check_status_response(
        self,
        request: func.HttpRequest,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
    ) -> func.HttpResponse:
        """Answer with the output if the instance ends in time, else with the check-status links (202)."""
        return _block(
            self._client.wait_for_completion_or_create_check_status_response(
                request, instance_id, timeout_in_milliseconds, retry_interval_in_milliseconds
            )
        )

    def create_check_status_response(self, request: func.HttpRequest, instance_id: str) -> func.HttpResponse:
        """The 202 answer with the instance's management links."""
        return self._client.create_check_status_response(request, instance_id)

    def create_http_management_payload(self, instance_id: str) -> dict[str, str]:
        """The instance's management links, as the host is configured."""
        return self._client.create_http_management_payload(instance_id)

    def get_client_response_links(self, request: func.HttpRequest | None, instance_id: str) -> dict[str, str]:
        """The links with scheme and host of ``request``."""
        return self._client.get_client_response_links(request, instance_id)


def _block(work: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise RuntimeError(
        "A blocking durable client was used on the thread of a running event loop, which it would stop; make the "
        "function `async def` and await the methods of its DurableOrchestrationClient."
    )
