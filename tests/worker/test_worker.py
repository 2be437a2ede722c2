"""One worker on an in-memory service: what it costs, what it writes, what it survives."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from durable_core.core.history import OrchestrationStatus
from durable_core.errors import InstanceExistsError, InstanceNotFoundError, InvalidOperationError, UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.taskhub.keys import escape_key
from durable_core.testing.virtual_time import run
from tests.worker.sample import ACTIVITIES, FUNCTIONS
from tests.worker.world import World, call, finish, functions


def test_hello5_alone_costs_at_most_27_calls_and_no_history_query() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        calls = one.hub.account.calls
        before = dict(calls.by_kind)
        end = await finish(one, "hello5")
        assert json.loads(end.result or "") == [f"Hello {number}" for number in range(5)]
        spent = {
            kind: count - before.get(kind, 0)
            for kind, count in calls.by_kind.items()
            if kind not in ("queue.get", "queue.update", "blob.lease") and count != before.get(kind, 0)
        }
        assert spent.pop("table.merge") <= 6
        assert spent == {"queue.put": 6, "queue.delete": 6, "table.insert": 1, "table.transaction": 6}
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_no_history_is_read_of_an_instance_that_begins_here() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await world.client("elsewhere").start_new("fan_out", input="40", instance_id="x")
        reads: list[StorageCall] = []
        world.faults.before_hooks.append(
            lambda call: reads.append(call) if (call.kind, call.resource) == ("table.query", "TestHubHistory") else None
        )
        end = await one.worker.watch("x")
        assert len(json.loads(end.result or "")) == 40
        assert not reads

    run(main(), limit=3600)


def test_behaviour_3_the_sixteen_events_stand_in_the_table() -> None:
    async def main() -> None:
        world = World(functions({"chain": three}, ACTIVITIES))
        one = await world.start()
        await finish(one, "chain", instance_id="x")
        assert world.history("x") == [
            *("OrchestratorStarted", "ExecutionStarted", "TaskScheduled", "OrchestratorCompleted"),
            *("OrchestratorStarted", "TaskCompleted", "TaskScheduled", "OrchestratorCompleted") * 2,
            *("OrchestratorStarted", "TaskCompleted", "ExecutionCompleted", "OrchestratorCompleted"),
        ]

    run(main(), limit=3600)


def three(run: Any) -> Any:
    for city in ("Tokyo", "Seattle", "London"):
        yield call(run, "say", city)


@pytest.mark.parametrize("count", [3, 4, 5, 100, 250])
def test_fan_out_beyond_the_free_slots_and_beyond_one_transaction(count: int) -> None:
    """Surplus work items are written visible and received again; a checkpoint of 250 rows is split."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        end = await finish(one, "fan_out", count)
        assert json.loads(end.result or "") == [f"Hello {number}" for number in range(count)]
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_timers_fire_at_their_time_and_never_early() -> None:
    """Behaviour 78 as this project has it."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        begin = world.clock.now()
        end = await finish(one, "sleeper", 2.5)
        late = (int(end.result or 0) - begin) / 10_000_000 - 2.5
        assert 0 <= late < 0.1
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_timer_of_half_a_day_fires() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        end = await finish(one, "sleeper", 12 * 3600)
        assert end.status is OrchestrationStatus.Completed

    run(main(), limit=6 * 24 * 3600)


def test_events_before_and_after_the_wait() -> None:
    """Behaviours 86, 89."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        instance = await one.client.start_new("approval")
        await one.client.raise_event(instance, "go", '{"by":"me"}')
        end = await one.worker.watch(instance)
        assert end.result == '{"by": "me"}'
        assert (await finish(one, "approval")).result == '"timed out"'

    run(main(), limit=3600)


def test_behaviour_80_the_message_of_a_cancelled_timer_is_dropped_when_it_comes() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        instance = await one.client.start_new("approval")
        await one.client.raise_event(instance, "go", "1")
        await one.worker.watch(instance)
        assert sum(world.left_over().values()) == 1
        await asyncio.sleep(90)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_failures() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        end = await finish(one, "fails")
        assert (end.status, end.result) == (OrchestrationStatus.Failed, "boom failed: no x")
        assert (await finish(one, "catches")).result == '"caught boom failed: no x"'

    run(main(), limit=3600)


def test_behaviour_67_unknown_names_fail_with_the_known_ones() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        end = await finish(one, "nothing")
        assert end.status is OrchestrationStatus.Failed
        assert "'nothing' doesn't exist" in (end.result or "")
        assert "'hello5'" in (end.result or "")
        end = await finish(one, "calls_nobody")
        assert "'nobody' doesn't exist" in (end.result or "")
        assert "'say'" in (end.result or "")
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_an_unknown_name_is_left_to_another_live_worker_for_a_while() -> None:
    """Rolling deployments: the new worker knows the function, the old one does not."""

    async def main() -> None:
        world = World(FUNCTIONS)
        old = await world.start("old", functions({}, {}))
        await world.start("new")
        await asyncio.sleep(60)
        for number in range(8):
            await old.client.start_new("hello5", instance_id=f"i{number}")
        await asyncio.sleep(300)
        states = [await old.client.get_status(f"i{number}") for number in range(8)]
        ended = [state.runtime_status for state in states if state is not None]
        assert OrchestrationStatus.Completed in ended, "those of the new worker's partitions"
        assert set(ended) <= {OrchestrationStatus.Completed, OrchestrationStatus.Failed}

    run(main(), limit=3600)


def test_an_unreadable_message_is_set_aside_and_the_partition_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        for queue in (world.names.control_queue(0), world.names.work_items):
            await one.hub.account.queues.put(queue, "what is this")
        await asyncio.sleep(200)
        kept = await one.hub.poison.list()
        assert {message.queue: message.text for message in kept} == {
            "testhub-control-00": "what is this",
            "testhub-workitems": "what is this",
        }
        assert {message.dequeue_count for message in kept} == {5}
        assert world.left_over() == {}
        assert (await finish(one, "hello5", instance_id="a")).status is OrchestrationStatus.Completed

    run(main(), limit=3600)
    assert "testhub-control-00" in caplog.text


def test_large_inputs_and_outputs_travel_in_blobs() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await finish(one, "large", 100_000, instance_id="big one")
        status = await one.client.get_status("big one")
        assert status is not None
        assert status.output == '"' + "x" * 100_000 + '"'
        row = next(row for row in world.storage.rows(world.names.instances) if row.values["PartitionKey"] == "big one")
        assert "/testhub-largemessages/big%20one/history-" in str(row.values["Output"])

    run(main(), limit=3600)


@pytest.mark.parametrize("length", [30_000, 31_000, 50_000])
def test_a_large_input_is_seen_before_and_after_the_first_episode(length: int) -> None:
    """task-hub 5.3; between the two limits the original shows an empty input until the first checkpoint."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        text = json.dumps("y" * length)
        client = world.client("elsewhere")
        await client.start_new("waiter", input=text, instance_id="x")
        status = await client.get_status("x")
        assert status is not None
        assert status.input == text
        await asyncio.sleep(60)
        status = await client.get_status("x")
        assert status is not None
        assert status.input == text
        assert status.runtime_status is OrchestrationStatus.Running
        assert status.custom_status == '"waiting"'
        assert one.name == "one"

    run(main(), limit=3600)


def test_behaviour_90_ids_are_reused_only_when_the_instance_has_ended() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("waiter", instance_id="x")
        with pytest.raises(InstanceExistsError, match=r"with the status (Pending|Running) already exists"):
            await one.client.start_new("waiter", instance_id="x")
        await world.settle()
        await one.client.raise_event("x", "go", "1")
        await one.worker.watch("x")
        end = await finish(one, "hello5", instance_id="x")
        assert end.status is OrchestrationStatus.Completed
        status = await one.client.get_status("x")
        assert status is not None
        assert (status.name, status.generation) == ("hello5", 1)

    run(main(), limit=3600)


@pytest.mark.parametrize("instance_id", ["@e@k", "a/b", "a\\b", "a?b", "a#b", "a\nb", "x" * 257])
def test_behaviour_91_forbidden_ids(instance_id: str) -> None:
    async def main() -> None:
        client = World(FUNCTIONS).client()
        with pytest.raises(ValueError, match="instance ids must not"):
            await client.start_new("hello5", instance_id=instance_id)

    run(main(), limit=3600)


@pytest.mark.parametrize("instance_id", ["odd%id'é", "a b", "a+b", "注文^1", "😀"])
def test_ids_of_all_other_kinds_work(instance_id: str) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        assert (await finish(one, "hello5", instance_id=instance_id)).status is OrchestrationStatus.Completed
        assert len(world.history(escape_key(instance_id))) == 24

    run(main(), limit=3600)


def test_behaviour_87_events_to_missing_and_ended_instances_are_refused() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        with pytest.raises(InstanceNotFoundError, match="'missing'"):
            await one.client.raise_event("missing", "go", None)
        await finish(one, "hello5", instance_id="x")
        with pytest.raises(InvalidOperationError, match="Completed state"):
            await one.client.raise_event("x", "go", None)

    run(main(), limit=3600)


def test_suspend_resume_terminate() -> None:
    """Behaviours 55, 57, 58."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("waiter", instance_id="x")
        await world.settle()
        await one.client.suspend("x", "hold")
        await world.settle()
        status = await one.client.get_status("x")
        assert status is not None
        assert (status.runtime_status, status.output) == (OrchestrationStatus.Suspended, "hold")
        await one.client.raise_event("x", "go", "7")
        await world.settle()
        await one.client.resume("x", "on")
        assert (await one.worker.watch("x")).result == "7"
        await one.client.start_new("waiter", instance_id="y")
        await world.settle()
        await one.client.terminate("y", "enough")
        end = await one.worker.watch("y")
        assert (end.status, end.result) == (OrchestrationStatus.Terminated, "enough")

    run(main(), limit=3600)


def test_behaviour_61_a_start_whose_row_was_terminated_meanwhile_is_discarded() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        client = world.client("elsewhere")
        process = await world.start()
        await process.worker.stop()
        await client.start_new("waiter", instance_id="x")
        await client.terminate("x", "never mind")
        messages = world.storage.messages(process.hub.messages.queue_of(_target("x")))
        assert len(messages) == 2
        row = await process.hub.instances.get("x", with_payloads=False)
        assert row is not None
        await process.hub.instances.terminate("x", _terminated(), row.etag)
        await world.start("two")
        await asyncio.sleep(120)
        status = await client.get_status("x")
        assert status is not None
        assert status.runtime_status is OrchestrationStatus.Terminated
        assert world.history("x") == []
        assert world.left_over() == {}

    run(main(), limit=3600)


def _target(instance_id: str) -> Any:
    from durable_core.core.history import EventRaised, OrchestrationInstance
    from durable_core.core.messages import TaskMessage

    return TaskMessage(EventRaised(timestamp=0, name="x"), OrchestrationInstance(instance_id))


def _terminated() -> Any:
    from durable_core.core.history import ExecutionTerminated
    from durable_core.core.ticks import UNIX_EPOCH

    return ExecutionTerminated(timestamp=UNIX_EPOCH, input="never mind")


def test_forced_replay_gives_the_same_results() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start(force_replay=True)
        assert json.loads((await finish(one, "hello5")).result or "") == [f"Hello {number}" for number in range(5)]
        assert len(json.loads((await finish(one, "fan_out", 30)).result or "")) == 30

    run(main(), limit=3600)


def test_the_session_cache_is_bounded_and_evicted_instances_go_on() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start(session_cache_size=5)
        ids = [await one.client.start_new("waiter") for _ in range(50)]
        await world.settle()
        assert one.worker.sessions.cached_count <= 5
        ends = [one.worker.watch(instance) for instance in ids]
        for instance in ids:
            await one.client.raise_event(instance, "go", '"now"')
        assert {end.result for end in await asyncio.gather(*ends)} == {'"now"'}

    run(main(), limit=3600)


def test_storage_that_is_away_for_ten_minutes_delays_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        instances = [await one.client.start_new("sleeper", input="30") for _ in range(5)]
        ends = [one.worker.watch(instance) for instance in instances]
        await world.settle()
        away = [True]

        def refuse(call: StorageCall) -> None:
            if away[0]:
                raise UnavailableError("the service is away", status=503)

        world.faults.before_hooks.append(refuse)
        await asyncio.sleep(600)
        away[0] = False
        await asyncio.gather(*ends)
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), limit=3600)
    assert "Traceback" not in caplog.text


def test_finished_instances_leave_nothing_behind() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start(max_concurrent_orchestrators=20, max_concurrent_activities=20)
        for _ in range(20):
            await asyncio.gather(*(finish(one, "catches") for _ in range(25)))
        await world.settle()
        assert one.worker.sessions.cached_count == 0
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_graceful_stop_gives_everything_back_at_once() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        await one.client.start_new("waiter", instance_id="x")
        await one.client.start_new("sleeper", input="5", instance_id="y")
        await world.settle()
        await one.worker.stop()
        two = await world.start("two")
        await two.client.raise_event("x", "go", "1")
        assert (await two.worker.watch("x")).result == "1"
        end = await two.worker.watch("y")
        assert end.status is OrchestrationStatus.Completed
        owners = {row.values.get("CurrentOwner") for row in world.storage.rows(world.names.partitions)}
        assert owners == {"two"}

    run(main(), limit=3600)
