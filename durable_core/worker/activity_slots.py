"""Which work items a process keeps for itself (design rule 4): those that it comes to before anybody else could.

A checkpoint asks before it writes them. Between that moment and the one in which the first activity may begin lie two
storage calls, and between two activities of an instance lie four: a slot that is taken now is free again long before
that if activities are short. So what counts is not the slots that are free now but the time until the item's turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

AHEAD = 0.25
"""Seconds that a work item may have to wait for its slot here rather than be left to any worker."""
AHEAD_ALONE = 2.5
"""The same while no other worker is seen: nobody else would take it, and its lease need not be renewed as yet."""
MOST_AHEAD = 1000
"""Work items beyond the slots that are kept at any pace: if this process dies, they appear at their leases' end."""
_UNKNOWN = AHEAD + 1
"""Seconds that an activity is taken to last as long as nobody knows."""
_WEIGHT = 0.2
"""Of the newest duration in the moving average."""


class ActivitySlots:
    """Counts the work items of one process and knows how long its activities take.

    Args:
        count: activities that may run at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._durations: dict[str, float] = {}
        self._promised: dict[str, int] = {}
        """Work items that a checkpoint is writing for this process."""
        self._taken: dict[str, int] = {}
        """Work items that run here or wait for their turn."""
        self.receiving = 0
        """Messages that a receive under way may bring."""

    def promise(self, names: Sequence[str], *, is_behind: bool, ahead: float = AHEAD, most: int = MOST_AHEAD) -> int:
        """How many work items of these activities, from the first on, this process keeps for itself.

        Those whose activity is not known to be short need a slot that is free now.

        Args:
            is_behind: a work item waits for longer than it should: no more than the free slots are promised.
            ahead: seconds that one may have to wait for its slot.
            most: work items beyond the slots.
        """
        counted, long, work = self._ahead()
        durations = self._durations
        free = self._count - counted - self.receiving
        usable = self._count - long
        granted = 0
        for name in names:
            duration = durations.get(name, _UNKNOWN)
            is_short = duration <= AHEAD
            if not is_short:
                duration = 0.0
            is_soon = is_short and usable > 0 and work + duration <= ahead * usable
            if free <= 0 and (is_behind or not is_soon or free <= -most):
                break
            granted += 1
            free -= 1
            work += duration
            usable -= not is_short
        for name in names[:granted]:
            self._promised[name] = self._promised.get(name, 0) + 1
        return granted

    def withdraw(self, names: Iterable[str]) -> None:
        """Work items that were promised are handed over now, or will not be."""
        for name in names:
            _subtract(self._promised, name)

    def take(self, name: str) -> None:
        """A work item of this activity is here."""
        self._taken[name] = self._taken.get(name, 0) + 1

    def leave(self, name: str) -> None:
        """It has ended, or was given back."""
        _subtract(self._taken, name)

    def measured(self, name: str, seconds: float) -> None:
        """An activity took so long."""
        known = self._durations.get(name)
        self._durations[name] = seconds if known is None else known + _WEIGHT * (seconds - known)

    def room(self) -> int:
        """Messages that may be received. Short work items that are still being written leave their slots to them."""
        long = sum(count for name, count in self._promised.items() if not self._is_short(name))
        return self._count - sum(self._taken.values()) - long - self.receiving

    def _is_short(self, name: str) -> bool:
        return self._durations.get(name, _UNKNOWN) <= AHEAD

    def _ahead(self) -> tuple[int, int, float]:
        """All work items, how many of them are long, and seconds of work in the others."""
        counted, long, work = 0, 0, 0.0
        durations = self._durations
        for items in (self._promised, self._taken):
            for name, count in items.items():
                counted += count
                duration = durations.get(name, _UNKNOWN)
                if duration <= AHEAD:
                    work += count * duration
                else:
                    long += count
        return counted, long, work


def _subtract(items: dict[str, int], name: str) -> None:
    left = items[name] - 1
    if left:
        items[name] = left
    else:
        del items[name]
