"""The task-hub worker beside a host: a thread with an event loop of its own, and a client that reaches into it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from random import Random
from typing import Any, TypeVar

from durable_core.errors import ConfigurationError, StorageError, UnavailableError
from durable_core.host.functions_logging import BACKGROUND
from durable_core.host.options import DurableOptions
from durable_core.host.other_hubs import OtherHubs, ReachableHubs
from durable_core.host.threaded_client import ThreadedClient
from durable_core.model.http_calls import set_default_pause
from durable_core.storage.azure import open_account
from durable_core.storage.base import StorageAccount
from durable_core.storage.settings import ConnectionSettings
from durable_core.taskhub.hub import TaskHub
from durable_core.text_client import TextClient
from durable_core.worker.functions import Functions
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.lease_thread import LeaseThread
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.user_code import ThreadedUserCode
from durable_core.worker.worker import TaskHubWorker

logger = logging.getLogger("durable_core.host")

T = TypeVar("T")

_LONGEST_PAUSE = 30.0


class WorkerRuntime:
    """A task-hub worker on its own thread.

    Args:
        connection: the storage account.
        user_loop: where asynchronous activities run; None: on the worker's own.
        environ: read for the app's name.
        ends_with_parent: stop the worker when the process that started this one is gone, as inside the Functions host.
    """

    def __init__(
        self,
        functions: Functions,
        options: DurableOptions,
        connection: ConnectionSettings,
        user_loop: asyncio.AbstractEventLoop | None,
        environ: Mapping[str, str] = os.environ,
        *,
        ends_with_parent: bool = False,
    ) -> None:
        for remark in options.remarks:
            logger.warning("%s", remark)
        set_default_pause(options.http_pause)
        self._functions = functions
        self._options = options
        self._connection = connection
        self._user_loop = user_loop
        self._app_name = environ.get("WEBSITE_SITE_NAME", "") if options.use_app_lease else None
        self._ends_with_parent = ends_with_parent
        self._grace: float | None = None
        self._is_told_to_drain = self._is_told_to_stop = False
        """Also before the thread has a loop that could be told."""
        self.is_orphaned = False
        """The process that started this one is gone, and the worker has ended for that."""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Event | None = None
        self._stopping: asyncio.Event | None = None
        self._client: TextClient | None = None
        self._ready: Future[None] = Future()
        self._ended: Future[None] = Future()
        self.client = ThreadedClient(options.names.hub, self.call)
        self._worker: TaskHubWorker | None = None
        self._others = OtherHubs(options)
        self.hubs = ReachableHubs(self, self._others, options, functions, environ)

    @property
    def task_hub(self) -> str:
        """Name of the task hub."""
        return self._options.names.hub

    @property
    def has_ended(self) -> bool:
        """The worker was started and runs no more."""
        return self._ended.done()

    def start(self) -> None:
        """Start the thread; the worker connects in the background, with back-off, until storage answers."""
        self._thread = threading.Thread(target=self._run, name="durable-worker", daemon=True)
        self._thread.start()

    def drain(self, grace: float | None = None) -> None:
        """Let other workers have the partitions, at once. Activities go on for their grace time, the client until
        ``stop``.

        Args:
            grace: seconds that activities get instead of ``gracefulShutdownTimeout``.
        """
        self._grace = grace if self._grace is None else self._grace
        self._is_told_to_drain = True
        if self._loop is not None and self._draining is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._draining.set)

    async def stop(self) -> None:
        """Drain and end the worker."""
        self._stop_from_anywhere()
        if self._thread is not None:
            await asyncio.wrap_future(self._ended)

    async def call(self, work: Callable[[TextClient], Coroutine[Any, Any, T]]) -> T:
        """Run a client operation on the worker's loop, as soon as the worker is connected.

        Raises:
            UnavailableError: it is not connected within half a minute.
        """
        return await self.on_loop(lambda: work(self._connected()))

    async def on_loop(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The same for work that does not need the worker's own client."""
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._ready)), _LONGEST_PAUSE)
        except asyncio.TimeoutError:
            raise UnavailableError(
                f"Task hub '{self.task_hub}' cannot be reached: its storage account has not answered yet."
            ) from None
        assert self._loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))

    async def wait_connected(self, seconds: float) -> None:
        """Return when the worker is connected, has failed to, or ``seconds`` have passed."""
        ready = asyncio.wrap_future(self._ready)
        ready.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen by those who need the worker
        await asyncio.wait([ready], timeout=seconds)

    def _connected(self) -> TextClient:
        assert self._client is not None
        return self._client

    async def make_primary(self) -> bool:
        """Have this app's workers serve the hub instead of another app's; False if the app lease is not used."""
        worker = self._worker
        return await self.on_loop(worker.make_primary) if worker is not None else False

    def _run(self) -> None:
        failure = ConfigurationError("The task hub worker is not running.")
        BACKGROUND.set(True)
        try:
            asyncio.run(self._main())
        except ConfigurationError as error:
            logger.error("The task hub worker cannot run: %s", error)
            failure = error
        except Exception:  # the thread's end must be seen, and must not take the host down
            logger.exception("The task hub worker ended unexpectedly.")
        finally:
            if not self._ready.done():
                self._ready.set_exception(failure)
            self._ended.set_result(None)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._draining = asyncio.Event()
        if self._is_told_to_drain:
            self._draining.set()
        if self._is_told_to_stop:
            self._stopping.set()
        account = self._open()
        identity = WorkerIdentity()
        worker, client = self._build(account, identity)
        try:
            if await self._connect(worker):
                self._client, self._worker = client, worker
                self._ready.set_result(None)
                logger.info("Task hub '%s': worker %s is running.", self.task_hub, identity.id)
                await self._draining.wait()
                await worker.stop(self._grace)
                await self._stopping.wait()
        finally:
            identity.close()
            await self._others.close()
            await account.close()

    def _open(self) -> StorageAccount:
        return open_account(self._connection)

    def _build(self, account: StorageAccount, identity: WorkerIdentity) -> tuple[TaskHubWorker, TextClient]:
        settings, names, random = self._options.worker, self._options.names, Random()
        hub = TaskHub(account, names, random, self._options.management)
        leases = MessageLeases(
            account.queues, lease=settings.message_lease, renewal=settings.message_renewal, monotonic=time.monotonic
        )
        ownership = LeaseThread(
            self._open,
            names,
            leases,
            identity,
            app_name=self._app_name,
            orphaned=self._end_as_orphan if self._ends_with_parent else None,
            management=self._options.management,
        )
        threads = (
            settings.max_concurrent_activities
            + settings.max_concurrent_orchestrators
            + settings.max_concurrent_entities
        )
        worker = TaskHubWorker(
            hub,
            self._functions,
            settings,
            ownership=ownership,
            leases=leases,
            user_code=ThreadedUserCode(threads, self._user_loop),
            random=random,
        )
        client = TextClient(
            hub,
            random=random,
            worker=worker,
            replaceable=self._options.replaceable,
            default_version=self._options.default_version,
        )
        return worker, client

    def _end_as_orphan(self) -> None:
        self.is_orphaned = True
        self._stop_from_anywhere()

    def _stop_from_anywhere(self) -> None:
        self.drain()
        self._is_told_to_stop = True
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _connect(self, worker: TaskHubWorker) -> bool:
        """Start the worker; False if the host stopped before storage answered."""
        assert self._draining is not None
        pause = 1.0
        while not self._draining.is_set():
            try:
                return await unless(self._draining, worker.start())
            except StorageError as error:
                logger.error(
                    "Storage account '%s' cannot be used yet, trying again in %.0f s: %s",
                    self._connection.account,
                    pause,
                    error,
                )
            await unless(self._draining, asyncio.sleep(pause))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return False


async def unless(stopping: asyncio.Event, work: Awaitable[object]) -> bool:
    """Wait for ``work``; False if it was cut off because ``stopping`` was set."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait([working])
    if working.cancelled():
        return False
    working.result()
    return True
