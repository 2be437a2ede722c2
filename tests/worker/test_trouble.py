"""Trouble with clocks and storage: the worker backs off, keeps its place and comes back (on virtual time)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from email.utils import formatdate
from random import Random
from typing import Any

import pytest

from durable_core.core import ticks
from durable_core.core.history import OrchestrationStatus
from durable_core.errors import StorageError, UnavailableError
from durable_core.storage.base import QueueMessage, Receipt, StorageAccount
from durable_core.storage.memory import StorageCall
from durable_core.storage.service_clock import ServiceClock
from durable_core.testing.virtual_time import EPOCH, run
from tests.worker.sample import FUNCTIONS
from tests.worker.world import Process, World, finish

MINUTE = 60.0


def change_accounts(world: World, change: Callable[[StorageAccount], StorageAccount]) -> None:
    """Every account opened from now on is changed."""
    opened = world.storage.account
    world.storage.account = lambda name="memory": change(opened(name))  # type: ignore[method-assign]


async def all_completed(process: Process, instances: Sequence[str]) -> None:
    states = [await process.client.get_status(name) for name in instances]
    shown = {name: state and state.runtime_status.name for name, state in zip(instances, states, strict=True)}
    assert set(shown.values()) == {"Completed"}, shown


# ---- clocks --------------------------------------------------------------------------------------------------------


def skewed(world: World, skews: dict[str, float]) -> None:
    """Machines whose clocks are wrong by so many seconds; they know the service by the Date headers of its answers."""
    loop = asyncio.get_running_loop()
    clocks: dict[str, ServiceClock] = {}

    def change(account: StorageAccount) -> StorageAccount:
        skew = skews.get(account.name, 0.0)
        clock = ServiceClock(wall=lambda: ticks.to_unix(EPOCH) + loop.time() + skew, monotonic=loop.time)
        clocks[account.name] = clock
        return replace(account, clock=clock)

    def answer(call: StorageCall) -> None:
        if call.client in clocks:
            date = formatdate(int(ticks.to_unix(world.clock.now())), usegmt=True)
            clocks[call.client].observe(date, loop.time())

    world.faults.after_hooks.append(answer)
    change_accounts(world, change)


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_machines_that_are_5_minutes_wrong_share_hand_over_and_recover(skew: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = World(FUNCTIONS)
        skewed(world, {"wrong": skew})
        right = await world.start("right")
        wrong = await world.start("wrong")
        await asyncio.sleep(20)
        assert sorted(map(str, world.owners())) == ["right", "right", "wrong", "wrong"]
        since = [row.values["OwnedSince"] for row in world.storage.rows(world.names.partitions)]
        await asyncio.sleep(10 * MINUTE)
        assert [row.values["OwnedSince"] for row in world.storage.rows(world.names.partitions)] == since
        for process in (right, wrong):
            mine = next(f"id{number}" for number in range(200) if process.worker.owns(f"id{number}"))
            begin = loop.time()
            end = await finish(process, "sleeper", 20, instance_id=mine)
            assert end.status is OrchestrationStatus.Completed
            assert 20 <= loop.time() - begin <= 22.5, "neither early nor minutes late"
        world.kill(wrong if skew > 0 else right)
        await asyncio.sleep(31)
        survivor = right if skew > 0 else wrong
        assert world.owners() == [survivor.name] * 4
        assert (await finish(survivor, "hello5")).status is OrchestrationStatus.Completed

    run(main(), limit=2 * 3600)


# ---- storage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("applied", [False, True])
def test_ten_minutes_of_throttling_or_of_lost_answers_cost_nothing_but_time(seed: int, applied: bool) -> None:
    """A fifth of all calls fails with 503 or 429, before or after it took effect."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        random = Random(seed)
        world = World(FUNCTIONS, seed=seed)
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(20)
        end = loop.time() + 10 * MINUTE

        def throttle(call: StorageCall) -> None:
            if loop.time() < end and call.client != "watcher" and random.random() < 0.2:
                raise UnavailableError("busy", status=random.choice([503, 429]), code="ServerBusy")

        (world.faults.after_hooks if applied else world.faults.before_hooks).append(throttle)
        instances: list[str] = []
        for number in range(30):
            kind, input = random.choice([("hello5", None), ("fan_out", "7"), ("sleeper", "30")])
            try:
                instances.append(
                    await random.choice([one, two]).client.start_new(kind, input=input, instance_id=f"i{number}")
                )
            except StorageError:
                continue
            await asyncio.sleep(random.uniform(0, 15))
        assert len(instances) >= 10
        await asyncio.sleep(max(0.0, end - loop.time()) + 700)
        await all_completed(one, instances)
        assert await one.hub.poison.list() == []
        await asyncio.sleep(1300)
        assert world.left_over() == {}
        assert sorted(map(str, world.owners())) == ["one", "one", "two", "two"]

    run(main(), seed=seed, limit=6 * 3600)


def test_storage_away_for_ten_minutes_is_asked_gently_and_then_everything_goes_on() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = World(FUNCTIONS)
        one = await world.start("one")
        waiting = [await one.client.start_new("waiter") for _ in range(5)]
        running = [await one.client.start_new("sleeper", input="30") for _ in range(5)]
        await world.settle()
        end = loop.time() + 10 * MINUTE
        tries: list[StorageCall] = []

        def away(call: StorageCall) -> None:
            if loop.time() < end:
                tries.append(call)
                raise UnavailableError("no route to host")

        world.faults.before_hooks.append(away)
        await asyncio.sleep(10 * MINUTE)
        assert len(tries) <= 10 * 60, "at most one call a second, with five timers and four partitions in hand"
        assert not any(one.worker.sessions.owns_partition(index) for index in range(4)), "its leases have ended"
        await asyncio.sleep(40)
        assert world.owners() == ["one"] * 4
        assert all(one.worker.sessions.owns_partition(index) for index in range(4))
        await all_completed(one, running)
        for name in waiting:
            await one.client.raise_event(name, "go", "1")
        await asyncio.sleep(5)
        await all_completed(one, waiting)
        await asyncio.sleep(700)
        assert world.left_over() == {}
        assert await one.hub.poison.list() == []

    run(main(), limit=6 * 3600)


def test_a_short_outage_costs_no_partition() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = World(FUNCTIONS)
        one = await world.start("one")
        await asyncio.sleep(20)
        since = [row.values["OwnedSince"] for row in world.storage.rows(world.names.partitions)]
        end = loop.time() + 15

        def away(call: StorageCall) -> None:
            if loop.time() < end:
                raise UnavailableError("no route to host")

        world.faults.before_hooks.append(away)
        await asyncio.sleep(60)
        assert [row.values["OwnedSince"] for row in world.storage.rows(world.names.partitions)] == since
        assert all(one.worker.sessions.owns_partition(index) for index in range(4))

    run(main(), limit=3600)


class Postman:
    """Delivers a third of the messages twice, and whatever it brings in any order."""

    def __init__(self, account: StorageAccount, random: Random) -> None:
        self._put, self._get = account.queues.put, account.queues.get
        self._random = random
        account.queues.put = self.put  # type: ignore[method-assign]
        account.queues.get = self.get  # type: ignore[method-assign]

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        if self._random.random() < 0.33:
            later = min(delay + self._random.randint(0, 20), 7 * 24 * 3600)
            await self._put(queue, text, delay=later, explicit_delay=explicit_delay)
        return await self._put(queue, text, delay=delay, explicit_delay=explicit_delay)

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        messages = list(await self._get(queue, count=count, lease=lease))
        self._random.shuffle(messages)
        return messages


@pytest.mark.parametrize("seed", range(10))
def test_duplicated_and_reordered_deliveries_change_no_result(seed: int) -> None:
    async def main() -> None:
        random = Random(seed)
        world = World(FUNCTIONS, seed=seed)

        def change(account: StorageAccount) -> StorageAccount:
            if account.name != "reader":
                Postman(account, random)
            return account

        change_accounts(world, change)
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(15)
        client = world.client("elsewhere")
        expected: dict[str, Any] = {}
        for number in range(16):
            kind, input, output = random.choice(
                [
                    ("hello5", None, [f"Hello {index}" for index in range(5)]),
                    ("fan_out", "6", [f"Hello {index}" for index in range(6)]),
                    ("waiter", None, "late"),
                    ("catches", None, "caught boom failed: no x"),
                ]
            )
            name = f"{kind}{number}"
            await random.choice([client, one.client, two.client]).start_new(kind, input=input, instance_id=name)
            expected[name] = output
        await asyncio.sleep(45)
        for name in expected:
            if name.startswith("waiter"):
                await client.raise_event(name, "go", '"late"')
        await asyncio.sleep(120)
        for name, output in expected.items():
            status = await client.get_status(name)
            assert status is not None and status.runtime_status is OrchestrationStatus.Completed, (name, status)
            found = json.loads(status.output or "null")
            assert found == output or (name.startswith("catches") and str(found).startswith("caught")), name
            kinds = world.history(name)
            assert kinds.count("ExecutionStarted") == kinds.count("ExecutionCompleted") == 1
            assert kinds.count("TaskScheduled") == kinds.count("TaskCompleted") + kinds.count("TaskFailed")
        await asyncio.sleep(1300)
        assert world.left_over() == {}
        assert await one.hub.poison.list() == []

    run(main(), seed=seed, limit=6 * 3600)


@pytest.mark.parametrize("cut", range(1, 7))
@pytest.mark.parametrize("applied", [False, True])
def test_a_checkpoint_that_is_cut_off_between_its_batches_is_finished_by_another_worker(
    cut: int, applied: bool
) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        await world.start("one", max_concurrent_activities=50)
        left = [cut]

        def strike(call: StorageCall) -> None:
            if call.client == "one" and call.kind == "table.transaction" and call.resource == world.names.history:
                left[0] -= 1
                if left[0] == 0:
                    world.kill("one")

        (world.faults.after_hooks if applied else world.faults.before_hooks).append(strike)
        await world.client("elsewhere").start_new("fan_out", input="250", instance_id="x")
        await asyncio.sleep(60)
        assert left[0] <= 0, "so many batches there are"
        two = await world.start("two", max_concurrent_activities=50)
        await asyncio.sleep(120)
        status = await two.client.get_status("x")
        assert status is not None
        assert json.loads(status.output or "null") == [f"Hello {index}" for index in range(250)]
        kinds = world.history("x")
        assert kinds.count("TaskScheduled") == kinds.count("TaskCompleted") == 250
        await asyncio.sleep(1300)
        assert world.left_over() == {}

    run(main(), limit=6 * 3600)
