"""Reading, listing and cleaning up entities through the client (orchestration-semantics 9.10, 9.11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from durable_core.core.entity_ids import EntityId
from durable_core.core.ticks import PER_SECOND
from durable_core.taskhub.entity_store import EntityFilter
from durable_core.testing.virtual_time import run
from tests.worker.entities import FUNCTIONS, entity, signal
from tests.worker.world import World

HOUR = 3600 * PER_SECOND


def in_world(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(World(FUNCTIONS))

    run(main(), limit=12 * 3600)


def test_an_entity_is_read_with_its_state_and_a_missing_one_is_none() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await signal(process, "a", "set", {"x": [1, "é"]})
        await world.settle()
        found = await process.client.read_entity(EntityId("Counter", "a"))
        assert found is not None
        assert (found.exists, found.state, str(found.entity_id)) == (True, '{"x": [1, "\\u00e9"]}', "@counter@a")
        assert await process.client.read_entity(entity("missing")) is None
        await signal(process, "a", "delete")
        await world.settle()
        assert await process.client.read_entity(entity("a")) is None

    in_world(scenario)


def test_a_state_too_large_for_a_column_is_read_from_its_blob_and_old_blobs_go() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        for number in range(3):
            await signal(process, "a", "set", str(number) * 100_000)
            await asyncio.sleep(31)
        found = await process.client.read_entity(entity("a"))
        assert found is not None
        assert found.state == '"' + "2" * 100_000 + '"'
        blobs = [
            blob async for blob in process.hub.account.blobs.list(world.names.large_messages, "@counter@a/history")
        ]
        assert len(blobs) == 1

    in_world(scenario)


def test_entities_are_listed_by_name_time_and_page() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        start = process.hub.now()
        for key in ("a", "b", "c", "d"):
            await signal(process, key, "add", 1)
        await signal(process, "gone", "delete")
        await process.client.start_new("says", input='"x"', instance_id="orchestration")
        await world.settle()
        client = process.client
        everything = await client.list_entities()
        assert [item.entity_id.key for item in everything.entities] == ["a", "b", "c", "d"]
        assert [item.state for item in everything.entities] == [None] * 4
        assert everything.continuation is None
        filled = await client.list_entities(EntityFilter(name="COUNTER", with_state=True))
        assert [item.state for item in filled.entities] == ["1"] * 4
        transient = await client.list_entities(EntityFilter(include_transient=True))
        assert len(transient.entities) == 5
        assert (await client.list_entities(EntityFilter(name="count"))).entities == []
        first = await client.list_entities(top=3)
        second = await client.list_entities(top=3, continuation=first.continuation)
        assert [item.entity_id.key for item in (*first.entities, *second.entities)] == ["a", "b", "c", "d"]
        later = EntityFilter(last_operation_from=start + HOUR)
        assert (await client.list_entities(later)).entities == []
        assert len((await client.list_entities(EntityFilter(last_operation_to=start + HOUR))).entities) == 4
        with pytest.raises(ValueError, match="top"):
            await client.list_entities(top=0)

    in_world(scenario)


def test_behaviour_115_an_empty_idle_entity_is_removed_and_can_come_back() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await signal(process, "empty", "add", 1)
        await signal(process, "empty", "delete")
        await signal(process, "full", "add", 1)
        await world.settle()
        assert (await process.client.clean_entities()).empty_entities_removed == 0
        await asyncio.sleep(1900)
        assert (await process.client.clean_entities(remove_empty_entities=False)).empty_entities_removed == 0
        assert (await process.client.clean_entities()).empty_entities_removed == 1
        assert world.history("@counter@empty") == []
        assert await process.client.get_status("@counter@empty") is None
        await signal(process, "empty", "add", 5)
        await asyncio.sleep(40)
        found = await process.client.read_entity(entity("empty"))
        assert found is not None
        assert found.state == "5"
        assert world.left_over() == {}

    in_world(scenario)


def test_behaviour_116_an_orphaned_lock_is_released() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await process.client.start_new("holds", input='"waits"', instance_id="owner")
        await world.settle()
        assert (await process.client.clean_entities()).orphaned_locks_released == 0
        row = world.storage.rows(world.names.instances)
        assert any(item.values["PartitionKey"] == "owner" for item in row)
        tables = process.hub.account.tables
        await tables.merge(
            world.names.instances, {"PartitionKey": "owner", "RowKey": "", "RuntimeStatus": "Terminated"}
        )
        assert (await process.client.clean_entities(release_orphaned_locks=False)).orphaned_locks_released == 0
        assert (await process.client.clean_entities()).orphaned_locks_released == 2
        await world.settle()
        await signal(process, "held", "add", 1)
        await world.settle()
        found = await process.client.read_entity(entity("held"))
        assert found is not None
        assert (found.state, found.locked_by) == ("1", None)

    in_world(scenario)


def test_behaviour_112_a_delayed_signal_of_a_client_runs_when_it_is_due() -> None:
    async def scenario(world: World) -> None:
        process = await world.start()
        await signal(process, "a", "add", 1, due=process.hub.now() + 600 * PER_SECOND)
        await asyncio.sleep(595)
        assert await process.client.read_entity(entity("a")) is None
        await asyncio.sleep(8)
        assert await process.client.read_entity(entity("a")) is not None

    in_world(scenario)
