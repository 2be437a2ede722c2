"""One value of each kind through everything that carries values, under both names: what is written, what is read.

Under ``azure.durable_functions`` inputs and the client's events are JSON inside a JSON string; results, outputs, custom
status, entity state and results are JSON once, as everything is under ``durable_core``.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import durable_core as own
from durable_core.core import history as h
from durable_core.storage.memory_queues import QueueService
from durable_core.taskhub import wire
from durable_core.testing import DurableTestEnvironment
from tests.alias.captured_app import df as alias


class Money:
    """As users of the original write them."""

    def __init__(self, amount: int, note: Any = None) -> None:
        self.amount, self.note = amount, note

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and (self.amount, self.note) == (other.amount, other.note)

    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def to_json(value: Money) -> dict[str, Any]:
        return {"amount": value.amount, "note": value.note}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Money:
        return cls(document["amount"], document["note"])


VALUES = [
    0,
    5,
    -1.5,
    True,
    False,
    "",
    "plain text",
    "5",
    "null",
    '"quoted"',
    '{"a": 1}',
    "é ☃ 😀",
    None,
    [],
    [1, None, ["x"], {"y": 2}],
    {},
    {"deep": {"er": [{"x": None}]}},
    Money(3),
    Money(4, [Money(5)]),
    {"list": [Money(6)]},
]


Seen = dict[str, Any]


def an_app(df: Any, seen: Seen) -> Any:
    app: own.DFApp = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def carrier(context: Any) -> Any:
        value = context.get_input()
        seen["start"] = value
        seen["activity result"] = yield context.call_activity("back", value)
        seen["child result"] = yield context.call_sub_orchestrator("child", value)
        entity = df.EntityId("keeper", "k")
        seen["entity result"] = yield context.call_entity(entity, "keep", value)
        seen["event"] = yield context.wait_for_external_event("event")
        context.set_custom_status(value)
        context.continue_as_new(value)

    @app.orchestration_trigger(context_name="context")
    def child(context: Any) -> Any:
        seen["child"] = context.get_input()
        return context.get_input()

    @app.activity_trigger(input_name="value")
    def back(value: Any) -> Any:
        seen["activity"] = value
        return value

    @app.entity_trigger(context_name="context")
    def keeper(context: Any) -> None:
        seen["operation"] = context.get_input()
        context.set_state(context.get_input())
        context.set_result(context.get_state())

    return app


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[h.HistoryEvent]:
    """The event of every message that is written."""
    found: list[h.HistoryEvent] = []
    put = QueueService.put

    def note(self: Any, name: str, text: str, delay: int) -> Any:
        message = wire.decode(text).task_message
        assert message is not None
        found.append(message.event)
        return put(self, name, text, delay)

    monkeypatch.setattr(QueueService, "put", note)
    return found


def carry(df: Any, value: Any) -> Seen:
    """Send a value through everything; returns what user code saw, and the event as ``event``."""
    seen: Seen = {}
    with DurableTestEnvironment(an_app(df, seen)) as env:
        started = env.client.start_new("carrier", client_input=value)
        env.client.raise_event(started, "event", value)
        seen_later = env.instance(started)
        assert (seen_later.input, seen_later.custom_status) == (value, value)
        assert seen["start"] == value, "of the next generation"
        assert env.state_of(own.EntityId("keeper", "k")) == value
        env.client.signal_entity(df.EntityId("keeper", "other"), "keep", value)
        assert env.state_of(own.EntityId("keeper", "other")) == value
        ended = env.start("child", value)
        assert (ended.input, ended.output) == (value, value)
    return seen


def written(sent: list[h.HistoryEvent]) -> dict[str, str | None]:
    """JSON texts by channel."""
    starts = [event for event in sent if isinstance(event, h.ExecutionStarted)]
    answers = h.TaskCompleted | h.SubOrchestrationInstanceCompleted
    return {
        "start": starts[0].input,
        "child": next(event.input for event in starts if event.parent is not None),
        "activity": next(event.input for event in sent if isinstance(event, h.TaskScheduled)),
        "event": next(event.input for event in sent if isinstance(event, h.EventRaised) and event.name == "event"),
        "result": next(event.result for event in sent if isinstance(event, answers)),
    }


READ = ("start", "activity", "activity result", "child", "child result", "operation", "entity result")


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_under_our_own_name_everything_is_written_once_and_read_as_it_was(
    value: Any, sent: list[h.HistoryEvent]
) -> None:
    seen = carry(own, value)
    assert seen == dict.fromkeys((*READ, "event"), value)
    texts = written(sent)
    once = texts["event"]
    assert texts["activity"] == f"[{once}]"
    nothing = None if value is None else once
    assert texts == {"start": nothing, "child": nothing, "result": nothing, "activity": f"[{once}]", "event": once}


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_under_the_alias_inputs_are_written_twice_and_events_are_read_once(
    value: Any, sent: list[h.HistoryEvent]
) -> None:
    seen = carry(alias, value)
    event = seen.pop("event")
    assert seen == dict.fromkeys(READ, value)
    texts = written(sent)
    assert json.loads(texts["event"] or "") == event, "the client's events arrive as JSON text, as in the original"
    twice = json.dumps(event)
    once = texts["result"]
    assert once is None if value is None else json.loads(once or "") == json.loads(event), "results are written once"
    nothing = None if value is None else twice
    assert texts == {"start": nothing, "child": twice, "result": once, "activity": f"[{twice}]", "event": twice}
