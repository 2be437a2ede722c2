"""Leases on a thread and event loop of their own, so that user code can starve no renewal (design rule 6)."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from durable_core.storage.base import StorageAccount
from durable_core.storage.sleepless import sleepless_seconds
from durable_core.taskhub.hub import PartitionManagement
from durable_core.taskhub.names import HubNames
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.leased_ownership import LeasedOwnership
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.parent_watch import ParentWatch
from durable_core.worker.partitions import Listener

if TYPE_CHECKING:
    from durable_core.worker.worker import TaskHubWorker

logger = logging.getLogger("durable_core.worker")

_JOIN = 10.0


class _Bridge:
    """Carries the partition manager's calls from the lease thread to the worker's loop."""

    def __init__(self, worker: Listener, loop: asyncio.AbstractEventLoop) -> None:
        self._worker = worker
        self._loop = loop

    def acquired(self, partition: int, *, taken_over: bool = False) -> None:
        self._loop.call_soon_threadsafe(partial(self._worker.acquired, partition, taken_over=taken_over))

    def lost(self, partition: int) -> None:
        self._loop.call_soon_threadsafe(self._worker.lost, partition)

    async def drain(self, partition: int) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._worker.drain(partition), self._loop))


class LeaseThread:
    """``LeasedOwnership`` on a thread.

    Args:
        open_account: opens storage clients for the thread's loop.
        app_name: for the app lease; None does without one.
        orphaned: called on the thread when this process's parent has died (design rule 7); None for a process that may
            outlive its parent, like a host started with nohup.
        management: through which leases the partitions are divided.
    """

    def __init__(
        self,
        open_account: Callable[[], StorageAccount],
        names: HubNames,
        leases: MessageLeases,
        identity: WorkerIdentity,
        *,
        app_name: str | None = "",
        orphaned: Callable[[], None] | None = None,
        management: PartitionManagement = PartitionManagement.TABLE,
    ) -> None:
        self._open_account = open_account
        self._names = names
        self._leases = leases
        self._identity = identity
        self._app_name = app_name
        self._orphaned = orphaned
        self._management = management
        self._parent = ParentWatch()
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ownership: LeasedOwnership | None = None
        self._stopping: asyncio.Event | None = None

    async def run(self, worker: TaskHubWorker) -> None:
        """Start the thread and stay until cancelled; then end it."""
        ended: Future[None] = Future()
        bridge = _Bridge(worker, asyncio.get_running_loop())
        # What the lease thread sets going on the worker's loop belongs to the same context as the worker.
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(self._thread, bridge, ended), name="durable-leases", daemon=True)
        thread.start()
        try:
            await asyncio.shield(asyncio.wrap_future(ended))
        finally:
            self._end()
            await asyncio.get_running_loop().run_in_executor(None, thread.join, _JOIN)

    async def close(self) -> None:
        """Claim no more partitions."""
        await self._there(LeasedOwnership.close)

    async def release(self) -> None:
        """Let all partitions go. The thread goes on: messages that are held still need their leases."""
        await self._there(LeasedOwnership.release)

    async def _there(self, action: Callable[[LeasedOwnership], Coroutine[Any, Any, None]]) -> None:
        if self._loop is None or self._ownership is None:
            self._end()  # it has not begun to own anything, and must not
        elif not self._loop.is_closed():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(action(self._ownership), self._loop))

    async def make_primary(self) -> bool:
        """Take the app lease from another app; False if none is used."""
        if self._loop is None or self._ownership is None or self._loop.is_closed():
            return False
        made = asyncio.run_coroutine_threadsafe(self._ownership.make_primary(), self._loop)
        return await asyncio.wrap_future(made)

    def others_alive(self) -> bool:
        """Another owner was seen in the last pass over the Partitions table."""
        return self._ownership is not None and self._ownership.others_alive()

    def _end(self) -> None:
        self._ended.set()
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    def _thread(self, bridge: _Bridge, ended: Future[None]) -> None:
        try:
            asyncio.run(self._main(bridge))
        except BaseException as error:  # the worker's loop must learn of it, whatever it is
            ended.set_exception(error)
        else:
            ended.set_result(None)

    async def _main(self, bridge: _Bridge) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        if self._ended.is_set():
            return
        account = self._open_account()
        self._ownership = LeasedOwnership(
            account,
            self._names,
            self._leases,
            self._identity.id,
            monotonic=sleepless_seconds,
            app_name=self._app_name,
            is_dead=self._identity.is_dead,
            management=self._management,
        )
        tasks = [
            asyncio.create_task(self._ownership.run_for(bridge)),
            asyncio.create_task(self._stopping.wait(), name="stop"),
        ]
        if self._orphaned is not None:
            tasks.append(asyncio.create_task(self._watch_parent(self._orphaned)))
        try:
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await account.close()

    async def _watch_parent(self, orphaned: Callable[[], None]) -> None:
        """A worker whose parent was killed must not go on beside the one that replaces it (functions-host 18)."""
        await self._parent.wait()
        logger.error("The parent process of this worker has ended; the worker stops.")
        orphaned()
        # Until the worker has given everything back, its leases are still needed.
        await asyncio.get_running_loop().create_future()
