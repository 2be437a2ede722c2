"""Workers for measurements: on a fresh Azurite, or in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from benchmarks.app import app
from durable_core.core import ticks
from durable_core.core.history import ExecutionCompleted
from durable_core.storage import azurite
from durable_core.storage.azure import open_account
from durable_core.storage.base import CallCounter, StorageAccount
from durable_core.storage.memory import MemoryStorage
from durable_core.storage.settings import ConnectionSettings
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.text_client import TextClient
from durable_core.worker.garbage import collect_rarely
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.lease_thread import LeaseThread
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import ThreadedUserCode
from durable_core.worker.worker import Ownership, OwnEverything, TaskHubWorker


@dataclass
class Bench:
    """A running worker and its client.

    Attributes:
        calls: the worker's storage calls; leases are counted in ``lease_calls``.
    """

    worker: TaskHubWorker
    client: TextClient
    calls: CallCounter
    lease_calls: list[CallCounter]

    async def run(self, name: str, input: str | None = None) -> ExecutionCompleted:
        """Start one instance and wait, without polling, until its row says that it ended."""
        instance_id = await self.client.start_new(name, input=input)
        return await self.worker.watch(instance_id)

    def calls_by_kind(self) -> dict[str, int]:
        """Calls so far, empty polls left out."""
        kinds = dict(self.calls.by_kind)
        kinds["queue.get"] = kinds.get("queue.get", 0) - self.calls.empty_gets
        return {kind: count for kind, count in kinds.items() if count}


@asynccontextmanager
async def on_azurite(settings: ConnectionSettings) -> AsyncIterator[Bench]:
    """The real stack: hot storage path, leases on their own thread."""
    account = open_account(settings)
    identity = WorkerIdentity()
    names = HubNames("Bench")
    opened: list[CallCounter] = []

    def open_for_leases() -> StorageAccount:
        lease_account = open_account(settings)
        opened.append(lease_account.calls)
        return lease_account

    worker_settings = WorkerSettings()
    leases = MessageLeases(account.queues, lease=15, renewal=5.0, monotonic=time.monotonic)
    ownership = LeaseThread(open_for_leases, names, leases, identity)
    try:
        async with _running(account, names, worker_settings, leases, ownership, opened) as bench:
            yield bench
    finally:
        identity.close()
        await account.close()


@asynccontextmanager
async def in_memory(*, force_replay: bool = False) -> AsyncIterator[Bench]:
    """The same engine and codec without a storage server."""
    account = MemoryStorage(lambda: ticks.UNIX_EPOCH + time.time_ns() // 100).account()
    leases = MessageLeases(account.queues, lease=15, renewal=5.0, monotonic=time.monotonic)
    ownership = OwnEverything(leases, account.queues)
    settings = WorkerSettings(force_replay=force_replay)
    async with _running(account, HubNames("Bench"), settings, leases, ownership, []) as bench:
        yield bench


@asynccontextmanager
async def _running(
    account: StorageAccount,
    names: HubNames,
    settings: WorkerSettings,
    leases: MessageLeases,
    ownership: Ownership,
    opened: list[CallCounter],
) -> AsyncIterator[Bench]:
    random = Random()
    hub = TaskHub(account, names, random)
    threads = settings.max_concurrent_activities + settings.max_concurrent_orchestrators
    worker = TaskHubWorker(
        hub,
        app.durable_functions(),
        settings,
        ownership=ownership,
        leases=leases,
        user_code=ThreadedUserCode(threads),
        random=random,
    )
    await worker.start()
    while not all(worker.sessions.owns_partition(index) for index in range(names.partition_count)):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    collect_rarely()  # as a host does
    yield Bench(worker, TextClient(hub, random=random, worker=worker), account.calls, opened)
    await worker.stop()


@asynccontextmanager
async def fresh_azurite() -> AsyncIterator[ConnectionSettings]:
    """An Azurite with nothing in it; it slows down with every message and row that is left."""
    emulator = await asyncio.to_thread(azurite.start)
    try:
        yield emulator.settings
    finally:
        emulator.stop()
