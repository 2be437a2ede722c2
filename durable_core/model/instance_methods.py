"""The part of the durable client that lists, purges, rewinds and restarts instances (python-api 8)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from durable_core.core import ticks
from durable_core.core.history import OrchestrationStatus
from durable_core.errors import InstanceNotFoundError, InvalidOperationError
from durable_core.model.runtime import HubClient
from durable_core.model.status import DurableOrchestrationStatus, OrchestrationRuntimeStatus, status_of
from durable_core.taskhub.instance_query import InstanceFilter

Statuses = Sequence[OrchestrationRuntimeStatus]


class PurgeHistoryResult:
    """What a purge removed.

    Args:
        instancesDeleted: number of instances.
        others: are ignored.
    """

    def __init__(self, instancesDeleted: int, **others: Any) -> None:
        self._instances_deleted = instancesDeleted

    @classmethod
    def from_json(cls, json_obj: dict[str, Any]) -> PurgeHistoryResult:
        """The result that an answer of the HTTP API tells."""
        return cls(**json_obj)

    @property
    def instances_deleted(self) -> int:
        """Number of instances that are gone."""
        return self._instances_deleted


class InstanceMethods:
    """Lists, purges, rewinds and restarts instances."""

    _hub: HubClient
    _shows_all = False
    """As under ``azure.durable_functions``: lists have entities, and inputs are shown whatever was asked for."""

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """The status of every instance of the hub; entities only under ``azure.durable_functions``."""
        return await self.get_status_by()

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """The status of every instance that fits all conditions.

        Args:
            created_time_from, created_time_to: both inclusive; naive times are UTC.
            runtime_status: members of ``OrchestrationRuntimeStatus``; None or none at all means any.

        Raises:
            ValueError: a status is none.
        """
        wanted = _filter(created_time_from, created_time_to, runtime_status, instance_id_prefix)
        wanted = replace(wanted, include_entities=self._shows_all)
        return [status async for status in self._statuses(wanted)]

    async def _statuses(self, wanted: InstanceFilter) -> AsyncIterator[DurableOrchestrationStatus]:
        continuation: str | None = None
        while True:
            page = await self._hub.list_instances(wanted, continuation=continuation)
            for row in page.instances:
                yield status_of(row, show_input=self._shows_all)
            continuation = page.continuation
            if continuation is None:
                return

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Remove one finished instance; a result of 0 says that there is none.

        Raises:
            InvalidOperationError: the instance has not ended.
        """
        try:
            return PurgeHistoryResult((await self._hub.purge(instance_id)).deleted)
        except InstanceNotFoundError:
            return PurgeHistoryResult(0)

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses | None = None,
    ) -> PurgeHistoryResult:
        """Remove the finished instances that fit, and tell how many.

        Args:
            created_time_from: required; a naive time is UTC.
            runtime_status: final statuses; None or none at all means every final one.

        Raises:
            ValueError: ``created_time_from`` is missing, or a status is not final.
        """
        if created_time_from is None:
            raise ValueError("created_time_from is required: instances that were created before it stay")
        wanted = _filter(created_time_from, created_time_to, runtime_status, None).finished()
        deleted = 0
        while True:
            result = await self._hub.purge_many(wanted)
            deleted += result.deleted
            if result.is_complete:
                return PurgeHistoryResult(deleted)

    async def rewind(
        self, instance_id: str, reason: str, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> None:
        """Let a failed instance go on from where it failed.

        Args:
            task_hub_name, connection_name: of another hub than this client's.

        Raises:
            Exception: there is no such instance, or it has not failed.
        """
        hub = self._hub_at(task_hub_name, connection_name)
        try:
            await hub.rewind(instance_id, reason)
        except InstanceNotFoundError as error:
            raise Exception(f"No instance with ID {instance_id} found.") from error
        except InvalidOperationError as error:
            raise Exception(str(error)) from error

    async def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> Any:
        """Start the same function with the same input, and return the id of the instance.

        Raises:
            Exception: there is no such instance.
            InstanceExistsError: the id is to be kept, and its instance has not ended.
        """
        try:
            return await self._hub.restart(instance_id, restart_with_new_instance_id=restart_with_new_instance_id)
        except InstanceNotFoundError as error:
            raise Exception(f"No instance with ID '{instance_id}' found.") from error

    def _hub_at(self, task_hub_name: str | None, connection_name: str | None) -> HubClient:
        raise NotImplementedError


def _filter(
    created_from: datetime | None, created_to: datetime | None, statuses: Statuses | None, prefix: str | None
) -> InstanceFilter:
    for status in statuses or ():
        if not isinstance(status, OrchestrationRuntimeStatus):
            raise ValueError(f"runtime_status must be members of OrchestrationRuntimeStatus, not {status!r}")
    return InstanceFilter(
        None if created_from is None else ticks.from_datetime(created_from),
        None if created_to is None else ticks.from_datetime(created_to),
        [OrchestrationStatus[status.name] for status in statuses or ()],
        prefix or "",
    )
