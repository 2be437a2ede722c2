"""Ownership through leases, on a thread and event loop of its own, so that user code can starve no renewal (rule 6)."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from durable_core.errors import DurableError
from durable_core.storage.base import StorageAccount
from durable_core.taskhub.names import HubNames
from durable_core.worker.app_lease import AppLease
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.partitions import PartitionManager

if TYPE_CHECKING:
    from durable_core.worker.worker import TaskHubWorker

logger = logging.getLogger("durable_core.worker")


class _Bridge:
    """Carries the manager's calls from the lease thread to the worker's loop."""

    def __init__(self, worker: TaskHubWorker, loop: asyncio.AbstractEventLoop) -> None:
        self._worker = worker
        self._loop = loop

    def acquired(self, partition: int) -> None:
        self._loop.call_soon_threadsafe(self._worker.acquired, partition)

    def lost(self, partition: int) -> None:
        self._loop.call_soon_threadsafe(self._worker.lost, partition)

    async def drain(self, partition: int) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._worker.drain(partition), self._loop))


class LeasedOwnership:
    """Runs app lease, partition manager and message renewal on the lease thread.

    Args:
        open_account: opens storage clients for the calling loop.
        app_name: for the app lease; None does without one (``useAppLease`` false).
        orphaned: called on the lease thread when this process's parent has died (design rule 7).
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
    ) -> None:
        self._open_account = open_account
        self._names = names
        self._leases = leases
        self._identity = identity
        self._app_name = app_name
        self._orphaned = orphaned
        self._loop: asyncio.AbstractEventLoop | None = None
        self._manager: PartitionManager | None = None
        self._stopping: asyncio.Event | None = None

    async def run(self, worker: TaskHubWorker) -> None:
        """Start the thread and stay until cancelled; then end it."""
        done: Future[None] = Future()
        bridge = _Bridge(worker, asyncio.get_running_loop())
        thread = threading.Thread(target=self._thread, args=(bridge, done), name="durable-leases", daemon=True)
        thread.start()
        try:
            await asyncio.shield(asyncio.wrap_future(done))
        finally:
            self._end()
            await asyncio.get_running_loop().run_in_executor(None, thread.join, 10.0)

    async def release(self) -> None:
        """Let all partitions go."""
        if self._manager is not None:
            await self._on_thread(self._manager.release())
        self._end()

    async def others_alive(self) -> bool:
        return self._manager is not None and bool(self._manager.others)

    def _end(self) -> None:
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _on_thread(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None or self._loop.is_closed():
            work.close()
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _thread(self, bridge: _Bridge, done: Future[None]) -> None:
        try:
            asyncio.run(self._main(bridge))
        except BaseException as error:  # the worker's loop must learn of it, whatever it is
            done.set_exception(error)
        else:
            done.set_result(None)

    async def _main(self, bridge: _Bridge) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        account = self._open_account()
        self._manager = PartitionManager(
            account,
            self._names,
            self._identity.id,
            bridge,
            monotonic=time.monotonic,
            is_dead=self._identity.is_dead,
        )
        tasks = [
            asyncio.create_task(self._own(account, self._manager)),
            asyncio.create_task(self._leases.renew_forever(account.queues)),
            asyncio.create_task(self._watch_parent()),
            asyncio.create_task(self._stopping.wait()),
        ]
        try:
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await account.close()

    async def _own(self, account: StorageAccount, manager: PartitionManager) -> None:
        try:
            if self._app_name is None:
                await manager.run()
            else:
                await AppLease(account.blobs, self._names, self._app_name).run(manager.run)
        except DurableError as error:
            logger.error("This worker owns no partition: %s", error)
            assert self._stopping is not None
            await self._stopping.wait()

    async def _watch_parent(self) -> None:
        """A worker whose parent was killed must not go on beside the one that replaces it (functions-host 18)."""
        parent = os.getppid()
        while True:
            await asyncio.sleep(1.0)
            if os.getppid() != parent and self._orphaned is not None:
                logger.error("The parent process of this worker has ended; the worker stops.")
                self._orphaned()
                return
