"""An entity world without storage: entities and orchestrations that send each other messages through a list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from durable_core.core.entities import (
    Entity,
    EntitySignal,
    EntityStart,
    Operation,
    Outcome,
    run_batch,
)
from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_messages import RequestMessage, ResponseMessage
from durable_core.core.entity_receipts import Receipts
from durable_core.core.entity_rules import EntityRules
from durable_core.core.entity_state import SchedulerState
from durable_core.core.episode import Episode, Outgoing
from durable_core.core.history import EventRaised
from durable_core.core.state import RuntimeState
from durable_core.core.ticks import parse

NOW = parse("2026-11-21T12:00:00Z")


def counter(operation: Operation) -> Outcome:
    """The captures' ``counter`` (golden README 4.2)."""
    state, value = operation.state, json.loads(operation.input or "null")
    match operation.name:
        case "add":
            return Outcome(json.dumps(json.loads(state or "0") + value))
        case "get":
            return Outcome(state, state)
        case "set":
            return Outcome(json.dumps(value))
        case "delete":
            return Outcome(None)
        case "fail":
            return Outcome("1000", error="asked to fail", sent=[EntitySignal(EntityId("counter", "other"), "add", "1")])
        case "signal":
            return Outcome(state, sent=[EntitySignal(EntityId.parse(value), "add", "7")])
        case "start":
            return Outcome(state, sent=[EntityStart("hello1", '"from entity"', value)])
    return Outcome(state, error=f"there is no operation '{operation.name}'")


COUNTER = Entity("counter", counter)


class Actor:
    """One entity, fed batch by batch."""

    def __init__(self, instance_id: str = "@counter@a", entity: Entity = COUNTER, **rules: Any) -> None:
        self.instance_id = instance_id
        self.entity = entity
        self.rules = EntityRules(**rules)
        self.history = RuntimeState()
        self.receipts = Receipts()
        self.now = NOW
        self.batches = 0

    def feed(self, *events: EventRaised) -> Sequence[Outgoing]:
        """One batch; returns what it sends."""
        episode = self.batch(*events)
        return [*episode.outgoing, *episode.afterwards]

    def batch(self, *events: EventRaised) -> Episode:
        self.batches += 1
        self.now += 1_000_000
        episode = run_batch(
            self.instance_id,
            self.history,
            self.entity,
            events,
            self.receipts,
            execution_id=f"{self.batches:032x}",
            now=self.now,
            rules=self.rules,
        )
        self.history = RuntimeState(episode.events)
        self.receipts = Receipts.decode(self.receipts.encode())
        return episode

    @property
    def scheduler(self) -> SchedulerState:
        assert self.history.started is not None
        return SchedulerState.decode(self.history.started.input)

    @property
    def value(self) -> Any:
        return json.loads(self.scheduler.state or "null")


def op(number: int, name: str | None, value: Any = None, **members: Any) -> EventRaised:
    """The event of a request whose id is made of ``number``; a signal of a client unless ``members`` say otherwise."""
    request = RequestMessage(
        id=f"00000000-0000-0000-0000-{number:012d}",
        operation=name,
        input=None if value is None else json.dumps(value),
        is_signal=members.pop("is_signal", name is not None and "parent" not in members),
        **members,
    )
    return EventRaised(timestamp=NOW, name="op", input=request.encode())


def call(number: int, name: str, value: Any = None, parent: str = "caller", **members: Any) -> EventRaised:
    return op(number, name, value, parent=parent, is_signal=False, **{"parent_execution": f"{parent}-e", **members})


def response(item: Outgoing) -> ResponseMessage:
    event = item.message.event
    assert isinstance(event, EventRaised)
    return ResponseMessage.decode(event.input)


def request(item: Outgoing) -> RequestMessage:
    event = item.message.event
    assert isinstance(event, EventRaised)
    return RequestMessage.decode(event.input)


def event_of(item: Outgoing) -> EventRaised:
    event = item.message.event
    assert isinstance(event, EventRaised)
    return replace(event)
