"""Leases on a thread of their own: calls reach the worker's loop, whatever that loop is doing (design rule 6)."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from durable_core.core.ticks import from_unix
from durable_core.storage.memory import MemoryStorage
from durable_core.storage.sleepless import sleepless_seconds
from durable_core.taskhub.app_lease import create_app_lease
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitions import new_row, read_partition
from durable_core.worker import lease_thread
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.lease_thread import LeaseThread
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.parent_watch import ParentWatch

if TYPE_CHECKING:
    import pytest

    from durable_core.worker.worker import TaskHubWorker

NAMES = HubNames("TestHub")


class Listener:
    """Stands for the worker; notes on which thread it was called."""

    def __init__(self) -> None:
        self.partitions: set[int] = set()
        self.threads: set[int] = set()
        self.all_here = asyncio.Event()

    def acquired(self, partition: int, *, taken_over: bool = False) -> None:
        self.threads.add(threading.get_ident())
        self.partitions.add(partition)
        if len(self.partitions) == 4:
            self.all_here.set()

    def lost(self, partition: int) -> None:
        self.threads.add(threading.get_ident())
        self.partitions.discard(partition)

    async def drain(self, partition: int) -> None:
        self.lost(partition)


async def make(tmp_path: Path, **options: object) -> tuple[MemoryStorage, LeaseThread, WorkerIdentity]:
    storage = MemoryStorage(lambda: from_unix(time.time()))
    account = storage.account("creator")
    await create_app_lease(account.blobs, NAMES)
    await account.tables.create(NAMES.partitions)
    for queue in NAMES.control_queues:
        await account.tables.insert(NAMES.partitions, new_row(queue))
    leases = MessageLeases(account.queues, lease=15, renewal=5.0, monotonic=time.monotonic)
    identity = WorkerIdentity(tmp_path, "here")
    thread = LeaseThread(storage.account, NAMES, leases, identity, **options)  # type: ignore[arg-type]
    return storage, thread, identity


def owners(storage: MemoryStorage) -> set[str | None]:
    return {read_partition(row).current_owner for row in storage.rows(NAMES.partitions)}


async def test_partitions_are_owned_told_to_the_workers_loop_and_released(tmp_path: Path) -> None:
    storage, thread, identity = await make(tmp_path)
    listener = Listener()
    running = asyncio.create_task(thread.run(cast("TaskHubWorker", listener)))
    await asyncio.wait_for(listener.all_here.wait(), 10)
    assert listener.threads == {threading.get_ident()}
    assert owners(storage) == {identity.id}
    await thread.release()
    assert owners(storage) == {None}
    assert not running.done(), "messages that are held still need their leases"
    running.cancel()
    await asyncio.wait_for(asyncio.wait([running]), 10)
    assert not any(other.name == "durable-leases" for other in threading.enumerate())


async def test_leases_are_taken_while_the_workers_loop_is_blocked(tmp_path: Path) -> None:
    """C11 of functions-host 15."""
    storage, thread, identity = await make(tmp_path)
    running = asyncio.create_task(thread.run(cast("TaskHubWorker", Listener())))
    await asyncio.sleep(0)
    deadline = time.monotonic() + 10
    while owners(storage) != {identity.id} and time.monotonic() < deadline:
        time.sleep(0.01)  # noqa: ASYNC251 (user code that blocks the loop)
    assert owners(storage) == {identity.id}
    running.cancel()
    await asyncio.wait([running])


async def test_a_thread_that_is_ended_before_it_began_ends(tmp_path: Path) -> None:
    _, thread, _ = await make(tmp_path)
    running = asyncio.create_task(thread.run(cast("TaskHubWorker", Listener())))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait_for(asyncio.wait([running]), 5)
    assert not any(other.name == "durable-leases" for other in threading.enumerate())


async def test_an_orphan_says_so_and_keeps_its_leases_until_it_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = [100]
    monkeypatch.setattr(lease_thread, "ParentWatch", lambda: ParentWatch(lambda: parent[0]))
    orphaned = threading.Event()
    storage, thread, identity = await make(tmp_path, orphaned=orphaned.set)
    listener = Listener()
    running = asyncio.create_task(thread.run(cast("TaskHubWorker", listener)))
    await asyncio.wait_for(listener.all_here.wait(), 10)
    parent[0] = 1
    assert await asyncio.to_thread(orphaned.wait, 10)
    await asyncio.sleep(0.2)
    assert not running.done()
    assert owners(storage) == {identity.id}
    await thread.release()
    assert owners(storage) == {None}
    assert not running.done(), "messages that are held still need their leases"
    running.cancel()
    await asyncio.wait_for(asyncio.wait([running]), 10)


def test_the_leases_clock_is_monotonic_and_in_seconds() -> None:
    began, real = sleepless_seconds(), time.monotonic()
    time.sleep(0.05)
    assert abs((sleepless_seconds() - began) - (time.monotonic() - real)) < 0.02
