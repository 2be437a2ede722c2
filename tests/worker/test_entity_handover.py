"""Entities that .NET hosts have left go on here, and what is left here is what both of them read (semantics 9.12)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from durable_core.core.entity_ids import EntityId, is_entity
from durable_core.core.entity_state import SchedulerState
from durable_core.core.replay import OrchestrationRun
from durable_core.testing.virtual_time import run
from tests.golden_data import columns, documents
from tests.worker.entities import FUNCTIONS, asks
from tests.worker.world import Process, Steps, World, decode, finish, functions


def gets(run: OrchestrationRun) -> Steps:
    return (yield asks(run, decode(run.input), "get"))


async def take_over(process: Process, capture: str) -> dict[EntityId, str | None]:
    """Put the rows of all recorded entities into the hub; returns the recorded states, None of those without one."""
    tables, names = process.hub.account.tables, process.hub.names
    states: dict[EntityId, str | None] = {}
    for table, file in ((names.history, "history"), (names.instances, "instances")):
        for row in documents(f"{capture}/{file}.json"):
            key = row["PartitionKey"]["value"]
            if is_entity(key):
                await tables.insert(table, columns(row))
                if file == "instances":
                    exists = "entityExists" in row["CustomStatus"]["value"]
                    states[EntityId.parse(key)] = json.loads(row["Input"]["value"])["state"] if exists else None
    return states


@pytest.mark.parametrize(("capture", "recorded"), [("dtfx", 7), ("python-stack", 4)])
def test_states_of_both_forms_are_taken_over_and_given_back(capture: str, recorded: int) -> None:
    async def main() -> None:
        world = World(replace(FUNCTIONS, orchestrators={**functions({"gets": gets}, {}).orchestrators}))
        process = await world.start()
        states = await take_over(process, capture)
        assert len(states) == recorded and None in states.values()
        for entity, state in states.items():
            found = await process.client.read_entity(entity)
            assert (found and found.state) == state, entity
            assert decode((await finish(process, "gets", entity.key)).result) == decode(state)
            await process.client.signal_entity(entity, "set", "42")
        await world.settle()
        for row in world.storage.rows(world.names.history):
            if is_entity(str(row.values["PartitionKey"])) and row.values.get("EventType") == "ExecutionStarted":
                document = json.loads(str(row.values["Input"]))
                # The extension wants to be told that the state exists, Core knows no such member.
                assert list(document)[:2] == ["exists", "state"]
                assert (document.pop("exists"), document["state"]) == (True, "42")
                assert SchedulerState.decode(json.dumps(document)).exists
                states.pop(EntityId.parse(str(row.values["PartitionKey"])))
        assert states == {}
        assert world.left_over() == {}

    run(main(), limit=3600)
