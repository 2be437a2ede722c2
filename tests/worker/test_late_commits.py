"""Commits that come late, or whose answer is lost: what stands there by then, and what they leave behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable_core.core.history import EventRaised, OrchestrationInstance, OrchestrationStatus
from durable_core.core.messages import CLIENT, TaskMessage
from durable_core.core.replay import OrchestrationRun
from durable_core.errors import UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from tests.worker.sample import ACTIVITIES, FUNCTIONS, ORCHESTRATORS
from tests.worker.world import Process, Steps, World, decode, functions, until


async def status_of(process: Process, instance_id: str) -> OrchestrationStatus:
    status = await process.client.get_status(instance_id)
    assert status is not None
    return status.runtime_status


def hold_episodes(process: Process) -> asyncio.Event:
    """Let the episodes of a worker, run but not yet committed, go on when the event is set."""
    held = asyncio.Event()
    outgoing = process.worker.sessions.outgoing
    original = outgoing.send

    async def late(*arguments: Any, **named: Any) -> Any:
        written = await original(*arguments, **named)
        await held.wait()
        return written

    outgoing.send = late  # type: ignore[method-assign]
    return held


@pytest.mark.parametrize("after", ["purge", "new start"])
@pytest.mark.parametrize("is_local", [True, False])
def test_a_worker_that_slept_does_not_begin_an_instance_that_has_ended_and_was_purged(
    after: str, is_local: bool
) -> None:
    """No history stands there any more, so that the ETag of its sentinel keeps nobody away."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        client = world.client()
        held = hold_episodes(one)
        await (one.client if is_local else client).start_new("hello5", instance_id="late")
        await asyncio.sleep(30)

        def lose(call: StorageCall) -> None:
            if call.client == "one" and (call.resource == world.names.partitions or call.kind == "queue.update"):
                raise UnavailableError("injected", status=503)

        world.faults.before_hooks.append(lose)
        await world.start("two")
        ended = await client.wait_for_completion("late", timeout=300)
        assert ended is not None and ended.runtime_status is OrchestrationStatus.Completed
        await client.purge("late")
        if after == "new start":
            await client.start_new("waiter", instance_id="late")
            await asyncio.sleep(60)
        held.set()
        await asyncio.sleep(300)
        rows = {row.values["PartitionKey"]: row.values["Name"] for row in world.storage.rows(world.names.instances)}
        assert rows.get("late") == ("waiter" if after == "new start" else None)
        assert world.history("late")[:1] == (["OrchestratorStarted"] if after == "new start" else [])
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize("is_local", [True, False])
def test_the_row_of_a_run_that_continued_as_new_in_a_first_commit_without_an_answer_is_repaired(is_local: bool) -> None:
    """It still is the client's, of the first generation; that is no start to come."""

    async def main() -> None:
        def hops(run: OrchestrationRun) -> str | None:
            if decode(run.input) == "last":
                return "there"
            run.continue_as_new('"last"')
            return None

        world = World(functions({"hops": hops}, {}))
        one = await world.start()
        lost: list[StorageCall] = []

        def lose(call: StorageCall) -> None:
            if call.kind == "table.transaction" and call.detail == "h" and not lost:
                lost.append(call)
                raise UnavailableError("the answer is lost", status=503)

        world.faults.after_hooks.append(lose)
        await (one.client if is_local else world.client()).start_new("hops", instance_id="h")
        await asyncio.sleep(120)
        assert lost
        assert await status_of(one, "h") is OrchestrationStatus.Completed
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize("is_written", [False, True])
def test_a_child_of_an_episode_that_was_never_committed_does_not_outlive_its_terminated_parent(
    is_written: bool,
) -> None:
    """Its start stays in the queue while nobody knows whether the history was written."""

    async def main() -> None:
        def late_child(run: OrchestrationRun) -> Steps:
            yield run.wait_for_event("go", decode)
            return (yield run.call_sub_orchestration("waiter", None, decode, instance_id="child"))

        world = World(functions({**ORCHESTRATORS, "late_child": late_child}, ACTIVITIES))
        one = await world.start()
        await one.client.start_new("late_child", instance_id="p")
        await asyncio.sleep(5)
        failed: list[StorageCall] = []

        def fail(call: StorageCall) -> None:
            if call.kind == "table.transaction" and call.detail == "p" and not failed:
                failed.append(call)
                raise UnavailableError("injected", status=503)

        (world.faults.after_hooks if is_written else world.faults.before_hooks).append(fail)
        await one.client.raise_event("p", "go", "1")
        await until(lambda: bool(failed))
        await one.client.terminate("p", "enough")
        await asyncio.sleep(120)
        assert await status_of(one, "p") is OrchestrationStatus.Terminated
        child = await one.client.get_status("child")
        assert (child is not None) is is_written, "its parent's history tells of it, or nobody ever heard of it"
        assert world.left_over() == {}

    run(main(), limit=3600)


async def test_a_large_message_whose_blob_was_put_without_an_answer_leaves_one_blob() -> None:
    """Nobody would know the name of another."""
    world = World(FUNCTIONS)
    one = await world.start()

    def lose_answer(call: StorageCall) -> None:
        if call.kind == "blob.put":
            world.faults.after_hooks.remove(lose_answer)
            raise UnavailableError("injected", status=503)

    world.faults.after_hooks.append(lose_answer)
    event = EventRaised(timestamp=0, name="go", input="x" * 100_000)
    sent = await one.hub.messages.send(TaskMessage(event, OrchestrationInstance("w")), sender=CLIENT)
    assert world.storage.blob_names(world.names.large_messages) == [sent.blob]
