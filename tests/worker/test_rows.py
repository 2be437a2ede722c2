"""Instances rows and what overtakes them: merges that come late, repairs, purges, rows that were never written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable_core.core.history import EventRaised, OrchestrationInstance, OrchestrationStatus
from durable_core.core.messages import CLIENT, TaskMessage
from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import PER_SECOND
from durable_core.errors import InstanceExistsError, NotFoundError, UnavailableError
from durable_core.storage.base import ANY, Entity
from durable_core.storage.memory import MemoryStorage, StorageCall
from durable_core.taskhub.purging import Purger
from durable_core.testing.virtual_time import run
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.row_merges import RowMerges, RowVersion
from tests.worker.sample import ACTIVITIES, FUNCTIONS, ORCHESTRATORS
from tests.worker.world import Process, Steps, World, decode, finish, finished_row, functions


async def status_of(process: Process) -> OrchestrationStatus:
    status = await process.client.get_status("w")
    assert status is not None
    return status.runtime_status


def _lease_trouble(call: StorageCall) -> None:
    if call.client == "one" and (call.resource.endswith("Partitions") or call.kind == "queue.update"):
        raise UnavailableError("injected", status=503)


def hold_merges(process: Process) -> asyncio.Event:
    """Let the merges into the Instances table that a worker sends from now on arrive when the event is set."""
    held = asyncio.Event()
    merges = process.worker.sessions.merges
    original = merges._merge

    async def late(*arguments: Any) -> str:
        await held.wait()
        return await original(*arguments)

    merges._merge = late
    return held


async def purged(world: World, instance_id: str) -> None:
    """Purge an instance as soon as its row says that it has ended."""
    client = world.client("purger")
    status = await client.wait_for_completion(instance_id, timeout=300)
    assert status is not None and status.runtime_status is OrchestrationStatus.Completed
    await client.purge(instance_id)


def test_the_row_of_a_worker_that_slept_does_not_stay_over_a_newer_one() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("waiter", instance_id="w")
        held = hold_merges(one)
        await one.client.raise_event("w", "unexpected", "1")
        await asyncio.sleep(2)
        world.faults.before_hooks.append(_lease_trouble)
        two = await world.start("two")
        await asyncio.sleep(90)  # the partitions pass on
        await world.client("client").raise_event("w", "go", '"x"')
        await asyncio.sleep(60)
        assert await status_of(two) is OrchestrationStatus.Completed
        newest = (await two.client.get_status("w")).last_updated_time  # type: ignore[union-attr]
        held.set()
        await asyncio.sleep(30)
        status = await two.client.get_status("w")
        assert status is not None
        assert (status.runtime_status, status.last_updated_time) == (OrchestrationStatus.Completed, newest)

    run(main(), limit=3600)


def test_a_purged_instance_does_not_come_back_with_a_row_that_was_written_already() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        lost = [False]

        def lose(call: StorageCall) -> None:
            if call.kind == "table.merge" and call.resource == world.names.instances and call.client == "one":
                row = next(iter(world.storage.rows(world.names.instances)), None)
                if row is not None and row.values.get("RuntimeStatus") == "Completed" and not lost[0]:
                    lost[0] = True
                    raise UnavailableError("the answer is lost", status=503)

        world.faults.after_hooks.append(lose)
        await one.client.start_new("hello5", instance_id="gone")
        client = world.client("purger")
        await client.wait_for_completion("gone", timeout=60, poll=0.01)
        await client.purge("gone")
        await asyncio.sleep(60)
        assert lost[0]
        assert world.storage.rows(world.names.instances) == []
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_row_is_not_repaired_ahead_of_a_merge_that_is_under_way() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("waiter", instance_id="w")
        await asyncio.sleep(1)
        held = hold_merges(one)
        await one.client.raise_event("w", "go", "1")
        await asyncio.sleep(1)
        await one.client.raise_event("w", "too late", "1")  # meets a finished history behind a row that says Running
        asyncio.get_running_loop().call_later(10, held.set)
        client = world.client()
        await client.wait_for_completion("w", timeout=60)
        await client.start_new("waiter", instance_id="w", start_at=client.now() + 60 * PER_SECOND)
        await asyncio.sleep(30)
        assert await status_of(one) is OrchestrationStatus.Pending
        await asyncio.sleep(60)
        assert await status_of(one) is OrchestrationStatus.Running

    run(main(), limit=3600)


@pytest.mark.parametrize("begins_anew", [False, True])
@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_merge_that_comes_after_the_purge_leaves_no_trace(is_first: bool, is_local: bool, begins_anew: bool) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        if is_first:
            held = hold_merges(one)
        await (one.client if is_local else world.client()).start_new("waiter", instance_id="w")
        await asyncio.sleep(30)
        if not is_first:
            held = hold_merges(one)
        await one.client.raise_event("w", "unexpected", "1")
        await asyncio.sleep(1)
        world.faults.before_hooks.append(_lease_trouble)
        await world.start("two")
        await asyncio.sleep(90)  # the partitions pass on
        await world.client().raise_event("w", "go", '"x"')
        await purged(world, "w")
        if begins_anew:
            later = one.hub.now() + 3600 * PER_SECOND
            await world.client().start_new("hello5", instance_id="w", start_at=later)
        rows = world.storage.rows(world.names.instances)
        held.set()
        await asyncio.sleep(60)
        assert len(rows) == begins_anew
        assert world.storage.rows(world.names.instances) == rows

    run(main(), limit=3600)


def test_a_row_that_nobody_has_written_is_written_whole() -> None:
    """Its first merge was never made; the checkpoint that comes next knows neither name nor status."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await one.client.start_new("approval", instance_id="a")
        await asyncio.sleep(1)
        await one.hub.account.tables.delete(world.names.instances, "a", "")
        event = EventRaised(timestamp=one.hub.now(), name="unexpected", input=None)
        await one.hub.messages.send(TaskMessage(event, OrchestrationInstance("a")), sender=CLIENT)
        await asyncio.sleep(5)
        status = await one.client.get_status("a")
        assert status is not None
        assert (status.name, status.runtime_status) == ("approval", OrchestrationStatus.Running)

    run(main(), limit=3600)


@pytest.mark.parametrize("size", [40_000, 100_000])
def test_a_start_whose_instance_is_purged_meanwhile_leaves_no_blob_behind(size: int) -> None:
    """Its input is too large for a column, or for the queue as well (task-hub 3.8, 5.3)."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        await finish(one, "hello5", instance_id="again")
        await one.worker.stop()
        client, other = world.client("client"), world.client("other")
        original = client._hub.instances.create

        async def late(*arguments: Any) -> None:
            await other._hub.instances.delete("again", ANY)  # the last step of a purge, which has seen no blob yet
            client._hub.instances.create = original  # type: ignore[method-assign]
            with pytest.raises(NotFoundError):
                await original(*arguments)
            await other.start_new("waiter", instance_id="again")
            raise NotFoundError("the row is gone")

        client._hub.instances.create = late  # type: ignore[method-assign, assignment]
        with pytest.raises(InstanceExistsError):
            await client.start_new("hello5", input=json.dumps("x" * size), instance_id="again")
        assert world.storage.blob_names(world.names.large_messages) == []
        await world.start("two")
        await asyncio.sleep(60)
        status = await client.get_status("again")
        assert status is not None and status.name == "waiter"
        assert world.left_over() == {}

    run(main(), limit=3600)


@pytest.mark.parametrize("is_new_run", [False, True])
def test_a_purge_is_not_stopped_by_a_repair_that_writes_the_same_row_once_more(is_new_run: bool) -> None:
    """Its history is gone by then, so that nobody would ever write the row again."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        seen = await finished_row(world, one, "h")
        if is_new_run:
            await one.client.start_new("waiter", instance_id="h", start_at=one.hub.now() + 60 * PER_SECOND)
        else:
            await one.hub.instances.merge({"PartitionKey": "h", "RowKey": "", "RuntimeStatus": "Completed"}, ANY)
        assert await Purger(one.hub).purge(seen) is not is_new_run
        rows = [row.values["RuntimeStatus"] for row in world.storage.rows(world.names.instances)]
        assert rows == (["Pending"] if is_new_run else [])

    run(main(), limit=3600)


@pytest.mark.parametrize("again", ["a child", "a start whose row was not written"])
def test_a_run_that_begins_over_the_row_of_another_shows_nothing_of_it(again: str) -> None:
    """Blobs of the run before go when it is replaced."""

    async def main() -> None:
        def parent(run: OrchestrationRun) -> Steps:
            return (yield run.call_sub_orchestration("waiter", None, decode, instance_id="w"))

        world = World(functions({**ORCHESTRATORS, "parent": parent}, ACTIVITIES))
        one = await world.start()
        await finish(one, "large", 100_000, instance_id="w")
        await world.settle()
        if again == "a child":
            await one.client.start_new("parent")
        else:

            def fail(call: StorageCall) -> None:
                if call.client == "client" and call.kind == "table.replace":
                    raise UnavailableError("injected", status=503)

            world.faults.before_hooks.append(fail)
            with pytest.raises(UnavailableError):
                await world.client().start_new("waiter", instance_id="w")
        await asyncio.sleep(60)
        status = await one.client.get_status("w")
        assert status is not None
        assert (status.name, status.runtime_status) == ("waiter", OrchestrationStatus.Running)
        assert (status.input, status.output, status.completed_time) == (None, None, None)

    run(main(), limit=3600)


async def test_merges_that_wait_behind_the_one_that_replaces_a_row_join_it() -> None:
    written: list[tuple[str, Entity, str | None]] = []

    def noted(how: str) -> Callable[[Entity, str | None], Awaitable[str]]:
        async def write(entity: Entity, etag: str | None) -> str:
            written.append((how, entity, etag))
            return f"etag {len(written)}"

        return write

    async def repair(instance_id: str, execution_id: str) -> str | None:
        raise AssertionError("nothing is to be repaired")

    leases = MessageLeases(MemoryStorage(lambda: 0).account().queues, lease=15, renewal=5, monotonic=lambda: 0.0)
    merges = RowMerges(noted("merge"), noted("replace"), leases, lambda instance_id: True, repair)
    since = asyncio.get_running_loop().time()
    merges.submit("w", {"Output": "of the run before", "Name": "it"}, [], row=RowVersion("before"), since=since)
    row = RowVersion("read", is_older=True)
    merges.submit("w", {"Name": "this", "RuntimeStatus": "Running"}, [], row=row, since=since)
    merges.submit("w", {"RuntimeStatus": "Completed"}, [], row=row, since=since)
    await merges.flush()
    merges.submit("w", {"CustomStatus": "later"}, [], row=row, since=since)
    await merges.flush()
    whole = {"Name": "this", "RuntimeStatus": "Completed"}
    assert written == [("replace", whole, "read"), ("merge", {"CustomStatus": "later"}, "etag 1")]


async def test_a_repair_leaves_the_row_to_a_purge_that_has_not_come_to_all_of_the_history() -> None:
    """The row goes last, so that a purge that was cut off can be found and done again."""
    world = World(FUNCTIONS)
    one = await world.start()
    row = await finished_row(world, one, "h")
    for gone in ("sentinel", *(f"{position:016X}" for position in range(3))):
        await one.hub.account.tables.delete(world.names.history, "h", gone)
    assert await one.worker.sessions._repair("h", row.execution_id or "") is None
    assert await one.hub.instances.get("h", with_payloads=False) == row
    for left in world.storage.rows(world.names.history):
        await one.hub.account.tables.delete(world.names.history, "h", str(left.values["RowKey"]))
    assert await one.worker.sessions._repair("h", row.execution_id or "") is None
    assert await one.hub.instances.get("h", with_payloads=False) is None
    await one.worker.stop()
