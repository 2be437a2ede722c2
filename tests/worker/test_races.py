"""Races that the simulation found: each test makes one of them happen for sure."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import pytest

from durable_core.core.history import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    GenericEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    TaskCompleted,
    TaskScheduled,
)
from durable_core.core.messages import CLIENT, TaskMessage
from durable_core.core.replay import OrchestrationRun
from durable_core.core.tasks import WhenAllTask
from durable_core.core.ticks import PER_SECOND
from durable_core.errors import InvalidOperationError, UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.taskhub.history_store import LostRaceError
from durable_core.taskhub.hub import TaskHub
from durable_core.testing.virtual_time import run
from durable_core.text_client import TextClient
from tests.worker.sample import ACTIVITIES, ORCHESTRATORS
from tests.worker.world import Process, Steps, World, call, decode, finish, functions


def shows(run: OrchestrationRun) -> Steps:
    """Shows something, continues as new, and shows nothing more."""
    if decode(run.input) == "last":
        yield call(run, "say", "x")
        return run.custom_status
    run.custom_status = '"shown by the first"'
    yield call(run, "say", "x")
    run.continue_as_new('"last"')
    return None


def has_children(run: OrchestrationRun) -> Steps:
    return (yield WhenAllTask([run.call_sub_orchestration("waiter", None, decode) for _ in range(2)]))


def has_child(run: OrchestrationRun) -> Steps:
    return (yield run.call_sub_orchestration("hello5", '"given"', decode, instance_id="child"))


def waits_for_child(run: OrchestrationRun) -> Steps:
    return (yield run.call_sub_orchestration("waiter", None, decode, instance_id="child"))


def world_of() -> World:
    mine = {
        "shows": shows,
        "has_children": has_children,
        "has_child": has_child,
        "waits_for_child": waits_for_child,
    }
    return World(functions({**ORCHESTRATORS, **mine}, ACTIVITIES))


def clock_is_wrong(world: World, name: str, seconds: float) -> TextClient:
    """A client whose clock is so many seconds ahead, and never put right."""
    account = world.account(name)
    now = account.clock.now
    clock = SimpleNamespace(now=lambda: now() + round(seconds * PER_SECOND))
    hub = TaskHub(replace(account, clock=clock), world.names, Random(name))
    return TextClient(hub, random=world.random)


async def status_of(process: Process, instance_id: str) -> OrchestrationStatus:
    status = await process.client.get_status(instance_id)
    assert status is not None
    return status.runtime_status


def test_what_a_generation_showed_last_outlives_its_worker() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        merges = 0

        def kill(call: StorageCall) -> None:
            nonlocal merges
            if call.kind == "table.merge" and call.resource == world.names.instances and call.client == "one":
                merges += 1
                if merges == 2:  # the row that follows the continue-as-new
                    world.kill("one")

        world.faults.before_hooks.append(kill)
        await one.client.start_new("shows", instance_id="s")
        await asyncio.sleep(1)
        assert "one" in world.faults.dead
        two = await world.start("two")
        status = await two.client.wait_for_completion("s", timeout=300)
        assert status is not None and status.custom_status == '"shown by the first"'
        assert status.output == json.dumps('"shown by the first"')

    run(main(), limit=3600)


def test_what_is_sent_to_a_scheduled_run_is_not_taken_for_the_run_before() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await finish(one, "hello5", instance_id="again")
        await one.client.start_new("waiter", instance_id="again", start_at=one.hub.now() + 60 * PER_SECOND)
        await one.client.raise_event("again", "go", '"early"')
        await asyncio.sleep(300)
        status = await one.client.get_status("again")
        assert status is not None and status.runtime_status is OrchestrationStatus.Completed, status
        await one.client.start_new("waiter", instance_id="again", start_at=one.hub.now() + 60 * PER_SECOND)
        await one.client.terminate("again", "not needed")
        await asyncio.sleep(300)
        assert await status_of(one, "again") is OrchestrationStatus.Terminated
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_behaviour_46_a_recursive_termination_reaches_children_that_have_not_begun() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        client = world.client("client")
        await client.start_new("has_children", instance_id="parent")
        await client.terminate("parent", "enough", recursive=True)
        await asyncio.sleep(60)
        rows = [status async for status in client.all_instances()]
        assert [row.runtime_status for row in rows] == [OrchestrationStatus.Terminated] * len(rows)
        await one.client.start_new("has_children", instance_id="second")
        await asyncio.sleep(0.1)
        await client.terminate("second", "enough", recursive=True)
        await client.terminate("second", "enough", recursive=True)  # once more does no harm
        await asyncio.sleep(60)
        rows = [status async for status in client.all_instances()]
        assert len(rows) >= 4
        assert {row.runtime_status for row in rows} == {OrchestrationStatus.Terminated}

    run(main(), limit=3600)


def test_a_client_that_dies_between_the_steps_of_a_rewind_leaves_nothing_that_a_second_try_does_not_mend() -> None:
    async def main(deadly: int) -> None:
        ill = [True]

        def sick(value: object) -> object:
            if ill[0]:
                raise ValueError("still ill")
            return "well"

        def child(run: OrchestrationRun) -> Steps:
            return (yield call(run, "sick"))

        def parent(run: OrchestrationRun) -> Steps:
            return (yield run.call_sub_orchestration("child", None, decode, instance_id="c"))

        world = World(functions({"parent": parent, "child": child}, {"sick": sick}))
        one = await world.start()
        await finish(one, "parent", instance_id="p")
        ill[0] = False
        client = world.client("rewinder")
        writes = 0

        def fail(call: StorageCall) -> None:
            nonlocal writes
            if call.client == "rewinder" and call.kind in ("table.transaction", "queue.put", "table.merge"):
                writes += 1
                if deadly <= writes < deadly + 6:  # puts are tried again
                    raise UnavailableError("injected", status=503)

        world.faults.before_hooks.append(fail)
        for _ in range(8):
            try:
                await client.rewind("p", "healed")
                break
            except UnavailableError:
                await asyncio.sleep(0.1)
            except InvalidOperationError:  # the try before has done enough
                break
        await asyncio.sleep(300)
        status = await one.client.get_status("p")
        assert status is not None
        assert (status.runtime_status, status.output) == (OrchestrationStatus.Completed, '"well"'), deadly
        events = await one.client.get_history("p")
        assert sum(isinstance(event, ExecutionCompleted) for event in events) == 1
        assert any(isinstance(event, GenericEvent) for event in events)
        assert world.left_over() == {}

    for deadly in range(1, 8):
        run(main(deadly), limit=3600)


def test_a_start_that_was_purged_before_it_was_due_does_not_replace_the_run_that_came_after_it() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await finish(one, "hello5", instance_id="again")
        await one.client.start_new("waiter", instance_id="again", start_at=one.hub.now() + 60 * PER_SECOND)
        await one.client.terminate("again", "not needed")
        await asyncio.sleep(5)
        await one.client.purge("again")
        await one.client.start_new("has_children", instance_id="again")
        await asyncio.sleep(1500)
        status = await one.client.get_status("again")
        assert status is not None and status.name == "has_children"
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize("before", ["hello5", "shows"])
def test_the_clock_of_a_client_does_not_decide_whether_a_termination_is_older_than_the_run_before(before: str) -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await finish(one, before, instance_id="again")
        slow = clock_is_wrong(world, "slow", -300)
        await slow.start_new("waiter", instance_id="again", start_at=one.hub.now() + 60 * PER_SECOND)
        await slow.terminate("again", "not needed")
        await asyncio.sleep(600)  # the start came, found the termination, and left the row alone
        status = await one.client.get_status("again")
        assert status is not None
        assert (status.name, status.runtime_status) == ("waiter", OrchestrationStatus.Terminated)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_recursive_termination_that_was_not_carried_out_in_time_says_so_and_can_be_repeated() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        client = world.client("client")
        await client.start_new("has_children", instance_id="parent")
        await asyncio.sleep(5)
        await one.worker.stop()
        with pytest.raises(UnavailableError, match="'parent' was asked to end"):
            await client.terminate("parent", "enough", recursive=True)
        assert await status_of(one, "parent") is OrchestrationStatus.Running
        await world.start("two")
        await asyncio.sleep(60)
        await client.terminate("parent", "enough", recursive=True)
        await asyncio.sleep(60)
        rows = [status async for status in client.all_instances()]
        assert [row.runtime_status for row in rows] == [OrchestrationStatus.Terminated] * 3

    run(main(), limit=3600)


def test_a_start_that_was_purged_before_anybody_received_it_does_not_replace_the_run_that_came_after_it() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await finish(one, "hello5", instance_id="again")
        away = [True]

        def keep_away(call: StorageCall) -> None:
            if away[0] and call.kind == "queue.get":
                raise UnavailableError("injected", status=503)

        world.faults.before_hooks.append(keep_away)
        client = world.client("client")
        await client.start_new("waiter", instance_id="again")
        await one.client.terminate("again", "not needed")
        await asyncio.sleep(10)
        await client.purge("again")
        await client.start_new("has_children", instance_id="again")
        away[0] = False
        await asyncio.sleep(1500)
        status = await one.client.get_status("again")
        assert status is not None and status.name == "has_children"
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_duplicate_does_not_hide_a_rewind_that_was_cut_off() -> None:
    """The row says Failed until the instance was woken, whatever it receives meanwhile."""

    async def main() -> None:
        ill = [True]

        def sick(value: object) -> object:
            if ill[0]:
                raise ValueError("still ill")
            return "well"

        def patient(run: OrchestrationRun) -> Steps:
            yield call(run, "say", "x")
            return (yield call(run, "sick"))

        world = World(functions({"patient": patient}, {"sick": sick, **ACTIVITIES}))
        one = await world.start()
        await finish(one, "patient", instance_id="p")
        ill[0] = False

        def lose(call: StorageCall) -> None:
            if call.client == "rewinder" and call.kind == "table.transaction":
                raise UnavailableError("the answer is lost", status=503)

        world.faults.after_hooks.append(lose)
        with pytest.raises(UnavailableError):
            await world.client("rewinder").rewind("p", "healed")
        first = (await one.client.get_status("p")).execution_id  # type: ignore[union-attr]
        again = TaskCompleted(timestamp=one.hub.now(), task_scheduled_id=0, result='"said x"')
        await one.hub.messages.send(TaskMessage(again, OrchestrationInstance("p", first)), sender=None)
        await asyncio.sleep(60)
        assert await status_of(one, "p") is OrchestrationStatus.Failed
        await one.client.rewind("p", "healed")
        await asyncio.sleep(60)
        assert await status_of(one, "p") is OrchestrationStatus.Completed
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_an_instance_whose_purge_was_cut_off_can_be_asked_for_listed_and_purged() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await finish(one, "large", 100_000, instance_id="l")
        await finish(one, "hello5", instance_id="other")

        def cut(call: StorageCall) -> None:
            if call.client == "purger" and call.kind == "table.delete":
                raise UnavailableError("injected", status=503)

        world.faults.before_hooks.append(cut)
        with pytest.raises(UnavailableError):
            await world.client("purger").purge("l")
        status = await one.client.get_status("l")
        assert status is not None and (status.runtime_status, status.output) == (OrchestrationStatus.Completed, None)
        assert {status.instance_id async for status in one.client.all_instances()} == {"l", "other"}
        await one.client.purge("l")
        assert await one.client.get_status("l") is None

    run(main(), limit=3600)


def test_a_run_that_replaces_another_shows_none_of_its_large_values_and_leaves_none_behind() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await finish(one, "hello5", "x" * 40_000, instance_id="again")
        old = (await one.hub.history.load("again")).execution_id
        await world.settle()
        await one.worker.stop()
        client = world.client()
        await client.start_new("waiter", input='"small"', instance_id="again")
        late = EventRaised(timestamp=one.hub.now(), name="too late", input=None)  # comes with the start, and is dropped
        await client._hub.messages.send(TaskMessage(late, OrchestrationInstance("again", old)), sender=CLIENT)
        two = await world.start("two")
        await asyncio.sleep(60)
        status = await two.client.get_status("again")
        assert status is not None
        assert (status.name, status.input) == ("waiter", '"small"')
        blobs = world.storage.blob_names(world.names.large_messages)
        assert [name for name in blobs if name.startswith("again/history-0")] == []
        assert world.left_over() == {}

    run(main(), limit=3600)


def blobs_of(world: World, instance_id: str) -> list[str]:
    names = world.storage.blob_names(world.names.large_messages)
    return [name for name in names if name.startswith(f"{instance_id}/")]


async def late_reply(process: Process, instance_id: str, *, delay: int = 0) -> None:
    """A large answer to an execution that is not there."""
    answer = TaskCompleted(timestamp=process.hub.now(), task_scheduled_id=0, result=json.dumps("x" * 100_000))
    target = OrchestrationInstance(instance_id, "an execution")
    await process.hub.messages.send(TaskMessage(answer, target), sender=None, delay=delay)


def test_a_large_answer_that_comes_after_the_purge_leaves_no_blob() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await late_reply(one, "gone")
        assert len(blobs_of(world, "gone")) == 1
        await asyncio.sleep(200)
        assert (blobs_of(world, "gone"), world.left_over()) == ([], {})

    run(main(), limit=3600)


@pytest.mark.parametrize("started", ["never", "before", "since"])
def test_a_message_whose_blob_went_with_its_instance_is_dropped(started: str) -> None:
    """Where the instance stands there a lost blob is a loss, and somebody has to look at it."""

    async def main() -> None:
        world = world_of()
        one = await world.start()
        if started == "before":
            await one.client.start_new("waiter", instance_id="gone")
        delay = 10 if started == "since" else 0
        await late_reply(one, "gone", delay=delay)
        for name in blobs_of(world, "gone"):
            await one.hub.payloads.delete(name)
        work = TaskScheduled(timestamp=one.hub.now(), event_id=0, name="say", input=json.dumps("x" * 100_000))
        target = OrchestrationInstance("gone", "an execution")
        await one.hub.messages.send(TaskMessage(work, target), sender=None, delay=delay)
        for name in blobs_of(world, "gone"):
            await one.hub.payloads.delete(name)
        if started == "since":
            await asyncio.sleep(2)
            await one.client.start_new("waiter", instance_id="gone")
        await asyncio.sleep(300)
        assert world.left_over() == {}
        assert len(await one.hub.poison.list()) == (2 if started == "before" else 0)

    run(main(), limit=3600)


@pytest.mark.parametrize("has_begun", [True, False])
def test_the_second_copy_of_a_start_that_was_taken_back_is_dropped(has_begun: bool) -> None:
    """The first copy went with its blob; the episode that won the race has started the child as well."""

    async def main() -> None:
        world = world_of()
        one = await world.start()
        later = None if has_begun else one.hub.now() + 3600 * PER_SECOND
        await one.client.start_new("waiter", instance_id="child", start_at=later)
        await asyncio.sleep(5)
        start = ExecutionStarted(
            timestamp=one.hub.now(),
            instance=OrchestrationInstance("child", "of the loser"),
            name="waiter",
            version="",
            input=json.dumps("x" * 100_000),
        )
        await one.hub.messages.send(TaskMessage(start, start.instance), sender=None)
        for name in blobs_of(world, "child"):
            await one.hub.payloads.delete(name)
        await asyncio.sleep(300)
        # One that a client has announced and that is lost is for somebody to look at.
        assert len(await one.hub.poison.list()) == (0 if has_begun else 1)
        assert sum(world.left_over().values()) == (0 if has_begun else 1), (
            "the start that is to come waits for its time"
        )

    run(main(), limit=3600)


def test_a_checkpoint_that_met_a_purge_leaves_no_blob() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        await one.client.start_new("large", input="100000", instance_id="l")
        await asyncio.sleep(5)
        history = one.hub.history
        etag = (await history.load("l")).etag
        await one.client.purge("l")
        end = ExecutionCompleted(
            timestamp=one.hub.now(), event_id=1, status=OrchestrationStatus.Completed, result="x" * 100_000
        )
        with pytest.raises(LostRaceError):
            await history.append("l", "e", 5, [end], etag=etag)
        assert blobs_of(world, "l") == []

    run(main(), limit=3600)


def test_the_row_of_a_child_whose_first_commit_was_not_answered_is_whole() -> None:
    """Its later episodes know nothing of the start, which comes back when the row looks as if it were up to date."""

    async def main() -> None:
        world = world_of()
        one = await world.start()
        lost = [False]

        def lose(call: StorageCall) -> None:
            if call.kind == "table.transaction" and call.detail == "child" and not lost[0]:
                lost[0] = True
                raise UnavailableError("the answer is lost", status=503)

        def keep_away(call: StorageCall) -> None:
            if lost[0] and call.kind == "queue.get" and call.resource in world.names.control_queues:
                row = next(
                    (row for row in world.storage.rows(world.names.instances) if row.values["PartitionKey"] == "child"),
                    None,
                )
                if row is None or row.values.get("RuntimeStatus") != "Completed":
                    raise UnavailableError("injected", status=503)

        world.faults.after_hooks.append(lose)
        world.faults.before_hooks.append(keep_away)
        await one.client.start_new("has_child", instance_id="p")
        await asyncio.sleep(300)
        status = await one.client.get_status("child")
        assert lost[0]
        assert status is not None
        assert (status.name, status.input, status.runtime_status.name) == ("hello5", '"given"', "Completed")
        assert status.created_time is not None

    run(main(), limit=3600)


def test_a_recursive_termination_does_not_pass_over_a_child_that_begins_late() -> None:
    async def main() -> None:
        world = world_of()
        one = await world.start()
        ids = (f"late{number}" for number in range(100))
        partition = one.hub.partition_of("child")
        parent = next(name for name in ids if one.hub.partition_of(name) != partition)
        one.worker.sessions.refuse(partition)  # the start of the child goes through its queue

        def keep_away(call: StorageCall) -> None:
            if call.kind == "queue.get" and call.resource == world.names.control_queue(partition):
                raise UnavailableError("injected", status=503)

        world.faults.before_hooks.append(keep_away)
        client = world.client("client")
        await one.client.start_new("waits_for_child", instance_id=parent)
        await asyncio.sleep(5)
        with pytest.raises(UnavailableError, match="'child' has not begun within 60 s"):
            await client.terminate(parent, "enough", recursive=True)
        assert await status_of(one, parent) is OrchestrationStatus.Terminated
        world.faults.before_hooks.clear()
        one.worker.sessions.add_partition(partition)
        await asyncio.sleep(100)
        await client.terminate(parent, "enough", recursive=True)
        await asyncio.sleep(60)
        assert await status_of(one, "child") is OrchestrationStatus.Terminated

    run(main(), limit=3600)
