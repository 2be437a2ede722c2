"""Crash recovery: at most 40 s of virtual time from the kill of a worker to the next episode, whatever it was doing."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from durable_core.core.ticks import parse
from durable_core.storage.memory import StorageCall
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import run
from tests.worker.sample import ACTIVITIES, ORCHESTRATORS
from tests.worker.world import Process, World, functions, owned_by, until

BOUND = 40.0


def app(name: str, seconds: float = 2.0) -> Any:
    async def say(value: Any) -> str:
        await asyncio.sleep(seconds)
        return f"{value}"

    return functions(ORCHESTRATORS, {**ACTIVITIES, "say": say})


class Checkpoints:
    """When a client first went on with each instance."""

    def __init__(self, world: World) -> None:
        self.at: dict[tuple[str, str], float] = {}
        self._history, self._instances = world.names.history, world.names.instances
        world.faults.after_hooks.append(self._note)

    def _note(self, call: StorageCall) -> None:
        # A worker that dies between history and row leaves nothing to do but the row.
        if call.resource in (self._history, self._instances) and call.kind in ("table.transaction", "table.merge"):
            self.at.setdefault((call.client, call.detail.partition("/")[0]), asyncio.get_running_loop().time())


@pytest.mark.parametrize("seed", range(30))
def test_recovery_within_40_seconds_of_a_kill_at_any_moment(seed: int) -> None:
    """The victim dies at a random storage call of its own, in any phase of leases and passes; its instances wait for
    activities (its own and handed out), timers and events."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        random = Random(seed)
        world = World(app("?"), seed=seed)
        one = await world.start("one", app("one"))
        two = await world.start("two", app("two"))
        await asyncio.sleep(25 + random.uniform(0, 10))
        mine = owned_by(one, 6)
        for number, instance in enumerate(mine):
            kind, input = [("hello5", None), ("fan_out", "9"), ("sleeper", "6")][number % 3]
            await one.client.start_new(kind, input=input, instance_id=instance)
            await asyncio.sleep(random.uniform(0, 1))
        left = [random.randint(1, 60)]
        killed: list[float] = []

        def strike(call: StorageCall) -> None:
            if call.client == "one" and call.resource != world.names.partitions and not killed:
                left[0] -= 1
                if left[0] == 0:
                    world.kill("one")
                    killed.append(loop.time())

        (world.faults.after_hooks if random.random() < 0.5 else world.faults.before_hooks).append(strike)
        for _ in range(100):
            await asyncio.sleep(0.5)
            if killed:
                break
        assert killed
        unfinished = [name for name in mine if not await is_finished(two, name)]
        checkpoints = Checkpoints(world)
        await asyncio.sleep(BOUND + 20)
        for name in unfinished:
            taken_up = checkpoints.at.get(("two", name))
            assert taken_up is not None, f"{name} was never taken up"
            assert taken_up - killed[0] <= BOUND, f"{name} after {taken_up - killed[0]:.1f} s"
        await asyncio.sleep(60)
        for name in mine:
            assert await is_finished(two, name)
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), seed=seed, limit=3600)


async def is_finished(process: Process, name: str) -> bool:
    status = await process.client.get_status(name)
    return status is not None and status.runtime_status.name == "Completed"


@pytest.mark.parametrize("phase", range(8))
def test_an_activity_of_a_killed_worker_runs_again_within_40_seconds(phase: int) -> None:
    """The victim holds work items of an instance that lives elsewhere, and may own no partition at all."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = World(app("?"), names=HubNames("TestHub", 1))
        began: list[float] = []

        async def say(value: Any) -> str:
            began.append(loop.time())
            await asyncio.sleep(1)
            return f"{value}"

        owner = await world.start("owner", functions(ORCHESTRATORS, {"say": say}), max_concurrent_activities=1)
        victim = await world.start("victim", app("victim", 1e6), max_concurrent_activities=3)
        await asyncio.sleep(40)
        assert not victim.worker.sessions.owns_partition(0)
        name = "x"
        await owner.client.start_new("fan_out", input="8", instance_id=name)
        victim.worker.activities.hurry(1)
        await asyncio.sleep(20 + phase)  # the owner has done the rest, and its polls are rare
        assert len(began) == 5, "the victim holds three"
        world.kill(victim)
        killed = loop.time()
        await until(lambda: len(began) == 6)
        assert loop.time() - killed <= 15 + 5 + 1
        await asyncio.sleep(5)
        assert await is_finished(owner, name)
        status = await owner.client.get_status(name)
        assert status is not None and json.loads(status.output or "") == [str(number) for number in range(8)]

    run(main(), limit=3600)


def test_after_a_take_over_queues_are_polled_at_least_every_second_for_a_minute() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = World(app("?"))
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(60)
        taken = [index for index in range(4) if one.worker.sessions.owns_partition(index)]
        polls: dict[str, list[float]] = {}
        world.faults.before_hooks.append(
            lambda call: (
                polls.setdefault(call.resource, []).append(loop.time())
                if call.kind == "queue.get" and call.client == "two"
                else None
            )
        )
        world.kill(one)
        await until(lambda: all(two.worker.sessions.owns_partition(index) for index in taken))
        claimed = loop.time()
        await asyncio.sleep(90)
        for queue in [*(world.names.control_queue(index) for index in taken), world.names.work_items]:
            times = [claimed, *(time for time in polls[queue] if claimed <= time <= claimed + 60)]
            assert max(after - before for before, after in pairwise(times)) <= 1.0
            assert times[-1] >= claimed + 58
            assert len([time for time in polls[queue] if time > claimed + 65]) <= 5, "and then no more"

    run(main(), limit=3600)


def test_a_pass_is_made_at_the_moment_a_lease_ends() -> None:
    async def main() -> None:
        world = World(app("?"))
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(33.3)
        taken = [index for index in range(4) if one.worker.sessions.owns_partition(index)]
        world.kill(one)
        ends = max(
            row.values["ExpiresAt"]  # type: ignore[type-var]
            for row in world.storage.rows(world.names.partitions)
            if row.values.get("CurrentOwner") == "one"
        )
        await until(lambda: all(two.worker.sessions.owns_partition(index) for index in taken))
        late = (world.clock.now() - parse(str(ends))) / 10_000_000
        assert 0 <= late <= 0.2, late

    run(main(), limit=3600)
