"""The task-hub worker beside a host: a thread with an event loop of its own, and a client that reaches into it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from random import Random
from typing import Any, TypeVar

from durable_core.core.entity_ids import EntityId
from durable_core.core.history import HistoryEvent
from durable_core.entity_client import CleanResult
from durable_core.errors import ConfigurationError, StorageError
from durable_core.host.options import DurableOptions
from durable_core.storage.azure import open_account
from durable_core.storage.base import StorageAccount
from durable_core.storage.settings import ConnectionSettings
from durable_core.taskhub.entity_store import EntityFilter, EntityPage, EntityRecord
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_query import InstanceFilter, InstancePage, PurgeResult
from durable_core.taskhub.instance_table import InstanceStatus
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
        user_loop: where asynchronous activities run.
        environ: read for the app's name.
        ends_with_parent: stop the worker when the process that started this one is gone, as inside the Functions host.
    """

    def __init__(
        self,
        functions: Functions,
        options: DurableOptions,
        connection: ConnectionSettings,
        user_loop: asyncio.AbstractEventLoop,
        environ: Mapping[str, str] = os.environ,
        *,
        ends_with_parent: bool = False,
    ) -> None:
        self._functions = functions
        self._options = options
        self._connection = connection
        self._user_loop = user_loop
        self._app_name = environ.get("WEBSITE_SITE_NAME", "") if options.use_app_lease else None
        self._ends_with_parent = ends_with_parent
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Event | None = None
        self._stopping: asyncio.Event | None = None
        self._client: TextClient | None = None
        self._ready: Future[None] = Future()
        self._ended: Future[None] = Future()
        self.client = ThreadedClient(self)

    @property
    def task_hub(self) -> str:
        """Name of the task hub."""
        return self._options.names.hub

    def start(self) -> None:
        """Start the thread; the worker connects in the background, with back-off, until storage answers."""
        self._thread = threading.Thread(target=self._run, name="durable-worker", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Let other workers have the partitions, at once. Activities go on for their grace time, the client until
        ``stop``."""
        if self._loop is not None and self._draining is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._draining.set)

    async def stop(self) -> None:
        """Drain and end the worker."""
        self._stop_from_anywhere()
        if self._thread is not None:
            await asyncio.wrap_future(self._ended)

    async def call(self, work: Callable[[TextClient], Coroutine[Any, Any, T]]) -> T:
        """Run a client operation on the worker's loop, as soon as the worker is connected."""
        await asyncio.shield(asyncio.wrap_future(self._ready))
        assert self._loop is not None and self._client is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(self._client), self._loop))

    def _run(self) -> None:
        failure = ConfigurationError("The task hub worker is not running.")
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
        account = self._open()
        identity = WorkerIdentity()
        worker, client = self._build(account, identity)
        try:
            if await self._connect(worker):
                self._client = client
                self._ready.set_result(None)
                logger.info("Task hub '%s': worker %s is running.", self.task_hub, identity.id)
                await self._draining.wait()
                await worker.stop()
                await self._stopping.wait()
        finally:
            identity.close()
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
            orphaned=self._stop_from_anywhere if self._ends_with_parent else None,
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

    def _stop_from_anywhere(self) -> None:
        self.drain()
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _connect(self, worker: TaskHubWorker) -> bool:
        """Start the worker; False if the host stopped before storage answered."""
        assert self._draining is not None
        pause = 1.0
        while not self._draining.is_set():
            try:
                await worker.start()
            except StorageError as error:
                logger.error(
                    "Storage account '%s' cannot be used yet, trying again in %.0f s: %s",
                    self._connection.account,
                    pause,
                    error,
                )
                try:
                    await asyncio.wait_for(self._draining.wait(), pause)
                except asyncio.TimeoutError:
                    pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return True
        return False


class ThreadedClient:
    """A ``HubClient`` for the host's loop: every operation runs on the worker's."""

    def __init__(self, runtime: WorkerRuntime) -> None:
        self._runtime = runtime

    @property
    def task_hub(self) -> str:
        return self._runtime.task_hub

    async def start_new(
        self, name: str, *, input: str | None = None, instance_id: str | None = None, version: str | None = None
    ) -> str:
        return await self._runtime.call(
            lambda client: client.start_new(name, input=input, instance_id=instance_id, version=version)
        )

    async def get_status(self, instance_id: str) -> InstanceStatus | None:
        return await self._runtime.call(lambda client: client.get_status(instance_id))

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        return await self._runtime.call(lambda client: client.get_history(instance_id))

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        await self._runtime.call(lambda client: client.raise_event(instance_id, name, data))

    async def terminate(self, instance_id: str, reason: str | None) -> None:
        await self._runtime.call(lambda client: client.terminate(instance_id, reason))

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        await self._runtime.call(lambda client: client.suspend(instance_id, reason))

    async def resume(self, instance_id: str, reason: str | None) -> None:
        await self._runtime.call(lambda client: client.resume(instance_id, reason))

    async def list_instances(
        self,
        wanted: InstanceFilter | None = None,
        *,
        top: int | None = None,
        continuation: str | None = None,
        with_payloads: bool = True,
    ) -> InstancePage:
        return await self._runtime.call(
            lambda client: client.list_instances(
                wanted, top=top, continuation=continuation, with_payloads=with_payloads
            )
        )

    async def purge(self, instance_id: str) -> PurgeResult:
        return await self._runtime.call(lambda client: client.purge(instance_id))

    async def purge_many(self, wanted: InstanceFilter, *, within: float = 100.0) -> PurgeResult:
        return await self._runtime.call(lambda client: client.purge_many(wanted, within=within))

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        await self._runtime.call(lambda client: client.rewind(instance_id, reason))

    async def restart(self, instance_id: str, *, restart_with_new_instance_id: bool = True) -> str:
        return await self._runtime.call(
            lambda client: client.restart(instance_id, restart_with_new_instance_id=restart_with_new_instance_id)
        )

    async def read_entity(self, entity_id: EntityId) -> EntityRecord | None:
        return await self._runtime.call(lambda client: client.read_entity(entity_id))

    async def signal_entity(
        self, entity_id: EntityId, operation: str, input: str | None = None, *, due: int | None = None
    ) -> None:
        await self._runtime.call(lambda client: client.signal_entity(entity_id, operation, input, due=due))

    async def list_entities(
        self, wanted: EntityFilter | None = None, *, top: int | None = None, continuation: str | None = None
    ) -> EntityPage:
        return await self._runtime.call(lambda client: client.list_entities(wanted, top=top, continuation=continuation))

    async def clean_entities(
        self,
        *,
        remove_empty_entities: bool = True,
        release_orphaned_locks: bool = True,
        continuation: str | None = None,
    ) -> CleanResult:
        return await self._runtime.call(
            lambda client: client.clean_entities(
                remove_empty_entities=remove_empty_entities,
                release_orphaned_locks=release_orphaned_locks,
                continuation=continuation,
            )
        )

    async def wait_for_completion(
        self, instance_id: str, *, timeout: float, poll: float = 1.0
    ) -> InstanceStatus | None:
        return await self._runtime.call(
            lambda client: client.wait_for_completion(instance_id, timeout=timeout, poll=poll)
        )
