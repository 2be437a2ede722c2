"""The first start of an instance, sent by another process: what it reads, and what happens when it comes twice."""

from __future__ import annotations

import asyncio
from collections import Counter

from durable_core.core.history import OrchestrationStatus
from durable_core.errors import UnavailableError
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World


def test_a_first_start_reads_its_row_and_no_history() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        await world.start("one")
        reads: Counter[str] = Counter()
        world.faults.before_hooks.append(
            lambda call: reads.update([call.resource]) if (call.client, call.kind) == ("one", "table.query") else None
        )
        client = world.client("elsewhere")
        await client.start_new("hello5", instance_id="x")
        await asyncio.sleep(40)
        status = await client.get_status("x")
        assert status is not None
        assert status.runtime_status is OrchestrationStatus.Completed
        assert reads[world.names.history] == 0
        assert reads[world.names.instances] == 1

    run(main(), limit=3600)


def test_a_later_start_of_the_same_id_reads_the_history_that_it_replaces() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        await world.start()
        client = world.client("elsewhere")
        await client.start_new("hello5", instance_id="x")
        await asyncio.sleep(40)
        reads: Counter[str] = Counter()
        world.faults.before_hooks.append(
            lambda call: reads.update([call.resource]) if call.kind == "table.query" else None
        )
        await client.start_new("hello5", instance_id="x")
        await asyncio.sleep(40)
        assert reads[world.names.history] == 1
        assert len(world.history("x")) == 24
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_a_second_copy_that_finds_the_row_as_inserted_does_not_begin_again() -> None:
    """The worker that ran the first copy died before it came to the row."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        client = world.client("elsewhere")

        def no_rows(call: StorageCall) -> None:
            if call.kind == "table.merge" and call.resource == world.names.instances and call.client == "one":
                raise UnavailableError("not now", status=503)

        world.faults.before_hooks.append(no_rows)
        await client.start_new("waiter", instance_id="x")
        queue = world.names.control_queue(one.hub.partition_of("x"))
        (copy,) = [message.text for message in world.storage.messages(queue)]
        await asyncio.sleep(40)
        begun = world.history("x")
        assert begun
        world.kill(one)
        await world.account("elsewhere").queues.put(queue, copy)
        two = await world.start("two")
        await asyncio.sleep(120)
        assert world.history("x") == begun, "the run that stands there was not begun again"
        await two.client.raise_event("x", "go", '"late"')
        await asyncio.sleep(40)
        status = await two.client.get_status("x")
        assert status is not None
        assert status.output == '"late"'
        assert world.left_over() == {}

    run(main(), limit=3600)
