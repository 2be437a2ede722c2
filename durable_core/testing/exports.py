"""Reading exported histories: rows of the History table, or status documents of the HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_core.core.history import ExecutionStarted, HistoryEvent
from durable_core.errors import ExportError, UndecodableMessageError
from durable_core.storage.base import DateTime, Row, Value
from durable_core.taskhub.history_table import BLOB_NAME, assemble, read_row

HOW_TO_EXPORT = (
    "Export it with `durable instances history ID --rows`, or ask the HTTP API for the status with "
    "showHistory=true&showHistoryOutput=true&showInput=true."
)


@dataclass(frozen=True, slots=True)
class RowExport:
    """The history of one instance as it is stored: nothing is missing."""

    instance_id: str
    events: Sequence[HistoryEvent]


@dataclass(frozen=True, slots=True)
class StatusExport:
    """The ``historyEvents`` of a status document: without the decisions that were answered, ids and episodes."""

    instance_id: str
    name: str
    documents: Sequence[Mapping[str, Any]]
    version: str | None = None


Export = RowExport | StatusExport


def read_exports(source: str | Path | Any, *, blobs: Mapping[str, str] | None = None) -> list[Export]:
    """The orchestration histories in an export.

    Args:
        source: a file, or its parsed JSON: a status document, a list of them, a list of history events, or rows of the
            History table (each column as a value or as ``{"type", "value"}``; an OData answer is fine).
        blobs: texts of the blobs that hold large columns of rows, by blob name.

    Raises:
        ExportError: it is no such export, or lacks what a replay needs; the text says how to export it.
    """
    document = _read_file(Path(source)) if isinstance(source, (str, Path)) else source
    if isinstance(document, dict) and isinstance(document.get("value"), list):
        document = document["value"]
    if isinstance(document, dict):
        return [_status(document)]
    if not isinstance(document, list) or not document or not all(isinstance(item, dict) for item in document):
        raise ExportError(f"This is no exported history. {HOW_TO_EXPORT}")
    if all("RowKey" in item for item in document):
        return _instances(document, blobs or {})
    if all("EventType" in item for item in document):
        return [_events("", "", None, document)]
    return [_status(item) for item in document]


def _read_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read as JSON: {error}") from error


# ---- status documents ------------------------------------------------------------------------------------------------


def _status(document: Mapping[str, Any]) -> StatusExport:
    if "runtimeStatus" not in document and "historyEvents" not in document:
        raise ExportError(f"This is neither a status document nor a row of a history. {HOW_TO_EXPORT}")
    events = document.get("historyEvents") or document.get("history")
    instance_id = str(document.get("instanceId") or "")
    if not events:
        raise ExportError(
            f"The status of instance '{instance_id}' has no historyEvents; ask for it with showHistory=true. "
            f"{HOW_TO_EXPORT}"
        )
    return _events(instance_id, str(document.get("name") or ""), document.get("version"), events)


def _events(instance_id: str, name: str, version: str | None, events: Sequence[Mapping[str, Any]]) -> StatusExport:
    first = next((item for item in events if item.get("EventType") == "ExecutionStarted"), None)
    if first is None:
        raise ExportError(f"The history of instance '{instance_id}' has no ExecutionStarted. {HOW_TO_EXPORT}")
    return StatusExport(instance_id, str(first.get("FunctionName") or first.get("Name") or name), events, version)


# ---- rows ------------------------------------------------------------------------------------------------------------


def _instances(rows: Sequence[Mapping[str, Any]], blobs: Mapping[str, str]) -> list[Export]:
    instances: dict[str, list[Row]] = {}
    for raw in rows:
        columns = {name: _value(cell) for name, cell in raw.items() if "@" not in name}
        instances.setdefault(str(columns.get("PartitionKey") or ""), []).append(Row(columns, ""))
    found: list[Export] = []
    for key, listed in instances.items():
        ordered = sorted(listed, key=lambda row: (row.values["RowKey"] == "sentinel", str(row.values["RowKey"])))
        current = assemble(ordered).rows
        try:
            events = [read_row(_filled(row.values, blobs)) for row in current]
        except UndecodableMessageError as error:
            raise ExportError(f"{error}. {HOW_TO_EXPORT}") from error
        started = next((event for event in events if isinstance(event, ExecutionStarted)), None)
        if started is not None and not started.name.startswith("@"):
            found.append(RowExport(started.instance.instance_id or key, events))
    if not found:
        raise ExportError(f"The rows contain no orchestration with an ExecutionStarted. {HOW_TO_EXPORT}")
    return found


def _value(cell: Any) -> Value:
    if isinstance(cell, dict) and "value" in cell:
        value: Value = cell["value"]
        return DateTime(str(value)) if cell.get("type") == "Edm.DateTime" else value
    return cell  # type: ignore[no-any-return]


_UNREAD = {"ExecutionCompleted", "TaskScheduled", "SubOrchestrationInstanceCreated"}
"""Events whose large columns the code never sees."""


def _filled(columns: Mapping[str, Value], blobs: Mapping[str, str]) -> Mapping[str, Value]:
    """The row with the texts of its large columns."""
    large = [name for name, value in columns.items() if name.endswith(BLOB_NAME) and value]
    if not large:
        return columns
    filled = dict(columns)
    for name in large:
        blob = str(filled.pop(name))
        column = name.removesuffix(BLOB_NAME)
        if blob in blobs:
            filled[column] = blobs[blob]
        elif columns.get("EventType") in _UNREAD:
            filled[column] = None
        else:
            raise ExportError(
                f"Column {column} of the {columns.get('EventType')!s} in row {columns.get('RowKey')!s} is in blob "
                f"{blob}, which rows alone do not contain. {HOW_TO_EXPORT}"
            )
    return filled
