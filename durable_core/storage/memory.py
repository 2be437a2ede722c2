"""A faithful emulation of a storage account in this process, for tests, simulation and measurements.

One ``MemoryStorage`` is the service; each client opens an ``account`` on it. Time comes from an injected clock, so that
visibility and leases follow a virtual one. A fault hook sees every call before and after it takes effect.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from durable_core.storage.base import QueueMessage, Row, StorageAccount
from durable_core.storage.memory_blobs import BlobService, MemoryBlobs
from durable_core.storage.memory_gate import FaultHook, Gate, StorageCall
from durable_core.storage.memory_queues import MemoryQueues, QueueService
from durable_core.storage.memory_tables import MemoryTables, TableService


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
        gate = Gate(lambda: self.faults, name)
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


__all__ = ["FaultHook", "MemoryStorage", "StorageCall"]
