"""History events as table rows and back (task-hub 4.2 to 4.5, 4.7): columns, order and types are exact."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from json.encoder import encode_basestring_ascii
from typing import Any

from durable_core.core import history as h
from durable_core.errors import UndecodableMessageError
from durable_core.storage.base import Entity, Row, Value
from durable_core.taskhub.columns import date_column, moment_column
from durable_core.taskhub.event_json import read_event
from durable_core.taskhub.keys import SENTINEL, escape_key, row_key
from durable_core.taskhub.wire import any_json, explain, text

MAX_ROWS = 99
"""Event rows per transaction; the sentinel is the hundredth (task-hub 4.4)."""
MAX_BYTES = 3 * 1024 * 1024
"""Estimated size at which a transaction is closed; the service refuses more than 4 MiB."""
_ROW_BYTES = 1024
"""Allowance for a row's part header, small columns and their types."""
_FEW, _SHORT = 20, 1024
"""So many rows surely fit one transaction if none of their texts has more code points than this."""
OVERFLOW_UNITS = 30720
"""UTF-16 code units that a column may hold; more go to a blob (task-hub 4.5)."""
SURELY_FITS = OVERFLOW_UNITS // 2
"""Code points that a column may hold, whatever they are."""
OVERFLOWING = ("Name", "Input", "Result", "Output", "Reason", "Details", "Correlation", "FailureDetails", "Tags")
"""Columns that may overflow, in the order in which .NET tests them."""

BLOB_NAME = "BlobName"
"""Suffix of the column that names the blob of an overflowed column."""
BLOB_COLUMNS = frozenset(f"{column}{BLOB_NAME}" for column in (*OVERFLOWING, "Data"))

_SIZED = (*OVERFLOWING, "Data")
"""Columns that may be large: ``Data`` does not overflow, yet holds a user's text."""

_JSON_COLUMNS = frozenset({"OrchestrationInstance", "ParentInstance", "Tags", "ParentTraceContext", "FailureDetails"})


# ---- writing ---------------------------------------------------------------------------------------------------------


def own_columns(event: h.HistoryEvent) -> dict[str, Value]:
    """The columns that not all events have: the first of a row, and all that may be large."""
    writer = _WRITERS.get(type(event))
    return writer(event) if writer is not None else {}


def event_row(
    event: h.HistoryEvent,
    *,
    partition_key: str,
    position: int,
    execution_id: str,
    own: dict[str, Value] | None = None,
) -> dict[str, Value]:
    """The whole row of one event, its columns in the order of Appendix A.2.

    Args:
        own: what ``own_columns`` gave for it, if that was looked at already.
    """
    columns = own_columns(event) if own is None else own
    columns["EventId"] = event.event_id
    columns["IsPlayed"] = event.is_played
    columns["_Timestamp"] = moment_column(event.timestamp)
    columns["EventType"] = _NAMES[type(event)]
    columns["PartitionKey"] = partition_key
    columns["RowKey"] = row_key(position)
    columns["ExecutionId"] = execution_id
    return columns


def history_rows(instance_id: str, execution_id: str, events: Iterable[h.HistoryEvent]) -> list[dict[str, Value]]:
    """The rows of a whole history, with large values in full; not to be written, but to be shown or exported."""
    key = escape_key(instance_id)
    return [
        event_row(event, partition_key=key, position=position, execution_id=execution_id)
        for position, event in enumerate(events)
    ]


RECEIPTS = "ReceivedRequests"
"""Our own column of an entity's sentinel: ids of messages that took effect (``core.entity_receipts``)."""

INHERITED = "InheritedCustomStatus"
"""Our own column of the sentinel: execution id of a generation that continues an older one, a line break, and the
custom status that the older one showed last. It is in no event, and the code may go on from it (behaviour 50)."""
_LONGEST_TEXT = 32_000
"""UTF-16 code units of a String column, rounded down."""


def sentinel_row(
    partition_key: str,
    execution_id: str,
    *,
    complete_at: int | None,
    receipts: str | None = None,
    inherited_status: str | None = None,
) -> dict[str, Value]:
    """The row that locks the history; ``complete_at`` (ticks) only in the last batch of a checkpoint (task-hub 4.3).

    Args:
        receipts: of an entity, None for orchestrations.
        inherited_status: of a generation that begins with these rows.
    """
    columns: dict[str, Value] = {
        "PartitionKey": partition_key,
        "RowKey": SENTINEL,
        "ExecutionId": execution_id,
        "IsCheckpointComplete": complete_at is not None,
    }
    if complete_at is not None:
        columns["CheckpointCompletedTimestamp"] = moment_column(complete_at)
    if receipts is not None:
        columns[RECEIPTS] = receipts
    if inherited_status is not None:
        inherited = f"{execution_id}\n{inherited_status}"
        if len(inherited.encode("utf-16-le", "surrogatepass")) <= 2 * _LONGEST_TEXT:
            columns[INHERITED] = inherited
    return columns


def overflowing(columns: Mapping[str, Value]) -> list[str]:
    """Names of the columns whose value does not fit, in .NET's order."""
    if longest_text(columns) <= SURELY_FITS:  # nearly no row has a long one
        return []
    return [name for name in OVERFLOWING if isinstance(value := columns.get(name), str) and _too_large(value)]


def longest_text(columns: Mapping[str, Value]) -> int:
    """Code points of the longest text."""
    longest = 0
    for value in columns.values():
        if type(value) is str and len(value) > longest:
            longest = len(value)
    return longest


def _too_large(value: str) -> bool:
    return len(value) > OVERFLOW_UNITS or len(value.encode("utf-16-le", "surrogatepass")) > 2 * OVERFLOW_UNITS


def batches(rows: Sequence[Entity], longest: int | None = None) -> list[list[Entity]]:
    """Split a checkpoint's event rows into transactions (task-hub 4.4); at least one, possibly empty.

    .NET estimates texts by their UTF-16 length, but the request carries them as JSON, where a character outside ASCII
    takes up to twelve bytes: fifty results of 60 KiB in Chinese would pass 4 MiB. So the larger of both counts.

    Args:
        longest: code points of the longest text in any of the rows, if that is known.
    """
    if len(rows) <= _FEW and (max(map(longest_text, rows), default=0) if longest is None else longest) <= _SHORT:
        return [list(rows)]
    result: list[list[Entity]] = [[]]
    size = 0
    for row in rows:
        estimate = _ROW_BYTES + sum(
            max(2 * len(value), len(encode_basestring_ascii(value)))
            for name in _SIZED
            if isinstance(value := row.get(name), str)
        )
        if result[-1] and (len(result[-1]) == MAX_ROWS or size + estimate > MAX_BYTES):
            result.append([])
            size = 0
        result[-1].append(row)
        size += estimate
    return result


def _instance(instance: h.OrchestrationInstance) -> str:
    return f'{{"InstanceId":{text(instance.instance_id)},"ExecutionId":{text(instance.execution_id)}}}'


def _parent(parent: h.ParentInstance | None) -> str:
    if parent is None:
        return "null"
    return (
        f'{{"Name":{text(parent.name)},"OrchestrationInstance":{_instance(parent.instance)},'
        f'"TaskScheduleId":{parent.task_schedule_id},"Version":{text(parent.version)}}}'
    )


def tags_text(tags: Mapping[str, str] | None) -> str:
    """Tags as a JSON column, the text ``null`` if there are none."""
    if tags is None:
        return "null"
    return "{" + ",".join(f"{text(key)}:{text(value)}" for key, value in tags.items()) + "}"


def _trace(context: h.TraceContext | None) -> str:
    if context is None:
        return "null"
    return (
        f'{{"TraceParent":{text(context.trace_parent)},"TraceState":{text(context.trace_state)},'
        f'"Id":{text(context.id)},"SpanId":{text(context.span_id)},'
        f'"ActivityStartTime":{text(context.activity_start_time)}}}'
    )


def _failure(details: h.FailureDetails | None) -> str:
    if details is None:
        return "null"
    return (
        f'{{"ErrorType":{text(details.error_type)},"ErrorMessage":{text(details.error_message)},'
        f'"StackTrace":{text(details.stack_trace)},"InnerFailure":{_failure(details.inner_failure)},'
        f'"IsNonRetriable":{"true" if details.is_non_retriable else "false"},'
        f'"Properties":{any_json(details.properties)}}}'
    )


def _execution_started(e: h.ExecutionStarted) -> dict[str, Value]:
    return {
        "ParentInstance": _parent(e.parent),
        "Name": e.name,
        "Version": e.version,
        "Input": e.input,
        "Tags": tags_text(e.tags),
        "Correlation": e.correlation,
        "ParentTraceContext": _trace(e.parent_trace_context),
        "ScheduledStartTime": date_column(e.scheduled_start_time),
        "Generation": e.generation,
        "GenerateNewTrace": e.generate_new_trace,
        "OrchestrationInstance": _instance(e.instance),
    }


def _completed(e: h.ExecutionCompleted) -> dict[str, Value]:
    return {
        "OrchestrationStatus": e.status.name,
        "Result": e.result,
        "FailureDetails": _failure(e.failure_details),
    }


def _reply(e: Any) -> dict[str, Value]:
    return {"TaskScheduledId": e.task_scheduled_id, "Result": e.result}


def _failed_reply(e: Any) -> dict[str, Value]:
    return {
        "TaskScheduledId": e.task_scheduled_id,
        "Reason": e.reason,
        "Details": e.details,
        "FailureDetails": _failure(e.failure_details),
    }


_WRITERS: dict[type[h.HistoryEvent], Callable[[Any], dict[str, Value]]] = {
    h.ExecutionStarted: _execution_started,
    h.ExecutionCompleted: _completed,
    h.ContinueAsNew: _completed,
    h.ExecutionTerminated: lambda e: {"Input": e.input},
    h.ExecutionSuspended: lambda e: {"Reason": e.reason},
    h.ExecutionResumed: lambda e: {"Reason": e.reason},
    h.ExecutionRewound: lambda e: {
        "Reason": e.reason,
        "ParentExecutionId": e.parent_execution_id,
        "InstanceId": e.instance_id,
        "ParentTraceContext": _trace(e.parent_trace_context),
    },
    h.TaskScheduled: lambda e: {
        "Name": e.name,
        "Version": e.version,
        "Input": e.input,
        "ParentTraceContext": _trace(e.parent_trace_context),
        "Tags": tags_text(e.tags),
    },
    h.TaskCompleted: _reply,
    h.SubOrchestrationInstanceCompleted: _reply,
    h.TaskFailed: _failed_reply,
    h.SubOrchestrationInstanceFailed: _failed_reply,
    h.SubOrchestrationInstanceCreated: lambda e: {
        "Name": e.name,
        "Version": e.version,
        "InstanceId": e.instance_id,
        "Input": e.input,
        "ClientSpanId": e.client_span_id,
        "Tags": tags_text(e.tags),
    },
    h.TimerCreated: lambda e: {"FireAt": date_column(e.fire_at)},
    h.TimerFired: lambda e: {"TimerId": e.timer_id, "FireAt": date_column(e.fire_at)},
    h.EventSent: lambda e: {"InstanceId": e.instance_id, "Name": e.name, "Input": e.input},
    h.EventRaised: lambda e: {
        "Name": e.name,
        "Input": e.input,
        "ParentTraceContext": _trace(e.parent_trace_context),
    },
    h.GenericEvent: lambda e: {"Data": e.data},
}


_NAMES = {kind: event_type.name for kind, event_type in h.EVENT_TYPES.items()}
"""``EventType`` of each kind of event."""


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_row(columns: Mapping[str, Value]) -> h.HistoryEvent:
    """The event of one row, of whatever kind and form, whose overflowed columns have been filled in.

    Columns that the event class does not know are ignored: a rewound row keeps those of the event it was.

    Raises:
        UndecodableMessageError: the row is no event; the text names the row.
    """
    members: dict[str, Any] = dict(columns)
    members["Timestamp"] = members.get("_Timestamp")
    try:
        for name in _JSON_COLUMNS.intersection(members):
            members[name] = json.loads(members[name]) if members[name] else None
        return read_event(members)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UndecodableMessageError(
            f"history row {columns.get('RowKey')!r} of instance key {columns.get('PartitionKey')!r} cannot be read: "
            f"{explain(error)}"
        ) from error


@dataclass(frozen=True, slots=True)
class LoadedRows:
    """The rows of the current generation, as task-hub 4.7 and design rule 2 read them.

    Attributes:
        rows: event rows in order.
        etag: the sentinel's, None if nothing ever ran.
        execution_id: of the generation, None if there is none.
        partial_rows: row keys that a checkpoint cut off half-way left behind.
        is_complete: the last checkpoint was not cut off.
        receipts: what an entity remembers of received messages.
        inherited_status: custom status with which the generation began.
    """

    rows: Sequence[Row]
    etag: str | None
    execution_id: str | None
    partial_rows: Sequence[str]
    is_complete: bool = True
    receipts: str | None = None
    inherited_status: str | None = None


def assemble(rows: Iterable[Row]) -> LoadedRows:
    """Pick the current generation out of all rows of an instance, in key order."""
    events = list(rows)
    sentinel = (
        events.pop() if events and events[-1].values["RowKey"] == SENTINEL else None
    )  # it sorts behind all others
    if sentinel is None and not events:
        return LoadedRows((), None, None, ())
    execution_id = sentinel.values.get("ExecutionId") if sentinel else events[0].values.get("ExecutionId")
    current = events
    if events and events[-1].values.get("ExecutionId") != execution_id:  # leftovers of an older one stand behind it
        current = list(takewhile(lambda row: row.values.get("ExecutionId") == execution_id, events))
    complete = sentinel is None or sentinel.values.get("IsCheckpointComplete", True) is not False
    partial: list[str] = []
    if not complete:
        end = _last_complete_episode(current)
        partial = [str(row.values["RowKey"]) for row in current[end:]]
        current = current[:end]
    return LoadedRows(
        current,
        sentinel.etag if sentinel else None,
        str(execution_id) if execution_id is not None and current else None,
        partial,
        complete,
        str(sentinel.values[RECEIPTS]) if sentinel and sentinel.values.get(RECEIPTS) else None,
        _inherited_status(sentinel, execution_id),
    )


def _inherited_status(sentinel: Row | None, execution_id: Value) -> str | None:
    """Column ``InheritedCustomStatus``, unless it is of an older generation."""
    owner, _, status = str(sentinel.values.get(INHERITED) or "").partition("\n") if sentinel else ("", "", "")
    return status if owner and owner == execution_id else None


def _last_complete_episode(rows: Sequence[Row]) -> int:
    for position in range(len(rows), 0, -1):
        if rows[position - 1].values.get("EventType") == h.EventType.OrchestratorCompleted.name:
            return position
    return 0
