"""What an Instances row says beside the history of its instance: which of the two is behind, and of which run."""

from __future__ import annotations

from durable_core.core.history import ExecutionStarted, OrchestrationStatus
from durable_core.core.ids import descends
from durable_core.core.state import RuntimeState
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.worker.delivery import Delivery
from durable_core.worker.start_rules import CLOCKS_DIFFER


def is_meant_for(item: Delivery, row: InstanceStatus, state: RuntimeState) -> bool:
    """A client's message that was sent after the start to come, rather than to the run before."""
    if isinstance(item.event, ExecutionStarted) or item.message.target.execution_id is not None:
        return False
    sent_before = (row.created_time or 0) - CLOCKS_DIFFER
    return item.event.timestamp >= sent_before and not state.is_duplicate(item.event)


def is_of_later_run(row: InstanceStatus, state: RuntimeState) -> bool:
    """The row tells of a start to come, or of one that was terminated before it ran, not of a generation that the
    history has left behind."""
    is_to_come = row.runtime_status is OrchestrationStatus.Pending
    is_newer = is_to_come or (row.last_updated_time or 0) >= state.events[-1].timestamp
    return is_newer and row.execution_id != state.execution_id and not _is_of_earlier_generation(row, state)


def _is_of_earlier_generation(row: InstanceStatus, state: RuntimeState) -> bool:
    """The run of the row has begun and gone on, and no merge has said so."""
    return state.is_continued and descends(state.execution_id or "", row.execution_id or "")


def is_of_older_run(row: InstanceStatus, execution_id: str | None, state: RuntimeState | None = None) -> bool:
    """The row tells of a run that ``execution_id`` has replaced.

    Args:
        state: the history of ``execution_id``, None if it begins.
    """
    is_other = row.execution_id is not None and row.execution_id != execution_id
    return is_other and (state is None or not _is_of_earlier_generation(row, state))


def is_up_to_date(row: InstanceStatus, state: RuntimeState) -> bool:
    return row.runtime_status is state.status and row.last_updated_time == state.events[-1].timestamp
