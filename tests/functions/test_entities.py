"""The entity samples on a worker in memory: counter, transfer with a critical section, aggregator."""

from __future__ import annotations

import asyncio
import json
from unittest.mock import Mock

import durable_core as df
from durable_core.model.runtime import ClientProvider, LinkSettings
from durable_core.testing.virtual_time import run
from function_app import app
from functions.aggregator import take_reading
from functions.counter import add_to_counter, read_counter
from tests.worker.world import World, finish


def test_transfers_conserve_the_money_and_never_overdraw() -> None:
    async def main() -> None:
        world = World(app.durable_functions())
        process = await world.start()
        await finish(process, "open_account", {"account": "anna", "amount": 100})
        orders = [("anna", "ben", 30), ("ben", "anna", 10), ("anna", "ben", 60), ("ben", "eve", 500)]
        ends = await asyncio.gather(
            *(finish(process, "transfer", {"source": a, "target": b, "amount": n}) for a, b, n in orders)
        )
        moved = [json.loads(end.result or "")["moved"] for end in ends]
        assert moved[3] is False
        await world.settle()
        client = df.DurableOrchestrationClient(ClientProvider(process.client, LinkSettings("http://x")))
        found = await client.list_entities("account", include_state=True)
        assert sum(item.entity_state for item in found.entities) == 100
        assert all(item.entity_state >= 0 and item.locked_by is None for item in found.entities)

    run(main(), limit=3600)


def test_counter_and_aggregator_take_signals_from_functions() -> None:
    async def main() -> None:
        world = World(app.durable_functions())
        process = await world.start()
        client = df.DurableOrchestrationClient(ClientProvider(process.client, LinkSettings("http://x")))
        user = {
            builder._function.get_function_name(): builder._function.get_user_function().client_function
            for builder in (add_to_counter, read_counter, take_reading)
        }
        request = Mock(route_params={"key": "visits"}, get_body=lambda: b"5")
        assert (await user["read_counter"](request, client)).status_code == 404
        assert (await user["add_to_counter"](request, client)).status_code == 202
        await user["take_reading"](Mock(), client)
        await user["take_reading"](Mock(), client)
        await world.settle()
        assert (await user["read_counter"](request, client)).get_body() == b"5"
        readings = await client.read_entity_state(df.EntityId("readings", "cpu"))
        assert readings.entity_state["count"] == 2
        assert (
            await user["add_to_counter"](Mock(route_params={"key": "v"}, get_body=lambda: b"x"), client)
        ).status_code == 400

    run(main(), limit=3600)
