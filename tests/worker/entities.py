"""Entities and orchestrations on them, without a programming model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from durable_core.core.entities import Entity
from durable_core.core.entity_ids import EntityId
from durable_core.core.replay import OrchestrationRun
from tests.core.entities import counter
from tests.worker.sample import ACTIVITIES
from tests.worker.world import Process, Steps, call, decode, encode, functions


def entity(key: str) -> EntityId:
    return EntityId("counter", key)


def asks(run: OrchestrationRun, key: str, operation: str, value: Any = None) -> Any:
    return run.entities.call(entity(key), operation, encode(value), decode)


def add_and_get(run: OrchestrationRun) -> Steps:
    key = decode(run.input)
    yield asks(run, key, "add", 5)
    return (yield asks(run, key, "get"))


def call_many(run: OrchestrationRun) -> Steps:
    for _ in range(decode(run.input)):
        yield asks(run, "warm", "add", 1)
    return (yield asks(run, "warm", "get"))


def fails_there(run: OrchestrationRun) -> Steps:
    return (yield asks(run, decode(run.input), "fail"))


def signals(run: OrchestrationRun) -> str:
    key = decode(run.input)
    run.entities.signal(entity(key), "add", "3")
    run.entities.signal(entity(key), "add", "4", run.current_time + 20_000_000)
    return "signalled"


def transfer(run: OrchestrationRun) -> Steps:
    key = decode(run.input)
    with (yield run.entities.lock([entity(f"{key}-b"), entity(f"{key}-a")])):
        yield asks(run, f"{key}-a", "add", -10)
        yield asks(run, f"{key}-b", "add", 10)
    return "moved"


def holds(run: OrchestrationRun) -> Steps:
    """Locks and never releases; what happens then is told by the input."""
    yield run.entities.lock([entity("held"), entity("held2")])
    what = decode(run.input)
    if what == "fails":
        raise ValueError("inside")
    if what == "again":
        run.continue_as_new('"returns"')
        return None
    if what == "waits":
        yield run.wait_for_event("never", decode)
    return "over"


def fails_inside(run: OrchestrationRun) -> Steps:
    """Fails by an activity in the middle of a critical section."""
    with (yield run.entities.lock([entity("held")])):
        yield asks(run, "held", "add", 1)
        yield call(run, "boom", "x")


def calls_unknown(run: OrchestrationRun) -> Steps:
    return (yield run.entities.call(EntityId("nobody", "k"), "go", None, decode))


def says(run: OrchestrationRun) -> Steps:
    return (yield call(run, "say", decode(run.input)))


_BODIES = (add_and_get, call_many, fails_there, signals, transfer, holds, fails_inside, calls_unknown, says)
FUNCTIONS = replace(
    functions({**{body.__name__: body for body in _BODIES}, "hello1": says}, ACTIVITIES),
    entities={"counter": Entity("counter", counter)},
)


async def signal(process: Process, key: str, operation: str, value: Any = None, *, due: int | None = None) -> None:
    """A signal of the process's client."""
    text = None if value is None else json.dumps(value)
    await process.client.signal_entity(entity(key), operation, text, due=due)
