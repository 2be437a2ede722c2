"""One pass over the Partitions table, as a pure decision (task-hub 7.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from durable_core.taskhub.partitions import PartitionRow


@dataclass(slots=True)
class Pass:
    """What a pass wants.

    Attributes:
        changes: rows as they shall be written, each under the ETag that it was read with.
        claimed: partitions that are ours once the changes are written.
        taken_over: those of them that somebody else had before: what that one left behind may become visible any time.
        lost: partitions that we listened to and that the table gives to somebody else.
        to_drain: partitions that another worker asks us for.
        waiting: we drain something or wait for a partition: look again soon.
        others: other owners that were seen.
    """

    changes: list[PartitionRow] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    taken_over: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    to_drain: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    waiting: bool = False
    others: set[str] = field(default_factory=set)


def plan(
    rows: Sequence[PartitionRow],
    me: str,
    now: int,
    *,
    listening: Collection[str],
    draining: Collection[str],
    drained: Collection[str],
    is_dead: Callable[[str], bool] = lambda owner: False,
) -> Pass:
    """Decide one pass, without the two defects of .NET that task-hub 7.4 marks.

    Args:
        now: ticks on the storage service's clock.
        listening: partitions that this worker reads.
        draining: partitions whose drain is under way.
        drained: partitions whose drain has ended.
        is_dead: the owner is a process of this machine that is known to be gone.
    """
    result = Pass()
    load: dict[str, list[PartitionRow]] = {}
    mine = 0
    for row in rows:
        owner = row.current_owner
        if owner != me and row.partition in listening:
            result.lost.append(row.partition)
        if _may_claim(row, me, now) or (owner is not None and owner != me and is_dead(owner)):
            result.changes.append(row.claimed(me, now))
            result.claimed.append(row.partition)
            if row.owned_since is not None:
                result.taken_over.add(row.partition)
            mine += 1
        elif owner == me:
            mine += _keep(row, now, result, draining, drained)
            if row.next_owner is None and row.partition not in listening:
                # Ours all the time, but given up here while storage could not be reached.
                result.claimed.append(row.partition)
        elif row.next_owner is not None:
            if row.next_owner == me:
                mine += 1
                result.waiting = True
            else:
                result.others.add(row.next_owner)
                load.setdefault(row.next_owner, []).append(row)
            if owner is not None:
                result.others.add(owner)
        elif owner is not None and row.is_draining:
            # Its owner is shutting down: ask for it, so that it passes on as soon as it is released.
            result.changes.append(row.stolen(me))
            result.waiting = True
            mine += 1
        elif owner is not None:
            result.others.add(owner)
            load.setdefault(owner, []).append(row)
    if result.others:
        _balance(rows, load, me, mine, result)
    return result


def plan_closing(rows: Sequence[PartitionRow], me: str, now: int) -> list[PartitionRow]:
    """Changes of a worker that stops: its own rows, marked as draining, so that others ask for them (task-hub 7.4).

    Partitions that it had asked for stay marked until ``release``.
    """
    return [row.drained().renewed(now) for row in rows if row.current_owner == me]


def _may_claim(row: PartitionRow, me: str, now: int) -> bool:
    if row.current_owner is None:
        return row.next_owner is None or row.next_owner == me or row.is_expired(now)
    return row.current_owner != me and row.is_expired(now)


def _keep(row: PartitionRow, now: int, result: Pass, draining: Collection[str], drained: Collection[str]) -> int:
    """A row of ours: renew it, or hand it over; returns how many of ours it counts as."""
    if row.next_owner is None:
        result.changes.append(row.renewed(now))
        if row.is_draining:  # the drain was begun by an earlier run of this process under the same id
            result.changes[-1] = row.claimed(row.current_owner or "", now)
        return 1
    result.waiting = True
    if row.partition in drained:
        result.changes.append(row.released())
        result.released.append(row.partition)
    elif row.partition in draining:
        result.changes.append(row.renewed(now))
    else:
        result.changes.append(row.drained().renewed(now))
        result.to_drain.append(row.partition)
    return 0


def _balance(
    rows: Sequence[PartitionRow], load: dict[str, list[PartitionRow]], me: str, mine: int, result: Pass
) -> None:
    average = len(rows) // (len(result.others) + 1)
    for _, theirs in sorted(load.items()):
        need = average - mine
        if need < 0:
            return
        excess = len(theirs) - average
        if excess <= 0:
            continue
        if need == 0 and excess > 1:
            need = 1
        # Rows on their way to that worker are taken last; a name in NextOwner may be overwritten until the claim, so
        # that workers that begin at the same moment need not wait for one another's hand-overs to end.
        for row in sorted(theirs, key=lambda row: row.next_owner is not None)[: min(need, excess)]:
            result.changes.append(row.stolen(me))
            result.waiting = True
            mine += 1
