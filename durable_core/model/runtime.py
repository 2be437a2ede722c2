"""What the programming model needs from the process it runs in; the host provides it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from durable_core.core.entity_ids import EntityId
from durable_core.core.history import HistoryEvent
from durable_core.entity_client import CleanResult
from durable_core.errors import ConfigurationError
from durable_core.taskhub.entity_store import EntityFilter, EntityPage, EntityRecord
from durable_core.taskhub.instance_query import InstanceFilter, InstancePage, PurgeResult
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.scale_report import ScaleReport, WorkerLimits


class HubClient(Protocol):
    """A task-hub client whose methods may be awaited on the user's event loop; all values are JSON text."""

    @property
    def task_hub(self) -> str: ...

    async def start_new(
        self,
        name: str,
        *,
        input: str | None = None,
        instance_id: str | None = None,
        version: str | None = None,
        start_at: int | None = None,
    ) -> str: ...

    async def get_status(self, instance_id: str) -> InstanceStatus | None: ...

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]: ...

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None: ...

    async def terminate(self, instance_id: str, reason: str | None) -> None: ...

    async def suspend(self, instance_id: str, reason: str | None) -> None: ...

    async def resume(self, instance_id: str, reason: str | None) -> None: ...

    async def wait_for_completion(
        self, instance_id: str, *, timeout: float, poll: float = 1.0
    ) -> InstanceStatus | None: ...

    async def list_instances(
        self,
        wanted: InstanceFilter | None = None,
        *,
        top: int | None = None,
        continuation: str | None = None,
        with_payloads: bool = True,
    ) -> InstancePage: ...

    async def purge(self, instance_id: str) -> PurgeResult: ...

    async def purge_many(self, wanted: InstanceFilter, *, within: float = 100.0) -> PurgeResult: ...

    async def rewind(self, instance_id: str, reason: str | None) -> None: ...

    async def restart(self, instance_id: str, *, restart_with_new_instance_id: bool = True) -> str: ...

    async def read_entity(self, entity_id: EntityId) -> EntityRecord | None: ...

    async def signal_entity(
        self, entity_id: EntityId, operation: str, input: str | None = None, *, due: int | None = None
    ) -> None: ...

    async def list_entities(
        self, wanted: EntityFilter | None = None, *, top: int | None = None, continuation: str | None = None
    ) -> EntityPage: ...

    async def scale(self, limits: WorkerLimits, *, interval: float) -> ScaleReport: ...

    async def clean_entities(
        self,
        *,
        remove_empty_entities: bool = True,
        release_orphaned_locks: bool = True,
        continuation: str | None = None,
    ) -> CleanResult: ...


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Where management links point.

    Attributes:
        base: address of the management API without a trailing slash.
        connection: name of the storage connection, part of every link.
        code: key that the links carry, if they need one.
        passes_key: without such a key, carry the one that the caller of the function presented.
    """

    base: str
    connection: str = "Storage"
    code: str | None = None
    passes_key: bool = False


@dataclass(frozen=True, slots=True)
class ClientProvider:
    """What a host gives to client functions.

    Attributes:
        client: of the app's own hub.
        others: makes the client of another hub, from its name and the name of a storage connection; None for what is
            as the app has it.
    """

    client: HubClient
    links: LinkSettings
    others: Callable[[str | None, str | None], HubClient] | None = None

    def at(self, task_hub: str | None, connection: str | None) -> ClientProvider:
        """The provider of another hub or storage account.

        Raises:
            ConfigurationError: the host has none, or the name cannot be used.
        """
        if task_hub in (None, self.client.task_hub) and connection in (None, self.links.connection):
            return self
        if self.others is None:
            raise ConfigurationError(
                f"This host only knows the task hub '{self.client.task_hub}'; leave task hub and connection out."
            )
        links = self.links if connection is None else replace(self.links, connection=connection)
        return replace(self, client=self.others(task_hub, connection), links=links)


_current: list[ClientProvider | ConfigurationError] = []
"""The provider of this process, if a host has set one, or why it could not."""


def set_client_provider(provider: ClientProvider | ConfigurationError | None) -> None:
    """Called by the host before the first function runs, and with None when it stops.

    Args:
        provider: or the error that keeps the task hub from running; every client function then raises it.
    """
    _current[:] = [] if provider is None else [provider]


@contextmanager
def provided(provider: ClientProvider) -> Iterator[None]:
    """Functions get their clients from ``provider`` inside; the one from before comes back behind."""
    before = list(_current)
    _current[:] = [provider]
    try:
        yield
    finally:
        _current[:] = before


def client_provider() -> ClientProvider:
    """The provider of this process.

    Raises:
        ConfigurationError: no host has set one, or the settings of the task hub cannot be used.
    """
    if not _current:
        raise ConfigurationError(
            "No task hub is running in this process, so there is no durable client. Start the app with "
            "`durable start`; in a unit test call the function's `.client_function` with a client of your own."
        )
    if isinstance(_current[0], ConfigurationError):
        raise ConfigurationError(str(_current[0]))
    return _current[0]
