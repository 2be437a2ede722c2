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
failures = st.none() | st.builds(
    h.FailureDetails, optional_texts, optional_texts, optional_texts, st.none(), st.booleans(), st.none()
)
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
    st.builds(h.TaskCompleted, **common, task_scheduled_id=st.integers(0, 9), result=optional_texts),
    st.builds(
        h.TaskFailed,
        **common,
        task_scheduled_id=st.integers(0, 9),
        reason=optional_texts,
        details=optional_texts,
        failure_details=failures,
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
