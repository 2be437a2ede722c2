"""Starts of instances that have not run yet: the Instances row tells, so that there is no history to read."""

from __future__ import annotations

from collections.abc import Sequence

from durable_core.core.history import ExecutionStarted, OrchestrationStatus
from durable_core.taskhub.instance_store import InstanceStore
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.worker.delivery import Delivery


async def first_row(starts: Sequence[Delivery], instances: InstanceStore) -> str | None:
    """ETag of the row of an instance whose first start this is; None if it may have run before, or if nobody knows."""
    if len(starts) != 1:
        return None
    (start,) = starts
    event = start.event
    assert isinstance(event, ExecutionStarted)
    if start.new_row is not None:
        return start.new_row
    if event.parent is not None or event.generation or start.dequeue_count > 1:
        return None
    row = await instances.get(start.instance_id, with_payloads=False)
    return row.etag if row is not None and _is_as_inserted(row, event) else None


def _is_as_inserted(row: InstanceStatus, event: ExecutionStarted) -> bool:
    """The row is as the client of this very start inserted it: where there was none, and nothing has run since.

    A second copy of the message can find it so, too, if the run of the first has not come to its row yet. That run's
    history stands, and the checkpoint that does not expect it loses the race.
    """
    return (
        row.execution_id == event.instance.execution_id
        and row.runtime_status is OrchestrationStatus.Pending
        and row.generation == 0
    )
