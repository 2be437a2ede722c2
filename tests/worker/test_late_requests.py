"""Requests upon which storage acts when nobody waits for them any more: newer ones stand there by then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from durable_core.core.history import ExecutionTerminated, OrchestrationStatus
from durable_core.core.replay import OrchestrationRun
from durable_core.errors import PreconditionFailedError
from durable_core.storage.base import ANY
from durable_core.storage.memory import LateError, StorageCall
from durable_core.testing.virtual_time import run
from tests.worker.sample import ACTIVITIES, FUNCTIONS, ORCHESTRATORS
from tests.worker.world import Steps, World, decode, finish, functions, until


def two_waits(run: OrchestrationRun) -> Steps:
    yield run.wait_for_event("first", decode)
    return (yield run.wait_for_event("second", decode))


def late_once(world: World, wanted: Callable[[StorageCall], bool], *, is_repeated: bool) -> None:
    """Let storage act 30 s later on the next call that is wanted."""

    def hook(call: StorageCall) -> None:
        if wanted(call):
            world.faults.before_hooks.remove(hook)
            raise LateError(30, is_repeated=is_repeated)

    world.faults.before_hooks.append(hook)


@pytest.mark.parametrize("is_repeated", [False, True])
@pytest.mark.parametrize("is_child", [False, True])
def test_a_merge_of_the_row_that_comes_late_does_not_cover_a_newer_one(is_repeated: bool, is_child: bool) -> None:
    """The first of a run whose row the worker does not know: of a loaded history, or of a child."""

    async def main() -> None:
        def parent(run: OrchestrationRun) -> Steps:
            return (yield run.call_sub_orchestration("two_waits", None, decode, instance_id="w"))

        world = World(functions({**ORCHESTRATORS, "two_waits": two_waits, "parent": parent}, ACTIVITIES))
        one = await world.start(force_replay=not is_child)
        if not is_child:
            await one.client.start_new("two_waits", instance_id="w")
            await world.settle()

        def is_row(call: StorageCall) -> bool:
            return (
                call.client == "one"
                and call.resource == world.names.instances
                and call.detail == "w/"
                and call.kind in ("table.merge", "table.insert")
            )

        late_once(world, is_row, is_repeated=is_repeated)
        if is_child:
            await one.client.start_new("parent")
            await asyncio.sleep(5)
        await one.client.raise_event("w", "first", "1")
        await asyncio.sleep(5)
        await one.client.raise_event("w", "second", "2")
        await asyncio.sleep(5)
        assert world.storage.under_way == 1
        await asyncio.sleep(60)
        status = await one.client.get_status("w")
        assert status is not None
        assert (status.runtime_status, status.output) == (OrchestrationStatus.Completed, "2")

    run(main(), limit=3600)


def test_a_termination_of_a_row_that_comes_late_does_not_end_a_newer_run() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        client = world.client()
        await client.start_new("waiter", instance_id="w", start_at=one.hub.now() + 10**10)
        row = await one.hub.instances.get("w", with_payloads=False)
        assert row is not None
        event = ExecutionTerminated(timestamp=one.hub.now(), input="enough")
        late_once(world, lambda call: call.client == "one" and call.kind == "table.merge", is_repeated=True)
        assert await one.hub.instances.terminate("w", event, row.etag)
        await client.purge("w")
        await client.start_new("waiter", instance_id="w")
        await asyncio.sleep(60)
        status = await client.get_status("w")
        assert status is not None
        assert status.runtime_status is OrchestrationStatus.Running
        with pytest.raises(PreconditionFailedError):
            await one.hub.instances.terminate("w", event, row.etag)

    run(main(), limit=3600)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_first_checkpoint_that_comes_late_does_not_bring_back_what_was_terminated_before_it_began(
    is_first: bool,
) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        client = world.client()
        if not is_first:
            await finish(one, "hello5", instance_id="w")
            await world.settle()
        before = world.history("w")
        late_once(world, lambda call: call.client == "one" and call.kind == "table.transaction", is_repeated=False)
        await client.start_new("waiter", instance_id="w")
        await until(lambda: world.storage.under_way == 1)
        await client.terminate("w", "enough")
        await asyncio.sleep(20)
        assert world.storage.under_way == 1
        await asyncio.sleep(60)
        status = await client.get_status("w")
        assert status is not None
        assert (status.runtime_status, status.output) == (OrchestrationStatus.Terminated, "enough")
        assert world.history("w") == before
        assert world.left_over() == {}
        await client.start_new("waiter", instance_id="w")
        await world.settle()
        await client.raise_event("w", "go", "1")
        ended = await client.wait_for_completion("w", timeout=60)
        assert ended is not None
        assert ended.output == "1"

    run(main(), limit=3600)


@pytest.mark.parametrize("status", ["Pending", "Running", "Suspended"])
def test_a_row_that_was_written_after_the_purge_can_be_ended_and_purged(status: str) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        client = world.client()
        row = {"PartitionKey": "w", "RowKey": "", "Name": "waiter", "ExecutionId": "e", "RuntimeStatus": status}
        await one.hub.instances.merge(row, None)
        await client.terminate("w", "gone")
        ended = await client.wait_for_completion("w", timeout=60)
        assert ended is not None
        assert (ended.runtime_status, ended.output) == (OrchestrationStatus.Terminated, "gone")
        assert (await client.purge("w")).deleted == 1
        assert world.storage.rows(world.names.history) == []
        assert world.left_over() == {}

    run(main(), limit=3600)


async def test_a_row_that_is_not_known_is_read_before_it_is_written() -> None:
    world = World(FUNCTIONS)
    one = await world.start()
    await finish(one, "hello5", instance_id="w")
    await world.settle()
    kinds: list[str] = []
    world.faults.before_hooks.append(lambda call: kinds.append(call.kind))
    await one.hub.instances.merge({"PartitionKey": "w", "RowKey": "", "CustomStatus": '"new"'}, ANY)
    assert kinds == ["table.query", "table.merge"]
