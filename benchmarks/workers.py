"""Several worker processes on one Azurite: throughput must not fall below that of one, because Azurite is the limit.

Each process starts its share of the instances, as hosts behind a load balancer do. What makes the comparison fair:

* The machine's pace changes by half within seconds. So one, two and four workers take many short turns, in either
  order, each ratio is that of neighbouring turns, and the median of all counts.
* Azurite slows down with everything that is left in it, so each number of workers has one of its own, fresh in every
  round. A fresh one needs twice the time at first, so that no turn in its first minute counts.
* Once a minute Azurite goes over all messages that were deleted and answers nobody meanwhile, for some seconds. No turn
  begins that could end later than that; all wait until it is over.
* The storage service is another machine, so that its processor is not the workers'. Here both share two cores, and
  Azurite goes before: the workers have the lowest priority.
* Balancing takes longer the more workers there are and is no part of it: all stand ready before the first turn. Those
  whose turn it is not poll their queues once a second, which costs every turn the same.
* Nor are the pause of a poller that has had nothing to do and the opening of connections: some instances run ahead of
  each turn, and a fan-out is started by the process that owns its instance, as it always is with one.
* What clients send at once is the same for any number of workers.
* Nobody asks Azurite whether a turn has ended: the processes count what has come to its end.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Semaphore
from random import Random
from typing import Any

from benchmarks.app import app
from benchmarks.harness import fresh_azurite
from durable_core.core.history import ExecutionCompleted
from durable_core.errors import UnavailableError
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
_UPKEEP = 60.0
"""Seconds from Azurite's start, and from the end of its upkeep, to the next upkeep."""
_SILENCE = 0.3
"""Seconds without an answer by which the upkeep is told."""
_TURN = 6.0
"""Seconds that a turn may take, as long as none was measured."""
_ENDS_WITHIN = 60.0
_MINUTES = 2
"""How many minutes count."""
_COUNTED = 42.0
"""Seconds of turns in each of them, from the end of the upkeep."""
_AHEAD = 24
"""Instances that run ahead of a turn."""
_NICE = 19
_HELLOS = 120
_STARTS = 16
"""Starts that are under way at once, in all processes together."""
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


@dataclass(slots=True)
class _Fleet:
    """Some workers that share the partitions of one hub.

    Attributes:
        ended: counts instances that have come to their end.
        since: when its Azurite was started, or ended its upkeep, on the performance counter.
    """

    workers: int
    account: StorageAccount
    pipes: list[tuple[BaseProcess, Connection]]
    ended: Semaphore
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
    """Turns of all numbers of workers, one behind the other."""
    found: list[dict[int, Turn]] = []
    for _ in range(rounds):
        async with AsyncExitStack() as stack:
            fleets = await asyncio.gather(*(stack.enter_async_context(_fleet(count)) for count in counts))
            await _turns(fleets, _UPKEEP)
            for _ in range(_MINUTES):
                await asyncio.gather(*(_upkeep(fleet) for fleet in fleets))
                found += await _turns(fleets, _COUNTED)
    return found


async def _turns(fleets: list[_Fleet], seconds: float) -> list[dict[int, Turn]]:
    """What ends within so many seconds since the Azurites were started, or ended their upkeep."""
    found = []
    until = min(fleet.since for fleet in fleets) + seconds
    longest = _TURN
    while time.perf_counter() + longest * len(fleets) < until:
        begin = time.perf_counter()
        found.append({fleet.workers: await _turn(fleet) for fleet in fleets})
        longest = (time.perf_counter() - begin) / len(fleets)
        fleets.reverse()
    return found


async def _upkeep(fleet: _Fleet) -> None:
    """Wait until Azurite has answered nobody for a moment, and answers again."""
    last_call = fleet.since + 1.2 * _UPKEEP
    while True:
        asked = time.perf_counter()
        await _answer(fleet.account)
        answered = time.perf_counter()
        if (answered - asked > _SILENCE and answered > fleet.since + _UPKEEP) or answered > last_call:
            fleet.since = answered
            return
        await asyncio.sleep(0.05)


async def _answer(account: StorageAccount) -> None:
    """Wait for any answer: the upkeep may last longer than a request."""
    while True:
        with suppress(UnavailableError):
            await account.tables.names(_NAMES.partitions)
            return


async def _turn(fleet: _Fleet) -> Turn:
    await _run(fleet, fleet.pipes, "hello5", None, _AHEAD)
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
        ended = _CONTEXT.Semaphore(0)
        try:
            for _ in range(workers):
                ours, theirs = _CONTEXT.Pipe()
                process: BaseProcess = _CONTEXT.Process(target=_worker, args=(settings, theirs, ended), daemon=True)
                await asyncio.to_thread(process.start)
                pipes.append((process, ours))
            await _balanced(account, workers)
            yield _Fleet(workers, account, pipes, ended, since)
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
    while fleet.ended.acquire(block=False):
        pass
    begin = time.perf_counter()
    for _, pipe in pipes:
        pipe.send((name, input, count // len(pipes), _STARTS // len(pipes)))
    for _, pipe in pipes:
        await asyncio.to_thread(pipe.recv)  # everything was started
    await asyncio.to_thread(_wait, fleet.ended, count)
    return time.perf_counter() - begin


def _wait(ended: Semaphore, count: int) -> None:
    for number in range(count):
        if not ended.acquire(timeout=_ENDS_WITHIN):
            raise TimeoutError(f"{count - number} of {count} instances have not come to their end")


def _worker(settings: ConnectionSettings, pipe: Connection, ended: Semaphore) -> None:
    os.nice(_NICE)
    asyncio.run(_work(settings, pipe, ended))


async def _work(settings: ConnectionSettings, pipe: Connection, ended: Semaphore) -> None:
    account = open_account(settings)
    identity = WorkerIdentity()
    # Idle pauses are no part of what is measured here: a message may be for another worker's partition.
    worker_settings = WorkerSettings(max_polling_interval=1.0)
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
    tell = worker.sessions.finished

    def finished(instance_id: str, completed: ExecutionCompleted) -> None:
        ended.release()
        tell(instance_id, completed)

    worker.sessions.finished = finished  # type: ignore[method-assign]
    await worker.start()
    collect_rarely()
    client = TextClient(hub, random=random, worker=worker)
    while True:
        order: Any = await asyncio.to_thread(pipe.recv)
        if order is None:
            pipe.send((account.calls.total, time.process_time()))
            continue
        name, input, count, at_once = order
        gate = asyncio.Semaphore(at_once)

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
