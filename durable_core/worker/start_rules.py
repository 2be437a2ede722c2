"""Which start messages may run: the de-duplication of task-hub 6.3.

It is needed because a client puts the start into the queue before it writes the Instances row. And which first
checkpoints may be written.
"""

from __future__ import annotations

from collections.abc import Sequence

from durable_core.core import ticks
from durable_core.core.episode import Verdict
from durable_core.core.history import ExecutionStarted, OrchestrationStatus
from durable_core.core.ids import descends
from durable_core.core.state import RuntimeState
from durable_core.taskhub.history_store import LostRaceError
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.worker.delivery import Delivery
from durable_core.worker.message_leases import HeldMessage

CLOCKS_DIFFER = 5 * ticks.PER_SECOND
"""Of two processes, as the service's ``Date`` headers let them know the time; and a little more."""

_SECOND_COPY = 120 * ticks.PER_SECOND
"""Within which a message is put once more if it is not known whether it arrived."""

GIVE_UP_AFTER = 10
"""Receives after which a start that no row explains is discarded."""


def judge_start(
    event: ExecutionStarted,
    held: HeldMessage,
    row: InstanceStatus | None,
    state: RuntimeState,
    *,
    lease: int,
) -> Verdict:
    """Judge a start without parent that is not the current generation's.

    Args:
        row: the instance's row, None if there is none (yet).
        state: the generation that the history holds.
        lease: seconds for which a receive hides a message; tells when this one was taken.
    """
    local = (event.instance.execution_id or "").casefold()
    if row is not None and (row.execution_id is None or row.execution_id.casefold() == local):
        # Terminated before it ever ran: .NET would run it all the same when it is due (behaviour 61).
        return Verdict.DROP if row.runtime_status is OrchestrationStatus.Terminated else Verdict.ACCEPT
    is_overwritten = (
        row is not None
        and state.started is not None
        and row.execution_id == state.execution_id
        and not _is_late(event, held, row, state)
    )
    if is_overwritten and held.dequeue_count > 1 and _generation(event) > _generation(row):
        # The row of the generation that this start replaces was written once more, over the client's. Had the client
        # been refused instead, it would have deleted its message by the second look.
        return Verdict.ACCEPT
    if row is not None and row.generation == event.generation and row.created_time is not None:
        after_row = row.created_time < event.timestamp and row.runtime_status is OrchestrationStatus.Pending
        taken = held.receipt.next_visible - lease * ticks.PER_SECOND
        if after_row or (held.dequeue_count > 1 and taken > row.created_time):
            return Verdict.DROP
    return Verdict.DROP if held.dequeue_count >= GIVE_UP_AFTER else Verdict.DEFER


def _is_late(event: ExecutionStarted, held: HeldMessage, row: InstanceStatus, state: RuntimeState) -> bool:
    """The start was sent before the run that stands there began: what it was to begin was purged before it could.

    The message's age tells, on storage's clock; a start for a later time is put into its queue again and again.
    """
    if event.scheduled_start_time is not None and event.timestamp <= (row.created_time or 0):
        return True
    return held.inserted < state.events[0].timestamp - CLOCKS_DIFFER


def _generation(source: ExecutionStarted | InstanceStatus | None) -> int:
    return (source.generation if source is not None else None) or 0


def is_repeated_start(event: ExecutionStarted, held: HeldMessage, state: RuntimeState) -> bool:
    """The instance runs, or ran, because of this very start.

    A child's execution id is derived from its parent, so a repeated episode of the parent starts the same child; when
    the child has continued as new since, its parent's call still tells (design rule 1). A client's start whose message
    outlived a crash is told by the chain of execution ids that its generations form.
    """
    if state.started is None:
        return False
    if event.instance.execution_id == state.execution_id:
        return True
    if event.parent is None and state.is_continued:
        if state.events[0].timestamp < held.inserted - _SECOND_COPY:
            return False  # no generation follows from a start that was sent after it began
        return descends(state.execution_id or "", event.instance.execution_id or "")
    return event.parent is not None and event.parent == state.started.parent


def make_sure_to_be_first(deliveries: Sequence[Delivery], now: int) -> None:
    """Look at the leases of the messages behind a checkpoint that shall begin a history.

    Where none stands no ETag tells whether another worker has received the same messages, brought the instance to its
    end, and somebody has purged it.

    Raises:
        LostRaceError: it may be so.
    """
    if not all(delivery.held.is_ours(now + CLOCKS_DIFFER) for delivery in deliveries):
        raise LostRaceError("this would be the first one, and others may have received its messages meanwhile")
