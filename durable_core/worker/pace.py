"""How fast a worker gets on with what waits for it."""

from __future__ import annotations

_WEIGHT = 0.05
"""Of the newest item in the moving average."""


class Pace:
    """Measures items per second over the times in which more is waiting."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        """Per item; None until it was measured."""
        self._since: float | None = None
        """When items were last taken, None if nothing was left then."""

    def took(self, count: int, *, left: int, now: float) -> None:
        """``count`` items were taken ``now`` (monotonic seconds), ``left`` go on waiting."""
        if self._since is not None:
            self._learn((now - self._since) / count)
        self._since = now if left else None

    def ended(self, count: int, seconds: float) -> None:
        """``count`` items that were taken together are done after ``seconds``: the pace is no lower than that.

        A sender that is faster than its one entity never lets anything wait at the moment in which the entity takes
        everything. One item alone says nothing: it waits for storage most of the time, as others do meanwhile.
        """
        if count > 1 and (self._seconds is None or seconds < count * self._seconds):
            self._learn(seconds / count)

    def _learn(self, newest: float) -> None:
        self._seconds = newest if self._seconds is None else self._seconds + _WEIGHT * (newest - self._seconds)

    def within(self, seconds: float, *, most: int) -> int:
        """Items that will be taken in the next ``seconds``, at most ``most``; 0 as long as nothing is known."""
        if self._seconds is None:
            return 0
        return most if self._seconds * most <= seconds else int(seconds / self._seconds)
