"""Holding the app lease, and running the partition manager while it is held (task-hub 7.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from durable_core.errors import NotFoundError, PreconditionFailedError, StorageError
from durable_core.storage.base import BlobStore
from durable_core.taskhub.app_lease import AppLeaseInfo, lease_id, read_info, write_info
from durable_core.taskhub.names import HubNames
from durable_core.worker.complaints import Complaint

logger = logging.getLogger("durable_core.worker")

_FAILED_START = 5.0


class AppLease:
    """One app's lease on a hub; all workers of the app hold it together.

    Args:
        app_name: site name of the app, empty when it has none.
        lease: seconds that the lease lasts.
        renew: seconds between renewals.
        acquire: seconds between tries while another app holds it.
    """

    def __init__(
        self,
        blobs: BlobStore,
        names: HubNames,
        app_name: str,
        *,
        lease: int = 60,
        renew: float = 25.0,
        acquire: float = 300.0,
    ) -> None:
        self._blobs = blobs
        self._names = names
        self._id = lease_id(app_name)
        self._lease = lease
        self._renew = renew
        self._acquire = acquire
        self._again = asyncio.Event()
        self._complaint = Complaint("The app lease could not be renewed, the worker goes on")

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` whenever the lease is held, until cancelled; it is cancelled when the lease is lost."""
        while True:
            try:
                await self._take()
            except PreconditionFailedError:
                logger.warning(
                    "Another app holds task hub %s; trying again in %.0f s. Give each app a hub name of its own "
                    "(extensions.durableTask.hubName), or set useAppLease to false.",
                    self._names.hub,
                    self._acquire,
                )
                await self._pause(self._acquire)
                continue
            except StorageError as error:
                logger.warning("The app lease of task hub %s could not be taken: %s", self._names.hub, error)
                await self._pause(_FAILED_START)
                continue
            await self._while_held(work)

    async def _take(self) -> None:
        info = await read_info(self._blobs, self._names)
        if info.desired_swap_id == self._id and info.owner_id is not None and info.owner_id != self._id:
            try:
                await self._blobs.change_lease(self._names.app_lease, None, lease=info.owner_id, proposed=self._id)
            except PreconditionFailedError:  # the owner is gone, and a lease that has run out cannot be changed
                await self._acquire_lease()
        else:
            await self._acquire_lease()
        if info != AppLeaseInfo(self._id):
            await write_info(self._blobs, self._names, AppLeaseInfo(self._id))

    async def _acquire_lease(self) -> None:
        await self._blobs.acquire_lease(self._names.app_lease, None, lease=self._id, seconds=self._lease)

    async def _pause(self, seconds: float) -> None:
        timer = asyncio.get_running_loop().call_later(seconds, self._again.set)
        try:
            await self._again.wait()
        finally:
            timer.cancel()
            self._again.clear()

    async def _while_held(self, work: Callable[[], Awaitable[None]]) -> None:
        running = asyncio.ensure_future(work())
        try:
            while not running.done():
                await asyncio.wait([running], timeout=self._renew)
                if not running.done() and not await self._renewed():
                    logger.warning("The app lease of task hub %s was lost.", self._names.hub)
                    return
            await running
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def _renewed(self) -> bool:
        try:
            await self._blobs.renew_lease(self._names.app_lease, None, lease=self._id)
        except (PreconditionFailedError, NotFoundError):
            return False
        except StorageError as error:
            self._complaint.failed(error)
        else:
            self._complaint.recovered()
        return True

    async def make_primary(self) -> None:
        """Take the lease from the app that holds it, at once; that app learns of it from its next renewal.

        To be called on the event loop of ``run``. Nothing happens when this app holds the lease.

        Raises:
            StorageError: the wish could not be written.
        """
        info = await read_info(self._blobs, self._names)
        if info.owner_id == self._id and info.desired_swap_id is None:
            return
        await write_info(self._blobs, self._names, AppLeaseInfo(info.owner_id, self._id))
        self._again.set()
