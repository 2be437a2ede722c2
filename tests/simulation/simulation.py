"""One seeded run: workers on a virtual clock that are killed and see storage fail, and what must hold at the end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from durable_core.core.history import ExecutionCompleted, OrchestrationStatus
from durable_core.core.replay import OrchestrationRun
from durable_core.errors import InvalidOperationError, StorageError, UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from durable_core.text_client import TextClient
from durable_core.worker.settings import WorkerSettings
from tests.simulation.programs import FUNCTIONS, Program, random_program
from tests.worker.world import Process, World

_PATIENCE = 4 * 3600.0
"""Virtual seconds within which every instance must end."""
_AFTERWARDS = 2400.0
"""Virtual seconds after which no message may be left: the longest timer of a program, and then some."""


@dataclass
class Trouble:
    """Seeded faults on the calls of workers; clients are left alone, so that the model knows what was asked."""

    world: World
    random: Random
    kills_left: int
    error_rate: float
    is_on: bool = True
    killed: list[str] = field(default_factory=list)

    def before(self, call: StorageCall) -> None:
        self._maybe(call)

    def after(self, call: StorageCall) -> None:
        self._maybe(call)

    def _maybe(self, call: StorageCall) -> None:
        if not self.is_on or not call.client.startswith("worker") or call.client in self.world.faults.dead:
            return
        if self.kills_left and self.random.random() < 0.004:
            self.kills_left -= 1
            self.killed.append(call.client)
            self.world.kill(call.client)
        elif self.random.random() < self.error_rate:
            raise UnavailableError("injected", status=503)


def simulate(seed: int) -> None:
    """Run one seed; raises AssertionError when a promise is broken."""
    run(_simulate(seed), seed=seed, limit=_PATIENCE + 2 * _AFTERWARDS)


async def _simulate(seed: int) -> None:
    random = Random(seed)
    settings = WorkerSettings(
        max_concurrent_activities=random.choice([1, 3, 20]),
        max_concurrent_orchestrators=random.choice([1, 3, 20]),
        session_cache_size=random.choice([1, 1000]),
        force_replay=random.random() < 0.2,
    )
    world = World(FUNCTIONS, settings, seed=seed)
    trouble = Trouble(world, random, random.randint(0, 4), random.choice([0.0, 0.005, 0.03]))
    world.faults.before_hooks.append(trouble.before)
    world.faults.after_hooks.append(trouble.after)
    supervisor = asyncio.create_task(_supervise(world, trouble, random.randint(1, 3)))
    programs = {f"instance{number}": random_program(random) for number in range(random.randint(1, 6))}
    clients = [asyncio.create_task(_drive(world, random, key, program)) for key, program in programs.items()]
    await asyncio.gather(*clients)
    await _all_ended(world, programs)
    trouble.is_on = False
    await asyncio.sleep(_AFTERWARDS)
    supervisor.cancel()
    await asyncio.wait([supervisor])
    _check(world, programs)


async def _supervise(world: World, trouble: Trouble, count: int) -> None:
    """Keep ``count`` workers alive, as a platform would: a dead one is replaced after a while."""
    alive: list[Process] = []
    number = 0
    while True:
        alive = [process for process in alive if process.name not in world.faults.dead]
        while len(alive) < count:
            number += 1
            name = f"worker{number}"
            try:
                alive.append(await asyncio.wait_for(world.start(name), 60))
            except (StorageError, asyncio.TimeoutError):
                world.kill(name)
        await asyncio.sleep(trouble.random.uniform(1, 60))


async def _drive(world: World, random: Random, key: str, program: Program) -> None:
    client = world.client(f"client-{key}")
    await asyncio.sleep(random.uniform(0, 30))
    while True:
        try:
            await client.start_new("interpreter", input=json.dumps(program.steps), instance_id=key)
            break
        except StorageError:  # no worker has created the hub yet
            await asyncio.sleep(1)
    if random.random() < 0.3:
        await asyncio.sleep(random.uniform(0, 40))
        await _pause(client, key, random.uniform(1, 60))
    for name, value in sorted(program.events.items(), key=lambda _: random.random()):
        await asyncio.sleep(random.uniform(0, 20))
        await client.raise_event(key, name, json.dumps(value))


async def _pause(client: TextClient, key: str, seconds: float) -> None:
    """Suspend an instance for a while, if it is still there to be suspended."""
    try:
        await client.suspend(key, "pause")
    except InvalidOperationError:
        return
    while True:
        await asyncio.sleep(seconds)
        status = await client.get_status(key)
        assert status is not None
        if status.runtime_status.is_finished:
            return
        if status.runtime_status is OrchestrationStatus.Suspended:
            await client.resume(key, "go on")
            return


async def _all_ended(world: World, programs: dict[str, Program]) -> None:
    client = world.client("observer")
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    waiting = set(programs)
    while waiting:
        assert asyncio.get_running_loop().time() < deadline, f"never ended: {sorted(waiting)}"
        await asyncio.sleep(30)
        for key in sorted(waiting):
            status = await client.get_status(key)
            if status is not None and status.runtime_status.is_finished:
                waiting.remove(key)


def _check(world: World, programs: dict[str, Program]) -> None:
    rows = {row.values["PartitionKey"]: row.values for row in world.storage.rows(world.names.instances)}
    assert set(programs) <= set(map(str, rows))
    assert {row["RuntimeStatus"] for row in rows.values()} == {"Completed"}, "a child never ended"
    for key, program in programs.items():
        row = rows[key]
        assert row["RuntimeStatus"] == "Completed", (key, row)
        assert json.loads(str(row["Output"])) == program.output, key
        if program.steps[-1][0] != "continue":
            # What a generation shows at its very end is in no history: a crash before its row is written costs it.
            assert json.loads(str(row["CustomStatus"])) == {"done": len(program.steps)}, key
        _check_history(world, key, program)
    assert world.left_over() == {}


def _check_history(world: World, key: str, program: Program) -> None:
    """History replays to itself and records each reply once."""
    from durable_core.taskhub.history_table import assemble, read_row

    rows = [row for row in world.storage.rows(world.names.history) if row.values["PartitionKey"] == key]
    loaded = assemble(rows)
    assert not loaded.partial_rows, "a checkpoint was cut off and never repaired"
    events = [read_row(row.values) for row in loaded.rows]
    end = [event for event in events if isinstance(event, ExecutionCompleted)]
    assert len(end) == 1
    orchestrator = FUNCTIONS.orchestrator("interpreter")
    assert orchestrator is not None
    replayed = OrchestrationRun(orchestrator, events)
    replayed.feed(events, replaying=True)
    decision = replayed.take_decisions()[-1]
    assert json.loads(str(getattr(decision, "result", None))) == program.output
    answers: list[Any] = [
        getattr(event, "task_scheduled_id", None) for event in events if hasattr(event, "task_scheduled_id")
    ]
    assert len(answers) == len(set(answers)), "a reply is recorded twice"


def trace(seed: int) -> list[StorageCall]:
    """Every storage call of one seed's run, in order: equal for equal seeds."""
    calls: list[StorageCall] = []
    original = Trouble.before

    def recording(self: Trouble, call: StorageCall) -> None:
        calls.append(call)
        original(self, call)

    Trouble.before = recording  # type: ignore[method-assign]
    try:
        simulate(seed)
    finally:
        Trouble.before = original  # type: ignore[method-assign]
    return calls
