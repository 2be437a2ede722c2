"""A task-hub client for another event loop than the one that its storage clients belong to."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from durable_core.core.entity_ids import EntityId
from durable_core.core.history import HistoryEvent
from durable_core.entity_client import CleanResult
from durable_core.taskhub.entity_store import EntityFilter, EntityPage, EntityRecord
from durable_core.taskhub.instance_query import InstanceFilter, InstancePage, PurgeResult
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.scale_report import ScaleReport, WorkerLimits
from durable_core.text_client import TextClient

T = TypeVar("T")


class Caller(Protocol):
    """Runs a client operation on the loop that the client belongs to."""

    async def __call__(self, work: Callable[[TextClient], Coroutine[Any, Any, T]], /) -> T: ...


class ThreadedClient:
    """A ``HubClient`` for the host's loop: every operation runs on the worker's.

    Args:
        make: runs those operations that may make the hub, a start or a signal; None: as all others.
    """

    def __init__(self, task_hub: str, call: Caller, make: Caller | None = None) -> None:
        self._task_hub = task_hub
        self._call = call
        self._make = make or call

    @property
    def task_hub(self) -> str:
        return self._task_hub

    async def start_new(
        self,
        name: str,
        *,
        input: str | None = None,
        instance_id: str | None = None,
        version: str | None = None,
        start_at: int | None = None,
    ) -> str:
        return await self._make(
            lambda client: client.start_new(
                name, input=input, instance_id=instance_id, version=version, start_at=start_at
            )
        )

    async def get_status(self, instance_id: str) -> InstanceStatus | None:
        return await self._call(lambda client: client.get_status(instance_id))

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        return await self._call(lambda client: client.get_history(instance_id))

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        await self._call(lambda client: client.raise_event(instance_id, name, data))

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        await self._call(lambda client: client.terminate(instance_id, reason))

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        await self._call(lambda client: client.suspend(instance_id, reason))

    async def resume(self, instance_id: str, reason: str | None) -> None:
        await self._call(lambda client: client.resume(instance_id, reason))

    async def list_instances(
        self,
        wanted: InstanceFilter | None = None,
        *,
        top: int | None = None,
        continuation: str | None = None,
        with_payloads: bool = True,
    ) -> InstancePage:
        return await self._call(
            lambda client: client.list_instances(
                wanted, top=top, continuation=continuation, with_payloads=with_payloads
            )
        )

    async def purge(self, instance_id: str) -> PurgeResult:
        return await self._call(lambda client: client.purge(instance_id))

    async def purge_many(self, wanted: InstanceFilter, *, within: float = 100.0) -> PurgeResult:
        return await self._call(lambda client: client.purge_many(wanted, within=within))

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        await self._call(lambda client: client.rewind(instance_id, reason))

    async def restart(self, instance_id: str, *, restart_with_new_instance_id: bool = True) -> str:
        return await self._call(
            lambda client: client.restart(instance_id, restart_with_new_instance_id=restart_with_new_instance_id)
        )

    async def read_entity(self, entity_id: EntityId) -> EntityRecord | None:
        return await self._call(lambda client: client.read_entity(entity_id))

    async def signal_entity(
        self, entity_id: EntityId, operation: str, input: str | None = None, *, due: int | None = None
    ) -> None:
        await self._make(lambda client: client.signal_entity(entity_id, operation, input, due=due))

    async def list_entities(
        self, wanted: EntityFilter | None = None, *, top: int | None = None, continuation: str | None = None
    ) -> EntityPage:
        return await self._call(lambda client: client.list_entities(wanted, top=top, continuation=continuation))

    async def scale(self, limits: WorkerLimits, *, interval: float) -> ScaleReport:
        return await self._call(lambda client: client.scale(limits, interval=interval))

    async def clean_entities(
        self,
        *,
        remove_empty_entities: bool = True,
        release_orphaned_locks: bool = True,
        continuation: str | None = None,
    ) -> CleanResult:
        return await self._call(
            lambda client: client.clean_entities(
                remove_empty_entities=remove_empty_entities,
                release_orphaned_locks=release_orphaned_locks,
                continuation=continuation,
            )
        )

    async def wait_for_completion(
        self, instance_id: str, *, timeout: float, poll: float = 1.0
    ) -> InstanceStatus | None:
        return await self._call(lambda client: client.wait_for_completion(instance_id, timeout=timeout, poll=poll))
