"""A message on its way to a session of this worker."""

from __future__ import annotations

from dataclasses import dataclass

from durable_core.core.history import HistoryEvent
from durable_core.core.messages import TaskMessage
from durable_core.worker.message_leases import HeldMessage


@dataclass(slots=True, eq=False)
class Delivery:
    """One event for one instance, and the queue message that must outlive it until its effect is committed.

    Attributes:
        held: the message itself; for the result of an activity that ran here, the *work item* that produced it.
        is_result: ``held`` is such a work item (design rule 4, "results without a reply message").
        is_new_instance: a start whose Instances row was inserted by this process, so that no older run can exist.
    """

    message: TaskMessage
    held: HeldMessage
    is_result: bool = False
    is_new_instance: bool = False

    @property
    def event(self) -> HistoryEvent:
        return self.message.event

    @property
    def instance_id(self) -> str:
        return self.message.target.instance_id

    @property
    def dequeue_count(self) -> int:
        return self.held.dequeue_count
