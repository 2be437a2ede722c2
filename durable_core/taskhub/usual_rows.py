"""The rows that nearly every history consists of, read in one pass.

Most rows are of four kinds and as plain as our own writer makes them; replay cost is paid per row, so these are read
without the general way's detours. Whatever looks different goes the general way (``history_table.read_row``), which
also complains.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from durable_core.core.history import (
    NO_ID,
    HistoryEvent,
    OrchestratorCompleted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)
from durable_core.core.ticks import parse
from durable_core.storage.base import DateTime, Row

_NOTHING = (None, "null")


def usual_events(rows: Iterable[Row]) -> list[HistoryEvent | None]:
    """The event of each row, None where the general way is needed.

    A value that is in a blob leaves its column empty, and such a row is not read here.
    """
    events: list[HistoryEvent | None] = []
    append = events.append
    new: Any = object.__new__  # and then field by field: a call of the class takes three times as long
    stamp_before, ticks = "", 0
    for row in rows:
        columns = row.values
        event: Any = None
        try:
            kind, stamp, played = columns["EventType"], columns["_Timestamp"], columns["IsPlayed"]
            if type(stamp) is DateTime and (played is False or played is True):
                if kind == "TaskCompleted":
                    task_id, result = columns["TaskScheduledId"], columns["Result"]
                    if result and type(result) is str and type(task_id) is int and columns["EventId"] == NO_ID:
                        event = new(TaskCompleted)
                        event.timestamp = parse(stamp)
                        event.event_id, event.is_played = NO_ID, played
                        event.task_scheduled_id, event.result = task_id, result
                elif kind == "TaskScheduled":
                    event_id, name, version = columns["EventId"], columns["Name"], columns["Version"]
                    text = columns.get("Input")
                    if (
                        name
                        and type(name) is str
                        and type(version) is str
                        and type(event_id) is int
                        and (type(text) is str and text if text is not None else "InputBlobName" not in columns)
                        and columns.get("Tags") in _NOTHING
                        and columns.get("ParentTraceContext") in _NOTHING
                    ):
                        event = new(TaskScheduled)
                        event.timestamp = ticks if stamp == stamp_before else parse(stamp)
                        event.event_id, event.is_played = event_id, played
                        event.name, event.version, event.input = name, version, text
                        event.parent_trace_context = event.tags = None
                elif columns["EventId"] == NO_ID:
                    if kind == "OrchestratorStarted":
                        event = new(OrchestratorStarted)
                        stamp_before = stamp
                        event.timestamp = ticks = parse(stamp)
                        event.event_id, event.is_played = NO_ID, played
                    elif kind == "OrchestratorCompleted":
                        event = new(OrchestratorCompleted)
                        event.timestamp = ticks if stamp == stamp_before else parse(stamp)
                        event.event_id, event.is_played = NO_ID, played
        except (KeyError, ValueError):
            event = None
        append(event)
    return events
