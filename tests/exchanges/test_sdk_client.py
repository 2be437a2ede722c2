"""What http-and-protocol 10 says of the SDK and of orchestrations of Python, with the capture's app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import azure.functions as func

from durable_core.alias.client import DurableOrchestrationClient
from durable_core.core.history import TaskFailed, TaskScheduled, TimerCreated
from durable_core.model.runtime import ClientProvider
from durable_core.testing.virtual_time import run
from durable_core.worker.settings import WorkerSettings
from tests.exchanges.replay import HOST, LINKS, load_app
from tests.worker.world import Process, World

Scenario = Callable[[DurableOrchestrationClient, Process], Coroutine[Any, Any, None]]
REQUEST = func.HttpRequest("GET", f"https://{HOST}/api/x", body=b"")


def with_the_app(scenario: Scenario) -> None:
    async def main() -> None:
        _, durable = load_app()
        world = World(durable, WorkerSettings(store_inputs=True))
        process = await world.start()
        await scenario(DurableOrchestrationClient(ClientProvider(process.client, LINKS)), process)

    run(main(), limit=3600)


def test_items_67_and_68_inputs_and_events_are_encoded_twice() -> None:
    """http-and-protocol 10, items 67 and 68."""

    async def scenario(client: DurableOrchestrationClient, process: Process) -> None:
        await client.start_new("echogen", "e", {"a": 1})
        await client.start_new("waiter", "w")
        await asyncio.sleep(2)
        await client.raise_event("w", "go", "foo")
        await asyncio.sleep(2)
        echoed, waited = await process.client.get_status("e"), await process.client.get_status("w")
        assert echoed is not None and waited is not None
        assert echoed.input == '"{\\"a\\": 1}"'
        assert json.loads(echoed.output or "")["in"] == {"a": 1}
        assert json.loads(waited.output or "") == '"foo"'

    with_the_app(scenario)


def test_items_69_to_71_responses_of_the_client() -> None:
    """http-and-protocol 10, items 69, 70 and 71."""

    async def scenario(client: DurableOrchestrationClient, process: Process) -> None:
        await client.start_new("fail_orch", "f")
        checked = json.loads(client.create_check_status_response(REQUEST, "f").get_body())
        assert "rewindPostUri" in checked
        assert all(link.startswith(f"https://{HOST}/") for name, link in checked.items() if name != "id")
        waited = await client.wait_for_completion_or_create_check_status_response(REQUEST, "f")
        assert waited.status_code == 500
        restarted = await client.restart("f")
        assert restarted["id"] != "f"
        assert f"/instances/{restarted['id']}?" in restarted["statusQueryGetUri"]

    with_the_app(scenario)


def test_items_77_to_79_histories_and_failures() -> None:
    """http-and-protocol 10, items 77, 78, 79 and 89."""

    async def scenario(client: DurableOrchestrationClient, process: Process) -> None:
        for name in ("retry_exhaust", "hello3", "fail_orch_first"):
            await client.start_new(name, name)
        await client.start_new("again", "again", 0)
        await asyncio.sleep(1)
        first = await process.client.get_status("again")
        await asyncio.sleep(60)
        retried = await process.client.get_history("retry_exhaust")
        assert len([event for event in retried if isinstance(event, TaskFailed)]) == 2
        assert len([event for event in retried if isinstance(event, TimerCreated)]) == 2
        said = [event for event in await process.client.get_history("hello3") if isinstance(event, TaskScheduled)]
        assert said[0].input == '["\\"Tokyo\\""]'
        failed = await process.client.get_status("fail_orch_first")
        assert failed is not None
        assert failed.output == "Orchestrator function 'fail_orch_first' failed: at once"
        again = await process.client.get_status("again")
        assert first is not None and again is not None
        assert again.input == '"2"'
        assert (
            len([event for event in await process.client.get_history("again") if isinstance(event, TaskScheduled)]) == 1
        )

    with_the_app(scenario)


def test_item_85_a_failed_operation_raises_at_the_caller() -> None:
    """http-and-protocol 10, item 85."""

    async def scenario(client: DurableOrchestrationClient, process: Process) -> None:
        await client.start_new("uses_entity", "u", "k")
        await asyncio.sleep(5)
        row = await process.client.get_status("u")
        assert row is not None
        assert json.loads(row.output or "")["f"] == ["Exception", "entity failed"]

    with_the_app(scenario)
