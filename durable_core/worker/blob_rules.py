"""What the taker of the blob manager wants, as a pure decision (task-hub 7.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from durable_core.taskhub.blob_leases import LeaseBlob


@dataclass(slots=True)
class Wanted:
    """Leases to try, in this order, until ``needed`` of them were taken.

    Attributes:
        steal: at most one; taken from its owner when nothing is free.
        others: owners other than this worker.
    """

    free: list[LeaseBlob] = field(default_factory=list)
    needed: int = 0
    steal: LeaseBlob | None = None
    others: set[str] = field(default_factory=set)


def wanted(leases: Sequence[LeaseBlob], me: str) -> Wanted:
    """Balance: an even share, free leases first, then one from the worker that has most."""
    result = Wanted()
    load = Counter({me: 0})
    for lease in leases:
        if lease.owner is None:
            result.free.append(lease)
        else:
            load[lease.owner] += 1
    result.others = set(load) - {me}
    target = 1
    if len(leases) > len(load):
        target = -(-len(leases) // len(load))
    result.needed = target - load[me]
    if result.needed <= 0:
        result.free = []
        return result
    if not result.free and result.others:
        richest = max(sorted(result.others), key=lambda owner: load[owner])
        if load[richest] > target - (1 if result.needed > 1 else 0):
            result.steal = next(lease for lease in leases if lease.owner == richest)
    return result
