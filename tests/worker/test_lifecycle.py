"""Listing, scheduling, restarting, purging and rewinding instances (orchestration-semantics 8)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from durable_core.core.history import OrchestrationStatus
from durable_core.core.replay import OrchestrationRun
from durable_core.core.retry import RetryPolicy
from durable_core.core.tasks import WhenAllTask
from durable_core.core.ticks import PER_SECOND, UNIX_EPOCH
from durable_core.errors import InstanceExistsError, InstanceNotFoundError, InvalidOperationError
from durable_core.storage.memory import StorageCall
from durable_core.taskhub.instance_query import InstanceFilter
from durable_core.testing.virtual_time import run
from tests.worker.sample import ACTIVITIES, ORCHESTRATORS
from tests.worker.world import Process, Steps, World, call, decode, finish, functions

DAY = 86_400 * PER_SECOND


class Ill:
    """An activity that fails until it is healed."""

    def __init__(self) -> None:
        self.is_healed = False
        self.calls: Counter[Any] = Counter()

    def __call__(self, value: Any) -> Any:
        self.calls[value] += 1
        if not self.is_healed:
            raise ValueError("still ill")
        return f"healed {value}"


def plain(run: OrchestrationRun) -> Steps:
    return (yield call(run, "ill", "a"))


def caught_before(run: OrchestrationRun) -> Steps:
    try:
        yield call(run, "boom", "x")
    except Exception:
        yield call(run, "say", "sorry")
    return (yield call(run, "ill", "b"))


def retried(run: OrchestrationRun) -> Steps:
    yield call(run, "say", "first")
    result = yield run.call_with_retry(RetryPolicy(5 * PER_SECOND, 3), lambda: call(run, "ill", "c"))
    yield call(run, "say", "last")
    return result


def parent(run: OrchestrationRun) -> Steps:
    first = yield call(run, "say", "hello")
    second = yield run.call_sub_orchestration("plain", None, decode, instance_id="kid")
    return [first, second]


def fan(run: OrchestrationRun) -> Steps:
    """Its first failure ends it while other work is open, whose answers are then dropped."""
    timer = run.create_timer(run.current_time + 5 * PER_SECOND)
    child = run.call_sub_orchestration("slow_child", None, decode, instance_id="slow")
    results = yield WhenAllTask([call(run, "ill", "d"), call(run, "slow", "e"), timer, child])
    return results


def retried_fan(run: OrchestrationRun) -> Steps:
    policy = RetryPolicy(5 * PER_SECOND, 2)
    one = run.call_with_retry(policy, lambda: call(run, "ill", "one"))
    two = call(run, "slow", "two")
    three = run.call_with_retry(policy, lambda: call(run, "ill", "three"))
    return (yield WhenAllTask([one, two, three]))


def slow_child(run: OrchestrationRun) -> Steps:
    return (yield call(run, "slow", "child"))


def eternal(run: OrchestrationRun) -> Steps:
    yield run.call_sub_orchestration("waiter", None, decode, instance_id="inner")


async def slow(value: Any) -> Any:
    await asyncio.sleep(20)
    return value


def world_of(ill: Ill) -> World:
    more = (plain, caught_before, retried, parent, fan, retried_fan, slow_child, eternal)
    bodies = {**ORCHESTRATORS, **{body.__name__: body for body in more}}
    return World(functions(bodies, {**ACTIVITIES, "ill": ill, "slow": slow}))


async def status_of(process: Process, instance_id: str) -> OrchestrationStatus:
    row = await process.client.get_status(instance_id)
    assert row is not None
    return row.runtime_status


# ---- rewind ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("plain", "healed a"),
        ("caught_before", "healed b"),
        ("retried", "healed c"),
        ("parent", ["Hello hello", "healed a"]),
        ("fan", ["healed d", "e", None, "child"]),
        ("retried_fan", ["healed one", "two", "healed three"]),
    ],
)
@pytest.mark.parametrize("wait", [1, 60])
def test_behaviours_92_93_a_rewound_instance_goes_on_where_it_failed(name: str, output: Any, wait: int) -> None:
    """At once, and after everything that was open has come in and was dropped."""

    async def main() -> None:
        ill = Ill()
        world = world_of(ill)
        one = await world.start()
        await one.client.start_new(name, instance_id="r")
        failed = await one.client.wait_for_completion("r", timeout=600)
        assert failed is not None and failed.runtime_status is OrchestrationStatus.Failed
        assert "still ill" in (failed.output or "")
        await asyncio.sleep(wait)
        ill.is_healed = True
        await one.client.rewind("r", "the doctor came")
        status = await one.client.wait_for_completion("r", timeout=600)
        assert status is not None and status.runtime_status is OrchestrationStatus.Completed, status
        assert json.loads(status.output or "") == output
        await asyncio.sleep(60)
        assert world.left_over() == {}
        if name == "caught_before":
            assert "TaskFailed" in world.history("r")

    run(main(), limit=7200)


def test_behaviour_92_the_rows_are_those_that_dotnet_leaves() -> None:
    async def main() -> None:
        ill = Ill()
        world = world_of(ill)
        one = await world.start()
        await finish(one, "plain", instance_id="rewound")
        ill.is_healed = True
        before = {row.values["RowKey"]: row.etag for row in world.storage.rows(world.names.history)}
        await one.client.rewind("rewound", "try again")
        row = await one.client.get_status("rewound")
        assert row is not None and row.runtime_status is OrchestrationStatus.Pending
        assert row.output is not None and row.completed_time is not None
        await one.client.wait_for_completion("rewound", timeout=60)
        rows = [row for row in world.storage.rows(world.names.history) if row.values["RowKey"] != "sentinel"]
        assert [(row.values["EventType"], row.values.get("Reason")) for row in rows][2:10] == [
            ("GenericEvent", "Rewound: TaskScheduled"),
            ("OrchestratorCompleted", None),
            ("OrchestratorStarted", None),
            ("GenericEvent", "Rewound: TaskFailed"),
            ("GenericEvent", "Rewound: ExecutionCompleted"),
            ("OrchestratorCompleted", None),
            ("OrchestratorStarted", None),
            ("GenericEvent", None),
        ]
        assert rows[9].values["Data"] == "try again"
        assert rows[10].values["EventId"] == 0
        assert before["sentinel"]

    run(main(), limit=3600)


def test_an_exhausted_retry_keeps_its_earlier_attempts() -> None:
    async def main() -> None:
        ill = Ill()
        world = world_of(ill)
        one = await world.start()
        await finish(one, "retried", instance_id="r")
        assert ill.calls["c"] == 3
        ill.is_healed = True
        await asyncio.sleep(1)
        await one.client.rewind("r", None)
        await one.client.wait_for_completion("r", timeout=60)
        assert ill.calls["c"] == 4
        assert world.history("r").count("TaskFailed") == 2

    run(main(), limit=3600)


def test_behaviour_94_only_a_failed_instance_is_rewound() -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        await finish(one, "hello5", instance_id="done")
        with pytest.raises(InvalidOperationError, match="has status Completed"):
            await one.client.rewind("done", None)
        with pytest.raises(InstanceNotFoundError):
            await one.client.rewind("nobody", None)

    run(main(), limit=3600)


# ---- purge -----------------------------------------------------------------------------------------------------------


def test_a_purge_leaves_nothing_and_takes_four_calls() -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        await finish(one, "hello5", instance_id="p1")
        await finish(one, "large", 50_000, instance_id="p2")
        client = world.client("purger")
        calls = client._hub.account.calls
        assert (await client.purge("p1")).deleted == 1
        assert calls.total == 5, calls.by_kind  # one of them reads the row
        await client.purge("p2")
        assert world.storage.rows(world.names.history) == []
        assert world.storage.rows(world.names.instances) == []
        assert world.storage.blob_names(world.names.large_messages) == []
        with pytest.raises(InstanceNotFoundError):
            await client.purge("p1")

    run(main(), limit=3600)


def test_a_purge_by_filter_takes_four_calls_an_instance_and_more_only_for_long_histories_and_blobs() -> None:
    def long(run: OrchestrationRun) -> Steps:
        for number in range(60):
            yield call(run, "say", number)

    async def main() -> None:
        world = World(functions({**ORCHESTRATORS, "long": long}, ACTIVITIES))
        one = await world.start()

        async def cost(prefix: str, count: int) -> int:
            """Calls beyond the one that lists."""
            calls = one.hub.account.calls
            before = calls.total
            assert (await one.client.purge_many(InstanceFilter(prefix=prefix))).deleted == count
            return calls.total - before - 1

        for number in range(50):
            await finish(one, "hello5", instance_id=f"plain{number}")
        assert await cost("plain", 50) <= 4 * 50
        await finish(one, "long", instance_id="long")
        rows = len(world.storage.rows(world.names.history))
        assert rows > 200
        assert await cost("long", 1) <= 4 + rows // 100
        await finish(one, "large", 50_000, instance_id="wide")
        blobs = len(world.storage.blob_names(world.names.large_messages))
        assert blobs > 0
        assert await cost("wide", 1) <= 4 + blobs

    run(main(), limit=3600)


def test_a_purge_by_filter_takes_finished_instances_only_and_goes_on_when_time_is_up() -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        for number in range(30):
            await finish(one, "hello5", instance_id=f"p{number:02}")
        await one.client.start_new("waiter", instance_id="p-waits")
        await world.settle()
        client = world.client("purger")
        assert (await client.purge_many(InstanceFilter(prefix="p0"))).deleted == 10
        first = await client.purge_many(InstanceFilter(), within=0.0)
        assert (first.deleted, first.is_complete) == (0, False)
        with pytest.raises(ValueError, match="not those with runtimeStatus Running"):
            await client.purge_many(
                InstanceFilter(statuses=[OrchestrationStatus.Completed, OrchestrationStatus.Running])
            )
        last = await client.purge_many(InstanceFilter())
        assert (last.deleted, last.is_complete) == (20, True)
        with pytest.raises(InvalidOperationError, match="terminate it first"):
            await client.purge("p-waits")
        assert await status_of(one, "p-waits") is OrchestrationStatus.Running

    run(main(), limit=3600)


class SlowDeletions:
    """Storage that needs a minute for each transaction of one client."""

    async def before(self, call: StorageCall) -> None:
        if call.client == "purger" and call.kind == "table.transaction":
            await asyncio.sleep(60)

    async def after(self, call: StorageCall) -> None: ...


def test_one_call_purges_for_100_seconds_tells_how_many_and_the_next_goes_on() -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        for number in range(30):
            await finish(one, "hello5", instance_id=f"p{number:02}")
        await world.settle()
        world.storage.faults = SlowDeletions()
        client = world.client("purger")
        first = await client.purge_many(InstanceFilter())
        assert (first.deleted, first.is_complete) == (20, False), "10 at a time, none begun after 100 s"
        last = await client.purge_many(InstanceFilter())
        assert (last.deleted, last.is_complete) == (10, True)

    run(main(), limit=3600)


# ---- start, restart, list --------------------------------------------------------------------------------------------


async def pass_time(world: World, one: Process, seconds: float) -> Process:
    """Let time pass; of long times the worker runs some minutes a day only: an idle one costs a test real time."""
    now = asyncio.get_running_loop().time
    until = now() + seconds
    while (left := until - now()) > 3600:
        await one.worker.stop()
        await asyncio.sleep(min(left, 86_400) - 300)
        one = await world.start(f"worker-{now():.0f}")
        await asyncio.sleep(200)
    await asyncio.sleep(until - now())
    return one


@pytest.mark.parametrize("days", [0.04, 20.0])
def test_a_scheduled_start_waits_for_its_time_however_far_it_is(days: float) -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        due = one.hub.now() + round(days * DAY)
        await one.client.start_new("hello5", instance_id="later", start_at=due)
        one = await pass_time(world, one, days * 86_400 - 60)
        assert await status_of(one, "later") is OrchestrationStatus.Pending
        assert world.history("later") == []
        await asyncio.sleep(120)
        status = await one.client.get_status("later")
        assert status is not None and status.runtime_status is OrchestrationStatus.Completed
        assert status.scheduled_start_time == due
        assert world.left_over() == {}

    run(main(), limit=40 * 86_400)


def test_a_timer_of_ten_days_fires_at_its_time() -> None:
    """http-and-protocol 10, item 81."""

    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        await one.client.start_new("sleeper", instance_id="timer", input=str(10 * 86_400))
        await world.settle()
        one = await pass_time(world, one, 10 * 86_400 - 60)
        assert await status_of(one, "timer") is OrchestrationStatus.Running
        await asyncio.sleep(120)
        assert await status_of(one, "timer") is OrchestrationStatus.Completed

    run(main(), limit=20 * 86_400)


def test_behaviour_61_a_scheduled_instance_that_is_terminated_stays_terminated() -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        await one.client.start_new("hello5", instance_id="later", start_at=one.hub.now() + DAY)
        reason = "x" * 40_000
        await one.client.terminate("later", reason)
        await world.settle()
        one = await pass_time(world, one, 2 * 86_400)
        status = await one.client.get_status("later")
        assert status is not None and status.runtime_status is OrchestrationStatus.Terminated
        assert status.output == reason
        assert world.left_over() == {}

    run(main(), limit=4 * 86_400)


def test_behaviours_90_95_reuse_and_restart() -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        await finish(one, "fan_out", 2, instance_id="again")
        new = await one.client.restart("again")
        assert new != "again"
        status = await one.client.wait_for_completion(new, timeout=60)
        assert status is not None and status.input == "2" and status.name == "fan_out"
        assert await one.client.restart("again", restart_with_new_instance_id=False) == "again"
        status = await one.client.wait_for_completion("again", timeout=60)
        assert status is not None and status.generation == 1
        await one.client.start_new("waiter", instance_id="busy")
        with pytest.raises(InstanceExistsError):
            await one.client.start_new("waiter", instance_id="busy")
        await one.client.start_new("hello5", instance_id="busy", replaceable=frozenset(OrchestrationStatus))
        status = await one.client.wait_for_completion("busy", timeout=60)
        assert status is not None and (status.name, status.generation) == ("hello5", 1)
        with pytest.raises(InstanceNotFoundError):
            await one.client.restart("nobody")

    run(main(), limit=3600)


def test_a_list_costs_one_call_a_page() -> None:
    async def main() -> None:
        world = world_of(Ill())
        client = world.client("lister")
        await world.start()
        for number in range(25):
            await client.start_new("hello5", instance_id=f"i{number:02}")
        await asyncio.sleep(60)
        before = client._hub.account.calls.total
        seen: list[str] = []
        pages, continuation = 0, None
        while True:
            page = await client.list_instances(InstanceFilter(prefix="i"), top=10, continuation=continuation)
            seen += [status.instance_id for status in page.instances]
            pages, continuation = pages + 1, page.continuation
            if continuation is None:
                break
        assert seen == [f"i{number:02}" for number in range(25)]
        assert client._hub.account.calls.total - before == pages == 3
        wanted = InstanceFilter(statuses=[OrchestrationStatus.Completed], created_from=UNIX_EPOCH)
        assert len([status async for status in client.all_instances(wanted)]) == 25
        assert (await client.list_instances(InstanceFilter(created_to=UNIX_EPOCH))).instances == []
        with pytest.raises(ValueError, match="top"):
            await client.list_instances(top=0)

    run(main(), limit=3600)


@pytest.mark.parametrize("recursive", [False, True])
def test_behaviour_46_children_of_a_terminated_parent_go_on_unless_asked(recursive: bool) -> None:
    async def main() -> None:
        world = world_of(Ill())
        one = await world.start()
        await one.client.start_new("eternal", instance_id="outer")
        await world.settle()
        await one.client.terminate("outer", "enough", recursive=recursive)
        await world.settle()
        assert await status_of(one, "outer") is OrchestrationStatus.Terminated
        expected = OrchestrationStatus.Terminated if recursive else OrchestrationStatus.Running
        assert await status_of(one, "inner") is expected

    run(main(), limit=3600)


def test_a_row_with_large_values_is_repaired_with_their_urls() -> None:
    """A crash between history and row, then a duplicate that finds the row behind."""

    async def main() -> None:
        world = world_of(Ill())
        one = await world.start("one")
        await one.client.start_new("large", instance_id="big", input="40000")

        def kill(call: Any) -> None:
            if call.kind == "table.merge" and call.resource == world.names.instances and len(world.history("big")) > 6:
                world.kill(one)

        world.faults.before_hooks.append(kill)
        await asyncio.sleep(5)
        two = await world.start("two")
        status = await two.client.wait_for_completion("big", timeout=300)
        assert status is not None and decode(status.output) == "x" * 40_000

    run(main(), limit=3600)
