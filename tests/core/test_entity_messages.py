"""Both recorded forms of entity messages and states are read and written again byte for byte (semantics 9.3, 9.4)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core.entity_ids import EntityId, is_entity
from durable_core.core.entity_json import dumps
from durable_core.core.entity_messages import (
    ReleaseMessage,
    RequestMessage,
    ResponseMessage,
    is_response,
    request_to,
    scheduled_name,
    scheduled_time,
)
from durable_core.core.entity_state import EntityStatus, SchedulerState
from durable_core.core.history import EventRaised
from durable_core.core.ticks import parse
from durable_core.taskhub.wire import decode
from tests.golden_data import documents, message_texts


def recorded() -> list[tuple[str, EventRaised, str]]:
    """(where, event, target) of every captured EventRaised to or from an entity."""
    found = []
    for where, _, text in message_texts():
        message = decode(text)
        task = message.task_message
        if task is None or not isinstance(task.event, EventRaised):
            continue
        sender = message.sender.instance_id if message.sender else ""
        if is_entity(task.target.instance_id) or is_entity(sender):
            found.append((where, task.event, task.target.instance_id))
    return found


def test_every_recorded_request_and_response_round_trips() -> None:
    kinds = {"core": 0, "extension": 0, "response": 0, "release": 0}
    for where, event, target in recorded():
        assert event.input is not None, where
        if not is_entity(target):
            assert ResponseMessage.decode(event.input).encode() == event.input, where
            assert is_response(event.name, "e")
            kinds["response"] += 1
        elif event.name == "release":
            assert ReleaseMessage.decode(event.input).encode() == event.input, where
            kinds["release"] += 1
        else:
            request = RequestMessage.decode(event.input)
            assert request.encode() == event.input, where
            kinds["core" if request.is_core else "extension"] += 1
            if request.due is not None:
                assert scheduled_name(request.due) == event.name
                assert scheduled_time(event.name) == request.due
    assert kinds["core"] > 100
    assert kinds["extension"] >= 9
    assert kinds["response"] >= 10
    assert kinds["release"] == 2


@pytest.mark.parametrize("capture", ["dtfx", "python-stack"])
def test_recorded_scheduler_states_round_trip(capture: str) -> None:
    """``exists`` set aside: Core has no such member, and what we write always has it."""
    seen = 0
    for row in documents(f"{capture}/instances.json"):
        if not is_entity(row["PartitionKey"]["value"]):
            continue
        seen += 1
        text, status = row["Input"]["value"], row["CustomStatus"]["value"]
        state = SchedulerState.decode(text)
        expected, written = json.loads(text), json.loads(state.encode())
        assert written.pop("exists", False) == ("entityExists" in status)
        expected.pop("exists", None)
        if "entityExists" not in status:
            expected.pop("state", None)  # the extension's rest of a deleted Python entity
        assert list(written.items()) == list(expected.items())
        assert EntityStatus.of(state).encode() == status
        assert EntityStatus.decode(status) == EntityStatus.of(state)
        if json.loads(text).get("exists"):
            assert state.encode() == text
    assert seen >= 4


def test_a_state_with_everything_in_it_round_trips() -> None:
    request = RequestMessage(id="1", operation="add", input="1", parent="o", timestamp=parse("2026-01-01T00:00:00.5Z"))
    one = request.encode()
    text = (
        f'{{"exists":true,"state":"{{\\"ä\\":1}}","queue":[{one}],"lockedBy":"o","suspended":true,"sorter":'
        '{"LastSentToInstance":{"@c@b":"2026-01-01T00:00:00Z"},"ReceivedFromInstance":{"o":{"Last":'
        f'"0001-01-01T00:00:00","ExecutionId":"e","Buffered":{{"2026-01-01T00:00:00.5Z":{one}}}}}}},'
        '"ReceiveHorizon":"2025-12-31T00:00:00Z","SendHorizon":"2025-12-31T00:00:00.1234567Z"}}'
    )
    assert SchedulerState.decode(text).encode() == text


@pytest.mark.parametrize(
    ("record", "exists"),
    [
        ('{"sorter":{}}', False),
        ('{"state":"5","sorter":{}}', True),
        ('{"exists":true,"state":"5","sorter":{}}', True),
        ('{"exists":true,"state":"null","sorter":{}}', True),
        ('{"state":"null","sorter":{}}', False),
        (None, False),
    ],
)
def test_existence_follows_the_recorded_form(record: str | None, exists: bool) -> None:
    assert SchedulerState.decode(record).exists is exists


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"id":1}', '{"id":"x","Timestamp":"soon"}', '{"id":"x","lockset":[{"name":"c"}]}',
             '{"id":"x","lockset":[{"name":"c","key":"k"}],"pos":1}', '{"id":"x","op":3}']
)  # fmt: skip
def test_an_unreadable_request_is_told_as_such(text: str) -> None:
    with pytest.raises(ValueError):
        RequestMessage.decode(text)
    assert request_to("@c@k", "op", text) is None


def test_errors_of_every_recorded_producer_have_their_message() -> None:
    def text_of(document: str) -> str:
        message = ResponseMessage.decode(document)
        assert message.is_error
        return message.error_text(json.loads)

    assert text_of('{"result":"\\"entity failed\\"","exceptionType":"Error"}') == "entity failed"
    assert text_of('{"result":null,"exceptionType":"asked to fail"}') == "asked to fail"
    assert text_of('{"result":null,"failureDetails":{"ErrorType":"E","ErrorMessage":"went wrong"}}') == "went wrong"
    assert text_of('{"result":"bare text","exceptionType":"System.Exception"}') == "bare text"


def test_behaviour_99_an_entity_id_prints_its_name_in_lower_case() -> None:
    assert str(EntityId("Counter", "A")) == "@counter@A"
    assert EntityId("Counter", "A") == EntityId("counter", "A") != EntityId("counter", "a")
    assert len({EntityId("Counter", "A"), EntityId("counter", "A")}) == 1
    assert EntityId.parse("@counter@a@b") == EntityId("counter", "a@b")
    assert sorted([EntityId("b", "1"), EntityId("A", "2"), EntityId("a", "1")])[0].key == "1"


@pytest.mark.parametrize(
    ("name", "key"), [("", "k"), ("a@b", "k"), ("a", "k/k"), ("a", "k#"), ("a", "\x07"), ("a?", "k"), ("a", "x" * 300)]
)
def test_entity_ids_that_break_a_rule_are_refused(name: str, key: str) -> None:
    with pytest.raises(ValueError):
        EntityId(name, key)


@pytest.mark.parametrize("text", ["", "@", "counter@a", "@counter", "@@a", "x@counter@a"])
def test_texts_that_are_no_entity_id_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="entity id"):
        EntityId.parse(text)


_texts = st.text() | st.none()
_moments = st.integers(0, parse("9999-12-31T23:59:59Z"))


@given(
    st.builds(
        RequestMessage,
        id=st.text(min_size=1),
        operation=_texts,
        is_signal=st.booleans(),
        input=_texts,
        parent=_texts,
        parent_execution=_texts,
        due=_moments | st.none(),
        timestamp=_moments,
        predecessor=_moments,
        create_trace=st.booleans(),
        request_time=_texts,
        parent_trace_context=st.none() | st.dictionaries(st.text(), st.text()),
        is_core=st.booleans(),
        type_name=_texts,
    )
)
def test_the_text_of_a_request_is_that_of_its_members(request: RequestMessage) -> None:
    assert request.encode() == dumps(request.to_json())


def test_a_lock_request_is_written_with_its_lock_set() -> None:
    locks = (EntityId("a", "1"), EntityId("b", "2"))
    request = RequestMessage(id="x", operation=None, lockset=locks, position=1)
    assert request.encode() == dumps(request.to_json())
    assert RequestMessage.decode(request.encode()) == request
