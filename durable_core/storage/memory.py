"""A faithful emulation of a storage account in this process, for tests, simulation and measurements.

One ``MemoryStorage`` is the service; each client opens an ``account`` on it. Time comes from an injected clock, so that
visibility and leases follow a virtual one. A fault hook sees every call before and after it takes effect.

Where the service's documentation and Azurite differ, this follows the service: it refuses rows, keys and dates that
Azurite stores and Azure would not.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from durable_core.storage.base import QueueMessage, Row, StorageAccount
from durable_core.storage.memory_blobs import BlobService, MemoryBlobs
from durable_core.storage.memory_gate import FaultHook, Gate, LateError, StorageCall
from durable_core.storage.memory_queues import MemoryQueues, QueueService
from durable_core.storage.memory_tables import MemoryTables, TableService


class _Clock:
    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now


class MemoryStorage:
    """The service behind all accounts.

    Args:
        clock: UTC ticks of the service.
        ids: makes message ids and receipts.
        deletion: seconds for which the name of a deleted queue, table or container stays taken; Azure needs 30 and
            more, Azurite none.

    Attributes:
        faults: looked at on every call; may be set and removed at any time.
        under_way: requests that have not taken effect yet, although nobody waits for them any more.
    """

    def __init__(self, clock: Callable[[], int], ids: Random | None = None, *, deletion: int = 0) -> None:
        self.clock = clock
        self.faults: FaultHook | None = None
        self.under_way = 0
        self._queues = QueueService(clock, ids or Random(0), deletion)
        self._tables = TableService(clock, deletion)
        self._blobs = BlobService(clock, deletion)

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

    def limit_scans(self, rows: int | None) -> None:
        """Let each query look at so many rows only, so that pages end early or are empty; None for no limit."""
        if rows is not None and rows < 1:
            raise ValueError(f"a query that looks at {rows} rows never ends")
        self._tables.scan_limit = rows

    # ---- what tests look at; none of it is a call: not counted, no faults -----------------------------------------

    def queue_names(self) -> list[str]:
        return sorted(self._queues.queues)

    def messages(self, queue: str) -> list[QueueMessage]:
        """All messages of a queue, invisible ones included, oldest first; none if it does not exist."""
        return self._queues.all_messages(queue)

    def next_visible(self, queue: str) -> int | None:
        """Ticks at which the queue's next message is visible, maybe in the past; None if there is no message."""
        return self._queues.next_visible(queue)

    def table_names(self) -> list[str]:
        return sorted(table.name for table in self._tables.tables.values())

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, in key order; none if it does not exist."""
        return self._tables.all_rows(table)

    def container_names(self) -> list[str]:
        return sorted(self._blobs.containers)

    def blob_names(self, container: str) -> list[str]:
        """All blobs of a container by name; none if it does not exist."""
        return [found.name for found in self._blobs.found(container, "")]

    def blobs(self, container: str) -> dict[str, bytes]:
        """What is in all blobs of a container, by name."""
        return {name: self._blobs.blob(container, name).data for name in self.blob_names(container)}


__all__ = ["FaultHook", "LateError", "MemoryStorage", "StorageCall"]
