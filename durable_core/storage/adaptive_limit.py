"""How many things may be under way at once: fewer while they take long."""

from __future__ import annotations

_FAR = 4
"""Times the quickest one up to which nothing is slow: storage may be far away."""
_FEWER = 0.5
_MORE = 0.1
"""For each that ends: the limit settles where one in six is slow."""


class AdaptiveLimit:
    """Follows the times that things take.

    Args:
        most: while they are quick.
        least: however slow they are.
        slow: seconds from which on one is slow, where the quickest takes less than a quarter of that.
    """

    def __init__(self, most: int, least: int, slow: float) -> None:
        self._most = most
        self._least = least
        self._slow = slow
        self._limit = float(most)
        self._quickest = float("inf")

    @property
    def value(self) -> int:
        """How many may be under way now."""
        return int(self._limit)

    def ended(self, seconds: float) -> None:
        """One came to its end after ``seconds``, whatever that was."""
        self._quickest = min(self._quickest, seconds)
        if seconds < max(self._slow, _FAR * self._quickest):
            self._limit = min(self._limit + _MORE, self._most)
        else:
            self._limit = max(self._limit - _FEWER, self._least)
