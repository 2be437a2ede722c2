"""A message on its way to a session of this worker."""

from __future__ import annotations

from collections.abc import Iterable

from durable_core.core.entity_messages import is_response
from durable_core.core.history import EventRaised, ExecutionTerminated, GenericEvent
from durable_core.core.messages import TaskMessage
from durable_core.core.state import identity
from durable_core.worker.message_leases import HeldMessage


class Delivery:
    """One event for one instance, and the queue message that must outlive it until its effect is committed.

    What a session asks again and again of every delivery is kept as plain attributes.

    Args:
        held: the message itself; for the result of an activity that ran here, the *work item* that produced it.
        is_result: ``held`` is such a work item (design rule 4, "results without a reply message").
        new_row: of a start, ETag of the Instances row that this process has inserted for it: no older run can exist.
    """

    __slots__ = ("dequeue_count", "event", "held", "instance_id", "is_result", "message", "new_row")

    def __init__(
        self, message: TaskMessage, held: HeldMessage, is_result: bool = False, new_row: str | None = None
    ) -> None:
        self.message = message
        self.held = held
        self.is_result = is_result
        self.new_row = new_row
        self.event = message.event
        self.instance_id = message.target.instance_id
        self.dequeue_count = held.dequeue_count


def begin_instance(deliveries: Iterable[Delivery]) -> bool:
    """One of them starts an instance that this process knows to be new."""
    for delivery in deliveries:  # a generator would cost more, here and below  # noqa: SIM110
        if delivery.new_row is not None:
            return True
    return False


def wake(deliveries: Iterable[Delivery]) -> bool:
    """One of them tells a rewound instance to go on."""
    for delivery in deliveries:  # noqa: SIM110
        if type(delivery.event) is GenericEvent:
            return True
    return False


def termination(deliveries: Iterable[Delivery]) -> ExecutionTerminated | None:
    """The first of them that ends the instance."""
    return next((item.event for item in deliveries if isinstance(item.event, ExecutionTerminated)), None)


def identity_in_batch(delivery: Delivery) -> object:
    """What two messages of a batch have in common if one of them is enough; None if each counts."""
    event = delivery.event
    if isinstance(event, EventRaised) and is_response(event.name, delivery.message.target.execution_id):
        return EventRaised, event.name
    return identity(event)
