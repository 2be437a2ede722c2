"""Queue messages: the captures byte for byte, and whatever else may stand in a queue."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core import history as h
from durable_core.core.messages import CLIENT, MessageData, Sender, TaskMessage
from durable_core.errors import UndecodableMessageError
from durable_core.taskhub.partitioning import partition_of
from durable_core.taskhub.wire import blob_reference, decode, encode
from tests.golden_data import message_texts


def test_every_captured_message_is_written_again_byte_for_byte() -> None:
    """golden README 2.1."""
    texts = message_texts()
    assert len(texts) > 500
    different = [where for where, _, text in texts if encode(decode(text)) != text]
    assert different == []


def test_captured_messages_went_to_the_queue_that_the_hash_says() -> None:
    """golden README 2.3."""
    for where, queue, text in message_texts():
        message = decode(text).task_message
        if message is None or "-" not in queue:
            continue
        if isinstance(message.event, h.TaskScheduled):
            assert queue.endswith("-workitems"), where
        else:
            assert queue.endswith(f"-control-{partition_of(message.target.instance_id, 4):02d}"), where


def _without_types(value: Any, *, keep: bool = False) -> Any:
    """Drop every ``$type`` but the event's, which names its class (task-hub 0.3 rule 1)."""
    if isinstance(value, dict):
        return {key: _without_types(item, keep=key == "Event") for key, item in value.items() if keep or key != "$type"}
    return value


def test_a_message_without_types_and_in_any_order_is_read_alike() -> None:
    """task-hub 3.2: a reader accepts members in any order and needs no $type but the event's."""
    for _, _, text in message_texts()[:120]:
        document = _without_types(json.loads(text))
        turned = dict(reversed(list(document.items())))
        assert decode(json.dumps(turned)) == decode(text)


def test_base64_and_foreign_type_names_are_read() -> None:
    _, _, text = message_texts()[0]
    assert decode(base64.b64encode(text.encode()).decode()) == decode(text)
    with_assembly = text.replace('Event","Orch', 'Event, DurableTask.Core","Orch')
    assert with_assembly != text
    assert decode(with_assembly) == decode(text)


texts = st.text(max_size=30)
optional_texts = st.none() | texts
moments = st.integers(0, 3_155_378_975_999_999_999)
common = {"timestamp": moments, "event_id": st.integers(-1, 10_000), "is_played": st.booleans()}
tags = st.none() | st.dictionaries(texts.filter(lambda key: key != "$type"), texts, max_size=3)
instances = st.builds(h.OrchestrationInstance, texts, optional_texts)
traces = st.none() | st.builds(h.TraceContext, *[optional_texts] * 5)
free_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
properties = st.none() | st.dictionaries(texts.filter(lambda key: key != "$type"), free_json, max_size=2)


def _failure(inner: st.SearchStrategy[h.FailureDetails | None]) -> st.SearchStrategy[h.FailureDetails | None]:
    return st.builds(h.FailureDetails, optional_texts, optional_texts, optional_texts, inner, st.booleans(), properties)


failures = st.none() | _failure(st.none() | _failure(st.none()))
reply = {"task_scheduled_id": st.integers(0, 9)}
failed_reply = {**reply, "reason": optional_texts, "details": optional_texts, "failure_details": failures}
travelling: st.SearchStrategy[h.HistoryEvent] = st.one_of(
    st.builds(
        h.ExecutionStarted,
        **common,
        instance=instances,
        name=texts,
        version=optional_texts,
        input=optional_texts,
        parent=st.none() | st.builds(h.ParentInstance, optional_texts, instances, st.integers(0, 9), optional_texts),
        tags=tags,
        correlation=optional_texts,
        parent_trace_context=traces,
        scheduled_start_time=st.none() | moments,
        generation=st.none() | st.integers(0, 9),
        generate_new_trace=st.booleans(),
    ),
    st.builds(h.ExecutionTerminated, **common, input=optional_texts),
    st.builds(h.ExecutionSuspended, **common, reason=optional_texts),
    st.builds(h.ExecutionResumed, **common, reason=optional_texts),
    st.builds(
        h.TaskScheduled,
        **common,
        name=optional_texts,
        version=optional_texts,
        input=optional_texts,
        parent_trace_context=traces,
        tags=tags,
    ),
    st.builds(h.TaskCompleted, **common, **reply, result=optional_texts),
    st.builds(h.TaskFailed, **common, **failed_reply),
    st.builds(h.SubOrchestrationInstanceCompleted, **common, **reply, result=optional_texts),
    st.builds(h.SubOrchestrationInstanceFailed, **common, **failed_reply),
    st.builds(
        h.ExecutionRewound,
        **common,
        reason=optional_texts,
        parent_execution_id=optional_texts,
        instance_id=optional_texts,
        parent_trace_context=traces,
    ),
    st.builds(h.TimerFired, **common, timer_id=st.integers(0, 9), fire_at=moments),
    st.builds(h.EventRaised, **common, name=texts, input=optional_texts, parent_trace_context=traces),
    st.builds(h.GenericEvent, **common, data=optional_texts),
)


@given(
    event=travelling,
    target=instances,
    tags=st.none() | st.dictionaries(texts.filter(lambda key: key != "$type"), texts, max_size=2),
    sender=st.none() | st.builds(Sender, texts, optional_texts),
    episode=st.none() | st.integers(1, 99),
    number=st.integers(0, 2**40),
)
def test_what_is_written_is_read_again(
    event: h.HistoryEvent,
    target: h.OrchestrationInstance,
    tags: dict[str, str] | None,
    sender: Sender | None,
    episode: int | None,
    number: int,
) -> None:
    data = MessageData(
        "5f2f0c5e-8f0e-4c43-9a35-0c6f8f5a2b11", TaskMessage(event, target, tags), number, sender, episode
    )
    text = encode(data)
    assert decode(text) == data
    json.loads(text)
    text.encode("utf-8")  # no lone surrogate is left outside an escape


def test_a_blob_reference_is_the_captured_shape() -> None:
    """task-hub 3.10 example 8."""
    name = "order-1042/message-5f2f0c5e8f0e4c439a350c6f8f5a2b11-ExecutionStarted.json.gz"
    assert encode(blob_reference(name)) == (
        '{"$type":"DurableTask.AzureStorage.MessageData","ActivityId":"00000000-0000-0000-0000-000000000000",'
        f'"TaskMessage":null,"CompressedBlobName":"{name}","SequenceNumber":0,"Sender":null,'
        '"SerializableTraceContext":null}'
    )


EVENT = {"$type": "DurableTask.Core.History.TaskFailedEvent", "TaskScheduledId": 0, "Timestamp": "2026-01-01T00:00:00Z"}


def document(event: dict[str, Any], **members: Any) -> str:
    target = {"InstanceId": "i", "ExecutionId": None}
    return json.dumps({"TaskMessage": {"Event": event, "OrchestrationInstance": target}, **members})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (document({**EVENT, "Reason": {"a": 1}}), "Reason is an object, not text"),
        (document({**EVENT, "Reason": 5}), "Reason is a number, not text"),
        (document({**EVENT, "TaskScheduledId": None}), "member 'TaskScheduledId' is missing"),
        (document({**EVENT, "TaskScheduledId": 7.9}), "TaskScheduledId is a number, not a whole number"),
        (document({**EVENT, "EventId": 2**31}), "EventId does not fit 32 bits"),
        (document({**EVENT, "IsPlayed": "false"}), "IsPlayed is text, not true or false"),
        (document({**EVENT, "Timestamp": "0001-01-01T00:00:00+05:00"}), "Timestamp: .* outside the years 1 to 9999"),
        (document({**EVENT, "Timestamp": "yesterday"}), "Timestamp: 'yesterday'"),
        (document({**EVENT, "FailureDetails": []}), "FailureDetails is an array, not an object"),
        (document({**EVENT, "$type": []}), r"\$type is an array, not text"),
        (document({**EVENT, "$type": "DurableTask.Core.History.SurpriseEvent"}), "'Surprise' is no history event"),
        (document(EVENT, CompressedBlobName={"a": 1}), "CompressedBlobName is an object"),
        (document(EVENT, SequenceNumber=2**63), "SequenceNumber does not fit 64 bits"),
        (document(EVENT, Sender=["i"]), "Sender is an array"),
        (document(EVENT, Sender={"InstanceId": 5}), "InstanceId is a number"),
        ('{"TaskMessage":null,"CompressedBlobName":""}', "neither a TaskMessage nor a CompressedBlobName"),
    ],
)
def test_a_member_of_the_wrong_type_is_refused_by_name(body: str, said: str) -> None:
    """Design rule 9: in a history row it would fail every try of the checkpoint instead."""
    with pytest.raises(UndecodableMessageError, match=said):
        decode(body)


@pytest.mark.parametrize("levels", [65, 300, 900])
def test_failures_nested_deeper_than_the_writers_can_go_are_refused(levels: int) -> None:
    chain = '{"InnerFailure":' * levels + "null" + "}" * levels
    nested = '{"Properties":{"a":' + "[" * levels + "]" * levels + "}}"
    for details in (chain, nested):
        with pytest.raises(UndecodableMessageError, match=r"nested more than 64 deep|recursion"):
            decode(document({**EVENT, "FailureDetails": "@"}).replace('"@"', details))


def test_failures_as_deep_as_allowed_are_written_again() -> None:
    chain = '{"InnerFailure":' * 64 + "null" + "}" * 64
    data = decode(document({**EVENT, "FailureDetails": "@"}).replace('"@"', chain))
    assert decode(encode(data)) == data


@pytest.mark.parametrize(
    "event",
    [
        {"__type": "TimerFiredEvent:#DurableTask.Core.History"},
        {"$type": "DurableTask.Core.History.TimerFiredEvent, DurableTask.Core"},
        {"EventType": 11},
        {"EventType": "TimerFired"},
    ],
)
def test_the_class_is_found_wherever_it_stands(event: dict[str, Any]) -> None:
    """task-hub 3.2, 3.9; an offset is converted, missing members are default (0.2, 0.3)."""
    body = document(
        {**event, "TimerId": 1, "FireAt": "2026-01-01T05:00:00.5+05:00", "Timestamp": "2026-01-01T00:00:00Z"}
    )
    message = decode(body).task_message
    assert message is not None
    fired = message.event
    assert isinstance(fired, h.TimerFired)
    assert (fired.timer_id, fired.fire_at - fired.timestamp, fired.event_id) == (1, 5_000_000, h.NO_ID)


def test_newtonsofts_escapes_and_nothing_more() -> None:
    """task-hub 3.2; half a surrogate pair is escaped too, because neither UTF-8 nor XML can carry it."""
    message = TaskMessage(
        h.EventRaised(timestamp=0, name="n", input='é注😀"\\\n\t\x00\x1f\x7f\x85\u2028\u2029\ud800/'),
        h.OrchestrationInstance("i"),
    )
    expected = '"é注😀\\"\\\\\\n\\t\\u0000\\u001f\x7f\\u0085\\u2028\\u2029\\ud800/"'
    assert f'"Input":{expected}' in encode(MessageData("0", message, 1, CLIENT))


def test_free_form_properties_are_escaped_like_texts() -> None:
    failure = h.FailureDetails("T", "m", properties={"k": "é\u2028"})
    message = TaskMessage(
        h.TaskFailed(timestamp=0, task_scheduled_id=0, failure_details=failure), h.OrchestrationInstance("i")
    )
    assert '"Properties":{"k":"é\\u2028"}' in encode(MessageData("0", message, 1, CLIENT))


def test_wrapped_base64_is_read() -> None:
    _, _, text = message_texts()[0]
    assert decode(base64.encodebytes(text.encode()).decode()) == decode(text)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not base64!",
        "e30=!",
        "[1]",
        "{",
        '{"TaskMessage":{}}',
        '{"TaskMessage":5}',
        "[" * 5000,
        '{"TaskMessage":{"Event":{}}}',
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(body: str) -> None:
    with pytest.raises(UndecodableMessageError, match="message"):
        decode(body)


@given(st.text())
def test_no_text_breaks_the_reader(body: str) -> None:
    try:
        decode(body)
    except UndecodableMessageError:
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["TaskMessage", "Event", "$type", "OrchestrationInstance", "InstanceId", "Timestamp", "EventType"]
            ),
            inner,
            max_size=5,
        )
    ),
)


@given(json_values)
def test_no_document_breaks_the_reader(value: Any) -> None:
    try:
        decode(json.dumps({"TaskMessage": value, "Sender": value}))
    except UndecodableMessageError:
        return


def test_client_messages_have_two_empty_strings_as_sender_and_no_episode() -> None:
    message = TaskMessage(h.EventRaised(timestamp=0, name="x"), h.OrchestrationInstance("i"))
    text = encode(MessageData("0", message, 1, CLIENT))
    assert '"Sender":{"InstanceId":"","ExecutionId":""}' in text
    assert '"Episode"' not in text
