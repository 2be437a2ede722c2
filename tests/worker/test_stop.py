"""A worker that is told to stop: what it lets go, when, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from durable_core.core.history import OrchestrationStatus
from durable_core.core.replay import OrchestrationRun
from durable_core.storage.base import Operation, Verb
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from tests.worker.sample import ACTIVITIES, FUNCTIONS, ORCHESTRATORS
from tests.worker.world import Steps, World, call, decode, functions, owned_by, until


class Slow:
    """An activity of so many seconds, and who began and ended it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began: list[str] = []
        self.ended: list[str] = []

    def on(self, name: str) -> Any:
        async def say(value: Any) -> str:
            self.began.append(name)
            await asyncio.sleep(self.seconds)
            self.ended.append(name)
            return f"by {name}"

        return functions({**ORCHESTRATORS}, {**ACTIVITIES, "say": say})


@pytest.mark.parametrize("seconds", [1.0, 8.0, 27.0])
def test_partitions_are_released_within_3_seconds_and_an_activity_that_ends_within_the_grace_runs_once(
    seconds: float,
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        slow = Slow(seconds)
        world = World(slow.on("?"))
        one = await world.start("one", slow.on("one"), max_concurrent_activities=50)
        two = await world.start("two", slow.on("two"))
        await asyncio.sleep(25)
        (mine,) = owned_by(one)
        await one.client.start_new("fan_out", input="8", instance_id=mine)
        await asyncio.sleep(0.5)
        assert slow.began == ["one"] * 8
        told = loop.time()
        stopping = asyncio.create_task(one.worker.stop())
        await until(lambda: "one" not in world.owners())
        assert loop.time() - told <= 3
        await until(lambda: world.owners() == ["two"] * 4)
        assert loop.time() - told <= 15
        await stopping
        assert loop.time() - told <= 31
        assert slow.ended == ["one"] * 8
        await asyncio.sleep(seconds + 5)
        status = await two.client.get_status(mine)
        assert status is not None
        assert json.loads(status.output or "") == ["by one"] * 8
        assert slow.began == ["one"] * 8, "none of them ran twice"
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_activities_that_outlast_the_grace_become_visible_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        slow = Slow(100.0)
        world = World(slow.on("?"))
        one = await world.start("one", slow.on("one"), activity_grace=5.0)
        await one.client.start_new("fan_out", input="2", instance_id="x")
        await asyncio.sleep(1)
        told = loop.time()
        await one.worker.stop()
        assert loop.time() - told <= 9
        visible = await one.hub.account.queues.peek(world.names.work_items, count=32)
        assert len(visible) == 2
        slow.seconds = 1.0
        two = await world.start("two", slow.on("two"))
        await asyncio.sleep(10)
        status = await two.client.get_status("x")
        assert status is not None and json.loads(status.output or "") == ["by two"] * 2
        assert slow.began == ["one", "one", "two", "two"]
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_what_a_stopping_worker_holds_is_visible_when_its_partitions_are_released() -> None:
    """Received, born invisible and delayed messages: nothing waits for a lease to end."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        two = await world.start("two")
        await asyncio.sleep(25)
        mine = [f"id{number}" for number in range(60) if one.worker.owns(f"id{number}")]
        for instance in mine[:5]:
            await one.client.start_new("sleeper", input="8", instance_id=instance)
        await asyncio.sleep(1)
        flood = [asyncio.create_task(one.client.start_new("hello5", instance_id=name)) for name in mine[5:]]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stopping = asyncio.create_task(one.worker.stop())
        await asyncio.gather(*flood, stopping)
        assert "one" not in world.owners()
        limit = world.clock.now() + 8 * 10_000_000
        for queue in [*world.names.control_queues, world.names.work_items]:
            for message in world.storage.messages(queue):
                assert message.receipt.next_visible <= limit, "only timers may be invisible, until they are due"
        await asyncio.sleep(15)
        states = [await two.client.get_status(name) for name in mine]
        assert {state.runtime_status for state in states if state is not None} == {OrchestrationStatus.Completed}
        assert len([state for state in states if state is not None]) == len(mine)
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_an_answer_to_a_receive_that_was_under_way_is_given_back() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        inner = world.faults.after

        async def late(call: StorageCall) -> None:
            await inner(call)
            if call.kind == "queue.get" and call.client == "one":
                await asyncio.sleep(0.4)

        world.faults.after = late  # type: ignore[method-assign]
        client = world.client("elsewhere")
        instances = [await client.start_new("hello5") for _ in range(40)]
        await asyncio.sleep(0.5)
        await one.worker.stop()
        now = world.clock.now()
        for queue in [*world.names.control_queues, world.names.work_items]:
            assert all(message.receipt.next_visible <= now for message in world.storage.messages(queue))
        await world.start("two")
        await asyncio.sleep(20)
        states = [await client.get_status(instance) for instance in instances]
        assert {state.runtime_status for state in states if state is not None} == {OrchestrationStatus.Completed}

    run(main(), limit=3600)


def test_a_result_computed_after_the_loss_of_a_partition_travels_by_queue() -> None:
    async def main() -> None:
        slow = Slow(20.0)
        world = World(slow.on("?"))
        one = await world.start("one", slow.on("one"))
        await asyncio.sleep(12)
        await one.client.start_new("fan_out", input="2", instance_id="x")
        two = await world.start("two", slow.on("two"))
        three = await world.start("three", slow.on("three"))
        four = await world.start("four", slow.on("four"))
        await asyncio.sleep(18)
        assert not one.worker.owns("x") or world.owners().count("one") == 1
        await asyncio.sleep(12)
        status = await two.client.get_status("x")
        assert status is not None and json.loads(status.output or "") == ["by one"] * 2
        assert slow.began == ["one"] * 2
        assert three.name != four.name

    run(main(), limit=3600)


def test_an_episode_that_hangs_does_not_hold_the_partitions_back() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = World(FUNCTIONS)
        one = await world.start("one")
        hanging = [True]
        inner = world.faults.before

        async def slow_history(call: StorageCall) -> None:
            await inner(call)
            if hanging[0] and call.client == "one" and call.resource == world.names.history:
                await asyncio.sleep(30)

        world.faults.before = slow_history  # type: ignore[method-assign]
        await one.client.start_new("hello5", instance_id="x")
        await asyncio.sleep(1)
        told = loop.time()
        stopping = asyncio.create_task(one.worker.stop())
        await until(lambda: "one" not in world.owners())
        assert loop.time() - told <= 3
        two = await world.start("two")
        await asyncio.sleep(10)
        status = await two.client.get_status("x")
        assert status is not None and status.runtime_status is OrchestrationStatus.Completed
        await stopping
        await asyncio.sleep(90)
        assert world.left_over() == {}, "the late checkpoint lost its race and left nothing behind"

    run(main(), limit=3600)


def test_a_checkpoint_that_loses_its_race_leaves_no_message_and_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        runs: list[str] = []

        def fan(run: OrchestrationRun) -> Steps:
            yield run.wait_for_event("go", decode)
            for number in range(30):
                call(run, "say", number)
            return (yield call(run, "say", "last"))

        async def say(value: Any) -> str:
            runs.append(str(value))
            return str(value)

        world = World(functions({"fan": fan}, {"say": say}))
        one = await world.start("one", max_concurrent_activities=2)
        await one.client.start_new("fan", instance_id="x")
        await world.settle()
        moved = [False]

        def move(call: StorageCall) -> None:
            if call.kind == "table.transaction" and call.resource == world.names.history and not moved[0]:
                moved[0] = True
                held = {queue: len(world.storage.messages(queue)) for queue in world.storage.queue_names()}
                assert held[world.names.work_items] == 31
                sentinel = next(row for row in world.storage.rows(call.resource) if row.values["RowKey"] == "sentinel")
                values = {key: value for key, value in sentinel.values.items() if key != "Timestamp"}
                world.storage._tables.apply(call.resource, Operation(Verb.MERGE, values, sentinel.etag))

        world.faults.before_hooks.append(move)
        await one.client.raise_event("x", "go", "1")
        for _ in range(100):
            await asyncio.sleep(0.01)
            if moved[0]:
                break
        await asyncio.sleep(0.5)
        untaken = [message for message in world.storage.messages(world.names.work_items) if message.dequeue_count == 0]
        assert untaken == [], "nothing of the lost episode is left that nobody had taken"
        await asyncio.sleep(60)
        status = await one.client.get_status("x")
        assert status is not None and status.output == '"last"'
        assert world.left_over() == {}

    run(main(), limit=3600)
    assert "Instance 'x': another worker was faster, its checkpoint stands" in caplog.text


def test_a_worker_without_partitions_makes_at_most_12_calls_a_minute() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        await world.start("one")
        for number in range(4):
            await world.start(f"more{number}")
        await asyncio.sleep(120)
        idle = next(name for name in ("one", *(f"more{number}" for number in range(4))) if name not in world.owners())
        calls: list[StorageCall] = []
        world.faults.before_hooks.append(lambda call: calls.append(call) if call.client == idle else None)
        await asyncio.sleep(600)
        assert 0 < len(calls) / 10 <= 12, [call.kind for call in calls]

    run(main(), limit=3600)
