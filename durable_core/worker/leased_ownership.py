"""Ownership through leases: app lease, partition manager, and the renewal of held messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Protocol

from durable_core.errors import DurableError
from durable_core.storage.base import StorageAccount
from durable_core.taskhub.hub import PartitionManagement
from durable_core.taskhub.names import HubNames
from durable_core.worker.app_lease import AppLease
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.partitions import Listener, PartitionManager

if TYPE_CHECKING:
    from durable_core.worker.worker import TaskHubWorker

logger = logging.getLogger("durable_core.worker")


class Manager(Protocol):
    """A partition manager."""

    others: set[str]

    async def run(self) -> None: ...

    async def close(self) -> None: ...

    async def release(self) -> None: ...


class LeasedOwnership:
    """Keeps leases on the event loop that ``run`` is called on.

    Args:
        account: storage clients of that loop.
        worker_id: unique among the hub's workers.
        monotonic: seconds.
        app_name: for the app lease; None does without one (``useAppLease`` false).
        is_dead: the owner is a process of this machine that is gone.
        management: through which leases the partitions are divided.
        random: makes lease ids.
    """

    def __init__(
        self,
        account: StorageAccount,
        names: HubNames,
        leases: MessageLeases,
        worker_id: str,
        *,
        monotonic: Callable[[], float],
        app_name: str | None = "",
        is_dead: Callable[[str], bool] = lambda owner: False,
        management: PartitionManagement = PartitionManagement.TABLE,
        random: Random | None = None,
    ) -> None:
        self._account = account
        self._names = names
        self._leases = leases
        self._worker_id = worker_id
        self._monotonic = monotonic
        self._app_name = app_name
        self._is_dead = is_dead
        self._management = management
        self._random = random or Random()
        self._manager: Manager | None = None
        self._app_lease: AppLease | None = None
        self._is_closed = False

    async def run(self, worker: TaskHubWorker) -> None:
        """Own partitions for ``worker``, until cancelled."""
        await self.run_for(worker)

    async def run_for(self, listener: Listener) -> None:
        """Own partitions for anything that listens, until cancelled."""
        self._manager = self._make_manager(listener)
        if self._is_closed:
            await self._manager.close()
        tasks = [
            asyncio.ensure_future(self._own(self._manager)),
            asyncio.ensure_future(self._leases.renew_forever(self._account.queues)),
        ]
        try:
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _make_manager(self, listener: Listener) -> Manager:
        account, names, me = self._account, self._names, self._worker_id
        if self._management is PartitionManagement.BLOB:
            from durable_core.worker.blob_partitions import BlobPartitionManager  # only old hubs need it

            return BlobPartitionManager(account, names, me, listener, monotonic=self._monotonic, random=self._random)
        return PartitionManager(account, names, me, listener, monotonic=self._monotonic, is_dead=self._is_dead)

    async def _own(self, manager: Manager) -> None:
        try:
            if self._app_name is None:
                await manager.run()
            else:
                self._app_lease = AppLease(self._account.blobs, self._names, self._app_name)
                await self._app_lease.run(manager.run)
        except DurableError as error:
            # Retrying would not help, and the messages that are held still need their leases.
            logger.error("This worker owns no partition: %s", error)
            await asyncio.get_running_loop().create_future()

    async def make_primary(self) -> bool:
        """Take the app lease from another app; to be called on the event loop of ``run``."""
        if self._app_lease is None:
            return False
        await self._app_lease.make_primary()
        return True

    async def close(self) -> None:
        """Claim no more partitions."""
        self._is_closed = True
        if self._manager is not None:
            await self._manager.close()

    async def release(self) -> None:
        """Let all partitions go."""
        if self._manager is not None:
            await self._manager.release()

    def others_alive(self) -> bool:
        """Another owner was seen in the last pass over the Partitions table."""
        return self._manager is not None and bool(self._manager.others)
