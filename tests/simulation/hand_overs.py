"""Watches a run for children that began in memory before the history of their parent said so (design rule 4).

At the end of a run little would tell it: an episode that is repeated starts the same children under the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from durable_core.core.history import ExecutionStarted
from durable_core.core.ids import child_execution_id, next_execution_id
from durable_core.storage.base import Entity, Operation, QueueMessage
from durable_core.taskhub.history_table import read_row
from durable_core.taskhub.wire import decode

_GENERATIONS = 20
"""That one episode may go through: of what they decided only the last one's is in the history."""


class HandOvers:
    """Compares what is received through queues with what is committed.

    Attributes:
        broken: tells of each child that came too early.
    """

    def __init__(self) -> None:
        self.broken: list[str] = []
        self._received: set[str] = set()
        """Instances whose start came out of a queue, where a worker that died before its commit leaves it."""
        self._executions: set[str] = set()
        self._calls: set[tuple[str, int]] = set()
        """Execution and id of each decision to start a child that was committed."""

    def received(self, messages: Sequence[QueueMessage]) -> None:
        """A worker has received these."""
        for message in messages:
            if "ExecutionStarted" in message.text:
                data = decode(message.text)
                if data.task_message is not None:
                    self._received.add(data.task_message.target.instance_id)
                elif data.compressed_blob_name is not None:
                    self._received.add(data.compressed_blob_name.split("/")[0])

    def committed(self, operations: Sequence[Operation]) -> None:
        """These were written to the History table."""
        for operation in operations:
            row = operation.entity
            self._executions.add(str(row.get("ExecutionId")))
            if row.get("EventType") == "SubOrchestrationInstanceCreated":
                self._calls.add((str(row["ExecutionId"]), int(str(row["EventId"]))))
            elif row.get("EventType") == "ExecutionStarted":
                self._check(row)

    def _check(self, row: Entity) -> None:
        event = read_row(row)
        assert isinstance(event, ExecutionStarted)
        if event.parent is None or event.instance.instance_id in self._received:
            return
        generation, task_id = event.parent.instance.execution_id or "", event.parent.task_schedule_id
        is_later_one = event.instance.execution_id != child_execution_id(generation, task_id)
        if is_later_one or (generation, task_id) in self._calls:
            return
        for _ in range(_GENERATIONS):
            generation = next_execution_id(generation)
            if generation in self._executions:
                return
        self.broken.append(f"{event.instance.instance_id} began before its parent's history says so")
