"""Several worker processes on one Azurite: throughput must not fall below that of one, because Azurite is the limit.

Each process starts its share of the instances, as hosts behind a load balancer do, so that most starts of many workers
are for another one's partition. What makes the comparison fair:

* The machine's pace changes by half within seconds. So one, two and four workers take many short turns, in either
  order, each ratio is that of neighbouring turns, and the median of all counts.
* Azurite slows down with everything that is left in it, so each number of workers has one of its own, fresh in every
  round. Once a minute it goes over all messages that were deleted and answers nobody meanwhile, for up to ten seconds
  after a few thousand: a turn that ends later than that after its start is left out.
* Balancing takes longer the more workers there are and is no part of it: all stand ready before the first turn. Those
  whose turn it is not poll their queues twice a second, which costs every turn the same.
* Nor is the pause of a poller that has had nothing to do, for half a second of a turn of a few: some instances run
  ahead of each turn, and a fan-out is started by the process that owns its instance, as it always is with one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from random import Random
from typing import Any

from benchmarks.app import app
from benchmarks.harness import fresh_azurite
from durable_core.storage.azure import open_account
from durable_core.storage.base import StorageAccount
from durable_core.storage.settings import ConnectionSettings
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.partitions import read_partition
from durable_core.text_client import TextClient
from durable_core.worker.garbage import collect_rarely
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.lease_thread import LeaseThread
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import ThreadedUserCode
from durable_core.worker.worker import TaskHubWorker

_CONTEXT = get_context("spawn")
_NAMES = HubNames("Bench")
_BALANCED_WITHIN = 60.0
_FRESH = 58.0
"""Seconds from Azurite's start within which a turn must have ended."""
_HELLOS = 120
_TURNS = 2
"""On one Azurite."""
FAN = 300
"""Activities of one fan-out."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Rates with a number of worker processes.

    Attributes:
        hello5: finished instances a second.
        fan_out: seconds of one fan-out of ``FAN`` activities.
        calls: storage calls of one hello5, empty polls included, leases not.
        processor: milliseconds of processor time that the workers spend on one hello5.
        fan_out_calls: storage calls of the fan-out, for each activity.
    """

    hello5: float
    fan_out: float
    calls: float
    processor: float
    fan_out_calls: float


@dataclass(frozen=True, slots=True)
class _Fleet:
    """Some workers that share the partitions of one hub.

    Attributes:
        since: when its Azurite was started, on the performance counter.
    """

    workers: int
    account: StorageAccount
    pipes: list[tuple[BaseProcess, Connection]]
    since: float


@dataclass(frozen=True, slots=True)
class _Spent:
    """What the workers have used so far, all together."""

    calls: int
    processor: float


async def _spent(fleet: _Fleet) -> _Spent:
    calls, processor = 0, 0.0
    for _, pipe in fleet.pipes:
        pipe.send(None)
        made, seconds = await asyncio.to_thread(pipe.recv)
        calls, processor = calls + made, processor + seconds
    return _Spent(calls, processor)


async def measure(counts: Sequence[int], rounds: int) -> list[dict[int, Turn]]:
    """Turns of all numbers of workers, one behind the other; one that came too late is missing."""
    found: list[dict[int, Turn]] = []
    for _ in range(rounds):
        async with AsyncExitStack() as stack:
            fleets = await asyncio.gather(*(stack.enter_async_context(_fleet(count)) for count in counts))
            for _ in range(_TURNS):
                turns = {}
                for fleet in fleets:
                    turn = await _turn(fleet)
                    if time.perf_counter() - fleet.since <= _FRESH:
                        turns[fleet.workers] = turn
                found.append(turns)
                fleets.reverse()
    return found


async def _turn(fleet: _Fleet) -> Turn:
    await _run(fleet, fleet.pipes, "hello5", None, 4 * fleet.workers)
    before = await _spent(fleet)
    hello5 = await _run(fleet, fleet.pipes, "hello5", None, _HELLOS)
    between = await _spent(fleet)
    fan_out = await _run(fleet, fleet.pipes[:1], "fan_out", str(FAN), 1)
    after = await _spent(fleet)
    return Turn(
        _HELLOS / hello5,
        fan_out,
        (between.calls - before.calls) / _HELLOS,
        (between.processor - before.processor) / _HELLOS * 1000,
        (after.calls - between.calls) / FAN,
    )


@asynccontextmanager
async def _fleet(workers: int) -> AsyncIterator[_Fleet]:
    since = time.perf_counter()
    async with fresh_azurite() as settings:
        account = open_account(settings)
        pipes: list[tuple[BaseProcess, Connection]] = []
        try:
            for _ in range(workers):
                ours, theirs = _CONTEXT.Pipe()
                process: BaseProcess = _CONTEXT.Process(target=_worker, args=(settings, theirs), daemon=True)
                await asyncio.to_thread(process.start)
                pipes.append((process, ours))
            await _balanced(account, workers)
            yield _Fleet(workers, account, pipes, since)
        finally:
            for started, _ in pipes:
                started.kill()
                started.join()
            await account.close()


async def _balanced(account: StorageAccount, workers: int) -> None:
    """Wait until the partitions are shared evenly and have been for a moment."""
    deadline = time.monotonic() + _BALANCED_WITHIN
    while time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        if _NAMES.partitions not in await account.tables.names(_NAMES.partitions):
            continue
        rows = [read_partition(row) for row in (await account.tables.query(_NAMES.partitions)).rows]
        owners = {row.current_owner for row in rows}
        if None not in owners and len(owners) == workers and not any(row.next_owner for row in rows):
            await asyncio.sleep(1)
            return
    raise TimeoutError(f"{workers} workers did not share the partitions within {_BALANCED_WITHIN:g} s")


async def _run(
    fleet: _Fleet, pipes: list[tuple[BaseProcess, Connection]], name: str, input: str | None, count: int
) -> float:
    """Seconds from the first start, by each process of ``pipes``, to the last completion."""
    begin = time.perf_counter()
    for _, pipe in pipes:
        pipe.send((name, input, count // len(pipes)))
    for _, pipe in pipes:
        await asyncio.to_thread(pipe.recv)  # everything was started
    while True:
        open_ones = await fleet.account.tables.query(_NAMES.instances, "RuntimeStatus ne 'Completed'", top=1)
        if not open_ones.rows:
            return time.perf_counter() - begin
        await asyncio.sleep(0.1)


def _worker(settings: ConnectionSettings, pipe: Connection) -> None:
    asyncio.run(_work(settings, pipe))


async def _work(settings: ConnectionSettings, pipe: Connection) -> None:
    account = open_account(settings)
    identity = WorkerIdentity()
    # Idle pauses are no part of what is measured here: a message may be for another worker's partition.
    worker_settings = WorkerSettings(max_polling_interval=0.5)
    leases = MessageLeases(account.queues, lease=15, renewal=5.0, monotonic=time.monotonic)
    random = Random()
    hub = TaskHub(account, _NAMES, random)
    worker = TaskHubWorker(
        hub,
        app.durable_functions(),
        worker_settings,
        ownership=LeaseThread(lambda: open_account(settings), _NAMES, leases, identity),
        leases=leases,
        user_code=ThreadedUserCode(
            worker_settings.max_concurrent_activities + worker_settings.max_concurrent_orchestrators
        ),
        random=random,
    )
    await worker.start()
    collect_rarely()
    client = TextClient(hub, random=random, worker=worker)
    while True:
        order: Any = await asyncio.to_thread(pipe.recv)
        if order is None:
            pipe.send((account.calls.total, time.process_time()))
            continue
        name, input, count = order
        gate = asyncio.Semaphore(16)

        async def start(
            instance_id: str | None, name: str = name, input: str | None = input, gate: asyncio.Semaphore = gate
        ) -> None:
            async with gate:
                await client.start_new(name, input=input, instance_id=instance_id)

        await asyncio.gather(*(start(_owned(worker, random) if count == 1 else None) for _ in range(count)))
        pipe.send("started")


def _owned(worker: TaskHubWorker, random: Random) -> str:
    """An instance id of a partition that the worker owns."""
    while True:
        instance_id = f"{random.getrandbits(128):032x}"
        if worker.owns(instance_id):
            return instance_id
