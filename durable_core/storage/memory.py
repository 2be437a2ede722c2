"""A faithful emulation of a storage account in this process, for tests, simulation and measurements.

One ``MemoryStorage`` is the service; each client opens an ``account`` on it. Time comes from an injected clock, so that
visibility and leases follow a virtual one. A fault hook sees every call before and after it takes effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from durable_core.storage.base import CallCounter, QueueMessage, Row, StorageAccount
from durable_core.storage.memory_blobs import BlobService, MemoryBlobs
from durable_core.storage.memory_queues import MemoryQueues, QueueService
from durable_core.storage.memory_tables import MemoryTables, TableService


@dataclass(frozen=True, slots=True)
class StorageCall:
    """One request, as a fault hook sees it.

    Attributes:
        kind: e.g. ``queue.put``; the names of ``CallCounter``.
        resource: queue, table or container.
        client: name of the account that makes the call.
    """

    kind: str
    resource: str
    client: str


class FaultHook(Protocol):
    """May raise or wait around every call."""

    async def before(self, call: StorageCall) -> None:
        """Raising here means that the call never happened."""

    async def after(self, call: StorageCall) -> None:
        """Raising here means that the call took effect and its caller does not know."""


class Gate:
    """Counts the calls of one client and lets the fault hook, if there is one, have its way."""

    __slots__ = ("_client", "_storage", "calls")

    def __init__(self, storage: MemoryStorage, client: str) -> None:
        self._storage = storage
        self._client = client
        self.calls = CallCounter()

    async def enter(self, kind: str, resource: str) -> None:
        self.calls.add(kind)
        hook = self._storage.faults
        if hook is not None:
            await hook.before(StorageCall(kind, resource, self._client))

    async def leave(self, kind: str, resource: str) -> None:
        hook = self._storage.faults
        if hook is not None:
            await hook.after(StorageCall(kind, resource, self._client))


class _Clock:
    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now

    def now(self) -> int:
        return self._now()


class MemoryStorage:
    """The service behind all accounts.

    Args:
        clock: UTC ticks of the service.
        random: makes message ids and receipts.
    """

    def __init__(self, clock: Callable[[], int], random: Random | None = None) -> None:
        self.clock = clock
        self.faults: FaultHook | None = None
        source = random or Random(0)
        self._queues = QueueService(clock, source)
        self._tables = TableService(clock)
        self._blobs = BlobService(clock)

    def account(self, name: str = "memory") -> StorageAccount:
        """A client of this service; ``name`` tells a fault hook whose calls it sees."""
        gate = Gate(self, name)
        return StorageAccount(
            name,
            MemoryQueues(self._queues, gate),
            MemoryTables(self._tables, gate),
            MemoryBlobs(self._blobs, gate),
            _Clock(self.clock),
            gate.calls,
        )

    # ---- what tests look at ----------------------------------------------------------------------------------------

    def messages(self, queue: str) -> list[QueueMessage]:
        """All messages of a queue, invisible ones included, oldest first."""
        return self._queues.all_messages(queue)

    def queue_names(self) -> list[str]:
        return sorted(self._queues.queues)

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, in key order."""
        return self._tables.all_rows(table)

    def blob_names(self, container: str) -> list[str]:
        """All blobs of a container; empty if it does not exist."""
        return self._blobs.names(container)
