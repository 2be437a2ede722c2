"""Queue messages as .NET writes them (task-hub 3.2 to 3.5): member order, ``$type``, dates and escapes are exact.

The text is built by hand because every message is encoded at least once and a generic serializer costs several times as
much. Reading is tolerant: any member order, missing members, ``$type`` with or without assembly, Base64 bodies.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from durable_core.core import history as h
from durable_core.core.json_text import read_json, text_members
from durable_core.core.messages import MessageData, Sender, TaskMessage
from durable_core.core.ticks import format_message
from durable_core.errors import UndecodableMessageError
from durable_core.taskhub.event_json import (
    INSTANCE,
    object_member,
    read_event,
    read_instance,
    read_tags,
    required_object,
    text_member,
    whole_number,
)

_DICTIONARY = (
    '"$type":"System.Collections.Generic.Dictionary`2[[System.String, System.Private.CoreLib],'
    '[System.String, System.Private.CoreLib]]"'
)
_INSTANCE = '"$type":"DurableTask.Core.OrchestrationInstance",'
_NO_GUID = "00000000-0000-0000-0000-000000000000"

_RARE = re.compile("[\x85\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""What Newtonsoft escapes beyond the JSON rules, and what neither UTF-8 nor the queue's XML can carry."""


def _escape_rare(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def text(value: str | None) -> str:
    """A JSON string as Newtonsoft writes it, or ``null``; non-ASCII stays, U+0085, U+2028 and U+2029 do not."""
    if value is None:
        return "null"
    quoted = encode_basestring(value)
    if not quoted.isascii() and _RARE.search(quoted):
        return _RARE.sub(_escape_rare, quoted)
    return quoted


def any_json(value: Mapping[str, Any] | None) -> str:
    """Free-form JSON, escaped as ``text`` does."""
    if value is None:
        return "null"
    return _RARE.sub(_escape_rare, json.dumps(dict(value), separators=(",", ":"), ensure_ascii=False))


def encode(data: MessageData) -> str:
    """The text of a queue message (or of the document inside a message blob)."""
    episode = "" if data.episode is None else f',"Episode":{data.episode}'
    sender, blob, trace = data.sender, data.compressed_blob_name, data.trace_context
    return (
        f'{{"$type":"DurableTask.AzureStorage.MessageData","ActivityId":{text(data.activity_id)},'
        f'"TaskMessage":{_task_message(data.task_message)},'
        f'"CompressedBlobName":{"null" if blob is None else text(blob)},'
        f'"SequenceNumber":{data.sequence_number}{episode},'
        f'"Sender":{"null" if sender is None else _both_ids(sender.instance_id, sender.execution_id)},'
        f'"SerializableTraceContext":{"null" if trace is None else text(trace)}}}'
    )


@lru_cache(maxsize=1024)
def _both_ids(instance_id: str, execution_id: str | None, kind: str = "") -> str:
    """Both ids of an instance as an object: the same few are written into message after message."""
    return f'{{{kind}"InstanceId":{text(instance_id)},"ExecutionId":{text(execution_id)}}}'


def blob_reference(blob_name: str) -> MessageData:
    """The message that stands in a queue for one whose document is in a blob (task-hub 3.8)."""
    return MessageData(_NO_GUID, None, 0, None, compressed_blob_name=blob_name)


def _task_message(message: TaskMessage | None) -> str:
    if message is None:
        return "null"
    target = message.target
    if message.orchestration_tags is None:
        context = "null"
    else:
        context = (
            '{"$type":"DurableTask.Core.OrchestrationExecutionContext",'
            f'"OrchestrationTags":{_dictionary(message.orchestration_tags)}}}'
        )
    return (
        f'{{"$type":"DurableTask.Core.TaskMessage","Event":{_event(message.event)},"SequenceNumber":0,'
        f'"OrchestrationInstance":{_both_ids(target.instance_id, target.execution_id, _INSTANCE)},'
        f'"OrchestrationExecutionContext":{context}}}'
    )


def _event(event: h.HistoryEvent) -> str:
    writer = _WRITERS.get(type(event))
    if writer is None:
        raise TypeError(f"{type(event).__name__} never travels on a queue")
    name, members = writer
    return (
        f'{{"$type":"DurableTask.Core.History.{name}",{members(event)},"EventId":{event.event_id},'
        f'"IsPlayed":{"true" if event.is_played else "false"},"Timestamp":"{format_message(event.timestamp)}"}}'
    )


def _instance(instance: h.OrchestrationInstance) -> str:
    return _both_ids(instance.instance_id, instance.execution_id, _INSTANCE)


def _dictionary(tags: Mapping[str, str] | None) -> str:
    if tags is None:
        return "null"
    return "{" + ",".join([_DICTIONARY, *(f"{text(key)}:{text(value)}" for key, value in tags.items())]) + "}"


def _parent(parent: h.ParentInstance | None) -> str:
    if parent is None:
        return "null"
    return (
        f'{{"$type":"DurableTask.Core.ParentInstance","Name":{text(parent.name)},'
        f'"OrchestrationInstance":{_instance(parent.instance)},"TaskScheduleId":{parent.task_schedule_id},'
        f'"Version":{text(parent.version)}}}'
    )


def _trace(context: h.TraceContext | None) -> str:
    if context is None:
        return "null"
    return (
        '{"$type":"DurableTask.Core.Tracing.DistributedTraceContext",'
        f'"TraceParent":{text(context.trace_parent)},"TraceState":{text(context.trace_state)},"Id":{text(context.id)},'
        f'"SpanId":{text(context.span_id)},"ActivityStartTime":{text(context.activity_start_time)}}}'
    )


def _failure(details: h.FailureDetails | None) -> str:
    if details is None:
        return "null"
    return (
        f'{{"$type":"DurableTask.Core.FailureDetails","ErrorType":{text(details.error_type)},'
        f'"ErrorMessage":{text(details.error_message)},"StackTrace":{text(details.stack_trace)},'
        f'"InnerFailure":{_failure(details.inner_failure)},'
        f'"IsNonRetriable":{"true" if details.is_non_retriable else "false"},'
        f'"Properties":{any_json(details.properties)}}}'
    )


def _date(ticks: int | None) -> str:
    return "null" if ticks is None else f'"{format_message(ticks)}"'


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _execution_started(e: h.ExecutionStarted) -> str:
    return (
        f'"OrchestrationInstance":{_instance(e.instance)},"EventType":0,"ParentInstance":{_parent(e.parent)},'
        f'"Name":{text(e.name)},"Version":{text(e.version)},"Input":{text(e.input)},"Tags":{_dictionary(e.tags)},'
        f'"Correlation":{text(e.correlation)},"ParentTraceContext":{_trace(e.parent_trace_context)},'
        f'"ScheduledStartTime":{_date(e.scheduled_start_time)},"Generation":{_number(e.generation)},'
        f'"GenerateNewTrace":{"true" if e.generate_new_trace else "false"}'
    )


def _task_scheduled(e: h.TaskScheduled) -> str:
    return (
        f'"EventType":4,"Name":{text(e.name)},"Version":{text(e.version)},"Input":{text(e.input)},'
        f'"ParentTraceContext":{_trace(e.parent_trace_context)},"Tags":{_dictionary(e.tags)}'
    )


def _completed(number: int) -> Callable[[Any], str]:
    return lambda e: f'"EventType":{number},"TaskScheduledId":{e.task_scheduled_id},"Result":{text(e.result)}'


def _failed(number: int) -> Callable[[Any], str]:
    return lambda e: (
        f'"EventType":{number},"TaskScheduledId":{e.task_scheduled_id},"Reason":{text(e.reason)},'
        f'"Details":{text(e.details)},"FailureDetails":{_failure(e.failure_details)}'
    )


def _reasoned(number: int) -> Callable[[Any], str]:
    return lambda e: f'"EventType":{number},"Reason":{text(e.reason)}'


_WRITERS: dict[type[h.HistoryEvent], tuple[str, Callable[[Any], str]]] = {
    h.ExecutionStarted: ("ExecutionStartedEvent", _execution_started),
    h.ExecutionTerminated: ("ExecutionTerminatedEvent", lambda e: f'"EventType":3,"Input":{text(e.input)}'),
    h.TaskScheduled: ("TaskScheduledEvent", _task_scheduled),
    h.TaskCompleted: ("TaskCompletedEvent", _completed(5)),
    h.TaskFailed: ("TaskFailedEvent", _failed(6)),
    h.SubOrchestrationInstanceCompleted: ("SubOrchestrationInstanceCompletedEvent", _completed(8)),
    h.SubOrchestrationInstanceFailed: ("SubOrchestrationInstanceFailedEvent", _failed(9)),
    h.TimerFired: (
        "TimerFiredEvent",
        lambda e: f'"EventType":11,"TimerId":{e.timer_id},"FireAt":{_date(e.fire_at)}',
    ),
    h.EventRaised: (
        "EventRaisedEvent",
        lambda e: (
            f'"EventType":15,"Name":{text(e.name)},"Input":{text(e.input)},'
            f'"ParentTraceContext":{_trace(e.parent_trace_context)}'
        ),
    ),
    h.GenericEvent: ("GenericEvent", lambda e: f'"Data":{text(e.data)},"EventType":17'),
    h.ExecutionSuspended: ("ExecutionSuspendedEvent", _reasoned(19)),
    h.ExecutionResumed: ("ExecutionResumedEvent", _reasoned(20)),
    h.ExecutionRewound: (
        "ExecutionRewoundEvent",
        lambda e: (
            f'"EventType":21,"Reason":{text(e.reason)},"ParentExecutionId":{text(e.parent_execution_id)},'
            f'"InstanceId":{text(e.instance_id)},"ParentTraceContext":{_trace(e.parent_trace_context)}'
        ),
    ),
}


# ---- reading ---------------------------------------------------------------------------------------------------------


def decode(body: str) -> MessageData:
    """Read a message's text, or the document of a message blob.

    Raises:
        UndecodableMessageError: it is none; the text says what is wrong.
    """
    document = _parse(body)
    try:
        message = object_member(document, "TaskMessage")
        activity_id, blob, trace = text_members(
            document, ("ActivityId", "CompressedBlobName", "SerializableTraceContext"), text_member
        )
        data = MessageData(
            activity_id=activity_id or _NO_GUID,
            task_message=None if message is None else _read_task_message(message),
            sequence_number=whole_number(document, "SequenceNumber", bits=64) or 0,
            sender=_read_sender(object_member(document, "Sender")),
            episode=whole_number(document, "Episode"),
            compressed_blob_name=blob,
            trace_context=trace,
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UndecodableMessageError(f"the message is not a MessageData document: {explain(error)}") from error
    if data.task_message is None and not data.compressed_blob_name:
        raise UndecodableMessageError("the message has neither a TaskMessage nor a CompressedBlobName")
    return data


def _parse(body: str) -> dict[str, Any]:
    source = body if body.startswith("{") else body.lstrip("\ufeff")
    if not source.startswith("{"):
        try:
            source = base64.b64decode("".join(source.split()), validate=True).decode("utf-8-sig")
        except (binascii.Error, ValueError) as error:
            raise UndecodableMessageError(
                f"the message is neither JSON nor Base64 of JSON, it begins with {body[:40]!r}"
            ) from error
    try:
        document = read_json(source)
    except (ValueError, RecursionError) as error:
        raise UndecodableMessageError(f"the message is no JSON document: {error}") from error
    if not isinstance(document, dict):
        raise UndecodableMessageError(f"the message is a JSON {type(document).__name__}, not an object")
    return document


def explain(error: Exception) -> str:
    """What a reader of ``event_json`` found wrong."""
    return f"member {error} is missing" if isinstance(error, KeyError) else str(error)


def _read_sender(value: dict[str, Any] | None) -> Sender | None:
    if value is None:
        return None
    instance_id, execution_id = text_members(value, INSTANCE, text_member)
    return Sender(instance_id or "", execution_id)


def _read_task_message(value: dict[str, Any]) -> TaskMessage:
    context = object_member(value, "OrchestrationExecutionContext")
    return TaskMessage(
        read_event(required_object(value, "Event")),
        read_instance(required_object(value, "OrchestrationInstance")),
        None if context is None else read_tags(context, "OrchestrationTags") or {},
    )
