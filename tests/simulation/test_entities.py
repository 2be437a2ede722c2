"""Entities under seeded kills and storage faults: no operation lost or doubled, every lock released, nothing created
or destroyed by transfers. ``ENTITY_SEEDS`` sets how many seeds, ``ENTITY_FIRST`` where they begin."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from random import Random

import pytest

from durable_core.core.entity_rules import EntityRules
from durable_core.core.entity_state import SchedulerState
from durable_core.core.ticks import PER_SECOND
from durable_core.errors import StorageError, UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from durable_core.worker.settings import WorkerSettings
from tests.simulation.entity_programs import ACCOUNTS, ENTITY_FUNCTIONS, EntityProgram, account, random_program
from tests.worker.world import Process, World

FIRST = int(os.environ.get("ENTITY_FIRST", "0"))
COUNT = int(os.environ.get("ENTITY_SEEDS", "40"))

_PATIENCE = 4 * 3600.0
_AFTERWARDS = 2400.0


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_every_operation_takes_effect_once_and_every_lock_is_released(seed: int) -> None:
    run(_simulate(seed), seed=seed, limit=_PATIENCE + 2 * _AFTERWARDS)


async def _simulate(seed: int) -> None:
    random = Random(seed)
    settings = WorkerSettings(
        max_concurrent_activities=random.choice([1, 20]),
        max_concurrent_orchestrators=random.choice([1, 20]),
        max_concurrent_entities=random.choice([1, 20]),
        session_cache_size=random.choice([1, 1000]),
        force_replay=random.random() < 0.2,
        entities=EntityRules(batch_limit=random.choice([1, 3, 5000])),
    )
    world = World(ENTITY_FUNCTIONS, settings, seed=seed)
    kills, rate, on = random.randint(0, 4), random.choice([0.0, 0.005, 0.03]), [True]

    def trouble(call: StorageCall) -> None:
        nonlocal kills
        if not on[0] or not call.client.startswith("worker") or call.client in world.faults.dead:
            return
        if kills and random.random() < 0.006:
            kills -= 1
            world.kill(call.client)
        elif random.random() < rate:
            raise UnavailableError("injected", status=503)

    world.faults.before_hooks.append(trouble)
    world.faults.after_hooks.append(trouble)
    supervisor = asyncio.create_task(_supervise(world, random, random.randint(1, 3)))
    programs = {f"p{number}": random_program(random, f"p{number}") for number in range(random.randint(1, 6))}
    signals = [
        (f"client/{number}", random.choice(ACCOUNTS), random.randint(1, 9), random.choice([None, None, 0, 40]))
        for number in range(random.randint(0, 20))
    ]
    await asyncio.gather(
        _send(world, random, signals), *(_drive(world, random, key, program) for key, program in programs.items())
    )
    await _all_ended(world, programs)
    on[0] = False
    await asyncio.sleep(_AFTERWARDS)
    supervisor.cancel()
    await asyncio.wait([supervisor])
    await _check(world, programs, signals)


async def _supervise(world: World, random: Random, count: int) -> None:
    alive: list[Process] = []
    number = 0
    while True:
        alive = [process for process in alive if process.name not in world.faults.dead]
        while len(alive) < count:
            number += 1
            try:
                alive.append(await asyncio.wait_for(world.start(f"worker{number}"), 60))
            except (StorageError, asyncio.TimeoutError):
                world.kill(f"worker{number}")
        await asyncio.sleep(random.uniform(1, 60))


async def _send(world: World, random: Random, signals: list[tuple[str, str, int, int | None]]) -> None:
    client = world.client("client")
    await _hub(world)
    for token, key, amount, delay in signals:
        await asyncio.sleep(random.choice([0, 0, 0, random.uniform(0, 10)]))
        due = None if delay is None else world.clock.now() + delay * PER_SECOND
        await client.signal_entity(account(key), "add", json.dumps([token, amount]), due=due)


async def _drive(world: World, random: Random, key: str, program: EntityProgram) -> None:
    client = world.client(f"client-{key}")
    await _hub(world)
    await asyncio.sleep(random.uniform(0, 20))
    await client.start_new("accountant", input=json.dumps(program.steps), instance_id=key)
    while program.is_terminated:
        await asyncio.sleep(random.uniform(1, 20))
        status = await client.get_status(key)
        assert status is not None
        if status.runtime_status.is_finished:
            return
        if status.custom_status == '"holding"':
            await client.terminate(key, "as planned")


async def _hub(world: World) -> None:
    """Wait until a worker has created the hub."""
    while True:
        try:
            for partition in range(world.names.partition_count):
                await world.client("observer").get_status("x")
                await world.storage.account("observer").queues.length(world.names.control_queue(partition))
            return
        except StorageError:
            await asyncio.sleep(1)


async def _all_ended(world: World, programs: dict[str, EntityProgram]) -> None:
    client = world.client("observer")
    waiting = set(programs)
    for _ in range(int(_PATIENCE / 30)):
        for key in sorted(waiting):
            status = await client.get_status(key)
            if status is not None and status.runtime_status.is_finished:
                waiting.remove(key)
        if not waiting:
            return
        await asyncio.sleep(30)
    raise AssertionError(f"never ended: {sorted(waiting)}")


async def _check(
    world: World, programs: dict[str, EntityProgram], signals: list[tuple[str, str, int, int | None]]
) -> None:
    client = world.client("observer")
    for key, program in programs.items():
        status = await client.get_status(key)
        assert status is not None
        assert status.runtime_status.name == program.status, (key, status)
        assert program.status == "Completed" or status.output == "as planned", (key, status)
    wanted: dict[str, Counter[str]] = {key: Counter() for key in ACCOUNTS}
    balances = dict.fromkeys(ACCOUNTS, 0)
    adds = [(token, key, amount) for token, key, amount, _ in signals]
    for program in programs.values():
        adds += [(token, key, amount) for token, (key, amount) in program.adds.items()]
    for token, key, amount in adds:
        wanted[key][token] += 1
        balances[key] += amount
    for key in ACCOUNTS:
        row = await client.get_status(str(account(key)))
        if row is None:
            assert not wanted[key]
            continue
        scheduler = SchedulerState.decode(row.input)
        assert (scheduler.locked_by, list(scheduler.queue), scheduler.sorter.waiting) == (None, [], 0), key
        state = json.loads(scheduler.state or '{"balance":0,"tokens":[]}')
        assert Counter(state["tokens"]) == wanted[key], key
        assert state["balance"] == balances[key], key
        for program in programs.values():
            mine = set(program.ordered.get(key, ()))
            assert [token for token in state["tokens"] if token in mine] == program.ordered.get(key, [])
        assert world.history(str(account(key))) == ["OrchestratorStarted", "ExecutionStarted", "OrchestratorCompleted"]
    assert world.left_over() == {}
