"""``TaskHubClient``: the client of scripts, notebooks and other services, on the in-memory service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import durable_core as df
from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.errors import (
    ConfigurationError,
    HubNotFoundError,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidOperationError,
    SerializationError,
)
from durable_core.orchestration_state import value_as
from durable_core.storage.azurite import Azurite
from durable_core.taskhub.names import HubNames
from durable_core.testing.virtual_time import run
from tests.worker import entities
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World

Scenario = Callable[[World, df.TaskHubClient], Awaitable[None]]


def with_client(scenario: Scenario, **world: Any) -> None:
    async def main() -> None:
        here = World(**{"functions": FUNCTIONS, **world})
        await here.start()
        async with client_of(here) as client:
            await scenario(here, client)

    run(main(), limit=24 * 3600)


def client_of(world: World, hub: str = "TestHub", **options: Any) -> df.TaskHubClient:
    return df.TaskHubClient(lambda: world.storage.account("script"), task_hub=hub, **options)


def test_an_instance_from_start_to_purge() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        instance_id = await client.start_new("fan_out", client_input=2)
        state = await client.wait_for_completion(instance_id, timeout=60)
        assert state.is_finished and state.runtime_status is df.OrchestrationRuntimeStatus.Completed
        assert (state.input, state.output, state.output_as(list)) == (2, ["Hello 0", "Hello 1"], state.output)
        assert state.created_time is not None and state.created_time.tzinfo is not None
        assert await client.get_status(instance_id) == state
        again = await client.restart(instance_id)
        assert (await client.wait_for_completion(again)).output == state.output
        assert (await client.purge(instance_id)).deleted == 1
        assert await client.get_status(instance_id) is None
        with pytest.raises(InstanceNotFoundError):
            await client.wait_for_completion(instance_id)

    with_client(scenario)


def test_waiting_ends_with_an_error_when_time_is_up_and_polls_ever_more_rarely() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        instance_id = await client.start_new("waiter", "w")
        await world.settle()
        account = client._account
        assert account is not None
        before = account.calls.by_kind["table.query"]
        with pytest.raises(TimeoutError, match="'w' is still Running after 60 s"):
            await client.wait_for_completion(instance_id, timeout=60)
        assert 15 < account.calls.by_kind["table.query"] - before < 25
        await client.raise_event("w", "go", {"by": "me"})
        assert (await client.wait_for_completion("w", timeout=60)).output_as(dict) == {"by": "me"}
        with pytest.raises(InvalidOperationError):
            await client.raise_event("w", "go")

    with_client(scenario)


def test_instances_are_steered() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        await client.start_new("waiter", "a")
        await world.settle()
        await client.suspend("a", "hold")
        await world.settle()
        state = await client.get_status("a")
        assert state is not None and state.runtime_status.name == "Suspended"
        await client.resume("a")
        await client.terminate("a", "enough")
        state = await client.wait_for_completion("a", timeout=60)
        assert (state.runtime_status.name, state.output) == ("Terminated", "enough")
        with pytest.raises(TypeError, match="is Terminated, so it has no result"):
            state.output_as(str)
        await client.start_new("fails", "b")
        await client.wait_for_completion("b", timeout=60)
        await client.rewind("b", "again")
        assert (await client.wait_for_completion("b", timeout=60)).runtime_status.name == "Failed"

    with_client(scenario)


def test_an_instance_is_started_later() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        due = ticks.to_datetime(world.clock.now()) + timedelta(hours=1)
        await client.start_new("hello5", "later", start_at=due, tags={"team": "blue"})
        await asyncio.sleep(3500)
        state = await client.get_status("later")
        assert state is not None and (state.runtime_status.name, state.tags) == ("Pending", {"team": "blue"})
        state = await client.wait_for_completion("later", timeout=200)
        assert state.completed_time is not None and state.completed_time >= due

    with_client(scenario)


def test_behaviour_88_an_id_that_is_not_allowed_starts_nothing() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        for wrong in ("@a", "a/b", "a\\b", "a#b", "a?b", "a\n", "x" * 257):
            with pytest.raises(ValueError):
                await client.start_new("hello5", wrong)
        with pytest.raises(SerializationError, match="input of orchestrator 'hello5'"):
            await client.start_new("hello5", client_input=object())
        assert [state async for state in client.instances()] == []
        await client.start_new("waiter", "lives")
        with pytest.raises(InstanceExistsError):
            await client.start_new("waiter", "lives")

    with_client(scenario)


def test_many_are_started_in_the_order_of_their_inputs() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        account = client._account
        assert account is not None
        before = account.calls.total
        ids = await client.start_many("fan_out", range(40))
        assert account.calls.total - before == 80, "a message and a row each"
        assert len(set(ids)) == 40
        for position, instance_id in enumerate(ids):
            state = await client.wait_for_completion(instance_id, timeout=60)
            assert (state.input, len(state.output)) == (position, position)
        named = await client.start_many("fan_out", {f"n{number}": number for number in range(3)})
        assert named == ["n0", "n1", "n2"]

    with_client(scenario)


def test_the_first_error_ends_a_batch_of_starts() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        read = []

        def inputs() -> Iterator[Any]:
            for number in range(1000):
                read.append(number)
                yield number if number != 20 else object()

        with pytest.raises(SerializationError):
            await client.start_many("fan_out", inputs())
        assert len(read) < 60

    with_client(scenario)


def test_all_instances_are_read_page_by_page() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        world.storage.limit_scans(3)
        await client.start_many("hello5", {f"a{number}": None for number in range(7)})
        await client.start_many("waiter", {f"b{number}": None for number in range(3)})
        await world.settle()
        assert [state.instance_id async for state in client.instances(instance_id_prefix="a")] == [
            f"a{number}" for number in range(7)
        ]
        running = client.instances(runtime_status=[df.OrchestrationRuntimeStatus.Running])
        assert [state.instance_id async for state in running] == ["b0", "b1", "b2"]
        late = ticks.to_datetime(world.clock.now()) + timedelta(seconds=1)
        assert [state async for state in client.instances(created_time_from=late)] == []
        result = await client.purge_by(created_time_to=late)
        assert (result.deleted, result.is_complete) == (7, True)

    with_client(scenario)


def test_a_history_without_payloads_reads_no_blob() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        await client.start_new("large", "big", 50_000)
        await client.wait_for_completion("big", timeout=60)
        account = client._account
        assert account is not None
        account.calls.by_kind.clear()
        bare = await client.get_history("big", with_payloads=False)
        assert account.calls.by_kind == {"table.query": 1}
        assert [event["EventType"] for event in bare] == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]
        assert "Result" not in bare[1] and "Input" not in bare[1]
        full = await client.get_history("big")
        assert full[1]["Result"] == "x" * 50_000
        with pytest.raises(InstanceNotFoundError):
            await client.get_history("nobody")

    with_client(scenario)


def test_entities_are_signalled_read_listed_and_cleaned() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        for key in ("a", "b"):
            await client.signal_entity(EntityId("counter", key), "add", 5)
        due = ticks.to_datetime(world.clock.now()) + timedelta(minutes=1)
        await client.signal_entity(EntityId("counter", "a"), "add", 1, signal_time=due)
        await world.settle()
        found = await client.read_entity(EntityId("Counter", "a"))
        assert found is not None and found.state_as(int) == 5
        assert [item.state async for item in client.entities(with_state=True)] == [5, 5]
        assert [item.state async for item in client.entities("counter")] == [None, None]
        assert await client.read_entity(EntityId("counter", "none")) is None
        await asyncio.sleep(120)
        found = await client.read_entity(EntityId("counter", "a"))
        assert found is not None and found.state == 6
        await client.signal_entity(EntityId("counter", "b"), "delete")
        await asyncio.sleep(3600)
        assert (await client.clean_entities()).empty_entities_removed == 1

    with_client(scenario, functions=entities.FUNCTIONS)


def test_an_entity_is_purged_as_it_is_and_begins_anew() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        entity = EntityId("counter", "a")
        await client.signal_entity(entity, "add", 5)
        await world.settle()
        assert (await client.purge("@counter@a")).deleted == 1
        assert await client.read_entity(entity) is None
        assert world.history("@counter@a") == []
        with pytest.raises(InstanceNotFoundError):
            await client.purge("@counter@a")
        await client.signal_entity(entity, "add", 7)
        await asyncio.sleep(60)
        found = await client.read_entity(entity)
        assert found is not None and found.state == 7

    with_client(scenario, functions=entities.FUNCTIONS)


def test_the_hub_itself_tells_its_partitions() -> None:
    """A client that divided it otherwise would write to queues that nobody reads."""

    async def scenario(world: World, client: df.TaskHubClient) -> None:
        for number in range(20):
            assert (await client.wait_for_completion(await client.start_new("hello5", f"p{number}"), 60)).is_finished

    with_client(scenario, names=HubNames("TestHub", 7))


def test_a_hub_that_does_not_exist_is_an_error_or_made() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        with pytest.raises(HubNotFoundError, match=r"'script' has no task hub 'Nowhere'; it has: TestHub\."):
            await client_of(world, "Nowhere").connect()
        async with client_of(world, "Nowhere", create=True, partition_count=2) as made:
            await made.start_new("hello5", "waits-for-a-worker")
        assert "NowhereInstances" in world.storage.table_names()
        assert [name for name in world.storage.queue_names() if name.startswith("nowhere-control")] == [
            "nowhere-control-00",
            "nowhere-control-01",
        ]

    with_client(scenario)


def test_a_client_that_is_not_connected_says_so() -> None:
    async def scenario(world: World, client: df.TaskHubClient) -> None:
        await client.close()
        await client.close()
        with pytest.raises(RuntimeError, match="not connected"):
            await client.get_status("x")
        await client.connect()
        assert await client.get_status("x") is None

    with_client(scenario)


@pytest.mark.azurite
async def test_a_script_reaches_a_hub_through_a_connection_string_or_a_setting(azurite: Azurite) -> None:
    text = azurite.connection_string
    async with df.TaskHubClient.from_connection_string(text, task_hub="Scripted", create=True) as client:
        assert await client.start_new("hello5", "one", [1, "é"]) == "one"
    environ = {"AzureWebJobsStorage": text}
    client = await df.TaskHubClient.from_settings(task_hub="Scripted", environ=environ).connect()
    state = await client.get_status("one")
    assert state is not None and (state.runtime_status.name, state.input) == ("Pending", [1, "é"])
    assert [found.instance_id async for found in client.instances()] == ["one"]
    await client.close()


def test_bad_settings_are_told_before_anything_is_opened() -> None:
    with pytest.raises(ConfigurationError, match="AccountKey"):
        df.TaskHubClient.from_connection_string("AccountName=a", task_hub="Hub")
    with pytest.raises(ConfigurationError, match="Task hub name"):
        df.TaskHubClient.from_connection_string("UseDevelopmentStorage=true", task_hub="no-hub")
    with pytest.raises(ConfigurationError, match="AzureWebJobsOther"):
        df.TaskHubClient.from_settings("Other", task_hub="Hub", environ={})
    client = df.TaskHubClient.from_settings(task_hub="Hub", environ={"AzureWebJobsStorage__accountName": "acme"})
    assert client.task_hub == "Hub"


@dataclass
class Point:
    x: int
    y: int = 0


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    @classmethod
    def from_json(cls, data: Any) -> Celsius:
        return cls(data["degrees"])


def test_values_become_what_is_asked_for() -> None:
    assert value_as({"x": 1, "y": 2}, Point, "it") == Point(1, 2)
    assert value_as({"degrees": 2.5}, Celsius, "it").degrees == 2.5
    assert value_as(3, float, "it") == 3.0
    point = Point(1)
    assert value_as(point, Point, "it") is point
    for value, kind in (("3", int), (True, int), (True, float), (None, str), ({"z": 1}, Point), ([1], Point)):
        with pytest.raises(TypeError, match=r"^it "):
            value_as(value, kind, "it")
