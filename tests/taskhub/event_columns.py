"""What a row says of its event, wherever it stands."""

from __future__ import annotations

from durable_core.core.history import HistoryEvent
from durable_core.storage.base import Value
from durable_core.taskhub.history_table import event_row

_PLACE = frozenset({"PartitionKey", "RowKey", "ExecutionId"})


def event_columns(event: HistoryEvent) -> dict[str, Value]:
    """The event's columns in the order of Appendix A.2, without keys and execution id."""
    row = event_row(event, partition_key="", position=0, execution_id="")
    return {name: value for name, value in row.items() if name not in _PLACE}
