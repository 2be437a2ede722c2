"""Real worker processes on Azurite, killed with SIGKILL at random: everything completes and nothing is left.

``CHAOS_KILLS`` sets the number of kills (50; ``make chaos`` takes 200), ``CHAOS_SEED`` repeats the choices of a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import pytest

from durable_core.core.history import LIVE, OrchestrationStatus
from durable_core.errors import StorageError
from durable_core.storage.azure import open_account
from durable_core.storage.azurite import Azurite
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.text_client import TextClient
from tests.chaos.process import WorkerArguments, spawn
from tests.chaos.programs import Program, draw

KILLS = int(os.environ.get("CHAOS_KILLS", "50"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or int(time.time())
WORKERS = 3
BETWEEN_KILLS = 0.5
"""Seconds, on average."""
RECOVERY = 40.0
"""Seconds from a kill to the next episode (default settings)."""
LAST_WORK = 40.0
"""Seconds that the instances still under way may need for themselves on a slow machine."""

pytestmark = pytest.mark.azurite


@dataclass
class Chaos:
    """Workers that die, and the instances that they must finish all the same."""

    azurite: Azurite
    hub: TaskHub
    client: TextClient
    folder: Path
    random: Random
    workers: list[BaseProcess] = field(default_factory=list)
    instances: dict[str, Program] = field(default_factory=dict)
    spawned: int = 0
    started: int = 0

    def spawn(self, slot: int) -> BaseProcess:
        """A worker; those of the first slot are strangers to the others, whose deaths only their leases tell."""
        self.spawned += 1
        machine = f"far-{self.spawned}" if slot == 0 else "near"
        arguments = WorkerArguments(
            self.azurite.connection_string, self.hub.names.hub, self.folder, machine, self.spawned
        )
        return spawn(arguments)

    def kill_one(self) -> None:
        slot = self.random.randrange(len(self.workers))
        self.workers[slot].kill()
        self.workers[slot].join()
        self.workers[slot] = self.spawn(slot)

    async def begin(self) -> None:
        """Start one more instance, and see to it that it gets its events."""
        program = draw(self.random)
        self.started += 1
        name = await self.client.start_new(
            program.name, input=json.dumps(program.input), instance_id=f"{program.name}-{self.started}"
        )
        self.instances[name] = program
        for event in program.events:
            await self.client.raise_event(name, event, json.dumps(event))

    async def unfinished(self) -> list[str]:
        states = await asyncio.gather(*(self.client.get_status(name) for name in self.instances))
        return [
            name
            for name, state in zip(self.instances, states, strict=True)
            if state is None or state.runtime_status in LIVE
        ]

    async def left_over(self) -> dict[str, int]:
        queues = [*self.hub.names.control_queues, self.hub.names.work_items]
        lengths = await asyncio.gather(*(self.hub.account.queues.length(queue) for queue in queues))
        return {queue: length for queue, length in zip(queues, lengths, strict=True) if length}


async def test_workers_killed_at_random_lose_and_double_nothing(azurite: Azurite, tmp_path: Path) -> None:
    """C15 and C16 of functions-host 15: several processes of one app share a hub, and die while activities run."""
    print(f"chaos: {KILLS} kills, CHAOS_SEED={SEED}, logs in {tmp_path}")
    random = Random(SEED)
    account = open_account(azurite.settings)
    hub = TaskHub(account, HubNames(f"Chaos{random.getrandbits(32):08x}"), Random(random.random()))
    chaos = Chaos(azurite, hub, TextClient(hub, random=Random(random.random())), tmp_path, random)
    await hub.create()
    try:
        for slot in range(WORKERS):
            chaos.workers.append(await asyncio.to_thread(chaos.spawn, slot))
        await asyncio.sleep(1)
        for _ in range(KILLS):
            await asyncio.gather(chaos.begin(), chaos.begin())
            await asyncio.sleep(random.uniform(0, 2 * BETWEEN_KILLS))
            await asyncio.to_thread(chaos.kill_one)
        killed = time.monotonic()
        await _until_done(chaos, killed + RECOVERY + LAST_WORK)
        print(f"chaos: everything ended {time.monotonic() - killed:.1f} s after the last of {KILLS} kills")
        await _check(chaos)
    finally:
        for worker in chaos.workers:
            worker.kill()
            worker.join()
        await account.close()


async def _until_done(chaos: Chaos, deadline: float) -> None:
    while unfinished := await chaos.unfinished():
        if time.monotonic() > deadline:
            states = {name: await chaos.client.get_status(name) for name in unfinished}
            shown = {name: state and state.runtime_status.name for name, state in states.items()}
            pytest.fail(f"CHAOS_SEED={SEED}: not recovered in time: {shown}; logs in {chaos.folder}")
        await asyncio.sleep(1)


async def _check(chaos: Chaos) -> None:
    for name, program in chaos.instances.items():
        state = await chaos.client.get_status(name)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.Completed, (name, state.output)
        assert json.loads(state.output or "null") == program.output, (name, state.output)
        history = await chaos.client.get_history(name)
        kinds = [type(event).__name__ for event in history]
        assert kinds.count("ExecutionStarted") == kinds.count("ExecutionCompleted") == 1, (name, kinds)
    assert await chaos.hub.poison.list() == []
    for _ in range(60):  # what died after its history was committed comes back once more, and is dropped
        try:
            if not await chaos.left_over():
                return
        except StorageError:
            pass
        await asyncio.sleep(1)
    pytest.fail(f"CHAOS_SEED={SEED}: messages are left: {await chaos.left_over()}")
