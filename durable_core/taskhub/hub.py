"""One task hub: its names, its stores, and making sure that it exists."""

from __future__ import annotations

import asyncio
from enum import Enum
from random import Random

from durable_core.errors import AlreadyExistsError, NotFoundError, UnavailableError
from durable_core.storage.base import StorageAccount
from durable_core.taskhub.app_lease import create_app_lease
from durable_core.taskhub.blob_leases import LeaseKind, create_leases
from durable_core.taskhub.history_store import HistoryStore
from durable_core.taskhub.instance_store import InstanceStore
from durable_core.taskhub.messages import MessageStore
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitioning import partition_of
from durable_core.taskhub.partitions import PartitionRow, check_partitions, new_row, read_partition
from durable_core.taskhub.payloads import PayloadStore
from durable_core.taskhub.poison import PoisonStore


class PartitionManagement(Enum):
    """How workers divide the partitions; all workers of a hub must do it in the same way (task-hub 7)."""

    TABLE = "table"
    BLOB = "blob"


class TaskHub:
    """Facade of one hub in one storage account.

    Args:
        account: the connection; the hub does not close it.
        names: what everything is called.
        random: source of message, blob and execution ids.
        management: decides where ``create`` keeps the leases.

    Attributes:
        messages: sends and opens queue messages.
        history: loads and appends histories.
        instances: reads and writes Instances rows.
        now: UTC ticks on the storage service's clock (design rule 10).
        poison: the messages that were set aside.
    """

    def __init__(
        self,
        account: StorageAccount,
        names: HubNames,
        random: Random,
        management: PartitionManagement = PartitionManagement.TABLE,
    ) -> None:
        self.account = account
        self.now = account.clock.now
        self._management = management
        self.names = names
        self.payloads = PayloadStore(account.blobs, names.large_messages, random)
        self.messages = MessageStore(account.queues, names, self.payloads, random, self.now)
        self.history = HistoryStore(account.tables, names, self.payloads, self.now)
        self.poison = PoisonStore(account, names, self.messages)
        self.instances = InstanceStore(account.tables, names, self.payloads, self.now)

    def partition_of(self, instance_id: str) -> int:
        """Index of the control queue that serves the instance (task-hub 2)."""
        return partition_of(instance_id, self.names.partition_count)

    async def create(self) -> None:
        """Create what is missing of the hub; nothing that exists is touched (task-hub 8.1).

        Raises:
            ConfigurationError: the hub exists with another number of partitions.
            UnavailableError: workers that divide the partitions in the other way run now; to be tried again.
        """
        account, names = self.account, self.names
        await asyncio.gather(
            self._create_leases(),
            create_app_lease(account.blobs, names),
            account.tables.create(names.history),
            account.tables.create(names.instances),
            account.queues.create(names.work_items),
        )
        # Only when the partitions are known to be as many as this process is configured for.
        await asyncio.gather(*(account.queues.create(queue) for queue in names.control_queues))

    async def _create_leases(self) -> None:
        if self._management is PartitionManagement.TABLE:
            await self._check_no_blob_leases()
            await self._create_partitions()
        else:
            await self._check_no_table_leases()
            await create_leases(self.account.blobs, self.names, self.now())

    async def _check_no_blob_leases(self) -> None:
        async for found in self.account.blobs.list(self.names.leases, f"{LeaseKind.OWNERSHIP.value}/"):
            if found.is_leased:
                raise self._other_management("blob leases", "false")

    async def _check_no_table_leases(self) -> None:
        try:
            page = await self.account.tables.query(self.names.partitions)
        except NotFoundError:
            return
        rows = [read_partition(row) for row in page.rows]
        if any(row.current_owner is not None and not row.is_expired(self.now()) for row in rows):
            raise self._other_management("the Partitions table", "true")

    def _other_management(self, means: str, setting: str) -> UnavailableError:
        return UnavailableError(
            f"the partitions of task hub {self.names.hub} are owned through {means} by workers that run now, and this "
            "worker would not see them. Set extensions.durableTask.storageProvider.useTablePartitionManagement in "
            f"host.json to {setting}, or stop those workers first"
        )

    async def _create_partitions(self) -> None:
        tables, names = self.account.tables, self.names
        present: list[PartitionRow] = []
        if not await tables.create(names.partitions):
            present = [read_partition(row) for row in (await tables.query(names.partitions)).rows]
            if present:
                check_partitions(names.hub, present, names.control_queues, creating=True)
        missing = set(names.control_queues) - {row.partition for row in present}
        await asyncio.gather(*(self._create_partition(queue) for queue in sorted(missing)))

    async def _create_partition(self, queue: str) -> None:
        try:
            await self.account.tables.insert(self.names.partitions, new_row(queue))
        except AlreadyExistsError:
            return
