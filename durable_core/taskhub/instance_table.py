"""Rows of the Instances table: what is written at each stage, how they are found and read (task-hub 5, 8.7)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from durable_core.core import history as h
from durable_core.core.ticks import format_column
from durable_core.errors import UndecodableMessageError
from durable_core.storage.base import Entity, Row, Value
from durable_core.taskhub.columns import date_column, number_of, text_of, ticks_of
from durable_core.taskhub.history_table import tags_text
from durable_core.taskhub.keys import escape_key, quote, unescape_key

PROJECTION = (
    "ExecutionId",
    "Name",
    "Version",
    "Output",
    "CustomStatus",
    "CreatedTime",
    "LastUpdatedTime",
    "CompletedTime",
    "RuntimeStatus",
    "ScheduledStartTime",
    "Generation",
    "Tags",
    "PartitionKey",
    "RowKey",
    "Timestamp",
)
"""Columns of a status without its input (task-hub 8.7)."""

_UNSEEN = frozenset({h.OrchestratorStarted, h.OrchestratorCompleted, h.TaskScheduled, h.TaskCompleted})
"""What most events are, and no row tells."""

Urls = Mapping[tuple[int, str], str]
"""Blob URL of an overflowed column, by (position in the new events, column)."""


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One row. Times are ticks; input, output and custom status are the stored texts, None if there is none."""

    instance_id: str
    name: str
    version: str | None
    runtime_status: h.OrchestrationStatus
    execution_id: str | None
    created_time: int | None
    last_updated_time: int | None
    etag: str
    generation: int | None = None
    completed_time: int | None = None
    scheduled_start_time: int | None = None
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    tags: Mapping[str, str] | None = None


def read_status(row: Row) -> InstanceStatus:
    """The status that a row tells.

    Raises:
        UndecodableMessageError: a column cannot be read; the text names the instance.
    """
    values = row.values
    key = str(values["PartitionKey"])
    try:
        return InstanceStatus(
            instance_id=unescape_key(key),
            name=text_of(values.get("Name")) or "",
            version=text_of(values.get("Version")),
            runtime_status=h.OrchestrationStatus[str(values["RuntimeStatus"])],
            execution_id=text_of(values.get("ExecutionId")),
            created_time=ticks_of(values.get("CreatedTime")),
            last_updated_time=ticks_of(values.get("LastUpdatedTime")),
            etag=row.etag,
            generation=number_of(values.get("Generation")),
            completed_time=ticks_of(values.get("CompletedTime")),
            scheduled_start_time=ticks_of(values.get("ScheduledStartTime")),
            input=text_of(values.get("Input")),
            output=text_of(values.get("Output")),
            custom_status=_unless_null(values.get("CustomStatus")),
            tags=_tags(values.get("Tags")),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UndecodableMessageError(
            f"the Instances row of '{unescape_key(key)}' cannot be read: {error!r}"
        ) from error


def _unless_null(value: Value) -> str | None:
    return None if value is None or value == "null" else str(value)


def _tags(value: Value) -> Mapping[str, str] | None:
    text = _unless_null(value)
    if text is None:
        return None
    tags = json.loads(text)
    if not isinstance(tags, dict):
        raise TypeError(f"column Tags holds {text[:40]!r}, not an object")
    return {key: item for key, item in tags.items() if key != "$type"}


def created(event: h.ExecutionStarted, *, hub: str, now: int, input_url: str | None = None) -> dict[str, Value]:
    """The row that a client writes behind its start message.

    Args:
        input_url: URL of the blob that carries the message, if it was too large for its queue.
    """
    return {
        "PartitionKey": escape_key(event.instance.instance_id),
        "RowKey": "",
        "Input": input_url or event.input,
        "CreatedTime": date_column(event.timestamp),
        "Name": event.name,
        "Version": event.version,
        "RuntimeStatus": h.OrchestrationStatus.Pending.name,
        "LastUpdatedTime": date_column(now),
        "TaskHubName": hub,
        "ScheduledStartTime": date_column(event.scheduled_start_time),
        "ExecutionId": event.instance.execution_id,
        "Generation": event.generation,
        "Tags": tags_text(event.tags),
    }


def checkpoint(
    instance_id: str,
    execution_id: str | None,
    events: Sequence[h.HistoryEvent],
    custom_status: str | None,
    urls: Urls,
    *,
    hub: str,
    now: int,
) -> dict[str, Value]:
    """What a checkpoint merges; when several events set a column the last one wins (task-hub 5.1, Appendix A.3).

    Args:
        events: the new events; for a repair all events of the generation.
        custom_status: JSON text.
        urls: where overflowed columns of ``events`` went.
    """
    row: dict[str, Value] = {
        "PartitionKey": escape_key(instance_id),
        "RowKey": "",
        "CustomStatus": "null" if custom_status is None else custom_status,
        "ExecutionId": execution_id,
        "LastUpdatedTime": date_column(events[-1].timestamp),
        "TaskHubName": hub,
    }
    for position, event in enumerate(events):
        if type(event) in _UNSEEN:
            continue
        if isinstance(event, h.ExecutionStarted):
            row["Name"] = event.name
            row["Version"] = event.version
            row["CreatedTime"] = date_column(event.timestamp)
            row["RuntimeStatus"] = h.OrchestrationStatus.Running.name
            row["Tags"] = tags_text(event.tags)
            row["Generation"] = event.generation
            if event.scheduled_start_time is not None:
                row["ScheduledStartTime"] = date_column(event.scheduled_start_time)
            row["Input"] = urls.get((position, "Input"), event.input)
        elif isinstance(event, h.ExecutionCompleted):
            row["RuntimeStatus"] = event.status.name
            row["CompletedTime"] = date_column(now)
            failure = event.failure_details
            row["Output"] = str(failure) if failure else urls.get((position, "Result"), event.result)
        elif isinstance(event, h.ExecutionTerminated):
            row["RuntimeStatus"] = h.OrchestrationStatus.Terminated.name
            row["CompletedTime"] = date_column(now)
            row["Output"] = urls.get((position, "Input"), event.input)
        elif isinstance(event, h.ExecutionSuspended):
            row["RuntimeStatus"] = h.OrchestrationStatus.Suspended.name
            row["Output"] = urls.get((position, "Reason"), event.reason)
        elif isinstance(event, h.ExecutionResumed):
            row["RuntimeStatus"] = h.OrchestrationStatus.Running.name
            row["Output"] = urls.get((position, "Reason"), event.reason)
    return row


def repaired(
    instance_id: str,
    execution_id: str | None,
    events: Sequence[h.HistoryEvent],
    custom_status: str | None,
    urls: Urls,
    *,
    hub: str,
    now: int,
    with_input: bool,
) -> dict[str, Value]:
    """What makes the row agree with a history that is further on (task-hub 5.2, 6.5).

    Args:
        events: all events of the generation.
        custom_status: JSON text; no history keeps it, so the caller has to find it out.
        urls: where overflowed columns of ``events`` are, by (position in ``events``, column).
        now: CompletedTime, in ticks, of an end that the history does not date.
        with_input: the row is missing, so that its input is too.
    """
    row = checkpoint(instance_id, execution_id, events, custom_status, urls, hub=hub, now=now)
    if not with_input:
        row.pop("Input", None)
    ends = [event.timestamp for event in events if isinstance(event, h.ExecutionCompleted)]
    if ends:
        row["CompletedTime"] = date_column(ends[-1])
    return row


def rewound(instance_id: str, *, now: int) -> dict[str, Value]:
    """What a rewind merges; output and completion time of the failed run stay (task-hub 8.5)."""
    return {
        "PartitionKey": escape_key(instance_id),
        "RowKey": "",
        "RuntimeStatus": h.OrchestrationStatus.Pending.name,
        "LastUpdatedTime": date_column(now),
    }


def terminated_without_history(
    instance_id: str, event: h.ExecutionTerminated, *, now: int, reason_url: str | None = None
) -> dict[str, Value]:
    """What ends an instance that never ran (task-hub 5.2).

    .NET dates it by the event, and so by the client's clock; it is compared with what workers write, on storage's.

    Args:
        now: ticks on storage's clock.
        reason_url: URL of the blob with the reason, if it is too large for a column.
    """
    return {
        "PartitionKey": escape_key(instance_id),
        "RowKey": "",
        "RuntimeStatus": h.OrchestrationStatus.Terminated.name,
        "LastUpdatedTime": date_column(now),
        "CompletedTime": date_column(now),
        "Output": reason_url or event.input,
    }


def merge_columns(older: Entity, newer: Entity) -> Entity:
    """One merge with the effect of ``older`` and then ``newer``: a null column leaves the older value alone."""
    return {**older, **{name: value for name, value in newer.items() if value is not None or name not in older}}


# ---- queries ---------------------------------------------------------------------------------------------------------


ALL_INSTANCES = "RowKey eq ''"
"""Filter of every row."""


def instance_filter(
    *,
    created_from: int | None = None,
    created_to: int | None = None,
    statuses: Collection[h.OrchestrationStatus] = (),
    hubs: Collection[str] = (),
    prefix: str = "",
    exclude_entities: bool = False,
    instance_id: str | None = None,
) -> str:
    """OData filter of a query over instances, empty if nothing is asked for (task-hub 8.7).

    Args:
        created_from, created_to: ticks, both inclusive.
        statuses: any of these; none means no condition, so a purge has to check its own.
        hubs: any of these, in a tracking store that several hubs share.
        prefix: of the instance id, not escaped.
        exclude_entities: has no effect beside ``prefix``, which decides it.
    """
    conditions: list[str] = []
    if created_from is not None:
        conditions.append(f"CreatedTime ge datetime'{format_column(created_from)}'")
    if created_to is not None:
        conditions.append(f"CreatedTime le datetime'{format_column(created_to)}'")
    if statuses:
        conditions.append(" or ".join(f"RuntimeStatus eq {quote(status.name)}" for status in statuses))
    if hubs:
        conditions.append(" or ".join(f"TaskHubName eq {quote(hub)}" for hub in hubs))
    if prefix:
        key = escape_key(prefix)
        conditions.append(f"PartitionKey ge {quote(key)}")
        end = _behind(key)
        if end:
            conditions.append(f"PartitionKey lt {quote(end)}")
    elif exclude_entities:
        conditions.append("PartitionKey lt '@' or PartitionKey ge 'A'")
    if instance_id is not None:
        conditions.append(f"PartitionKey eq {quote(escape_key(instance_id))}")
    return conditions[0] if len(conditions) == 1 else " and ".join(f"({condition})" for condition in conditions)


_SKIPS = {"\ud7ff": "\U00010000", "\U0010ffff": "\ue000"}
"""Where the order of UTF-16 units, which keys have, is not that of code points."""


def _behind(prefix: str) -> str:
    """The smallest key behind all that begin with ``prefix``, empty if there is none."""
    kept = prefix.rstrip("\uffff")
    if not kept:
        return ""
    last = kept[-1]
    return kept[:-1] + (_SKIPS.get(last) or chr(ord(last) + 1))
