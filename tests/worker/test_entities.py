"""Entities on workers: batches, calls, locks, what they cost, and what a crash leaves (orchestration-semantics 9)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from durable_core.core.entity_state import EntityStatus, SchedulerState
from durable_core.core.history import OrchestrationStatus
from durable_core.errors import InvalidOperationError
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from tests.worker.entities import FUNCTIONS, entity, signal
from tests.worker.world import Process, World, decode, finish

Scenario = Callable[[World], Awaitable[None]]


def in_world(scenario: Scenario) -> None:
    async def main() -> None:
        await scenario(World(FUNCTIONS))

    run(main(), limit=3600)


async def scheduler(process: Process, key: str) -> SchedulerState:
    row = await process.client.get_status(str(entity(key)))
    assert row is not None, f"entity {key} has no row"
    state = SchedulerState.decode(row.input)
    assert EntityStatus.decode(row.custom_status) == EntityStatus.of(state)
    return state


async def value(process: Process, key: str) -> object:
    return decode((await scheduler(process, key)).state)


def test_behaviour_100_a_signal_creates_the_entity_and_leaves_three_rows() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await signal(process, "a", "add", 5)
        await world.settle()
        await asyncio.sleep(30)
        assert await value(process, "a") == 5
        assert world.history("@counter@a") == ["OrchestratorStarted", "ExecutionStarted", "OrchestratorCompleted"]
        assert world.left_over() == {}

    in_world(scenario)


def test_calls_have_results_and_errors() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        done = await finish(process, "add_and_get", "a")
        assert (done.status, decode(done.result)) == (OrchestrationStatus.Completed, 5)
        failed = await finish(process, "fails_there", "a")
        assert (failed.status, failed.result) == (OrchestrationStatus.Failed, "asked to fail")
        assert await value(process, "a") == 5

    in_world(scenario)


def test_a_delayed_signal_waits_for_its_time() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        assert decode((await finish(process, "signals", "a")).result) == "signalled"
        await asyncio.sleep(1)
        assert await value(process, "a") == 3
        await asyncio.sleep(2)
        assert await value(process, "a") == 7
        assert world.left_over() == {}

    in_world(scenario)


def test_a_transfer_locks_both_accounts_and_gives_them_back() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        done = await asyncio.gather(*(finish(process, "transfer", "t") for _ in range(5)))
        assert [decode(end.result) for end in done] == ["moved"] * 5
        await world.settle()
        assert (await value(process, "t-a"), await value(process, "t-b")) == (-50, 50)
        assert (await scheduler(process, "t-a")).locked_by is None
        assert (await scheduler(process, "t-b")).locked_by is None
        assert world.left_over() == {}

    in_world(scenario)


@pytest.mark.parametrize("how", ["returns", "fails", "again", "terminated", "terminated early"])
def test_behaviour_111_locks_are_released_however_the_orchestration_ends(how: str) -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        if how == "terminated early":
            blocker = await process.client.start_new("holds", input='"waits"')
            await world.settle()
        waits = how.startswith("terminated")
        instance_id = await process.client.start_new("holds", input='"waits"' if waits else f'"{how}"')
        await world.settle()
        if waits:
            await process.client.terminate(instance_id, "enough")
            await world.settle()
        if how == "terminated early":
            await process.client.terminate(blocker, "enough")
            await world.settle()
        status = await process.client.get_status(instance_id)
        assert status is not None
        assert status.runtime_status.is_finished
        for key in ("held", "held2"):
            state = await scheduler(process, key)
            assert (state.locked_by, len(state.queue)) == (None, 0)
        assert world.left_over() == {}

    in_world(scenario)


def test_an_unknown_entity_answers_with_the_known_names() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        failed = await finish(process, "calls_unknown")
        assert failed.status is OrchestrationStatus.Failed
        assert "'nobody'" in (failed.result or "")
        assert "'counter'" in (failed.result or "")

    in_world(scenario)


def test_entities_start_orchestrations_and_signal_others() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await signal(process, "c4", "signal", "@counter@c5")
        await signal(process, "c4", "start", "entity_started")
        await asyncio.sleep(40)
        assert await value(process, "c5") == 7
        status = await process.client.get_status("entity_started")
        assert status is not None
        assert (status.runtime_status, status.output) == (OrchestrationStatus.Completed, '"Hello from entity"')
        assert world.left_over() == {}

    in_world(scenario)


def test_a_thousand_signals_cost_little_beyond_their_puts() -> None:
    """One batch takes what has gathered: at most 1.3 calls per signal beyond the put of each."""

    async def scenario(world: World) -> None:
        process = await world.start()
        calls = count(world)
        await asyncio.gather(*(signal(process, "hot", "add", 1) for _ in range(1000)))
        process.worker.wake("@counter@hot")
        await drained(world)
        assert await value(process, "hot") == 1000
        assert sum(calls.values()) - calls["queue.put"] <= 1300, calls

    in_world(scenario)


def test_signals_to_a_thousand_entities_cost_at_most_six_calls_each() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        calls = count(world)
        await asyncio.gather(*(signal(process, f"k{number}", "add", 1) for number in range(1000)))
        for number in range(20):
            process.worker.wake(f"@counter@k{number}")
        await drained(world)
        assert sum(calls.values()) <= 6000, calls

    in_world(scenario)


def test_a_flood_of_signals_is_handed_over_as_far_as_the_pace_of_batches_allows() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        sessions = process.worker.sessions
        buffer = sessions.settings.control_queue_buffer
        await asyncio.gather(*(signal(process, "a", "add", 1) for _ in range(20)))
        await world.settle()
        most = 0

        def watch(call: StorageCall) -> None:
            nonlocal most
            most = max(most, sessions.backlog)

        world.faults.before_hooks.append(watch)
        await asyncio.gather(*(signal(process, "a", "add", 1) for _ in range(4 * buffer)))
        await drained(world)
        assert buffer < most
        assert await value(process, "a") == 20 + 4 * buffer

    in_world(scenario)


def test_a_call_of_a_warm_entity_costs_at_most_nine_calls() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await finish(process, "call_many", 1)
        await world.settle()

        async def cost(calls: int) -> int:
            counted = count(world)
            await finish(process, "call_many", calls)
            await world.settle()
            world.faults.before_hooks.clear()
            return sum(number for kind, number in counted.items() if kind != "queue.get")

        assert await cost(11) - await cost(1) <= 10 * 9

    in_world(scenario)


def test_a_signal_whose_deletion_failed_has_one_effect() -> None:
    async def scenario(world: World) -> None:
        first = await world.start("one")
        seen: list[StorageCall] = []

        def hook(call: StorageCall) -> None:
            if call.kind == "queue.delete" and call.client == "one" and not seen:
                seen.append(call)
                world.kill("one")

        world.faults.before_hooks.append(hook)
        await signal(first, "a", "add", 1)
        await asyncio.sleep(40)
        assert seen
        second = await world.start("two")
        await asyncio.sleep(120)
        assert await value(second, "a") == 1
        assert world.left_over() == {}

    in_world(scenario)


def count(world: World) -> Counter[str]:
    counted: Counter[str] = Counter()

    def hook(call: StorageCall) -> None:
        counted[call.kind] += 1

    world.faults.before_hooks.append(hook)
    return counted


async def drained(world: World) -> None:
    """Wait until no message is left in any queue."""
    for _ in range(2000):
        if not world.left_over():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"messages are left: {world.left_over()}")


@pytest.mark.parametrize(("name", "input"), [("holds", "fails"), ("fails_inside", None)])
def test_what_failed_inside_a_critical_section_is_not_rewound(name: str, input: str | None) -> None:
    """The locks are gone: going on without them would be wrong, and replay cannot take the releases back."""

    async def main() -> None:
        world = World(FUNCTIONS)
        process = await world.start()
        await finish(process, name, input, instance_id="inside")
        await world.settle()
        before = world.history("inside")
        with pytest.raises(InvalidOperationError, match="'inside' failed inside a critical section"):
            await process.client.rewind("inside", "again")
        await world.settle()
        assert world.history("inside") == before
        status = await process.client.get_status("inside")
        assert status is not None and status.runtime_status is OrchestrationStatus.Failed
        assert world.left_over() == {}

    run(main(), limit=3600)
